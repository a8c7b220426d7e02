"""How much is worth asking a peer for at once, and how long that may take: both follow what came in time.

A fixed amount in a fixed time either starves a slow line, on which it never arrives, or leaves a fast one idle.
"""

from __future__ import annotations

from chain.protocol.messages import REPLY_BYTES

# What a peer is asked for first: on a slow line, 600 kbit/s, it comes within a second.
FIRST_BYTES = 48_000
# Less saves no time: the way there and back takes as long as the reply itself.
MIN_BYTES = 16_000
# A reply is to take about so long: many ways there and back on most lines, and soon enough to tell who is slow.
TARGET_MS = 1_000
# So many times as much is asked for next at most: a line may take what is small at once, and no more.
MAX_GROWTH = 4
# Before so long nobody is slow: two ways around the world, and a busy moment on both sides.
PATIENCE_MS = 1_500
# A peer may take so many times as long as the fastest that is known: they may share one line.
SLACK = 3
# Where nobody's pace is known, a reply that arrives at this rate (bytes a second) is waited for.
SLOWEST = 8_000


class Pace:
    """What one peer was seen to deliver.

    ``ask_bytes`` is what to ask it for at once; ``rate`` the bytes a second of its last reply that said something about
    its line, 0 for none.
    """

    def __init__(self) -> None:
        self.ask_bytes = FIRST_BYTES
        self.rate = 0

    def arrived(self, size: int, took_ms: int) -> None:
        """A reply of ``size`` bytes took so long: grow what came in time and was used up, shrink what came late."""
        rate = size * 1_000 // max(1, took_ms)
        if took_ms > TARGET_MS:
            self.rate = rate
        if took_ms > 2 * TARGET_MS:
            self.ask_bytes = max(MIN_BYTES, min(self.ask_bytes // 2, rate * TARGET_MS // 1_000))
        elif took_ms <= TARGET_MS and 2 * size >= self.ask_bytes:
            self.rate = rate
            in_time = min(MAX_GROWTH * self.ask_bytes, rate * TARGET_MS // 1_000)
            self.ask_bytes = min(max(2 * self.ask_bytes, in_time), REPLY_BYTES)

    def failed(self) -> None:
        """Nothing came: the next try is small."""
        self.ask_bytes = max(MIN_BYTES, self.ask_bytes // 2)


def patience_ms(expected: int, received: int, best_rate: int) -> int:
    """How long a reply of ``expected`` bytes may take, of which ``received`` are here, before another peer is asked.

    ``best_rate`` is the best pace of any peer, 0 where none is known: then what arrives buys time.
    """
    if best_rate:
        return PATIENCE_MS + SLACK * expected * 1_000 // best_rate
    return PATIENCE_MS + received * 1_000 // SLOWEST
