"""The virtual clock and its queue."""

from __future__ import annotations

import heapq
from collections.abc import Callable

Action = Callable[[], None]


class Schedule:
    """Actions in the order of their time; those of the same millisecond in the order they were asked for."""

    def __init__(self, start_ms: int) -> None:
        self.now_ms = start_ms
        self.count = 0
        self._queue: list[tuple[int, int, Action]] = []

    def later(self, delay_ms: int, action: Action) -> None:
        """Do ``action`` in ``delay_ms`` milliseconds."""
        self.count += 1
        heapq.heappush(self._queue, (self.now_ms + delay_ms, self.count, action))

    def run_until(self, end_ms: int) -> None:
        """Let time pass."""
        queue = self._queue
        while queue and queue[0][0] <= end_ms:
            self.now_ms, _, action = heapq.heappop(queue)
            action()
        self.now_ms = end_ms
