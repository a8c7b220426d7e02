"""Validators as the register knows them: who sits, which change is under way, and what waits for its turn.

The state holds one :class:`Validators`.  A change is requested, waits in a queue, and is decided when none is under
way; from then on the votes of the branch lead it through its phases (:mod:`chain.consensus.electorate`), and what a
block decides goes into its ballot.  Jailing is felt at once: a jailed validator makes no more blocks, while its weight
leaves by the same phases as any other.
Source: protocol 5.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from chain.base.codec import U32_MAX, U64_MAX, array, blob, integer
from chain.base.errors import InvariantBroken, Reason, Refused
from chain.base.keys import KEY_BYTES, check_public_key
from chain.consensus.electorate import BATCH_MAX, MAX_TAGS, WEIGHT_MAX, Decision, Electorate, Weights
from chain.consensus.statements import NO_TAG, TAG_BYTES
from chain.content.genesis import Genesis
from chain.content.proposals import MAX_WEIGHT

ADD, REMOVE, JAIL, RELEASE, REPLACE, REWEIGH = 1, 2, 3, 4, 5, 6

# What motions can ask for at once; jails come on top, one for each key that a seat has, or is about to have.
MAX_QUEUED = 64


class Seat(NamedTuple):
    """One validator.  From the block after the one that jails it, it makes no blocks.

    Evidence about heights up to ``clean_height`` was punished already, or forgiven when the block at that height
    decided to give the seat, or to give it back: what its key says from then on may count.
    """

    key: bytes
    weight: int
    is_jailed: int
    clean_height: int


class Change(NamedTuple):
    """A wish: ``ADD`` and ``REWEIGH`` need a ``weight``; ``REPLACE`` hands the seat of ``key`` to the key ``other``."""

    kind: int
    key: bytes
    other: bytes = b""
    weight: int = 0


Seats = tuple[Seat, ...]


class Validators(NamedTuple):
    """The seats in leader order, and how they change.

    ``voting`` are the weights that decide alone until the ``change`` under way (one, or none) has brought
    ``following`` into force, which the block at ``decided_height`` decided.  ``queue`` waits.  ``tags`` are those of
    keys that lost their signing state, in the order of keys.
    """

    active: Seats
    voting: Weights
    change: tuple[Change, ...]
    following: Weights
    decided_height: int
    queue: tuple[Change, ...]
    tags: tuple[tuple[bytes, bytes], ...]

    @property
    def is_changing(self) -> bool:
        """Whether a change is on its way."""
        return bool(self.change or self.queue)

    def seat(self, key: bytes) -> Seat | None:
        """The seat of this key as it is on its way to be, else as it is."""
        return _find((*_ahead(self), *self.active), key)

    def tag(self, key: bytes) -> bytes:
        """With which tag this key speaks."""
        return next((tag for other, tag in self.tags if other == key), NO_TAG)


def genesis_validators(genesis: Genesis) -> Validators:
    """The validators at height 0."""
    seats = tuple(Seat(key, weight, 0, 0) for key, weight in genesis.validators)
    return Validators(seats, genesis.validators, (), (), 0, (), ())


def weights_of(seats: Seats) -> Weights:
    """``(key, weight)`` of each seat: what is jailed weighs nothing."""
    return tuple((seat.key, 0 if seat.is_jailed else seat.weight) for seat in seats)


def request(validators: Validators, change: Change, *, batch: int, height: int) -> Validators:
    """Queue a change.  Raises :class:`Refused` where it does not fit what will be once the queue is empty.

    ``batch`` bounds the seats.  A seat that is to be jailed is jailed now, and clean up to ``height``: one offence
    jails once; and never where nobody would be left now to make blocks, whoever is to come.  Source: protocol 5.2.
    """
    if change.kind == JAIL:
        return _with_jailed(validators, change.key, height)
    if len(validators.queue) >= MAX_QUEUED:
        raise Refused(Reason.TOO_MANY_CHANGES, f"{MAX_QUEUED} changes of the validators wait already")
    after = _applied(_in_the_end(validators, height), change, height)
    if change.kind == ADD and len(after) > batch:
        raise Refused(Reason.TOO_MANY_VALIDATORS, f"this network has room for {batch}")
    _check_led(after)
    return validators._replace(queue=(*validators.queue, change))


def _with_jailed(validators: Validators, key: bytes, height: int) -> Validators:
    """One seat is jailed now, whatever waits: that may lapse, and whoever is about to leave can do harm until then.

    Its weight leaves in its turn; where another key is about to have the seat, from that one.
    """
    seats = [seat for seat in (validators.seat(key), _find(_in_the_end(validators, height), key)) if seat is not None]
    if not seats:
        raise Refused(Reason.NOT_VALIDATOR, "this key is not a validator's")
    if all(seat.is_jailed for seat in seats):
        raise Refused(Reason.ALREADY_JAILED, "this validator is jailed")
    heirs = (change.other for change in validators.change if change.kind == REPLACE and change.key == key)
    validators = validators._replace(
        active=tuple(_jailed(seat, height) if seat.key == key else seat for seat in validators.active),
        queue=(*validators.queue, *(Change(JAIL, each) for each in (key, *heirs))),
    )
    _check_led(_in_the_end(validators, height))
    if not (_is_led(validators.active) and _is_led(_ahead(validators))):
        raise Refused(Reason.NO_VALIDATOR_LEFT, "nobody would be left to make blocks now")
    return validators


def _check_led(seats: Seats) -> None:
    if not _is_led(seats):
        raise Refused(Reason.NO_VALIDATOR_LEFT, "no validator would be left")


def renew(validators: Validators, key: bytes, tag: bytes) -> Validators:
    """Let ``key`` speak with ``tag`` from the next block on, once this one is final.

    Raises :class:`Refused` ``TOO_MANY_CHANGES`` where more keys lost their signing states than are remembered.
    """
    tags = {**dict(validators.tags), key: tag}
    if len(tags) > MAX_TAGS:
        raise Refused(Reason.TOO_MANY_CHANGES, f"the signing states of {MAX_TAGS} keys were lost already")
    return validators._replace(tags=tuple(sorted(tags.items())))


def begin(validators: Validators, electorate: Electorate, *, height: int, batch: int) -> Validators:
    """The validators as the block at ``height`` begins; the same object where nothing happens.

    ``electorate`` is in force at that height.  Where a restart gave tags, the register learns of them.  If the change
    under way is in force, its seats are; if it lapsed, it is dropped, and whoever is jailed and weighs something yet
    waits for that to end.  Then the next that still makes sense is decided.

    Example: D asks to be replaced by E, and the block at height 10 decides that:

    >>> from chain.base.keys import SecretKey
    >>> from chain.consensus.electorate import Gate, ValidatorSet
    >>> a, b, c, d, e = (SecretKey(bytes([number]) * 32).public for number in range(5))
    >>> old = tuple((key, 1) for key in (a, b, c, d))
    >>> seats = tuple(Seat(key, 1, 0, 0) for key in (a, b, c, d))
    >>> waiting = Validators(seats, old, (), (), 0, (Change(REPLACE, d, e),), ())
    >>> first = Electorate(1, ValidatorSet(old))
    >>> decided = begin(waiting, first, height=10, batch=6)
    >>> decided.decided_height, [key == e for key, _ in decided.following], len(decided.queue)
    (10, [False, False, False, True], 0)

    It waits while the votes lead the change through its phases.  At height 15, say, the new set decides alone:

    >>> gate = Electorate(1, first.current, Gate(10, ValidatorSet(decided.following)))
    >>> begin(decided, gate, height=11, batch=6) is decided
    True
    >>> alone = begin(decided, Electorate(15, ValidatorSet(decided.following)), height=15, batch=6)
    >>> [seat.key == e for seat in alone.active], alone.is_changing
    ([False, False, False, True], False)

    Had E never come, the gate would have lapsed, and D would keep its seat:

    >>> begin(decided, first, height=139, batch=6).active == seats
    True
    """
    validators = _told(validators, electorate)
    if validators.change:
        if electorate.start > validators.decided_height:
            validators = _settled(validators, validators.queue, active=_ahead(validators), voting=validators.following)
        elif electorate.phase is None:
            validators = _settled(validators, (*validators.queue, *_still_to_jail(validators)))
        else:
            return validators
    while validators.queue and not validators.change:
        validators = _next(validators, height, batch)
    return validators


def _told(validators: Validators, electorate: Electorate) -> Validators:
    """The validators with the tags that a restart gave, and without those that it forgot for want of room."""
    told = {tag.key: tag.tag for tag in electorate.tags}
    known = dict(validators.tags)
    tags = {**known, **told}
    if len(tags) > MAX_TAGS:
        tags = told
    return validators if tags == known else validators._replace(tags=tuple(sorted(tags.items())))


def decision(validators: Validators, electorate: Electorate, height: int) -> Decision:
    """What the block at ``height`` decided, if this is the state after it and ``electorate`` was in force there."""
    is_decided = validators.change and validators.decided_height == height
    barred = tuple(seat.key for seat in validators.active if seat.is_jailed)
    return Decision(
        validators.following if is_decided else (),
        () if barred == electorate.barred else (barred,),
        tuple((key, tag) for key, tag in validators.tags if electorate.tag(key).tag != tag),
    )


def read_validators(fields: Any) -> Validators:
    """Read the decoded tuple of a :class:`Validators`.  Raises :class:`Refused`."""
    active, voting, change, following, decided_height, queue, tags = array(fields, 7, 7, "validators")
    return Validators(
        tuple(map(_seat, array(active, 1, BATCH_MAX, "seats"))),
        tuple(map(_weight, array(voting, 1, BATCH_MAX, "weights"))),
        tuple(map(_change, array(change, 0, 1, "the change under way"))),
        tuple(map(_weight, array(following, 0, BATCH_MAX, "weights"))),
        integer(decided_height, 0, U64_MAX, "the decided height"),
        tuple(map(_change, array(queue, 0, MAX_QUEUED + 2 * BATCH_MAX, "changes"))),
        tuple(map(_tag, array(tags, 0, MAX_TAGS, "tags"))),
    )


def _is_led(seats: Seats) -> bool:
    """Whether somebody makes blocks where these are the seats."""
    return any(not seat.is_jailed for seat in seats)


def _find(seats: Seats, key: bytes) -> Seat | None:
    return next((seat for seat in seats if seat.key == key), None)


def _in_the_end(validators: Validators, height: int) -> Seats:
    """The seats once the queue is empty, as far as each change makes sense by then."""
    seats = _ahead(validators)
    for change in validators.queue:
        seats = _tried(seats, change, height) or seats
    return seats


def _ahead(validators: Validators) -> Seats:
    """The seats once the change under way is in force; the same ones where there is none."""
    seats = validators.active
    for change in validators.change:
        height = validators.decided_height
        seats = _barred(_tried(seats, change, height) or seats, validators.queue, height)
    return seats


def _barred(seats: Seats, queue: tuple[Change, ...], height: int) -> Seats:
    """Seats as they come into force: who waits to be jailed is jailed already, whatever has its turn before."""
    waiting = {change.key for change in queue if change.kind == JAIL}
    return tuple(_jailed(seat, height) if seat.key in waiting and not seat.is_jailed else seat for seat in seats)


def _still_to_jail(validators: Validators) -> tuple[Change, ...]:
    """Jails for who is jailed, weighs something yet, and of whom neither a jail nor a release waits."""
    waiting, weights = validators.queue, dict(validators.voting)
    heavy = (seat.key for seat in validators.active if seat.is_jailed and weights[seat.key])
    awaited = {change.key for change in waiting if change.kind in (JAIL, RELEASE)}
    return tuple(Change(JAIL, key) for key in heavy if key not in awaited)


def _settled(validators: Validators, queue: tuple[Change, ...], **changed: Any) -> Validators:
    return validators._replace(change=(), following=(), decided_height=0, queue=queue, **changed)


def _next(validators: Validators, height: int, batch: int) -> Validators:
    """The first of the queue decided, or done at once where no weight moves, or dropped where it makes no sense now."""
    change, *rest = validators.queue
    validators = validators._replace(queue=tuple(rest))
    seats = _tried(validators.active, change, height)
    seats = seats and _barred(seats, validators.queue, height)
    if seats is None or len(seats) > batch or not _is_led(seats):
        return validators
    following = weights_of(seats)
    if following == validators.voting:  # say, jailed and released
        return validators._replace(active=seats)
    return validators._replace(change=(change,), following=following, decided_height=height)


def _tried(seats: Seats, change: Change, height: int) -> Seats | None:
    """The seats after a change, None where it makes no sense (any more)."""
    try:
        return _applied(seats, change, height)
    except Refused:
        return None


def _applied(seats: Seats, change: Change, height: int) -> Seats:
    """The seats after one change at ``height``.  Raises :class:`Refused` where it makes no sense."""
    kind, key, other, weight = change
    taken = other if kind == REPLACE else key
    if kind in (ADD, REPLACE) and any(seat.key == taken for seat in seats):
        raise Refused(Reason.ALREADY_VALIDATOR, "this key is a validator's")
    if kind in (ADD, REWEIGH) and not 1 <= weight <= MAX_WEIGHT:
        raise Refused(Reason.TOO_MUCH_WEIGHT, f"a weight is 1 to {MAX_WEIGHT}")
    if kind == ADD:
        check_public_key(key)
        return (*seats, Seat(key, weight, 0, height))
    at = next((index for index, seat in enumerate(seats) if seat.key == key), None)
    if at is None:
        raise Refused(Reason.NOT_VALIDATOR, "this key is not a validator's")
    if kind == REMOVE:
        return (*seats[:at], *seats[at + 1 :])
    seat = seats[at]
    if kind == JAIL:
        seat = seat if seat.is_jailed else _jailed(seat, height)
    elif kind == RELEASE:
        if not seat.is_jailed:
            raise Refused(Reason.NOT_JAILED, "this validator is not jailed")
        seat = seat._replace(is_jailed=0, clean_height=height)
    elif kind == REPLACE:
        check_public_key(other)
        seat = seat._replace(key=other, clean_height=height)
    elif kind == REWEIGH:
        seat = seat._replace(weight=weight)
    else:
        raise InvariantBroken(f"a change of validators of unknown kind {kind}")
    return (*seats[:at], seat, *seats[at + 1 :])


def _jailed(seat: Seat, height: int) -> Seat:
    return seat._replace(is_jailed=1, clean_height=height)


def _seat(row: Any) -> Seat:
    key, weight, is_jailed, clean_height = array(row, 4, 4, "a seat")
    return Seat(
        blob(key, KEY_BYTES, "a key"),
        integer(weight, 1, MAX_WEIGHT, "a weight"),
        integer(is_jailed, 0, 1, "is_jailed"),
        integer(clean_height, 0, U64_MAX, "a clean height"),
    )


def _weight(row: Any) -> tuple[bytes, int]:
    key, weight = array(row, 2, 2, "a weight")
    return blob(key, KEY_BYTES, "a key"), integer(weight, 0, WEIGHT_MAX, "a weight")


def _change(row: Any) -> Change:
    kind, key, other, weight = array(row, 4, 4, "a change")
    return Change(
        integer(kind, ADD, REWEIGH, "a kind of change"),
        blob(key, KEY_BYTES, "a key"),
        blob(other, KEY_BYTES if kind == REPLACE else 0, "the other key"),
        integer(weight, 0, U32_MAX, "a weight"),
    )


def _tag(row: Any) -> tuple[bytes, bytes]:
    key, tag = array(row, 2, 2, "a tag")
    return blob(key, KEY_BYTES, "a key"), blob(tag, TAG_BYTES, "a tag")
