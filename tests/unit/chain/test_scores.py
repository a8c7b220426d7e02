"""Scores, tiers and their explanation."""

from __future__ import annotations

import pytest

from chain.actions import CORRECT, Answer, Object, Rate
from chain.entries import Rating
from chain.errors import InvariantBroken
from chain.scores import Line, Standing, explain
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


@pytest.mark.parametrize("aggregation", ["sum", "mean"])
def test_of_very_many_ratings_the_first_have_a_line_each(aggregation: str) -> None:
    rating = [{"code": code, "name": f"trade {code}", "min": -10, "max": 10} for code in (1, 2)]
    raters = {"aggregation": aggregation, "scale": 10}
    score = {"base": 1000, "ratings_floor": -99, "ratings_cap": 99}
    register = Register(altered(MUNICIPAL, score=score, rating=rating, raters=raters))
    ann, *others = (register.member() for _ in range(4))
    for points, other in enumerate(others, 3):
        for code in (1, 2):
            register.do(other, Rate(ann.key, code, points))
    entry = register.entry(ann)
    ratings = sorted((other.key, code, Rating(points, 1)) for points, other in enumerate(others, 3) for code in (1, 2))
    lines = explain(register.draft.policy, entry, [], ratings, 4)
    further = sum(rating.points for _, _, rating in ratings[4:])
    assert [line.kind for line in lines[:6]] == ["base", *["rating"] * 4, "further ratings"]
    assert (lines[5].points, sum(line.points for line in lines)) == (further, register.score(ann))
    assert explain(register.draft.policy, entry, [], ratings, 6) == explain(register.draft.policy, entry, [], ratings)


def test_a_line_about_no_record_names_none() -> None:
    assert Line("base", 1_000) == Line("base", 1_000, category=-1, number=-1, record=None, rater=b"", rating=None)
