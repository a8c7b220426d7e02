"""How a register grows: measured from ten thousand to a million members, and what that means for a country.

    python scripts/growth.py --write                    measure all sizes, and make the tables and the picture
    python scripts/growth.py --members 10000 --write    one size anew; the others stay as they were measured
    python scripts/growth.py --draw-only --write        measure nothing: tables and picture from the figures

What holds and what breaks is told in ``scripts/docs/growth.md``.
"""

from __future__ import annotations

from p2p.local.commandline import as_json, command, importing

import tempfile
from dataclasses import asdict
from operator import attrgetter
from pathlib import Path

import click

from scripts.console import print_json, remark, table, write

SIZES = (10_000, 100_000, 1_000_000)


@command
@click.option("--members", "sizes", type=click.IntRange(100), multiple=True, default=SIZES, show_default=True)
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False, exists=True), help="Where registers are built."
)
@click.option("--draw-only", is_flag=True, help="Measure nothing: from the figures that were kept.")
@write("the figures, growth.md and growth.svg to scripts/docs")
@as_json
def growth(sizes: tuple[int, ...], folder: Path | None, draw_only: bool, write: bool, as_json: bool) -> None:
    """Build registers of several sizes and measure what they cost a node; a million take ten minutes and 8 GB."""
    with importing():
        from scripts.growth_parts.plot import draw
        from scripts.growth_parts.report import MANUAL, country_sheet, measured_sheet, write_manual
        from scripts.growth_parts.study import load, measure, store
    by_members = attrgetter("members")
    figures = MANUAL.with_suffix(".json")
    rows = {row.members: row for row in load(figures)} if write or draw_only else {}
    for members in () if draw_only else sizes:
        remark(f"{members:,} members …")
        with tempfile.TemporaryDirectory(dir=folder) as own:
            rows[members] = measure(members, Path(own))
        if write:  # each at once: the next takes ten times as long
            store(sorted(rows.values(), key=by_members), figures)
    measured = sorted(rows.values(), key=by_members)
    if as_json:
        print_json({"registers": [asdict(row) for row in measured]})
    else:
        table(*measured_sheet(measured))
        if len(measured) > 1:
            click.echo()
            table(*country_sheet(measured))
    if write:
        write_manual(measured)
        draw(measured, MANUAL.with_suffix(".svg"))
        remark(f"wrote {MANUAL}")


if __name__ == "__main__":
    growth()
