"""Documents of nested tables, as TOML and JSON hold them, read field by field with errors that say where.

A :class:`Table` never returns a value of the wrong type or size; it raises a :class:`Mistake` whose path leads
to the field, and :func:`line_of` finds the line of a path in the text that the document was parsed from.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from chain.base.errors import OperatorError

FieldPath: TypeAlias = tuple[str | int, ...]

MAX_TEXT_CHARACTERS = 64
# Controls, surrogates and marks that change how the text around them is shown.  The ranges are written out because
# `str.isprintable` follows the Unicode version of each Python, and nodes must agree.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202f\u2060-\u206f\ud800-\udfff\ufeff]")


class Mistake(Exception):
    """Something wrong in a document: ``path`` says where, ``problem`` what must be there instead."""

    def __init__(self, path: FieldPath, problem: str) -> None:
        super().__init__(path, problem)
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        steps = (f"[{step + 1}]" if isinstance(step, int) else f".{step}" for step in self.path)
        return f"{''.join(steps).removeprefix('.') or 'the document'} {self.problem}"


class Table:
    """One table at ``path`` of a document, all of whose fields are among ``fields``.

    Making one and reading a field raise :class:`Mistake`, which says where the fault is and what is wanted.
    """

    def __init__(self, value: Any, fields: Sequence[str], path: FieldPath = ()) -> None:
        if not isinstance(value, Mapping):
            raise Mistake(path, "must be a table")
        unknown = sorted(set(value) - set(fields))
        if unknown:
            raise Mistake((*path, unknown[0]), f"is not known; remove it or choose from {', '.join(sorted(fields))}")
        self._value = value
        self._path = path

    def mistake(self, name: str, problem: str) -> Mistake:
        """The error that the field ``name`` has this problem."""
        return Mistake((*self._path, name), problem)

    def has(self, name: str) -> bool:
        """Whether there is such a field."""
        return name in self._value

    def integer(self, name: str, low: int, high: int, default: int | None = None) -> int:
        """An integer from ``low`` to ``high``; ``default`` if it is left out.  Raises :class:`Mistake`."""
        value = self._value.get(name, default)
        if type(value) is not int or not low <= value <= high:
            raise self.mistake(name, f"must be an integer from {low} to {high}")
        return value

    def flag(self, name: str) -> bool:
        """True or false; false if it is left out.  Raises :class:`Mistake`."""
        value = self._value.get(name, False)
        if type(value) is not bool:
            raise self.mistake(name, "must be true or false")
        return value

    def text(self, name: str) -> str:
        """A text of printable characters, not empty.  Raises :class:`Mistake`."""
        value = self._value.get(name)
        if type(value) is not str or not 1 <= len(value) <= MAX_TEXT_CHARACTERS or _UNPRINTABLE.search(value):
            raise self.mistake(name, f"must be a text of 1 to {MAX_TEXT_CHARACTERS} printable characters")
        return value

    def choice(self, name: str, choices: Sequence[str]) -> int | None:
        """Which of ``choices`` the text is, as an index; None if it is left out.  Raises :class:`Mistake`."""
        if name not in self._value:
            return None
        value = self._value[name]
        if type(value) is not str or value not in choices:
            raise self.mistake(name, f"must be one of: {', '.join(choices) or 'none is defined'}")
        return choices.index(value)

    def choices(self, name: str, choices: Sequence[str]) -> tuple[int, ...]:
        """Which of ``choices`` a list names, as ascending indices; none if it is left out.  Raises :class:`Mistake`."""
        value = self._value.get(name, [])
        if not isinstance(value, list) or not all(type(item) is str and item in choices for item in value):
            raise self.mistake(name, f"must be a list of some of: {', '.join(choices) or 'none is defined'}")
        if len(set(value)) != len(value):
            raise self.mistake(name, "must name nothing twice")
        return tuple(sorted(choices.index(item) for item in value))

    def table(self, name: str, fields: Sequence[str]) -> Table:
        """The table in a field; an empty one if it is left out."""
        return Table(self._value.get(name, {}), fields, (*self._path, name))

    def rows(self, name: str, fields: Sequence[str], limit: int) -> list[Table]:
        """The tables of a list; none if it is left out.  Raises :class:`Mistake`."""
        value = self._value.get(name, [])
        if not isinstance(value, list) or len(value) > limit:
            raise self.mistake(name, f"must be a list of at most {limit} tables")
        return [Table(row, fields, (*self._path, name, number)) for number, row in enumerate(value)]


def read_text(path: Path, if_missing: str = "") -> str:
    """A text file of the operator's.  Raises :class:`OperatorError`; ``if_missing`` says what to do without one."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise OperatorError(f"{path} is not UTF-8 (at byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        if if_missing and isinstance(error, FileNotFoundError):
            raise OperatorError(f"{path} is missing; {if_missing}") from error
        raise OperatorError(f"{path} cannot be read: {error.strerror}") from error


def line_of(text: str, path: FieldPath) -> int:
    """The line of valid TOML, counted from 1, on which the value at ``path`` is complete.

    Where nothing is at ``path``, the line of the table that lacks it.  It is the end of the shortest beginning of
    the text that holds the value, so every way to write TOML is understood.
    """
    lines = text.split("\n")
    while not _holds(lines, path):
        path = path[:-1]
    return max(1, bisect_left(range(len(lines)), True, key=lambda count: _holds(lines[:count], path)))


def _holds(lines: list[str], path: FieldPath) -> bool:
    """Whether the longest beginning of ``lines`` that is TOML has a value at ``path``."""
    for count in range(len(lines), -1, -1):
        try:
            value: Any = tomllib.loads("\n".join(lines[:count]))
        except ValueError:  # the beginning ends within a value
            continue
        for step in path:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return False
        return True
    return False
