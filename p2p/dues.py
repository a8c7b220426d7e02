"""What replies cost, and who waits for it: nobody for what is of use, everybody for having the same again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import trio

from p2p.limits import Clock, Debts

DEBTOR_RATE = (400_000.0, 3_000_000.0)
TOTAL_RATE = (800_000.0, 6_000_000.0)
"""Bytes a second, and at once, of what replies cost: one peer or neighbourhood, and all of them together.  With what
carries them, and what peers tell each other unasked, a node sends less than a megabyte a second that is of no use."""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A request, and who makes it; ``place`` is the neighbourhood that the peer is in, "" where that says nothing."""

    name: str
    peer_id: str
    place: str
    request: bytes

    @property
    def askers(self) -> tuple[str, ...]:
        """The peer, and the neighbourhood: with an identity for each request a peer is still in the same one."""
        return (self.peer_id, self.place) if self.place else (self.peer_id,)


class Tariff(Protocol):
    """What replies cost whom."""

    def debtor(self, inquiry: Inquiry) -> str | None:
        """One of the askers, whom a reply is charged to; None where it is of use."""

    def price(self, inquiry: Inquiry, reply: bytes) -> int:
        """What this reply costs, in bytes; called once for each."""


class Plain:
    """Every peer pays for every byte."""

    def debtor(self, inquiry: Inquiry) -> str:
        """The peer."""
        return inquiry.peer_id

    def price(self, inquiry: Inquiry, reply: bytes) -> int:
        """As many bytes as it has."""
        return len(reply)


class Dues:
    """Who owes how much, by a tariff."""

    def __init__(self, clock: Clock = trio.current_time) -> None:
        self.prices: Tariff = Plain()
        self._debts = Debts(*DEBTOR_RATE, clock)
        self._all_debts = Debts(*TOTAL_RATE, clock)

    def wait_s(self, inquiry: Inquiry) -> float:
        """How long until this may be answered."""
        debtor = self.prices.debtor(inquiry)
        return 0.0 if debtor is None else max(self._debts.wait_s(debtor), self._all_debts.wait_s(""))

    def charge(self, inquiry: Inquiry, reply: bytes) -> None:
        """This is the reply."""
        debtor, price = self.prices.debtor(inquiry), self.prices.price(inquiry, reply)
        if debtor is not None:
            self._debts.charge(debtor, price)
            self._all_debts.charge("", price)
