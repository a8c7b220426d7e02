"""Fetching a state beside peers that lie about it, have another one, or say nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio

from chain import joining as module
from chain.joining import Joining
from chain.lightchain import LightChain
from chain.messages import MAX_MESSAGE_BYTES, MAX_PART_REQUEST_BYTES, GetPart
from chain.ranges import Row
from chain.shelf import Shelf
from chain.statetree import StateTree
from p2p import watching
from p2p.fetching import fetch, offered
from p2p.prices import STATE
from p2p.watching import Watch, open_watch
from tests.support.headings import CHAIN, FORGE, GENESIS, Server, config, serving
from tests.unit.p2p.net import PATIENCE_S, until

GOOD = FORGE.state(CHAIN[20])
SHELF = Shelf(GOOD.items())
WRONG = Shelf({**GOOD, sorted(GOOD)[0]: b"altered"}.items())


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "POLL_S", 0.05)
    monkeypatch.setattr(module, "MAX_PART_BYTES", 300)


def gives(server: Server, shelf: Shelf | None) -> list[GetPart]:
    """Let a server give a state away, or never answer; what it is asked."""
    asked: list[GetPart] = []

    async def give(_peer: str, question: bytes) -> bytes:
        asked.append(GetPart.decode(question))
        if shelf is None:
            await trio.sleep_forever()
        assert shelf is not None
        return shelf.give(asked[-1])

    limits = {"max_request": MAX_PART_REQUEST_BYTES, "max_response": MAX_MESSAGE_BYTES, "max_concurrent": 4}
    server.transport.requests.serve(STATE, give, **limits)
    return asked


@asynccontextmanager
async def world(count: int) -> AsyncIterator[tuple[Watch, list[Server]]]:
    """So many servers, and a watch that has their headers."""
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(serving(number, CHAIN)) for number in range(2, 2 + count)]
        addresses = tuple(server.transport.listen_addresses[0] for server in servers)
        settings = config(1, GENESIS, bootstrap=addresses)
        watch = await stack.enter_async_context(open_watch(settings, LightChain(GENESIS)))
        await until(lambda: len(watch.peers) == count and watch.chain.head.header.id == CHAIN[-1].id)
        yield watch, servers


async def fetched(watch: Watch) -> dict[bytes, bytes]:
    state: dict[bytes, bytes] = {}
    saved: list[bytes] = []

    def keep(rows: Sequence[Row], going_on: bytes) -> None:
        state.update(rows)
        saved.append(going_on)

    with trio.fail_after(PATIENCE_S):
        await fetch(watch, Joining(SHELF.root), keep)
    assert Joining.decode(saved[-1]).is_done
    return state


async def test_a_state_comes_from_all_who_have_it() -> None:
    async with world(3) as (watch, servers):
        asked = [gives(server, SHELF) for server in servers]
        header = await offered(watch)
        assert header is not None
        assert header.state_root == SHELF.root == StateTree.build((await fetched(watch)).items()).root
        assert all(asked)


async def test_who_lies_is_banned_and_the_state_comes_all_the_same() -> None:
    async with world(2) as (watch, (liar, honest)):
        gives(liar, WRONG)
        gives(honest, SHELF)
        assert await fetched(watch) == GOOD
        assert liar.peer_id in watch.refused
        assert honest.peer_id not in watch.refused


async def test_who_says_nothing_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_MS", 100)
    async with world(2) as (watch, (silent, honest)):
        gives(silent, None)
        gives(honest, SHELF)
        assert await fetched(watch) == GOOD


async def test_where_nobody_gives_a_state_nothing_is_offered() -> None:
    async with world(1) as (watch, _):
        assert await offered(watch) is None
