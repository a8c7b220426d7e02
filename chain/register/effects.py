"""What a record does to whom it is about while it counts, what is undone when it ends, and who may act on it.

Source: protocol 6.3 and 6.4.
"""

from __future__ import annotations

from chain.base.errors import Reason, Refused
from chain.base.keys import did_from_key
from chain.register import markers
from chain.register.authorities import check_authority
from chain.register.draft import Draft, Happening
from chain.register.entries import CategorySum, Member, Record
from chain.register.statekeys import member_key, record_key, sum_key


def find_record(draft: Draft, subject: bytes, number: int) -> Record:
    """A record that stands or is disputed.  Raises :class:`Refused`: ``UNKNOWN_RECORD``, ``DEADLINE_PASSED``."""
    record = draft.get(record_key(subject, number))
    if not isinstance(record, Record):
        raise Refused(Reason.UNKNOWN_RECORD, f"no record {number} stands about {did_from_key(subject)}")
    if record.decided_slot <= draft.slot:  # more fell due than one block works off
        slot = draft.date(record.decided_slot)
        raise Refused(Reason.DEADLINE_PASSED, f"its deadline was slot {slot}; the next blocks act on it")
    return record


def own_record(draft: Draft, subject: bytes, number: int, actor: bytes) -> Record:
    """A record of the actor's own.  Raises :class:`Refused`: as above, ``NOT_ISSUER``, and for who is no authority."""
    issuer, _ = check_authority(draft, actor)
    record = find_record(draft, subject, number)
    if record.issuer != issuer:
        raise Refused(Reason.NOT_ISSUER, "only the record's issuer may do that")
    return record


def about_oneself(draft: Draft, key: bytes, number: int, actor: bytes) -> tuple[bytes, Member, Record]:
    """A record about the actor.  Raises :class:`Refused`: as above, ``OTHERS_RECORD``."""
    subject, member = draft.member(key)
    if draft.identity(actor) != subject:
        raise Refused(Reason.OTHERS_RECORD, "only the member itself may do that")
    return subject, member, find_record(draft, subject, number)


def begin(draft: Draft, subject: bytes, number: int, record: Record) -> None:
    """A new record is there."""
    member: Member = draft.get(member_key(subject))
    draft.put(record_key(subject, number), record)
    draft.put(member_key(subject), _counted(draft, subject, member, record, 1, filed=1))


def change(draft: Draft, subject: bytes, number: int, before: Record, after: Record) -> None:
    """A record becomes another, which counts or does not."""
    draft.put(record_key(subject, number), after)
    if (before.counts, before.worth) != (after.counts, after.worth):
        member = _without(draft, subject, draft.get(member_key(subject)), before)
        draft.put(member_key(subject), _with(draft, subject, member, after))


def end(draft: Draft, subject: bytes, number: int, record: Record, what: str) -> None:
    """The record is gone, and what it did to the score with it; it does not come back."""
    draft.put(record_key(subject, number), None)
    draft.put(member_key(subject), _without(draft, subject, draft.get(member_key(subject)), record))
    markers.mark_ended(draft, subject, record)
    draft.happenings.append(Happening(what, subject, number, record))


def _with(draft: Draft, subject: bytes, member: Member, record: Record) -> Member:
    """``member`` with a record, which counts or is suspended."""
    return _counted(draft, subject, member, record, 1) if record.counts else member.with_suspended(1)


def _without(draft: Draft, subject: bytes, member: Member, record: Record) -> Member:
    """``member`` without a record, whether it counts or is suspended."""
    return _counted(draft, subject, member, record, -1) if record.counts else member.with_suspended(-1)


def _counted(draft: Draft, subject: bytes, member: Member, record: Record, sign: int, filed: int = 0) -> Member:
    """``member`` with (1) or without (-1) the points and the tier cap of a record that stands, perhaps a new one."""
    caps = member.caps
    if record.cap >= 0:
        counts = dict(caps)
        counts[record.cap] = counts.get(record.cap, 0) + sign
        caps = tuple(sorted((level, count) for level, count in counts.items() if count))
    return member.recorded(_capped(draft, subject, record.category, sign * record.worth), sign, caps, filed)


def _capped(draft: Draft, subject: bytes, code: int, points: int) -> int:
    """By how much a member's points change when a category's sum changes by ``points``, under its caps.

    A category's caps never change (:func:`chain.content.amendments.amendment_fault`), so the sums of all members stay
    right.
    """
    category = draft.policy.categories[code]
    if not category.is_capped:
        return points
    key = sum_key(subject, code)
    old: CategorySum | None = draft.get(key)
    before = 0 if old is None else old.points
    after = before + points
    draft.put(key, CategorySum(after) if after else None)
    return category.clamp(after) - category.clamp(before)
