"""The two clocks of a machine, which can go wrong, and the time that its node makes of them."""

from __future__ import annotations

from chain.protocol.clock import SteeredClock
from scripts.simulation.schedule import Schedule


class Clocks:
    """A wall clock, that shows ``offset_ms`` beyond the true time when it is set, and a monotonic one; both drift."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self.offset_ms = 0
        self._drift_ppm = 0
        self._drift_since_ms = schedule.now_ms
        self._drifted_ms = 0
        self._stands_at_ms: int | None = None
        self._steered = SteeredClock(schedule.now_ms, schedule.now_ms)
        self._read_at_ms = -1
        self._now_ms = 0

    def start(self) -> None:
        """A node starts, and knows nothing but what both show."""
        self._steered, self._read_at_ms = SteeredClock(self._monotonic_ms, self._wall_ms), -1

    @property
    def now_ms(self) -> int:
        """What time the node goes by; within a millisecond only a clock that is set shows another."""
        if self._read_at_ms != self._schedule.now_ms:
            self._read_at_ms = self._schedule.now_ms
            self._now_ms = self._steered.read(self._monotonic_ms, self._wall_ms)
        return self._now_ms

    def set(self, offset_ms: int, drift_ppm: int) -> None:
        """The wall clock steps to the true time plus ``offset_ms``, and both drift from there."""
        self._drifted_ms += self._drift_ms
        self.offset_ms, self._drift_ppm, self._drift_since_ms = offset_ms, drift_ppm, self._schedule.now_ms

    def take_step(self) -> int | None:
        """By how much the wall clock is ahead now, where that is news."""
        self._steered.read(self._monotonic_ms, self._wall_ms)
        return self._steered.take_step()

    def adopt(self) -> None:
        """The node follows its wall clock."""
        self._steered.adopt()
        self._read_at_ms = -1

    @property
    def is_frozen(self) -> bool:
        """Whether the monotonic clock stands still."""
        return self._stands_at_ms is not None

    def freeze(self) -> None:
        """The machine stands still, and its monotonic clock with it."""
        self._stands_at_ms = self._monotonic_ms

    def thaw(self, missed_ms: int = 0) -> None:
        """It goes on, and its monotonic clock has missed so much."""
        self._drifted_ms -= missed_ms
        self._stands_at_ms = None

    @property
    def _drift_ms(self) -> int:
        passed_ms = self._schedule.now_ms - self._drift_since_ms
        return passed_ms * self._drift_ppm // 1_000_000 if self._drift_ppm else 0

    @property
    def _monotonic_ms(self) -> int:
        if self._stands_at_ms is not None:
            return self._stands_at_ms
        return self._schedule.now_ms + self._drifted_ms + self._drift_ms

    @property
    def _wall_ms(self) -> int:
        return self._schedule.now_ms + self.offset_ms + self._drift_ms
