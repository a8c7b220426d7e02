"""The ledger: executing, taking back, restoring and settling blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from chain.base.errors import InvariantBroken, Reason, Refused
from chain.branches.ledger import Ledger
from chain.consensus.ballots import make_ballot
from chain.consensus.electorate import NOTHING_DECIDED, Decision
from chain.consensus.statements import NO_TAG
from chain.content.actions import ASK, Enrol, Lost, Object, Repair
from chain.content.blocks import Block
from chain.content.proposals import AddValidator, Suspend
from chain.register import registry
from chain.register.statekeys import member_key
from chain.tree.stateproof import verify_proof
from chain.tree.statetree import StateTree
from tests.support.refusals import refusal
from tests.support.register import DIGEST, MARKETPLACE, Register

TICKET = 13


def story() -> Register:
    """Records that are objected to, repaired, expire and lapse, a motion, and an amendment that comes into force."""
    register = Register(one_document=False)
    office, ann = register.office(TICKET), register.member()
    for _ in range(3):
        register.file(office, ann, TICKET, -5)
    register.block()
    register.do(ann, Object(ann.key, 0, DIGEST))
    register.do(ann, Repair(ann.key, 1, ASK, DIGEST))
    register.propose(Suspend(office.key))
    register.amend(30, score={"base": 1001})
    for slots in (14, 10, 10, 80, 1):
        register.block(slots)
    return register


def replay(register: Register, ledger: Ledger, count: int | None = None) -> None:
    for block, electorate in register.blocks[ledger.height : count]:
        ledger.extend(block, electorate)


def look(ledger: Ledger) -> tuple[object, ...]:
    """Everything that must be the same again, to the byte."""
    return ledger.height, ledger.state_root, dict(ledger.state), list(ledger.blocks()), ledger.agenda()


def test_blocks_are_executed_in_order() -> None:
    register, fresh = story(), Ledger(story().genesis)
    assert len({block.header.state_root for block, _ in register.blocks}) == len(register.blocks) == 6
    for count, (block, _) in enumerate(register.blocks, 1):
        replay(register, fresh, count)
        assert fresh.state_root == block.header.state_root == StateTree.build(fresh.state.items()).root
    assert look(fresh) == look(register.ledger)
    assert [fresh.block_at(height) for height in (0, 1, 6, 7)] == [
        None,
        register.blocks[0][0],
        register.blocks[5][0],
        None,
    ]


def test_entries_are_proved_under_the_root_of_the_head() -> None:
    ledger = story().ledger
    for key, value in ledger.state.items():
        assert verify_proof(ledger.state_root, key, value, ledger.prove(key))
    assert verify_proof(ledger.state_root, b"nobody", None, ledger.prove(b"nobody"))


def test_undo_and_redo_restore_everything() -> None:
    register = story()
    ledger = Ledger(register.genesis)
    looks = [look(ledger)]
    for count in range(1, len(register.blocks) + 1):
        replay(register, ledger, count)
        looks.append(look(ledger))
    undone = []
    for expected in looks[-2::-1]:
        undone.append(ledger.undo())
        assert look(ledger) == expected
    assert [executed.block for executed in undone] == [block for block, _ in register.blocks][::-1]
    for expected in looks[1:]:
        ledger.redo(undone.pop())
        assert look(ledger) == expected


def test_the_agenda_is_that_of_the_state() -> None:
    register = story()
    while register.ledger.height:
        again = Ledger(register.genesis, register.ledger.state, register.ledger.height)
        assert again.agenda() == register.ledger.agenda()
        register.ledger.undo()
    assert register.ledger.agenda() == []


def bad_transaction(register: Register) -> tuple[Block, Reason]:
    block = register.block()
    return replace(block, transactions=(block.transactions[0], *block.transactions)), Reason.INVALID_TRANSACTION


def other_root(register: Register) -> tuple[Block, Reason]:
    block = register.block()
    header = replace(block.header, state_root=bytes(32))
    return replace(block, header=header), Reason.WRONG_STATE_ROOT


@pytest.mark.parametrize("spoil", [bad_transaction, other_root])
def test_a_bad_block_changes_nothing(spoil: Callable[[Register], tuple[Block, Reason]]) -> None:
    register = Register(MARKETPLACE)
    register.member()
    register.block()
    register.member()
    bad, reason = spoil(register)
    ledger = Ledger(register.genesis)
    replay(register, ledger, 1)
    before = look(ledger)
    assert refusal(ledger.extend, bad, register.blocks[1][1]) is reason
    assert look(ledger) == before
    replay(register, ledger)


def test_a_bad_transaction_is_named() -> None:
    register = Register(MARKETPLACE)
    register.member()
    bad, _ = bad_transaction(register)
    with pytest.raises(Refused, match="transaction 1: nonce_used"):
        Ledger(register.genesis).extend(bad, register.electorate)


def test_a_discarded_seal_changes_nothing() -> None:
    register = Register(MARKETPLACE)
    ledger = register.ledger
    before = look(ledger)
    draft = ledger.draft(1, register.electorate)
    registry.apply(draft, register.sign(register.person(), Enrol()))
    root, changes = ledger.seal(draft)
    assert root != before[1]
    ledger.discard(changes)
    assert look(ledger) == before


def test_a_block_that_does_not_follow_from_its_draft_is_our_bug() -> None:
    register = story()
    (first, _), (second, _), *_ = register.blocks
    ledger = Ledger(register.genesis)
    with pytest.raises(InvariantBroken):
        ledger.adopt(first, {})
    header = replace(second.header, state_root=ledger.state_root)
    with pytest.raises(InvariantBroken):
        ledger.adopt(replace(second, header=header), {})


def test_settling_moves_the_snapshot_and_returns_what_changed() -> None:
    register = story()
    ledger = Ledger(register.genesis)
    stored: dict[bytes, bytes | None] = dict(ledger.state)
    replay(register, ledger)
    assert ledger.settle(0) == ({}, None)
    stored.update({key: after for key, (_, after) in ledger.settle(3)[0].items()})
    assert (ledger.base_height, ledger.height, ledger.block_at(3)) == (3, 6, None)

    again = Ledger(register.genesis, {key: value for key, value in stored.items() if value is not None}, 3)
    assert again.state_root == register.blocks[2][0].header.state_root
    replay(register, again)
    assert look(again) == look(ledger)

    stored.update({key: after for key, (_, after) in ledger.settle(6)[0].items()})
    assert {key: value for key, value in stored.items() if value is not None} == ledger.state
    assert None in stored.values()  # what has ended


def test_transactions_and_changes_are_counted_across_settling() -> None:
    register = story()
    ledger = register.ledger
    counts = [len(block.transactions) for block, _ in register.blocks]
    for settled in (0, 2, 6):
        ledger.settle(settled)
        for height in range(settled, 7):
            assert ledger.transactions_above(height) == sum(counts[height:])
        assert ledger.is_changed_above(settled) == (settled < 6)


def test_a_look_back_sees_the_state_of_then_and_leaves_that_of_now() -> None:
    register = story()
    ledger = register.ledger
    ledger.settle(2)
    now = look(ledger)
    for height in range(2, 7):
        with ledger.rewound(height):
            assert ledger.state_root == register.blocks[height - 1][0].header.state_root
        assert look(ledger) == now
    for height in (1, 7):
        with pytest.raises(InvariantBroken), ledger.rewound(height):
            pass


def test_what_was_decided_is_told_from_the_snapshot_up_to_a_height() -> None:
    # given two changes of the validators, one after the other
    register = Register()
    for _ in range(2):
        register.carry(AddValidator(register.person().key, 1))
        for _ in range(12):
            register.block()
    ledger = register.ledger
    first, second = ledger.decisions(ledger.height)

    # when the snapshot moves up past the first, then only the second is told, from its height on
    assert list(ledger.decisions(first)) == [first]
    ledger.settle(first + 1)
    told = [list(ledger.decisions(height)) for height in (first + 1, second - 1, second, ledger.height)]
    assert told == [[], [], [second], [second]]


@pytest.mark.parametrize("says", ["a decision", "nothing"])
def test_a_ballot_tells_truly_what_its_block_decides(says: str) -> None:
    register = Register()
    ledger, electorate = Ledger(register.genesis), register.electorate
    if says == "nothing":
        register.do(register.validators[0], Lost(NO_TAG, bytes(range(16))))
    block = register.block()
    told = Decision(tags=((register.validators[0].key, bytes(range(16))),))
    assert block.ballot.decision == (NOTHING_DECIDED if says == "a decision" else told)
    lie = make_ballot((), told if says == "a decision" else NOTHING_DECIDED)
    before = look(ledger)
    with pytest.raises(Refused) as caught:
        ledger.extend(replace(block, ballot=lie), electorate)
    assert caught.value.reason is Reason.WRONG_DECISION
    assert look(ledger) == before
    ledger.extend(block, electorate)


def test_the_agenda_tells_when_the_chain_itself_acts() -> None:
    register = Register()
    assert not register.ledger.is_due(2**60)
    register.amend(30)
    register.block()
    assert [register.ledger.is_due(slot) for slot in (30, 31, 99)] == [False, True, True]


def test_the_validators_are_those_of_the_head_after_undoing_too() -> None:
    register = Register(weights=(1, 1, 1, 1))
    before = register.ledger.validators
    v3 = register.validators[3]
    register.draft.put(b"v", before._replace(active=tuple(seat._replace(weight=2) for seat in before.active)))
    register.block()
    assert [seat.weight for seat in register.ledger.validators.active] == [2] * 4
    register.ledger.undo()
    assert register.ledger.validators == before
    assert before.seat(v3.key) is not None


def test_nothing_below_the_snapshot_can_be_undone_or_settled() -> None:
    ledger = story().ledger
    ledger.settle(6)
    with pytest.raises(InvariantBroken):
        ledger.undo()
    for height in (3, 7):
        with pytest.raises(InvariantBroken):
            ledger.settle(height)


def test_a_member_is_found_in_the_state_by_its_key() -> None:
    register = Register(MARKETPLACE)
    ann = register.member()
    assert member_key(ann.key) not in register.ledger.state
    register.block()
    assert member_key(ann.key) in register.ledger.state
