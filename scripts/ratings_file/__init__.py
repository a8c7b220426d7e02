"""Who rated whom, from a file in any of the shapes in which such data is passed around.

::

    unpack      a file as lines of text, however it is packed and encoded
    columns     what separates the fields of a line, and which field is what
    fields      a member, a rating, a time

What could mean two things is refused, never guessed; ``scripts/data/README.md`` lists what is taken.
"""

from __future__ import annotations

from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from chain.base.errors import OperatorError
from chain.content.policy import RatingCategory
from scripts.ratings_file.columns import WANTED, Columns, columns_in_comment, columns_of, is_header, separator_of, split
from scripts.ratings_file.fields import read_member, read_points, read_time
from scripts.ratings_file.unpack import Unreadable, check_line, text_lines

# Twenty-five times the whole Bitcoin OTC history; a plan of that size still fits into memory many times.
MAX_RATINGS = 1_000_000


class Rating(NamedTuple):
    """One line: the members' numbers and the points."""

    rater: int
    subject: int
    points: int


class Reading(NamedTuple):
    """All ratings of a file in the order of their times, and what was decided about it, half a sentence each."""

    ratings: list[Rating]
    notes: list[str]


def read_file(path: Path, category: RatingCategory) -> Reading:
    """Read a file of ratings; ``-`` is the standard input.

    Raises :class:`OperatorError` that names the file and, where one is wrong, the line, says what is there, and
    what is wanted instead.
    """
    name = name_of(path)
    lines = _Lines(category)
    try:
        with closing(text_lines(path)) as text:
            for line in text:
                lines.take(line)
        return Reading(lines.in_order(), lines.notes)
    except Unreadable as error:
        raise OperatorError(f"{name} {error}") from error
    except ValueError as error:
        raise OperatorError(f"{name}, line {lines.number}: {error}") from error


def name_of(path: Path) -> str:
    """What messages call the file."""
    return "standard input" if path == Path("-") else str(path)


class _Lines:
    """The lines of one file, taken one after the other."""

    def __init__(self, category: RatingCategory) -> None:
        self.number = 0
        self.notes: list[str] = []
        self._category = category
        self._separator = ""
        self._columns: Columns | None = None
        self._has_names = False
        self._rows: list[tuple[int | None, Rating]] = []

    def take(self, line: str) -> None:
        """Raises :class:`ValueError` with half a sentence, :class:`Unreadable` where the whole file is wrong."""
        self.number += 1
        check_line(line)
        if line.lstrip().startswith(("#", "%")):
            if not self._separator:
                self._columns = columns_in_comment(line) or self._columns
        elif self._separator:
            self._add(split(line, self._separator))
        elif line.strip():
            self._begin(line)

    def _begin(self, line: str) -> None:
        """The first line that is no comment decides about the separator, and may be a header."""
        self._separator = separator_of(line)
        fields = split(line, self._separator)
        self._has_names = is_header(fields) or self._columns is not None
        if is_header(fields):
            self._columns = columns_of(fields)
        else:
            self._columns = self._columns or columns_of(fields)
            self._add(fields)
        self.notes += self._columns.notes

    def _add(self, fields: list[str]) -> None:
        if not any(fields):
            return
        assert self._columns is not None
        rater, subject, points, time = self._columns.pick(fields)
        rating = Rating(read_member(rater), read_member(subject), read_points(points, self._category))
        if rating.rater == rating.subject:
            raise ValueError(f"member {rater} rates itself, which no register takes; leave the line out")
        if len(self._rows) == MAX_RATINGS:
            raise Unreadable(f"holds more than {MAX_RATINGS:,} ratings; cut it to its first ones")
        self._rows.append((read_time(time) if time else None, rating))
        if (time == "") != (self._rows[0][0] is None):
            raise ValueError("a time in some lines and none in others; give all of them, or leave the column out")

    def in_order(self) -> list[Rating]:
        """All ratings, sorted by their times.  Raises :class:`Unreadable` where there are none."""
        if not self._rows:
            raise Unreadable(f"holds no ratings; its lines should read {WANTED}")
        if {rating.points for _, rating in self._rows} <= {-1, 1} and self._category.high > 1:
            self.notes.append(f"knows only 1 and -1: each counts as one point of {self._category.high}")
        times = [time for time, _ in self._rows if time is not None]
        if not self._has_names and times and self._seems_turned(max(times)):
            raise Unreadable(f"seems to begin with its times; name its columns in a header, in their order: {WANTED}")
        if not times:
            self.notes.append("has no times: its lines are taken in their order")
        elif any(later < earlier for earlier, later in pairwise(times)):
            self.notes.append("is not in the order of its times: sorted, lines of one time in their order")
            self._rows.sort(key=lambda row: row[0] or 0)
        return [rating for _, rating in self._rows]

    def _seems_turned(self, last_ns: int) -> bool:
        """Whether what should be raters reads like times after 1973, and what should be times like ratings."""
        return last_ns <= self._category.high * 10**9 and all(row.rater >= 10**8 for _, row in self._rows)
