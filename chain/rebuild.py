"""What follows from the entries of a database, made anew: for a state that came without it.

It is done in portions, each a transaction, and goes on where it was interrupted.  What is in memory is a portion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256
from itertools import islice

from chain.codec import decode, encode
from chain.database import PUT_ENTRY, Database, entry_row
from chain.derived import Derived
from chain.draft import Changes

PORTION = 20_000
# What is made, one after the other, for each entry.
TABLES, TREE = 0, 1
_PROGRESS = "rebuilding"
_MAX_PROGRESS_BYTES = 256
_FILLED = ("agenda", "given", "standings", "ranks")
_ENTRIES = "SELECT key, value, 0 FROM state WHERE key > ? ORDER BY key LIMIT ?"
# SQLite sorts what does not fit into memory in files of its own.
_HASHES = """
SELECT sha256(key) AS at, sha256(substr(value, 1, length(value) - 4)) FROM state WHERE sha256(key) > ? ORDER BY at
"""


def rebuild(database: Database, advance: Callable[[int], None]) -> None:
    """Make every table that follows from ``state``; ``advance`` is told of entries that are done, each twice.

    Raises :class:`OperatorError` where an entry is damaged, or the disk is full: asked again, it goes on from there.
    """
    database.connection.create_function("sha256", 1, lambda value: sha256(value).digest(), deterministic=True)
    work = _Rebuild(database, advance)
    if database.meta(_PROGRESS) is None:
        work.begin("page", *_FILLED)
    work.fill_tables()
    work.grow_tree()


def rebuild_tables(database: Database, advance: Callable[[int], None]) -> None:
    """:func:`rebuild` where the tree is there already; until :func:`forget_progress` it is done once."""
    work = _Rebuild(database, advance)
    if database.meta(_PROGRESS) is None:
        work.begin(*_FILLED)
    work.fill_tables()


def forget_progress(database: Database) -> None:
    """All is made; within a transaction."""
    database.connection.execute("DELETE FROM meta WHERE key = ?", (_PROGRESS,))


def replace_state(database: Database, entries: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Let these be all entries of a database that is being made, with all that follows from them; returns their root.

    Raises :class:`OperatorError`.
    """
    rows = (entry_row(key, value) for key, value in entries)
    with database.portion():
        database.connection.execute("DELETE FROM state")
        database.connection.execute("DELETE FROM meta WHERE key = ?", (_PROGRESS,))
    while portion := list(islice(rows, PORTION)):
        with database.portion():
            database.connection.executemany(PUT_ENTRY, portion)
    rebuild(database, lambda _count: None)
    return Derived(database).root


class _Rebuild:
    def __init__(self, database: Database, advance: Callable[[int], None]) -> None:
        self._database = database
        self._derived = Derived(database)
        self._advance = advance

    def begin(self, *tables: str) -> None:
        """Nothing is left of what was there."""
        with self._database.portion():
            for table in tables:
                self._database.connection.execute(f"DELETE FROM {table}")
            if "page" in tables:
                self._database.connection.execute("DELETE FROM meta WHERE key = 'entries'")
            self._database.connection.execute("DELETE FROM meta WHERE key = 'rescored'")
            self._note(TABLES, b"")

    def fill_tables(self) -> None:
        """What falls due, who rated whom, scores and ranks."""
        step, after = self._progress()
        while step == TABLES:
            rows: Changes = {key: (None, value) for key, value, _ in self._database.values(_ENTRIES, (after, PORTION))}
            with self._database.portion():
                self._derived.enter(rows)
                if rows:
                    after = max(rows)
                    self._note(TABLES, after)
                else:
                    step = TREE
                    self._note(TREE, b"")
            self._advance(len(rows))

    def grow_tree(self) -> None:
        """The pages, in the order of the tree, so that none is made twice."""
        _, after = self._progress()
        rows = self._database.rows(_HASHES, (after,))
        while portion := dict(islice(rows, PORTION)):
            with self._database.portion():
                self._derived.grow(portion)
                self._note(TREE, max(portion))
            self._advance(len(portion))
        with self._database.portion():
            self._derived.grow({})
            forget_progress(self._database)

    def _progress(self) -> tuple[int, bytes]:
        step, after = decode(self._database.meta(_PROGRESS) or b"", max_bytes=_MAX_PROGRESS_BYTES)
        return step, after

    def _note(self, step: int, after: bytes) -> None:
        self._database.put(_PROGRESS, encode((step, after)))
