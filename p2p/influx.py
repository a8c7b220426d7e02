"""What comes over connections without being asked for, each in its turn.

A frame of the multiplexer has twelve bytes, and taking one costs what making five thousand does: the library works
through all that one connection sends before it lets anybody else run, and some of it comes to nothing by itself (pings,
windows of streams that there are not).  Nobody is blamed for it: what is beyond waits at the sender's end.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from p2p.addresses import origin
from p2p.limits import Clock, Commons

FRAME_RATE = (1_000.0, 4_000.0)
"""Frames a second, and at once, of one connection: twice what its requests and its gossip may have together."""

STRANGERS_RATE = (5_000.0, 20_000.0)
"""And of all strangers: a tenth of a core.  Hundreds of honest ones do not come near it."""

SHARE_RATE = (250.0, 1_000.0)
"""And what one host or neighbourhood has of it whatever all strangers send: what a node that catches up sends."""

FRAME_BYTES = 4_096
"""So much that nobody asked for counts as one more: 4 MB a second, four times the gossip of a busy network."""


PAUSE_S = 0.1
"""Whoever has to wait waits so much longer: one pause for a hundred frames costs less than a hundred."""


class Influx:
    """What strangers' connections may send, and all others each for itself; only those who ``is_reserved`` are none."""

    def __init__(self, clock: Clock = trio.current_time) -> None:
        self.is_reserved: Callable[[str], bool] = lambda _peer_id: False
        self._debts = Commons(FRAME_RATE, STRANGERS_RATE, SHARE_RATE, clock)

    def charge(self, peer_id: str, host: str, size: int) -> None:
        """A frame came, with so many bytes that nobody asked for."""
        self._debts.charge(peer_id, origin(host), 1 + size // FRAME_BYTES)

    def wait_s(self, peer_id: str, host: str, *, is_dialled: bool) -> float:
        """How long until the next one is taken; ``is_dialled``: we chose to know this peer."""
        if is_dialled or self.is_reserved(peer_id):
            wait_s = self._debts.own_wait_s(peer_id)
        else:
            wait_s = self._debts.wait_s(peer_id, origin(host))
        return wait_s and wait_s + PAUSE_S
