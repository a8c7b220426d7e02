"""Look for what is wrong in an abstract model of the consensus: ``python scripts/model.py``.

    python scripts/model.py                                  histories of all kinds, with 4, 7 and 10 validators
    python scripts/model.py --kind change --seeds 0..50000   more of one kind
    python scripts/model.py --exhaustive 7                   every history of four validators up to seven blocks
    python scripts/model.py --broken no_joint                without one rule, until a history breaks
    python scripts/model.py --traces 0..10000                histories of the model through chain/, and what differs
    python scripts/model.py --simulated 0..100               histories of the simulator, counted by the model
    python scripts/model.py --write                          all of it, into scripts/docs/model.md

The model is ``tests/model``; it shares no code with ``chain/``.

Exit codes: 0 if nothing was found, or what had to be with --broken; 1 if not so, or if model and chain differ; 2 for a
mistake in usage; 130 for Ctrl-C.
"""

from __future__ import annotations

from p2p.local.commandline import EXIT_WRONG, as_json, command, importing

from collections.abc import Collection

import click

from scripts.console import OneOf, SeedRange, processes, write

MAX_NODES = 22
MAX_BLOCKS = 12
ALL = "all"


def _kinds() -> Collection[str]:
    from tests.model.scenarios import KINDS

    return KINDS


def _knobs() -> Collection[str]:
    from tests.model.knobs import KNOBS

    return [*KNOBS, ALL]


@command
@click.option("--kind", type=OneOf("NAME", _kinds), help="Only histories of this kind.  [default: all kinds]")
@click.option("--nodes", type=click.IntRange(4, MAX_NODES), help="Validators.  [default: 4, 7 and 10]")
@click.option(
    "--seeds", type=SeedRange(), help="Which histories of each.  [default: 0..400; up to 0..4000 with --broken]"
)
@click.option(
    "--exhaustive", type=click.IntRange(1, MAX_BLOCKS), help="Every history of four up to so many blocks instead."
)
@click.option("--change", default="", metavar="NAMES", help="With --exhaustive: a next set, like ABCE; A is Byzantine.")
@click.option("--late", is_flag=True, help="With --exhaustive: attestations may also come a block late.")
@click.option("--broken", type=OneOf("KNOB|all", _knobs), multiple=True, help="Take a rule out.  Again for more.")
@click.option("--traces", type=SeedRange(), help="These traces of the model through chain/ instead.")
@click.option("--simulated", type=SeedRange(), help="These histories of the simulator, counted by the model, instead.")
@write("all of it to scripts/docs/model.md")
@processes
@as_json
@click.pass_context
def main(
    context: click.Context,
    kind: str | None,
    nodes: int | None,
    seeds: range | None,
    exhaustive: int | None,
    change: str,
    late: bool,
    broken: tuple[str, ...],
    traces: range | None,
    simulated: range | None,
    write: bool,
    processes: int | None,
    as_json: bool,
) -> None:
    """Look for what is wrong in an abstract model of the consensus.

    Two final blocks in conflict, an honest validator convicted, a violation that proves less than a third guilty, or
    finality that does not come back.
    """
    modes = {"--exhaustive": exhaustive, "--traces": traces, "--simulated": simulated, "--write": write}
    given = [name for name, value in modes.items() if value]
    if len(given) > 1:
        raise click.UsageError(f"{given[0]} or {given[1]}, not both")
    if (traces or simulated) and (kind or nodes or seeds or broken):
        raise click.UsageError(f"{given[0]} takes all kinds in turn, with all rules in force")
    if (change or late) and not exhaustive:
        raise click.UsageError("--change and --late are for --exhaustive")
    if exhaustive and (kind or nodes or seeds):
        raise click.UsageError("--exhaustive is of four validators and needs no seeds")
    if ALL in broken and (len(broken) > 1 or kind or nodes or exhaustive):
        raise click.UsageError("--broken all chooses the histories itself")
    if write and (kind or nodes or broken):
        raise click.UsageError("--write does all of it; give it no more than --seeds")
    with importing():
        from scripts.model_parts.telling import (
            run_broken,
            run_exhaustive,
            run_search,
            run_simulated,
            run_traces,
            write_page,
        )
    if write:
        context.exit(write_page(seeds, processes))
    if traces:
        context.exit(run_traces(traces, processes, as_json=as_json))
    if simulated:
        context.exit(run_simulated(simulated, processes, as_json=as_json))
    if exhaustive:
        context.exit(run_exhaustive(exhaustive, change, broken, processes, is_late=late, as_json=as_json))
    if broken and not kind and not nodes:
        context.exit(run_broken(broken, seeds, processes, as_json=as_json))
    is_wrong = run_search(kind, nodes, seeds, broken, processes, as_json=as_json)
    context.exit(EXIT_WRONG if is_wrong else 0)


if __name__ == "__main__":
    main()
