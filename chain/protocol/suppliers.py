"""The peers that could bring blocks: what each claims, what it has shown of that, and what it was asked for.

A claim costs nothing, so it buys nothing but one small question.  Who answers comes before who only claims, the faster
before the slower; who fails comes last and rests, longer each time; and who never makes its claim good loses its place.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from chain.base.newest import Newest
from chain.protocol.events import Peer, Request
from chain.protocol.messages import GetBlocks, GetHeadings, Status
from chain.protocol.pace import FIRST_BYTES, PATIENCE_MS, TARGET_MS, Pace, patience_ms

# What a peer said that it lacks it may have later: it fetches what it lost, too.
LACKING_MS = 30_000
# More claims than the peers that a node keeps; the oldest is forgotten first.
MAX_STATUSES = 256
# Machines of one validator that are known as such, the newest: while it moves there are two.  Its key could vouch for
# any number.
MAX_MACHINES = 2
# A peer that failed is not asked for so long; twice as long each time, up to the limit.
REST_MS = 2_000
MAX_REST_MS = 300_000
# So many failures in a row, over two minutes, and a peer makes room for another.
MAX_FAILURES = 7
# So much more than what is on its way is asked for as comes in so long: enough that the line is never idle, and little
# enough that what else uses it is not drowned, and that nobody is late because of what was asked of others before.
LINE_MS = 1_000
# As long as no line is known: to ask one peer after the other would take the first seconds on a long one.
FIRST_LINE_BYTES = 3 * FIRST_BYTES
# How large a reply is, who sends it says: beyond what it was asked for that is believed up to so many times what came.
CREDIT = 8
NO_CEILING = 2**64


class Supplier:
    """One peer: its claim, and its pace.

    ``is_hearsay`` says that it did not claim this itself, but passed on a block that would make it so.
    ``trail`` is the last header that it showed, b"" for none, on the way to the head ``trail_to``; ``is_aside`` says
    that this was on another branch than ours, so that its next headers begin after it; ``back`` is how far before that,
    or before the usual height, they do; ``ceiling`` the height from which on it had no blocks when it was asked, and
    ``floor`` that below which it said so, which holds until ``floor_until_ms``.
    ``is_known`` says that the operator named it, or that it is a machine of ``validator``; ``has_delivered`` that it
    ever brought what it was asked for.
    """

    def __init__(self, peer: Peer, status: Status, number: int) -> None:
        self.peer = peer
        self.status = status
        self.number = number
        self.is_hearsay = False
        self.is_known = False
        self.validator = b""
        self.has_delivered = False
        self.trail = b""
        self.trail_height = 0
        self.trail_to = b""
        self.is_aside = False
        self.back = 0
        self.ceiling = NO_CEILING
        self.floor = 0
        self.floor_until_ms = 0
        self.pace = Pace()


@dataclass(slots=True)
class Asked:
    """A request under way.

    ``ids`` are the blocks that are to come, none for headers; ``expected`` the bytes, as far as is known, of which
    ``received`` are here; ``final_height`` up to where our chain was final when it was sent, ``mhp`` up to where that
    which the peer claimed was prevoted.  ``is_claimed`` says that the peer itself claims to have it.  ``came_before``
    is what had come of all peers by then.
    """

    supplier: Supplier
    request: GetHeadings | GetBlocks
    ids: tuple[bytes, ...]
    since_ms: int
    final_height: int
    mhp: int
    expected: int
    is_claimed: bool = True
    received: int = 0
    came_before: int = 0


class Suppliers:
    """All of them by peer.  ``named`` are those that the operator named."""

    def __init__(self, named: Collection[Peer] = ()) -> None:
        self._named = frozenset(named)
        self._by_peer: dict[Peer, Supplier] = {}
        self._count = 0
        self._best_rate = 0
        self._asked: dict[tuple[Peer, Request], Asked] = {}
        # Bytes that came in good time, of all peers, and how many a second they were while the last reply was waited
        # for that says something of the line; 0 as long as none did.
        self._came = 0
        self._line_rate = 0
        # Peers that failed, also those that are gone: (how often in a row, not to be asked before).
        self._resting: Newest[Peer, tuple[int, int]] = Newest(MAX_STATUSES)

    def __iter__(self) -> Iterator[Supplier]:
        return iter(self._by_peer.values())

    def get(self, peer: Peer) -> Supplier | None:
        """A peer that claims something, None for another."""
        return self._by_peer.get(peer)

    def note(self, peer: Peer, status: Status, validator: bytes = b"", *, is_hearsay: bool = False) -> None:
        """A peer says where it stands, or that is hearsay; it may be a machine of the ``validator`` with this key."""
        supplier = self._by_peer.get(peer)
        if supplier is None:
            self._count += 1
            supplier = self._by_peer[peer] = Supplier(peer, status, self._count)
        supplier.is_known = supplier.is_known or peer in self._named
        if validator:
            self._vouch(supplier, validator)
        if supplier.status.head_id != status.head_id:
            supplier.back, supplier.ceiling, supplier.floor = 0, NO_CEILING, 0
        supplier.status, supplier.is_hearsay = status, is_hearsay
        self._make_room()

    def retract(self, supplier: Supplier) -> None:
        """What a peer passed on it does not have, and never said so: until it is heard again, it claims nothing."""
        supplier.status = replace(supplier.status, height=0, mhp=0, restart=0)

    def _vouch(self, supplier: Supplier, validator: bytes) -> None:
        """It is known as that validator's, and so are no more than the newest of its machines."""
        supplier.is_known, supplier.validator = True, validator
        machines = [each for each in self if each.validator == validator and each.peer not in self._named]
        for former in sorted(machines, key=lambda each: each.number)[:-MAX_MACHINES]:
            former.is_known = False

    def forget(self, peer: Peer) -> None:
        """A peer is gone, and with it what it was asked for."""
        self._by_peer.pop(peer, None)
        self._compare_rates()
        for key in [key for key in self._asked if key[0] == peer]:
            del self._asked[key]

    def in_order(self, suppliers: Iterable[Supplier]) -> list[Supplier]:
        """Whom to ask first: who failed least, has delivered, is known, delivers most; then who came first."""
        return sorted(suppliers, key=self._place)

    def _place(self, supplier: Supplier) -> tuple[int, bool, bool, int, int]:
        pace = -supplier.pace.ask_bytes
        return self.failures(supplier.peer), not supplier.has_delivered, not supplier.is_known, pace, supplier.number

    @property
    def said_final(self) -> int:
        """Up to which height more than half of the known peers say that blocks are final; 0 where none is known.

        Of other identities everybody has as many as she likes.
        """
        heights = sorted(supplier.status.finalized_height for supplier in self if supplier.is_known)
        return heights[(len(heights) - 1) // 2] if heights else 0

    def _make_room(self) -> None:
        if len(self._by_peer) > MAX_STATUSES:
            strangers = (peer for peer, supplier in self._by_peer.items() if not supplier.is_known)
            self.forget(next(strangers, next(iter(self._by_peer))))

    # ------------------------------------------------------------------------------------- what came of asking them

    def delivered(self, supplier: Supplier, size: int, took_ms: int) -> None:
        """A peer brought what it was asked for: what it failed at before is forgotten."""
        self._resting.pop(supplier.peer, None)
        supplier.has_delivered = True
        supplier.pace.arrived(size, took_ms)
        self._compare_rates()

    def failed(self, supplier: Supplier, now_ms: int) -> None:
        """A peer's claim proved empty, or it did not answer: others come first for a while."""
        times, _ = self._resting.get(supplier.peer, (0, 0))
        self._resting.renew(supplier.peer, (times + 1, now_ms + min(REST_MS << min(times, 16), MAX_REST_MS)))
        supplier.is_aside, supplier.trail_to = False, b""
        supplier.pace.failed()

    def _compare_rates(self) -> None:
        self._best_rate = max((each.pace.rate for each in self), default=0)

    def failures(self, peer: Peer) -> int:
        """How often in a row a peer failed."""
        return self._resting.get(peer, (0, 0))[0]

    def rests(self, supplier: Supplier, now_ms: int) -> bool:
        """Whether a peer failed lately."""
        _, until_ms = self._resting.get(supplier.peer, (0, 0))
        return now_ms < until_ms <= now_ms + MAX_REST_MS  # a clock that jumped back must not silence a peer

    def lacks(self, supplier: Supplier, up_to: int, now_ms: int) -> None:
        """A peer said that it does not have blocks up to this height any more: no failure, and others are asked."""
        supplier.floor, supplier.floor_until_ms = up_to + 1, now_ms + LACKING_MS

    def floor(self, supplier: Supplier, now_ms: int) -> int:
        """From which height on a peer is worth asking for blocks, by its claim and by what it said when asked."""
        is_told = now_ms < supplier.floor_until_ms <= now_ms + LACKING_MS
        return max(supplier.status.oldest_body, supplier.floor if is_told else 0)

    def has_lost_its_place(self, peer: Peer) -> bool:
        """Whether another peer had better have the place of this one; never of one that is known."""
        supplier = self._by_peer.get(peer)
        return supplier is not None and not supplier.is_known and self.failures(peer) >= MAX_FAILURES

    # --------------------------------------------------------------------------------------- what they are asked for

    @property
    def asked(self) -> Collection[Asked]:
        """Every request under way."""
        return self._asked.values()

    def ask(self, asked: Asked) -> None:
        """A request leaves."""
        asked.came_before = self._came
        self._asked[asked.supplier.peer, asked.request] = asked

    def is_asked(self, peer: Peer, request: Request) -> bool:
        """Whether a reply is one that is waited for."""
        return (peer, request) in self._asked

    def close(self, peer: Peer, request: Request) -> Asked | None:
        """A request has come to its end; None where there was no such one."""
        return self._asked.pop((peer, request), None)

    def under_way(self, peer: Peer, request: Request, received: int, size: int, now_ms: int) -> None:
        """Of a reply of ``size`` bytes so many are here."""
        asked = self._asked.get((peer, request))
        if asked is not None:
            self._count_in(asked, received, now_ms)
            asked.expected = size

    def arrived(self, asked: Asked, size: int, now_ms: int) -> None:
        """A reply is here, of so many bytes: what the line brought meanwhile, of all peers, is what it can."""
        self._count_in(asked, size, now_ms)
        took_ms, came = now_ms - asked.since_ms, self._came - asked.came_before
        if took_ms > TARGET_MS or 2 * came >= self._room:
            self._line_rate = max(1, came * 1_000 // max(1, took_ms))

    def _count_in(self, asked: Asked, received: int, now_ms: int) -> None:
        """What is late does not count: another is asked for the same, and the line has room for that alone."""
        if not self.is_late(asked, now_ms):
            self._came += max(0, received - asked.received)
        asked.received = received

    def has_room(self, now_ms: int, *, beside_silent: bool = True) -> bool:
        """Whether the line, as far as it is known, can take more blocks than those on their way.

        ``beside_silent`` says whether those count of which nothing came although it could.
        """
        coming = (each for each in self.asked if each.ids and not self.is_late(each, now_ms))
        counted = (each for each in coming if beside_silent or not self.is_silent(each, now_ms))
        return sum(max(0, each.expected - each.received) for each in counted) < self._room

    @property
    def _room(self) -> int:
        return max(FIRST_BYTES, self._line_rate * LINE_MS // 1_000) if self._line_rate else FIRST_LINE_BYTES

    def late_at_ms(self, asked: Asked) -> int:
        """When to ask another for the same."""
        credible = max(asked.request.max_bytes, CREDIT * asked.received)
        return asked.since_ms + patience_ms(min(asked.expected, credible), asked.received, self._best_rate)

    def is_late(self, asked: Asked, now_ms: int) -> bool:
        """Whether a reply takes longer than the peer's line can explain, or the clock jumped."""
        return not asked.since_ms <= now_ms < self.late_at_ms(asked)

    def silent_at_ms(self, asked: Asked) -> int | None:
        """From when on a reply of which nothing is here is no good sign."""
        return None if asked.received else asked.since_ms + PATIENCE_MS

    def is_silent(self, asked: Asked, now_ms: int) -> bool:
        """Whether of a reply nothing came yet although it could."""
        silent_ms = self.silent_at_ms(asked)
        return silent_ms is not None and now_ms >= silent_ms

    def is_full(self, asked: Asked, count: int, size: int, *, is_whole: bool) -> bool:
        """Whether so many items of ``size`` bytes are all that was asked for or is there, or about as many bytes."""
        request = asked.request
        return count > 0 and (is_whole or count == request.count or 2 * size >= request.max_bytes)
