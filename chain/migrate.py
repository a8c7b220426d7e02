"""A database of the format before this one, brought to this one: beside it, and in its place once it is whole.

Where a chain holds records, no node of this version can follow it: they mark their evidence in another way.

The older one is kept.  Whatever interrupts it, nothing is lost: asked again, it goes on where it was.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from chain.actions import FileRecord, Reopen
from chain.codec import encode
from chain.database import BLOCKS_AT_ONCE, FORMAT, OLDER_FORMAT, SCHEMA, Database, seal, trusted_block
from chain.errors import OperatorError
from chain.genesis import Genesis
from chain.rebuild import rebuild

PORTION = 20_000
BLOCKS_A_PORTION = 500
# What changes the state in another way than the version before had it (protocol 6.12).
JUDGED_OTHERWISE: tuple[type, ...] = (FileRecord, Reopen)
_HELD = ("format", "genesis", "copied", "rebuilding", "entries", "transactions")


class _Copied(NamedTuple):
    """A table that is as it was: its columns, and those that it is ordered by."""

    table: str
    columns: str
    order: str
    at_once: int


_TABLES = (
    _Copied("blocks", "number, id, parent, height, main, transactions, body", "number", BLOCKS_A_PORTION),
    _Copied("transactions", "short, block", "short, block", PORTION),
    _Copied("decisions", "height", "height", PORTION),
    _Copied("state", "key, value", "key", PORTION),
)


def migrate(path: Path, genesis: Genesis, advance: Callable[[str, int], None]) -> Path:
    """Bring the database at ``path``, which nobody holds, to this version's format; returns where the older one is.

    ``advance`` is told of rows that are done, and of which table; ``entries`` come twice.  It takes as much room again
    as the database.  Raises :class:`OperatorError` where there is no database of the older format, where it is damaged,
    where its chain holds records, or where the disk is full: what is done is kept for the next time.
    """
    draft, kept = path.with_name(f"{path.name}.migrating"), path.with_name(f"{path.name}.format{OLDER_FORMAT}")
    try:
        _fold_log(path, genesis)
        _check_rules(path)
        with contextlib.closing(
            sqlite3.connect(draft.absolute().as_uri(), uri=True, isolation_level=None)
        ) as connection:
            database = Database.around(draft, connection)
            with database.translated():
                _prepare(connection, path)
                for copied in _TABLES:
                    _copy(database, copied, advance)
                rebuild(database, lambda count: advance("entries", count))
                _finish(connection)
        if not kept.exists():
            kept.hardlink_to(path)
        elif not kept.samefile(path):
            raise OperatorError(f"{kept} is of another migration; move it away and try again")
        draft.replace(path)
    except OSError as error:
        raise OperatorError(f"{path} cannot be migrated ({error}); make room for it and try again") from error
    return kept


def rows_to_migrate(path: Path) -> int:
    """What :func:`migrate` has to do in all, in rows.  Raises :class:`OperatorError`."""
    database = Database.around(path, sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True))
    with contextlib.closing(database), database.translated():
        counts = {
            copied.table: int(next(database.rows(f"SELECT count(*) FROM {copied.table}"))[0]) for copied in _TABLES
        }
    return sum(counts.values()) + 2 * counts["state"]


def _fold_log(path: Path, genesis: Genesis) -> None:
    """Let the older file be whole by itself.  Raises :class:`OperatorError` where it is none."""
    if not path.exists():
        raise OperatorError(f"{path} is missing; there is nothing to migrate")
    database = Database.around(path, sqlite3.connect(path, isolation_level=None))
    with contextlib.closing(database), database.translated():
        if database.meta("format") == encode(FORMAT):
            raise OperatorError(f"{path} is of this version's format already; there is nothing to migrate")
        if database.meta("format") != encode(OLDER_FORMAT):
            raise OperatorError(f"{path} is not of format {OLDER_FORMAT}; use the version that wrote it")
        if database.meta("genesis") != genesis.id:
            raise OperatorError(
                f"{path} belongs to another network than genesis.json; use the genesis file it was made with"
            )
        database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.connection.execute("PRAGMA journal_mode = DELETE")


def _check_rules(path: Path) -> None:
    database = Database.around(path, sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True))
    with contextlib.closing(database):
        bodies = database.values("SELECT id, body, height FROM blocks ORDER BY height", at_once=BLOCKS_AT_ONCE)
        for _, body, height in bodies:
            if any(isinstance(each.action, JUDGED_OTHERWISE) for each in trusted_block(body).transactions):
                raise OperatorError(
                    f"{path} holds a record (block {height}), and this version keeps records under rules by which that "
                    "chain would have another state: keep it, and use the version that wrote it"
                )


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Begin the new file, or go on with one that was begun from this very database."""
    connection.execute("ATTACH ? AS old", (f"{path.absolute().as_uri()}?mode=ro",))
    connection.execute("PRAGMA main.journal_mode = WAL")
    connection.execute("PRAGMA main.synchronous = NORMAL")
    (commits,) = connection.execute(
        "SELECT coalesce((SELECT value FROM old.meta WHERE key = 'commits'), x'')"
    ).fetchone()
    begun = connection.execute("SELECT 1 FROM main.sqlite_master WHERE name = 'meta'").fetchone()
    if begun is not None:
        row = connection.execute("SELECT value FROM main.meta WHERE key = 'copied'").fetchone()
        if row is not None and row[0] == commits:
            return
        tables = [name for (name,) in connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")]
        for table in tables:
            connection.execute(f"DROP TABLE main.{table}")
    connection.executescript("BEGIN;" + SCHEMA)
    connection.execute("INSERT INTO main.meta VALUES ('copied', ?)", (commits,))
    connection.execute("COMMIT")


def _copy(database: Database, copied: _Copied, advance: Callable[[str, int], None]) -> None:
    connection, order = database.connection, copied.order
    down = ", ".join(f"{column} DESC" for column in order.split(", "))
    places = ", ".join("?" for _ in order.split(", "))
    while True:
        last = connection.execute(f"SELECT {order} FROM main.{copied.table} ORDER BY {down} LIMIT 1").fetchone()
        above = f"WHERE ({order}) > ({places})" if last is not None else ""
        with database.portion():
            done = connection.execute(
                f"INSERT INTO main.{copied.table} ({copied.columns}) SELECT {copied.columns} FROM old.{copied.table} "
                f"{above} ORDER BY {order} LIMIT {copied.at_once}",
                last or (),
            ).rowcount
        if done <= 0:
            return
        advance(copied.table, done)


def _finish(connection: sqlite3.Connection) -> None:
    """Put what is known beside blocks and state, durably; from now on it is a database."""
    (transactions,) = connection.execute(
        "SELECT coalesce(sum(transactions), 0) FROM main.blocks WHERE main = 1"
    ).fetchone()
    known = [row for row in connection.execute("SELECT key, value FROM old.meta") if row[0] not in _HELD]
    connection.execute("BEGIN")
    connection.executemany("INSERT OR REPLACE INTO main.meta VALUES (?, ?)", known)
    connection.execute("INSERT OR REPLACE INTO main.meta SELECT * FROM old.meta WHERE key = 'genesis'")
    connection.execute("INSERT OR REPLACE INTO main.meta VALUES ('format', ?)", (encode(FORMAT),))
    counted = seal(b"transactions", encode((transactions,)))
    connection.execute("INSERT OR REPLACE INTO main.meta VALUES ('transactions', ?)", (counted,))
    connection.execute("DELETE FROM main.meta WHERE key = 'copied'")
    connection.execute("COMMIT")
    connection.execute("DETACH old")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
