"""The peer book: who could be dialled, where, and when next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from p2p.addresses import PeerAddress

MAX_CONTACTS = 512
"""Sixteen times the peers a node keeps; what others tell beyond it is ignored."""

MAX_ADDRESSES = 4
"""Addresses of one peer; the newest replace the oldest."""

FORGET_AFTER_FAILURES = 120
"""A peer that was only heard of is forgotten after this many dials in vain, about eight minutes: longer
than a restart or a cut cable, and short enough to get rid of what liars tell."""

FIRST_RETRY_S, MAX_RETRY_S = 0.2, 5.0
"""Waiting times between dials: doubled from the first to the last, so that a restarted peer is back soon."""

GIVE_WAY_S = 0.5
"""The peer with the larger id waits this much longer before it dials, so that two peers that know each
other do not dial at the same moment and refuse each other's connection as the second one."""


@dataclass
class Contact:
    peer_id: str
    bootstrap: bool
    addresses: dict[PeerAddress, None] = field(default_factory=dict)
    failures: int = 0
    due_at: float = 0.0
    dialling: bool = False


class PeerBook:
    """Contacts by peer id.  Times are seconds of the caller's clock; randomness is the caller's."""

    def __init__(self, own_id: str, rng: Random) -> None:
        self._own_id = own_id
        self._rng = rng
        self._contacts: dict[str, Contact] = {}

    def __iter__(self) -> Iterator[Contact]:
        return iter(list(self._contacts.values()))

    def get(self, peer_id: str) -> Contact | None:
        return self._contacts.get(peer_id)

    def add(self, address: PeerAddress, now: float, *, bootstrap: bool = False) -> None:
        """Note an address.  Our own, and strangers that the book has no room for, are left out."""
        contact = self._contacts.get(address.peer_id)
        if contact is None:
            if address.peer_id == self._own_id or (len(self._contacts) >= MAX_CONTACTS and not bootstrap):
                return
            contact = self._contacts[address.peer_id] = Contact(address.peer_id, bootstrap)
            contact.due_at = now + self._courtesy(contact)
        contact.bootstrap = contact.bootstrap or bootstrap
        contact.addresses.setdefault(address)
        while len(contact.addresses) > MAX_ADDRESSES:
            del contact.addresses[next(iter(contact.addresses))]

    def failed(self, contact: Contact, now: float) -> None:
        """A dial was in vain, or the connection did not last."""
        contact.failures += 1
        if contact.failures >= FORGET_AFTER_FAILURES and not contact.bootstrap:
            self._contacts.pop(contact.peer_id, None)
        doubled = FIRST_RETRY_S * 2.0 ** min(contact.failures, 16)
        contact.due_at = now + min(MAX_RETRY_S, doubled) * self._rng.uniform(0.5, 1.0) + self._courtesy(contact)

    def lost(self, contact: Contact, now: float) -> None:
        """A connection that had lasted is gone: dial again at once, or nearly so."""
        contact.failures = 0
        contact.due_at = now + FIRST_RETRY_S * self._rng.uniform(0.5, 1.0) + self._courtesy(contact)

    def dial_all_soon(self, now: float) -> None:
        """Forget all waiting times, after the network was cut and is whole again."""
        for contact in self._contacts.values():
            self.lost(contact, now)

    def _courtesy(self, contact: Contact) -> float:
        return GIVE_WAY_S if self._own_id > contact.peer_id else 0.0
