"""What happens at a node, told to whoever listens: the last events in a ring, and nothing kept for anybody.

A listener says up to where it knows them.  Who is too slow finds that the ring has moved on, and is told how many
events it lost; it cost nobody anything.
"""

from __future__ import annotations

import json
from collections import deque
from typing import NamedTuple

import trio

from chain.documents.people import Document

MAX_EVENTS = 1_024
"""A quarter of an hour of one-second slots with a head and finality each."""


class Told(NamedTuple):
    """An event: its number, its name and its JSON."""

    seq: int
    kind: str
    data: str


class Broadcast:
    """The last :data:`MAX_EVENTS` events."""

    def __init__(self) -> None:
        self._ring: deque[Told] = deque(maxlen=MAX_EVENTS)
        self._waiting = trio.lowlevel.ParkingLot()
        self.seq = 0
        self.listeners = 0

    def tell(self, kind: str, document: Document) -> None:
        """Something happened."""
        self.seq += 1
        self._ring.append(Told(self.seq, kind, json.dumps(document)))
        self._waiting.unpark_all()

    def after(self, seq: int) -> tuple[int, list[Told]]:
        """How many events after the number ``seq`` are forgotten, and those that are not."""
        if seq > self.seq:  # of a node before this one
            seq = 0
        oldest = self._ring[0].seq if self._ring else self.seq + 1
        return max(0, oldest - seq - 1), [told for told in self._ring if told.seq > seq]

    async def wait(self, seq: int) -> None:
        """Until there is an event after ``seq``."""
        while self.seq == seq:
            await self._waiting.park()
