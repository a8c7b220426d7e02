"""Run many adversarial histories of the node's own engine, each from one seed: ``python scripts/simulate.py``.

Exit codes: 0 if everything held in every history; 1 at the first violation, with its seed and the command that
replays it (with --mutate: if a broken rule was not noticed; with --matrix: if an attack ended otherwise than
predicted); 2 for a mistake in usage; 130 for Ctrl-C.
"""

from __future__ import annotations

from p2p.local.commandline import as_json, command, importing

from collections.abc import Collection
from pathlib import Path
from typing import Literal

import click
from click.core import ParameterSource

from scripts.console import Numbers, OneOf, SeedRange, processes, remark, write
from scripts.simulation.settings import PROFILES, Settings, tolerated

MAX_NODES = 100
MAX_SLOTS = 1_000_000
ALL, EVERY = "all", "every"


def _attacks() -> Collection[str]:
    from scripts.simulation.byzantine import STRATEGIES
    from scripts.simulation.outlaws import OUTLAWS

    return [*STRATEGIES, *OUTLAWS]


def _traffic() -> Collection[str]:
    from scripts.simulation.workload import TRAFFIC

    return TRAFFIC


def _mutations() -> Collection[str]:
    from scripts.simulation.mutations import MUTATIONS

    return [*MUTATIONS, ALL, EVERY]


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
    "--disk",
    type=click.Choice(["memory", "real", "mixed"]),
    default="memory",
    show_default=True,
    help="What honest nodes write to; a real one has SQLite's files, which are torn, damaged and restored; mixed: in "
    "one of ten histories.",
)
@click.option(
    "--mutate",
    type=OneOf("NAME|all|every", _mutations),
    help="Break one rule, each that has a name, or every place of the consensus in turn, and see that it is noticed.",
)
@click.option("--sample", type=click.IntRange(1), help="So many places with --mutate every.  [default: all]")
@click.option("--draw", type=click.IntRange(0), default=0, show_default=True, help="Which ones.")
@click.option("--matrix", "is_matrix", is_flag=True, help="Every attack, with f villains and one more, against theory.")
@click.option(
    "--log",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep there how each history ended, and go on after a violation; what it holds is not run again.",
)
@write("what --matrix, --mutate all, --mutate every or --log finds to scripts/docs")
@click.option("--replay-seed", type=click.IntRange(0), help="Run one history and tell all of it.")
@click.option("--only", type=Numbers(), help="With --replay-seed: only these of its acts happen, by their numbers.")
@click.option("--skip", type=click.IntRange(0), default=0, help="With --only: they happen so many slots earlier.")
@click.option(
    "--shrink/--no-shrink",
    default=True,
    show_default=True,
    help="Search for a short history that fails as the first that does.",
)
@click.option(
    "--manifest", metavar="FILE|random:SEED", help="Carry out a manifest instead (scripts/docs/manifests.md)."
)
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
    disk: Literal["memory", "real", "mixed"],
    mutate: str | None,
    sample: int | None,
    draw: int,
    is_matrix: bool,
    log: Path | None,
    write: bool,
    replay_seed: int | None,
    only: tuple[int, ...] | None,
    skip: int,
    shrink: bool,
    manifest: str | None,
    processes: int | None,
    as_json: bool,
) -> None:
    """Run the node's own engine under simulated faults and check every step.

    The same seed gives the same history, to the byte, on every machine.  With --mutate the faults and villains that
    should show the broken rule are chosen for it, unless they are given; with --mutate every they are the same few.
    """
    if manifest is not None:
        _check_alone(context)
        context.exit(_carry_out(manifest, as_json=as_json))
    if write and not is_matrix and log is None and mutate not in (ALL, EVERY):
        raise click.UsageError("--write writes what --matrix, --mutate all|every or --log finds; give one of them, too")
    if log is not None and (is_matrix or mutate or replay_seed is not None):
        raise click.UsageError("--log keeps how the histories of --seeds end, with no rule broken")
    if sample is not None and mutate != EVERY:
        raise click.UsageError("--sample is one of the places of --mutate every")
    with importing():
        from scripts.simulation.telling import (
            for_mutation,
            run_again,
            run_every,
            run_histories,
            run_logged,
            run_matrix,
            run_sweep,
        )
    if is_matrix:
        context.exit(run_matrix(seeds, processes, write=write, as_json=as_json))
    if mutate == EVERY:
        context.exit(run_every(sample, draw, processes, write=write, as_json=as_json))
    if mutate == ALL:
        context.exit(run_sweep(seeds, slots, processes, write=write, as_json=as_json))
    settings = Settings(
        nodes, slots, faults, byzantine or "", villains, mutate or "", traffic or "", disk=disk, only=only, skip=skip
    )
    if mutate:
        settings = for_mutation(context, settings)
    if (villains or 0) >= (settings.nodes or 4):
        raise click.UsageError("--villains must leave an honest node")
    if byzantine and villains is None and not tolerated(nodes or 4):
        raise click.UsageError("fewer than four validators tolerate no villain; say how many with --villains")
    if replay_seed is not None:
        context.exit(run_again(settings, replay_seed, as_json=as_json))
    if only is not None:
        raise click.UsageError("--only chooses of the acts of one seed; give it with --replay-seed")
    if log is not None:
        context.exit(run_logged(settings, seeds, processes, log, write=write, as_json=as_json))
    context.exit(run_histories(settings, seeds, processes, shrink=shrink, as_json=as_json))


def _check_alone(context: click.Context) -> None:
    given = {name for name in context.params if context.get_parameter_source(name) == ParameterSource.COMMANDLINE}
    if given - {"manifest", "as_json"}:
        raise click.UsageError("a manifest says all that a run has to know; beside --manifest only --json goes")


def _carry_out(source: str, *, as_json: bool) -> int:
    with importing():
        from scripts.manifest_parts.reading import load_manifest
        from scripts.manifest_parts.telling import tell
        from scripts.simulation.staging import run_manifest
    manifest = load_manifest(source)
    return tell(manifest, run_manifest(manifest, remark), "simulator", as_json=as_json)


if __name__ == "__main__":
    main()
