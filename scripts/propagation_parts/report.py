"""The figures as tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from scripts.propagation_parts.experiment import Figures, Setup
from scripts.propagation_parts.scoreboard import percentile
from scripts.propagation_parts.tables import markdown, put


@dataclass(frozen=True, slots=True)
class Row:
    """One network, as it is told.

    ``p50``, ``p95`` and ``p99`` of the propagation are in ms, to the other validators and to all other nodes.  What
    is ``_per_block`` is of one node and one published block; what is ``_per_s`` of one node.  Of nothing: None.
    """

    nodes: int
    validators: int
    degree: int
    mean_degree: float
    slot_ms: int
    slots: int
    runs: int
    blocks: int
    orphans: int
    validators_ms: tuple[int | None, int | None, int | None]
    all_ms: tuple[int | None, int | None, int | None]
    messages_per_block: float
    duplicates_per_block: float
    kilobytes_per_block: float
    transaction_messages_per_s: float
    transaction_kilobytes_per_s: float
    reorgs_per_block: float
    finality_ms: tuple[int | None, int | None]
    finality_blocks: tuple[int | None, int | None]

    @property
    def orphan_percent(self) -> float:
        """How many of a hundred blocks are not on the chain that won."""
        return 100 * self.orphans / self.blocks if self.blocks else 0.0


def _three(counts: Counter[int]) -> tuple[int | None, int | None, int | None]:
    return percentile(counts, 50), percentile(counts, 95), percentile(counts, 99)


def summarize(setup: Setup, figures: Figures) -> Row:
    """The row of one setup from the sums of its runs."""
    node_blocks = setup.nodes * max(1, figures.published)
    node_seconds = setup.nodes * figures.runs * setup.all_slots * setup.slot_ms / 1_000
    return Row(
        nodes=setup.nodes,
        validators=setup.validators,
        degree=setup.degree,
        mean_degree=round(figures.links / setup.nodes / figures.runs, 2),
        slot_ms=setup.slot_ms,
        slots=figures.slots,
        runs=figures.runs,
        blocks=figures.blocks,
        orphans=figures.orphans,
        validators_ms=_three(figures.to_validators),
        all_ms=_three(figures.to_all),
        messages_per_block=round(figures.block_messages / node_blocks, 2),
        duplicates_per_block=round(figures.block_duplicates / node_blocks, 2),
        kilobytes_per_block=round(figures.block_bytes / node_blocks / 1_000, 2),
        transaction_messages_per_s=round(figures.transaction_messages / node_seconds, 2),
        transaction_kilobytes_per_s=round(figures.transaction_bytes / node_seconds / 1_000, 2),
        reorgs_per_block=round(figures.reorgs / node_blocks, 3),
        finality_ms=(percentile(figures.finality_ms, 50), percentile(figures.finality_ms, 95)),
        finality_blocks=(percentile(figures.finality_blocks, 50), percentile(figures.finality_blocks, 95)),
    )


def sizes(rows: Sequence[Row]) -> list[tuple[int, int]]:
    """The (nodes, validators) that were measured, smallest first."""
    return sorted({(row.nodes, row.validators) for row in rows})


def by_slot(rows: Sequence[Row], size: tuple[int, int]) -> list[Row]:
    """One size with its usual degree, shortest slots first."""
    usual = rows[0].degree
    return sorted(
        (row for row in rows if (row.nodes, row.validators) == size and row.degree == usual),
        key=lambda row: row.slot_ms,
    )


def by_degree(rows: Sequence[Row]) -> list[Row]:
    """The slot length that was measured with several degrees, by size and degree."""
    usual = rows[0].degree
    slot_ms = next(row.slot_ms for row in rows if row.degree != usual)
    return sorted(
        (row for row in rows if row.slot_ms == slot_ms), key=lambda row: (row.nodes, row.validators, row.degree)
    )


def fill(document: str, rows: Sequence[Row]) -> str:
    """The document with its tables made again: what stands between ``<!-- NAME -->`` and ``<!-- end -->``.

    Raises :class:`OperatorError` where a mark is missing.
    """
    return put(put(document, "slots", _slot_table(rows)), "degrees", _degree_table(rows))


def _slot_table(rows: Sequence[Row]) -> str:
    lines = [
        (
            f"{row.nodes:,} / {row.validators}",
            f"{row.slot_ms:,}",
            f"{row.blocks:,} of {row.slots:,}",
            f"{row.orphan_percent:.1f} %",
            _spread(row.validators_ms),
            _spread(row.all_ms),
            f"{row.messages_per_block:.1f}",
            f"{row.kilobytes_per_block:.1f}",
            f"{row.transaction_messages_per_s:.1f}",
            f"{row.transaction_kilobytes_per_s:.0f}",
            _spread(row.finality_blocks),
            _seconds(row.finality_ms),
        )
        for size in sizes(rows)
        for row in by_slot(rows, size)
    ]
    return markdown(
        (
            "nodes / validators",
            "slot ms",
            "blocks of slots",
            "orphans",
            "to validators ms",
            "to all ms",
            "copies a block",
            "kB sent a block",
            "tx batches/s",
            "tx kB/s sent",
            "final after blocks",
            "final after s",
        ),
        lines,
    )


def _degree_table(rows: Sequence[Row]) -> str:
    lines = [
        (
            f"{row.nodes:,} / {row.validators}",
            f"{row.degree} ({row.mean_degree:g})",
            _spread(row.validators_ms),
            _spread(row.all_ms),
            f"{row.messages_per_block:.1f}",
            f"{row.duplicates_per_block:.1f}",
            f"{row.kilobytes_per_block:.1f}",
            f"{row.transaction_kilobytes_per_s:.0f}",
            f"{row.orphan_percent:.1f} %",
        )
        for row in by_degree(rows)
    ]
    return markdown(
        (
            "nodes / validators",
            "degree wanted (had)",
            "to validators ms",
            "to all ms",
            "copies a block",
            "of them duplicates",
            "kB sent a block",
            "tx kB/s sent",
            "orphans",
        ),
        lines,
    )


def _spread(values: Sequence[int | None]) -> str:
    return " / ".join("–" if value is None else f"{value:,}" for value in values)


def _seconds(values: Sequence[int | None]) -> str:
    return " / ".join("–" if value is None else f"{value / 1_000:,.1f}" for value in values)
