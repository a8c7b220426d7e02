"""Whatever is recorded, and however blocks fall: a record is worth what its age says, and costs few turns."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from chain.content.actions import CORRECT, Answer
from chain.content.policy import Policy
from tests.support.register import MUNICIPAL, Register, altered, with_category

DEFAULT = 1
FLOOR, CEILING = -200, 150
MOST_HALVINGS = 20  # of a million


def policy(half_life: int, *, is_capped: bool) -> Policy:
    caps = {"floor": FLOOR, "ceiling": CEILING} if is_capped else {}
    fields = {"min": -1_000_000, "max": 1_000_000, "half_life_days": half_life, **caps}
    return altered(MUNICIPAL, category=with_category(MUNICIPAL, DEFAULT, **fields))


def halved(points: int, age: int, half_life: int) -> int:
    """Step by step, as a member would on paper."""
    for _ in range(age // half_life):
        points -= points // 2 if points % 2 == 0 else (points + (1 if points > 0 else -1)) // 2
    return points


@settings(deadline=None, max_examples=60)
@given(
    half_life=st.integers(1, 40),
    filings=st.lists(
        st.tuples(st.integers(-1_000_000, 1_000_000) | st.integers(-9, 9), st.integers(0, 60)), min_size=1, max_size=4
    ),
    gaps=st.lists(st.integers(1, 90), max_size=6),
    better=st.integers(0, 500),
    is_capped=st.booleans(),
)
def test_a_record_is_worth_what_its_age_says(
    half_life: int, filings: list[tuple[int, int]], gaps: list[int], better: int, is_capped: bool
) -> None:
    rights = {"lookback_days": 90}
    register = Register(altered(policy(half_life, is_capped=is_capped), rights=rights), slot=100, one_document=False)
    office, ann = register.office(DEFAULT), register.member()
    points, conduct, turns = [], [], [0] * len(filings)
    for each, age in filings:
        slot = register.draft.date_slot - age
        register.file(office, ann, DEFAULT, each, severity=3, established_slot=slot)
        points.append(each)
        conduct.append(slot)
    for gap in gaps:
        register.block(gap)
        for happening in register.draft.happenings:
            assert happening.what == "faded"
            turns[happening.number] += 1
        if better and points[0] + better <= 1_000_000:
            points[0] += better
            register.do(office, Answer(ann.key, 0, CORRECT, points[0], b""))
        now = register.draft.slot
        left = [halved(each, now - slot, half_life) for each, slot in zip(points, conduct, strict=True)]
        assert [register.standing_record(ann, number).worth for number in range(len(left))] == left
        total = max(FLOOR, min(CEILING, sum(left))) if is_capped else sum(left)
        assert register.score(ann) == 1_000 + total
    assert max(turns) <= MOST_HALVINGS + (len(gaps) if better else 0)
    for number, each in enumerate(points[1:], 1):
        assert turns[number] <= abs(each).bit_length()
