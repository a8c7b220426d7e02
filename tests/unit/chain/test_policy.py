"""Policies: scores and tiers as data, and files that are wrong."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from chain.errors import OperatorError
from chain.policy import MAX_CATEGORIES, MAX_TIERS, SCORE_LIMIT, parse_policy, read_policy, shipped_policy
from chain.transactions import POINTS_LIMIT

MARKET = shipped_policy("marketplace")
DOCUMENT = MARKET.to_document()
TOML = """
name = "test"
version = 3
[score]
base = 1000
ratings_floor = -50
ratings_cap = 40
[[tier]]
name = "high"
from = 1010
[[tier]]
name = "low"
from = 900
[[rating]]
code = 9
name = "nine"
min = -5
max = 5
[[rating]]
code = 2
name = "two"
min = 1
max = 1
"""


def changed(path: str, value: Any) -> dict[str, Any]:
    """The marketplace with one field replaced; ``path`` is like ``tier.0.from``."""
    document: Any = deepcopy(DOCUMENT)
    at = document
    *parents, last = path.split(".")
    for step in parents:
        at = at[int(step) if step.isdigit() else step]
    at[last] = value
    checked: dict[str, Any] = document
    return checked


def test_the_shipped_policy() -> None:
    assert MARKET.name == "marketplace"
    assert [category.name for category in MARKET.ratings.values()] == ["trade"]
    assert (MARKET.ratings[1].low, MARKET.ratings[1].high) == (-10, 10)
    with pytest.raises(OperatorError, match="choose from marketplace"):
        shipped_policy("../marketplace")


@pytest.mark.parametrize(
    ("points", "score"), [(0, 1000), (39, 1039), (40, 1040), (41, 1040), (-50, 950), (-51, 950), (-(10**9), 950)]
)
def test_the_score_is_the_base_plus_capped_ratings(points: int, score: int) -> None:
    assert parse_policy(TOML).score(points) == score


@pytest.mark.parametrize(
    ("score", "tier"), [(1011, "high"), (1010, "high"), (1009, "low"), (900, "low"), (899, "low"), (-(10**9), "low")]
)
def test_the_tier_is_the_first_that_is_reached(score: int, tier: str) -> None:
    assert parse_policy(TOML).tier(score).name == tier


def test_a_document_holds_everything() -> None:
    for policy in (MARKET, parse_policy(TOML)):
        again = read_policy(json.loads(json.dumps(policy.to_document())))
        assert again == policy
        assert again.digest() == policy.digest()


def test_the_digest_ignores_the_order_of_categories_and_of_fields() -> None:
    document = parse_policy(TOML).to_document()
    shuffled = {**dict(reversed(document.items())), "rating": document["rating"][::-1]}
    assert read_policy(shuffled).digest() == parse_policy(TOML).digest()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", "other"),
        ("version", 2),
        ("score.base", 1),
        ("score.ratings_floor", -9_999),
        ("score.ratings_cap", 9_999),
        ("tier.0.name", "other"),
        ("tier.0.from", 51),
        ("rating.0.code", 2),
        ("rating.0.name", "other"),
        ("rating.0.min", -9),
        ("rating.0.max", 9),
        ("rating", []),
    ],
)
def test_the_digest_covers_every_rule(path: str, value: object) -> None:
    assert read_policy(changed(path, value)).digest() != MARKET.digest()


BASE_TIER = {"name": "t", "from": 0}
WRONG = [
    ("name", "", "policy.name must be a text"),
    ("name", "a\tb", "policy.name must be a text"),
    ("name", "\udcff", "policy.name must be a text"),
    ("version", 0, "policy.version must be an integer from 1"),
    ("version", True, "policy.version must be an integer"),
    ("score", None, "score must be a table"),
    ("score", [1], "score must be a table"),
    ("score.base", SCORE_LIMIT + 1, "score.base must be an integer"),
    ("score.base", 1.5, "score.base must be an integer"),
    ("score.ratings_floor", 1, "score.ratings_floor must be an integer"),
    ("score.ratings_cap", -1, "score.ratings_cap must be an integer"),
    ("score.extra", 1, r"score\.extra is not known"),
    ("extra", 1, r"policy\.extra is not known"),
    ("tier", [], "at least one"),
    ("tier", {}, "tier must be a list"),
    ("tier", [BASE_TIER] * (MAX_TIERS + 1), "at most 32"),
    ("tier", [BASE_TIER, BASE_TIER], "must begin below"),
    ("tier", [BASE_TIER, {"name": "u", "from": 1}], "must begin below"),
    ("tier", [5], r"tier\[1\] must be a table"),
    ("tier.1.from", None, r"tier\[2\]\.from must be an integer"),
    ("tier.1.name", 5, r"tier\[2\]\.name must be a text"),
    ("rating", "x", "rating must be a list"),
    ("rating", [{}] * (MAX_CATEGORIES + 1), "at most 1024"),
    ("rating", DOCUMENT["rating"] * 2, r"rating\[2\]\.code 1 is used twice"),
    ("rating.0.code", -1, r"rating\[1\]\.code must be an integer"),
    ("rating.0.code", 2**32, r"rating\[1\]\.code must be an integer"),
    ("rating.0.min", 11, r"rating\[1\]\.max must be an integer from 11"),
    ("rating.0.max", POINTS_LIMIT + 1, r"rating\[1\]\.max must be an integer"),
    ("rating.0.min", -POINTS_LIMIT - 1, r"rating\[1\]\.min must be an integer"),
]


@pytest.mark.parametrize(("path", "value", "sentence"), WRONG, ids=[f"{w[0]}={str(w[1])[:20]!a}" for w in WRONG])
def test_mistakes_name_the_field(path: str, value: object, sentence: str) -> None:
    with pytest.raises(OperatorError, match=sentence):
        read_policy(changed(path, value))


@pytest.mark.parametrize("document", [None, 5, [], "policy"])
def test_what_is_no_table(document: object) -> None:
    with pytest.raises(OperatorError, match="policy must be a table"):
        read_policy(document)


@pytest.mark.parametrize(
    "text",
    ["name =", "a = 1\na = 2", "a = " + "[" * 100_000, "a = " + "9" * 5_000],
    ids=["cut", "twice", "deep", "huge number"],
)
def test_a_file_that_is_no_toml_is_the_operators_to_mend(text: str) -> None:
    with pytest.raises(OperatorError, match="not valid TOML"):
        parse_policy(text)
