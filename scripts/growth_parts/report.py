"""What was measured as tables, and what follows from it for a country."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2
from pathlib import Path

from chain.actions import FileRecord
from chain.errors import OperatorError
from chain.keys import SecretKey
from chain.transactions import sign_transaction
from scripts.chain_view import Sheet
from scripts.growth_parts.study import RECORDS, Row

MANUAL = Path(__file__).resolve().parents[1] / "docs" / "growth.md"
COUNTRY = 1_400_000_000
YEAR_S = 365 * 86_400
# Ten records a person and year, as a rate.
COUNTRY_PER_S = COUNTRY * RECORDS / YEAR_S
BLOCK = 500
_MARKS = {name: (f"<!-- {name}: begin -->", f"<!-- {name}: end -->") for name in ("measured", "country")}


def measured_sheet(rows: Sequence[Row]) -> Sheet:
    """Every size that was measured."""
    columns = (
        "members",
        "entries",
        "on disk, MB",
        "memory, MB (peak)",
        "start-up, s",
        "proof, bytes",
        "block of 500, ms",
        "storing it, ms",
        "`member`, ms",
        "`top`, ms",
    )
    cells = [
        (
            f"{row.members:,}",
            f"{row.entries:,}",
            f"{row.disk_mb:,.0f}",
            f"{row.memory_mb:,.0f} ({row.peak_mb:,.0f})",
            f"{row.start_s:,.1f} (wall {row.start_wall_s:,.1f})",
            f"{row.proof_bytes:,.0f}",
            f"{row.block_ms:.0f} (wall {row.block_wall_ms:.0f})",
            f"{row.store_ms:.0f} (wall {row.store_wall_ms:.0f})",
            f"{row.member_ms:.1f}",
            f"{row.top_ms:.1f}",
        )
        for row in rows
    ]
    return Sheet("Registers with ten records a member", columns, cells)


def country_sheet(rows: Sequence[Row]) -> Sheet:
    """The largest register, and a country, extrapolated from it and from the second largest."""
    if len(rows) < 2:
        raise OperatorError("two sizes at least must be measured; run scripts/growth.py with two --members")
    before, last = rows[-2:]
    more = COUNTRY - last.members
    grown = last.members - before.members

    def linear(name: str) -> tuple[float, float]:
        slope = (getattr(last, name) - getattr(before, name)) / grown
        return slope, getattr(last, name) + more * slope

    def logarithmic(name: str) -> tuple[float, float]:
        # Times are noisy, and noise must not promise that more work takes less.
        doubling = max(0.0, (getattr(last, name) - getattr(before, name)) / log2(last.members / before.members))
        return doubling, getattr(last, name) + log2(COUNTRY / last.members) * doubling

    disk, memory, start = linear("disk_mb"), linear("memory_mb"), linear("start_s")
    proof, block = logarithmic("proof_bytes"), logarithmic("block_ms")
    rate = 1_000 * BLOCK / block[1]
    year_tb = COUNTRY * RECORDS * transaction_bytes() / 1e12
    lines = [
        ("state on disk", f"{1e6 * disk[0]:,.0f} bytes a member", f"{disk[1] / 1e6:,.1f} TB"),
        ("state in memory", f"{1e6 * memory[0]:,.0f} bytes a member", f"{memory[1] / 1e6:,.1f} TB"),
        ("start-up, one core", f"{1e6 * start[0]:,.0f} µs a member", f"{start[1] / 3600:,.0f} h"),
        ("a proof", f"{proof[0]:+.0f} bytes a doubling", f"{proof[1]:,.0f} bytes"),
        (
            "applying, were the state in memory",
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


def write_manual(rows: Sequence[Row], manual: Path = MANUAL) -> None:
    """Put the tables between the marks of the manual.  Raises :class:`OperatorError`."""
    try:
        text = manual.read_text(encoding="utf-8")
    except OSError as error:
        raise OperatorError(f"{manual} cannot be read: {error.strerror}; it comes with the project") from error
    for name, sheet in (("measured", measured_sheet(rows)), ("country", country_sheet(rows))):
        begin, end = _MARKS[name]
        if text.count(begin) != 1 or text.count(end) != 1:
            raise OperatorError(f"{manual} must hold {begin} and {end} once each; put them back")
        before, rest = text.split(begin)
        text = "\n".join([before + begin, _markdown(sheet), end + rest.split(end)[1]])
    manual.write_text(text, encoding="utf-8")


def _markdown(sheet: Sheet) -> str:
    lines = [sheet.columns, ["---:"] * len(sheet.columns), *sheet.rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
