"""What happened, as Parquet: ``DIR/TABLE/day=2026-11-28/TABLE.parquet``, as Spark, Trino and ClickHouse read it.

A day is written once a final block of a later one is indexed: then nothing can be added to it.  Each file appears whole
or not at all, and is made of the same bytes whenever it is made, by one version of DuckDB.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from p2p.local.whole import make_durable
from scripts.index_parts.database import Database, library
from scripts.index_parts.tables import HISTORIES, Table

# Blocks of which rows are in memory at once: those of 256 full ones are a million.
_AT_ONCE = 256


def export(database: Database, folder: Path, tell: Callable[[str], None] = lambda _: None) -> list[str]:
    """Write the days that are complete and not there yet; which they are.

    ``tell`` is told of each one before.  Raises :class:`chain.base.errors.OperatorError`, and ``OSError`` for the
    folder.
    """
    with database.transaction() as transaction:
        query = "SELECT DISTINCT day FROM blocks WHERE final AND day < (SELECT day FROM position) ORDER BY day"
        days = [str(day) for (day,) in transaction.rows(query)]
    missing = [day for day in days if not all(_path(folder, table, day).exists() for table in HISTORIES)]
    for day in missing:
        tell(day)
        for table in HISTORIES:
            _write(database, table, day, _path(folder, table, day))
    return missing


def _path(folder: Path, table: Table, day: str) -> Path:
    return folder / table.name / f"day={day}" / f"{table.name}.parquet"


def _write(database: Database, table: Table, day: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft, collected = path.with_name(f".{path.name}.draft"), path.with_name(f".{path.name}.duckdb")
    _remove(draft, collected)
    try:
        with library("duckdb").connect(str(collected), config={"threads": 1}) as connection:
            _collect(database, table, day, connection)
            order = ", ".join(table.key)
            target = str(draft).replace("'", "''")
            connection.execute(
                f"COPY (SELECT * FROM collected ORDER BY {order}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)"
            )
        make_durable(draft)
        draft.rename(path)
        make_durable(path.parent)
    finally:
        _remove(draft, collected)


def _collect(database: Database, table: Table, day: str, connection: Any) -> None:
    """Copy the rows of a day, without the day: the folder says it."""
    names = tuple(name for name in table.names if name != "day")
    kinds = table.kinds(names)
    columns = ", ".join(f"{name} {kind}" for name, kind in zip(names, kinds, strict=True))
    connection.execute(f"CREATE TABLE collected ({columns})")
    values = ", ".join(f"unnest(?::{kind}[])" for kind in kinds)
    with database.transaction() as transaction:
        span = f"SELECT min(height), max(height) FROM {table.name} WHERE day = ?::DATE"
        ((first, last),) = transaction.rows(span, day)
        for height in () if first is None else range(first, last + 1, _AT_ONCE):
            query = f"SELECT {', '.join(names)} FROM {table.name} WHERE day = ?::DATE AND height >= ? AND height < ?"
            rows = transaction.rows(query, day, height, height + _AT_ONCE)
            if rows:
                connection.execute(
                    f"INSERT INTO collected SELECT {values}", [list(each) for each in zip(*rows, strict=True)]
                )


def _remove(*paths: Path) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
