"""What a home's database holds, and what takes the room."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple

from chain.content.genesis import Genesis
from chain.disk.database import DATABASE, Database
from chain.disk.stored import oldest_body, stored_finality
from chain.documents.people import Document


class Table(NamedTuple):
    """A table or an index: its rows (None for an index), and the bytes of its pages where SQLite can tell."""

    name: str
    rows: int | None
    bytes: int | None


def measure(home: Path, genesis: Genesis) -> Document:
    """Rows and bytes by table, members, blocks.  Raises :class:`OperatorError`."""
    path = home / DATABASE
    with closing(Database(path, genesis, read_only=True)) as database:
        database.connection.execute("BEGIN")

        def ask(sql: str) -> Any:
            return next(database.rows(sql))[0]

        return {
            "home": str(home),
            "bytes": path.stat().st_size,
            "log_bytes": _size(path.with_name(f"{path.name}-wal")),
            "free_bytes": ask("PRAGMA freelist_count") * ask("PRAGMA page_size"),
            "head_height": ask("SELECT max(height) FROM blocks WHERE main = 1") or 0,
            "finalized_height": stored_finality(database),
            "oldest_body": oldest_body(database),
            "side_blocks": ask("SELECT count(*) FROM blocks WHERE main = 0"),
            "transactions": int(ask("SELECT total(transactions) FROM blocks WHERE main = 1")),
            "members": ask("SELECT count(*) FROM standings"),
            "tables": [table._asdict() for table in _tables(database)],
        }


def _tables(database: Database) -> list[Table]:
    sizes: dict[str, int] = {}
    with suppress(sqlite3.Error):  # not every SQLite is built with it
        sizes = dict(database.connection.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name").fetchall())
    found = list(database.rows("SELECT name, type FROM sqlite_master WHERE type IN ('table', 'index') ORDER BY name"))
    return [Table(name, _count(database, name) if kind == "table" else None, sizes.get(name)) for name, kind in found]


def _count(database: Database, table: str) -> int:
    ((count,),) = database.rows(f'SELECT count(*) FROM "{table}"')
    return int(count)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
