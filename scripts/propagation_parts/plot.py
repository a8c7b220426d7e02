"""The figures as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chain.base.errors import OperatorError
from scripts.propagation_parts.delays import CITATION
from scripts.propagation_parts.report import Row, by_degree, by_slot, sizes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Colours that people with any kind of colour blindness tell apart (Okabe and Ito); a mark for each, too.
STYLES = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"))
PERCENTILES = ("p50", "p95", "p99")
SECONDS = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)
# The same bytes each time: fixed ids, and no date.
RC = {
    "svg.hashsalt": "goodfaith",
    "svg.fonttype": "path",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "legend.frameon": False,
}


def load_pyplot() -> Any:
    """The library, which takes a second, so only who draws pays.  Raises :class:`OperatorError` if it is missing."""
    try:
        import matplotlib
    except ImportError as error:
        raise OperatorError(
            "matplotlib is missing; use `.uv/bin/uv run --group analysis scripts/propagation.py`"
        ) from error
    matplotlib.use("agg")
    from matplotlib import pyplot

    return pyplot


def draw(rows: Sequence[Row], path: Path) -> None:
    """Write the picture: SVG, or whatever the ending of ``path`` says.  Raises :class:`OperatorError`."""
    pyplot = load_pyplot()
    with pyplot.rc_context(RC):
        figure, panels = pyplot.subplots(2, 2, figsize=(11, 8.2), layout="constrained")
        _draw_orphans(panels[0, 0], rows)
        _draw_propagation(panels[0, 1], rows)
        _draw_finality(panels[1, 0], rows)
        _draw_degrees(panels[1, 1], rows)
        figure.supxlabel(f"Simulated; delays between twelve regions: {CITATION}", fontsize=8.5, color="#555555")
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=110)
        pyplot.close(figure)


def _label(size: tuple[int, int]) -> str:
    return f"{size[0]:,} nodes, {size[1]} validators"


def _slot_axis(panel: Axes, rows: Sequence[Row]) -> None:
    lengths = sorted({row.slot_ms for row in rows})
    panel.set_xscale("log", base=2)
    panel.set_xticks(lengths, [f"{length:,}" for length in lengths])
    panel.minorticks_off()
    panel.set_xlabel("slot length [ms]")


def _draw_orphans(panel: Axes, rows: Sequence[Row]) -> None:
    panel.set_title("Orphans", loc="left", fontweight="bold")
    for size, (colour, mark) in zip(sizes(rows), STYLES, strict=False):
        line = by_slot(rows, size)
        lengths, shares = [row.slot_ms for row in line], [row.orphan_percent for row in line]
        panel.plot(lengths, shares, color=colour, marker=mark, label=_label(size))
        panel.axvline(line[-1].validators_ms[1] or 0, color=colour, ls=":", lw=1.2)
    panel.plot([], [], color="#555555", ls=":", label="p95 of a block to validators")
    _slot_axis(panel, rows)
    panel.set_ylim(bottom=0)
    panel.set_ylabel("blocks that the chain left behind [%]")
    panel.legend()


def _draw_propagation(panel: Axes, rows: Sequence[Row]) -> None:
    slot_ms = by_degree(rows)[0].slot_ms
    panel.set_title(f"Propagation to all nodes, slots of {slot_ms:,} ms", loc="left", fontweight="bold")
    width = 0.26
    for place, (size, (colour, _)) in enumerate(zip(sizes(rows), STYLES, strict=False)):
        row = next(row for row in by_slot(rows, size) if row.slot_ms == slot_ms)
        at = [index + (place - 1) * width for index in range(len(PERCENTILES))]
        bars = panel.bar(at, [value or 0 for value in row.all_ms], width * 0.92, color=colour, label=_label(size))
        panel.bar_label(bars, fontsize=8, padding=1)
    panel.set_xticks(range(len(PERCENTILES)), PERCENTILES)
    panel.grid(visible=False, axis="x")
    panel.set_ylim(top=1.28 * max(value or 0 for row in rows if row.slot_ms == slot_ms for value in row.all_ms))
    panel.set_ylabel("from publishing to stored at a node [ms]")
    panel.legend(loc="upper left")


def _draw_finality(panel: Axes, rows: Sequence[Row]) -> None:
    panel.set_title("Finality", loc="left", fontweight="bold")
    for size, (colour, mark) in zip(sizes(rows), STYLES, strict=False):
        line = [(row.slot_ms, row.finality_ms[0] / 1_000) for row in by_slot(rows, size) if row.finality_ms[0]]
        if not line:
            continue
        panel.plot(*zip(*line, strict=True), color=colour, marker=mark, label=_label(size))
    _slot_axis(panel, rows)
    panel.set_yscale("log")
    panel.set_yticks(SECONDS, [f"{seconds:g}" for seconds in SECONDS])
    panel.minorticks_off()
    panel.set_ylabel("from a block's slot to final, median [s]")
    panel.legend()


def _draw_degrees(panel: Axes, rows: Sequence[Row]) -> None:
    panel.set_title(f"Mesh peers, slots of {by_degree(rows)[0].slot_ms:,} ms", loc="left", fontweight="bold")
    messages = panel.twinx()
    messages.grid(visible=False)
    messages.spines["right"].set_visible(True)
    for size, (colour, mark) in zip(sizes(rows), STYLES, strict=False):
        line = [row for row in by_degree(rows) if (row.nodes, row.validators) == size]
        degrees = [row.degree for row in line]
        if len(line) > 1:
            panel.plot(degrees, [row.all_ms[1] or 0 for row in line], color=colour, marker=mark, label=_label(size))
            messages.plot(degrees, [row.messages_per_block for row in line], color=colour, marker=mark, ls=":")
            panel.set_xticks(degrees)
    panel.set_ylim(bottom=0)
    messages.set_ylim(bottom=0)
    panel.set_xlabel("mesh peers a node")
    panel.set_ylabel("p95 to all nodes [ms], solid")
    messages.set_ylabel("copies that a node receives of a block, dotted")
    panel.legend(loc="lower right")
