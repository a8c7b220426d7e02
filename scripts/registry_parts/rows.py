"""A csv file of records or ratings, read whole: what each row says, and which lines say nothing that can be filed.

Columns go by the names in the first line, in any order.  A file with a column ``established`` holds records, any other
ratings.  A row ends with its line, so that a quote nobody closed spoils one row, not all that follow.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias

from chain.base.codec import encode
from chain.base.errors import OperatorError, Refused
from chain.base.keys import key_from_did
from chain.content.actions import FileRecord, Rate
from chain.content.genesis import Genesis
from chain.content.policy import Category, Policy, RatingCategory
from scripts.registry_parts.inputs import (
    find_category,
    find_points,
    find_severity,
    read_digest,
    read_slot,
    salted_digest,
)

RATING_COLUMNS = ("member", "category", "points")
RECORD_COLUMNS = (*RATING_COLUMNS, "severity", "established", "evidence", "evidence_digest", "reason", "reason_digest")
_NEEDED_OF_RATINGS = frozenset(RATING_COLUMNS)
_NEEDED_OF_RECORDS = frozenset({"member", "category", "established"})
# A million rows of a record each, with room; more is split by whoever has it.
MAX_BYTES = 256_000_000
# What a spreadsheet may put between fields.
_SEPARATORS = ",;\t"

Deed: TypeAlias = FileRecord | Rate
Cells: TypeAlias = Mapping[str, str]


class Row(NamedTuple):
    """What a line wants to be filed.  ``mark`` is a digest of all it says: it tells a row from every other."""

    line: int
    mark: str
    deed: Deed


class Unreadable(NamedTuple):
    """A line that says nothing that can be filed, and why."""

    line: int
    why: str


@dataclass(frozen=True)
class Table:
    """A file as it was read."""

    kind: str
    rows: tuple[Row, ...]
    unreadable: tuple[Unreadable, ...]


def read_table(path: Path, genesis: Genesis, policy: Policy) -> Table:
    """Read a whole file; evidence and reasons are files beside it, or digests.

    Raises :class:`OperatorError` where it is no such file at all.
    """
    separator, columns, lines = _lines_of(path)
    is_records = "established" in columns
    _check_columns(path, columns, is_records=is_records)
    reader = _Reader(path.parent, genesis, policy, _record if is_records else _rating)
    for number, line in lines:
        reader.take(number, separator, columns, line)
    return Table("records" if is_records else "ratings", tuple(reader.rows), tuple(reader.unreadable))


def read_lines(path: Path) -> list[tuple[int, bytes]]:
    """The numbered lines of a file that hold anything.  Raises :class:`OperatorError`."""
    try:
        with path.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise OperatorError(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise OperatorError(f"{path} is larger than {MAX_BYTES // 1_000_000} MB; split it")
    return [(number, line) for number, line in enumerate(content.splitlines(), 1) if line.strip()]


def _lines_of(path: Path) -> tuple[str, list[str], list[tuple[int, bytes]]]:
    """The separator, the names of the columns, and the numbered lines that hold anything."""
    lines = read_lines(path)
    if not lines:
        raise OperatorError(f"{path} is empty; its first line names the columns: {', '.join(RATING_COLUMNS)}, …")
    try:
        heading = lines[0][1].decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise OperatorError(f"{path} is not in UTF-8; save it as CSV in UTF-8") from error
    separator = max(_SEPARATORS, key=heading.count)
    return separator, [name.strip().casefold() for name in _cells(heading, separator)], lines[1:]


def _check_columns(path: Path, columns: list[str], *, is_records: bool) -> None:
    known = RECORD_COLUMNS if is_records else RATING_COLUMNS
    needed = _NEEDED_OF_RECORDS if is_records else _NEEDED_OF_RATINGS
    wrong = [f"it has no column {name}" for name in known if name in needed and name not in columns]
    wrong += [f"it has a column {name!r}" for name in columns if name not in known]
    wrong += [f"it has the column {name} twice" for name in sorted(set(columns)) if columns.count(name) > 1]
    if is_records and not {"evidence", "evidence_digest"} & set(columns):
        wrong.append("it has no column evidence")
    if wrong:
        what = "records" if is_records else "ratings (records have a column established)"
        raise OperatorError(f"{path}: {wrong[0]}; the first line of a file of {what} names {', '.join(known)}")


def _cells(line: str, separator: str) -> list[str]:
    """The fields of one line.  Raises :class:`OperatorError`."""
    try:
        (cells,) = csv.reader([line], delimiter=separator, strict=True)
    except (csv.Error, ValueError) as error:
        raise OperatorError(f"no row of fields ({error}); a quoted field ends in its line") from error
    return cells


class _Reader:
    """Rows one after another; no two of them say the same."""

    def __init__(
        self,
        folder: Path,
        genesis: Genesis,
        policy: Policy,
        deed: Callable[[Cells, Path, Genesis, Policy], Deed],
    ) -> None:
        self._of = folder, genesis, policy
        self._deed = deed
        self._lines: dict[str, int] = {}
        self.rows: list[Row] = []
        self.unreadable: list[Unreadable] = []

    def take(self, number: int, separator: str, columns: list[str], line: bytes) -> None:
        """The next line."""
        try:
            row = self._row(number, separator, columns, line)
        except OperatorError as error:
            self.unreadable.append(Unreadable(number, str(error)))
        else:
            self._lines[row.mark] = number
            self.rows.append(row)

    def _row(self, number: int, separator: str, columns: list[str], line: bytes) -> Row:
        try:
            cells = [cell.strip() for cell in _cells(line.decode("utf-8"), separator)]
        except UnicodeDecodeError as error:
            raise OperatorError("not in UTF-8") from error
        if not all(cell.isprintable() for cell in cells):
            raise OperatorError("a control character in a field")
        if len(cells) != len(columns):
            raise OperatorError(f"{len(cells)} fields where the first line names {len(columns)}")
        deed = self._deed(dict(zip(columns, cells, strict=True)), *self._of)
        mark = mark_of(deed)
        if mark in self._lines:
            raise OperatorError(f"says the same as line {self._lines[mark]}; what is meant twice differs in something")
        return Row(number, mark, deed)


def mark_of(deed: Deed) -> str:
    """A digest of what a row says.  Not part of it: under which version of the policy it is signed."""
    fields = tuple(deed._replace(policy_version=0)) if isinstance(deed, FileRecord) else tuple(deed)
    return hashlib.sha256(encode(fields)).hexdigest()


def _rating(cells: Cells, folder: Path, genesis: Genesis, policy: Policy) -> Rate:
    category = find_category(policy.ratings, cells["category"])
    return Rate(_member(cells), category.code, _points_of(cells, category))


def _record(cells: Cells, folder: Path, genesis: Genesis, policy: Policy) -> FileRecord:
    category = find_category(policy.categories, cells["category"])
    return FileRecord(
        subject=_member(cells),
        category=category.code,
        points=_points_of(cells, category),
        severity=find_severity(policy, category, cells.get("severity") or None),
        evidence=_digest(cells, "evidence", folder, is_needed=True),
        reason=_digest(cells, "reason", folder, is_needed=category.needs_reason),
        established_slot=_established(cells, genesis),
        policy_version=policy.version,
    )


def _points_of(cells: Cells, category: Category | RatingCategory) -> int:
    points = find_points(category, _number(cells.get("points", "")))
    if not category.low <= points <= category.high:
        raise OperatorError(f"points {points} where {category.name} takes {category.low} to {category.high}")
    return points


def _member(cells: Cells) -> bytes:
    try:
        return key_from_did(cells["member"])
    except Refused as refusal:
        raise OperatorError(
            f"member {cells['member']!r} is not a key like did:key:z6Mk…: {refusal.detail}"
        ) from refusal


def _number(text: str) -> int | None:
    if not text:
        return None
    digits = text.removeprefix("-").removeprefix("+")
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 10 and len(text) - len(digits) < 2):
        raise OperatorError(f"points {text!r} is not a whole number")
    return int(text)


def _established(cells: Cells, genesis: Genesis) -> int:
    # What is read again tomorrow must say the same.
    if cells["established"] in ("", "now"):
        raise OperatorError("established is a date or a slot in a file; now would be another time in the next run")
    return read_slot(genesis, cells["established"], 0, "established")


def _digest(cells: Cells, name: str, folder: Path, *, is_needed: bool) -> bytes:
    file, digits = cells.get(name, ""), cells.get(f"{name}_digest", "")
    if file and digits:
        raise OperatorError(f"{name} and {name}_digest say the same; give one of them")
    if file:
        return salted_digest(folder / file)
    if digits:
        return read_digest(name, digits)
    if is_needed:
        raise OperatorError(f"{name} is needed: a file beside the table, or {name}_digest")
    return b""
