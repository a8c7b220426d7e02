"""Frames on a stream that brings any bytes in any pieces."""

from __future__ import annotations

from typing import Any, cast

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from libp2p.abc import INetStream
from libp2p.utils.varint import encode_uvarint

from p2p.frames import MAX_PREFIX_BYTES, PIECE_BYTES, FrameReader, FrameRefused, StreamEnded, reset_quietly, write_frame


class Stream:
    """Brings the given pieces, then its end; remembers what is written."""

    def __init__(self, *pieces: bytes, fault: BaseException | None = None) -> None:
        self.pieces = list(pieces)
        self.fault = fault
        self.written = b""
        self.is_reset = False

    async def read(self, _size: int) -> bytes:
        if self.pieces:
            return self.pieces.pop(0)
        if self.fault is not None:
            raise self.fault
        return b""

    async def write(self, data: bytes) -> None:
        if self.fault is not None:
            raise self.fault
        self.written += data

    async def reset(self) -> None:
        if self.fault is not None:
            raise self.fault
        self.is_reset = True


def reading(stream: Stream) -> FrameReader:
    return FrameReader(cast("INetStream", stream))


def framed(payload: bytes) -> bytes:
    return encode_uvarint(len(payload)) + payload


@given(payloads=st.lists(st.binary(max_size=300), max_size=5), data=st.data())
def test_frames_come_out_as_they_went_in_however_they_are_cut(payloads: list[bytes], data: Any) -> None:
    raw = b"".join(map(framed, payloads))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    pieces = [raw[start:end] for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True) if start < end]

    async def read_all() -> list[bytes]:
        reader = reading(Stream(*pieces))
        return [await reader.frame(300) for _ in payloads]

    assert trio.run(read_all) == payloads


async def test_a_frame_of_exactly_the_bound_is_read_and_a_larger_one_refused_before_it_comes() -> None:
    assert await reading(Stream(framed(bytes(100)))).frame(100) == bytes(100)
    with pytest.raises(FrameRefused, match="101 bytes where 100 are allowed"):
        await reading(Stream(encode_uvarint(101))).frame(100)


async def test_a_length_without_an_end_is_no_frame() -> None:
    with pytest.raises(FrameRefused, match="more than 32 bits"):
        await reading(Stream(b"\xff" * MAX_PREFIX_BYTES)).frame(100)


@pytest.mark.parametrize("raw", [b"", b"\x05", b"\x05abc"], ids=["nothing", "a length", "a part"])
async def test_an_end_within_a_frame_is_the_end_of_the_stream(raw: bytes) -> None:
    with pytest.raises(StreamEnded):
        await reading(Stream(*[raw] if raw else [])).frame(100)


@pytest.mark.parametrize("fault", [OSError("gone"), ValueError("odd"), trio.ClosedResourceError()])
async def test_whatever_the_library_raises_is_the_end_of_the_stream(fault: Exception) -> None:
    with pytest.raises(StreamEnded):
        await reading(Stream(fault=fault)).frame(100)
    with pytest.raises(StreamEnded):
        await write_frame(cast("INetStream", Stream(fault=fault)), b"x")
    await reset_quietly(cast("INetStream", Stream(fault=fault)))


async def test_what_is_written_is_read_again() -> None:
    stream = Stream()
    await write_frame(cast("INetStream", stream), b"hello" * 100)
    assert await reading(Stream(stream.written)).frame(500) == b"hello" * 100


async def test_a_stream_that_only_ends_has_ended_and_one_that_goes_on_has_not() -> None:
    assert await reading(Stream()).ended()
    assert not await reading(Stream(b"more")).ended()


async def test_a_frame_that_was_begun_and_held_back_is_told_from_a_slow_line() -> None:
    for begun, is_dribbled in ((0, False), (1, True), (PIECE_BYTES - 1, True), (PIECE_BYTES, False)):
        reader = reading(Stream(*[(encode_uvarint(2 * PIECE_BYTES) + bytes(PIECE_BYTES))[:begun]] if begun else []))
        with pytest.raises(StreamEnded):
            await reader.frame(4 * PIECE_BYTES)
        assert reader.is_dribbled == is_dribbled


async def test_a_stream_is_reset_also_while_its_task_is_cancelled() -> None:
    stream = Stream()
    with trio.CancelScope() as scope:
        scope.cancel()
        await reset_quietly(cast("INetStream", stream))
    assert stream.is_reset
