"""Many histories on all cores, and what came of them."""

from __future__ import annotations

from p2p.local.commandline import launched

import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import click

from scripts.console import print_json, remark, table
from scripts.histories_parts.history import Outcome, run_history
from scripts.histories_parts.rushed import run_rushed
from scripts.simulation.parallel import cores

PROGRESS_EVERY_S = 2.0
# Long enough that handing out work costs nothing, short enough that progress is seen.
BATCH = 50


@dataclass
class Tally:
    """What came of some histories, up to the first violation."""

    histories: int = 0
    blocks: int = 0
    cpu_s: float = 0.0
    accepted: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    violation: str = ""
    seed: int | None = None

    def add(self, outcome: Outcome) -> None:
        """Count one history."""
        self.histories += 1
        self.blocks += outcome.blocks
        self.accepted.update(outcome.accepted)
        self.refused.update(outcome.refused)
        if outcome.violation:
            self.violation, self.seed = outcome.violation, outcome.seed

    def join(self, other: Tally) -> None:
        """Count what another process counted."""
        self.histories += other.histories
        self.blocks += other.blocks
        self.cpu_s += other.cpu_s
        self.accepted.update(other.accepted)
        self.refused.update(other.refused)
        if other.violation:
            self.violation, self.seed = other.violation, other.seed


def run_batch(seeds: range, *, is_rushed: bool = False) -> Tally:
    """The histories of these seeds, one after the other."""
    tally, started = Tally(), time.process_time()
    for seed in seeds:
        tally.add(run_rushed(seed) if is_rushed else run_history(seed))
        if tally.violation:
            break
    tally.cpu_s = time.process_time() - started
    return tally


def run_batches(batches: list[range], processes: int, *, is_rushed: bool = False) -> Iterator[Tally]:
    """The tallies as they come; stop reading, and what is not run yet is never run."""
    run = partial(run_batch, is_rushed=is_rushed)
    if processes == 1:
        yield from map(run, batches)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(run, batches)


def run_all(seeds: range, processes: int | None, *, as_json: bool, is_rushed: bool = False) -> Tally:
    """Run and judge the histories of these seeds, up to the first violation, and say what came of them."""
    batches = [seeds[at : at + BATCH] for at in range(0, len(seeds), BATCH)]
    total, started = Tally(), time.monotonic()
    told = started
    for tally in run_batches(batches, min(processes or cores(), len(batches)), is_rushed=is_rushed):
        total.join(tally)
        if total.violation:
            break
        if (now := time.monotonic()) - told > PROGRESS_EVERY_S:
            told = now
            left_s = (now - started) / total.histories * (len(seeds) - total.histories)
            remark(f"{total.histories:,} of {len(seeds):,} histories, {round(left_s)} s to go")
    _show(total, time.monotonic() - started, "--rushed " * is_rushed, as_json=as_json)
    return total


def _show(total: Tally, elapsed_s: float, options: str, *, as_json: bool) -> None:
    report: dict[str, Any] = {
        "histories": total.histories,
        "violation": total.violation or None,
        "seed": total.seed,
        "elapsed_s": round(elapsed_s, 1),
        "cpu_ms_per_history": round(1000 * total.cpu_s / total.histories, 2),
        "blocks": total.blocks,
        "accepted": total.accepted.total(),
        "refused": total.refused.total(),
    }
    if as_json:
        print_json({**report, "accepted": dict(total.accepted), "refused": dict(total.refused)})
        return
    rows = [(name.replace("_", " "), value) for name, value in report.items() if name not in ("violation", "seed")]
    table("", ("what", "how much"), rows)
    table("", ("refused for", "times"), [(name, times) for name, times in total.refused.most_common()])
    if total.violation:
        click.echo(f"VIOLATION at seed {total.seed}: {total.violation}")
        click.echo(launched(f"play it again: python scripts/histories.py {options}--seeds {total.seed}"))
