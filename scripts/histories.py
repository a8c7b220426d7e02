"""Run many random histories of the registry and recount each in another way: ``python scripts/histories.py``.

In each, dozens of transactions, valid and invalid, spread over several blocks under some policy.  Score, tier and
every counter must be what a recount from the list of events gives; a refusal must change nothing; an amendment must
worsen nobody's standing; undoing, redoing and executing anew must give the same state, to the byte.

Exit codes: 0 if everything held; 1 at the first violation, with its seed; 2 for a mistake in usage; 130 for Ctrl-C.
"""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import click

from scripts.console import EXIT_WRONG, print_json, remark, run, table
from scripts.histories_parts.history import Outcome, run_history
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


def run_batch(seeds: range) -> Tally:
    """The histories of these seeds, one after the other."""
    tally, started = Tally(), time.process_time()
    for seed in seeds:
        tally.add(run_history(seed))
        if tally.violation:
            break
    tally.cpu_s = time.process_time() - started
    return tally


def run_batches(batches: list[range], processes: int) -> Iterator[Tally]:
    """The tallies as they come; stop reading, and what is not run yet is never run."""
    if processes == 1:
        yield from map(run_batch, batches)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(run_batch, batches)


@click.command()
@click.option("--count", type=click.IntRange(1, 10**9), default=300, show_default=True, help="How many histories.")
@click.option("--first", type=click.IntRange(0), default=0, show_default=True, help="The first seed.")
@click.option("--processes", type=click.IntRange(1, 256), help="[default: one for each core]")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
@click.pass_context
def main(context: click.Context, count: int, first: int, processes: int | None, as_json: bool) -> None:
    """Live random histories of the registry and recount each of them in another way.

    A seed gives the same history on every machine: --first SEED --count 1 lives it again.
    """
    end = first + count
    batches = [range(at, min(at + BATCH, end)) for at in range(first, end, BATCH)]
    total, started = Tally(), time.monotonic()
    told = started
    for tally in run_batches(batches, min(processes or cores(), len(batches))):
        total.join(tally)
        if total.violation:
            break
        if (now := time.monotonic()) - told > PROGRESS_EVERY_S:
            told = now
            left_s = (now - started) / total.histories * (count - total.histories)
            remark(f"{total.histories} of {count} histories, {round(left_s)} s to go")
    _show(total, time.monotonic() - started, as_json=as_json)
    context.exit(EXIT_WRONG if total.violation else 0)


def _show(total: Tally, elapsed_s: float, *, as_json: bool) -> None:
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
        command = f"python scripts/histories.py --first {total.seed} --count 1"
        click.echo(f"VIOLATION at seed {total.seed}: {total.violation}\nlive it again: {command}")


if __name__ == "__main__":
    run(main)
