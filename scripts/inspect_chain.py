"""Look inside a node's home, while the node runs or after it stopped.

What is on the chain (blocks, transactions) is shown as of the head; what follows from it (members, scores) as of
the state on disk, which is always final and follows the head by seconds.  Every answer says as of which height.
Nothing is written, and nothing but ``verify`` checks a signature again.
"""

from __future__ import annotations

import functools
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from chain.blocks import Header, VerifiedHeader
from chain.blocktree import genesis_header
from chain.errors import OperatorError, Refused
from chain.genesis import Genesis, load_genesis
from chain.keys import did_from_key, key_from_did
from chain.ledger import Ledger
from chain.registry import Member, Rating, Record, member_key, member_summary, read_rating_key
from chain.storage import DATABASE, Reader, corrupt
from chain.transactions import Transaction
from scripts.console import EXIT_WRONG, print_json, remark, run, short, short_did, stderr_console, table

if TYPE_CHECKING:
    from scripts.recheck import Report

_ALL = 2**62
# 12 digits are an id's beginning rather than a height: 31,000 years of one-second slots.
_HEIGHT_DIGITS = 12
# Ids are looked up by their first 8 bytes, which is what tables show of them.
_TRANSACTION_DIGITS = 16


@dataclass(frozen=True, slots=True)
class View:
    """One commit of a home's database."""

    reader: Reader
    genesis: Genesis
    head_height: int
    finalized_height: int

    @property
    def at_head(self) -> dict[str, Any]:
        """As of which height an answer about blocks is, and whether that is final."""
        return {
            "as_of_height": self.head_height,
            "final": self.head_height <= self.finalized_height,
            "finalized_height": self.finalized_height,
        }

    @property
    def at_state(self) -> dict[str, Any]:
        """The same for an answer about members: the state on disk is of a final block."""
        header = self.reader.snapshot_header()
        return {"as_of_height": 0 if header is None else header.height, "final": True}


class Sheet(NamedTuple):
    """A table to print."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command found: for programs, for people, and the exit code."""

    document: Any
    sheets: list[Sheet] = field(default_factory=list)
    exit_code: int = 0


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def inspect_chain() -> None:
    """Look inside a node's home, while the node runs or after it stopped."""


def _question(ask: Callable[..., Answer]) -> Callable[..., Answer]:
    """Make a command of a function that answers from a :class:`View`."""

    @functools.wraps(ask)
    def command(home: Path, as_json: bool, **arguments: Any) -> None:
        with _view(home) as view:
            answer = ask(view, **arguments)
        if as_json:
            print_json(answer.document)
        else:
            for number, sheet in enumerate(answer.sheets):
                if number:
                    click.echo()
                table(*sheet)
        click.get_current_context().exit(answer.exit_code)

    home = click.option(
        "--home",
        type=click.Path(path_type=Path),
        envvar="GOODFAITH_HOME",
        default=Path("home"),
        show_default=True,
        show_envvar=True,
        help="A node's home, or a testnet's.",
    )
    as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
    inspect_chain.command()(home(as_json(command)))
    return ask


@contextmanager
def _view(home: Path) -> Iterator[View]:
    """Open a home.  Raises :class:`OperatorError`; what is damaged in the database becomes one."""
    if not (home / DATABASE).exists() and (home / "node0").is_dir():
        remark(f"{home} is a testnet's home; this is {home / 'node0'}")
        home /= "node0"
    if not home.is_dir():
        raise OperatorError(f"{home} is no folder; name a node's home with --home")
    genesis = load_genesis(home / "genesis.json")
    reader = Reader(home / DATABASE, genesis)
    try:
        with reader.consistent():
            yield View(reader, genesis, reader.head_height(), reader.finalized_height())
    except Refused as refusal:
        raise corrupt(reader.path, str(refusal)) from refusal
    finally:
        reader.close()


def _as_of(answer: Mapping[str, Any]) -> str:
    height = answer["as_of_height"]
    if answer["final"]:
        return f"as of height {height}, final"
    return f"as of height {height}, final up to {answer['finalized_height']}"


def _facts(title: str, document: Mapping[str, Any]) -> Sheet:
    return Sheet(title, ("field", "value"), list(document.items()))


def _hex(text: str, digits: int, what: str) -> str:
    """An id or the beginning of it.  Raises :class:`OperatorError`."""
    text = text.lower()
    if not digits <= len(text) <= 64 or not set(text) <= set("0123456789abcdef"):
        raise OperatorError(f"{text!r} is no {what}; give {digits} to 64 hexadecimal digits")
    return text


# --------------------------------------------------------------------------------------------------- the chain


def _genesis_header(genesis: Genesis) -> Header:
    return genesis_header(genesis, Ledger(genesis).state_root)


def _block_document(view: View, header: Header, transactions: int, *, main: bool) -> dict[str, Any]:
    moment = datetime.fromtimestamp(view.genesis.slot_start_ms(header.slot) / 1000, UTC)
    return {
        "id": header.id.hex(),
        "height": header.height,
        "slot": header.slot,
        "time": moment.isoformat(timespec="milliseconds"),
        "proposer": did_from_key(header.proposer) if header.height else None,
        "parent": header.parent.hex() if header.height else None,
        "mhg": header.mhg,
        "mhp": header.mhp,
        "transaction_root": header.transaction_root.hex() if header.height else None,
        "state_root": header.state_root.hex(),
        "transactions": transactions,
        "main": main,
        "final": main and header.height <= view.finalized_height,
    }


def _transaction_document(view: View, transaction: Transaction) -> dict[str, Any]:
    action = transaction.action._asdict()
    if "subject" in action:
        action["subject"] = did_from_key(action["subject"])
    if "category" in action:
        action["category"] = _category(view, action["category"])
    return {
        "id": transaction.id.hex(),
        "kind": transaction.kind,
        "actor": did_from_key(transaction.actor),
        "nonce": transaction.nonce,
        "expiry_height": transaction.expiry_height,
        **action,
    }


def _category(view: View, code: int) -> str:
    category = view.genesis.policy.ratings.get(code)
    return str(code) if category is None else category.name


@_question
def head(view: View) -> Answer:
    """The newest block, and how far the chain is final."""
    header, transactions = next(view.reader.headers(view.head_height, 1), (_genesis_header(view.genesis), 0))
    document = {
        "network": view.genesis.name,
        "genesis": view.genesis.id.hex(),
        **_block_document(view, header, transactions, main=True),
        "state_height": view.at_state["as_of_height"],
        **view.at_head,
    }
    return Answer(document, [_facts(f"Head, {_as_of(document)}", document)])


@_question
@click.option("--from", "from_height", type=click.IntRange(min=0), help="The first height; by default the newest.")
@click.option("--limit", type=click.IntRange(1, _ALL), default=20, show_default=True)
def blocks(view: View, from_height: int | None, limit: int) -> Answer:
    """Blocks of the main chain, oldest first."""
    start = max(0, view.head_height - limit + 1) if from_height is None else min(from_height, _ALL)
    found = [
        _block_document(view, header, transactions, main=True)
        for header, transactions in view.reader.headers(start, limit)
    ]
    document = {**view.at_head, "blocks": found}
    columns = ("height", "id", "slot", "time", "proposer", "transactions", "final")
    rows = [tuple(_brief(name, item[name]) for name in columns) for item in found]
    return Answer(document, [Sheet(f"Blocks, {_as_of(document)}", columns, rows)])


def _brief(name: str, value: Any) -> object:
    """A field of a block or transaction, as narrow as a column should be."""
    if name in ("proposer", "actor", "subject"):
        return short_did(value)
    return short(bytes.fromhex(value)) if name in ("id", "tip") else value


@_question
@click.argument("which", metavar="ID|HEIGHT")
def block(view: View, which: str) -> Answer:
    """One block, by its height or by its id or the beginning of it."""
    if which.isascii() and which.isdigit() and len(which) < _HEIGHT_DIGITS:
        found = view.reader.block_at(int(which))
        if found is None and int(which):
            raise OperatorError(f"no block of height {int(which)} is stored; the head is at {view.head_height}")
        is_main = True
    else:
        found, is_main = _block_by_id(view, _hex(which, 4, "block id or height"))
    header = _genesis_header(view.genesis) if found is None else found.header
    body = () if found is None else found.transactions
    document = _block_document(view, header, len(body), main=is_main)
    facts = _facts(f"Block, {_as_of(view.at_head)}", document)
    listed = [_transaction_document(view, transaction) for transaction in body]
    rows = [
        (index, short(item.id), item.kind, short_did(shown["actor"]), item.nonce, _action(item, shown))
        for index, (item, shown) in enumerate(zip(body, listed, strict=True))
    ]
    sheet = Sheet("Transactions", ("index", "id", "kind", "actor", "nonce", "what"), rows)
    document = {**document, "transactions": listed, **_position(view)}
    return Answer(document, [facts, sheet] if rows else [facts])
