"""How fast it is, as ratios to limits that are measured in the same run: ``python scripts/bench.py``.

Absolute figures move with the machine and with whatever else runs on it; the ratios hold.  The limit of signatures
is what the verifier checks that nodes use.  Every goal is printed beside what was measured.  Exit codes: 0 all goals
reached, 1 some missed, 2 the operator's mistake.
"""

from __future__ import annotations

from p2p.local.commandline import EXIT_WRONG, as_json, command, importing

import os
import platform
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import click

from scripts.console import print_json, remark, table

if TYPE_CHECKING:
    from scripts.bench_parts.network import Load

# A load that leaves room, and one that makes blocks of 500, in slots of a second.
STEADY_PER_S, STEADY_RATINGS = 1_100, 40_000
CALM_PER_S, CALM_RATINGS = 500, 10_000


@dataclass(frozen=True)
class Figure:
    """One measured figure, and its goal in the same unit: ``≥ 0.5``, ``≤ 300``, or none."""

    name: str
    measured: float
    unit: str
    goal: str
    how: str

    @property
    def is_reached(self) -> bool:
        """Whether the goal is reached, where there is one."""
        sign, _, bound = self.goal.partition(" ")
        if not sign:
            return True
        return self.measured >= float(bound) if sign == "≥" else self.measured <= float(bound)

    @property
    def told(self) -> str:
        """The figure with its unit."""
        return f"{self.measured:,} {self.unit}".replace(" /", "/")


def bench_import(rounds: int) -> list[Figure]:
    """Import blocks of 500 ratings, with signatures to check and with signatures known."""
    with importing():
        from scripts.bench_parts.chainwork import import_rates, record_chain, verify_rate
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
    # Of libsodium's rate: 0.6 and 3 of that of OpenSSL, which is 1.9 times slower.
    how = f"decode, check, execute, store; median of {rounds} rounds, the verify rate measured in each"
    return [
        Figure("verify rate of one core", round(median(limits)), "/s", "", "Ed25519 by libsodium, as nodes check"),
        Figure("importing blocks of 500 ratings", round(median(cold), 2), "× that rate", "≥ 0.32", how),
        Figure("– signatures known", round(median(known), 2), "× that rate", "≥ 1.6", "decode, execute, store"),
    ]


def bench_load(ratings: int) -> list[Figure]:
    """Four validators under load: as much as they carry, a steady one below that, and blocks of 500."""
    with importing():
        from scripts.bench_parts.chainwork import verify_rate
        from scripts.bench_parts.network import NODES
    limit = verify_rate()
    full = _measured(ratings, None)
    limit = (limit + verify_rate()) / 2
    steady, calm = _measured(STEADY_RATINGS, STEADY_PER_S), _measured(CALM_RATINGS, CALM_PER_S)
    cores = os.cpu_count() or 1
    ceiling = limit * cores / NODES
    how = f"{NODES} processes on {cores} cores, the loader beside them"
    most = f"of {ceiling:,.0f}/s, if each node checked each signature once and did nothing else"
    return [
        Figure("full speed", round(full.sustained_per_s), "/s final", "", how),
        Figure("– of the signatures' ceiling", round(full.sustained_per_s / ceiling, 2), "×", "", most),
        Figure("– slots kept", round(100 * full.slots_kept, 1), "%", "", f"{full.reorgs} reorgs"),
        Figure("– CPU of all nodes, a rating", full.cpu_ms_per_transaction, "ms", "≤ 1.5", "without the loader"),
        Figure("– memory of a node", round(full.rss_mb), "MB", "≤ 200", "the largest at the end"),
        Figure("– a block at all nodes, p50", full.propagation_p50_ms, "ms", "", _blocks(full)),
        Figure("– a block at all nodes, p95", full.propagation_p95_ms, "ms", "", _blocks(full)),
        Figure(
            "steady load", round(steady.sustained_per_s), "/s final", "≥ 1000", f"{STEADY_PER_S:,} submitted a second"
        ),
        Figure("– slots kept", round(100 * steady.slots_kept, 1), "%", "≥ 98", f"{steady.reorgs} reorgs"),
        Figure("a smaller block at all nodes, p50", calm.propagation_p50_ms, "ms", "", _blocks(calm)),
        Figure("– p95", calm.propagation_p95_ms, "ms", "≤ 300", _blocks(calm)),
    ]


def _measured(ratings: int, per_s: int | None) -> Load:
    with importing():
        from scripts.bench_parts.network import NODES, measure_load
    pace = "at full speed" if per_s is None else f"at {per_s:,} a second"
    remark(f"load: replaying {ratings:,} random ratings on {NODES} validators {pace} …")
    return measure_load(members=max(500, ratings // 10), ratings=ratings, max_per_s=per_s)


def _blocks(load: Load) -> str:
    return f"of {load.block_transactions:,.0f} transactions on average"


def bench_idle(seconds: float) -> list[Figure]:
    """Four validators with nothing to do."""
    with importing():
        from scripts.bench_parts.network import NODES, measure_idle
    remark(f"idle: watching {NODES} idle nodes for {seconds:.0f} s …")
    share = measure_idle(seconds)
    return [Figure("an idle node", round(100 * share, 1), "% of a core", "≤ 5", f"over {seconds:.0f} s")]


def bench_registry(rounds: int) -> list[Figure]:
    """Apply registry transactions whose signatures are known, ratings alone and all kinds mixed."""
    with importing():
        from scripts.bench_parts.mixed import applied_per_s
    rates, mixed, ratios = [], [], []
    for number in range(rounds):
        remark(f"registry: round {number + 1} of {rounds} …")
        rates.append(applied_per_s("rate", 10_000))
        mixed.append(applied_per_s("mixed", 10_000))
        ratios.append(mixed[-1] / rates[-1])
    how = f"apply, and hash the state, a CPU second; blocks of 500, 5,000 members, median of {rounds}"
    return [
        Figure("applying ratings, signatures known", round(median(rates)), "/s", "", how),
        Figure("applying transactions of all kinds", round(median(mixed)), "/s", "≥ 10000", how),
        Figure("– of the rate of ratings", round(median(ratios), 2), "×", "≥ 0.5", "in the same round"),
    ]


def bench_state() -> list[Figure]:
    """Start with a million records, and look into them."""
    with importing():
        from scripts.bench_parts.register import Register
        from scripts.bench_parts.startup import apart, command_costs, node_costs, query_costs
    remark("state: writing 1,000,000 records about 100,000 members …")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        Register(members=100_000, records=10).write(home)
        remark("state: looking into it …")
        queries, commands = apart(query_costs, home), command_costs(home)
        remark("state: starting with it …")
        node = apart(node_costs, home)
    start, store = node.start, node.store
    told = "in process, CPU; the whole command takes {:.2f} s of CPU".format
    return [
        Figure("a million records: memory", round(node.memory_mb), "MB", "≤ 1500", f"{node.entries:,} entries"),
        Figure("– start-up", round(start.cpu_s, 1), "s", "≤ 20", f"CPU; wall {start.wall_s:.1f} s"),
        Figure("– member", round(1_000 * queries.member.cpu_s, 2), "ms", "≤ 50", told(commands.member.cpu_s)),
        Figure("– top", round(1_000 * queries.top.cpu_s, 2), "ms", "≤ 200", told(commands.top.cpu_s)),
        Figure("– a block of 500 of all kinds", round(1_000 * node.block.cpu_s), "ms", "", "applied on top, CPU"),
        Figure("– storing it", round(1_000 * store.cpu_s), "ms", "", f"CPU; wall {store.wall_s:.2f} s"),
        Figure("– proof of a member", round(node.proof_bytes), "bytes", "", "offline"),
    ]


@command
@click.option(
    "--only", type=click.Choice(["import", "load", "idle", "registry", "state"]), help="One measurement instead of all."
)
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1, 100), help="Of import and registry.")
@click.option(
    "--ratings", default=30_000, show_default=True, type=click.IntRange(1_000, 1_000_000), help="Of the load."
)
@click.option(
    "--duration", default=30.0, show_default=True, type=click.FloatRange(1, 3_600), help="Seconds of the idle testnet."
)
@click.option("--markdown", is_flag=True, help="The table of README's 'How fast' on stdout.")
@as_json
@click.pass_context
def main(
    context: click.Context, only: str | None, rounds: int, ratings: int, duration: float, markdown: bool, as_json: bool
) -> None:
    """Measure and print ratios to limits taken in the same run."""
    parts: dict[str, Callable[[], list[Figure]]] = {
        "import": lambda: bench_import(rounds),
        "load": lambda: bench_load(ratings),
        "idle": lambda: bench_idle(duration),
        "registry": lambda: bench_registry(rounds),
        "state": bench_state,
    }
    figures = [figure for name, part in parts.items() if only in (None, name) for figure in part()]
    if as_json:
        rows = [{**asdict(figure), "reached": figure.is_reached} for figure in figures]
        print_json({"figures": rows})
    elif markdown:
        click.echo("\n".join(markdown_table(figures)))
    else:
        columns = ["figure", "measured", "goal", "reached", "how"]
        table(
            "",
            columns,
            [(f.name, f.told, f.goal, "yes" if f.is_reached else "NO", f.how) for f in figures],
            least=("how",),
        )
    context.exit(0 if all(figure.is_reached for figure in figures) else EXIT_WRONG)


def markdown_table(figures: Sequence[Figure]) -> list[str]:
    """The lines of the table in README, to paste as they are; what misses its goal is bold."""
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores"
    lines = [f"| {machine} | measured | goal | how |", "|---|---|---|---|"]
    for figure in figures:
        told = figure.told if figure.is_reached else f"**{figure.told}**"
        lines.append(f"| {figure.name} | {told} | {figure.goal} | {figure.how} |")
    return lines


if __name__ == "__main__":
    main()
