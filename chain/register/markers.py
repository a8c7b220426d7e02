"""What ended stays ended: markers, which say that something was recorded, and no more.

A marker is a hash under which nothing about anybody is kept.  While a record stands, its evidence makes no second one
in its category, and the marker stands as long as it does.  Once it has ended, neither its evidence makes another one,
in any category, nor conduct of the same category and day, but by reopening, until the retention of the conduct ends.
Nor is blame that fell, since its rater gave no reason for it, said again; nor is an enrolment that stood called void
again.
Source: protocol 6.12, 8.3 and 8.4.
"""

from __future__ import annotations

from hashlib import sha256

from chain.base.errors import InvariantBroken, Reason, Refused
from chain.content.actions import FileRecord, Reopen
from chain.register.draft import Draft
from chain.register.entries import Marker, Member, Record
from chain.register.statekeys import MARKERS


def check_new(draft: Draft, subject: bytes, action: FileRecord) -> None:
    """Neither was recorded.  Raises :class:`Refused`: ``ALREADY_RECORDED``, ``ENDED``."""
    _check_evidence(draft, subject, action)
    if draft.get(_conduct_key(draft, subject, action.category, action.established_slot)) is not None:
        raise Refused(Reason.ENDED, "a record of the same member, category and day has ended")


def check_reopening(draft: Draft, subject: bytes, action: Reopen) -> None:
    """Such conduct ended, and the evidence is new.

    Raises :class:`Refused`: ``ENDED``, ``NOTHING_ENDED``, ``ALREADY_RECORDED``.
    """
    _check_evidence(draft, subject, action)
    marker: Marker | None = draft.get(_conduct_key(draft, subject, action.category, action.established_slot))
    if marker is None:
        raise Refused(Reason.NOTHING_ENDED, "no record of the same member, category and day has ended")
    if marker.is_reopened:
        raise Refused(Reason.ALREADY_RECORDED, "this conduct was reopened, and a record of it stands")


def mark_filed(draft: Draft, subject: bytes, record: Record, until_slot: int) -> None:
    """The evidence was recorded; the conduct is kept until a slot."""
    key = _evidence_key(subject, record.evidence)
    others: Marker | None = draft.get(key)
    filed = (record.category, until_slot)
    draft.put(key, Marker(0, 0, (filed,) if others is None else tuple(sorted((*others.filed, filed)))))
    if record.is_reopened:
        key = _conduct_key(draft, subject, record.category, record.established_slot)
        draft.put(key, draft.get(key)._replace(is_reopened=1))


def mark_ended(draft: Draft, subject: bytes, record: Record) -> None:
    """The record ended; neither its evidence nor its conduct is recorded again while that is kept."""
    key = _evidence_key(subject, record.evidence)
    marker: Marker = draft.get(key)
    filed = dict(marker.filed)
    until_slot = filed.pop(record.category)
    others = tuple(filed.items())
    is_kept = until_slot > draft.slot
    kept_slot = max(marker.until_slot, until_slot) if is_kept else marker.until_slot
    draft.put(key, Marker(kept_slot, 0, others) if kept_slot or others else None)
    if is_kept:
        conduct = _conduct_key(draft, subject, record.category, record.established_slot)
        _prolong(draft, conduct, until_slot, record.is_reopened)


def check_blame(draft: Draft, key: bytes) -> None:
    """A rating that blames, under ``key``, did not fall lately.  Raises :class:`Refused`: ``RATING_FELL``."""
    marker: Marker | None = draft.get(_blame_key(key))
    if marker is not None:
        slot = draft.date(marker.until_slot)
        raise Refused(Reason.RATING_FELL, f"it gave no reason when it was asked for one; again from slot {slot}")


def mark_fallen(draft: Draft, key: bytes, until_slot: int) -> None:
    """A rating under ``key`` that blamed fell for want of a reason."""
    draft.put(_blame_key(key), Marker(until_slot))


def check_enrolment(draft: Draft, subject: bytes, member: Member) -> None:
    """Nobody decided lately that this enrolment stands.  Raises :class:`Refused`: ``ENDED``."""
    if draft.get(_enrolment_key(subject, member)) is not None:
        raise Refused(Reason.ENDED, "an annulment of this enrolment has ended, and it stands")


def mark_enrolment(draft: Draft, subject: bytes, member: Member) -> None:
    """An annulment ended, and the enrolment stands."""
    until_slot = draft.slot + draft.slots(draft.policy.retention_days)
    draft.put(_enrolment_key(subject, member), Marker(until_slot))


def fall_due(draft: Draft, key: bytes) -> None:
    """The retention is over, unless what ended in this very block has prolonged it.

    Raises :class:`InvariantBroken` where there is no marker.
    """
    marker = draft.get(key)
    if not isinstance(marker, Marker):
        raise InvariantBroken("no marker is due")
    if marker.until_slot <= draft.slot:
        draft.put(key, Marker(0, 0, marker.filed) if marker.filed else None)


def _check_evidence(draft: Draft, subject: bytes, action: FileRecord | Reopen) -> None:
    marker: Marker | None = draft.get(_evidence_key(subject, action.evidence))
    if marker is None:
        return
    if marker.until_slot:
        raise Refused(Reason.ENDED, "a record of this evidence has ended")
    if any(category == action.category for category, _ in marker.filed):
        raise Refused(Reason.ALREADY_RECORDED, "a record of this evidence stands")


def _prolong(draft: Draft, key: bytes, until_slot: int, was_reopened: int) -> None:
    """Set a marker, or let it last longer; what was reopened and has ended can be reopened again."""
    before: Marker = draft.get(key) or Marker(0)
    draft.put(key, Marker(max(before.until_slot, until_slot), 0 if was_reopened else before.is_reopened))


def _evidence_key(subject: bytes, evidence: bytes) -> bytes:
    return _key(b"evidence" + subject + evidence)


def _conduct_key(draft: Draft, subject: bytes, category: int, established_slot: int) -> bytes:
    day = established_slot // draft.slots(1)
    return _key(b"conduct" + subject + category.to_bytes(4, "big") + day.to_bytes(8, "big", signed=True))


def _blame_key(rating: bytes) -> bytes:
    return _key(b"blame" + rating)


def _enrolment_key(subject: bytes, member: Member) -> bytes:
    return _key(b"enrolment" + subject + member.enrolled_height.to_bytes(8, "big"))


def _key(what: bytes) -> bytes:
    return MARKERS + sha256(b"goodfaith/marker/" + what).digest()
