"""What became of the mutants, for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import click

from scripts.console import Share, table
from scripts.mutants_parts.argued import ARGUED
from scripts.mutants_parts.crew import Verdict

MANUAL = Path(__file__).parents[1] / "docs" / "mutants.md"

_HEAD = """\
# Mutants, and which of them no test notices

Made by `python scripts/mutants.py --all{options} --write` on {day}; do not edit.

In each module that `chain/` had that day, {how} at a time is broken: a comparison, a bound, a
constant, an operator, a refusal. A mutant is noticed if a unit, property or scenario test of the chain fails or hangs.
What survives is listed below with the reason why nothing can or need notice it, as far as there is one.

    python scripts/mutants.py chain.consensus.votes

| module | mutants tried | noticed | survivors |
|---|---|---|---|
"""


def show(verdicts: Sequence[Verdict]) -> None:
    """Print a line for each module and each survivor."""
    rows = [(module, len(tried), Share(noticed, len(tried))) for module, tried, noticed in _modules(verdicts)]
    table("", ("module", "tried", "noticed"), rows)
    for verdict in verdicts:
        if not verdict.noticed:
            mutant = verdict.mutant
            click.echo(
                f"\n{mutant.path.parent.name}/{mutant.path.name}:{mutant.line}  in {mutant.function or 'the module'}"
            )
            click.echo(f"  - {mutant.before}\n  + {mutant.after}")
            click.echo(f"  {ARGUED.get(mutant.key) or f'{verdict.tests} tests execute it, and none noticed'}")


def write_manual(verdicts: Sequence[Verdict], sample: int | None, seed: int) -> None:
    """Write the page; a sample is told apart from all."""
    options = f" --sample {sample} --seed {seed}" if sample else ""
    how = f"one of {sample} places (of all, where there are fewer)" if sample else "one place"
    lines = [_HEAD.format(options=options, how=how, day=datetime.now(UTC).strftime("%-d %B %Y"))]
    for module, tried, noticed in _modules(verdicts):
        lines.append(f"| {module} | {len(tried)} | {Share(noticed, len(tried))} | {len(tried) - noticed} |\n")
    noticed = sum(bool(verdict.noticed) for verdict in verdicts)
    lines.append(f"| all | {len(verdicts)} | {Share(noticed, len(verdicts))} | {len(verdicts) - noticed} |\n")
    lines.append("\n## Survivors\n\n| where | before | after | why |\n|---|---|---|---|\n")
    for verdict in verdicts:
        if not verdict.noticed:
            mutant = verdict.mutant
            where = f"{mutant.path.stem}.{mutant.function}".rstrip(".")
            cells = (where, _code(mutant.before), _code(mutant.after), ARGUED.get(mutant.key, "no test looks"))
            lines.append(f"| {' | '.join(cells)} |\n")
    MANUAL.write_text("".join(lines), "utf-8")


def _modules(verdicts: Sequence[Verdict]) -> list[tuple[str, list[Verdict], int]]:
    groups = [(module, list(tried)) for module, tried in groupby(verdicts, lambda verdict: verdict.mutant.path.stem)]
    return [(module, tried, sum(bool(verdict.noticed) for verdict in tried)) for module, tried in groups]


def _code(text: str) -> str:
    return f"`{text.replace('|', chr(92) + '|')}`"
