"""The database of a home that has joined by state, made of what was fetched for it (:mod:`chain.disk.newcomer`).

Parts come in the order of the tree, and a home has its entries in that of their keys: written as they come, each would
change a page of the file of its own.  So they are sorted once when all are here, and every row is written once.
In a file this is made beside the home's own, and takes its place; on a server it is made in place, and what makes it a
home comes last.  Whatever interrupts it, asked again it begins anew, and nothing is fetched again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from chain.base.codec import encode
from chain.branches.blocktree import Judged
from chain.consensus.votecodec import encode_votes
from chain.content.genesis import Genesis
from chain.disk.database import COMMITS, Database
from chain.disk.places import Address, Place
from chain.disk.postgres import open_database
from chain.disk.rebuild import PORTION, fill
from chain.disk.schema import FORMAT, SCHEMA
from chain.disk.schema import place as place_in_tree
from chain.register.statekeys import RULES_KEY

# What a home says of itself beside its chain.
_KEPT = ("signing", "exported", "signer", "restart", "waiting", COMMITS)
_CACHE_KIB = 65_536
# What is copied as it is, with as many columns.
_PAGES = "SELECT k, v FROM page ORDER BY k", "INSERT INTO page VALUES (?, ?)"
_BLOCKS = (
    "SELECT number, id, parent, height, main, transactions, body FROM blocks WHERE height <= ? ORDER BY number",
    "INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?)",
)
_DECISIONS = "SELECT height FROM decisions WHERE height <= ?", "INSERT INTO decisions VALUES (?)"

_Row = tuple[Any, ...]


def make_home(draft: Database, target: Judged, place: Place, genesis: Genesis, advance: Callable[[int], None]) -> None:
    """Let the home whose database is at ``place``, and knows but the genesis, stand at ``target``.

    ``advance`` is told of entries that are done.  Raises :class:`OperatorError`.
    """
    if isinstance(place, Address):
        with closing(open_database(place, genesis, read_only=False)) as home:
            _fill(home, draft, advance)
            with home.portion():
                _settle(home, draft, target)
        return
    made = place.with_name(f"{place.name}.made")
    remove(made)
    database = Database.around(made, sqlite3.connect(made, isolation_level=None))
    with closing(database), database.translated():
        database.connection.executescript(SCHEMA)
        with database.unguarded(_CACHE_KIB):
            _fill(database, draft, advance)
        with database.portion():
            _settle(database, draft, target)
            _take_over(database, place, genesis)
        database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    _fold_log(place)
    made.replace(place)


def remove(path: Path) -> None:
    """Leave nothing of a database."""
    for end in ("", "-wal", "-shm", "-journal"):
        path.with_name(f"{path.name}{end}").unlink(missing_ok=True)


def _fill(home: Database, draft: Database, advance: Callable[[int], None]) -> None:
    fill(home, _sorted(draft), advance)
    with home.portion():
        home.connection.execute("DELETE FROM page")
    select, insert = _PAGES
    for rows in _portions(draft.rows(select, at_once=PORTION)):
        with home.portion():
            home.connection.executemany(insert, rows)


def _sorted(draft: Database) -> Iterator[_Row]:
    """All entries by their keys, but the rules before any member, whose score they say."""
    laid = "SELECT key, value, at FROM laid WHERE key"
    yield from draft.rows(f"{laid} = ? AND at = ?", (RULES_KEY, place_in_tree(sha256(RULES_KEY).digest())))
    yield from draft.rows(f"{laid} <> ? ORDER BY key", (RULES_KEY,), at_once=PORTION)


def _settle(home: Database, draft: Database, target: Judged) -> None:
    """What a home says that stands at this header, in a transaction."""
    header = target.header
    for select, insert in (_BLOCKS, _DECISIONS):
        for rows in _portions(draft.rows(select, (header.height,), at_once=PORTION)):
            home.connection.executemany(insert, rows)
    home.put("entries", encode((draft.number("entries"),)))
    home.put("snapshot_header", header.raw)
    home.put("snapshot_votes", encode_votes(target.votes))
    home.put("head", header.id)
    home.put("finalized", encode((header.height,)))
    home.put("bodies", encode((header.height + 1,)))
    home.put("counted_from", encode((header.height + 1,)))
    home.put("transactions", encode((0,)))


def _portions(rows: Iterator[_Row]) -> Iterator[list[_Row]]:
    while portion := list(islice(rows, PORTION)):
        yield portion


def _take_over(made: Database, path: Path, genesis: Genesis) -> None:
    """What the home's own database says beside its chain."""
    places = ", ".join("?" * len(_KEPT))
    with closing(Database(path, genesis, read_only=True)) as home:
        rows = list(home.rows(f"SELECT key, value FROM meta WHERE key IN ({places})", _KEPT))
    rows += [("format", encode(FORMAT)), ("genesis", genesis.id)]
    made.connection.executemany("INSERT INTO meta VALUES (?, ?)", rows)


def _fold_log(path: Path) -> None:
    """Leave nothing beside a database that is replaced: its log would be read as that of the new one."""
    database = Database.around(path, sqlite3.connect(path, isolation_level=None))
    with closing(database), database.translated():
        database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.connection.execute("PRAGMA journal_mode = DELETE")
