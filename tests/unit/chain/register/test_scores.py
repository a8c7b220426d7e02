"""Scores, tiers and their explanation."""

from __future__ import annotations

import pytest

from chain.base.errors import InvariantBroken
from chain.content.actions import CORRECT, Answer, Object, Rate
from chain.register.entries import Rating
from chain.register.scores import Line, Standing, explain
from tests.support.register import DIGEST, MARKETPLACE, MUNICIPAL, Register, altered, with_category

DEFAULT, DRUNK, HERO, HUNDRED_HOURS = 1, 14, 101, 111


def test_a_new_member_stands_at_the_base() -> None:
    register = Register()
    assert register.standing(register.member()) == Standing(1000, 3, "A")


@pytest.mark.parametrize(
    ("points", "tier"),
    [(50, "AAA"), (49, "AA"), (30, "AA"), (29, "A"), (-40, "A"), (-41, "B"), (-150, "B"), (-151, "C"), (-401, "D"),
     (-10_000, "D")],
)  # fmt: skip
def test_the_tier_is_that_of_the_score(points: int, tier: str) -> None:
    register = Register(altered(MUNICIPAL, category=with_category(MUNICIPAL, 1, min=-10_000, max=10_000)))
    ann = register.member()
    register.file(register.office(DEFAULT), ann, DEFAULT, points)
    assert (register.score(ann), register.standing(ann).tier) == (1000 + points, tier)


def test_a_tier_cap_is_a_ceiling_and_no_floor() -> None:
    register = Register(altered(MUNICIPAL, category=with_category(MUNICIPAL, 1, min=-10_000)))
    office, ann = register.office(DEFAULT, DRUNK), register.member()
    register.file(office, ann, DRUNK, 0, severity=2)
    assert register.standing(ann) == Standing(1000, 1, "C")
    register.file(office, ann, DEFAULT, -9_000)
    assert register.standing(ann) == Standing(-8000, 0, "D")


def test_a_cap_of_three_records_holds_from_the_third_until_one_of_them_ends() -> None:
    tiers = [{**row, "cap_records": 3} if row["name"] == "C" else row for row in MUNICIPAL.to_document()["tier"]]
    register = Register(
        altered(MUNICIPAL, tier=tiers, category=with_category(MUNICIPAL, HERO, tier_cap="C")), one_document=False
    )
    office, ann = register.office(DRUNK, HERO), register.member()
    register.file(office, ann, DRUNK, 0, severity=2)
    register.file(office, ann, HERO, 30)
    assert register.standing(ann).tier == "AA"
    register.file(office, ann, DRUNK, 0, severity=2)
    assert register.standing(ann) == Standing(1030, 1, "C"), "whichever categories cap at it"
    register.do(ann, Object(ann.key, 0, DIGEST))
    assert register.standing(ann).tier == "AA"


def test_every_point_is_explained() -> None:
    rows = [{"code": 1, "name": "trade", "min": -10, "max": 10}]
    policy = altered(MUNICIPAL, score={"base": 1000, "ratings_floor": -5, "ratings_cap": 5}, rating=rows)
    register = Register(policy, one_document=False)
    office, ann, bob, cleo = (register.office(DEFAULT, HERO, HUNDRED_HOURS), *(register.member() for _ in range(3)))
    for category, points in ((DEFAULT, -20), (HUNDRED_HOURS, 5), (HERO, 30), (HUNDRED_HOURS, 5), (DEFAULT, -20)):
        register.file(office, ann, category, points)
    register.do(ann, Object(ann.key, 0, DIGEST))
    register.do(office, Answer(ann.key, 4, CORRECT, -8, b""))
    register.do(bob, Rate(ann.key, 1, 9))
    register.do(cleo, Rate(ann.key, 1, -1))
    score = register.score(ann)
    register.block()

    lines = register.explain(ann)
    records = [register.standing_record(ann, number) for number in range(5)]
    raters = sorted([(bob.key, 9), (cleo.key, -1)])
    assert lines == [
        Line("base", 1000),
        Line("record", 0, DEFAULT, 0, records[0]),  # suspended
        Line("record", 5, HUNDRED_HOURS, 1, records[1]),
        Line("record", 30, HERO, 2, records[2]),
        Line("record", 5, HUNDRED_HOURS, 3, records[3]),
        Line("record", -8, DEFAULT, 4, records[4]),
        Line("category cap", -5, HUNDRED_HOURS),
        *(Line("rating", points, 1, rater=rater, rating=Rating(points, 1)) for rater, points in raters),
        Line("ratings cap", -3),
    ]
    assert sum(line.points for line in lines) == score == 1032


def test_an_explanation_that_does_not_add_up_is_our_bug() -> None:
    register = Register(MARKETPLACE)
    ann = register.member()
    with pytest.raises(InvariantBroken, match="the lines add up to 3, and the score is 0"):
        explain(register.draft.policy, register.entry(ann), [], [(bytes(32), 1, Rating(3, 1))])


def test_ratings_beyond_the_limit_have_one_line_and_are_not_read() -> None:
    register = Register(MARKETPLACE)
    ann, *raters = (register.member() for _ in range(5))
    for points, rater in enumerate(raters, 1):
        register.do(rater, Rate(ann.key, 1, points))
    policy, member = register.draft.policy, register.entry(ann)
    rated = sorted((rater.key, 1, Rating(points, 1)) for points, rater in enumerate(raters, 1))
    unread = iter(rated)

    shown = explain(policy, member, [], unread, 2)
    assert [line.kind for line in shown] == ["base", "rating", "rating", "other ratings"]
    assert [line.rater for line in shown[1:3]] == [rater for rater, _, _ in rated[:2]]
    assert sum(line.points for line in shown) == register.score(ann) == 10
    assert list(unread) == rated[2:]
    assert [line.kind for line in explain(policy, member, [], rated, 4)] == ["base", *["rating"] * 4]
    with pytest.raises(InvariantBroken, match="add up"):  # one is gone, and none were left out
        explain(policy, member, [], rated[1:], 4)


def test_a_line_about_no_record_names_none() -> None:
    assert Line("base", 1_000) == Line("base", 1_000, category=-1, number=-1, record=None, rater=b"", rating=None)
