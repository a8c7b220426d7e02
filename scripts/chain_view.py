"""What the commands of ``inspect_chain.py`` share: a home opened for reading, and its things as documents.

A document is a dict for JSON; a :class:`Sheet` is a table of the same for people.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from chain.blocks import Block
from chain.blocktree import genesis_header
from chain.database import DATABASE, corrupt
from chain.errors import InvariantBroken, OperatorError, Refused
from chain.genesis import Genesis, load_genesis
from chain.headers import Header
from chain.keys import did_from_key
from chain.ledger import Ledger
from chain.reader import Reader
from chain.scores import standing
from chain.state import Entry, Member, Rating, read_rating_key
from chain.transactions import Transaction
from scripts.console import remark, short, short_did

# Fields that tables shorten.
_KEYS = frozenset({"proposer", "actor", "subject"})
_IDS = frozenset({"id", "tip", "leaves_at"})


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
    rows: Sequence[Sequence[object]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command found: for programs, for people, and the exit code."""

    document: Any
    sheets: list[Sheet] = field(default_factory=list)
    exit_code: int = 0


@contextmanager
def open_view(home: Path) -> Iterator[View]:
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


def as_of(answer: Mapping[str, Any]) -> str:
    """The end of a title, from :attr:`View.at_head` or :attr:`View.at_state`."""
    height = answer["as_of_height"]
    if answer["final"]:
        return f"as of height {height}, final"
    return f"as of height {height}, final up to {answer['finalized_height']}"


def facts(title: str, document: Mapping[str, Any]) -> Sheet:
    """One document as a table of its fields."""
    return Sheet(title, ("field", "value"), list(document.items()))


def read_hex(text: str, digits: int, what: str) -> str:
    """An id or the beginning of it.  Raises :class:`OperatorError`."""
    text = text.lower()
    if not digits <= len(text) <= 64 or not set(text) <= set("0123456789abcdef"):
        raise OperatorError(f"{text!r} is no {what}; give {digits} to 64 hexadecimal digits")
    return text


def header_of_genesis(genesis: Genesis) -> Header:
    """The header that stands for the genesis."""
    return genesis_header(genesis, Ledger(genesis).state_root)


def _time(ms: int) -> str | None:
    """A moment in UTC, None beyond the year 9999."""
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return None


def block_document(view: View, header: Header, count: int, *, main: bool = True) -> dict[str, Any]:
    """A header and the number of its block's transactions."""
    return {
        "id": header.id.hex(),
        "height": header.height,
        "slot": header.slot,
        "time": _time(view.genesis.slot_start_ms(header.slot)),
        "proposer": did_from_key(header.proposer) if header.height else None,
        "parent": header.parent.hex(),
        "mhg": header.mhg,
        "mhp": header.mhp,
        "transaction_root": header.transaction_root.hex(),
        "state_root": header.state_root.hex(),
        "transaction_count": count,
        "main": main,
        "final": main and header.height <= view.finalized_height,
    }


def transaction_document(view: View, transaction: Transaction) -> dict[str, Any]:
    """A transaction with the fields of its kind."""
    action = transaction.action._asdict()
    if "subject" in action:
        action["subject"] = did_from_key(action["subject"])
    if "category" in action:
        action["category"] = category_name(view, action["category"])
    return {
        "id": transaction.id.hex(),
        "kind": transaction.kind,
        "actor": did_from_key(transaction.actor),
        "nonce": transaction.nonce,
        "expiry_height": transaction.expiry_height,
        **action,
    }


def category_name(view: View, code: int) -> str:
    """What the policy calls a category of ratings."""
    category = view.genesis.policy.ratings.get(code)
    return str(code) if category is None else category.name


def sheet(title: str, columns: tuple[str, ...], documents: list[dict[str, Any]]) -> Sheet:
    """One row a document; ids and keys are shortened, what a document lacks is left out."""
    return Sheet(title, columns, [tuple(_brief(name, row.get(name)) for name in columns) for row in documents])


def _brief(name: str, value: Any) -> object:
    if value is None:
        return None
    if name in _KEYS:
        return short_did(value)
    return short(bytes.fromhex(value)) if name in _IDS else value


def find_block(view: View, digits: str) -> tuple[Block | None, bool]:
    """A block, None for the genesis, and whether it is on the main chain.  Raises :class:`OperatorError`."""
    first, last = (bytes.fromhex(digits.ljust(64, end)) for end in "0f")
    ids = view.reader.block_ids(first, last, 2)
    if first <= view.genesis.id <= last:
        ids.append(view.genesis.id)
    if len(ids) != 1:
        problem = "several blocks begin" if ids else "no stored block begins"
        raise OperatorError(f"{problem} with {digits}; {'give more of the id' if ids else 'see `blocks` and `forks`'}")
    return view.reader.block(ids[0]) or (None, True)


def ranking(view: View) -> list[tuple[int, int, Member]]:
    """``(rank, score, member)``, best first; equal scores share a rank and are ordered by their did."""
    policy = view.genesis.policy
    members = [entry for _, entry in view.reader.entries(b"m") if isinstance(entry, Member)]
    # keys sort as their dids do
    scored = sorted((-standing(policy, member).score, member.key, member) for member in members)
    ranked: list[tuple[int, int, Member]] = []
    for place, (negative, _, member) in enumerate(scored, 1):
        rank = ranked[-1][0] if ranked and ranked[-1][1] == -negative else place
        ranked.append((rank, -negative, member))
    return ranked


def member_summary(view: View, member: Member) -> dict[str, Any]:
    """What people see of a member: score, tier and what they follow from."""
    score, _, tier = standing(view.genesis.policy, member)
    return {
        "score": score,
        "tier": tier,
        "record_points": member.record_points,
        "records": member.standing,
        "suspended": member.suspended,
        "rated_points": member.rated_points,
        "ratings": member.ratings,
        "enrolled_height": member.enrolled_height,
    }


def rating_document(view: View, other: str, key: bytes, record: Entry) -> dict[str, Any]:
    """A standing rating; ``other`` says who is named in it, the ``rater`` or the ``subject``."""
    if not isinstance(record, Rating):
        raise InvariantBroken("a rating's key holds another record")
    subject, rater, category = read_rating_key(key)
    return {
        other: did_from_key(rater if other == "rater" else subject),
        "category": category_name(view, category),
        "points": record.points,
        "height": record.height,
    }
