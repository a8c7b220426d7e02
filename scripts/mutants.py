"""Break the rules of ``chain/`` one at a time, and list what no test notices.

    python scripts/mutants.py chain.consensus.votes               every break in one module
    python scripts/mutants.py chain.consensus.votes --sample 30   thirty of them, the same ones each time
    python scripts/mutants.py --all --sample 30 --write the sample of all modules, into scripts/docs/mutants.md

A mutant is one comparison, bound, constant, operator or refusal changed.  It is noticed if one of the tests that
execute its line (of ``tests/unit/chain``, ``tests/property`` and ``tests/scenarios``) fails, or hangs.

Exit codes: 0 all are noticed or argued, 1 some are not, 2 for a mistake in usage, 130 for Ctrl-C.
"""

from __future__ import annotations

from p2p.local.commandline import EXIT_WRONG, as_json, command, importing

import os
from collections.abc import Sequence
from pathlib import Path

import click

from chain.base.errors import OperatorError
from scripts.console import print_json, processes, remark
from scripts.mutants_parts.argued import ARGUED
from scripts.mutants_parts.breaks import choose, mutants
from scripts.mutants_parts.crew import ROOT, Verdict, reach, try_all
from scripts.mutants_parts.report import MANUAL, show, write_manual


@command
@click.argument("modules", nargs=-1, metavar="MODULE…")
@click.option("--all", "every", is_flag=True, help="All modules of chain/.")
@click.option(
    "--sample", type=click.IntRange(1), help="So many of each module, all where it has fewer.  [default: all]"
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Which ones.")
@click.option(
    "--patience",
    type=click.FloatRange(0),
    default=10,
    show_default=True,
    help="Seconds of CPU time of the tests that a mutant is tried with; 0: all tests that execute it.",
)
@processes
@click.option("--write", is_flag=True, help="Write scripts/docs/mutants.md.")
@as_json
@click.pass_context
def main(
    context: click.Context,
    modules: tuple[str, ...],
    every: bool,
    sample: int | None,
    seed: int,
    patience: float,
    processes: int | None,
    write: bool,
    as_json: bool,
) -> None:
    """Break the rules of MODULE… (chain.consensus.votes, …) one at a time, and list what no test notices."""
    with importing():
        from scripts.simulation.parallel import cores
    chosen = [mutant for path in _paths(modules, every) for mutant in choose(mutants(path), sample, seed)]
    processes = processes or cores()
    known = reach(processes)
    count = 0

    def tell(verdict: Verdict) -> None:
        nonlocal count
        count += 1
        if not verdict.noticed:
            mutant = verdict.mutant
            remark(f"{count} of {len(chosen)}: {mutant.path.stem}.py:{mutant.line}  {mutant.before} -> {mutant.after}")
        elif count % 100 == 0:
            remark(f"{count} of {len(chosen)}")

    verdicts = try_all(chosen, known, patience, processes, tell)
    if as_json:
        print_json({"mutants": [_document(verdict) for verdict in verdicts]})
    else:
        show(verdicts)
    if write:
        write_manual(verdicts, sample, seed)
        remark(f"wrote {MANUAL}")
    if any(not verdict.noticed and verdict.mutant.key not in ARGUED for verdict in verdicts):
        context.exit(EXIT_WRONG)


def _paths(modules: Sequence[str], every: bool) -> list[Path]:
    if bool(modules) == every:
        raise OperatorError("name modules like chain.consensus.votes, or take --all")
    if every:
        return sorted((ROOT / "chain").rglob("[!_]*.py"))
    paths = [ROOT / f"{name.replace('.', '/')}.py" for name in modules]
    for path in paths:
        if not path.exists():
            raise OperatorError(f"there is no {os.path.relpath(path)}; name modules like chain.consensus.votes")
    return paths


def _document(verdict: Verdict) -> dict[str, object]:
    mutant = verdict.mutant
    return {
        "file": f"chain/{mutant.path.parent.name}/{mutant.path.name}",
        "line": mutant.line,
        "function": mutant.function,
        "before": mutant.before,
        "after": mutant.after,
        "tests": verdict.tests,
        "noticed": verdict.noticed,
        "argued": ARGUED.get(mutant.key, ""),
    }


if __name__ == "__main__":
    main()
