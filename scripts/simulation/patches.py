"""What each rule broken on purpose replaces in the chain: ``(where, name, by what)``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from unittest.mock import patch
from weakref import WeakKeyDictionary, WeakSet

from chain.base.errors import Reason, Refused
from chain.branches import blocktree
from chain.branches.blockchain import Blockchain
from chain.branches.blocktree import BlockTree, Judged
from chain.branches.ledger import Ledger
from chain.consensus import attestations, headers, judgement, restart, votes
from chain.consensus.attestations import Carried, VerifiedAttestation
from chain.consensus.electorate import Electorate, Joint, ValidatorSet
from chain.consensus.votes import Count, Voter
from chain.content.actions import Evidence
from chain.content.blocks import Block
from chain.content.kinds import decode_statement
from chain.protocol import admission, arrivals, download, headway, intake, serving
from chain.protocol.admission import Blamed
from chain.protocol.arrivals import WaitingRoom
from chain.protocol.engine import Engine
from chain.protocol.events import Commit, Effect, SigningState
from chain.protocol.mempool import Mempool
from chain.protocol.outbox import Outbox
from chain.protocol.production import Producer
from chain.register import effects, objections, offences, registry, validators
from chain.register.draft import Draft
from chain.register.entries import Record
from chain.register.statekeys import member_key
from scripts.simulation import checks

Patch = tuple[Any, str, Any]


def _nothing(*_arguments: Any) -> None:
    """A check that refuses nothing."""


def no_contradiction_check() -> Sequence[Patch]:
    return [(Count, "_contradiction", lambda *_arguments: None)]


def double_prevotes() -> Sequence[Patch]:
    enough = votes._is_enough

    def enough_twice(weights: tuple[int, ...], sets: Any) -> bool:
        return enough(tuple(2 * weight for weight in weights), sets)

    return [(votes, "_is_enough", enough_twice)]


def forget_mhg() -> Sequence[Patch]:
    begin = Producer.__init__

    def begin_without(self: Producer, genesis: Any, secret: Any, signing: SigningState | None, *rest: Any) -> None:
        begin(self, genesis, secret, signing and SigningState(slot=signing.slot, tag=signing.tag), *rest)

    return [(Producer, "__init__", begin_without)]


def cross_finality() -> Sequence[Patch]:
    def keep_all(self: BlockTree, block_id: bytes) -> None:
        self.root = block_id

    def check(self: Blockchain, header: Any, ballot: Any, *, solicited: bool) -> Judged:
        return self.tree.check(header, ballot, solicited=solicited)

    def no_refusal(_self: Blockchain, _at_least: int = 0) -> tuple[()]:
        return ()

    advance = Blockchain._advance_finality

    def advance_or_not(self: Blockchain, at_least: int = 0) -> Any:
        try:
            return advance(self, at_least)
        except Exception:  # noqa: BLE001  # the mutation hides every sign of what it breaks
            return no_refusal(self)

    return [
        (BlockTree, "reroot", keep_all),
        (Blockchain, "check", check),
        (Blockchain, "_advance_finality", advance_or_not),
        (Blockchain, "settle", lambda _self: None),
    ]


def skip_signing_store() -> Sequence[Patch]:
    take = Outbox.take

    def without_signing(self: Outbox) -> list[Effect]:
        self.signing = None
        return take(self)

    return [(Outbox, "take", without_signing)]


def announce_first() -> Sequence[Patch]:
    handle = Engine.handle

    def announcing_first(self: Engine, event: Any, now_ms: int) -> list[Effect]:
        effects = handle(self, event, now_ms)
        return [e for e in effects if not isinstance(e, Commit)] + [e for e in effects if isinstance(e, Commit)]

    return [(Engine, "handle", announcing_first)]


def accept_future() -> Sequence[Patch]:
    def at_once(*arguments: Any, **named: Any) -> arrivals.Arrival:
        return arrivals.Arrival(*arguments, **{**named, "due_ms": 0})

    return [(admission, "check_clock", _nothing), (intake, "check_clock", _nothing), (intake, "Arrival", at_once)]


def sign_a_slot_twice() -> Sequence[Patch]:
    due_slot = Producer.due_slot

    def without_memory(self: Producer, parent: Any, now_ms: int) -> int | None:
        if self.signing is None:
            return due_slot(self, parent, now_ms)
        signing, self.signing = self.signing, replace(self.signing, slot=0)
        try:
            return due_slot(self, parent, now_ms)
        finally:
            self.signing = signing

    return [(Producer, "due_slot", without_memory), (SigningState, "last", (-1, -1))]


def forget_finality() -> Sequence[Patch]:
    # The state on disk usually follows within slots, which hides it: here it follows after a minute.
    advance, loaded = Blockchain._advance_finality, WeakSet[Blockchain]()

    def advance_once_loaded(self: Blockchain, at_least: int = 0) -> Any:
        return advance(self, at_least) if self in loaded else ()

    return [
        (Blockchain, "restore_finality", lambda self, _height: loaded.add(self)),
        (Blockchain, "_advance_finality", advance_once_loaded),
        (headway, "SETTLE_INTERVAL_MS", 60_000),
    ]


def majority_is_enough() -> Sequence[Patch]:
    def with_majority(self: ValidatorSet) -> None:
        object.__setattr__(self, "threshold", sum(weight for _, weight in self.weights) // 2 + 1)

    return [(ValidatorSet, "__post_init__", with_majority)]


def amnesiac_signs() -> Sequence[Patch]:
    def at_once(self: Producer, chain: Blockchain) -> bool:
        if self.signing is None:
            self.signing = SigningState(mhg=chain.head.votes.spoken_up_to(self.secret.public))
        return False

    return [(Producer, "resume", at_once), (Producer, "needs_tag", lambda *_arguments: False)]


def any_newer_final() -> Sequence[Patch]:
    final_heights: WeakKeyDictionary[Producer, int] = WeakKeyDictionary()

    def after_any(self: Producer, chain: Blockchain) -> bool:
        if self.signing is not None or chain.finalized.height <= final_heights.setdefault(self, chain.finalized.height):
            return False
        votes, key = chain.head.votes, self.secret.public
        self.signing = SigningState(mhg=votes.spoken_up_to(key), tag=votes.electorate.tag(key).tag)
        return True

    return [(Producer, "resume", after_any), (Producer, "needs_tag", lambda *_arguments: False)]


def any_state_root() -> Sequence[Patch]:
    def extend(self: Ledger, block: Block, electorate: Any) -> None:
        draft = self.draft(block.header.slot, electorate)
        for transaction in block.transactions:
            registry.apply(draft, transaction)
        _, changes = self.seal(draft)
        with patch.object(self, "_store", _Claims(block.header.state_root)):
            self.adopt(block, changes)

    return [(Ledger, "extend", extend)]


class _Claims:
    """A store that has whatever root a header claims."""

    def __init__(self, root: bytes) -> None:
        self.root = root


def drop_abandoned() -> Sequence[Patch]:
    return [(Mempool, "restore", lambda *_arguments: None)]


def unbounded_waiting() -> Sequence[Patch]:
    def add(self: WaitingRoom, arrival: arrivals.Arrival) -> bool:
        self._arrivals[arrival.header.id] = arrival
        return True

    # The door alone would keep them away: it is open here, and nobody minds.
    names = ("CLOCK_DISPARITY_MS", "MAX_ANNOUNCED_PER_SLOT")
    limits = [(place, name, 10**9) for place in (admission, checks) for name in names]
    return [(WaitingRoom, "add", add), *limits]


def precommit_again() -> Sequence[Patch]:
    return [(votes, "Voter", lambda min_active, _largest: Voter(min_active, min_active - 1))]


def evidence_twice() -> Sequence[Patch]:
    check = offences.check_open

    def check_unpunished(draft: Draft, action: Evidence) -> bytes:
        try:
            return check(draft, action)
        except Refused as refusal:
            if refusal.reason is not Reason.ALREADY_PUNISHED:
                raise
            return decode_statement(action.first).speaker

    return [(offences, "check_open", check_unpunished)]


def no_joint_phase() -> Sequence[Patch]:
    after = Electorate.after

    def at_once(self: Electorate, height: int, **named: Any) -> Electorate:
        following = after(self, height, **named)
        if not isinstance(following.phase, Joint):
            return following
        return replace(following, start=height + 1, current=following.phase.following, phase=None)

    return [(Electorate, "after", at_once)]


def jailed_lead() -> Sequence[Patch]:
    return [(validators, "_jailed", lambda seat, height: seat._replace(clean_height=height))]


def any_validator_leads() -> Sequence[Patch]:
    return [(judgement, "check_leader", _nothing)]


def jailed_weigh() -> Sequence[Patch]:
    return [(validators, "weights_of", lambda seats: tuple((seat.key, seat.weight) for seat in seats))]


def any_attestation() -> Sequence[Patch]:
    return [(attestations, "_verify", lambda *_arguments: True)]


def carried_unchecked() -> Sequence[Patch]:
    def complete(carried: Carried, _chain_id: bytes, *, tag: bytes, tip: bytes, mhp: int) -> VerifiedAttestation:
        raw = attestations._payload(carried.speaker, tag, tip, carried.height, carried.mhg, mhp) + carried.signature
        return VerifiedAttestation(attestations.decode_attestation(raw))

    return [(judgement, "complete", complete)]


def any_restart() -> Sequence[Patch]:
    return [(restart, "verify", lambda *_arguments: True)]


def any_slot() -> Sequence[Patch]:
    return [(blocktree, "check_follows", _follows_but("slot", -1))]


def any_height() -> Sequence[Patch]:
    return [(blocktree, "check_follows", _follows_but("height", None))]


def _follows_but(name: str, value: int | None) -> Callable[[Any, Any], None]:
    """The check of a header against its parent, but for one of its fields."""
    check = judgement.check_follows

    def follows(header: Any, parent: Any) -> None:
        other = {name: header.height - 1 if value is None else value}
        check(header, replace(parent, **other))

    return follows


def no_lateness() -> Sequence[Patch]:
    return [(admission, "check_not_late", _nothing)]


def no_quota() -> Sequence[Patch]:
    return [(admission, "MAX_ANNOUNCED_PER_SLOT", 10**9)]


def old_news() -> Sequence[Patch]:
    return [(admission, "check_not_final", _nothing)]


def any_ids() -> Sequence[Patch]:
    return [(admission, "check_root", _nothing)]


def any_leader() -> Sequence[Patch]:
    return [(Blockchain, "check_leader", _nothing)]


def any_signature() -> Sequence[Patch]:
    return [(headers, "verify", lambda *_arguments: True)]


def blame_for_clocks() -> Sequence[Patch]:
    return [(admission, "Dropped", Blamed)]


def nobody_is_blamed() -> Sequence[Patch]:
    return [(admission, "rejected", admission.Dropped)]


def serve_more() -> Sequence[Patch]:
    return [(serving, "islice", lambda items, _count: items), (download, "MAX_BLOCKS_PER_REQUEST", 4)]


def struck_counts() -> Sequence[Patch]:
    end = effects.end

    def end_for_show(draft: Draft, subject: bytes, number: int, record: Record, what: str) -> None:
        end(draft, subject, number, record, what)
        if what == "struck":
            _, member = draft.member(subject)
            kept = member._replace(record_points=member.record_points + record.points)
            draft.put(member_key(subject), kept)

    return [(effects, "end", end_for_show)]


def no_deadlines() -> Sequence[Patch]:
    begin = registry.begin
    return [(registry, "begin", lambda draft, _due, electorate: begin(draft, (), electorate))]


def objection_counts() -> Sequence[Patch]:
    return [(objections, "stands_disputed", lambda _draft, _record: True)]
