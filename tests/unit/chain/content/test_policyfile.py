"""Policies are read: from files that are wrong, from bytes that are hostile."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chain.base.codec import decode, encode
from chain.base.errors import OperatorError, Reason, Refused
from chain.content.actions import POINTS_LIMIT
from chain.content.language import MAX_CATEGORIES, MAX_DAYS, MAX_SEVERITIES, MAX_TIERS, SCORE_LIMIT
from chain.content.policy import Category, Policy, Severity, Tier
from chain.content.policyfile import decode_policy, load_policy, parse_policy, read_policy, shipped_policy
from chain.content.proposals import MAX_POLICY_BYTES
from tests.support.policies import DOCUMENT, TEST, TOML, changed
from tests.support.refusals import refusal


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


def test_an_unknown_name_lists_those_that_ship() -> None:
    with pytest.raises(OperatorError, match="choose from licences, maintainers, marketplace, municipal, suppliers"):
        shipped_policy("../marketplace")


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
