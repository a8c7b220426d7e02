"""Counting what peers do, so that no one of them can use up a node."""

from __future__ import annotations

from collections.abc import Callable

import trio

Clock = Callable[[], float]


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
