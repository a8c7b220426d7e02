"""What follows from the entries of a database, made anew: for a state that came without it.

One pass over the entries makes the tables, and lays the hashes of each on one of :data:`HEAPS` heaps, by the first bits
of its key's, in a file beside the database.  Then the tree grows heap by heap, each page of it made once.

It is done in portions, each a transaction, and goes on where it was interrupted; only heaps are laid again.  What is in
memory is a portion, or a heap.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256
from itertools import islice, starmap

from chain.base.codec import decode, encode
from chain.branches.store import Tree
from chain.disk.database import Database
from chain.disk.derived import Derived
from chain.disk.schema import PUT_ENTRY, STATE_INDEX, entry_row, unseal
from chain.tree.pages import BOTTOM, LEAF_BYTES, LEVELS, TOP, check
from chain.tree.planting import crowned, planted
from chain.tree.stateproof import ENTRY_BYTES, HASH_BYTES

PORTION = 20_000
# A page of the tree begins below each: 2 to a multiple of its levels.  Of 139 million entries one holds 35 MB.
HEAPS = 256
# What is made, one after the other.
TABLES, TREE = 0, 1
_PROGRESS = "rebuilding"
_MAX_PROGRESS_BYTES = 256
_FILLED = ("agenda", "given", "standings", "ranks")
_ENTRIES = "SELECT key, value, 0 FROM state WHERE key > ? ORDER BY key LIMIT ?"
# What SQLite keeps of the file while a whole one is written.
_CACHE_KIB = 65_536


def rebuild(database: Database, advance: Callable[[int], None]) -> None:
    """Make every table that follows from ``state``; ``advance`` is told of entries that are done, each twice.

    Raises :class:`OperatorError` where an entry is damaged, or the disk is full: asked again, it goes on from there.
    """
    with database.unhurried(), _heaps(database) as heaps:
        work = _Rebuild(database, advance, heaps)
        if database.meta(_PROGRESS) is None:
            work.begin("page", *_FILLED)
        work.look_through()
        work.grow_tree(heaps)


def rebuild_tables(database: Database, advance: Callable[[int], None]) -> None:
    """:func:`rebuild` where the tree is there already; until :func:`forget_progress` it is done once."""
    work = _Rebuild(database, advance)
    if database.meta(_PROGRESS) is None:
        work.begin(*_FILLED)
    work.look_through()


def fill(database: Database, rows: Iterable[tuple[bytes, bytes, int]], advance: Callable[[int], None]) -> None:
    """Let these rows of ``state`` be all there are, with all that follows but the tree.

    The rules come before any member, and the rest fastest in the order of keys; ``advance`` is told of each.  What was
    begun and not ended is begun anew.  Raises :class:`OperatorError`.
    """
    work = _Rebuild(database, advance)
    work.begin(*_FILLED, "state")
    work.fill(iter(rows))
    with database.portion():
        database.connection.execute(STATE_INDEX)
        forget_progress(database)


def forget_progress(database: Database) -> None:
    """All is made; within a transaction."""
    database.connection.execute("DELETE FROM meta WHERE key = ?", (_PROGRESS,))


def replace_state(
    database: Database, entries: Iterable[tuple[bytes, bytes]], advance: Callable[[int], None] = lambda _: None
) -> bytes:
    """Let these be all entries of a database that is being made, with all that follows from them; returns their root.

    The rules come before any member, and the rest fastest in the order of keys; ``advance`` is told of each twice.
    Until it returns, the database is not one that survives a crash.  Raises :class:`OperatorError`.
    """
    with database.unguarded(_CACHE_KIB), _heaps(database) as heaps:
        work = _Rebuild(database, advance, heaps)
        work.begin("page", *_FILLED, "state")
        work.fill(starmap(entry_row, entries))
        work.grow_tree(heaps)
        with database.portion():  # sorted at once: places are at random, and one by one would never end
            database.connection.execute(STATE_INDEX)
    return Derived(database).root


@contextlib.contextmanager
def _heaps(database: Database) -> Iterator[_Heaps]:
    with Database.scratch(database.path.parent / "chain.heaps") as file:
        yield _Heaps(file)


class _Heaps:
    """The hashes of entries, 64 bytes each, in a file; of no use once the process ended."""

    def __init__(self, file: Database) -> None:
        self._file = file
        self._portions = 0
        self.bytes = [0] * HEAPS
        with file.translated():
            file.connection.execute("CREATE TABLE heap (number INTEGER PRIMARY KEY, hashes BLOB NOT NULL)")

    def lay(self, rows: Mapping[bytes, bytes]) -> None:
        """Lay entries on their heaps."""
        heaps = [bytearray() for _ in range(HEAPS)]
        for key, value in rows.items():
            digest = sha256(key).digest()
            heaps[digest[0] * HEAPS >> 8] += digest + sha256(value).digest()
        first = self._portions * HEAPS
        with self._file.portion():
            self._file.connection.executemany(
                "INSERT INTO heap VALUES (?, ?)", [(first + at, heap) for at, heap in enumerate(heaps) if heap]
            )
        self.bytes = [size + len(heap) for size, heap in zip(self.bytes, heaps, strict=True)]
        self._portions += 1

    def entries(self, heap: int) -> list[bytes]:
        """Those of one heap, ascending."""
        ask, numbers = "SELECT hashes FROM heap WHERE number = ?", range(heap, self._portions * HEAPS, HEAPS)
        with self._file.translated():
            laid = b"".join(hashes for each in numbers for (hashes,) in self._file.connection.execute(ask, (each,)))
        return sorted(laid[at : at + ENTRY_BYTES] for at in range(0, len(laid), ENTRY_BYTES))


class _Rebuild:
    def __init__(self, database: Database, advance: Callable[[int], None], heaps: _Heaps | None = None) -> None:
        self._database = database
        self._heaps = heaps
        self._derived = Derived(database)
        self._advance = advance

    def begin(self, *tables: str) -> None:
        """Nothing is left of what was there."""
        with self._database.portion():
            for table in tables:
                self._database.connection.execute(f"DELETE FROM {table}")
            if "page" in tables:
                self._database.connection.execute("DELETE FROM meta WHERE key = 'entries'")
            self._database.connection.execute("DELETE FROM meta WHERE key = 'rescored'")
            self._note(TABLES, b"")

    def fill(self, rows: Iterator[tuple[bytes, bytes, int]]) -> None:
        """Put rows of ``state``.  Places are at random: their index is better made at once when all are there."""
        with self._database.portion():
            self._database.connection.execute("DROP INDEX IF EXISTS state_by_hash")
        while portion := list(islice(rows, PORTION)):
            with self._database.portion():
                self._database.connection.executemany(PUT_ENTRY, portion)
                self.take({key: unseal(key, sealed) for key, sealed, _ in portion})
            self._advance(len(portion))

    def look_through(self) -> None:
        """Fill the tables, from where they were left, and all heaps."""
        step, done = self._progress()
        after = done if self._heaps is None else b""
        while rows := {key: value for key, value, _ in self._database.values(_ENTRIES, (after, PORTION))}:
            after = max(rows)
            news = {key: value for key, value in rows.items() if step == TABLES and key > done}
            if self._heaps is not None:
                self._heaps.lay({key: value for key, value in rows.items() if key not in news})
            if news:
                with self._database.portion():
                    self.take(news)
                self._advance(len(news))

    def take(self, rows: Mapping[bytes, bytes]) -> None:
        """What falls due, who rated whom, scores and ranks, of the next entries; and their hashes.

        Within a transaction.
        """
        self._derived.enter(rows)
        if self._heaps is not None:
            self._heaps.lay(rows)
        self._note(TABLES, max(rows))

    def grow_tree(self, heaps: _Heaps) -> None:
        """The pages, in the order of the tree, so that none is made twice."""
        step, done = self._progress()
        is_large = min(heaps.bytes) > LEAF_BYTES
        for heap in range(int.from_bytes(done, "big") if step == TREE else 0, HEAPS):
            entries = heaps.entries(heap)
            pages = planted(HEAPS | heap, entries) if is_large else {}
            with self._database.portion():
                if is_large:
                    self._derived.plant(Tree(0, pages.copy))
                else:
                    self._derived.grow({entry[:HASH_BYTES]: entry[HASH_BYTES:] for entry in entries})
                self._note(TREE, (heap + 1).to_bytes(2, "big"))
            self._advance(len(entries))
        with self._database.portion():
            if is_large:
                self._derived.plant(Tree(sum(heaps.bytes) // ENTRY_BYTES, self._crown))
            self._derived.grow({})
            forget_progress(self._database)

    def _crown(self) -> dict[int, bytes]:
        """The pages above those that stand on a heap."""
        rows = self._derived.fetch(range(HEAPS, 2 * HEAPS))
        hashes = {path: check(path, row, is_leaf=False) for path, row in rows.items()}
        crown: dict[int, bytes] = {}
        first = HEAPS
        while first > TOP:
            first >>= LEVELS
            for path in range(first, 2 * first):
                hashes[path], crown[path] = crowned([hashes[path << LEVELS | at] for at in range(BOTTOM)])
        return crown

    def _progress(self) -> tuple[int, bytes]:
        step, after = decode(self._database.meta(_PROGRESS) or b"", max_bytes=_MAX_PROGRESS_BYTES)
        return step, after

    def _note(self, step: int, after: bytes) -> None:
        self._database.put(_PROGRESS, encode((step, after)))
