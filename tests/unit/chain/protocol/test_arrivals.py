"""Announced blocks that wait: for their slot, or for the transactions that their announcer was asked for."""

from __future__ import annotations

import pytest

from chain.content.actions import Enrol
from chain.content.blocks import Block
from chain.protocol.admission import AdmittedAnnouncement
from chain.protocol.arrivals import Arrival, WaitingRoom
from chain.protocol.messages import GetTransactions
from tests.support.forge import Forge
from tests.support.world import Actor, genesis_of

GENESIS = genesis_of(4)
BODY = [Actor(GENESIS, number).sign(Enrol()) for number in (50, 51)]
BLOCK = Forge(GENESIS).block(None, BODY)
ASKED = GetTransactions(tuple(item.id for item in BODY))


@pytest.fixture
def room() -> WaitingRoom:
    return WaitingRoom()


def arrival(block: Block = BLOCK, peer: str = "peer", *, due_ms: int = 0) -> Arrival:
    ids = tuple(item.id for item in block.transactions)
    return Arrival(peer, AdmittedAnnouncement(block.header, block.ballot, ids), arrived_in_slot=True, due_ms=due_ms)


def test_what_waits_for_its_slot_is_due_when_that_begins(room: WaitingRoom) -> None:
    early = arrival(due_ms=5_000)
    room.add(early)
    assert room.wake_ms() == [5_000]
    assert room.take_due(4_999) == []
    assert room.take_due(5_000) == [early]
    assert (len(room), room.wake_ms()) == (0, [])


def test_what_waits_for_transactions_is_never_due(room: WaitingRoom) -> None:
    room.add(arrival())
    assert room.wake_ms() == []
    assert room.take_due(2**62) == []


def test_what_waited_for_its_slot_waits_for_its_transactions_alone_when_it_comes_back(room: WaitingRoom) -> None:
    room.add(arrival(due_ms=5_000))
    for taken in room.take_due(5_000):
        room.add(taken)
    assert room.take_due(6_000) == []
    assert len(room.take_completed("peer", ASKED)) == 1


def test_a_reply_completes_what_its_peer_was_asked_for(room: WaitingRoom) -> None:
    asked, other_body = arrival(), Forge(GENESIS).block(None, BODY[1:], slot=2)
    room.add(asked)
    room.add(arrival(other_body))
    assert room.take_completed("another", ASKED) == []
    assert room.take_completed("peer", ASKED) == [asked]
    assert other_body.id in room


def test_a_reply_does_not_complete_what_still_waits_for_its_slot(room: WaitingRoom) -> None:
    room.add(arrival(due_ms=5_000))
    assert room.take_completed("peer", ASKED) == []
    assert BLOCK.id in room


def test_what_a_lost_peer_announced_waits_no_longer(room: WaitingRoom) -> None:
    kept = Forge(GENESIS).block(None, slot=2)
    room.add(arrival())
    room.add(arrival(kept, "another"))
    room.drop("peer")
    assert BLOCK.id not in room
    assert kept.id in room
