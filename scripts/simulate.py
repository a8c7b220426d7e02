"""Run many adversarial histories of the node's own engine, each from one seed: ``python scripts/simulate.py``.

Exit codes: 0 if everything held in every history; 1 at the first violation, with its seed and the command that
replays it (with --mutate: if a broken rule was not noticed; with --matrix: if an attack ended otherwise than
predicted); 2 for a mistake in usage; 130 for Ctrl-C.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any, TypeVar

import click

from scripts.console import EXIT_WRONG, print_json, remark, run, table
from scripts.simulation import matrix, sweep
from scripts.simulation.byzantine import STRATEGIES
from scripts.simulation.history import run_history
from scripts.simulation.mutations import MUTATIONS
from scripts.simulation.parallel import cores, run_many
from scripts.simulation.settings import PROFILES, Outcome, Settings, tolerated
from scripts.simulation.workload import TRAFFIC

PROGRESS_EVERY_S = 2.0
MAX_NODES = 100
MAX_SLOTS = 1_000_000
SEEDS = range(150)
ALL = "all"

Item = TypeVar("Item")


class SeedRange(click.ParamType[range]):
    """``A..B``: the seeds from A up to, not including, B; or one seed."""

    name = "A..B"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> range:
        if isinstance(value, range):
            return value
        match = re.fullmatch(r"(\d{1,12})(?:\.\.(\d{1,12}))?", str(value))
        if match is None:
            self.fail("seeds are one number, or two like 0..150", param, ctx)
        first = int(match[1])
        seeds = range(first, int(match[2]) if match[2] else first + 1)
        if not seeds:
            self.fail("there is no seed in this range", param, ctx)
        return seeds


@click.command()
@click.option(
    "--seeds",
    type=SeedRange(),
    help="Which histories to run.  [default: 0..150; 0..5 with --matrix; 0..1000 with --mutate all]",
)
@click.option("--nodes", type=click.IntRange(1, MAX_NODES), help="Validators.  [default: 4 to 7, by the seed]")
@click.option("--slots", type=click.IntRange(1, MAX_SLOTS), default=300, show_default=True, help="Slots with faults.")
@click.option("--faults", type=click.Choice(list(PROFILES)), default="all", show_default=True, help="What goes wrong.")
@click.option("--byzantine", type=click.Choice(list(STRATEGIES)), help="What some validators do instead of their duty.")
@click.option("--villains", type=click.IntRange(1, MAX_NODES), help="How many of them.  [default: as many as allowed]")
@click.option("--traffic", type=click.Choice(list(TRAFFIC)), help="What clients do.  [default: by the seed]")
@click.option(
    "--mutate",
    type=click.Choice([*MUTATIONS, ALL]),
    help="Break one rule, or each in turn, and see that it is noticed.",
)
@click.option("--matrix", "is_matrix", is_flag=True, help="Every attack, with f villains and one more, against theory.")
@click.option("--write", is_flag=True, help="With --matrix or --mutate all: write what was found to scripts/docs.")
@click.option("--replay-seed", type=click.IntRange(0), help="Run one history and tell all of it.")
@click.option("--processes", type=click.IntRange(1, 256), help="[default: one for each core]")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
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
    if is_matrix:
        context.exit(_run_matrix(seeds or matrix.SEEDS, processes, write=write, as_json=as_json))
    if mutate == ALL:
        context.exit(_run_sweep(seeds or sweep.SEEDS, slots, processes, write=write, as_json=as_json))
    seeds = seeds or SEEDS
    settings = Settings(nodes, slots, faults, byzantine or "", villains, mutate or "", traffic or "")
    if mutate:
        settings = _for_mutation(context, settings)
    if (villains or 0) >= (settings.nodes or 4):
        raise click.UsageError("--villains must leave an honest node")
    if byzantine and villains is None and not tolerated(nodes or 4):
        raise click.UsageError("fewer than four validators tolerate no villain; say how many with --villains")
    if replay_seed is not None:
        outcome = run_history(replace(settings, keep_timeline=True), replay_seed)
        _show_replay(outcome, as_json=as_json)
        context.exit(EXIT_WRONG if outcome.violation else 0)
    started = time.monotonic()
    outcomes: list[Outcome] = []
    for outcome in _with_progress(run_many(settings, seeds, processes), len(seeds)):
        outcomes.append(outcome)
        if outcome.violation:
            break
    _show(settings, outcomes, time.monotonic() - started, processes or cores(), as_json=as_json)
    context.exit(EXIT_WRONG if bool(outcomes[-1].violation) != bool(mutate) else 0)


def _for_mutation(context: click.Context, settings: Settings) -> Settings:
    chosen = sweep.settings_for(MUTATIONS[settings.mutation], settings.mutation, settings.slots)
    given = {
        name: getattr(settings, name)
        for name in ("faults", "byzantine", "villains", "nodes", "traffic")
        if context.get_parameter_source(name) != click.core.ParameterSource.DEFAULT
    }
    return replace(chosen, **given)


def _run_matrix(seeds: range, processes: int | None, *, write: bool, as_json: bool) -> int:
    wanted = matrix.cases()
    rows = list(_with_progress(matrix.run_matrix(wanted, seeds, processes), len(wanted), "attacks"))
    if write:
        matrix.DOCUMENT.parent.mkdir(exist_ok=True)
        matrix.DOCUMENT.write_text(matrix.document(rows), encoding="utf-8")
    if as_json:
        print_json([{**asdict(row.case), "predicted": row.case.predicted, "seen": row.seen} for row in rows])
    else:
        shown = [
            (row.case.strategy, row.case.nodes, row.case.villains, row.case.predicted, "; ".join(sorted(set(row.seen))))
            for row in rows
        ]
        table("", ("attack", "nodes", "villains", "predicted", f"seen in {len(seeds)} seeds"), shown)
    return 0 if all(row.is_right for row in rows) else EXIT_WRONG


def _run_sweep(seeds: range, slots: int, processes: int | None, *, write: bool, as_json: bool) -> int:
    found = list(_with_progress(sweep.run_sweep(seeds, slots, processes), len(MUTATIONS), "broken rules"))
    if write:
        sweep.DOCUMENT.parent.mkdir(exist_ok=True)
        sweep.DOCUMENT.write_text(sweep.document(found), encoding="utf-8")
    rows = [
        {
            "mutation": one.name,
            "rule": MUTATIONS[one.name].what,
            "noticed": one.outcome and ("by damage" if one.outcome.is_damage else "inside a node"),
            "seed": one.outcome and one.outcome.seed,
            "slot": one.outcome and one.outcome.at_slot,
            "violation": one.outcome and one.outcome.violation,
            "replay": one.outcome and replay_command(one.settings, one.outcome.seed),
        }
        for one in found
    ]
    if as_json:
        print_json(rows)
    else:
        columns = ("mutation", "rule", "noticed", "seed", "slot", "violation")
        table("", columns, [[row[name] for name in columns] for row in rows])
    return 0 if all(one.outcome for one in found) else EXIT_WRONG


def _with_progress(items: Iterator[Item], count: int, what: str = "histories") -> Iterator[Item]:
    """Say on stderr how far it is, every few seconds."""
    started = told = time.monotonic()
    for done, item in enumerate(items, start=1):
        now = time.monotonic()
        if now - told > PROGRESS_EVERY_S:
            told = now
            remark(f"{done} of {count} {what}, {round((now - started) / done * (count - done))} s to go")
        yield item


def replay_command(settings: Settings, seed: int) -> str:
    """The command that tells this history."""
    parts = [f"python scripts/simulate.py --replay-seed {seed} --slots {settings.slots} --faults {settings.faults}"]
    names = {
        "nodes": settings.nodes,
        "byzantine": settings.byzantine,
        "villains": settings.villains,
        "traffic": settings.traffic,
        "mutate": settings.mutation,
    }
    parts += [f"--{name} {value}" for name, value in names.items() if value]
    return " ".join(parts)


def _show(settings: Settings, outcomes: list[Outcome], elapsed_s: float, processes: int, *, as_json: bool) -> None:
    last = outcomes[-1]
    command = replay_command(settings, last.seed) if last.violation else None
    # A history ends within so many slots; a violation ends it earlier.
    node_slots = sum(outcome.at_slot * outcome.nodes for outcome in outcomes)
    cpu_ms = sum(outcome.cpu_ms for outcome in outcomes)
    report = {
        "histories": len(outcomes),
        "violation": last.violation or None,
        "seed": last.seed if last.violation else None,
        "replay": command,
        "elapsed_s": round(elapsed_s, 1),
        "processes": processes,
        "cpu_us_per_node_slot": round(1000 * cpu_ms / node_slots) if node_slots else None,
        "final_blocks": sum(outcome.final_height for outcome in outcomes),
        "longest_heal_slots": max(outcome.heal_slots for outcome in outcomes),
        **{
            name: sum(outcome.facts[name] for outcome in outcomes)
            for name in ("transactions", "refused", "messages", "faults", "crashes", "forgot", "reorgs", "forked")
        },
        "culprits": sorted({name for outcome in outcomes for name in outcome.culprits}),
    }
    if as_json:
        print_json({**report, "settings": asdict(settings)})
        return
    table("", ("what", "how much"), [(name.replace("_", " "), value) for name, value in _rows(report)])
    if last.violation:
        what = "noticed" if settings.mutation else "VIOLATION"
        click.echo(f"{what} at seed {last.seed}, slot {last.at_slot}: {last.violation}\nreplay it: {command}")
    elif settings.mutation:
        click.echo(f"NOT NOTICED in {len(outcomes)} histories: {MUTATIONS[settings.mutation].what}")


def _rows(report: dict[str, Any]) -> list[tuple[str, Any]]:
    hidden = ("violation", "seed", "replay")
    return [
        (name, " ".join(value) if isinstance(value, list) else value)
        for name, value in report.items()
        if name not in hidden
    ]


def _show_replay(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(outcome))
        return
    for line in outcome.timeline:
        click.echo(line)
    click.echo(f"seed {outcome.seed}: {outcome.violation or 'everything held'}; history {outcome.history}")


if __name__ == "__main__":
    run(main)
