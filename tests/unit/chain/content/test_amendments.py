"""Which policy may follow another, and what it worsens."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from chain.content.amendments import amendment_fault, needed_notice_days, worsenings
from chain.content.language import NO_LIMIT
from chain.content.policy import Policy
from chain.content.policyfile import read_policy
from tests.support.policies import DOCUMENT, TEST, changed


def amended(path: str, value: Any) -> Policy:
    return read_policy({**changed(path, value), "version": 4})


NEW_SEVERITY = {"name": "new", "repair_after_days": 1, "expires_after_days": 2}
NEW_CATEGORY = {"code": 5, "name": "five", "min": -1, "max": 1}
TOP, MIDDLE, LOW = DOCUMENT["tier"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("version", 4),
        ("enrolment", "open"),
        ("score.base", 1001),
        ("score.ratings_floor", -49),
        ("score.ratings_cap", 41),
        ("periods.answer_days", 50),
        ("authorities.overturned_permille", 1),
        ("tier.0.from", 1009),
        ("tier.2.from", -5),
        ("tier.1.cap_records", 2),
        ("tier", [{"name": "top", "from": 2000}, *DOCUMENT["tier"]]),
        ("severity.0.expires_after_days", 50),
        ("severity", [*DOCUMENT["severity"], NEW_SEVERITY]),
        ("category", [NEW_CATEGORY, *DOCUMENT["category"]]),
        ("category.1.closed", True),
        ("category.1.max", 0),
        ("category.1.severities", ["light"]),
        ("category.1.tier_cap", "low"),
        ("rating.0.min", -3),
        ("rating.0.closed", True),
        ("rating", [NEW_CATEGORY, *DOCUMENT["rating"]]),
    ],
)
def test_what_an_amendment_may_change(path: str, value: Any) -> None:
    assert amendment_fault(TEST, amended(path, value)) == ""


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("name", "other", "name must stay test"),
        ("day_ms", 999, "day_ms must stay 1000"),
        ("score.base", 999, "base must not get lower than 1000"),
        ("score.ratings_floor", -51, "ratings_floor must not get lower than -50"),
        ("score.ratings_cap", 39, "ratings_cap must not get lower than 40"),
        ("tier.0.from", 1011, "tier high must not begin above 1010"),
        ("tier.2.from", 901, "tier low must not begin above 900"),
        ("tier.0.name", "other", "tier high must keep its name"),
        ("tier", [TOP, MIDDLE, LOW, {"name": "new", "from": 0}], "tier low must keep its name and its place"),
        ("tier", [TOP, {"name": "new", "from": 960}, MIDDLE, LOW], "tier high must keep its name and its place"),
        ("severity", [NEW_SEVERITY, *DOCUMENT["severity"]], "must begin with light, grave"),
        ("category.1.floor", -61, "category 4 must stay, with its name, floor and ceiling"),
        ("category.1.floor", -59, "category 4 must stay"),
        ("category.0.ceiling", 5, "category 3 must stay"),
        ("category.0.name", "other", "category 3 must stay"),
        ("category", DOCUMENT["category"][1:], "category 3 must stay"),
        ("rating.0.name", "other", "category 2 of ratings must stay"),
        ("rating", DOCUMENT["rating"][1:], "category 2 of ratings must stay"),
    ],
)
def test_what_an_amendment_may_not_change(path: str, value: Any, sentence: str) -> None:
    assert sentence in amendment_fault(TEST, amended(path, value))


def test_a_cap_holds_for_no_fewer_records_than_before() -> None:
    old = read_policy(changed("tier.1.cap_records", 3))
    assert "tier middle must not be capped by fewer records than 3" in amendment_fault(
        old, amended("tier.0.from", 1010)
    )
    assert amendment_fault(old, amended("tier.1.cap_records", 4)) == ""


def test_no_tier_and_no_severity_may_go() -> None:
    document = {**deepcopy(DOCUMENT), "version": 4}
    del document["category"][1]["tier_cap"]
    for tiers in ([TOP, MIDDLE], [MIDDLE, LOW]):
        assert "must keep its name" in amendment_fault(TEST, read_policy({**document, "tier": tiers}))
    document["category"][1]["severities"] = []
    fewer = read_policy({**document, "severity": DOCUMENT["severity"][:1]})
    assert "must begin with light, grave" in amendment_fault(TEST, fewer)


@pytest.mark.parametrize("version", [2, 3, 5])
def test_versions_follow_each_other(version: int) -> None:
    assert amendment_fault(TEST, read_policy(changed("version", version))) == "the version must be 4"


WORSE: dict[str, Any] = {
    "answer_days rises from 1 to 2": ("periods.answer_days", 2),
    "ruling_days rises from 2 to 3": ("periods.ruling_days", 3),
    "repair_answer_days rises from 3 to 4": ("periods.repair_answer_days", 4),
    "retention_days rises from 100 to 101": ("periods.retention_days", 101),
    "bodies_days rises from 40 to 41": ("periods.bodies_days", 41),
    "lookback_days rises from 0 to 1": ("rights.lookback_days", 1),
    "disputed_days rises from 8 to 9": ("rights.disputed_days", 9),
    "overturned_permille rises from 250 to 251": ("authorities.overturned_permille", 251),
    "overturned_minimum rises from 8 to 9": ("authorities.overturned_minimum", 9),
    "notice_days falls from 5 to 4": ("periods.notice_days", 4),
    "worse_notice_days falls from 10 to 9": ("rights.worse_notice_days", 9),
    "hearing_days falls from 6 to 5": ("rights.hearing_days", 5),
    "appeal_days falls from 7 to 6": ("rights.appeal_days", 6),
    "window_days falls from 9 to 8": ("rights.window_days", 8),
    "registrar of identity rises from 0 to 1": ("identity", {"registrar": "recovers"}),
    "leave_days of identity rises from 30 to 31": ("identity", {"leave_days": 31}),
    "return_days of identity rises from 1826 to 1827": ("identity", {"return_days": 1_827}),
    "answer_days of raters rises from 20 to 21": ("raters", {"answer_days": 21}),
    "recovery_days of identity falls from 14 to 13": ("identity", {"recovery_days": 13}),
    "annulment_days of identity falls from 20 to 19": ("identity", {"annulment_days": 19}),
    f"member of quotas falls from {NO_LIMIT} to 9": ("quotas", {"member": 9}),
    f"fresh of quotas falls from {NO_LIMIT} to 9": ("quotas", {"fresh": 9}),
    "fresh_days of quotas rises from 14 to 15": ("quotas", {"fresh_days": 15}),
    "enrolment is opened: no registrar sees who enrols": ("enrolment", "open"),
    "repair_after_days of severity light rises to 1": ("severity.0.repair_after_days", 1),
    "expires_after_days of severity light rises to 11": ("severity.0.expires_after_days", 11),
    "five is a new category that can take points or cap the tier": (
        "category",
        [*DOCUMENT["category"], {"code": 5, "name": "five", "min": -1, "max": 1}],
    ),
    "four may take more: down to -31": ("category.1.min", -31),
    "four may give less: up to -11": ("category.1.max", -11),
    "four caps the tier, or at a lower one": ("category.1.tier_cap", "low"),
    "three caps the tier, or at a lower one": ("category.0.tier_cap", "high"),
    "three stands while it is disputed": ("category.0.interim", "stands"),
    "three gives nothing any more": ("category.0.closed", True),
    "four needs no written reason any more": ("category.1.reason", False),
    "four may be graded by other severities": ("category.1.severities", []),
    "four may not be graded as mildly any more": ("category.1.severities", ["grave"]),
    "ratings in nine may take down to -6": ("rating.1.min", -6),
}


@pytest.mark.parametrize(("path", "value"), WORSE.values(), ids=WORSE)
def test_what_an_amendment_worsens_for_the_future_is_named_and_takes_longer(
    path: str, value: Any, request: pytest.FixtureRequest
) -> None:
    new = amended(path, value)
    assert worsenings(TEST, new) == [request.node.callspec.id]
    assert needed_notice_days(TEST, new) == 10
    # what is worse one way is better the other way, and takes the usual notice
    assert needed_notice_days(new, TEST) == new.notice_days or path in ("category", "category.1.severities")


def test_what_is_opened_again_is_named_if_it_can_take_something() -> None:
    closed = read_policy(changed("category.1.closed", True))
    assert worsenings(closed, TEST) == ["four is opened again"]
    closed = read_policy(changed("category.0.closed", True))
    assert worsenings(closed, TEST) == []
    closed = read_policy(changed("rating.1.closed", True))
    assert worsenings(closed, TEST) == ["ratings in nine are opened again"]
    closed = read_policy(changed("rating.0.closed", True))
    assert worsenings(closed, TEST) == []


SLOWER, SOONER = "what {} takes fades more slowly, or not at all", "what {} gives fades sooner"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (0, 30, ("", SOONER)),
        (30, 0, (SLOWER, "")),
        (30, 31, (SLOWER, "")),
        (30, 29, ("", SOONER)),
        (30, 30, ("", "")),
        (0, 36_525, ("", SOONER)),
        (36_525, 0, (SLOWER, "")),
    ],
)
def test_a_half_life_is_worse_the_one_way_for_blame_and_the_other_for_praise(
    before: int, after: int, said: tuple[str, str]
) -> None:
    for at, (name, sentence) in enumerate(zip(("three", "four"), reversed(said), strict=True)):
        path = f"category.{at}.half_life_days"
        old, new = read_policy(changed(path, before)), amended(path, after)
        assert worsenings(old, new) == [sentence.format(name)] * bool(sentence)
        assert amendment_fault(old, new) == "", "what is recorded keeps its own"


def test_a_better_policy_takes_the_usual_notice() -> None:
    new = amended("score.base", 1001)
    assert (worsenings(TEST, new), needed_notice_days(TEST, new)) == ([], 5)
