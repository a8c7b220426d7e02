"""Real nodes of which one dropped what its first blocks said, or whose disk spoilt one: a newcomer gets the chain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio

from chain.disk.database import DATABASE
from node import Node, open_node
from p2p.local.config import HomeConfig
from p2p.local.home import create_home, load_home
from tests.support.forgetting import ForgettingCity, found_in, prune
from tests.support.running import DEADLINE_S
from tests.support.world import secret
from tests.unit.chain.disk.test_bodies import spoil

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def city() -> ForgettingCity:
    return ForgettingCity()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.local.keeping.AGAIN_S", 0.2)
    monkeypatch.setattr("chain.protocol.suppliers.LACKING_MS", 500)


class Nodes:
    """Observers of the city, one after the other."""

    def __init__(self, city: ForgettingCity, folder: Path, stack: AsyncExitStack) -> None:
        self._city = city
        self._folder = folder
        self._stack = stack
        self._count = 0

    def home(self, *, holds: bool) -> Path:
        """A home with the whole chain, or with none of it."""
        self._count += 1
        path = self._folder / f"home{self._count}"
        create_home(path, self._city.genesis, secret(200 + self._count).seed, HomeConfig())
        if holds:
            written = self._city.write(self._folder / f"written{self._count}")
            for name in (DATABASE, f"{DATABASE}-commits"):
                (written / name).replace(path / name)
        return path

    async def start(self, home: Path, peers: Sequence[Node] = (), mode: str = "full") -> Node:
        known = [node.transport.listen_addresses[0] for node in peers]
        config = HomeConfig(listen=["/ip4/127.0.0.1/tcp/0"], http="127.0.0.1:0", peers=known, mode=mode)
        (home / "config.toml").write_text(config.to_toml(), "utf-8")
        return await self._stack.enter_async_context(open_node(load_home(home)))


async def until(is_done: Callable[[], bool]) -> None:
    with trio.fail_after(DEADLINE_S):
        while not is_done():
            await trio.sleep(0.05)


def height(node: Node) -> int:
    return node.engine.chain.head.header.height


async def test_a_damaged_block_is_mended_and_a_newcomer_gets_all(city: ForgettingCity, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        nodes = Nodes(city, tmp_path, stack)
        spoilt = nodes.home(holds=True)
        spoil(spoilt, city, 5)

        # given one source, whose disk spoilt a block: what comes before it is handed out, and it says what is wrong
        source = await nodes.start(spoilt)
        newcomer = await nodes.start(nodes.home(holds=False), [source])
        await until(lambda: height(newcomer) == 4 and source.keeper.describe()["damaged_blocks"] == 1)

        # when another comes that has it, then the source mends it, and the newcomer gets on, blaming nobody
        await nodes.start(nodes.home(holds=True), [source])
        await until(lambda: source.keeper.describe()["damaged_blocks"] == 0)
        await until(lambda: height(newcomer) == len(city.blocks))
        assert newcomer.transport.peers.bans() == {}


async def test_from_a_pruned_peer_and_an_archive_a_newcomer_gets_all(city: ForgettingCity, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        nodes = Nodes(city, tmp_path, stack)
        home = nodes.home(holds=True)
        pruned = await nodes.start(home, mode="pruned")
        assert pruned.keeper.describe()["oldest_body"] == 33
        assert list(found_in(home, city.gone)) == []
        archive = await nodes.start(nodes.home(holds=True), [pruned], mode="archive")
        newcomer = await nodes.start(nodes.home(holds=False), [pruned, archive])
        await until(lambda: height(newcomer) == len(city.blocks))
        assert newcomer.transport.peers.bans() == {}


async def test_an_archive_that_lacks_something_fetches_it(city: ForgettingCity, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        nodes = Nodes(city, tmp_path, stack)
        lacking = nodes.home(holds=True)
        prune(lacking, city)
        source = await nodes.start(nodes.home(holds=True))
        archive = await nodes.start(lacking, [source], mode="archive")
        await until(lambda: archive.keeper.describe()["oldest_body"] == 1)
