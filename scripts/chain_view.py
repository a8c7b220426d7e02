"""What the commands of ``inspect_chain.py`` share: a home opened for reading, and what they found in it.

A document (:mod:`chain.documents`) is a dict for JSON; a :class:`Sheet` is a table of the same for people.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import base58

from chain import documents
from chain.blocks import Block
from chain.blocktree import genesis_header
from chain.database import DATABASE, corrupt
from chain.errors import OperatorError, Refused
from chain.genesis import Genesis, load_genesis
from chain.headers import Header, VerifiedHeader
from chain.judgement import judge
from chain.keys import key_from_did
from chain.ledger import Ledger
from chain.reader import Reader
from chain.view import StateView
from chain.votecodec import decode_votes
from chain.votes import Votes
from scripts.console import remark, short, short_did

# Fields that tables shorten.
_KEYS = frozenset({"proposer", "actor", "subject", "issuer", "by", "rater"})
_IDS = frozenset({"id", "tip", "leaves_at", "block", "digest"})
# A did without its "did:key:", and how much of its beginning says whose it is.
_DID_DIGITS = 48
_SHORT_DID = 10
_FIRST_KEY = 0xED01 << 256  # what a did writes in base 58: the code of Ed25519, and a key


@dataclass(frozen=True)
class View:
    """One commit of a home's database."""

    reader: Reader
    genesis: Genesis
    head_height: int
    finalized_height: int

    @cached_property
    def state(self) -> StateView:
        """The state on disk, which is of a final block."""
        return self.reader.view()

    @cached_property
    def votes(self) -> Votes:
        """The votes after the head, counted on from those on disk."""
        stored = self.reader.snapshot_votes()
        votes = Votes.genesis(self.genesis.validators, self.genesis.batch) if stored is None else decode_votes(stored)
        for header, ballot in self.reader.votings(votes.height + 1, self.head_height - votes.height):
            votes = judge(header, ballot, votes, self.genesis.id)
        return votes

    @cached_property
    def head(self) -> Header | VerifiedHeader:
        """The newest header; that of the genesis where there is no block."""
        found = next(self.reader.headers(self.head_height, 1), None)
        return header_of_genesis(self.genesis) if found is None else found[0]

    def key(self, text: str) -> bytes:
        """A public key by its did, or by the beginning of it that tables show.  Raises :class:`OperatorError`."""
        start = text.removeprefix("did:key:").removesuffix("…")
        if start.startswith("z6Mk") and _SHORT_DID <= len(start) < _DID_DIGITS:
            found = self.reader.keys_between(*_bounds(start), 2)
            if len(found) != 1:
                problem = "several keys begin" if found else "no key in the register begins"
                raise OperatorError(f"{problem} with {start}; give the whole did:key:z6Mk…")
            return found[0]
        try:
            return key_from_did(text)
        except Refused as refusal:
            raise OperatorError(f"{text!r} is no did:key: {refusal.detail}") from refusal

    def identity(self, text: str) -> bytes:
        """Who has or had the key that :meth:`key` finds.  Raises :class:`OperatorError`."""
        return self.state.identity(self.key(text))

    def block_id(self, height: int) -> str | None:
        """The id of the main chain's block at ``height``."""
        if height not in self._block_ids:
            row = next(self.reader.summaries(height, 1), None)
            self._block_ids[height] = row[0].hex() if row is not None and row[1] == height else None
        return self._block_ids[height]

    @cached_property
    def _block_ids(self) -> dict[int, str | None]:
        return {}

    @cached_property
    def at_head(self) -> dict[str, Any]:
        """As of which height an answer about blocks is, and whether that is final."""
        return {
            "as_of_height": self.head_height,
            "final": self.head_height <= self.finalized_height,
            "finalized_height": self.finalized_height,
        }

    @cached_property
    def at_state(self) -> dict[str, Any]:
        """The same for an answer about members: the state on disk is of a final block."""
        return documents.as_of(self.state)


class Sheet(NamedTuple):
    """A table to print."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[object]]
    least: tuple[str, ...] = ()
    """What a narrow terminal does without first; then it is the columns on the right."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a command found: for programs, for people, and the exit code.  ``text`` is printed instead of sheets."""

    document: Any
    sheets: list[Sheet] = field(default_factory=list)
    exit_code: int = 0
    text: str | None = None


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


def _bounds(start: str) -> tuple[bytes, bytes]:
    """The first and the last key whose did begins so."""
    try:
        ends = [base58.b58decode_int(start[1:].ljust(_DID_DIGITS - 1, digit)) for digit in "1z"]
    except ValueError as error:
        raise OperatorError(f"{start!r} begins no did:key:z6Mk…") from error
    low, high = (min(max(end - _FIRST_KEY, 0), 2**256 - 1).to_bytes(32, "big") for end in ends)
    return low, high


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
