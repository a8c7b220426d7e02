"""Parts of a state from the disk: those that memory would give; held for who joins, and for no longer than that."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chain.base.errors import Reason, Refused
from chain.branches.blockchain import ALIGNED, Blockchain
from chain.content.actions import Enrol
from chain.content.blocks import Block
from chain.disk import shelves as shelving
from chain.disk.database import DATABASE
from chain.disk.reader import Reader
from chain.disk.shelves import HELD_MS, IDLE_MS, Shelves
from chain.disk.storage import Storage
from chain.protocol import joining as module
from chain.protocol.events import Commit, SigningState
from chain.protocol.joining import Joining
from chain.protocol.messages import GetPart
from chain.tree.ranges import ANY, WHOLE, read_shown
from tests.support.forge import Forge
from tests.support.refusals import refusal
from tests.support.shelf import Shelf
from tests.support.world import Actor, genesis_of

GENESIS = genesis_of(4)
FORGE = Forge(GENESIS)
FIRST = FORGE.block(None, [Actor(GENESIS, number).sign(Enrol()) for number in range(200, 260)])
BEFORE = [FIRST, *FORGE.attested(ALIGNED - 1, FIRST)]
MORE = FORGE.block(BEFORE[-1], [Actor(GENESIS, number).sign(Enrol()) for number in range(300, 320)])
BLOCKS = [*BEFORE, MORE, *FORGE.attested(8, MORE)]
ALIGNED_STATE, LAST_STATE = (Shelf(FORGE.state(block).items()) for block in (BEFORE[-1], BLOCKS[-1]))


class Disk:
    """A node's disk, which follows what is final."""

    def __init__(self, path: Path) -> None:
        Storage.create(path, GENESIS, SigningState())
        self.path = path
        self.storage = Storage(path, GENESIS)
        self.chain = Blockchain(GENESIS)
        self.shelves = Shelves(lambda: Reader(path, GENESIS))

    def grow(self, blocks: list[Block]) -> None:
        for block in blocks:
            self.chain.add(block, arrived_in_slot=True)
            self.storage.commit([Commit(adopted=(block,), finalized_height=self.chain.finalized.height)])

    def settle(self, now_ms: int = 0) -> int:
        """The height at which the state on disk is then."""
        settled = self.chain.settle()
        assert settled is not None
        self.storage.commit([Commit(settled=settled)])
        self.shelves.tend(now_ms)
        return settled.header.height

    def offered(self, now_ms: int = 0) -> bytes:
        """The root of what is given away."""
        return read_shown(WHOLE, self.shelves.give(GetPart(ANY, WHOLE, 1), now_ms))[0]

    def close(self) -> None:
        self.shelves.close()
        self.storage.close()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with closing(Disk(tmp_path / DATABASE)) as disk:
        yield disk


def ask(root: bytes) -> GetPart:
    return GetPart(root, WHOLE, 1_000)


def test_before_anything_is_final_nothing_is_given(disk: Disk) -> None:
    assert refusal(disk.shelves.give, ask(ANY), 0) is Reason.NOT_EXECUTED


@pytest.mark.parametrize("size", [1, 500, 3_000, 256_000])
def test_parts_are_those_from_memory(disk: Disk, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PART_BYTES", size)
    disk.grow(BLOCKS)
    disk.settle()
    joining = Joining(ALIGNED_STATE.root)
    while not joining.is_done:
        for peer, request in list(joining.requests(["a"], 0)):
            reply = disk.shelves.give(request, 0)
            assert reply == ALIGNED_STATE.give(request)
            joining.take(peer, request, reply, 0)


def test_the_state_on_disk_stops_at_aligned_heights(disk: Disk) -> None:
    disk.grow(BLOCKS[:-4])
    assert [disk.settle(), disk.settle()] == [ALIGNED, disk.chain.finalized.height]
    disk.grow(BLOCKS[-4:])
    last = disk.chain.settle(is_last=True)
    assert last is not None
    assert last.header.height == disk.chain.finalized.height


def test_at_its_end_a_node_settles_all_that_is_final(disk: Disk) -> None:
    disk.grow(BLOCKS)
    last = disk.chain.settle(is_last=True)
    assert last is not None
    assert last.header.height == disk.chain.finalized.height > ALIGNED
    assert last.votes == FORGE.votes(BLOCKS[last.header.height - 1])


def test_what_is_aligned_is_held_while_somebody_asks(disk: Disk) -> None:
    disk.grow(BLOCKS[:10])
    disk.settle()
    disk.offered()
    disk.grow(BLOCKS[10:])
    assert disk.settle() == ALIGNED
    assert disk.settle() > ALIGNED
    assert disk.offered() == ALIGNED_STATE.root
    assert disk.shelves.give(ask(ALIGNED_STATE.root), 0) == ALIGNED_STATE.give(ask(ALIGNED_STATE.root))
    assert disk.shelves.give(ask(LAST_STATE.root), 0) == LAST_STATE.give(ask(LAST_STATE.root))


@pytest.mark.parametrize("later_ms", [IDLE_MS + 1, HELD_MS + 1])
def test_it_is_let_go_of_in_time(disk: Disk, later_ms: int) -> None:
    test_what_is_aligned_is_held_while_somebody_asks(disk)
    if later_ms > HELD_MS:  # asked for all the time, and too long
        disk.offered(later_ms)
    disk.shelves.tend(later_ms)
    assert disk.offered(later_ms) == LAST_STATE.root
    assert refusal(disk.shelves.give, ask(ALIGNED_STATE.root), later_ms) is Reason.NOT_EXECUTED


def test_nothing_is_tended_where_nobody_asks(disk: Disk) -> None:
    disk.grow(BLOCKS)
    disk.settle()
    assert not disk.shelves.is_asked
    disk.offered()
    assert disk.shelves.is_asked
    disk.shelves.tend(IDLE_MS)
    assert disk.shelves.is_asked
    disk.shelves.tend(IDLE_MS + 1)
    assert not disk.shelves.is_asked


def test_it_is_let_go_of_where_the_log_grows(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    test_what_is_aligned_is_held_while_somebody_asks(disk)
    monkeypatch.setattr(shelving, "MAX_LOG_BYTES", 1_000)
    disk.shelves.tend(0)
    assert disk.offered() == LAST_STATE.root


def test_where_nobody_asks_nothing_is_held(disk: Disk) -> None:
    disk.grow(BLOCKS)
    disk.settle()
    disk.settle()
    assert disk.offered() == LAST_STATE.root


def test_what_the_disk_damaged_is_given_to_nobody(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PART_BYTES", 700)
    disk.grow(BLOCKS)
    disk.settle()
    with closing(sqlite3.connect(disk.path)) as connection, connection:
        connection.execute("UPDATE state SET at = 0 WHERE key = (SELECT max(key) FROM state)")
    refused = list[str]()
    joining = Joining(ALIGNED_STATE.root)
    for _ in range(100):
        for peer, request in list(joining.requests(["a"], 0)):
            try:
                joining.take(peer, request, disk.shelves.give(request, 0), 0)
            except Refused as refusal:
                refused.append(str(refusal))
    assert refused
    assert all("damaged" in each for each in refused)
