"""The stored chain executed again, step by step, and what happened to a member and its records on the way.

The blocks are this home's own, so the signatures of headers and transactions are not checked again; that they lead to
the decisions in their ballots and to the state roots of their headers is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from chain.base.errors import Reason, Refused
from chain.base.keys import did_from_key
from chain.branches.ledger import Ledger, decided
from chain.consensus.judgement import judge
from chain.consensus.restart import restarted
from chain.consensus.votes import Votes
from chain.content.actions import ASK, Answer, Enrol, Rate, Repair, Rotate, Statement
from chain.content.blocks import Block
from chain.content.transactions import Transaction
from chain.disk.inspection import View
from chain.documents.words import category_name
from chain.register import registry
from chain.register.draft import Changes, Draft, Happening
from chain.register.entries import Member
from chain.register.scores import standing
from chain.register.statekeys import member_key
from chain.register.view import StateView

# Blocks read at once, and undone never: what they changed is forgotten after so many.
_READ_BLOCKS = 16
_DEEDS = {
    "filed": "recorded",
    "repaired": "repaired",
    "lapsed": "deleted: unanswered",
    "unruled": "deleted: no ruling",
    "drawn": "heard: who rules is drawn by lot",
    "faded": "faded: half of what was left of its points",
}


class Event(NamedTuple):
    """Something that happened, and the score right after it.  ``by`` is None where the chain itself acted."""

    height: int
    slot: int
    block: str
    transaction: str | None
    what: str
    number: int | None
    category: str | None
    points: int | None
    by: str | None
    score: int | None
    tier: str | None


class Step(NamedTuple):
    """What a transaction did, or the chain itself where that is None; ``draft`` is the state right after it.

    ``before`` is the state before the block.
    """

    block: Block
    before: StateView
    draft: Draft
    transaction: Transaction | None
    happenings: list[Happening]


class Execution:
    """A block executed on a ledger that it follows, step by step.

    Once all steps were taken, ``votes`` are those after it and ``changes`` what it did to the state.  Taking them
    raises :class:`Refused` where the block does not lead to its state root, or its ballot is wrong.
    """

    def __init__(self, ledger: Ledger, votes: Votes, block: Block) -> None:
        self.votes = votes
        self.changes: Changes = {}
        self._ledger = ledger
        self._block = block

    def __iter__(self) -> Iterator[Step]:
        ledger, block, header = self._ledger, self._block, self._block.header
        begun = restarted(self.votes, block.ballot.restart, header.parent, ledger.genesis.id)
        electorate = begun.electorate
        before, draft = ledger.view(), ledger.draft(header.slot, electorate)
        yield Step(block, before, draft, None, list(draft.happenings))
        for transaction in block.transactions:
            seen = len(draft.happenings)
            registry.apply(draft, transaction)
            yield Step(block, before, draft, transaction, draft.happenings[seen:])
        if decided(draft, electorate) != block.ballot.decision:
            raise Refused(Reason.WRONG_DECISION, f"the ballot at height {header.height} says otherwise")
        root, self.changes = ledger.seal(draft)
        if root != header.state_root:
            raise Refused(Reason.WRONG_STATE_ROOT, f"the state root at height {header.height} differs")
        ledger.adopt(block, self.changes)
        self.votes = judge(header, block.ballot, self.votes, ledger.genesis.id)


def steps(view: View, advance: Callable[[int], None], ledger: Ledger | None = None) -> Iterator[Step]:
    """The main chain, executed step by step as far as it is taken; ``advance`` is told of executed blocks.

    It is executed on ``ledger``, which is that of the genesis, so that whoever gives one can look at its state then.

    Raises :class:`Refused` where the stored blocks do not lead to their state roots, or their ballots are wrong.
    """
    ledger = ledger or Ledger(view.genesis)
    votes = Votes.genesis(view.genesis.validators, view.genesis.batch)
    for start in range(1, view.head_height + 1, _READ_BLOCKS):
        for block in view.reader.blocks(start, min(_READ_BLOCKS, view.head_height - start + 1)):
            execution = Execution(ledger, votes, block)
            yield from execution
            votes = execution.votes
        ledger.settle(ledger.height)
        advance(_READ_BLOCKS)


def follow(view: View, identity: bytes, advance: Callable[[int], None]) -> Iterator[Event]:
    """What happened to the member, oldest first; ``advance`` and what is raised are those of :func:`steps`."""
    for step in steps(view, advance):
        yield from told(identity, step)


def told(identity: bytes, step: Step) -> Iterator[Event]:
    """What a step was for one member."""
    return _Told(identity, step).whole()


def concerned(step: Step, known: Iterable[bytes]) -> set[bytes]:
    """The identities to whom something may have happened in a step: another policy concerns all who are ``known``."""
    found = {happening.subject for happening in step.happenings}
    if step.transaction is None:
        is_other = step.draft.rules.version != step.before.rules.version
        return found | set(known) if is_other else found
    action = step.transaction.action
    keys = {step.transaction.actor, getattr(action, "subject", b"")} - {b""}
    return found | {step.draft.identity(key) for key in keys}


class _Told:
    """One step, told as what it was for one member."""

    def __init__(self, identity: bytes, step: Step) -> None:
        self._identity = identity
        self._step = step
        self._draft = step.draft

    def whole(self) -> Iterator[Event]:
        """What happened."""
        draft, before, transaction = self._draft, self._step.before, self._step.transaction
        if transaction is not None:
            yield from self._deed(transaction)
        elif draft.rules.version != before.rules.version and draft.get(member_key(self._identity)) is not None:
            yield self._event(f"policy {draft.rules.version} in force", None)
        for happening in self._step.happenings:
            if happening.subject == self._identity:
                yield self._record_event(happening, transaction)

    def _deed(self, transaction: Transaction) -> Iterator[Event]:
        """What a transaction did to the member, its records aside."""
        draft, identity = self._draft, self._identity
        actor_is_it = draft.identity(transaction.actor) == identity
        match transaction.action:
            case Enrol() if actor_is_it:
                yield self._event("enrolled", transaction)
            case Rotate() if actor_is_it:
                yield self._event("moved to another key", transaction)
            case Rate(subject, code, points) if draft.identity(subject) == identity:
                yield self._event("rated", transaction, category=code, points=points)
            case Repair(subject, number, step) if step == ASK and draft.identity(subject) == identity:
                yield self._event("asked for repair", transaction, number)
            case Statement(subject, number, statement) if draft.identity(subject) == identity:
                yield self._event("made a statement" if statement else "took its statement back", transaction, number)

    def _record_event(self, happening: Happening, transaction: Transaction | None) -> Event:
        action = None if transaction is None else transaction.action
        points = action.points if isinstance(action, Answer) and happening.what == "corrected" else None
        record = happening.record
        what = _DEEDS.get(happening.what, happening.what)
        return self._event(
            what, transaction, happening.number, record.category, record.points if points is None else points
        )

    def _event(
        self,
        what: str,
        transaction: Transaction | None,
        number: int | None = None,
        category: int | None = None,
        points: int | None = None,
    ) -> Event:
        draft, header = self._draft, self._step.block.header
        member = draft.get(member_key(self._identity))
        stands = standing(draft.policy, member) if isinstance(member, Member) else None
        return Event(
            header.height,
            header.slot,
            header.id.hex(),
            None if transaction is None else transaction.id.hex(),
            what,
            number,
            None if category is None else category_name(draft.policy, category),
            points,
            None if transaction is None else did_from_key(transaction.actor),
            None if stands is None else stands.score,
            None if stands is None else stands.tier,
        )
