"""Validator sets that change: who sits, what is announced, and what waits for its turn.

The state holds one :class:`Validators`.  A change is requested, waits in a queue, becomes part of an announced
set, and is in force some rounds later.  No announced set moves more than a third of the weight, and the next is
announced only when the last is in force, so that those who know the chain outnumber those who are new to it.

At which height an announced set comes into force follows from the votes: see :func:`with_announced`.
Source: protocol 5.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from chain.codec import U32_MAX, U64_MAX, array, blob, integer
from chain.errors import InvariantBroken, Reason, Refused
from chain.genesis import Genesis
from chain.keys import KEY_BYTES, check_public_key
from chain.proposals import MAX_WEIGHT
from chain.votes import BATCH_MAX, Votes

ADD, REMOVE, JAIL, RELEASE, REPLACE = 1, 2, 3, 4, 5

# What motions can ask for at once; jails come on top, at most one a seat.
MAX_QUEUED = 64
# So long before an announced set can be in force: finality takes 4/3 of a round where nobody fails.
ANNOUNCED_ROUNDS = 2


class Seat(NamedTuple):
    """One validator.  While it is jailed it leads no slot and its votes weigh nothing.

    Evidence about slots up to ``clean_slot`` was punished already, or forgiven when the seat was given or returned.
    """

    key: bytes
    weight: int
    is_jailed: int
    clean_slot: int


class Change(NamedTuple):
    """A wish: ``ADD`` needs a ``weight``; ``REPLACE`` hands the seat of ``key`` to the key ``other``, as it is."""

    kind: int
    key: bytes
    other: bytes = b""
    weight: int = 0


Seats = tuple[Seat, ...]


class Validators(NamedTuple):
    """The seats in force in leader order, those of the announced set (if any), and the changes that wait.

    ``decided_height`` is the height of the block that announced ``next``, ``announced_height`` the earliest at
    which it may be in force; both are 0 where nothing is announced.
    """

    active: Seats
    next: Seats
    decided_height: int
    announced_height: int
    queue: tuple[Change, ...]

    @property
    def is_changing(self) -> bool:
        """Whether a change is on its way."""
        return bool(self.next or self.queue)

    def seat(self, key: bytes) -> Seat | None:
        """The seat of this key, in force or announced."""
        return next((seat for seat in (*self.active, *self.next) if seat.key == key), None)


class SetAnnouncement(NamedTuple):
    """What shows to whoever has the header at ``height`` that it announced other validators.

    ``validators`` is the encoded entry of the state after it, ``path`` the encoded path under its state root.
    """

    height: int
    validators: bytes
    path: bytes


def genesis_validators(genesis: Genesis) -> Validators:
    """The validators at height 0."""
    return Validators(tuple(Seat(key, weight, 0, 0) for key, weight in genesis.validators), (), 0, 0, ())


def voting_set(seats: Seats) -> tuple[tuple[bytes, int], ...]:
    """``(key, weight)`` of each seat, as :class:`~chain.votes.Votes` takes them: what is jailed weighs nothing."""
    return tuple((seat.key, 0 if seat.is_jailed else seat.weight) for seat in seats)


def request(validators: Validators, change: Change, *, batch: int, slot: int) -> Validators:
    """Queue a change.  Raises :class:`Refused` where it does not fit what will be once the queue is empty.

    ``batch`` bounds the seats.  A seat that is to be jailed is clean up to ``slot`` from now on: one offence
    jails once.  Source: protocol 5.2.
    """
    if len(validators.queue) >= MAX_QUEUED and change.kind != JAIL:  # each seat is jailed once
        raise Refused(Reason.TOO_MANY_CHANGES, f"{MAX_QUEUED} changes of the validators wait already")
    seats = validators.next or validators.active
    for queued in validators.queue:
        seats = _applied(seats, queued, slot)
    after = _applied(seats, change, slot)
    if len(after) > batch:
        raise Refused(Reason.TOO_MANY_VALIDATORS, f"this network has room for {batch}")
    weight = _weight(seats)
    if not _weight(after):
        raise Refused(Reason.TOO_MUCH_WEIGHT, "no validator would be left")
    # A third, but a network of one or two may grow; it tolerates no fault anyway.
    if _moved(seats, after) > max(1, weight // 3):
        raise Refused(Reason.TOO_MUCH_WEIGHT, f"more than a third of the weight {weight} at once")
    if change.kind == JAIL:
        validators = validators._replace(
            active=_clean(validators.active, change.key, slot), next=_clean(validators.next, change.key, slot)
        )
    return validators._replace(queue=(*validators.queue, change))


def begin(validators: Validators, *, height: int, slot: int, set_start: int) -> Validators:
    """The validators as the block at ``height``, in ``slot``, begins; the same object where nothing happens.

    ``set_start`` is since when the voting set in force at ``height`` has been.  If that is the announced one, it
    is now active, and changes that wait may be announced: in their order, as many as move at most a third of the
    weight together; the first always is, since a third was asked for when it was requested.

    Example: six seats of weight 1, and three who wait to be added.  A third of six is two:

    >>> seats = tuple(Seat(bytes([number]) * 32, 1, 0, 0) for number in range(6))
    >>> from chain.keys import SecretKey
    >>> newcomers = [Change(ADD, SecretKey(bytes([number]) * 32).public, weight=1) for number in range(3)]
    >>> waiting = Validators(seats, (), 0, 0, tuple(newcomers))
    >>> announced = begin(waiting, height=100, slot=120, set_start=1)
    >>> len(announced.next), len(announced.queue), announced.announced_height
    (8, 1, 112)

    While the first set is in force nothing more happens.  Once the voting set has changed, at height 115, say,
    because finality took a while, the eight are active, and the third newcomer's set is announced:

    >>> begin(announced, height=114, slot=134, set_start=1) is announced
    True
    >>> following = begin(announced, height=115, slot=135, set_start=115)
    >>> len(following.active), len(following.next), following.announced_height
    (8, 9, 131)
    """
    if validators.next:
        if set_start <= validators.decided_height:
            return validators
        validators = Validators(validators.next, (), 0, 0, validators.queue)
    if not validators.queue:
        return validators
    active = seats = validators.active
    taken = 0
    for change in validators.queue:
        changed = _applied(seats, change, slot)
        if taken and _moved(active, changed) > _weight(active) // 3:
            break
        seats = changed
        taken += 1
    queue = validators.queue[taken:]
    if voting_set(seats) == voting_set(active):  # say, jailed and released: there is nothing to announce
        return Validators(seats, (), 0, 0, queue)
    return Validators(active, seats, height, height + ANNOUNCED_ROUNDS * len(active), queue)


def with_announced(votes: Votes, validators: Validators) -> Votes:
    """The votes with the announced set in force from the next height, if it is due there; else as they are.

    It is due from the first height that is not below its announced height, and on whose branch the block that
    announced it was final before the tip was added.  The validators must be of that branch.  Source: protocol 5.3.
    """
    is_pending = validators.next and votes.newest_set.start <= validators.decided_height
    is_final = validators.decided_height <= votes.mhpc_before
    if not is_pending or not is_final or votes.height + 1 < validators.announced_height:
        return votes
    return votes.with_validators(voting_set(validators.next), votes.height + 1)


def read_validators(fields: Any) -> Validators:
    """Read the decoded tuple of a :class:`Validators`.  Raises :class:`Refused`."""
    active, following, decided_height, announced_height, queue = array(fields, 5, 5, "validators")
    return Validators(
        tuple(map(_seat, array(active, 1, BATCH_MAX, "seats"))),
        tuple(map(_seat, array(following, 0, BATCH_MAX, "seats"))),
        integer(decided_height, 0, U64_MAX, "the decided height"),
        integer(announced_height, 0, U64_MAX, "the announced height"),
        tuple(map(_change, array(queue, 0, MAX_QUEUED + BATCH_MAX, "changes"))),
    )


def _applied(seats: Seats, change: Change, slot: int) -> Seats:
    """The seats after one change in ``slot``.  Raises :class:`Refused` where it makes no sense."""
    kind, key, other, weight = change
    taken = other if kind == REPLACE else key
    if kind in (ADD, REPLACE) and any(seat.key == taken for seat in seats):
        raise Refused(Reason.ALREADY_VALIDATOR, "this key is a validator's")
    if kind == ADD:
        if not 1 <= weight <= MAX_WEIGHT:
            raise Refused(Reason.TOO_MUCH_WEIGHT, f"a weight is 1 to {MAX_WEIGHT}")
        check_public_key(key)
        return (*seats, Seat(key, weight, 0, slot))
    at = next((index for index, seat in enumerate(seats) if seat.key == key), None)
    if at is None:
        raise Refused(Reason.NOT_VALIDATOR, "this key is no validator's")
    if kind == REMOVE:
        return (*seats[:at], *seats[at + 1 :])
    seat = seats[at]
    if kind == JAIL:
        if seat.is_jailed:
            raise Refused(Reason.ALREADY_JAILED, "this validator is jailed")
        seat = seat._replace(is_jailed=1)
    elif kind == RELEASE:
        if not seat.is_jailed:
            raise Refused(Reason.NOT_JAILED, "this validator is not jailed")
        seat = seat._replace(is_jailed=0, clean_slot=slot)
    elif kind == REPLACE:
        check_public_key(other)
        seat = seat._replace(key=other, clean_slot=slot)
    else:
        raise InvariantBroken(f"a change of validators of unknown kind {kind}")
    return (*seats[:at], seat, *seats[at + 1 :])


def _clean(seats: Seats, key: bytes, slot: int) -> Seats:
    return tuple(seat._replace(clean_slot=slot) if seat.key == key else seat for seat in seats)


def _weight(seats: Seats) -> int:
    return sum(weight for _, weight in voting_set(seats))


def _moved(before: Seats, after: Seats) -> int:
    """How much voting weight leaves or enters, whichever is more."""
    old, new = dict(voting_set(before)), dict(voting_set(after))
    left = sum(max(0, weight - new.get(key, 0)) for key, weight in old.items())
    entered = sum(max(0, weight - old.get(key, 0)) for key, weight in new.items())
    return max(left, entered)


def _seat(row: Any) -> Seat:
    key, weight, is_jailed, clean_slot = array(row, 4, 4, "a seat")
    return Seat(
        blob(key, KEY_BYTES, "a key"),
        integer(weight, 1, MAX_WEIGHT, "a weight"),
        integer(is_jailed, 0, 1, "is_jailed"),
        integer(clean_slot, 0, U64_MAX, "a clean slot"),
    )


def _change(row: Any) -> Change:
    kind, key, other, weight = array(row, 4, 4, "a change")
    return Change(
        integer(kind, ADD, REPLACE, "a kind of change"),
        blob(key, KEY_BYTES, "a key"),
        blob(other, KEY_BYTES if kind == REPLACE else 0, "the other key"),
        integer(weight, 0, U32_MAX, "a weight"),
    )
