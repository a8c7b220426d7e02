"""Random histories of the registry, shrunk where one fails: everything that :mod:`scripts.histories` checks holds."""

from __future__ import annotations

import re
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chain.register import members
from chain.register.draft import Draft
from scripts.histories_parts.breaking import DOCUMENT, Finding, document, until_noticed
from scripts.histories_parts.broken import BROKEN
from scripts.histories_parts.history import live, run_history
from scripts.histories_parts.rights import SENTENCES

# So many histories show each broken rule.
MANY = 800
# Seeds that a long run ended with.
FOUND = (14_707, 20_611)
# Rights that no single broken rule of the chain takes: it would take two, or another machine.
UNBROKEN: set[str] = set()


@given(st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_a_history_holds_whatever_is_chosen(random: Random) -> None:
    assert live(random).violation == ""


def test_a_seed_gives_the_same_history() -> None:
    assert run_history(7) == run_history(7) != run_history(8)


@pytest.mark.parametrize("seed", FOUND)
def test_what_was_found_is_mended(seed: int) -> None:
    assert run_history(seed).violation == ""


def test_histories_meet_what_they_are_for() -> None:
    """Accepted and refused transactions of every kind, so that a choice that never succeeds is noticed."""
    outcomes = [run_history(seed) for seed in range(150)]
    assert [outcome.violation for outcome in outcomes if outcome.violation] == []
    accepted = {kind for outcome in outcomes for kind in outcome.accepted}
    assert accepted == {
        "enrol", "rate", "record", "object", "answer", "rule", "repair", "statement", "rotate", "motion", "approve",
        "evidence", "consent", "lost", "reopen", "appeal", "retract", "dispute", "reply",
        "guardians", "recover", "veto", "annul", "leave", "anchor", "attest",
    }  # fmt: skip
    refused = {code for outcome in outcomes for code in outcome.refused}
    assert len(refused) >= 40


def noticed_at() -> dict[str, int]:
    """Of each broken rule, the history that showed it when the page was written: those before take only their time."""
    rows = re.findall(r"^\| (.+?) \| seed (\d+) \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    return {rule: int(seed) for rule, seed in rows}


@pytest.mark.parametrize("rule", BROKEN)
def test_a_broken_rule_is_noticed_as_what_it_takes(rule: str) -> None:
    first = noticed_at().get(rule, 0)
    found = until_noticed(rule, range(first, first + MANY))
    assert found.is_right, found


def test_each_right_is_noticed_by_its_sentence() -> None:
    told = {each.told for each in BROKEN.values()}
    by_recount = {
        "not what a recount gives",
        "a ruling by whom the lot did not name",
        "an annulment of what was decided",
    }
    assert told - set(SENTENCES) == by_recount
    assert set(SENTENCES) - told == UNBROKEN


def test_the_page_has_each_right_and_each_rule() -> None:
    page = DOCUMENT.read_text(encoding="utf-8")
    assert "**not at all**" not in page
    rows = [row for row in page.splitlines() if row.startswith("| ")][1:]
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == list(BROKEN), (
        "run histories.py --mutate all --write"
    )
    assert page.startswith(document([]).partition("| rule")[0]), "run scripts/histories.py --mutate all --write"
    assert "**not at all**" in document([Finding(next(iter(BROKEN)), None, "")])


def test_a_refusal_that_has_written_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    check_new = members.check_new

    def write_before_checking(draft: Draft, actor: bytes) -> bytes:
        draft.put(b"n" + actor, draft.account(actor))
        return check_new(draft, actor)

    monkeypatch.setattr(members, "check_new", write_before_checking)
    violations = [outcome.violation for outcome in map(run_history, range(25)) if outcome.violation]
    assert any("and had written" in violation for violation in violations)
