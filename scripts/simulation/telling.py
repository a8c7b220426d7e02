"""What ``simulate.py`` runs, and what it tells about it."""

from __future__ import annotations

from p2p.local.commandline import EXIT_WRONG, launched

import re
import shlex
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import click

from scripts.console import numbers_text, print_json, remark, table
from scripts.simulation import everyrule, matrix, record, sweep
from scripts.simulation.argued import ARGUED
from scripts.simulation.history import run_history
from scripts.simulation.mutations import MUTATIONS
from scripts.simulation.parallel import cores, run_many
from scripts.simulation.settings import Outcome, Settings
from scripts.simulation.shrink import Short, shrink_history
from scripts.simulation.trials import TRIALS, name_of

PROGRESS_EVERY_S = 2.0
SEEDS = range(150)
# Of a short history the end is told, without what follows from the rest.
MAX_SHORT_LINES = 60
_QUIET = re.compile(r" (final  |notice |blames )")

Item = TypeVar("Item")


def for_mutation(context: click.Context, settings: Settings) -> Settings:
    """The runs that should show a broken rule, but for what was given on the command line."""
    chosen = sweep.settings_for(MUTATIONS[settings.mutation], settings.mutation, settings.slots)
    given = {
        name: getattr(settings, name)
        for name in ("faults", "byzantine", "villains", "nodes", "traffic", "disk")
        if context.get_parameter_source(name) != click.core.ParameterSource.DEFAULT
    }
    return replace(chosen, **given)


def run_matrix(seeds: range | None, processes: int | None, *, write: bool, as_json: bool) -> int:
    """Every attack against theory; the exit code."""
    seeds = seeds or matrix.SEEDS
    wanted = matrix.cases()
    rows = list(_with_progress(matrix.run_matrix(wanted, seeds, processes), len(wanted), "attacks"))
    if write:
        matrix.DOCUMENT.parent.mkdir(exist_ok=True)
        matrix.DOCUMENT.write_text(matrix.document(rows), encoding="utf-8")
    if as_json:
        print_json(
            {"attacks": [{**asdict(row.case), "predicted": row.case.predicted, "seen": row.seen} for row in rows]}
        )
    else:
        shown = [
            (row.case.strategy, row.case.nodes, row.case.villains, row.case.predicted, "; ".join(sorted(set(row.seen))))
            for row in rows
        ]
        table("", ("attack", "nodes", "villains", "predicted", f"seen in {len(seeds)} seeds"), shown)
    return 0 if all(row.is_right for row in rows) else EXIT_WRONG


def run_sweep(seeds: range | None, slots: int, processes: int | None, *, write: bool, as_json: bool) -> int:
    """Every rule broken in turn; the exit code."""
    seeds = seeds or sweep.SEEDS
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
            "replay": one.outcome and launched(replay_command(one.settings, one.outcome.seed)),
        }
        for one in found
    ]
    if as_json:
        print_json({"mutations": rows})
    else:
        columns = ("mutation", "rule", "noticed", "seed", "slot", "violation")
        table("", columns, [[row[name] for name in columns] for row in rows])
    return 0 if all(one.outcome for one in found) else EXIT_WRONG


def run_every(sample: int | None, draw: int, processes: int | None, *, write: bool, as_json: bool) -> int:
    """Every place of the consensus broken in turn, or a sample of them; the exit code."""
    verdicts = everyrule.run_every(sample, draw, processes or cores())
    if write:
        everyrule.DOCUMENT.write_text(everyrule.document(verdicts, sample, draw), encoding="utf-8")
    if as_json:
        print_json({"mutants": [_verdict_document(verdict) for verdict in verdicts]})
    else:
        rows = [
            (name, *everyrule.row_of(group)) for name, group in (*everyrule.by_file(verdicts), ("all", list(verdicts)))
        ]
        table("", ("file", "tried", "noticed", "survivors", "not argued"), rows)
    return 0 if all(verdict.is_well for verdict in verdicts) else EXIT_WRONG


def _verdict_document(verdict: everyrule.Verdict) -> dict[str, object]:
    mutant = verdict.mutant
    return {
        "file": f"chain/{mutant.path.name}",
        "line": mutant.line,
        "function": mutant.function,
        "before": mutant.before,
        "after": mutant.after,
        "noticed": verdict.noticed,
        "kind": everyrule.kind_of(verdict.noticed) if verdict.noticed else None,
        "history": None if verdict.trial is None else name_of(TRIALS[verdict.trial]),
        "tried": verdict.tried,
        "changed": verdict.changed,
        "argued": ARGUED.get(mutant.key, ""),
    }


def run_histories(
    settings: Settings, seeds: range | None, processes: int | None, *, shrink: bool = False, as_json: bool
) -> int:
    """One history after the other up to the first violation; the exit code."""
    seeds = seeds or SEEDS
    started = time.monotonic()
    outcomes: list[Outcome] = []
    for outcome in _with_progress(run_many(settings, seeds, processes), len(seeds)):
        outcomes.append(outcome)
        if outcome.violation:
            break
    _show(settings, outcomes, time.monotonic() - started, processes or cores(), as_json=as_json)
    if shrink and outcomes[-1].violation and not as_json:
        _show_short(shrink_history(settings, outcomes[-1], remark))
    return EXIT_WRONG if bool(outcomes[-1].violation) != bool(settings.mutation) else 0


def run_logged(
    settings: Settings, seeds: range | None, processes: int | None, log: Path, *, write: bool, as_json: bool
) -> int:
    """All histories that the log does not hold yet, also after a violation; the exit code."""
    kept, seeds = record.Record(log, settings), seeds or SEEDS
    left = [seed for seed in seeds if seed not in kept.outcomes]
    for outcome in _with_progress(run_many(settings, left, processes), len(left)):
        kept.add(outcome)
        if outcome.violation:
            remark(f"VIOLATION at seed {outcome.seed}, slot {outcome.at_slot}: {outcome.violation}")
    if write:
        record.DOCUMENT.write_text(kept.document(_options(settings)), encoding="utf-8")
    if as_json:
        print_json(
            {"summary": dict(kept.summary()), "violations": {one.seed: one.violation for one in kept.violations}}
        )
    else:
        table("", ("what", "how much"), kept.summary())
        for one in kept.violations:
            click.echo(f"VIOLATION at seed {one.seed}, slot {one.at_slot}: {one.violation}")
            click.echo(f"replay it: {launched(replay_command(settings, one.seed))}")
    return EXIT_WRONG if kept.violations else 0


def _with_progress(items: Iterator[Item], count: int, what: str = "histories") -> Iterator[Item]:
    """Say on stderr how far it is, every few seconds."""
    started = told = time.monotonic()
    for done, item in enumerate(items, start=1):
        now = time.monotonic()
        if now - told > PROGRESS_EVERY_S:
            told = now
            remark(f"{done:,} of {count:,} {what}, {round((now - started) / done * (count - done))} s to go")
        yield item


def replay_command(settings: Settings, seed: int) -> str:
    """The command that tells this history."""
    return f"python scripts/simulate.py --replay-seed {seed} {_options(settings)}"


def _options(settings: Settings) -> str:
    parts = [f"--slots {settings.slots} --faults {settings.faults}"]
    names = {
        "nodes": settings.nodes,
        "byzantine": settings.byzantine,
        "villains": settings.villains,
        "traffic": settings.traffic,
        "mutate": settings.mutation,
        "disk": settings.disk if settings.disk != "memory" else "",
    }
    parts += [f"--{name} {value}" for name, value in names.items() if value]
    if settings.only is not None:
        parts += [f"--skip {settings.skip}"] if settings.skip else []
        parts.append(f"--only {numbers_text(settings.only) or shlex.quote('')}")
    return " ".join(parts)


def _show(settings: Settings, outcomes: list[Outcome], elapsed_s: float, processes: int, *, as_json: bool) -> None:
    last = outcomes[-1]
    command = launched(replay_command(settings, last.seed)) if last.violation else None
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
            for name in (
                "transactions",
                "refused",
                "messages",
                "faults",
                "crashes",
                "forgot",
                "restarts",
                "reorgs",
                "forked",
            )
        },
        "culprits": sorted({name for outcome in outcomes for name in outcome.culprits}),
    }
    if as_json:
        print_json({**report, "settings": asdict(settings)})
        return
    table("", ("what", "how much"), [(name.replace("_", " "), value) for name, value in _rows(report)])
    if last.violation:
        what = "noticed" if settings.mutation else "VIOLATION"
        click.echo(f"{what} at seed {last.seed}, slot {last.at_slot}: {last.violation}")
        click.echo(f"replay it: {command}")
    elif settings.mutation:
        click.echo(f"NOT NOTICED in {len(outcomes)} histories: {MUTATIONS[settings.mutation].what}")


def _show_short(short: Short) -> None:
    """What has to happen, what then happens, and the command that tells all of it."""
    click.echo(f"\nthe shortest of {short.tries} histories that were tried:")
    for act in short.acts:
        click.echo(f"  slot {act.slot:<4d} {act}")
    click.echo("what happens then:")
    for line in [line for line in short.outcome.timeline if not _QUIET.search(line)][-MAX_SHORT_LINES:]:
        click.echo(line)
    click.echo(f"replay it: {launched(replay_command(short.settings, short.outcome.seed))}")


def _rows(report: dict[str, Any]) -> list[tuple[str, Any]]:
    hidden = ("violation", "seed", "replay")
    return [
        (name, " ".join(value) if isinstance(value, list) else value)
        for name, value in report.items()
        if name not in hidden
    ]


def run_again(settings: Settings, seed: int, *, as_json: bool) -> int:
    """One history with all of its timeline; the exit code."""
    outcome = run_history(replace(settings, keep_timeline=True), seed)
    _show_replay(outcome, as_json=as_json)
    return EXIT_WRONG if outcome.violation else 0


def _show_replay(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(outcome))
        return
    for line in outcome.timeline:
        click.echo(line)
    click.echo(f"seed {outcome.seed}: {outcome.violation or _unharmed(outcome)}; history {outcome.history}")


def _unharmed(outcome: Outcome) -> str:
    """How a history without a violation ended: with more villains than tolerated a chain may fork."""
    if not outcome.facts["forked"]:
        return "everything held"
    return (
        "honest nodes finalized different blocks, as they can with "
        f"{len(outcome.villains)} of {outcome.nodes} villains; proven guilty: {' '.join(outcome.culprits) or 'nobody'}"
    )
