"""What the chain itself does to a record whose deadline has passed: points fade, silence is judged, lots are drawn.

Source: protocol 6.5.
"""

from __future__ import annotations

from chain.base.errors import InvariantBroken
from chain.register import arbiters, effects
from chain.register.authorities import count_decided
from chain.register.draft import Draft, Happening
from chain.register.entries import DRAWN, MAINTAINED, OBJECTED, REPAIR_ASKED, REPAIR_DRAWN, REPAIR_REFERRED, Record
from chain.register.statekeys import read_record_key, record_key
from chain.register.terms import dispute_slots, faded, kept_slots


def fall_due(draft: Draft, key: bytes) -> None:
    """A deadline of this record has passed, and the chain itself acts.

    Raises :class:`InvariantBroken` for a record that is not due.
    """
    record = draft.get(key)
    if not isinstance(record, Record) or record.due_slot > draft.slot:
        raise InvariantBroken("a record that is not due")
    subject, number = read_record_key(key)
    if 0 < record.halves_slot <= draft.slot:
        record = _fade(draft, subject, number, record)
    if record.decided_slot > draft.slot:
        return
    if record.decided_slot == record.expires_slot:  # what came first counts, however late the block is
        effects.end(draft, subject, number, record, "expired")
    elif record.status == MAINTAINED:
        slots = dispute_slots(draft, record, "ruling_days", stands=bool(record.stands))
        _draw(draft, subject, number, record, DRAWN, slots)
    elif record.status == REPAIR_REFERRED:
        _draw(draft, subject, number, record, REPAIR_DRAWN, kept_slots(draft, record, "ruling_days"))
    else:
        _silence(draft, subject, number, record)


def _fade(draft: Draft, subject: bytes, number: int, record: Record) -> Record:
    """A half-life is over, or several where the block is late."""
    after = faded(draft, record)
    effects.change(draft, subject, number, record, after)
    draft.happenings.append(Happening("faded", subject, number, record))
    return after


def _draw(draft: Draft, subject: bytes, number: int, record: Record, status: int, slots: int) -> None:
    """The hearing is over, and the lot falls."""
    drawn = record._replace(
        status=status, deadline_slot=draft.slot + slots, lot=draft.parent.id, lot_height=draft.height
    )
    draft.put(record_key(subject, number), drawn)
    draft.happenings.append(Happening("drawn", subject, number, record))


def _silence(draft: Draft, subject: bytes, number: int, record: Record) -> None:
    """Of the issuer, whose error that is; or of the arbiters, who answer for that themselves."""
    if record.status in (DRAWN, REPAIR_DRAWN):
        arbiters.count_silence(draft, arbiters.record_case(subject, number, record))
    what = {OBJECTED: "lapsed", DRAWN: "unruled", REPAIR_ASKED: "repaired", REPAIR_DRAWN: "repaired"}
    effects.end(draft, subject, number, record, what[record.status])
    if record.status == OBJECTED:
        count_decided(draft, record, is_overturned=True)
