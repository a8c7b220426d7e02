"""What one peer can take from others, however it goes about it."""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress

import pytest
import trio
from libp2p.custom_types import TProtocol
from libp2p.host.exceptions import StreamFailure
from libp2p.peer.id import ID
from libp2p.pubsub.pb import rpc_pb2

from p2p import host as host_module
from p2p import requests as requests_module
from p2p.entrance import MAX_RESERVED
from p2p.frames import LIBRARY_ERRORS
from p2p.limits import TokenBucket
from p2p.lobby import Use
from p2p.meshsub import router as router_module
from p2p.meshsub.wire import MAX_PARTS
from p2p.peers import PeerSettings
from p2p.requests import RequestError
from tests.unit.p2p.net import (
    PATIENCE_S,
    PREFIX,
    NetNode,
    announce,
    framed,
    impostor,
    mesh_of,
    meshed,
    open_gossip_stream,
    peer_id_of,
    require_service,
    running,
    until,
)

ECHO = TProtocol(PREFIX + "echo")
# An impostor answers no pings, and is to stay however slow the machine is.
PATIENT = PeerSettings(ping_interval_s=10 * PATIENCE_S)


def score_of(node: NetNode, peer_id: str) -> float:
    scores = {info.peer_id: info.score for info in node.transport.peers.connected()}
    return scores.get(peer_id, float("inf"))


@pytest.mark.parametrize("field", ["publish", "subscriptions", "iwant"])
async def test_a_frame_of_countless_empty_parts_is_not_worked_through(field: str) -> None:
    rpc = rpc_pb2.RPC()
    for _ in range(MAX_PARTS + 1):
        (rpc.control.iwant if field == "iwant" else getattr(rpc, field)).add()
    async with mesh_of(2) as (node, friend), impostor(9, node) as (host, _):
        await until(lambda: peer_id_of(9) in node.neighbours)
        stream = await open_gossip_stream(host, node)
        await stream.write(framed(rpc.SerializeToString()))
        await until(lambda: peer_id_of(9) in node.transport.peers.bans())
        await require_service(node, friend)


async def test_who_subscribes_over_and_over_is_banned_and_the_others_go_on() -> None:
    flips = [rpc_pb2.RPC.SubOpts(subscribe=bool(number % 2), topicid=PREFIX + "t") for number in range(200)]
    async with mesh_of(2) as (node, friend), impostor(9, node) as (host, _):
        await until(lambda: peer_id_of(9) in node.neighbours)
        stream = await open_gossip_stream(host, node)
        await stream.write(framed(rpc_pb2.RPC(subscriptions=flips).SerializeToString()))
        await until(lambda: peer_id_of(9) in node.transport.peers.bans())
        await require_service(node, friend)


async def test_a_new_gossip_stream_is_no_new_allowance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router_module, "MESSAGE_RATE_PER_S", 0.0)
    monkeypatch.setattr(router_module, "MESSAGE_BURST", 20.0)
    empty = framed(rpc_pb2.RPC(subscriptions=[rpc_pb2.RPC.SubOpts()]).SerializeToString())
    async with running(1) as node, impostor(9, node) as (host, _):
        await until(lambda: peer_id_of(9) in node.neighbours)
        for _ in range(4):
            with suppress(*LIBRARY_ERRORS):  # the ban comes on the way
                stream = await open_gossip_stream(host, node)
                for _ in range(12):
                    await stream.write(empty)
        await until(lambda: peer_id_of(9) in node.transport.peers.bans())


async def test_streams_that_are_opened_and_dropped_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_module, "STREAM_RATE_PER_S", 0.0)
    monkeypatch.setattr(host_module, "STREAM_BURST", 30.0)
    async with running(1) as node, impostor(9, node) as (host, _):
        await until(lambda: peer_id_of(9) in node.neighbours)
        with suppress(*LIBRARY_ERRORS):  # the ban comes on the way
            for _ in range(200):
                stream = await host.swarm.new_stream(ID.from_base58(node.peer_id))
                await stream.reset()
        await until(lambda: peer_id_of(9) in node.transport.peers.bans())


async def test_who_dawdles_over_a_request_keeps_nobody_from_theirs() -> None:
    async with mesh_of(2, peers=PATIENT) as (node, friend), impostor(9, node) as (host, _):
        await until(lambda: peer_id_of(9) in node.neighbours)
        for _ in range(8):  # twice what this node answers at once
            stream = await host.new_stream(ID.from_base58(node.peer_id), [ECHO])
            await stream.write(framed(b"x" * 500)[:10])
        await require_service(node, friend)


async def test_who_takes_no_reply_gives_way_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests_module, "GRACE_S", 0.1)

    async def big(peer_id: str, request: bytes) -> bytes:
        return bytes(1_000_000) if request == b"big" else b"small"

    async with mesh_of(2, peers=PATIENT) as (node, friend), AsyncExitStack() as stack:
        node.transport.requests.serve("big", big, max_request=10, max_response=1_000_000, max_concurrent=2)
        for number in (8, 9):
            host, _ = await stack.enter_async_context(impostor(number, node))
            await until(lambda number=number: peer_id_of(number) in node.neighbours)  # type: ignore[misc]
            with suppress(*LIBRARY_ERRORS, StreamFailure):  # whoever gave way in mid-write loses the connection
                for _ in range(4):
                    stream = await host.new_stream(ID.from_base58(node.peer_id), [TProtocol(PREFIX + "big")])
                    await stream.write(framed(b"big"))
        ask = friend.transport.requests.ask
        # Ten times: each of them needs the place of one that waits for a reader.
        for _ in range(10):
            with trio.fail_after(PATIENCE_S):
                assert await ask(node.peer_id, "big", b"", max_response=10, timeout_s=PATIENCE_S) == b"small"


async def test_idle_handshakes_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_module, "MAX_HANDSHAKES", 4)
    monkeypatch.setattr(host_module, "HANDSHAKE_GRACE_S", 0.3)
    monkeypatch.setattr(host_module, "HANDSHAKE_TIMEOUT_S", PATIENCE_S)
    async with running(1) as node:
        port = int(node.address.split("/")[4])
        idle = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(12)]
        async with running(2, bootstrap=(node.address,)) as friend:
            await meshed([node, friend])
        for stream in idle:
            await stream.aclose()


async def test_a_host_that_dials_without_end_is_slowed_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TokenBucket.__init__, "__defaults__", (lambda: 0.0,))  # nothing is refilled
    monkeypatch.setattr(host_module, "HANDSHAKE_BURST", 2.0)
    async with running(1) as node:
        port = int(node.address.split("/")[4])
        greetings = []
        for _ in range(4):
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            with suppress(trio.BrokenResourceError):
                greetings.append(await stream.receive_some())
            await stream.aclose()
        assert [bool(greeting) for greeting in greetings] == [True, True, False, False]


async def test_strangers_never_take_the_room_of_those_a_node_was_told_of() -> None:
    settings = PeerSettings(max_strangers=2)
    async with AsyncExitStack() as stack:
        told = await stack.enter_async_context(running(2))
        node = await stack.enter_async_context(running(1, bootstrap=(told.address,), peers=settings))
        await meshed([node, told])
        for number in (3, 4):
            friend = await stack.enter_async_context(running(number, bootstrap=(node.address,)))
            await until(lambda friend=friend: friend.peer_id in node.neighbours)  # type: ignore[misc]
        node.transport.peers.disconnect(told.peer_id)
        await until(lambda: told.disconnected)
        await meshed([node, told])
        assert len(node.neighbours) == 3


async def test_idle_identities_in_every_place_give_way_to_a_newcomer_that_stays() -> None:
    settings = PeerSettings(max_strangers=4)
    async with running(1, peers=settings) as node, trio.open_nursery() as nursery:

        async def sit(number: int) -> None:
            while True:
                try:
                    await announce(number, node, [])
                except* (*LIBRARY_ERRORS, RequestError):
                    pass  # there was no place this time
                await trio.sleep(0.1)

        for number in range(10, 15):  # one more than there are places
            nursery.start_soon(sit, number)
        await until(lambda: len(node.neighbours) == 4)
        async with running(2, bootstrap=(node.address,)) as honest:
            await until(lambda: honest.peer_id in node.neighbours)
            node.transport.peers.credit(honest.peer_id, Use.ASKED)
            seen = len(node.disconnected)
            for number in range(20, 27):
                nursery.start_soon(sit, number)
            await until(lambda: len(node.disconnected) > seen + 4)
            assert honest.peer_id not in node.disconnected
        nursery.cancel_scope.cancel()


async def test_a_validators_machine_has_a_place_and_keeps_it() -> None:
    settings = PeerSettings(max_strangers=1)
    async with running(1, peers=settings) as node, running(2, bootstrap=(node.address,)) as validator:
        await until(lambda: validator.peer_id in node.neighbours)
        node.transport.peers.reserve(validator.peer_id, b"its key")
        async with running(3, bootstrap=(node.address,)) as stranger_:
            await until(lambda: stranger_.peer_id in node.neighbours)  # at once: its place was free
            node.transport.peers.disconnect(validator.peer_id)
            await until(lambda: node.disconnected == [validator.peer_id])
            await until(lambda: node.neighbours == {validator.peer_id, stranger_.peer_id})
            assert node.disconnected == [validator.peer_id]


async def test_the_machines_that_have_a_place_are_bounded() -> None:
    async with running(1) as node:
        peers = node.transport.peers
        for number in range(1000):
            peers.reserve(f"peer {number}", b"key %d" % number)
        assert len(peers._entrance._reserved) == MAX_RESERVED
        assert "peer 999" in peers._entrance._reserved


async def test_the_crowd_that_one_validator_vouches_for_has_no_more_places_than_its_machines() -> None:
    async with running(1) as node:
        peers = node.transport.peers
        assert peers.reserve("honest", b"another key") == []
        left = [former for number in range(1000) for former in peers.reserve(f"peer {number}", b"key")]
        assert [number for number in range(1000) if peers.is_reserved(f"peer {number}")] == [998, 999]
        assert left == [f"peer {number}" for number in range(998)]
        assert peers.is_reserved("honest")


async def test_strangers_do_not_keep_a_node_from_learning_of_others_and_dialling_them() -> None:
    settings = PeerSettings(max_peers=1, exchange_interval_s=0.1)
    async with running(1, peers=settings) as node, AsyncExitStack() as stack:
        alone = PeerSettings(max_peers=1)
        for number in (3, 4):
            await stack.enter_async_context(running(number, bootstrap=(node.address,), peers=alone))
        hub = await stack.enter_async_context(running(5, bootstrap=(node.address,), peers=alone))
        other = await stack.enter_async_context(running(6, bootstrap=(hub.address,), peers=alone))
        await until(lambda: len(node.neighbours) == 4 and other.peer_id in node.neighbours)


async def test_a_score_is_seen_to_fall_and_a_ban_to_end() -> None:
    now = 0.0
    async with running(1, clock=lambda: now, ban_s=60.0) as node, running(2, bootstrap=(node.address,)) as peer:
        await until(lambda: peer.peer_id in node.neighbours)
        node.transport.peers.penalise(peer.peer_id, 40.0, "did a thing")
        assert score_of(node, peer.peer_id) == 40.0
        now = 600.0
        assert score_of(node, peer.peer_id) == pytest.approx(20.0)
        node.transport.peers.penalise(peer.peer_id, 80.0, "did worse")
        assert node.transport.peers.bans() == {peer.peer_id: 60.0}
        now = 661.0
        assert not node.transport.peers.bans()
        await until(lambda: peer.peer_id in node.neighbours)
        assert score_of(node, peer.peer_id) == 0.0
