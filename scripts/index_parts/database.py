"""DuckDB or PostgreSQL, a transaction at a time, each on a connection of its own: one that broke is missed by nobody.

Whoever looks into a DuckDB file keeps others from writing it, and the other way round; between two transactions nobody
holds it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from chain.base.errors import OperatorError
from chain.disk.places import SCHEMES
from chain.disk.postgres import PATIENCE, first_line
from chain.documents.people import Document
from scripts.index_parts.tables import TABLES, VIEWS, Table


class DatabaseAway(OperatorError):
    """The database does not answer now, or somebody else holds it; it may answer again."""


class Transaction:
    """What is read and written together.  ``run`` executes a statement, with ``?`` for arguments."""

    def __init__(self, run: Callable[[str, Sequence[Any]], list[tuple[Any, ...]]], lock: str) -> None:
        self._run = run
        self._lock = lock

    def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """What a statement gives."""
        return self._run(query, arguments)

    def position(self) -> tuple[int, str]:
        """Height and id up to where the index goes; nobody else moves it until this transaction ends."""
        ((height, block_id),) = self.rows(f"SELECT height, id FROM position{self._lock}")
        return height, block_id

    def make_tables(self) -> None:
        """Make the empty tables."""
        for table in TABLES:
            columns = [f"{column.name} {column.kind.value}" for column in table.columns]
            key = [f"PRIMARY KEY ({', '.join(table.key)})"] if table.key else []
            self.rows(f"CREATE TABLE {table.name} ({', '.join([*columns, *key])})")
        for view in VIEWS:
            self.rows(f"CREATE VIEW {view.name} AS {view.query}")

    def insert(self, table: Table, rows: Sequence[Document]) -> None:
        """Append rows; of a document more than the columns is left out."""
        if rows:
            values = ", ".join(f"unnest(?::{kind}[])" for kind in table.kinds(table.names))
            columns = [[row[name] for row in rows] for name in table.names]
            self.rows(f"INSERT INTO {table.name} SELECT {values}", *columns)

    def delete(self, table: Table, keys: Sequence[tuple[Any, ...]]) -> None:
        """Remove the rows of these keys, as far as they are there."""
        if keys:
            values = ", ".join(f"unnest(?::{kind}[])" for kind in table.kinds(table.key))
            found = f"SELECT {values}"
            self.rows(
                f"DELETE FROM {table.name} WHERE ({', '.join(table.key)}) IN ({found})",
                *map(list, zip(*keys, strict=True)),
            )


class Database:
    """Where an index is kept; ``open`` connects, and ``away`` are the library's errors that may pass."""

    def __init__(self, name: str, open: Callable[[], Any], library: Any, away: tuple[str, ...], mark: str) -> None:
        self.name = name
        self._open = open
        self._error: type[Exception] = library.Error
        self._away = tuple(getattr(library, each) for each in away)
        self._mark = mark

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """All of it or nothing.  Raises :class:`DatabaseAway`, and :class:`OperatorError` for what does not pass."""
        try:
            with closing(self._open()) as connection:
                cursor = connection.cursor()
                cursor.execute("BEGIN")
                yield Transaction(self._runner(cursor), "" if self._mark == "?" else " FOR UPDATE")
                cursor.execute("COMMIT")
        except self._away as error:
            raise DatabaseAway(f"{self.name} cannot be reached now: {first_line(error)}") from error
        except self._error as error:
            raise OperatorError(
                f"{self.name} does not take an index ({first_line(error)}); give it a database of its own"
            ) from error

    def _runner(self, cursor: Any) -> Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]:
        def run(statement: str, arguments: Sequence[Any]) -> list[tuple[Any, ...]]:
            cursor.execute(statement.replace("?", self._mark), list(arguments))
            return list(cursor.fetchall()) if cursor.description else []

        return run


def open_database(to: str) -> Database:
    """The database of ``--to``; it is not connected to yet.  Raises :class:`OperatorError`."""
    if to.startswith(SCHEMES):
        psycopg = library("psycopg")
        away = ("OperationalError", "InterfaceError")
        name = to.partition("://")[2].rpartition("@")[2]  # without a password
        return Database(name, lambda: psycopg.connect(to, autocommit=True, **PATIENCE), psycopg, away, "%s")
    if not to.endswith(".duckdb"):
        raise OperatorError(f"{to!r} is not an index; write it like index.duckdb or postgresql://user@host/database")
    if not Path(to).absolute().parent.is_dir():
        raise OperatorError(f"there is no folder {Path(to).absolute().parent}; make it first")
    duckdb = library("duckdb")
    return Database(to, lambda: duckdb.connect(to), duckdb, ("IOException",), "?")


def library(name: str) -> Any:
    """A library that only an index needs.  Raises :class:`OperatorError` where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise OperatorError(f"an index needs {name}; install it with `.uv/bin/uv sync --extra index`") from error
