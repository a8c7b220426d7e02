"""What one event comes to: a commit first, if anything is to be stored, then the effects in their order."""

from __future__ import annotations

from chain.protocol.events import AskStatus, Commit, Notice, SigningState
from chain.protocol.outbox import Outbox
from tests.support.forge import Forge
from tests.support.world import genesis_of

BLOCKS = Forge(genesis_of(4)).chain(3)


def test_without_anything_to_store_there_is_no_commit() -> None:
    out = Outbox()
    assert out.take() == []
    out.put(AskStatus("peer"))
    out.note("name", "text")
    assert out.take() == [AskStatus("peer"), Notice("name", "text")]


def test_what_is_stored_comes_first() -> None:
    out = Outbox()
    out.put(AskStatus("peer"))
    out.signing, out.finalized_height = SigningState(slot=3), 2
    out.store_move([], BLOCKS[:2])
    assert out.take() == [
        Commit(adopted=tuple(BLOCKS[:2]), finalized_height=2, signing=SigningState(slot=3)),
        AskStatus("peer"),
    ]


def test_a_block_is_where_it_came_to_stand_last() -> None:
    first, second, third = BLOCKS
    out = Outbox()
    out.store_side(first)
    out.store_side(third)
    out.store_move([], [first, second])
    out.store_move([second], [])
    assert out.take() == [Commit(abandoned=(second,), adopted=(first,), side=(third,))]


def test_what_one_event_left_does_not_come_out_with_the_next() -> None:
    out = Outbox()
    out.note("name", "text")
    out.store_side(BLOCKS[0])
    out.signing, out.is_signing_lost, out.finalized_height, out.waiting = SigningState(slot=3), True, 2, ()
    out.clear()
    assert out.take() == []
