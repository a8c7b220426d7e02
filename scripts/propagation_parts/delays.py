"""How long a message takes from region to region, as measured by others."""

from __future__ import annotations

import csv
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "data" / "azure-rtt-2025-06.csv"
CITATION = "Microsoft, Azure network round-trip latency statistics, medians of June 2025"
# The source says nothing of a region to itself; its operator promises less than 2 ms between data centres of one.
WITHIN_REGION_RTT_MS = 2


class Delays:
    """One-way delays in µs: half the mean of the two round-trip times measured between two regions."""

    def __init__(self, path: Path = SOURCE) -> None:
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        self.regions = tuple(header[1:])
        round_trips = {
            (row[0], to): int(cell) for row in rows for to, cell in zip(self.regions, row[1:], strict=True) if cell
        }
        self._one_way_us = {
            (a, b): 250 * (round_trips[a, b] + round_trips[b, a]) if a != b else 500 * WITHIN_REGION_RTT_MS
            for a in self.regions
            for b in self.regions
        }

    def one_way_us(self, from_region: str, to_region: str) -> int:
        """From one region to another, which may be the same."""
        return self._one_way_us[from_region, to_region]
