"""The state of a node on disk, as its ledger reads it (:class:`chain.layers.Rows`): by a connection of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chain.database import Database, bounds, corrupt, page_unseal, unseal
from chain.errors import OperatorError, Refused
from chain.statekeys import RATINGS, RECORDS, read_given

# What SQLite itself keeps of the file for a ledger, beside what the operating system does.
_CACHE_KIB = 16_384

_ENTRY = "SELECT value FROM state WHERE key = ?"
_PAGE = "SELECT v FROM page WHERE k = ?"
# Of many at once each costs half.
_AT_ONCE = 64
_ENTRIES = f"SELECT key, value FROM state WHERE key IN ({', '.join('?' * _AT_ONCE)})"
_PAGES = f"SELECT k, v FROM page WHERE k IN ({', '.join('?' * _AT_ONCE)})"
_TREE = "SELECT k, v FROM page"
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

    def entries(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Many encoded entries, as far as there are any.  Raises :class:`OperatorError` for damage."""
        try:
            return {key: unseal(key, value) for key, value in self._many(_ENTRIES, keys)}
        except Refused:
            with self._database.translated():
                raise

    def keys(self, after: bytes, count: int) -> Sequence[bytes]:
        """The next keys above ``after``, ascending."""
        return [key for (key,) in self._read(_KEYS, (after, count))]

    def page(self, path: int) -> bytes:
        """A page, ``b""`` where there is none.  Raises :class:`OperatorError` for damage."""
        try:
            row = self._execute(_PAGE, (path,)).fetchone()
            return b"" if row is None else page_unseal(path, row[0])
        except (sqlite3.Error, Refused):
            with self._database.translated():
                raise

    def pages(self, paths: Sequence[int]) -> Mapping[int, bytes]:
        """The pages under these paths, as far as there are any.  Raises :class:`OperatorError` for damage."""
        try:
            return {path: page_unseal(path, page) for path, page in self._many(_PAGES, paths)}
        except Refused:
            with self._database.translated():
                raise

    def tree(self) -> Mapping[int, bytes]:
        """All pages.  Raises :class:`OperatorError` for damage."""
        try:
            return {path: page_unseal(path, page) for path, page in self._read(_TREE, ())}
        except Refused:
            with self._database.translated():
                raise

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

    def _many(self, sql: str, keys: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        for start in range(0, len(keys), _AT_ONCE):
            some = keys[start : start + _AT_ONCE]
            yield from self._read(sql, (*some, *(None,) * (_AT_ONCE - len(some))))

    def _read(self, sql: str, parameters: Sequence[Any]) -> list[Any]:
        try:
            return self._execute(sql, parameters).fetchall()
        except sqlite3.Error:
            with self._database.translated():
                raise
