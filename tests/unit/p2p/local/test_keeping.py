"""A node's home keeps what its mode says, whole."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
import trio
import trio.testing
from prometheus_client import CollectorRegistry

from chain.base.errors import OperatorError, Refused
from chain.content.blocks import Block, encode_block, heading_of
from chain.disk.bodies import Missing
from chain.disk.database import DATABASE
from chain.disk.reader import Reader
from chain.disk.storage import Storage
from p2p.local.config import HomeConfig
from p2p.local.home import Home
from p2p.local.keeping import AGAIN_S, Keeper
from tests.support.forgetting import BODIES_DAYS, ForgettingCity, found_in, prune
from tests.support.homes import look_up
from tests.support.world import secret
from tests.unit.chain.disk.test_bodies import spoil
from tests.unit.p2p.net import PATIENCE_S


@pytest.fixture(scope="module")
def city() -> ForgettingCity:
    return ForgettingCity()


@pytest.fixture(scope="module")
def full(city: ForgettingCity, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return city.write(tmp_path_factory.mktemp("city") / "home")


@pytest.fixture
def home(full: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(full, tmp_path / "home"))


class Stage:
    """A node's keeper, with peers that have the blocks ``held``, by height."""

    def __init__(self, home: Path, city: ForgettingCity, mode: str) -> None:
        self.held: set[int] = set()
        self.asked: list[list[int]] = []
        self.city = city
        self.registry = CollectorRegistry()
        self.storage = Storage(home / DATABASE, city.genesis)
        self.reader = Reader(home / DATABASE, city.genesis)
        whole = Home(home, city.genesis, secret(1), HomeConfig(mode=mode))
        self.keeper = Keeper(whole, self.storage, self.reader, self.registry, self.fetch)

    async def fetch(self, missing: Sequence[Missing]) -> Sequence[Block]:
        await trio.lowlevel.checkpoint()
        self.asked.append([each.height for each in missing])
        return [self.city.blocks[each.height - 1] for each in missing if each.height in self.held]

    def read(self, height: int) -> list[bytes]:
        """What a peer gets that asks for the blocks from a height on."""
        try:
            return list(self.reader.branch(self.city.blocks[-1].id, height))
        except Refused:
            return []
        finally:
            self.keeper.look()

    def metric(self, name: str) -> float | None:
        return self.registry.get_sample_value(f"goodfaith_{name}")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            await self.keeper.prepare()
            nursery.start_soon(self.keeper.run)
            yield
            nursery.cancel_scope.cancel()


Open = Callable[[str], Stage]


@pytest.fixture
def stage(home: Path, city: ForgettingCity) -> Iterator[Open]:
    made: list[Stage] = []

    def open_stage(mode: str) -> Stage:
        made.append(Stage(home, city, mode))
        return made[-1]

    yield open_stage
    for each in made:
        each.reader.close()
        each.storage.close()


async def until(is_done: Callable[[], bool]) -> None:
    with trio.fail_after(PATIENCE_S):
        while not is_done():
            await trio.sleep(0.01)


async def test_a_pruned_node_drops_what_is_too_old_at_its_start(home: Path, city: ForgettingCity, stage: Open) -> None:
    kept = stage("pruned")
    with trio.fail_after(PATIENCE_S):
        await kept.keeper.prepare()
    assert list(found_in(home, city.gone)) == []
    told = kept.keeper.describe()
    assert (told["mode"], told["damaged_blocks"]) == ("pruned", 0)
    assert told["oldest_body"] == kept.metric("oldest_body_height") == kept.storage.bodies.oldest > 1


@pytest.mark.parametrize("mode", ["full", "archive"])
async def test_other_modes_drop_nothing(city: ForgettingCity, stage: Open, mode: str) -> None:
    kept = stage(mode)
    async with kept.running():
        await trio.testing.wait_all_tasks_blocked()
    assert len(kept.read(1)) == len(city.blocks)
    assert kept.keeper.describe() == {"mode": mode, "oldest_body": 1, "damaged_blocks": 0}


async def test_a_pruned_node_follows_while_it_runs(home: Path, city: ForgettingCity, stage: Open) -> None:
    kept = stage("pruned")
    bodies = kept.storage.bodies
    async with trio.open_nursery() as nursery:
        nursery.start_soon(kept.keeper.run)
        kept.keeper.settled()
        await until(lambda: not list(bodies._too_old(1)))
        nursery.cancel_scope.cancel()
    assert bodies.oldest == look_up(home, "SELECT max(height) FROM blocks") - BODIES_DAYS - _unsettled(kept, city)


def _unsettled(kept: Stage, city: ForgettingCity) -> int:
    header = kept.reader.snapshot_header()
    assert header is not None
    return len(city.blocks) - header.height


async def test_what_cannot_be_dropped_keeps_nobody_from_running(
    city: ForgettingCity, stage: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise OperatorError("chain.db is damaged")

    kept = stage("pruned")
    monkeypatch.setattr("chain.disk.bodies.Bodies.drop", fail)
    with trio.fail_after(PATIENCE_S):
        await kept.keeper.prepare()
    assert len(kept.read(1)) == len(city.blocks)


async def test_a_damaged_block_is_fetched_again_and_then_handed_out(
    home: Path, city: ForgettingCity, stage: Open
) -> None:
    spoil(home, city, 5)
    kept = stage("full")
    kept.held = {5}
    async with kept.running():
        assert len(kept.read(1)) == 4, "what is damaged is handed out to nobody"
        await until(lambda: kept.reader.damaged == {})
    assert kept.asked == [[5]]
    assert len(kept.read(1)) == len(city.blocks)
    assert kept.metric("damaged_blocks") == 0


async def test_where_no_peer_has_it_that_is_said_and_tried_again(
    home: Path, city: ForgettingCity, stage: Open, autojump_clock: trio.testing.MockClock
) -> None:
    spoil(home, city, 5)
    kept = stage("full")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(kept.keeper.run)
        assert kept.read(5) == []
        await trio.sleep(AGAIN_S / 2)
        assert (kept.asked, kept.keeper.describe()["damaged_blocks"], kept.metric("damaged_blocks")) == ([[5]], 1, 1)
        await trio.sleep(AGAIN_S)
        assert kept.asked == [[5], [5]]
        nursery.cancel_scope.cancel()


async def test_what_a_pruned_node_dropped_does_not_come_back_as_it_is_mended(
    home: Path, city: ForgettingCity, stage: Open
) -> None:
    spoil(home, city, 5)
    kept = stage("pruned")
    kept.held = {5}
    assert kept.read(5) == []
    async with kept.running():
        assert kept.storage.bodies.oldest > 5
        await until(lambda: kept.metric("damaged_blocks") == 0)
    tip, block = city.blocks[-1].id, city.blocks[4]
    assert next(kept.reader.headings(tip, 5)) == heading_of(encode_block(block))
    assert kept.storage.bodies.missing(5, 1) == [Missing(5, block.id)]
    assert look_up(home, "SELECT count(*) FROM transactions JOIN blocks ON block = number WHERE height = 5") == 0


async def test_an_archive_fetches_what_was_dropped(home: Path, city: ForgettingCity, stage: Open) -> None:
    prune(home, city)
    kept = stage("archive")
    kept.held = set(range(1, len(city.blocks)))
    async with kept.running():
        await until(lambda: kept.keeper.describe()["oldest_body"] == 1)
    assert len(kept.read(1)) == len(city.blocks)
    with closing(Reader(home / DATABASE, city.genesis)) as reader:
        assert reader.oldest_body() == 1
