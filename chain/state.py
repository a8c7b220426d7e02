"""The state: what the registry knows, as entries under keys, each with one canonical encoding.

The root over all of them is in every header.  A member, or an authority, keeps its *identity*, the key that it
came with, when it moves to another key; everything about it is filed under the identity.

==============================  ============================  ================================================
key                             entry                         meaning
==============================  ============================  ================================================
``p``                           :class:`Rules`                the policy in force, and the announced one
``P`` version                   :class:`PolicyText`           a policy
``n`` key                       :class:`Account`              the nonce of a key, and whose key it is
``m`` member                    :class:`Member`               an enrolled member
``r`` subject rater code        :class:`Rating`               a rating that stands
``d`` subject number            :class:`Record`               a record that stands or is suspended
``s`` subject code              :class:`CategorySum`          standing points in a category with a cap
``k`` hash                      :class:`Marker`               what may not be recorded again
``a`` authority                 :class:`Authority`            an accredited institution, and how it judges
``j``                           :class:`Roll`                 who may be drawn as an arbiter
``J`` arbiter issuer            :class:`Rulings`              how an arbiter ruled on an issuer
``t``                           :class:`Clock`                how long the register could not act
``v``                           :class:`Validators`           who makes blocks
``g``                           :class:`Docket`               which motions are open
``o`` number                    :class:`Motion`               a motion, open or closed
``q`` registrar                 :class:`Tally`                how many enrolments it signed on its last day
``G``, ``y``, ``l``, ``u``, ``w``  :mod:`chain.identities`    whose a key is, and how that changes
==============================  ============================  ================================================

What has ended is deleted: a record that was struck, withdrawn, repaired or has expired is in the blocks, and
nowhere else; what is left is a marker, a hash that says nothing.

Deadlines are slots of *registry time*, which stands still in an outage (:class:`Clock`).  When conduct was
established, since when a policy is in force, and the term of an authority are dates: slots of the calendar.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import msgpack

from chain.codec import encode
from chain.errors import InvariantBroken, Refused
from chain.identities import (
    ANNULMENTS,
    GUARDIANS,
    LEAVINGS,
    LEFT,
    RECOVERIES,
    Annulment,
    Guardians,
    Leaving,
    Left,
    Recovery,
)
from chain.validators import Validators, read_validators

RULES_KEY = b"p"
VALIDATORS_KEY = b"v"
DOCKET_KEY = b"g"
ROLL_KEY = b"j"
CLOCK_KEY = b"t"
# With what the keys of the other kinds of entries begin.
POLICIES, ACCOUNTS, MEMBERS, RATINGS, RECORDS, SUMS, AUTHORITIES, MOTIONS, MARKERS, RULED = (
    b"P",
    b"n",
    b"m",
    b"r",
    b"d",
    b"s",
    b"a",
    b"o",
    b"k",
    b"J",
)
TALLIES = b"q"
# Where in the key of a rating its rater is.
RATER_AT = 33


class Rules(NamedTuple):
    """The policy in force by version and digest, and the one in force from ``next_slot`` (0, 0: none announced)."""

    version: int
    digest: bytes
    next_version: int
    next_slot: int


class PolicyText(NamedTuple):
    """An encoded policy; :func:`chain.policy.decode_policy` reads it.

    ``from_slot`` is since when it was in force: 0 for the first one, and for one that is announced.
    """

    document: bytes
    from_slot: int = 0


class Clock(NamedTuple):
    """How many slots the register lost to outages: registry time is so far behind the calendar."""

    lost_slots: int


class Account(NamedTuple):
    """The next nonce of a key.  ``identity`` is empty where it is the key; a key that was left has a ``successor``.

    Under a quota ``used`` counts what it wrote on ``day``; ``given`` are the ratings of its owner that stand.
    """

    nonce: int
    identity: bytes
    successor: bytes
    day: int = 0
    used: int = 0
    given: int = 0


class Member(NamedTuple):
    """An enrolled member, since when, and the version of the policy that it consented to.

    ``rated_points`` is the sum of the ``ratings`` that stand about it, by so many ``raters``; ``record_points`` what
    its standing records add up to, category by category under their caps.  ``filed`` counts all records there ever
    were and numbers the next one; ``standing`` and ``suspended`` those that are there now.  ``caps`` are ``(level,
    standing records that cap the tier at it)``.  ``registrar`` is the identity of who signed its enrolment, empty
    where nobody did.  From ``leaves_slot`` on it is gone (0: it stays), as its :class:`Leaving` says too.
    """

    key: bytes
    enrolled_height: int
    rated_points: int
    ratings: int
    record_points: int
    filed: int
    standing: int
    suspended: int
    caps: tuple[tuple[int, int], ...]
    enrolled_slot: int = 0
    policy_version: int = 1
    registrar: bytes = b""
    raters: int = 0
    leaves_slot: int = 0

    def rated(self, points: int, ratings: int = 0, raters: int = 0) -> Member:
        """The member with more, or fewer, points, ratings and raters: most transactions do that and nothing else."""
        return Member(
            self.key, self.enrolled_height, self.rated_points + points, self.ratings + ratings, self.record_points,
            self.filed, self.standing, self.suspended, self.caps, self.enrolled_slot, self.policy_version,
            self.registrar, self.raters + raters, self.leaves_slot,
        )  # fmt: skip


# Status of a rating.  Its points count in all of them.
UNDISPUTED, DISPUTED, ANSWERED = 0, 1, 2
RATING_STATUS_NAMES = ("standing", "disputed", "answered")


class Rating(NamedTuple):
    """What a rater last said about a subject, and the height of the block that holds it.

    ``expires_slot`` ends it (0: nothing), ``deadline_slot`` the wait for a reason.  Of a policy that asks for receipts
    ``dealt_slot`` is when the two dealt with each other.  ``grounds`` are the objection's, ``reason`` the rater's.
    """

    points: int
    height: int
    expires_slot: int = 0
    dealt_slot: int = 0
    status: int = UNDISPUTED
    deadline_slot: int = 0
    grounds: bytes = b""
    reason: bytes = b""

    @property
    def due_slot(self) -> int:
        """The slot in which the chain itself acts on it next; 0 where it never does."""
        return min(filter(None, (self.expires_slot, self.deadline_slot)), default=0)


# Status of a record.  The first four count; whether the others do, under objection, is the category's to say.
STANDING, REPAIR_ASKED, REPAIR_REFERRED, REPAIR_DRAWN, OBJECTED, MAINTAINED, DRAWN = range(7)
STATUS_NAMES = (
    "standing",
    "repair asked",
    "repair referred",
    "repair before an arbiter",
    "objected",
    "maintained",
    "before an arbiter",
)
# What a record that was upheld is: by an arbiter, which can be appealed, or for good.
UPHELD_ONCE, UPHELD_FOR_GOOD = 1, 2


class Record(NamedTuple):
    """What an authority recorded.  Periods and tier cap are those of the policy it was filed under, or better ones.

    ``deadline_slot`` ends what the status waits for (0: nothing); ``expires_slot`` ends the record.  It can be
    repaired from ``repair_slot`` (0: never).  ``cap`` is a tier level, or -1; it ``stands`` (1) while it is disputed.
    ``is_declined`` once its issuer declined a repair; ``is_reopened`` where it is about conduct of an ended record.
    It can be appealed before ``appeal_slot``, after ``arbiter`` upheld it.  ``lot`` and ``lot_height`` are the seed of
    the lot that draws who rules, ``votes`` what those of an appeal ruled.  ``grounds`` are the objection's or the
    appeal's, ``statement`` the member's own, ``proof`` the repair's.
    """

    issuer: bytes
    category: int
    points: int
    severity: int
    evidence: bytes
    reason: bytes
    established_slot: int
    height: int
    policy_version: int
    expires_slot: int
    repair_slot: int
    cap: int
    status: int
    upheld: int
    deadline_slot: int
    grounds: bytes
    statement: bytes
    proof: bytes
    stands: int = 0
    is_reopened: int = 0
    is_declined: int = 0
    appeal_slot: int = 0
    lot: bytes = b""
    lot_height: int = 0
    arbiter: bytes = b""
    votes: tuple[tuple[bytes, int], ...] = ()

    @property
    def due_slot(self) -> int:
        """The slot in which the chain itself acts on this record next."""
        return min(self.expires_slot, self.deadline_slot) if self.deadline_slot else self.expires_slot

    @property
    def is_disputed(self) -> bool:
        """Whether an objection or an appeal is open."""
        return self.status >= OBJECTED

    @property
    def is_appealed(self) -> bool:
        """Whether an appeal is open."""
        return self.is_disputed and bool(self.upheld)

    @property
    def counts(self) -> bool:
        """Whether its points are part of the score."""
        return not self.is_disputed or bool(self.stands)

    @property
    def is_adverse(self) -> bool:
        """Whether it puts the member worse."""
        return self.points < 0 or self.cap >= 0


class Marker(NamedTuple):
    """Until when something may not be recorded again: a piece of evidence, or the conduct of a record that ended.

    ``is_reopened`` while a record of that conduct stands again.
    """

    until_slot: int
    is_reopened: int = 0


class CategorySum(NamedTuple):
    """The points of a member's standing records in one category, before its caps."""

    points: int


# Status of an authority
ACTIVE, SUSPENDED, REVOKED = 0, 1, 2
AUTHORITY_STATUS_NAMES = ("active", "suspended", "revoked")


class Window(NamedTuple):
    """Contested adverse records that were decided, and of them overturned: since ``start_slot``, and before that."""

    start_slot: int
    decided: int
    overturned: int
    decided_before: int
    overturned_before: int


class Authority(NamedTuple):
    """An accredited institution.

    It may file in ``categories`` from one date up to another; ``rights`` are those of :mod:`chain.proposals`.
    ``filed`` and ``withdrawn`` count its records; ``decided`` those that were adverse, contested and decided, and
    ``overturned`` those that fell by that.  What a motion has put behind it stays, also in ``forgiven_*``; ``window``
    is what counts.
    """

    key: bytes
    rights: int
    categories: tuple[int, ...]
    from_slot: int
    until_slot: int
    status: int
    filed: int = 0
    withdrawn: int = 0
    decided: int = 0
    overturned: int = 0
    forgiven_decided: int = 0
    forgiven_overturned: int = 0
    window: Window = Window(0, 0, 0, 0, 0)


class Roll(NamedTuple):
    """Who has the arbiter's right, and since which height, in the order of identities."""

    arbiters: tuple[tuple[bytes, int], ...]


class Rulings(NamedTuple):
    """How often an arbiter upheld and struck what one issuer filed, and was silent."""

    upheld: int
    struck: int
    silent: int


class Tally(NamedTuple):
    """How many enrolments a registrar signed on a day of the policy."""

    day: int
    signed: int


class Docket(NamedTuple):
    """The number of the next motion, and those that are open."""

    next_motion: int
    open: tuple[int, ...]


# Status of a motion
OPEN, CARRIED, LAPSED = 0, 1, 2
MOTION_STATUS_NAMES = ("open", "carried", "lapsed")


class Motion(NamedTuple):
    """A motion: an encoded proposal, who approves it, and when it lapses or at which height it ended.

    ``is_awaited`` while the newcomer that it would seat has not consented.
    """

    proposer: bytes
    proposal: bytes
    height: int
    expires_slot: int
    approvals: tuple[bytes, ...]
    status: int
    closed_height: int
    is_awaited: int


Entry: TypeAlias = (
    Rules
    | PolicyText
    | Account
    | Member
    | Rating
    | Record
    | CategorySum
    | Marker
    | Authority
    | Roll
    | Rulings
    | Clock
    | Validators
    | Docket
    | Motion
    | Tally
    | Guardians
    | Recovery
    | Leaving
    | Annulment
    | Left
)


def _authority(fields: tuple[Any, ...]) -> Authority:
    authority = Authority(*fields)
    return authority._replace(window=Window(*authority.window))


_READERS: dict[int, Callable[..., Entry]] = {
    ord(RULES_KEY): Rules,
    ord(POLICIES): PolicyText,
    ord(ACCOUNTS): Account,
    ord(MEMBERS): Member,
    ord(RATINGS): Rating,
    ord(RECORDS): Record,
    ord(SUMS): CategorySum,
    ord(MARKERS): Marker,
    ord(AUTHORITIES): lambda *fields: _authority(fields),
    ord(ROLL_KEY): Roll,
    ord(RULED): Rulings,
    ord(CLOCK_KEY): Clock,
    ord(VALIDATORS_KEY): lambda *fields: read_validators(fields),
    ord(DOCKET_KEY): Docket,
    ord(MOTIONS): Motion,
    ord(TALLIES): Tally,
    ord(GUARDIANS): Guardians,
    ord(RECOVERIES): Recovery,
    ord(LEAVINGS): Leaving,
    ord(ANNULMENTS): Annulment,
    ord(LEFT): Left,
}


def policy_key(version: int) -> bytes:
    """The state key of a policy."""
    return POLICIES + version.to_bytes(4, "big")


def account_key(key: bytes) -> bytes:
    """The state key of a public key's account."""
    return ACCOUNTS + key


def member_key(member: bytes) -> bytes:
    """The state key of a member."""
    return MEMBERS + member


def read_identity(key: bytes) -> bytes:
    """Whose the state key of a member, an authority or an account is."""
    return key[1:]


def rating_key(subject: bytes, rater: bytes, category: int) -> bytes:
    """The state key of a rating; all ratings about one subject share a prefix."""
    return RATINGS + subject + rater + category.to_bytes(4, "big")


def read_rating_key(key: bytes) -> tuple[bytes, bytes, int]:
    """``(subject, rater, category)`` of a rating's state key."""
    return key[1:RATER_AT], key[RATER_AT:65], int.from_bytes(key[65:], "big")


def record_key(subject: bytes, number: int) -> bytes:
    """The state key of a record; all records about one member share a prefix."""
    return RECORDS + subject + number.to_bytes(4, "big")


def read_record_key(key: bytes) -> tuple[bytes, int]:
    """``(subject, number)`` of a record's state key."""
    return key[1:33], int.from_bytes(key[33:], "big")


def sum_key(subject: bytes, category: int) -> bytes:
    """The state key of a member's sum in one category."""
    return SUMS + subject + category.to_bytes(4, "big")


def marker_key(digest: bytes) -> bytes:
    """The state key of a marker."""
    return MARKERS + digest


def rulings_key(arbiter: bytes, issuer: bytes) -> bytes:
    """The state key of how an arbiter ruled on an issuer; all rulings of one arbiter share a prefix."""
    return RULED + arbiter + issuer


def read_rulings_key(key: bytes) -> tuple[bytes, bytes]:
    """``(arbiter, issuer)`` of a state key of rulings."""
    return key[1:33], key[33:]


def authority_key(authority: bytes) -> bytes:
    """The state key of an authority."""
    return AUTHORITIES + authority


def tally_key(registrar: bytes) -> bytes:
    """The state key of what a registrar signed."""
    return TALLIES + registrar


def motion_key(number: int) -> bytes:
    """The state key of a motion."""
    return MOTIONS + number.to_bytes(4, "big")


def read_motion_key(key: bytes) -> int:
    """The number in a motion's state key."""
    return int.from_bytes(key[1:], "big")


# What most ratings are: so many need no decoding to see that nothing of them falls due.
_NOTHING_ELSE = (0, 0, UNDISPUTED, 0, b"", b"")
_TWO_FIELDS = encode((0, 0))[0]


# Kinds of entries, by the first byte of their keys, that go when somebody leaves.
TIED = frozenset(RECORDS + RATINGS)


def tied_to(key: bytes) -> tuple[bytes, ...]:
    """Who takes an entry along when leaving: the subject of a record, both sides of a rating, nobody else."""
    if key[:1] == RECORDS:
        return (key[1:33],)
    return (key[1:RATER_AT], key[RATER_AT:65]) if key[:1] == RATINGS else ()


def encode_entry(entry: Entry) -> bytes:
    """The bytes that the state tree commits to; of a rating that only says how much, and when, nothing else."""
    return encode(entry[:2] if type(entry) is Rating and entry[2:] == _NOTHING_ELSE else entry)


def decode_entry(key: bytes, value: bytes) -> Entry:
    """Read an entry of a state whose root was checked; its key tells its type."""
    if key[:1] == ACCOUNTS:
        return _decode_account(key, value)
    return _decode_again(key, value) if key in _OFTEN_READ else _decode(key, value)


def _decode(key: bytes, value: bytes) -> Entry:
    try:
        return _READERS[key[0]](*msgpack.unpackb(value, use_list=False, raw=True))
    except (KeyError, IndexError, ValueError, TypeError, msgpack.UnpackException, Refused) as error:
        raise InvariantBroken(f"no entry of this state under {key.hex()}") from error


# Every block reads these, and they hardly ever change.
_OFTEN_READ = frozenset((RULES_KEY, VALIDATORS_KEY, ROLL_KEY))
_decode_again = lru_cache(maxsize=16)(_decode)
# One transaction on its way has the account of its actor read six times, a view of the head at a time; 3 MB.
_decode_account = lru_cache(maxsize=4_096)(_decode)


# Kinds of entries, by the first byte of their keys, on which the chain itself may act.
WITH_DEADLINES = frozenset(
    RECORDS + MOTIONS + RATINGS + MARKERS + RULES_KEY + RECOVERIES + LEAVINGS + ANNULMENTS + LEFT
)


def due_slot(key: bytes, value: bytes | None) -> int | None:
    """The slot in which the chain itself acts on an entry, if it ever does."""
    if value is None or key[0] not in WITH_DEADLINES or (key[0] == RATINGS[0] and value[0] == _TWO_FIELDS):
        return None
    return due_slot_of(decode_entry(key, value))


def due_slot_of(entry: Entry | None) -> int | None:
    """The slot in which the chain itself acts on an entry, if it ever does."""
    match entry:
        case Record() as record:
            return record.due_slot
        case Rating() as rating:
            return rating.due_slot or None
        case Recovery(due_slot=slot) | Leaving(due_slot=slot) | Annulment(due_slot=slot) | Left(until_slot=slot):
            return slot
        case Marker(until_slot=until_slot):
            return until_slot
        case Motion(status=0) as motion:
            return motion.expires_slot
        case Rules() as rules if rules.next_version:
            return rules.next_slot
    return None
