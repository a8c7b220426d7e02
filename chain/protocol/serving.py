"""What a node replies to a peer that asks: a question and a source of blocks make a reply.

Every kind of question is one :class:`Kind`.  A new one touches :mod:`chain.protocol.messages` (its form), this file
(its reply), the engine (who asks it and what for) and the adapter that carries it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, TypeAlias

from chain.base.codec import count_items
from chain.base.newest import Newest
from chain.content.blocks import Block
from chain.content.transactions import VerifiedTransaction
from chain.protocol.messages import (
    MAX_MESSAGE_BYTES,
    MAX_REQUEST_BYTES,
    MAX_STATUS_BYTES,
    REPLY_BYTES,
    GetBlocks,
    GetHeadings,
    GetStatus,
    GetTransactions,
    RawItems,
    Status,
    cut_to_size,
)

# Of its last blocks a node still hands out single transactions; later they come with their block.
MAX_RECENT_BLOCKS = 8
# Askers that are remembered, twice each: many more than can be connected.
MAX_GIVEN = 2_048

Question: TypeAlias = GetStatus | GetHeadings | GetBlocks | GetTransactions


class BlockSource(Protocol):
    """Where replies come from."""

    def status(self) -> Status:
        """Where this node stands."""

    def waiting(self, transaction_id: bytes) -> VerifiedTransaction | None:
        """A transaction in the mempool."""

    def newest_blocks(self) -> Iterable[Block]:
        """Blocks of the main chain, newest first."""

    def branch(self, tip_id: bytes, from_height: int) -> Iterator[bytes]:
        """Stored blocks, encoded, from ``from_height`` up to ``tip_id``; none where that is not known."""

    def headings(self, tip_id: bytes, from_height: int) -> Iterator[bytes]:
        """The headings of :meth:`branch`, encoded."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of question: its name on the wire, how to read one, the bytes of both sides, how many at a time.

    ``is_stored`` says that a reply is read from a :meth:`BlockSource.branch` alone, and may take a disk's time.
    """

    name: str
    decode: Callable[[bytes], Question]
    max_request: int
    max_reply: int
    max_concurrent: int
    is_stored: bool = False


STATUS = Kind("status", GetStatus.decode, max_request=16, max_reply=MAX_STATUS_BYTES, max_concurrent=32)
HEADINGS = Kind(
    "headings",
    GetHeadings.decode,
    max_request=64,
    max_reply=MAX_MESSAGE_BYTES,
    max_concurrent=8,
    is_stored=True,
)
BLOCKS = Kind("blocks", GetBlocks.decode, max_request=64, max_reply=MAX_MESSAGE_BYTES, max_concurrent=8, is_stored=True)
TRANSACTIONS = Kind(
    "transactions",
    GetTransactions.decode,
    max_request=MAX_REQUEST_BYTES,
    max_reply=MAX_MESSAGE_BYTES,
    max_concurrent=8,
)
KINDS = (STATUS, HEADINGS, BLOCKS, TRANSACTIONS)


def kind_of(question: Question) -> Kind:
    """The kind of a question."""
    match question:
        case GetStatus():
            return STATUS
        case GetHeadings():
            return HEADINGS
        case GetBlocks():
            return BLOCKS
        case GetTransactions():
            return TRANSACTIONS


def answer(question: Question, source: BlockSource) -> bytes:
    """The reply, encoded: as much of what is asked for as is known and one message holds."""
    match question:
        case GetStatus():
            return source.status().encode()
        case GetHeadings():
            return _part(question, source.headings(question.tip_id, question.from_height))
        case GetBlocks():
            return _part(question, source.branch(question.tip_id, question.from_height))
        case GetTransactions(ids):
            return RawItems(cut_to_size((item.raw for item in _find(ids, source)), REPLY_BYTES)).encode()


def read_reply(question: GetHeadings | GetBlocks | GetTransactions, reply: bytes) -> tuple[bytes, ...]:
    """The encoded headings, blocks or transactions of a reply, not yet decoded.

    Raises :class:`~chain.base.errors.Refused` for what is no list of at most so many as were asked for.
    """
    wanted = len(question.transaction_ids) if isinstance(question, GetTransactions) else question.count
    return RawItems.decode(reply, max_items=wanted).items


class Given:
    """Up to which height each asker was given blocks, and headings: what it asks for again is no use to it."""

    def __init__(self) -> None:
        self._heights: Newest[tuple[str, str], int] = Newest(MAX_GIVEN)

    def debtor(self, question: Question, askers: Sequence[str]) -> str | None:
        """Who could do without a reply: the first of the askers that was given some of it before, None where none was.

        ``askers`` are a peer, and whatever else it is known by, such as its neighbourhood.
        """
        if not isinstance(question, GetHeadings | GetBlocks):
            return askers[0]
        name = kind_of(question).name
        return next((each for each in askers if question.from_height <= self._heights.get((each, name), 0)), None)

    def note(self, question: Question, askers: Sequence[str], reply: bytes) -> None:
        """These were given this."""
        if isinstance(question, GetHeadings | GetBlocks):
            name, last = kind_of(question).name, question.from_height + count_items(reply) - 1
            for each in askers:
                self._heights.renew((each, name), max(self._heights.get((each, name), 0), last))


def _part(question: GetHeadings | GetBlocks, items: Iterator[bytes]) -> bytes:
    return RawItems(cut_to_size(islice(items, question.count), min(question.max_bytes, REPLY_BYTES))).encode()


def _find(ids: Sequence[bytes], source: BlockSource) -> list[VerifiedTransaction]:
    """Those that wait or were recorded lately, in the order of their ids."""
    found = {key: item for key in ids if (item := source.waiting(key)) is not None}
    if len(found) < len(ids):
        wanted = set(ids)
        for block in islice(source.newest_blocks(), MAX_RECENT_BLOCKS):
            found.update((item.id, item) for item in block.transactions if item.id in wanted)
    return [found[key] for key in ids if key in found]
