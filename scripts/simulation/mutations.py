"""Rules broken on purpose, one at a time: a simulator that does not notice proves nothing.

Each mutation replaces parts of the chain in this process for one run, and says in which runs it should be seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch
from weakref import WeakKeyDictionary

from chain import (
    admission,
    arrivals,
    attestations,
    blocktree,
    download,
    effects,
    governance,
    headers,
    headway,
    intake,
    judgement,
    objections,
    registry,
    restart,
    serving,
    validators,
    votes,
)
from chain.admission import Blamed
from chain.arrivals import WaitingRoom
from chain.attestations import Carried, VerifiedAttestation
from chain.blockchain import Blockchain
from chain.blocks import Block
from chain.blocktree import BlockTree, Judged
from chain.draft import Draft
from chain.electorate import Electorate, Joint, ValidatorSet
from chain.engine import Engine
from chain.errors import Reason, Refused
from chain.events import Commit, Effect, SigningState
from chain.ledger import Ledger
from chain.mempool import Mempool
from chain.outbox import Outbox
from chain.production import Producer
from chain.state import Record, member_key
from chain.transactions import Evidence, decode_statement
from chain.votes import Count, Voter
from scripts.simulation import checks

Patch = tuple[Any, str, Any]


@dataclass(frozen=True, slots=True)
class Mutation:
    """``what`` is broken; ``faults``, ``byzantine``, ``villains`` and ``traffic`` are the runs that should show it.

    ``villains`` None is as many as are tolerated, ``traffic`` "" what the seed chooses, ``slots`` None as many as
    usual.  ``is_inside`` marks what has no effect within a run: only a look inside a node,
    or a comparison with a copy of the rule, shows it.
    """

    what: str
    make: Callable[[], Sequence[Patch]]
    faults: str = "all"
    byzantine: str = ""
    nodes: int | None = None
    villains: int | None = None
    is_inside: bool = False
    traffic: str = ""
    slots: int | None = None


def _nothing(*_arguments: Any) -> None:
    """A check that refuses nothing."""


@contextmanager
def mutated(mutation: Mutation) -> Iterator[None]:
    """Break the rule, and mend it afterwards."""
    with ExitStack() as stack:
        for target, name, value in mutation.make():
            stack.enter_context(patch.object(target, name, value))
        yield


def _no_contradiction_check() -> Sequence[Patch]:
    return [(Count, "_contradiction", lambda *_arguments: None)]


def _double_prevotes() -> Sequence[Patch]:
    enough = votes._is_enough

    def enough_twice(weights: tuple[int, ...], sets: Any) -> bool:
        return enough(tuple(2 * weight for weight in weights), sets)

    return [(votes, "_is_enough", enough_twice)]


def _forget_mhg() -> Sequence[Patch]:
    begin = Producer.__init__

    def begin_without(self: Producer, genesis: Any, secret: Any, signing: SigningState | None, *rest: Any) -> None:
        begin(self, genesis, secret, signing and SigningState(slot=signing.slot, tag=signing.tag), *rest)

    return [(Producer, "__init__", begin_without)]


def _cross_finality() -> Sequence[Patch]:
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


def _skip_signing_store() -> Sequence[Patch]:
    take = Outbox.take

    def without_signing(self: Outbox) -> list[Effect]:
        self.signing = None
        return take(self)

    return [(Outbox, "take", without_signing)]


def _announce_first() -> Sequence[Patch]:
    handle = Engine.handle

    def announcing_first(self: Engine, event: Any, now_ms: int) -> list[Effect]:
        effects = handle(self, event, now_ms)
        return [e for e in effects if not isinstance(e, Commit)] + [e for e in effects if isinstance(e, Commit)]

    return [(Engine, "handle", announcing_first)]


def _accept_future() -> Sequence[Patch]:
    def at_once(*arguments: Any, **named: Any) -> arrivals.Arrival:
        return arrivals.Arrival(*arguments, **{**named, "due_ms": 0})

    return [(admission, "check_clock", _nothing), (intake, "check_clock", _nothing), (intake, "Arrival", at_once)]


def _sign_a_slot_twice() -> Sequence[Patch]:
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


def _forget_finality() -> Sequence[Patch]:
    # The state on disk usually follows within slots, which hides it: here it follows after a minute.
    return [
        (Blockchain, "restore_finality", lambda _self, _height: None),
        (headway, "SETTLE_INTERVAL_MS", 60_000),
    ]


def _majority_is_enough() -> Sequence[Patch]:
    def with_majority(self: ValidatorSet) -> None:
        object.__setattr__(self, "threshold", sum(weight for _, weight in self.weights) // 2 + 1)

    return [(ValidatorSet, "__post_init__", with_majority)]


def _amnesiac_signs() -> Sequence[Patch]:
    def at_once(self: Producer, chain: Blockchain) -> bool:
        if self.signing is None:
            self.signing = SigningState(mhg=chain.head.votes.spoken_up_to(self.secret.public))
        return False

    return [(Producer, "resume", at_once), (Producer, "needs_tag", lambda *_arguments: False)]


def _any_newer_final() -> Sequence[Patch]:
    final_heights: WeakKeyDictionary[Producer, int] = WeakKeyDictionary()

    def after_any(self: Producer, chain: Blockchain) -> bool:
        if self.signing is not None or chain.finalized.height <= final_heights.setdefault(self, chain.finalized.height):
            return False
        votes, key = chain.head.votes, self.secret.public
        self.signing = SigningState(mhg=votes.spoken_up_to(key), tag=votes.electorate.tag(key).tag)
        return True

    return [(Producer, "resume", after_any), (Producer, "needs_tag", lambda *_arguments: False)]


def _any_state_root() -> Sequence[Patch]:
    def extend(self: Ledger, block: Block, electorate: Any) -> None:
        draft = self.draft(block.header.slot, electorate)
        for transaction in block.transactions:
            registry.apply(draft, transaction)
        _, changes = self.seal(draft)
        with patch.object(self, "_tree", _Claims(self._tree, block.header.state_root)):
            self.adopt(block, changes)

    return [(Ledger, "extend", extend)]


class _Claims:
    """A state tree that has whatever root a header claims."""

    def __init__(self, tree: Any, root: bytes) -> None:
        self.tree, self.root = tree, root
        self.prove = tree.prove


def _drop_abandoned() -> Sequence[Patch]:
    return [(Mempool, "restore", lambda *_arguments: None)]


def _unbounded_waiting() -> Sequence[Patch]:
    def add(self: WaitingRoom, arrival: arrivals.Arrival) -> bool:
        self._arrivals[arrival.header.id] = arrival
        return True

    # The door alone would keep them away: it is open here, and nobody minds.
    names = ("CLOCK_DISPARITY_MS", "MAX_ANNOUNCED_PER_SLOT")
    limits = [(place, name, 10**9) for place in (admission, checks) for name in names]
    return [(WaitingRoom, "add", add), *limits]


def _precommit_again() -> Sequence[Patch]:
    return [(votes, "Voter", lambda min_active, _largest: Voter(min_active, min_active - 1))]


def _evidence_twice() -> Sequence[Patch]:
    check = governance.check_open

    def check_unpunished(draft: Draft, action: Evidence) -> bytes:
        try:
            return check(draft, action)
        except Refused as refusal:
            if refusal.reason is not Reason.ALREADY_PUNISHED:
                raise
            return decode_statement(action.first).speaker

    return [(governance, "check_open", check_unpunished)]


def _no_joint_phase() -> Sequence[Patch]:
    after = Electorate.after

    def at_once(self: Electorate, height: int, **named: Any) -> Electorate:
        following = after(self, height, **named)
        if not isinstance(following.phase, Joint):
            return following
        return replace(following, start=height + 1, current=following.phase.following, phase=None)

    return [(Electorate, "after", at_once)]


def _jailed_lead() -> Sequence[Patch]:
    return [(validators, "_jailed", lambda seat, height: seat._replace(clean_height=height))]


def _any_validator_leads() -> Sequence[Patch]:
    return [(judgement, "check_leader", _nothing)]


def _jailed_weigh() -> Sequence[Patch]:
    return [(validators, "weights_of", lambda seats: tuple((seat.key, seat.weight) for seat in seats))]


def _any_attestation() -> Sequence[Patch]:
    return [(attestations, "_verify", lambda *_arguments: True)]


def _carried_unchecked() -> Sequence[Patch]:
    def complete(carried: Carried, _chain_id: bytes, *, tag: bytes, tip: bytes, mhp: int) -> VerifiedAttestation:
        raw = attestations._payload(carried.speaker, tag, tip, carried.height, carried.mhg, mhp) + carried.signature
        return VerifiedAttestation(attestations.decode_attestation(raw))

    return [(judgement, "complete", complete)]


def _any_restart() -> Sequence[Patch]:
    return [(restart, "verify", lambda *_arguments: True)]


def _any_slot() -> Sequence[Patch]:
    return [(blocktree, "check_follows", _follows_but("slot", -1))]


def _any_height() -> Sequence[Patch]:
    return [(blocktree, "check_follows", _follows_but("height", None))]


def _follows_but(name: str, value: int | None) -> Callable[[Any, Any], None]:
    """The check of a header against its parent, but for one of its fields."""
    check = judgement.check_follows

    def follows(header: Any, parent: Any) -> None:
        other = {name: header.height - 1 if value is None else value}
        check(header, replace(parent, **other))

    return follows


def _no_lateness() -> Sequence[Patch]:
    return [(admission, "check_not_late", _nothing)]


def _no_quota() -> Sequence[Patch]:
    return [(admission, "MAX_ANNOUNCED_PER_SLOT", 10**9)]


def _no_plausibility() -> Sequence[Patch]:
    return [(admission, "check_claim", _nothing), (admission, "check_height", _nothing)]


def _old_news() -> Sequence[Patch]:
    return [(admission, "check_not_final", _nothing)]


def _any_ids() -> Sequence[Patch]:
    return [(admission, "check_root", _nothing)]


def _any_leader() -> Sequence[Patch]:
    return [(Blockchain, "check_leader", _nothing)]


def _any_signature() -> Sequence[Patch]:
    return [(headers, "verify", lambda *_arguments: True)]


def _blame_for_clocks() -> Sequence[Patch]:
    return [(admission, "Dropped", Blamed)]


def _nobody_is_blamed() -> Sequence[Patch]:
    return [(admission, "rejected", admission.Dropped)]


def _serve_more() -> Sequence[Patch]:
    return [(serving, "islice", lambda items, _count: items), (download, "MAX_BLOCKS_PER_REQUEST", 4)]


def _struck_counts() -> Sequence[Patch]:
    end = effects.end

    def end_for_show(draft: Draft, subject: bytes, number: int, record: Record, what: str) -> None:
        end(draft, subject, number, record, what)
        if what == "struck":
            _, member = draft.member(subject)
            kept = member._replace(record_points=member.record_points + record.points)
            draft.put(member_key(subject), kept)

    return [(effects, "end", end_for_show)]


def _no_deadlines() -> Sequence[Patch]:
    begin = registry.begin
    return [(registry, "begin", lambda draft, _due, electorate: begin(draft, (), electorate))]


def _objection_counts() -> Sequence[Patch]:
    return [(objections, "stands_disputed", lambda _draft, _record: True)]


MUTATIONS: dict[str, Mutation] = {
    "no-contradiction-check": Mutation(
        "a block may contradict its proposer's latest", _no_contradiction_check, "none", "repeats"
    ),
    "double-prevotes": Mutation("prevotes count twice", _double_prevotes, "none", "betrays", 7),
    "forget-mhg": Mutation("a restarted validator forgets what it generated", _forget_mhg),
    "cross-finality": Mutation("a reorg may cross what is final", _cross_finality, "none", "rewrites", 4, 3),
    "skip-signing-store": Mutation("the signing state is not stored before a block is sent", _skip_signing_store),
    "announce-first": Mutation("a block is sent before it is durable", _announce_first, "crashes"),
    "accept-future": Mutation("blocks of the future are taken at once", _accept_future, "none", "floods"),
    "sign-twice": Mutation("a validator does not mind having signed a slot", _sign_a_slot_twice),
    "forget-finality": Mutation("a restarted node forgets what was final", _forget_finality, "all", "stalls", 4),
    "majority": Mutation("more than half of the votes is enough", _majority_is_enough, "none", "equivocates", 7),
    "amnesiac-signs": Mutation("a validator that lost its signing state signs at once", _amnesiac_signs),
    "any-state-root": Mutation("state roots are not compared", _any_state_root, "none", "floods", is_inside=True),
    "drop-abandoned": Mutation("transactions of abandoned blocks are dropped", _drop_abandoned),
    "unbounded-waiting": Mutation("any number of blocks may wait for their slot", _unbounded_waiting, "none", "floods"),
    "evidence-twice": Mutation(
        "one offence jails as often as somebody brings the evidence",
        _evidence_twice,
        "none",
        "equivocates",
        4,
        traffic="registry",
        is_inside=True,
    ),
    "no-joint-phase": Mutation(
        "validators that were decided on are in force without those before them", _no_joint_phase, "setfork", "bridges"
    ),
    "any-turn": Mutation("a validator makes blocks in any slot", _any_validator_leads, "none", "usurps", 4),
    "jailed-weigh": Mutation(
        "who is jailed keeps its weight and its slots, empty", _jailed_weigh, "none", "relays", 7, slots=260
    ),
    "any-newer-final": Mutation(
        "a validator that lost its signing state signs after any newer final block", _any_newer_final
    ),
    "any-attestation": Mutation(
        "signatures of attestations are not checked", _any_attestation, "none", "impersonates", 4
    ),
    "carried-unchecked": Mutation(
        "signatures of what a block carries are not checked", _carried_unchecked, "none", "impersonates", 4
    ),
    "any-restart": Mutation("signatures of a restart are not checked", _any_restart, "none", "impersonates", 4),
    "any-slot": Mutation(
        "a block may be of a slot before its parent's", _any_slot, "idle", "hoards", 4, traffic="ratings", slots=480
    ),
    "any-height": Mutation("a block may be of any height", _any_height, "none", "garbles", 4),
    "jailed-lead": Mutation("who is jailed goes on", _jailed_lead, "none", "equivocates", 4, traffic="registry"),
    "struck-counts": Mutation(
        "the points of a struck record still count", _struck_counts, traffic="registry", is_inside=True
    ),
    "no-deadlines": Mutation(
        "nothing happens when a deadline passes", _no_deadlines, traffic="registry", is_inside=True
    ),
    "objection-counts": Mutation(
        "the points of a record count while an objection is open", _objection_counts, traffic="registry", is_inside=True
    ),
    "precommit-again": Mutation(
        "a validator precommits a block again and again", _precommit_again, "network", "clones", 4
    ),
    # What comes from afar for the first time in 1,024 slots is not final only where finality stalls.
    "no-lateness": Mutation(
        "announcements of long ago are passed on",
        _no_lateness,
        "strangers",
        "silent",
        4,
        2,
        slots=1_100,
        is_inside=True,
    ),
    "no-quota": Mutation("any number of blocks of one slot is passed on", _no_quota, "none", "floods", is_inside=True),
    "no-plausibility": Mutation(
        "heights are believed for which there were too few slots", _no_plausibility, "strangers", is_inside=True
    ),
    "old-news": Mutation("announcements of what is final are passed on", _old_news, "strangers", is_inside=True),
    "any-ids": Mutation("a block is announced with any transactions", _any_ids, "strangers"),
    "any-leader": Mutation("anybody announces blocks", _any_leader, "strangers", is_inside=True),
    "any-signature": Mutation("signatures of headers are not checked", _any_signature, "strangers"),
    "blame-for-clocks": Mutation("what is too early or too late is blamed on its sender", _blame_for_clocks, "clocks"),
    "no-blame": Mutation("whoever sends what nobody sends is not blamed", _nobody_is_blamed, "strangers"),
    "serve-more": Mutation("a reply holds more blocks than were asked for", _serve_more),
}
