"""Changing the state tree where it is kept as pages (:mod:`chain.pages`): what an update comes to, page by page.

Pages are read level by level, so a store that is far away is asked a bounded number of times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple, TypeAlias

from chain.pages import (
    BOTTOM,
    LEAF,
    LEAF_BYTES,
    LEVELS,
    MAX_PAGE_DEPTH,
    TOP,
    Fetch,
    Page,
    check_leaf,
    halves,
    hash_entries,
    top,
    way,
)
from chain.statetree import EMPTY, ENTRY_BYTES, HASH_BYTES, hash_pair, hash_root, put

# The part of a key that decides on which page it is.
KEY_BITS = 64


class Change(NamedTuple):
    """A page before and after an update: ``b""`` where there is none."""

    before: bytes
    after: bytes


@dataclass(frozen=True, slots=True)
class Updated:
    """What an update comes to: the new number of entries, the hash of the top node, and each page that changed."""

    count: int
    top: bytes
    pages: Mapping[int, Change]

    @property
    def root(self) -> bytes:
        """The state root, 32 bytes."""
        return hash_root(self.count, self.top)


def update(fetch: Fetch, count: int, changes: Mapping[bytes, bytes | None]) -> Updated:
    """Set entries, by the SHA-256 of their keys, to the SHA-256 of their values; remove those whose value is None.

    ``count`` is the number of entries so far.  Nothing is written: the caller keeps ``pages``, or drops them.
    Removing an absent key changes nothing.  Raises :class:`InvariantBroken` where a page is missing.
    """
    if not changes:
        return Updated(count, top(fetch, count), {})
    work = _Work(fetch, sorted(changes), changes)
    work.load(is_leaf=count <= LEAF)
    digest = work.change(is_leaf=count <= LEAF)
    return Updated(count + work.grown, digest, work.changed())


def planted(path: int, entries: bytes) -> tuple[bytes, dict[int, bytes]]:
    """A subtree made at once, of its ascending entries: its hash, and all its pages.  A page begins at ``path``."""
    work = _Work(lambda _: {}, [], {})
    digest = work.plant(path, entries)
    return digest, {path: change.after for path, change in work.changed().items()}


def crowned(hashes: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The hash of an inner page, and the page, under whose lowest nodes inner pages of these ``hashes`` stand."""
    page = Page.blank()
    for node, digest in enumerate(hashes, BOTTOM):
        page.put(node, digest, is_leaf=False)
    for node in range(BOTTOM - 1, 1, -1):
        page.put(node, hash_pair(page.hash_of(2 * node), page.hash_of(2 * node + 1)), is_leaf=False)
    return hash_pair(page.hash_of(2), page.hash_of(3)), page.encode()


# What a subtree came to: its hash, and its entries where they fit into one leaf page.
_Subtree: TypeAlias = tuple[bytes, bytes | None]


class _Work:
    """One update.  Changes are named by their range in the ascending keys."""

    def __init__(self, fetch: Fetch, keys: list[bytes], changes: Mapping[bytes, bytes | None]) -> None:
        self._fetch = fetch
        self._keys = keys
        self._numbers = [int.from_bytes(key[:8], "big") for key in keys]
        self._changes = changes
        self._before: dict[int, bytes] = {}
        self._after: dict[int, bytes] = {}
        self._inner: dict[int, Page] = {}
        self.grown = 0

    def changed(self) -> dict[int, Change]:
        """The pages that are not what they were."""
        return {
            path: Change(self._before[path], after)
            for path, after in sorted(self._after.items())
            if self._before.setdefault(path, b"") != after
        }

    # ------------------------------------------------------------------------------------------------ reading

    def load(self, *, is_leaf: bool) -> None:
        """Read what the changes touch, a level of pages at a time."""
        self._read_all([TOP])
        level = [] if is_leaf else [(TOP, 0, 0, len(self._keys))]
        while level:
            below = [part for path, depth, low, high in level for part in self._below(path, depth, low, high)]
            self._read_all([path for path, *_ in below])
            level = [(path, depth, low, high) for path, depth, low, high, known in below if known is None]
            for path, _, _, _, known in below:
                if known is not None:
                    check_leaf(self._before[path], known)

    def _below(self, path: int, depth: int, low: int, high: int) -> list[tuple[int, int, int, int, bytes | None]]:
        """The pages below an inner page on the way to these changes: path, depth, range, and the hash of a leaf."""
        page = self._page(path)
        flags = page.flags
        parts: list[tuple[int, int, int, int, bytes | None]] = []
        while low < high:
            number = self._numbers[low]
            node = way(flags, number >> KEY_BITS - depth - LEVELS & 15)
            at = depth + node.bit_length() - 1
            prefix, end = number >> (KEY_BITS - at), low + 1
            while end < high and self._numbers[end] >> (KEY_BITS - at) == prefix:
                end += 1
            parts.append((1 << at | prefix, at, low, end, page.hash_of(node) if flags >> node & 1 else None))
            low = end
        return parts

    def _read_all(self, paths: list[int]) -> None:
        rows = self._fetch(paths)
        for path in paths:
            self._before[path] = rows.get(path, b"")

    def _read(self, path: int) -> bytes:
        after = self._after.get(path)
        if after is not None:
            return after
        if path not in self._before:  # beside the way: it may have to be joined with what shrank
            self._read_all([path])
        return self._before[path]

    def _page(self, path: int) -> Page:
        page = self._inner.get(path)
        if page is None:
            page = self._inner[path] = Page.decode(self._before[path])
        return page

    # ----------------------------------------------------------------------------------------------- changing

    def change(self, *, is_leaf: bool) -> bytes:
        """Make all changes; returns the hash of the top node."""
        if is_leaf:
            entries = self._edited(TOP, 0, len(self._keys))
            return self.plant(TOP, entries)
        digest, leaf = self._below_page(0, 0, 0, len(self._keys))
        if leaf is not None:
            self._after[TOP] = leaf
        return digest

    def plant(self, path: int, entries: bytes) -> bytes:
        """Let ``entries`` be all below where a page begins; returns the hash of that node."""
        depth = path.bit_length() - 1
        digest, leaf = self._subtree(depth, path ^ 1 << depth, entries)
        if leaf is not None:
            self._after[path] = leaf
        return digest

    def _edited(self, path: int, low: int, high: int) -> bytes:
        """The entries of a leaf page after the changes in this range."""
        entries = before = self._read(path)
        if high - low > LEAF:
            entries = self._merged(before, low, high)
        else:
            for key in self._keys[low:high]:
                entries = put(entries, key, self._changes[key])
        self.grown += (len(entries) - len(before)) // ENTRY_BYTES
        return entries

    def _merged(self, before: bytes, low: int, high: int) -> bytes:
        """The same for many changes at once, as when a tree is built."""
        pairs = {
            before[at : at + HASH_BYTES]: before[at + HASH_BYTES : at + ENTRY_BYTES]
            for at in range(0, len(before), ENTRY_BYTES)
        }
        for key in self._keys[low:high]:
            value = self._changes[key]
            if value is not None:
                pairs[key] = value
            else:
                pairs.pop(key, None)
        return b"".join(key + pairs[key] for key in sorted(pairs))

    def _below_page(self, depth: int, prefix: int, low: int, high: int) -> _Subtree:
        """Change what is below an inner page; where that fits into a leaf page now, there is no inner one any more."""
        path = 1 << depth | prefix
        page = self._page(path)
        if high - low == 1 and self._changes[self._keys[low]] is not None:
            digest, leaf = self._one(page, depth, low), None
        else:
            digest, leaf = self._node(page, 1, depth, prefix, low, high)
        self._after[path] = page.encode() if leaf is None else b""
        return digest, leaf

    def _one(self, page: Page, depth: int, index: int) -> bytes:
        """What :meth:`_node` does in the usual case, one entry that is set: nothing shrinks, nothing is joined."""
        number = self._numbers[index]
        node = way(page.flags, number >> KEY_BITS - depth - LEVELS & 15)
        depth += node.bit_length() - 1
        prefix = number >> (KEY_BITS - depth)
        digest, leaf = self._node(page, node, depth, prefix, index, index + 1)
        hashes = page.hashes
        self._keep(page, node, depth, prefix, (digest, leaf))
        while node > 1:
            node >>= 1
            digest = sha256(b"\x01" + hashes[2 * node * HASH_BYTES : 2 * (node + 1) * HASH_BYTES]).digest()
            if node > 1:
                hashes[node * HASH_BYTES : (node + 1) * HASH_BYTES] = digest
        return digest

    def _node(self, page: Page, node: int, depth: int, prefix: int, low: int, high: int) -> _Subtree:
        """Change what is below a node of a page."""
        if page.flags >> node & 1:
            entries = self._edited(1 << depth | prefix, low, high)
            return self._part(page, node, depth, prefix, entries)
        if node >= BOTTOM:
            return self._below_page(depth, prefix, low, high)
        grown = self.grown
        middle = self._middle(depth, low, high)
        sides: list[_Subtree | None] = [None, None]
        for side, (begin, end) in enumerate(((low, middle), (middle, high))):
            if begin < end:
                sides[side] = self._node(page, 2 * node + side, depth + 1, 2 * prefix + side, begin, end)
        if self.grown < grown:
            joined = self._joined(page, node, depth, prefix, sides)
            if joined is not None:
                return hash_entries(joined, depth), joined
        for side, subtree in enumerate(sides):
            if subtree is not None:
                self._keep(page, 2 * node + side, depth + 1, 2 * prefix + side, subtree)
        at = 2 * node * HASH_BYTES
        return sha256(b"\x01" + page.hashes[at : at + 2 * HASH_BYTES]).digest(), None

    def _middle(self, depth: int, low: int, high: int) -> int:
        """Where the changes begin whose key has a one after ``depth`` bits."""
        shift = KEY_BITS - 1 - depth
        while low < high:
            middle = (low + high) >> 1
            if self._numbers[middle] >> shift & 1:
                high = middle
            else:
                low = middle + 1
        return low

    def _keep(self, page: Page, node: int, depth: int, prefix: int, subtree: _Subtree) -> None:
        digest, leaf = subtree
        page.put(node, digest, is_leaf=leaf is not None)
        if leaf is not None:
            self._after[1 << depth | prefix] = leaf

    def _joined(self, page: Page, node: int, depth: int, prefix: int, sides: list[_Subtree | None]) -> bytes | None:
        """The entries below a node whose halves are leaf pages and fit into one; they are taken out of the page."""
        halves: list[bytes] = []
        for side, subtree in enumerate(sides):
            if subtree is None:
                is_leaf = page.flags >> (2 * node + side) & 1
                leaf = self._read(1 << depth + 1 | 2 * prefix + side) if is_leaf else None
                if leaf is not None:
                    check_leaf(leaf, page.hash_of(2 * node + side))
            else:
                leaf = subtree[1]
            if leaf is None:
                return None
            halves.append(leaf)
        joined = b"".join(halves)
        if len(joined) > LEAF_BYTES:
            return None
        for side in range(2):
            page.put(2 * node + side, EMPTY, is_leaf=False)
            self._after[1 << depth + 1 | 2 * prefix + side] = b""
        return joined

    def _part(self, page: Page, node: int, depth: int, prefix: int, entries: bytes) -> _Subtree:
        """The subtree over ``entries`` at a node of a page, with its pages below."""
        if len(entries) <= LEAF_BYTES or depth == MAX_PAGE_DEPTH:
            return hash_entries(entries, depth), entries
        self._after[1 << depth | prefix] = b""
        if node >= BOTTOM:
            return self._subtree(depth, prefix, entries)
        for side, half in enumerate(halves(entries, depth)):
            child, below = 2 * node + side, 2 * prefix + side
            self._keep(page, child, depth + 1, below, self._part(page, child, depth + 1, below, half))
        at = 2 * node * HASH_BYTES
        return sha256(b"\x01" + page.hashes[at : at + 2 * HASH_BYTES]).digest(), None

    def _subtree(self, depth: int, prefix: int, entries: bytes) -> _Subtree:
        """The subtree over ``entries`` where a page begins: a leaf page, or an inner one."""
        if len(entries) <= LEAF_BYTES or depth == MAX_PAGE_DEPTH:
            return hash_entries(entries, depth), entries
        page = Page.blank()
        subtree = self._part(page, 1, depth, prefix, entries)
        self._after[1 << depth | prefix] = page.encode()
        return subtree
