"""What peers tell each other of addresses: each of itself, and of others what was found to be right."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from random import Random

import trio

from chain.base.errors import Refused
from p2p import handshake
from p2p.addresses import PeerAddress, is_believable, neighbourhood, read_address
from p2p.book import PeerBook
from p2p.dialler import Dialler
from p2p.host import GuardedHost
from p2p.link import Link
from p2p.reputation import Weight
from p2p.requests import RequestError, Requests

log = logging.getLogger(__name__)

HELLO_TIMEOUT_S = 5.0
"""For the first exchange, and for how long an inbound peer may stay silent before we ask it."""

FIRST_EXCHANGE_S = 1.0
"""Nodes that come at the same time hear of each other soon; the wait doubles up to the settled one."""


class Exchange:
    """Tells and asks.  ``is_private`` tells nothing, asks nobody and believes nobody; ``external`` is told first."""

    def __init__(
        self,
        host: GuardedHost,
        requests: Requests,
        book: PeerBook,
        dialler: Dialler,
        links: Mapping[str, Link],
        refuse: Callable[[str, Refused, float, str], None],
        rng: Random,
    ) -> None:
        self.is_private = False
        self.external: Sequence[PeerAddress] = ()
        self._host = host
        self._requests = requests
        self._book = book
        self._dialler = dialler
        self._links = links
        self._refuse = refuse
        self._rng = rng

    def own_addresses(self) -> list[str]:
        """What a hello says of us."""
        return [] if self.is_private else [*map(str, self.external), *self._host.listen_addresses()]

    def shown_to(self, remote_host: str) -> list[PeerAddress]:
        """Where we are, for a peer of whatever network that we see at a host: nothing that it could not reach."""
        own = (read_address(text) for text in self.own_addresses())
        return [each for each in own if each is not None and is_believable(each.host, remote_host)]

    async def prove(self, link: Link) -> None:
        """Find out which of the addresses that a peer claims are right, so that they may be told and dialled again."""
        if not self.is_private:
            async with trio.open_nursery() as nursery:  # one may have to wait for long
                for address in link.claimed:
                    nursery.start_soon(self._dialler.prove, address)

    async def learn(self, link: Link) -> None:
        """Ask a peer for the addresses of others.  Its failure to answer is not held against it."""
        if self.is_private:
            return
        try:
            reply = await self._requests.ask_now(
                link.peer_id,
                "peers",
                b"",
                max_response=handshake.MAX_PEERS_BYTES,
                timeout_s=HELLO_TIMEOUT_S,
            )
            self._hear(handshake.decode_peers(reply), link)
        except RequestError as error:
            log.debug("peer %s names no others: %s", link.peer_id, error)
        except Refused as error:
            self._refuse(link.peer_id, error, Weight.INVALID, "a list of peers that is")

    def _hear(self, addresses: Sequence[PeerAddress], link: Link) -> None:
        source = neighbourhood(link.remote_host)
        for address in addresses:
            if is_believable(address.host, link.remote_host) and address.peer_id not in self._links:
                self._book.hear(address, trio.current_time(), source)
        self._dialler.wake()

    async def run(self, settled_s: float, has_places: Callable[[], bool]) -> None:
        """Ask again and again while there are places for more, until cancelled."""
        wait_s = FIRST_EXCHANGE_S
        while True:
            await trio.sleep(min(wait_s, settled_s))
            wait_s = min(2 * wait_s, settled_s)
            candidates = [link for _, link in sorted(self._links.items()) if link.up]
            if candidates and has_places():
                await self.learn(self._rng.choice(candidates))

    async def serve(self, peer_id: str, _request: bytes) -> bytes:
        """The answer to a peer that asks for others."""
        asker = self._links.get(peer_id)
        if asker is None or self.is_private:
            return handshake.encode_peers([])
        others = (link for other, link in sorted(self._links.items()) if link.up and other != peer_id)
        known = [str(shown) for link in others if (shown := self._shown(link, asker)) is not None]
        return handshake.encode_peers(self._rng.sample(known, min(len(known), handshake.MAX_SHARED)))

    def _shown(self, link: Link, asker: Link) -> PeerAddress | None:
        """Where to find a peer, for another: what it says of itself, if that is right.  Some say nothing."""
        claims = (each for each in link.claimed if is_believable(each.host, asker.remote_host))
        return next(filter(self._book.is_proven, claims), None)
