"""The command line of ``scripts/histories.py``: what it prints, and how it ends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scripts import histories
from scripts.console import EXIT_MISTAKE, EXIT_WRONG, run
from scripts.histories_parts.history import Outcome


def command(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int | str | None, str, str]:
    """Exit code, stdout and stderr."""
    with pytest.raises(SystemExit) as end:
        run(histories.main, args)
    out, err = capsys.readouterr()
    return end.value.code, out, err


def broken_at(seed: int) -> Any:
    """A stand-in for the histories, of which one breaks a rule."""

    def run_history(number: int) -> Outcome:
        return Outcome(number, "two and two are five" if number == seed else "", 2, {"enrol": 3}, {"too_old": 1})

    return run_history


def test_everything_held(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = command(capsys, "--count", "3", "--first", "40", "--processes", "1", "--json")
    report = json.loads(out)
    assert code == 0
    assert (report["histories"], report["violation"], report["seed"]) == (3, None, None)
    assert sum(report["accepted"].values()) > 10 < sum(report["refused"].values())


def test_processes_share_the_seeds(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histories, "BATCH", 1)
    together = json.loads(command(capsys, "--count", "4", "--processes", "2", "--json")[1])
    alone = json.loads(command(capsys, "--count", "4", "--processes", "1", "--json")[1])
    for name in ("histories", "blocks", "accepted", "refused"):
        assert together[name] == alone[name]


def test_a_violation_is_told_with_its_seed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histories, "run_history", broken_at(60))
    code, out, _ = command(capsys, "--count", "200", "--processes", "1")
    assert code == EXIT_WRONG
    assert "VIOLATION at seed 60: two and two are five" in out
    assert "python scripts/histories.py --first 60 --count 1" in out
    code, out, _ = command(capsys, "--count", "200", "--processes", "1", "--json")
    report = json.loads(out)
    assert (code, report["seed"], report["histories"]) == (EXIT_WRONG, 60, 61)


def test_progress_goes_to_stderr(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histories, "run_history", broken_at(-1))
    monkeypatch.setattr(histories, "PROGRESS_EVERY_S", -1.0)
    code, out, err = command(capsys, "--count", "120", "--processes", "1")
    assert code == 0
    assert [line.split(",")[0] for line in err.splitlines()] == [
        "50 of 120 histories", "100 of 120 histories", "120 of 120 histories",
    ]  # fmt: skip
    assert "too_old" in out


@pytest.mark.parametrize("arguments", [("--count", "0"), ("--first", "-1"), ("--processes", "0"), ("seven",)])
def test_mistakes_in_usage(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    assert command(capsys, *arguments)[0] == EXIT_MISTAKE
