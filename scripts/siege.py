"""Besiege a network of real processes on this machine, and print what is left of it: ``python scripts/siege.py``.

Each row begins with four fresh validators and an attacker, or a bad line, beside them.  What it measures depends on the
machine: nothing else should run there.  Exit codes: 0 all goals reached, 1 some missed, 2 the operator's mistake.
"""

from __future__ import annotations

from p2p.local.commandline import EXIT_WRONG, as_json, command, importing

from collections.abc import Collection
from typing import TYPE_CHECKING

import click

from scripts.console import OneOf, print_json, remark, table, write

if TYPE_CHECKING:
    from scripts.siege_parts.rows import Row
    from scripts.siege_parts.verdicts import Verdict


def _names() -> Collection[str]:
    from scripts.siege_parts.rows import ROWS

    return ["all", *(row.name for row in ROWS)]


@command
@click.option(
    "--row",
    "names",
    type=OneOf("NAME", _names),
    multiple=True,
    default=["all"],
    show_default=True,
    help="May be repeated; all is without the soak.",
)
@click.option(
    "--scale",
    type=click.FloatRange(0.02, 100),
    default=1.0,
    show_default=True,
    help="A part of the time and of the transactions, for a quick look.",
)
@click.option(
    "--duration", type=click.FloatRange(30, 604_800), default=3_600.0, show_default=True, help="Seconds of the soak."
)
@write("what came of it to scripts/docs/siege.md; takes all rows in full")
@as_json
@click.pass_context
def main(
    context: click.Context, names: tuple[str, ...], scale: float, duration: float, write: bool, as_json: bool
) -> None:
    """Besiege fresh networks, row by row, and print what was measured beside its goal."""
    with importing():
        import trio

        from scripts.siege_parts.report import PAGE, document
        from scripts.siege_parts.rows import ROWS
    chosen = [row for row in ROWS if row.name in names or ("all" in names and not row.is_long)]
    if write and (scale < 1 or "all" not in names):
        raise click.UsageError("--write takes all rows in full; leave out --row and --scale")
    remark(f"{len(chosen)} rows, about {sum(row.seconds for row in chosen) * scale / 60:.0f} minutes")
    verdicts = trio.run(_run_all, chosen, scale, duration)
    if write:
        PAGE.write_text(document(verdicts), encoding="utf-8")
        remark(f"wrote {PAGE}")
    if as_json:
        print_json({"scale": scale, "rows": verdicts})
    else:
        columns = ["row", "measured", "goal", "met"]
        table("", columns, [(each.row, each.measured, each.goal, each.is_met) for each in verdicts])
    if not all(each.is_met for each in verdicts):
        context.exit(EXIT_WRONG)


async def _run_all(rows: list[Row], scale: float, duration: float) -> list[Verdict]:
    with importing():
        from scripts.siege_parts.verdicts import judged
    verdicts = []
    for row in rows:
        remark(f"{row.name}: {row.condition} …")
        verdict = await judged(row, duration if row.is_long else scale)
        remark(f"{row.name}: {verdict.measured} ({verdict.goal}: {'met' if verdict.is_met else 'NOT MET'})")
        verdicts.append(verdict)
    return verdicts


if __name__ == "__main__":
    main()
