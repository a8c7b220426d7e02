"""What every command shares: tables for people, JSON for programs, and how a command ends.

Exit codes: 0 fine, 1 what the command looked for is wrong, 2 usage or the operator's mistake, 130 Ctrl-C,
141 the reader of the pipe went away (both as a shell counts them).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import click

from chain.errors import OperatorError

# Rich takes 100 ms to import, and neither JSON nor a pipe needs it, so it is imported where it is used.
if TYPE_CHECKING:
    from rich.console import Console

EXIT_WRONG = 1
EXIT_MISTAKE = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141

# Storage finds a transaction by the first 8 bytes of its id.
_SHORT_BYTES = 8
_BAR_WIDTH = 40


@cache
def stdout_console() -> Console:
    """The console for what was asked; colours only on a terminal."""
    from rich.console import Console  # noqa: PLC0415

    return Console(highlight=False)


@cache
def stderr_console() -> Console:
    """The console for progress and remarks."""
    from rich.console import Console  # noqa: PLC0415

    return Console(stderr=True, highlight=False)


def short(id_bytes: bytes) -> str:
    """The beginning of an id in hexadecimal, for people; commands that take an id accept it."""
    return id_bytes[:_SHORT_BYTES].hex()


def short_did(did: str) -> str:
    """The telling part of a ``did:key``, for people: ``z6MkhaXgBZDv…``."""
    return did.removeprefix("did:key:")[:12] + "…"


class Share(NamedTuple):
    """A part of a whole, shown as a bar on a terminal."""

    part: int
    whole: int

    def __str__(self) -> str:
        return f"{self.part / self.whole if self.whole else 0:.1%}"


def print_json(obj: Any) -> None:
    """Print one JSON document: indented on a terminal, else on one line.  Bytes become hexadecimal."""
    indent = 2 if sys.stdout.isatty() else None
    click.echo(json.dumps(obj, indent=indent, ensure_ascii=False, default=bytes.hex))


def remark(text: str) -> None:
    """Say something beside the answer, on stderr."""
    click.echo(text, err=True)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table: with colour and lines on a terminal, else as aligned plain text.

    Columns of numbers are aligned to the right.  None is shown as ``-``, a bool as yes or no, bytes as
    :func:`short`, a :class:`Share` as a bar or as per cent.  ``title`` may be empty.
    """
    values = [list(row) for row in rows]
    is_number = [all(type(row[at]) in (int, NoneType) for row in values) for at in range(len(columns))]
    if sys.stdout.isatty():
        _print_rich(title, columns, values, is_number)
        return
    cells = [[_cell(value) for value in row] for row in values]
    if title:
        click.echo(title)
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    for line in (columns, *cells):
        padded = (
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, is_number, strict=True)
        )
        click.echo("  ".join(padded).rstrip())


def _cell(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case bytes():
            return short(value)
        case _:
            return str(value)


def _print_rich(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], is_number: Sequence[bool]
) -> None:
    from rich.bar import Bar  # noqa: PLC0415
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    shown = Table(box=SIMPLE_HEAD)
    for name, right in zip(columns, is_number, strict=True):
        shown.add_column(Text(name), justify="right" if right else "left", overflow="fold")
    for row in rows:
        shown.add_row(
            *(
                Bar(value.whole, 0, value.part, width=_BAR_WIDTH, color="cyan")
                if isinstance(value, Share)
                else Text(_cell(value))  # as Text, so that nothing in a name is read as markup
                for value in row
            )
        )
    if title:  # not the table's own title, which is wrapped to the width of the table
        stdout_console().print(Text(title, style="bold"))
    stdout_console().print(shown)


def run(command: click.Command, args: Sequence[str] | None = None) -> NoReturn:
    """Run a command to its end and exit; ``args`` are those of the process by default.

    An :class:`OperatorError` becomes its one sentence and exit code 2; Ctrl-C and a closed pipe end quietly.
    A command that found something wrong calls ``click.get_current_context().exit(EXIT_WRONG)``.
    """
    sys.exit(_run(command, sys.argv[1:] if args is None else args))


def _run(command: click.Command, args: Sequence[str]) -> int:
    # Not command.main(): it would exit with 1 for a closed pipe and for Ctrl-C.
    try:
        with command.make_context(Path(sys.argv[0]).name, list(args)) as context:
            command.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        error.show()
        return EXIT_MISTAKE
    except OperatorError as error:
        click.echo(f"{click.style('error:', fg='red')} {error}", err=True)
        return EXIT_MISTAKE
    except (KeyboardInterrupt, click.Abort):
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # What is left in the buffer would raise again when the interpreter flushes it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    return 0
