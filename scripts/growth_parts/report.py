"""What was measured as tables, and what follows from it for a country."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2
from pathlib import Path

from chain.base.errors import OperatorError
from chain.base.keys import SecretKey
from chain.content.actions import FileRecord
from chain.content.transactions import sign_transaction
from scripts.bench_parts.figures import Figure
from scripts.chain_view import Sheet
from scripts.growth_parts.kept import Kept
from scripts.growth_parts.study import RECORDS, Row

MANUAL = Path(__file__).resolve().parents[1] / "docs" / "growth.md"
COUNTRY = 1_400_000_000
YEAR_S = 365 * 86_400
# Ten records a person and year, as a rate.
COUNTRY_PER_S = COUNTRY * RECORDS / YEAR_S
BLOCK = 500
# Up to here a register has the goals of a small one.
SMALL = 5_000
MILLION = 1_000_000
_MARKS = {name: (f"<!-- {name}: begin -->", f"<!-- {name}: end -->") for name in ("goals", "measured", "country")}


def measured_sheet(rows: Sequence[Row]) -> Sheet:
    """Every size that was measured."""
    columns = (
        "members",
        "entries",
        "built in, s",
        "on disk, MB",
        "memory, MB",
        "start, ms (wall)",
        "proof, bytes",
        "made in, ms",
        "block of 500 warm, ms (root)",
        "cold, ms (root; wall)",
        "storing it, ms (wall)",
        "`member`, ms",
        "`top`, ms",
    )
    cells = [
        (
            f"{row.members:,}",
            f"{row.entries:,}",
            f"{row.build_s:,.0f}",
            f"{row.disk_mb:,.0f}",
            f"{row.memory_mb:,.0f}",
            f"{row.start_ms:.0f} ({row.start_wall_ms:.0f})",
            f"{row.proof_bytes:,.0f}",
            f"{row.proof_ms:.2f}",
            f"{row.block_ms:.0f} ({row.root_ms:.0f})",
            f"{row.cold_ms:.0f} ({row.cold_root_ms:.0f}; {row.cold_wall_ms:.0f})",
            f"{row.store_ms:.0f} ({row.store_wall_ms:.0f})",
            f"{row.member_ms:.1f}",
            f"{row.top_ms:.1f}",
        )
        for row in rows
    ]
    return Sheet("Registers with ten records a member", columns, cells)


def goals_sheet(kept: Kept) -> Sheet:
    """Each figure that has a goal, beside it."""
    figures = [*register_figures(kept.rows), *(figure for _, part in sorted(kept.parts.items()) for figure in part)]
    reached = {True: "yes", False: "NO"}
    lines = [
        (figure.name, figure.told, figure.goal, reached[figure.is_reached] if figure.goal else "", figure.how)
        for figure in figures
    ]
    return Sheet("Goals", ("what", "measured", "goal", "reached", "how"), lines, ("how",))


def register_figures(rows: Sequence[Row]) -> list[Figure]:
    """What the registers say of the goals; larger ones have larger bounds."""
    return [figure for row in rows for figure in (*_stands(row), *_moves(row))]


def _stands(row: Row) -> list[Figure]:
    who, is_large = f"{row.members:,} members", row.members > MILLION
    memory = (
        "resident once it applied 22 blocks of 500, in a process that stores and applies; no network, no page cache"
    )
    start = f"until the chain is loaded, nothing of the file in the page cache; {row.start_ms:.0f} ms of CPU"
    return [
        Figure(f"{who}: memory", row.memory_mb, "MB", "≤ 500" if is_large else "≤ 350", memory),
        Figure("– start", row.start_wall_ms, "ms", "≤ 3000" if is_large else "≤ 2000", start),
        Figure("– proof", row.proof_bytes, "bytes", "≤ 1300", "of a member's entry, mean of 50 at random"),
        Figure("– making it", row.proof_ms, "ms", "≤ 5", "CPU, median, each member for the first time"),
        Figure("– building it", row.build_s, "s", "≤ 1800" if is_large else "", "entries, tree and tables, wall"),
    ]


def _moves(row: Row) -> list[Figure]:
    warm = f"rules and root, CPU, median of 11, mixed kinds, among a thousand members; the root {row.root_ms:.0f} ms"
    cold = f"the same, each about members of whom nothing is in memory; wall {row.cold_wall_ms:.0f} ms"
    rate = f"of {row.verify_per_s:,.0f}/s that one core checks; ratings at random, on disk, in blocks of 500"
    figures = [Figure("– a block of 500, warm", row.block_ms, "ms", "≤ 90", warm)]
    if row.members > MILLION:
        figures += [Figure("– cold", row.cold_ms, "ms", "", cold)]
        figures += [Figure("– its root", row.cold_root_ms, "ms", "≤ 60", "CPU, pages read from disk")]
    else:
        figures += [Figure("– cold", row.cold_ms, "ms", "≤ 90", cold)]
    goal = "≥ 1.2" if row.members <= SMALL else "≥ 0.8" if row.members <= MILLION else ""
    return [*figures, Figure("– importing, signatures known", row.import_share, "× the verify rate", goal, rate)]


def country_sheet(rows: Sequence[Row]) -> Sheet:
    """The largest register, and a country, extrapolated from it and from the second largest."""
    if len(rows) < 2:
        raise OperatorError("two sizes at least must be measured; run scripts/growth.py with two --members")
    before, last = rows[-2:]
    slope = (last.disk_mb - before.disk_mb) / (last.members - before.members)
    disk = last.disk_mb + (COUNTRY - last.members) * slope

    def logarithmic(name: str) -> tuple[float, float]:
        # Times are noisy, and noise must not promise that more work takes less.
        doubling = max(0.0, (getattr(last, name) - getattr(before, name)) / log2(last.members / before.members))
        return doubling, getattr(last, name) + log2(COUNTRY / last.members) * doubling

    proof, block = logarithmic("proof_bytes"), logarithmic("cold_ms")
    rate = 1_000 * BLOCK / block[1]
    year_tb = COUNTRY * RECORDS * transaction_bytes() / 1e12
    lines = [
        ("state on disk", f"{1e6 * slope:,.0f} bytes a member", f"{disk / 1e6:,.1f} TB"),
        ("memory, start-up", "none", f"{last.memory_mb:,.0f} MB, {last.start_ms:,.0f} ms"),
        ("a proof", f"{proof[0]:+.0f} bytes a doubling", f"{proof[1]:,.0f} bytes"),
        (
            "applying cold, CPU alone",
            f"{block[0]:+.1f} ms a block of 500 and doubling",
            f"{rate:,.0f}/s of {COUNTRY_PER_S:,.0f}/s",
        ),
        ("blocks, the signed filings alone", f"{transaction_bytes()} bytes a record", f"{year_tb:,.1f} TB a year"),
    ]
    return Sheet(f"{COUNTRY:,} members, extrapolated", ("what", "measured slope", "at 1.4 billion"), lines)


def transaction_bytes() -> int:
    """A signed filing, as it is in a block."""
    secret = SecretKey(bytes(31) + b"\x01")
    action = FileRecord(secret.public, 13, -5, 1, bytes(32), b"", YEAR_S, 1)
    return len(sign_transaction(secret, bytes(32), 1_000_000, YEAR_S, action).raw)


def write_manual(kept: Kept, manual: Path = MANUAL) -> None:
    """Put the tables between the marks of the manual.  Raises :class:`OperatorError`."""
    try:
        text = manual.read_text(encoding="utf-8")
    except OSError as error:
        raise OperatorError(f"{manual} cannot be read: {error.strerror}; it comes with the project") from error
    sheets = {"goals": goals_sheet(kept), "measured": measured_sheet(kept.rows), "country": country_sheet(kept.rows)}
    for name, sheet in sheets.items():
        begin, end = _MARKS[name]
        if text.count(begin) != 1 or text.count(end) != 1:
            raise OperatorError(f"{manual} must hold {begin} and {end} once each; put them back")
        before, rest = text.split(begin)
        text = "\n".join([before + begin, _markdown(sheet), end + rest.split(end)[1]])
    manual.write_text(text, encoding="utf-8")


def _markdown(sheet: Sheet) -> str:
    lines = [sheet.columns, ["---:" if sheet.title != "Goals" else "---"] * len(sheet.columns), *sheet.rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
