"""The tree over a state that is on disk, at the head and with the way back.

Of a small state it is all in memory (:class:`HeldTree`), and pages are made of it when a state settles; of a large one
there are the pages that were looked at lately and those that are not on disk yet (:class:`PagedTree`).  What each says
of the state is the same: the tree, and its pages too, follow from the entries alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from chain import pages, replanting
from chain.layers import UNKNOWN, Layer, Rows
from chain.planting import pages_between, uprooted
from chain.replanting import Change
from chain.statetree import Proof, StateTree
from chain.store import Tree

# Twice as many are kept of what was read lately: about 45 MB.
RECENT_PAGES = 16_384

Hashes: TypeAlias = Mapping[bytes, bytes | None]
"""Changed entries, by the SHA-256 of their keys, as that of their values; None where one is gone."""

_Way = TypeVar("_Way")


class TreeOnDisk(ABC, Generic[_Way]):
    """The tree at the head.  It moves a block at a time; each leaves the way back to what was before it.

    Raises :class:`InvariantBroken` wherever a page is missing or damaged.
    """

    @property
    @abstractmethod
    def root(self) -> bytes:
        """32 bytes: the root over every entry."""

    @abstractmethod
    def __len__(self) -> int:
        """How many entries there are."""

    @abstractmethod
    def find(self, key_hash: bytes) -> bytes | None:
        """The SHA-256 of the value of an entry, by that of its key; None where there is none."""

    @abstractmethod
    def prove(self, key: bytes) -> Proof:
        """What shows the entry of ``key``, or that there is none."""

    @abstractmethod
    def find_all(self, key_hashes: Iterable[bytes]) -> Mapping[bytes, bytes | None]:
        """The same for many, which costs less at once."""

    @abstractmethod
    def forward(self, hashes: Hashes) -> _Way:
        """Make changes."""

    @abstractmethod
    def back(self, way: _Way, hashes: Callable[[], Hashes]) -> None:
        """Take back the changes that were made last; ``hashes`` are what was before them."""

    @abstractmethod
    def shorten(self, way: _Way) -> _Way:
        """A way back that needs less memory, and more time."""

    @abstractmethod
    def settle(self, settled: Sequence[_Way], later: Sequence[_Way], hashes: Callable[[], Hashes]) -> Tree | None:
        """What the blocks that settle make of the tree on disk; None where that is not at hand.

        ``later`` are the blocks above them, ``hashes`` the changes that settle.
        """

    @abstractmethod
    def let_go(self, way: _Way) -> None:
        """What a block that settled made of the tree is on disk by now."""


class HeldTree(TreeOnDisk[StateTree | None]):
    """All of a tree in memory; the way back is the tree that was."""

    def __init__(self, rows: Rows, count: int) -> None:
        self._tree = self._settled = uprooted(rows.tree(), count)

    @property
    def root(self) -> bytes:
        return self._tree.root

    def __len__(self) -> int:
        return len(self._tree)

    def find(self, key_hash: bytes) -> bytes | None:
        return self._tree.find(key_hash)

    def prove(self, key: bytes) -> Proof:
        return self._tree.prove(key)

    def find_all(self, key_hashes: Iterable[bytes]) -> Mapping[bytes, bytes | None]:
        return {key_hash: self._tree.find(key_hash) for key_hash in key_hashes}

    def forward(self, hashes: Hashes) -> StateTree | None:
        before, self._tree = self._tree, self._tree.changed(hashes)
        return before

    def back(self, way: StateTree | None, hashes: Callable[[], Hashes]) -> None:
        self._tree = self._tree.changed(hashes()) if way is None else way

    def shorten(self, way: StateTree | None) -> None:
        return None

    def settle(
        self, settled: Sequence[StateTree | None], later: Sequence[StateTree | None], hashes: Callable[[], Hashes]
    ) -> Tree:
        before, after = self._settled, later[0] if later else self._tree
        self._settled = after = before.changed(hashes()) if after is None else after
        return Tree(len(after), partial(pages_between, before, after))

    def let_go(self, way: StateTree | None) -> None:
        """Nothing was kept for that."""

    def outgrown(self, rows: Rows, ways: Sequence[StateTree | None]) -> tuple[PagedTree, list[Leap]] | None:
        """The same as pages, with the ways back; None where they are not at hand.

        What settled must be on disk, and ``ways`` lead back there.
        """
        trees = [tree for tree in (*ways, self._tree) if tree is not None]
        if len(trees) <= len(ways):
            return None
        paged = PagedTree(rows, len(self._settled))
        return paged, [paged.follow(before, after) for before, after in pairwise(trees)]


class Leap(NamedTuple):
    """The way back over a block: how many entries there were, the root, and pages as they were, where that is kept."""

    entries: int
    root: bytes
    paths: tuple[int, ...]
    before: dict[int, bytes] | None


class PagedTree(TreeOnDisk[Leap]):
    """A tree of ``count`` entries of which only what is looked at is in memory."""

    def __init__(self, rows: Rows, count: int) -> None:
        self._rows = rows
        self._count = count
        self._pages: Layer[int, bytes] = Layer(RECENT_PAGES)
        self._root = pages.root(self._fetch, count)

    @property
    def root(self) -> bytes:
        return self._root

    def __len__(self) -> int:
        return self._count

    def find(self, key_hash: bytes) -> bytes | None:
        return pages.find(self._page, self._count, key_hash)

    def prove(self, key: bytes) -> Proof:
        return pages.prove(self._fetch, self._count, key)

    def find_all(self, key_hashes: Iterable[bytes]) -> Mapping[bytes, bytes | None]:
        """Reads the pages on the way to these entries a level at a time."""
        found: dict[bytes, bytes | None] = {}
        first = None if self._count > pages.LEAF else b""
        level = [(pages.TOP, first, key_hash) for key_hash in key_hashes]
        while level:
            rows = self._fetch({path for path, _, _ in level})
            for path, known, key_hash in level:
                if known is not None:
                    found[key_hash] = pages.find_in(rows[path], known, key_hash)
            level = [
                (*pages.step(rows[path], path, key_hash), key_hash) for path, known, key_hash in level if known is None
            ]
        return found

    def forward(self, hashes: Hashes) -> Leap:
        updated = replanting.update(self._fetch, self._count, hashes)
        return self._leap(updated.pages, updated.count, updated.root)

    def follow(self, before: StateTree, after: StateTree) -> Leap:
        """Become what ``after`` is, from what ``before`` is."""
        were = pages_between(after, before)
        changes = {path: Change(were[path], page) for path, page in pages_between(before, after).items()}
        return self._leap(changes, len(after), after.root)

    def back(self, way: Leap, hashes: Callable[[], Hashes]) -> None:
        before: Mapping[int, bytes] | None = way.before
        if before is None:
            updated = replanting.update(self._fetch, self._count, hashes())
            before = {path: change.after for path, change in updated.pages.items()}
        for path in way.paths:
            self._pages.take_back(path, before[path])
        self._count, self._root = way.entries, way.root

    def shorten(self, way: Leap) -> Leap:
        return way._replace(before=None)

    def settle(self, settled: Sequence[Leap], later: Sequence[Leap], hashes: Callable[[], Hashes]) -> Tree | None:
        above: dict[int, bytes] = {}
        for way in reversed(later):
            if way.before is None:
                return None
            above.update(way.before)
        changed = self._pages.changed
        paths = sorted({path for way in settled for path in way.paths})
        moved = {path: above[path] if path in above else changed[path] for path in paths}
        return Tree(later[0].entries if later else self._count, lambda: moved)

    def let_go(self, way: Leap) -> None:
        for path in way.paths:
            self._pages.release(path)

    def _leap(self, changes: Mapping[int, Change], count: int, root: bytes) -> Leap:
        before = {path: change.before for path, change in changes.items()}
        leap = Leap(self._count, self._root, tuple(before), before)
        for path, change in changes.items():
            self._pages.change(path, change.after)
        self._count, self._root = count, root
        return leap

    def _fetch(self, paths: Iterable[int]) -> Mapping[int, bytes]:
        get = self._pages.get
        found = {path: get(path) for path in paths}
        missing = [path for path, page in found.items() if page is UNKNOWN]
        if missing:
            stored = self._rows.pages(missing)
            for path in missing:
                found[path] = page = stored.get(path, b"")
                self._pages.remember(path, page)
        return found

    def _page(self, path: int) -> bytes:
        page = self._pages.get(path)
        if page is UNKNOWN:
            page = self._rows.page(path)
            self._pages.remember(path, page)
        return page
