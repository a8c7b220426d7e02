"""What every command shares: options of one meaning, tables for people, JSON for programs."""

from __future__ import annotations

from p2p.local.commandline import importing, launched

import functools
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from types import NoneType
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from scripts.tables import lay_out, wrapped

# Rich takes 100 ms to import, and neither JSON nor a pipe needs it, so it is imported where it is used.
if TYPE_CHECKING:
    from rich.console import Console

# What tables call the owners of keys, by did; a command that knows a home fills it.
_names: dict[str, str] = {}
# Storage finds a transaction by the first 8 bytes of its id.
_SHORT_BYTES = 8
_BAR_WIDTH = 24
# Columns whose numbers are names: as they are typed.
_NAMES = ("code", "seed")
_DID = re.compile(r"did:key:z\w+")


# ------------------------------------------------------------------------------------- options of one meaning

processes = click.option("--processes", type=click.IntRange(1, 256), help="[default: one for each core]")
"""Over how many processes work is spread."""


def write(what: str) -> Callable[..., Any]:
    """The option ``--write``: keep what was found in ``scripts/docs``."""
    return click.option("--write", is_flag=True, help=f"Write {what}.")


class SeedRange(click.ParamType[range]):
    """``A..B``: the seeds from A up to, not including, B; or one seed."""

    name = "A..B"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> range:
        if isinstance(value, range):
            return value
        match = re.fullmatch(r"(\d{1,12})(?:\.\.(\d{1,12}))?", str(value))
        if match is None:
            self.fail("seeds are one number, or two like 0..150", param, ctx)
        first = int(match[1])
        seeds = range(first, int(match[2]) if match[2] else first + 1)
        if not seeds:
            self.fail("there is no seed in this range", param, ctx)
        return seeds


class Numbers(click.ParamType[tuple[int, ...]]):
    """Numbers and ranges of them, as ``3,7..10``; none at all is the empty text."""

    name = "A,B..C"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        parts = [SeedRange().convert(part, param, ctx) for part in str(value).split(",")] if value else []
        return tuple(sorted({number for part in parts for number in part}))


def numbers_text(numbers: Sequence[int]) -> str:
    """Ascending numbers as :class:`Numbers` reads them."""
    parts: list[range] = []
    for number in numbers:
        if parts and parts[-1].stop == number:
            parts[-1] = range(parts[-1].start, number + 1)
        else:
            parts.append(range(number, number + 1))
    return ",".join(str(part.start) if len(part) == 1 else f"{part.start}..{part.stop}" for part in parts)


class OneOf(click.ParamType[str]):
    """One of the names that ``load`` gives.  It is only called for a name, since it may import what takes long."""

    def __init__(self, name: str, load: Callable[[], Collection[str]]) -> None:
        self.name = name
        self._load = load

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        with importing():
            names = self._load()
        if value not in names:
            self.fail(f"{value!r} is none of {', '.join(names)}", param, ctx)
        return str(value)


# ------------------------------------------------------------------------------------------------- what is said


@cache
def stdout_console() -> Console:
    """The console for what was asked; colours only on a terminal."""
    with importing():
        from rich.console import Console

    return Console(highlight=False)


@cache
def stderr_console() -> Console:
    """The console for progress and remarks."""
    with importing():
        from rich.console import Console

    return Console(stderr=True, highlight=False)


def short(id_bytes: bytes) -> str:
    """The beginning of an id in hexadecimal, for people; commands that take an id accept it."""
    return id_bytes[:_SHORT_BYTES].hex()


def short_did(did: str) -> str:
    """The telling part of a ``did:key``, for people, with the name it has here: ``market office z6MkhaXgBZDv…``."""
    return _named(did, did.removeprefix("did:key:")[:12] + "…")


def with_names(text: str) -> str:
    """A sentence with the names that the keys in it have here: ``Ann did:key:z6Mk… is not enrolled``."""
    return _DID.sub(lambda found: _named(found[0], found[0]), text)


def use_names(names: Mapping[str, str]) -> None:
    """From now on tables show these names, by did, beside the keys that have them."""
    _names.clear()
    _names.update(names)


def _named(did: str, shown: str) -> str:
    name = _names.get(did)
    return shown if name is None else f"{name} {shown}"


class Share(NamedTuple):
    """A part of a whole, shown as a bar on a terminal."""

    part: int
    whole: int

    def __str__(self) -> str:
        return f"{self.part / self.whole if self.whole else 0:.1%}"

    def bar(self) -> str:
        """The same as a bar, with the figure."""
        filled = round(_BAR_WIDTH * self.part / self.whole) if self.whole else 0
        return f"{self!s:>6} {'█' * filled}"


def print_json(obj: Any) -> None:
    """Print one JSON document: indented on a terminal, else on one line.  Bytes become hexadecimal."""
    indent = 2 if sys.stdout.isatty() else None
    knows_unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    click.echo(json.dumps(obj, indent=indent, ensure_ascii=not knows_unicode, default=bytes.hex))


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr while the block runs, if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with importing():
        from rich.progress import Progress

    with Progress(console=stderr_console(), transient=True) as shown:
        bar = shown.add_task(what, total=total)
        yield functools.partial(shown.advance, bar)


def remark(text: str) -> None:
    """Say something beside the answer, on stderr."""
    click.echo(launched(text), err=True)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], least: Sequence[str] = ()) -> None:
    """Print a table: as wide as the terminal at most, and complete where there is none; see :mod:`scripts.tables`.

    Columns of numbers are aligned to the right, and large ones written as ``1,881``, unless they are names of
    something.  None is shown as ``-``, a bool as yes or no, bytes as :func:`short`, a :class:`Share` as a bar or as per
    cent.  ``title`` may be empty.  A narrow terminal does without the columns ``least`` first, and then without those
    on the right.
    """
    values = [list(row) for row in rows]
    is_number = [all(type(row[at]) in (int, NoneType) for row in values) for at in range(len(columns))]
    is_terminal = sys.stdout.isatty()
    cells = [
        [str(value) if name in _NAMES else _cell(value, is_terminal) for name, value in zip(columns, row, strict=True)]
        for row in values
    ]
    width = shutil.get_terminal_size().columns if is_terminal else None
    (heading, *body), left_out = lay_out(columns, cells, is_number, width, least)
    for line in wrapped(title, width):
        _echo(line, bold=True)
    if any(columns):
        for line in heading:
            _echo(line, bold=True)
        if is_terminal:
            _echo("─" * max(map(len, (*heading, *(line for lines in body for line in lines)))), dim=True)
    for line in (line for lines in body for line in lines):
        click.echo(line)
    for line in wrapped(f"(no room for {', '.join(left_out)})", width) if left_out else ():
        _echo(line, dim=True)


def _echo(text: str, **style: bool) -> None:
    click.echo(click.style(text, **style), color=False if os.environ.get("NO_COLOR") else None)


def _cell(value: object, is_terminal: bool) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case bytes():
            return short(value)
        case Share():
            return value.bar() if is_terminal else str(value)
        case str():
            return _named(value, value)
        case int():
            return f"{value:,}"
        case _:
            return str(value)
