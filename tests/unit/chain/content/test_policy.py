"""Policies: scores and tiers as data, and their digests."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace

import pytest

from chain.base.codec import decode, encode
from chain.base.errors import Reason
from chain.content.policy import Policy
from chain.content.policyfile import decode_policy, read_policy
from tests.support.policies import CITY, DOCUMENT, MARKET, TEST, changed
from tests.support.refusals import refusal


def test_the_marketplace_leaves_out_what_it_does_not_need() -> None:
    assert [category.name for category in MARKET.ratings.values()] == ["trade"]
    assert (MARKET.ratings[1].low, MARKET.ratings[1].high) == (-10, 10)
    assert (MARKET.enrolment_by_registrar, MARKET.day_ms, MARKET.retention_days) == (False, 86_400_000, 1_826)
    assert (MARKET.severities, MARKET.categories, MARKET.overturned_permille) == ((), {}, 1_000)


def test_the_municipal_policy_says_what_its_sources_say() -> None:
    assert CITY.enrolment_by_registrar
    assert CITY.tier(CITY.level(CITY.score(0, 0))).name == "A"
    begins = {"D": 599, "C": 600, "B": 850, "A": 960, "AA": 1030, "AAA": 1050}
    assert {CITY.tier(CITY.level(score)).name: score for score in begins.values()} == begins
    assert [(item.repair_after_days, item.expires_after_days) for item in CITY.severities] == [
        (0, 90),
        (90, 365),
        (365, 1_095),
    ]
    drunk = CITY.categories[14]
    assert drunk.tier_cap is not None
    assert CITY.tier(CITY.level(2_000, [drunk.tier_cap])).name == "C"
    volunteering = [CITY.categories[code] for code in range(111, 116)]
    assert [sum(step.high for step in volunteering[: done + 1]) for done in range(5)] == [5, 10, 15, 20, 30]
    assert all(step.ceiling == step.low == step.high for step in volunteering)
    assert [category.code for category in CITY.categories.values() if category.needs_reason] == [15]


@pytest.mark.parametrize(
    ("records", "ratings", "score"),
    [
        (0, 0, 1000), (0, 39, 1039), (0, 40, 1040), (0, 41, 1040), (0, -50, 950), (0, -51, 950), (0, -(10**9), 950),
        (70, 41, 1110), (-2_000, -51, -1_050),
    ],
)  # fmt: skip
def test_the_score_is_the_base_plus_records_plus_capped_ratings(records: int, ratings: int, score: int) -> None:
    assert TEST.score(records, ratings) == score


@pytest.mark.parametrize(
    ("score", "caps", "name"),
    [
        (10**9, [], "high"), (1010, [], "high"), (1009, [], "middle"), (950, [], "middle"), (949, [], "low"),
        (899, [], "low"), (-(10**9), [], "low"),
        (1010, [2], "high"), (1010, [1], "middle"), (1010, [2, 0, 1], "low"), (949, [1], "low"),
    ],
)  # fmt: skip
def test_the_tier_is_the_one_reached_under_all_caps(score: int, caps: list[int], name: str) -> None:
    assert TEST.tier(TEST.level(score, caps)).name == name


@pytest.mark.parametrize(
    ("policy", "days", "slot_ms", "slots"),
    [(CITY, 20, 1_000, 1_728_000), (CITY, 1, 3_600_000, 24), (TEST, 7, 3_000, 2), (TEST, 2, 3_000, 1), (TEST, 0, 1, 1)],
)
def test_days_are_whole_slots_and_at_least_one(policy: Policy, days: int, slot_ms: int, slots: int) -> None:
    assert policy.slots(days, slot_ms) == slots


@pytest.mark.parametrize("policy", [MARKET, CITY, TEST], ids=lambda policy: policy.name)
def test_documents_and_bytes_hold_everything(policy: Policy) -> None:
    for again in (read_policy(json.loads(json.dumps(policy.to_document()))), decode_policy(policy.encode())):
        assert again == policy
        assert again.digest() == policy.digest()


def test_the_digest_ignores_the_order_of_categories_and_of_fields() -> None:
    shuffled = dict(reversed(deepcopy(DOCUMENT).items()))
    for name in ("rating", "category"):
        shuffled[name] = shuffled[name][::-1]
    shuffled["category"][1]["severities"].reverse()
    assert read_policy(shuffled).digest() == TEST.digest()


def test_a_policy_that_says_nothing_of_bodies_stays_what_it_was_before_policies_could() -> None:
    usual = replace(TEST, bodies_days=365)
    assert usual.digest().hex() == "25133850c3aed60159904c29f357192e3767fe6138fd624b324d4bf246b7b0dc"
    assert decode_policy(usual.encode()) == usual
    assert decode_policy(TEST.encode()) == TEST
    assert len(TEST.encode()) == len(usual.encode()) + 1


def test_what_is_usual_is_not_encoded_a_second_way() -> None:
    fields = list(decode(replace(TEST, bodies_days=365).encode(), max_bytes=10_000, max_items=99))
    fields[6] = (*fields[6], 365)
    assert refusal(decode_policy, encode(tuple(fields))) is Reason.MALFORMED


def test_a_category_that_does_not_fade_stays_what_it_was_before_categories_could() -> None:
    fades = read_policy(changed("category.0.half_life_days", 200))
    assert (TEST.categories[3].half_life_days, fades.categories[3].half_life_days) == (0, 200)
    assert decode_policy(fades.encode()) == fades == read_policy(fades.to_document())
    assert len(fades.encode()) == len(TEST.encode()) + 2
    assert read_policy(changed("category.0.half_life_days", 0)).encode() == TEST.encode()


def test_that_nothing_fades_is_not_encoded_a_second_way() -> None:
    fields = list(decode(TEST.encode(), max_bytes=10_000, max_items=99))
    assert fields[11][0][:2] == (3, b"three")
    fields[11] = ((*fields[11][0], 0), *fields[11][1:])
    assert refusal(decode_policy, encode(tuple(fields))) is Reason.MALFORMED


def test_the_digest_stays_what_it_is() -> None:
    assert TEST.digest().hex() == "3c7292b6201a7872f048c80d4f2d3c58112669dab8b359438658a111731cd7c6"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", "other"),
        ("version", 2),
        ("day_ms", 1001),
        ("enrolment", "open"),
        ("score.base", 1),
        ("score.ratings_floor", -51),
        ("score.ratings_cap", 41),
        *((f"periods.{name}", 99) for name in DOCUMENT["periods"] if name != "retention_days"),
        ("periods.retention_days", 101),
        ("authorities.overturned_permille", 251),
        ("authorities.overturned_minimum", 9),
        *((f"rights.{name}", 99) for name in DOCUMENT["rights"]),
        ("category.1.interim", "suspended"),
        ("tier.0.name", "other"),
        ("tier.0.from", 1011),
        ("tier.0.cap_records", 2),
        ("severity.0.repair_after_days", 1),
        ("severity.0.expires_after_days", 11),
        ("category.1.code", 5),
        ("category.1.name", "other"),
        ("category.1.min", -31),
        ("category.1.max", -9),
        ("category.1.floor", -61),
        ("category.1.ceiling", 1),
        ("category.1.severities", ["light"]),
        ("category.1.severities", []),
        ("category.1.reason", False),
        ("category.1.tier_cap", "low"),
        ("category.0.tier_cap", "high"),
        ("category.1.closed", True),
        ("category", []),
        ("rating.0.code", 3),
        ("rating.0.name", "other"),
        ("rating.0.min", 0),
        ("rating.0.max", 2),
        ("rating.0.closed", True),
        ("rating", []),
    ],
)
def test_the_digest_covers_every_rule(path: str, value: object) -> None:
    assert read_policy(changed(path, value)).digest() != TEST.digest()


@pytest.mark.parametrize(("records", "holds"), [(0, []), (2, []), (3, [1]), (4, [1])])
def test_a_cap_holds_from_so_many_records_on(records: int, holds: list[int]) -> None:
    assert read_policy(changed("tier.1.cap_records", 3)).holding([(1, records)]) == holds
    assert TEST.holding([(0, 1), (1, 1)]) == [0, 1]
