"""How far it scales, by simulation: ``python scripts/propagation.py`` measures, and writes the tables and the picture.

Every node is the engine that a real one runs; the network between them is simulated, with delays measured by others.
The same seeds give the same figures on every machine.  Exit codes: 0 fine; 1 if a node broke a rule; 2 for a mistake
in usage; 130 for Ctrl-C.
"""

from __future__ import annotations

from p2p.local.commandline import EXIT_WRONG, command, importing

import json
from dataclasses import asdict
from pathlib import Path

import click

from scripts.console import processes, remark, write

DOCS = Path(__file__).resolve().parent / "docs"
ATTESTATIONS = "attestations.md"


@command
@click.option("--quick", is_flag=True, help="Small networks, a few seconds.")
@click.option("--attestations", is_flag=True, help="Instead: ways in which attestations can travel.")
@click.option("--slots", type=click.IntRange(1, 100_000), help="Slots that count.  [default: by the size]")
@processes
@click.option("--draw-only", is_flag=True, help="Measure nothing: from the propagation.json that is there.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="A folder for propagation.json, propagation.md and propagation.svg.",
)
@write("them to scripts/docs instead")
@click.pass_context
def main(
    context: click.Context,
    quick: bool,
    attestations: bool,
    slots: int | None,
    processes: int | None,
    draw_only: bool,
    out: Path | None,
    write: bool,
) -> None:
    """Measure networks of 10, 100 and 1,000 nodes, and make the tables and the picture."""
    if write is (out is not None):
        raise click.UsageError("say where the tables and the picture go: --out FOLDER, or --write for scripts/docs")
    folder = out or DOCS
    if attestations:
        _compare_ways(folder, quick=quick)
        return
    with importing():
        from scripts.propagation_parts.plans import full_plan, load, measure, quick_plan
        from scripts.propagation_parts.plot import draw, load_pyplot
        from scripts.propagation_parts.report import fill
        from scripts.simulation.parallel import cores
        from scripts.simulation.settings import Violation

        load_pyplot()  # before the measuring, in case it is missing
    figures = folder / "propagation.json"
    if not draw_only:
        try:
            rows = measure((quick_plan if quick else full_plan)(slots), processes or cores())
        except Violation as violation:
            click.echo(f"VIOLATION: {violation}")
            context.exit(EXIT_WRONG)
        folder.mkdir(parents=True, exist_ok=True)
        figures.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
    rows = load(figures)
    document = (DOCS / "propagation.md").read_text(encoding="utf-8")
    (folder / "propagation.md").write_text(fill(document, rows), encoding="utf-8")
    draw(rows, folder / "propagation.svg")
    remark(f"wrote propagation.json, propagation.md and propagation.svg in {folder}")


def _compare_ways(folder: Path, *, quick: bool) -> None:
    with importing():
        from scripts.propagation_parts.attestations import study, table
        from scripts.propagation_parts.tables import put
    rows = study((4, 7), 5) if quick else study()
    document = (DOCS / ATTESTATIONS).read_text(encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ATTESTATIONS).write_text(put(document, "ways", table(rows)), encoding="utf-8")
    remark(f"wrote {ATTESTATIONS} in {folder}")


if __name__ == "__main__":
    main()
