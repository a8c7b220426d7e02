"""A state on disk is the state in memory, whatever is done, taken back, stored, not yet known to be stored, or lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chain import paged
from chain.codec import encode
from chain.database import FORMAT, PUT_ENTRY, SCHEMA, Database, entry_row
from chain.derived import Derived
from chain.draft import Changes
from chain.entries import Marker, Rating
from chain.paged import PagedStore
from chain.registry import genesis_state
from chain.rows import StoredRows
from chain.state import encode_entry
from chain.statekeys import marker_key, rating_key
from chain.store import FOR_EVER, MemoryStore, Tree
from tests.support.world import genesis_of

GENESIS = genesis_of(1)
PEOPLE = 6
MARKERS = st.integers(0, 250).map(lambda number: marker_key(number.to_bytes(32, "big")))
RATINGS = st.tuples(st.integers(1, PEOPLE), st.integers(1, PEOPLE)).map(
    lambda two: rating_key(bytes([two[0]]) * 32, bytes([two[1]]) * 32, 7)
)
SLOTS = st.integers(1, 40)
WRITES = st.dictionaries(MARKERS, st.none() | SLOTS.map(Marker), max_size=120) | st.dictionaries(
    RATINGS, st.none() | st.integers(-9, 9).map(lambda points: Rating(points, 3)), max_size=20
)
DEEDS = st.lists(
    st.one_of(
        st.tuples(st.just("block"), WRITES),
        st.tuples(st.just("block"), WRITES),
        st.tuples(st.just("undo"), st.integers(1, 4)),
        st.tuples(st.just("settle"), st.integers(0, 4)),
        st.tuples(st.just("store"), st.none()),
        st.tuples(st.just("acknowledge"), st.none()),
        st.tuples(st.just("crash"), st.none()),
    ),
    max_size=24,
)


@dataclass
class Settled:
    """A commit that is on its way to the disk."""

    height: int
    rows: dict[bytes, bytes | None]
    tree: Tree | None


class Twins:
    """The same state twice, in memory and on disk, and the blocks that can be taken back."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.database = Database.around(Path("chain.db"), connection)
        self.derived = Derived(self.database)
        self.connection = connection
        state = genesis_state(GENESIS)
        connection.executescript(SCHEMA)
        connection.execute("INSERT INTO meta VALUES ('format', ?)", (encode(FORMAT),))
        self.memory = MemoryStore(state)
        self.height = 0
        self.blocks: list[Changes] = []
        self.on_its_way: list[Settled] = []
        self.written = 0
        self.stored_height = 0
        self.write(Settled(0, {**state}, None))
        self.start()

    def start(self) -> None:
        """A process begins with what is on disk, and executes the blocks above it again."""
        self.rows = StoredRows(self.database, self.stored_height)
        self.disk = PagedStore(self.rows, self.database.number("entries"))

    def write(self, settled: Settled) -> None:
        before = self.derived.before(settled.rows)
        for key, value in settled.rows.items():
            if value is None:
                self.connection.execute("DELETE FROM state WHERE key = ?", (key,))
            else:
                self.connection.execute(PUT_ENTRY, entry_row(key, value))
        self.derived.follow(before, settled.rows, settled.tree)
        self.stored_height = settled.height

    def block(self, entries: dict[bytes, Any]) -> None:
        changes: Changes = {}
        for key, entry in entries.items():
            before, after = self.memory.entries.get(key), None if entry is None else encode_entry(entry)
            if before != after:
                changes[key] = before, after
        self.disk.expect([*changes, b"nobody"])
        assert self.memory.forward(changes) == self.disk.forward(changes)
        self.blocks.append(changes)

    def undo(self, count: int) -> None:
        undone = [self.blocks.pop() for _ in range(min(count, len(self.blocks)))]
        for changes in undone:
            self.memory.back(changes)
            self.disk.back(changes)
            assert self.memory.root == self.disk.root
        for changes in reversed(undone[1:]):
            self.memory.forward(changes)
            self.disk.forward(changes)
            self.blocks.append(changes)

    def settle(self, count: int) -> None:
        count = min(count, len(self.blocks))
        rows = {key: after for changes in self.blocks[:count] for key, (_, after) in changes.items()}
        self.height += count
        self.on_its_way.append(Settled(self.height, rows, self.disk.settle(self.height, count)))
        del self.blocks[:count]

    def store(self) -> None:
        """One commit is on disk; this is not known yet."""
        if self.on_its_way:
            self.write(self.on_its_way.pop(0))

    def acknowledge(self) -> None:
        self.rows.height = self.stored_height

    def crash(self) -> None:
        """What was not on disk is executed again."""
        lost = [settled.rows for settled in self.on_its_way]
        self.start()
        self.on_its_way.clear()
        state = MemoryStore(dict(self.disk.entries))
        for rows in lost:
            changes = {key: (state.entries.get(key), after) for key, after in rows.items()}
            changes = {key: both for key, both in changes.items() if both[0] != both[1]}
            assert state.forward(changes) == self.disk.forward(changes)
            self.height = self.stored_height
        for changes in self.blocks:
            self.disk.forward(changes)
        again = list(lost)
        for rows in again:  # they are final, and can be settled as before
            self.height += 1
            self.on_its_way.append(Settled(self.height, rows, self.disk.settle(self.height, 1)))

    def compare(self) -> None:
        memory, disk = self.memory, self.disk
        assert memory.root == disk.root
        assert dict(disk.entries) == memory.entries
        assert len(disk.entries) == len(memory.entries)
        assert list(disk.due(FOR_EVER)) == list(memory.due(FOR_EVER))
        assert list(disk.due(20)) == list(memory.due(20))
        for person in range(1, PEOPLE + 1):
            assert disk.tied(bytes([person]) * 32) == memory.tied(bytes([person]) * 32)
        for key in keys_of(memory.entries):
            assert disk.prove(key) == memory.prove(key)


def keys_of(entries: Iterable[bytes]) -> list[bytes]:
    return [*sorted(entries)[::29], b"nobody"]


@given(DEEDS, st.sampled_from([0, 1, 24]), st.sampled_from([1, 5, 10_000]))
def test_disk_and_memory_are_one_state(deeds: list[tuple[str, Any]], kept: int, recent: int) -> None:
    before = paged.PAGES_KEPT_BLOCKS, paged.RECENT_PAGES, paged.RECENT_ENTRIES
    paged.PAGES_KEPT_BLOCKS, paged.RECENT_PAGES, paged.RECENT_ENTRIES = kept, recent, recent
    try:
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
            twins = Twins(connection)
            for name, argument in deeds:
                act = getattr(twins, name)
                act() if argument is None else act(argument)
                twins.compare()
    finally:
        paged.PAGES_KEPT_BLOCKS, paged.RECENT_PAGES, paged.RECENT_ENTRIES = before
