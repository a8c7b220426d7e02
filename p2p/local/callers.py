"""Who is connected to the HTTP face: so many at most, and whoever keeps it waiting longest makes room for the next.

A connection costs a descriptor, and those are what peers are connected with, too.
"""

from __future__ import annotations

import logging
import resource
from collections.abc import Awaitable, Callable
from contextvars import ContextVar

import trio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

MAX_CALLERS = 256
"""Many more than programs of one machine need."""

SHARE_OF_DESCRIPTORS = 4
"""At most every fourth that the process may have: twice as many are kept for peers, for the rest of the node one."""

ANSWER_S = 10.0
"""Whoever asked is not disturbed for so long: nothing takes longer, but an answer that is not taken."""

Handle = Callable[[trio.SocketStream], Awaitable[None]]

_here: ContextVar[trio.SocketStream | None] = ContextVar("caller", default=None)


class Callers:
    """Connections, those that have kept us waiting longest first; with each, until when it is left alone."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._left_alone_until: dict[trio.SocketStream, float] = {}

    def __len__(self) -> int:
        return len(self._left_alone_until)

    async def attend(self, handle: Handle, stream: trio.SocketStream) -> None:
        """Let ``handle`` speak with a newcomer, if there is or can be made room for it."""
        if len(self) >= self._most and not self._made_room():
            return
        self._left_alone_until[stream] = 0.0
        _here.set(stream)
        try:
            await handle(stream)
        except Exception as error:  # noqa: BLE001 - whatever a stranger does to a connection ends that connection
            log.debug("a connection to the HTTP face failed: %r", error)
        finally:
            self._left_alone_until.pop(stream, None)

    async def send_away_at_end(self) -> None:
        """Until cancelled; then whoever does not take an answer holds nothing up."""
        try:
            await trio.sleep_forever()
        finally:
            for stream in self._left_alone_until:
                stream.socket.close()

    def watching(self, app: ASGIApp) -> ASGIApp:
        """An application that leaves its callers alone from when they have asked until they are answered.

        Nor does it hold anything up where nobody reads the body of a request.
        """

        async def watched(scope: Scope, receive: Receive, send: Send) -> None:
            async def heard() -> Message:
                message = await receive()
                if not message.get("more_body"):
                    self._note(trio.current_time() + ANSWER_S)
                return message

            async def said(message: Message) -> None:
                if message["type"] != "http.response.body" or message.get("more_body"):
                    await send(message)
                    return
                # The library tells who answered that this is the end, and waits for as long as parts of a body that
                # nobody takes are in the way.
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_hear_out, receive)
                    await send(message)
                    nursery.cancel_scope.cancel()

            if scope.get("method") in ("GET", "HEAD"):
                self._note(trio.current_time() + ANSWER_S)
            await app(scope, heard, said)
            self._note(0.0)

        return watched

    def _note(self, until: float) -> None:
        stream = _here.get()
        if stream is not None and self._left_alone_until.pop(stream, None) is not None:
            self._left_alone_until[stream] = until

    def _made_room(self) -> bool:
        now = trio.current_time()
        leaver = next((stream for stream, until in self._left_alone_until.items() if until < now), None)
        if leaver is None:
            return False
        del self._left_alone_until[leaver]
        # Whoever waits on it is told, also where the library would not let itself be cancelled.
        leaver.socket.close()
        return True


async def _hear_out(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def hang_up() -> None:
    """End the connection that is being answered, also where the library would not let itself be cancelled."""
    stream = _here.get()
    if stream is not None:
        stream.socket.close()


def room_for_callers() -> int:
    """How many callers a process may have that has so many descriptors as this one."""
    return max(1, min(MAX_CALLERS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // SHARE_OF_DESCRIPTORS))
