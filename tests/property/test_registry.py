"""Random histories of the registry, shrunk where one fails: everything that :mod:`scripts.histories` checks holds."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chain import members, records
from chain.draft import Draft
from chain.state import Member, Record
from scripts.histories_parts.history import live, run_history


@given(st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_a_history_holds_whatever_is_chosen(random: Random) -> None:
    assert live(random).violation == ""


def test_a_seed_gives_the_same_history() -> None:
    assert run_history(7) == run_history(7) != run_history(8)


def test_histories_meet_what_they_are_for() -> None:
    """Accepted and refused transactions of every kind, so that a choice that never succeeds is noticed."""
    outcomes = [run_history(seed) for seed in range(150)]
    assert [outcome.violation for outcome in outcomes if outcome.violation] == []
    accepted = {kind for outcome in outcomes for kind in outcome.accepted}
    assert accepted == {
        "enrol", "rate", "record", "object", "answer", "rule", "repair", "statement", "rotate", "motion", "approve",
        "evidence",
    }  # fmt: skip
    refused = {code for outcome in outcomes for code in outcome.refused}
    assert len(refused) >= 40


def forget_the_cap(draft: Draft, subject: bytes, code: int, points: int) -> int:
    return points


def forget_the_suspension(_draft: Draft, _subject: bytes, member: Member, _record: Record) -> Member:
    return member


def write_before_checking(draft: Draft, actor: bytes) -> bytes:
    draft.put(b"n" + actor, draft.account(actor))
    return check_new(draft, actor)


check_new = members.check_new


@pytest.mark.parametrize(
    ("module", "name", "broken", "what"),
    [
        (records, "_capped", forget_the_cap, "not what a recount gives"),
        (records, "_suspended", forget_the_suspension, "not what a recount gives"),
        (members, "check_new", write_before_checking, "and had written"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_broken_rule_is_noticed(
    monkeypatch: pytest.MonkeyPatch, module: object, name: str, broken: object, what: str
) -> None:
    monkeypatch.setattr(module, name, broken)
    violations = [outcome.violation for outcome in map(run_history, range(25)) if outcome.violation]
    assert any(what in violation for violation in violations)
