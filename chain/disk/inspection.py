"""One commit of a home's database, to ask: what is on the chain as of the head, what follows from it as of the disk."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property

from chain.base.errors import OperatorError, Refused
from chain.base.keys import did_from_key, key_from_did, keys_beginning
from chain.branches.blocktree import genesis_header
from chain.branches.ledger import Ledger
from chain.consensus.headers import Header, VerifiedHeader
from chain.consensus.judgement import judge
from chain.consensus.votecodec import decode_votes
from chain.consensus.votes import Votes
from chain.content.blocks import Block
from chain.content.genesis import Genesis
from chain.disk.reader import Reader
from chain.documents.people import Document, as_of
from chain.register.statekeys import read_identity
from chain.register.view import StateView

# A did without its "did:key:", and how much of its beginning says whose it is.
_DID_DIGITS = 48
_SHORT_DID = 10


class NotThere(OperatorError):
    """What was asked for is not there."""


class Unclear(OperatorError):
    """It does not say which one is meant."""


@dataclass
class Made:
    """Who made the blocks of the main chain up to a final height, counted once."""

    height: int = 0
    counts: Counter[bytes] = field(default_factory=Counter)
    newest: dict[bytes, VerifiedHeader] = field(default_factory=dict)

    def up_to(self, reader: Reader, height: int) -> Made:
        """Count on, up to a higher height."""
        for header, _ in reader.headers(self.height + 1, max(0, height - self.height)):
            self.counts[header.proposer] += 1
            self.newest[header.proposer] = header
        self.height = max(self.height, height)
        return self

    def copy(self) -> Made:
        """What can be counted on without changing this."""
        return Made(self.height, Counter(self.counts), dict(self.newest))


@dataclass(frozen=True)
class View:
    """One commit of a home's database; whoever asks again and again keeps the ``made``."""

    reader: Reader
    genesis: Genesis
    head_height: int
    finalized_height: int
    made: Made = field(default_factory=Made)

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
        return self.header(self.head_height)

    def header(self, height: int) -> Header | VerifiedHeader:
        """The main chain's header at a height that it has."""
        found = next(self.reader.headers(height, 1), None) if height else None
        return header_of_genesis(self.genesis) if found is None else found[0]

    def key(self, text: str) -> bytes:
        """A public key by its did, or by the beginning of it that tables show.

        Raises :class:`Unclear`, and :class:`NotThere` where no key in the register begins so.
        """
        start = text.removeprefix("did:key:").removesuffix("…")
        try:
            if not (start.startswith("z6Mk") and _SHORT_DID <= len(start) < _DID_DIGITS):
                return key_from_did(text)
            found = self.reader.keys_between(*keys_beginning(start), 2)
        except Refused as refusal:
            raise Unclear(f"{text!r} is not a key: {refusal.detail}") from refusal
        if not found:
            raise NotThere(f"no key in the register begins with {start}; give the whole did:key:z6Mk…")
        if len(found) > 1:
            raise Unclear(f"several keys begin with {start}; give the whole did:key:z6Mk…")
        return found[0]

    def identity(self, text: str) -> bytes:
        """Who has or had the key that :meth:`key` finds.  Raises as that does."""
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

    def find_block(self, digits: str) -> tuple[Block | None, bool]:
        """A block by the beginning of its id, None for the genesis, and whether it is on the main chain.

        Raises :class:`NotThere` and :class:`Unclear`.
        """
        first, last = (bytes.fromhex(digits.ljust(64, end)) for end in "0f")
        ids = self.reader.block_ids(first, last, 2)
        if first <= self.genesis.id <= last:
            ids.append(self.genesis.id)
        if not ids:
            raise NotThere(f"no stored block begins with {digits}; see `blocks` and `forks`")
        if len(ids) > 1:
            raise Unclear(f"several blocks begin with {digits}; give more of the id")
        return self.reader.block(ids[0]) or (None, True)

    @cached_property
    def at_head(self) -> Document:
        """As of which height an answer about blocks is, and whether that is final."""
        return {
            "as_of_height": self.head_height,
            "final": self.head_height <= self.finalized_height,
            "finalized_height": self.finalized_height,
        }

    @cached_property
    def at_state(self) -> Document:
        """The same for an answer about members: the state on disk is of a final block."""
        return as_of(self.state)

    @cached_property
    def as_ranked(self) -> Document:
        """The same where ranks and tiers are compared: where the policy is new, up to whose key it was applied."""
        rescored = self.reader.rescored()
        if rescored is None:
            return self.at_state
        return {**self.at_state, "rescored_to": did_from_key(read_identity(rescored))}


def view_of(reader: Reader, made: Made | None = None) -> View:
    """What a reader sees now; the caller holds it :meth:`~chain.disk.reader.Reader.consistent`."""
    return View(
        reader, reader.genesis, reader.head_height(), reader.finalized_height(), Made() if made is None else made
    )


def header_of_genesis(genesis: Genesis) -> Header:
    """The header that stands for the genesis."""
    return genesis_header(genesis, Ledger(genesis).state_root)


def read_hex(text: str, digits: int, what: str) -> str:
    """An id or the beginning of it.  Raises :class:`Unclear`."""
    text = text.lower()
    if not digits <= len(text) <= 64 or not set(text) <= set("0123456789abcdef"):
        raise Unclear(f"{text!r} is not {what}; give {digits} to 64 hexadecimal digits")
    return text
