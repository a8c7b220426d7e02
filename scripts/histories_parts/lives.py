"""What the recount keeps: the life stories of records, authorities and motions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from chain.policy import Policy
from chain.proposals import Accredit, Proposal, encode_proposal
from chain.state import ACTIVE, MAINTAINED, OBJECTED, OPEN, REVOKED, STANDING, SUSPENDED
from chain.transactions import FileRecord


class Violation(Exception):
    """Something that must never happen."""


def claim(holds: object, what: str) -> None:
    """Raise :class:`Violation` unless it holds."""
    if not holds:
        raise Violation(what)


@dataclass(slots=True)
class Life:
    """One record, from its filing on."""

    issuer: bytes
    filing: FileRecord
    points: int
    height: int
    expires: int
    repairable_from: int
    cap: int
    status: int = STANDING
    upheld: int = 0
    deadline: int = 0
    grounds: bytes = b""
    words: bytes = b""
    proof: bytes = b""
    is_over: bool = False

    @property
    def due(self) -> int:
        return min(filter(None, (self.expires, self.deadline)))

    @property
    def is_suspended(self) -> bool:
        return self.status in (OBJECTED, MAINTAINED)

    def entry(self) -> tuple[Any, ...]:
        """The record as the state has it."""
        filing = self.filing
        return (
            self.issuer,
            filing.category,
            self.points,
            filing.severity,
            filing.evidence,
            filing.reason,
            filing.established_slot,
            self.height,
            filing.policy_version,
            self.expires,
            self.repairable_from,
            self.cap,
            self.status,
            self.upheld,
            self.deadline,
            self.grounds,
            self.words,
            self.proof,
        )


@dataclass(slots=True)
class Office:
    """One authority; ``deeds`` are what counts about it, each with the policy of its time."""

    terms: Accredit
    deeds: list[tuple[str, Policy]] = field(default_factory=list)

    def account(self) -> tuple[int, int, int, int, int]:
        """Status, filed, overturned, and how many of both are forgiven, by going through the deeds."""
        status, filed, overturned, old_filed, old_overturned = ACTIVE, 0, 0, 0, 0
        for deed, policy in self.deeds:
            if deed == "revoked":
                status = REVOKED
            elif deed == "accredited" and status == REVOKED:
                status = ACTIVE
            elif deed == "suspended":
                status = SUSPENDED
            elif deed == "restored":
                status, old_filed, old_overturned = ACTIVE, filed, overturned
            if deed not in ("filed", "overturned"):
                continue
            filed += deed == "filed"
            overturned += deed == "overturned"
            of = filed - old_filed
            errors = min(of, overturned - old_overturned)
            if status == ACTIVE and of >= policy.overturned_minimum and errors * 1000 > of * policy.overturned_permille:
                status = SUSPENDED
        return status, filed, overturned, old_filed, old_overturned


@dataclass(slots=True)
class Move:
    """One motion."""

    proposer: bytes
    proposal: Proposal
    height: int
    expires: int
    approvals: list[bytes]
    status: int = OPEN
    closed: int = 0

    def entry(self) -> tuple[Any, ...]:
        """The motion as the state has it."""
        fields = (self.proposer, encode_proposal(self.proposal), self.height, self.expires)
        return (*fields, tuple(self.approvals), self.status, self.closed)
