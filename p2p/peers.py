"""Who this node is connected to: it dials, greets, watches, drops, and dials again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from random import Random

import trio
from libp2p.abc import INetConn

from chain.base.errors import Disposition, Reason, Refused
from p2p import handshake
from p2p.addresses import PeerAddress, neighbourhood, parse_external
from p2p.book import Contact, PeerBook
from p2p.bookfile import BookFile
from p2p.dialler import Dialler
from p2p.entrance import Entrance
from p2p.exchange import HELLO_TIMEOUT_S, Exchange
from p2p.farewells import Farewells
from p2p.host import GuardedHost, Notifee
from p2p.link import Link
from p2p.lobby import Use
from p2p.pulse import Pulse
from p2p.refusals import Refusal
from p2p.reputation import Reputation, Weight, count_refusal
from p2p.requests import Failure, RequestError, Requests, reading
from p2p.troubles import Troubles

log = logging.getLogger(__name__)

CLOSE_GRACE_S = 2.0
"""The library reports a closed connection within 0.2 s; this is for a very busy machine."""

MAX_DIALLED_NEIGHBOURS = 4
"""Peers that we dial in one /24 or /64, so that who fills one does not become all that we see."""

# What no honest peer even stores, so it did not come by it through others: a proof, where the rest is a suspicion.
_PROOFS = frozenset({Reason.MALFORMED, Reason.BAD_KEY, Reason.BAD_SIGNATURE})


@dataclass(frozen=True)
class PeerSettings:
    """How the supervisor behaves.  The times are seconds."""

    max_peers: int = 32  # dialled by ourselves
    max_strangers: int = 32  # on top: those that dial us and that nobody told us to know
    private: bool = False  # be connected to none but those that the operator named, and say nothing of where we are
    external: str = ""  # the multiaddr under which others reach us, without our id; else those listened on
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
        file: BookFile | None = None,
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
        self._file = file
        self._book = PeerBook(self._own_id, rng)
        self._troubles = Troubles()
        self._dialler = Dialler(host, self._book, self._troubles, self._wants, lambda peer_id: peer_id in self._links)
        self._links: dict[str, Link] = {}
        self._entrance = Entrance(host, self._book, self._links, reputation, rng, self.disconnect)
        self._entrance.keep_to(settings.max_strangers, is_private=settings.private)
        self._exchange = Exchange(host, requests, self._book, self._dialler, self._links, self.refuse, rng)
        self._exchange.is_private = settings.private
        if settings.external:
            self._exchange.external = [parse_external(settings.external, self._own_id)]
        self._pulse = Pulse(requests, settings.ping_interval_s, settings.ping_timeout_s, settings.max_misses)
        self._nursery: trio.Nursery | None = None
        self._farewells = Farewells(host, requests.prefix, self._links, self._book, self._troubles, reputation)
        host.swarm.register_notifee(Notifee(self._opened, self._closed))
        requests.serve(
            "peers", self._exchange.serve, max_request=64, max_response=handshake.MAX_PEERS_BYTES, max_concurrent=64
        )
        requests.serve(
            "hello",
            self._serve_hello,
            max_request=handshake.MAX_HELLO_BYTES,
            max_response=handshake.MAX_HELLO_BYTES,
            max_concurrent=64,
        )

    # -- for the node above ---------------------------------------------------------------------------

    def start(self, bootstrap: Iterable[PeerAddress] = (), seeds: Iterable[PeerAddress] = ()) -> None:
        """Let peers in and dial those of the book; ``seeds`` only while it is poor."""
        now = trio.current_time()
        for address in bootstrap:
            self._book.add(address, now)
        for address in seeds:
            self._book.add(address, now, is_seed=True)
        self._entrance.is_open = True
        self._dialler.wake()

    def adopt(self, settings: PeerSettings, max_connections: int, ban_s: float) -> None:
        """Keep to other limits from now on; who is connected or banned stays so."""
        self._settings = settings
        self._entrance.keep_to(settings.max_strangers, is_private=settings.private)
        self._reputation.ban_for(ban_s)
        self._host.swarm.limit(max_connections)
        self._dialler.wake()

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

    def addresses_for(self, remote_host: str) -> list[PeerAddress]:
        """Where this node is, for a peer that is seen at a host."""
        return self._exchange.shown_to(remote_host)

    def penalise(self, peer_id: str, weight: float, why: str) -> None:
        """Hold something against a peer.  At :data:`p2p.reputation.BAN_THRESHOLD` it is banned for a while."""
        if peer_id == self._own_id:
            return
        if self._reputation.penalise(peer_id, weight):
            log.warning("peer %s is banned: it %s", peer_id, why)
            self.disconnect(peer_id, self._entrance.ban_of(peer_id, f"you {why}"))
        else:
            log.info("peer %s %s (%+.0f)", peer_id, why, weight)

    def refuse(
        self, peer_id: str, refusal: Refused, weight: float | None = None, what: str = "what is refused:"
    ) -> None:
        """Count what a peer sent, and hold it against the peer if the reason says so; so much, or by the reason."""
        is_blamed = refusal.reason.disposition is Disposition.BLAME
        count_refusal(refusal, is_blamed=is_blamed)
        if weight is None:
            weight = Weight.MALICE if refusal.reason in _PROOFS else Weight.INVALID
        if is_blamed:
            self.penalise(peer_id, weight, f"sent {what} {refusal}")

    def reserve(self, peer_id: str, validator: bytes) -> list[str]:
        """Keep a place for a peer, which is a machine of the validator with this key; those that no longer have one."""
        return self._entrance.reserve(peer_id, validator)

    def release(self, validators: Collection[bytes]) -> list[str]:
        """Keep places for machines of these validators alone; those that no longer have one."""
        return self._entrance.release(validators)

    def is_reserved(self, peer_id: str) -> bool:
        """Whether a place is kept for a peer."""
        return self._entrance.is_reserved(peer_id)

    def credit(self, peer_id: str, use: Use) -> None:
        """A peer was of use: it counts when one has to give way to another."""
        link = self._links.get(peer_id)
        if link is not None:
            link.used[use] = trio.current_time()

    def disconnect(self, peer_id: str, farewell: Refusal | None = None) -> None:
        """Close the connection to a peer, if there is one, and tell it why.  It may come back at once."""
        link = self._links.get(peer_id)
        if link is not None:
            link.farewell = link.farewell or farewell
            link.scope.cancel()

    def block(self, peer_ids: set[str]) -> None:
        """Be cut off from these peers, and only these, until :meth:`unblock`."""
        self._entrance.blocked = frozenset(peer_ids)
        for peer_id in peer_ids:
            self.disconnect(peer_id)

    def unblock(self) -> None:
        """End :meth:`block`, and dial everyone again without waiting."""
        self._entrance.blocked = frozenset()
        self._book.dial_all_soon(trio.current_time())
        self._dialler.wake()

    # -- connections ----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Do all this until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._dialler.run)
            nursery.start_soon(self._exchange.run, self._settings.exchange_interval_s, self._has_places)
            if self._file is not None:
                nursery.start_soon(self._file.keep, self._book, self._dialler.wake)

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
                if link.sent_us_away is None and await self._greet(link):
                    if link.direction == "outbound" and not self.connected():
                        self._book.dial_all_soon(trio.current_time())  # it was our own line that was cut
                    link.up = True
                    self._troubles.over(link.peer_id, link.address)
                    self.on_connected(link.peer_id)
                    self.on_hello(link.peer_id, link.hello or b"")
                    await self._watch(link)
            if link.farewell is not None:
                self._entrance.note_farewell(link.peer_id, link.farewell)
            await self._farewells.part(link)
            with trio.move_on_after(CLOSE_GRACE_S):
                await link.closed.wait()
        finally:
            self._links.pop(link.peer_id, None)
            self._requests.forget(link.peer_id)
            self.on_gone(link.peer_id)
            if link.up:
                self.on_disconnected(link.peer_id)
        self._farewells.note(link)
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
        self._dialler.wake()

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
            await self._note_silence(link, error)
            return False
        except Refused as error:
            self.refuse(link.peer_id, error, Weight.INVALID, "a hello that is")
            return False
        return True

    async def _note_silence(self, link: Link, error: RequestError) -> None:
        log.debug("peer %s did not greet: %s", link.peer_id, error)
        if error.failure is Failure.UNSUPPORTED:
            await self._farewells.part_from_foreigner(link)
        elif link.sent_us_away is None:
            # Two peers that dial each other at the same moment close one of the connections.
            self._troubles.note(self._book.get(link.peer_id), f"{link.address}: it connects and does not greet")

    async def _watch(self, link: Link) -> None:
        """Learn of others until the peer is lost; also ends when the scope is cancelled."""
        async with trio.open_nursery() as nursery:
            if link.direction == "outbound":
                nursery.start_soon(self._exchange.learn, link)
            nursery.start_soon(self._exchange.prove, link)
            await self._pulse.until_lost(link)
            nursery.cancel_scope.cancel()

    def _wants(self, contact: Contact) -> bool:
        return (
            self._entrance.is_open
            and contact.peer_id not in self._links
            and self._entrance.welcomes(contact.peer_id)
            and (not contact.seed or self._book.is_poor)
            and (contact.bootstrap or self._has_use(contact))
        )

    def _has_places(self) -> bool:
        return len(self._dialled()) < self._settings.max_peers

    def _has_use(self, contact: Contact) -> bool:
        places = {neighbourhood(address.host) for address in contact.addresses} - {""}
        near = sum(neighbourhood(link.remote_host) in places for link in self._dialled())
        return self._has_places() and near < MAX_DIALLED_NEIGHBOURS

    def _dialled(self) -> list[Link]:
        return [link for link in self._links.values() if link.direction == "outbound"]

    # -- what peers tell each other -------------------------------------------------------------------

    def _hello(self) -> bytes:
        return handshake.encode_hello(self._exchange.own_addresses(), self.local_hello())

    def _note_hello(self, link: Link, hello: bytes) -> None:
        addresses, payload = handshake.decode_hello(hello, link.peer_id)
        link.claim(addresses)
        link.hello = payload

    async def _serve_hello(self, peer_id: str, request: bytes) -> bytes:
        link = self._links.get(peer_id)
        if link is None or link.hello is not None:
            raise Refused(Reason.UNSOLICITED, "one hello for each connection")
        with reading():
            self._note_hello(link, request)
        link.greeted.set()
        return self._hello()
