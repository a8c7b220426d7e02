"""The state on disk, as a ledger reads it (:class:`chain.branches.layers.Rows`): by a connection of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chain.base.errors import OperatorError
from chain.disk.database import Database, corrupt
from chain.disk.places import Address
from chain.disk.schema import bounds, page_unseal, unseal
from chain.register.statekeys import RATINGS, RECORDS, read_given

# What SQLite itself keeps of the file for a ledger, beside what the operating system does.
_CACHE_KIB = 16_384

_ENTRY = "SELECT value FROM state WHERE key = ?"
_PAGE = "SELECT v FROM page WHERE k = ?"
_ENTRIES = "SELECT key, value FROM state WHERE key"
_PAGES = "SELECT k, v FROM page WHERE k"
_KEYS = "SELECT key FROM state WHERE key > ? ORDER BY key LIMIT ?"
_DUE = "SELECT slot, key FROM agenda WHERE (slot, key) > (?, ?) AND slot <= ? ORDER BY slot, key LIMIT ?"
_UNDER = "SELECT key FROM state WHERE key >= ? AND key < ? ORDER BY key LIMIT ?"
_GIVEN = "SELECT rating FROM given WHERE rater = ? ORDER BY rating LIMIT ?"


class StoredRows:
    """Reads what is committed; each look sees the newest commit."""

    def __init__(self, database: Database, height: int) -> None:
        self.height = height
        self._database = database
        self._execute = database.connection.execute
        self._translated = database.translated()
        self.are_far = isinstance(database.path, Address)
        database.cache(_CACHE_KIB)

    def entry(self, key: bytes) -> bytes | None:
        """An encoded entry.  Raises :class:`OperatorError` for damage, as all here does."""
        with self._translated:
            row = self._execute(_ENTRY, (key,)).fetchone()
            return None if row is None else unseal(key, row[0])

    def entries(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Many encoded entries, as far as there are any.  Raises :class:`OperatorError` for damage."""
        with self._translated:
            return {key: unseal(key, value) for key, value in self._database.many(_ENTRIES, keys)}

    def keys(self, after: bytes, count: int) -> Sequence[bytes]:
        """The next keys above ``after``, ascending."""
        return [key for (key,) in self._read(_KEYS, (after, count))]

    def page(self, path: int) -> bytes:
        """A page, ``b""`` where there is none.  Raises :class:`OperatorError` for damage."""
        with self._translated:
            row = self._execute(_PAGE, (path,)).fetchone()
            return b"" if row is None else page_unseal(path, row[0])

    def pages(self, paths: Sequence[int]) -> Mapping[int, bytes]:
        """The pages under these paths, as far as there are any.  Raises :class:`OperatorError` for damage."""
        with self._translated:
            return {path: page_unseal(path, page) for path, page in self._database.many(_PAGES, paths)}

    def due(self, slot: int, after: tuple[int, bytes], count: int) -> Sequence[tuple[int, bytes]]:
        """The next that fall due up to ``slot``, by slot and key."""
        return self._read(_DUE, (*after, slot, count))

    def tied(self, identity: bytes, limit: int) -> Sequence[bytes]:
        """The first keys that go where ``identity`` leaves: records and ratings about it, and ratings by it."""
        about = [key for kind in (RECORDS, RATINGS) for (key,) in self._read(_UNDER, (*bounds(kind + identity), limit))]
        by = [read_given(identity, rating) for (rating,) in self._read(_GIVEN, (identity, limit))]
        return sorted({*about, *by})[:limit]

    def close(self) -> None:
        """End the connection."""
        self._database.close()

    def damaged(self, why: str) -> OperatorError:
        """What is to be raised where it is."""
        return corrupt(self._database.path, why)

    def _read(self, sql: str, parameters: Sequence[Any]) -> list[Any]:
        with self._translated:
            rows: list[Any] = self._execute(sql, parameters).fetchall()
            return rows
