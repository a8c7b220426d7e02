"""Streams in and out, around the mesh: what peers send is read, bounded and checked, what the mesh wants is sent.

A peer has one stream to us, the latest that it opened, and we have one to it, with a queue.  Nothing that comes in
raises beyond its stream.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

import trio
from libp2p.abc import INetConn, INetStream
from libp2p.custom_types import TProtocol
from libp2p.host.exceptions import StreamFailure
from libp2p.peer.id import ID

from chain.base.errors import InvariantBroken, Reason, Refused
from chain.base.newest import Newest
from p2p.addresses import origin
from p2p.frames import LIBRARY_ERRORS, FrameReader, FrameRefused, StreamEnded, reset_quietly, write_frame
from p2p.host import GuardedHost, Notifee, Report
from p2p.library import remote_of
from p2p.limits import MAX_RATED, Backlog, Commons, TokenBucket
from p2p.meshsub import wire
from p2p.meshsub.effects import Check, Effect, Fault, Penalise, Send, Verdict
from p2p.meshsub.mesh import Mesh
from p2p.meshsub.outbox import MAX_QUEUED_FRAMES, Outbox
from p2p.meshsub.parts import Rpc
from p2p.meshsub.signing import signed
from p2p.reputation import Weight, count_refusal

if TYPE_CHECKING:
    from trio_typing import TaskStatus

log = logging.getLogger(__name__)

MESHSUB = TProtocol("/meshsub/1.1.0")
"""No later version: 1.2 announces every message first, at 2.7 times the cost."""

HEARTBEAT_S = 1.0
"""Specification: heartbeat_interval, 1 second."""

MAX_CHECKING = 64
MAX_CHECKING_BYTES = 1024 * 1024
"""Messages of one peer that are being checked; beyond it this peer's next frame waits."""

CHECK_TIMEOUT_S = 10.0
"""A check is one of signatures; one that takes this long hangs, and its message is let go."""

MESSAGE_RATE_PER_S, MESSAGE_BURST = 500.0, float(MAX_QUEUED_FRAMES)
BYTE_RATE_PER_S, BYTE_BURST = 16.0 * 1024 * 1024, 64.0 * 1024 * 1024
"""What one peer may send.  The burst is what an honest peer can have queued for us; the rates are four
times what a core can take."""

STRANGER_RATE = (100_000.0, 500_000.0)
STRANGERS_RATE = (300_000.0, 1_500_000.0)
"""Bytes a second, and at once, of what is new and comes from one stranger, and from all of them: that is checked here,
and by everybody to whom it is passed on.  700 transactions a second, and 2,000; what is beyond waits at their end."""

SHARE_RATE = (5_000.0, 100_000.0)
"""And of this what comes from one host or neighbourhood whatever all strangers bring: thirty transactions a second."""

DEFAULT_DROP_RATE = (50.0, 256.0)
"""A second, and at once: messages of one peer that are dropped without blame, because they depend on our clock or
state.  Honest peers forward what they took themselves, so this is what a whole network says while we are behind."""

WRITE_TIMEOUT_S = 20.0
"""A frame of an announcement takes two seconds on a slow line; who takes none for so long has lost the stream."""

REOPEN_S = 1.0
"""Between a stream that broke, or was not agreed on, and the next."""

BREAK_RATE_PER_S, BREAK_BURST = 1 / 60, 3.0
"""Streams to one peer that may break.  One that reads nothing breaks one after the other, and is let go."""

Validate = Callable[[str, bytes], Awaitable[bool]]

_WEIGHTS = {Fault.EXCESS: Weight.EXCESS, Fault.INVALID: Weight.INVALID}


class Link:
    """One connection, and what waits for its peer."""

    def __init__(self, muxed_conn: Any) -> None:
        self.muxed_conn = muxed_conn
        self.peer: ID = muxed_conn.peer_id
        self.host = remote_of(muxed_conn)[0]
        self.origin = origin(self.host)
        self.outbox = Outbox()
        self.breaks = TokenBucket(BREAK_RATE_PER_S, BREAK_BURST)
        self.writing = trio.CancelScope()
        self.reading = trio.CancelScope()


class Sender:
    """What one peer has used up, on however many streams and connections."""

    def __init__(self, drop_rate: tuple[float, float]) -> None:
        self.backlog = Backlog(MAX_CHECKING, MAX_CHECKING_BYTES)
        self.messages = TokenBucket(MESSAGE_RATE_PER_S, MESSAGE_BURST)
        self.bytes = TokenBucket(BYTE_RATE_PER_S, BYTE_BURST)
        self.dropped = TokenBucket(*drop_rate)


class Router:
    """The mesh on a host.  ``on_bug`` is told when a validator breaks an invariant of ours, ``drop`` whom to let go."""

    def __init__(self, host: GuardedHost, mesh: Mesh, drop_rate: tuple[float, float] = DEFAULT_DROP_RATE) -> None:
        self.report: Report = lambda _peer_id, _weight, _why: None
        self.on_bug: Callable[[Exception], None] = lambda _error: None
        self.drop: Callable[[str], None] = lambda _peer_id: None
        self.mesh = mesh
        self._host = host
        self._drop_rate = drop_rate
        self._validators: dict[str, Validate] = {}
        self._links: dict[str, Link] = {}
        self._senders: Newest[str, Sender] = Newest(MAX_RATED)
        self._debts = Commons(STRANGER_RATE, STRANGERS_RATE, SHARE_RATE)
        self._seqno = time.time_ns()
        self._sign = host.get_private_key().sign
        self._public = host.get_public_key().to_bytes()
        self._nursery: trio.Nursery | None = None
        host.set_stream_handler(MESHSUB, self._handle)
        host.swarm.register_notifee(Notifee(self._opened, self._closed))

    # -- for the node above ---------------------------------------------------------------------------

    def subscribe(self, topic: str, validate: Validate, max_bytes: int) -> None:
        """Have ``validate`` take the messages of a topic."""
        self._validators[topic] = validate
        self._perform(self.mesh.join(topic, max_bytes))

    def publish(self, topic: str, data: bytes) -> None:
        """Queue a message of ours for everybody that listens."""
        self._seqno += 1
        message = signed(self._sign, self._public, self._seqno, topic, data)
        self._perform(self.mesh.publish(message, _now_ms()))

    def is_ready(self, peer_id: str, topic: str) -> bool:
        """Whether a peer is connected and has told us that it listens to ``topic``."""
        return self.mesh.listens(peer_id, topic)

    def vouch(self, peer_id: str, is_validator: bool) -> None:
        """Whether a peer is a validator's machine, as far as it is known now."""
        self._perform(self.mesh.vouch(peer_id, is_validator))

    async def run(self, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Do all this until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            try:
                while True:
                    await trio.sleep(HEARTBEAT_S)
                    self._perform(self.mesh.heartbeat(_now_ms()))
            finally:
                self._nursery = None

    # -- connections ----------------------------------------------------------------------------------

    def _opened(self, connection: INetConn) -> None:
        self._link(connection.muxed_conn)

    def _closed(self, connection: INetConn) -> None:
        peer_id = str(connection.muxed_conn.peer_id)
        link = self._links.get(peer_id)
        if link is not None and link.muxed_conn is connection.muxed_conn:
            self._unlink(peer_id, link)

    def _link(self, muxed_conn: Any) -> Link | None:
        """The link of a connection; a stream on it may come before the library tells of it, or after its end."""
        peer_id = str(muxed_conn.peer_id)
        link = self._links.get(peer_id)
        if link is not None and link.muxed_conn is muxed_conn:
            return link
        if self._nursery is None or not self._host.is_connected(peer_id):
            return None
        if link is not None:
            self._unlink(peer_id, link)
        link = self._links[peer_id] = Link(muxed_conn)
        self._perform(self.mesh.peer_joined(peer_id, link.host, is_outbound=muxed_conn.is_initiator))
        self._nursery.start_soon(self._write, peer_id, link)
        return link

    def _unlink(self, peer_id: str, link: Link) -> None:
        del self._links[peer_id]
        link.writing.cancel()
        link.reading.cancel()
        self._perform(self.mesh.peer_left(peer_id))

    # -- what is sent ---------------------------------------------------------------------------------

    def _perform(self, effects: list[Effect]) -> list[Check]:
        """Send and blame as the mesh wants it; what is left is to be checked."""
        checks = []
        for effect in effects:
            match effect:
                case Send(peers, rpc):
                    self._send(peers, rpc)
                case Penalise(peer, fault, why):
                    self.report(peer, _WEIGHTS[fault], why)
                case Check():
                    checks.append(effect)
        return checks

    def _send(self, peers: tuple[str, ...], rpc: Rpc) -> None:
        frame = wire.encode(rpc)
        for peer_id in peers:
            link = self._links.get(peer_id)
            if link is not None and not link.outbox.put(frame):
                log.debug("peer %s takes gossip too slowly", peer_id)

    async def _write(self, peer_id: str, link: Link) -> None:
        with link.writing:
            while True:
                stream = await self._open(link.peer)
                if stream is not None:
                    await self._write_frames(stream, link.outbox)
                    if not link.breaks.take():
                        self.report(peer_id, Weight.EXCESS, "does not read what it is sent")
                        self.drop(peer_id)
                await trio.sleep(REOPEN_S)
                link.outbox.clear()
                link.outbox.put(wire.encode(self.mesh.hello()))

    async def _open(self, peer: ID) -> INetStream | None:
        try:
            return await self._host.new_stream(peer, [MESHSUB])
        except (StreamFailure, *LIBRARY_ERRORS) as error:
            log.debug("no stream of gossip to %s: %r", peer, error)
        return None

    async def _write_frames(self, stream: INetStream, outbox: Outbox) -> None:
        """Send what waits, until the stream breaks."""
        try:
            while True:
                frame = await outbox.take()
                with trio.fail_after(WRITE_TIMEOUT_S):
                    await write_frame(stream, frame)
        except (StreamEnded, trio.TooSlowError) as error:
            log.debug("a stream of gossip broke: %r", error)
        finally:
            await reset_quietly(stream)

    # -- what is received -----------------------------------------------------------------------------

    async def _handle(self, stream: INetStream) -> None:
        """Read one peer's gossip until it ends or misbehaves.  A newer stream of the peer replaces this one."""
        link = self._link(stream.muxed_conn)
        fault = ""
        if link is not None:
            link.reading.cancel()
            scope = link.reading = trio.CancelScope()
            with scope:
                fault = await self._read(FrameReader(stream), str(link.peer))
        await reset_quietly(stream)
        if link is not None and fault:
            self.report(str(link.peer), Weight.MALICE, fault)

    async def _read(self, reader: FrameReader, peer_id: str) -> str:
        sender = self._sender(peer_id)
        try:
            while True:
                # Small frames come from memory: let others run between them, also where nothing is owed.  A frame that
                # is here is not held back: nobody else could bring its messages meanwhile.
                await trio.sleep(self._owed_s(peer_id))
                frame = await reader.frame(wire.MAX_RPC_BYTES)
                if sender.messages.take() and sender.bytes.take(len(frame)):
                    await self._take(peer_id, wire.decode(frame), sender)
                else:
                    self.report(peer_id, Weight.EXCESS, "sends gossip too fast")
        except StreamEnded:
            return ""
        except FrameRefused as error:
            return f"sent {error} as gossip"
        except Refused as error:
            count_refusal(error, is_blamed=True)
            return f"sent {error}"

    def _owed_s(self, peer_id: str) -> float:
        """How long a stranger has to wait until it may bring more that is new."""
        if not self.mesh.is_stranger(peer_id):
            return 0.0
        return self._debts.wait_s(peer_id, self._origin(peer_id))

    def _charge(self, peer_id: str, checks: Iterable[Check]) -> None:
        if self.mesh.is_stranger(peer_id):
            size = sum(len(check.message.data) for check in checks)
            self._debts.charge(peer_id, self._origin(peer_id), size)

    def _origin(self, peer_id: str) -> str:
        link = self._links.get(peer_id)
        return "" if link is None else link.origin

    def _sender(self, peer_id: str) -> Sender:
        sender = self._senders.get(peer_id) or Sender(self._drop_rate)
        self._senders.renew(peer_id, sender)
        return sender

    async def _take(self, peer_id: str, rpc: Rpc, sender: Sender) -> None:
        if not sender.messages.take(max(0, rpc.parts - 1)):
            self.report(peer_id, Weight.EXCESS, "sends gossip too fast")
            return
        checks = deque(self._perform(self.mesh.received(peer_id, rpc, _now_ms())))
        self._charge(peer_id, checks)
        try:
            while checks and self._nursery is not None:
                await sender.backlog.enter(len(checks[0].message.data))
                self._nursery.start_soon(self._check, checks.popleft(), sender)
        finally:
            for check in checks:
                self.mesh.abandoned(check.message.id)

    async def _check(self, check: Check, sender: Sender) -> None:
        verdict = Verdict.IGNORE
        try:
            with trio.move_on_after(CHECK_TIMEOUT_S):
                taken = await self._validators[check.message.topic](check.peer, check.message.data)
                verdict = Verdict.ACCEPT if taken else Verdict.REJECT
        except InvariantBroken as error:
            self.on_bug(error)
        except Refused as refusal:
            log.info("a message from %s was dropped: %s", check.peer, refusal)
            # That we are full is not its doing.
            if refusal.reason is not Reason.POOL_FULL and not sender.dropped.take():
                self.report(check.peer, Weight.EXCESS, "sends too much that is of no use here")
        except Exception:
            # A fault of ours: nobody is blamed, and the message is not tried again.
            log.exception("a gossip validator raised")
        finally:
            sender.backlog.leave(len(check.message.data))
        self._perform(self.mesh.checked(check.message.id, verdict, _now_ms()))


def _now_ms() -> int:
    return int(trio.current_time() * 1_000)
