"""The figures of ``scripts/bench.py``: their goals, and the table for the docs."""

from __future__ import annotations

from p2p.local.startup import EXIT_MISTAKE

import pytest

from scripts import bench
from scripts.bench_parts.chainwork import verify_rate
from scripts.bench_parts.figures import Figure, markdown_table
from tests.support.commands import exit_code


@pytest.mark.parametrize(
    ("measured", "goal", "is_reached"),
    [(0.5, "≥ 0.5", True), (0.49, "≥ 0.5", False), (300, "≤ 300", True), (301, "≤ 300", False), (7, "", True)],
)
def test_a_goal_is_reached_or_missed(measured: float, goal: str, is_reached: bool) -> None:
    assert Figure("speed", measured, "ms", goal, "").is_reached is is_reached


def test_the_table_of_the_docs_is_ready_to_paste() -> None:
    figures = [Figure("full speed", 1333, "/s final", "", "four nodes"), Figure("– p95", 400, "ms", "≤ 300", "of 500")]
    head, line, *rows = markdown_table(figures)
    assert head.startswith("| Python 3.")
    assert line == "|---|---|---|---|"
    assert rows == ["| full speed | 1,333/s final |  | four nodes |", "| – p95 | **400 ms** | ≤ 300 | of 500 |"]


def test_the_yardstick_is_measured() -> None:
    assert verify_rate(count=20) > 0


def test_a_store_that_would_not_be_measured_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "bench_limit", lambda _seconds: [])
    assert exit_code(bench.main, ["--only", "limit"]) == 0
    assert exit_code(bench.main, ["--only", "limit", "--store", "postgresql://localhost/empty"]) == EXIT_MISTAKE
