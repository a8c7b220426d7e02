"""A state on disk: in memory is what is not stored yet, and some of what was read lately."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256
from heapq import merge
from typing import Any, NamedTuple, TypeVar

from sortedcontainers import SortedList

from chain.base.errors import InvariantBroken
from chain.branches.layers import UNKNOWN, Layer, Rows
from chain.branches.store import Store, Ties, Tree
from chain.branches.trees import Hashes, TreeOnDisk
from chain.register.draft import Changes
from chain.register.state import WITH_DEADLINES, due_slot
from chain.tree.stateproof import Proof
from chain.tree.statetree import StateTree

# Of so few, nearly all that a block asks for were read before, so it costs more to look for what is missing.
FEW_ENTRIES = 200_000
# So many of the newest blocks are taken back as they were; for older ones the tree is hashed anew.  A full block
# leaves some 3 MB.
WAYS_KEPT_BLOCKS = 24
# Twice as many are kept of what was read lately: about 60 MB.
RECENT_ENTRIES = 65_536
# What falls due is read in such portions.
DUE_AT_ONCE = 256
KEYS_AT_ONCE = 1_024

_V = TypeVar("_V")


class _Step(NamedTuple):
    """What one block did: the keys of its entries, and the way back to the tree before it."""

    keys: tuple[bytes, ...]
    way: StateTree | None


class _Entries(Mapping[bytes, bytes]):
    """The entries of a store, as a mapping: looking one up is cheap, going through all is for tests."""

    def __init__(self, store: PagedStore, layer: Layer[bytes, bytes | None]) -> None:
        self._store = store
        self._layer = layer

    def get(self, key: bytes, default: Any = None) -> Any:
        value = self._layer.get(key)
        if value is UNKNOWN:
            value = self._store.read(key)
        return default if value is None else value

    def __getitem__(self, key: bytes) -> bytes:
        value: bytes | None = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __contains__(self, key: object) -> bool:
        return isinstance(key, bytes) and self.get(key) is not None

    def __iter__(self) -> Iterator[bytes]:
        return self._store.keys()

    def __len__(self) -> int:
        return self._store.count


class PagedStore(Store):
    """A state of ``count`` entries that is on disk.  Raises :class:`OperatorError` wherever that is damaged."""

    def __init__(self, rows: Rows, count: int) -> None:
        self._rows = rows
        self._changed: Layer[bytes, bytes | None] = Layer(RECENT_ENTRIES)
        self.entries = _Entries(self, self._changed)
        self._tree = self._sound(lambda: TreeOnDisk(rows, count))
        # Of what changed: when it falls due.
        self._due: dict[bytes, int] = {}
        self._agenda: SortedList[tuple[int, bytes]] = SortedList()
        # By block: those that settled and may not be on disk yet, and those that can be taken back.
        self._settled: deque[tuple[int, _Step]] = deque()
        self._steps: deque[_Step] = deque()

    @property
    def root(self) -> bytes:
        return self._tree.root

    @property
    def count(self) -> int:
        """How many entries there are."""
        return len(self._tree)

    def forward(self, changes: Changes) -> bytes:
        self._let_go()
        hashes = _hashed((key, after) for key, (_, after) in changes.items())
        self._steps.append(_Step(tuple(changes), self._sound(lambda: self._tree.forward(hashes))))
        if len(self._steps) > WAYS_KEPT_BLOCKS:
            self._steps[-WAYS_KEPT_BLOCKS - 1] = self._steps[-WAYS_KEPT_BLOCKS - 1]._replace(way=None)
        for key, (_, after) in changes.items():
            self._changed.change(key, after)
            self._schedule(key, after)
        return self.root

    def back(self, changes: Changes) -> None:
        way = self._steps.pop().way
        self._sound(lambda: self._tree.back(way, lambda: _hashed((key, value) for key, (value, _) in changes.items())))
        for key, (value, _) in changes.items():
            self._schedule(key, None if self._changed.take_back(key, value) else value)

    def prove(self, key: bytes) -> Proof:
        return self._sound(lambda: self._tree.prove(key))

    def due(self, slot: int) -> Iterator[tuple[int, bytes]]:
        return merge(self._due_on_disk(slot), self._agenda.irange(maximum=(slot, b"\xff" * 128)))

    def ties(self) -> Ties:
        return Ties(self._changed.changed, self._rows.tied)

    def settle(self, height: int, blocks: int, changes: Changes) -> Tree:
        self._settled.extend((height, self._steps.popleft()) for _ in range(blocks))
        way = self._steps[0].way if self._steps else self._tree.now
        return self._sound(
            lambda: self._tree.settle(way, lambda: _hashed((key, after) for key, (_, after) in changes.items()))
        )

    def expect(self, keys: Iterable[bytes]) -> None:
        if self.count <= FEW_ENTRIES and not self._rows.are_far:
            return
        missing = {key: sha256(key).digest() for key in keys if self._changed.get(key) is UNKNOWN}
        told = self._sound(lambda: self._tree.find_all(missing.values()))
        found = self._rows.entries([key for key, key_hash in missing.items() if told[key_hash] is not None])
        for key, key_hash in missing.items():
            self._take(key, found.get(key), told[key_hash])

    def read(self, key: bytes) -> bytes | None:
        """An entry that is not in memory: whether there is one, the tree says."""
        told = self._sound(lambda: self._tree.find(sha256(key).digest()))
        return self._take(key, None if told is None else self._rows.entry(key), told)

    def _take(self, key: bytes, value: bytes | None, told: bytes | None) -> bytes | None:
        """What was read.  Raises :class:`OperatorError` where the tree says otherwise."""
        if told != (None if value is None else sha256(value).digest()):
            raise self._rows.damaged(f"the entry {key.hex()[:24]} is not that of the state's tree")
        self._changed.remember(key, value)
        return value

    def keys(self) -> Iterator[bytes]:
        """The keys of all entries, ascending.  Raises :class:`OperatorError` where the tree has others."""
        changed, seen = self._changed.changed, 0
        fresh = sorted(key for key, value in changed.items() if value is not None)
        for key in merge(fresh, (key for key in self._keys_on_disk() if key not in changed)):
            if key not in self.entries:
                raise self._rows.damaged(f"the entry {key.hex()[:24]} is not in the state's tree")
            yield key
            seen += 1
        if seen != self.count:
            raise self._rows.damaged(f"it holds {seen} entries, and its tree {self.count}")

    # ----------------------------------------------------------------------------------------------- the disk

    def _keys_on_disk(self) -> Iterator[bytes]:
        after = b""
        while keys := self._rows.keys(after, KEYS_AT_ONCE):
            yield from keys
            after = keys[-1]

    def _due_on_disk(self, slot: int) -> Iterator[tuple[int, bytes]]:
        changed, after = self._changed.changed, (-1, b"")
        while portion := self._rows.due(slot, after, DUE_AT_ONCE):
            yield from (self._checked(*item) for item in portion if item[1] not in changed)
            after = portion[-1]

    def _checked(self, slot: int, key: bytes) -> tuple[int, bytes]:
        """A deadline as it is noted.  Raises :class:`OperatorError` where its entry, which is read now, has another."""
        if due_slot(key, self.entries.get(key)) != slot:
            raise self._rows.damaged(f"the deadline of {key.hex()[:24]} is not that of its entry")
        return slot, key

    def _let_go(self) -> None:
        """What the disk has by now need not be kept."""
        stored = self._rows.height
        while self._settled and self._settled[0][0] <= stored:
            _, step = self._settled.popleft()
            for key in step.keys:
                if self._changed.release(key):
                    self._schedule(key, None)
        if not self._settled:
            self._tree.let_go([step.way for step in self._steps])

    def _sound(self, look: Callable[[], _V]) -> _V:
        """What ``look`` returns.  Raises :class:`OperatorError`: a page that is missing is damage on disk."""
        try:
            return look()
        except InvariantBroken as error:
            raise self._rows.damaged(str(error)) from error

    def _schedule(self, key: bytes, value: bytes | None) -> None:
        """Note when an entry that changed falls due; None where it is gone, or as on disk."""
        if key[0] not in WITH_DEADLINES:
            return
        was_due, is_due = self._due.pop(key, None), due_slot(key, value)
        if was_due is not None:
            self._agenda.remove((was_due, key))
        if is_due is not None:
            self._due[key] = is_due
            self._agenda.add((is_due, key))


def _hashed(values: Iterable[tuple[bytes, bytes | None]]) -> Hashes:
    return {sha256(key).digest(): None if value is None else sha256(value).digest() for key, value in values}
