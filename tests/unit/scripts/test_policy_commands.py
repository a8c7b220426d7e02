"""``registry.py policy``: what operators get wrong is caught, by line; what an amendment does is told."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from chain.content.amendments import amendment_faults, needed_notice_days, worsenings
from chain.content.language import TABLES
from chain.content.policyfile import parse_policy, shipped_policy
from scripts.registry import registry
from scripts.registry_parts.policy_check import check_file, difference
from scripts.registry_parts.policy_doubts import doubts
from scripts.registry_parts.policy_page import PAGE, new_policy, page
from tests.support.commands import exit_code

POLICIES = sorted((Path(__file__).parents[3] / "chain" / "policies").glob("*.toml"))
NEW = new_policy("test")

# What an operator might write instead of something in a new policy, where that is, and what is said about it.
# Mistakes: the policy cannot be used.
MISTAKES = {
    "a key that does not exist": ("answer_days = 20", "anwser_days = 20", "anwser_days", "is not known"),
    "a table that does not exist": ("[quotas]", "[quota]", "[quota]", "quota is not known"),
    "a quota of zero": ("member = 50", "member = 0", "member = 0", "from 1 to 4294967295"),
    "a period beyond a century": ("= 365\n\n# When", "= 40_000\n\n# When", "bodies_days", "from 1 to 36525"),
    "a number in quotes": ("base = 100", 'base = "100"', "base =", "score.base must be an integer"),
    "a fraction": ("scale = 1", "scale = 1.5", "scale =", "raters.scale must be an integer"),
    "no base": ("base = 100\n", "", "[score]", "score.base must be an integer"),
    "an older language": ("language = 2", "language = 1", "language =", "language must be 2"),
    "enrolment by nobody": ('enrolment = "registrar"', 'enrolment = "closed"', "enrolment =", "open, registrar"),
    "tiers in the wrong order": ("from = 50", "from = 150", "from = 150", "must begin below the tier before it"),
    "two tiers of one name": ('"fair"', '"good"', 'name = "good"\nfrom = 50', "is used twice"),
    "a cap at no tier": ('tier_cap = "poor"', 'tier_cap = "bad"', "tier_cap", "must be one of: poor, fair, good"),
    "a severity that is none": ('["serious"]', '["grave"]', '["grave"]', "must be a list of some of: minor, serious"),
    "two categories of one code": ("code = 2", "code = 1", 'code = 1\nname = "fraud"', "is used twice"),
    "max below min": ("max = -10", "max = -40", "max = -40", "from -30 to"),
    "more than all points": ("min = -60", "min = -9_000_000", "min = -9_000_000", "from -1000000"),
    "an end before the repair": (
        "expires_after_days = 365", "expires_after_days = 20", "expires_after_days = 20", "from 30 to 1826",
    ),
    "an end after the retention": (
        "expires_after_days = 1_095", "expires_after_days = 3_000", "expires_after_days = 3_000", "from 365 to 1826",
    ),
    "gone before guardians can act": ("leave_days = 30", "leave_days = 3", "leave_days = 3", "at least recovery_days"),
    "no tier at all": (NEW[NEW.index("[[tier]]") : NEW.index("# How long records")], "", "# Every", "at least one"),
}  # fmt: skip
# Doubts: it can be used, and is hardly meant.
DOUBTS = {
    "a rehearsal's day": ('enrolment = "', 'day_ms = 1_000\nenrolment = "', "day_ms", "a day lasts"),
    "worse announced no longer": ("worse_notice_days = 60", "worse_notice_days = 6", "worse_notice", "no longer"),
    "a look too far back": ("lookback_days = 0", "lookback_days = 2_000", "lookback", "cannot be recorded anyway"),
    "no time for a veto": ("recovery_days = 14", "recovery_days = 1", "recovery_days =", "a thief"),
    "leaving clears records": ("return_days = 1_826", "return_days = 30", "return_days", "rid of records sooner"),
    "two categories of one name": ('"fraud"', '"Breach of contract"', '"Breach', "nobody can tell them apart"),
    "a rating called like a record": ('"dealing"', '"fraud"', 'name = "fraud"\nmin = -3', "nobody can tell them apart"),
    "a tier too high": ("from = 100", "from = 500", "from = 500", "nobody reaches good: no score is above 140"),
    "a floor above one record": (
        'tier_cap = "poor"', "floor = -1", "floor = -1", "the floor is above what one record takes",
    ),
    "a tier too low": (
        'min = -60\nmax = -60\nseverities = ["serious"]\ntier_cap = "poor"', "min = 5\nmax = 5",
        "from = 0", "nobody is in poor: no score is below 50",
    ),
    "everybody begins at the bottom": ("base = 100", "base = 10", "base = 10", "everybody begins in the lowest tier"),
    "a count without a cap": ("from = 50", "from = 50\ncap_records = 3", "cap_records", "no category caps at fair"),
    "a ceiling below one record": ("ceiling = 20", "ceiling = 3", "ceiling = 3", "below what one record gives"),
    "a cap at the top": ('tier_cap = "poor"', 'tier_cap = "good"', "tier_cap", "caps nothing"),
    "a category that does nothing": (
        "min = 5\nmax = 5\nceiling = 20", "min = 0\nmax = 0", "max = 0", "it does nothing",
    ),
    "points without a reason": ("reason = true\n", "", "[[category]]", "nobody asks for a written reason"),
    "a record that is never repaired": (
        "repair_after_days = 365", "repair_after_days = 1_095", 'severities = ["serious"]', "it can never be repaired",
    ),
    "disputed for as long": (
        'tier_cap = "poor"', 'tier_cap = "poor"\ninterim = "stands"', "interim", "makes no deadline shorter",
    ),
    "nothing that could fade": (
        "min = 5\nmax = 5\nceiling = 20", 'min = 0\nmax = 0\nseverities = ["minor"]\nhalf_life_days = 90',
        "half_life_days", "no points that could fade",
    ),
    "one point that fades": (
        "min = 5\nmax = 5\nceiling = 20", "min = 1\nmax = 1\nhalf_life_days = 90", "half_life_days", "has no half",
    ),
    "fading more slowly than it ends": (
        'tier_cap = "poor"', 'tier_cap = "poor"\nhalf_life_days = 1_095', "half_life_days", "before any of its points",
    ),
    "fading before it is answered": (
        'tier_cap = "poor"', 'tier_cap = "poor"\nhalf_life_days = 20', "half_life_days", "half of what it takes",
    ),
    "a severity for nothing": ('["minor", "serious"]', '["serious"]', 'name = "minor"', "no category has the severity"),
    "a life too short to file": (
        "repair_after_days = 30\nexpires_after_days = 365", "repair_after_days = 5\nexpires_after_days = 10",
        "expires_after_days = 10", "no record of minor can be filed",
    ),
    "a life too short for an arbiter": (
        "repair_after_days = 30\nexpires_after_days = 365", "repair_after_days = 5\nexpires_after_days = 25",
        "expires_after_days = 25", "ends before an arbiter can be drawn",
    ),
    "errors for nothing": ("overturned_permille = 500", "overturned_permille = 1000", "permille", "suspended"),
    "one error is too many": (
        "overturned_permille = 500", "overturned_permille = 0\noverturned_minimum = 1", "permille", "suspends an",
    ),
    "errors that nobody counts": ("overturned_minimum = 4", "overturned_minimum = 9_999", "minimum = 9", "hardly ever"),
    "ratings that do not count": (
        "ratings_floor = -20", "ratings_floor = 0", "ratings_cap = 0", "no rating counts",
    ),
    "caps for no rating": (NEW[NEW.index("# In what members") :], "", "[raters]", "raters: there is no [[rating]]"),
    "a rating of nothing": ("min = -3\nmax = 3", "min = 0\nmax = 0", "max = 0", "gives nothing and takes nothing"),
    "one rating fills the cap": ("min = -3\nmax = 3", "min = -3\nmax = 30", "max = 30", "than all together may"),
    "one rating breaks the floor": ("min = -3\nmax = 3", "min = -30\nmax = 3", "min = -30\nmax = 3", "than all"),
    "nobody may rate": ("# least_score = 0", "least_score = 9_999", "least_score", "nobody has a score to rate with"),
    "a mean's scale for a sum": ("scale = 1", "scale = 100", "scale = 100", "it multiplies a mean"),
    "receipts for ever": ('counting = "open"', 'counting = "receipt"', "rating_days", "a receipt never ages"),
    "blame without a reason": ("rating_days = 0", "rating_days = 20", "rating_days", "owes anybody a reason"),
    "too few ratings to count": (
        "# most_given = 50", "most_given = 2", "most_given", "fewer than have to rate",
    ),
    "a quota that locks members out": ("member = 50", "member = 1", "member = 1", "locks a member out"),
    "a quota that locks offices out": ("office = 5_000", "office = 2", "office = 2", "locks an authority out"),
    "nobody can enrol": ("registrar = 500", "registrar = 1", "registrar = 1", "locks a registrar out"),
    "more for who is fresh": ("fresh = 20", "fresh = 100", "fresh = 100", "member holds"),
    "fresh days for nothing": ("fresh = 20\n", "", "fresh_days =", "without fresh it does nothing"),
    "strangers fill the blocks": ('enrolment = "registrar"', 'enrolment = "open"', "strangers", "fill whole blocks"),
    "a share of nothing": ("strangers_permille = 1_000", "strangers_permille = 10", "strangers", "does nothing"),
    "one may shout": ("member = 50", "# member = 50", "[quotas]", "shout all others down"),
}  # fmt: skip
# What has to be changed as well for the doubt to arise.
_ALSO = {
    "a tier too low": ("reason = true", "reason = true\nfloor = -30\n"),
    "disputed for as long": ("disputed_days = 10", "disputed_days = 20"),
    "ratings that do not count": ("ratings_cap = 20", "ratings_cap = 0"),
    "too few ratings to count": ("least_raters = 0", "least_raters = 3"),
    "one error is too many": ("overturned_minimum = 4\n", ""),
}


def changed(tmp_path: Path, old: str, new: str, also: tuple[str, str] = ("", "")) -> tuple[Path, str]:
    assert old in NEW
    text = NEW.replace(old, new, 1)
    if also[0]:
        assert also[0] in text
        text = text.replace(*also, 1)
    file = tmp_path / "policy.toml"
    file.write_text(text, encoding="utf-8")
    return file, text


def line_in(text: str, marked: str) -> int:
    return text[: text.index(marked)].count("\n") + 1


@pytest.mark.parametrize(("old", "new", "marked", "told"), MISTAKES.values(), ids=MISTAKES)
def test_what_operators_get_wrong_is_an_error_with_its_line(
    tmp_path: Path, old: str, new: str, marked: str, told: str
) -> None:
    file, text = changed(tmp_path, old, new)
    (error,), warnings = check_file(file)
    assert (told in error.text, warnings) == (True, [])
    assert line_in(text, marked) <= error.line <= line_in(text, marked) + 3


@pytest.mark.parametrize("name", DOUBTS)
def test_what_is_hardly_meant_is_a_warning_with_its_line(tmp_path: Path, name: str) -> None:
    old, new, marked, told = DOUBTS[name]
    file, text = changed(tmp_path, old, new, _ALSO.get(name, ("", "")))
    errors, warnings = check_file(file)
    found = [warning for warning in warnings if told in warning.text]
    assert (errors, len(found)) == ([], 1), warnings
    # a list of tables is complete with the line after it
    assert line_in(text, marked) <= found[0].line <= line_in(text, marked) + 3


def test_sixty_are_told_apart() -> None:
    assert len(MISTAKES) + len(DOUBTS) >= 60


def test_several_mistakes_are_told_at_once(tmp_path: Path) -> None:
    wrong = (("version = 1", "version = 0"), ("base = 100", ""), ("answer_days = 20", "answer_days = 0"))
    text = NEW
    for pair in (*wrong, ("code = 2", "code = -2"), ("office = 5_000", "offices = 5_000")):
        text = text.replace(*pair, 1)
    file = tmp_path / "policy.toml"
    file.write_text(text, encoding="utf-8")
    errors, _ = check_file(file)
    fields = ["version", "score.base", "periods.answer_days", "quotas.offices", "category[2].code"]
    assert [error.field for error in errors] == fields


@pytest.mark.parametrize("text", ["", "x = 1", "score = 1", "tier = 3", "category = [1]", "[[category]]", "rights = 1"])
def test_what_is_hardly_a_policy_has_mistakes_too(tmp_path: Path, text: str) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(text, encoding="utf-8")
    errors, _ = check_file(file)
    assert {"score.base", "tier"} <= {error.field for error in errors}


# ------------------------------------------------------------------------------------------------- the commands


def run(*args: str | Path) -> int:
    return exit_code(registry, ["policy", *map(str, args)])


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_what_ships_has_nothing_hardly_meant(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert doubts(parse_policy(text), tomllib.loads(text)) == []


@pytest.mark.parametrize("name", ["plain", 'with "quotes" and \\'])
def test_a_new_policy_passes(tmp_path: Path, name: str) -> None:
    file = tmp_path / "new.toml"
    assert run("new", file, "--name", name) == 0
    assert parse_policy(file.read_text(encoding="utf-8")).name == name
    assert run("check", file) == 0


def test_a_new_policy_says_every_key_of_its_tables() -> None:
    told = tomllib.loads(NEW.replace("# least_score", "least_score").replace("# most_given", "most_given"))
    for table in ("score", "periods", "authorities", "rights", "identity", "raters", "quotas"):
        assert list(told[table]) == [field.name for field in TABLES[table]]


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "new.toml"
    file.write_text("mine", encoding="utf-8")
    assert run("new", file) == 2
    assert "exists and holds something else" in capsys.readouterr().err
    assert run("new", tmp_path / "b.toml", "--name", "a\tb") == 2
    assert "the name must be a text" in capsys.readouterr().err


def test_what_check_ends_with_and_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, text = changed(tmp_path, "member = 50", "member = 1")
    assert run("check", file) == 1
    line = line_in(text, "member = 1")
    told = "warning: quotas.member: 1 a day locks a member out of its own affairs"
    assert capsys.readouterr().out.splitlines()[0] == f"{file}:{line}: {told}"
    file, text = changed(tmp_path, "member = 50", "member = 0")
    assert run("check", file, "--json") == 2
    found = json.loads(capsys.readouterr().out)
    assert [(row["line"], row["field"]) for row in found["errors"]] == [(line, "quotas.member")]
    file.write_text("name =", encoding="utf-8")
    assert run("check", file) == 2
    assert "not valid TOML" in capsys.readouterr().err


def test_diff_says_what_an_amendment_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = (parse_policy(text) for text in (NEW, NEW.replace("version = 1", "version = 2")))
    assert difference(old, new)["notice_days"] == needed_notice_days(old, new) == 30
    worse, _ = changed(tmp_path, "hearing_days = 5", "hearing_days = 4", ("version = 1", "version = 2"))
    base = tmp_path / "old.toml"
    base.write_text(NEW, encoding="utf-8")
    assert run("diff", base, worse, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["worse"], found["notice_days"]) == (["hearing_days falls from 5 to 4"], 60)
    assert found["worse"] == worsenings(old, parse_policy(worse.read_text(encoding="utf-8")))
    assert [row["rule"] for row in found["changes"]] == ["version", "rights.hearing_days"]
    assert "heard for so long" in found["changes"][1]["means"]


def test_diff_says_everything_that_may_not_be(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("diff", "municipal", "marketplace") == 1
    told = capsys.readouterr().out
    faults = amendment_faults(shipped_policy("municipal"), shipped_policy("marketplace"))
    assert len(faults) > 20
    assert all(fault in told for fault in faults)


def test_the_page_is_what_the_language_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "uv run scripts/registry.py policy reference --write"
