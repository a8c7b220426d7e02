"""The growth as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chain.base.errors import OperatorError
from scripts.growth_parts.study import Row

# Told apart also by those who see colours differently (Okabe and Ito); a mark for each, too.
_STYLES = (("#0072b2", "o"), ("#d55e00", "s"))
_PANELS: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...] = (
    ("MB", "Size", (("on disk", "disk_mb"), ("in memory", "memory_mb"))),
    ("ms", "Start", (("CPU", "start_ms"), ("wall, nothing in the page cache", "start_wall_ms"))),
    ("ms", "A block of 500 mixed transactions, CPU", (("cold", "cold_ms"), ("warm", "block_ms"))),
    ("bytes", "A proof", (("mean", "proof_bytes"),)),
)
# Fixed, so that the same figures give the same file.
_STYLE: Any = {"svg.hashsalt": "goodfaith", "axes.spines.top": False, "axes.spines.right": False, "font.size": 10}


def draw(rows: Sequence[Row], path: Path) -> None:
    """Write the picture, as the kind of file its name says.  Raises :class:`OperatorError`."""
    try:
        from matplotlib import rc_context  # a second, which only who draws pays
        from matplotlib.figure import Figure
    except ImportError as error:
        raise OperatorError("matplotlib is missing; use `.uv/bin/uv run --group analysis scripts/growth.py`") from error
    members = [row.members for row in rows]
    with rc_context(_STYLE):
        figure = Figure(figsize=(10, 7), layout="constrained")
        for axes, (unit, title, lines) in zip(figure.subplots(2, 2).flat, _PANELS, strict=True):
            for (colour, mark), (label, name) in zip(_STYLES, lines, strict=False):
                axes.plot(members, [getattr(row, name) for row in rows], f"{mark}-", color=colour, label=label)
            axes.set(xscale="log", xlabel="members with ten records each", ylabel=unit)
            if unit == "MB":
                axes.set_yscale("log")
            else:
                axes.set_ylim(bottom=0)
            axes.set_title(title, loc="left")
            axes.grid(color="#dddddd")
            axes.set_axisbelow(True)
            if len(lines) > 1:
                axes.legend(frameon=False)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else {}, dpi=110)
