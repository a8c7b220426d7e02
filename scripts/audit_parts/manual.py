"""The measured part of ``scripts/docs/audit.md``, and the same as tables."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.figure import Figure as Plot

from chain.base.errors import OperatorError
from scripts.audit_parts.crowd import measure_crowd
from scripts.audit_parts.measures import measure_issuers, measure_rings, measure_sybils
from scripts.audit_parts.plots import plot_measures, plot_rings, plot_trust, save
from scripts.audit_parts.published import OTC, Figure, data_set, measure_published
from scripts.audit_parts.report import frame_sheet, rows
from scripts.audit_parts.rings import find_rings
from scripts.audit_parts.signs import measure_signs
from scripts.audit_parts.trust import compare, earliest
from scripts.chain_view import Sheet

MANUAL = Path(__file__).resolve().parents[1] / "docs" / "audit.md"
_PLOTTED = ("rings", "issuers", "praise")

Tables = Mapping[str, pd.DataFrame]
"""What one part measured: tables by their titles."""


class Part(NamedTuple):
    """Something to measure; ``made_up``: it needs no ratings, and is of none."""

    measure: Callable[[pd.DataFrame], Tables]
    made_up: bool = False


def _one(title: str, measure: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[pd.DataFrame], Tables]:
    return lambda ratings: {title: measure(ratings)}


PARTS = {
    "published": Part(
        _one(
            "Beside what is published",
            lambda ratings: pd.DataFrame(measure_published(ratings), columns=list(Figure._fields)),
        )
    ),
    "rings": Part(_one("Planted rings", measure_rings)),
    "issuers": Part(_one("Planted issuers", lambda _: measure_issuers()), made_up=True),
    "praise": Part(_one("Sybils who praise one another and a master", measure_sybils)),
    "crowd": Part(_one("A crowd of Sybils under the register's own rules", measure_crowd)),
    "signs": Part(measure_signs),
}
ALL = "all"
_MADE_UP = "made-up records"


@dataclass(frozen=True)
class Measured:
    """What the parts measured, and of which data."""

    ratings: pd.DataFrame
    tables: dict[str, Tables]

    def data(self, part: str) -> str:
        """Which data a part's figures are of."""
        return _MADE_UP if PARTS[part].made_up else data_set(self.ratings)


def measure_parts(ratings: pd.DataFrame, names: Collection[str], say: Callable[[str], None]) -> Measured:
    """The named parts; some take many minutes."""
    tables = {}
    for name, part in PARTS.items():
        if name in names or ALL in names:
            say(f"{name} …")
            tables[name] = part.measure(ratings)
    return Measured(ratings, tables)


def measured_sheets(measured: Measured) -> list[Sheet]:
    """The measurements for people, each with the data that it is of."""
    return [
        frame_sheet(f"{title}: {measured.data(name)}", frame)
        for name, tables in measured.tables.items()
        for title, frame in tables.items()
    ]


def measured_document(measured: Measured) -> dict[str, Any]:
    """The same for programs."""
    return {
        name: {"data": measured.data(name), **{title: rows(frame) for title, frame in tables.items()}}
        for name, tables in measured.tables.items()
    }


def write_manual(measured: Measured, manual: Path = MANUAL) -> None:
    """Put tables between the marks of the manual, and plots beside it.

    Raises :class:`OperatorError`, also for data of which the manual says nothing.
    """
    try:
        text = manual.read_text(encoding="utf-8")
    except OSError as error:
        raise OperatorError(f"{manual} cannot be read: {error.strerror}; it comes with the project") from error
    for name, tables in measured.tables.items():
        text = _put(text, manual, name, measured.data(name), tables)
    manual.write_text(text, encoding="utf-8")
    for name, figure in _plots(measured):
        save(figure, manual.parent / name)


def _put(text: str, manual: Path, name: str, data: str, tables: Tables) -> str:
    begin, end = (f"<!-- {name}, {data}: {where} -->" for where in ("begin", "end"))
    if text.count(begin) != 1 or text.count(end) != 1:
        raise OperatorError(f"{manual} must hold {begin} and {end} once each; put them there, or leave --write out")
    before, rest = text.split(begin)
    _, after = rest.split(end)
    parts = [_markdown(frame_sheet(f"{title}: {data}", frame)) for title, frame in tables.items()]
    command = f"Written by `scripts/audit.py --ratings-csv FILE --measure {name} --write`."
    return "\n\n".join([before + begin, *parts, command, end + after])


def _plots(measured: Measured) -> Iterator[tuple[str, Plot]]:
    """The plots of the manual, once everything for them was measured of Bitcoin OTC."""
    frames = [next(iter(measured.tables[name].values())) for name in _PLOTTED if name in measured.tables]
    if len(frames) == len(_PLOTTED) and measured.data("rings") == OTC:
        yield from plots(measured.ratings, *frames)


def plots(
    ratings: pd.DataFrame, measured_rings: pd.DataFrame, issuers: pd.DataFrame, praise: pd.DataFrame
) -> Iterator[tuple[str, Plot]]:
    """Three plots by the names of their files."""
    rings = find_rings(ratings)
    in_rings = {member for ring in rings["members"] for member in ring}
    yield "audit-measured.svg", plot_measures(measured_rings, issuers, praise)
    yield "audit-rings.svg", plot_rings(ratings, rings)
    yield "audit-trust.svg", plot_trust(compare(ratings, earliest(ratings)), in_rings)


def _markdown(sheet: Sheet) -> str:
    lines = [sheet.columns, ["---"] * len(sheet.columns), *sheet.rows]
    cells = ("| " + " | ".join("-" if value is None else str(value) for value in line) + " |" for line in lines)
    return "\n".join([f"### {sheet.title}", "", *cells])
