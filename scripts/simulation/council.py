"""Traffic that changes many seats at once, with weights that differ; and traffic of nobody at all.

The council asks for up to three changes at a time, in motions that are open together, and for the next when the
validators have settled.  However many of them are carried, honest validators keep more than two thirds of the weight.
"""

from __future__ import annotations

from chain.content.actions import Enrol, Propose
from chain.content.proposals import (
    AddValidator,
    JailValidator,
    Proposal,
    ReleaseValidator,
    RemoveValidator,
    ReplaceValidator,
    ReweighValidator,
)
from chain.content.transactions import VerifiedTransaction, sign_transaction
from chain.register.draft import Draft
from chain.register.validators import Seat
from scripts.simulation.clients import Wish
from scripts.simulation.node import SimulatedNode
from scripts.simulation.offices import Offices
from scripts.simulation.ratings import EXPIRY_HEIGHT, FIRST_MEMBER
from scripts.simulation.world import World, secret

MAX_AT_ONCE = 3
MAX_SEAT_WEIGHT = 3
# A network of fewer tolerates no villain.
FEWEST_SEATS = 4


class Council(Offices):
    """Members, and validators that change."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._planned: list[Proposal] = []
        self._kinds = [self._enrol, self._rate, *3 * [self._propose], *10 * [self._approve], *5 * [self._consent]]

    def _propose(self, view: Draft) -> Wish | None:
        if not self._planned and not view.validators.is_changing and not view.docket.open:
            self._planned = self._plan(view)
        return (self._chair, Propose(self._planned.pop())) if self._planned else None

    def _plan(self, view: Draft) -> list[Proposal]:
        """Some changes about different seats, for seats that no other change of them takes."""
        random, seats, mine = self.world.random, view.validators.active, self._seated()
        free = [key for key in mine if view.validators.seat(key) is None]
        some = [seat for seat in seats if seat.key in mine and seat.key != self._chair]
        random.shuffle(free)
        random.shuffle(some)
        plan: list[Proposal] = []
        for _ in range(random.randint(1, MAX_AT_ONCE)):
            kind = random.choice(["add", "replace", "reweigh", "leave"])
            if kind == "add" and free and len(seats) + len(plan) < view.genesis.batch:
                plan.append(AddValidator(free.pop(), random.randint(1, MAX_SEAT_WEIGHT)))
            elif kind == "replace" and free and some:
                plan.append(ReplaceValidator(some.pop().key, free.pop()))
            elif kind == "reweigh" and some and not some[-1].is_jailed:
                seat = some.pop()
                plan.append(ReweighValidator(seat.key, random.randint(seat.weight, MAX_SEAT_WEIGHT)))
            elif some and some[-1].is_jailed:
                plan.append(ReleaseValidator(some.pop().key))
            elif some and self._can_spare(seats, some[-1]):
                key = some.pop().key
                seats = tuple(seat for seat in seats if seat.key != key)
                plan.append(JailValidator(key) if random.randrange(2) else RemoveValidator(key))
        return plan

    def _can_spare(self, seats: tuple[Seat, ...], leaving: Seat) -> bool:
        """Whether honest seats are enough without one, whatever else is carried."""
        mine = self._seated()
        rest = [seat for seat in seats if not seat.is_jailed and seat != leaving]
        others = sum(seat.weight for seat in rest if seat.key not in mine)
        return len(rest) >= FEWEST_SEATS and sum(seat.weight for seat in rest) > 3 * others


class Quiet:
    """Nobody wants anything until all is over; then newcomers enrol."""

    is_firm = True

    def __init__(self, world: World) -> None:
        self.world = world
        self._enrolled = 0

    def draw(self, _node: SimulatedNode) -> VerifiedTransaction | None:
        """Nothing, or a newcomer."""
        return self._newcomer() if self.world.is_mended else None

    def at_end(self) -> list[VerifiedTransaction]:
        """A newcomer, so that there is something new to record."""
        return [self._newcomer()]

    def _newcomer(self) -> VerifiedTransaction:
        self._enrolled += 1
        newcomer = secret(FIRST_MEMBER + self._enrolled)
        return sign_transaction(newcomer, self.world.genesis.id, 0, EXPIRY_HEIGHT, Enrol())
