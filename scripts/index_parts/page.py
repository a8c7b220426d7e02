"""The tables of the index as a page: ``scripts/docs/index-tables.md``."""

from __future__ import annotations

from pathlib import Path

from scripts.index_parts.tables import TABLES, VIEWS, Kind

PAGE = Path(__file__).parents[1] / "docs" / "index-tables.md"
_KINDS = {
    Kind.NUMBER: "integer",
    Kind.TEXT: "text",
    Kind.FLAG: "boolean",
    Kind.TIME: "timestamp",
    Kind.DAY: "date",
    Kind.BYTES: "bytes",
}
_INTRODUCTION = """\
# The chain in tables

    .uv/bin/uv sync --extra index        # DuckDB and the client of PostgreSQL
    .uv/bin/uv run --extra index scripts/index.py --to chain.duckdb --node http://127.0.0.1:4080
    .uv/bin/uv run --extra index scripts/index.py --to postgresql://me@host/chain --home home
    .uv/bin/uv run --extra index scripts/index.py --to chain.duckdb --home home --once --parquet lake

follows a running node, or a home, and keeps tables of it that SQL, pandas and dashboards read:

    SELECT issuer, count(*), avg(closed - opened) FROM disputes WHERE outcome = 'struck' GROUP BY issuer;

    duckdb.connect("chain.duckdb", read_only=True).sql("SELECT * FROM scores").df()

**Where rows come from.** Each final block is executed once more by the rules of the chain, and must lead to the state
root in its header. What it changed in the state is what changes in the tables; the words are those of the [HTTP
API](api.md). Signatures are not checked: follow a node of your own. A node that threw old blocks away cannot be
followed from the beginning.

**Once.** The index's own position stands in the table `position`, and moves in the transaction that writes the rows.
Kill the program, the node or the database at any moment, and start it again: nothing is missing and nothing is there
twice. Rows of final blocks are appended and never change. What is not final yet is in `blocks` alone, with `final`
false, and is replaced when the head moves to another branch. One process writes an index; a second one is told so.

**Who reads DuckDB** holds the file, and so does who writes it: the program lets go of it between two writes, and
waits where somebody looks into it. A dashboard that is always open wants PostgreSQL.

**Parquet.** `--parquet DIR` writes the histories as `DIR/TABLE/day=2026-11-28/TABLE.parquet`, a folder a day (UTC),
which Spark, Trino, ClickHouse and DuckDB read as they are, with `day` as the partition. A day is written once a block
of a later day is final; a file appears whole or not at all, and made again it has the same bytes (by the same version
of DuckDB).

**Who left** is gone from the tables of what stands. The histories keep what was in blocks, as the blocks do; who must
forget more than that deletes the rows of that `member` there.

A member's name in all tables is its *first* key, so that rows of before and after it moved to another key join;
`members.key` is what it has now. Times are UTC. Dates in the future move when the network stands still.
"""


def page() -> str:
    """The page, in Markdown."""
    parts = [_INTRODUCTION]
    for table in TABLES:
        rows = [(column.name, _KINDS[column.kind], column.what) for column in table.columns]
        key = f" Key: {', '.join(f'`{name}`' for name in table.key)}." if table.key else ""
        history = " A history." if table.is_history else ""
        parts.append(_section(table.name, f"{table.what}{key}{history}", rows))
    for view in VIEWS:
        columns = [(name, "", what) for name, what in view.columns]
        parts.append(_section(view.name, f"{view.what} A view.", columns))
    return "\n".join(parts)


def _section(name: str, what: str, rows: list[tuple[str, str, str]]) -> str:
    lines = [f"## {name}", "", what, "", "| column | | meaning |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| `{column}` | {kind} | {meaning} |" for column, kind, meaning in rows), ""])
