"""Answers take turns: one after the other, and altogether so much of the time at most.

They are made in the node's own process, which has one interpreter: while one is made, neither a block nor a vote is.
Who asks as fast as it is answered, or in a crowd, is answered more slowly instead.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from p2p.limits import Clock, Debts
from p2p.local.problems import Problem

SHARE = 0.5
"""Of the time that passes, not of CPU time: on a busy machine the same answer takes longer, and so does the rest after
it.  A validator that is never idle gets its core late when a slot begins."""

AT_ONCE_S = 1.0
"""So much is lent: a page that opens asks for a few hundred answers at most."""

AROUND_S = 0.001
"""What an answer takes beside being made: reading what is asked, and sending, on a core that is free."""

PATIENCE_S = 5.0
"""Whoever would wait longer is told to come back; a storm of those who do at once is slowed down by this, too."""

MAX_WAITING = 256
"""In one line: as many as callers, where each asks one question at a time."""

AGAIN_S = 5


class Turns:
    """Lines of those who ask, and what their answers took of the time."""

    def __init__(self, clock: Clock = trio.current_time) -> None:
        self._clock = clock
        self._taken = Debts(SHARE, AT_ONCE_S, clock)
        self._lines: defaultdict[str, trio.Lock] = defaultdict(trio.Lock)

    @asynccontextmanager
    async def take(self, line: str) -> AsyncIterator[None]:
        """Inside it is the caller's turn among those of a ``line``.

        Raises :class:`Problem` 503 where that does not come within :data:`PATIENCE_S`.
        """
        lock = self._lines[line]
        await self._wait(lock)
        began_s = self._clock()
        try:
            yield
        finally:
            lock.release()
            self._taken.charge("", self._clock() - began_s + AROUND_S)

    async def _wait(self, lock: trio.Lock) -> None:
        with trio.move_on_after(PATIENCE_S if lock.statistics().tasks_waiting < MAX_WAITING else 0):
            await lock.acquire()
            try:
                await trio.sleep(self._taken.wait_s(""))
            except trio.Cancelled:
                lock.release()
                raise
            return
        raise Problem(503, "too many ask at once; ask again", retry_s=AGAIN_S)
