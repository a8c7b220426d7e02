"""One random history of the registry, and everything that must hold in it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import islice
from random import Random
from typing import Any, NamedTuple

from chain.base.errors import Disposition, InvariantBroken, Refused
from chain.branches.ledger import Ledger, decided
from chain.consensus.ballots import make_ballot
from chain.consensus.electorate import Decision, Electorate, Gate, Tag, validator_set
from chain.consensus.headers import Header, VerifiedHeader
from chain.consensus.restart import SALT_BYTES, Restart
from chain.consensus.statements import NO_TAG
from chain.content.actions import Action
from chain.content.blocks import Block
from chain.content.genesis import Genesis
from chain.content.transactions import Transaction, VerifiedTransaction
from chain.register import registry
from chain.register.entries import Rating, Record
from chain.register.scores import explain, standing
from chain.register.statekeys import read_rating_key, read_record_key
from scripts.histories_parts.deeds import Deeds
from scripts.histories_parts.hand import Deed, key
from scripts.histories_parts.policies import SLOT_MS, random_policy
from scripts.histories_parts.rights import Rights
from scripts.histories_parts.steps import Step, WatchedDraft
from scripts.recount.entries import differences
from scripts.recount.rows import recount_from, row_of, turnout_of

# Refused or accepted, a transaction lives so many blocks at most.
MAX_EXPIRY_BLOCKS = 20


class Violation(Exception):
    """Something that must never happen."""


def claim(holds: object, what: str) -> None:
    """Raise :class:`Violation` unless it holds."""
    if not holds:
        raise Violation(what)


class Outcome(NamedTuple):
    """What came of one history; ``violation`` is empty where everything held."""

    seed: int
    violation: str
    blocks: int
    accepted: dict[str, int]
    refused: dict[str, int]


class WatchedLedger(Ledger):
    """A ledger of watched drafts."""

    def blank_draft(self, slot: int) -> WatchedDraft:
        return WatchedDraft(self.state, self.genesis, self.height + 1, slot, self.head)


@dataclass
class History:
    """A history as it is lived: the ledger, the recount, and the state after each block."""

    random: Random
    accepted: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    blocks: list[tuple[Block, Electorate]] = field(default_factory=list)

    def __post_init__(self) -> None:
        random = self.random
        validators = [(key(number), random.choice((1, 1, 1, 2))) for number in range(random.choice((1, 3, 4, 4, 5)))]
        self.genesis = Genesis(
            "history", 0, SLOT_MS, 8, 20, MAX_EXPIRY_BLOCKS, tuple(validators), random_policy(random)
        )
        self.due_a_block = random.choice((2, registry.MAX_DUE_A_BLOCK))
        self.ledger = WatchedLedger(self.genesis)
        self.recount = recount_from(self.genesis, self.due_a_block)
        self.rights = Rights()
        self.deeds = Deeds(random, self.recount, self.genesis)
        self.states = [(dict(self.ledger.state), self.ledger.state_root)]
        self._electorate = Electorate(1, validator_set(validators, self.genesis.batch))

    def live(self) -> None:
        """All of it.  Raises :class:`Violation` or :class:`InvariantBroken`."""
        usual, registry.MAX_DUE_A_BLOCK = registry.MAX_DUE_A_BLOCK, self.due_a_block
        try:
            slot = 0
            for number in range(self.random.randint(3, 14)):
                slot += self.random.choice((1, 1, 1, 1, 2, 3, 5, 25, 60))
                self._block(slot, opens=number == 0 and self.random.random() < 0.9)
                self._check_head()
            self._check_explanations()
            self._check_the_way_back()
        finally:
            registry.MAX_DUE_A_BLOCK = usual

    def _block(self, slot: int, *, opens: bool) -> None:
        ledger, height = self.ledger, self.ledger.height + 1
        electorate = self._electorate
        draft = ledger.draft(slot, electorate)
        assert isinstance(draft, WatchedDraft)
        self._check_step(draft, b"", None)
        self.recount.begin(height, slot, turnout_of(electorate), draft.parent.id)
        body: list[VerifiedTransaction] = []
        for deed in self.deeds.opening() if opens else ():
            self._attempt(draft, deed, body)
        for _ in range(self.random.randint(1, 14)):
            if (chosen := self.deeds.next()) is not None:
                self._attempt(draft, chosen, body, oddity=0.05)
        ballot = make_ballot((), decided(draft, electorate))
        root, changes = ledger.seal(draft)
        block_id, nobody = height.to_bytes(32, "big"), bytes(32)
        roots = ballot.root, bytes(32), root
        header = Header(block_id, height, slot, bytes(32), nobody, NO_TAG, 0, 0, *roots, bytes(100))
        block = Block(VerifiedHeader(header), ballot, tuple(body))
        ledger.adopt(block, changes)
        self.blocks.append((block, electorate))
        self.states.append((dict(ledger.state), root))
        self._vote(height, ballot.decision)

    def _vote(self, height: int, decision: Decision) -> None:
        """What votes could make of who decides at the next height: sometimes those who are waited for never come."""
        before, is_final = self._electorate, self.random.random() < 0.8
        spoke = before.speakers if self.random.random() < 0.8 else ()
        after = before.after(height, mhpc=height if is_final else 0, spoke=spoke, decision=decision)
        if isinstance(before.phase, Gate) and after.phase == before.phase and self.random.random() < 0.5:
            after = replace(after, phase=None)
        if self.random.random() < 0.03:  # people restart the chain
            restart = Restart(bytes(32), height, self.random.randbytes(SALT_BYTES))
            renewed = (Tag(key, restart.tag(key), height) for key in sorted(after.speakers))
            others = (tag for tag in after.tags if tag.key not in after.speakers)
            after = replace(after, phase=None, tags=(*others, *renewed))
        self._electorate = after

    def _attempt(self, draft: WatchedDraft, deed: Deed, body: list[VerifiedTransaction], oddity: float = 0) -> None:
        random, height = self.random, draft.height
        life, slip = random.randint(0, MAX_EXPIRY_BLOCKS), 0
        is_odd = random.random() < oddity
        if is_odd:
            life, slip = random.choice(((-1, 0), (MAX_EXPIRY_BLOCKS + 1, 0), (5, 1), (5, -1)))
        nonce = max(0, self.recount.nonces[deed.actor] + slip)
        raw = b"%d" % random.getrandbits(64)
        transaction = Transaction(raw.rjust(32), deed.actor, nonce, max(0, height + life), deed.action, raw)
        kind = transaction.kind
        happened = len(draft.happenings)
        try:
            registry.apply(draft, transaction)
        except Refused as refusal:
            self.refused[refusal.reason.code] += 1
            claim(not draft.faults, "; ".join(draft.faults))
            claim(not draft.touched, f"{kind} was refused ({refusal}) and had written")
            claim(len(draft.happenings) == happened, f"{kind} was refused ({refusal}) and something happened")
            blamed = refusal.reason.disposition is Disposition.BLAME
            claim(not blamed or refusal.reason.code == "malformed", f"an honest sender is blamed: {refusal}")
            if not is_odd:
                told = "; ".join(self.rights.denied(Step(draft, deed.actor, deed.action, {})))
                claim(not told, f"{told}; it was refused: {refusal}")
        else:
            self.accepted[kind] += 1
            body.append(VerifiedTransaction(transaction))
            self._check_step(draft, deed.actor, deed.action)
            self.recount.accept(row_of(transaction))

    def _check_step(self, draft: WatchedDraft, actor: bytes, action: Action | None) -> None:
        claim(not draft.faults, "; ".join(draft.faults))
        broken = list(self.rights.broken(Step(draft, actor, action, draft.take())))
        claim(not broken, "; ".join(broken[:3]))

    # ------------------------------------------------------------------------------------------- what must hold

    def _check_head(self) -> None:
        ledger, recount = self.ledger, self.recount
        claim(not recount.faults, "; ".join(recount.faults[:3]))
        if told := "; ".join(islice(differences(recount, ledger.state), 3)):
            raise Violation(f"the state is not what a recount gives: {told}")
        validators = ledger.validators
        makers = {seat.key for seat in validators.active} | {key for key, _ in validators.following}
        claim(not makers & recount.successor.keys(), "a key that was left makes blocks")
        view = ledger.view()
        for member in recount.enrolled:
            now = standing(view.policy, view.get(b"m" + member))
            claim(tuple(now) == tuple(recount.standing(member)), "a score or a tier is not what a recount gives")

    def _check_explanations(self) -> None:
        view, about = self.ledger.view(), _entries_by_member(self.ledger)
        for member in self.recount.enrolled:
            explain(view.policy, view.get(b"m" + member), *about.pop(member, ([], [])))
        claim(not about, "something is recorded about somebody who has not enrolled")

    def _check_the_way_back(self) -> None:
        ledger = self.ledger
        state, root = self.states[-1]
        again = WatchedLedger(self.genesis, state, ledger.height, ledger.head)
        claim(again.state_root == root, "the root is not that of the state")
        claim(again.agenda() == ledger.agenda(), "the agenda is not that of the state")
        undone = []
        for state, root in self.states[-2::-1]:
            undone.append(ledger.undo())
            claim(ledger.state == state and ledger.state_root == root, "undoing a block does not bring back the state")
        claim(ledger.agenda() == [], "undoing leaves something on the agenda")
        for state, root in self.states[1:]:
            ledger.redo(undone.pop())
            claim(ledger.state == state and ledger.state_root == root, "redoing a block does not bring back the state")
        fresh = Ledger(self.genesis, self.states[0][0])
        for block, electorate in self.blocks:
            try:
                fresh.extend(block, electorate)
            except Refused as refusal:
                raise Violation(f"another node refuses the block: {refusal}") from refusal
        claim(fresh.state == ledger.state, "another node comes to another state")


def _entries_by_member(ledger: Ledger) -> dict[bytes, tuple[list[Any], list[Any]]]:
    """``(records, ratings)`` about each member, as :func:`chain.register.scores.explain` takes them."""
    view = ledger.view()
    about: dict[bytes, tuple[list[Any], list[Any]]] = {}
    for entry_key in ledger.state:
        entry = view.get(entry_key) if entry_key[:1] in (b"d", b"r") else None
        if isinstance(entry, Record):
            subject, number = read_record_key(entry_key)
            about.setdefault(subject, ([], []))[0].append((number, entry))
        elif isinstance(entry, Rating):
            subject, rater, code = read_rating_key(entry_key)
            about.setdefault(subject, ([], []))[1].append((rater, code, entry))
    return about


def run_history(seed: int) -> Outcome:
    """The history of one seed; the same on every machine."""
    return live(Random(seed), seed)


def live(random: Random, seed: int = 0) -> Outcome:
    """A history whose choices are those of ``random``."""
    history = History(random)
    violation = ""
    try:
        history.live()
    except (Violation, InvariantBroken) as error:
        violation = str(error)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong, the seed must be told
        violation = f"{type(error).__name__}: {error}"
    return Outcome(seed, violation, len(history.blocks), dict(history.accepted), dict(history.refused))
