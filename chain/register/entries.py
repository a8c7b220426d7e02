"""The entries of the state, one type a kind, and the codes of their statuses.

Deadlines are slots of *registry time*, which stands still in an outage (:class:`Clock`).  When conduct was
established, since when a policy is in force, and the term of an authority are dates: slots of the calendar.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from chain.content.identities import Annulment, Guardians, Leaving, Left, Recovery
from chain.register.validators import Validators


class Rules(NamedTuple):
    """The policy in force by version and digest, and the one in force from ``next_slot`` (0, 0: none announced)."""

    version: int
    digest: bytes
    next_version: int
    next_slot: int


class PolicyText(NamedTuple):
    """An encoded policy; :func:`chain.content.policyfile.decode_policy` reads it.

    ``from_slot`` is since when it was in force, from the block at ``from_height`` on: 0 for the first one, and for one
    that is announced.
    """

    document: bytes
    from_slot: int = 0
    from_height: int = 0


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

    def recorded(self, points: int, sign: int, caps: tuple[tuple[int, int], ...], filed: int = 0) -> Member:
        """The member with (1) or without (-1) a record that stands, of which ``filed`` is new."""
        return Member(
            self.key, self.enrolled_height, self.rated_points, self.ratings, self.record_points + points,
            self.filed + filed, self.standing + sign, self.suspended, caps, self.enrolled_slot, self.policy_version,
            self.registrar, self.raters, self.leaves_slot,
        )  # fmt: skip

    def with_suspended(self, count: int) -> Member:
        """The member with so many more records that are suspended, or fewer."""
        return Member(*self[:7], self.suspended + count, *self[8:])


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
    It can be appealed before ``appeal_slot``, after ``arbiter`` upheld it; ``reopener`` is whose word reopened the
    conduct.  ``lot`` and ``lot_height`` are the seed of the lot that draws who rules, ``votes`` what those of an appeal
    ruled.  ``grounds`` are the objection's or the appeal's, ``statement`` the member's own, ``proof`` the repair's.
    ``points`` are what was recorded; they were halved ``halvings`` times, and are again in ``fades_slot`` (0: never).
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
    reopener: bytes = b""
    fades_slot: int = 0
    halvings: int = 0

    @property
    def worth(self) -> int:
        """What is left of its points, rounded towards 0, so that praise and blame fade alike."""
        left = abs(self.points) >> self.halvings
        return left if self.points > 0 else -left

    @property
    def halves_slot(self) -> int:
        """The slot in which what is left of its points is halved next; 0 where nothing is left, or it ends before."""
        return self.fades_slot if 0 < self.fades_slot < self.expires_slot and self.worth else 0

    @property
    def decided_slot(self) -> int:
        """The slot in which the chain itself ends this record, or goes on with what it waits for."""
        return min(self.expires_slot, self.deadline_slot) if self.deadline_slot else self.expires_slot

    @property
    def due_slot(self) -> int:
        """The slot in which the chain itself acts on this record next."""
        decided, halves = self.decided_slot, self.halves_slot
        return min(decided, halves) if halves else decided

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
    """Why something is not recorded again: a piece of evidence, or the conduct of a record that ended.

    Until ``until_slot`` that is kept (0: nothing has ended).  ``is_reopened`` while a record of that conduct stands
    again.  ``filed`` are the records that stand on that evidence: the category of each, and until when it is kept
    that there was one, once it has ended.
    """

    until_slot: int
    is_reopened: int = 0
    filed: tuple[tuple[int, int], ...] = ()


class Held(NamedTuple):
    """One attribute: who attested it, on which document, at which height, and until when."""

    attribute: int
    issuer: bytes
    digest: bytes
    height: int
    expires_slot: int


class Attributes(NamedTuple):
    """What is attested of a member, by the codes of the policy; in ``due_slot`` the first of it ends."""

    due_slot: int
    held: tuple[Held, ...]


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

    It may file in ``categories`` from one date up to another; ``rights`` are those of :mod:`chain.content.proposals`.
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

    def with_filing(self) -> Authority:
        """The authority with one more record, as most of what it does makes it."""
        return Authority(*self[:6], self.filed + 1, *self[7:])


class Roll(NamedTuple):
    """Who has the arbiter's right, and since which height, in the order of identities."""

    arbiters: tuple[tuple[bytes, int], ...]


class Rulings(NamedTuple):
    """How often an arbiter upheld and struck what one issuer filed, and was silent."""

    upheld: int
    struck: int
    silent: int


class Tally(NamedTuple):
    """How often a key did something on a day of the policy."""

    day: int
    times: int


class Docket(NamedTuple):
    """The number of the next motion, and those that are open."""

    next_motion: int
    open: tuple[int, ...]


# Status of a motion
OPEN, CARRIED, LAPSED = 0, 1, 2
MOTION_STATUS_NAMES = ("open", "carried", "lapsed")


class Motion(NamedTuple):
    """A motion: an encoded proposal, who approves it, and when it lapses or at which height it ended.

    ``is_awaited`` while whom it would seat, or give a first office, has not consented.
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
    | Attributes
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
