"""GossipSub 1.1 with the library's traps taken out.

Kept from the library: the mesh, its heartbeat, GRAFT, PRUNE, IHAVE and IWANT.  Replaced: everything that
grows with what peers send, that dials whom peers name, and that costs much per message.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from libp2p.peer.id import ID
from libp2p.pubsub.gossipsub import PROTOCOL_ID_V11, GossipSub
from libp2p.pubsub.mcache import CacheEntry, MessageCache
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.rpc_queue import RpcQueue

from p2p.limits import Buckets

HEARTBEAT_S = 1
"""The library's 120 s repair a mesh after minutes; a second is what GossipSub 1.1 recommends."""

MESH_DEGREE, MESH_DEGREE_LOW, MESH_DEGREE_HIGH = 6, 4, 12
"""The values GossipSub 1.1 recommends; networks of up to five nodes are fully meshed."""

PRUNE_BACKOFF_S = 5
"""How long a pruned peer waits before it grafts again.  The recommended 60 s would leave two nodes that
subscribe in an unlucky order without a mesh for a minute."""

MAX_BACKOFF_S = 60
"""A peer may ask for a longer pause than ours, within reason."""

MAX_RPC_BYTES = 1_200_000
"""One gossip frame: a message of 1,000,000 bytes and its envelope.  Both the largest frame accepted and
the size that outgoing ones are split to, because a larger one would be refused by everyone."""

MAX_QUEUED_RPCS = 4096
MAX_QUEUED_BYTES = 32 * 1024 * 1024
"""What may wait for one peer.  The library's 32 drop messages under any burst; a peer that reads nothing
is disconnected within seconds, and until then costs this much memory."""

MAX_CACHED_BYTES = 32 * 1024 * 1024
"""Recent messages kept for peers that missed them (IWANT); beyond it they must be asked for otherwise."""

MAX_IDS = 1024
"""Message ids taken from one IHAVE or IWANT: some seconds of the fastest traffic."""

WANTED_BYTES_PER_S, WANTED_BURST_BYTES = 0.25 * MAX_RPC_BYTES, 4.0 * MAX_RPC_BYTES
"""What a peer's IWANTs and subscriptions may make us send: thirty bytes must not buy megabytes without end."""

MessageId = Callable[[Any], bytes]


class BoundedRpcQueue(RpcQueue):
    """A queue of outgoing frames that is bounded in bytes as well."""

    def __init__(self) -> None:
        super().__init__(MAX_QUEUED_RPCS, MAX_RPC_BYTES)
        self._queued_bytes = 0

    def push(self, rpc: rpc_pb2.RPC, priority: bool = False) -> bool:
        size = rpc.ByteSize()
        if self._queued_bytes + size > MAX_QUEUED_BYTES or not super().push(rpc, priority):
            return False
        self._queued_bytes += size
        return True

    async def pop(self) -> rpc_pb2.RPC | None:
        rpc = await super().pop()
        if rpc is not None:
            self._queued_bytes -= rpc.ByteSize()
        return rpc


class ContentCache(MessageCache):
    """Recent messages under the ids that this network uses, bounded in bytes.

    The library's cache uses sender and sequence number whatever id function is configured, so that every
    IHAVE names ids nobody knows and every message is sent again.
    """

    def __init__(self, window: int, history: int, message_id: MessageId) -> None:
        super().__init__(window, history)
        self._message_id = message_id
        self._cached_bytes = 0

    def put(self, msg: rpc_pb2.Message) -> None:
        message_id = self._message_id(msg)
        size = len(msg.data)
        if message_id in self.msgs or self._cached_bytes + size > MAX_CACHED_BYTES:
            return
        self.msgs[message_id] = msg
        self._cached_bytes += size
        self.history[0].append(CacheEntry(message_id, msg.topicIDs))

    def shift(self) -> None:
        for entry in self.history[-1]:
            message = self.msgs.get(entry.mid)
            if message is not None:
                self._cached_bytes -= len(message.data)
        super().shift()


class TunedGossipSub(GossipSub):
    """The router.  ``/meshsub/1.1.0`` only: 1.2 announces every message first, at 2.7 times the cost."""

    def __init__(self, message_id: MessageId) -> None:
        super().__init__(
            protocols=[PROTOCOL_ID_V11],
            degree=MESH_DEGREE,
            degree_low=MESH_DEGREE_LOW,
            degree_high=MESH_DEGREE_HIGH,
            heartbeat_interval=HEARTBEAT_S,
            prune_back_off=PRUNE_BACKOFF_S,
            unsubscribe_back_off=PRUNE_BACKOFF_S,
            adaptive_gossip_enabled=False,
            spam_protection_enabled=False,
            eclipse_protection_enabled=False,
        )
        self.scorer = None  # peers are scored in one place, and not here
        self.mcache = ContentCache(3, 5, message_id)
        self._wanted_bytes = Buckets(WANTED_BYTES_PER_S, WANTED_BURST_BYTES)

    async def publish(self, msg_forwarder: ID, pubsub_msg: rpc_pb2.Message) -> None:
        """Send a message, our own or one that was accepted, to the mesh.

        The library's version also remembers every message for as long as the node runs, and drops what
        a restarted node sends because its sequence numbers begin again.
        """
        self.mcache.put(pubsub_msg)
        rpc = rpc_pb2.RPC(publish=[pubsub_msg])
        for peer_id in list(self._get_peers_to_send(pubsub_msg.topicIDs, msg_forwarder, ID(pubsub_msg.from_id))):
            self.send_rpc(peer_id, rpc)

    async def send_recent_messages(self, peer_id: ID, topic: str) -> None:
        """Give a new subscriber what was sent in the last seconds.

        Through its queue: the library writes to the stream beside the task that owns it, and the frames
        of the two end up inside each other.
        """
        for message_id in self.mcache.window(topic):
            message = self.mcache.get(message_id)
            # Who unsubscribes and subscribes again gets them again.
            if message is not None and self._wanted_bytes.take(str(peer_id), len(message.data)):
                self.send_rpc(peer_id, rpc_pb2.RPC(publish=[message]))

    async def emit_control_message(self, control_msg: rpc_pb2.ControlMessage, to_peer: ID) -> None:
        self.send_rpc(to_peer, rpc_pb2.RPC(control=control_msg), priority=True)

    async def handle_rpc(self, rpc: rpc_pb2.RPC, sender_peer_id: ID) -> None:
        """Act on GRAFT, PRUNE, IHAVE and IWANT about our topics; the rest is ignored."""
        control = rpc.control
        for ihave in control.ihave:
            if ihave.topicID in self.mesh and len(ihave.messageIDs) <= MAX_IDS:
                await self.handle_ihave(ihave, sender_peer_id)
        for iwant in control.iwant:
            await self.handle_iwant(iwant, sender_peer_id)
        for graft in control.graft:
            if graft.topicID in self.mesh:
                await self.handle_graft(graft, sender_peer_id)
        for prune in control.prune:
            if prune.topicID in self.mesh:
                del prune.peers[:]  # whom to connect to is decided by the supervisor
                prune.backoff = min(prune.backoff, MAX_BACKOFF_S)
                await self.handle_prune(prune, sender_peer_id)

    async def handle_iwant(self, iwant_msg: rpc_pb2.ControlIWant, sender_peer_id: ID) -> None:
        if not self._check_iwant_rate_limit(sender_peer_id):
            return
        for message_id in dict.fromkeys(iwant_msg.messageIDs[:MAX_IDS]):
            message = self.mcache.get(bytes(message_id))
            if message is None:
                continue
            if not self._wanted_bytes.take(str(sender_peer_id), len(message.data)):
                return
            self.send_rpc(sender_peer_id, rpc_pb2.RPC(publish=[message]))
