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
"""Frames a second, and at once, of one connection: twice what the busiest honest peer sends.  In a second of a full
block, a hundred validators and as many messages as a core takes that is 480, as frames are counted here: 74 for the
largest announcement, 250 for the transactions, 40 for attestations, the rest for control and windows.  Who catches up
sends little of it, and 6 for each request and 65 for each megabyte of replies: one connection is served up to 15 MB a
second, and a node executes 4 MB in that time.  A test makes these sums from the limits of each."""

STRANGERS_RATE = (5_000.0, 20_000.0)
"""And of all strangers: what twelve in the mesh of a full network come to if each brings all, far more than hundreds
that only listen.  A frame costs some 13 us: a fifteenth of a core."""

SHARE_RATE = (250.0, 1_000.0)
"""And what one host or neighbourhood has of it whatever all strangers send: half of a full network's gossip, or a node
that catches up at 3 MB a second.  So the 32 strangers for whom there are places, in as many networks, may send 8,000: a
tenth of a core.  Who is behind one router with an attacker shares this; the way out is to be named by the operator, or
dialled."""

FRAME_BYTES = 4_096
"""So much that nobody asked for counts as one more: 4 MB a second, four times the gossip of a full network, and 16 MB
at once; an outbox that was held up brings 2 MB."""

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
