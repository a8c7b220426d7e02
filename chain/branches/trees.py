"""The tree over a state that is on disk, at the head and with the way back.

It stands on its pages (:mod:`chain.tree.planting`): in memory is what was looked at or changed, of a small tree all of
it.  An older tree shares with a later one what did not change, so the way back is the tree that was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

from chain.branches.layers import Rows
from chain.branches.store import Tree
from chain.tree.pages import LEAF, LEVELS, is_inner
from chain.tree.planting import bring, forget, pages_between, standing
from chain.tree.stateproof import Proof
from chain.tree.statetree import StateTree

# After so many pages were read, or grown, what lies below the upper ones is forgotten: some 60 MB.
NEAR_PAGES = 32_768
# Above that, 4,096 pages and those over them stay.
UPPER_DEPTH = 3 * LEVELS

Hashes: TypeAlias = Mapping[bytes, bytes | None]
"""Changed entries, by the SHA-256 of their keys, as that of their values; None where one is gone."""


class TreeOnDisk:
    """The tree of ``count`` entries at the head.  It moves a block at a time; each leaves the way back.

    Raises :class:`InvariantBroken` wherever a page is missing or damaged.
    """

    def __init__(self, rows: Rows, count: int) -> None:
        self._rows = rows
        # Pages that were read, and entries that are new, since anything was forgotten.
        self._read = self._grown = 0
        # Inner pages as they are on disk, or are about to be.
        self._inner: dict[int, bytes] = {}
        self._tree = self._settled = standing(self._page, count)

    @property
    def now(self) -> StateTree:
        """The tree itself, as it is."""
        return self._tree

    @property
    def root(self) -> bytes:
        """32 bytes: the root over every entry."""
        return self._tree.root

    def __len__(self) -> int:
        """How many entries there are."""
        return len(self._tree)

    def find(self, key_hash: bytes) -> bytes | None:
        """The SHA-256 of the value of an entry, by that of its key; None where there is none."""
        return self._tree.find(key_hash)

    def find_all(self, key_hashes: Iterable[bytes]) -> Mapping[bytes, bytes | None]:
        """The same for many, which costs less at once."""
        return bring(self._tree, key_hashes, self._fetch)

    def prove(self, key: bytes) -> Proof:
        """What shows the entry of ``key``, or that there is none."""
        return self._tree.prove(key)

    def forward(self, hashes: Hashes) -> StateTree:
        """Make changes; returns the way back."""
        if self._rows.are_far:
            bring(self._tree, hashes, self._fetch)
        before, self._tree = self._tree, self._tree.changed(hashes)
        self._grown += max(0, len(self._tree) - len(before))
        return before

    def back(self, way: StateTree | None, hashes: Callable[[], Hashes]) -> None:
        """Take back the changes that were made last.  Without a ``way``, ``hashes`` are what was before them."""
        self._tree = self._tree.changed(hashes()) if way is None else way

    def settle(self, way: StateTree | None, hashes: Callable[[], Hashes]) -> Tree:
        """What the blocks that settle make of the tree on disk.

        ``way`` is the tree where they end, or None where only ``hashes`` tell it: the changes that settle.
        """
        before = self._settled
        self._settled = after = before.changed(hashes()) if way is None else way
        return Tree(len(after), partial(pages_between, before, after, self._inner))

    def let_go(self, ways: Sequence[StateTree | None]) -> None:
        """All that settled is on disk: forget what was read, if it is too much.  ``ways`` are all that may be gone."""
        if self._read + self._grown // LEAF > NEAR_PAGES:
            self._read = self._grown = 0
            self._inner = {path: row for path, row in self._inner.items() if not path >> UPPER_DEPTH}
            trees = (self._settled, *(way for way in ways if way is not None), self._tree)
            forget(trees, UPPER_DEPTH, self._page)

    def _page(self, path: int) -> bytes:
        return self._fetch((path,)).get(path, b"")

    def _fetch(self, paths: Iterable[int]) -> Mapping[int, bytes]:
        asked = list(paths)
        rows = self._rows.pages(asked) if len(asked) > 1 else {path: self._rows.page(path) for path in asked}
        self._read += len(asked)
        self._inner.update((path, row) for path, row in rows.items() if is_inner(row))
        return rows
