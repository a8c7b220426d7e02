"""What people write, the words of refusals, and how a transaction is followed."""

from __future__ import annotations

from pathlib import Path

import pytest

from chain.base.errors import OperatorError, Reason, Refused
from chain.base.keys import did_from_key
from chain.base.meanings import MEANINGS
from chain.content.policyfile import shipped_policy
from scripts.console import use_names
from scripts.registry_parts.inputs import (
    Cosignature,
    find_category,
    find_points,
    find_severity,
    read_cosignature,
    read_slot,
    read_start,
)
from scripts.registry_parts.refusals import show
from tests.support.world import GENESIS_MS, genesis_of, secret

CITY = shipped_policy("municipal")
LOAN = CITY.categories[1]
GENESIS = genesis_of(1)
DAY_SLOTS = 86_400


# --------------------------------------------------------------------------------------------------- refusals


def test_a_refusal_says_the_rule_what_is_needed_and_when(capsys: pytest.CaptureFixture[str]) -> None:
    refusal = Refused(Reason.TOO_EARLY, f"not before slot {DAY_SLOTS}")
    show(refusal, "nothing was changed", GENESIS)
    assert capsys.readouterr().err.splitlines() == [
        "refused: nothing was changed (too_early)",
        f"  rule    {MEANINGS[Reason.TOO_EARLY].rule}",
        f"  here    not before slot {DAY_SLOTS}",
        f"  when    slot {DAY_SLOTS} is 1970-01-02 00:16 UTC",
        f"  needed  {MEANINGS[Reason.TOO_EARLY].needed}",
    ]


def test_a_refusal_names_whom_it_is_about_as_this_machine_does(capsys: pytest.CaptureFixture[str]) -> None:
    did = did_from_key(secret(7).public)
    use_names({did: "Ann"})
    try:
        show(Refused(Reason.NOT_ENROLLED, f"{did} is not enrolled"), "nothing was changed", GENESIS)
    finally:
        use_names({})
    assert f"  here    Ann {did} is not enrolled\n" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------------ names


@pytest.mark.parametrize("text", ["1", "contract or loan default", "Contract or Loan DEFAULT", "loan default"])
def test_a_category_is_found_by_code_name_or_part_of_the_name(text: str) -> None:
    assert find_category(CITY.categories, text) is LOAN


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("999", "is not a category"),
        ("", "fits several"),
        ("drinking tea", "is not a category"),
        ("-1", "is not a category"),
    ],
)
def test_no_category_or_several_is_said_with_the_choice(text: str, why: str) -> None:
    with pytest.raises(OperatorError, match=f"{why}.*choose from 1 contract or loan default"):
        find_category(CITY.categories, text)


def test_a_policy_without_such_categories_says_so() -> None:
    with pytest.raises(OperatorError, match="is not a category of the policy in force, which knows none of this kind"):
        find_category(shipped_policy("marketplace").categories, "1")


def test_a_severity_is_found_by_name_or_code_and_left_out_where_there_is_no_choice() -> None:
    free = next(item for item in CITY.categories.values() if not item.severities)
    assert [find_severity(CITY, LOAN, text) for text in ("minor", "general", "3")] == [1, 2, 3]
    assert find_severity(CITY, free, None) == 0
    for category, text, why in ((LOAN, None, "one of 1 minor"), (LOAN, "mild", "one of"), (free, "minor", "leave out")):
        with pytest.raises(OperatorError, match=why):
            find_severity(CITY, category, text)


def test_points_are_left_out_where_the_category_fixes_them() -> None:
    loose = next(item for item in CITY.categories.values() if item.low != item.high)
    assert find_points(LOAN, None) == LOAN.low == LOAN.high
    assert find_points(loose, loose.high + 1) == loose.high + 1, "what is out of range is refused by the register"
    with pytest.raises(OperatorError, match=f"from {loose.low} to {loose.high}"):
        find_points(loose, None)


# ------------------------------------------------------------------------------------------------------ times


@pytest.mark.parametrize(
    ("text", "slot"),
    [
        ("now", 77),
        ("-5", -5),
        ("12", 12),
        ("1970-01-01", -(GENESIS_MS // 1000)),
        ("1970-01-02", DAY_SLOTS - GENESIS_MS // 1000),
        ("1970-01-02T00:00:30", DAY_SLOTS + 30 - GENESIS_MS // 1000),
        ("1970-01-02T01:00:00+01:00", DAY_SLOTS - GENESIS_MS // 1000),
        ("1969-12-31", -DAY_SLOTS - GENESIS_MS // 1000),
    ],
)
def test_a_time_becomes_a_slot(text: str, slot: int) -> None:
    assert read_slot(GENESIS, text, 77, "--established") == slot


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "1.5", "9" * 18, "-" + "9" * 18, "9" * 30])
def test_what_is_no_time_is_said_with_the_forms(text: str) -> None:
    with pytest.raises(OperatorError, match="--established"):
        read_slot(GENESIS, text, 77, "--established")


def test_an_amendment_binds_days_from_now_or_after_both_periods() -> None:
    assert read_start(GENESIS, CITY, "2d", 100, 30) == 100 + 2 * DAY_SLOTS
    assert read_start(GENESIS, CITY, None, 100, 60) == 100 + (60 + CITY.motion_days) * DAY_SLOTS
    assert read_start(GENESIS, CITY, "500", 100, 30) == 500
    with pytest.raises(OperatorError, match="--effective"):
        read_start(GENESIS, CITY, "soon", 100, 30)


# --------------------------------------------------------------------------------------------------- consents


def test_a_consent_survives_being_passed_on() -> None:
    consent = Cosignature(bytes(range(32)), bytes(32), 2**64 - 1, bytes(64))
    token = consent.to_token()
    assert token.isascii()
    assert not set(token) & set("=+/ \n")
    assert read_cosignature(f"  {token}\n") == consent


def test_a_consent_that_lost_something_is_refused() -> None:
    token = Cosignature(bytes(32), bytes(32), 7, bytes(64)).to_token()
    broken = ["", "gfc1", token[4:], token[:-1], token + "A", token.replace("gfc1", "gfc2"), "gfc1" + "é" * 8, "gfc1AA"]
    for text in broken:
        with pytest.raises(OperatorError, match="copy all"):
            read_cosignature(text)


def test_a_key_file_is_for_its_owner_only(tmp_path: Path) -> None:
    from p2p.local.keyfile import read_key, write_key  # noqa: PLC0415

    write_key(tmp_path / "key", bytes(range(32)))
    assert read_key(tmp_path / "key").seed == bytes(range(32))
    with pytest.raises(FileExistsError):
        write_key(tmp_path / "key", bytes(32))
