"""The state tree as pages: the same root and proofs as in memory, and here only what an update touches.

A page is a row of bytes under its path: ``1`` followed by the bits that lead to it, as one number, so ``1`` is the top.

* A **leaf** page holds the ascending entries of a subtree that has at most :data:`LEAF` of them, 64 bytes each.  What
  lies between it and its buckets is hashed anew when it is looked at.
* An **inner** page holds the hashes of :data:`LEVELS` levels of a subtree that has more, in heap order: node 1 is the
  top of the page, whose hash is held by the page above, and the children of node n are 2n and 2n + 1.  4 bytes say
  which of its nodes are leaf pages; then come the hashes of nodes 2 to 31, as far as any is used.

Like the tree, the pages follow from the set of entries alone: a subtree is a leaf page if and only if it has at most
:data:`LEAF` entries and the one above it has more.  An empty leaf page has no row.

They are made of the tree in :mod:`chain.tree.planting`, and the tree of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from typing import TypeAlias

from chain.base.errors import InvariantBroken
from chain.tree.stateproof import (
    BUCKET_BYTES,
    EMPTY,
    ENTRY_BYTES,
    HASH_BYTES,
    MAX_DEPTH,
    Proof,
    hash_bucket,
    hash_pair,
    hash_root,
)

LEVELS = 4
LEAF = 16
LEAF_BYTES = LEAF * ENTRY_BYTES
TOP = 1
# A path has to fit 64 bits with its sign.  Two keys that share 60 bits cost 2^30 hashes each; there leaf pages grow.
MAX_PAGE_DEPTH = 60
NODES = 2 << LEVELS
BOTTOM = 1 << LEVELS
FLAGS_BYTES = NODES >> 3
DAMAGED = "a page of the state tree is missing or damaged"
# By the next four bits of a key: the nodes of a page on its way, as flags.
_WAYS = [
    sum(1 << (1 << level | nibble >> LEVELS - level) for level in range(1, LEVELS + 1)) for nibble in range(1 << LEVELS)
]

Fetch: TypeAlias = Callable[[Iterable[int]], Mapping[int, bytes]]
"""The pages under these paths, as far as there are any."""


def top(fetch: Fetch, count: int) -> bytes:
    """The hash of the top node of a tree of ``count`` entries.  Raises :class:`InvariantBroken` for a missing page."""
    row = fetch((TOP,)).get(TOP, b"")
    if count <= LEAF:
        return hash_entries(row, 0)
    page = Page.decode(row)
    return hash_pair(page.hash_of(2), page.hash_of(3))


def root(fetch: Fetch, count: int) -> bytes:
    """The state root over ``count`` entries, as the page at the top has it."""
    return hash_root(count, top(fetch, count))


def step(row: bytes, path: int, key_hash: bytes) -> tuple[int, bytes | None]:
    """From an inner page to the page below it on the way to a key: its path, and the hash of a leaf, None of another.

    Raises :class:`InvariantBroken` where ``row`` is no inner page.
    """
    depth = path.bit_length() - 1
    byte = key_hash[depth >> 3]
    nibble = byte & 15 if depth & 4 else byte >> 4
    hit = int.from_bytes(row[:FLAGS_BYTES], "big") & _WAYS[nibble]
    if hit:
        node = hit.bit_length() - 1
        level = node.bit_length() - 1
        known = row[FLAGS_BYTES + (node - 2) * HASH_BYTES : FLAGS_BYTES + (node - 1) * HASH_BYTES]
        return path << level | node ^ 1 << level, known
    if len(row) <= FLAGS_BYTES:
        raise InvariantBroken(DAMAGED)
    return path << LEVELS | nibble, None


def is_inner(row: bytes) -> bool:
    """Whether a page looks like an inner one."""
    return len(row) % HASH_BYTES == FLAGS_BYTES


def find(get: Callable[[int], bytes], count: int, key_hash: bytes) -> bytes | None:
    """The SHA-256 of the value of an entry, by that of its key; None where there is none.

    ``get`` is a page, ``b""`` where there is none.  Raises :class:`InvariantBroken` where one is missing.
    """
    path, known = TOP, b"" if count <= LEAF else None
    while known is None:
        path, known = step(get(path), path, key_hash)
    return find_in(get(path), known, key_hash)


def find_in(entries: bytes, known: bytes, key_hash: bytes) -> bytes | None:
    """What :func:`find` finds on a leaf page, of which the page above has the hash ``known``.

    Raises :class:`InvariantBroken` for one that has lost its row.
    """
    check_leaf(entries, known)
    at = entries.find(key_hash)
    while at % ENTRY_BYTES and at >= 0:  # part of another entry
        at = entries.find(key_hash, at + 1)
    return None if at < 0 else entries[at + HASH_BYTES : at + ENTRY_BYTES]


def prove(fetch: Fetch, count: int, key: bytes) -> Proof:
    """What shows the entry of ``key``, or that there is none: :func:`chain.tree.stateproof.verify_proof` checks it.

    Raises :class:`InvariantBroken` where a page is missing.
    """
    return prove_hashed(fetch, count, sha256(key).digest())


def prove_hashed(fetch: Fetch, count: int, key_hash: bytes) -> Proof:
    """:func:`prove` for the SHA-256 of a key, whether or not a key is known that has it."""
    number = int.from_bytes(key_hash, "big")
    siblings: list[bytes] = []
    path, is_leaf, depth, known = TOP, count <= LEAF, 0, b""
    while not is_leaf:
        page = Page.decode(fetch((path,)).get(path, b""))
        node = 1
        while node < BOTTOM and not page.flags >> node & 1:
            node = 2 * node | number >> (MAX_DEPTH - 1 - depth) & 1
            depth += 1
            siblings.append(page.hash_of(node ^ 1))
        known, is_leaf = page.hash_of(node), bool(page.flags >> node & 1)
        path = 1 << depth | number >> (MAX_DEPTH - depth)
    entries = fetch((path,)).get(path, b"")
    check_leaf(entries, known)
    while len(entries) > BUCKET_BYTES:
        sides = halves(entries, depth)
        bit = number >> (MAX_DEPTH - 1 - depth) & 1
        depth += 1
        siblings.append(hash_entries(sides[1 - bit], depth))
        entries = sides[bit]
    return Proof(count, entries, tuple(siblings))


def subtree(fetch: Fetch, count: int, key_hash: bytes, depth: int) -> bytes:
    """The hash of the subtree over all entries whose key hashes begin with the first ``depth`` bits of ``key_hash``.

    It is that of a node of the tree where a node is as deep as that.  Raises :class:`InvariantBroken` where a page is
    missing.
    """
    number = int.from_bytes(key_hash, "big")
    path, is_leaf, at, known = TOP, count <= LEAF, 0, b""
    while not is_leaf:
        page = Page.decode(fetch((path,)).get(path, b""))
        node = 1
        while node < BOTTOM and not page.flags >> node & 1:
            if at == depth:
                return hash_pair(page.hash_of(2 * node), page.hash_of(2 * node + 1))
            node = 2 * node | number >> (MAX_DEPTH - 1 - at) & 1
            at += 1
        known, is_leaf = page.hash_of(node), bool(page.flags >> node & 1)
        if at == depth:
            return known
        path = 1 << at | number >> (MAX_DEPTH - at)
    entries = fetch((path,)).get(path, b"")
    check_leaf(entries, known)
    while at < depth and entries:
        entries = halves(entries, at)[number >> (MAX_DEPTH - 1 - at) & 1]
        at += 1
    return hash_entries(entries, depth)


def check(path: int, row: bytes, *, is_leaf: bool) -> bytes:
    """The hash of the node that a page is of, made from all of the page.

    Raises :class:`InvariantBroken` for a page that does not agree with itself.
    """
    depth = path.bit_length() - 1
    if is_leaf:
        if len(row) % ENTRY_BYTES or (depth < MAX_PAGE_DEPTH and len(row) > LEAF_BYTES):
            raise InvariantBroken(DAMAGED)
        return hash_entries(row, depth)
    page = Page.decode(row)
    for node in range(BOTTOM - 1, 1, -1):
        below = hash_pair(page.hash_of(2 * node), page.hash_of(2 * node + 1))
        is_used = page.hash_of(2 * node) != EMPTY or page.hash_of(2 * node + 1) != EMPTY
        if is_used and below != page.hash_of(node):
            raise InvariantBroken(DAMAGED)
    return hash_pair(page.hash_of(2), page.hash_of(3))


def children(path: int, row: bytes) -> list[tuple[int, bytes, bool]]:
    """The pages below an inner one: the path of each, the hash that it must have, and whether it is a leaf.

    Raises :class:`InvariantBroken` for a page that is no inner one.
    """
    page = Page.decode(row)
    below: list[tuple[int, bytes, bool]] = []
    nodes = [3, 2]
    while nodes:
        node = nodes.pop()
        is_leaf = bool(page.flags >> node & 1)
        if is_leaf or node >= BOTTOM:
            level = node.bit_length() - 1
            below.append((path << level | node ^ 1 << level, page.hash_of(node), is_leaf))
        else:
            nodes += (2 * node + 1, 2 * node)
    return below


def check_leaf(entries: bytes, known: bytes) -> None:
    """A leaf page without entries has no row.  Raises :class:`InvariantBroken` for one that has lost its row."""
    if not entries and known not in (b"", EMPTY):
        raise InvariantBroken(DAMAGED)


def halves(entries: bytes, depth: int) -> tuple[bytes, bytes]:
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


def hash_entries(entries: bytes, depth: int) -> bytes:
    """The hash of the subtree at ``depth`` over these ascending entries."""
    if len(entries) <= BUCKET_BYTES:
        return hash_bucket(entries)
    left, right = halves(entries, depth)
    return hash_pair(hash_entries(left, depth + 1), hash_entries(right, depth + 1))


class Page:
    """An inner page while it is looked at or changed."""

    __slots__ = ("flags", "hashes")

    def __init__(self, flags: int, hashes: bytearray) -> None:
        self.flags = flags
        self.hashes = hashes

    @classmethod
    def decode(cls, row: bytes) -> Page:
        """Raises :class:`InvariantBroken` where this is no inner page."""
        if len(row) % HASH_BYTES != FLAGS_BYTES or len(row) > FLAGS_BYTES + (NODES - 2) * HASH_BYTES:
            raise InvariantBroken(DAMAGED)
        hashes = bytearray(NODES * HASH_BYTES)
        hashes[2 * HASH_BYTES : 2 * HASH_BYTES + len(row) - FLAGS_BYTES] = row[FLAGS_BYTES:]
        return cls(int.from_bytes(row[:FLAGS_BYTES], "big"), hashes)

    @classmethod
    def blank(cls) -> Page:
        return cls(0, bytearray(NODES * HASH_BYTES))

    def encode(self) -> bytes:
        """Up to the deepest level that has a node: that follows from the entries, like all of the page."""
        last = max(len(self.hashes.rstrip(b"\0")) - 1 >> 5, self.flags.bit_length() - 1)
        return self.flags.to_bytes(FLAGS_BYTES, "big") + self.hashes[2 * HASH_BYTES : HASH_BYTES << last.bit_length()]

    def hash_of(self, node: int) -> bytes:
        return bytes(self.hashes[node * HASH_BYTES : (node + 1) * HASH_BYTES])

    def put(self, node: int, digest: bytes, *, is_leaf: bool) -> None:
        self.hashes[node * HASH_BYTES : (node + 1) * HASH_BYTES] = digest
        self.flags = self.flags | 1 << node if is_leaf else self.flags & ~(1 << node)
