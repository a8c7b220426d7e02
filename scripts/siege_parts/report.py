"""The page of what a siege came to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scripts.propagation_parts.tables import markdown
from scripts.siege_parts.verdicts import Verdict

PAGE = Path(__file__).resolve().parents[1] / "docs" / "siege.md"

HEADER = """\
# A network under siege

Made by `python scripts/siege.py --write`; do not edit.

Each row is a fresh network of four validators, as processes of one machine, with the attacker or the bad line beside
them on the same cores. *load* is how many processes wanted a core before the row began. One row again:
`python scripts/siege.py --row NAME`.

"""


def document(verdicts: Sequence[Verdict]) -> str:
    """The page."""
    columns = ["attack or condition", "measured", "goal", "met", "load", "row"]
    lines = [
        (each.condition, each.measured, each.goal, "yes" if each.is_met else "**no**", f"{each.load}", f"`{each.row}`")
        for each in verdicts
    ]
    return HEADER + markdown(columns, lines)
