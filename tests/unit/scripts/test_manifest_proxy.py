"""What stands before a node of a manifest: the proxy, and the clock that its process reads."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import trio

from scripts.manifest_parts.lines import Links
from scripts.manifest_parts.things import Line, Manifest, Validator
from scripts.testnet_parts import staged_node
from scripts.testnet_parts.homes import free_ports
from scripts.testnet_parts.proxy import Front, owner_of
from scripts.testnet_parts.staged_node import CLOCK, set_clock

DEADLINE_S = 300.0
LATENCY_MS = 30
# More than one piece, and less than the window.
LONG = bytes(range(256)) * 300


def links_of(**line: int) -> Links:
    two = (Validator(name="ann"), Validator(name="bob"))
    return Links(Manifest(title="t", slots=1, validators=two, line=Line(**line)))


@asynccontextmanager
async def front_of(links: Links, dialler: str = "bob") -> AsyncIterator[Front]:
    """The front of ann, behind which everything is sent back; this process is that of ``dialler``."""
    port, behind = free_ports(2)
    front = Front("ann", port, behind, links, lambda: {os.getpid(): dialler})
    async with trio.open_nursery() as nursery:
        echo = await trio.open_tcp_listeners(behind, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, _send_back, echo)
        await nursery.start(front.run)
        with trio.fail_after(DEADLINE_S):
            yield front
        nursery.cancel_scope.cancel()


async def _send_back(stream: trio.SocketStream) -> None:
    try:
        while piece := await stream.receive_some(1_000):
            await stream.send_all(piece)
        await stream.send_eof()
    except trio.BrokenResourceError:
        pass


async def there_and_back(stream: trio.SocketStream, data: bytes) -> bytes:
    back = b""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.send_all, data)
        while len(back) < len(data):
            piece = await stream.receive_some()
            assert piece
            back += piece
    return back


async def test_what_is_sent_arrives_whole_and_not_before_its_time() -> None:
    links = links_of(latency_ms=LATENCY_MS)
    async with front_of(links) as front, await trio.open_tcp_stream("127.0.0.1", front.port) as stream:
        began_s = time.monotonic()
        assert await there_and_back(stream, LONG) == LONG
        assert time.monotonic() - began_s >= 2 * LATENCY_MS / 1_000
        await stream.send_eof()
        assert await stream.receive_some() == b""


async def test_a_silent_cut_holds_what_is_sent_until_it_is_healed() -> None:
    links = links_of()
    async with front_of(links) as front, await trio.open_tcp_stream("127.0.0.1", front.port) as stream:
        assert await there_and_back(stream, b"before") == b"before"
        links.cut("sea", ["ann"], ["bob"])
        await stream.send_all(b"after")
        with trio.move_on_after(0.3) as scope:
            await stream.receive_some()
        assert scope.cancelled_caught
        links.heal("sea")
        assert await stream.receive_some() == b"after"


async def test_a_noticed_cut_ends_connections_and_new_ones_hang() -> None:
    links = links_of()
    async with front_of(links) as front:
        async with await trio.open_tcp_stream("127.0.0.1", front.port) as stream:
            assert await there_and_back(stream, b"before") == b"before"
            front.part(links.cut("sea", ["ann"], ["bob"]))
            assert await _is_over(stream)
        async with await trio.open_tcp_stream("127.0.0.1", front.port) as stream:
            await stream.send_all(b"after")
            links.heal("sea")
            assert await stream.receive_some() == b"after"


async def _is_over(stream: trio.SocketStream) -> bool:
    try:
        return await stream.receive_some() == b""
    except trio.BrokenResourceError:
        return True


async def test_others_than_those_that_are_cut_pass() -> None:
    links = links_of()
    links.cut("sea", ["ann"], ["bob"])
    async with front_of(links, "eve") as front, await trio.open_tcp_stream("127.0.0.1", front.port) as stream:
        assert await there_and_back(stream, b"here") == b"here"


async def test_a_node_that_is_down_is_seen_to_be_down() -> None:
    port, behind = free_ports(2)
    front = Front("ann", port, behind, links_of(), dict)
    async with trio.open_nursery() as nursery:
        await nursery.start(front.run)
        with trio.fail_after(DEADLINE_S):
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                assert await _is_over(stream)
        nursery.cancel_scope.cancel()


async def test_whose_a_connection_is_the_machine_knows() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener, await trio.open_tcp_stream(*listener.socket.getsockname()[:2]) as stream:
        port = stream.socket.getsockname()[1]
        assert owner_of(port, {1 << 22: "gone", os.getpid(): "bob"}) == "bob"
        assert owner_of(port, {}) == ""
    assert owner_of(1, {os.getpid(): "bob"}) == ""


@contextmanager
def staged(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process reads the time as that home has it."""
    with monkeypatch.context() as patched:
        patched.setattr(time, "time_ns", lambda: 5_000_000_000)
        staged_node._go_by(home / CLOCK)
        yield


@pytest.mark.parametrize("ahead_ms", [0, 3_600_000, -700])
def test_a_clock_can_be_set_while_its_process_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead_ms: int
) -> None:
    set_clock(tmp_path, 1_000)
    with staged(tmp_path, monkeypatch):
        assert time.time_ns() == 6_000_000_000
        set_clock(tmp_path, ahead_ms)
        assert time.time_ns() == 5_000_000_000 + 1_000_000 * ahead_ms
