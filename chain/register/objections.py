"""Objections: the member objects, the issuer answers, both are heard, an arbiter drawn by lot rules; one appeal.

Silence is judged by the chain itself, at the slot in which a deadline passes (:mod:`chain.register.deadlines`), and
always for the member.
Source: protocol 6.4 and 6.14.
"""

from __future__ import annotations

from typing import Any

from chain.base.errors import Reason, Refused
from chain.content.actions import MAINTAIN, STRIKE, WITHDRAW, Answer, Appeal, Object, Rule
from chain.register import arbiters, effects
from chain.register.authorities import check_authority, count_decided, count_withdrawn
from chain.register.draft import Draft, Happening
from chain.register.entries import (
    DRAWN,
    MAINTAINED,
    OBJECTED,
    REPAIR_DRAWN,
    REPAIR_REFERRED,
    STANDING,
    UPHELD_FOR_GOOD,
    UPHELD_ONCE,
    Record,
)
from chain.register.statekeys import record_key
from chain.register.terms import (
    best_points,
    dispute_slots,
    faded,
    kept_slots,
    repairable_again,
    stands_disputed,
)


def object_to(draft: Draft, action: Object, actor: bytes) -> None:
    """The member alone objects, and the issuer has to answer; the points are suspended, unless the category says not.

    Raises :class:`Refused`: ``UNKNOWN_RECORD``, ``DEADLINE_PASSED``, ``OTHERS_RECORD``, ``UNDER_OBJECTION``,
    ``ALREADY_UPHELD``.
    """
    subject, _, record = effects.about_oneself(draft, action.subject, action.number, actor)
    if record.is_disputed:
        raise Refused(Reason.UNDER_OBJECTION, "an objection to this record is open")
    if record.upheld:
        raise Refused(Reason.ALREADY_UPHELD, "an arbiter has upheld this record; it can be appealed once")
    stands = stands_disputed(draft, record)
    objected = record._replace(
        stands=int(stands),
        status=OBJECTED,
        deadline_slot=draft.slot + dispute_slots(draft, record, "answer_days", stands=stands),
        **_contested(action.grounds),
    )
    effects.change(draft, subject, action.number, record, objected)
    draft.happenings.append(Happening("objected", subject, action.number, record))


def answer(draft: Draft, action: Answer, actor: bytes) -> None:
    """The issuer corrects for the better, withdraws, or maintains.  The first two need no objection.

    Raises :class:`Refused`: ``UNKNOWN_RECORD``, ``DEADLINE_PASSED``, ``NOT_ISSUER`` and what
    :func:`check_authority` says; for ``MAINTAIN`` ``NOT_UNDER_OBJECTION``, ``ALREADY_MAINTAINED``,
    ``NO_REASON_GIVEN``; for ``CORRECT`` ``NOT_BETTER``.
    """
    subject, _ = draft.member(action.subject)
    record = effects.own_record(draft, subject, action.number, actor)
    if action.verdict == MAINTAIN:
        _maintain(draft, action, subject, record)
    elif action.verdict == WITHDRAW:
        effects.end(draft, subject, action.number, record, "withdrawn")
        count_withdrawn(draft, record)
    else:
        if not record.points < action.points <= best_points(draft, record):
            raise Refused(Reason.NOT_BETTER, f"a correction raises the points, from {record.points}")
        corrected = faded(draft, record._replace(points=action.points))
        # What the objection was about is no more; corrected point by point it would stand past any arbiter.
        if record.is_disputed:
            corrected = _settled(corrected, upheld=0, arbiter=b"", grounds=b"", stands=0)
        effects.change(draft, subject, action.number, record, corrected)
        draft.happenings.append(Happening("corrected", subject, action.number, record))
    if action.verdict != MAINTAIN and record.is_disputed:  # what the issuer finds by itself is not held against it
        count_decided(draft, record, is_overturned=True)


def _maintain(draft: Draft, action: Answer, subject: bytes, record: Record) -> None:
    if record.status != OBJECTED:
        already = Reason.ALREADY_MAINTAINED if record.is_disputed else Reason.NOT_UNDER_OBJECTION
        raise Refused(already, "there is no objection to answer")
    if not action.reason:
        raise Refused(Reason.NO_REASON_GIVEN, "whoever maintains a record gives the digest of a written reason")
    draft.put(record_key(subject, action.number), _heard(draft, record))
    draft.happenings.append(Happening("maintained", subject, action.number, record))


def appeal(draft: Draft, action: Appeal, actor: bytes) -> None:
    """The member appeals, once, against what an arbiter upheld; after another hearing three others decide.

    Raises :class:`Refused`: ``UNKNOWN_RECORD``, ``DEADLINE_PASSED``, ``OTHERS_RECORD``, ``UNDER_OBJECTION``,
    ``NOT_UPHELD``, ``ALREADY_UPHELD``.
    """
    subject, _, record = effects.about_oneself(draft, action.subject, action.number, actor)
    if record.is_disputed:
        raise Refused(Reason.UNDER_OBJECTION, "an objection to this record is open")
    if not record.upheld:
        raise Refused(Reason.NOT_UPHELD, "no arbiter has upheld this record; object to it")
    if record.upheld == UPHELD_FOR_GOOD:
        raise Refused(Reason.ALREADY_UPHELD, "this record was upheld on an appeal")
    if record.appeal_slot <= draft.slot:
        raise Refused(Reason.DEADLINE_PASSED, f"it could be appealed before slot {draft.date(record.appeal_slot)}")
    stands = int(stands_disputed(draft, record))
    appealed = _heard(draft, record._replace(stands=stands, appeal_slot=0, **_contested(action.grounds)))
    effects.change(draft, subject, action.number, record, appealed)
    draft.happenings.append(Happening("appealed", subject, action.number, record))


def rule(draft: Draft, action: Rule, actor: bytes) -> None:
    """An arbiter on whom the lot fell decides about a record that its issuer maintains, or a repair that it declined.

    Raises :class:`Refused`: ``NOT_ARBITER``, ``UNKNOWN_RECORD``, ``DEADLINE_PASSED``, ``OWN_RECORD``,
    ``NOT_MAINTAINED``, ``IN_HEARING``, ``NOT_DRAWN``, ``ALREADY_RULED`` and what :func:`check_authority` says.
    """
    arbiter, authority = check_authority(draft, actor)
    if not arbiters.is_arbiter(authority, draft.date_slot):
        raise Refused(Reason.NOT_ARBITER, "only an arbiter in office rules")
    subject, _ = draft.member(action.subject)
    record = effects.find_record(draft, subject, action.number)
    if arbiter in (record.issuer, subject):
        raise Refused(Reason.OWN_RECORD, "nobody rules on a record of its own, or about itself")
    if record.status in (MAINTAINED, REPAIR_REFERRED):
        raise Refused(Reason.IN_HEARING, f"both sides are heard until slot {draft.date(record.deadline_slot)}")
    if record.status not in (DRAWN, REPAIR_DRAWN):
        raise Refused(Reason.NOT_MAINTAINED, "an arbiter rules once the issuer has maintained a record")
    case = arbiters.rule(draft, arbiters.record_case(subject, action.number, record), arbiter, action.verdict)
    if record.status == REPAIR_DRAWN:
        _rule_on_repair(draft, subject, action.number, record, action.verdict)
    elif arbiters.is_decided(case, action.verdict):
        by = record.arbiter if record.upheld else arbiter
        decide(draft, subject, action.number, record._replace(arbiter=by), action.verdict)
    else:
        draft.put(record_key(subject, action.number), record._replace(votes=case.votes))


def decide(draft: Draft, subject: bytes, number: int, record: Record, verdict: int) -> None:
    """A dispute is decided: the record is struck, or stands; after an appeal for good."""
    if verdict == STRIKE:
        effects.end(draft, subject, number, record, "struck")
    else:
        upheld, appeal_slot = UPHELD_FOR_GOOD, 0
        if not record.upheld:
            upheld, appeal_slot = UPHELD_ONCE, draft.slot + kept_slots(draft, record, "appeal_days")
        after = _settled(record, upheld=upheld, appeal_slot=appeal_slot)
        effects.change(draft, subject, number, record, after)
        draft.happenings.append(Happening("upheld", subject, number, record))
    count_decided(draft, record, is_overturned=verdict == STRIKE)


def _rule_on_repair(draft: Draft, subject: bytes, number: int, record: Record, verdict: int) -> None:
    if verdict == STRIKE:
        effects.end(draft, subject, number, record, "repaired")
        return
    after = _settled(record, repair_slot=repairable_again(draft, record), proof=b"")
    draft.put(record_key(subject, number), after)
    draft.happenings.append(Happening("repair declined", subject, number, record))


def _contested(grounds: bytes) -> dict[str, Any]:
    """A wish for repair is off, and with it the lot that was drawn about that."""
    return {"grounds": grounds, "proof": b"", "lot": b"", "lot_height": 0}


def _heard(draft: Draft, record: Record) -> Record:
    deadline_slot = draft.slot + kept_slots(draft, record, "hearing_days")
    return record._replace(status=MAINTAINED, deadline_slot=deadline_slot)


def _settled(record: Record, **beside: Any) -> Record:
    return record._replace(status=STANDING, deadline_slot=0, lot=b"", lot_height=0, votes=(), **beside)
