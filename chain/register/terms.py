"""Terms: what was promised when something began is kept, and no rule binds before its time.

Each period of a record is that of the policy that it was filed under, and each of a membership that of the policy which
the member consented to, or of the one in force where that is better for the member; whatever lies between, an amendment
takes nothing away.  Of a rating, which is between two members, it is as it was when that was given.
Source: protocol 6.11.
"""

from __future__ import annotations

from chain.base.errors import Reason, Refused
from chain.content.actions import FileRecord, Reopen
from chain.content.language import LONGER_IS_BETTER
from chain.content.policy import Category, Policy
from chain.register.draft import Draft
from chain.register.entries import Member, Rating, Record


def check_filing(policy: Policy, action: FileRecord | Reopen, _actor: bytes) -> None:
    """What follows from a policy alone.

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


def check_time(draft: Draft, member: Member, action: FileRecord | Reopen, category: Category) -> None:
    """The conduct was established by now, and what takes something from a member was a rule then, also for it.

    An adverse record must be one that the policy in force when the conduct was established took, with points as low
    and a tier cap as low, and the conduct not from before the enrolment; as far back as the policy in force says, and
    the one that the member consented to.  Raises :class:`Refused`: ``NOT_YET_ESTABLISHED``, ``BEFORE_ITS_TIME``.
    """
    slot = action.established_slot
    if slot > draft.date_slot:
        raise Refused(Reason.NOT_YET_ESTABLISHED, f"established in slot {slot}, after this block's")
    if not _is_adverse(action, category):
        return
    then = draft.policy_at(slot).categories.get(category.code)
    if then is None or then.is_closed or action.points < then.low:
        raise Refused(Reason.BEFORE_ITS_TIME, f"no rule gave {action.points} in {category.name} in slot {slot}")
    if category.tier_cap is not None and (then.tier_cap is None or then.tier_cap > category.tier_cap):
        raise Refused(Reason.BEFORE_ITS_TIME, f"{category.name} did not cap the tier so low in slot {slot}")
    earliest_slot = consented_from(draft, member)
    if slot < earliest_slot:
        raise Refused(Reason.BEFORE_ITS_TIME, f"the member consented to what is established from slot {earliest_slot}")


def lasting(draft: Draft, action: FileRecord | Reopen, category: Category) -> tuple[int, int, int]:
    """In days from the conduct on: when a record may be repaired, when it ends, how long it is kept that it was there.

    An adverse one is repaired no later and ends no later than the policy in force when the conduct was established had
    it; and what ended is remembered until neither policy would let it be filed again.
    """
    policies = [draft.policy]
    if _is_adverse(action, category):
        policies.append(draft.policy_at(action.established_slot))
    repairs, ends = zip(*(_span(policy, category.code, action.severity) for policy in policies), strict=True)
    return min(repairs), min(ends), max(policy.retention_days for policy in policies)


def _is_adverse(action: FileRecord | Reopen, category: Category) -> bool:
    return action.points < 0 or category.tier_cap is not None


def _span(policy: Policy, code: int, severity: int) -> tuple[int, int]:
    """From which day on such a record is repaired, and when it ends; of a severity that was none then the longest."""
    graded = policy.categories[code].severities
    chosen = [policy.severities[each - 1] for each in ((severity,) if severity in graded else graded)]
    longest = policy.retention_days
    repair = max((each.repair_after_days for each in chosen), default=longest)
    return repair, max((each.expires_after_days for each in chosen), default=longest)


def consented_from(draft: Draft, member: Member) -> int:
    """The slot of the calendar from which on a member consented to what is established."""
    lookback_days = min(draft.policy.lookback_days, draft.policy_of(member.policy_version).lookback_days)
    return member.enrolled_slot - (draft.slots(lookback_days) if lookback_days else 0)


def kept_slots(draft: Draft, promised: Record | Member, name: str) -> int:
    """A period of a record or a member in slots, of the policy that it came under or of the one in force."""
    then, now = draft.policy_of(promised.policy_version), draft.policy
    return draft.slots(_better(name, getattr(then, name), getattr(now, name)))


def identity_slots(draft: Draft, policy_version: int, name: str) -> int:
    """The same, of whose a key is: of the policy that its owner consented to or of the one in force."""
    then, now = draft.policy_of(policy_version).identity, draft.policy.identity
    return draft.slots(_better(name, getattr(then, name), getattr(now, name)))


def notice_slots(draft: Draft, policy_version: int) -> int:
    """How long who leaves can stay after all: shorter where that is better, but as long as guardians were promised.

    In one policy nobody is gone before they can undo that; between two, a shorter leave must not outrun a longer delay.
    """
    promised = draft.policy_of(policy_version).identity.recovery_days
    return max(identity_slots(draft, policy_version, "leave_days"), draft.slots(promised))


def registrar_recovers(draft: Draft, member: Member) -> bool:
    """Whether the registrar who enrolled a member may give it another key: only where both policies say so."""
    return bool(draft.policy_of(member.policy_version).identity.registrar and draft.policy.identity.registrar)


def reason_slots(draft: Draft, rating: Rating) -> int:
    """How long a rater has to give a reason, of the policy in force when it rated: neither of the two gets another."""
    return draft.slots(draft.policy_at_height(rating.height).raters.answer_days)


def dispute_slots(draft: Draft, record: Record, name: str, *, stands: bool) -> int:
    """A period of a dispute about a record (:func:`kept_slots`): shorter where the record counts meanwhile."""
    slots = kept_slots(draft, record, name)
    return min(slots, kept_slots(draft, record, "disputed_days")) if stands else slots


def repairable_again(draft: Draft, record: Record) -> int:
    """From which slot on repair may be asked for again, now that an arbiter declined it."""
    policies = draft.policy_of(record.policy_version), draft.policy
    return draft.slot + draft.slots(min(each.severities[record.severity - 1].repair_after_days for each in policies))


def fading(draft: Draft, record: Record, conduct_slot: int) -> Record:
    """A new record about conduct in a slot of registry time: from then on its points fade, where its category says so.

    It keeps the half-life that it began with, as it keeps its end: no amendment changes either.
    """
    half_life = _half_life(draft, record)
    return _halved(record, conduct_slot, half_life, draft.slot) if half_life else record


def faded(draft: Draft, record: Record) -> Record:
    """The record as it is by now: halved as often as its half-life has passed."""
    if not record.fades_slot:
        return record
    half_life = _half_life(draft, record)
    return _halved(record, record.fades_slot - half_life, half_life, draft.slot)


def _half_life(draft: Draft, record: Record) -> int:
    """In slots, 0 where it does not fade; what takes points fades no more slowly than when it was established."""
    filed = draft.policy_of(record.policy_version).categories[record.category]
    lives = {filed.half_life_days}
    if filed.low < 0:
        then = draft.policy_at(record.established_slot).categories.get(record.category)
        lives.add(then.half_life_days if then is not None else 0)
    days = min(filter(None, lives), default=0)
    return draft.slots(days) if days else 0


def _halved(record: Record, since_slot: int, half_life: int, slot: int) -> Record:
    """The record as it is in ``slot``, if it was halved last, or began, in ``since_slot``."""
    passed = max(0, (slot - since_slot) // half_life)
    return record._replace(fades_slot=since_slot + (passed + 1) * half_life, halvings=record.halvings + passed)


def stands_disputed(draft: Draft, record: Record) -> bool:
    """Whether the record counts while an objection to it is open: only where both policies say so."""
    return bool(record.stands) and draft.policy.categories[record.category].stands_disputed


def best_points(draft: Draft, record: Record) -> int:
    """The most points that a correction may give."""
    policies = draft.policy_of(record.policy_version), draft.policy
    return max(0, *(policy.categories[record.category].high for policy in policies))


def _better(name: str, then: int, now: int) -> int:
    return (max if name in LONGER_IS_BETTER else min)(then, now)
