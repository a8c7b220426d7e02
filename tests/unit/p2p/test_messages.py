"""What a frame may hold, and what becomes of messages that are forged or come too often."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libp2p.pubsub.pb import rpc_pb2

from chain.base.errors import Reason, Refused
from p2p.meshsub.wire import MAX_PARTS
from p2p.reputation import BLAMED
from tests.unit.p2p.net import (
    PREFIX,
    NetNode,
    framed,
    impostor,
    mesh_of,
    open_gossip_stream,
    peer_id_of,
    require_service,
    running,
    until,
)


def offers(count: int) -> bytes:
    """A frame of so many parts, each of which is harmless."""
    offer = rpc_pb2.ControlIHave(topicID="of another network")
    return framed(rpc_pb2.RPC(control=rpc_pb2.ControlMessage(ihave=[offer] * count)).SerializeToString())


async def test_a_frame_may_hold_so_many_parts_and_no_more() -> None:
    async with mesh_of(2) as (node, friend), impostor(9, node) as (host, _):
        await until(lambda: peer_id_of(9) in node.neighbours)
        stream = await open_gossip_stream(host, node)
        await stream.write(offers(MAX_PARTS))
        await require_service(node, friend)
        assert peer_id_of(9) in node.neighbours
        before = BLAMED.total()
        await stream.write(offers(MAX_PARTS + 1))
        await until(lambda: peer_id_of(9) not in node.neighbours)
        assert BLAMED.total() == before + 1
        await require_service(node, friend)


async def test_a_forged_copy_does_not_keep_the_good_one_away() -> None:
    async with mesh_of(2) as (node, friend), impostor(9, node) as (host, _):
        await until(lambda: peer_id_of(9) in node.neighbours)
        stream = await open_gossip_stream(host, node)
        forged = rpc_pb2.Message(from_id=b"?", seqno=b"1", data=b"news", topicIDs=[PREFIX + "t"], signature=b"?")
        await stream.write(framed(rpc_pb2.RPC(publish=[forged]).SerializeToString()))
        await until(lambda: any(info.score for info in node.transport.peers.connected()))
        assert node.received == []
        await friend.transport.gossip.publish("t", b"news")
        await until(lambda: node.received == [b"news"])


@asynccontextmanager
async def dropping(reason: Reason) -> AsyncIterator[tuple[NetNode, NetNode, list[bytes]]]:
    """A node that drops all messages of a topic, of which it takes ten in good part, its peer, and what it saw."""
    seen: list[bytes] = []

    async def drop(_peer_id: str, data: bytes) -> bool:
        seen.append(data)
        raise Refused(reason, "as far as we know")

    async with running(1, drop_rate=(1e-9, 10.0)) as node, running(2, bootstrap=(node.address,)) as other:
        await node.transport.gossip.subscribe("u", drop, max_bytes=100)
        await other.transport.gossip.subscribe("u", other.validate, max_bytes=100)
        await until(lambda: node.peer_id in other.transport.gossip.mesh("u"))
        yield node, other, seen


async def test_whoever_sends_too_much_that_is_dropped_pays_for_it() -> None:
    async with dropping(Reason.FUTURE_SLOT) as (node, other, seen):
        for number in range(10):
            await other.transport.gossip.publish("u", b"%d" % number)
        await until(lambda: len(seen) == 10)
        (info,) = node.transport.peers.connected()
        assert info.score == 0  # an honest peer may know more than we do
        for number in range(10, 40):
            await other.transport.gossip.publish("u", b"%d" % number)
        await until(lambda: other.peer_id in node.transport.peers.bans())


async def test_nobody_pays_for_what_is_dropped_because_we_are_full() -> None:
    async with dropping(Reason.POOL_FULL) as (node, other, seen):
        for number in range(40):
            await other.transport.gossip.publish("u", b"%d" % number)
        await until(lambda: len(seen) == 40)
        (info,) = node.transport.peers.connected()
        assert info.score == 0
