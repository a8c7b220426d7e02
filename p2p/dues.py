"""What replies cost, and who waits for it: nobody for what is of use, everybody for having the same again and again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import trio

from p2p.addresses import neighbourhood, origin
from p2p.limits import Clock, Commons

DEBTOR_RATE = (400_000.0, 3_000_000.0)
TOTAL_RATE = (800_000.0, 6_000_000.0)
"""Bytes a second, and at once, of what replies cost: one peer or neighbourhood, and all of them together.  With what
carries them, and what peers tell each other unasked, a node sends less than a megabyte a second that is of no use."""

SHARE_RATE = (12_500.0, 1_000_000.0)
"""And what one host or neighbourhood gets whatever all together owe: a reply at once, and then its part if each of
sixty-four peers wanted one."""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A request, and who makes it, seen at ``host``."""

    name: str
    peer_id: str
    host: str
    request: bytes

    @property
    def askers(self) -> tuple[str, ...]:
        """The peer, and its neighbourhood where that says something: it stays there, under whatever identity."""
        place = neighbourhood(self.host)
        return (self.peer_id, place) if place else (self.peer_id,)


class Order(Protocol):
    """A request as a tariff reads it."""

    def debtor(self) -> str | None:
        """One of the askers, whom a reply is charged to; None where, as things are, it is of use."""

    def price(self, reply: bytes) -> int:
        """What this reply costs, in bytes; called once."""


class Tariff(Protocol):
    """What replies cost whom."""

    def order(self, inquiry: Inquiry) -> Order:
        """Read a request; called once for each."""


@dataclass(frozen=True, slots=True)
class PlainOrder:
    """The peer pays for every byte."""

    peer_id: str

    def debtor(self) -> str:
        """The peer."""
        return self.peer_id

    def price(self, reply: bytes) -> int:
        """As many bytes as it has."""
        return len(reply)


class Plain:
    """Every peer pays for every byte."""

    def order(self, inquiry: Inquiry) -> PlainOrder:
        """Whatever it is."""
        return PlainOrder(inquiry.peer_id)


class Dues:
    """Who owes how much, by a tariff.  Who ``is_reserved`` waits for nobody's debts but its own."""

    def __init__(self, clock: Clock = trio.current_time) -> None:
        self.prices: Tariff = Plain()
        self.is_reserved: Callable[[str], bool] = lambda _peer_id: False
        self._debts = Commons(DEBTOR_RATE, TOTAL_RATE, SHARE_RATE, clock)

    def open(self, inquiry: Inquiry) -> Account:
        """The account of one request."""
        return Account(self, inquiry, self.prices.order(inquiry))

    def wait_s(self, debtor: str, inquiry: Inquiry) -> float:
        """How long a debtor has to wait with this."""
        if self.is_reserved(inquiry.peer_id):
            return self._debts.own_wait_s(debtor)
        return self._debts.wait_s(debtor, origin(inquiry.host))

    def charge(self, debtor: str, inquiry: Inquiry, price: int) -> None:
        """A debtor got something."""
        self._debts.charge(debtor, origin(inquiry.host), price)


@dataclass(frozen=True, slots=True)
class Account:
    """One request's."""

    dues: Dues
    inquiry: Inquiry
    order: Order

    def wait_s(self) -> float:
        """How long until it may be answered, as things are now."""
        debtor = self.order.debtor()
        return 0.0 if debtor is None else self.dues.wait_s(debtor, self.inquiry)

    def charge(self, reply: bytes) -> None:
        """This is the reply."""
        debtor, price = self.order.debtor(), self.order.price(reply)
        if debtor is not None:
            self.dues.charge(debtor, self.inquiry, price)
