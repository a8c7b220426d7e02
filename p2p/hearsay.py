"""How far this node acts on what strangers say of addresses: it must not become their hand against others.

Whoever greets can name a third party's ports as its own, and identities are free.  So such an address is dialled once;
where nobody was reached, nobody's word opens it again for a while that grows; and each neighbourhood, and all together,
have a budget that only the dials in vain use up.
"""

from __future__ import annotations

import trio

from chain.base.newest import Newest
from p2p.addresses import PeerAddress, origin
from p2p.limits import Buckets, Clock, TokenBucket

FIRST_PAUSE_S, PAUSE_FACTOR, MAX_PAUSE_S = 30.0, 32.0, 86_400.0
"""After a dial in vain: half a minute, for a peer that was just starting; then sixteen minutes, eight hours, a day."""

IN_VAIN_PER_S, MAX_IN_VAIN = 1 / 120, 8.0
"""Dials in vain to one neighbourhood: eight, and one every two minutes from then on."""

ALL_IN_VAIN_PER_S, MAX_ALL_IN_VAIN = 1.0, 32.0
"""Dials in vain to anywhere: as many as peers that a node looks for, and one a second from then on."""

MAX_REMEMBERED = 4096
"""Endpoints where nobody was reached; all together it takes an hour to get that many."""


class Hearsay:
    """Says which told addresses may be dialled now.  ``clock`` gives seconds."""

    def __init__(self, clock: Clock = trio.current_time) -> None:
        self._clock = clock
        self._all = TokenBucket(ALL_IN_VAIN_PER_S, MAX_ALL_IN_VAIN, clock)
        self._places = Buckets(IN_VAIN_PER_S, MAX_IN_VAIN, clock)
        self._in_vain: Newest[tuple[str, int], tuple[int, float]] = Newest(MAX_REMEMBERED)

    def is_shut(self, address: PeerAddress) -> bool:
        """Whether nobody was reached there of late."""
        _, until = self._in_vain.get((address.host, address.port), (0, 0.0))
        return self._clock() < until

    def begin(self, address: PeerAddress) -> bool:
        """Whether to dial now.  If so, it is in vain until another method says otherwise."""
        if self.is_shut(address) or not self._all.take():
            return False
        if not self._places.take(origin(address.host)):
            self._all.give_back()
            return False
        self._shut(address)
        return True

    def reached(self, address: PeerAddress) -> None:
        """It is where that peer is: the dial cost nothing, and what went wrong before is over."""
        self._in_vain.pop((address.host, address.port), None)
        self._all.give_back()
        self._places.give_back(origin(address.host))

    def spare(self, address: PeerAddress) -> None:
        """The dial says nothing about who is there: what it cost is spent, and it may be dialled again."""
        self._in_vain.pop((address.host, address.port), None)

    def _shut(self, address: PeerAddress) -> None:
        endpoint = address.host, address.port
        times, _ = self._in_vain.get(endpoint, (0, 0.0))
        pause_s = min(MAX_PAUSE_S, FIRST_PAUSE_S * PAUSE_FACTOR ** min(times, 9))
        self._in_vain.renew(endpoint, (times + 1, self._clock() + pause_s))
