"""The state of a node on disk, as its ledger reads it (:class:`chain.paged.Rows`): by a connection of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chain.database import Database, bounds, corrupt, page_unseal, unseal
from chain.errors import OperatorError, Refused
from chain.statekeys import RATINGS, RECORDS, read_given

# What SQLite itself keeps of the file for a ledger, beside what the operating system does.
_CACHE_KIB = 16_384

_ENTRY = "SELECT value FROM state WHERE key = ?"
_PAGE = "SELECT v FROM page WHERE k = ?"
_KEYS = "SELECT key FROM state WHERE key > ? ORDER BY key LIMIT ?"
_DUE = "SELECT slot, key FROM agenda WHERE (slot, key) > (?, ?) AND slot <= ? ORDER BY slot, key LIMIT ?"
_UNDER = "SELECT key FROM state WHERE key >= ? AND key < ?"
_GIVEN = "SELECT rating FROM given WHERE rater = ?"


class StoredRows:
    """Reads what is committed; each look sees the newest commit."""

    def __init__(self, database: Database, height: int) -> None:
        self.height = height
        self._database = database
        self._execute = database.connection.execute
        with database.translated():
            database.connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")

    def entry(self, key: bytes) -> bytes | None:
        """An encoded entry.  Raises :class:`OperatorError` for damage, as all here does."""
        try:
            row = self._execute(_ENTRY, (key,)).fetchone()
            return None if row is None else unseal(key, row[0])
        except (sqlite3.Error, Refused):
            with self._database.translated():  # costs as much as the look itself
                raise

    def keys(self, after: bytes, count: int) -> Sequence[bytes]:
        """The next keys above ``after``, ascending."""
        return [key for (key,) in self._read(_KEYS, (after, count))]

    def pages(self, paths: Iterable[int]) -> Mapping[int, bytes]:
        """The pages under these paths, as far as there are any.  Raises :class:`OperatorError` for damage."""
        found: dict[int, bytes] = {}
        try:
            for path in paths:
                row = self._execute(_PAGE, (path,)).fetchone()
                if row is not None:
                    found[path] = page_unseal(path, row[0])
        except (sqlite3.Error, Refused):
            with self._database.translated():
                raise
        return found

    def due(self, slot: int, after: tuple[int, bytes], count: int) -> Sequence[tuple[int, bytes]]:
        """The next that fall due up to ``slot``, by slot and key."""
        return self._read(_DUE, (*after, slot, count))

    def tied(self, identity: bytes) -> Sequence[bytes]:
        """The keys that go where ``identity`` leaves: records and ratings about it, and ratings by it."""
        about = [key for kind in (RECORDS, RATINGS) for (key,) in self._read(_UNDER, bounds(kind + identity))]
        by = [read_given(identity, rating) for (rating,) in self._read(_GIVEN, (identity,))]
        return list({*about, *by})

    def close(self) -> None:
        """End the connection."""
        self._database.close()

    def damaged(self, why: str) -> OperatorError:
        """What is to be raised where it is."""
        return corrupt(self._database.path, why)

    def _read(self, sql: str, parameters: Sequence[Any]) -> list[Any]:
        try:
            return self._execute(sql, parameters).fetchall()
        except sqlite3.Error:
            with self._database.translated():
                raise
