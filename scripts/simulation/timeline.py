"""What happened, as text and as one hash."""

from __future__ import annotations

from hashlib import sha256

from scripts.simulation.schedule import Schedule


class Timeline:
    """Every line of a history goes into its hash; the lines themselves are kept only where somebody reads them."""

    def __init__(self, schedule: Schedule, start_ms: int, slot_ms: int, *, keep: bool) -> None:
        self.lines: list[str] = []
        self._schedule = schedule
        self._start_ms = start_ms
        self._slot_ms = slot_ms
        self._keep = keep
        self._digest = sha256()

    def say(self, who: str, text: str) -> None:
        """A line for people."""
        passed_ms = self._schedule.now_ms - self._start_ms
        line = f"{passed_ms // 1000:5d}.{passed_ms % 1000:03d}s slot {passed_ms // self._slot_ms:<4d} {who:<8} {text}"
        self._digest.update(line.encode() + b"\n")
        if self._keep:
            self.lines.append(line)

    def trace(self, who: str, what: str) -> None:
        """Something too small to be told, which the hash covers all the same."""
        self._digest.update(f"{self._schedule.now_ms} {who} {what}\n".encode())

    def digest(self) -> str:
        """The hash of all that was said so far."""
        return self._digest.hexdigest()
