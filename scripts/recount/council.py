"""Who makes blocks, and what is wished for: told as wishes, each of which takes its turn.

Whether the votes have brought a change into force is what consensus says, and told with each block; everything else
follows from what was wished for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from scripts.recount.lives import Fault, claim

ADD, REMOVE, JAIL = "add validator", "remove validator", "jail validator"
RELEASE, REPLACE, REWEIGH = "release validator", "replace validator", "reweigh validator"

# Wishes that may wait; nobody who lied gets away because so many do.
MAX_WAITING = 64
NO_TAG = bytes(16)


class Seat(NamedTuple):
    """One seat: what was done up to the height ``clean`` was punished, or is forgiven."""

    weight: int
    is_jailed: bool = False
    clean: int = 0


class Wish(NamedTuple):
    """A change of the seats that somebody may ask for."""

    kind: str
    key: bytes
    other: bytes = b""
    weight: int = 0


class Turnout(NamedTuple):
    """What the votes say as a block begins, and no row does.

    Those who decide did so from the height ``since`` on; if it ``is_changing``, others are waited for, or decide too.
    ``tags`` are of those who lost their signing states: where people restarted the chain, no row tells of them.
    """

    since: int
    is_changing: bool
    tags: tuple[tuple[bytes, bytes], ...]


AS_FROM_THE_BEGINNING = Turnout(1, is_changing=False, tags=())
"""While nothing has changed since the genesis."""


Seats = Mapping[bytes, Seat]
Weights = tuple[tuple[bytes, int], ...]


@dataclass
class Council:
    """The seats in their order, at most ``room`` of them; ``voting`` are the weights of the last change in force.

    ``under_way`` is the wish whose weights, ``following``, were decided at the height ``decided``.
    """

    seats: Seats
    room: int
    voting: Weights = ()
    under_way: Wish | None = None
    following: Weights = ()
    decided: int = 0
    waiting: list[Wish] = field(default_factory=list)
    tags: dict[bytes, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.voting = weights_of(self.seats)

    @property
    def expected(self) -> Seats:
        """The seats once the change under way is in force."""
        if self.under_way is None:
            return self.seats
        return self._felt(_tried(self.seats, self.under_way, self.decided) or self.seats, self.decided)

    def _felt(self, seats: Seats, height: int) -> Seats:
        """Seats, where nobody waits to be jailed who is not."""
        for wish in self.waiting:
            if wish.kind == JAIL:
                seats = _tried(seats, wish, height) or seats
        return seats

    def has(self, key: bytes) -> bool:
        """Whether somebody sits, or is on the way to a seat."""
        return key in self.seats or key in self.expected

    def is_wished_for(self, key: bytes) -> bool:
        """Whether a wish that waits is about this key."""
        return any(key in (wish.key, wish.other) for wish in self.waiting)

    def begin(self, height: int, turnout: Turnout) -> None:
        """A block begins: what was under way is in force, is over, or goes on; then the next wish has its turn."""
        self.tags.update(turnout.tags)
        wish = self.under_way
        if wish is not None and turnout.since > self.decided:
            changed(self.seats, wish, self.decided)
            self.seats, self.voting = self.expected, self.following
        elif wish is not None and turnout.is_changing:
            return
        elif wish is not None:
            at_hand = {each.key for each in self.waiting if each.kind in (JAIL, RELEASE)}
            heavy = (key for key, weight in self.voting if weight and self.seats[key].is_jailed)
            self.waiting += [Wish(JAIL, key) for key in heavy if key not in at_hand]
        self.under_way, self.following, self.decided = None, (), 0
        while self.waiting and self.under_way is None:
            self._take_up(self.waiting.pop(0), height)

    def _take_up(self, wish: Wish, height: int) -> None:
        seats = _tried(self.seats, wish, height)
        if seats is None:
            return
        seats = self._felt(seats, height)
        if not self._can_be(seats):
            return
        if weights_of(seats) == self.voting:  # nothing to vote on
            self.seats = seats
            return
        self.under_way, self.following, self.decided = wish, weights_of(seats), height

    def ask(self, wish: Wish, height: int) -> None:
        """Somebody who may wishes for a change; whoever is to be jailed has no voice from now on."""
        if wish.kind == JAIL:
            self._jail(wish.key, height)
            return
        claim(len(self.waiting) < MAX_WAITING, "more wishes than may wait")
        after = changed(self._at_last(height), wish, height)
        claim(wish.kind != ADD or len(after) <= self.room, "too many validators")
        claim(_is_anybody(after), "no validator is left")
        self.waiting.append(wish)

    def _jail(self, key: bytes, height: int) -> None:
        """Whatever else is wished for: it makes no blocks from now on, and whoever takes its seat neither."""
        known = [seats[key] for seats in (self._at_last(height), self.expected, self.seats) if key in seats]
        claim(bool(known), "somebody is jailed who does not sit")
        claim(not all(seat.is_jailed for seat in known), "jailed twice")
        if key in self.seats:
            self.seats = {**self.seats, key: self.seats[key]._replace(is_jailed=True, clean=height)}
        self.waiting.append(Wish(JAIL, key))
        if self.under_way is not None and (self.under_way.kind, self.under_way.key) == (REPLACE, key):
            self.waiting.append(Wish(JAIL, self.under_way.other))
        claim(_is_anybody(self._at_last(height)), "no validator is left")
        jailed = {key for seats in (self.seats, self.expected) for key, seat in seats.items() if seat.is_jailed}
        for weights in (self.voting, self.following or self.voting):
            claim({key for key, weight in weights if weight} - jailed, "nobody is left who makes blocks")

    def _at_last(self, height: int) -> Seats:
        """The seats once every wish had its turn."""
        seats = self.expected
        for wish in self.waiting:
            seats = _tried(seats, wish, height) or seats
        return seats

    def punish(self, key: bytes, last_height: int, height: int) -> None:
        """Two statements convict a validator, the later one about ``last_height``."""
        seat = self.expected.get(key) or self.seats.get(key)
        claim(seat is not None, "somebody is punished who does not sit")
        assert seat is not None
        claim(not seat.is_jailed and last_height > seat.clean, "punished twice for one offence")
        claim(last_height <= height, "punished for an offence that is not over")
        self.ask(Wish(JAIL, key), height)

    def renew(self, key: bytes, old: bytes, tag: bytes) -> None:
        """A validator lost its signing state, and speaks with another tag than the old one."""
        claim(self.has(key), "somebody who does not sit lost its signing state")
        claim(old == self.tags.get(key, NO_TAG), "a tag is lost that nobody speaks with")
        claim(tag not in (NO_TAG, old), "a tag that is not fresh")
        self.tags[key] = tag

    def _can_be(self, seats: Seats) -> bool:
        return len(seats) <= self.room and _is_anybody(seats)


def _is_anybody(seats: Seats) -> bool:
    return any(weight for _, weight in weights_of(seats))


def weights_of(seats: Seats) -> Weights:
    """What each validator weighs."""
    return tuple((key, 0 if seat.is_jailed else seat.weight) for key, seat in seats.items())


def changed(seats: Seats, wish: Wish, height: int) -> Seats:
    """The seats after a change at ``height``.  Raises :class:`Fault` where it makes no sense."""
    kind, key, other, weight = wish
    claim(kind not in (ADD, REWEIGH) or weight > 0, "a seat without weight")
    if kind == ADD:
        claim(key not in seats, "a seat for somebody who sits")
        return {**seats, key: Seat(weight, clean=height)}
    claim(key in seats, "a change of a seat that is not there")
    seat = seats[key]
    match kind:
        case "remove validator":
            return {each: seats[each] for each in seats if each != key}
        case "replace validator":
            claim(other not in seats, "a seat for somebody who sits")
            return {other if each == key else each: seats[each] for each in seats} | {
                other: seat._replace(clean=height)
            }
        case "jail validator":
            seat = seat if seat.is_jailed else seat._replace(is_jailed=True, clean=height)
        case "release validator":
            claim(seat.is_jailed, "somebody is released who is not jailed")
            seat = seat._replace(is_jailed=False, clean=height)
        case "reweigh validator":
            seat = seat._replace(weight=weight)
    return {**seats, key: seat}


def _tried(seats: Seats, wish: Wish, height: int) -> Seats | None:
    """The seats after a change, None where it makes no sense by now."""
    try:
        return changed(seats, wish, height)
    except Fault:
        return None
