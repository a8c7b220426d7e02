"""Whether a connected peer is still there: a stopped one keeps its connection and says nothing."""

from __future__ import annotations

import logging

import trio

from p2p.library import heard_at
from p2p.link import Link
from p2p.requests import Failure, RequestError, Requests

log = logging.getLogger(__name__)


class Pulse:
    """Asks every ``interval_s``, waits ``timeout_s`` for the answer, and gives up after ``max_misses`` in a row."""

    def __init__(self, requests: Requests, interval_s: float, timeout_s: float, max_misses: int) -> None:
        self._requests = requests
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._max_misses = max_misses
        requests.serve("ping", _answer, max_request=64, max_response=64, max_concurrent=64)

    async def until_lost(self, link: Link) -> None:
        """Ping until the peer has missed too many."""
        misses = 0
        async with trio.open_nursery() as nursery:
            while misses < self._max_misses:
                if misses == 0:
                    await trio.sleep(self._interval_s)
                # In a task of its own: a write to a stopped peer may not even take its own timeout.
                answered, asked_at = trio.Event(), trio.current_time()
                nursery.start_soon(self._ping, link, answered)
                with trio.move_on_after(self._timeout_s):
                    await answered.wait()
                # On a slow line that is full of what we asked for, an answer waits behind that.
                is_alive = answered.is_set() or heard_at(link.connection.muxed_conn) >= asked_at
                misses = 0 if is_alive else misses + 1
            log.info("peer %s does not answer any more", link.peer_id)
            nursery.cancel_scope.cancel()

    async def _ping(self, link: Link, answered: trio.Event) -> None:
        asked_at = trio.current_time()
        try:
            await self._requests.ask_now(link.peer_id, "ping", b"", max_response=0, timeout_s=self._timeout_s)
        except RequestError as error:
            if error.failure not in {Failure.BUSY, Failure.FAILED}:  # either is a sign of life
                return
        link.rtt_ms = (trio.current_time() - asked_at) * 1000
        answered.set()


async def _answer(_peer_id: str, _request: bytes) -> bytes:
    return b""
