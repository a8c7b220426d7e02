"""The life stories of records, authorities and motions, and how something is claimed about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Row = Mapping[str, Any]

# Status of a record.  Its points count in the first two, and are suspended in the others.
STANDING, REPAIR_ASKED, OBJECTED, MAINTAINED = "standing", "repair asked", "objected", "maintained"
COUNTING = (STANDING, REPAIR_ASKED)
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

    ``cap`` is a tier's level, counted from the lowest, or -1; times are slots, and 0 where there is none.
    """

    subject: bytes
    number: int
    issuer: bytes
    filing: Row
    points: int
    height: int
    expires: int
    repairable_from: int
    cap: int
    status: str = STANDING
    is_upheld: bool = False
    deadline: int = 0
    grounds: bytes = b""
    statement: bytes = b""
    proof: bytes = b""
    end: str = ""

    @property
    def name(self) -> tuple[bytes, int]:
        """Whom it is about, and which it is."""
        return self.subject, self.number

    @property
    def counts(self) -> bool:
        """Whether its points are part of the score."""
        return not self.end and self.status in COUNTING

    @property
    def due(self) -> int:
        """The slot in which the chain itself acts on it next."""
        return min(filter(None, (self.expires, self.deadline)))


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
    """Somebody goes; ``cursor`` is the key that is forgotten next, once the first were."""

    due: int
    is_void: bool = False
    cursor: bytes = b""


@dataclass(slots=True)
class Annulment:
    """An enrolment is said to be void."""

    registrar: bytes
    reason: bytes
    due: int
    is_heard: bool = False
    grounds: bytes = b""


class Account(NamedTuple):
    """How an authority judges; the part that a motion has put behind it is forgiven."""

    status: str
    filed: int
    overturned: int
    forgiven_filed: int
    forgiven_overturned: int


@dataclass(slots=True)
class Office:
    """One authority; ``deeds`` are what counts about it, each with the policy of its time."""

    terms: Row
    deeds: list[tuple[str, Row]] = field(default_factory=list)

    def account(self) -> Account:
        """What its deeds come to, one after the other."""
        status, filed, overturned, old_filed, old_overturned = ACTIVE, 0, 0, 0, 0
        for deed, policy in self.deeds:
            match deed:
                case "accredit" if status == REVOKED:
                    status = ACTIVE
                case "suspend":
                    status = SUSPENDED
                case "revoke":
                    status = REVOKED
                case "restore":
                    status, old_filed, old_overturned = ACTIVE, filed, overturned
                case "filed":
                    filed += 1
                case "overturned":
                    overturned += 1
            # No more than all: what was filed before a motion may be overturned after it.
            of = filed - old_filed
            errors = min(of, overturned - old_overturned)
            limits = policy["authorities"]
            errs_often = of >= limits["overturned_minimum"] and errors * 1000 > of * limits["overturned_permille"]
            if deed in ("filed", "overturned") and errs_often and status == ACTIVE:
                status = SUSPENDED
        return Account(status, filed, overturned, old_filed, old_overturned)

    @property
    def status(self) -> str:
        """Whether it may file, and answer."""
        return self.account().status

    def serves(self, right: str, height: int) -> bool:
        """Whether it has a right at this height."""
        return bool(self.terms[right] and self.status == ACTIVE and self.is_in_term(height))

    def is_in_term(self, height: int) -> bool:
        """Whether it is accredited at this height."""
        return bool(self.terms["from_height"] <= height < self.terms["until_height"])


@dataclass(slots=True)
class Motion:
    """One motion; ``closed`` is the height at which it ended.

    ``newcomer`` is the key that it would make a validator, empty where there is none; it ``has_consented`` or not yet.
    """

    proposer: bytes
    proposal: Row
    height: int
    expires: int
    newcomer: bytes
    approvals: list[bytes] = field(default_factory=list)
    has_consented: bool = False
    status: str = OPEN
    closed: int = 0

    @property
    def is_awaited(self) -> bool:
        """Whether its newcomer has yet to consent."""
        return bool(self.newcomer) and not self.has_consented
