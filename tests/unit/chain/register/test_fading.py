"""Points fade: half of what is left goes in each half-life from the conduct on, as the category said at the filing."""

from __future__ import annotations

from itertools import pairwise

import pytest

from chain.base.codec import encode
from chain.base.errors import Reason
from chain.content.actions import (
    APPROVE,
    ASK,
    CORRECT,
    MAINTAIN,
    UPHOLD,
    Answer,
    Appeal,
    Leave,
    Object,
    Repair,
    Rule,
    Statement,
)
from chain.content.policy import Policy
from chain.register import registry
from chain.register.entries import DRAWN, SUSPENDED
from chain.register.scores import Line
from chain.register.state import encode_entry
from chain.register.statekeys import member_key
from tests.support.register import DIGEST, MUNICIPAL, Register, altered, with_category

DEFAULT, TICKET, DRUNK, HERO = 1, 13, 14, 101
HALF = 10


def fading(**changes: int | str) -> Policy:
    """The municipal policy, in which defaults fade, and as much as one likes of them."""
    fields = {"min": -1_000, "max": 1_000, "half_life_days": HALF, **changes}
    return altered(MUNICIPAL, category=with_category(MUNICIPAL, DEFAULT, **fields))


class Town:
    """A register, an office that files defaults, and a member."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.register = Register(policy or fading(), one_document=False)
        self.office, self.judge = self.register.office(DEFAULT, TICKET, DRUNK, HERO), self.register.arbiter()
        self.ann = self.register.member()

    def file(self, points: int, category: int = DEFAULT, age_days: int = 0, severity: int = 3) -> int:
        """A record of conduct so long ago, as the mildest fines are filed."""
        at = self.register.draft.date_slot - age_days
        return self.register.file(self.office, self.ann, category, points, severity=severity, established_slot=at)

    @property
    def gone(self) -> int:
        """What all records together give, or take."""
        return self.register.score(self.ann) - 1_000

    def worth(self, number: int = 0) -> int:
        """What is left of a record."""
        return self.register.standing_record(self.ann, number).worth

    def agenda(self) -> list[int]:
        """The slots in which the chain itself acts on something about records, as the head has it."""
        self.register.block()
        return [slot for slot, key in self.register.ledger.agenda() if key[:1] == b"d"]


@pytest.mark.parametrize("sign", [1, -1], ids=["praise", "blame"])
def test_half_of_what_is_left_goes_in_each_half_life_rounded_towards_nothing(sign: int) -> None:
    town = Town()
    town.file(sign * 100)
    seen = []
    for _ in range(8):
        town.register.block(HALF - 1)
        before = town.gone
        town.register.block()
        seen.append((before, town.gone))
    left = [100, 50, 25, 12, 6, 3, 1, 0, 0]
    assert seen == [(sign * one, sign * other) for one, other in pairwise(left)]
    assert town.register.standing_record(town.ann, 0).points == sign * 100, "what was recorded stays"
    assert town.register.entry(town.ann).standing == 1


def test_the_largest_points_are_gone_after_twenty_turns_and_cost_no_more() -> None:
    town = Town(fading(min=-1_000_000))
    town.file(-1_000_000)
    turns = 0
    while True:
        [due_slot] = town.agenda()
        record = town.register.standing_record(town.ann, 0)
        if due_slot == record.expires_slot:
            break
        assert due_slot == record.halves_slot
        turns += 1
        town.register.block(due_slot - town.register.draft.date_slot)
        assert town.register.happened == ["faded"]
    assert (turns, town.worth(), town.gone) == (20, 0, 0)


def test_it_counts_from_the_conduct_however_late_that_is_filed() -> None:
    town = Town(altered(fading(), rights={"lookback_days": 90}))
    town.register.block(40)
    for age_days in (0, 9, 10, 25, 41, 51, 99):
        town.file(-64, age_days=age_days)
    assert [town.worth(number) for number in range(7)] == [-64, -64, -32, -16, -4, -2, 0]
    town.register.block(9)
    assert [town.worth(number) for number in range(7)] == [-64, -32, -32, -8, -2, -1, 0]
    assert [town.register.standing_record(town.ann, number).halves_slot for number in (0, 6)] == [51, 0]


def test_before_the_first_slot_there_was_conduct_as_well() -> None:
    """A half-life that is over in slot 0 is no record that never fades."""
    town = Town(altered(fading(), rights={"lookback_days": 90}))
    town.file(-64, age_days=HALF + 1)
    assert town.register.draft.date_slot == 1
    record = town.register.standing_record(town.ann, 0)
    assert (record.worth, record.halves_slot) == (-32, HALF)


def test_other_categories_do_not_fade() -> None:
    town = Town()
    town.file(-5, TICKET, severity=1)
    town.register.block(60)
    assert (town.gone, town.register.standing_record(town.ann, 0).halves_slot) == (-5, 0)


def test_a_record_that_does_not_fade_is_encoded_as_before_records_could() -> None:
    town = Town()
    town.file(-5, TICKET, severity=1)
    town.file(-64)
    stays, fades = (town.register.standing_record(town.ann, number) for number in (0, 1))
    assert encode_entry(stays) == encode(stays[:26])
    assert encode_entry(stays._replace(reopener=DIGEST)) == encode((*stays[:26], DIGEST))
    assert encode_entry(fades) == encode(tuple(fades))


def test_a_severity_ends_the_record_whatever_is_left() -> None:
    town = Town(fading(half_life_days=365))
    town.file(-64, severity=2)
    record = town.register.standing_record(town.ann, 0)
    assert record.expires_slot == record.fades_slot
    assert (record.halves_slot, record.due_slot) == (0, record.expires_slot)
    town.register.block(365)
    assert (town.register.happened, town.gone) == (["expired"], 0)


# ------------------------------------------------------------------------------------------------------ disputes


def test_an_objection_stops_no_clock_and_what_is_upheld_counts_for_what_is_left() -> None:
    town = Town()
    town.file(-64)
    town.register.object(town.ann, 0, town.office)
    assert (town.gone, town.register.entry(town.ann).suspended) == (0, 1)
    town.register.block(HALF)
    assert (town.gone, town.worth()) == (0, -32)
    town.register.do(town.judge, Rule(town.ann.key, 0, UPHOLD, DIGEST))
    assert (town.gone, town.register.entry(town.ann).suspended) == (-32, 0)
    town.register.do(town.ann, Appeal(town.ann.key, 0, DIGEST))
    assert town.gone == 0
    town.register.block(HALF)
    assert town.worth() == -16


def test_what_stands_while_it_is_disputed_fades_as_it_counts() -> None:
    town = Town(fading(interim="stands"))
    town.file(-64)
    town.register.do(town.ann, Object(town.ann.key, 0, DIGEST))
    town.register.block(HALF - 1)
    assert town.gone == -64
    town.register.do(town.office, Answer(town.ann.key, 0, MAINTAIN, 0, DIGEST))
    town.register.block()
    assert town.gone == -32


def test_a_half_life_and_a_hearing_that_are_over_in_one_slot_are_both_over() -> None:
    town = Town()
    town.file(-64)
    town.register.block(HALF - 5)
    town.register.object(town.ann, 0, town.office)
    record = town.register.standing_record(town.ann, 0)
    assert (record.status, record.worth, town.register.happened) == (DRAWN, -32, ["faded", "drawn"])


def test_a_late_block_halves_as_often_as_half_lives_have_passed() -> None:
    town = Town()
    town.file(-64)
    town.register.block(3 * HALF + 5)
    assert (town.gone, town.register.happened) == (-8, ["faded"])
    assert town.register.standing_record(town.ann, 0).halves_slot == 1 + 4 * HALF


def test_a_correction_is_of_what_was_recorded_and_brings_nothing_back() -> None:
    town = Town()
    town.file(-64)
    town.register.block(2 * HALF)
    assert town.gone == -16
    assert town.register.refusal(town.office, Answer(town.ann.key, 0, CORRECT, -64, b"")) is Reason.NOT_BETTER
    town.register.do(town.office, Answer(town.ann.key, 0, CORRECT, -40, b""))
    assert (town.gone, town.worth()) == (-10, -10)
    town.register.block(HALF)
    assert town.gone == -5


def test_what_is_corrected_when_nothing_was_left_is_as_old_as_its_conduct() -> None:
    town = Town()
    town.file(-1)
    town.register.block(5 * HALF)
    record = town.register.standing_record(town.ann, 0)
    assert (town.gone, record.halvings, record.halves_slot) == (0, 5, 0)
    town.register.block(2 * HALF)
    assert town.register.standing_record(town.ann, 0) == record, "nothing is left to do"
    town.register.do(town.office, Answer(town.ann.key, 0, CORRECT, 512, b""))
    assert (town.gone, town.register.standing_record(town.ann, 0).halvings) == (4, 7)
    town.register.block(HALF)
    assert town.gone == 2


def test_an_issuer_answers_for_what_it_recorded_also_once_nothing_is_left_of_it() -> None:
    policy = fading(half_life_days=1)
    town = Town(altered(policy, authorities={"overturned_permille": 500, "overturned_minimum": 1}))
    town.file(-1)
    town.register.do(town.ann, Object(town.ann.key, 0, DIGEST))
    town.register.block(20)
    assert town.register.happened == ["faded", "lapsed"]
    assert (town.register.authority(town.office).overturned, town.register.authority(town.office).status) == (
        1,
        SUSPENDED,
    )


def test_it_is_repaired_and_commented_on_as_ever() -> None:
    town = Town()
    town.file(-64, severity=1)
    town.register.block(30)
    town.register.do(town.ann, Statement(town.ann.key, 0, DIGEST))
    town.register.do(town.ann, Repair(town.ann.key, 0, ASK, DIGEST))
    town.register.block(HALF)
    assert town.gone == -4
    town.register.do(town.office, Repair(town.ann.key, 0, APPROVE, b""))
    assert (town.gone, town.register.record(town.ann, 0)) == (0, None)


def test_a_record_can_be_objected_to_though_its_halving_waits_for_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    town = Town()
    town.file(-64)
    monkeypatch.setattr(registry, "MAX_DUE_A_BLOCK", 0)
    town.register.block(HALF)
    assert town.gone == -64
    assert town.register.refusal(town.ann, Object(town.ann.key, 0, DIGEST)) is None
    monkeypatch.undo()
    town.register.block()
    assert (town.worth(), town.gone) == (-32, 0)


# --------------------------------------------------------------------------------------------- caps and sums


def test_a_floor_holds_for_what_is_left_of_all_together() -> None:
    town = Town(fading(floor=-100))
    for _ in range(3):
        town.file(-80)
    assert town.gone == -100
    town.register.block(HALF)
    assert town.gone == -100, "three times 40"
    town.register.block(HALF)
    assert town.gone == -60
    town.register.do(town.ann, Object(town.ann.key, 0, DIGEST))
    assert town.gone == -40


def test_a_tier_cap_holds_until_the_record_ends() -> None:
    town = Town(fading(tier_cap="C"))
    town.file(-1, severity=3)
    town.register.block(5 * HALF)
    assert (town.gone, town.register.standing(town.ann).tier) == (0, "C")


def test_the_lines_of_an_explanation_add_up_to_what_is_left() -> None:
    town = Town(fading(floor=-20))
    town.file(-64)
    town.file(-5, TICKET, severity=1)
    town.register.block(HALF)
    town.register.block(1)
    records = [town.register.standing_record(town.ann, number) for number in (0, 1)]
    assert town.register.explain(town.ann) == [
        Line("base", 1_000),
        Line("record", -32, DEFAULT, 0, records[0]),
        Line("record", -5, TICKET, 1, records[1]),
        Line("category cap", 12, DEFAULT),
    ]


# --------------------------------------------------------------------------------------------- what was promised


@pytest.mark.parametrize("later", [0, 3, 300])
def test_an_amendment_changes_nothing_of_what_is_recorded(later: int) -> None:
    town = Town()
    town.file(-64)
    town.register.amend(60, category=with_category(town.register.draft.policy, DEFAULT, half_life_days=later))
    town.register.block(60)
    assert town.register.draft.policy.categories[DEFAULT].half_life_days == later
    assert (town.gone, town.worth()) == (-1, -1)
    town.file(-64)
    town.register.block(HALF)
    assert town.gone == {0: -64, 3: -8, 300: -64}[later]
    town.register.do(town.office, Answer(town.ann.key, 0, CORRECT, 640, b""))
    assert town.worth() == 640 >> 7, "the correction keeps the half-life, too"


@pytest.mark.parametrize("later", [0, 300])
def test_what_takes_points_fades_no_more_slowly_than_when_it_was_established(later: int) -> None:
    """A majority lets blame last: of what is done from then on, however late the rest is filed."""
    town = Town()
    town.register.amend(60, category=with_category(town.register.draft.policy, DEFAULT, half_life_days=later))
    town.register.block(60)
    town.file(-64, age_days=HALF)
    town.file(-64)
    town.register.block(HALF)
    assert (town.worth(0), town.worth(1)) == (-16, -64)


def test_what_gives_points_alone_fades_as_when_it_was_filed() -> None:
    town = Town(fading(min=0))
    town.register.amend(60, category=with_category(town.register.draft.policy, DEFAULT, half_life_days=0))
    town.register.block(60)
    town.file(64, age_days=HALF)
    town.register.block(HALF)
    assert town.worth() == 64


def test_a_category_that_begins_to_fade_leaves_the_old_records_whole() -> None:
    town = Town(MUNICIPAL)
    town.file(-20)
    town.register.amend(60, category=with_category(town.register.draft.policy, DEFAULT, half_life_days=HALF))
    town.register.block(60)
    town.file(-20)
    town.register.block(HALF)
    assert (town.worth(0), town.worth(1), town.gone) == (-20, -10, -30)


def test_registry_time_stands_still_in_an_outage() -> None:
    register = Register(fading(), one_document=False, heartbeat_slots=2)
    office, ann = register.office(DEFAULT), register.member()
    register.file(office, ann, DEFAULT, -64)
    lost = 50
    register.block(register.genesis.idle_slots + lost)
    passed = register.draft.slot - 1
    assert passed == register.genesis.idle_slots
    record = register.standing_record(ann, 0)
    assert record.halves_slot == 1 + HALF * (1 + passed // HALF)
    assert register.score(ann) == 1_000 - (64 >> passed // HALF)


def test_who_leaves_takes_along_what_fades() -> None:
    town = Town()
    town.file(-64)
    town.register.do(town.ann, Leave())
    days = town.register.draft.policy.identity.leave_days
    town.register.block(days)
    town.register.block()
    assert town.register.draft.get(member_key(town.ann.identity)) is None
    assert [key for key in town.register.ledger.state if key[:1] in (b"d", b"m")] == []
