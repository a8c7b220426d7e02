"""When what is sent over a link arrives, and what a cut stops: one rule for the proxy and for the simulator.

A link is two lines, one each way.  A piece waits until what was sent before it is through (``kbit_s``), travels for
``latency_ms`` give or take ``jitter_ms``, and never overtakes.  **Loss** is that of segments below TCP, which nobody
above ever sees as such: a piece of which a segment is lost comes later by a retransmission (a round trip, and no less
than 200 ms as Linux waits, RFC 6298 says a second), and all behind it waits.  What TCP makes of loss beside that, a
smaller window, is not modelled: ``kbit_s`` says how much goes through.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from scripts.manifest_parts.things import Line, Lines, Manifest

SEGMENT_BYTES = 1_448
RETRANSMIT_MS = 200

Way = tuple[str, str]


class OneWay:
    """What one sends to another; ``carried`` are the bytes so far."""

    def __init__(self, nature: Line, random: Random) -> None:
        self.nature = nature
        self.carried = 0
        self._random = random
        self._free_us = 0
        self._last_ms = 0

    def arrival_ms(self, now_ms: int, size: int) -> int:
        """When ``size`` bytes that are sent now have arrived; calls come in the order of their time."""
        nature = self.nature
        self.carried += size
        sending_us = -(-8_000 * size // nature.kbit_s) if nature.kbit_s else 0
        self._free_us = max(self._free_us, 1_000 * now_ms) + sending_us
        way_ms = nature.latency_ms + self._random.randint(-nature.jitter_ms, nature.jitter_ms)
        arrival_ms = -(-self._free_us // 1_000) + way_ms + (self._stall_ms() if self._is_lost(size) else 0)
        self._last_ms = max(self._last_ms, arrival_ms)
        return self._last_ms

    def _is_lost(self, size: int) -> bool:
        segments = -(-size // SEGMENT_BYTES) if self.nature.loss else 0
        return any(self._random.randrange(1_000) < self.nature.loss for _ in range(segments))

    def _stall_ms(self) -> int:
        return max(RETRANSMIT_MS, 2 * self.nature.latency_ms)


class Links:
    """All links of a manifest.  Who is no node of it is a stranger, and its links are as most are."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._random = Random(f"links {manifest.seed}")
        self._natures: dict[Way, Line] = {}
        self._ways: dict[Way, OneWay] = {}
        self._cuts: dict[str, frozenset[Way]] = {}
        for lines in manifest.lines:
            self.change(lines)

    def way(self, sender: str, receiver: str) -> OneWay:
        """One direction of a link."""
        key = (sender, receiver)
        if key not in self._ways:
            self._ways[key] = OneWay(self._natures.get(key, self._manifest.line), self._random)
        return self._ways[key]

    def change(self, lines: Lines) -> None:
        """Links are like this from now on."""
        for key in _both_ways(lines.nodes, self._manifest.others(lines)):
            self._natures[key] = self.way(*key).nature = lines

    def cut(self, name: str, nodes: Iterable[str], others: Iterable[str]) -> frozenset[Way]:
        """Nothing passes; the ways that are cut."""
        self._cuts[name] = frozenset(_both_ways(nodes, others))
        return self._cuts[name]

    def heal(self, name: str) -> frozenset[Way]:
        """A cut is over; the ways that are open again."""
        ways = self._cuts.pop(name)
        return frozenset(way for way in ways if not self.is_cut(*way))

    def is_cut(self, sender: str, receiver: str) -> bool:
        """Whether nothing passes there at present."""
        return any((sender, receiver) in ways for ways in self._cuts.values())


def _both_ways(nodes: Iterable[str], others: Iterable[str]) -> list[Way]:
    pairs = [(one, two) for one in nodes for two in others]
    return [*pairs, *((two, one) for one, two in pairs)]
