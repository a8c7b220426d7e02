"""Which networks are measured, and where their figures are kept."""

from __future__ import annotations

import json
import resource
import time
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

from chain.base.errors import OperatorError
from scripts.console import remark
from scripts.propagation_parts.experiment import Figures, Setup, run_all
from scripts.propagation_parts.report import Row, summarize

# (nodes, validators of the form 3f + 1, slots that count, seeds): few validators say most about where they stand.
# With 31 validators a block is final 41 blocks later, with 100 after 133: longer than a thousand nodes are run here.
SIZES = ((1_000, 100, 40, 1), (100, 31, 150, 1), (10, 4, 150, 4))
SLOTS_MS = (125, 250, 500, 1_000, 2_000)
DEGREE, OTHER_DEGREES, DEGREES_AT_MS = 8, (6, 12), 1_000


def full_plan(slots: int | None = None) -> list[tuple[Setup, int]]:
    """Every setup with its number of seeds, the largest first; ``slots`` for all instead of those of each size."""
    plan = []
    for nodes, validators, usual, seeds in SIZES:
        shapes = [(DEGREE, slot_ms) for slot_ms in SLOTS_MS]
        if nodes > max(OTHER_DEGREES):
            shapes += [(degree, DEGREES_AT_MS) for degree in OTHER_DEGREES]
        plan += [(Setup(nodes, validators, degree, slot_ms, slots or usual), seeds) for degree, slot_ms in shapes]
    return plan


def quick_plan(slots: int | None = None) -> list[tuple[Setup, int]]:
    """The same in small, to see that it works."""
    plan = [(Setup(10, 4, DEGREE, slot_ms, slots or 30), 1) for slot_ms in SLOTS_MS]
    return [*plan, *((Setup(20, 7, degree, DEGREES_AT_MS, slots or 30), 1) for degree in (DEGREE, *OTHER_DEGREES))]


def measure(plan: list[tuple[Setup, int]], processes: int) -> list[Row]:
    """Run all of it, and say on stderr what it costs here.  Raises :class:`Violation`."""
    started = time.monotonic()
    tasks = [(setup, seed) for setup, seeds in plan for seed in range(seeds)]
    results: dict[Setup, list[Figures]] = {}
    for (setup, seed), figures in zip(tasks, run_all(tasks, processes), strict=True):
        results.setdefault(setup, []).append(figures)
        remark(
            f"{setup.nodes} nodes, slots of {setup.slot_ms} ms, degree {setup.degree}, seed {seed}: "
            f"{figures.cpu_ms / 1_000:.0f} s of CPU, {time.monotonic() - started:.0f} s since the start"
        )
    largest = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    remark(f"largest process {largest // 1024} MB")
    return [summarize(setup, reduce(add, figures)) for setup, figures in results.items()]


def load(path: Path) -> list[Row]:
    """What :func:`measure` found, from its file.  Raises :class:`OperatorError`."""
    try:
        return [_row(item) for item in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise OperatorError(f"{path} cannot be read ({error}); run without --draw-only") from error


def _row(item: dict[str, Any]) -> Row:
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in item.items()}
    return Row(**values)
