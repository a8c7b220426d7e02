"""How a table is laid out: every column where there is room, fewer columns where there is not.

A pipe gets everything.  On a terminal, until it fits: ids lose their ends, sentences are wrapped between words, and
columns are left out, the least important first.  No word and no heading is ever broken.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

GAP = "  "
# Narrower than this, a sentence is harder to read than a table without it.
_WRAPPED = 18
# As much of an id as tells it from others; commands take it.
_SHORT_ID = 16
_ID = re.compile(r"[0-9a-f]{20,}|(did:key:)?z6Mk[1-9A-HJ-NP-Za-km-z]{16,}…?")
# A key that has a name, which stands before it.
_NAMED = re.compile(r"(.+) ((?:did:key:)?z6Mk[1-9A-HJ-NP-Za-km-z]{8,}…?)")
_SHORT_NAME = 14


class Layout(NamedTuple):
    """The lines of each row, the headings first; and the names of the columns that are left out."""

    rows: list[list[str]]
    left_out: list[str]


def lay_out(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    is_number: Sequence[bool],
    width: int | None,
    least: Sequence[str] = (),
) -> Layout:
    """Lay a table out for ``width`` characters a line, None for as many as it takes.

    ``least`` are the names of the columns that can be spared first; after them it is those on the right.
    """
    shown, left_out = list(range(len(columns))), []
    cells = [list(columns), *map(list, rows)]
    widths = _natural(cells, shown)
    if width is not None and _total(widths) > width:
        cells = [cells[0], *([_short(cell) for cell in row] for row in cells[1:])]
        order = [columns.index(name) for name in least] + [at for at in reversed(shown[2:]) if columns[at] not in least]
        widths = _fitted(cells, shown, width, _WRAPPED)
        for at in order:
            if _total(widths) <= width:
                break
            shown.remove(at)
            left_out.append(columns[at])
            widths = _fitted(cells, shown, width, _WRAPPED)
        if _total(widths) > width:
            widths = _fitted(cells, shown, width, 1)
    return Layout(
        [_lines([row[at] for at in shown], widths, [is_number[at] for at in shown]) for row in cells], left_out
    )


def _short(cell: str) -> str:
    named = _NAMED.fullmatch(cell)
    if named:
        name = named[1] if len(named[1]) <= _SHORT_NAME else named[1][: _SHORT_NAME - 1].rstrip() + "…"
        return f"{name} {_short(named[2])}"
    if not _ID.fullmatch(cell):
        return cell
    digits = cell.removeprefix("did:key:").removesuffix("…")
    return digits if len(digits) <= _SHORT_ID else digits[:_SHORT_ID] + ("" if cell == digits else "…")


def _natural(cells: list[list[str]], shown: list[int]) -> list[int]:
    return [max(len(row[at]) for row in cells) for at in shown]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _fitted(cells: list[list[str]], shown: list[int], width: int, least: int) -> list[int]:
    """The widths of columns whose sentences are wrapped as far as needed, the widest first, to ``least`` if need be."""
    widths = _natural(cells, shown)
    floors = [
        min(most, max(least, *(len(word) for row in cells for word in row[at].split() or [""])))
        for at, most in zip(shown, widths, strict=True)
    ]
    while _total(widths) > width:
        room, at = max((most - floor, at) for at, (most, floor) in enumerate(zip(widths, floors, strict=True)))
        if not room:
            break
        widths[at] -= min(room, _total(widths) - width)
    return widths


def wrapped(text: str, width: int | None) -> list[str]:
    """``text`` in lines of ``width`` characters, broken between words; None for one line."""
    if width is None or len(text) <= width:
        return [text] if text else []
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _lines(cells: list[str], widths: list[int], is_number: list[bool]) -> list[str]:
    folded = [wrapped(cell, width) for cell, width in zip(cells, widths, strict=True)]
    return [
        GAP.join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(
                (lines[number] if number < len(lines) else "" for lines in folded), widths, is_number, strict=True
            )
        ).rstrip()
        for number in range(max(1, *map(len, folded)))
    ]
