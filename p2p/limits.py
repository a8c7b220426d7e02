"""Counting what peers do, so that no one of them can use up a node."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio

from chain.base.newest import Newest

Clock = Callable[[], float]

TRAFFIC: Counter[str] = Counter()
"""Bytes that the connections of this process carried, before encryption: ``sent`` with their framing, ``received``
without."""

MAX_RATED = 1024
"""Peers or hosts whose rate is remembered: more than can be connected in the time a bucket takes to refill."""


class TokenBucket:
    """``burst`` things at once and ``rate_per_s`` of them in the long run."""

    def __init__(self, rate_per_s: float, burst: float, clock: Clock = trio.current_time) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._clock = clock
        self._tokens = burst
        self._filled_at = clock()

    def take(self, amount: float = 1.0) -> bool:
        """Whether ``amount`` is still within the limit; if so it is spent."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate_per_s)
        self._filled_at = now
        if amount > self._tokens:
            return False
        self._tokens -= amount
        return True

    def give_back(self, amount: float = 1.0) -> None:
        """What was taken was not used."""
        self._tokens = min(self._burst, self._tokens + amount)


class Buckets:
    """A bucket for each of the latest :data:`MAX_RATED` peers or hosts; a new connection is no new bucket."""

    def __init__(self, rate_per_s: float, burst: float, clock: Clock = trio.current_time) -> None:
        self._rate = (rate_per_s, burst, clock)
        self._buckets: Newest[str, TokenBucket] = Newest(MAX_RATED)

    def take(self, key: str, amount: float = 1.0) -> bool:
        """Whether ``amount`` is still within the limit of ``key``; if so it is spent."""
        bucket = self._buckets.get(key) or TokenBucket(*self._rate)
        self._buckets.renew(key, bucket)
        return bucket.take(amount)

    def give_back(self, key: str, amount: float = 1.0) -> None:
        """What ``key`` took was not used."""
        if key in self._buckets:
            self._buckets[key].give_back(amount)


class Debts:
    """What owners took beyond their due: ``rate_per_s`` of it is forgiven each second, ``burst`` is lent."""

    def __init__(self, rate_per_s: float, burst: float, clock: Clock = trio.current_time) -> None:
        self._rate_per_s = rate_per_s
        self._credit_s = burst / rate_per_s
        self._clock = clock
        self._paid_at: Newest[str, float] = Newest(MAX_RATED)

    def charge(self, owner: str, amount: float) -> None:
        """An owner took so much more."""
        paid_at = max(self._paid_at.get(owner, 0.0), self._clock())
        self._paid_at.renew(owner, paid_at + amount / self._rate_per_s)

    def wait_s(self, owner: str) -> float:
        """How long until this owner may take more."""
        return max(0.0, self._paid_at.get(owner, 0.0) - self._credit_s - self._clock())


class Commons:
    """Something that is scarce, in rates as of :class:`Debts`: what one owner may take, and what all together.

    One origin gets its share whatever all together owe.  Without that, who takes all there is under a few names would
    have every other wait.
    """

    def __init__(
        self,
        each: tuple[float, float],
        all_together: tuple[float, float],
        share: tuple[float, float],
        clock: Clock = trio.current_time,
    ) -> None:
        self._debts = Debts(*each, clock)
        self._shares = Debts(*share, clock)
        self._all_debts = Debts(*all_together, clock)

    def charge(self, owner: str, origin: str, amount: float) -> None:
        """An owner took so much more."""
        self._debts.charge(owner, amount)
        self._shares.charge(origin, amount)
        self._all_debts.charge("", amount)

    def own_wait_s(self, owner: str) -> float:
        """How long until this owner may take more, whatever others took."""
        return self._debts.wait_s(owner)

    def wait_s(self, owner: str, origin: str) -> float:
        """How long until it may where others are to be considered, too."""
        return max(self.own_wait_s(owner), min(self._all_debts.wait_s(""), self._shares.wait_s(origin)))


class Places:
    """``count`` places, of which one owner holds at most ``share``.

    A newcomer waits ``wait_s`` for one.  Where there is none, whoever has held one longest gives way, but not
    before ``grace_s``: being slow gains a peer that much, and costs it nothing while nobody waits.
    """

    def __init__(self, count: int, share: int, *, grace_s: float, wait_s: float) -> None:
        self._count = count
        self._share = share
        self._grace_s = grace_s
        self._wait_s = wait_s
        self._held: dict[trio.CancelScope, float] = {}  # since when; the longest comes first
        self._lines: defaultdict[str, list[trio.CancelScope]] = defaultdict(list)
        self._waiting = trio.lowlevel.ParkingLot()

    def __len__(self) -> int:
        return len(self._held)

    @asynccontextmanager
    async def hold(self, owner: str) -> AsyncIterator[None]:
        """Hold a place inside.  The inside is cancelled, and that alone, when another gets the place.

        Raises ``trio.TooSlowError`` where none became free.
        """
        line = self._lines[owner]
        with trio.CancelScope() as scope:
            line.append(scope)
            try:
                with trio.fail_after(self._wait_s):
                    while not self._enter(scope, line):
                        with trio.move_on_after(self._grace_s):
                            await self._waiting.park()
                yield
            finally:
                self._held.pop(scope, None)
                line.remove(scope)
                if not line:
                    self._lines.pop(owner, None)
                self._waiting.unpark_all()

    def _enter(self, scope: trio.CancelScope, line: list[trio.CancelScope]) -> bool:
        now = trio.current_time()
        mine = [other for other in line if other in self._held]
        if len(mine) >= self._share or len(self._held) >= self._count:
            # Of its own where it has its share, else of all.
            longest = mine[0] if len(mine) >= self._share else next(iter(self._held))
            if now - self._held[longest] < self._grace_s:
                return False
            del self._held[longest]
            longest.cancel()
        self._held[scope] = now
        return True


class Backlog:
    """What one peer has under way here.  A full backlog makes its sender wait and nobody else."""

    def __init__(self, max_count: int, max_bytes: int) -> None:
        self._max_count = max_count
        self._max_bytes = max_bytes
        self._count = 0
        self._bytes = 0
        self._waiting = trio.lowlevel.ParkingLot()

    async def enter(self, size: int) -> None:
        """Wait until ``size`` more bytes fit.  Something larger than the whole backlog goes alone."""
        while self._count and (self._count >= self._max_count or self._bytes + size > self._max_bytes):
            await self._waiting.park()
        self._count += 1
        self._bytes += size

    def leave(self, size: int) -> None:
        self._count -= 1
        self._bytes -= size
        self._waiting.unpark_all()
