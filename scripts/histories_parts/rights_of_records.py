"""Rights over what is recorded: what was promised is kept, and what ended stays ended."""

from __future__ import annotations

from chain.content.actions import Attest, FileRecord, Object, Reopen
from chain.content.policy import Policy
from chain.register.entries import (
    ACTIVE,
    DRAWN,
    MAINTAINED,
    OBJECTED,
    REPAIR_ASKED,
    REPAIR_DRAWN,
    STANDING,
    Held,
    Record,
)
from chain.register.statekeys import ATTRIBUTES, AUTHORITIES, MEMBERS, RULES_KEY
from scripts.histories_parts.losses import is_contested, takes_something
from scripts.histories_parts.right import right
from scripts.histories_parts.standings import standing
from scripts.histories_parts.steps import Past, Step
from scripts.recount.notice import worsens

# How long a step may last at most, as the policy that a record was filed under says.
_STEPS = {
    OBJECTED: "answer_days",
    DRAWN: "ruling_days",
    REPAIR_ASKED: "repair_answer_days",
    REPAIR_DRAWN: "ruling_days",
}


def _policy(step: Step, record: Record) -> Policy:
    return step.view.policy_of(record.policy_version)


def _filed(step: Step) -> list[tuple[bytes, Record]]:
    return [(name[0], after) for name, before, after in step.records() if before is None and after is not None]


# ------------------------------------------------------------------------------------------------- what was promised


@right("a record never gets worse for whom it is about")
def _gets_worse(_past: Past, step: Step) -> bool:
    return any(
        after.points < before.points
        or after.worth < min(0, before.worth)
        or after.cap != before.cap
        or after.expires_slot > before.expires_slot
        for _, before, after in step.records()
        if before is not None and after is not None
    )


@right("a step takes no longer than was promised when the record was filed")
def _takes_longer(_past: Past, step: Step) -> bool:
    for _, before, after in step.records():
        if after is not None and after.status in _STEPS and (before is None or before.status != after.status):
            policy = _policy(step, after)
            if after.deadline_slot - step.slot > step.slots(getattr(policy, _STEPS[after.status]), policy):
                return True
    return False


@right(
    "a record fades from the conduct on, as its category said when it was filed, or at the conduct if that is sooner"
)
def _fades_otherwise(past: Past, step: Step) -> bool:
    records = step.records()
    return any(after is not None and not _fades_as_promised(past, step, before, after) for _, before, after in records)


def _fades_as_promised(past: Past, step: Step, before: Record | None, after: Record) -> bool:
    policy = _policy(step, after)
    filed = policy.categories[after.category]
    then = step.view.policy_of(past.version_at(after.established_slot)).categories.get(after.category)
    lives = (filed.half_life_days, then.half_life_days if then is not None and filed.low < 0 else 0)
    days = min(filter(None, lives), default=0)
    if not days:
        return (after.halvings, after.fades_slot) == (0, 0)
    half_life = step.slots(days, policy)
    if before is None:  # new: as if nothing had been halved before
        before = after._replace(halvings=0, fades_slot=after.established_slot - step.view.date(0) + half_life)
    more = after.halvings - before.halvings
    is_in_time = not more or before.fades_slot <= step.slot < after.fades_slot
    return is_in_time and after.fades_slot == before.fades_slot + more * half_life


@right("nothing is taken from a member by what was no rule then")
def _no_rule_then(past: Past, step: Step) -> bool:
    for _, record in _filed(step):
        then = step.view.policy_of(past.version_at(record.established_slot))
        category = then.categories.get(record.category)
        if takes_something(record) and (category is None or record.points < category.low):
            return True
    return False


@right("nothing is taken from a member for what was before its consent")
def _before_consent(_past: Past, step: Step) -> bool:
    for subject, record in _filed(step):
        member = step.view.get(MEMBERS + subject)
        consented = step.view.policy_of(member.policy_version)
        since = member.enrolled_slot - step.slots(consented.lookback_days, consented)
        if takes_something(record) and record.established_slot < since:
            return True
    return False


@right("a policy that comes into force puts nobody worse than a moment before")
def _worsens(_past: Past, step: Step) -> bool:
    before, after = step.touched.get(RULES_KEY), step.view.get(RULES_KEY)
    if step.action is not None or before is None or before.version == after.version:
        return False
    old, new = step.view.policy_of(before.version), step.view.policy
    members = [member for _, member in step.entries(MEMBERS)]
    return any(_is_worse(standing(old, member), standing(new, member)) for member in members)


def _is_worse(before: tuple[int, int, str], after: tuple[int, int, str]) -> bool:
    return after[0] < before[0] or after[1] < before[1]


@right("an amendment gives its notice, and the longer one where it worsens anything")
def _without_notice(_past: Past, step: Step) -> bool:
    before, after = step.touched.get(RULES_KEY), step.view.get(RULES_KEY)
    if before is None or before.next_version or not after.next_version:
        return False
    old, new = step.view.policy, step.view.policy_of(after.next_version)
    is_worse = worsens(old.to_document(), new.to_document())
    days = max(old.notice_days, old.worse_notice_days) if is_worse else old.notice_days
    return bool(after.next_slot < step.slot + step.slots(days))


@right("registry time stands still in an outage")
def _runs_on(past: Past, step: Step) -> bool:
    return step.slot - past.slot > step.view.genesis.idle_slots


# ------------------------------------------------------------------------------------------------ what ended


@right("a record that ends before its issuer has to answer is not filed")
def _too_short(_past: Past, step: Step) -> bool:
    policy = step.view.policy
    return any(record.expires_slot < step.slot + step.slots(policy.answer_days) for _, record in _filed(step))


@right("the evidence of a record that ended is not recorded again")
def _evidence_again(past: Past, step: Step) -> bool:
    # At least until it would have ended by itself that is kept.
    return any(
        other == subject and gone.evidence == record.evidence and gone.expires_slot > step.slot
        for subject, record in _filed(step)
        for (other, _), gone in past.ended.items()
    )


@right("conduct of a record that ended is not recorded again but by reopening, with an arbiter's word and a reason")
def _conduct_again(past: Past, step: Step) -> bool:
    day = step.slots(1)
    for subject, record in _filed(step):
        same = any(
            other == subject
            and gone.category == record.category
            and gone.established_slot // day == record.established_slot // day
            and gone.expires_slot > step.slot
            for (other, _), gone in past.ended.items()
        )
        if same and not _is_reopened(step, subject, record):
            return True
    return False


def _is_reopened(step: Step, subject: bytes, record: Record) -> bool:
    action = step.action
    if not isinstance(action, Reopen) or not action.reason:
        return False
    return step.view.identity(action.arbiter) not in (subject, record.issuer)


@right("only an office in force files, in its categories")
def _files_without_office(_past: Past, step: Step) -> bool:
    if not isinstance(step.action, FileRecord | Reopen):
        return False
    before = step.touched.get(AUTHORITIES + step.view.identity(step.actor))
    return (
        before is None
        or before.status != ACTIVE
        or step.action.category not in before.categories
        or not before.from_slot <= step.view.date_slot < before.until_slot
    )


# ------------------------------------------------------------------------------------------------ silence


@right("what a member objects to does not count until it is decided, unless its category said so when it was filed")
def _counts_on(_past: Past, step: Step) -> bool:
    if not isinstance(step.action, Object):
        return False
    for (subject, _), _before, after in step.records():
        if after is not None and not _policy(step, after).categories[after.category].stands_disputed:
            before, now = step.touched.get(MEMBERS + subject), step.view.get(MEMBERS + subject)
            return before is None or now.standing != before.standing - 1
    return False


@right("silence never keeps a record that is contested, or whose repair was asked for")
def _silence_keeps(_past: Past, step: Step) -> bool:
    waiting = (OBJECTED, MAINTAINED, DRAWN, REPAIR_ASKED, REPAIR_DRAWN)
    return step.action is None and any(
        before.status in waiting and after.status == STANDING
        for _, before, after in step.records()
        if before is not None and after is not None
    )


@right("an issuer declines a repair once")
def _declines_again(_past: Past, step: Step) -> bool:
    return any(
        before.is_declined and after.status == REPAIR_ASKED != before.status
        for _, before, after in step.records()
        if before is not None and after is not None
    )


# ---------------------------------------------------------------------------------------------------- judgement


@right("a record is upheld only after both sides were heard for as long as was promised")
def _unheard(past: Past, step: Step) -> bool:
    for name, before, after in step.records():
        if before is None or after is None:
            continue
        policy, heard_slots = _policy(step, after), step.slot - past.heard.get(name, step.slot)
        if after.status == MAINTAINED != before.status:
            heard_slots = after.deadline_slot - step.slot
        elif after.upheld <= before.upheld:  # a correction gives the member another objection
            continue
        if heard_slots < step.slots(policy.hearing_days, policy):
            return True
    return False


@right("nobody rules on a record of its own, about itself, or that its own word reopened")
def _rules_on_its_own(past: Past, step: Step) -> bool:
    return any(
        before is not None
        and is_contested(before)
        and step.view.identity(step.actor) in (before.issuer, subject, past.reopened.get((subject, number), b""))
        and (after is None or after.upheld > before.upheld or after.votes != before.votes)
        and type(step.action).__name__ == "Rule"
        for (subject, number), before, after in step.records()
    )


@right("an appeal is decided by two who did not rule before, or by a motion")
def _one_decides_an_appeal(_past: Past, step: Step) -> bool:
    if type(step.action).__name__ != "Rule":
        return False
    for _, before, after in step.records():
        if before is None or not is_contested(before) or not before.upheld:
            continue
        voters = {who for who, _ in before.votes} | {step.view.identity(step.actor)}
        is_decided = after is None or after.status == STANDING
        if before.arbiter in voters or (is_decided and len(voters) < 2):
            return True
    return False


@right("what is attested of a member is one office's word, until its date, and the policy's at the latest")
def _is_attested_otherwise(_past: Past, step: Step) -> bool:
    for who, before, after in step.of(ATTRIBUTES):
        old, new = ({each.attribute: each for each in entry.held} if entry else {} for entry in (before, after))
        if any(not _may_attest(step, who, old.get(code), each) for code, each in new.items() if each != old.get(code)):
            return True
        if any(not _may_end(step, who, each) for code, each in old.items() if code not in new):
            return True
    return False


def _may_attest(step: Step, who: bytes, old: Held | None, new: Held) -> bool:
    issuer, view = step.view.identity(step.actor), step.view
    lasts = step.slots(view.policy.attributes[new.attribute].valid_days)
    is_its_own = new.issuer == issuer != who and (old is None or old.issuer == issuer or old.expires_slot <= step.slot)
    return isinstance(step.action, Attest) and is_its_own and step.slot < new.expires_slot <= step.slot + lasts


def _may_end(step: Step, who: bytes, old: Held) -> bool:
    is_taken_back = isinstance(step.action, Attest) and step.view.identity(step.actor) in (who, old.issuer)
    return is_taken_back or old.expires_slot <= step.slot or step.view.get(MEMBERS + who) is None
