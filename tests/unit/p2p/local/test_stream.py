"""The stream of events: in order, resumed where it broke off, and held up by nobody."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
import trio.testing

from p2p.local import broadcast
from p2p.local.broadcast import Broadcast
from p2p.local.stream import KEEP_ALIVE_S, UNREAD_S, EventStream

Line = tuple[str, dict[str, Any]]


class Reader:
    """What an ASGI server is to an application; it takes what is sent while ``may_read`` is set."""

    def __init__(self) -> None:
        self.text = ""
        self.headers: dict[bytes, bytes] = {}
        self.may_read = trio.Event()
        self.may_read.set()
        self.gone = trio.Event()

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.headers = dict(message["headers"])
            return
        await self.may_read.wait()
        self.text += message["body"].decode()

    @property
    def events(self) -> list[Line]:
        blocks = [dict(line.split(": ", 1) for line in block.splitlines()) for block in self.text.split("\n\n")[:-1]]
        return [(block["event"], json.loads(block["data"])) for block in blocks if "event" in block]


async def listening(nursery: trio.Nursery, events: Broadcast, after: int | None = None) -> Reader:
    reader = Reader()
    nursery.start_soon(EventStream(events, {"network": "town"}, after), {}, reader.receive, reader.send)
    await trio.testing.wait_all_tasks_blocked()
    return reader


async def test_who_listens_hears_what_happens_from_then_on(autojump_clock: trio.testing.MockClock) -> None:
    events = Broadcast()
    events.tell("head", {"height": 1})
    async with trio.open_nursery() as nursery:
        reader = await listening(nursery, events)
        events.tell("head", {"height": 2})
        events.tell("final", {"height": 1})
        await trio.testing.wait_all_tasks_blocked()
        assert reader.headers[b"content-type"] == b"text/event-stream"
        assert reader.events == [
            ("hello", {"network": "town", "seq": 1}),
            ("head", {"height": 2}),
            ("final", {"height": 1}),
        ]
        assert events.listeners == 1
        reader.gone.set()
    assert events.listeners == 0


async def test_a_stream_goes_on_where_it_broke_off(autojump_clock: trio.testing.MockClock) -> None:
    events = Broadcast()
    for height in range(1, 6):
        events.tell("head", {"height": height})
    async with trio.open_nursery() as nursery:
        reader = await listening(nursery, events, after=3)
        assert [document.get("height") for _, document in reader.events] == [None, 4, 5]
        other = await listening(nursery, events, after=99)  # of a node before this one
        assert [document.get("height") for _, document in other.events] == [None, 1, 2, 3, 4, 5]
        nursery.cancel_scope.cancel()


async def test_who_is_too_slow_is_told_what_it_lost_and_holds_nothing_up(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = Broadcast()
    async with trio.open_nursery() as nursery:
        slow, quick = await listening(nursery, events), await listening(nursery, events)
        slow.may_read = trio.Event()
        for height in range(1, broadcast.MAX_EVENTS + 51):
            events.tell("head", {"height": height})
            if height % 10 == 0:
                await trio.testing.wait_all_tasks_blocked()
        slow.may_read.set()
        await trio.testing.wait_all_tasks_blocked()
        heights = [document["height"] for kind, document in quick.events if kind == "head"]
        assert heights == list(range(1, broadcast.MAX_EVENTS + 51))
        (lost,) = [document["dropped"] for kind, document in slow.events if kind == "lost"]
        assert lost + sum(kind == "head" for kind, _ in slow.events) == len(heights)
        assert slow.events[-1][1]["height"] == heights[-1]
        nursery.cancel_scope.cancel()


async def test_who_does_not_read_is_hung_up_on(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    hung_up: list[float] = []
    monkeypatch.setattr("p2p.local.stream.hang_up", lambda: hung_up.append(trio.current_time()))
    events = Broadcast()
    async with trio.open_nursery() as nursery:
        reader = await listening(nursery, events)
        reader.may_read = trio.Event()
        began = trio.current_time()
        events.tell("head", {"height": 1})
        await trio.sleep(UNREAD_S + 1)
        assert hung_up == [began + UNREAD_S]
        nursery.cancel_scope.cancel()


async def test_silence_is_broken_by_a_comment(autojump_clock: trio.testing.MockClock) -> None:
    async with trio.open_nursery() as nursery:
        reader = await listening(nursery, Broadcast())
        await trio.sleep(2 * KEEP_ALIVE_S + 1)
        assert reader.text.count("\n: ") + reader.text.count("\n\n: ") >= 2
        nursery.cancel_scope.cancel()
