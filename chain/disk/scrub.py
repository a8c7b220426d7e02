"""Looking through a stored state for damage, beside its node: a portion at a time, each as of one commit.

A node reads and checks what it needs, when it needs it.  What nobody has asked for in years is looked at here: every
page of the tree against the one above it, every entry against the tree, and the tables that follow from the entries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from hashlib import sha256
from typing import Any, NamedTuple

from chain.base.errors import InvariantBroken, Refused
from chain.consensus.headers import decode_header
from chain.disk.database import Database
from chain.disk.schema import page_unseal, unseal
from chain.register.state import due_slot
from chain.register.statekeys import RATINGS, given_key, read_given
from chain.tree import pages
from chain.tree.pages import BOTTOM, LEAF, LEVELS, TOP, Page
from chain.tree.stateproof import EMPTY, hash_root

#: Rows that are looked at in one portion: some 30 ms.
ROWS_AT_ONCE = 1_000

_PAGES = "SELECT k, v FROM page WHERE k > ? ORDER BY k LIMIT ?"
_ENTRIES = "SELECT key, value FROM state WHERE key > ? ORDER BY key LIMIT ?"
_AGENDA = "SELECT slot, key FROM agenda WHERE (slot, key) > (?, ?) ORDER BY slot, key LIMIT ?"
_GIVEN = "SELECT rater, rating FROM given WHERE (rater, rating) > (?, ?) ORDER BY rater, rating LIMIT ?"


class Damage(NamedTuple):
    """A row that is not what it has to be."""

    table: str
    row: str
    what: str


class Portion(NamedTuple):
    """So many rows of a table were looked at, and this was found."""

    table: str
    rows: int
    damage: tuple[Damage, ...]


def scrub(database: Database, *, is_held: bool = False) -> Iterator[Portion]:
    """Look through all of a stored state, as it is drawn: once.  Raises :class:`OperatorError` where SQLite cannot.

    Each portion is of one commit, and the next one may be of a later; or the caller holds one for all of it, where
    ``is_held``.
    """
    return _Scrub(database, is_held=is_held).run()


def rows_to_scrub(database: Database) -> int:
    """How many rows :func:`scrub` looks at in all.  Raises :class:`OperatorError`."""
    counts = (database.rows(f"SELECT count(*) FROM {table}") for table in ("page", "state", "agenda", "given"))
    return sum(int(next(rows)[0]) for rows in counts)


class _Scrub:
    def __init__(self, database: Database, *, is_held: bool) -> None:
        self._database = database
        self._is_held = is_held
        self._damage: list[Damage] = []
        self._count = 0
        self._above: dict[int, Page] = {}

    def run(self) -> Iterator[Portion]:
        yield from self._through("page", _PAGES, (0,), self._look_at_page, 1)
        yield from self._through("state", _ENTRIES, (b"",), self._look_at_entry, 1)
        yield from self._through("agenda", _AGENDA, (-1, b""), self._look_at_deadline, 2)
        yield from self._through("given", _GIVEN, (b"", b""), self._look_at_given, 2)
        with self._one_commit():
            (number,) = self._one("SELECT count(*) FROM state")
            if number != self._count:
                self._blame("state", "all", f"there are {number} entries, and the tree has {self._count}")
        yield self._portion("state", 0)

    def _through(
        self, table: str, sql: str, after: tuple[Any, ...], look: Callable[..., None], width: int
    ) -> Iterator[Portion]:
        """All rows of a table, in the order of their first ``width`` columns."""
        while True:
            with self._one_commit():
                rows = list(self._database.rows(sql, (*after, ROWS_AT_ONCE)))
                for row in rows:
                    look(*row)
            if not rows:
                return
            after = rows[-1][:width]
            yield self._portion(table, len(rows))

    def _portion(self, table: str, rows: int) -> Portion:
        found, self._damage = tuple(self._damage), []
        return Portion(table, rows, found)

    @contextmanager
    def _one_commit(self) -> Iterator[None]:
        with nullcontext() if self._is_held else self._database.consistent():
            self._count = self._database.number("entries")
            self._above.clear()
            yield

    # ------------------------------------------------------------------------------------------------- the rows

    def _look_at_page(self, path: int, stored: Any) -> None:
        try:
            row = page_unseal(path, stored)
            is_leaf, known = self._told_above(path)
            digest = pages.check(path, row, is_leaf=is_leaf)
            known = self._hash_of_top(digest) if path == TOP else known
        except (Refused, InvariantBroken) as error:
            self._blame("page", f"{path:x}", str(error))
            return
        if digest != known:
            self._blame("page", f"{path:x}", "it is not what the page above it says")
        if not is_leaf:
            for below, child, _ in pages.children(path, row):
                if child != EMPTY and self._one("SELECT 1 FROM page WHERE k = ?", below) is None:
                    self._blame("page", f"{below:x}", "it is missing")

    def _told_above(self, path: int) -> tuple[bool, bytes]:
        """Whether a page is a leaf, and the hash that it has to have; of the top no page says it.

        Raises :class:`Refused` and :class:`InvariantBroken` where what is above it is damaged.
        """
        if path == TOP:
            return self._count <= LEAF, b""
        depth = path.bit_length() - 1
        levels = (depth - 1) % LEVELS + 1
        above = path >> levels
        if above not in self._above:
            self._above = {above: Page.decode(self._page(above))}
        page, node = self._above[above], 1 << levels | path & (1 << levels) - 1
        is_leaf = bool(page.flags >> node & 1)
        if not is_leaf and node < BOTTOM:
            raise InvariantBroken("no page above it knows of it")
        return is_leaf, page.hash_of(node)

    def _look_at_entry(self, key: bytes, stored: Any) -> None:
        try:
            value = unseal(key, stored)
            told = pages.find(self._page, self._count, sha256(key).digest())
            slot = due_slot(key, value)
        except (Refused, InvariantBroken) as error:
            self._blame("state", key.hex(), str(error))
            return
        if told != sha256(value).digest():
            self._blame("state", key.hex(), "it is not what the tree says")
        if slot is not None and self._one("SELECT 1 FROM agenda WHERE slot = ? AND key = ?", slot, key) is None:
            self._blame("agenda", key.hex(), "its deadline is missing")
        given = "SELECT 1 FROM given WHERE rater = ? AND rating = ?"
        if key[:1] == RATINGS and self._one(given, *given_key(key)) is None:
            self._blame("given", key.hex(), "it is missing")

    def _look_at_deadline(self, slot: int, key: bytes) -> None:
        row = self._one("SELECT value FROM state WHERE key = ?", key)
        try:
            due = None if row is None else due_slot(key, unseal(key, row[0]))
        except (Refused, InvariantBroken):  # said already
            return
        if due != slot:
            self._blame("agenda", key.hex(), f"slot {slot} is noted, and it is due in {due}")

    def _look_at_given(self, rater: bytes, rating: bytes) -> None:
        if self._one("SELECT 1 FROM state WHERE key = ?", read_given(rater, rating)) is None:
            self._blame("given", rating.hex(), "it says who gave a rating that is not there")

    # --------------------------------------------------------------------------------------------- what is stored

    def _hash_of_top(self, digest: bytes) -> bytes:
        """What the top of the tree has to hash to, where it does to ``digest``: of a genesis nothing says it."""
        header = self._database.meta("snapshot_header")
        is_its = header is None or decode_header(header).state_root == hash_root(self._count, digest)
        return digest if is_its else b""

    def _page(self, path: int) -> bytes:
        row = self._one("SELECT v FROM page WHERE k = ?", path)
        return b"" if row is None else page_unseal(path, row[0])

    def _one(self, sql: str, *parameters: Any) -> Any:
        return next(self._database.rows(sql, parameters, at_once=1), None)

    def _blame(self, table: str, row: str, what: str) -> None:
        self._damage.append(Damage(table, row, what))
