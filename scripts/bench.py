"""How fast it is, as ratios to limits that are measured in the same run: ``python scripts/bench.py``.

Absolute figures move with the machine and with whatever else runs on it; the ratios hold.  Every goal is
printed beside what was measured.  Exit codes: 0 all goals reached, 1 some missed, 2 the operator's mistake.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median

import click

from scripts.bench_parts.chainwork import import_rates, record_chain, verify_rate
from scripts.bench_parts.network import NODES, measure_idle, measure_load
from scripts.console import EXIT_WRONG, print_json, remark, run, table


@dataclass(frozen=True)
class Figure:
    """One measured figure.  ``limit`` names what a ratio is measured against."""

    name: str
    measured: float
    unit: str
    goal: str
    reached: bool
    how: str


def bench_import(rounds: int) -> list[Figure]:
    """Import blocks of 500 ratings, with signatures to check and with signatures known."""
    remark("import: recording a chain of 5,000 enrolments and 20,000 ratings …")
    recorded = record_chain(members=5_000, ratings=20_000)
    cold, known, limits = [], [], []
    for number in range(rounds):
        remark(f"import: round {number + 1} of {rounds} …")
        before = verify_rate()
        cold_rate, known_rate = import_rates(recorded)
        limit = (before + verify_rate()) / 2
        limits.append(limit)
        cold.append(cold_rate / limit)
        known.append(known_rate / limit)
    how = f"decode, check, execute, store; ratio to one core's verify rate in the same round, median of {rounds}"
    return [
        Figure("verify rate of one core", round(median(limits)), "signatures/s", "-", True, "cryptography, Ed25519"),
        Figure("import, cold signatures", round(median(cold), 2), "x verify rate", ">= 0.6", median(cold) >= 0.6, how),
        Figure("import, known signatures", round(median(known), 2), "x verify rate", ">= 3", median(known) >= 3, how),
    ]


def bench_load(ratings: int) -> list[Figure]:
    """Four validators under load."""
    remark(f"load: replaying {ratings:,} random ratings on {NODES} validators …")
    limit = verify_rate()
    load = measure_load(members=3_000, ratings=ratings)
    limit = (limit + verify_rate()) / 2
    cores = os.cpu_count() or 1
    ceiling = limit * cores / NODES
    sustained = load.sustained_per_s
    how = f"{NODES} processes on {cores} cores, loader beside them"
    blocks = f"blocks of {load.block_transactions:.0f} transactions on average"
    return [
        Figure("sustained", round(sustained), "tx/s final", ">= 1000", sustained >= 1_000, how),
        Figure(
            "sustained / ceiling",
            round(sustained / ceiling, 2),
            "x",
            "-",
            True,
            f"ceiling {ceiling:.0f} tx/s: each node checks each signature once, and nothing else",
        ),
        Figure(
            "slots kept",
            round(load.slots_kept, 3),
            "share",
            ">= 0.98",
            load.slots_kept >= 0.98,
            f"{load.reorgs} reorgs",
        ),
        Figure("block to all nodes, p50", load.propagation_p50_ms, "ms", "-", True, blocks),
        Figure(
            "block to all nodes, p95", load.propagation_p95_ms, "ms", "<= 300", load.propagation_p95_ms <= 300, blocks
        ),
        Figure(
            "CPU of all nodes",
            load.cpu_ms_per_transaction,
            "ms/tx",
            "<= 1.5",
            load.cpu_ms_per_transaction <= 1.5,
            f"{NODES} nodes together, without the loader",
        ),
        Figure("memory of a node", round(load.rss_mb), "MB", "< 200", load.rss_mb < 200, "largest RSS at the end"),
    ]


def bench_idle(seconds: float) -> list[Figure]:
    """Four validators with nothing to do."""
    remark(f"idle: watching {NODES} idle nodes for {seconds:.0f} s …")
    share = measure_idle(seconds)
    return [Figure("idle node", round(100 * share, 1), "% of a core", "< 5", share < 0.05, f"over {seconds:.0f} s")]


@click.command()
@click.option("--only", type=click.Choice(["import", "load", "idle"]), help="One measurement instead of all.")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1, 100), help="Of the import.")
@click.option(
    "--ratings", default=30_000, show_default=True, type=click.IntRange(1_000, 1_000_000), help="Of the load."
)
@click.option("--idle-s", default=30.0, show_default=True, type=click.FloatRange(1, 3_600), help="Of the idle testnet.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.pass_context
def main(context: click.Context, only: str | None, rounds: int, ratings: int, idle_s: float, as_json: bool) -> None:
    """Measure and print ratios to limits taken in the same run."""
    parts: dict[str, Callable[[], list[Figure]]] = {
        "import": lambda: bench_import(rounds),
        "load": lambda: bench_load(ratings),
        "idle": lambda: bench_idle(idle_s),
    }
    figures = [figure for name, part in parts.items() if only in (None, name) for figure in part()]
    if as_json:
        print_json({"figures": [asdict(figure) for figure in figures]})
    else:
        rows = [(f.name, f"{f.measured:g}", f.unit, f.goal, "yes" if f.reached else "NO", f.how) for f in figures]
        table("", ["figure", "measured", "unit", "goal", "reached", "how"], rows)
    context.exit(0 if all(figure.reached for figure in figures) else EXIT_WRONG)


if __name__ == "__main__":
    run(main)
