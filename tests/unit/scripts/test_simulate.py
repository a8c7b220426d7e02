"""The command of the simulator: what it prints, and how it ends."""

from __future__ import annotations

from p2p.local.commandline import EXIT_WRONG
from p2p.local.startup import EXIT_MISTAKE

import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from scripts import simulate
from scripts.console import Numbers, numbers_text
from scripts.simulation import everyrule, matrix, record, sweep, telling
from scripts.simulation.history import cast
from scripts.simulation.mutations import MUTATIONS
from scripts.simulation.settings import Settings
from tests.support.commands import exit_code


def run(*args: str) -> int:
    return exit_code(simulate.main, args)


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
    monkeypatch.setattr("chain.consensus.votes.Count._highest", lambda *arguments: arguments[1])
    # when histories are run
    assert run("--seeds", "0..3", "--slots", "20", "--processes", "1") == EXIT_WRONG
    # then the first shows it, and its command tells the same
    out = capsys.readouterr().out
    assert "VIOLATION at seed 0" in out
    # and so does that of the shortest history that fails like it
    assert "the shortest of" in out
    commands = re.findall(r"scripts/simulate.py (.*)", out)
    assert len(commands) == 2
    for command in commands:
        assert run(*shlex.split(command)) == EXIT_WRONG
        told = capsys.readouterr().out
        assert "VIOLATION" in told
        assert "starts at height 0" in told


def test_real_storage_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--seeds", "0..2", "--slots", "20", "--disk", "real", "--processes", "1", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["settings"]["disk"] == "real"
    assert report["final_blocks"] > 0


def test_one_of_ten_mixed_histories_is_on_real_files() -> None:
    disks = [cast(Settings(disk="mixed"), seed).disk for seed in range(100)]
    assert [disks[ten : ten + 10].count("real") for ten in range(0, 100, 10)] == [1] * 10


def test_what_the_log_holds_is_not_run_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # given a log of two histories, and the end of a line during which the process died
    log = tmp_path / "seeds.log"
    options = ("--slots", "10", "--disk", "mixed", "--processes", "1", "--log", str(log))
    assert run("--seeds", "0..2", *options) == 0
    before = log.read_bytes()
    log.write_bytes(before + b'{"seed": 2, "vio')
    # when more are run, and the page is written
    monkeypatch.setattr(record, "DOCUMENT", tmp_path / "seeds.md")
    capsys.readouterr()
    assert run("--seeds", "0..4", *options, "--write", "--json") == 0
    # then the two are as they were, two more follow, and all four are told
    assert log.read_bytes().startswith(before)
    assert [json.loads(line).get("seed") for line in log.read_text().splitlines()] == [None, 0, 1, 2, 3]
    summary = json.loads(capsys.readouterr().out)["summary"]
    assert (summary["histories"], summary["of them with nodes on SQLite files"]) == ("4", "1")
    assert "| histories | 4 |" in record.DOCUMENT.read_text(encoding="utf-8")
    # and histories of other settings do not mix with them
    assert run("--seeds", "0..4", "--slots", "11", "--log", str(log)) == EXIT_MISTAKE


@pytest.mark.parametrize(
    "content",
    [b"1 of 10 histories, 9 s to go\n", b"[]\n", b"{}\n", b'{"settings": {}, "at": 1}\n', b"no line"],
)
def test_a_log_that_is_none_is_refused_and_left_alone(content: bytes, tmp_path: Path) -> None:
    log = tmp_path / "notes.txt"
    log.write_bytes(content + b"and what follows")
    assert run("--seeds", "0..2", "--slots", "10", "--processes", "1", "--log", str(log)) == EXIT_MISTAKE
    assert log.read_bytes() == content + b"and what follows"


def test_a_violation_is_logged_and_the_others_are_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("chain.consensus.votes.Count._highest", lambda *arguments: arguments[1])
    options = ("--seeds", "0..2", "--slots", "10", "--processes", "1", "--log", str(tmp_path / "log"))
    assert run(*options) == EXIT_WRONG
    out = capsys.readouterr().out
    assert "VIOLATION at seed 0" in out
    assert "VIOLATION at seed 1" in out
    # and what failed stays so, without being run again
    assert run(*options) == EXIT_WRONG


def test_acts_are_chosen_for_one_seed() -> None:
    assert run("--only", "1", "--seeds", "0..2") == EXIT_MISTAKE
    assert run("--only", "x", "--replay-seed", "0") == EXIT_MISTAKE
    assert run("--only", "", "--replay-seed", "0", "--slots", "5") == 0


@pytest.mark.parametrize(("numbers", "text"), [((), ""), ((3,), "3"), ((3, 7, 8, 9), "3,7..10"), ((0, 1, 5), "0..2,5")])
def test_numbers_are_read_as_they_are_written(numbers: tuple[int, ...], text: str) -> None:
    assert numbers_text(numbers) == text
    assert Numbers().convert(text, None, None) == numbers


def test_a_replay_is_the_same_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for _ in range(2):
        assert run("--replay-seed", "5", "--slots", "20") == 0
        told.append(capsys.readouterr().out)
    assert told[0] == told[1]
    assert "everything held" in told[0]


def test_a_replay_says_that_a_chain_forked_where_more_are_villains_than_tolerated(
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ("--replay-seed", "0", "--slots", "20", "--faults", "none", "--byzantine", "clones", "--nodes", "4")
    assert run(*options, "--villains", "2") == 0
    told = capsys.readouterr().out.splitlines()[-1]
    assert told.startswith("seed 0: honest nodes finalized different blocks, as they can with 2 of 4 villains;")
    assert "proven guilty: villain1 villain3" in told


def test_a_mutation_that_is_noticed_ends_with_0_and_one_that_is_not_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--mutate", "majority", "--seeds", "0..3", "--slots", "40", "--processes", "1") == 0
    assert "noticed at seed" in capsys.readouterr().out
    # without a restart nobody can forget anything
    options = ("--mutate", "forget-mhg", "--faults", "none", "--seeds", "0", "--slots", "20", "--processes", "1")
    assert run(*options) == EXIT_WRONG
    assert "NOT NOTICED" in capsys.readouterr().out


def test_all_broken_rules_are_tried_one_by_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # given one that shows at once, and one that these histories are too short for
    tried = {name: MUTATIONS[name] for name in ("majority", "amnesiac-signs")}
    monkeypatch.setattr(sweep, "MUTATIONS", tried)
    monkeypatch.setattr(telling, "MUTATIONS", tried)
    monkeypatch.setattr(sweep, "DOCUMENT", tmp_path / "docs" / "mutations.md")
    # when both are tried
    options = ("--mutate", "all", "--seeds", "0", "--slots", "40", "--processes", "1", "--json", "--write")
    assert run(*options) == EXIT_WRONG
    # then the command says what it saw of each, and so does the document
    seen, unseen = json.loads(capsys.readouterr().out)["mutations"]
    assert (seen["noticed"], unseen["noticed"]) == ("by damage", None)
    lines = sweep.DOCUMENT.read_text(encoding="utf-8").splitlines()
    first, second = (next(line for line in lines if line.startswith(f"| {name}:")) for name in tried)
    assert f"| seed {seen['seed']}, slot {seen['slot']} | {seen['violation']} |" in first
    assert "| **not at all** |" in second
    assert run(*seen["replay"].partition("simulate.py ")[2].split()) == EXIT_WRONG
    assert seen["violation"] in capsys.readouterr().out


def test_each_break_of_the_consensus_that_nothing_noticed_is_argued() -> None:
    text = everyrule.DOCUMENT.read_text(encoding="utf-8")
    assert "\n## Survivors\n" in text
    assert "not argued**" not in text
    assert "no history executes it" not in text


def test_the_matrix_ends_with_0_where_theory_is_right_and_with_1_where_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # given two attacks on small networks
    monkeypatch.setattr(matrix, "NODES", (4,))
    some = matrix.cases(["silent", "clones"])
    monkeypatch.setattr(matrix, "cases", lambda: some)
    monkeypatch.setattr(matrix, "DOCUMENT", tmp_path / "docs" / "attacks.md")
    # when theory is right about them
    assert run("--matrix", "--seeds", "0", "--processes", "1", "--write") == 0
    # then the document and the table say so
    assert "| live | stalls |" in matrix.DOCUMENT.read_text()
    assert "forks, named" in capsys.readouterr().out
    # and where it is not, the command fails
    monkeypatch.setattr(matrix, "cases", lambda: [replace(case, expected=some[0].expected) for case in some[:2]])
    assert run("--matrix", "--seeds", "0", "--processes", "1", "--json") == EXIT_WRONG
    right, wrong = json.loads(capsys.readouterr().out)["attacks"]
    assert (right["seen"], wrong["seen"]) == (["live"], ["stalls"])


def test_single_histories_are_not_written() -> None:
    assert run("--write") == EXIT_MISTAKE
    assert run("--write", "--mutate", "majority") == EXIT_MISTAKE


def test_a_sample_is_of_every_place() -> None:
    assert run("--sample", "5", "--mutate", "all") == EXIT_MISTAKE


@pytest.mark.parametrize("seeds", ["", "a..b", "5..5", "9..3", "-1", "1...3"])
def test_seeds_that_are_none_are_a_mistake(seeds: str) -> None:
    assert run("--seeds", seeds) == EXIT_MISTAKE


def test_villains_leave_an_honest_node() -> None:
    assert run("--byzantine", "clones", "--villains", "4") == EXIT_MISTAKE


def test_the_command_of_a_replay_names_all_that_matters() -> None:
    settings = Settings(
        nodes=7, slots=50, faults="none", byzantine="clones", villains=3, mutation="majority", traffic="registry"
    )
    assert telling.replay_command(settings, 9) == (
        "python scripts/simulate.py --replay-seed 9 --slots 50 --faults none "
        "--nodes 7 --byzantine clones --villains 3 --traffic registry --mutate majority"
    )
    short = Settings(slots=50, disk="real", only=(2, 3), skip=4)
    assert telling.replay_command(short, 9).endswith("--faults all --disk real --skip 4 --only 2..4")
    assert telling.replay_command(replace(short, only=(), skip=0), 9).endswith("--disk real --only ''")


def test_the_page_tells_of_each_broken_rule_that_it_was_noticed() -> None:
    lines = sweep.DOCUMENT.read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.startswith("| rule broken")]
    assert len(rows) == len(MUTATIONS)
    for row, (name, mutation) in zip(rows, MUTATIONS.items(), strict=True):
        assert row.startswith(f"| {name}: {mutation.what} |")
        assert "| seed " in row
