"""Who is connected to the HTTP face: those who dawdle take nobody's place, and who asked is answered."""

from __future__ import annotations

import resource
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from p2p.local import callers, http
from p2p.local.callers import Callers, room_for_callers
from p2p.local.http import serve_http
from tests.unit.p2p.local.test_http import FakeFace

PLACES = 3
DEADLINE_S = 300.0
ASK = b"GET /status HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
HEAD_OF_A_BODY = (
    b"POST /transactions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/msgpack\r\n"
    b"content-length: 1000\r\n\r\n\x91"
)


class SlowFace(FakeFace):
    """A proof takes until the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.proofs, self.may_answer = trio.Semaphore(0), trio.Event()

    async def prove(self, key: bytes) -> bytes:
        self.proofs.release()
        await self.may_answer.wait()
        return b"proof of " + key


@asynccontextmanager
async def serving(monkeypatch: pytest.MonkeyPatch, face: FakeFace) -> AsyncIterator[str]:
    monkeypatch.setattr(http, "room_for_callers", lambda: PLACES)
    with trio.fail_after(DEADLINE_S):
        async with trio.open_nursery() as nursery:
            yield await nursery.start(serve_http, face, "127.0.0.1:0")
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def crowd(url: str, count: int, opening: bytes) -> AsyncIterator[list[trio.SocketStream]]:
    """So many connections that say ``opening`` and then nothing."""
    async with AsyncExitStack() as stack:
        streams = []
        for _ in range(count):
            stream = await trio.open_tcp_stream("127.0.0.1", int(url.rpartition(":")[2]))
            streams.append(await stack.enter_async_context(stream))
            await stream.send_all(opening)
        yield streams


async def reply(stream: trio.SocketStream) -> bytes:
    """What comes until the other side hangs up."""
    parts = []
    try:
        while part := await stream.receive_some():
            parts.append(part)
    except trio.BrokenResourceError:
        pass
    return b"".join(parts)


async def heard(stream: trio.SocketStream, text: bytes) -> None:
    """Wait until it says this."""
    told = b""
    while text not in told:
        part = await stream.receive_some()
        assert part, told
        told += part


@pytest.mark.parametrize("opening", [b"", b"GET /sta", HEAD_OF_A_BODY], ids=["nothing", "half a head", "a slow body"])
async def test_those_who_dawdle_make_room_for_who_asks(monkeypatch: pytest.MonkeyPatch, opening: bytes) -> None:
    async with serving(monkeypatch, FakeFace()) as url, crowd(url, 5 * PLACES, opening) as streams:
        async with httpx.AsyncClient(trust_env=False, timeout=DEADLINE_S) as client:
            assert (await client.get(url + "/status")).json() == {"height": 7}
        assert await reply(streams[0]) == b""


async def test_who_asked_is_answered_whatever_the_crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    face, replies = SlowFace(), list[bytes]()
    async with serving(monkeypatch, face) as url, trio.open_nursery() as nursery:

        async def ask() -> None:
            async with httpx.AsyncClient(trust_env=False, timeout=DEADLINE_S) as client:
                replies.append((await client.get(f"{url}/proof/{'11' * 32}")).content)

        nursery.start_soon(ask)
        await face.proofs.acquire()
        async with crowd(url, 5 * PLACES, HEAD_OF_A_BODY) as streams:
            await reply(streams[0])
        face.may_answer.set()
    assert replies == [b"proof of " + b"\x11" * 32]


async def test_an_answer_that_nobody_takes_does_not_keep_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callers, "ANSWER_S", -1.0)
    face = SlowFace()
    question = ASK.replace(b"/status", b"/proof/" + b"11" * 32)
    async with serving(monkeypatch, face) as url, crowd(url, 1, question) as (stream,):
        await face.proofs.acquire()
        async with crowd(url, PLACES, b""):
            assert await reply(stream) == b""


async def test_where_all_are_being_answered_a_newcomer_is_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    face = SlowFace()
    question = ASK.replace(b"/status", b"/proof/" + b"11" * 32)
    async with serving(monkeypatch, face) as url, crowd(url, PLACES, question) as busy:
        for _ in busy:
            await face.proofs.acquire()
        async with crowd(url, 1, b"") as (newcomer,):
            assert await reply(newcomer) == b""
        face.may_answer.set()
        for stream in busy:
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 200")


async def test_a_body_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BODY_TIMEOUT_S", 0.01)
    async with serving(monkeypatch, FakeFace()) as url, crowd(url, 1, HEAD_OF_A_BODY) as (stream,):
        assert b" 408 " in await reply(stream)


async def test_a_body_that_nobody_reads_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    face, proof = SlowFace(), b"/proof/" + b"11" * 32
    pieces = 40 * b"1\r\nx\r\n" + b"0\r\n\r\n"  # many more than the library keeps for who does not ask for them
    question = ASK.replace(b"/status", proof).replace(b"\r\n\r\n", b"\r\ntransfer-encoding: chunked\r\n\r\n" + pieces)
    async with serving(monkeypatch, face) as url, crowd(url, 1, question) as (stream,):
        await face.proofs.acquire()
        await wait_all_tasks_blocked()
        face.may_answer.set()
        await heard(stream, b"proof of ")
        await stream.send_all(ASK)
        await heard(stream, b'{"height": 7}')


@pytest.mark.parametrize(
    "opening",
    [
        ASK[:-2] + b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: \r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=["asked for", "assumed"],
)
async def test_http_2_is_not_spoken(monkeypatch: pytest.MonkeyPatch, opening: bytes) -> None:
    """There who takes nothing of an answer, and leaves, would be waited for as long as the node runs."""
    async with serving(monkeypatch, FakeFace()) as url, crowd(url, 1, opening) as (stream,):
        told = await stream.receive_some()
        assert told.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 421 ")), told


async def test_a_connection_that_fails_is_its_own_affair() -> None:
    met = Callers(1)

    async def fail(_stream: trio.SocketStream) -> None:
        raise ExceptionGroup("two at once", [ValueError("garbage"), KeyError("more")])

    ours, theirs = trio.socket.socketpair()
    async with trio.SocketStream(ours) as stream:
        await met.attend(fail, stream)
    theirs.close()
    assert len(met) == 0


def test_most_descriptors_are_left_to_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (400, 400))
    assert room_for_callers() == 100
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (1_000_000, 1_000_000))
    assert room_for_callers() == callers.MAX_CALLERS


LISTEN = b"GET /events HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"


async def test_events_come_as_they_happen(monkeypatch: pytest.MonkeyPatch) -> None:
    face = FakeFace()
    async with serving(monkeypatch, face) as url, crowd(url, 1, LISTEN) as (stream,):
        text = b""
        while b"event: hello" not in text:
            text += await stream.receive_some()
        face.events.tell("head", {"height": 7})
        while b'data: {"height": 7}' not in text:
            text += await stream.receive_some()
    assert b"content-type: text/event-stream" in text


async def test_listeners_that_read_nothing_hold_up_neither_events_nor_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    face = FakeFace()
    async with serving(monkeypatch, face) as url, crowd(url, PLACES - 1, LISTEN):
        while face.events.listeners < PLACES - 1:
            await trio.sleep(0.01)
        for _ in range(200):  # more than all buffers on the way hold
            face.events.tell("head", {"text": "x" * 100_000})
            await trio.sleep(0)
        async with httpx.AsyncClient(trust_env=False, timeout=DEADLINE_S) as client:
            assert (await client.get(url + "/status")).json() == {"height": 7}
