"""What comes unasked is taken in turn, and what a stranger sends without end waits at its end."""

from __future__ import annotations

import itertools
import struct
from typing import Any

import pytest
import trio
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID
from libp2p.stream_muxer.yamux.yamux import (
    FLAG_ACK,
    HEADER_SIZE,
    TYPE_DATA,
    TYPE_PING,
    TYPE_WINDOW_UPDATE,
    YAMUX_HEADER_FORMAT,
)

from p2p import influx as module
from p2p.influx import FRAME_BYTES, FRAME_RATE, SHARE_RATE, STRANGERS_RATE, Influx
from p2p.library import BoundedYamux
from tests.unit.p2p.net import PREFIX, framed, impostor, peer_id_of, require_service, running, until

HOST, ELSEWHERE = "80.1.2.3", "81.1.2.3"
PONG = struct.pack(YAMUX_HEADER_FORMAT, 0, TYPE_PING, FLAG_ACK, 0, 0)
WINDOW_OF_NOTHING = struct.pack(YAMUX_HEADER_FORMAT, 0, TYPE_WINDOW_UPDATE, 0, 99, 1)
NO_KIND = struct.pack(YAMUX_HEADER_FORMAT, 0, 7, 0, 0, 0)


def data(number: int, body: bytes) -> bytes:
    return struct.pack(YAMUX_HEADER_FORMAT, 0, TYPE_DATA, 0, number, len(body)) + body


class Memory:
    """A secured connection on which all is here already."""

    is_initiator = False

    def __init__(self, *frames: bytes) -> None:
        self._rest = b"".join(frames)

    def get_remote_address(self) -> tuple[str, int]:
        return HOST, 1

    async def read(self, n: int) -> bytes:
        piece, self._rest = self._rest[:n], self._rest[n:]
        return piece

    async def close(self) -> None: ...


def connection(influx: Influx, *frames: bytes) -> BoundedYamux:
    return BoundedYamux(Memory(*frames), ID.from_base58(peer_id_of(9)), influx)  # type: ignore[arg-type]


async def turns_of_others(muxed_conn: BoundedYamux) -> int:
    """How often somebody else had a turn while all that came was taken."""
    turns = itertools.count()
    async with trio.open_nursery() as nursery:

        async def take() -> None:
            await muxed_conn.handle_incoming()
            nursery.cancel_scope.cancel()

        nursery.start_soon(take)
        for _ in turns:
            await trio.lowlevel.checkpoint()
    return next(turns)


@pytest.mark.parametrize("frame", [PONG, WINDOW_OF_NOTHING, NO_KIND, data(99, b"")])
async def test_others_run_between_frames_that_come_to_nothing(frame: bytes) -> None:
    assert await turns_of_others(connection(Influx(), frame * 1_000)) > 900


async def test_frames_and_what_nobody_asked_for_are_counted_and_replies_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    charged: list[int] = []
    influx = Influx(lambda: 0.0)
    monkeypatch.setattr(influx, "charge", lambda _peer, _host, size: charged.append(size))
    muxed_conn = connection(influx)
    asked: Any = object()
    muxed_conn.streams[2] = asked  # even numbers are ours here
    for frame in (PONG, data(99, bytes(50_000)), data(4, bytes(50_000)), data(2, bytes(50_000)), data(2, b"ok")):
        muxed_conn.note_frame(frame[:HEADER_SIZE])
    assert charged == [0, 50_000, 50_000, 0]


def test_one_connection_waits_for_itself_and_strangers_for_each_other_but_for_their_share() -> None:
    influx = Influx(lambda: 0.0)
    for _ in range(int(FRAME_RATE[1]) + 1):
        influx.charge("loud", HOST, 0)
    assert influx.wait_s("loud", HOST, is_dialled=True) > 0
    assert influx.wait_s("quiet", ELSEWHERE, is_dialled=False) == 0
    for number in range(int(STRANGERS_RATE[1])):
        influx.charge(f"one of many {number}", HOST, 0)
    assert influx.wait_s("quiet", HOST, is_dialled=False) > 0
    assert influx.wait_s("quiet", HOST, is_dialled=True) == 0
    assert influx.wait_s("quiet", ELSEWHERE, is_dialled=False) == 0
    for _ in range(int(SHARE_RATE[1]) + 1):
        influx.charge("quiet", ELSEWHERE, 0)
    assert influx.wait_s("quiet", ELSEWHERE, is_dialled=False) > 0
    influx.is_reserved = lambda peer_id: peer_id == "quiet"
    assert influx.wait_s("quiet", ELSEWHERE, is_dialled=False) == 0


def test_bytes_that_nobody_asked_for_count_as_frames() -> None:
    influx = Influx(lambda: 0.0)
    influx.charge("loud", HOST, round(FRAME_RATE[1]) * FRAME_BYTES)
    assert influx.wait_s("loud", HOST, is_dialled=True) > 0


async def test_who_sends_frames_without_end_waits_and_the_others_are_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FRAME_RATE", (1e-6, 3_000.0))
    async with running(1) as node, running(2, bootstrap=(node.address,)) as friend, impostor(9, node) as (host, _):
        await until(lambda: {peer_id_of(9), friend.peer_id} <= node.neighbours)
        (conn,) = host.swarm.connections[ID.from_base58(node.peer_id)]
        muxed_conn: Any = conn.muxed_conn
        await muxed_conn._write_frame(PONG * 5_000)
        influx = node.transport.peers._host.influx
        await until(lambda: influx.wait_s(peer_id_of(9), "127.0.0.1", is_dialled=True) > 0)
        stream = await host.open_stream(ID.from_base58(node.peer_id), TProtocol(PREFIX + "echo"))
        await stream.write(framed(b"never heard"))
        await require_service(node, friend)
        assert peer_id_of(9) not in node.transport.peers.bans()
