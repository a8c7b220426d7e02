"""How fast to submit: as fast as the nodes put transactions into blocks, found by trying.

A burst of thousands of transactions keeps every node so busy that leaders miss their slots; the same number
spread over the slots does not.  So the rate rises while the mempools stay as small as two slots make them, and
falls when they grow (additive increase, multiplicative decrease; Chiu and Jain, "Analysis of the Increase and
Decrease Algorithms for Congestion Avoidance", 1989).
"""

from __future__ import annotations

from scripts.testnet_parts.feed import BATCH

START_PER_S = 600
MIN_PER_S = 100
# Far above what one machine carries; the ceiling of two cores is about 3,700.
MAX_PER_S = 20_000
# At first by a tenth at a time, and from the first sign of congestion on by little.
FIRST_STEPS_PERCENT = 110
STEP_PER_S = 20
CUT_PERCENT = 75
# What a leader finds waiting when the one before it missed its slot.
PATIENT_SLOTS = 2
# Unused permission does not add up to a burst.
MAX_SAVED_MS = 500
# The status comes twice a second, and what a change does shows in the next block.
MIN_CHANGE_MS = 1_000


class Pace:
    """A token bucket whose rate follows the mempools, up to ``max_per_s``.  All times are milliseconds of one clock."""

    def __init__(self, slot_ms: int, now_ms: int, max_per_s: int = MAX_PER_S) -> None:
        self.per_s = min(START_PER_S, max_per_s)
        self._max_per_s = max_per_s
        self._slot_ms = slot_ms
        self._now_ms = now_ms
        self._saved_milli = 0  # thousandths of a transaction
        self._spent = 0  # since the last change
        self._changed_ms = now_ms
        self._was_congested = False
        self._next_change_ms = now_ms + MIN_CHANGE_MS

    def allowed(self, now_ms: int) -> int:
        """How many transactions may be submitted now."""
        most = self.per_s * MAX_SAVED_MS + 1_000 * BATCH
        self._saved_milli = min(most, self._saved_milli + self.per_s * (now_ms - self._now_ms))
        self._now_ms = now_ms
        return self._saved_milli // 1_000

    def spend(self, count: int) -> None:
        """``count`` transactions were submitted."""
        self._saved_milli -= 1_000 * count
        self._spent += count

    def observe(self, waiting: int, now_ms: int) -> None:
        """The fullest mempool holds ``waiting`` transactions: go faster, or slower.  At most one change a slot."""
        if now_ms < self._next_change_ms:
            return
        if waiting > PATIENT_SLOTS * self.per_s * self._slot_ms // 1_000 + BATCH:
            self.per_s = max(MIN_PER_S, self.per_s * CUT_PERCENT // 100)
            self._was_congested = True
            self._next_change_ms = now_ms + 3 * self._slot_ms  # until the change shows
        else:
            # A rate that something else holds down was not tried, and says nothing about a higher one.
            if 10_000 * self._spent >= 8 * self.per_s * (now_ms - self._changed_ms):
                faster = self.per_s + STEP_PER_S if self._was_congested else self.per_s * FIRST_STEPS_PERCENT // 100
                self.per_s = min(self._max_per_s, faster)
            self._next_change_ms = now_ms + max(MIN_CHANGE_MS, self._slot_ms)
        self._spent, self._changed_ms = 0, now_ms
