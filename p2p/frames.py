"""Length-prefixed frames on a libp2p stream: the one place where bytes of a stream are read.

The library reads a length byte by byte, and each read of its multiplexer sends a window update of its own.
Reading large pieces instead saves most of the cost of a small message.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import trio
from libp2p.abc import INetStream
from libp2p.exceptions import BaseLibp2pError
from libp2p.utils.varint import encode_uvarint

READ_BYTES = 64 * 1024
"""One frame of the multiplexer; a larger read never returns more."""

PIECE_BYTES = 32 * 1024
"""The multiplexer carries a write in frames of twice that, each of which arrives whole or not at all."""

SLOW_PIECE_BYTES = 16 * 1024
"""At 4 kB/s, a twentieth of a line of 600 kbit/s, it takes four seconds."""

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
    """The frames of one stream, in order.  ``on_piece`` hears how many bytes of how many of a frame are here."""

    def __init__(
        self, stream: INetStream, on_piece: Callable[[int, int], None] = lambda _received, _size: None
    ) -> None:
        self._stream = stream
        self._on_piece = on_piece
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
            self._on_piece(len(self._buffer), length)
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


async def write_frame(stream: INetStream, payload: bytes, before: bytes = b"") -> None:
    """Send one frame, and in the same write what comes ``before`` it.  Raises :class:`StreamEnded`."""
    await _write(stream, before + encode_uvarint(len(payload)) + payload)


async def write_slowly(stream: INetStream, payload: bytes, on_piece: Callable[[int], None]) -> None:
    """Send one frame in pieces; ``on_piece`` hears of the bytes of each that was taken.  Raises :class:`StreamEnded`.

    The multiplexer gives up a stream on which for five seconds no frame of its own was read: on a slow line one of
    64 kB takes as long.
    """
    frame = encode_uvarint(len(payload)) + payload
    for start in range(0, len(frame), SLOW_PIECE_BYTES):
        piece = frame[start : start + SLOW_PIECE_BYTES]
        await _write(stream, piece)
        on_piece(len(piece))


async def _write(stream: INetStream, data: bytes) -> None:
    try:
        await stream.write(data)
    except LIBRARY_ERRORS as error:
        raise StreamEnded(repr(error)) from error


NEGOTIATION = b"/multistream/1.0.0\n"
NOT_SUPPORTED = b"na\n"
MAX_NEGOTIATION_BYTES = 256


def proposal(protocol: str) -> bytes:
    """What proposes a protocol on a new stream.  The first message may follow at once: that saves a round trip.

    Source: https://github.com/multiformats/multistream-select; its messages are frames that end in a line feed.
    """
    wanted = protocol.encode() + b"\n"
    return encode_uvarint(len(NEGOTIATION)) + NEGOTIATION + encode_uvarint(len(wanted)) + wanted


async def is_agreed(reader: FrameReader, protocol: str) -> bool:
    """Whether the other side takes the proposal; False where it does not speak the protocol.

    Raises :class:`StreamEnded`, also where it does not even negotiate.
    """
    if await reader.frame(MAX_NEGOTIATION_BYTES) != NEGOTIATION:
        raise StreamEnded("no answer to a proposal")
    answer = await reader.frame(MAX_NEGOTIATION_BYTES)
    if answer not in (NOT_SUPPORTED, protocol.encode() + b"\n"):
        raise StreamEnded("no answer to a proposal")
    return answer != NOT_SUPPORTED


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
