"""How a register grows: what a node of it costs, how one joins, and what that means for a country.

    python scripts/growth.py --write                                   measure everything, and make tables and picture
    python scripts/growth.py --at DIR --members 10000000 --write       one size; big homes are kept in DIR meanwhile
    python scripts/growth.py --only headers --write                    one part anew; the others stay as they are
    python scripts/growth.py --draw-only --write                       measure nothing: from the figures

Interrupted, the same command with ``--at`` goes on where it was.  What holds and what breaks is told in
``scripts/docs/growth.md``.
"""

from __future__ import annotations

from p2p.local.commandline import as_json, command, importing

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scripts.console import print_json, remark, table, write

if TYPE_CHECKING:
    from scripts.growth_parts.kept import Kept

SIZES = (5_000, 100_000, 1_000_000)
REGISTERS, BLOCKS, STATE, HEADERS = "registers", "blocks", "state", "headers"


@command
@click.option(
    "--members", "sizes", type=click.IntRange(100), multiple=True, default=SIZES, show_default=True, help="Registers."
)
@click.option(
    "--at",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where homes are built and figures kept, so that it can go on; 10,000,000 members need 60 GB there, 50 of "
    "them for the home.  [default: a folder for this run]",
)
@click.option("--only", multiple=True, type=click.Choice([REGISTERS, BLOCKS, STATE, HEADERS]), help="[default: all]")
@click.option(
    "--replay", type=click.Path(path_type=Path, dir_okay=False), help="Who rated whom, for joining by blocks."
)
@click.option("--keep", is_flag=True, help="Leave the homes of registers in --at.")
@click.option("--draw-only", is_flag=True, help="Measure nothing: from the figures that were kept.")
@write("the figures, growth.md and growth.svg to scripts/docs")
@as_json
def growth(
    sizes: tuple[int, ...],
    at: Path | None,
    only: tuple[str, ...],
    replay: Path | None,
    keep: bool,
    draw_only: bool,
    write: bool,
    as_json: bool,
) -> None:
    """Build registers of several sizes, and networks, and measure what they cost; a million take ten minutes."""
    with importing():
        from scripts.growth_parts.kept import Kept, load
        from scripts.growth_parts.report import MANUAL, country_sheet, goals_sheet, measured_sheet, write_manual
    figures = MANUAL.with_suffix(".json")
    kept = load(figures) if write or draw_only else Kept()
    if not draw_only:
        with _folder(at) as folder:
            for news in _measured(sizes, folder, only or (REGISTERS, BLOCKS, STATE, HEADERS), replay, keep=keep):
                kept = kept.updated(news)
                if write:  # each at once: the next may take ten times as long
                    kept.store(figures)
    if as_json:
        print_json(kept.document())
    else:
        sheets = [
            measured_sheet(kept.rows),
            goals_sheet(kept),
            *([country_sheet(kept.rows)] if len(kept.rows) > 1 else []),
        ]
        for sheet in sheets:
            table(*sheet)
            click.echo()
    if write:
        from scripts.growth_parts.plot import draw

        write_manual(kept)
        draw(kept.rows, MANUAL.with_suffix(".svg"))
        remark(f"wrote {MANUAL}")


@contextmanager
def _folder(at: Path | None) -> Iterator[Path]:
    if at is not None:
        at.mkdir(parents=True, exist_ok=True)
        yield at
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)


def _measured(
    sizes: tuple[int, ...], folder: Path, parts: tuple[str, ...], replay: Path | None, *, keep: bool
) -> Iterator[Kept]:
    """What this run measured, with all that it has by then after each part; what is in the folder is not done again."""
    with importing():
        from scripts.growth_parts.headers import header_figures
        from scripts.growth_parts.joins import joins_by_blocks, joins_by_state
        from scripts.growth_parts.kept import load
        from scripts.growth_parts.study import check_room, measure
    done = load(folder / "figures.json")
    for members in sizes if REGISTERS in parts else ():
        check_room(members, folder)  # before the first takes its time
    yield done
    work = {BLOCKS: lambda: joins_by_blocks(folder, replay), HEADERS: lambda: header_figures(folder)}
    work[STATE] = lambda: joins_by_state(folder, max(sizes))
    for members in sizes if REGISTERS in parts else ():
        if members not in done.registers:
            remark(f"{members:,} members …")
            done.registers[members] = measure(members, folder, keep=keep)
            done.store(folder / "figures.json")
            yield done
    for part in (BLOCKS, HEADERS, STATE):
        if part in parts and part not in done.parts:
            remark(f"{part} …")
            done.parts[part] = work[part]()
            done.store(folder / "figures.json")
            yield done


if __name__ == "__main__":
    growth()
