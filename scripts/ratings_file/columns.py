"""What separates the fields of a line, and which field is what."""

from __future__ import annotations

import csv
import re
from contextlib import suppress
from dataclasses import dataclass

WANTED = "rater,subject,rating,time (the time may be left out)"

# In this order: where a line has three fields by an earlier one, a later one is part of the fields.
_SEPARATORS = "\t;|, "
_ROLES = ("rater", "subject", "rating", "time")
# How each column is called in data that is around; case, blanks and punctuation do not matter.
_NAMES = (
    "rater source src from fromnode fromnodeid fromid fromuser truster trustor v1 node1 user1",
    "subject target tgt dst destination to tonode tonodeid toid touser trustee ratee rated v2 node2 user2",
    "rating trustindex trust weight sign score points",
    "time timestamp timesinceepoch date datetime epoch unixtime",
)
_ROLE_OF = {name: role for role, names in enumerate(_NAMES) for name in names.split()}
_INDEX = frozenset({"", "index", "unnamed0"})
_NUMBER = re.compile(r"[+\-−]?[.,]?\d|nan$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Columns:
    """Where in a line of ``width`` fields rater, subject and points are, and the time if there is one."""

    width: int
    places: tuple[int, int, int]
    time: int | None
    notes: tuple[str, ...] = ()

    def pick(self, fields: list[str]) -> tuple[str, str, str, str]:
        """Rater, subject, points and time, which may be empty.  Raises :class:`ValueError`."""
        if len(fields) == self.width + 1 and not fields[-1]:  # the line ends with a separator
            fields = fields[:-1]
        if len(fields) != self.width:
            raise ValueError(f"{len(fields)} fields where {self.width} are wanted{_decimal_comma(fields, self.width)}")
        rater, subject, points = self.places
        return fields[rater], fields[subject], fields[points], "" if self.time is None else fields[self.time]


def separator_of(line: str) -> str:
    """What separates the fields of this line; a blank stands for any number of them.  Raises :class:`ValueError`."""
    for separator in _SEPARATORS:
        with suppress(ValueError):
            if len(split(line, separator)) >= 3:
                return separator
    raise ValueError(f"{line[:60]!a} has no three fields, separated by commas, semicolons, tabs, bars or blanks")


def split(line: str, separator: str) -> list[str]:
    """The fields of a line, in quotes or not.  Raises :class:`ValueError`."""
    if separator == " ":
        line = " ".join(line.split())
    if '"' not in line:
        return [field.strip() for field in line.split(separator)]
    try:
        (fields,) = csv.reader([line], delimiter=separator, skipinitialspace=True, strict=True)
    except csv.Error as error:
        raise ValueError(f"{line[:60]!a} cannot be split: {error}") from error
    return [field.strip() for field in fields]


def is_header(fields: list[str]) -> bool:
    """Whether a first line is a header: then no field of it is a number."""
    return not any(map(_NUMBER.match, fields))


def columns_of(fields: list[str]) -> Columns:
    """The columns of a file that begins with this line, a header or not.  Raises :class:`ValueError`.

    Names that are known decide, whatever their order.  Where a header does not name all three, or there is none,
    the columns are taken in the order ``rater, subject, rating, time``, unless a name contradicts that.
    """
    if is_header(fields):
        return _named(fields) or _placed(fields)
    count = len(fields) - (not fields[-1] and len(fields) > 3)
    if count not in (3, 4):
        raise ValueError(f"{count} fields where 3 or 4 are wanted: {WANTED}{_decimal_comma(fields, 4)}")
    return Columns(count, (0, 1, 2), 3 if count == 4 else None)


def columns_in_comment(line: str) -> Columns | None:
    """The columns that a comment before the first line names, as ``# FromNodeId ToNodeId Sign`` does."""
    text = line.strip("#% \t")
    with suppress(ValueError):
        return _named(split(text, separator_of(text)))
    return None


def _named(header: list[str]) -> Columns | None:
    roles = [_role(name) for name in header]
    for role, what in enumerate(_ROLES):
        if roles.count(role) > 1:
            raise ValueError(f"two columns of the header {_told(header)} may be the {what}; name the right one {what}")
    if not {0, 1, 2} <= set(roles):
        return None
    others = [name for name, role in zip(header, roles, strict=True) if role is None and _plain(name) not in _INDEX]
    notes = (f"has columns that are left out: {_told(others)}",) if others else ()
    rater, subject, points = map(roles.index, range(3))
    return Columns(len(header), (rater, subject, points), roles.index(3) if 3 in roles else None, notes)


def _placed(header: list[str]) -> Columns:
    first = int(_plain(header[0]) in _INDEX)
    last = len(header) - (not header[-1])
    rest = header[first:last]
    roles = [_role(name) for name in rest]
    if len(rest) not in (3, 4) or any(role not in (None, at) for at, role in enumerate(roles)):
        raise ValueError(f"the header {_told(header)} does not tell which column is what; call them {WANTED}")
    note = f"has the header {_told(header)}, taken as {', '.join(_ROLES[: len(rest)])}"
    return Columns(len(header), (first, first + 1, first + 2), first + 3 if len(rest) == 4 else None, (note,))


def _role(name: str) -> int | None:
    return _ROLE_OF.get(_plain(name))


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()


def _told(header: list[str]) -> str:
    return ascii(",".join(header)[:80])


def _decimal_comma(fields: list[str], wanted: int) -> str:
    return "; if decimals are written with a comma, write them with a point" if len(fields) > wanted else ""
