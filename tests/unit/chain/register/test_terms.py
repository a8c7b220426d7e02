"""What was promised when a record was filed is kept; and no rule binds before its time."""

from __future__ import annotations

from typing import Any

import pytest

from chain.base.errors import Disposition, Reason
from chain.content.actions import (
    ASK,
    CORRECT,
    DECLINE,
    MAINTAIN,
    UPHOLD,
    WITHDRAW,
    Answer,
    Appeal,
    Enrol,
    Object,
    Repair,
    Rule,
)
from chain.register.entries import DRAWN, MAINTAINED
from tests.support.register import DIGEST, MUNICIPAL, Person, Register, altered, with_category

DEFAULT, TICKET, DRUNK = 1, 13, 14
# A century in which nobody answers, and rights that end as soon as they begin.
WORST: dict[str, Any] = {
    "periods": {"answer_days": 36_525, "ruling_days": 36_525, "repair_answer_days": 36_525},
    "rights": {"hearing_days": 1, "appeal_days": 1, "disputed_days": 36_525},
}
BEST: dict[str, Any] = {
    "periods": {"answer_days": 2, "ruling_days": 3, "repair_answer_days": 4},
    "rights": {"hearing_days": 50, "appeal_days": 60},
}
NOTICE = 60


def town(**changes: Any) -> tuple[Register, Person, Person, Person]:
    """A register, an office, an arbiter and a member."""
    register = Register(altered(MUNICIPAL, **changes) if changes else MUNICIPAL, one_document=False)
    return register, register.office(DEFAULT, TICKET, DRUNK), register.arbiter(), register.member()


def deadlines(register: Register, office: Person, judge: Person, ann: Person) -> list[int]:
    """How long each step about record 0 lasts, and about record 1, which is to be repaired."""
    seen: list[int] = []

    def note(number: int) -> None:
        record = register.standing_record(ann, number)
        seen.append((record.deadline_slot or record.appeal_slot) - register.draft.slot)

    register.do(ann, Object(ann.key, 0, DIGEST))
    note(0)
    register.do(office, Answer(ann.key, 0, MAINTAIN, 0, DIGEST))
    note(0)
    register.block(seen[-1])
    note(0)
    register.do(judge, Rule(ann.key, 0, UPHOLD, DIGEST))
    note(0)
    register.do(ann, Repair(ann.key, 1, ASK, DIGEST))
    note(1)
    return seen


def test_an_amendment_worsens_no_period_of_what_is_recorded() -> None:
    register, office, judge, ann = town()
    for category in (DEFAULT, TICKET):
        register.file(office, ann, category, -20 if category == DEFAULT else -5, severity=1)
    register.amend(NOTICE, **WORST)
    register.block(NOTICE)
    assert register.draft.policy.answer_days == 36_525
    assert deadlines(register, office, judge, ann) == [20, 5, 20, 20, 14]


def test_a_later_policy_counts_where_it_is_better_for_the_member() -> None:
    register, office, judge, ann = town()
    for category in (DEFAULT, TICKET):
        register.file(office, ann, category, -20 if category == DEFAULT else -5, severity=1)
    register.amend(30, **BEST)
    register.block(30)
    assert deadlines(register, office, judge, ann) == [2, 50, 3, 60, 4]


def test_a_declined_repair_waits_no_longer_than_it_was_promised() -> None:
    register, office, judge, ann = town()
    register.file(office, ann, DEFAULT, -20, severity=2)
    severities = [
        {**row, "repair_after_days": row["expires_after_days"]} for row in MUNICIPAL.to_document()["severity"]
    ]
    register.amend(NOTICE, severity=severities)
    register.block(90)
    register.do(ann, Repair(ann.key, 0, ASK, DIGEST))
    register.do(office, Repair(ann.key, 0, DECLINE, DIGEST))
    register.do(ann, Repair(ann.key, 0, ASK, DIGEST))
    register.block(5)
    register.do(judge, Rule(ann.key, 0, UPHOLD, DIGEST))
    assert register.standing_record(ann, 0).repair_slot == register.draft.slot + 90


def test_a_correction_may_give_what_the_policy_of_the_record_gave() -> None:
    register, office, _, ann = town(category=with_category(MUNICIPAL, TICKET, min=-50, max=9))
    register.file(office, ann, TICKET, -50)
    register.amend(NOTICE, category=with_category(register.draft.policy, TICKET, max=-5))
    register.block(NOTICE)
    register.do(office, Answer(ann.key, 0, CORRECT, 9, b""))
    assert register.standing_record(ann, 0).points == 9


# ------------------------------------------------------------------------------------------------ interim effect


STANDS = with_category(MUNICIPAL, DRUNK, interim="stands")


def test_a_category_may_say_that_a_record_stands_while_it_is_disputed_with_shorter_deadlines() -> None:
    register, office, judge, ann = town(category=STANDS)
    register.file(office, ann, DRUNK, 0, severity=2)
    register.do(ann, Object(ann.key, 0, DIGEST))
    record = register.standing_record(ann, 0)
    assert (record.is_disputed, record.counts, record.deadline_slot) == (True, True, 1 + 10)
    assert (register.standing(ann).tier, register.entry(ann).standing, register.entry(ann).suspended) == ("C", 1, 0)
    register.do(office, Answer(ann.key, 0, MAINTAIN, 0, DIGEST))
    assert (register.standing_record(ann, 0).status, register.standing_record(ann, 0).deadline_slot) == (MAINTAINED, 6)
    register.block(5)
    assert (register.standing_record(ann, 0).status, register.standing_record(ann, 0).deadline_slot) == (DRAWN, 16)
    register.do(judge, Rule(ann.key, 0, UPHOLD, DIGEST))
    register.do(ann, Appeal(ann.key, 0, DIGEST))
    assert register.standing(ann).tier == "C"
    register.block(5)
    register.block(10)
    assert (register.happened, register.standing(ann).tier) == (["unruled"], "A")


@pytest.mark.parametrize("at_first", ["suspended", "stands"])
def test_a_record_stands_disputed_only_where_both_policies_say_so(at_first: str) -> None:
    register, office, _, ann = town(category=with_category(MUNICIPAL, DRUNK, interim=at_first))
    register.file(office, ann, DRUNK, 0, severity=2)
    other = "stands" if at_first == "suspended" else "suspended"
    register.amend(NOTICE, category=with_category(register.draft.policy, DRUNK, interim=other))
    register.block(NOTICE)
    register.do(ann, Object(ann.key, 0, DIGEST))
    assert not register.standing_record(ann, 0).counts
    assert register.standing(ann).tier == "A"


def test_what_was_corrected_under_an_objection_does_not_stand_under_the_next() -> None:
    """Else its issuer corrects a point in each answer, and no arbiter sees a cap that holds all the while."""
    register, office, _, ann = town(category=with_category(MUNICIPAL, DRUNK, min=-50, max=-5, interim="stands"))
    register.file(office, ann, DRUNK, -50, severity=2)
    register.do(ann, Object(ann.key, 0, DIGEST))
    assert register.standing(ann).tier == "C"
    register.block(9)
    register.do(office, Answer(ann.key, 0, CORRECT, -49, b""))
    assert (register.score(ann), register.standing(ann).tier) == (951, "C")
    register.do(ann, Object(ann.key, 0, DIGEST))
    assert (register.score(ann), register.standing(ann).tier) == (1000, "A")
    assert register.standing_record(ann, 0).deadline_slot == register.draft.slot + 20


# ------------------------------------------------------------------------------------------- no rule before its time


def test_what_was_no_rule_when_it_was_established_is_not_recorded() -> None:
    register, office, _, ann = town()
    new = {"code": 16, "name": "jaywalking", "min": -9, "max": 9, "severities": ["general"]}
    harsher = [*with_category(MUNICIPAL, TICKET, min=-50), new]
    register.amend(NOTICE, category=sorted(harsher, key=lambda row: row["code"]))
    register.block(NOTICE)
    office = register.office(TICKET, 16)
    before, now = register.draft.date_slot - 1, register.draft.date_slot
    assert register.refusal(office, register.filing(ann, 16, -1, established_slot=before)) is Reason.BEFORE_ITS_TIME
    assert register.refusal(office, register.filing(ann, TICKET, -6, established_slot=before)) is Reason.BEFORE_ITS_TIME
    register.file(office, ann, TICKET, -5, established_slot=before)
    register.file(office, ann, TICKET, -6, established_slot=now)
    register.file(office, ann, 16, -1, established_slot=now)
    # what does a member good may be recorded late
    register.file(office, ann, 16, 9, established_slot=before)


@pytest.mark.parametrize(("before", "after"), [(None, "A"), ("A", "B")])
def test_a_tier_cap_is_no_rule_before_its_time(before: str | None, after: str) -> None:
    rows = with_category(MUNICIPAL, DRUNK)
    for row in rows:
        if row["code"] == DRUNK:
            row.pop("tier_cap")
            row.update({} if before is None else {"tier_cap": before})
    register, office, _, ann = town(category=rows)
    register.amend(NOTICE, category=with_category(register.draft.policy, DRUNK, tier_cap=after))
    register.block(NOTICE)
    late = register.filing(ann, DRUNK, 0, severity=2, established_slot=NOTICE)
    assert register.refusal(office, late) is Reason.BEFORE_ITS_TIME
    register.do(office, late._replace(established_slot=1 + NOTICE))


def test_nothing_lasts_longer_than_the_rules_had_it_when_it_was_established() -> None:
    """A majority prolongs everything, and lets tickets be serious: for what is established from then on."""
    register, office, _, ann = town()
    rows = MUNICIPAL.to_document()["severity"]
    longer = [{**row, "repair_after_days": 900, "expires_after_days": 36_525} for row in rows]
    graded = with_category(MUNICIPAL, TICKET, severities=["minor", "serious"])
    register.amend(NOTICE, periods={"retention_days": 36_525}, severity=longer, category=graded)
    register.block(NOTICE)
    before, now = NOTICE, register.draft.date_slot
    for severity in (1, 3):
        for established_slot in (before, now):
            register.file(office, ann, TICKET, -5, severity=severity, established_slot=established_slot)
    spans = [
        (record.repair_slot, record.expires_slot) for record in (register.standing_record(ann, at) for at in range(4))
    ]
    assert spans == 2 * [(before + 1, before + 90), (now + 900, now + 36_525)]
    register.block(80)
    late = register.filing(ann, TICKET, -5, established_slot=before - 1)
    assert register.refusal(office, late) is Reason.TOO_SHORT
    register.block(10)
    assert register.refusal(office, late) is Reason.TOO_OLD


def test_what_ended_stays_ended_though_an_amendment_prolongs_everything() -> None:
    """Its marker stood for five years, and a century was left to file it again."""
    register, office, _, ann = town()
    register.file(office, ann, DEFAULT, -20)
    filed = register.standing_record(ann, 0)
    register.do(ann, Object(ann.key, 0, DIGEST))
    register.block(20)
    assert register.happened == ["lapsed"]
    rows = [{**row, "expires_after_days": 36_525} for row in MUNICIPAL.to_document()["severity"]]
    register.amend(NOTICE, periods={"retention_days": 36_525}, severity=rows)
    register.block(NOTICE)
    again = register.filing(ann, DEFAULT, -20, evidence=filed.evidence, established_slot=1)
    assert register.refusal(office, again) is Reason.ENDED
    register.block(1_826)
    assert register.refusal(office, again) is Reason.TOO_OLD


@pytest.mark.parametrize("days", [100, 1_000])
def test_what_ended_is_remembered_as_long_as_either_policy_would_take_it(days: int) -> None:
    """A shorter retention ends before the conduct could not be filed any more, if a longer one follows."""
    register, office, _, ann = town()
    rows = MUNICIPAL.to_document()["severity"]
    short = [{**row, "repair_after_days": 0, "expires_after_days": min(90, row["expires_after_days"])} for row in rows]
    register.amend(30, periods={"retention_days": days}, severity=short)
    register.block(30)
    register.file(office, ann, DEFAULT, -20, severity=3, established_slot=1)
    filed = register.standing_record(ann, 0)
    register.do(office, Answer(ann.key, 0, WITHDRAW, 0, b""))
    register.amend(NOTICE, periods={"retention_days": 1_826}, severity=rows)
    register.block(days)
    again = register.filing(ann, DEFAULT, -20, severity=3, evidence=filed.evidence, established_slot=1)
    assert register.refusal(office, again) is Reason.ENDED


def test_what_was_done_while_a_category_was_closed_is_not_recorded() -> None:
    register, office, _, ann = town()
    before = register.draft.date_slot
    for is_closed in (True, False):
        register.amend(NOTICE, category=with_category(register.draft.policy, TICKET, closed=is_closed))
        register.block(NOTICE)
    closed = register.filing(ann, TICKET, -5, established_slot=1 + NOTICE)
    assert register.refusal(office, closed) is Reason.BEFORE_ITS_TIME
    register.block()
    register.file(office, ann, TICKET, -5)
    assert register.refusal(office, register.filing(ann, TICKET, -5, established_slot=before)) is Reason.TOO_OLD


def test_what_was_before_the_enrolment_is_recorded_only_as_far_as_the_member_consented() -> None:
    register, office, _, _ = town(rights={"lookback_days": 3})
    register.block(100)
    ann = register.member()
    adverse = register.filing(ann, DEFAULT, -20)
    assert register.refusal(office, adverse._replace(established_slot=101 - 4)) is Reason.BEFORE_ITS_TIME
    register.do(office, adverse._replace(established_slot=101 - 3))
    # an amendment that looks further back binds those who consent to it, and one that looks less far everybody
    register.amend(NOTICE, rights={"lookback_days": 50})
    register.block(NOTICE)
    bob = register.member()
    assert (register.entry(ann).policy_version, register.entry(bob).policy_version) == (1, 2)
    early = {"severity": 3, "established_slot": 101 - 4}
    assert register.refusal(office, register.filing(ann, DEFAULT, -20, **early)) is Reason.BEFORE_ITS_TIME
    register.do(office, register.filing(bob, DEFAULT, -20, severity=3, established_slot=161 - 50))
    register.amend(30, rights={"lookback_days": 1})
    register.block(30)
    late = register.filing(bob, DEFAULT, -20, severity=3, established_slot=161 - 2)
    assert register.refusal(office, late) is Reason.BEFORE_ITS_TIME


def test_an_enrolment_consents_to_the_policy_in_force() -> None:
    register = Register(altered(MUNICIPAL, enrolment="open"))
    ann = register.person()
    for version in (0, 2):
        assert register.refusal(ann, Enrol(policy_version=version)) is Reason.STALE_POLICY
    register.do(ann, Enrol(policy_version=1))
    assert (register.entry(ann).policy_version, register.entry(ann).enrolled_slot) == (1, 1)


def test_an_enrolment_under_the_announced_policy_waits_for_it() -> None:
    register = Register(altered(MUNICIPAL, enrolment="open"))
    ann, early = register.person(), Enrol(policy_version=2)
    register.amend(30, score={"base": 1_001})
    assert register.refusal(ann, early) is Reason.EARLY_POLICY
    assert Reason.EARLY_POLICY.disposition is Disposition.LATER
    register.block(30)
    register.do(ann, early)
    assert register.refusal(register.person(), Enrol(policy_version=1)) is Reason.STALE_POLICY


def test_the_policy_of_a_date_is_found_among_many() -> None:
    register = Register()
    begins = [0]
    for _ in range(6):
        register.amend(30, score={"base": register.draft.policy.base + 1})
        register.block(30)
        begins.append(register.draft.date_slot)
    for version, slot in enumerate(begins, 1):
        assert register.draft.policy_at(slot).version == version
        assert register.draft.policy_at(slot - 1).version == max(1, version - 1)
    assert register.draft.policy_at(-(2**48)).version == 1
