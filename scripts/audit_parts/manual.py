"""The measured part of ``scripts/docs/audit.md``, and the same as tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from chain.errors import OperatorError
from scripts.audit_parts.measures import measure_issuers, measure_rings, measure_sybils
from scripts.audit_parts.plots import plot_measures, plot_rings, plot_trust, save
from scripts.audit_parts.published import Figure, measure_published
from scripts.audit_parts.report import frame_sheet
from scripts.audit_parts.rings import find_rings
from scripts.audit_parts.trust import compare, earliest
from scripts.chain_view import Sheet

MANUAL = Path(__file__).resolve().parents[1] / "docs" / "audit.md"
_BEGIN, _END = "<!-- measured: begin -->", "<!-- measured: end -->"
_TITLES = {
    "published": "Beside what is published about Bitcoin OTC",
    "rings": "Planted rings, in the whole real data",
    "issuers": "Planted issuers, in made-up records",
    "sybils": "Sybils who praise one another and a master",
}


def measure_all(ratings: pd.DataFrame, say: Callable[[str], None]) -> dict[str, pd.DataFrame]:
    """Every measurement by its name, and the data itself as ``ratings``; minutes."""
    measured = {"ratings": ratings}
    say("Sybils …")
    measured["sybils"] = measure_sybils(ratings)
    say("planted rings …")
    measured["rings"] = measure_rings(ratings)
    say("planted issuers …")
    measured["issuers"] = measure_issuers()
    say("published figures; each rating is left out once …")
    measured["published"] = pd.DataFrame(measure_published(ratings), columns=list(Figure._fields))
    return measured


def measured_sheets(measured: Mapping[str, pd.DataFrame]) -> list[Sheet]:
    """The measurements for people."""
    return [frame_sheet(title, measured[name]) for name, title in _TITLES.items()]


def write_manual(measured: Mapping[str, pd.DataFrame], manual: Path = MANUAL) -> None:
    """Put tables between the marks of the manual, and plots beside it.  Raises :class:`OperatorError`."""
    try:
        text = manual.read_text(encoding="utf-8")
    except OSError as error:
        raise OperatorError(f"{manual} cannot be read: {error.strerror}; it comes with the project") from error
    if text.count(_BEGIN) != 1 or text.count(_END) != 1:
        raise OperatorError(f"{manual} must hold {_BEGIN} and {_END} once each; put them back")
    before, rest = text.split(_BEGIN)
    _, after = rest.split(_END)
    parts = [_markdown(sheet) for sheet in measured_sheets(measured)]
    manual.write_text("\n\n".join([before + _BEGIN, *parts, _END + after]), encoding="utf-8")
    ratings = measured["ratings"]
    rings = find_rings(ratings)
    in_rings = {member for ring in rings["members"] for member in ring}
    plots = {
        "audit-measured.svg": plot_measures(measured["rings"], measured["issuers"], measured["sybils"]),
        "audit-rings.svg": plot_rings(ratings, rings),
        "audit-trust.svg": plot_trust(compare(ratings, earliest(ratings)), in_rings),
    }
    for name, figure in plots.items():
        save(figure, manual.parent / name)


def _markdown(sheet: Sheet) -> str:
    lines = [sheet.columns, ["---"] * len(sheet.columns), *sheet.rows]
    cells = ("| " + " | ".join("-" if value is None else str(value) for value in line) + " |" for line in lines)
    return "\n".join([f"### {sheet.title}", "", *cells])
