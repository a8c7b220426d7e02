"""Repair: once the shortest period is over the member asks; the issuer may decline once, then an arbiter decides.

Source: protocol 6.4.
"""

from __future__ import annotations

from chain.base.errors import Reason, Refused
from chain.content.actions import APPROVE, ASK, Repair
from chain.register import effects
from chain.register.draft import Draft, Happening
from chain.register.entries import REPAIR_ASKED, REPAIR_REFERRED, STANDING, Record
from chain.register.statekeys import record_key
from chain.register.terms import kept_slots


def repair(draft: Draft, action: Repair, actor: bytes) -> None:
    """The member asks once the severity's shortest period is over; the issuer approves, or declines once.

    Where the issuer has declined before, the member's question goes to an arbiter.

    Raises :class:`Refused`: ``UNKNOWN_RECORD``, ``DEADLINE_PASSED``; for who asks ``OTHERS_RECORD``,
    ``NOT_REPAIRABLE``, ``TOO_EARLY``, ``UNDER_OBJECTION``, ``REPAIR_ALREADY_ASKED``; for who decides ``NOT_ISSUER``,
    ``REPAIR_NOT_ASKED``, ``ALREADY_DECLINED``.
    """
    if action.step == ASK:
        subject, _, record = effects.about_oneself(draft, action.subject, action.number, actor)
        _check_repairable(draft, record)
        status, period = REPAIR_ASKED, "repair_answer_days"
        if record.is_declined:
            status, period = REPAIR_REFERRED, "hearing_days"
        asked = record._replace(
            status=status, deadline_slot=draft.slot + kept_slots(draft, record, period), proof=action.document
        )
        draft.put(record_key(subject, action.number), asked)
        return
    subject, _ = draft.member(action.subject)
    record = effects.own_record(draft, subject, action.number, actor)
    if record.is_disputed or record.status == STANDING:
        raise Refused(Reason.REPAIR_NOT_ASKED, "nobody asked for the repair of this record")
    if action.step == APPROVE:
        effects.end(draft, subject, action.number, record, "repaired")
        return
    if record.status != REPAIR_ASKED:
        raise Refused(Reason.ALREADY_DECLINED, "its issuer has declined once; an arbiter decides")
    declined = record._replace(status=STANDING, is_declined=1, deadline_slot=0, proof=b"")
    draft.put(record_key(subject, action.number), declined)
    draft.happenings.append(Happening("repair declined", subject, action.number, record))


def _check_repairable(draft: Draft, record: Record) -> None:
    if not record.repair_slot:
        raise Refused(Reason.NOT_REPAIRABLE, "this record ends by itself; its category knows no repair")
    if record.is_disputed:
        raise Refused(Reason.UNDER_OBJECTION, "an objection to this record is open")
    if record.status != STANDING:
        raise Refused(Reason.REPAIR_ALREADY_ASKED, "the issuer or an arbiter has been asked")
    if draft.slot < record.repair_slot:
        raise Refused(Reason.TOO_EARLY, f"it can be repaired from slot {draft.date(record.repair_slot)}")
