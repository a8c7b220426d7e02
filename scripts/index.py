"""Keep a chain in tables: DuckDB or PostgreSQL, and Parquet by day.

    python scripts/index.py --to chain.duckdb --node http://127.0.0.1:4080    follow a node
    python scripts/index.py --to postgresql://me@host/chain --home home       follow a home
    python scripts/index.py --to chain.duckdb --once --parquet lake           catch up, write Parquet, end

It needs DuckDB, or the client of PostgreSQL: ``.uv/bin/uv sync --extra index``.  What the tables hold:
``scripts/docs/index-tables.md``.
"""

from __future__ import annotations

from p2p.local.commandline import as_json, command, home_of_node, importing

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scripts.console import print_json, remark, write

if TYPE_CHECKING:
    from scripts.index_parts.index import Index, News
    from scripts.index_parts.sources import Source

FOLLOW_S = 1.0
"""How often a node or a home is asked, or four times a slot where slots are long."""

AWAY_S = 30.0
"""How often at last where nobody answers."""


@command
@click.option("--to", metavar="FILE.duckdb|postgresql://…", help="Where the index is, or is to be.")
@home_of_node("Follow this home, or a testnet's.")
@click.option("--node", metavar="URL", help="Follow this running node instead of a home.")
@click.option("--once", is_flag=True, help="Catch up and end, instead of following.")
@click.option("--parquet", type=click.Path(path_type=Path), help="Write what happened to this folder, by day.")
@as_json
@write("the page about the tables to scripts/docs/index-tables.md, and do nothing else")
def index(
    to: str | None, home: Path, node: str | None, once: bool, parquet: Path | None, as_json: bool, write: bool
) -> None:
    """Keep members, records, disputes, ratings, motions, blocks and finality in tables for SQL."""
    if write:
        _write_page()
        return
    if to is None:
        raise click.UsageError("give --to: where the index is, or is to be")
    with importing():
        from scripts.index_parts.database import open_database
        from scripts.index_parts.index import Index
        from scripts.index_parts.parquet import export
    database = open_database(to)

    def tell(news: News) -> None:
        days = [] if parquet is None else export(database, parquet, lambda day: remark(f"writing {day}"))
        if as_json:
            print_json({**news._asdict(), "days": days})
        else:
            click.echo(_in_words(news, days))

    with _source(home, node) as source:
        _follow(Index(source, database), tell, once=once)


def _write_page() -> None:
    from scripts.index_parts.page import PAGE, page

    PAGE.write_text(page(), encoding="utf-8")
    remark(f"wrote {PAGE}")


@contextmanager
def _source(home: Path, node: str | None) -> Iterator[Source]:
    with importing():
        from p2p.client import Client
        from scripts.index_parts.sources import OfHome, OfNode
    if node is None:
        yield OfHome(home)
        return
    with Client(node) as client:
        yield OfNode(client)


def _follow(index: Index, tell: Callable[[News], None], *, once: bool) -> None:
    """Index what comes; what is away after it was there once is asked again."""
    with importing():
        from p2p.client import NodeAway
        from scripts.index_parts.database import DatabaseAway
        from scripts.inspect_parts.question import progress
    with progress("blocks", index.missing()) as advance:
        first = index.catch_up(advance)
    if first is not None:
        tell(first)
    if once:
        return
    remark("following; Ctrl-C ends it")
    said, often_s = "", max(FOLLOW_S, index.slot_s / 4)
    pause_s = often_s
    while True:
        time.sleep(pause_s)
        try:
            news = index.catch_up()
            if news is not None:
                tell(news)
            said, pause_s = "", often_s
        except (NodeAway, DatabaseAway) as away:
            if str(away) != said:
                remark(f"{away}; it is asked again")
            said, pause_s = str(away), max(often_s, min(AWAY_S, 2 * pause_s))


def _in_words(news: News, days: list[str]) -> str:
    written = f"; wrote {', '.join(days)}" if days else ""
    return (
        f"final up to {news.final_height:,}, head {news.height:,}: {news.blocks:,} final blocks more, "
        f"{news.transactions:,} transactions{written}"
    )


if __name__ == "__main__":
    index()
