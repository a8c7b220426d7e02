"""What the router bounds: what waits for a peer, what is remembered, and what control messages can bring about."""

from __future__ import annotations

import pytest
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID
from libp2p.pubsub.pb import rpc_pb2

from p2p import router as module
from p2p.pubsub import message_id
from p2p.router import MAX_BACKOFF_S, MAX_IDS, BoundedRpcQueue, ContentCache, TunedGossipSub

TOPIC = "t"
PEER = ID.from_pubkey(create_new_key_pair(b"\x01" * 32).public_key)


def message(data: bytes, topic: str = TOPIC) -> rpc_pb2.Message:
    return rpc_pb2.Message(from_id=PEER.to_bytes(), seqno=b"1", data=data, topicIDs=[topic])


def rpc(data: bytes) -> rpc_pb2.RPC:
    return rpc_pb2.RPC(publish=[message(data)])


class Recording(TunedGossipSub):
    """A router that notes what it would send."""

    def __init__(self) -> None:
        super().__init__(message_id)
        self.sent: list[tuple[ID, rpc_pb2.RPC]] = []

    def send_rpc(self, to_peer: ID, rpc: rpc_pb2.RPC, priority: bool = False) -> None:
        self.sent.append((to_peer, rpc))


async def test_a_queue_is_bounded_in_bytes_and_has_room_again_once_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    queue, size = BoundedRpcQueue(), rpc(bytes(1_000)).ByteSize()
    monkeypatch.setattr(module, "MAX_QUEUED_BYTES", 2 * size)
    assert [queue.push(rpc(bytes(1_000))) for _ in range(3)] == [True, True, False]
    assert await queue.pop() is not None
    assert queue.push(rpc(bytes(1_000)))
    assert not queue.push(rpc(b""))


def test_the_cache_knows_messages_by_their_content() -> None:
    cache = ContentCache(3, 5, message_id)
    cache.put(message(b"one"))
    cache.put(message(b"two"))  # the same sender and number: the library would take it for the first
    assert set(cache.window(TOPIC)) == {message_id(message(b"one")), message_id(message(b"two"))}
    found = cache.get(message_id(message(b"two")))
    assert found is not None
    assert found.data == b"two"


def test_the_cache_is_bounded_in_bytes_and_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CACHED_BYTES", 250)
    cache = ContentCache(3, 5, message_id)
    first, second, third = (message(bytes([number]) * 100) for number in range(3))
    for item in (first, first, second, third):  # one that is there already takes no room again
        cache.put(item)
    assert cache.get(message_id(second)) is not None
    assert cache.get(message_id(third)) is None
    for _ in range(5):
        cache.shift()
    assert cache.get(message_id(first)) is None
    cache.put(third)
    cache.put(second)
    assert cache.get(message_id(third)) is not None
    assert cache.get(message_id(second)) is not None


async def test_wanted_messages_are_sent_once_each_as_far_as_the_allowance_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WANTED_BURST_BYTES", 250.0)
    monkeypatch.setattr(module, "WANTED_BYTES_PER_S", 1e-9)
    router = Recording()
    items = [message(bytes([number]) * 100) for number in range(4)]
    for item in items:
        router.mcache.put(item)
    ids = [message_id(item) for item in items]
    await router.handle_iwant(rpc_pb2.ControlIWant(messageIDs=[b"unknown", ids[0], ids[0], *ids]), PEER)
    assert [sent.publish[0].data for _, sent in router.sent] == [items[0].data, items[1].data]


async def test_no_more_ids_are_looked_up_than_one_message_may_name() -> None:
    router = Recording()
    router.mcache.put(message(b"x"))
    unknown = [number.to_bytes(32, "big") for number in range(MAX_IDS)]
    await router.handle_iwant(rpc_pb2.ControlIWant(messageIDs=[*unknown, message_id(message(b"x"))]), PEER)
    assert router.sent == []
    await router.handle_iwant(rpc_pb2.ControlIWant(messageIDs=[*unknown[1:], message_id(message(b"x"))]), PEER)
    assert len(router.sent) == 1


async def test_control_messages_about_topics_that_nobody_joined_do_nothing() -> None:
    router = Recording()
    control = rpc_pb2.ControlMessage(
        graft=[rpc_pb2.ControlGraft(topicID="invented")],
        prune=[rpc_pb2.ControlPrune(topicID="invented", backoff=2**40)],
        ihave=[rpc_pb2.ControlIHave(topicID="invented", messageIDs=[b"x" * 32])],
    )
    await router.handle_rpc(rpc_pb2.RPC(control=control), PEER)
    assert (router.sent, router.mesh, router.back_off) == ([], {}, {})


async def test_a_pruned_peer_names_no_peers_to_dial_and_no_endless_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    router = Recording()
    router.mesh[TOPIC] = {PEER}
    seen: list[rpc_pb2.ControlPrune] = []

    async def note(prune: rpc_pb2.ControlPrune, _sender: ID) -> None:
        seen.append(prune)

    monkeypatch.setattr(router, "handle_prune", note)
    stranger = rpc_pb2.PeerInfo(peerID=b"somebody", signedPeerRecord=b"?")
    for backoff in (1, 2**40):
        prune = rpc_pb2.ControlPrune(topicID=TOPIC, backoff=backoff, peers=[stranger])
        await router.handle_rpc(rpc_pb2.RPC(control=rpc_pb2.ControlMessage(prune=[prune])), PEER)
    assert [(prune.backoff, len(prune.peers)) for prune in seen] == [(1, 0), (MAX_BACKOFF_S, 0)]
