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
    MAX_MESSAGE_SIZE,
    TYPE_DATA,
    TYPE_PING,
    TYPE_WINDOW_UPDATE,
    YAMUX_HEADER_FORMAT,
)

from chain.protocol.messages import MAX_ANNOUNCEMENT_BYTES, REPLY_BYTES
from p2p import influx as module
from p2p.influx import FRAME_BYTES, FRAME_RATE, SHARE_RATE, STRANGERS_RATE, Influx
from p2p.library import BoundedYamux
from p2p.meshsub.outbox import MAX_QUEUED_BYTES, MAX_QUEUED_FRAMES
from p2p.meshsub.router import MESSAGE_RATE_PER_S
from p2p.meshsub.topic import D_HI
from p2p.peers import PeerSettings
from p2p.relay import FRAME_RATE_PER_S, ITEM_RATE_PER_S
from tests.unit.p2p.net import (
    PATIENCE_S,
    PREFIX,
    NetNode,
    framed,
    impostor,
    meshed,
    peer_id_of,
    require_service,
    running,
    until,
)

HOST, ELSEWHERE = "80.1.2.3", "81.1.2.3"
PONG = struct.pack(YAMUX_HEADER_FORMAT, 0, TYPE_PING, FLAG_ACK, 0, 0)
WINDOW_OF_NOTHING = struct.pack(YAMUX_HEADER_FORMAT, 0, TYPE_WINDOW_UPDATE, 0, 99, 1)
NO_KIND = struct.pack(YAMUX_HEADER_FORMAT, 0, 7, 0, 0, 0)

# What an honest peer's frames come to here, in a second; a request's and a reply's are measured below.
PIECE_BYTES = MAX_MESSAGE_SIZE - HEADER_SIZE
CONTROL = 15  # a heartbeat's IHAVEs, IWANTs and GRAFTs, and what it answers of ours
WINDOWS = 100  # for what we send to it: at most one a message
REQUEST, MEGABYTE = 8, 90
ATTESTATION_BYTES = 172
RESERVE = 2.0


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


# -------------------------------------------------------------------------------------- where the numbers come from


def count(size: int) -> int:
    """What a message of so many bytes comes to that nobody asked for."""
    whole, rest = divmod(size, PIECE_BYTES)
    return whole * (1 + PIECE_BYTES // FRAME_BYTES) + 1 + rest // FRAME_BYTES


def gossip_of_a_full_second() -> int:
    """A largest announcement, a full block's transactions in as many messages as a core can take, and attestations."""
    batches = round(MESSAGE_RATE_PER_S / 4)
    frames = round(FRAME_RATE_PER_S / 2)
    attestations = count(round(ITEM_RATE_PER_S / 2 * ATTESTATION_BYTES / frames))
    return count(MAX_ANNOUNCEMENT_BYTES) + batches * count(REPLY_BYTES // batches) + frames * attestations


def waits(influx: Influx, peer_id: str, *, is_dialled: bool = False, host: str = HOST) -> bool:
    return influx.wait_s(peer_id, host, is_dialled=is_dialled) > 0


@pytest.mark.parametrize("is_behind", [False, True])
def test_the_busiest_honest_peer_never_waits_and_has_a_reserve(is_behind: bool) -> None:
    following = gossip_of_a_full_second() + CONTROL + WINDOWS
    catching_up = 20 * REQUEST + 4 * MEGABYTE  # more than a node executes in a second
    now = 0.0
    influx = Influx(lambda: now)
    for _ in range(60):
        for _ in range(round(RESERVE * (catching_up if is_behind else following))):
            influx.charge("honest", HOST, 0)
            assert not waits(influx, "honest", is_dialled=True)
        now += 1


def test_an_outbox_that_was_held_up_comes_at_once() -> None:
    influx = Influx(lambda: 0.0)
    for _ in range(MAX_QUEUED_BYTES // 64_000):
        influx.charge("small", HOST, 64_000)
    assert not waits(influx, "small")
    for _ in range(MAX_QUEUED_FRAMES):
        influx.charge("countless", HOST, 0)
    assert influx.wait_s("countless", HOST, is_dialled=True) < 1


def test_a_mesh_of_honest_strangers_does_not_wait_though_each_brings_all() -> None:
    now = 0.0
    influx = Influx(lambda: now)
    for _ in range(30):
        for number in range(D_HI):
            for _ in range(gossip_of_a_full_second()):
                influx.charge(f"stranger {number}", f"80.1.{number}.3", 0)
            assert not waits(influx, f"stranger {number}", host=f"80.1.{number}.3")
        now += 1


def test_what_strangers_send_without_end_is_bounded_in_whatever_networks_they_are() -> None:
    now, seconds, taken = 0.0, 10, 0
    influx = Influx(lambda: now)
    crowd = {f"stranger {number}": f"80.{number}.1.3" for number in range(PeerSettings().max_strangers)}
    for tenth in range(10 * (seconds + 4)):
        if tenth == 40:
            taken = 0  # what is lent at once is used up
        for peer_id, host in crowd.items():
            while not waits(influx, peer_id, host=host):
                influx.charge(peer_id, host, 0)
                taken += 1
        now += 0.1
    assert taken <= seconds * max(STRANGERS_RATE[0], len(crowd) * SHARE_RATE[0]) * 1.02


async def test_requests_and_replies_come_to_as_many_frames_as_is_said() -> None:
    async with running(1) as node, running(2, bootstrap=(node.address,)) as friend:

        async def large(_peer_id: str, _request: bytes) -> bytes:
            return bytes(REPLY_BYTES)

        node.transport.requests.serve("large", large, max_request=10, max_response=REPLY_BYTES, max_concurrent=4)
        await meshed([node, friend])
        assert await frames_for(20, node, friend, "echo", b"there?") <= REQUEST
        assert await frames_for(3, node, friend, "large", b"all") <= REQUEST + MEGABYTE * REPLY_BYTES / 1e6


async def frames_for(times: int, node: NetNode, friend: NetNode, name: str, request: bytes) -> int:
    """What a request comes to where it is answered: the least of some, as gossip and pings come between."""
    influx, charged = node.transport.peers._host.influx, [0]
    charge = influx.charge

    def counting(peer_id: str, host: str, size: int) -> None:
        charged[-1] += peer_id == friend.peer_id
        charge(peer_id, host, size)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(influx, "charge", counting)
        for _ in range(times):
            charged.append(0)
            ask = friend.transport.requests.ask
            await ask(node.peer_id, name, request, max_response=REPLY_BYTES, timeout_s=PATIENCE_S)
    return min(charged[1:])
