"""How many members stand in which tier, as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chain.base.errors import OperatorError

try:
    from matplotlib import rc_context
    from matplotlib.figure import Figure
except ImportError as error:
    raise OperatorError(
        "a figure needs matplotlib; ask again with `.uv/bin/uv run --group analysis scripts/inspect_chain.py …`"
    ) from error

# Fixed, so that the same state gives the same file.
_STYLE: Any = {"svg.hashsalt": "goodfaith", "axes.spines.top": False, "axes.spines.right": False, "font.size": 9}
_BLUE = "#0072b2"


def plot_tiers(path: Path, title: str, found: Sequence[dict[str, Any]]) -> None:
    """Write a bar for each tier, the highest on top.  Raises :class:`OperatorError`."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(7, 0.8 + 0.35 * len(found)), layout="constrained")
        axes = figure.subplots()
        names = [f"{row['tier']}  ≥ {row['from_score']}" for row in found[:-1]] + [found[-1]["tier"]]
        bars = axes.barh(range(len(found)), [row["members"] for row in found], color=_BLUE)
        axes.bar_label(bars, padding=3)
        axes.set_yticks(range(len(found)), names)
        axes.invert_yaxis()
        axes.margins(x=0.1)
        axes.set(xlabel="members", title=title)
        try:
            figure.savefig(path, dpi=120, metadata={"Date": None} if path.suffix == ".svg" else {})
        except (OSError, ValueError) as error:  # ValueError: a suffix that it does not know
            raise OperatorError(f"{path} cannot be written: {error}") from error
