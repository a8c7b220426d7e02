"""Fetching a state beside peers that lie about it, have another one, or say nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256

import pytest
import trio

from chain.branches.blocktree import Judged
from chain.branches.lightchain import LightChain
from chain.content.actions import Enrol
from chain.protocol import joining as module
from chain.protocol.joining import Joining
from chain.protocol.messages import MAX_MESSAGE_BYTES, MAX_PART_REQUEST_BYTES, GetPart
from chain.tree.ranges import ANY, Part
from chain.tree.statetree import hash_entries
from p2p import fetching, watching
from p2p.fetching import Fetching
from p2p.prices import STATE
from p2p.watching import Watch, open_watch
from tests.support.headings import FORGE, GENESIS, STEM, Server, config, serving
from tests.support.shelf import Shelf
from tests.support.world import Actor
from tests.unit.p2p.net import PATIENCE_S, until

MORE = FORGE.block(STEM[-1], [Actor(GENESIS, number).sign(Enrol()) for number in range(300, 320)])
CHAIN = [*STEM, MORE, *FORGE.attested(30, MORE)]
GOOD = FORGE.state(CHAIN[20])
OLDER = Shelf(FORGE.state(CHAIN[0]).items())
SHELF = Shelf(GOOD.items())
WRONG = Shelf({**GOOD, sorted(GOOD)[0]: b"altered"}.items())


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "POLL_S", 0.05)
    monkeypatch.setattr(module, "MAX_PART_BYTES", 300)


def gives(server: Server, shelf: Shelf | None, promised: Shelf | None = None, *, slow_s: float = 0) -> list[GetPart]:
    """Let a server give a state away, or never answer, whatever it ``promised``; what it is asked."""
    asked: list[GetPart] = []

    async def give(_peer: str, question: bytes) -> bytes:
        asked.append(GetPart.decode(question))
        if asked[-1].root == ANY and (offered := promised or shelf) is not None:
            return offered.give(asked[-1])
        if shelf is None:
            await trio.sleep_forever()
        assert shelf is not None
        part = shelf.give(asked[-1])
        await trio.sleep(slow_s)
        return part

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


class Kept:
    """A store in memory."""

    def __init__(self) -> None:
        self.joining: Joining | None = None
        self.target: Judged | None = None
        self.rows: dict[bytes, bytes] = {}

    def aim(self, target: Judged) -> Joining:
        if self.joining is None:
            self.joining = Joining(target.header.state_root, here=self.hash_of)
        self.joining.turn_to(target.header.state_root)
        self.target = target
        return self.joining

    def hash_of(self, part: Part) -> bytes:
        inside = [sha256(key).digest() + sha256(value).digest() for key, value in self.rows.items()]
        return hash_entries(sorted(entry for entry in inside if entry[:32] in part), part.depth)

    def take(self, peer: str, request: GetPart, reply: bytes, now_ms: int) -> None:
        assert self.joining is not None
        fetched = self.joining.take(peer, request, reply, now_ms)
        if fetched is not None:
            for key in [key for key in self.rows if sha256(key).digest() in fetched.part]:
                del self.rows[key]
            self.rows.update(fetched.rows)


async def fetched(watch: Watch) -> dict[bytes, bytes]:
    store = Kept()
    with trio.fail_after(PATIENCE_S):
        await Fetching(watch, store).run()
    assert store.target is not None
    assert watch.chain.is_final(store.target.header)
    return store.rows


async def test_a_state_comes_from_all_who_have_it() -> None:
    async with world(3) as (watch, servers):
        asked = [gives(server, SHELF) for server in servers]
        assert await fetched(watch) == GOOD
        assert all(asked)


async def test_who_lies_is_banned_and_the_state_comes_all_the_same() -> None:
    async with world(2) as (watch, (liar, honest)):
        gives(liar, WRONG, SHELF)
        gives(honest, SHELF)
        assert await fetched(watch) == GOOD
        assert liar.peer_id in watch.refused
        assert honest.peer_id not in watch.refused


async def test_who_gives_a_state_that_never_was_is_not_asked_for_it() -> None:
    async with world(2) as (watch, (other, honest)):
        gives(other, WRONG)
        gives(honest, SHELF)
        assert await fetched(watch) == GOOD


async def test_who_gives_an_older_state_than_asked_for_is_banned() -> None:
    """It was final once, and every part of it is true."""
    async with world(2) as (watch, (hostile, honest)):
        gives(hostile, OLDER, SHELF)
        gives(honest, SHELF)
        assert await fetched(watch) == GOOD
        assert watch.refused[hostile.peer_id].startswith("wrong_state_root")
        assert honest.peer_id not in watch.refused


async def test_who_promises_an_older_state_is_not_asked_for_it() -> None:
    async with world(2) as (watch, (hostile, honest)):
        asked = gives(hostile, OLDER)
        gives(honest, SHELF)
        store = Kept()
        with trio.fail_after(PATIENCE_S):
            while not store.rows or store.joining is None or not store.joining.is_done:
                await Fetching(watch, store).run()
        assert store.rows in (GOOD, FORGE.state(CHAIN[0]))
        assert watch.refused == {}
        assert asked


@pytest.mark.parametrize("promises", [False, True])
async def test_one_byte_a_second_holds_nobody_up(monkeypatch: pytest.MonkeyPatch, *, promises: bool) -> None:
    """From the first question on, or once it has promised the state that most give."""
    monkeypatch.setattr(module, "PATIENCE_MS", 100)
    async with world(3) as (watch, (slow, *honest)):
        gives(slow, SHELF)
        slow.drip(STATE, after=int(promises))
        for server in honest:
            gives(server, SHELF)
        assert await fetched(watch) == GOOD
        assert watch.refused == {}


async def test_who_says_nothing_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_MS", 100)
    async with world(2) as (watch, (silent, honest)):
        gives(silent, None, SHELF)
        gives(honest, SHELF)
        assert await fetched(watch) == GOOD


async def test_what_most_promise_and_nobody_gives_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two promise an older state that is final, and give all of it but one part; a third has another."""
    monkeypatch.setattr(fetching, "STALLED_S", 0.5)
    async with world(3) as (watch, (one, two, honest)):
        gives(one, None, OLDER)
        gives(two, None, OLDER)
        gives(honest, SHELF)
        assert await fetched(watch) == GOOD


async def test_what_most_give_a_part_at_a_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that they give is wrong, and something always comes: it would take days."""
    monkeypatch.setattr(fetching, "STALLED_S", 2.0)
    async with world(3) as (watch, (one, two, honest)):
        gives(one, OLDER, slow_s=0.8)
        gives(two, OLDER, slow_s=0.8)
        gives(honest, SHELF)
        assert await fetched(watch) == GOOD


async def test_where_the_state_moves_on_only_what_differs_is_fetched() -> None:
    async with world(1) as (watch, (server,)):
        asked = gives(server, SHELF)
        store = Kept()
        store.aim(Judged(CHAIN[0].header, FORGE.votes(CHAIN[0])))
        assert store.joining is not None
        for _ in range(1_000):  # all but the last part
            for peer, request in list(store.joining.requests(["before"], 0)):
                if len(store.joining.missing) > 1 or not store.rows:
                    store.take(peer, request, OLDER.give(request), 0)
        whole = len(store.rows)
        with trio.fail_after(PATIENCE_S):
            await Fetching(watch, store).run()
        assert store.rows == GOOD
        assert len([each for each in asked if each.root != ANY]) < whole


async def test_where_nobody_gives_a_state_it_waits() -> None:
    async with world(1) as (watch, _):
        with trio.move_on_after(1):
            await Fetching(watch, Kept()).run()
            raise AssertionError
