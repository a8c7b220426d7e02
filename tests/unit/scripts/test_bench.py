"""The figures of ``scripts/bench.py``: their goals, and the table for the docs."""

from __future__ import annotations

import pytest

from scripts.bench_parts.chainwork import verify_rate
from scripts.bench_parts.figures import Figure, markdown_table


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
