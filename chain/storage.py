"""SQLite: what survives the process.

One writer (:class:`Storage`, held by the running node) and any number of readers (:class:`Reader`, also in
other processes, while the node runs).  Tables:

* ``meta``: format, genesis id, the snapshot (header, votes), the finalized height, the signing state;
* ``blocks``: every known block, one blob each; ``main`` marks the head's branch;
* ``transactions``: the first 8 bytes of each transaction's id and its block, to look transactions up;
* ``state``: the records at the snapshot's height, by key.

A commit is one SQLite transaction under ``synchronous=FULL``: after it returns, it survives a power cut.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

from chain.blockchain import Blockchain, Snapshot
from chain.blocks import (
    MAX_BLOCK_BYTES,
    MAX_BLOCK_TRANSACTIONS,
    Block,
    VerifiedHeader,
    assemble,
    decode_block,
    decode_header,
    encode_block,
)
from chain.codec import array, decode, encode
from chain.errors import OperatorError, Refused
from chain.events import Commit, SigningState
from chain.genesis import Genesis
from chain.registry import Record, decode_record, encode_record, genesis_records
from chain.transactions import Transaction, VerifiedTransaction
from chain.votes import Votes

FORMAT = 1
DATABASE = "chain.db"
# The default checkpoints every 4 MB of log and doubles the cost of a busy second.
_WAL_AUTOCHECKPOINT_PAGES = 4_000
# As long as finality can be stalled before a reader gives up on a losing branch.
MAX_SIDE_BRANCH = 2_048
# Rows fetched from SQLite in one go.
ROWS_AT_ONCE = 256
# How long a reader waits for the writer's checkpoint, and the writer for a reader's.
_BUSY_TIMEOUT_S = 10.0

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE blocks (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    height INTEGER NOT NULL,
    main INTEGER NOT NULL,
    transactions INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX blocks_by_height ON blocks (height, main);
CREATE TABLE transactions (short INTEGER NOT NULL, block INTEGER NOT NULL, PRIMARY KEY (short, block)) WITHOUT ROWID;
CREATE TABLE state (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""


def _short(transaction_id: bytes) -> int:
    return int.from_bytes(transaction_id[:8], "big", signed=True)


class _Database:
    """A connection whose errors say what the operator can do."""

    def __init__(self, path: Path, *, read_only: bool) -> None:
        self.path = path
        mode = "ro" if read_only else "rw"
        if not path.exists():
            raise OperatorError(f"{path} is missing; initialise the home with `python node.py init` first")
        with self.translated():
            self.connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={mode}",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=_BUSY_TIMEOUT_S,
                cached_statements=64,
            )

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        """SQLite's errors stop here."""
        try:
            yield
        except sqlite3.OperationalError as error:
            text = str(error)
            if "full" in text or "disk I/O" in text:
                raise OperatorError(
                    f"{self.path} cannot be written ({text}); free disk space and start the node again: "
                    "nothing acknowledged is lost"
                ) from error
            if "locked" in text or "busy" in text:
                raise OperatorError(f"{self.path} is held by another process; stop it and try again") from error
            raise OperatorError(f"{self.path} cannot be used ({text}); check its permissions") from error
        except sqlite3.DatabaseError as error:
            raise corrupt(self.path, str(error)) from error

    def meta(self, key: str) -> bytes | None:
        with self.translated():
            row = self.connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        with self.translated():
            cursor = self.connection.execute(sql, parameters)
            while batch := cursor.fetchmany(ROWS_AT_ONCE):
                yield from batch

    def check(self, genesis: Genesis) -> None:
        """Raise :class:`OperatorError` unless this is a database of ``genesis`` in a known format."""
        found = self.meta("format")
        if found != encode(FORMAT):
            raise OperatorError(f"{self.path} is of another version of Goodfaith; move it away and sync again")
        if self.meta("genesis") != genesis.id:
            raise OperatorError(
                f"{self.path} belongs to another network than genesis.json; use the genesis file it was made with"
            )

    def close(self) -> None:
        self.connection.close()


def corrupt(path: Path, why: str) -> OperatorError:
    """The sentence for a damaged database."""
    return OperatorError(
        f"{path} is damaged ({why}); move it away, run `python node.py init --resync` and start the node to sync again"
    )


class Storage:
    """The one writer.  Its methods block; the node calls them in a worker thread."""

    def __init__(self, path: Path, genesis: Genesis) -> None:
        self.path = path
        self.genesis = genesis
        self._database = _Database(path, read_only=False)
        self._connection = self._database.connection
        with self._database.translated():
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_AUTOCHECKPOINT_PAGES}")
        self._database.check(genesis)

    @staticmethod
    def create(path: Path, genesis: Genesis, signing: SigningState | None) -> None:
        """Make an empty database.  ``signing`` is None where this key may have signed before."""
        if path.exists():
            raise OperatorError(f"{path} exists already")
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.executescript("BEGIN;" + _SCHEMA)
            connection.execute("INSERT INTO meta VALUES ('format', ?)", (encode(FORMAT),))
            connection.execute("INSERT INTO meta VALUES ('genesis', ?)", (genesis.id,))
            connection.executemany(
                "INSERT INTO state VALUES (?, ?)",
                [(key, encode_record(record)) for key, record in sorted(genesis_records(genesis).items())],
            )
            if signing is not None:
                connection.execute("INSERT INTO meta VALUES ('signing', ?)", (encode(astuple(signing)),))
            connection.execute("COMMIT")
        finally:
            connection.close()

    def load(self) -> tuple[Blockchain, SigningState | None]:
        """The chain as it was when the process ended, and what this validator signed last.

        Raises :class:`OperatorError` where the database is damaged: the state must match its header's root,
        and every block after it must apply.
        """
        try:
            return self._load()
        except Refused as refusal:
            raise corrupt(self.path, str(refusal)) from refusal

    def _load(self) -> tuple[Blockchain, SigningState | None]:
        database = self._database
        raw_signing = database.meta("signing")
        signing = None if raw_signing is None else SigningState(*decode(raw_signing, max_bytes=64))
        header, votes = database.meta("snapshot_header"), database.meta("snapshot_votes")
        snapshot = None
        if header is not None and votes is not None:
            records = {
                bytes(key): decode_record(bytes(key), bytes(value))
                for key, value in database.rows("SELECT key, value FROM state")
            }
            snapshot = Snapshot(decode_header(header), Votes.decode(votes), records)
        chain = Blockchain(self.genesis, snapshot)
        blocks = "SELECT body FROM blocks WHERE height > ? AND main = ? ORDER BY height"
        settled = chain.finalized.height
        for (body,) in database.rows(blocks, (settled, True)):
            chain.add(trusted_block(bytes(body)), arrived_in_slot=True)
        chain.restore_finality(_finalized_height(database))
        for (body,) in database.rows(blocks, (settled, False)):
            with contextlib.suppress(Refused):  # what lost for good since then
                chain.add(trusted_block(bytes(body)), arrived_in_slot=True)
        return chain, signing

    def count_transactions(self) -> int:
        """Transactions on the main chain."""
        (row,) = self._database.rows("SELECT total(transactions) FROM blocks WHERE main = 1")
        return int(row[0])

    def commit(self, commits: Sequence[Commit]) -> None:
        """Make these durable in their order, all or nothing.  Raises :class:`OperatorError`."""
        connection = self._connection
        with self._database.translated():
            connection.execute("BEGIN IMMEDIATE")
            try:
                for commit in commits:
                    self._write(commit)
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def _write(self, commit: Commit) -> None:
        connection = self._connection
        if commit.abandoned:
            connection.executemany(
                "UPDATE blocks SET main = 0 WHERE id = ?", [(block.id,) for block in commit.abandoned]
            )
        for block in commit.side:
            self._insert(block, is_main=False)
        for block in commit.adopted:
            self._insert(block, is_main=True)
        meta: list[tuple[str, bytes]] = []
        if commit.finalized_height is not None:
            meta.append(("finalized", encode((commit.finalized_height,))))
        if commit.settled is not None:
            settled = commit.settled
            connection.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", sorted(settled.rows.items()))
            meta.append(("snapshot_header", settled.header.raw))
            meta.append(("snapshot_votes", settled.votes.encode()))
        if commit.signing is not None:
            meta.append(("signing", encode(astuple(commit.signing))))
        connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", meta)

    def _insert(self, block: Block, *, is_main: bool) -> None:
        connection = self._connection
        if connection.execute("SELECT 1 FROM blocks WHERE id = ?", (block.id,)).fetchone():
            if is_main:
                connection.execute("UPDATE blocks SET main = 1 WHERE id = ?", (block.id,))
            return
        number = connection.execute(
            "INSERT INTO blocks (id, height, main, transactions, body) VALUES (?, ?, ?, ?, ?)",
            (block.id, block.header.height, is_main, len(block.transactions), encode_block(block)),
        ).lastrowid
        connection.executemany(
            "INSERT INTO transactions VALUES (?, ?)",
            sorted((_short(transaction.id), number) for transaction in block.transactions),
        )

    def close(self) -> None:
        """End the connection; the log is folded into the database."""
        self._database.close()


class Reader:
    """A read-only view, safe beside a running node.

    Each query sees the newest commit; :meth:`consistent` holds one view for several.
    """

    def __init__(self, path: Path, genesis: Genesis) -> None:
        self.path = path
        self.genesis = genesis
        self._database = _Database(path, read_only=True)
        self._database.check(genesis)

    @contextlib.contextmanager
    def consistent(self) -> Iterator[None]:
        """All queries inside see one and the same commit."""
        with self._database.translated():
            self._database.connection.execute("BEGIN")
        try:
            yield
        finally:
            self._database.connection.execute("ROLLBACK")

    def finalized_height(self) -> int:
        """The height up to which the chain is final."""
        return _finalized_height(self._database)

    def head_height(self) -> int:
        """The height of the head."""
        (row,) = self._database.rows("SELECT max(height) FROM blocks WHERE main = 1")
        return row[0] or 0

    def snapshot_header(self) -> VerifiedHeader | None:
        """The header whose state :meth:`records` shows; None while it is the genesis's."""
        raw = self._database.meta("snapshot_header")
        return None if raw is None else VerifiedHeader(decode_header(raw))

    def block_at(self, height: int) -> Block | None:
        """The main chain's block at ``height``."""
        return next(self.blocks(height, 1), None)

    def block(self, block_id: bytes) -> tuple[Block, bool] | None:
        """A block by its id or the beginning of it, and whether it is on the main chain."""
        high = block_id + b"\xff" * (32 - len(block_id))
        rows = self._database.rows("SELECT body, main FROM blocks WHERE id BETWEEN ? AND ? LIMIT 1", (block_id, high))
        return next(((trusted_block(bytes(body)), bool(main)) for body, main in rows), None)

    def raw_block(self, block_id: bytes) -> bytes | None:
        """An encoded block by its id, main or not."""
        rows = self._database.rows("SELECT body FROM blocks WHERE id = ?", (block_id,))
        return next((bytes(body) for (body,) in rows), None)

    def raw_blocks(self, from_height: int, count: int) -> list[bytes]:
        """Encoded blocks of the main chain, oldest first."""
        rows = self._database.rows(
            "SELECT body FROM blocks WHERE main = 1 AND height >= ? AND height < ? ORDER BY height",
            (min(from_height, 2**62), min(from_height, 2**62) + count),
        )
        return [bytes(body) for (body,) in rows]

    def blocks(self, from_height: int, count: int) -> Iterator[Block]:
        """Blocks of the main chain, oldest first."""
        return map(trusted_block, self.raw_blocks(from_height, count))

    def branch(self, tip_id: bytes, from_height: int, count: int) -> list[bytes]:
        """Encoded blocks of the branch that ends in ``tip_id``, from ``from_height`` up; empty if it is unknown.

        A branch beside the main chain is walked back at most :data:`MAX_SIDE_BRANCH` blocks.
        """
        side: list[bytes] = []
        find = "SELECT height, main, body FROM blocks WHERE id = ?"
        while len(side) < MAX_SIDE_BRANCH:
            row = next(self._database.rows(find, (tip_id,)), None)
            if row is None:
                return []
            height, is_main, body = row
            if is_main:
                main_count = min(count, height - from_height + 1)
                main = self.raw_blocks(from_height, main_count) if main_count > 0 else []
                return (main + side[::-1])[:count]
            if height < from_height:
                break
            side.append(bytes(body))
            tip_id = decode_block(side[-1])[0].parent
        return side[::-1][:count]

    def transaction(self, transaction_id: bytes) -> tuple[Transaction, Block, bool] | None:
        """A transaction by its id (8 bytes of it suffice), its block, and whether that is on the main chain."""
        rows = self._database.rows(
            "SELECT body, main FROM transactions JOIN blocks ON block = number WHERE short = ? ORDER BY main DESC",
            (_short(transaction_id),),
        )
        for body, main in rows:
            block = trusted_block(bytes(body))
            for transaction in block.transactions:
                if transaction.id.startswith(transaction_id):
                    return transaction, block, bool(main)
        return None

    def summaries(self, from_height: int, count: int, *, main: bool = True) -> Iterator[tuple[bytes, int, int]]:
        """``(id, height, transactions)`` of blocks without reading their bodies, oldest first."""
        yield from self._database.rows(
            "SELECT id, height, transactions FROM blocks WHERE main = ? AND height >= ? ORDER BY height LIMIT ?",
            (main, from_height, count),
        )

    def headers(self, from_height: int, count: int, *, main: bool = True) -> Iterator[tuple[VerifiedHeader, int]]:
        """Headers, each with the number of its block's transactions, without decoding these; oldest first."""
        rows = self._database.rows(
            "SELECT body, transactions FROM blocks WHERE main = ? AND height >= ? ORDER BY height, id LIMIT ?",
            (main, from_height, count),
        )
        for body, transactions in rows:
            fields = decode(bytes(body), max_bytes=MAX_BLOCK_BYTES, max_items=MAX_BLOCK_TRANSACTIONS)
            yield VerifiedHeader(decode_header(bytes(array(fields, 2, 2, "a block")[0]))), transactions

    def block_ids(self, first: bytes, last: bytes, count: int) -> list[bytes]:
        """Up to ``count`` ids of stored blocks, main or not, between two 32-byte bounds, in their order."""
        rows = self._database.rows(
            "SELECT id FROM blocks WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?", (first, last, count)
        )
        return [bytes(block_id) for (block_id,) in rows]

    def record(self, key: bytes) -> Record | None:
        """One record of the snapshot's state."""
        rows = self._database.rows("SELECT value FROM state WHERE key = ?", (key,))
        return next((decode_record(key, bytes(value)) for (value,) in rows), None)

    def records(self, prefix: bytes) -> Iterator[tuple[bytes, Record]]:
        """All records of the snapshot's state whose keys start with ``prefix``, by key."""
        rows = self._database.rows(
            "SELECT key, value FROM state WHERE key >= ? AND key < ? ORDER BY key",
            (prefix, prefix + b"\xff" * 128),
        )
        for key, value in rows:
            yield bytes(key), decode_record(bytes(key), bytes(value))

    def ratings_by(self, rater: bytes) -> Iterator[tuple[bytes, Record]]:
        """The ratings that ``rater`` gave, by key.  Reads every rating's key: about 10 ms for 36,000 of them."""
        rows = self._database.rows(
            "SELECT key, value FROM state WHERE key >= x'72' AND key < x'73' AND substr(key, 34, 32) = ? ORDER BY key",
            (rater,),
        )
        for key, value in rows:
            yield bytes(key), decode_record(bytes(key), bytes(value))

    def state_rows(self) -> Iterator[tuple[bytes, bytes]]:
        """All of the snapshot's state as it is stored: keys and undecoded records, by key."""
        for key, value in self._database.rows("SELECT key, value FROM state ORDER BY key"):
            yield bytes(key), bytes(value)

    def snapshot_votes(self) -> bytes | None:
        """The encoded votes after :meth:`snapshot_header`; None while it is the genesis's."""
        return self._database.meta("snapshot_votes")

    def close(self) -> None:
        """End the connection."""
        self._database.close()


def _finalized_height(database: _Database) -> int:
    raw = database.meta("finalized")
    return 0 if raw is None else int(decode(raw, max_bytes=16)[0])


def trusted_block(raw: bytes) -> Block:
    """Decode a block that this home stored: its signatures were checked before, its root is checked again."""
    header, transactions = decode_block(raw)
    return assemble(VerifiedHeader(header), [VerifiedTransaction(item) for item in transactions])
