"""Who this node is connected to: it dials, greets, watches, drops, keeps out, and dials again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Any

import trio
from libp2p.abc import INetConn
from libp2p.network.exceptions import SwarmException
from libp2p.peer.id import ID

from chain.errors import Reason, Refused
from p2p import handshake
from p2p.addresses import PeerAddress
from p2p.book import Contact, PeerBook
from p2p.host import HANDSHAKE_TIMEOUT_S, GuardedHost, Notifee, cut
from p2p.reputation import Reputation, Weight
from p2p.requests import Failure, RequestError, Requests
from p2p.troubles import Troubles, why_not_dialled

log = logging.getLogger(__name__)

MAX_DIALS = 8
"""Handshakes cost a core a hundredth of a second each; eight at once leave room for the rest."""

HELLO_TIMEOUT_S = 5.0
"""For the first exchange, and for how long an inbound peer may stay silent before we ask it."""

FOREIGN_BAN_S = 600.0
"""A peer of another network stays one; it is tried again after ten minutes in case it was reconfigured."""

CLOSE_GRACE_S = 2.0
"""The library reports a closed connection within 0.2 s; this is for a very busy machine."""

IDLE_TICK_S = 1.0
"""How late the end of a ban or of a wait may be noticed."""


@dataclass(frozen=True)
class PeerSettings:
    """How the supervisor behaves.  The times are seconds."""

    max_peers: int = 32  # dialled by ourselves
    max_strangers: int = 32  # on top: those that dial us and that nobody told us to know
    ping_interval_s: float = 5.0
    ping_timeout_s: float = 4.0
    max_misses: int = 2  # together: a stopped peer is gone after 13 s
    stable_s: float = 10.0  # a connection that lasted so long was a good one
    exchange_interval_s: float = 60.0


@dataclass(frozen=True)
class PeerInfo:
    """A connected peer, for people and metrics."""

    peer_id: str
    address: str
    direction: str  # "inbound" or "outbound"
    rtt_ms: float | None
    score: float


class Link:
    """One connection, from the moment the library reports it until it is gone."""

    def __init__(self, peer_id: str, connection: INetConn, now: float) -> None:
        self.peer_id = peer_id
        self.connection = connection
        muxed_conn: Any = connection.muxed_conn
        remote: tuple[str, int] = muxed_conn.get_remote_address() or ("", 0)
        self.direction = "outbound" if muxed_conn.is_initiator else "inbound"
        self.remote_host, port = remote
        version = "ip6" if ":" in self.remote_host else "ip4"
        self.address = f"/{version}/{self.remote_host}/tcp/{port}"
        self.opened_at = now
        self.scope = trio.CancelScope()
        self.closed = trio.Event()
        self.greeted = trio.Event()
        self.hello: bytes | None = None
        self.up = False
        self.rtt_ms: float | None = None
        self.shared: PeerAddress | None = None


class PeerSupervisor:
    """Keeps this node connected.  Set the callbacks, then :meth:`start`; before that nobody is let in.

    ``local_hello`` gives the payload of our greeting, ``on_hello`` takes the peer's.  ``on_connected``
    comes just before ``on_hello``, ``on_disconnected`` at the end, for peers of our network only; ``on_gone``
    comes at the end for everyone.
    """

    def __init__(
        self,
        host: GuardedHost,
        requests: Requests,
        rng: Random,
        settings: PeerSettings,
        reputation: Reputation,
    ) -> None:
        self.local_hello: Callable[[], bytes] = lambda: b""
        self.on_hello: Callable[[str, bytes], None] = lambda _peer_id, _payload: None
        self.on_connected: Callable[[str], None] = lambda _peer_id: None
        self.on_disconnected: Callable[[str], None] = lambda _peer_id: None
        self.on_gone: Callable[[str], None] = lambda _peer_id: None
        self._host = host
        self._requests = requests
        self._rng = rng
        self._settings = settings
        self._reputation = reputation
        self._own_id = str(host.get_id())
        self._book = PeerBook(self._own_id, rng)
        self._troubles = Troubles()
        self._links: dict[str, Link] = {}
        self._blocked: frozenset[str] = frozenset()
        self._started = False
        self._wake = trio.Event()
        self._nursery: trio.Nursery | None = None
        host.swarm.admit = self._admit
        host.swarm.register_notifee(Notifee(self._opened, self._closed))
        limits = {"max_concurrent": 64, "max_request": 64}
        requests.serve("ping", self._serve_ping, max_response=64, **limits)
        requests.serve("peers", self._serve_peers, max_response=handshake.MAX_PEERS_BYTES, **limits)
        requests.serve(
            "hello",
            self._serve_hello,
            max_request=handshake.MAX_HELLO_BYTES,
            max_response=handshake.MAX_HELLO_BYTES,
            max_concurrent=64,
        )

    # -- for the node above ---------------------------------------------------------------------------

    def start(self, bootstrap: Iterable[PeerAddress] = ()) -> None:
        """Let peers in and dial those of the book."""
        for address in bootstrap:
            self._book.add(address, trio.current_time(), bootstrap=True)
        self._started = True
        self._wake.set()

    def adopt(self, settings: PeerSettings, max_connections: int, ban_s: float) -> None:
        """Keep to other limits from now on; who is connected or banned stays so."""
        self._settings = settings
        self._reputation.ban_for(ban_s)
        self._host.swarm.limit(max_connections)
        self._wake.set()

    def connected(self) -> list[PeerInfo]:
        """The peers that have greeted us, in the order of their ids."""
        return [
            PeerInfo(peer_id, link.address, link.direction, link.rtt_ms, self._reputation.score(peer_id))
            for peer_id, link in sorted(self._links.items())
            if link.up
        ]

    def bans(self) -> dict[str, float]:
        """Who is kept out, and for how many seconds more."""
        return self._reputation.bans()

    def penalise(self, peer_id: str, weight: float, why: str) -> None:
        """Hold something against a peer.  At :data:`p2p.reputation.BAN_THRESHOLD` it is banned for a while."""
        if peer_id == self._own_id:
            return
        if self._reputation.penalise(peer_id, weight):
            log.warning("peer %s is banned: it %s", peer_id, why)
            self.disconnect(peer_id)
        else:
            log.info("peer %s %s (%+.0f)", peer_id, why, weight)

    def disconnect(self, peer_id: str) -> None:
        """Close the connection to a peer, if there is one.  It may come back at once."""
        link = self._links.get(peer_id)
        if link is not None:
            link.scope.cancel()

    def block(self, peer_ids: set[str]) -> None:
        """Be cut off from these peers, and only these, until :meth:`unblock`."""
        self._blocked = frozenset(peer_ids)
        for peer_id in peer_ids:
            self.disconnect(peer_id)

    def unblock(self) -> None:
        """End :meth:`block`, and dial everyone again without waiting."""
        self._blocked = frozenset()
        self._book.dial_all_soon(trio.current_time())
        self._wake.set()

    # -- connections ----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Do all this until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._dial_forever)
            nursery.start_soon(self._exchange_forever)

    def _admit(self, peer_id: str) -> bool:
        return self._started and peer_id not in self._links and self._welcome(peer_id) and self._has_room(peer_id)

    def _has_room(self, peer_id: str) -> bool:
        # Identities are free: however many come, those that we were told to know and those that we dial get in.
        contact = self._book.get(peer_id)
        if contact is not None and (contact.bootstrap or contact.dialling):
            return True
        return sum(map(self._is_stranger, self._links.values())) < self._settings.max_strangers

    def _is_stranger(self, link: Link) -> bool:
        contact = self._book.get(link.peer_id)
        return link.direction == "inbound" and not (contact is not None and contact.bootstrap)

    def _welcome(self, peer_id: str) -> bool:
        return peer_id != self._own_id and peer_id not in self._blocked and not self._reputation.banned(peer_id)

    def _opened(self, connection: INetConn) -> None:
        if self._nursery is not None:
            link = Link(str(connection.muxed_conn.peer_id), connection, trio.current_time())
            self._links[link.peer_id] = link
            self._nursery.start_soon(self._run_link, link)

    def _closed(self, connection: INetConn) -> None:
        link = self._links.get(str(connection.muxed_conn.peer_id))
        if link is not None and link.connection is connection:
            link.closed.set()
            link.scope.cancel()

    async def _run_link(self, link: Link) -> None:
        try:
            with link.scope:
                if await self._greet(link):
                    link.up = True
                    self._troubles.over(link.peer_id, link.address)
                    self.on_connected(link.peer_id)
                    self.on_hello(link.peer_id, link.hello or b"")
                    await self._watch(link)
            await cut(link.connection.muxed_conn)
            with trio.move_on_after(CLOSE_GRACE_S):
                await link.closed.wait()
        finally:
            self._links.pop(link.peer_id, None)
            self._requests.forget(link.peer_id)
            self.on_gone(link.peer_id)
            if link.up:
                self.on_disconnected(link.peer_id)
        self._plan_return(link)

    def _plan_return(self, link: Link) -> None:
        contact = self._book.get(link.peer_id)
        if contact is None:
            return
        now = trio.current_time()
        if link.up and now - link.opened_at >= self._settings.stable_s:
            self._book.lost(contact, now)
        else:
            self._book.failed(contact, now)
        self._wake.set()

    async def _greet(self, link: Link) -> bool:
        """Exchange hellos: the dialler asks.  A listener that is not asked in time asks itself."""
        if link.direction == "inbound":
            with trio.move_on_after(HELLO_TIMEOUT_S):
                await link.greeted.wait()
                return True
        try:
            reply = await self._requests.ask_now(
                link.peer_id,
                "hello",
                self._hello(),
                max_response=handshake.MAX_HELLO_BYTES,
                timeout_s=HELLO_TIMEOUT_S,
            )
            self._note_hello(link, reply)
        except RequestError as error:
            self._note_silence(link, error)
            return False
        except Refused as error:
            self.penalise(link.peer_id, Weight.INVALID, f"sent a hello that is {error}")
            return False
        return True

    def _note_silence(self, link: Link, error: RequestError) -> None:
        contact = self._book.get(link.peer_id)
        if error.failure is Failure.UNSUPPORTED:
            self._reputation.ban(link.peer_id, FOREIGN_BAN_S)
            trouble = f"{link.address}: it belongs to a foreign network, of another genesis or version"
            then = f"it is left alone for {FOREIGN_BAN_S / 60:.0f} minutes"
            self._troubles.note(contact, trouble, then, at_once=True)
            if contact is None or not contact.bootstrap:
                log.info("peer %s at %s belongs to a foreign network", link.peer_id, link.address)
        else:
            # Two peers that dial each other at the same moment close one of the connections.
            self._troubles.note(contact, f"{link.address}: it connects and does not greet")
        log.debug("peer %s did not greet: %s", link.peer_id, error)

    async def _watch(self, link: Link) -> None:
        """Learn of others, then ping until the peer has missed too many; also ends when the scope is cancelled."""
        settings = self._settings
        misses = 0
        async with trio.open_nursery() as nursery:
            if link.direction == "outbound":
                nursery.start_soon(self._learn, link)
            while misses < settings.max_misses:
                if misses == 0:
                    await trio.sleep(settings.ping_interval_s)
                # In a task of its own: a write to a stopped peer may not even take its own timeout.
                answered = trio.Event()
                nursery.start_soon(self._ping, link, answered)
                with trio.move_on_after(settings.ping_timeout_s):
                    await answered.wait()
                misses = 0 if answered.is_set() else misses + 1
            log.info("peer %s does not answer any more", link.peer_id)
            nursery.cancel_scope.cancel()

    async def _ping(self, link: Link, answered: trio.Event) -> None:
        asked_at = trio.current_time()
        try:
            await self._requests.ask_now(
                link.peer_id, "ping", b"", max_response=0, timeout_s=self._settings.ping_timeout_s
            )
        except RequestError as error:
            if error.failure not in {Failure.BUSY, Failure.FAILED}:  # either is a sign of life
                return
        link.rtt_ms = (trio.current_time() - asked_at) * 1000
        answered.set()

    # -- dialling -------------------------------------------------------------------------------------

    async def _dial_forever(self) -> None:
        assert self._nursery is not None
        while True:
            now = trio.current_time()
            dialling = sum(contact.dialling for contact in self._book)
            next_at = now + IDLE_TICK_S
            for contact in self._book:
                if not self._wants(contact):
                    continue
                if contact.due_at > now:
                    next_at = min(next_at, contact.due_at)
                elif dialling < MAX_DIALS:
                    dialling += 1
                    contact.dialling = True
                    self._nursery.start_soon(self._dial, contact)
            self._wake = trio.Event()
            with trio.move_on_at(next_at):
                await self._wake.wait()

    def _wants(self, contact: Contact) -> bool:
        return (
            self._started
            and not contact.dialling
            and contact.peer_id not in self._links
            and (contact.bootstrap or self._dialled() < self._settings.max_peers)
            and self._welcome(contact.peer_id)
        )

    def _dialled(self) -> int:
        return sum(link.direction == "outbound" for link in self._links.values())

    async def _dial(self, contact: Contact) -> None:
        troubles = []
        for address in list(contact.addresses):
            trouble = await self._dial_address(address)
            if trouble is None:
                break
            troubles.append(f"{address.where}: {trouble}")
        else:
            self._troubles.note(contact, ", ".join(troubles))
            self._book.failed(contact, trio.current_time())
        contact.dialling = False
        self._wake.set()

    async def _dial_address(self, address: PeerAddress) -> str | None:
        """Connect.  What went wrong, or None if the peer is here."""
        trouble = f"no answer within {HANDSHAKE_TIMEOUT_S:.0f} s"
        # Past the library's own dialling by peer id, which refuses a peer for a minute after one failure.
        try:
            with trio.move_on_after(HANDSHAKE_TIMEOUT_S):
                await self._host.swarm.dial_addr(address.multiaddr, ID.from_base58(address.peer_id))
                return None
        except SwarmException as error:
            log.debug("dialling %s failed: %s", address, error)
            trouble = why_not_dialled(address, error)
        return None if address.peer_id in self._links else trouble

    # -- what peers tell each other -------------------------------------------------------------------

    def _hello(self) -> bytes:
        return handshake.encode_hello(self._host.listen_addresses(), self.local_hello())

    def _note_hello(self, link: Link, hello: bytes) -> None:
        addresses, payload = handshake.decode_hello(hello, link.peer_id)
        for address in addresses:
            seen = address.seen_from(link.remote_host)
            self._book.add(seen, trio.current_time())
            link.shared = link.shared or seen
        link.hello = payload

    async def _learn(self, link: Link) -> None:
        """Ask a peer for the addresses of others.  Its failure to answer is not held against it."""
        try:
            reply = await self._requests.ask_now(
                link.peer_id,
                "peers",
                b"",
                max_response=handshake.MAX_PEERS_BYTES,
                timeout_s=HELLO_TIMEOUT_S,
            )
            for address in handshake.decode_peers(reply):
                self._book.add(address, trio.current_time())
            self._wake.set()
        except RequestError as error:
            log.debug("peer %s names no others: %s", link.peer_id, error)
        except Refused as error:
            self.penalise(link.peer_id, Weight.INVALID, f"sent a list of peers that is {error}")

    async def _exchange_forever(self) -> None:
        while True:
            await trio.sleep(self._settings.exchange_interval_s)
            candidates = [link for _, link in sorted(self._links.items()) if link.up]
            if candidates and self._dialled() < self._settings.max_peers:
                await self._learn(self._rng.choice(candidates))

    async def _serve_ping(self, peer_id: str, request: bytes) -> bytes:
        return b""

    async def _serve_hello(self, peer_id: str, request: bytes) -> bytes:
        link = self._links.get(peer_id)
        if link is None or link.hello is not None:
            raise Refused(Reason.UNSOLICITED, "one hello for each connection")
        self._note_hello(link, request)
        link.greeted.set()
        return self._hello()

    async def _serve_peers(self, peer_id: str, request: bytes) -> bytes:
        known = [
            str(link.shared)
            for other, link in sorted(self._links.items())
            if link.up and link.shared is not None and other != peer_id
        ]
        return handshake.encode_peers(self._rng.sample(known, min(len(known), handshake.MAX_SHARED)))
