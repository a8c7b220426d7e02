"""What authorities record about members, once, under the rules of its time.

::

    file ──► standing ──object──► objected ──maintain──► maintained ──hearing──► drawn ──uphold──► standing
                │  ▲                 │                       │                     │               │ appeal, once
                │  └────correct──────┼───────────────────────┴─────────────────────┤               ▼
                │                    └ withdraw, silence                           └ strike,    maintained ──► …
                ├──ask for repair──► repair asked ──approve, silence                 silence
                └──expires

What stands at the end of a line is gone, and is marked (:mod:`chain.register.markers`).  Whatever its status, the
points of a record halve as its category said when it was filed (:func:`chain.register.terms.faded`).
:mod:`chain.register.objections` has objections, answers, rulings and appeals, :mod:`chain.register.repairs` repairs.
Source: protocol 6.4.
"""

from __future__ import annotations

from chain.base.codec import U32_MAX
from chain.base.errors import Reason, Refused
from chain.content.actions import FileRecord, Reopen, Statement
from chain.content.policy import Category
from chain.register import effects, markers
from chain.register.arbiters import is_arbiter
from chain.register.authorities import check_accredited, check_authority
from chain.register.draft import Draft, Happening
from chain.register.entries import STANDING, Authority, Member, Record
from chain.register.statekeys import authority_key, record_key
from chain.register.terms import check_time, fading, lasting


def file(draft: Draft, action: FileRecord, actor: bytes) -> None:
    """An authority records conduct, in a category that it is accredited for.

    The record expires at the end of its severity's longest period, at the latest of the policy's retention, both
    counted from the slot in which the conduct was established, and as they were then or as they are, whichever is
    sooner: what was established long ago is never new.  That the policy allows it at all was checked before
    (:func:`chain.register.terms.check_filing`).

    Raises :class:`Refused`: what :func:`check_authority`, :func:`chain.register.terms.check_time` and
    :func:`chain.register.markers.check_new` say; ``NOT_ENROLLED`` for the subject; ``SELF_RECORD``,
    ``AUTHORITY_SUSPENDED``,
    ``NOT_ACCREDITED``, ``STALE_POLICY``, ``TOO_OLD``, ``TOO_SHORT``, ``COUNTER_LIMIT``.
    """
    issuer, authority = check_authority(draft, actor)
    subject, member = draft.member(action.subject)
    category = _check(draft, action, issuer, authority, subject, member)
    markers.check_new(draft, subject, action)
    _file(draft, action, issuer, authority, subject, member, category)


def reopen(draft: Draft, action: Reopen, actor: bytes) -> None:
    """Conduct whose record has ended is recorded again, for new evidence, with a reason and an arbiter's signature.

    Whoever the record is about can object to it again, and that arbiter does not rule then.

    Raises :class:`Refused`: what :func:`file` says but about ended conduct; ``NOTHING_ENDED``, ``NO_REASON_GIVEN``,
    ``NOT_ARBITER``, ``OWN_RECORD``.
    """
    issuer, authority = check_authority(draft, actor)
    subject, member = draft.member(action.subject)
    category = _check(draft, action, issuer, authority, subject, member)
    if not action.reason:
        raise Refused(Reason.NO_REASON_GIVEN, "whoever reopens what has ended gives the digest of a written reason")
    arbiter = draft.identity(action.arbiter)
    found = draft.authority(arbiter)
    if found is None or found.key != action.arbiter or not is_arbiter(found, draft.date_slot):
        raise Refused(Reason.NOT_ARBITER, "the co-signer is not an arbiter in office")
    if arbiter in (issuer, subject):
        raise Refused(Reason.OWN_RECORD, "nobody consents to a record of its own, or about itself")
    markers.check_reopening(draft, subject, action)
    _file(draft, action, issuer, authority, subject, member, category, arbiter)


def make_statement(draft: Draft, action: Statement, actor: bytes) -> None:
    """The member's own words stand beside the record as long as it does.

    Raises :class:`Refused`: ``UNKNOWN_RECORD``, ``DEADLINE_PASSED``, ``OTHERS_RECORD``.
    """
    subject, _, record = effects.about_oneself(draft, action.subject, action.number, actor)
    draft.put(record_key(subject, action.number), record._replace(statement=action.statement))


def _check(
    draft: Draft, action: FileRecord | Reopen, issuer: bytes, authority: Authority, subject: bytes, member: Member
) -> Category:
    policy = draft.policy
    category = policy.categories[action.category]
    if issuer == subject:
        raise Refused(Reason.SELF_RECORD, "nobody records about itself")
    check_accredited(draft, authority, category.code, category.name)
    if action.policy_version != policy.version:
        raise Refused(Reason.STALE_POLICY, f"policy {policy.version} is in force, not {action.policy_version}")
    check_time(draft, member, action, category)
    return category


def _file(
    draft: Draft,
    action: FileRecord | Reopen,
    issuer: bytes,
    authority: Authority,
    subject: bytes,
    member: Member,
    category: Category,
    arbiter: bytes = b"",
) -> None:
    policy = draft.policy
    # In registry time, as of now.
    established_slot = action.established_slot - draft.date(0)
    repair_days, end_days, kept_days = lasting(draft, action, category)
    until_slot, expires_slot = (established_slot + draft.slots(days) for days in (kept_days, end_days))
    repair_slot = max(1, established_slot + draft.slots(repair_days)) if action.severity else 0
    if expires_slot <= draft.slot:
        slot = draft.date(expires_slot)
        raise Refused(Reason.TOO_OLD, f"a record of this conduct would have expired in slot {slot}")
    if expires_slot < draft.slot + draft.slots(policy.answer_days):
        raise Refused(Reason.TOO_SHORT, "it would expire before its issuer had to answer an objection")
    number = member.filed
    if number > U32_MAX or authority.filed >= U32_MAX:
        raise Refused(Reason.COUNTER_LIMIT, "no more records can be counted")
    cap = -1 if category.tier_cap is None else category.tier_cap
    stands, is_reopened = int(category.stands_disputed), int(type(action) is Reopen)
    record = Record(
        issuer, category.code, action.points, action.severity, action.evidence, action.reason,
        action.established_slot, draft.height, policy.version, expires_slot, repair_slot, cap,
        STANDING, 0, 0, b"", b"", b"", stands, is_reopened, reopener=arbiter,
    )  # fmt: skip
    record = fading(draft, record, established_slot)
    draft.put(authority_key(issuer), authority.with_filing())
    markers.mark_filed(draft, subject, record, until_slot)
    effects.begin(draft, subject, number, record)
    draft.happenings.append(Happening("reopened" if record.is_reopened else "filed", subject, number, record))
