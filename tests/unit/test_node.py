"""The pump: what the engine decided reaches the disk, also when it is told to stop; and nodes inside a program."""

from __future__ import annotations

import json
import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import pytest
import trio
import trio.testing

from chain.base.errors import OperatorError, Refused
from chain.content.actions import Enrol
from chain.content.transactions import VerifiedTransaction
from chain.disk.storage import Storage
from chain.documents.proof import check_evidence
from chain.protocol.admission import AdmittedBatch
from chain.protocol.engine import Engine
from chain.protocol.events import Commit, Outcomes, Submitted, TransactionsReceived
from chain.protocol.trial import screen
from node import Node, open_node
from p2p.local.config import HomeConfig
from p2p.local.home import Home, create_home, load_home, peer_id_of
from p2p.local.keeping import Keeper
from p2p.local.keyfile import write_key
from p2p.network import Transport
from tests.support.forge import Forge
from tests.support.world import Actor, genesis_of, secret
from tests.unit.p2p.net import free_address


class Silence:
    """A network that nobody is on."""

    @property
    def gossip(self) -> Silence:
        return self

    @property
    def peers(self) -> Silence:
        return self

    async def publish(self, _topic: str, _data: bytes) -> None:
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
        assert self.go_on.wait(PATIENCE_S)
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
    engine = Engine(loaded.genesis, chain, secret=loaded.secret, signing=signing)
    return Node(loaded, engine, storage, cast(Transport, Silence()))


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
    storage.close()
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
    storage.close()
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
    storage.close()
    assert not storage.asked.is_set()
    again = SlowStorage(home)
    chain, signing = again.load()
    again.close()
    assert chain.head.header.height == 0
    assert signing is not None
    assert signing.slot == 0


@pytest.mark.parametrize("recent_blocks", [0, 8], ids=["on disk", "in memory"])
async def test_a_transaction_is_located(home: Path, monkeypatch: pytest.MonkeyPatch, recent_blocks: int) -> None:
    monkeypatch.setattr("p2p.local.lookup.MAX_RECENT_BLOCKS", recent_blocks)
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
        with trio.fail_after(PATIENCE_S):
            while waiting not in node.engine.mempool:
                await trio.testing.wait_all_tasks_blocked()
        found = [await node.locate(item) for item in (included, waiting, stranger)]
        nursery.cancel_scope.cancel()
        assert storage.asked.is_set()
    node.stop()
    storage.close()
    assert [block and block.header.height for block in found] == [1, None, None]


def test_what_comes_in_after_the_last_commit_is_judged_still(home: Path) -> None:
    # given a node that ends, whose peers do not know that yet
    storage = SlowStorage(home)
    storage.go_on.set()
    node = node_of(home, storage)
    node.stop()
    # then what they send is looked up in the state, of which most is on disk
    assert screen(node.chain)(Actor(node.genesis, 100).sign(Enrol())) is None
    storage.close()


async def test_it_proves_where_somebody_stands_once_something_is_final(home: Path) -> None:
    storage = SlowStorage(home)
    storage.go_on.set()
    node = node_of(home, storage)
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
    node.stop()
    storage.close()


# ------------------------------------------------------------------------------------------- nodes inside a program

PATIENCE_S = 300.0


def embedded(folder: Path, *, slot_ms: int = 200, listen: str = "/ip4/127.0.0.1/tcp/0") -> list[Home]:
    """The homes of a network's only validator and of an observer that knows it."""
    genesis = genesis_of(1, genesis_time_ms=time.time_ns() // 1_000_000 - slot_ms, slot_ms=slot_ms)
    local = HomeConfig(listen=[listen], http="127.0.0.1:0")
    create_home(folder / "validator", genesis, secret(1).seed, local)
    peer = f"{listen}/p2p/{peer_id_of(secret(1).seed)}"
    other = HomeConfig(listen=["/ip4/127.0.0.1/tcp/0"], peers=[peer], http="127.0.0.1:0")
    create_home(folder / "observer", genesis, secret(2).seed, other)
    return [load_home(folder / name) for name in ("validator", "observer")]


async def submit(node: Node, *transactions: VerifiedTransaction) -> None:
    """Offer transactions that are taken."""
    (outcomes,) = [item for item in await node.ask(Submitted(transactions)) if isinstance(item, Outcomes)]
    assert outcomes.outcomes == (None,) * len(transactions)


async def until(condition: Callable[[], object]) -> None:
    with trio.fail_after(PATIENCE_S):
        while not condition():
            await trio.sleep(0.01)


async def test_two_nodes_run_inside_one_program(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), logging.getLogger().handlers[:]
    first, second = embedded(tmp_path, listen=free_address())
    async with open_node(first) as validator, open_node(second) as observer:
        await submit(validator, Actor(first.genesis, 100).sign(Enrol()))
        await until(lambda: observer.engine.chain.finalized.height >= 1)
        assert observer.engine.chain.ledger.view().account(Actor(first.genesis, 100).key) is not None
        facts = [json.loads((home.path / "node.json").read_text("utf-8")) for home in (first, second)]
        assert [fact["http"] for fact in facts] == [validator.url, observer.url]
        assert before == (
            signal.getsignal(signal.SIGINT),
            signal.getsignal(signal.SIGTERM),
            logging.getLogger().handlers,
        )
        with pytest.raises(OperatorError, match="in use by another process"):
            async with open_node(first):
                pass
    for home in (first, second):
        left = {path.name for path in home.path.iterdir()}
        assert {"node.json", "chain.db-wal", "chain.db-shm"} & left == set()


async def test_what_the_program_raises_comes_out_and_stops_the_node(tmp_path: Path) -> None:
    home, _ = embedded(tmp_path)
    with pytest.raises(ZeroDivisionError):
        async with open_node(home):
            raise ZeroDivisionError
    async with open_node(home):
        pass


async def test_what_was_acknowledged_survives_a_clean_stop(tmp_path: Path) -> None:
    # The first slot, an hour long, has its block: what comes after it waits for the next one.
    home, _ = embedded(tmp_path, slot_ms=3_600_000)
    included, *waiting = [Actor(home.genesis, 100 + number).sign(Enrol()) for number in range(4)]
    async with open_node(home) as node:
        await submit(node, included)
        await until(lambda: node.engine.chain.head.header.height == 1)
        await submit(node, *waiting)
        # What others sent is theirs to offer again.
        await node.ask(TransactionsReceived("somebody", AdmittedBatch((Actor(home.genesis, 200).sign(Enrol()),))))
        assert len(node.engine.mempool) == 4
    async with open_node(home) as node:
        assert [item.id for item in node.engine.mempool] == [item.id for item in waiting]
        assert node.engine.mempool.claimed(10) == tuple(waiting)
        await submit(node, Actor(home.genesis, 300).sign(Enrol()))
    async with open_node(home) as node:
        assert len(node.engine.mempool) == 4


async def test_what_was_acknowledged_survives_a_start_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, _ = embedded(tmp_path, slot_ms=3_600_000)
    kept = Actor(home.genesis, 100).sign(Enrol())
    storage = Storage(home.database, home.genesis)
    storage.commit([Commit(waiting=(kept,))])
    storage.close()

    async def fail(_keeper: Keeper) -> None:
        raise OperatorError("the disk is full")

    monkeypatch.setattr(Keeper, "prepare", fail)
    with pytest.raises(OperatorError, match="the disk is full"):
        async with open_node(home):
            pass
    storage = Storage(home.database, home.genesis)
    assert storage.waiting() == (kept.raw,)
    storage.close()


async def test_what_was_kept_is_checked_like_anything_else(tmp_path: Path) -> None:
    home, _ = embedded(tmp_path, slot_ms=3_600_000)
    good, stranger = Actor(home.genesis, 100).sign(Enrol()), Actor(genesis_of(4), 101).sign(Enrol())
    storage = Storage(home.database, home.genesis)
    assert storage.waiting() == ()  # as in a home that was made before anything was kept
    storage.commit([Commit(waiting=(stranger, good))])
    storage.close()
    async with open_node(home) as node:
        await until(lambda: node.engine.chain.head.header.height == 1)
        found = await node.locate(good.id)
        assert found is not None
        assert found.header.height == 1
        assert len(node.engine.mempool) == 0
    storage = Storage(home.database, home.genesis)
    assert storage.waiting() == ()
    storage.close()


async def test_another_key_in_a_used_home_signs_nothing(tmp_path: Path) -> None:
    home, _ = embedded(tmp_path, slot_ms=3_600_000)
    async with open_node(home):
        pass
    (home.path / "key").unlink()
    write_key(home.path / "key", secret(2).seed)
    with pytest.raises(OperatorError, match="put the old key back"):
        async with open_node(load_home(home.path)):
            pass
