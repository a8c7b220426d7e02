"""The command line of ``scripts/histories.py``: what it prints, and how it ends."""

from __future__ import annotations

from p2p.local.commandline import EXIT_WRONG
from p2p.local.startup import EXIT_MISTAKE

import json
from typing import Any

import pytest

from scripts import histories
from scripts.histories_parts import tally
from scripts.histories_parts.history import Outcome
from tests.support.commands import exit_code


def command(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    code = exit_code(histories.main, args)
    return code, *capsys.readouterr()


def broken_at(seed: int) -> Any:
    """A stand-in for the histories, of which one breaks a rule."""

    def run_history(number: int) -> Outcome:
        return Outcome(number, "two and two are five" if number == seed else "", 2, {"enrol": 3}, {"too_old": 1})

    return run_history


def test_everything_held(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = command(capsys, "--seeds", "40..43", "--processes", "1", "--json")
    report = json.loads(out)
    assert code == 0
    assert (report["histories"], report["violation"], report["seed"]) == (3, None, None)
    assert sum(report["accepted"].values()) > 10 < sum(report["refused"].values())


def test_processes_share_the_seeds(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "BATCH", 1)
    together = json.loads(command(capsys, "--seeds", "0..4", "--processes", "2", "--json")[1])
    alone = json.loads(command(capsys, "--seeds", "0..4", "--processes", "1", "--json")[1])
    for name in ("histories", "blocks", "accepted", "refused"):
        assert together[name] == alone[name]


def test_a_violation_is_told_with_its_seed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "run_history", broken_at(60))
    code, out, _ = command(capsys, "--seeds", "0..200", "--processes", "1")
    assert code == EXIT_WRONG
    assert "VIOLATION at seed 60: two and two are five" in out
    assert "scripts/histories.py --seeds 60" in out
    code, out, _ = command(capsys, "--seeds", "0..200", "--processes", "1", "--json")
    report = json.loads(out)
    assert (code, report["seed"], report["histories"]) == (EXIT_WRONG, 60, 61)


def test_progress_goes_to_stderr(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "run_history", broken_at(-1))
    monkeypatch.setattr(tally, "PROGRESS_EVERY_S", -1.0)
    code, out, err = command(capsys, "--seeds", "0..120", "--processes", "1")
    assert code == 0
    assert [line.split(",")[0] for line in err.splitlines()] == [
        "50 of 120 histories", "100 of 120 histories", "120 of 120 histories",
    ]  # fmt: skip
    assert "too_old" in out


@pytest.mark.parametrize("arguments", [("--seeds", "5..5"), ("--seeds", "-1"), ("--processes", "0"), ("seven",)])
def test_mistakes_in_usage(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    assert command(capsys, *arguments)[0] == EXIT_MISTAKE
