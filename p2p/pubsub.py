"""The library's pubsub service, made safe against its peers.

It keeps the library's handling of peers and subscriptions and replaces the way of a message:
frame -> well-formed and within the limits -> not seen before -> signature -> validator -> mesh.
Each distinct message meets its validator once, however many copies arrive and at what moment.
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio
from google.protobuf.message import DecodeError
from libp2p.abc import INetStream
from libp2p.host.exceptions import StreamFailure
from libp2p.network.exceptions import SwarmException
from libp2p.peer.id import ID
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.pubsub import Pubsub
from libp2p.pubsub.validators import signature_validator

from chain.errors import InvariantBroken, Refused
from p2p.frames import FrameReader, FrameRefused, StreamEnded, reset_quietly, write_frame
from p2p.host import GuardedHost, Report
from p2p.limits import MAX_RATED, Backlog, TokenBucket
from p2p.reputation import Weight
from p2p.router import MAX_QUEUED_RPCS, MAX_RPC_BYTES, BoundedRpcQueue, TunedGossipSub

log = logging.getLogger(__name__)

SEEN_TTL_S = 120.0
MAX_SEEN = 16_384
"""Two minutes of 130 messages a second, which is more than four nodes on two cores manage.  What comes
again later than that is validated again."""

MAX_VALIDATING = 64
MAX_VALIDATING_BYTES = 4 * 1024 * 1024
"""Messages of one peer that are being validated; beyond it this peer's next frame waits."""

VALIDATION_TIMEOUT_S = 10.0
"""A validator checks signatures; one that takes this long hangs, and its message is let go."""

MESSAGE_RATE_PER_S, MESSAGE_BURST = 500.0, float(MAX_QUEUED_RPCS)
BYTE_RATE_PER_S, BYTE_BURST = 16.0 * 1024 * 1024, 64.0 * 1024 * 1024
"""What one peer may send.  The burst is what an honest peer can have queued for us; the rates are four
times what a core can take."""

MAX_TOPICS_PER_PEER = 16
"""We use a handful of topics."""

SUBSCRIPTION_RATE_PER_S, SUBSCRIPTION_BURST = 1.0, 64.0
"""Subscriptions that a peer may begin or end: ours are a handful after each connect.  The library starts tasks
for each, at a cost that grows with their number."""

DEFAULT_DROP_RATE = (50.0, 256.0)
"""A second, and at once: messages of one peer that are dropped without blame, because they depend on our clock or
state.  Honest peers forward what they took themselves, so this is what a whole network says while we are behind."""

MAX_PARTS = 256
"""Messages, subscriptions and control messages in one frame: ours hold one message, or a few of each topic.  A
frame could hold half a million empty ones."""

Validate = Callable[[str, bytes], Awaitable[bool]]


@dataclass(frozen=True)
class Topic:
    validate: Validate
    max_bytes: int


def message_id(message: rpc_pb2.Message) -> bytes:
    """SHA-256 of the topic and the content.

    Not sender and sequence number: those start again when a node does, and its messages would be taken
    for old ones.
    """
    digest = hashlib.sha256()
    for topic in message.topicIDs:
        name = topic.encode()
        digest.update(len(name).to_bytes(4, "big") + name)
    digest.update(message.data)
    return digest.digest()


class SeenCache:
    """Ids of messages that were dealt with, and whether they were good.  Has the shape the library expects."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, tuple[float, bool]] = OrderedDict()

    def has(self, key: bytes) -> bool:
        return self.verdict(key) is not None

    def add(self, key: bytes, good: bool = True) -> bool:
        self._seen[key] = (trio.current_time() + SEEN_TTL_S, good)
        self._seen.move_to_end(key)
        while len(self._seen) > MAX_SEEN:
            self._seen.popitem(last=False)
        return True

    def verdict(self, key: bytes) -> bool | None:
        """True or False for a message seen in the last two minutes, else None."""
        expires_at, good = self._seen.get(key, (0.0, False))
        return good if expires_at > trio.current_time() else None


class Sender:
    """What one peer has used up, on however many streams."""

    def __init__(self, drop_rate: tuple[float, float]) -> None:
        self.backlog = Backlog(MAX_VALIDATING, MAX_VALIDATING_BYTES)
        self.messages = TokenBucket(MESSAGE_RATE_PER_S, MESSAGE_BURST)
        self.bytes = TokenBucket(BYTE_RATE_PER_S, BYTE_BURST)
        self.subscriptions = TokenBucket(SUBSCRIPTION_RATE_PER_S, SUBSCRIPTION_BURST)
        self.dropped = TokenBucket(*drop_rate)


class GuardedPubsub(Pubsub):
    """Pubsub that survives its peers.  ``on_bug`` is told when a validator breaks an invariant of ours."""

    def __init__(
        self,
        host: GuardedHost,
        router: TunedGossipSub,
        prefix: str,
        drop_rate: tuple[float, float] = DEFAULT_DROP_RATE,
    ) -> None:
        super().__init__(
            host,
            router,
            strict_signing=True,
            msg_id_constructor=message_id,
            max_inbound_rpc_size=MAX_RPC_BYTES,
            max_subscriptions_per_peer=MAX_TOPICS_PER_PEER,
        )
        self.seen_messages.stop()  # the library's cache is unbounded and has a thread of its own
        self.seen = SeenCache()
        self.seen_messages = self.seen  # type: ignore[assignment]
        self.topics: dict[str, Topic] = {}
        self.report: Report = lambda _peer_id, _weight, _why: None
        self.on_bug: Callable[[Exception], None] = lambda _error: None
        self._prefix = prefix
        self._drop_rate = drop_rate
        self._validating: set[bytes] = set()
        self._readers: dict[ID, trio.CancelScope] = {}
        self._senders: dict[ID, Sender] = {}

    # -- what peers send ------------------------------------------------------------------------------

    async def stream_handler(self, stream: INetStream) -> None:
        """Read one peer's gossip until it ends or misbehaves.  A newer stream of the peer replaces this one."""
        peer_id: ID = stream.muxed_conn.peer_id
        replaced = self._readers.pop(peer_id, None)
        if replaced is not None:
            replaced.cancel()
        scope = self._readers[peer_id] = trio.CancelScope()
        fault = ""
        async with trio.open_nursery() as nursery:
            with scope:
                fault = await self._read_frames(stream, peer_id, nursery)
        if self._readers.get(peer_id) is scope:
            del self._readers[peer_id]
        await reset_quietly(stream)
        if fault:
            self.report(str(peer_id), Weight.MALICE, fault)

    async def _read_frames(self, stream: INetStream, peer_id: ID, nursery: trio.Nursery) -> str:
        reader = FrameReader(stream)
        sender = self._sender(peer_id)
        try:
            while True:
                await trio.lowlevel.checkpoint()  # small frames come from memory: let others run between them
                frame = await reader.frame(MAX_RPC_BYTES)
                rpc = rpc_pb2.RPC()
                rpc.ParseFromString(frame)
                parts = _count_parts(rpc)
                if parts > MAX_PARTS:
                    return f"sent {parts} messages in one frame of gossip"
                if not (sender.messages.take(max(1, parts)) and sender.bytes.take(len(frame))):
                    self.report(str(peer_id), Weight.EXCESS, "sends gossip too fast")
                    continue
                await self._take_control(peer_id, rpc, sender)
                for message in rpc.publish:
                    await self._take_message(peer_id, message, sender, nursery)
        except StreamEnded:
            return ""
        except FrameRefused as error:
            return f"sent {error} as gossip"
        except DecodeError:
            return "sent gossip that is not protobuf"
        except InvariantBroken as error:
            self.on_bug(error)
            return ""
        except Exception as error:  # noqa: BLE001 - the library's handlers raise anything at odd input
            return f"sent gossip that cannot be handled ({error!r:.100})"

    def _sender(self, peer_id: ID) -> Sender:
        sender = self._senders.pop(peer_id, None) or Sender(self._drop_rate)
        self._senders[peer_id] = sender
        while len(self._senders) > MAX_RATED:
            del self._senders[next(iter(self._senders))]
        return sender

    async def _take_control(self, peer_id: ID, rpc: rpc_pb2.RPC, sender: Sender) -> None:
        for subscription in rpc.subscriptions:
            if not sender.subscriptions.take():
                self.report(str(peer_id), Weight.EXCESS, "subscribes too often")
            elif subscription.topicid.startswith(self._prefix):
                self.handle_subscription(peer_id, subscription)
        if rpc.HasField("control"):
            await self.router.handle_rpc(rpc, peer_id)

    async def _take_message(self, peer_id: ID, message: rpc_pb2.Message, sender: Sender, nursery: trio.Nursery) -> None:
        size = len(message.data)
        if len(message.topicIDs) != 1:
            self.report(str(peer_id), Weight.INVALID, "sent a message without one topic")
            return
        topic = self.topics.get(message.topicIDs[0])
        if topic is None:
            return
        if size > topic.max_bytes:
            self.report(str(peer_id), Weight.INVALID, f"sent a message of {size} bytes")
            return
        key = message_id(message)
        verdict = self.seen.verdict(key)
        if verdict is False:
            self.report(str(peer_id), Weight.INVALID, "forwarded a message known to be invalid")
        if verdict is not None or key in self._validating:
            return
        # Before the id is taken: otherwise a forged copy could make us drop the good one.
        if not _signed_by_its_author(message):
            self.report(str(peer_id), Weight.INVALID, "forwarded a message with a bad signature")
            return
        self._validating.add(key)
        try:
            await sender.backlog.enter(size)
        except BaseException:
            self._validating.discard(key)
            raise
        nursery.start_soon(self._validate, peer_id, message, key, topic, sender)

    async def _validate(self, peer_id: ID, message: rpc_pb2.Message, key: bytes, topic: Topic, sender: Sender) -> None:
        accepted: bool | None = None
        try:
            with trio.move_on_after(VALIDATION_TIMEOUT_S):
                accepted = await topic.validate(str(peer_id), message.data)
            self.seen.add(key, accepted is not False)
        except InvariantBroken as error:
            self.on_bug(error)
        except Refused as refusal:
            log.info("a message from %s was dropped: %s", peer_id, refusal)
            self.seen.add(key)
            if not sender.dropped.take():
                self.report(str(peer_id), Weight.EXCESS, "sends too much that is of no use here")
        except Exception:
            # A fault of ours: nobody is blamed, and the message is not tried again.
            log.exception("a gossip validator raised")
            self.seen.add(key)
        finally:
            self._validating.discard(key)
            sender.backlog.leave(len(message.data))
        if accepted:
            await self.router.publish(peer_id, message)
        elif accepted is False:
            self.report(str(peer_id), Weight.INVALID, "forwarded an invalid message")

    # -- what we send ---------------------------------------------------------------------------------

    async def push_msg(self, msg_forwarder: ID, msg: rpc_pb2.Message) -> None:
        """Send a message of our own, also one that was sent before: new peers lack it.  Others' never come here."""
        self.seen.add(message_id(msg))
        await self.router.publish(msg_forwarder, msg)

    async def _handle_new_peer(self, peer_id: ID) -> None:
        if peer_id in self.peers:
            return
        try:
            stream = await self.host.new_stream(peer_id, self.protocols)
            await write_frame(stream, self.get_hello_packet().SerializeToString())
        except (StreamFailure, StreamEnded) as error:
            raise SwarmException(str(error)) from error  # what the library tries again
        if peer_id in self.peers or not self._peer_is_connected(peer_id):
            await reset_quietly(stream)
            return
        self.router.add_peer(peer_id, stream.get_protocol())
        self.peers[peer_id] = stream
        queue = self.peer_queues[peer_id] = BoundedRpcQueue()
        self.manager.run_task(self.handle_sending_messages, peer_id, stream, queue)
        await self._send_recent_messages_to_new_peer(peer_id)
        for topic, subscribers in list(self.peer_topics.items()):
            if peer_id in subscribers:
                await self.router.on_peer_subscribed(peer_id, topic)

    def _handle_dead_peer(self, peer_id: ID) -> None:
        # The library forgets what a peer has subscribed to when our stream to it breaks.  The peer tells
        # us on its own stream, which may well live on, and would never tell us again.
        kept = [topic for topic, subscribers in self.peer_topics.items() if peer_id in subscribers]
        super()._handle_dead_peer(peer_id)
        if self._peer_is_connected(peer_id):
            for topic in kept:
                self.peer_topics.setdefault(topic, set()).add(peer_id)

    def get_hello_packet(self) -> rpc_pb2.RPC:
        """Our subscriptions, without the signed address record that the library adds to every frame."""
        return rpc_pb2.RPC(
            subscriptions=[rpc_pb2.RPC.SubOpts(subscribe=True, topicid=topic) for topic in self.topic_ids]
        )

    def _build_announce_rpc(self, topic_id: str, subscribe: bool) -> tuple[rpc_pb2.RPC, rpc_pb2.RPC.SubOpts]:
        announcement = rpc_pb2.RPC.SubOpts(subscribe=subscribe, topicid=topic_id)
        return rpc_pb2.RPC(subscriptions=[announcement]), announcement


def _count_parts(rpc: rpc_pb2.RPC) -> int:
    control = rpc.control
    lists = (rpc.publish, rpc.subscriptions, control.ihave, control.iwant, control.graft, control.prune)
    return sum(len(parts) for parts in lists)


def _signed_by_its_author(message: rpc_pb2.Message) -> bool:
    try:
        return bool(signature_validator(message))
    except Exception as error:  # noqa: BLE001 - ids and keys that do not decode raise anything
        log.debug("a message's key does not decode: %r", error)
        return False
