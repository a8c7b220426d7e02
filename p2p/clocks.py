"""What the clocks of this machine show, in milliseconds."""

from __future__ import annotations

import time

# Where there is one, a monotonic clock that goes on while the machine sleeps.
MONOTONIC = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def wall_ms() -> int:
    """What time this machine says it is: Unix milliseconds."""
    return time.time_ns() // 1_000_000


def monotonic_ms() -> int:
    """How long it has been since some moment, whatever the wall clock is set to."""
    return time.clock_gettime_ns(MONOTONIC) // 1_000_000
