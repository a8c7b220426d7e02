"""Policies: scores and tiers as data, files that are wrong, bytes that are hostile, amendments."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chain.base.codec import decode, encode
from chain.base.errors import OperatorError, Reason, Refused
from chain.content.actions import POINTS_LIMIT
from chain.content.amendments import amendment_fault, needed_notice_days, worsenings
from chain.content.language import MAX_CATEGORIES, MAX_DAYS, MAX_SEVERITIES, MAX_TIERS, NO_LIMIT, SCORE_LIMIT
from chain.content.policy import Category, Policy, Severity, Tier
from chain.content.policyfile import decode_policy, load_policy, parse_policy, read_policy, shipped_policy
from chain.content.proposals import MAX_POLICY_BYTES
from tests.support.refusals import refusal

TOML = """
language = 2
name = "test"
version = 3
day_ms = 1000
enrolment = "registrar"
[score]
base = 1000
ratings_floor = -50
ratings_cap = 40
[periods]
answer_days = 1
ruling_days = 2
repair_answer_days = 3
motion_days = 4
notice_days = 5
retention_days = 100
bodies_days = 40
[authorities]
overturned_permille = 250
overturned_minimum = 8
[rights]
lookback_days = 0
hearing_days = 6
appeal_days = 7
disputed_days = 8
window_days = 9
worse_notice_days = 10
[[tier]]
name = "high"
from = 1010
[[tier]]
name = "middle"
from = 950
[[tier]]
name = "low"
from = 900
[[severity]]
name = "light"
repair_after_days = 0
expires_after_days = 10
[[severity]]
name = "grave"
repair_after_days = 20
expires_after_days = 100
[[category]]
code = 4
name = "four"
min = -30
max = -10
floor = -60
ceiling = 0
severities = ["light", "grave"]
reason = true
tier_cap = "middle"
closed = false
interim = "stands"
[[category]]
code = 3
name = "three"
min = 1
max = 5
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
TEST = parse_policy(TOML)
DOCUMENT = TEST.to_document()
MARKET = shipped_policy("marketplace")
CITY = shipped_policy("municipal")


def changed(path: str, value: Any) -> dict[str, Any]:
    """The test policy with one field replaced; ``path`` is like ``tier.0.from``."""
    document: Any = deepcopy(DOCUMENT)
    at = document
    *parents, last = path.split(".")
    for step in parents:
        at = at[int(step) if step.isdigit() else step]
    at[last] = value
    checked: dict[str, Any] = document
    return checked


# ------------------------------------------------------------------------------------------- what a policy says


def test_everything_in_the_file_is_read() -> None:
    assert (
        Policy(
            name="test",
            version=3,
            day_ms=1000,
            enrolment_by_registrar=True,
            base=1000,
            ratings_floor=-50,
            ratings_cap=40,
            answer_days=1,
            ruling_days=2,
            repair_answer_days=3,
            motion_days=4,
            notice_days=5,
            retention_days=100,
            bodies_days=40,
            overturned_permille=250,
            overturned_minimum=8,
            lookback_days=0,
            hearing_days=6,
            appeal_days=7,
            disputed_days=8,
            window_days=9,
            worse_notice_days=10,
            tiers=(Tier("high", 1010), Tier("middle", 950), Tier("low", 900)),
            severities=(Severity("light", 0, 10), Severity("grave", 20, 100)),
            categories={
                4: Category(4, "four", -30, -10, -60, 0, (1, 2), True, 1, False, True),
                3: Category(3, "three", 1, 5, -SCORE_LIMIT, SCORE_LIMIT, (), False, None, False),
            },
            ratings={code: TEST.ratings[code] for code in (2, 9)},
        )
        == TEST
    )
    assert (TEST.ratings[9].name, TEST.ratings[9].low, TEST.ratings[9].high) == ("nine", -5, 5)


def test_the_marketplace_leaves_out_what_it_does_not_need() -> None:
    assert [category.name for category in MARKET.ratings.values()] == ["trade"]
    assert (MARKET.ratings[1].low, MARKET.ratings[1].high) == (-10, 10)
    assert (MARKET.enrolment_by_registrar, MARKET.day_ms, MARKET.retention_days) == (False, 86_400_000, 1_826)
    assert (MARKET.severities, MARKET.categories, MARKET.overturned_permille) == ((), {}, 1_000)


def test_what_holds_where_a_file_says_nothing() -> None:
    left_out = ("day_ms", "periods", "authorities", "rights")
    policy = read_policy({name: value for name, value in DOCUMENT.items() if name not in left_out})
    usual = replace(
        TEST,
        day_ms=86_400_000,
        answer_days=20,
        ruling_days=20,
        repair_answer_days=20,
        motion_days=30,
        notice_days=30,
        retention_days=1_826,
        bodies_days=365,
        overturned_permille=1_000,
        overturned_minimum=1,
        hearing_days=5,
        appeal_days=20,
        disputed_days=10,
        window_days=365,
        worse_notice_days=60,
    )
    assert policy == usual


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


def test_an_unknown_name_lists_those_that_ship() -> None:
    with pytest.raises(OperatorError, match="choose from licences, maintainers, marketplace, municipal, suppliers"):
        shipped_policy("../marketplace")


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


# -------------------------------------------------------------------------------------- documents and digests


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


# ------------------------------------------------------------------------------------------------ wrong files

BASE_TIER = {"name": "t", "from": 0}
A_SEVERITY = {"name": "s", "repair_after_days": 1, "expires_after_days": 1}
WRONG = [
    ("name", "", "policy: name must be a text of 1 to 64"),
    ("name", "x" * 65, "name must be a text"),
    ("name", "a\tb", "name must be a text"),
    ("name", "a\u202eb", "name must be a text"),
    ("name", "\udcff", "name must be a text"),
    ("version", 0, "version must be an integer from 1"),
    ("version", True, "version must be an integer"),
    ("day_ms", 0, "day_ms must be an integer from 1 to 86400000"),
    ("day_ms", 86_400_001, "day_ms must be an integer"),
    ("enrolment", "closed", "enrolment must be one of: open, registrar"),
    ("enrolment", None, "enrolment must be one of"),
    ("enrolment", ["open"], "enrolment must be one of"),
    ("score", None, "score must be a table"),
    ("score", [1], "score must be a table"),
    ("score", {}, "score.base must be an integer"),
    ("score.base", SCORE_LIMIT + 1, "score.base must be an integer"),
    ("score.base", 1.5, "score.base must be an integer"),
    ("score.ratings_floor", 1, "score.ratings_floor must be an integer"),
    ("score.ratings_cap", -1, "score.ratings_cap must be an integer"),
    ("score.extra", 1, r"score\.extra is not known; remove it or choose from base, "),
    ("extra", 1, r"policy: extra is not known"),
    ("periods", [], "periods must be a table"),
    ("periods.notice_days", 0, "periods.notice_days must be an integer from 1"),
    ("periods.motion_days", MAX_DAYS + 1, "periods.motion_days must be an integer"),
    ("periods.retention_days", 99, r"severity\[2\]\.expires_after_days must be an integer from 20 to 99"),
    ("authorities.overturned_permille", 1001, "overturned_permille must be an integer from 0 to 1000"),
    ("authorities.overturned_minimum", 0, "overturned_minimum must be an integer from 1"),
    ("tier", [], "at least one"),
    ("tier", {}, "tier must be a list"),
    ("tier", [BASE_TIER] * (MAX_TIERS + 1), "at most 32"),
    ("tier", [BASE_TIER, BASE_TIER], r"tier\[2\]\.name 't' is used twice"),
    ("tier", [BASE_TIER, {"name": "u", "from": 0}], r"tier\[2\]\.from must begin below"),
    ("tier", [5], r"tier\[1\] must be a table"),
    ("tier.1.from", None, r"tier\[2\]\.from must be an integer"),
    ("tier.1.name", 5, r"tier\[2\]\.name must be a text"),
    ("severity", [A_SEVERITY] * (MAX_SEVERITIES + 1), "at most 8"),
    ("severity", [A_SEVERITY, A_SEVERITY], r"severity\[2\]\.name 's' is used twice"),
    ("severity.0.repair_after_days", -1, r"severity\[1\]\.repair_after_days must be an integer from 0"),
    ("severity.0.expires_after_days", 0, r"severity\[1\]\.expires_after_days must be an integer from 1"),
    ("severity.1.expires_after_days", 19, r"severity\[2\]\.expires_after_days must be an integer from 20 to 100"),
    ("category", "x", "category must be a list"),
    ("category", [{}] * (MAX_CATEGORIES + 1), "at most 256"),
    ("category", DOCUMENT["category"] * 2, r"category\[3\]\.code 3 is used twice"),
    ("category.0.code", -1, r"category\[1\]\.code must be an integer"),
    ("category.0.name", "", r"category\[1\]\.name must be a text"),
    ("category.0.min", 6, r"category\[1\]\.max must be an integer from 6"),
    ("category.0.max", POINTS_LIMIT + 1, r"category\[1\]\.max must be an integer"),
    ("category.0.floor", 1, r"category\[1\]\.floor must be an integer from -\d+ to 0"),
    ("category.0.ceiling", -1, r"category\[1\]\.ceiling must be an integer from 0"),
    ("category.0.severities", "light", r"category\[1\]\.severities must be a list of some of: light, grave"),
    ("category.0.severities", ["heavy"], "must be a list of some of: light, grave"),
    ("category.0.severities", [["light"]], "must be a list of some of: light, grave"),
    ("category.0.severities", ["light", "light"], "severities must name nothing twice"),
    ("category.0.reason", 1, r"category\[1\]\.reason must be true or false"),
    ("category.0.closed", "no", r"category\[1\]\.closed must be true or false"),
    ("category.0.tier_cap", "top", r"category\[1\]\.tier_cap must be one of: low, middle, high"),
    ("category.0.tier_cap", 0, r"category\[1\]\.tier_cap must be one of"),
    ("tier.1.cap_records", 0, r"tier\[2\]\.cap_records must be an integer from 1"),
    ("rating.0.closed", 1, r"rating\[1\]\.closed must be true or false"),
    ("rating", "x", "rating must be a list"),
    ("rating", [{}] * (MAX_CATEGORIES + 1), "at most 256"),
    ("rating", DOCUMENT["rating"] * 2, r"rating\[3\]\.code 2 is used twice"),
    ("rating.0.code", 2**32, r"rating\[1\]\.code must be an integer"),
    ("rating.0.min", 2, r"rating\[1\]\.max must be an integer from 2"),
    ("rating.0.min", -POINTS_LIMIT - 1, r"rating\[1\]\.min must be an integer"),
]


@pytest.mark.parametrize(("path", "value", "sentence"), WRONG, ids=[f"{w[0]}={str(w[1])[:20]!a}" for w in WRONG])
def test_mistakes_name_the_field(path: str, value: object, sentence: str) -> None:
    with pytest.raises(OperatorError, match=sentence):
        read_policy(changed(path, value))


RIGHT = {
    "version": (1, 2**32 - 1),
    "day_ms": (1, 86_400_000),
    "score.base": (-(10**12), 10**12),
    "score.ratings_floor": (-(10**12), 0),
    "score.ratings_cap": (0, 10**12),
    "periods.answer_days": (1, 36_525),
    "periods.retention_days": (100, 36_525),
    "authorities.overturned_permille": (0, 1_000),
    "authorities.overturned_minimum": (1, 2**32 - 1),
    "tier.0.from": (951, 10**12),
    "tier.2.from": (-(10**12), 949),
    "severity.0.repair_after_days": (0, 10),
    "severity.0.expires_after_days": (1, 100),
    "category.0.code": (0, 2**32 - 1),
    "category.0.min": (-1_000_000, 5),
    "category.0.max": (1, 1_000_000),
    "category.0.floor": (-(10**12), 0),
    "category.0.ceiling": (0, 10**12),
    "rating.0.code": (0, 2**32 - 1),
    "rating.0.min": (-1_000_000, 1),
    "rating.0.max": (1, 1_000_000),
}


@pytest.mark.parametrize(("path", "ends"), RIGHT.items(), ids=RIGHT)
def test_both_ends_are_right_and_nothing_beyond(path: str, ends: tuple[int, int]) -> None:
    for value, beyond in zip(ends, (ends[0] - 1, ends[1] + 1), strict=True):
        read_policy(changed(path, value))
        with pytest.raises(OperatorError):
            read_policy(changed(path, beyond))


@pytest.mark.parametrize("document", [None, 5, [], "policy"])
def test_what_is_no_table(document: object) -> None:
    with pytest.raises(OperatorError, match="the document must be a table"):
        read_policy(document)


@pytest.mark.parametrize(
    ("text", "mistake", "marked"),
    [
        ("version = 3", "version = 0", "version = 0"),
        ("from = 950", "from = 1010", "from = 1010\n[[tier]]\nname = \"low\""),
        ('name = "two"', "name = 2", "name = 2"),
        ('tier_cap = "middle"', 'tier_cap = "top"', "tier_cap"),
        ('["light", "grave"]', '[\n"light", # fine\n"heavy"\n]', "]\nreason"),
        ("expires_after_days = 100", "", '[[severity]]\nname = "grave"'),
        ("[score]\nbase = 1000", "[score]", "[score]"),
        ('[[rating]]\ncode = 9\nname = "nine"', '[[rating]]\n"code" = -9\nname = "[[rating]]"', '"code"'),
        ("[authorities]", "[[authorities]]", "[[authorities]]"),
        ("[periods]", "[periods]\nyears = 1", "years"),
    ],
)  # fmt: skip
def test_mistakes_in_a_file_name_the_line(text: str, mistake: str, marked: str) -> None:
    wrong = TOML.replace(text, mistake, 1)
    line = wrong[: wrong.index(marked)].count("\n") + 1
    with pytest.raises(OperatorError, match=f"^policy: line {line}: "):
        parse_policy(wrong)


def test_a_file_without_what_it_needs_is_wrong_from_its_first_line() -> None:
    with pytest.raises(OperatorError, match="policy: line 1: tier must have at least one"):
        parse_policy(TOML[: TOML.index("[[tier]]")])
    with pytest.raises(OperatorError, match="policy: line 1: language must be 2"):
        parse_policy("")


@pytest.mark.parametrize(
    "text",
    ["name =", "a = 1\na = 2", "a = " + "[" * 100_000, "a = " + "9" * 5_000],
    ids=["cut", "twice", "deep", "huge number"],
)
def test_a_file_that_is_no_toml_is_the_operators_to_mend(text: str) -> None:
    with pytest.raises(OperatorError, match="not valid TOML"):
        parse_policy(text)


# -------------------------------------------------------------------------------------------------- the wire


def catalogue(names: list[str]) -> dict[str, Any]:
    rows = [{"code": code, "name": name, "min": 0, "max": 0} for code, name in enumerate(names)]
    return {**DOCUMENT, "category": [], "rating": rows}


def test_a_policy_must_fit_into_a_motion() -> None:
    names = ["信" * 28] * MAX_CATEGORIES
    room = MAX_POLICY_BYTES - len(read_policy(catalogue(names)).encode())
    assert room >= 0
    longer = [name + "信" * 8 for name in names[: room // 24]]
    policy = read_policy(catalogue([*longer, *names[len(longer) :]]))
    assert MAX_POLICY_BYTES - 24 < len(policy.encode()) <= MAX_POLICY_BYTES
    assert decode_policy(policy.encode()) == policy
    with pytest.raises(OperatorError, match="the document is too long: "):
        read_policy(catalogue(["信" * 36] * MAX_CATEGORIES))


def test_more_bytes_than_a_motion_holds_are_not_read() -> None:
    assert refusal(lambda: decode_policy(bytes(MAX_POLICY_BYTES + 1))) == Reason.TOO_LARGE


# Positions of :meth:`Policy.encode`.
WIRE: tuple[Any, ...] = decode(TEST.encode(), max_bytes=MAX_POLICY_BYTES)


def put(value: Any, at: tuple[int, ...], new: Any) -> Any:
    if not at:
        return new
    return (*value[: at[0]], put(value[at[0]], at[1:], new), *value[at[0] + 1 :])


@pytest.mark.parametrize(
    ("at", "value", "field"),
    [
        ((), (), "the document must be a table"),
        ((), WIRE[:-1], "the document must be a table"),
        ((1,), b"", "name must be"),
        ((1,), b"\xff", "canonical"),
        ((1,), 5, "name must be"),
        ((2,), b"3", "version must be"),
        ((3,), b"", "canonical"),
        ((4,), 1, "enrolment must be"),
        ((5,), 5, "score must be a table"),
        ((5, 0), 2**63, r"score\.base must be"),
        ((9,), (), "at least one"),
        ((9, 1), b"tier", r"tier\[2\] must be a table"),
        ((9, 1), (b"tier",), r"tier\[2\] must be a table"),
        ((10, 1, 0), b"light", r"severity\[2\]\.name 'light' is used twice"),
        ((11,), b"", "canonical"),
        ((11,), (WIRE[11][1], WIRE[11][0]), "canonical"),
        ((11, 1, 6), (b"grave", b"light"), "canonical"),
        ((11, 1, 6), (b"heavy",), r"category\[2\]\.severities must be"),
        ((11, 1, 6), b"light", r"category\[2\]\.severities must be"),
        ((11, 1, 7), 2, r"category\[2\]\.reason must be"),
        ((11, 1, 7), b"", "canonical"),
        ((11, 1, 8), b"top", r"category\[2\]\.tier_cap must be"),
        ((11, 1, 9), (), r"category\[2\]\.closed must be"),
        ((12, 0, 2), 2, r"rating\[1\]\.max must be"),
    ],
)
def test_hostile_bytes_are_refused_by_the_same_rules(at: tuple[int, ...], value: Any, field: str) -> None:
    with pytest.raises(Refused, match=field) as caught:
        decode_policy(encode(put(WIRE, at, value)))
    assert caught.value.reason == Reason.MALFORMED


# ------------------------------------------------------------------------------------------------- amendments


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


@pytest.mark.parametrize(("records", "holds"), [(0, []), (2, []), (3, [1]), (4, [1])])
def test_a_cap_holds_from_so_many_records_on(records: int, holds: list[int]) -> None:
    assert read_policy(changed("tier.1.cap_records", 3)).holding([(1, records)]) == holds
    assert TEST.holding([(0, 1), (1, 1)]) == [0, 1]


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


def test_a_policy_file_that_cannot_be_read_is_the_operators_to_mend(tmp_path: Path) -> None:
    latin = tmp_path / "latin.toml"
    latin.write_bytes("name = 'Köln'".encode("latin-1"))
    for path, sentence in ((tmp_path / "none.toml", "cannot be read: No such file"), (latin, "not UTF-8")):
        with pytest.raises(OperatorError, match=sentence):
            load_policy(path)


@pytest.mark.parametrize("language", [None, 1, 3, "2", True])
def test_a_file_of_another_language_is_told_what_to_add(language: Any) -> None:
    document = {name: value for name, value in DOCUMENT.items() if name != "language"}
    document |= {} if language is None else {"language": language}
    with pytest.raises(OperatorError, match=r"language must be 2: .* Write language = 2; .* hearing_days 5"):
        read_policy(document)


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
    "four needs no written reason any more": ("category.1.reason", False),
    "four may be graded by other severities": ("category.1.severities", []),
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


def test_a_better_policy_takes_the_usual_notice() -> None:
    new = amended("score.base", 1001)
    assert (worsenings(TEST, new), needed_notice_days(TEST, new)) == ([], 5)
