"""What was indexed, and what is next: each final block once, and what is not final yet anew."""

from __future__ import annotations

from collections.abc import Callable
from itertools import takewhile
from typing import NamedTuple

from chain.base.errors import OperatorError, Refused
from chain.consensus.votecodec import decode_votes
from chain.content.blocks import Block
from chain.documents.people import Document
from p2p.client import NodeAway
from scripts.index_parts.book import Batch, Book, Position, block_row
from scripts.index_parts.database import Database, Transaction
from scripts.index_parts.sources import Source, Tip
from scripts.index_parts.tables import BLOCKS, FORMAT, HISTORIES, POSITION, TABLES

BATCH_BLOCKS = 256
"""Blocks of a transaction while there are many: what is lost when it fails, and what memory holds meanwhile."""

_REMEDY = "make another index, with --to"


class News(NamedTuple):
    """What came in: up to where the index goes, and how many final blocks and transactions are new."""

    height: int
    final_height: int
    blocks: int
    transactions: int


class Index:
    """An index and the chain that it follows.

    Where a transaction failed, it begins anew from what the database says: nobody knows whether it was the commit that
    failed, or the word that it was done.
    """

    def __init__(self, source: Source, database: Database) -> None:
        self._source = source
        self._database = database
        self._genesis = source.genesis()
        self._book: Book | None = None
        self._seen: Tip | None = None
        self._unsettled: list[Document] = []

    @property
    def slot_s(self) -> float:
        """How long a slot of the chain is."""
        return self._genesis.slot_ms / 1_000

    def missing(self) -> int:
        """How many final blocks are to be indexed.  Raises as :meth:`catch_up` does."""
        self._book = self._book or self._load()
        return max(0, self._source.tip().final_height - self._book.height)

    def catch_up(self, advance: Callable[[int], None] = lambda _: None) -> News | None:
        """Index what is new, if anything is; ``advance`` is told of blocks.

        Raises :class:`~p2p.client.NodeAway`, also where less is final than is indexed already, and
        :class:`~scripts.index_parts.database.DatabaseAway`, after which it can be called again, and
        :class:`OperatorError`.
        """
        tip = self._source.tip()
        if tip == self._seen:
            return None
        try:
            news = self._catch_up(self._book or self._load(), tip, advance)
        except BaseException:
            self._book = self._seen = None
            raise
        self._seen = tip
        return news

    def _catch_up(self, book: Book, tip: Tip, advance: Callable[[int], None]) -> News:
        self._book, blocks, transactions = book, 0, 0
        if tip.final_height < book.height:
            raise NodeAway(
                f"{self._database.name} holds what is final up to height {book.height:,}, and what is followed here "
                f"goes only up to {tip.final_height:,}; follow one that is as far, or {_REMEDY}"
            )
        while book.height < tip.final_height:
            taken = self._source.blocks(book.height + 1, min(BATCH_BLOCKS, tip.final_height - book.height))
            self._append(book, taken)
            blocks, transactions = blocks + len(taken), transactions + sum(len(each.transactions) for each in taken)
            advance(len(taken))
        self._replace_unsettled(book, tip)
        return News(tip.height, book.height, blocks, transactions)

    # --------------------------------------------------------------------------------------------- the beginning

    def _load(self) -> Book:
        """What the database holds; an empty one gets its tables."""
        with self._database.transaction() as transaction:
            if not _is_made(transaction):
                book = Book(self._genesis, None, None)
                transaction.make_tables()
                _write(transaction, book.first())
                return book
            (row,) = transaction.rows("SELECT format, genesis, height, id, slot, votes FROM position")
            form, genesis, height, block_id, slot, votes = row
            if (form, genesis) != (FORMAT, self._genesis.id.hex()):
                raise OperatorError(f"{self._database.name} holds another chain, or another form of it; {_REMEDY}")
            at = Position(height, bytes.fromhex(block_id), slot, decode_votes(bytes(votes)))
            state = {bytes(key): bytes(value) for key, value in transaction.rows("SELECT key, value FROM state")}
            self._unsettled = []
            transaction.rows("DELETE FROM blocks WHERE NOT final")
        return Book(self._genesis, at, state)

    # --------------------------------------------------------------------------------------------- what is final

    def _append(self, book: Book, blocks: list[Block]) -> None:
        """Write final blocks and what follows from them, together with the new position."""
        if not blocks or blocks[0].header.parent != book.id:
            raise OperatorError(f"block {book.height:,} of {self._database.name} is not on this chain; {_REMEDY}")
        with self._database.transaction() as transaction:
            self._hold(transaction, book)
            try:
                batch = book.read(blocks)
            except Refused as refusal:
                raise OperatorError(f"block {book.height + 1} does not follow ({refusal}); {_REMEDY}") from refusal
            transaction.rows("DELETE FROM blocks WHERE NOT final AND height <= ?", book.height)
            _write(transaction, batch)
        self._unsettled = [row for row in self._unsettled if row["height"] > book.height]

    # ----------------------------------------------------------------------------------------- what is not final yet

    def _replace_unsettled(self, book: Book, tip: Tip) -> None:
        """Let ``blocks`` say what is on top of the final ones now."""
        known, branch = self._unsettled, self._branch(book, tip)
        kept = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(known, branch, strict=False)))
        if kept == len(branch) == len(known):
            return
        with self._database.transaction() as transaction:
            self._hold(transaction, book)
            transaction.rows("DELETE FROM blocks WHERE NOT final AND height > ?", book.height + kept)
            transaction.insert(BLOCKS, branch[kept:])
        self._unsettled = branch

    def _branch(self, book: Book, tip: Tip) -> list[Document]:
        """The blocks on top of the final ones: those known, and what follows them, where they are still on it."""
        known = self._unsettled
        if known:
            branch = [*known, *self._rows(known[-1]["height"], tip)]
            if branch[-1]["id"] == tip.id.hex() and _is_one(book, branch):
                return branch
        branch = self._rows(book.height, tip)
        return branch if _is_one(book, branch) else []

    def _rows(self, below: int, tip: Tip) -> list[Document]:
        found: list[Document] = []
        for start in range(below + 1, tip.height + 1, BATCH_BLOCKS):
            taken = self._source.blocks(start, min(BATCH_BLOCKS, tip.height + 1 - start))
            found.extend(block_row(self._genesis, block, is_final=False) for block in taken)
        return found

    def _hold(self, transaction: Transaction, book: Book) -> None:
        if transaction.position() != (book.height, book.id.hex()):
            raise OperatorError(f"another process writes {self._database.name}; let one of them do it")


def _is_one(book: Book, branch: list[Document]) -> bool:
    """Whether the blocks follow each other: they may be of two moments."""
    ids = [book.id.hex(), *(row["id"] for row in branch)]
    return all(row["parent"] == parent for row, parent in zip(branch, ids, strict=False))


def _is_made(transaction: Transaction) -> bool:
    query = "SELECT count(*) FROM information_schema.tables WHERE table_name = ? AND table_schema = current_schema()"
    ((count,),) = transaction.rows(query, POSITION.name)
    return bool(count)


def _write(transaction: Transaction, batch: Batch) -> None:
    for table in HISTORIES:
        transaction.insert(table, batch.histories[table.name])
    for table in TABLES:
        changed = batch.standing[table.name]
        transaction.delete(table, list(changed))
        transaction.insert(table, [row for row in changed.values() if row is not None])
    transaction.rows("DELETE FROM position")
    transaction.insert(POSITION, [batch.position])
