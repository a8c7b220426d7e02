"""The ledger: executing, taking back, restoring and settling blocks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain.blocks import Block
from chain.errors import InvariantBroken, Reason, Refused
from chain.ledger import Ledger
from chain.registry import decode_record, encode_record, member_key
from chain.transactions import Enrol, Rate
from tests.support.forge import Forge
from tests.support.world import Actor, genesis_of

GENESIS = genesis_of(4)


def story() -> list[Block]:
    """Two members enrol, rate each other, and change their minds."""
    forge, ann, bob = Forge(GENESIS), Actor(GENESIS, 50), Actor(GENESIS, 51)
    bodies = [
        [ann.sign(Enrol())],
        [bob.sign(Enrol()), ann.sign(Rate(bob.key, 1, 5))],
        [],
        [ann.sign(Rate(bob.key, 1, -3)), bob.sign(Rate(ann.key, 1, 9))],
    ]
    blocks: list[Block] = []
    for body in bodies:
        blocks.append(forge.block(blocks[-1] if blocks else None, body))
    return blocks


def look(ledger: Ledger) -> tuple[object, ...]:
    """Everything that must be the same again."""
    return (
        ledger.height,
        ledger.state_root,
        {key: encode_record(record) for key, record in ledger.records.items()},
        list(ledger.blocks()),
    )


def test_blocks_are_executed_in_order() -> None:
    ledger = Ledger(GENESIS)
    for block in story():
        ledger.extend(block, 1)
        assert ledger.state_root == block.header.state_root
    assert ledger.height == 4
    assert [ledger.block_at(height) for height in range(6)] == [None, *story(), None]


def test_undo_and_redo_restore_everything() -> None:
    ledger = Ledger(GENESIS)
    looks = [look(ledger)]
    for block in story():
        ledger.extend(block, 1)
        looks.append(look(ledger))
    undone = []
    for expected in looks[-2::-1]:
        undone.append(ledger.undo())
        assert look(ledger) == expected
    assert [executed.block for executed in undone] == story()[::-1]
    for expected in looks[1:]:
        ledger.redo(undone.pop())
        assert look(ledger) == expected


def test_a_block_with_a_bad_transaction_changes_nothing() -> None:
    forge, ann = Forge(GENESIS), Actor(GENESIS, 50)
    good = ann.sign(Enrol())
    ledger = Ledger(GENESIS)
    before = look(ledger)
    with pytest.raises(Refused, match="transaction 1: nonce_used") as refused:
        ledger.extend(forge.block(None, [good, good]), 1)
    assert refused.value.reason is Reason.INVALID_TRANSACTION
    assert look(ledger) == before


def test_a_block_with_another_state_root_changes_nothing() -> None:
    forge, ann = Forge(GENESIS), Actor(GENESIS, 50)
    ledger = Ledger(GENESIS)
    before = look(ledger)
    with pytest.raises(Refused) as refused:
        ledger.extend(forge.block(None, [ann.sign(Enrol())], state_root=bytes(32)), 1)
    assert refused.value.reason is Reason.WRONG_STATE_ROOT
    assert look(ledger) == before


def test_a_discarded_seal_changes_nothing() -> None:
    ledger = Ledger(GENESIS)
    before = look(ledger)
    draft = ledger.draft(1, 1)
    draft.apply(Actor(GENESIS, 50).sign(Enrol()))
    root, changes = ledger.seal(draft)
    assert root != before[1]
    ledger.discard(changes)
    assert look(ledger) == before


def test_a_block_that_does_not_follow_from_its_draft_is_our_bug() -> None:
    first, second, *_ = story()
    ledger = Ledger(GENESIS)
    with pytest.raises(InvariantBroken):
        ledger.adopt(first, {})
    with pytest.raises(InvariantBroken):
        ledger.adopt(replace(second, header=replace(second.header, state_root=ledger.state_root)), {})


def test_settling_moves_the_snapshot_and_returns_what_changed() -> None:
    blocks, ledger = story(), Ledger(GENESIS)
    records = {key: encode_record(record) for key, record in ledger.records.items()}
    for block in blocks:
        ledger.extend(block, 1)
    assert ledger.settle(0) == {}
    records.update(ledger.settle(3))
    assert (ledger.base_height, ledger.height) == (3, 4)
    assert ledger.block_at(3) is None

    again = Ledger(GENESIS, {key: decode_record(key, value) for key, value in records.items()}, 3)
    assert again.state_root == blocks[2].header.state_root
    again.extend(blocks[3], 1)
    assert again.records == ledger.records

    records.update(ledger.settle(4))
    assert records == {key: encode_record(record) for key, record in ledger.records.items()}
    assert member_key(Actor(GENESIS, 50).key) in records


def test_nothing_below_the_snapshot_can_be_undone_or_settled() -> None:
    ledger = Ledger(GENESIS)
    for block in story():
        ledger.extend(block, 1)
    ledger.settle(4)
    with pytest.raises(InvariantBroken):
        ledger.undo()
    for height in (3, 5):
        with pytest.raises(InvariantBroken):
            ledger.settle(height)
