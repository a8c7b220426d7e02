"""A database of a format before this one, brought to this one: beside it, and in its place once it is whole.

Formats 8 to 11 have all that this one has; format 7 has the tree, and not where each entry is in its order; format 6
has nothing that follows from the entries.
Where a chain holds what is judged otherwise by now, whoever executed it again would come to another state.

The older one is kept.  Whatever interrupts it, nothing is lost: asked again, it goes on where it was.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from chain.base.codec import encode
from chain.base.errors import OperatorError
from chain.content.actions import (
    Annul,
    Answer,
    Dispute,
    Evidence,
    FileRecord,
    Leave,
    Lost,
    Propose,
    Recover,
    Reopen,
    Repair,
)
from chain.content.genesis import Genesis
from chain.content.kinds import KIND_OF
from chain.content.proposals import (
    Accredit,
    AddValidator,
    Amend,
    JailValidator,
    ReleaseValidator,
    ReplaceValidator,
)
from chain.disk.database import BLOCKS_AT_ONCE, Database
from chain.disk.rebuild import forget_progress, rebuild, rebuild_tables
from chain.disk.schema import FORMAT, OLDER_FORMATS, SCHEMA, STATE_INDEX, place, seal
from chain.disk.stored import is_bare, trusted_block

PORTION = 20_000
BLOCKS_A_PORTION = 500
# A format without tables that follow from the entries.
_BARE = 6
# What changes the state in another way than that version had it (protocol 5, 6 and 8), by the type of an action or a
# proposal.  Since 11: what amendments do to conduct of before and to who leaves, what guardians are named around a
# recovery, whose time as an office is over, and what a correction, or an objection after a wish for repair, leaves.
_SINCE_11 = (Accredit, Amend, Answer, Leave, Recover, Repair)
# Since 10: who waits to be jailed is barred as soon as it comes, or comes back, and who is being released answers for
# what it says meanwhile.
_SINCE_10 = (JailValidator, Evidence, *_SINCE_11)
# Since 9: who comes answers for what it says from the decision on, who is about to leave is jailed as well, and a
# signing state that was lost counts for a quota.
_SINCE_9 = (AddValidator, ReplaceValidator, ReleaseValidator, Lost, *_SINCE_10)
# Since 8: how an annulment is decided, and whose word reopened a record.
_SINCE_8 = (Annul, Reopen, *_SINCE_9)
_SINCE_7 = (Dispute, *_SINCE_8)
JUDGED_OTHERWISE: Mapping[int, tuple[type, ...]] = {
    6: (FileRecord, *_SINCE_7),
    7: _SINCE_7,
    8: _SINCE_8,
    9: _SINCE_9,
    10: _SINCE_10,
    11: _SINCE_11,
}
_HELD = ("format", "genesis", "copied", "rebuilding", "transactions")


class _Copied(NamedTuple):
    """A table that is as it was, but for what is made anew of a row: its columns, and those that it is ordered by."""

    table: str
    columns: str
    order: str
    at_once: int


_TABLES = (
    _Copied("blocks", "number, id, parent, height, main, transactions, body", "number", BLOCKS_A_PORTION),
    _Copied("transactions", "short, block", "short, block", PORTION),
    _Copied("decisions", "height", "height", PORTION),
    _Copied("state", "key, value, place(key)", "key", PORTION),
)
# The tree of formats 7 to 11 is this one's.
_TREE = _Copied("page", "k, v", "k", PORTION)


def _tables(form: int) -> tuple[_Copied, ...]:
    return _TABLES if form == _BARE else (*_TABLES, _TREE)


def migrate(path: Path, genesis: Genesis, advance: Callable[[str, int], None]) -> Path:
    """Bring the database at ``path``, which nobody holds, to this version's format; returns where the older one is.

    ``advance`` is told of rows that are done, and of which table; entries come once more, of format 6 twice.  It takes
    as much room again as the database.  Raises :class:`OperatorError` where there is no database of an older format,
    where it is damaged, where its chain is judged otherwise by now, or where the disk is full: what is done is kept for
    the next time.
    """
    draft = path.with_name(f"{path.name}.migrating")
    try:
        form = _fold_log(path, genesis)
        kept = path.with_name(f"{path.name}.format{form}")
        _check_rules(path, JUDGED_OTHERWISE[form])
        with contextlib.closing(
            sqlite3.connect(draft.absolute().as_uri(), uri=True, isolation_level=None)
        ) as connection:
            database = Database.around(draft, connection)
            with database.translated():
                _prepare(connection, path)
                for copied in _tables(form):
                    _copy(database, copied, advance)
                make = rebuild if form == _BARE else rebuild_tables
                make(database, lambda count: advance("entries", count))
                _finish(database)
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
        form = _form_of(database)
        counts = {
            copied.table: int(next(database.rows(f"SELECT count(*) FROM {copied.table}"))[0])
            for copied in _tables(form)
        }
    return sum(counts.values()) + (2 if form == _BARE else 1) * counts["state"]


def _form_of(database: Database) -> int:
    """The format.  Raises :class:`OperatorError` where it is none of the older ones."""
    form = database.meta("format")
    if form == encode(FORMAT):
        raise OperatorError(f"{database.path} is of this version's format already; there is nothing to migrate")
    for older in OLDER_FORMATS:
        if form == encode(older):
            return older
    raise OperatorError(f"{database.path} is of no format that this version knows; use the version that wrote it")


def _fold_log(path: Path, genesis: Genesis) -> int:
    """Let the older file be whole by itself; its format.  Raises :class:`OperatorError` where it is none."""
    if not path.exists():
        raise OperatorError(f"{path} is missing; there is nothing to migrate")
    database = Database.around(path, sqlite3.connect(path, isolation_level=None))
    with contextlib.closing(database), database.translated():
        form = _form_of(database)
        if database.meta("genesis") != genesis.id:
            raise OperatorError(
                f"{path} belongs to another network than genesis.json; use the genesis file it was made with"
            )
        database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.connection.execute("PRAGMA journal_mode = DELETE")
    return form


def _check_rules(path: Path, judged_otherwise: tuple[type, ...]) -> None:
    database = Database.around(path, sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True))
    with contextlib.closing(database):
        bodies = database.values("SELECT id, body, height FROM blocks ORDER BY height", at_once=BLOCKS_AT_ONCE)
        for _, body, height in bodies:
            for transaction in () if is_bare(body) else trusted_block(body).transactions:
                action = transaction.action
                decided = action.proposal if isinstance(action, Propose) else action
                if isinstance(decided, judged_otherwise):
                    raise OperatorError(
                        f"{path} holds a transaction ({KIND_OF[type(action)].name}, block {height}) that "
                        "this version judges by other rules, by which that chain would have another state: keep it, "
                        "and use the version that wrote it"
                    )


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Begin the new file, or go on with one that was begun from this very database."""
    connection.create_function("place", 1, lambda key: place(sha256(key).digest()), deterministic=True)
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
                f"INSERT INTO main.{copied.table} SELECT {copied.columns} FROM old.{copied.table} "
                f"{above} ORDER BY {order} LIMIT {copied.at_once}",
                last or (),
            ).rowcount
        if done <= 0:
            return
        advance(copied.table, done)


def _finish(database: Database) -> None:
    """Put what is known beside blocks and state, durably; from now on it is a database."""
    connection = database.connection
    (transactions,) = connection.execute(
        "SELECT coalesce(sum(transactions), 0) FROM main.blocks WHERE main = 1"
    ).fetchone()
    known = [row for row in connection.execute("SELECT key, value FROM old.meta") if row[0] not in _HELD]
    connection.execute("BEGIN")
    connection.execute(STATE_INDEX)
    forget_progress(database)
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
