"""The peer book: who could be dialled, where, and when next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from random import Random

from p2p.addresses import PeerAddress, neighbourhood

MAX_KNOWN = 256
"""Peers that were reached once: eight times those that a node dials, and a file of a few dozen kilobytes."""

MAX_KNOWN_NEIGHBOURS = 16
"""Of them in one /24 or /64: whoever fills that fills no book."""

MAX_TOLD = 256
"""Peers that were only heard of; what others tell beyond it is ignored."""

MAX_TOLD_BY_ONE = 64
"""Of them by tellers of one /24 or /64, or of this machine."""

MAX_ADDRESSES = 4
"""Addresses of one peer that were reached, and as many that were only told; the newest replace the oldest."""

FIRST_RETRY_S = 0.2
"""After the first failure, doubled with each, so that a restarted peer is back soon."""

MAX_RETRY_S = 5.0
"""The longest wait for a peer that the operator named."""

MAX_STRAY_RETRY_S = 3600.0
"""The longest wait for any other."""

GIVE_WAY_S = 0.5
"""The peer with the larger id waits this much longer before it dials, so that two peers that know each
other do not dial at the same moment and refuse each other's connection as the second one."""

FEW = 3
"""With fewer peers that seem to be there, a book is poor, and seeds are asked."""


Addresses = dict[PeerAddress, None]
"""In the order in which they came, the newest last."""


@dataclass
class Contact:
    """A peer that could be dialled.  ``bootstrap`` ones the operator named; a ``seed`` only for when there are few."""

    peer_id: str
    bootstrap: bool = False
    seed: bool = False
    source: str = ""  # the neighbourhood of who told of it first
    named: Addresses = field(default_factory=dict)  # by the operator
    proven: Addresses = field(default_factory=dict)  # the peer was reached there
    told: Addresses = field(default_factory=dict)  # somebody said so
    failures: int = 0
    due_at: float = 0.0
    dialling: bool = False

    @property
    def addresses(self) -> list[PeerAddress]:
        """All of them, in the order to dial: the most trustworthy first, and of those the newest."""
        return list(dict.fromkeys([*self.named, *reversed(self.proven), *reversed(self.told)]))

    @property
    def is_known(self) -> bool:
        """Whether it is more than a rumour."""
        return bool(self.named or self.proven)


class PeerBook:
    """Contacts by peer id.  Times are seconds of the caller's clock; randomness is the caller's."""

    def __init__(self, own_id: str, rng: Random) -> None:
        self._own_id = own_id
        self._rng = rng
        self._contacts: dict[str, Contact] = {}

    def __iter__(self) -> Iterator[Contact]:
        """Those that the operator named, then those that were reached before, then rumours; the likelier first."""
        return iter(sorted(self._contacts.values(), key=lambda each: (-each.bootstrap, -each.is_known, each.failures)))

    def get(self, peer_id: str) -> Contact | None:
        return self._contacts.get(peer_id)

    def is_named(self, peer_id: str) -> bool:
        """Whether the operator named it."""
        contact = self._contacts.get(peer_id)
        return contact is not None and contact.bootstrap

    def add(self, address: PeerAddress, now: float, *, is_seed: bool = False) -> None:
        """Note what the operator said.  Our own address is left out."""
        if address.peer_id != self._own_id:
            contact = self._contact(address.peer_id, now)
            contact.seed = is_seed and (contact.seed or not contact.bootstrap)
            contact.bootstrap = True
            contact.named[address] = None

    def remember(self, addresses: Iterable[PeerAddress], now: float) -> None:
        """Note what was :meth:`proven` in an earlier life of this node."""
        for address in addresses:
            if address.peer_id != self._own_id:
                self.reached(address, now)

    def hear(self, address: PeerAddress, now: float, source: str) -> None:
        """Note what a peer said, where there is room for what peers of ``source`` say."""
        contact = self._contacts.get(address.peer_id)
        if contact is None:
            if address.peer_id == self._own_id or not self._has_room(source):
                return
            contact = self._contact(address.peer_id, now)
            contact.source = source
        if address not in contact.addresses:
            contact.told[address] = None
            _keep_newest(contact.told)

    def reached(self, address: PeerAddress, now: float) -> None:
        """The peer is where this numeric address says."""
        contact = self._contact(address.peer_id, now)
        for older in (contact.told, contact.proven):
            older.pop(address, None)
        contact.proven[address] = None
        _keep_newest(contact.proven)
        self._bound_known(neighbourhood(address.host))

    def mistaken(self, contact: Contact, address: PeerAddress) -> None:
        """It was not where somebody said it is: that address is forgotten, and a mere rumour with its last."""
        contact.told.pop(address, None)
        if not contact.addresses:
            self._contacts.pop(contact.peer_id, None)

    def is_proven(self, address: PeerAddress) -> bool:
        contact = self._contacts.get(address.peer_id)
        return contact is not None and address in contact.proven

    def proven(self) -> list[PeerAddress]:
        """Every address at which a peer was reached, for a later life of this node."""
        return [address for contact in self._contacts.values() for address in contact.proven]

    @property
    def is_poor(self) -> bool:
        """Whether hardly anybody in here seems to be there, seeds aside."""
        return sum(each.is_known and not each.seed and each.failures < FEW for each in self._contacts.values()) < FEW

    def failed(self, contact: Contact, now: float) -> None:
        """A dial was in vain, or the connection did not last."""
        contact.failures += 1
        doubled = FIRST_RETRY_S * 2.0 ** min(contact.failures, 16)
        longest = MAX_RETRY_S if contact.bootstrap else MAX_STRAY_RETRY_S
        self.postpone(contact, now + min(longest, doubled) * self._rng.uniform(0.5, 1.0))

    def lost(self, contact: Contact, now: float) -> None:
        """A connection that had lasted is gone: dial again at once, or nearly so."""
        contact.failures = 0
        self.postpone(contact, now + FIRST_RETRY_S * self._rng.uniform(0.5, 1.0))

    def postpone(self, contact: Contact, until: float) -> None:
        contact.due_at = until + self._courtesy(contact)

    def dial_all_soon(self, now: float) -> None:
        """Forget all waiting times, after the network was cut and is whole again."""
        for contact in self._contacts.values():
            self.lost(contact, now)

    def _contact(self, peer_id: str, now: float) -> Contact:
        contact = self._contacts.get(peer_id)
        if contact is None:
            contact = self._contacts[peer_id] = Contact(peer_id)
            self.postpone(contact, now)
        return contact

    def _courtesy(self, contact: Contact) -> float:
        return GIVE_WAY_S if self._own_id > contact.peer_id else 0.0

    def _has_room(self, source: str) -> bool:
        told = Counter(each.source for each in self._contacts.values() if not each.is_known)
        return told.total() < MAX_TOLD and told[source] < MAX_TOLD_BY_ONE

    def _bound_known(self, place: str) -> None:
        known = [each for each in self._contacts.values() if each.is_known and not each.bootstrap]
        near = [each for each in known if place and any(neighbourhood(at.host) == place for at in each.addresses)]
        for crowd, most in ((near, MAX_KNOWN_NEIGHBOURS), (known, MAX_KNOWN)):
            # Of those that seem to be there the newest go: who comes with many names displaces nobody known for longer.
            for surplus in sorted(crowd, key=lambda each: each.failures)[most:]:
                self._contacts.pop(surplus.peer_id, None)


def _keep_newest(addresses: Addresses) -> None:
    while len(addresses) > MAX_ADDRESSES:
        del addresses[next(iter(addresses))]
