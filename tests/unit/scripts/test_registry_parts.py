"""What people write, the words of refusals, and how a transaction is followed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar, cast

import pytest

from chain.errors import OperatorError, Reason, Refused
from chain.meanings import MEANINGS
from chain.policy import shipped_policy
from scripts.registry_parts.face import Found, NodeAway, NodeFace
from scripts.registry_parts.follow import Dropped, Follower, NotInTime, Until
from scripts.registry_parts.inputs import (
    Consent,
    find_category,
    find_points,
    find_severity,
    read_consent,
    read_slot,
    read_start,
)
from scripts.registry_parts.refusals import show
from tests.support.world import GENESIS_MS, genesis_of

_T = TypeVar("_T")
CITY = shipped_policy("municipal")
LOAN = CITY.categories[1]
GENESIS = genesis_of(1)
DAY_SLOTS = 86_400


# --------------------------------------------------------------------------------------------------- refusals


def test_a_refusal_says_the_rule_what_is_needed_and_when(capsys: pytest.CaptureFixture[str]) -> None:
    refusal = Refused(Reason.TOO_EARLY, f"not before slot {DAY_SLOTS}")
    show(refusal, "not done", GENESIS)
    assert capsys.readouterr().err.splitlines() == [
        "refused: not done (too_early)",
        f"  rule    {MEANINGS[Reason.TOO_EARLY].rule}",
        f"  here    not before slot {DAY_SLOTS}",
        f"  when    slot {DAY_SLOTS} is 1970-01-02 00:16 UTC",
        f"  needed  {MEANINGS[Reason.TOO_EARLY].needed}",
    ]


# ------------------------------------------------------------------------------------------------------ names


@pytest.mark.parametrize("text", ["1", "contract or loan default", "Contract or Loan DEFAULT", "loan default"])
def test_a_category_is_found_by_code_name_or_part_of_the_name(text: str) -> None:
    assert find_category(CITY.categories, text) is LOAN


@pytest.mark.parametrize(
    ("text", "why"),
    [("999", "is no category"), ("", "fits several"), ("drinking tea", "is no category"), ("-1", "is no category")],
)
def test_no_category_or_several_is_said_with_the_choice(text: str, why: str) -> None:
    with pytest.raises(OperatorError, match=f"{why}.*choose from 1 contract or loan default"):
        find_category(CITY.categories, text)


def test_a_policy_without_such_categories_says_so() -> None:
    with pytest.raises(OperatorError, match="knows none of this kind"):
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
    assert read_start(GENESIS, CITY, "2d", 100) == 100 + 2 * DAY_SLOTS
    assert read_start(GENESIS, CITY, None, 100) == 100 + (CITY.notice_days + CITY.motion_days) * DAY_SLOTS
    assert read_start(GENESIS, CITY, "500", 100) == 500
    with pytest.raises(OperatorError, match="--effective"):
        read_start(GENESIS, CITY, "soon", 100)


# --------------------------------------------------------------------------------------------------- consents


def test_a_consent_survives_being_passed_on() -> None:
    consent = Consent(bytes(range(32)), bytes(32), 2**64 - 1, bytes(64))
    token = consent.to_token()
    assert token.isascii()
    assert not set(token) & set("=+/ \n")
    assert read_consent(f"  {token}\n") == consent


def test_a_consent_that_lost_something_is_refused() -> None:
    token = Consent(bytes(32), bytes(32), 7, bytes(64)).to_token()
    broken = ["", "gfc1", token[4:], token[:-1], token + "A", token.replace("gfc1", "gfc2"), "gfc1" + "é" * 8, "gfc1AA"]
    for text in broken:
        with pytest.raises(OperatorError, match="copy all"):
            read_consent(text)


# -------------------------------------------------------------------------------------------------- following

WAITING, INCLUDED, FINAL, UNKNOWN = (
    Found("waiting", None),
    Found("included", 5),
    Found("final", 5),
    Found("unknown", None),
)
ID = bytes(32)


class ScriptedFace:
    """A node whose answers about one transaction are written down; the last of them stays.

    The head moves by one block a look.  ``refusals`` are those of trials, None where one passes.
    """

    def __init__(self, found: Sequence[Found | None], refusals: Sequence[Refused | None] = (None,)) -> None:
        self._found = iter_then_last(found)
        self._refusals = iter_then_last(refusals)
        self.height = 0
        self.trials = 0
        self.offers = 0

    def status(self) -> dict[str, int]:
        self.height += 1
        return {"height": self.height, "finalized_height": self.height - 1}

    def find(self, _transaction_id: bytes) -> Found:
        found = next(self._found)
        if found is None:
            raise NodeAway("no node answers")
        return found

    def try_out(self, _raw: bytes) -> None:
        self.trials += 1
        refusal = next(self._refusals)
        if refusal is not None:
            raise refusal

    def submit(self, _raw: bytes) -> None:
        self.offers += 1


def iter_then_last(items: Sequence[_T]) -> Iterator[_T]:
    yield from items
    while True:
        yield items[-1]


class Wait:
    """A wait with a clock that moves only while it sleeps."""

    def __init__(self, face: ScriptedFace, raw: bytes | None = b"raw") -> None:
        self.told: list[str] = []
        self.now_s = 0.0
        node = cast(NodeFace, face)
        self.follower = Follower(node, ID, raw, 1000, self.told.append, clock=lambda: self.now_s, sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        assert 0.1 <= seconds <= 1
        self.now_s += seconds

    def until(self, until: Until, timeout_s: float = 10) -> Found:
        return self.follower.wait(until, timeout_s)


def test_a_transaction_is_followed_until_it_is_final() -> None:
    wait = Wait(ScriptedFace([WAITING, WAITING, INCLUDED, INCLUDED, FINAL]))
    assert wait.until("final") == FINAL
    assert wait.told[0] == "waits for a block"
    assert wait.told[1].startswith("included at height 5; final up to height ")
    assert wait.now_s == 1.0


@pytest.mark.parametrize(("until", "found"), [("none", WAITING), ("included", INCLUDED)])
def test_it_is_followed_no_further_than_asked(until: Until, found: Found) -> None:
    assert Wait(ScriptedFace([WAITING, INCLUDED, FINAL])).until(until) == found


def test_a_wait_ends_in_time_and_says_how_far_it_came() -> None:
    wait = Wait(ScriptedFace([WAITING, INCLUDED]))
    with pytest.raises(NotInTime) as late:
        wait.until("final", 3)
    assert late.value.found == INCLUDED
    assert 3 <= wait.now_s < 4


def test_a_node_that_is_away_for_a_while_is_asked_again() -> None:
    wait = Wait(ScriptedFace([WAITING, None, None, FINAL]))
    assert wait.until("final") == FINAL
    assert wait.told == ["waits for a block", "the node does not answer; trying again", *wait.told[2:]]
    with pytest.raises(NotInTime) as late:
        Wait(ScriptedFace([None])).until("final", 1)
    assert late.value.found is None


@pytest.mark.parametrize("found", [WAITING, UNKNOWN])
def test_what_became_impossible_is_given_up_with_the_rule(found: Found) -> None:
    face = ScriptedFace([found], [Refused(Reason.UNDER_OBJECTION, "an objection is open")])
    with pytest.raises(Dropped) as dropped:
        Wait(face).until("final")
    assert (dropped.value.reason, dropped.value.detail) == (Reason.UNDER_OBJECTION, "an objection is open")
    assert face.offers == 0


def test_what_may_still_become_possible_is_waited_for() -> None:
    face = ScriptedFace([WAITING, WAITING, WAITING, WAITING, FINAL], [Refused(Reason.NONCE_GAP), None])
    assert Wait(face).until("final") == FINAL


def test_what_entered_a_block_during_the_trial_is_not_given_up() -> None:
    face = ScriptedFace([UNKNOWN, INCLUDED, FINAL], [Refused(Reason.NONCE_USED)])
    assert Wait(face).until("final") == FINAL


def test_what_the_node_forgot_is_offered_again() -> None:
    face = ScriptedFace([UNKNOWN, WAITING, FINAL])
    wait = Wait(face)
    assert wait.until("final") == FINAL
    assert face.offers == 1
    assert wait.told[0] == "the node had dropped it; offered again"


def test_a_trial_is_made_once_a_block() -> None:
    class Still(ScriptedFace):
        def status(self) -> dict[str, int]:
            return {"height": 3, "finalized_height": 2}

    face = Still([WAITING] * 5 + [FINAL])
    assert Wait(face).until("final") == FINAL
    assert face.trials == 1


def test_without_its_encoding_an_unknown_one_is_not_waited_for() -> None:
    face = ScriptedFace([WAITING, UNKNOWN])
    assert Wait(face, raw=None).until("final") == UNKNOWN
    assert (face.trials, face.offers) == (0, 0)


def test_a_key_file_is_for_its_owner_only(tmp_path: Path) -> None:
    from p2p.local.home import read_key, write_key  # noqa: PLC0415

    write_key(tmp_path / "key", bytes(range(32)))
    assert read_key(tmp_path / "key").seed == bytes(range(32))
    with pytest.raises(FileExistsError):
        write_key(tmp_path / "key", bytes(32))
