"""What to submit next: a state machine over the positions of a plan, without clock or network.

A position is *waiting* until it is taken, *out* once it is with a node, and ends *final* or *refused*.  What is
out and does not become final within ``patience_ms`` is offered again, to whichever node asks next: a node can
die with what it took, and gossip can lose what it sent.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence

from chain.base.errors import Disposition, Reason, Refused

# 250 transactions are about 36 kB: one message of gossip.
BATCH = 250
# Enough for several blocks in flight, a fifth of a mempool.
MAX_OUTSTANDING = 8_000
# "Later" usually means that a block has to come first.
RETRY_MS = 1_000

# Where the same transaction is in a pool or a block already; whether it becomes final is seen on the chain.
_ALREADY_THERE = frozenset({Reason.DUPLICATE, Reason.NONCE_USED, Reason.NONCE_TAKEN, Reason.ALREADY_ENROLLED})


class Feed:
    """Positions ``0 … total - 1`` on their way to finality.  All times are milliseconds of one clock."""

    def __init__(self, total: int, patience_ms: int) -> None:
        self.total = total
        self.patience_ms = patience_ms
        self.refused: Counter[str] = Counter()
        self.resubmitted = 0
        self._next = 0
        self._final_ahead = 0  # final before they were taken, by an earlier run
        self._final = bytearray(total)
        self._final_count = 0
        self._refused: set[int] = set()
        self._out: dict[int, None] = {}
        self._due: list[tuple[int, int]] = []  # a heap: when to offer which position again
        self._returned: dict[int, None] = {}  # to be offered at once
        self._closed = False

    @property
    def submitted(self) -> int:
        """Positions that were taken at least once, or were final before."""
        return self._next + self._final_ahead

    @property
    def final(self) -> int:
        """Positions seen in a final block."""
        return self._final_count

    @property
    def outstanding(self) -> int:
        """Positions taken that are neither final nor refused."""
        return len(self._out)

    @property
    def lost(self) -> int:
        """Submitted, not refused and not final.  At the end it must be zero."""
        return self.submitted - self.final - len(self._refused)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to submit or to wait for."""
        return not self._out and (self._closed or self._next == self.total)

    @property
    def horizon(self) -> int:
        """The next position that was never taken; what lies before it is signed."""
        return self._next

    def close(self) -> None:
        """Submit nothing new; what is out is still followed to its end."""
        self._closed = True

    def take(self, now_ms: int, signed: int) -> list[int]:
        """The next positions for one node, at most :data:`BATCH` of them, those to be repeated first.

        Only positions below ``signed`` can be taken.  Each comes back through :meth:`settle` or
        :meth:`give_back`.
        """
        batch = self._repeated(now_ms)
        while (
            len(batch) < BATCH
            and not self._closed
            and self._next < min(signed, self.total)
            and len(self._out) < MAX_OUTSTANDING
        ):
            position = self._next
            self._next += 1
            if self._final[position]:
                self._final_ahead -= 1
                continue
            self._out[position] = None
            batch.append(position)
        return batch

    def _repeated(self, now_ms: int) -> list[int]:
        batch: list[int] = []
        while self._returned and len(batch) < BATCH:
            position = next(iter(self._returned))
            del self._returned[position]
            if position in self._out:
                batch.append(position)
        while self._due and self._due[0][0] <= now_ms and len(batch) < BATCH:
            _, position = heapq.heappop(self._due)
            if position in self._out:
                batch.append(position)
        self.resubmitted += len(batch)
        return batch

    def settle(self, batch: Sequence[int], outcomes: Sequence[Refused | None], now_ms: int) -> None:
        """A node answered: None for each that it took."""
        for position, outcome in zip(batch, outcomes, strict=True):
            if position not in self._out:
                continue  # became final in the meantime
            if outcome is None or outcome.reason in _ALREADY_THERE:
                heapq.heappush(self._due, (now_ms + self.patience_ms, position))
            elif outcome.reason.disposition is Disposition.LATER:
                heapq.heappush(self._due, (now_ms + RETRY_MS, position))
            else:
                del self._out[position]
                self._refused.add(position)
                self.refused[outcome.reason.code] += 1

    def give_back(self, batch: Sequence[int]) -> None:
        """The node did not answer: offer these to the next one."""
        self._returned.update(dict.fromkeys(batch))

    def confirm(self, position: int) -> None:
        """A final block holds this position."""
        if self._final[position]:
            return
        self._final[position] = 1
        self._final_count += 1
        self._final_ahead += position >= self._next
        self._out.pop(position, None)
        self._refused.discard(position)  # another node had it in a block
