"""A fault of ours ends the one matter that it struck: what is due waits a day, a transaction is refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from chain.base.errors import Damaged, InvariantBroken, OperatorError, Reason, Refused, StoreAway
from chain.branches.ledger import Ledger
from chain.content.actions import Enrol, Leave, Object, Rate
from chain.content.blocks import Block
from chain.content.identities import Annulment, Leaving, Left, Recovery, leaving_key
from chain.register import deadlines, leaving, ratings, registry
from chain.register.draft import Draft
from chain.register.entries import OPEN, Attributes, Held, Marker, Motion, Rating, Record
from chain.register.state import WITH_DEADLINES, due_slot_of, put_off
from chain.register.statekeys import MOTIONS, RATINGS, RECORDS, RULES_KEY, member_key, rating_key, record_key
from tests.support.refusals import refusal
from tests.support.register import DIGEST, MUNICIPAL, Person, Register, altered

TRADE = [{"code": 1, "name": "trade", "min": -10, "max": 10}]
OURS = (
    AttributeError("no"),
    KeyError(b"no"),
    TypeError("no"),
    ValueError("no"),
    ZeroDivisionError("no"),
    InvariantBroken("no"),
    Refused(Reason.NOT_ENROLLED, "no"),
)
THE_MACHINES = (
    MemoryError(),
    RecursionError("deep"),
    OSError(5, "no"),
    sqlite3.DatabaseError("malformed"),
    OperatorError("damaged"),
    StoreAway("away"),
    Damaged("torn"),
    KeyboardInterrupt(),
)


@pytest.fixture
def town() -> Register:
    identity = {"recovery_days": 2, "leave_days": 3}
    return Register(altered(MUNICIPAL, rating=TRADE, identity=identity), one_document=False)


def _name(error: BaseException) -> str:
    return type(error).__name__


def wronged(usual: Callable[..., None], about: bytes, error: BaseException) -> Callable[[Draft, bytes], None]:
    """What is done when an entry falls due, and goes wrong at its very end where it is ``about``."""

    def act(draft: Draft, key: bytes) -> None:
        usual(draft, key)
        if key == about:
            raise type(error)(*error.args)

    return act


def disputed(town: Register) -> tuple[Person, Person, int]:
    """Two whose objections nobody answers, and the slot in which both win; the block before it is in the making."""
    office, registrar = town.office(13), town.registrar()
    ann, bob = town.member(registrar), town.member(registrar)
    for person in (ann, bob):
        town.file(office, person, 13, -5)
        town.do(person, Object(person.key, 0, DIGEST))
    due_slot = town.standing_record(ann, 0).due_slot
    town.block(due_slot - 1 - town.draft.slot)
    return ann, bob, due_slot


# ---------------------------------------------------------------------------------------------------- what is due


@pytest.mark.parametrize("error", OURS, ids=_name)
def test_what_is_due_and_goes_wrong_waits_a_day_and_nothing_else_does(
    town: Register, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    ann, bob, due_slot = disputed(town)
    before = town.standing_record(ann, 0)
    about = record_key(ann.identity, 0)
    with monkeypatch.context() as patch:
        patch.setitem(registry._DEADLINES, RECORDS, wronged(deadlines.fall_due, about, error))
        town.block()
    later = before._replace(deadline_slot=due_slot + 1, expires_slot=before.expires_slot + 1)
    assert (town.standing_record(ann, 0), town.record(bob, 0)) == (later, None)
    assert (town.entry(ann).suspended, town.entry(bob).suspended) == (1, 0)
    assert [happening.subject for happening in town.draft.happenings] == [bob.identity]
    [told] = town.draft.faults
    assert about.hex() in told
    assert _name(error) in told
    town.draft.faults.clear()
    town.block()
    assert (town.record(ann, 0), town.entry(ann).suspended, town.draft.faults) == (None, 0, [])


@pytest.mark.parametrize("error", THE_MACHINES, ids=_name)
def test_what_the_machine_says_stops_the_node_and_changes_nothing(
    town: Register, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    ann, _, due_slot = disputed(town)
    block = town.block()
    root = town.ledger.state_root
    monkeypatch.setitem(registry._DEADLINES, RECORDS, wronged(deadlines.fall_due, record_key(ann.identity, 0), error))
    town.ledger.undo()
    with pytest.raises(type(error)):
        town.ledger.draft(due_slot, town.electorate)
    monkeypatch.undo()
    town.ledger.extend(block, town.blocks[-1][1])
    assert town.ledger.state_root == root


def test_an_entry_that_cannot_be_read_stops_the_node(town: Register) -> None:
    ann, _, due_slot = disputed(town)
    town.block()
    state = dict(town.ledger.state)
    state[member_key(ann.identity)] = b"\xc1"
    torn = Ledger(town.genesis, state, town.ledger.height, town.ledger.head)
    with pytest.raises(Damaged, match="cannot be read"):
        torn.draft(due_slot + 1, town.electorate)


def test_who_leaves_waits_with_all_that_it_takes_along(town: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    ann, bob = town.member(town.registrar()), town.member(town.registrar())
    town.do(ann, Rate(bob.key, 1, 5))
    town.do(bob, Rate(ann.key, 1, -3))
    town.do(ann, Leave())
    rating = rating_key(bob.key, ann.key, 1)
    town.block(2)
    with monkeypatch.context() as patch:
        usual = ratings.end

        def end(draft: Draft, key: bytes, rating: Rating) -> None:
            usual(draft, key, rating)
            if rating.points == 5:
                raise KeyError(key)

        patch.setattr(ratings, "end", end)
        town.block()
        assert len(town.draft.faults) == 1
        assert town.draft.get(leaving_key(ann.key)) == Leaving(5)
        assert (town.entry(bob).rated_points, town.draft.get(rating)) == (5, Rating(5, 1))
        assert refusal(town.draft.member, ann.key) is Reason.NOT_ENROLLED, "it is gone to everybody else"
        town.draft.faults.clear()
    town.block()
    assert (town.draft.get(member_key(ann.key)), town.draft.get(rating), town.draft.faults) == (None, None, [])
    assert town.entry(bob).rated_points == 0


def test_all_nodes_do_the_same(town: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever makes the block, executes it, undoes and redoes it, or starts from the state after it."""
    ann, _, _ = disputed(town)
    fails = wronged(deadlines.fall_due, record_key(ann.identity, 0), KeyError("no"))
    monkeypatch.setitem(registry._DEADLINES, RECORDS, fails)
    town.block()
    told = list(town.draft.faults)
    town.draft.faults.clear()
    block: Block = town.block(2)
    other = Ledger(town.genesis)
    for each, electorate in town.blocks:
        other.extend(each, electorate)
    assert (other.head.id, other.state_root) == (block.id, town.ledger.state_root)
    assert other.faults == told, "what was in a block is told by who follows it"
    assert other.agenda() == Ledger(town.genesis, other.state).agenda() == town.ledger.agenda()
    other.redo(other.undo())
    assert other.faults == told, "and told once"


def test_every_kind_of_deadline_can_be_put_off() -> None:
    record = Record(b"", 1, -5, 0, b"", b"", 0, 1, 1, 90, 0, -1, 4, 0, 20, b"", b"", b"")
    entries = {
        RECORDS: (record, record._replace(deadline_slot=0), record._replace(expires_slot=10)),
        RATINGS: (Rating(1, 1, 9), Rating(1, 1, 9, 0, 1, 7), Rating(1, 1, 0, 0, 1, 7), Rating(1, 1, 7, 0, 1, 7)),
        MOTIONS: (Motion(b"", b"", 1, 30, (), OPEN, 0, 0),),
        b"k": (Marker(9), Marker(9, 0, ((1, 40),))),
        b"y": (Recovery(b"", 9),),
        b"l": (Leaving(9, 0, b"key"),),
        b"u": (Annulment(b"", b"", 9),),
        b"w": (Left(9),),
        b"x": (Attributes(9, (Held(51, b"", b"", 1, 9),)),),
    }
    assert {kind[0] for kind in entries} == WITH_DEADLINES - {RULES_KEY[0]}
    entry: Any
    for kind, examples in entries.items():
        for entry in examples:
            before = due_slot_of(entry)
            assert before is not None
            later = put_off(entry, 5)
            assert due_slot_of(later) == before + 5, kind
            if isinstance(entry, Record | Rating):  # whether it ends by age or by silence stays what it was
                assert (later.due_slot == later.expires_slot) == (entry.due_slot == entry.expires_slot)


# ----------------------------------------------------------------------------------------------------- transactions


@pytest.mark.parametrize("error", [error for error in OURS if not isinstance(error, Refused)], ids=_name)
def test_a_transaction_that_goes_wrong_is_refused_and_has_written_nothing(
    town: Register, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    ann = town.member(town.registrar())
    town.block()

    def leave(draft: Draft, action: Leave, actor: bytes) -> None:
        leaving.leave(draft, action, actor)
        raise error

    with monkeypatch.context() as patch:
        patch.setitem(registry._RULES, Leave, leave)
        before = town.draft.changes
        transaction = town.sign(ann, Leave())
        assert refusal(registry.apply, town.draft, transaction) is Reason.FAULT
        assert town.draft.changes == before
        assert _name(error) in town.draft.faults[0]
    town.draft.faults.clear()
    town.do(ann, Leave())
    block = town.block()
    with monkeypatch.context() as patch:
        patch.setitem(registry._RULES, Leave, leave)
        town.ledger.undo()
        assert refusal(town.ledger.extend, block, town.blocks[-1][1]) is Reason.INVALID_TRANSACTION
    town.ledger.extend(block, town.blocks[-1][1])


@pytest.mark.parametrize("error", THE_MACHINES, ids=_name)
def test_what_the_machine_says_is_no_refusal(
    town: Register, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    ann = town.member(town.registrar())

    def fail(*_arguments: Any) -> None:
        raise error

    monkeypatch.setitem(registry._RULES, Leave, fail)
    with pytest.raises(type(error)):
        registry.apply(town.draft, town.sign(ann, Leave()))
    monkeypatch.setattr("chain.register.members.check_new", fail)
    with pytest.raises(type(error)):
        registry.check_standing(town.draft, town.sign(town.person(), Enrol()))


def test_a_look_that_goes_wrong_is_a_refusal(town: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: Any) -> None:
        raise KeyError("no")

    monkeypatch.setattr("chain.register.members.check_new", fail)
    assert refusal(registry.check_standing, town.draft, town.sign(town.person(), Enrol())) is Reason.FAULT


def test_what_is_taken_back_is_as_it_was(town: Register) -> None:
    draft = town.draft
    draft.put(b"m1", Left(1))
    draft.mark()
    draft.put(b"m1", Left(2))
    draft.put(b"m2", Left(3))
    draft.put(b"m2", None)
    draft.strangers += 1
    draft.take_back()
    assert (draft.get(b"m1"), draft.get(b"m2"), draft.strangers, b"m2" in draft.changes) == (Left(1), None, 0, False)
    draft.take_back()
    assert draft.get(b"m1") == Left(1), "twice is as once"
