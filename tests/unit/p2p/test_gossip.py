from __future__ import annotations

import logging

import pytest
import trio
from libp2p.pubsub.pb import rpc_pb2

from chain.base.errors import InvariantBroken
from p2p.meshsub.wire import MAX_RPC_BYTES
from p2p.network import open_transport
from tests.unit.p2p.net import (
    PREFIX,
    NetNode,
    config_of,
    framed,
    impostor,
    mesh_of,
    meshed,
    open_gossip_stream,
    peer_id_of,
    require_service,
    running,
    stranger,
    until,
)


async def test_a_message_reaches_every_validator_once_and_not_its_publisher() -> None:
    async with mesh_of(4) as nodes:
        for number, node in enumerate(nodes):
            await node.transport.gossip.publish("t", b"from %d" % number)
        for number, node in enumerate(nodes):
            await until(lambda node=node: len(node.received) >= 3)  # type: ignore[misc]
            assert sorted(node.received) == [b"from %d" % n for n in range(4) if n != number]
        # Every duplicate has arrived once a later message has come on every stream.
        for node in nodes:
            await require_service(node, nodes[nodes.index(node) - 1])
        for node in nodes:
            assert len(set(node.received)) == len(node.received)


async def test_copies_that_arrive_during_validation_are_not_validated_again() -> None:
    async with mesh_of(4) as nodes:
        receiver = nodes[0]
        seen: list[bytes] = []
        release = trio.Event()

        async def slow(peer_id: str, data: bytes) -> bool:
            seen.append(data)
            if data == b"slow":
                await release.wait()
            return True

        await receiver.transport.gossip.subscribe("t", slow, max_bytes=1000)
        await nodes[1].transport.gossip.publish("t", b"slow")
        for node in nodes[1:]:  # each forwards or publishes the slow one first, then these
            await until(lambda node=node: b"slow" in node.received or node is nodes[1])  # type: ignore[misc]
            await node.transport.gossip.publish("t", b"quick of " + node.peer_id.encode())
        await until(lambda: len(seen) == 4)  # a slow validator holds up nobody
        release.set()
        await require_service(nodes[2], nodes[1])
        assert seen.count(b"slow") == 1


async def test_a_burst_arrives_whole() -> None:
    async with mesh_of(4) as nodes:
        burst = [b"%d" % number for number in range(300)]
        for message in burst:
            await nodes[0].transport.gossip.publish("t", message)
        for node in nodes[1:]:
            await until(lambda node=node: len(node.received) >= 300)  # type: ignore[misc]
            assert sorted(node.received) == sorted(burst)


async def test_gossip_after_a_kill_and_restart_is_delivered() -> None:
    async with running(1) as witness:
        for life in range(2):
            async with running(2, bootstrap=(witness.address,)) as mortal:
                await meshed([witness, mortal])
                for number in range(20):
                    await mortal.transport.gossip.publish("t", b"life %d, message %d" % (life, number))
                await until(lambda life=life: len(witness.received) == 20 * (life + 1))  # type: ignore[misc]
            await until(lambda: not witness.neighbours)


async def test_an_invalid_message_is_not_forwarded_and_blames_its_forwarder() -> None:
    async with mesh_of(2) as (receiver, sender), running(3, bootstrap=(receiver.address,)) as third:
        await until(lambda: third.peer_id in receiver.transport.gossip.mesh("t"))
        await sender.transport.gossip.publish("t", b"bad one")
        await until(lambda: any(info.score for info in receiver.transport.peers.connected()))
        (culprit,) = [info for info in receiver.transport.peers.connected() if info.score]
        assert culprit.peer_id == sender.peer_id
        await sender.transport.gossip.publish("t", b"good one")
        await until(lambda: b"good one" in third.received)
        await until(lambda: b"good one" in receiver.received)
        assert receiver.received == [b"bad one", b"good one"]


async def test_a_validator_that_raises_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async with mesh_of(2) as (node, friend):

        async def faulty(peer_id: str, data: bytes) -> bool:
            node.received.append(data)
            if data == b"trigger":
                raise ValueError("a fault of ours")
            return True

        await node.transport.gossip.subscribe("t", faulty, max_bytes=1000)
        with caplog.at_level(logging.ERROR):
            await friend.transport.gossip.publish("t", b"trigger")
            await until(lambda: caplog.records)
        await require_service(node, friend)
        assert [info.score for info in node.transport.peers.connected()] == [0.0]
        assert node.received.count(b"trigger") == 1


async def test_a_broken_invariant_in_a_validator_stops_the_transport() -> None:
    async def broken(peer_id: str, data: bytes) -> bool:
        raise InvariantBroken("seen in a validator")

    async def run_until_told(friend: NetNode) -> None:
        async with open_transport(config_of(2, bootstrap=(friend.address,))) as transport:
            await transport.gossip.subscribe("t", broken, max_bytes=1000)
            transport.start()
            await until(lambda: transport.peer_id in friend.transport.gossip.mesh("t"))
            await friend.transport.gossip.publish("t", b"anything")
            await trio.sleep_forever()

    async with running(1) as friend:
        with pytest.raises(InvariantBroken, match="seen in a validator"):
            await run_until_told(friend)


async def test_a_message_too_large_for_its_topic_is_our_own_fault() -> None:
    async with running(1) as node:
        with pytest.raises(InvariantBroken, match="too large"):
            await node.transport.gossip.publish("t", bytes(100_001))


UNDECODABLE = rpc_pb2.Message(
    from_id=b"\xff\x00", key=b"\xff\xff\xff", signature=b"?", seqno=b"1", data=b"x", topicIDs=[PREFIX + "t"]
)
TWO_TOPICS = rpc_pb2.Message(from_id=b"\x01", data=b"x", topicIDs=[PREFIX + "t", PREFIX + "u"])
OVERSIZE = rpc_pb2.Message(from_id=b"\x01", data=bytes(100_001), topicIDs=[PREFIX + "t"])


@pytest.mark.parametrize("message", [UNDECODABLE, TWO_TOPICS, OVERSIZE], ids=["undecodable", "topics", "size"])
async def test_crash_way_1_a_hostile_message_costs_its_sender_and_nobody_else(
    message: rpc_pb2.Message,
) -> None:
    async with mesh_of(2) as (node, friend), impostor(9, node) as (host, _):
        stream = await open_gossip_stream(host, node)
        await until(lambda: peer_id_of(9) in node.neighbours)
        for _ in range(4):
            await stream.write(framed(rpc_pb2.RPC(publish=[message]).SerializeToString()))
        await until(lambda: peer_id_of(9) not in node.neighbours)
        await require_service(node, friend)
        assert b"x" not in node.received


GRAFT_FLOOD = rpc_pb2.RPC(
    control=rpc_pb2.ControlMessage(
        graft=[rpc_pb2.ControlGraft(topicID=f"invented {n}") for n in range(1000)],
        prune=[rpc_pb2.ControlPrune(topicID=PREFIX + "t", backoff=2**40)],
        iwant=[rpc_pb2.ControlIWant(messageIDs=[b"\x00" * 32] * 1000)],
        ihave=[rpc_pb2.ControlIHave(topicID=PREFIX + "t", messageIDs=[b"\xff" * 32] * 10)],
    )
).SerializeToString()


@pytest.mark.parametrize(
    ("frame", "banned"),
    [
        (framed(b"\xff" * 40), True),
        (framed(bytes(MAX_RPC_BYTES + 1))[:100], True),
        (b"\xff" * 20, True),
        (b"GET / HTTP/1.1\r\n\r\n" * 10, False),
        (framed(GRAFT_FLOOD), False),
    ],
    ids=["not-protobuf", "oversize", "endless-length", "http", "control-flood"],
)
async def test_crash_way_2_a_hostile_frame_ends_its_stream_and_nothing_else(frame: bytes, banned: bool) -> None:
    async with mesh_of(2) as (node, friend), impostor(9, node) as (host, _):
        await until(lambda: peer_id_of(9) in node.neighbours)
        stream = await open_gossip_stream(host, node)
        await stream.write(frame)
        if banned:
            await until(lambda: peer_id_of(9) not in node.neighbours)
        await require_service(node, friend)


async def test_peers_that_greet_nobody_can_still_not_disturb() -> None:
    async with mesh_of(2) as (node, friend), stranger(9, node) as host:
        streams = [await open_gossip_stream(host, node) for _ in range(10)]
        for stream in streams[:-1]:
            await until(lambda stream=stream: stream.muxed_stream.reset_received)  # type: ignore[misc]
        await require_service(node, friend)
