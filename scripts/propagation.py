"""How far it scales, by simulation: ``python scripts/propagation.py`` measures, and writes the tables and the picture.

Every node is the engine that a real one runs; the network between them is simulated, with delays measured by others.
The same seeds give the same figures on every machine.  Exit codes: 0 fine; 1 if a node broke a rule; 2 for a mistake
in usage; 130 for Ctrl-C.
"""

from __future__ import annotations

import json
import resource
import time
from dataclasses import asdict
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import click

from chain.errors import OperatorError
from scripts.console import EXIT_WRONG, remark, run
from scripts.propagation_parts.experiment import Figures, Setup, run_all
from scripts.propagation_parts.plot import draw, load_pyplot
from scripts.propagation_parts.report import Row, fill, summarize
from scripts.simulation.parallel import cores
from scripts.simulation.settings import Violation

DOCS = Path(__file__).resolve().parent / "docs"
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


@click.command()
@click.option("--quick", is_flag=True, help="Small networks, a few seconds.")
@click.option("--slots", type=click.IntRange(1, 100_000), help="Slots that count.  [default: by the size]")
@click.option("--processes", type=click.IntRange(1, 256), help="[default: one for each core]")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=DOCS,
    show_default=True,
    help="Where propagation.json, propagation.md and propagation.svg go.",
)
@click.option("--draw-only", is_flag=True, help="Tables and picture from the propagation.json that is there.")
@click.pass_context
def main(
    context: click.Context, quick: bool, slots: int | None, processes: int | None, out: Path, draw_only: bool
) -> None:
    """Measure networks of 10, 100 and 1,000 nodes, and write the tables and the picture."""
    load_pyplot()  # before the measuring, in case it is missing
    figures = out / "propagation.json"
    if not draw_only:
        try:
            rows = measure((quick_plan if quick else full_plan)(slots), processes or cores())
        except Violation as violation:
            click.echo(f"VIOLATION: {violation}")
            context.exit(EXIT_WRONG)
        out.mkdir(parents=True, exist_ok=True)
        figures.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
    rows = load(figures)
    document = (DOCS / "propagation.md").read_text(encoding="utf-8")
    (out / "propagation.md").write_text(fill(document, rows), encoding="utf-8")
    draw(rows, out / "propagation.svg")
    remark(f"written: propagation.json, propagation.md and propagation.svg in {out}")


if __name__ == "__main__":
    run(main)
