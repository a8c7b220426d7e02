"""The state tree as pages: the same root and proofs as :mod:`chain.statetree`, and in memory what an update touches.

A page is a row of bytes under its path: ``1`` followed by the bits that lead to it, as one number, so ``1`` is the top.

* A **leaf** page holds the ascending entries of a subtree that has at most :data:`LEAF` of them, 64 bytes each.  What
  lies between it and its buckets is hashed anew when it is looked at.
* An **inner** page holds the hashes of :data:`LEVELS` levels of a subtree that has more, in heap order: node 1 is the
  top of the page, whose hash is held by the page above, and the children of node n are 2n and 2n + 1.  4 bytes say
  which of its nodes are leaf pages; then come the hashes of nodes 2 to 31, as far as any is used.

Like the tree, the pages follow from the set of entries alone: a subtree is a leaf page if and only if it has at most
:data:`LEAF` entries and the one above it has more.  An empty leaf page has no row.

``update`` reads pages level by level, so a store that is far away is asked a bounded number of times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple, TypeAlias

from chain.errors import InvariantBroken
from chain.statetree import (
    BUCKET_BYTES,
    EMPTY,
    ENTRY_BYTES,
    HASH_BYTES,
    MAX_DEPTH,
    Proof,
    hash_bucket,
    hash_pair,
    hash_root,
    put,
)

LEVELS = 4
LEAF = 32
LEAF_BYTES = LEAF * ENTRY_BYTES
TOP = 1
# A path has to fit 64 bits with its sign.  Two keys that share 60 bits cost 2^30 hashes each; there leaf pages grow.
MAX_PAGE_DEPTH = 60
_NODES = 2 << LEVELS
_BOTTOM = 1 << LEVELS
_FLAGS_BYTES = _NODES >> 3
_DAMAGED = "a page of the state tree is missing or damaged"

Fetch: TypeAlias = Callable[[Iterable[int]], Mapping[int, bytes]]
"""The pages under these paths, as far as there are any."""


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
    work = _Work(fetch, sorted(changes), changes)
    if not changes:
        return Updated(count, work.top_hash(count), {})
    work.load(is_leaf=count <= LEAF)
    top = work.change(is_leaf=count <= LEAF)
    return Updated(count + work.grown, top, work.changed())


def root(fetch: Fetch, count: int) -> bytes:
    """The state root over ``count`` entries, as the page at the top has it."""
    return update(fetch, count, {}).root


def find(fetch: Fetch, count: int, key_hash: bytes) -> bytes | None:
    """The SHA-256 of the value of an entry, by that of its key; None where there is none.

    Raises :class:`InvariantBroken` where a page is missing.
    """
    number = int.from_bytes(key_hash, "big")
    path, is_leaf, depth, known = TOP, count <= LEAF, 0, b""
    while not is_leaf:
        row = fetch((path,)).get(path, b"")
        flags, node = int.from_bytes(row[:_FLAGS_BYTES], "big"), 1
        while node < _BOTTOM and not flags >> node & 1:
            node = 2 * node | number >> (MAX_DEPTH - 1 - depth) & 1
            depth += 1
        at = _FLAGS_BYTES + (node - 2) * HASH_BYTES
        known, is_leaf = row[at : at + HASH_BYTES], bool(flags >> node & 1)
        if len(known) != HASH_BYTES:
            raise InvariantBroken(_DAMAGED)
        path = 1 << depth | number >> (MAX_DEPTH - depth)
    entries = fetch((path,)).get(path, b"")
    _check_leaf(entries, known)
    at = entries.find(key_hash)
    while at % ENTRY_BYTES and at >= 0:  # part of another entry
        at = entries.find(key_hash, at + 1)
    return None if at < 0 else entries[at + HASH_BYTES : at + ENTRY_BYTES]


def prove(fetch: Fetch, count: int, key: bytes) -> Proof:
    """What shows the entry of ``key``, or that there is none: :func:`chain.statetree.verify_proof` checks it.

    Raises :class:`InvariantBroken` where a page is missing.
    """
    key_hash = sha256(key).digest()
    number = int.from_bytes(key_hash, "big")
    siblings: list[bytes] = []
    path, is_leaf, depth, known = TOP, count <= LEAF, 0, b""
    while not is_leaf:
        page = _Page.decode(fetch((path,)).get(path, b""))
        node = 1
        while node < _BOTTOM and not page.flags >> node & 1:
            node = 2 * node | number >> (MAX_DEPTH - 1 - depth) & 1
            depth += 1
            siblings.append(page.hash_of(node ^ 1))
        known, is_leaf = page.hash_of(node), bool(page.flags >> node & 1)
        path = 1 << depth | number >> (MAX_DEPTH - depth)
    entries = fetch((path,)).get(path, b"")
    _check_leaf(entries, known)
    while len(entries) > BUCKET_BYTES:
        sides = _halves(entries, depth)
        bit = number >> (MAX_DEPTH - 1 - depth) & 1
        depth += 1
        siblings.append(_hash_entries(sides[1 - bit], depth))
        entries = sides[bit]
    return Proof(count, entries, tuple(siblings))


def check(path: int, row: bytes, *, is_leaf: bool) -> bytes:
    """The hash of the node that a page is of, made from all of the page.

    Raises :class:`InvariantBroken` for a page that does not agree with itself.
    """
    depth = path.bit_length() - 1
    if is_leaf:
        if len(row) % ENTRY_BYTES or (depth < MAX_PAGE_DEPTH and len(row) > LEAF_BYTES):
            raise InvariantBroken(_DAMAGED)
        return _hash_entries(row, depth)
    page = _Page.decode(row)
    for node in range(_BOTTOM - 1, 1, -1):
        below = hash_pair(page.hash_of(2 * node), page.hash_of(2 * node + 1))
        is_used = page.hash_of(2 * node) != EMPTY or page.hash_of(2 * node + 1) != EMPTY
        if is_used and below != page.hash_of(node):
            raise InvariantBroken(_DAMAGED)
    return hash_pair(page.hash_of(2), page.hash_of(3))


def children(path: int, row: bytes) -> list[tuple[int, bytes, bool]]:
    """The pages below an inner one: the path of each, the hash that it must have, and whether it is a leaf.

    Raises :class:`InvariantBroken` for a page that is no inner one.
    """
    page = _Page.decode(row)
    below: list[tuple[int, bytes, bool]] = []
    nodes = [3, 2]
    while nodes:
        node = nodes.pop()
        is_leaf = bool(page.flags >> node & 1)
        if is_leaf or node >= _BOTTOM:
            level = node.bit_length() - 1
            below.append((path << level | node ^ 1 << level, page.hash_of(node), is_leaf))
        else:
            nodes += (2 * node + 1, 2 * node)
    return below


def _check_leaf(entries: bytes, known: bytes) -> None:
    """A leaf page without entries has no row; one that has lost its row is missing."""
    if not entries and known not in (b"", EMPTY):
        raise InvariantBroken(_DAMAGED)


def _halves(entries: bytes, depth: int) -> tuple[bytes, bytes]:
    """Ascending entries that share ``depth`` bits, parted by the next one."""
    byte, bit = depth >> 3, 0x80 >> (depth & 7)
    low, high = 0, len(entries) // ENTRY_BYTES
    while low < high:
        middle = (low + high) >> 1
        if entries[middle * ENTRY_BYTES + byte] & bit:
            high = middle
        else:
            low = middle + 1
    return entries[: low * ENTRY_BYTES], entries[low * ENTRY_BYTES :]


def _hash_entries(entries: bytes, depth: int) -> bytes:
    """The hash of the subtree at ``depth`` over these ascending entries."""
    if len(entries) <= BUCKET_BYTES:
        return hash_bucket(entries)
    left, right = _halves(entries, depth)
    return hash_pair(_hash_entries(left, depth + 1), _hash_entries(right, depth + 1))


class _Page:
    """An inner page while it is looked at or changed."""

    __slots__ = ("flags", "hashes")

    def __init__(self, flags: int, hashes: bytearray) -> None:
        self.flags = flags
        self.hashes = hashes

    @classmethod
    def decode(cls, row: bytes) -> _Page:
        """Raises :class:`InvariantBroken` where this is no inner page."""
        if len(row) % HASH_BYTES != _FLAGS_BYTES or len(row) > _FLAGS_BYTES + (_NODES - 2) * HASH_BYTES:
            raise InvariantBroken(_DAMAGED)
        hashes = bytearray(_NODES * HASH_BYTES)
        hashes[2 * HASH_BYTES : 2 * HASH_BYTES + len(row) - _FLAGS_BYTES] = row[_FLAGS_BYTES:]
        return cls(int.from_bytes(row[:_FLAGS_BYTES], "big"), hashes)

    @classmethod
    def blank(cls) -> _Page:
        return cls(0, bytearray(_NODES * HASH_BYTES))

    def encode(self) -> bytes:
        """Up to the deepest level that has a node: that follows from the entries, like all of the page."""
        last = max(len(self.hashes.rstrip(b"\0")) - 1 >> 5, self.flags.bit_length() - 1)
        return self.flags.to_bytes(_FLAGS_BYTES, "big") + self.hashes[2 * HASH_BYTES : HASH_BYTES << last.bit_length()]

    def hash_of(self, node: int) -> bytes:
        return bytes(self.hashes[node * HASH_BYTES : (node + 1) * HASH_BYTES])

    def put(self, node: int, digest: bytes, *, is_leaf: bool) -> None:
        self.hashes[node * HASH_BYTES : (node + 1) * HASH_BYTES] = digest
        self.flags = self.flags | 1 << node if is_leaf else self.flags & ~(1 << node)


# What a subtree came to: its hash, and its entries where they fit into one leaf page.
_Subtree: TypeAlias = tuple[bytes, bytes | None]


class _Work:
    """One update.  Changes are named by their range in the ascending keys."""

    def __init__(self, fetch: Fetch, keys: list[bytes], changes: Mapping[bytes, bytes | None]) -> None:
        self._fetch = fetch
        self._keys = keys
        self._numbers = [int.from_bytes(key, "big") for key in keys]
        self._changes = changes
        self._before: dict[int, bytes] = {}
        self._after: dict[int, bytes] = {}
        self._inner: dict[int, _Page] = {}
        self.grown = 0

    def changed(self) -> dict[int, Change]:
        """The pages that are not what they were."""
        return {
            path: Change(self._before[path], after)
            for path, after in sorted(self._after.items())
            if self._before.setdefault(path, b"") != after
        }

    def top_hash(self, count: int) -> bytes:
        """The hash of the top node, where nothing changes."""
        row = self._read(TOP)
        if count <= LEAF:
            return _hash_entries(row, 0)
        page = _Page.decode(row)
        return hash_pair(page.hash_of(2), page.hash_of(3))

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
                    _check_leaf(self._before[path], known)

    def _below(self, path: int, depth: int, low: int, high: int) -> list[tuple[int, int, int, int, bytes | None]]:
        """The pages below an inner page on the way to these changes: path, depth, range, and the hash of a leaf."""
        page = self._page(path)
        flags = page.flags
        parts: list[tuple[int, int, int, int, bytes | None]] = []
        while low < high:
            number, node, at = self._numbers[low], 1, depth
            while node < _BOTTOM and not flags >> node & 1:
                node = 2 * node | number >> (MAX_DEPTH - 1 - at) & 1
                at += 1
            prefix, end = number >> (MAX_DEPTH - at), low + 1
            while end < high and self._numbers[end] >> (MAX_DEPTH - at) == prefix:
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

    def _page(self, path: int) -> _Page:
        page = self._inner.get(path)
        if page is None:
            page = self._inner[path] = _Page.decode(self._before[path])
        return page

    # ----------------------------------------------------------------------------------------------- changing

    def change(self, *, is_leaf: bool) -> bytes:
        """Make all changes; returns the hash of the top node."""
        if is_leaf:
            entries = self._edited(TOP, 0, len(self._keys))
            digest, leaf = self._subtree(0, 0, entries)
        else:
            digest, leaf = self._below_page(0, 0, 0, len(self._keys))
        if leaf is not None:
            self._after[TOP] = leaf
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

    def _one(self, page: _Page, depth: int, index: int) -> bytes:
        """What :meth:`_node` does in the usual case, one entry that is set: nothing shrinks, nothing is joined."""
        number, flags, node = self._numbers[index], page.flags, 1
        while node < _BOTTOM and not flags >> node & 1:
            node = 2 * node | number >> (MAX_DEPTH - 1 - depth) & 1
            depth += 1
        prefix = number >> (MAX_DEPTH - depth)
        digest, leaf = self._node(page, node, depth, prefix, index, index + 1)
        hashes = page.hashes
        self._keep(page, node, depth, prefix, (digest, leaf))
        while node > 1:
            node >>= 1
            digest = sha256(b"\x01" + hashes[2 * node * HASH_BYTES : 2 * (node + 1) * HASH_BYTES]).digest()
            if node > 1:
                hashes[node * HASH_BYTES : (node + 1) * HASH_BYTES] = digest
        return digest

    def _node(self, page: _Page, node: int, depth: int, prefix: int, low: int, high: int) -> _Subtree:
        """Change what is below a node of a page."""
        if page.flags >> node & 1:
            entries = self._edited(1 << depth | prefix, low, high)
            return self._part(page, node, depth, prefix, entries)
        if node >= _BOTTOM:
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
                return _hash_entries(joined, depth), joined
        for side, subtree in enumerate(sides):
            if subtree is not None:
                self._keep(page, 2 * node + side, depth + 1, 2 * prefix + side, subtree)
        at = 2 * node * HASH_BYTES
        return sha256(b"\x01" + page.hashes[at : at + 2 * HASH_BYTES]).digest(), None

    def _middle(self, depth: int, low: int, high: int) -> int:
        """Where the changes begin whose key has a one after ``depth`` bits."""
        shift = MAX_DEPTH - 1 - depth
        while low < high:
            middle = (low + high) >> 1
            if self._numbers[middle] >> shift & 1:
                high = middle
            else:
                low = middle + 1
        return low

    def _keep(self, page: _Page, node: int, depth: int, prefix: int, subtree: _Subtree) -> None:
        digest, leaf = subtree
        page.put(node, digest, is_leaf=leaf is not None)
        if leaf is not None:
            self._after[1 << depth | prefix] = leaf

    def _joined(self, page: _Page, node: int, depth: int, prefix: int, sides: list[_Subtree | None]) -> bytes | None:
        """The entries below a node whose halves are leaf pages and fit into one; they are taken out of the page."""
        halves: list[bytes] = []
        for side, subtree in enumerate(sides):
            if subtree is None:
                is_leaf = page.flags >> (2 * node + side) & 1
                leaf = self._read(1 << depth + 1 | 2 * prefix + side) if is_leaf else None
                if leaf is not None:
                    _check_leaf(leaf, page.hash_of(2 * node + side))
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

    def _part(self, page: _Page, node: int, depth: int, prefix: int, entries: bytes) -> _Subtree:
        """The subtree over ``entries`` at a node of a page, with its pages below."""
        if len(entries) <= LEAF_BYTES or depth == MAX_PAGE_DEPTH:
            return _hash_entries(entries, depth), entries
        self._after[1 << depth | prefix] = b""
        if node >= _BOTTOM:
            return self._subtree(depth, prefix, entries)
        for side, half in enumerate(_halves(entries, depth)):
            child, below = 2 * node + side, 2 * prefix + side
            self._keep(page, child, depth + 1, below, self._part(page, child, depth + 1, below, half))
        at = 2 * node * HASH_BYTES
        return sha256(b"\x01" + page.hashes[at : at + 2 * HASH_BYTES]).digest(), None

    def _subtree(self, depth: int, prefix: int, entries: bytes) -> _Subtree:
        """The subtree over ``entries`` where a page begins: a leaf page, or an inner one."""
        if len(entries) <= LEAF_BYTES or depth == MAX_PAGE_DEPTH:
            return _hash_entries(entries, depth), entries
        page = _Page.blank()
        subtree = self._part(page, 1, depth, prefix, entries)
        self._after[1 << depth | prefix] = page.encode()
        return subtree
