"""Fetching the whole of a final state from the peers of a :class:`~p2p.watching.Watch`, which are not trusted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

import trio

from chain.errors import Refused
from chain.headers import Header
from chain.joining import Joining
from chain.messages import MAX_MESSAGE_BYTES, GetPart
from chain.ranges import WHOLE, Row
from p2p.prices import STATE
from p2p.requests import RequestError
from p2p.watching import Watch

log = logging.getLogger(__name__)

# A node's disk is some seconds behind what is final.
MAX_BEHIND = 64
# How often peers are looked at that were not there, or rested.
LOOK_S = 0.5

Keep = Callable[[Sequence[Row], bytes], None]
"""Called with entries that are news, and with what to go on from (:meth:`chain.joining.Joining.encode`)."""


async def offered(watch: Watch) -> Header | None:
    """The newest final header whose state a peer gives away now, None where nobody does."""
    roots = dict.fromkeys(header.state_root for header in watch.chain.finals(MAX_BEHIND))
    newest = {header.state_root: header for header in reversed(watch.chain.finals(MAX_BEHIND))}
    for root in roots:
        for peer in watch.peers:
            with suppress(RequestError, Refused):
                await watch.ask(peer, STATE, GetPart(root, WHOLE, 1).encode(), MAX_MESSAGE_BYTES)
                return newest[root]
    return None


async def fetch(watch: Watch, joining: Joining, keep: Keep) -> None:
    """Fetch what is missing of a state, until all of it was given to ``keep``."""
    changed = trio.Event()

    async def ask(peer: str, request: GetPart) -> None:
        nonlocal changed
        try:
            reply = await watch.ask(peer, STATE, request.encode(), MAX_MESSAGE_BYTES)
            rows = joining.take(peer, request, reply, _now_ms())
            keep(rows, joining.encode())
        except RequestError as failure:
            log.info("peer %s: %s", peer, failure)
            joining.failed(peer, request, _now_ms())
        except Refused as refusal:
            watch.blame(peer, refusal)
        changed.set()

    async with trio.open_nursery() as nursery:
        while not joining.is_done:
            changed = trio.Event()
            for peer, request in list(joining.requests(watch.peers, _now_ms())):
                nursery.start_soon(ask, peer, request)
            with trio.move_on_after(LOOK_S):
                await changed.wait()
        nursery.cancel_scope.cancel()


def _now_ms() -> int:
    return int(trio.current_time() * 1_000)
