"""Length-prefixed frames on a libp2p stream: the one place where bytes of a stream are read.

The library reads a length byte by byte, and each read of its multiplexer sends a window update of its own.
Reading large pieces instead saves most of the cost of a small message.
"""

from __future__ import annotations

from contextlib import suppress

import trio
from libp2p.abc import INetStream
from libp2p.exceptions import BaseLibp2pError
from libp2p.utils.varint import encode_uvarint

READ_BYTES = 64 * 1024
"""One frame of the multiplexer; a larger read never returns more."""

PIECE_BYTES = 32 * 1024
"""The multiplexer carries a write in frames of twice that, each of which arrives whole or not at all."""

MAX_PREFIX_BYTES = 5
"""A length of 32 bits; every limit of ours is far below."""

LIBRARY_ERRORS = (
    BaseLibp2pError,
    OSError,
    ValueError,
    KeyError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
)
"""What operations on a library's stream were seen to raise when the other side fails or lies."""


class StreamEnded(Exception):
    """The other side closed or broke the stream, or the connection is gone."""


class FrameRefused(Exception):
    """The other side sent a frame that is too large, or no frame at all."""


class FrameReader:
    """The frames of one stream, in order."""

    def __init__(self, stream: INetStream) -> None:
        self._stream = stream
        self._buffer = bytearray()
        self._received = 0

    @property
    def is_dribbled(self) -> bool:
        """Whether of a frame, while it is being waited for, less came than any single write brings.

        Then it was begun and held back on purpose: wherever an honest writer, its line or this node stops, the
        first frame is here altogether, or its first :data:`PIECE_BYTES` are, or nothing is.
        """
        return 0 < self._received < PIECE_BYTES

    async def frame(self, max_bytes: int) -> bytes:
        """The next frame.  Raises :class:`StreamEnded`, or :class:`FrameRefused` before reading a larger one."""
        length = await self._length()
        if length > max_bytes:
            raise FrameRefused(f"a frame of {length} bytes where {max_bytes} are allowed")
        while len(self._buffer) < length:
            await self._fill()
        frame = bytes(self._buffer[:length])
        del self._buffer[:length]
        return frame

    async def ended(self) -> bool:
        """Wait for the end of the stream; False if something else came first."""
        with suppress(StreamEnded):
            await self._fill()
        return not self._buffer

    async def _length(self) -> int:
        length = 0
        for position in range(MAX_PREFIX_BYTES):
            while len(self._buffer) <= position:
                await self._fill()
            byte = self._buffer[position]
            length |= (byte & 0x7F) << (7 * position)
            if byte < 0x80:
                del self._buffer[: position + 1]
                return length
        raise FrameRefused("a length of more than 32 bits")

    async def _fill(self) -> None:
        try:
            piece = await self._stream.read(READ_BYTES)
        except LIBRARY_ERRORS as error:
            raise StreamEnded(repr(error)) from error
        if not piece:
            raise StreamEnded("end of stream")
        self._buffer += piece
        self._received += len(piece)


async def write_frame(stream: INetStream, payload: bytes) -> None:
    """Send one frame.  Raises :class:`StreamEnded`."""
    try:
        await stream.write(encode_uvarint(len(payload)) + payload)
    except LIBRARY_ERRORS as error:
        raise StreamEnded(repr(error)) from error


RESET_GRACE_S = 0.5
"""A reset is one small write; a connection that cannot take it is dead and is closed by others."""


async def reset_quietly(stream: INetStream) -> None:
    """Abandon the stream, also while being cancelled, whatever state it is in."""
    with trio.move_on_after(RESET_GRACE_S) as scope:
        scope.shield = True
        try:
            await stream.reset()
        except LIBRARY_ERRORS:
            return
