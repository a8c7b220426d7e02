"""Registers of growing size, each built and measured."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from chain.errors import OperatorError
from scripts.bench_parts.register import Register
from scripts.bench_parts.startup import apart, disk_mb, node_costs, query_costs

RECORDS = 10
# From what was measured: a study stops before the machine does.
DISK_MB_A_MEMBER, SPARE_DISK_MB = 0.003, 15_000
MEMORY_MB_A_MEMBER = 0.01
_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Row:
    """One register of so many ``members`` with ten records each.

    Times are CPU time of one process, medians where something was done more than once; ``_wall`` ones hold whatever
    else the machine did.  ``block`` is applying 500 mixed transactions, ``store`` bringing them to the disk.
    """

    members: int
    entries: int
    disk_mb: float
    memory_mb: float
    peak_mb: float
    start_s: float
    start_wall_s: float
    proof_bytes: float
    block_ms: float
    block_wall_ms: float
    store_ms: float
    store_wall_ms: float
    member_ms: float
    top_ms: float


def measure(members: int, folder: Path) -> Row:
    """Build a register in ``folder`` and measure it.  Raises :class:`OperatorError` where it does not fit."""
    home = folder / f"register-{members}"
    check_room(members, folder)
    Register(members, RECORDS).write(home)
    size = disk_mb(home)
    queries = apart(query_costs, home)
    node = apart(node_costs, home)
    shutil.rmtree(home)
    return Row(
        members=members,
        entries=node.entries,
        disk_mb=round(size, 1),
        memory_mb=round(node.memory_mb, 1),
        peak_mb=round(node.peak_mb, 1),
        start_s=round(node.start.cpu_s, 2),
        start_wall_s=round(node.start.wall_s, 2),
        proof_bytes=round(node.proof_bytes),
        block_ms=round(1_000 * node.block.cpu_s, 1),
        block_wall_ms=round(1_000 * node.block.wall_s, 1),
        store_ms=round(1_000 * node.store.cpu_s, 1),
        store_wall_ms=round(1_000 * node.store.wall_s, 1),
        member_ms=round(1_000 * queries.member.cpu_s, 2),
        top_ms=round(1_000 * queries.top.cpu_s, 2),
    )


def check_room(members: int, folder: Path) -> None:
    """Raise :class:`OperatorError` where a register would not fit the disk or the memory."""
    disk = shutil.disk_usage(folder).free / _MB - SPARE_DISK_MB
    memory = psutil.virtual_memory().available / _MB
    for what, needed, free in (
        ("disk", members * DISK_MB_A_MEMBER, disk),
        ("memory", members * MEMORY_MB_A_MEMBER, memory),
    ):
        if needed > free:
            raise OperatorError(
                f"{members:,} members take about {needed:,.0f} MB of {what}, and {max(0.0, free):,.0f} MB can be used; "
                "measure fewer, or free some"
            )


def load(path: Path) -> list[Row]:
    """What was measured before, by members; nothing where there is no such file.  Raises :class:`OperatorError`."""
    if not path.exists():
        return []
    try:
        rows = [Row(**row) for row in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError) as error:
        raise OperatorError(f"{path} cannot be read ({error}); remove it and measure again") from error
    return sorted(rows, key=lambda row: row.members)


def store(rows: Iterable[Row], path: Path) -> None:
    """Write what :func:`load` reads."""
    text = json.dumps([asdict(row) for row in rows], indent=1) + "\n"
    path.write_text(text, encoding="utf-8")
