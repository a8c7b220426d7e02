"""The frames of a home's chain, by executing it again: everything in them is as of the head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from chain.base.keys import did_from_key
from chain.branches.ledger import Ledger
from chain.content.actions import Enrol, Rate
from chain.disk.history import Step, steps
from chain.disk.inspection import View
from chain.register.authorities import is_in_term
from chain.register.draft import Draft, Happening
from chain.register.entries import ACTIVE, AUTHORITY_STATUS_NAMES, SUSPENDED, Authority, Member, Record, Rulings
from chain.register.scores import standing
from chain.register.statekeys import AUTHORITIES, RULED, member_key, read_identity, read_rulings_key
from chain.register.terms import consented_from
from chain.register.view import Lookup, StateView
from scripts.audit_parts.frames import (
    AUTHORITY_TYPES,
    MEMBER_TYPES,
    RATING_TYPES,
    RECORD_TYPES,
    RULING_TYPES,
    Frames,
    frame_of,
)

_LOST = ("lapsed", "struck")
_MENDED = ("corrected", "withdrawn")


def read_home(view: View, advance: Callable[[int], None]) -> Frames:
    """Everything there is to analyse; ``advance`` is told of executed blocks.

    Raises :class:`chain.base.errors.Refused` where the stored blocks do not lead to their state roots.
    """
    reading, ledger = _Reading(view), Ledger(view.genesis)
    for step in steps(view, advance, ledger):
        reading.take(step)
    head = ledger.view(ledger.head.slot)
    return replace(reading.frames(), officers=_officers(head), rulings=_rulings(head))


def _officers(head: StateView) -> tuple[str, ...]:
    """The identities of validators that are not jailed and of authorities in office."""
    validators = {head.identity(seat.key) for seat in head.validators.active if not seat.is_jailed}
    in_office = {
        read_identity(key)
        for key, authority in head.entries(AUTHORITIES, Authority)
        if authority.status == ACTIVE and is_in_term(authority, head.slot)
    }
    return tuple(sorted(map(did_from_key, validators | in_office)))


def _rulings(head: StateView) -> pd.DataFrame:
    """How every arbiter ruled on every issuer."""
    rows = [
        (*(did_from_key(who) for who in read_rulings_key(key)), *rulings)
        for key, rulings in head.entries(RULED, Rulings)
    ]
    return frame_of(rows, RULING_TYPES)


@dataclass
class _Filed:
    """A record that was filed, and what became of it."""

    first: tuple[Any, ...]
    dates: tuple[int, int]
    outcome: str = "standing"
    objected: bool = False
    overturned: bool = False


@dataclass
class _Issuer:
    """Whether an issuer is suspended, and what had been decided and overturned when it last was."""

    suspended: bool = False
    height: int = 0
    decided: int = 0
    overturned: int = 0


class _Reading:
    """The frames in the making."""

    def __init__(self, view: View) -> None:
        self._genesis = view.genesis
        self._ratings: list[tuple[Any, ...]] = []
        self._records: dict[tuple[bytes, int], _Filed] = {}
        self._issuers: dict[bytes, _Issuer] = {}
        self._registrars: dict[bytes, str | None] = {}
        self._head: Lookup = Ledger(view.genesis).view()

    def take(self, step: Step) -> None:
        """The next step of the chain."""
        draft, header = step.draft, step.block.header
        self._head = draft
        if step.transaction is not None:
            actor, action = draft.identity(step.transaction.actor), step.transaction.action
            if isinstance(action, Enrol):
                registrar = did_from_key(draft.identity(action.registrar)) if action.registrar else None
                self._registrars[actor] = registrar
            elif isinstance(action, Rate):
                subject, time = draft.identity(action.subject), self._genesis.slot_start_ms(header.slot) / 1000
                who = did_from_key(actor), did_from_key(subject)
                self._ratings.append((*who, action.category, action.points, header.height, header.slot, time))
        for happening in step.happenings:
            self._happened(step, happening)

    def _happened(self, step: Step, happening: Happening) -> None:
        what, subject, number, record = happening
        if what in ("filed", "reopened"):
            self._records[subject, number] = _Filed(
                (
                    did_from_key(record.issuer),
                    did_from_key(subject),
                    record.category,
                    record.points,
                    record.severity,
                    record.height,
                    step.draft.slot,
                    _tier(step.before, subject),
                ),
                (record.established_slot, _earliest(step.draft, subject, record)),
            )
        filed = self._records[subject, number]
        if what not in ("filed", "reopened", "drawn", "faded", "repair declined"):  # none of these settles anything
            filed.outcome = what
        filed.objected |= what == "objected"
        # What an issuer mends before anybody objects is not held against it, as on the chain.
        filed.overturned |= what in _LOST or (what in _MENDED and not record.counts)
        self._watch(step.draft, record.issuer)

    def _watch(self, draft: Draft, identity: bytes) -> None:
        """Only what becomes of its records suspends an issuer."""
        issuer, authority = self._issuers.setdefault(identity, _Issuer()), draft.authority(identity)
        is_suspended = authority is not None and authority.status == SUSPENDED
        if authority is not None and is_suspended and not issuer.suspended:
            issuer.height = draft.height
            issuer.decided = authority.decided - authority.forgiven_decided
            issuer.overturned = authority.overturned - authority.forgiven_overturned
        issuer.suspended = is_suspended

    def frames(self) -> Frames:
        """The frames."""
        records = [
            (*one.first, one.outcome, one.objected, one.overturned, *one.dates) for one in self._records.values()
        ]
        return Frames(
            frame_of(self._ratings, RATING_TYPES), frame_of(records, RECORD_TYPES), self._members(), self._authorities()
        )

    def _members(self) -> pd.DataFrame:
        rows = []
        for identity, registrar in self._registrars.items():
            member = self._head.get(member_key(identity))
            if not isinstance(member, Member):  # it left, and what stands of it stands in old blocks alone
                continue
            score = standing(self._head.policy, member).score
            rows.append((did_from_key(identity), did_from_key(member.key), registrar, score))
        return frame_of(rows, MEMBER_TYPES)

    def _authorities(self) -> pd.DataFrame:
        rows = []
        for identity, issuer in self._issuers.items():
            authority = self._head.authority(identity)
            if authority is not None:
                at = (issuer.height, issuer.decided, issuer.overturned) if issuer.height else (pd.NA, pd.NA, pd.NA)
                status = AUTHORITY_STATUS_NAMES[authority.status]
                rows.append((did_from_key(identity), did_from_key(authority.key), status, *at))
        return frame_of(rows, AUTHORITY_TYPES)


def _tier(before: Lookup, subject: bytes) -> str | None:
    """The tier of a member before the block: afterwards, a record itself would have put it where it is."""
    member = before.get(member_key(subject))
    return standing(before.policy, member).tier if isinstance(member, Member) else None


def _earliest(draft: Draft, subject: bytes, record: Record) -> int:
    """Before which slot of the calendar the conduct of a record that was just filed must not have been."""
    lasts = draft.date(record.expires_slot) - record.established_slot
    oldest = draft.date_slot + draft.slots(draft.policy.answer_days) - lasts
    if record.points >= 0 and record.cap < 0:
        return oldest
    _, member = draft.member(subject)
    return max(oldest, consented_from(draft, member))
