"""The command of the simulator: what it prints, and how it ends."""

from __future__ import annotations

import json
import re

import pytest

from scripts import simulate
from scripts.console import EXIT_MISTAKE, EXIT_WRONG, _run
from scripts.simulation.settings import Settings


def run(*args: str) -> int:
    return _run(simulate.main, args)


def test_a_clean_range_ends_with_0_and_says_what_was_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--seeds", "3..6", "--slots", "20", "--processes", "1", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["histories"] == 3
    assert report["violation"] is None
    assert report["final_blocks"] > 0
    assert report["settings"]["faults"] == "all"


def test_two_processes_find_what_one_finds(capsys: pytest.CaptureFixture[str]) -> None:
    counts = []
    for processes in ("1", "2"):
        assert run("--seeds", "0..4", "--slots", "15", "--processes", processes, "--json") == 0
        report = json.loads(capsys.readouterr().out)
        counts.append([report[name] for name in ("messages", "faults", "reorgs", "final_blocks", "longest_heal_slots")])
    assert counts[0] == counts[1]


def test_a_violation_ends_with_1_and_its_seed_and_a_command_that_shows_it_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a chain with a broken rule that nobody announced
    monkeypatch.setattr("chain.votes._highest", lambda *arguments: arguments[1])
    # when histories are run
    assert run("--seeds", "0..3", "--slots", "20", "--processes", "1") == EXIT_WRONG
    # then the first shows it, and its command tells the same
    out = capsys.readouterr().out
    assert "VIOLATION at seed 0" in out
    (command,) = re.findall(r"python scripts/simulate.py (.*)", out)
    assert run(*command.split()) == EXIT_WRONG
    told = capsys.readouterr().out
    assert "VIOLATION" in told
    assert "starts at height 0" in told


def test_a_replay_is_the_same_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for _ in range(2):
        assert run("--replay-seed", "5", "--slots", "20") == 0
        told.append(capsys.readouterr().out)
    assert told[0] == told[1]
    assert "everything held" in told[0]


def test_a_mutation_that_is_noticed_ends_with_0_and_one_that_is_not_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--mutate", "double-prevotes", "--seeds", "0..3", "--slots", "20", "--processes", "1") == 0
    assert "noticed at seed" in capsys.readouterr().out
    # without a restart nobody can forget anything
    options = ("--mutate", "forget-mhg", "--faults", "none", "--seeds", "0", "--slots", "20", "--processes", "1")
    assert run(*options) == EXIT_WRONG
    assert "NOT NOTICED" in capsys.readouterr().out


@pytest.mark.parametrize("seeds", ["", "a..b", "5..5", "9..3", "-1", "1...3"])
def test_seeds_that_are_none_are_a_mistake(seeds: str) -> None:
    assert run("--seeds", seeds) == EXIT_MISTAKE


def test_villains_leave_an_honest_node() -> None:
    assert run("--byzantine", "clones", "--villains", "4") == EXIT_MISTAKE


def test_the_command_of_a_replay_names_all_that_matters() -> None:
    settings = Settings(nodes=7, slots=50, faults="none", byzantine="splits", villains=3, mutation="majority")
    assert simulate.replay_command(settings, 9) == (
        "python scripts/simulate.py --replay-seed 9 --slots 50 --faults none "
        "--nodes 7 --byzantine splits --villains 3 --mutate majority"
    )
