"""The life stories of records, authorities and motions, and how something is claimed about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Row = Mapping[str, Any]

# Status of a record.  Its points count in the first four; in the others where the category has it so.
STANDING, REPAIR_ASKED, REPAIR_REFERRED, REPAIR_DRAWN = "standing", "repair asked", "repair referred", "repair drawn"
OBJECTED, MAINTAINED, DRAWN = "objected", "maintained", "drawn"
COUNTING = (STANDING, REPAIR_ASKED, REPAIR_REFERRED, REPAIR_DRAWN)
DISPUTED = (OBJECTED, MAINTAINED, DRAWN)
# Stage of an annulment, beside DRAWN
HEARING, GRANTED = "hearing", "granted"
# Status of an authority
ACTIVE, SUSPENDED, REVOKED = "active", "suspended", "revoked"
# Status of a motion
OPEN, CARRIED, LAPSED = "open", "carried", "lapsed"


class Fault(Exception):
    """A row that should never have been accepted."""


def claim(holds: object, fault: str) -> None:
    """Raise :class:`Fault` unless it holds."""
    if not holds:
        raise Fault(fault)


@dataclass(slots=True)
class Record:
    """One record, from its filing on; ``end`` says how it ended, and is empty while it is there.

    ``cap`` is a tier's level, counted from the lowest, or -1; times are slots, and 0 where there is none.  Once it
    has ended, that it was there is kept until ``kept_until``.  It was ``upheld`` by one arbiter (1) or on an appeal
    (2); ``lot`` is the seed of the lot, drawn at ``lot_height``.  Counted from its ``conduct`` it was ``halved`` so
    many times, once in each ``half_life`` (0: never).
    """

    subject: bytes
    number: int
    issuer: bytes
    filing: Row
    points: int
    height: int
    expires: int
    repairable_from: int
    kept_until: int
    cap: int
    stands: bool
    is_reopened: bool
    status: str = STANDING
    upheld: int = 0
    is_declined: bool = False
    deadline: int = 0
    appealable_until: int = 0
    lot: bytes = b""
    lot_height: int = 0
    reopener: bytes = b""
    arbiter: bytes = b""
    votes: list[tuple[bytes, int]] = field(default_factory=list)
    grounds: bytes = b""
    statement: bytes = b""
    proof: bytes = b""
    end: str = ""
    conduct: int = 0
    half_life: int = 0
    halved: int = 0

    @property
    def name(self) -> tuple[bytes, int]:
        """Whom it is about, and which it is."""
        return self.subject, self.number

    @property
    def counts(self) -> bool:
        """Whether its points are part of the score."""
        return not self.end and (self.status in COUNTING or self.stands)

    @property
    def is_disputed(self) -> bool:
        """Whether an objection or an appeal is open."""
        return self.status in DISPUTED

    @property
    def takes_something(self) -> bool:
        """Whether it puts the member worse."""
        return self.points < 0 or self.cap >= 0

    def settle(self) -> None:
        """What was open is not any more."""
        self.status, self.deadline, self.lot, self.lot_height, self.votes = STANDING, 0, b"", 0, []

    @property
    def left(self) -> int:
        """What its points come to by now."""
        size: int = abs(self.points) // 2**self.halved
        return size if self.points > 0 else -size

    @property
    def next_half(self) -> int:
        """The slot of the next halving, whether or not anything is left by then; 0 where its points stay."""
        return self.conduct + (self.halved + 1) * self.half_life if self.half_life else 0

    @property
    def decided(self) -> int:
        """The slot in which the chain itself ends it, or goes on with it."""
        return min(filter(None, (self.expires, self.deadline)))

    @property
    def due(self) -> int:
        """The slot in which the chain itself acts on it next."""
        return min(self.decided, self.next_half) if self.is_fading else self.decided

    @property
    def is_fading(self) -> bool:
        """Whether there is something left that will be less before it ends."""
        return bool(self.left and self.half_life) and self.next_half < self.expires

    def fade(self, slot: int) -> None:
        """Its points are what they are in ``slot``."""
        if self.half_life:
            self.halved = max(self.halved, (slot - self.conduct) // self.half_life)


@dataclass(slots=True)
class Voice:
    """One rating: what was said, since which height, and until when; times are slots, 0 where there is none."""

    points: int
    height: int
    expires: int = 0
    dealt: int = 0
    status: str = "standing"
    deadline: int = 0
    grounds: bytes = b""
    reason: bytes = b""

    @property
    def due(self) -> int:
        """The slot in which the chain itself acts on it next, 0 where it never does."""
        return min([slot for slot in (self.expires, self.deadline) if slot], default=0)


@dataclass(slots=True)
class Guard:
    """Who may recover somebody, and who may from ``coming_from`` on; until ``undo_until`` they undo its key's deeds."""

    now: bytes
    coming: bytes = b""
    coming_from: int = 0
    undo_until: int = 0


@dataclass(slots=True)
class Leaving:
    """Somebody goes; ``cursor`` is the key that is forgotten next, once the first were.

    It consented to the policy of ``version``.
    """

    due: int
    version: int
    is_void: bool = False
    cursor: bytes = b""


@dataclass(slots=True)
class Annulment:
    """An enrolment is said to be void: the ``stage`` is a hearing, a lot that was drawn, or that it was granted.

    ``granter`` granted it; where there is one, and it is open again, that is the appeal.
    """

    registrar: bytes
    reason: bytes
    due: int
    stage: str = HEARING
    grounds: bytes = b""
    granter: bytes = b""
    lot: bytes = b""
    lot_height: int = 0
    votes: list[tuple[bytes, int]] = field(default_factory=list)

    @property
    def is_appeal(self) -> bool:
        """Whether three are to rule, who did not before."""
        return self.stage == DRAWN and bool(self.granter)


class Account(NamedTuple):
    """How an authority judges: all that there ever was, and what a motion has put behind it.

    ``window`` is ``(start, decided, overturned)``, and the last two of the window before.
    """

    status: str
    filed: int
    withdrawn: int
    decided: int
    overturned: int
    forgiven_decided: int
    forgiven_overturned: int
    window: tuple[int, int, int, int, int]


class Happened(NamedTuple):
    """Something that counts about an authority, with the limits, the window's length and the slot of its time."""

    what: str
    limits: Row
    window: int
    slot: int


@dataclass(slots=True)
class Office:
    """One authority; ``deeds`` are what counts about it."""

    terms: Row
    founded: int = 0
    deeds: list[Happened] = field(default_factory=list)

    def account(self) -> Account:
        """What its deeds come to, one after the other."""
        status, count = ACTIVE, dict.fromkeys(("filed", "withdrawn", "decided", "overturned"), 0)
        forgiven, start, now, before = (0, 0), self.founded, [0, 0], [0, 0]
        for deed in self.deeds:
            match deed.what:
                case "accredit" if status == REVOKED:
                    status = ACTIVE
                case "suspend":
                    status = SUSPENDED
                case "revoke":
                    status = REVOKED
                case "restore":
                    status, forgiven = ACTIVE, (count["decided"], count["overturned"])
                    start, now, before = deed.slot, [0, 0], [0, 0]
                case "filed" | "withdrawn":
                    count[deed.what] += 1
                case "upheld" | "upheld on appeal" | "fell" | "fell on appeal":
                    # A window counts as long again behind the next one.
                    if deed.slot >= start + 2 * deed.window:
                        start, now, before = deed.slot, [0, 0], [0, 0]
                    elif deed.slot >= start + deed.window:
                        start, now, before = start + deed.window, [0, 0], now
                    decided, fell = not deed.what.endswith("appeal"), deed.what.startswith("fell")
                    now = [now[0] + decided, now[1] + fell]
                    count["decided"] += decided
                    count["overturned"] += fell
                    cases = now[0] + before[0]
                    errors = min(cases, now[1] + before[1])
                    too_many = errors * 1000 > cases * deed.limits["overturned_permille"]
                    if status == ACTIVE and cases >= deed.limits["overturned_minimum"] and too_many:
                        status = SUSPENDED
        window = start, now[0], now[1], before[0], before[1]
        filed, withdrawn, decided_ever, overturned = count.values()
        return Account(status, filed, withdrawn, decided_ever, overturned, *forgiven, window)

    @property
    def status(self) -> str:
        """Whether it may file, and answer."""
        return self.account().status

    def serves(self, right: str, date: int) -> bool:
        """Whether it has a right at this date, in slots."""
        return bool(self.terms[right] and self.status == ACTIVE and self.is_in_term(date))

    def is_in_term(self, date: int) -> bool:
        """Whether it is accredited at this date."""
        return bool(self.terms["from_slot"] <= date < self.terms["until_slot"])


@dataclass(slots=True)
class Motion:
    """One motion; ``closed`` is the height at which it ended.

    It ``is_awaited`` until whom it would make a validator, or an authority for the first time, has agreed.
    """

    proposer: bytes
    proposal: Row
    height: int
    expires: int
    is_awaited: bool
    approvals: list[bytes] = field(default_factory=list)
    status: str = OPEN
    closed: int = 0
