"""A state on disk is the state in memory, whatever is done, taken back, stored, not yet known to be stored, or lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.base.codec import encode
from chain.base.errors import OperatorError
from chain.branches import paged, trees
from chain.branches.paged import PagedStore
from chain.branches.store import FOR_EVER, MemoryStore, Tree
from chain.disk.database import Database
from chain.disk.derived import Derived
from chain.disk.rows import StoredRows
from chain.disk.schema import FORMAT, PUT_ENTRY, SCHEMA, entry_row
from chain.register.draft import Changes
from chain.register.entries import Marker, Rating
from chain.register.registry import genesis_state
from chain.register.state import encode_entry
from chain.register.statekeys import marker_key, rating_key, tied_to
from tests.support.world import genesis_of

GENESIS = genesis_of(1)
PEOPLE = 6
# What a state begins with.
FEW = len(genesis_state(GENESIS))
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
    changes: Changes
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
        self.write(Settled(0, {key: (None, value) for key, value in state.items()}, None))
        self.start()

    def start(self) -> None:
        """A process begins with what is on disk, and executes the blocks above it again."""
        self.rows = StoredRows(self.database, self.stored_height)
        self.disk = PagedStore(self.rows, self.database.number("entries"))

    def write(self, settled: Settled) -> None:
        for key, (_, value) in settled.changes.items():
            if value is None:
                self.connection.execute("DELETE FROM state WHERE key = ?", (key,))
            else:
                self.connection.execute(PUT_ENTRY, entry_row(key, value))
        self.derived.follow(settled.changes, settled.tree)
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
        changes = joined(self.blocks[:count])
        self.height += count
        self.on_its_way.append(Settled(self.height, changes, self.disk.settle(self.height, count, changes)))
        del self.blocks[:count]

    def store(self) -> None:
        """One commit is on disk; this is not known yet."""
        if self.on_its_way:
            self.write(self.on_its_way.pop(0))

    def acknowledge(self) -> None:
        self.rows.height = self.stored_height

    def end(self) -> None:
        """Everything is on disk before the process ends, and another begins."""
        self.settle(len(self.blocks))
        while self.on_its_way:
            self.store()
        self.start()

    def crash(self) -> None:
        """What was not on disk is executed again."""
        lost = [settled.changes for settled in self.on_its_way]
        self.start()
        self.on_its_way.clear()
        state = MemoryStore(dict(self.disk.entries))
        for changes in lost:
            assert state.forward(changes) == self.disk.forward(changes)
        self.height = self.stored_height
        for changes in self.blocks:
            self.disk.forward(changes)
        for changes in lost:  # they are final, and can be settled as before
            self.height += 1
            self.on_its_way.append(Settled(self.height, changes, self.disk.settle(self.height, 1, changes)))

    def compare(self) -> None:
        memory, disk = self.memory, self.disk
        assert memory.root == disk.root
        assert dict(disk.entries) == memory.entries
        assert len(disk.entries) == len(memory.entries)
        assert list(disk.due(FOR_EVER)) == list(memory.due(FOR_EVER))
        assert list(disk.due(20)) == list(memory.due(20))
        for person in range(1, PEOPLE + 1):
            for limit in (1, 3, 10_000):
                tied = memory.ties().of(bytes([person]) * 32, limit)
                assert disk.ties().of(bytes([person]) * 32, limit) == tied
                assert tied == sorted(key for key in memory.entries if bytes([person]) * 32 in tied_to(key))[:limit]
        for key in keys_of(memory.entries):
            assert disk.prove(key) == memory.prove(key)


def keys_of(entries: Iterable[bytes]) -> list[bytes]:
    return [*sorted(entries)[::29], b"nobody"]


def joined(blocks: Iterable[Changes]) -> Changes:
    """What blocks change together."""
    changes: Changes = {}
    for block in blocks:
        for key, (before, after) in block.items():
            changes[key] = changes[key][0] if key in changes else before, after
    return {key: both for key, both in changes.items() if both[0] != both[1]}


@given(DEEDS, st.sampled_from([0, 1, 24]), st.sampled_from([1, 5, 10_000]), st.sampled_from([4, 8, 10_000]))
def test_disk_and_memory_are_one_state(deeds: list[tuple[str, Any]], kept: int, recent: int, upper: int) -> None:
    with (
        pytest.MonkeyPatch.context() as patch,
        closing(sqlite3.connect(":memory:", isolation_level=None)) as connection,
    ):
        patch.setattr(paged, "WAYS_KEPT_BLOCKS", kept)
        patch.setattr(paged, "RECENT_ENTRIES", recent)
        patch.setattr(paged, "FEW_ENTRIES", FEW)
        patch.setattr(trees, "NEAR_PAGES", recent)
        patch.setattr(trees, "UPPER_DEPTH", upper)
        twins = Twins(connection)
        for name, argument in deeds:
            act = getattr(twins, name)
            act() if argument is None else act(argument)
            twins.compare()


@pytest.mark.parametrize("seed", range(2))
def test_a_state_may_grow_and_shrink_and_be_forgotten(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = Random(seed)
    monkeypatch.setattr(paged, "FEW_ENTRIES", 0)
    monkeypatch.setattr(paged, "WAYS_KEPT_BLOCKS", 5)
    monkeypatch.setattr(trees, "NEAR_PAGES", 6)
    monkeypatch.setattr(trees, "UPPER_DEPTH", 4)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        twins = Twins(connection)
        for turn in range(160):
            leaving = 0.2 if turn % 80 < 40 else 1
            keys = [marker_key(random.randrange(400).to_bytes(32, "big")) for _ in range(random.randrange(24))]
            twins.block({key: None if random.random() < leaving else Marker(random.randrange(1, 40)) for key in keys})
            for deed, most in (("undo", 3), ("settle", 4), ("store", 0), ("acknowledge", 0), ("crash", 0)):
                if random.random() < (0.03 if deed == "crash" else 0.4):
                    act = getattr(twins, deed)
                    act(random.randint(0, most)) if most else act()
                    twins.compare()
            if turn % 80 == 79:
                twins.end()
                twins.compare()


@pytest.mark.parametrize("seed", range(4))
def test_what_nobody_looks_at_stays_where_it_is(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a node, which looks at next to nothing between two blocks."""
    random = Random(seed)
    monkeypatch.setattr(paged, "FEW_ENTRIES", 0)
    monkeypatch.setattr(paged, "WAYS_KEPT_BLOCKS", seed % 2)
    monkeypatch.setattr(trees, "NEAR_PAGES", 1)
    monkeypatch.setattr(trees, "UPPER_DEPTH", 4 + 4 * (seed // 2))
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        twins = Twins(connection)
        for turn in range(60):
            leaving = 0.2 if turn % 30 < 15 else 0.9
            keys = [marker_key(random.randrange(400).to_bytes(32, "big")) for _ in range(random.randrange(60))]
            twins.block({key: None if random.random() < leaving else Marker(random.randrange(1, 40)) for key in keys})
            for deed, most in (("undo", 3), ("settle", 4), ("store", 0), ("acknowledge", 0), ("crash", 0)):
                if random.random() < (0.03 if deed == "crash" else 0.4):
                    act = getattr(twins, deed)
                    act(random.randint(0, most)) if most else act()
        twins.end()
        twins.compare()


def test_a_deadline_that_is_not_that_of_its_entry_is_damage() -> None:
    key, slot = marker_key(bytes(32)), 7
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        twins = Twins(connection)
        twins.block({key: Marker(slot), marker_key(b"\1" * 32): Marker(30)})
        twins.end()
        assert list(twins.disk.due(slot)) == [(slot, key)]
        for damage in ("UPDATE agenda SET slot = 1 WHERE slot = 30", "UPDATE agenda SET key = x'6d' WHERE slot = 1"):
            connection.execute(damage)
            with pytest.raises(OperatorError, match=r"the deadline of .* is not that of its entry"):
                list(twins.disk.due(slot))


def test_a_bit_that_flipped_in_a_key_is_damage_and_no_entry_that_is_missing() -> None:
    keys = [marker_key(number.to_bytes(32, "big")) for number in range(4)]
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        twins = Twins(connection)
        twins.block({key: Marker(30) for key in keys})
        twins.end()
        flipped = bytes([keys[2][0], keys[2][1] ^ 64]) + keys[2][2:]
        connection.execute("UPDATE state SET key = ? WHERE key = ?", (flipped, keys[2]))
        store = PagedStore(twins.rows, twins.disk.count)
        with pytest.raises(OperatorError, match="is not in the state's tree"):
            sorted(store.entries)


def test_a_bit_that_flipped_in_a_stored_page_is_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte of each page, with what seals it: whoever is only looked up under that page is not believed."""
    monkeypatch.setattr(paged, "FEW_ENTRIES", 0)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        twins = Twins(connection)
        twins.block({marker_key(number.to_bytes(32, "big")): Marker(3) for number in range(16)})
        twins.end()
        keys = list(twins.memory.entries)
        rows = connection.execute("SELECT k, v FROM page").fetchall()
        assert len(rows) > 2
        for path, stored in rows:
            for at in range(len(stored)):
                flipped = stored[:at] + bytes([stored[at] ^ 1 << at % 8]) + stored[at + 1 :]
                connection.execute("UPDATE page SET v = ? WHERE k = ?", (flipped, path))
                with pytest.raises(OperatorError):
                    PagedStore(twins.rows, len(keys)).expect(keys)
            connection.execute("UPDATE page SET v = ? WHERE k = ?", (stored, path))
        PagedStore(twins.rows, len(keys)).expect(keys)
