"""What authorities record about members, and the rights that members have against it.

::

    file ──► standing ──object──► objected ──maintain──► maintained ──uphold──► standing, for good
                │  ▲                 │                       │
                │  └────correct──────┤                       │
                │                    └ withdraw, silence     └ strike, silence          gone
                ├──ask for repair──► repair asked ──approve, silence                    gone
                └──expires                                                              gone

Points count while a record stands, and are suspended from the moment of an objection.  Silence is judged by
the chain itself, at the slot in which a deadline passes (:func:`fall_due`).
"""

from __future__ import annotations

from chain.codec import U32_MAX
from chain.draft import Draft, Happening
from chain.errors import InvariantBroken, Reason, Refused
from chain.policy import Category, Policy
from chain.proposals import ARBITER
from chain.state import (
    ACTIVE,
    MAINTAINED,
    OBJECTED,
    REPAIR_ASKED,
    REVOKED,
    STANDING,
    SUSPENDED,
    Authority,
    CategorySum,
    Member,
    Record,
    authority_key,
    member_key,
    read_record_key,
    record_key,
    sum_key,
)
from chain.transactions import (
    APPROVE,
    ASK,
    CORRECT,
    MAINTAIN,
    STRIKE,
    WITHDRAW,
    Answer,
    FileRecord,
    Object,
    Repair,
    Rule,
    Statement,
)


def check_filing(policy: Policy, action: FileRecord) -> Category:
    """What follows from the policy alone.

    Raises :class:`Refused`: ``UNKNOWN_CATEGORY``, ``CATEGORY_CLOSED``, ``POINTS_OUT_OF_RANGE``, ``WRONG_SEVERITY``,
    ``NO_REASON_GIVEN``.
    """
    category = policy.categories.get(action.category)
    if category is None:
        raise Refused(Reason.UNKNOWN_CATEGORY, f"category {action.category} is not in the policy")
    if category.is_closed:
        raise Refused(Reason.CATEGORY_CLOSED, f"{category.name} takes no new records")
    if not category.low <= action.points <= category.high:
        raise Refused(Reason.POINTS_OUT_OF_RANGE, f"{action.points} is not from {category.low} to {category.high}")
    if action.severity not in (category.severities or (0,)):
        raise Refused(Reason.WRONG_SEVERITY, f"severity {action.severity} is none of {category.severities or (0,)}")
    if category.needs_reason and not action.reason:
        raise Refused(Reason.NO_REASON_GIVEN, f"{category.name} is discretionary: give the digest of a written reason")
    return category


def file(draft: Draft, action: FileRecord, actor: bytes) -> None:
    """An authority records conduct, in a category that it is accredited for.

    The record expires at the end of its severity's longest period, at the latest of the policy's retention, both
    counted from the slot in which the conduct was established: what was established long ago is never new.

    Raises :class:`Refused`: what :func:`check_authority` and :func:`check_filing` say; ``NOT_ENROLLED`` for the
    subject; ``SELF_RECORD``, ``AUTHORITY_SUSPENDED``, ``NOT_ACCREDITED``, ``STALE_POLICY``,
    ``NOT_YET_ESTABLISHED``, ``TOO_OLD``, ``COUNTER_LIMIT``.
    """
    issuer, authority = check_authority(draft, actor)
    subject, member = draft.member(action.subject)
    policy = draft.policy
    category = check_filing(policy, action)
    if issuer == subject:
        raise Refused(Reason.SELF_RECORD, "nobody records about itself")
    if authority.status == SUSPENDED:
        raise Refused(Reason.AUTHORITY_SUSPENDED, "too many of its records were overturned, or a motion suspended it")
    if category.code not in authority.categories:
        raise Refused(Reason.NOT_ACCREDITED, f"not accredited for {category.name}")
    if not authority.from_height <= draft.height < authority.until_height:
        raise Refused(
            Reason.NOT_ACCREDITED, f"accredited from height {authority.from_height} to {authority.until_height}"
        )
    if action.policy_version != policy.version:
        raise Refused(Reason.STALE_POLICY, f"policy {policy.version} is in force, not {action.policy_version}")
    if action.established_slot > draft.slot:
        raise Refused(Reason.NOT_YET_ESTABLISHED, f"established in slot {action.established_slot}, after this block's")
    expires_slot = action.established_slot + draft.slots(policy.retention_days)
    repair_slot = 0
    if action.severity:
        severity = policy.severities[action.severity - 1]
        expires_slot = min(expires_slot, action.established_slot + draft.slots(severity.expires_after_days))
        repair_slot = max(1, action.established_slot + draft.slots(severity.repair_after_days))
    if expires_slot <= draft.slot:
        raise Refused(Reason.TOO_OLD, f"a record of this conduct would have expired in slot {expires_slot}")
    number = member.filed
    if number > U32_MAX or authority.filed >= U32_MAX:
        raise Refused(Reason.COUNTER_LIMIT, "no more records can be counted")
    record = Record(
        issuer=issuer,
        category=category.code,
        points=action.points,
        severity=action.severity,
        evidence=action.evidence,
        reason=action.reason,
        established_slot=action.established_slot,
        height=draft.height,
        policy_version=policy.version,
        expires_slot=expires_slot,
        repair_slot=repair_slot,
        cap=-1 if category.tier_cap is None else category.tier_cap,
        status=STANDING,
        upheld=0,
        deadline_slot=0,
        grounds=b"",
        statement=b"",
        proof=b"",
    )
    draft.put(record_key(subject, number), record)
    draft.put(authority_key(issuer), _judged(policy, authority._replace(filed=authority.filed + 1)))
    draft.put(member_key(subject), _counted(draft, subject, member._replace(filed=number + 1), record, 1))
    draft.happenings.append(Happening("filed", subject, number, record))


def object_to(draft: Draft, action: Object, actor: bytes) -> None:
    """The member alone objects; the points are suspended at once and the issuer has to answer.

    Raises :class:`Refused`: ``UNKNOWN_RECORD``, ``DEADLINE_PASSED``, ``OTHERS_RECORD``, ``UNDER_OBJECTION``,
    ``ALREADY_UPHELD``.
    """
    subject, member, record = _about_oneself(draft, action.subject, action.number, actor)
    if not record.counts:
        raise Refused(Reason.UNDER_OBJECTION, "an objection to this record is open")
    if record.upheld:
        raise Refused(Reason.ALREADY_UPHELD, "an arbiter has upheld this record")
    deadline_slot = draft.slot + draft.slots(draft.policy.answer_days)
    objected = record._replace(status=OBJECTED, deadline_slot=deadline_slot, grounds=action.grounds, proof=b"")
    draft.put(record_key(subject, action.number), objected)
    draft.put(member_key(subject), _suspended(draft, subject, member, record))
    draft.happenings.append(Happening("objected", subject, action.number, record))


def answer(draft: Draft, action: Answer, actor: bytes) -> None:
    """The issuer corrects for the better, withdraws, or maintains.  The first two need no objection.

    Raises :class:`Refused`: ``UNKNOWN_RECORD``, ``DEADLINE_PASSED``, ``NOT_ISSUER`` and what
    :func:`check_authority` says; for ``MAINTAIN`` ``NOT_UNDER_OBJECTION``, ``ALREADY_MAINTAINED``,
    ``NO_REASON_GIVEN``; for ``CORRECT`` ``NOT_BETTER``.
    """
    subject, member = draft.member(action.subject)
    record, issuer, authority = _own_record(draft, subject, action.number, actor)
    if action.verdict == MAINTAIN and record.status != OBJECTED:
        already = Reason.ALREADY_MAINTAINED if record.status == MAINTAINED else Reason.NOT_UNDER_OBJECTION
        raise Refused(already, "there is no objection to answer")
    key = record_key(subject, action.number)
    if action.verdict == MAINTAIN:
        if not action.reason:
            raise Refused(Reason.NO_REASON_GIVEN, "whoever maintains a record gives the digest of a written reason")
        deadline_slot = draft.slot + draft.slots(draft.policy.ruling_days)
        draft.put(key, record._replace(status=MAINTAINED, deadline_slot=deadline_slot))
        draft.happenings.append(Happening("maintained", subject, action.number, record))
        return
    what = "withdrawn" if action.verdict == WITHDRAW else "corrected"
    if action.verdict == CORRECT:
        category = draft.policy.categories[record.category]
        if not record.points < action.points <= max(category.high, 0):
            raise Refused(Reason.NOT_BETTER, f"a correction raises the points, from {record.points}")
        corrected = record._replace(points=action.points)
        if not record.counts:  # what the objection was about is no more
            corrected = corrected._replace(status=STANDING, deadline_slot=0, grounds=b"")
        member = _counted(draft, subject, _lifted(draft, subject, member, record), corrected, 1)
        draft.put(key, corrected)
    else:
        member = _lifted(draft, subject, member, record)
        draft.put(key, None)
    draft.put(member_key(subject), member)
    if not record.counts:  # a mistake that the issuer finds by itself is not held against it
        _overturn(draft, issuer, authority)
    draft.happenings.append(Happening(what, subject, action.number, record))


def rule(draft: Draft, action: Rule, actor: bytes) -> None:
    """An arbiter, never the issuer, decides about a record that its issuer maintains.

    Raises :class:`Refused`: ``NOT_ARBITER``, ``UNKNOWN_RECORD``, ``DEADLINE_PASSED``, ``OWN_RECORD``,
    ``NOT_MAINTAINED`` and what :func:`check_authority` says.
    """
    arbiter, authority = check_authority(draft, actor)
    if not authority.rights & ARBITER:
        raise Refused(Reason.NOT_ARBITER, "only an arbiter rules")
    if authority.status != ACTIVE or not authority.from_height <= draft.height < authority.until_height:
        raise Refused(Reason.NOT_ARBITER, "the arbiter is suspended or out of its term")
    subject, member = draft.member(action.subject)
    record = _record(draft, subject, action.number)
    if arbiter in (record.issuer, subject):
        raise Refused(Reason.OWN_RECORD, "nobody rules on a record of its own, or about itself")
    if record.status != MAINTAINED:
        raise Refused(Reason.NOT_MAINTAINED, "an arbiter rules once the issuer has maintained a record")
    if action.verdict == STRIKE:
        _end(draft, subject, member, action.number, record, "struck", is_overturned=True)
        return
    upheld = record._replace(status=STANDING, upheld=1, deadline_slot=0)
    draft.put(record_key(subject, action.number), upheld)
    draft.put(member_key(subject), _counted(draft, subject, _lifted(draft, subject, member, record), upheld, 1))
    draft.happenings.append(Happening("upheld", subject, action.number, record))


def repair(draft: Draft, action: Repair, actor: bytes) -> None:
    """The member asks once the severity's shortest period is over; the issuer approves, or declines with a reason.

    Raises :class:`Refused`: ``UNKNOWN_RECORD``, ``DEADLINE_PASSED``; for who asks ``OTHERS_RECORD``,
    ``NOT_REPAIRABLE``, ``TOO_EARLY``, ``UNDER_OBJECTION``, ``REPAIR_ALREADY_ASKED``; for who decides ``NOT_ISSUER``,
    ``REPAIR_NOT_ASKED``.
    """
    if action.step == ASK:
        subject, _, record = _about_oneself(draft, action.subject, action.number, actor)
        _check_repairable(draft, record)
        deadline_slot = draft.slot + draft.slots(draft.policy.repair_answer_days)
        asked = record._replace(status=REPAIR_ASKED, deadline_slot=deadline_slot, proof=action.document)
        draft.put(record_key(subject, action.number), asked)
        return
    subject, member = draft.member(action.subject)
    record, _, _ = _own_record(draft, subject, action.number, actor)
    if record.status != REPAIR_ASKED:
        raise Refused(Reason.REPAIR_NOT_ASKED, "nobody asked for the repair of this record")
    if action.step == APPROVE:
        _end(draft, subject, member, action.number, record, "repaired")
        return
    severity = draft.policy_of(record.policy_version).severities[record.severity - 1]
    again_slot = draft.slot + draft.slots(severity.repair_after_days)
    declined = record._replace(status=STANDING, deadline_slot=0, repair_slot=again_slot, proof=b"")
    draft.put(record_key(subject, action.number), declined)
    draft.happenings.append(Happening("repair declined", subject, action.number, record))


def make_statement(draft: Draft, action: Statement, actor: bytes) -> None:
    """The member's own words stand beside the record as long as it does.

    Raises :class:`Refused`: ``UNKNOWN_RECORD``, ``DEADLINE_PASSED``, ``OTHERS_RECORD``.
    """
    subject, _, record = _about_oneself(draft, action.subject, action.number, actor)
    draft.put(record_key(subject, action.number), record._replace(statement=action.statement))


def fall_due(draft: Draft, key: bytes) -> None:
    """A deadline of this record has passed, and the chain itself acts.

    Raises :class:`InvariantBroken` for a record that is not due.
    """
    record = draft.get(key)
    if not isinstance(record, Record) or record.due_slot > draft.slot:
        raise InvariantBroken("a record that is not due")
    subject, number = read_record_key(key)
    member: Member = draft.get(member_key(subject))
    if record.due_slot == record.expires_slot:  # what came first counts, however late the block is
        _end(draft, subject, member, number, record, "expired")
    elif record.status == REPAIR_ASKED:
        _end(draft, subject, member, number, record, "repaired")
    else:  # silence, of the issuer or of the arbiters
        what = "lapsed" if record.status == OBJECTED else "unruled"
        _end(draft, subject, member, number, record, what, is_overturned=True)


def forget(draft: Draft, key: bytes) -> None:
    """The member has left: its record is gone, whatever was open about it, and that counts against nobody."""
    subject, number = read_record_key(key)
    _end(draft, subject, draft.get(member_key(subject)), number, draft.get(key), "forgotten")


def check_authority(draft: Draft, actor: bytes) -> tuple[bytes, Authority]:
    """An authority that is not revoked, with its identity.

    Raises :class:`Refused`: ``NOT_AUTHORITY``, ``AUTHORITY_REVOKED``.
    """
    identity = draft.identity(actor)
    authority = draft.authority(identity)
    if authority is None:
        raise Refused(Reason.NOT_AUTHORITY, "no motion has accredited this key")
    if authority.status == REVOKED:
        raise Refused(Reason.AUTHORITY_REVOKED, "a motion has revoked this authority")
    return identity, authority


def _record(draft: Draft, subject: bytes, number: int) -> Record:
    record = draft.get(record_key(subject, number))
    if not isinstance(record, Record):
        raise Refused(Reason.UNKNOWN_RECORD, f"no record {number} stands about {subject.hex()[:12]}…")
    if record.due_slot <= draft.slot:  # more fell due than one block works off
        raise Refused(Reason.DEADLINE_PASSED, f"its deadline was slot {record.due_slot}; the next blocks act on it")
    return record


def _own_record(draft: Draft, subject: bytes, number: int, actor: bytes) -> tuple[Record, bytes, Authority]:
    issuer, authority = check_authority(draft, actor)
    record = _record(draft, subject, number)
    if record.issuer != issuer:
        raise Refused(Reason.NOT_ISSUER, "only the record's issuer may do that")
    return record, issuer, authority


def _about_oneself(draft: Draft, key: bytes, number: int, actor: bytes) -> tuple[bytes, Member, Record]:
    subject, member = draft.member(key)
    if draft.identity(actor) != subject:
        raise Refused(Reason.OTHERS_RECORD, "only the member itself may do that")
    return subject, member, _record(draft, subject, number)


def _check_repairable(draft: Draft, record: Record) -> None:
    if not record.repair_slot:
        raise Refused(Reason.NOT_REPAIRABLE, "this record ends by itself; its category knows no repair")
    if not record.counts:
        raise Refused(Reason.UNDER_OBJECTION, "an objection to this record is open")
    if record.status == REPAIR_ASKED:
        raise Refused(Reason.REPAIR_ALREADY_ASKED, "the issuer has been asked")
    if draft.slot < record.repair_slot:
        raise Refused(Reason.TOO_EARLY, f"it can be repaired from slot {record.repair_slot}")


def _end(
    draft: Draft, subject: bytes, member: Member, number: int, record: Record, what: str, *, is_overturned: bool = False
) -> None:
    """The record is gone, and what it did to the score with it."""
    draft.put(record_key(subject, number), None)
    draft.put(member_key(subject), _lifted(draft, subject, member, record))
    if is_overturned:
        authority = draft.authority(record.issuer)
        if authority is None:
            raise InvariantBroken("a record without an issuer")
        _overturn(draft, record.issuer, authority)
    draft.happenings.append(Happening(what, subject, number, record))


def _overturn(draft: Draft, issuer: bytes, authority: Authority) -> None:
    """Count a record that did not hold."""
    draft.put(authority_key(issuer), _judged(draft.policy, authority._replace(overturned=authority.overturned + 1)))


def _judged(policy: Policy, authority: Authority) -> Authority:
    """An issuer that errs too often is suspended: it may not file until a motion restores it.

    Source: protocol 6.4.  Example: with 400 of 1,000 and a minimum of 4, an issuer of 5 records is suspended by the
    third that did not hold (3,000 > 2,000), and not by the second (2,000 = 2,000); one of 3 records by none.
    """
    filed = authority.filed - authority.forgiven_filed
    # One record can be corrected twice, or have been filed before a motion put the rest behind.
    overturned = min(filed, authority.overturned - authority.forgiven_overturned)
    errs_often = filed >= policy.overturned_minimum and overturned * 1000 > policy.overturned_permille * filed
    return authority._replace(status=SUSPENDED) if errs_often and authority.status == ACTIVE else authority


def _suspended(draft: Draft, subject: bytes, member: Member, record: Record) -> Member:
    """``member`` once a standing record of it no longer counts, but is still there."""
    member = _counted(draft, subject, member, record, -1)
    return member._replace(suspended=member.suspended + 1)


def _lifted(draft: Draft, subject: bytes, member: Member, record: Record) -> Member:
    """``member`` without this record, whether it counts or is suspended."""
    if record.counts:
        return _counted(draft, subject, member, record, -1)
    return member._replace(suspended=member.suspended - 1)


def _counted(draft: Draft, subject: bytes, member: Member, record: Record, sign: int) -> Member:
    """``member`` with (1) or without (-1) the points and the tier cap of a record that stands."""
    caps = member.caps
    if record.cap >= 0:
        counts = dict(caps)
        counts[record.cap] = counts.get(record.cap, 0) + sign
        caps = tuple(sorted((level, count) for level, count in counts.items() if count))
    return member._replace(
        record_points=member.record_points + _capped(draft, subject, record.category, sign * record.points),
        standing=member.standing + sign,
        caps=caps,
    )


def _capped(draft: Draft, subject: bytes, code: int, points: int) -> int:
    """By how much a member's points change when a category's sum changes by ``points``, under its caps.

    A category's caps never change (:func:`chain.policy.amendment_fault`), so the sums of all members stay right.
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
