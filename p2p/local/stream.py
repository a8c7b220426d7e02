"""Events as a stream of server-sent events, which ``EventSource`` reads (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import json
from collections.abc import Iterator

import trio
from starlette.types import Receive, Scope, Send

from chain.documents.people import Document
from p2p.local.broadcast import Broadcast
from p2p.local.callers import hang_up

KEEP_ALIVE_S = 15.0
"""So long nothing happens before a comment says that the stream is still there."""

UNREAD_S = 30.0
"""Whoever takes nothing for so long is gone, or might as well be."""

MAX_STREAMS = 64
"""A quarter of those who may be connected."""

MAX_STREAMS_ELSEWHERE = 48
"""Of them to other machines, so that on this one people always see what happens."""


class EventStream:
    """An answer that goes on for as long as somebody reads it; ``hello`` is told first."""

    def __init__(self, events: Broadcast, hello: Document, after: int | None) -> None:
        self._events = events
        self._hello = hello
        self._seq = events.seq if after is None else after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell what happens, until nobody listens."""
        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
        self._events.listeners += 1
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_until_gone, receive, nursery.cancel_scope)
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                await self._go_on(send)
        finally:
            self._events.listeners -= 1

    async def _go_on(self, send: Send) -> None:
        await _send(send, _line("hello", {**self._hello, "seq": self._events.seq}))
        while True:
            text = "".join(self._news())
            if text:
                await _send(send, text)
                continue
            with trio.move_on_after(KEEP_ALIVE_S) as waiting:
                await self._events.wait(self._seq)
            if waiting.cancelled_caught:
                await _send(send, ": \n\n")

    def _news(self) -> Iterator[str]:
        lost, told = self._events.after(self._seq)
        if lost:
            yield _line("lost", {"dropped": lost})
        for seq, kind, data in told:
            yield f"id: {seq}\nevent: {kind}\ndata: {data}\n\n"
        self._seq = self._events.seq


def _line(kind: str, document: Document) -> str:
    return f"event: {kind}\ndata: {json.dumps(document)}\n\n"


async def _send(send: Send, text: str) -> None:
    """Send, or hang up on who does not read: the library's sending cannot be cancelled."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_hang_up_later)
        await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
        nursery.cancel_scope.cancel()


async def _hang_up_later() -> None:
    await trio.sleep(UNREAD_S)
    hang_up()


async def _until_gone(receive: Receive, scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
