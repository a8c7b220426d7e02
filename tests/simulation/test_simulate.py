"""The simulator itself: many short histories, the same bytes from the same seed, villains, broken rules."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.simulation.byzantine import STRATEGIES
from scripts.simulation.history import run_history
from scripts.simulation.mutations import MUTATIONS
from scripts.simulation.settings import PROFILES, Settings, tolerated

ROOT = Path(__file__).parents[2]
QUICK_SEEDS = 40
QUICK_SLOTS = 100
# What needs more villains than are tolerated to be of interest.
NEEDS_MORE = {"rewrites"}


@pytest.mark.parametrize("seed", range(QUICK_SEEDS), ids=lambda seed: f"seed{seed}")
def test_everything_holds_under_all_faults(seed: int) -> None:
    outcome = run_history(Settings(slots=QUICK_SLOTS), seed)
    assert outcome.violation == ""
    assert outcome.final_height > 0
    assert outcome.culprits == ()


@pytest.mark.parametrize("profile", PROFILES)
def test_everything_holds_under_each_kind_of_fault(profile: str) -> None:
    assert run_history(Settings(slots=QUICK_SLOTS, faults=profile), 1_000).violation == ""


def test_the_same_seed_gives_the_same_history_to_the_byte() -> None:
    settings = Settings(slots=60, keep_timeline=True)
    first, second = run_history(settings, 7), run_history(settings, 7)
    assert first.timeline == second.timeline
    assert replace(first, cpu_ms=0) == replace(second, cpu_ms=0)
    assert run_history(replace(settings, keep_timeline=False), 7).history == first.history
    assert run_history(settings, 8).history != first.history


@pytest.mark.parametrize("byzantine", ["", "equivocates"])
def test_another_process_with_another_hash_seed_lives_through_the_same(byzantine: str) -> None:
    settings = Settings(slots=60, byzantine=byzantine)
    code = (
        "from scripts.simulation.history import run_history; from scripts.simulation.settings import Settings; "
        f"print(run_history(Settings(slots=60, byzantine={byzantine!r}), 7).history)"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": str(ROOT)}
    process = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == run_history(settings, 7).history


@pytest.mark.parametrize("nodes", [4, 7])
@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name not in NEEDS_MORE])
def test_f_villains_break_nothing(strategy: str, nodes: int) -> None:
    # given as many villains as are tolerated, in a network that is otherwise good
    settings = Settings(nodes=nodes, slots=60, faults="none", byzantine=strategy)
    outcome = run_history(settings, 0)
    # then finality goes on, nothing is lost, and nobody honest is ever accused
    assert outcome.violation == ""
    assert len(outcome.villains) == tolerated(nodes)
    assert set(outcome.culprits) <= set(outcome.villains)
    assert outcome.facts["forked"] == 0


@pytest.mark.parametrize("nodes", [4, 7])
def test_one_villain_more_splits_the_chain_and_is_named(nodes: int) -> None:
    # given two halves that hear only of each other's villains
    villains = tolerated(nodes) + 1
    outcome = run_history(Settings(nodes=nodes, slots=60, faults="none", byzantine="splits", villains=villains), 0)
    # then both halves finalized something else, and what honest nodes stored proves who did it: all of them
    assert outcome.facts["forked"] > 0
    assert outcome.culprits == outcome.villains
    assert 3 * len(outcome.culprits) >= nodes
    # but no node took back what it had called final
    assert outcome.violation == ""


@pytest.mark.parametrize("strategy", ["silent", "stalls"])
@pytest.mark.parametrize("nodes", [4, 7])
def test_one_villain_more_can_stop_finality_but_forks_nothing(strategy: str, nodes: int) -> None:
    villains = tolerated(nodes) + 1
    outcome = run_history(Settings(nodes=nodes, slots=60, faults="none", byzantine=strategy, villains=villains), 0)
    assert outcome.violation == ""
    assert outcome.final_height == 0
    assert outcome.facts["forked"] == 0


def test_a_quorum_of_villains_cannot_rewrite_what_a_node_called_final() -> None:
    outcome = run_history(Settings(nodes=4, slots=90, faults="none", byzantine="rewrites", villains=3), 0)
    assert outcome.violation == ""
    assert outcome.final_height > 0


@pytest.mark.parametrize("name", ["no-contradiction-check", "forget-mhg", "amnesiac-signs", "cross-finality"])
def test_a_broken_rule_is_noticed(name: str) -> None:
    mutation = MUTATIONS[name]
    settings = Settings(mutation.nodes, 150, mutation.faults, mutation.byzantine, mutation.villains, name)
    assert any(run_history(settings, seed).violation for seed in range(12))
    # and what is broken is mended again
    assert run_history(replace(settings, mutation=""), 0).violation == ""
