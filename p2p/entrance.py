"""Who is let in: whoever is welcome, and in the place of the least useful stranger where there is no other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from random import Random

import trio

from chain.base.newest import Newest
from chain.protocol.suppliers import MAX_MACHINES
from p2p.book import PeerBook
from p2p.host import GuardedHost
from p2p.link import Link
from p2p.lobby import Guest, Room, Use, makes_room
from p2p.refusals import Refusal, Why
from p2p.reputation import Reputation

log = logging.getLogger(__name__)

MAX_RESERVED = 256
"""Machines of validators that are remembered as such: more than a network has validators."""

TURN_S = 60.0
"""Who gave way takes nobody's place for so long, or those that knock most often would have all of them."""

MAX_GAVE_WAY = 1_024

MAX_TOLD = 1_024
"""Banned peers of which it is known what they were told: who was too busy to hear it comes again, and soon."""


class Entrance:
    """Asked by the host about each connection, once it ``is_open``.

    ``blocked`` are kept out as if they could not be reached.  ``part`` sends one away that is here.
    """

    def __init__(
        self,
        host: GuardedHost,
        book: PeerBook,
        links: Mapping[str, Link],
        reputation: Reputation,
        rng: Random,
        part: Callable[[str, Refusal], None],
    ) -> None:
        self.is_open = False
        self.blocked: frozenset[str] = frozenset()
        self._own_id = str(host.get_id())
        self._joining = host.swarm.joining
        self._book = book
        self._links = links
        self._reputation = reputation
        self._rng = rng
        self._part = part
        self._is_private = False
        self._room = Room.of(0)
        self._reserved: Newest[str, bytes] = Newest(MAX_RESERVED)
        self._gave_way: Newest[str, float] = Newest(MAX_GAVE_WAY)
        self._told: Newest[str, Refusal] = Newest(MAX_TOLD)
        host.swarm.admit, host.swarm.seat, host.swarm.why = self._admit, self._seat, self._why

    def keep_to(self, strangers: int, *, is_private: bool) -> None:
        """So many strangers from now on, or nobody whom the operator did not name."""
        self._room = Room.of(strangers)
        self._is_private = is_private

    def reserve(self, peer_id: str, validator: bytes) -> list[str]:
        """Keep a place for a peer, which is a machine of the validator with this key; for whom none is kept any more.

        Only the newest of its machines have one.
        """
        self._reserved.renew(peer_id, validator)
        machines = [machine for machine, owner in self._reserved.items() if owner == validator]
        former = machines[:-MAX_MACHINES]
        for machine in former:
            del self._reserved[machine]
        return former

    def release(self, validators: Collection[bytes]) -> list[str]:
        """Keep no more places for machines of others than these validators; for whom none is kept any more."""
        former = [machine for machine, owner in self._reserved.items() if owner not in validators]
        for machine in former:
            del self._reserved[machine]
        return former

    def is_reserved(self, peer_id: str) -> bool:
        """Whether a place is kept for a peer: it is a validator's machine, or named by the operator."""
        return peer_id in self._reserved or self._book.is_named(peer_id)

    def welcomes(self, peer_id: str) -> bool:
        """Whether somebody may be connected, whoever dials."""
        if peer_id == self._own_id or peer_id in self.blocked or self._reputation.banned(peer_id):
            return False
        return not self._is_private or self._book.is_named(peer_id)

    def ban_of(self, peer_id: str, why: str = "") -> Refusal:
        """What somebody is told that is banned."""
        return Refusal(Why.BANNED, round(self._reputation.bans().get(peer_id, 0)), why)

    def note_farewell(self, peer_id: str, refusal: Refusal) -> None:
        """Somebody is told this; if it is banned, it is told so again whenever it comes."""
        if self._reputation.banned(peer_id):
            self._told.renew(peer_id, refusal)

    def _admit(self, peer_id: str) -> bool:
        return self.is_open and peer_id not in self._links and self.welcomes(peer_id)

    def _seat(self, peer_id: str, remote_host: str) -> bool:
        # Identities are free: however many come, those that we were told to know and those that we dial get in.
        if self._is_expected(peer_id):
            return True
        now = trio.current_time()
        try:
            leaver = makes_room([*self._guests(now)], remote_host, self._room, now, self._rng)
        except LookupError:
            return False
        if leaver is None:
            return True
        if self._gave_way.get(peer_id, now) > now:
            return False
        log.info("peer %s gives way to %s", leaver.peer_id, peer_id)
        self._links[leaver.peer_id].gives_way = True
        self._gave_way[leaver.peer_id] = now + TURN_S
        self._part(leaver.peer_id, Refusal(Why.GAVE_WAY, round(TURN_S)))
        return True

    def _why(self, peer_id: str) -> Refusal | None:
        """What somebody is told that is not let in; nothing where that is over in a moment."""
        if self._reputation.banned(peer_id):
            ban = self.ban_of(peer_id)
            return replace(self._told.get(peer_id, ban), seconds=ban.seconds)
        if peer_id in self._links or peer_id in self.blocked or not self.is_open:
            return None
        return Refusal(Why.FULL) if self.welcomes(peer_id) else Refusal(Why.PRIVATE)

    def _guests(self, now: float) -> Iterator[Guest]:
        for peer_id, remote_host in self._joining.items():
            if peer_id not in self._links and not self._is_expected(peer_id):
                yield Guest(peer_id, remote_host, now, Use.NONE)
        for link in self._links.values():
            if link.direction == "inbound" and not link.gives_way and not self.is_reserved(link.peer_id):
                yield Guest(link.peer_id, link.remote_host, link.opened_at, link.use(now))

    def _is_expected(self, peer_id: str) -> bool:
        contact = self._book.get(peer_id)
        return self.is_reserved(peer_id) or (contact is not None and contact.dialling)
