"""Run many adversarial histories of the node's own engine, each from one seed: ``python scripts/simulate.py``.

Exit codes: 0 if everything held in every history; 1 at the first violation, with its seed and the command that
replays it (with --mutate: if a broken rule was not noticed; with --matrix: if an attack ended otherwise than
predicted); 2 for a mistake in usage; 130 for Ctrl-C.
"""

from __future__ import annotations

from p2p.local.commandline import as_json, command, importing

from collections.abc import Collection

import click

from scripts.console import OneOf, SeedRange, processes, write
from scripts.simulation.settings import PROFILES, Settings, tolerated

MAX_NODES = 100
MAX_SLOTS = 1_000_000
ALL = "all"


def _attacks() -> Collection[str]:
    from scripts.simulation.byzantine import STRATEGIES
    from scripts.simulation.outlaws import OUTLAWS

    return [*STRATEGIES, *OUTLAWS]


def _traffic() -> Collection[str]:
    from scripts.simulation.workload import TRAFFIC

    return TRAFFIC


def _mutations() -> Collection[str]:
    from scripts.simulation.mutations import MUTATIONS

    return [*MUTATIONS, ALL]


@command
@click.option(
    "--seeds",
    type=SeedRange(),
    help="Which histories to run.  [default: 0..150; 0..5 with --matrix; 0..1000 with --mutate all]",
)
@click.option("--nodes", type=click.IntRange(1, MAX_NODES), help="Validators.  [default: 4 to 7, by the seed]")
@click.option("--slots", type=click.IntRange(1, MAX_SLOTS), default=300, show_default=True, help="Slots with faults.")
@click.option("--faults", type=click.Choice(list(PROFILES)), default="all", show_default=True, help="What goes wrong.")
@click.option("--byzantine", type=OneOf("NAME", _attacks), help="What some validators do instead of their duty.")
@click.option("--villains", type=click.IntRange(1, MAX_NODES), help="How many of them.  [default: as many as allowed]")
@click.option("--traffic", type=OneOf("NAME", _traffic), help="What clients do.  [default: by the seed]")
@click.option(
    "--mutate",
    type=OneOf("NAME|all", _mutations),
    help="Break one rule, or each in turn, and see that it is noticed.",
)
@click.option("--matrix", "is_matrix", is_flag=True, help="Every attack, with f villains and one more, against theory.")
@write("what --matrix or --mutate all finds to scripts/docs")
@click.option("--replay-seed", type=click.IntRange(0), help="Run one history and tell all of it.")
@processes
@as_json
@click.pass_context
def main(
    context: click.Context,
    seeds: range | None,
    nodes: int | None,
    slots: int,
    faults: str,
    byzantine: str | None,
    villains: int | None,
    traffic: str | None,
    mutate: str | None,
    is_matrix: bool,
    write: bool,
    replay_seed: int | None,
    processes: int | None,
    as_json: bool,
) -> None:
    """Run the node's own engine under simulated faults and check every step.

    The same seed gives the same history, to the byte, on every machine.  With --mutate the faults and villains that
    should show the broken rule are chosen for it, unless they are given.
    """
    if write and not is_matrix and mutate != ALL:
        raise click.UsageError("--write writes what --matrix or --mutate all finds; give one of them, too")
    with importing():
        from scripts.simulation.telling import for_mutation, run_again, run_histories, run_matrix, run_sweep
    if is_matrix:
        context.exit(run_matrix(seeds, processes, write=write, as_json=as_json))
    if mutate == ALL:
        context.exit(run_sweep(seeds, slots, processes, write=write, as_json=as_json))
    settings = Settings(nodes, slots, faults, byzantine or "", villains, mutate or "", traffic or "")
    if mutate:
        settings = for_mutation(context, settings)
    if (villains or 0) >= (settings.nodes or 4):
        raise click.UsageError("--villains must leave an honest node")
    if byzantine and villains is None and not tolerated(nodes or 4):
        raise click.UsageError("fewer than four validators tolerate no villain; say how many with --villains")
    if replay_seed is not None:
        context.exit(run_again(settings, replay_seed, as_json=as_json))
    context.exit(run_histories(settings, seeds, processes, as_json=as_json))


if __name__ == "__main__":
    main()
