"""A state on disk: in memory is what is not stored yet, and some of what was read lately.

What blocks above the snapshot changed, entries and pages of the tree, lies over what is on disk.  What settles stays
there until the disk is known to have it: a commit is made in another thread, and whatever is read meanwhile is the same
before and after it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from heapq import merge
from itertools import islice
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from sortedcontainers import SortedList

from chain import pages, replanting
from chain.draft import Changes
from chain.errors import InvariantBroken, OperatorError
from chain.state import WITH_DEADLINES, due_slot
from chain.statekeys import TIED, tied_to
from chain.statetree import Proof
from chain.store import Store, Tree

# So many of the newest blocks are taken back page by page; for older ones the tree is hashed anew.  A full block
# changes pages of 5 MB.
PAGES_KEPT_BLOCKS = 24
# Twice as many are kept of what was read lately: about 45 MB of pages, and 15 MB of entries.
RECENT_PAGES = 16_384
RECENT_ENTRIES = 16_384
# What falls due is read in such portions.
DUE_AT_ONCE = 256
KEYS_AT_ONCE = 1_024

_K = TypeVar("_K")
_V = TypeVar("_V")
_UNKNOWN: Any = object()


class Rows(Protocol):
    """What is on disk.  Where it is damaged, anything raises :class:`OperatorError`.

    ``height`` is that of the newest state that is known to be durable; what is read may be newer.
    """

    @property
    def height(self) -> int:
        """See above; another thread may raise it."""

    def entry(self, key: bytes) -> bytes | None:
        """An encoded entry."""

    def keys(self, after: bytes, count: int) -> Sequence[bytes]:
        """The next keys above ``after``, ascending."""

    def entries(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Many of them, as far as there are any."""

    def page(self, path: int) -> bytes:
        """A page, ``b""`` where there is none."""

    def pages(self, paths: Sequence[int]) -> Mapping[int, bytes]:
        """Many of them, as far as there are any."""

    def due(self, slot: int, after: tuple[int, bytes], count: int) -> Sequence[tuple[int, bytes]]:
        """The next that fall due up to ``slot``, by slot and key."""

    def tied(self, identity: bytes) -> Sequence[bytes]:
        """The keys that go where ``identity`` leaves, in any order."""

    def damaged(self, why: str) -> OperatorError:
        """What is to be raised where it is."""


class _Layer(Generic[_K, _V]):
    """What blocks changed since the snapshot that is on disk, and under it what was read there lately.

    ``changed`` has each key as it is at the head, and ``_blocks`` how many of the blocks that are not known to be on
    disk changed it: those that can be taken back, and those that settled.  A block that goes either way takes one off;
    at none the disk has the same value, so what was changed is what was read.

    Of what was read there are at least ``least``, once so many were, and at most twice as many.
    """

    def __init__(self, least: int) -> None:
        self.changed: dict[_K, _V] = {}
        self._blocks: dict[_K, int] = {}
        self._least = least
        self._new: dict[_K, _V] = {}
        self._old: dict[_K, _V] = {}

    def get(self, key: _K) -> _V:
        """The value at the head, as far as it is in memory."""
        value: _V = self.changed.get(key, _UNKNOWN)
        if value is _UNKNOWN:
            value = self._new.get(key, _UNKNOWN)
            if value is _UNKNOWN and (value := self._old.get(key, _UNKNOWN)) is not _UNKNOWN:
                self.remember(key, value)
        return value

    def remember(self, key: _K, value: _V) -> None:
        """What the disk has."""
        self._new[key] = value
        if len(self._new) >= self._least:
            self._old, self._new = self._new, {}

    def change(self, key: _K, value: _V) -> None:
        """One more block changed it."""
        self.changed[key] = value
        self._blocks[key] = self._blocks.get(key, 0) + 1

    def take_back(self, key: _K, value: _V) -> bool:
        """One block less changed it; whether that was the last, so that it is as on disk."""
        self.changed[key] = value
        return self.release(key)

    def release(self, key: _K) -> bool:
        """One block's change is on disk; whether it was the last, so that this is what the disk has."""
        left = self._blocks[key] - 1
        if left:
            self._blocks[key] = left
            return False
        del self._blocks[key]
        self.remember(key, self.changed.pop(key))
        return True


class _Step(NamedTuple):
    """What one block did: the keys of its entries, the paths of its pages, and how those were, where that is kept."""

    keys: tuple[bytes, ...]
    paths: tuple[int, ...]
    entries: int
    root: bytes
    before: dict[int, bytes] | None


class _Entries(Mapping[bytes, bytes]):
    """The entries of a store, as a mapping: looking one up is cheap, going through all is for tests."""

    def __init__(self, store: PagedStore, layer: _Layer[bytes, bytes | None]) -> None:
        self._store = store
        self._layer = layer

    def get(self, key: bytes, default: Any = None) -> Any:
        value = self._layer.get(key)
        if value is _UNKNOWN:
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
        self.count = count
        self._rows = rows
        self._changed: _Layer[bytes, bytes | None] = _Layer(RECENT_ENTRIES)
        self._pages: _Layer[int, bytes] = _Layer(RECENT_PAGES)
        self.entries = _Entries(self, self._changed)
        self._root = self._sound(lambda: pages.root(self._fetch, count))
        # Of what changed: when it falls due.
        self._due: dict[bytes, int] = {}
        self._agenda: SortedList[tuple[int, bytes]] = SortedList()
        # By block: those that settled and may not be on disk yet, and those that can be taken back.
        self._settled: deque[tuple[int, _Step]] = deque()
        self._steps: deque[_Step] = deque()

    @property
    def root(self) -> bytes:
        return self._root

    def forward(self, changes: Changes) -> bytes:
        self._let_go()
        updated = self._updated({key: after for key, (_, after) in changes.items()})
        before = {path: change.before for path, change in updated.pages.items()}
        self._steps.append(_Step(tuple(changes), tuple(before), self.count, self._root, before))
        if len(self._steps) > PAGES_KEPT_BLOCKS:
            self._steps[-PAGES_KEPT_BLOCKS - 1] = self._steps[-PAGES_KEPT_BLOCKS - 1]._replace(before=None)
        for path, change in updated.pages.items():
            self._pages.change(path, change.after)
        for key, (_, after) in changes.items():
            self._changed.change(key, after)
            self._schedule(key, after)
        self.count, self._root = updated.count, updated.root
        return self._root

    def back(self, changes: Changes) -> None:
        step = self._steps.pop()
        before = step.before
        if before is None:
            updated = self._updated({key: value for key, (value, _) in changes.items()})
            before = {path: change.after for path, change in updated.pages.items()}
        for path in step.paths:
            self._pages.take_back(path, before[path])
        for key, (value, _) in changes.items():
            self._schedule(key, None if self._changed.take_back(key, value) else value)
        self.count, self._root = step.entries, step.root

    def prove(self, key: bytes) -> Proof:
        return self._sound(lambda: pages.prove(self._fetch, self.count, key))

    def due(self, slot: int) -> Iterator[tuple[int, bytes]]:
        return merge(self._due_on_disk(slot), self._agenda.irange(maximum=(slot, b"\xff" * 128)))

    def tied(self, identity: bytes) -> list[bytes]:
        changed = self._changed.changed
        stored = [key for key in self._rows.tied(identity) if key not in changed]
        fresh = (key for key, value in changed.items() if value is not None and key[0] in TIED)
        return sorted([*stored, *(key for key in fresh if identity in tied_to(key))])

    def settle(self, height: int, blocks: int) -> Tree | None:
        tree = self._tree_after(blocks)
        self._settled.extend((height, self._steps.popleft()) for _ in range(blocks))
        return tree

    def expect(self, keys: Iterable[bytes]) -> None:
        missing = [key for key in dict.fromkeys(keys) if self._changed.get(key) is _UNKNOWN]
        self._sound(lambda: self._expect_pages([sha256(key).digest() for key in missing]))
        found = self._rows.entries(missing)
        for key in missing:
            self._take(key, found.get(key))

    def read(self, key: bytes) -> bytes | None:
        """An entry that is not in memory."""
        return self._take(key, self._rows.entry(key))

    def _take(self, key: bytes, value: bytes | None) -> bytes | None:
        """What was read.  Raises :class:`OperatorError` where the tree says otherwise."""
        try:
            told = pages.find(self._page, self.count, sha256(key).digest())
        except InvariantBroken as error:
            raise self._rows.damaged(str(error)) from error
        if told != (None if value is None else sha256(value).digest()):
            raise self._rows.damaged(f"the entry {key.hex()[:24]} is not that of the state's tree")
        self._changed.remember(key, value)
        return value

    def keys(self) -> Iterator[bytes]:
        """The keys of all entries, ascending.  Raises :class:`OperatorError` where the tree counts others."""
        changed, seen = self._changed.changed, 0
        fresh = sorted(key for key, value in changed.items() if value is not None)
        for key in merge(fresh, (key for key in self._keys_on_disk() if key not in changed)):
            yield key
            seen += 1
        if seen != self.count:
            raise self._rows.damaged(f"it holds {seen} entries, and its tree {self.count}")

    # ----------------------------------------------------------------------------------------------- the disk

    def _fetch(self, paths: Iterable[int]) -> Mapping[int, bytes]:
        get = self._pages.get
        found = {path: get(path) for path in paths}
        missing = [path for path, page in found.items() if page is _UNKNOWN]
        if missing:
            stored = self._rows.pages(missing)
            for path in missing:
                found[path] = page = stored.get(path, b"")
                self._pages.remember(path, page)
        return found

    def _page(self, path: int) -> bytes:
        page = self._pages.get(path)
        if page is _UNKNOWN:
            page = self._rows.page(path)
            self._pages.remember(path, page)
        return page

    def _expect_pages(self, key_hashes: list[bytes]) -> None:
        """Read the pages on the way to these entries, a level at a time."""
        level = [(pages.TOP, key_hash) for key_hash in key_hashes if self.count > pages.LEAF]
        while level:
            found = self._fetch({path for path, _ in level})
            ways = [(pages.step(found[path], path, key_hash), key_hash) for path, key_hash in level]
            self._fetch({path for (path, known), _ in ways if known is not None})
            level = [(path, key_hash) for (path, known), key_hash in ways if known is None]

    def _keys_on_disk(self) -> Iterator[bytes]:
        after = b""
        while keys := self._rows.keys(after, KEYS_AT_ONCE):
            yield from keys
            after = keys[-1]

    def _due_on_disk(self, slot: int) -> Iterator[tuple[int, bytes]]:
        changed, after = self._changed.changed, (-1, b"")
        while portion := self._rows.due(slot, after, DUE_AT_ONCE):
            yield from (item for item in portion if item[1] not in changed)
            after = portion[-1]

    def _let_go(self) -> None:
        """What the disk has by now need not be kept."""
        stored = self._rows.height
        while self._settled and self._settled[0][0] <= stored:
            _, step = self._settled.popleft()
            for path in step.paths:
                self._pages.release(path)
            for key in step.keys:
                if self._changed.release(key):
                    self._schedule(key, None)

    def _sound(self, look: Callable[[], _V]) -> _V:
        """What ``look`` returns.  Raises :class:`OperatorError`: a page that is missing is damage on disk."""
        try:
            return look()
        except InvariantBroken as error:
            raise self._rows.damaged(str(error)) from error

    # ---------------------------------------------------------------------------------------------- the changes

    def _updated(self, values: Mapping[bytes, bytes | None]) -> replanting.Updated:
        hashed = {
            sha256(key).digest(): None if value is None else sha256(value).digest() for key, value in values.items()
        }
        return self._sound(lambda: replanting.update(self._fetch, self.count, hashed))

    def _tree_after(self, blocks: int) -> Tree | None:
        """The tree after the oldest ``blocks``, where all is kept that those after them changed."""
        later: dict[int, bytes] = {}
        for step in reversed(list(islice(self._steps, blocks, None))):
            if step.before is None:
                return None
            later.update(step.before)
        count = self._steps[blocks].entries if blocks < len(self._steps) else self.count
        moved = {path for step in islice(self._steps, blocks) for path in step.paths}
        changed = self._pages.changed
        return Tree(count, {path: later[path] if path in later else changed[path] for path in sorted(moved)})

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
