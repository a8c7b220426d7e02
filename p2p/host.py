"""The libp2p host: TCP, noise and yamux, an Ed25519 identity, and nothing else switched on.

What the library would do by itself is taken away here: it dials nobody on its own, tells and learns no
addresses (identify), and knows no protocol but those that are registered.  Who may be connected is asked
once, in :attr:`GuardedSwarm.admit`, for both directions; then :attr:`GuardedSwarm.seat` finds it a place.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

import trio
from libp2p.abc import IMuxedConn, INetConn, INetStream, INetwork, INotifee
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
from libp2p.custom_types import TProtocol
from libp2p.host.basic_host import BasicHost
from libp2p.host.exceptions import StreamFailure
from libp2p.network.config import ConnectionConfig, RetryConfig
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.network.connection.swarm_connection import SwarmConn
from libp2p.network.exceptions import SwarmException
from libp2p.peer.id import ID
from libp2p.peer.peerstore import PeerStore
from libp2p.protocol_muxer.exceptions import MultiselectClientError
from libp2p.protocol_muxer.multiselect import Multiselect
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.tools.anyio_service import background_trio_service
from libp2p.transport.tcp.tcp import TCP
from libp2p.transport.upgrader import TransportUpgrader
from multiaddr import Multiaddr

from chain.base.errors import OperatorError
from p2p.addresses import tenant
from p2p.frames import LIBRARY_ERRORS, reset_quietly
from p2p.influx import Influx
from p2p.library import GuardedUpgrader, LeaklessSwarm, remote_of, tame
from p2p.limits import Buckets, Places
from p2p.listening import parse_listen_address, require_free
from p2p.refusals import Refusal
from p2p.reputation import Weight

log = logging.getLogger(__name__)

DEFAULT_MAX_CONNECTIONS = 64
"""Twice the peers a node looks for by itself, so that others still find room."""

MAX_RESERVED = 64
"""On top: for peers that the operator named, for validators, and for a newcomer until another has given way."""

MAX_HANDSHAKES = 64
"""Inbound connections that have not yet proved an identity; half of them from one remote host."""

HANDSHAKE_GRACE_S = 1.0
"""Beyond it a handshake gives way to a newcomer where there is no other room: idle sockets are cheap to open."""

HANDSHAKE_RATE_PER_S, HANDSHAKE_BURST = 10.0, 128.0
"""Handshakes with one remote host: each costs a core a hundredth of a second, whoever it turns out to be."""

HANDSHAKE_TIMEOUT_S = 5.0
"""A handshake takes 0.25 s; this leaves room for a slow machine that starts several nodes at once."""

NEGOTIATION_TIMEOUT_S = 10
"""Agreeing on the protocol of a stream: two round trips."""

MAX_INBOUND_STREAMS = 64
"""Streams a peer may hold open towards us: one for gossip, the rest for requests."""

STREAM_RATE_PER_S, STREAM_BURST = 200.0, 800.0
"""Streams a peer may open, also if it abandons each at once: four times the requests that it may make."""

SHUTDOWN_GRACE_S = 1.0
"""Closing sockets is immediate; this bounds what the library does around it."""

FAREWELL_S = 0.5
"""What a peer that is sent away may take to read why, and hang up: a round trip around the world."""

MAX_FAREWELLS = 16
"""Refused newcomers that are being told why; each keeps the place of a handshake, so others are cut off without."""

MAX_LAST_WORDS = 16 * 1024
"""What a refused newcomer may send meanwhile: it greets, and asks who we are."""

Report = Callable[[str, float, str], None]
"""Called with a peer id, a weight and the reason, when a peer did something it should not."""


class Unwelcome(SwarmException):
    """The peer is who it should be, and is here already or not let in."""


class GuardedSwarm(LeaklessSwarm):
    """The library's connection table, closed to everyone until ``admit`` says otherwise."""

    def __init__(self, peer_id: ID, peerstore: PeerStore, upgrader: TransportUpgrader, limit: int) -> None:
        config = ConnectionConfig(
            max_connections=limit + MAX_RESERVED,
            min_connections=0,
            low_watermark=0,
            high_watermark=limit + MAX_RESERVED,
            max_connections_per_peer=1,
            inbound_upgrade_timeout=HANDSHAKE_TIMEOUT_S,
            outbound_upgrade_timeout=HANDSHAKE_TIMEOUT_S,
        )
        retry = RetryConfig(max_retries=0)  # the supervisor retries
        super().__init__(peer_id, peerstore, upgrader, [TCP()], retry, config)
        self._inbound_limiter = trio.CapacityLimiter(limit + MAX_RESERVED + MAX_HANDSHAKES)
        self.auto_connector.maybe_connect = _nothing  # type: ignore[method-assign]
        self._handshakes = Places(MAX_HANDSHAKES, MAX_HANDSHAKES // 2, grace_s=HANDSHAKE_GRACE_S, wait_s=0.0)
        self._handshake_rates = Buckets(HANDSHAKE_RATE_PER_S, HANDSHAKE_BURST)
        self.joining: dict[str, str] = {}  # with the host at which we see each
        self.admit: Callable[[str], bool] = lambda _peer_id: False
        self.seat: Callable[[str, str], bool] = lambda _peer_id, _remote_host: True
        self.why: Callable[[str], Refusal | None] = lambda _peer_id: None  # it was not let in
        self._farewells = 0

    def limit(self, connections: int) -> None:
        """Have no more connections than this and those reserved; those that are there stay."""
        most = connections + MAX_RESERVED
        self.connection_config.max_connections = self.connection_config.high_watermark = most
        self._inbound_limiter.total_tokens = most + MAX_HANDSHAKES

    async def add_conn(self, muxed_conn: IMuxedConn, direction: str = "unknown") -> SwarmConn:
        """Register an authenticated connection.

        Raises :class:`Unwelcome` where its peer is not welcome or is here already.
        """
        peer_id, (remote_host, _) = str(muxed_conn.peer_id), remote_of(muxed_conn)
        is_here = peer_id in self.joining or muxed_conn.peer_id in self.connections
        if is_here or not self.admit(peer_id) or not self.seat(peer_id, remote_host):
            await self._turn_away(muxed_conn, None if is_here else self.why(peer_id))
            raise Unwelcome(f"connection of {peer_id} refused")
        self.joining[peer_id] = remote_host
        try:
            return await super().add_conn(muxed_conn, direction)
        finally:
            del self.joining[peer_id]

    async def _turn_away(self, muxed_conn: Any, refusal: Refusal | None) -> None:
        if refusal is not None and self._farewells < MAX_FAREWELLS:
            self._farewells += 1
            try:
                await say_why(muxed_conn, refusal, partial(_hung_up, muxed_conn.secured_conn))
            finally:
                self._farewells -= 1
        await cut(muxed_conn)

    async def dial_peer(self, peer_id: ID) -> list[INetConn]:
        """Raises ``SwarmException``: only the supervisor dials, and a stream to who is not connected simply fails."""
        raise SwarmException(f"{peer_id} is not connected")

    def _schedule_auto_connect(self) -> None:
        return

    def _schedule_prune(self) -> None:
        return

    async def notify_opened_stream(self, stream: INetStream) -> None:
        """Nobody listens for streams; the library would start three tasks to find that out."""

    async def notify_closed_stream(self, stream: INetStream) -> None:
        """See :meth:`notify_opened_stream`."""

    async def receive(self, raw_conn: RawConnection, maddr: Multiaddr) -> IMuxedConn | None:
        """The handshake of an inbound connection, if there is room for one; None if its host has had enough of them."""
        caller = tenant(remote_of(raw_conn)[0])
        if not self._handshake_rates.take(caller):
            return None
        async with self._handshakes.hold(caller):
            return await super().receive(raw_conn, maddr)

    async def prove(self, address: Multiaddr, peer_id: ID) -> None:
        """Reach ``peer_id`` at ``address``, and hang up.  Raises ``SwarmException`` if it is not there."""
        try:
            raw_conn = await TCP().dial(address)
        except Exception as error:
            raise SwarmException(f"nobody is reached at {address}") from error
        try:
            await self.upgrader.upgrade_security(raw_conn, True, peer_id)
        except Exception as error:
            raise SwarmException(f"{peer_id} is not reached at {address}") from error
        finally:
            with trio.CancelScope(shield=True):
                await raw_conn.close()

    async def cut_all(self) -> None:
        """Close every connection and listener at once."""
        for connections in list(self.connections.values()):
            for connection in list(connections):
                await cut(connection.muxed_conn)
        for listener in list(self.listeners.values()):
            await listener.close()


class Notifee(INotifee):
    """What the library tells of its connections, without what nobody asked for."""

    def __init__(self, opened: Callable[[INetConn], None], closed: Callable[[INetConn], None]) -> None:
        self._opened = opened
        self._closed = closed

    async def connected(self, network: INetwork, conn: INetConn) -> None:
        self._opened(conn)

    async def disconnected(self, network: INetwork, conn: INetConn) -> None:
        self._closed(conn)

    async def opened_stream(self, network: INetwork, stream: INetStream) -> None: ...

    async def closed_stream(self, network: INetwork, stream: INetStream) -> None: ...

    async def listen(self, network: INetwork, multiaddr: Multiaddr) -> None: ...

    async def listen_close(self, network: INetwork, multiaddr: Multiaddr) -> None: ...


class GuardedHost(BasicHost):
    """A host in which no stream, whatever it carries, can raise beyond itself."""

    def __init__(self, network: GuardedSwarm, influx: Influx) -> None:
        super().__init__(network, disable_identify_address_discovery=True)
        self.influx = influx
        self.multiselect = Multiselect({})
        self._open_streams: Counter[ID] = Counter()
        self._stream_rates = Buckets(STREAM_RATE_PER_S, STREAM_BURST)
        self.report: Report = lambda _peer_id, _weight, _why: None

    @property
    def swarm(self) -> GuardedSwarm:
        return cast(GuardedSwarm, self.get_network())

    def is_connected(self, peer_id: str) -> bool:
        return ID.from_base58(peer_id) in self.swarm.connections

    def listen_addresses(self) -> list[str]:
        """The addresses listened on, with the real port where 0 was asked for and with ``/p2p/`` and our id."""
        return [f"{address}/p2p/{self.get_id()}" for address in self.get_transport_addrs()]

    async def new_stream(self, peer_id: ID, protocol_ids: Sequence[TProtocol]) -> INetStream:
        """Open a stream to a connected peer.

        Raises ``SwarmException`` without a connection and ``StreamFailure`` if no protocol was agreed on.
        Unlike the library's, it can always be cancelled: a stopped peer must not hold up its caller.
        """
        stream = await self.swarm.new_stream(peer_id)
        agreed = False
        try:
            protocol = await self.multiselect_client.select_one_of(
                protocol_ids, MultiselectCommunicator(stream), NEGOTIATION_TIMEOUT_S
            )
            stream.set_protocol(protocol)
            agreed = True
            return stream
        except MultiselectClientError as error:
            raise StreamFailure(str(error)) from error
        except UnicodeDecodeError as error:
            raise StreamFailure("the peer's answer is not text") from error
        finally:
            if not agreed:
                await reset_quietly(stream)

    async def open_stream(self, peer_id: ID, protocol: TProtocol) -> INetStream:
        """A stream to a connected peer, on which no protocol was agreed yet: see :func:`p2p.frames.proposal`.

        Raises ``SwarmException`` without a connection.
        """
        stream = await self.swarm.new_stream(peer_id)
        stream.set_protocol(protocol)
        return stream

    async def _swarm_stream_handler(self, net_stream: INetStream) -> None:
        peer_id = net_stream.muxed_conn.peer_id
        is_within_rate = self._stream_rates.take(str(peer_id))
        if not is_within_rate or self._open_streams[peer_id] >= MAX_INBOUND_STREAMS:
            self.report(str(peer_id), Weight.EXCESS, "opened too many streams")
            await reset_quietly(net_stream)
            return
        self._open_streams[peer_id] += 1
        try:
            await super()._swarm_stream_handler(net_stream)
        except Exception as error:  # noqa: BLE001 - one exception here would end the whole process
            log.debug("stream of %s failed: %r", peer_id, error)
            await reset_quietly(net_stream)
        finally:
            self._open_streams[peer_id] -= 1
            if not self._open_streams[peer_id]:
                del self._open_streams[peer_id]

    def _schedule_identify(self, peer_id: ID, *, reason: str) -> None:
        """Peers tell each other what they need to know in our own handshake."""

    async def _push_identify_to_all_peers(self) -> None:
        """See :meth:`_schedule_identify`."""


async def _nothing() -> None:
    """What the library does by itself here."""


async def say_why(muxed_conn: Any, refusal: Refusal, hung_up: Callable[[], Awaitable[object]]) -> None:
    """Tell a peer why it is sent away, and wait a little until ``hung_up``: what is cut off at once is hardly read."""
    with trio.move_on_after(FAREWELL_S):
        try:
            await muxed_conn.tell(refusal.on_the_wire)
            await hung_up()
        except LIBRARY_ERRORS as error:
            log.debug("a refusal was not taken: %r", error)


async def _hung_up(secured_conn: Any) -> None:
    room = MAX_LAST_WORDS
    while room > 0 and (piece := await secured_conn.read(room)):
        room -= len(piece)


async def cut(muxed_conn: Any) -> None:
    """Close the socket under a connection.

    A polite close writes first, and waits for ever if the peer has stopped reading.  The library notices
    the closed socket and cleans up by itself within 0.2 s.
    """
    try:
        await muxed_conn.secured_conn.close()
    except LIBRARY_ERRORS as error:
        log.debug("closing a socket failed: %r", error)


def build_host(seed: bytes, max_connections: int = DEFAULT_MAX_CONNECTIONS) -> GuardedHost:
    """The host of the identity that a 32-byte Ed25519 ``seed`` stands for.  It is not running yet."""
    key_pair = create_new_key_pair(seed)
    peer_id = ID.from_pubkey(key_pair.public_key)
    peerstore = PeerStore()
    peerstore.add_key_pair(peer_id, key_pair)
    noise = NoiseTransport(key_pair, noise_privkey=create_noise_key_pair().private_key)
    influx = Influx()
    swarm = GuardedSwarm(peer_id, peerstore, GuardedUpgrader(noise, influx), max_connections)
    return GuardedHost(swarm, influx)


@asynccontextmanager
async def open_host(
    seed: bytes, listen: Sequence[str], max_connections: int = DEFAULT_MAX_CONNECTIONS
) -> AsyncIterator[GuardedHost]:
    """Run a host that listens on the multiaddrs ``listen``.

    Raises :class:`OperatorError` if one of them is malformed or in use.
    """
    tame()
    addresses = [parse_listen_address(text) for text in listen]
    for address in addresses:
        require_free(address)
    host = build_host(seed, max_connections)
    async with background_trio_service(host.swarm):
        try:
            await host.swarm.listen(*addresses)
            missing = [str(address) for address in addresses if str(address) not in host.swarm.listeners]
            if missing:
                raise OperatorError(f"Cannot listen on {missing[0]}; change listen in config.toml")
            yield host
        finally:
            with trio.move_on_after(SHUTDOWN_GRACE_S) as scope:
                scope.shield = True
                await host.swarm.cut_all()
