"""The rules of records: who may file what, and what the member, the issuer, an arbiter and silence make of it."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from chain.base.errors import InvariantBroken, Reason
from chain.content.actions import (
    APPROVE,
    ASK,
    CORRECT,
    DECLINE,
    MAINTAIN,
    STRIKE,
    UPHOLD,
    WITHDRAW,
    Action,
    Answer,
    Object,
    Repair,
    Rule,
    Statement,
)
from chain.content.proposals import REGISTRAR, Restore, Revoke, Suspend
from chain.register import registry
from chain.register.authorities import rate
from chain.register.deadlines import fall_due
from chain.register.entries import (
    ACTIVE,
    DRAWN,
    MAINTAINED,
    OBJECTED,
    REPAIR_ASKED,
    REPAIR_DRAWN,
    STANDING,
    SUSPENDED,
    CategorySum,
)
from chain.register.statekeys import authority_key, member_key, record_key, sum_key
from tests.support.register import DIGEST, MUNICIPAL, Person, Register, altered, with_category

# Of the municipal policy
DEFAULT, TICKET, DRUNK, OTHER, HERO, HUNDRED_HOURS = 1, 13, 14, 15, 101, 111
MINOR, GENERAL, SERIOUS = 1, 2, 3
ANSWER_DAYS, HEARING_DAYS, RULING_DAYS, REPAIR_DAYS = 20, 5, 20, 14
# Conduct from before the enrolment counts here, so that time needs not pass.
TOWN_POLICY = altered(MUNICIPAL, rights={"lookback_days": 1_826})
ALL = (DEFAULT, TICKET, DRUNK, OTHER, HERO, HUNDRED_HOURS)


class Town(NamedTuple):
    """A register with an office for every category, an arbiter and a member."""

    register: Register
    office: Person
    judge: Person
    ann: Person


def found_town(**authorities: int) -> Town:
    register = Register(altered(TOWN_POLICY, authorities=authorities), one_document=False)
    return Town(register, register.office(*ALL), register.arbiter(), register.member())


@pytest.fixture
def town() -> Town:
    return found_town()


def objected(town: Town, category: int = DEFAULT, points: int = -20) -> int:
    """A record to which Ann has objected."""
    number = town.register.file(town.office, town.ann, category, points)
    town.register.do(town.ann, Object(town.ann.key, number, DIGEST))
    return number


def maintained(town: Town) -> int:
    """A record that the office maintains against Ann's objection, both sides have been heard."""
    number = town.register.file(town.office, town.ann, DEFAULT, -20)
    town.register.object(town.ann, number, town.office)
    return number


def answer(town: Town, verdict: int, points: int = 0, *, number: int = 0, reason: bytes = DIGEST) -> Answer:
    return Answer(town.ann.key, number, verdict, points, reason)


def ruling(town: Town, verdict: int, number: int = 0) -> Rule:
    return Rule(town.ann.key, number, verdict, DIGEST)


def repair(town: Town, step: int, number: int = 0) -> Repair:
    return Repair(town.ann.key, number, step, DIGEST)


# -------------------------------------------------------------------------------------------------------- filing


def test_a_record_counts_from_its_block_on(town: Town) -> None:
    register, office, _, ann = town
    number = register.file(office, ann, DEFAULT, -20)
    assert (number, register.score(ann)) == (0, 980)
    assert (register.entry(ann).filed, register.entry(ann).standing, register.authority(office).filed) == (1, 1, 1)
    record = register.standing_record(ann, number)
    assert (record.issuer, record.points, record.status, record.height) == (office.identity, -20, STANDING, 1)
    # a minor breach: it expires after 90 days, and can be repaired at once
    assert (record.expires_slot, record.repair_slot, record.deadline_slot) == (91, 2, 0)
    assert register.happened == ["filed"]


@pytest.mark.parametrize(
    ("severity", "expires_slot", "repair_slot"), [(MINOR, 91, 2), (GENERAL, 366, 91), (SERIOUS, 1096, 366)]
)
def test_periods_begin_when_the_conduct_was_established(
    town: Town, severity: int, expires_slot: int, repair_slot: int
) -> None:
    register, office, _, ann = town
    for age in (0, 50):
        number = register.file(office, ann, DEFAULT, -20, severity=severity, established_slot=1 - age)
        record = register.standing_record(ann, number)
        assert (record.expires_slot, record.repair_slot) == (expires_slot - age, max(1, repair_slot - age))


def test_without_a_severity_a_record_stands_until_the_retention_ends(town: Town) -> None:
    register, office, _, ann = town
    record = register.standing_record(ann, register.file(office, ann, HERO, 30, established_slot=-100))
    assert (record.expires_slot, record.repair_slot) == (1_826 - 100, 0)


FILING_REFUSALS: dict[str, tuple[Reason, dict[str, Any]]] = {
    "a category that is not in the policy": (Reason.UNKNOWN_CATEGORY, {"category": 99}),
    "a point too few": (Reason.POINTS_OUT_OF_RANGE, {"points": -21}),
    "a point too many": (Reason.POINTS_OUT_OF_RANGE, {"points": -19}),
    "a severity where there is none": (Reason.WRONG_SEVERITY, {"category": HERO, "points": 30, "severity": 1}),
    "no severity where there is one": (Reason.WRONG_SEVERITY, {"severity": 0}),
    "a severity that the policy does not know": (Reason.WRONG_SEVERITY, {"severity": 255}),
    "a severity of other categories": (Reason.WRONG_SEVERITY, {"category": TICKET, "points": -5, "severity": 2}),
    "no written reason": (Reason.NO_REASON_GIVEN, {"category": OTHER, "points": -5}),
    "the next policy": (Reason.STALE_POLICY, {"policy_version": 2}),
    "no policy": (Reason.STALE_POLICY, {"policy_version": 0}),
    "the future": (Reason.NOT_YET_ESTABLISHED, {"established_slot": 2}),
    "conduct that has expired": (Reason.TOO_OLD, {"established_slot": 1 - 90}),
    "conduct before the beginning of time": (Reason.BEFORE_ITS_TIME, {"established_slot": -(2**48)}),
    "a stranger": (Reason.NOT_ENROLLED, {"subject": bytes(32)}),
}


@pytest.mark.parametrize(("reason", "fields"), FILING_REFUSALS.values(), ids=FILING_REFUSALS)
def test_filing_refused(town: Town, reason: Reason, fields: dict[str, Any]) -> None:
    register, office, _, ann = town
    assert register.refusal(office, register.filing(ann, DEFAULT, -20)._replace(**fields)) is reason


def test_a_record_that_lasts_as_long_as_an_answer_can_just_be_filed(town: Town) -> None:
    register, office, _, ann = town
    short = register.filing(ann, DEFAULT, -20, established_slot=1 - 71)
    assert register.refusal(office, short) is Reason.TOO_SHORT
    register.file(office, ann, DEFAULT, -20, established_slot=1 - 70)
    register.block(ANSWER_DAYS - 1)
    assert register.happened == []
    register.block()
    assert (register.happened, register.score(ann)) == (["expired"], 1000)


def test_only_an_authority_files_and_only_in_its_categories_and_term(town: Town) -> None:
    register, _, judge, ann = town
    filing = register.filing(ann, TICKET, -5)
    assert register.refusal(ann, filing) is Reason.NOT_AUTHORITY
    assert register.refusal(judge, filing) is Reason.NOT_ACCREDITED
    early, late, now = register.office(TICKET, term=(2, 9)), register.office(TICKET, term=(0, 2)), register
    assert now.refusal(early, filing) is Reason.NOT_ACCREDITED
    now.do(late, filing)
    register.block()
    filing = register.filing(ann, TICKET, -5)
    assert now.refusal(late, filing) is Reason.NOT_ACCREDITED
    now.do(early, filing)


def test_who_is_suspended_or_revoked_files_nothing(town: Town) -> None:
    register, office, _, ann = town
    filing = register.filing(ann, TICKET, -5)
    register.carry(Suspend(office.key))
    assert register.refusal(office, filing) is Reason.AUTHORITY_SUSPENDED
    register.carry(Restore(office.key))
    register.do(office, filing)
    register.carry(Revoke(office.key))
    assert register.refusal(office, filing) is Reason.AUTHORITY_REVOKED


def test_nobody_records_about_itself(town: Town) -> None:
    register, office, _, _ = town
    register.do(office, register.enrolment(office, register.registrar()))
    assert register.refusal(office, register.filing(office, HERO, 30)) is Reason.SELF_RECORD
    register.rotate(office)
    assert register.refusal(office, register.filing(office.with_key(0), HERO, 30)) is Reason.SELF_RECORD


@pytest.mark.parametrize("who", ["member", "authority"])
def test_counters_have_their_limit(town: Town, who: str) -> None:
    register, office, _, ann = town
    if who == "member":
        register.draft.put(member_key(ann.key), register.entry(ann)._replace(filed=2**32 - 1))
        assert register.file(office, ann, TICKET, -5) == 2**32 - 1
        assert register.record(ann, 2**32 - 1) is not None
    else:
        register.draft.put(authority_key(office.key), register.authority(office)._replace(filed=2**32 - 1))
    assert register.refusal(office, register.filing(ann, TICKET, -5)) is Reason.COUNTER_LIMIT


def test_a_closed_category_takes_nothing_new_and_what_is_in_it_goes_its_way(town: Town) -> None:
    register, office, judge, ann = town
    for _ in range(3):
        register.file(office, ann, DEFAULT, -20, severity=SERIOUS)
    register.amend(category=with_category(TOWN_POLICY, DEFAULT, closed=True))
    register.block(30)
    assert register.refusal(office, register.filing(ann, DEFAULT, -20)) is Reason.CATEGORY_CLOSED
    assert register.score(ann) == 940
    register.object(ann, 0, office)
    register.do(judge, ruling(town, UPHOLD))
    register.do(office, answer(town, CORRECT, -7, number=1))
    register.do(office, answer(town, WITHDRAW, number=2))
    assert register.score(ann) == 1000 - 20 - 7


# ------------------------------------------------------------------------------------------------------ objecting


def test_an_objection_suspends_the_points_at_once(town: Town) -> None:
    register, _, _, ann = town
    number = objected(town)
    record = register.standing_record(ann, number)
    assert (register.score(ann), record.status, record.deadline_slot) == (1000, OBJECTED, 1 + ANSWER_DAYS)
    assert (register.entry(ann).standing, register.entry(ann).suspended) == (0, 1)
    assert register.happened == ["filed", "objected"]


def test_only_the_member_itself_objects_comments_and_asks_for_repair(town: Town) -> None:
    register, office, judge, ann = town
    bob = register.member()
    number = register.file(office, ann, DEFAULT, -20)
    for other in (bob, office, judge, register.validators[0]):
        for action in (
            Object(ann.key, number, DIGEST),
            Statement(ann.key, number, DIGEST),
            Repair(ann.key, number, ASK, DIGEST),
        ):
            assert register.refusal(other, action) is Reason.OTHERS_RECORD


def test_there_is_one_objection_at_a_time(town: Town) -> None:
    register, office, judge, ann = town
    number = objected(town)
    again = Object(ann.key, number, DIGEST)
    assert register.refusal(ann, again) is Reason.UNDER_OBJECTION
    register.do(office, answer(town, MAINTAIN))
    assert register.refusal(ann, again) is Reason.UNDER_OBJECTION
    register.block(HEARING_DAYS)
    assert register.refusal(ann, again) is Reason.UNDER_OBJECTION
    register.do(judge, ruling(town, UPHOLD))
    assert register.refusal(ann, again) is Reason.ALREADY_UPHELD


def unknown(town: Town, *numbers: int) -> None:
    """None of these records can be touched by anybody."""
    register, office, judge, ann = town
    for number in numbers:
        attempts: list[tuple[Person, Action]] = [
            (ann, Object(ann.key, number, DIGEST)),
            (ann, Statement(ann.key, number, b"")),
            (ann, repair(town, ASK, number)),
            (office, repair(town, APPROVE, number)),
            (office, answer(town, WITHDRAW, number=number)),
            (judge, ruling(town, STRIKE, number)),
        ]
        for person, action in attempts:
            assert register.refusal(person, action) is Reason.UNKNOWN_RECORD


def test_what_was_never_filed_or_has_ended_is_unknown(town: Town) -> None:
    number = objected(town)
    town.register.do(town.office, answer(town, WITHDRAW, number=number))
    unknown(town, number, number + 1, 2**32 - 1)


def test_silence_of_the_issuer_deletes(town: Town) -> None:
    register, office, _, ann = town
    number = objected(town)
    register.block(ANSWER_DAYS - 1)
    assert register.record(ann, number) is not None
    register.block()
    assert (register.record(ann, number), register.happened) == (None, ["lapsed"])
    entry = register.entry(ann)
    assert (entry.filed, entry.standing, entry.suspended, entry.record_points) == (1, 0, 0, 0)
    assert register.authority(office).overturned == 1
    unknown(town, number)


def test_silence_of_the_arbiters_strikes(town: Town) -> None:
    register, office, _, ann = town
    number = maintained(town)
    register.block(RULING_DAYS - 1)
    assert register.record(ann, number) is not None
    register.block()
    assert (register.record(ann, number), register.happened) == (None, ["unruled"])
    # the office answered in time: the silence is the arbiter's
    authority = register.authority(office)
    assert (authority.decided, authority.overturned) == (0, 0)
    assert register.rulings(town.judge, office) == (0, 0, 1)


def test_a_record_that_expires_under_objection_is_held_against_nobody(town: Town) -> None:
    register, office, _, ann = town
    number = register.file(office, ann, TICKET, -5)
    register.block(89 - ANSWER_DAYS)
    register.block(11)
    register.do(ann, Object(ann.key, number, DIGEST))
    register.block(10)
    assert (register.record(ann, number), register.happened) == (None, ["expired"])
    assert (register.authority(office).overturned, register.entry(ann).suspended) == (0, 0)


def test_what_came_first_counts_however_late_the_block_is(town: Town) -> None:
    register, office, _, ann = town
    for number, age in enumerate((90 - ANSWER_DAYS, 90 - ANSWER_DAYS - 1)):
        register.file(office, ann, TICKET, -5, established_slot=1 - age)
        register.do(ann, Object(ann.key, number, DIGEST))
    # the first expires in the very slot of its deadline, the second a slot after it; no block is made until both passed
    register.block(50)
    assert sorted(register.happened) == ["expired", "lapsed"]
    assert register.authority(office).overturned == 1


# ------------------------------------------------------------------------------------------------------ answering


@pytest.mark.parametrize("points", [-19, -1, 0])
def test_a_correction_makes_it_better(town: Town, points: int) -> None:
    register, office, _, ann = town
    number = objected(town)
    register.do(office, answer(town, CORRECT, points))
    record = register.standing_record(ann, number)
    assert (record.points, record.status, record.deadline_slot, record.grounds) == (points, STANDING, 0, b"")
    assert (register.score(ann), register.authority(office).overturned) == (1000 + points, 1)
    assert (register.entry(ann).standing, register.entry(ann).suspended) == (1, 0)


@pytest.mark.parametrize("points", [-1_000_000, -21, -20, 1, 1_000_000])
def test_a_correction_to_the_worse_or_to_a_gift_is_none(town: Town, points: int) -> None:
    objected(town)
    assert town.register.refusal(town.office, answer(town, CORRECT, points)) is Reason.NOT_BETTER


def test_a_mistake_that_the_issuer_finds_by_itself_is_not_held_against_it(town: Town) -> None:
    register, office, _, ann = town
    one, two = (register.file(office, ann, DEFAULT, -20) for _ in range(2))
    register.do(office, answer(town, CORRECT, -5, number=one, reason=b""))
    register.do(office, answer(town, WITHDRAW, number=two, reason=b""))
    assert (register.score(ann), register.authority(office).overturned) == (995, 0)
    assert register.happened == ["filed", "filed", "corrected", "withdrawn"]


def test_a_correction_leaves_a_wish_for_repair_standing(town: Town) -> None:
    register, office, _, ann = town
    number = register.file(office, ann, DEFAULT, -20)
    register.block()
    register.do(ann, repair(town, ASK))
    register.do(office, answer(town, CORRECT, -19))
    record = register.standing_record(ann, number)
    assert (record.status, record.deadline_slot, record.proof) == (REPAIR_ASKED, 2 + REPAIR_DAYS, DIGEST)
    register.block(REPAIR_DAYS)
    assert (register.happened, register.score(ann)) == (["repaired"], 1000)


def test_maintaining_needs_an_open_objection_and_a_reason(town: Town) -> None:
    register, office, _, ann = town
    number = register.file(office, ann, DEFAULT, -20)
    maintain = answer(town, MAINTAIN)
    assert register.refusal(office, maintain) is Reason.NOT_UNDER_OBJECTION
    register.do(ann, Object(ann.key, number, DIGEST))
    assert register.refusal(office, answer(town, MAINTAIN, reason=b"")) is Reason.NO_REASON_GIVEN
    register.do(office, maintain)
    record = register.standing_record(ann, number)
    assert (record.status, record.deadline_slot, register.score(ann)) == (MAINTAINED, 1 + HEARING_DAYS, 1000)
    assert register.refusal(office, maintain) is Reason.ALREADY_MAINTAINED
    register.block(HEARING_DAYS)
    record = register.standing_record(ann, number)
    assert (record.status, record.deadline_slot) == (DRAWN, 1 + HEARING_DAYS + RULING_DAYS)
    assert register.refusal(office, maintain) is Reason.ALREADY_MAINTAINED


@pytest.mark.parametrize("verdict", [CORRECT, WITHDRAW])
def test_the_issuer_may_still_give_in_before_the_ruling(town: Town, verdict: int) -> None:
    register, office, _, ann = town
    number = maintained(town)
    register.do(office, answer(town, verdict, -3))
    assert register.score(ann) == (997 if verdict == CORRECT else 1000)
    assert (register.record(ann, number) is None) == (verdict == WITHDRAW)
    assert register.authority(office).overturned == 1


def test_only_the_issuer_answers(town: Town) -> None:
    register, office, judge, ann = town
    objected(town)
    other = register.office(*ALL)
    for verdict in (CORRECT, WITHDRAW, MAINTAIN):
        assert register.refusal(other, answer(town, verdict)) is Reason.NOT_ISSUER
        assert register.refusal(judge, answer(town, verdict)) is Reason.NOT_ISSUER
        assert register.refusal(ann, answer(town, verdict)) is Reason.NOT_AUTHORITY
    register.carry(Revoke(office.key))
    assert register.refusal(office, answer(town, WITHDRAW)) is Reason.AUTHORITY_REVOKED
    register.block(ANSWER_DAYS)
    assert register.happened == ["lapsed"]  # what a revoked authority does not answer, it loses


def test_a_suspended_authority_and_one_out_of_its_term_still_answer(town: Town) -> None:
    register, _, _, ann = town
    brief = register.office(TICKET, term=(0, 2))
    one, two = (register.file(brief, ann, TICKET, -5) for _ in range(2))
    register.do(ann, Object(ann.key, one, DIGEST))
    register.block()
    register.do(brief, answer(town, MAINTAIN, number=one))
    register.carry(Suspend(brief.key))
    register.do(ann, repair(town, ASK, two))
    register.do(brief, repair(town, APPROVE, two))
    assert register.record(ann, two) is None


# ---------------------------------------------------------------------------------------------------------- ruling


@pytest.mark.parametrize("verdict", [STRIKE, UPHOLD])
def test_an_arbiter_strikes_or_upholds(town: Town, verdict: int) -> None:
    register, office, judge, ann = town
    number = maintained(town)
    register.do(judge, ruling(town, verdict))
    entry = register.entry(ann)
    if verdict == STRIKE:
        assert register.record(ann, number) is None
        assert (register.score(ann), entry.standing, entry.suspended) == (1000, 0, 0)
    else:
        record = register.standing_record(ann, number)
        assert (record.status, record.upheld, record.deadline_slot, record.grounds) == (STANDING, 1, 0, DIGEST)
        assert (register.score(ann), entry.standing, entry.suspended) == (980, 1, 0)
    assert register.authority(office).overturned == (verdict == STRIKE)
    assert register.happened[-1] == ("struck" if verdict == STRIKE else "upheld")


def test_who_may_not_rule(town: Town) -> None:
    register, office, judge, ann = town
    number = objected(town)
    strike = ruling(town, STRIKE)
    assert register.refusal(judge, strike) is Reason.NOT_MAINTAINED
    register.do(office, answer(town, MAINTAIN, number=number))
    assert register.refusal(judge, strike) is Reason.IN_HEARING
    register.block(HEARING_DAYS)
    assert register.refusal(office, strike) is Reason.NOT_ARBITER
    assert register.refusal(ann, strike) is Reason.NOT_AUTHORITY
    assert register.refusal(register.office(rights=REGISTRAR), strike) is Reason.NOT_ARBITER
    assert register.refusal(register.office(rights=3, term=(8, 9)), strike) is Reason.NOT_ARBITER
    register.carry(Suspend(judge.key))
    assert register.refusal(judge, strike) is Reason.NOT_ARBITER
    register.carry(Revoke(judge.key))
    assert register.refusal(judge, strike) is Reason.AUTHORITY_REVOKED


def test_the_issuer_and_the_member_never_rule_with_whatever_key(town: Town) -> None:
    register, *_, ann = town
    both = register.office(DEFAULT, rights=3)
    number = register.file(both, ann, DEFAULT, -20)
    register.object(ann, number, both)
    assert register.refusal(both, ruling(town, UPHOLD)) is Reason.OWN_RECORD
    register.rotate(both)
    assert register.refusal(both, ruling(town, UPHOLD)) is Reason.OWN_RECORD
    register.do(both, register.enrolment(both, register.registrar()))
    office = register.office(HERO)
    about_it = register.file(office, both, HERO, 30)
    register.object(both, about_it, office)
    assert register.refusal(both, Rule(both.identity, about_it, STRIKE, DIGEST)) is Reason.OWN_RECORD


# ---------------------------------------------------------------------------------------------------------- repair


def test_a_repair_is_asked_for_and_approved(town: Town) -> None:
    register, office, _, ann = town
    number = register.file(office, ann, DEFAULT, -20, severity=GENERAL)
    register.block(89)
    assert register.refusal(ann, repair(town, ASK)) is Reason.TOO_EARLY
    assert register.refusal(office, repair(town, APPROVE)) is Reason.REPAIR_NOT_ASKED
    register.block()
    register.do(ann, repair(town, ASK))
    record = register.standing_record(ann, number)
    assert (record.status, record.deadline_slot, register.score(ann)) == (REPAIR_ASKED, 91 + REPAIR_DAYS, 980)
    assert register.refusal(ann, repair(town, ASK)) is Reason.REPAIR_ALREADY_ASKED
    assert register.refusal(register.office(DEFAULT), repair(town, APPROVE)) is Reason.NOT_ISSUER
    register.do(office, repair(town, APPROVE))
    assert (register.record(ann, number), register.score(ann)) == (None, 1000)
    assert register.authority(office).overturned == 0


def test_silence_approves_a_repair(town: Town) -> None:
    register, office, _, ann = town
    register.file(office, ann, DEFAULT, -20)
    register.block()
    register.do(ann, repair(town, ASK))
    register.block(REPAIR_DAYS - 1)
    assert register.score(ann) == 980
    register.block()
    assert (register.happened, register.score(ann)) == (["repaired"], 1000)
    assert register.authority(office).overturned == 0


def test_a_repair_is_declined_once_then_an_arbiter_decides(town: Town) -> None:
    register, office, judge, ann = town
    number = register.file(office, ann, DEFAULT, -20, severity=GENERAL)
    register.block(95)
    register.do(ann, repair(town, ASK))
    register.block(2)
    register.do(office, repair(town, DECLINE))
    record = register.standing_record(ann, number)
    assert (record.status, record.deadline_slot, record.is_declined, record.proof) == (STANDING, 0, 1, b"")
    register.do(ann, repair(town, ASK))
    assert register.refusal(office, repair(town, DECLINE)) is Reason.ALREADY_DECLINED
    assert register.refusal(judge, ruling(town, STRIKE)) is Reason.IN_HEARING
    register.block(HEARING_DAYS)
    assert (register.standing_record(ann, number).status, register.score(ann)) == (REPAIR_DRAWN, 980)
    register.do(judge, ruling(town, UPHOLD))
    record = register.standing_record(ann, number)
    # then the shortest period begins again, and an arbiter is asked again
    assert (record.status, record.deadline_slot, record.repair_slot, record.proof) == (STANDING, 0, 103 + 90, b"")
    assert register.refusal(ann, repair(town, ASK)) is Reason.TOO_EARLY
    register.block(90)
    register.do(ann, repair(town, ASK))
    register.block(HEARING_DAYS)
    register.do(judge, ruling(town, STRIKE))
    assert (register.record(ann, number), register.happened[-1]) == (None, "repaired")
    assert register.rulings(judge, office) == (1, 1, 0)
    assert register.authority(office).decided == 0


@pytest.mark.parametrize("who", ["issuer", "arbiter"])
def test_after_a_decline_the_issuer_may_still_approve_and_silence_approves(town: Town, who: str) -> None:
    register, office, judge, ann = town
    number = register.file(office, ann, DEFAULT, -20)
    register.block()
    register.do(ann, repair(town, ASK))
    register.do(office, repair(town, DECLINE))
    register.do(ann, repair(town, ASK))
    register.block(HEARING_DAYS)
    if who == "issuer":
        register.do(office, repair(town, APPROVE))
    else:
        register.block(RULING_DAYS)
    assert (register.record(ann, number), register.happened[-1:]) == (None, ["repaired"])
    assert register.rulings(judge, office) == (0, 0, who == "arbiter")


def test_an_objection_takes_the_place_of_a_wish_for_repair(town: Town) -> None:
    register, office, judge, ann = town
    number = register.file(office, ann, DEFAULT, -20)
    register.block()
    register.do(ann, repair(town, ASK))
    register.do(ann, Object(ann.key, number, DIGEST))
    assert register.refusal(ann, repair(town, ASK)) is Reason.UNDER_OBJECTION
    assert register.refusal(office, repair(town, APPROVE)) is Reason.REPAIR_NOT_ASKED
    register.do(office, answer(town, MAINTAIN))
    register.block(HEARING_DAYS)
    register.do(judge, ruling(town, UPHOLD))
    register.do(ann, repair(town, ASK))


def test_nobody_is_named_by_the_lot_about_a_repair_for_an_objection(town: Town) -> None:
    """Else it looks as if the lot had fallen before anybody was heard, and then on another."""
    register, office, _, ann = town
    number = register.file(office, ann, DEFAULT, -20)
    register.block()
    for step, person in ((ASK, ann), (DECLINE, office), (ASK, ann)):
        register.do(person, repair(town, step))
    register.block(HEARING_DAYS)
    assert register.drawn(ann, number) == [town.judge]
    register.do(ann, Object(ann.key, number, DIGEST))
    assert register.drawn(ann, number) == []
    register.do(office, answer(town, MAINTAIN))
    assert register.drawn(ann, number) == []
    register.block(HEARING_DAYS)
    assert register.drawn(ann, number) == [town.judge]


def test_what_knows_no_severity_knows_no_repair(town: Town) -> None:
    register, office, _, ann = town
    register.file(office, ann, HERO, 30)
    assert register.refusal(ann, repair(town, ASK)) is Reason.NOT_REPAIRABLE


def test_a_statement_stands_beside_the_record_and_can_be_taken_back(town: Town) -> None:
    register, office, _, ann = town
    number = register.file(office, ann, DEFAULT, -20)
    for statement in (DIGEST, b""):
        register.do(ann, Statement(ann.key, number, statement))
        assert register.standing_record(ann, number).statement == statement
    register.do(ann, Statement(ann.key, number, DIGEST))
    register.do(ann, Object(ann.key, number, DIGEST))
    assert register.standing_record(ann, number).statement == DIGEST


# ------------------------------------------------------------------------------------------------- caps and issuers


def test_a_categorys_ceiling_counts_once(town: Town) -> None:
    register, office, _, ann = town
    for _ in range(3):
        register.file(office, ann, HUNDRED_HOURS, 5)
    assert (register.score(ann), register.entry(ann).record_points) == (1005, 5)
    assert register.draft.get(sum_key(ann.key, HUNDRED_HOURS)) == CategorySum(15)
    register.do(ann, Object(ann.key, 0, DIGEST))
    register.do(office, answer(town, WITHDRAW, number=1))
    assert (register.score(ann), register.draft.get(sum_key(ann.key, HUNDRED_HOURS))) == (1005, CategorySum(5))
    register.do(office, answer(town, WITHDRAW, number=2))
    assert (register.score(ann), register.draft.get(sum_key(ann.key, HUNDRED_HOURS))) == (1000, None)


def test_a_tier_cap_holds_while_one_of_its_records_counts(town: Town) -> None:
    register, office, _, ann = town
    one, two = (register.file(office, ann, DRUNK, 0, severity=GENERAL) for _ in range(2))
    assert (register.standing(ann).tier, register.entry(ann).caps) == ("C", ((1, 2),))
    register.do(ann, Object(ann.key, one, DIGEST))
    assert (register.standing(ann).tier, register.entry(ann).caps) == ("C", ((1, 1),))
    register.do(office, answer(town, WITHDRAW, number=two))
    assert (register.standing(ann).tier, register.entry(ann).caps) == ("A", ())
    register.block(ANSWER_DAYS)
    assert register.entry(ann).caps == ()


def test_an_issuer_that_errs_too_often_is_suspended_until_a_motion_restores_it() -> None:
    town = found_town(overturned_permille=500, overturned_minimum=3)
    register, office, judge, ann = town
    register.object(ann, register.file(office, ann, TICKET, -5), office)
    register.do(judge, ruling(town, UPHOLD, 0))
    for number in (1, 2):
        assert register.authority(office).status == ACTIVE  # none of one, one of two: not more than half
        register.file(office, ann, TICKET, -5, established_slot=register.draft.date_slot - number)
        register.do(ann, Object(ann.key, number, DIGEST))
        register.do(office, answer(town, WITHDRAW, number=number))
    assert register.authority(office).status == SUSPENDED
    filing = register.filing(ann, TICKET, -5)
    assert register.refusal(office, filing) is Reason.AUTHORITY_SUSPENDED
    register.carry(Restore(office.key))
    authority = register.authority(office)
    assert (authority.decided, authority.overturned, authority.withdrawn) == (3, 2, 2)
    assert (authority.forgiven_decided, authority.forgiven_overturned) == (3, 2)
    assert (authority.status, rate(authority)) == (ACTIVE, (0, 0))
    register.do(office, filing)
    assert register.authority(office).status == ACTIVE


def test_friends_and_withdrawals_dilute_nothing() -> None:
    town = found_town(overturned_permille=500, overturned_minimum=2)
    register, office, _, ann = town
    friend = register.member()
    for number in range(40):
        register.file(office, friend, HUNDRED_HOURS, 5)
        register.file(office, friend, TICKET, -5, established_slot=-number)
        register.do(office, Answer(friend.key, 2 * number + 1, WITHDRAW, 0, b""))
    for number in range(2):
        register.file(office, ann, TICKET, -5, established_slot=-number)
        register.do(ann, Object(ann.key, number, DIGEST))
    register.block(ANSWER_DAYS)
    authority = register.authority(office)
    assert (authority.filed, authority.withdrawn, authority.decided, authority.overturned) == (82, 40, 2, 2)
    assert authority.status == SUSPENDED


def test_what_was_decided_counts_for_a_window_and_as_long_again_behind_the_next() -> None:
    register = Register(altered(TOWN_POLICY, rights={"window_days": 30}), one_document=False)
    town = Town(register, register.office(*ALL), register.arbiter(), register.member())
    _, office, _, ann = town
    seen = []
    for number in range(4):
        register.file(office, ann, TICKET, -5)
        register.do(ann, Object(ann.key, number, DIGEST))
        register.do(office, answer(town, WITHDRAW, number=number))
        seen.append((register.draft.slot, rate(register.authority(office))))
        register.block(29 if number < 2 else 70)
    assert seen == [(1, (1, 1)), (30, (2, 2)), (59, (3, 3)), (129, (1, 1))]
    assert register.authority(office).overturned == 4


def test_a_policy_of_1000_permille_suspends_nobody() -> None:
    town = found_town(overturned_permille=1_000, overturned_minimum=1)
    register, office, _, ann = town
    register.file(office, ann, DEFAULT, -20)
    for points in (-15, -10, -5):  # one record, overturned thrice
        register.do(ann, Object(ann.key, 0, DIGEST))
        register.do(office, answer(town, CORRECT, points))
    authority = register.authority(office)
    assert (authority.filed, authority.overturned, authority.status) == (1, 3, ACTIVE)


# -------------------------------------------------------------------------------------------------- many deadlines


def test_what_is_due_and_still_waits_for_its_block_cannot_be_touched(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a record in each state that a deadline ends, and a block that works off none of them
    register, office, judge, ann = town
    for _ in range(3):
        register.file(office, ann, DEFAULT, -20)
    register.object(ann, 1, office)
    register.do(ann, Object(ann.key, 0, DIGEST))
    register.do(ann, repair(town, ASK, 2))
    monkeypatch.setattr(registry, "MAX_DUE_A_BLOCK", 0)
    register.block(30)

    # then nobody takes back what silence has already decided
    late: list[tuple[Person, Action]] = [
        (office, answer(town, MAINTAIN, number=0)),
        (office, answer(town, CORRECT, -19, number=0)),
        (office, answer(town, CORRECT, -19, number=1)),
        (judge, ruling(town, UPHOLD, 1)),
        (office, repair(town, DECLINE, 2)),
        (ann, Object(ann.key, 2, DIGEST)),
        (ann, Statement(ann.key, 2, DIGEST)),
    ]
    for person, action in late:
        assert register.refusal(person, action) is Reason.DEADLINE_PASSED
    monkeypatch.undo()
    register.block()
    assert sorted(register.happened) == ["lapsed", "repaired", "unruled"]
    assert register.score(ann) == 1000


def test_a_record_that_is_not_due_falls_due_only_by_a_bug(town: Town) -> None:
    number = objected(town)
    with pytest.raises(InvariantBroken):
        fall_due(town.register.draft, record_key(town.ann.key, number))
