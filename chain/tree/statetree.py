"""The authenticated tree over the state in memory: how it is made, changed and looked at.

What its hashes are is in :mod:`chain.tree.stateproof`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from copy import copy
from hashlib import sha256
from itertools import pairwise
from typing import Any, TypeAlias

from chain.tree.stateproof import (
    BITS,
    BUCKET,
    BUCKET_BYTES,
    EMPTY,
    ENTRY_BYTES,
    HASH_BYTES,
    MAX_DEPTH,
    Proof,
    find_entry,
    hash_bucket,
    hash_pair,
    hash_root,
    split,
    value_in,
)

_inner_hasher = sha256(b"\x01").copy  # a copy and two updates cost less than a concatenation and a new hash


# A split node is a pair of nodes, each with its hash; a bucket is just its entries, joined: a block touches thousands
# of nodes, and waiting for memory is much of its cost.
Near: TypeAlias = "list[Any] | bytes"
Node: TypeAlias = "Near | Far"


class Far:
    """A node that is somewhere else until it is looked at (:mod:`chain.tree.planting`).

    ``node`` is what is in memory of it.  One that is a leaf may have to be joined with what is beside it; any other has
    too many entries for that.
    """

    __slots__ = ("is_leaf", "node")
    node: Near | None
    is_leaf: bool

    def near(self) -> Near:
        """The node itself.  Raises :class:`InvariantBroken` where it is missing or damaged."""
        raise NotImplementedError


def descend(node: Node, number: int, depth: int) -> tuple[bytes | Far, int]:
    """From a node at ``depth`` on the way to the key hash ``number``: to its bucket, or to what is not in memory."""
    while True:
        while isinstance(node, list):
            node = node[2] if number & BITS[depth] else node[0]
            depth += 1
        if isinstance(node, bytes) or node.node is None:
            return node, depth
        node = node.node


def put(bucket: bytes, key_hash: bytes, value_hash: bytes | None) -> bytes:
    """``bucket`` with one entry set, or removed if ``value_hash`` is ``None``."""
    at = find_entry(bucket, key_hash)
    if at >= 0:
        if value_hash is None:
            return bucket[:at] + bucket[at + ENTRY_BYTES :]
        return bucket[: at + HASH_BYTES] + value_hash + bucket[at + ENTRY_BYTES :]
    if value_hash is None:
        return bucket
    at = 0
    while at < len(bucket) and bucket[at : at + HASH_BYTES] < key_hash:
        at += ENTRY_BYTES
    return bucket[:at] + key_hash + value_hash + bucket[at:]


def grow(entries: list[bytes], depth: int, low: int, high: int) -> tuple[Near, bytes]:
    """The node at ``depth`` over the ascending ``entries[low:high]``, and its hash."""
    if high - low <= BUCKET:
        bucket = b"".join(entries[low:high])
        return bucket, hash_bucket(bucket)
    byte, bit = depth >> 3, 0x80 >> (depth & 7)
    first = entries[low]
    boundary = first[:byte] + bytes((first[byte] & -bit | bit,))  # the least on the right, as bytes compare
    middle = bisect_left(entries, boundary, low, high)
    left, left_hash = grow(entries, depth + 1, low, middle)
    right, right_hash = grow(entries, depth + 1, middle, high)
    return [left, left_hash, right, right_hash], hash_pair(left_hash, right_hash)


def hash_entries(entries: list[bytes], depth: int) -> bytes:
    """The hash of the node at ``depth`` over ascending entries that share so many bits."""
    return grow(entries, depth, 0, len(entries))[1]


def _apply(
    node: Node, key_hashes: list[bytes], changes: Mapping[bytes, bytes | None], *, is_kept: bool = False
) -> tuple[Node, bytes, int]:
    """Change the tree whose top is ``node``: in place, or where that ``is_kept``, nodes that are made beside it.

    ``key_hashes`` are the keys of ``changes``, ascending and not empty.  Returns the new top, its hash and by
    how many entries the tree grew.  After every single change the tree has its canonical shape; a node is
    hashed when no later change can lie below it, so once a batch.

    Example: three keys whose hashes begin with the bits 000, 001 and 1.

    * 000 is changed in its bucket.  It shares two bits with 001, so the walk rises to depth 2 only: the node there
      was left on the way to 000 and is entered again on the way to 001.
    * 001 shares no bit with 1: after it the walk rises to the top, and each node on the way is hashed, now that
      nothing below it can change any more.
    * 1 is the last; "the next" differs from it in the first bit, so the walk ends at the top.

    On the way up, a bucket whose sibling is a bucket too, and fits with it into one, becomes one with it: the
    tree of few entries has no inner node.  What is far beside something that shrank is looked at for that.

    >>> low, high = bytes(32), bytes([128]) * 32
    >>> top, _, grown = _apply(b"", [low, high], {low: EMPTY, high: EMPTY})
    >>> grown, top == low + EMPTY + high + EMPTY
    (2, True)
    >>> many = [bytes([number]) * 32 for number in range(BUCKET)]
    >>> top, _, grown = _apply(top, many[1:], {key: EMPTY for key in many[1:]})
    >>> grown, len(split(top[0])), len(split(top[2]))
    (7, 8, 1)
    >>> _apply(top, [high], {high: None})[0] == b"".join(key + EMPTY for key in many)
    True
    """
    path: list[list[Any]] = []  # the nodes above `node`
    depth = 0  # always len(path)
    grown_bytes = 0
    has_shrunk = False
    numbers = [int.from_bytes(key_hash, "big") for key_hash in key_hashes]
    following = [*numbers[1:], numbers[-1] ^ BITS[0]]  # after the last change, up to the top
    for key_hash, number, next_number in zip(key_hashes, numbers, following, strict=True):
        while not isinstance(node, bytes):
            if not isinstance(node, list):
                node = node.near()
                continue
            if is_kept:
                node = node[:]
            path.append(node)
            node = node[2] if number & BITS[depth] else node[0]
            depth += 1
        value_hash = changes[key_hash]
        at = node.find(key_hash)
        if at >= 0 and not at % ENTRY_BYTES and value_hash is not None:  # what put does, for the usual case
            node = node[: at + HASH_BYTES] + value_hash + node[at + ENTRY_BYTES :]
        else:
            bucket = put(node, key_hash, value_hash)
            grown_bytes += len(bucket) - len(node)
            has_shrunk = has_shrunk or len(bucket) < len(node)
            node = bucket
            if len(bucket) > BUCKET_BYTES:
                node, _ = grow(split(bucket), depth, 0, BUCKET + 1)

        shared_bits = MAX_DEPTH - (number ^ next_number).bit_length()
        while depth > shared_bits:
            depth -= 1
            parent = path.pop()
            went_right = number & BITS[depth]
            if has_shrunk:
                has_shrunk = _bring_beside(parent, 0 if went_right else 2, node)
            if isinstance(node, list):
                hasher = _inner_hasher()
                hasher.update(node[1])
                hasher.update(node[3])
                digest = hasher.digest()
            else:
                sibling = parent[0 if went_right else 2]
                if isinstance(sibling, bytes) and len(sibling) + len(node) <= BUCKET_BYTES:
                    node = sibling + node if went_right else node + sibling
                    continue
                digest = hash_bucket(node)
            if went_right:
                parent[2], parent[3] = node, digest
            else:
                parent[0], parent[1] = node, digest
            node = parent
    top_hash = hash_pair(node[1], node[3]) if isinstance(node, list) else hash_bucket(node)  # type: ignore[arg-type]  # no change is far
    return node, top_hash, grown_bytes // ENTRY_BYTES


def _bring_beside(parent: list[Any], side: int, node: Node) -> bool:
    """Look at what is beside a node that shrank, where the two may be few now; whether they may be."""
    if not has_few(node):
        return False
    sibling = parent[side]
    if isinstance(sibling, Far) and sibling.is_leaf:
        parent[side] = sibling.near()
    return True


def has_few(node: Node) -> bool:
    """Whether all entries below a node are no more than two buckets hold; where any of them is far, there are more."""
    size = 0
    while isinstance(node, list):
        left, _, right, _ = node
        if isinstance(left, bytes):
            size, node = size + len(left), right
        elif isinstance(right, bytes):
            size, node = size + len(right), left
        else:  # each has more than a bucket
            return False
    return isinstance(node, bytes) and size + len(node) <= 2 * BUCKET_BYTES


def _grafted(node: Node, number: int, depth: int, entries: list[bytes]) -> tuple[Near, bytes]:
    """The node at ``depth`` with these entries where the way to ``number`` ends, and its hash."""
    near = node.near() if isinstance(node, Far) else node
    if isinstance(near, bytes):
        every = sorted(split(near) + entries)
        return grow(every, depth, 0, len(every))
    left, left_hash, right, right_hash = near
    if number & BITS[depth]:
        right, right_hash = _grafted(right, number, depth + 1, entries)
    else:
        left, left_hash = _grafted(left, number, depth + 1, entries)
    return [left, left_hash, right, right_hash], hash_pair(left_hash, right_hash)


class StateTree:
    """The tree over a set of entries, in memory.  It holds hashes; keys and values stay with the caller.

    Parts of it may be far (:class:`Far`): whatever looks at them may raise :class:`InvariantBroken`.

    An update changes its nodes, or :meth:`changed` makes another tree beside it: the two share what did not change, so
    that neither may be updated in place any more.
    """

    __slots__ = ("_count", "_root", "top")

    def __init__(self, top: Node = b"", top_hash: bytes = EMPTY, count: int = 0) -> None:
        self.top = top
        self._count = count
        self._root = hash_root(count, top_hash)

    @classmethod
    def build(cls, items: Iterable[tuple[bytes, bytes]]) -> StateTree:
        """The tree over ``items``, pairs of a key and its encoded value, in any order.

        Raises ``ValueError`` if a key comes twice.
        """
        entries = sorted(sha256(key).digest() + sha256(value).digest() for key, value in items)
        if any(a[:HASH_BYTES] == b[:HASH_BYTES] for a, b in pairwise(entries)):
            raise ValueError("a key comes twice")
        return cls(*grow(entries, 0, 0, len(entries)), len(entries))

    @property
    def root(self) -> bytes:
        """The state root, 32 bytes."""
        return self._root

    def __len__(self) -> int:
        return self._count

    def update(self, changes: Mapping[bytes, bytes | None]) -> bytes:
        """Set keys to their encoded values and remove those whose value is ``None``; returns the new root.

        Removing an absent key changes nothing.  An update with the earlier values undoes this one exactly.
        """
        return self.update_hashed(
            {sha256(key).digest(): None if value is None else sha256(value).digest() for key, value in changes.items()}
        )

    def update_hashed(self, changes: Mapping[bytes, bytes | None]) -> bytes:
        """:meth:`update` for a caller that has the SHA-256 of every key and value already.

        Raises ``ValueError``, before anything changes, if one of them does not have 32 bytes.
        """
        self._update(changes)
        return self._root

    def _update(self, changes: Mapping[bytes, bytes | None], *, is_kept: bool = False) -> None:
        if not changes:
            return
        sizes = {len(key) for key in changes} | {len(value) for value in changes.values() if value is not None}
        if sizes != {HASH_BYTES}:
            raise ValueError(f"every hash must have {HASH_BYTES} bytes")
        self.top, top_hash, grown = _apply(self.top, sorted(changes), changes, is_kept=is_kept)
        self._count += grown
        self._root = hash_root(self._count, top_hash)

    def changed(self, changes: Mapping[bytes, bytes | None]) -> StateTree:
        """The tree after an :meth:`update_hashed`, beside this one."""
        tree = copy(self)
        tree._update(changes, is_kept=True)
        return tree

    def grafted(self, key_hash: bytes, entries: Iterable[bytes]) -> StateTree:
        """The tree, beside this one, with the ``entries`` of a part that begins with ``key_hash`` and was empty."""
        added = list(entries)
        top, top_hash = _grafted(self.top, int.from_bytes(key_hash, "big"), 0, added)
        return StateTree(top, top_hash, self._count + len(added))

    def find(self, key_hash: bytes) -> bytes | None:
        """The SHA-256 of the value of an entry, by that of its key; None where there is none."""
        number = int.from_bytes(key_hash, "big")
        node, depth = descend(self.top, number, 0)
        while not isinstance(node, bytes):
            node, depth = descend(node.near(), number, depth)
        return value_in(node, key_hash)

    def prove(self, key: bytes) -> Proof:
        """What shows the value of ``key`` under :attr:`root`, or that it is absent; for :func:`verify_proof`."""
        return self.prove_hashed(sha256(key).digest())

    def prove_hashed(self, key_hash: bytes) -> Proof:
        """:meth:`prove` for the SHA-256 of a key, whether or not a key is known that has it."""
        number = int.from_bytes(key_hash, "big")
        path: list[bytes] = []
        node = self.top
        while not isinstance(node, bytes):
            if not isinstance(node, list):
                node = node.near()
            elif number & BITS[len(path)]:
                path.append(node[1])
                node = node[2]
            else:
                path.append(node[3])
                node = node[0]
        return Proof(self._count, node, tuple(path))
