"""How a command of ``inspect_chain.py`` asks one commit of a home's database, and prints what it found."""

from __future__ import annotations

from p2p.local.commandline import group, home_of_node, importing

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from chain.database import corrupt
from chain.errors import InvariantBroken, Refused
from p2p.local import commandline
from scripts.chain_view import Finding, View, open_view
from scripts.console import print_json, stderr_console, table, use_names
from scripts.names import read_names

#: More of anything than a home can hold.
ALL = 2**62


@group
def inspect_chain() -> None:
    """Look inside a node's home, while the node runs or after it stopped."""


def question(ask: Callable[..., Finding]) -> Callable[..., Finding]:
    """Make a command of a function that answers from a :class:`View`."""

    @functools.wraps(ask)
    def command(home: Path, as_json: bool, **arguments: Any) -> None:
        with open_view(home) as view:
            use_names(read_names(view.reader.path.parent))
            answer = _answer(view, functools.partial(ask, view, **arguments))
        show(answer, as_json=as_json)

    inspect_chain.command()(home_of_node("A node's home, or a testnet's.")(commandline.as_json(command)))
    return ask


def show(answer: Finding, *, as_json: bool) -> None:
    """Print an answer, and exit with its code if that is not 0."""
    if as_json:
        print_json(answer.document)
    elif answer.text is not None:
        click.echo(answer.text, nl=False)
    else:
        for number, sheet in enumerate(answer.sheets):
            if number:
                click.echo()
            table(*sheet)
    if answer.exit_code:
        click.get_current_context().exit(answer.exit_code)


def limit(default: int) -> Callable[[Callable[..., Finding]], Callable[..., Finding]]:
    """The option that says how many at most."""
    return click.option(
        "--limit", type=click.IntRange(1, ALL), default=default, show_default=True, help="How many at most."
    )


def _answer(view: View, ask: Callable[[], Finding]) -> Finding:
    """Ask; what proves damaged in the database becomes an :class:`OperatorError`."""
    failure: BaseException
    try:
        return ask()
    except (Refused, InvariantBroken) as error:
        failure = corrupt(view.reader.path, str(error))
    except KeyboardInterrupt:
        failure = KeyboardInterrupt()
    # Out here the frames of the failure are gone, and with them the queries that were half read: one that is
    # left over when the connection closes complains on stderr.
    raise failure


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
