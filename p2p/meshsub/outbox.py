"""What waits for one peer: frames that are shared by all peers to whom they go, bounded in number and bytes."""

from __future__ import annotations

from collections import deque

import trio

MAX_QUEUED_FRAMES = 4096
MAX_QUEUED_BYTES = 2 * 1024 * 1024
"""Half a minute of a slow line (600 kbit/s).  What is dropped beyond it is offered again by IHAVE."""


class Outbox:
    """The frames for one peer, in order."""

    def __init__(self) -> None:
        self._frames: deque[bytes] = deque()
        self._bytes = 0
        self._filled = trio.Event()

    def __len__(self) -> int:
        return len(self._frames)

    def put(self, frame: bytes) -> bool:
        """Whether there was room.  A single frame of any size finds it where nothing waits."""
        full = len(self._frames) >= MAX_QUEUED_FRAMES or self._bytes + len(frame) > MAX_QUEUED_BYTES
        if full and self._frames:
            return False
        self._frames.append(frame)
        self._bytes += len(frame)
        self._filled.set()
        return True

    async def take(self) -> bytes:
        """The next frame, once there is one."""
        await self._filled.wait()
        frame = self._frames.popleft()
        self._bytes -= len(frame)
        if not self._frames:
            self._filled = trio.Event()
        return frame

    def clear(self) -> None:
        """Give up what waits."""
        self._frames.clear()
        self._bytes = 0
        self._filled = trio.Event()
