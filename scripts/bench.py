"""How fast it is, as ratios to limits that are measured in the same run: ``python scripts/bench.py``.

Absolute figures move with the machine and with whatever else runs on it; the ratios hold.  The limit of signatures
is what the verifier checks that nodes use.  Every goal is printed beside what was measured.  Exit codes: 0 all goals
reached, 1 some missed, 2 the operator's mistake.
"""

from __future__ import annotations

from p2p.local.commandline import EXIT_WRONG, as_json, command, importing

import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import click

from scripts.bench_parts.figures import Figure, markdown_table
from scripts.console import print_json, remark, table

if TYPE_CHECKING:
    from scripts.bench_parts.limit import Held


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


def bench_limit(seconds: float) -> list[Figure]:
    """Four validators at their limit: an open loop that rises, and what of it they hold for a while."""
    with importing():
        from scripts.bench_parts.limit import NODES, measure_limit
    carried = measure_limit(seconds)
    calm, found, held = carried.calm, carried.limit, carried.held
    cores = os.cpu_count() or 1
    most = f"of {found.signatures_per_s:,.0f}/s, if each node checked each signature once and did nothing else"
    told = f"{held.offered_per_s:,.0f}/s for {seconds:.0f} s, {held.refused} refused, {held.lost} lost"
    checks = f"{held.cpu_ms * found.verify_per_s / 1_000:.1f} × what one core needs to check its signature"
    late = f"presigned; at most {1_000 * held.late_s:.0f} ms behind its schedule, which nothing holds up"
    return [
        Figure(
            "the loader alone", round(found.loader_per_s), "/s", "", "the same loader, against a process that takes all"
        ),
        Figure(
            "the limit of four validators",
            round(found.per_s),
            "/s",
            "",
            f"{NODES} processes on {cores} cores, the loader beside them; rising, until {found.why}",
        ),
        Figure(f"{carried.share:.0%} of it, held", round(held.final_per_s), "/s final", "", told),
        Figure("– of the signatures' ceiling", round(held.final_per_s / found.signatures_per_s, 2), "×", "≥ 0.3", most),
        Figure(
            "– slots kept",
            round(100 * held.kept / held.slots, 1),
            "%",
            "≥ 100",
            f"{held.kept} of {held.slots}; {held.reorgs} reorgs",
        ),
        Figure("– CPU of all nodes, a rating", round(held.cpu_ms, 3), "ms", "≤ 0.42", f"without the loader; {checks}"),
        Figure("– CPU of the loader, a rating", round(held.loader_cpu_ms, 3), "ms", "", late),
        Figure("– from submission to final, p50", round(held.p50_s, 2), "s", "", "from when it was due"),
        Figure("– p95", round(held.p95_s, 2), "s", "", "from when it was due"),
        Figure("– memory of a node", round(held.rss_mb), "MB", "≤ 200", "the largest at the end"),
        Figure("– a block at all nodes, p50", held.block_p50_ms, "ms", "", _blocks(held)),
        Figure("– p95", held.block_p95_ms, "ms", "", _blocks(held)),
        Figure("a smaller block at all nodes, p50", calm.block_p50_ms, "ms", "", _blocks(calm)),
        Figure("– p95", calm.block_p95_ms, "ms", "≤ 300", _blocks(calm)),
    ]


def _blocks(held: Held) -> str:
    return f"of {held.final_per_s * held.slots / max(1, held.kept):,.0f} transactions on average"


def bench_idle(seconds: float, submissions: int) -> list[Figure]:
    """Four validators with nothing to do, or with one transaction at a time."""
    with importing():
        from scripts.bench_parts.limit import NODES
        from scripts.bench_parts.quiet import measure_quiet
    remark(f"idle: watching {NODES} nodes for {seconds:.0f} s, then {submissions} transactions, one after the other …")
    quiet = measure_quiet(seconds, submissions)
    by_hand = f"from submission, by hand: {submissions}, one at a time, at random moments of one-second slots"
    blocks = f"all {NODES} nodes, of one transaction; {quiet.blocks} blocks, less what idling costs"
    return [
        Figure("an idle node", round(100 * quiet.idle_share, 1), "% of a core", "≤ 2", f"over {seconds:.0f} s"),
        Figure("finality, p50", round(quiet.p50_s, 2), "s", "≤ 2.8", by_hand),
        Figure("– p95", round(quiet.p95_s, 2), "s", "", by_hand),
        Figure("a block on a quiet network", round(quiet.cpu_ms_per_block, 1), "ms", "", f"CPU of {blocks}"),
        Figure("– sent for it", round(quiet.bytes_per_block), "bytes", "", f"by {blocks}"),
    ]


def bench_reads(seconds: float) -> list[Figure]:
    """Ask a validator everything that its HTTP API answers, while ratings flow."""
    with importing():
        from scripts.bench_parts.reads import PER_S, STORM, measure_reads, p95
    found = measure_reads(seconds)
    path, slowest_ms = found.slowest()
    came = f"{STORM:,} questions in {found.storm_s:.0f} s, {found.refused} told to come back"
    told = f"{len(found.quick)} answers by turns, {found.final_per_s:.0f} of {PER_S} ratings/s final meanwhile"
    return [
        Figure("reading a validator's API, p50", round(median(found.quick), 1), "ms", "", told),
        Figure("– p95", round(p95(found.quick), 1), "ms", "≤ 20", told),
        Figure("– the slowest path, p95", round(slowest_ms, 1), "ms", "", path),
        Figure("– what is costly, p95", round(p95(found.costly), 1), "ms", "", f"{len(found.costly)} answers"),
        Figure(
            "– slots kept in a storm",
            round(100 * found.kept / found.slots, 1),
            "%",
            "≥ 100",
            f"{came}; {found.kept} of {found.slots}",
        ),
        Figure("– CPU of an answer", round(found.cpu_ms, 2), "ms", "", "in that storm, less what the others used"),
    ]


def bench_page(blocks: int, *, is_asked: bool) -> list[Figure]:
    """Look at the explorer of a node with a long chain, in a browser without a window."""
    with importing():
        from scripts.bench_parts.page import measure_page
        from scripts.explorer_parts.browser import chromium
    if chromium() is None and not is_asked:
        remark("page: left out, since no Chromium is installed")
        return []
    seen = measure_page(blocks)
    how = f"a chain of {blocks:,} blocks, Chromium without a window"
    long = (
        f"{seen.tasks} took more than 50 ms; this one at #/{seen.where.removeprefix('#/')}"
        if seen.tasks
        else "none took 50 ms"
    )
    checks = f"head, finality and a member, from the id of the chain: {seen.signatures} signatures; with asking for it"
    return [
        Figure("the explorer: first paint", round(seen.painted_ms), "ms", "≤ 1000", how),
        Figure("– its longest task", round(seen.longest_ms), "ms", "≤ 100", long),
        Figure("– checking what a node says", round(seen.checking_ms), "ms", "≤ 300", checks),
    ]


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
    start, block = node.start, node.cold
    told = "in process, CPU; the whole command takes {:.2f} s of CPU".format
    return [
        Figure("a million records: memory", round(node.memory_mb), "MB", "≤ 1500", f"{node.entries:,} entries"),
        Figure("– start-up", round(start.cpu_s, 1), "s", "≤ 20", f"CPU; wall {start.wall_s:.1f} s"),
        Figure("– member", round(1_000 * queries.member.cpu_s, 2), "ms", "≤ 50", told(commands.member.cpu_s)),
        Figure("– top", round(1_000 * queries.top.cpu_s, 2), "ms", "≤ 200", told(commands.top.cpu_s)),
        Figure(
            "– a block of 500 of all kinds", round(1_000 * block.apply.cpu_s), "ms", "", "on top, read from disk, CPU"
        ),
        Figure("– storing it", round(1_000 * block.store.cpu_s), "ms", "", f"CPU; wall {block.store.wall_s:.2f} s"),
        Figure("– proof of a member", round(node.proof_bytes), "bytes", "", "offline"),
    ]


def bench_store(url: str) -> list[Figure]:
    """The same blocks with the register in a file, and on a server."""
    with importing():
        from scripts.bench_parts.chainwork import record_chain
        from scripts.bench_parts.stores import store_costs
    remark("store: recording a chain of 20,000 enrolments and 10,000 ratings …")
    here, there = store_costs(record_chain(members=20_000, ratings=10_000), url)
    how = "wall, a block of 500 ratings, median of 20; nothing of the register in memory at first"
    journeys = "questions to the server, a block of 500 ratings"
    return [
        Figure("applying a block, register in a file", here.apply_ms, "ms", "", how),
        Figure("– on a server", there.apply_ms, "ms", "", how),
        Figure("– asked while that", there.read_journeys, "", "", journeys),
        Figure("storing it, register in a file", here.store_ms, "ms", "", how),
        Figure("– on a server", there.store_ms, "ms", "", how),
        Figure("– asked while that", there.write_journeys, "", "", journeys),
    ]


@command
@click.option(
    "--only",
    type=click.Choice(["import", "limit", "idle", "reads", "registry", "state", "page", "store"]),
    help="One measurement instead of all.",
)
@click.option(
    "--store", metavar="URL", help="Compare with a register in an empty database: postgresql://user@host/database."
)
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1, 100), help="Of import and registry.")
@click.option("--hold", default=60.0, show_default=True, type=click.FloatRange(5, 600), help="Seconds near the limit.")
@click.option(
    "--submissions", default=20, show_default=True, type=click.IntRange(1, 1_000), help="By hand, one at a time."
)
@click.option(
    "--duration",
    default=20.0,
    show_default=True,
    type=click.FloatRange(1, 3_600),
    help="Seconds of the idle testnet, and of reading.",
)
@click.option("--blocks", default=100_000, show_default=True, type=click.IntRange(2_000), help="Of the page's chain.")
@click.option("--markdown", is_flag=True, help="The table of scripts/docs/performance.md on stdout.")
@as_json
@click.pass_context
def main(
    context: click.Context,
    only: str | None,
    store: str | None,
    rounds: int,
    hold: float,
    submissions: int,
    duration: float,
    blocks: int,
    markdown: bool,
    as_json: bool,
) -> None:
    """Measure and print ratios to limits taken in the same run."""
    parts: dict[str, Callable[[], list[Figure]]] = {
        "import": lambda: bench_import(rounds),
        "limit": lambda: bench_limit(hold),
        "idle": lambda: bench_idle(duration, submissions),
        "reads": lambda: bench_reads(duration),
        "registry": lambda: bench_registry(rounds),
        "state": bench_state,
        "page": lambda: bench_page(blocks, is_asked=only is not None),
    }
    if store is not None and only not in (None, "store"):
        raise click.UsageError(f"--only {only} asks no store; leave out --store, or say --only store")
    if store is not None:
        parts["store"] = lambda: bench_store(store)
    elif only == "store":
        raise click.UsageError("say --store URL")
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


if __name__ == "__main__":
    main()
