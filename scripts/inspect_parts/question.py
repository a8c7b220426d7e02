"""How a command of ``inspect_chain.py`` asks a home's database, or a running node, and prints the answer."""

from __future__ import annotations

from p2p.local.commandline import group, home_of_node

import functools
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from chain.base.errors import InvariantBroken, OperatorError, Refused
from chain.disk.answers import ALL
from chain.disk.database import corrupt
from chain.disk.inspection import View
from chain.documents.people import Document
from p2p import client
from p2p.client import Client, NodeAway
from p2p.local import commandline
from p2p.local.addressbook import read_names
from p2p.local.endpoints import HISTORY, Endpoint, Source
from scripts.chain_view import Finding, open_view
from scripts.console import print_json, progress, remark, table, use_names

WATCH_S = 1.0
"""How often a watched answer is asked for: slots are not shorter, as a rule."""

__all__ = ["ALL", "Count", "asked", "inspect_chain", "limit", "look", "progress", "question", "show"]


@group
def inspect_chain() -> None:
    """Look inside a node's home, while the node runs or after it stopped; or ask a running node."""


class Count(click.IntRange):
    """A number of things, or a height; that no home holds 2^62 of them needs no words in a help text."""

    def __init__(self, least: int) -> None:
        super().__init__(least, ALL)

    def _describe_range(self) -> str:
        return f"x>={self.min}"


OfHome = Callable[..., Finding | None]


def question(
    endpoint: Endpoint,
    *,
    other: Endpoint | None = None,
    when: str = "",
    of_home: OfHome | None = None,
    options: tuple[str, ...] = (),
    at_rest: Callable[..., Document] | None = None,
) -> Callable[[Callable[..., Finding]], Callable[..., Finding]]:
    """Make a command of a function that presents the document of an endpoint, or ``other`` with the option ``when``.

    It gets the document, and the options that the endpoint does not know.  ``of_home`` answers some ``options`` from a
    home, which no node answers; ``at_rest`` answers from a home what a node itself answers.
    """

    def decorate(present: Callable[..., Finding]) -> Callable[..., Finding]:
        @functools.wraps(present)
        def command(home: Path, as_json: bool, node: str | None, watch: bool, **arguments: Any) -> None:
            if of_home is not None and any(arguments[name] is not None for name in options):
                if node is not None:
                    raise OperatorError("that is asked of a home, not of a node; leave out --node")
                show(_look(home, functools.partial(of_home, **arguments)), as_json=as_json)
                return
            chosen = other if other is not None and arguments[when] else endpoint
            if node is None and at_rest is not None:
                chosen = replace(chosen, ask=at_rest, source=Source.DISK)
            ask = functools.partial(_ask, home if node is None else node, chosen, present, arguments)
            if watch:
                _watch(ask, as_json=as_json)
            else:
                show(ask(), as_json=as_json)

        _register(_node(_watched(command)))
        return present

    return decorate


def look(ask: Callable[..., Finding]) -> Callable[..., Finding]:
    """Make a command of a function that answers from a :class:`View` of a home, and of no node."""

    @functools.wraps(ask)
    def command(home: Path, as_json: bool, **arguments: Any) -> None:
        show(_look(home, functools.partial(ask, **arguments)), as_json=as_json)

    _register(command)
    return ask


def _look(home: Path, ask: Callable[[View], Any]) -> Any:
    """Ask one commit of a home."""
    with open_view(home) as view:
        use_names(read_names(view.reader.path.parent))
        return _answer(view, functools.partial(ask, view))


def _register(command: Callable[..., None]) -> None:
    inspect_chain.command()(home_of_node("A node's home, or a testnet's.")(commandline.as_json(command)))


_node = click.option("--node", metavar="URL", help="Ask this running node instead of a home.")
_watched = click.option("--watch", is_flag=True, help="Ask again and again, and show what is new, until Ctrl-C.")


def asked(endpoint: Endpoint, view: View, **arguments: Any) -> Document:
    """What a home answers where a node is asked an endpoint."""
    document: Document = endpoint.ask(view.state if endpoint.source is Source.STATE else view, **arguments)
    return document


def _ask(source: Path | str, endpoint: Endpoint, present: Callable[..., Finding], arguments: dict[str, Any]) -> Finding:
    """Ask a home, or a node by its URL."""
    names = {each.keyword for each in endpoint.parameters}
    known = {name: value for name, value in arguments.items() if name in names}
    others = {name: value for name, value in arguments.items() if name not in names}
    if isinstance(source, str):
        return present(_of_node(source, endpoint, known), **others)
    document, beside = _of_home(source, endpoint, known)
    return replace(present(document, **others), beside=beside)


def _of_home(home: Path, endpoint: Endpoint, known: dict[str, Any]) -> tuple[Document, str]:
    """What it answers, and what its node knows better."""

    def ask(view: View) -> tuple[Document, str]:
        if endpoint is not HISTORY:
            document = asked(endpoint, view, **known)
            return document, newer(document, view.finalized_height)
        with progress("blocks", view.head_height) as advance:
            return asked(endpoint, view, **known, advance=advance), ""

    found: tuple[Document, str] = _look(home, ask)
    return found


def newer(document: Document, finalized_height: int) -> str:
    """That an answer is of a state on disk that is behind what is final, in a sentence; empty where it is not."""
    height = document.get("as_of_height", finalized_height)
    if height >= finalized_height:
        return ""
    return f"this is as of height {height:,}, and up to {finalized_height:,} is final; --node URL asks the running node"


def _of_node(url: str, endpoint: Endpoint, known: dict[str, Any]) -> Document:
    with Client(url) as node:
        document = node.ask(client.document(endpoint.url(**known)))
    use_names(document.pop("names", {}))
    return document


def _watch(ask: Callable[[], Finding], *, as_json: bool) -> None:
    shown = None
    while True:
        try:
            found = ask()
        except NodeAway as away:
            click.echo(f"{away}; it is asked again", err=True)
        else:
            if found.document != shown:
                shown = found.document
                if sys.stdout.isatty() and not as_json:
                    click.clear()
                show(found, as_json=as_json)
        sys.stdout.flush()
        time.sleep(WATCH_S)


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
    if answer.beside and not as_json:
        remark(answer.beside)
    if answer.exit_code:
        click.get_current_context().exit(answer.exit_code)


def limit(default: int) -> Callable[[Callable[..., Finding]], Callable[..., Finding]]:
    """The option that says how many at most."""
    return click.option("--limit", type=Count(1), default=default, show_default=default < ALL, help="How many at most.")


def _answer(view: View, ask: Callable[[], Any]) -> Any:
    """Ask; what proves damaged in the database becomes an :class:`OperatorError`."""
    failure: BaseException
    try:
        return ask()
    except (Refused, InvariantBroken) as error:
        failure = corrupt(view.reader.path, str(error))
    except OperatorError as error:
        failure = error
    except KeyboardInterrupt:
        failure = KeyboardInterrupt()
    # Out here the frames of the failure are gone, and with them the queries that were half read: one that is
    # left over when the connection closes complains on stderr.
    raise failure
