"""A history that fails is shrunk to a short one that fails in the same way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scripts.simulation.history import run_history
from scripts.simulation.mutations import MUTATIONS
from scripts.simulation.settings import Outcome, Settings
from scripts.simulation.shrink import planned, shrink_history, way_to_fail
from scripts.simulation.sweep import settings_for


def first_failure(settings: Settings) -> Outcome:
    return next(outcome for seed in range(20) if (outcome := run_history(settings, seed)).violation)


@pytest.mark.parametrize(("name", "slots", "acts"), [("forget-mhg", 60, 8), ("cross-finality", 80, 8)])
def test_a_broken_rule_is_shown_by_a_short_history(name: str, slots: int, acts: int) -> None:
    # given a history that shows a broken rule
    settings = settings_for(MUTATIONS[name], name, slots=120)
    failed = first_failure(settings)
    # when it is shrunk
    short = shrink_history(settings, failed)
    # then little has to happen for the same failure
    assert short.settings.slots <= slots
    assert len(short.acts) <= acts
    assert way_to_fail(short.outcome) == way_to_fail(failed)
    # and it is a history like any other, which is fine with all rules in force
    again = run_history(short.settings, failed.seed)
    assert again.violation == short.outcome.violation
    assert run_history(replace(short.settings, mutation="", only_effects=False), failed.seed).violation == ""


def test_the_same_failure_gives_the_same_short_history() -> None:
    settings = settings_for(MUTATIONS["majority"], "majority", slots=40)
    failed = first_failure(settings)
    first, second = shrink_history(settings, failed), shrink_history(settings, failed)
    assert replace(first, outcome=failed) == replace(second, outcome=failed)
    assert first.outcome.timeline == second.outcome.timeline


def test_the_acts_of_a_shorter_history_are_the_first_of_a_longer_one() -> None:
    for disk in ("memory", "real"):
        short, long = (planned(Settings(slots=slots, disk=disk), 3) for slots in (50, 100))
        assert 0 < len(short) < len(long)
        assert long[: len(short)] == short


def test_nothing_happens_but_the_chosen_acts() -> None:
    quiet = run_history(Settings(slots=30, only=()), 0)
    assert quiet.violation == ""
    assert (quiet.facts["faults"], quiet.facts["crashes"]) == (0, 0)


def test_two_failures_are_the_same_though_names_and_numbers_differ() -> None:
    first = run_history(Settings(slots=5), 0)
    one, two = (
        replace(first, violation=violation, is_damage=True)
        for violation in ("node1 has 3 heads of 0123abcd", "node22 has 14 heads of ffffeeee")
    )
    assert way_to_fail(one) == way_to_fail(two)
    assert way_to_fail(one) != way_to_fail(replace(one, is_damage=False))
    assert way_to_fail(one) != way_to_fail(replace(one, violation="node1 has 3 tails"))
