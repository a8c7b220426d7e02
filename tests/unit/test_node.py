"""The pump: what the engine decided reaches the disk, also when the node is told to stop at that very moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest
import trio
import trio.testing

from chain.engine import Engine
from chain.errors import OperatorError, Refused
from chain.events import Commit, Effect, Submitted
from chain.proof import check_evidence
from chain.storage import Storage
from chain.transactions import Enrol
from node import Node
from p2p.local.home import HomeConfig, create_home, load_home
from p2p.local.telemetry import Telemetry
from p2p.protocol import LedgerProtocol
from tests.support.forge import Forge
from tests.support.world import Actor, genesis_of, secret


class Silence:
    """A network that nobody is on."""

    async def perform(self, _effect: Effect) -> None:
        await trio.lowlevel.checkpoint()


class SlowStorage(Storage):
    """A disk that says when it is asked to write, and writes when it is told to."""

    def __init__(self, home: Path) -> None:
        loaded = load_home(home)
        super().__init__(loaded.database, loaded.genesis)
        self.asked = threading.Event()
        self.go_on = threading.Event()
        self.is_broken = False

    def commit(self, commits: Sequence[Commit]) -> None:
        self.asked.set()
        assert self.go_on.wait(60)
        if self.is_broken:
            raise OperatorError("the disk is full")
        super().commit(commits)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The only validator of a network whose first slot, an hour long, has just begun."""
    hour_ms = 3_600_000
    genesis = genesis_of(1, genesis_time_ms=time.time_ns() // 1_000_000 - hour_ms, slot_ms=hour_ms)
    create_home(tmp_path / "node", genesis, secret(1).seed, HomeConfig())
    return tmp_path / "node"


def node_of(home: Path, storage: SlowStorage) -> Node:
    loaded = load_home(home)
    chain, signing = storage.load()
    node = Node(loaded, Engine(loaded.genesis, chain, secret=loaded.secret, signing=signing), storage, Telemetry())
    node.protocol = cast(LedgerProtocol, Silence())
    return node


async def stop_in_mid_commit(node: Node, storage: SlowStorage) -> None:
    """Submit something, and cancel the pump while the block that holds it is being written."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(node.pump)
        await node.post(Submitted((Actor(node.genesis, 100).sign(Enrol()),)))
        assert await trio.to_thread.run_sync(storage.asked.wait, 60)
        nursery.cancel_scope.cancel()
        storage.go_on.set()


async def test_a_stop_in_the_middle_of_a_commit_waits_for_it(home: Path) -> None:
    storage = SlowStorage(home)
    node = node_of(home, storage)
    await stop_in_mid_commit(node, storage)
    node.stop()
    again = SlowStorage(home)
    chain, signing = again.load()
    again.close()
    assert chain.head.header == node.engine.chain.head.header
    assert chain.head.header.height == 1
    assert signing is not None
    assert signing.slot == chain.head.header.slot


async def test_a_stop_just_before_a_commit_does_not_lose_it(home: Path) -> None:
    storage = SlowStorage(home)
    storage.go_on.set()
    node = node_of(home, storage)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(node.pump)
        await trio.testing.wait_all_tasks_blocked()
        # The pump is woken with the event and cancelled before it runs.
        node._inbox.send_nowait((Submitted((Actor(node.genesis, 100).sign(Enrol()),)), None))
        nursery.cancel_scope.cancel()
    assert node.engine.chain.head.header.height == 1
    node.stop()
    again = SlowStorage(home)
    chain, _ = again.load()
    again.close()
    assert chain.head.header == node.engine.chain.head.header


async def test_nothing_is_written_after_a_commit_that_failed(home: Path) -> None:
    storage = SlowStorage(home)
    storage.is_broken = True
    node = node_of(home, storage)
    with pytest.raises(ExceptionGroup) as failed:
        await stop_in_mid_commit(node, storage)
    assert failed.group_contains(OperatorError, match="the disk is full")
    storage.is_broken = False
    storage.asked.clear()
    node.stop()
    assert not storage.asked.is_set()
    again = SlowStorage(home)
    chain, signing = again.load()
    again.close()
    assert chain.head.header.height == 0
    assert signing is not None
    assert signing.slot == 0


@pytest.mark.parametrize("recent_blocks", [0, 8], ids=["on disk", "in memory"])
async def test_a_transaction_is_located(home: Path, monkeypatch: pytest.MonkeyPatch, recent_blocks: int) -> None:
    monkeypatch.setattr("node.MAX_RECENT_BLOCKS", recent_blocks)
    storage = SlowStorage(home)
    storage.go_on.set()
    node = node_of(home, storage)
    enrolments = [Actor(node.genesis, 100 + number).sign(Enrol()) for number in range(3)]
    included, waiting, stranger = (item.id for item in enrolments)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(node.pump)
        # The first goes into the block of this hour, the second waits for the next one, the third is never sent.
        for transaction in enrolments[:2]:
            await node.post(Submitted((transaction,)))
        with trio.fail_after(60):
            while waiting not in node.engine.mempool:
                await trio.testing.wait_all_tasks_blocked()
        found = [await node.locate(item) for item in (included, waiting, stranger)]
        nursery.cancel_scope.cancel()
        assert storage.asked.is_set()
    node.stop()
    assert found == [1, None, None]


async def test_it_proves_where_somebody_stands_once_something_is_final(home: Path) -> None:
    node = node_of(home, SlowStorage(home))
    ann = Actor(node.genesis, 100)
    with pytest.raises(Refused):
        await node.prove(ann.key)
    forge = Forge(node.genesis)
    blocks = [forge.block(None, [ann.sign(Enrol())])]
    blocks += forge.chain(3, blocks[0])
    for block in blocks:
        node.engine.chain.add(block, arrived_in_slot=True)
    proven = check_evidence(node.genesis, await node.prove(ann.key))
    assert proven.member is not None
    assert proven.header == node.engine.chain.finalized
    node.storage.close()
