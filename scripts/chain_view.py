"""What the commands of ``inspect_chain.py`` share: a home opened for reading, and what they found in it.

A document (:mod:`chain.documents.people`) is a dict for JSON; a :class:`Sheet` is a table of the same for people.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from chain.base.errors import OperatorError, Refused
from chain.content.genesis import load_genesis
from chain.disk.database import DATABASE, corrupt
from chain.disk.inspection import View, view_of
from chain.disk.reader import Reader
from p2p.local.config import place_in
from scripts.console import remark, short, short_did

# Fields that tables shorten.
_KEYS = frozenset({"proposer", "actor", "subject", "issuer", "by", "rater"})
_IDS = frozenset({"id", "tip", "leaves_at", "block", "digest"})


class Sheet(NamedTuple):
    """A table to print."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[object]]
    least: tuple[str, ...] = ()
    """What a narrow terminal does without first; then it is the columns on the right."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a command found: for programs, for people, and the exit code.

    ``text`` is printed instead of sheets; ``beside`` is said to people besides.
    """

    document: Any
    sheets: list[Sheet] = field(default_factory=list)
    exit_code: int = 0
    text: str | None = None
    beside: str = ""


def home_in(home: Path) -> Path:
    """A home, or of a testnet's the first one."""
    if not (home / DATABASE).exists() and (home / "node0").is_dir():
        remark(f"{home} is a testnet's home; this is {home / 'node0'}")
        return home / "node0"
    return home


@contextmanager
def open_view(home: Path) -> Iterator[View]:
    """Open a home.  Raises :class:`OperatorError`; what is damaged in the database becomes one."""
    home = home_in(home)
    if not home.is_dir():
        raise OperatorError(f"{home} does not exist; name a node's home with --home")
    genesis = load_genesis(home / "genesis.json")
    reader = Reader(place_in(home), genesis)
    try:
        with reader.consistent():
            yield view_of(reader)
    except Refused as refusal:
        raise corrupt(reader.path, str(refusal)) from refusal
    finally:
        reader.close()


def as_of(answer: Mapping[str, Any]) -> str:
    """The end of a title, from :attr:`~chain.disk.inspection.View.at_head` or ``at_state``."""
    height = answer["as_of_height"]
    if "rescored_to" in answer:
        return f"as of height {height:,}, final; a new policy is still being applied to ranks and tiers"
    if answer["final"]:
        return f"as of height {height:,}, final"
    return f"as of height {height:,}, final up to {answer['finalized_height']:,}"


def facts(title: str, document: Mapping[str, Any]) -> Sheet:
    """One document as a table of its fields."""
    return Sheet(title, ("field", "value"), list(document.items()))


def sheet(title: str, columns: tuple[str, ...], documents: list[dict[str, Any]], least: tuple[str, ...] = ()) -> Sheet:
    """One row a document; ids and keys are shortened, what a document lacks is left out."""
    rows = [tuple(_brief(name, row.get(name)) for name in columns) for row in documents]
    return Sheet(title, columns, rows, least)


def _brief(name: str, value: Any) -> object:
    if value is None:
        return None
    if name in _KEYS:
        return short_did(value)
    return short(bytes.fromhex(value)) if name in _IDS else value
