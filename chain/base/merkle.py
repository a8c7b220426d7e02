"""The root over a block's transaction ids, in the manner of RFC 6962.

Leaves and inner nodes are hashed under different tags, so neither passes for the other, and a node without
a sibling moves up unchanged instead of being paired with itself, so no two sequences share a root.
A tree of n leaves splits at the largest power of two below n (RFC 6962, section 2.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

ID_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()  # RFC 6962: the hash of an empty list is the hash of an empty string
# A verifier loops once a level; far above what a block can hold, and 32 levels are nothing.
MAX_COUNT = 2**32
MAX_PATH = 32


def _leaves(ids: Sequence[bytes]) -> list[bytes]:
    if any(len(item) != ID_BYTES for item in ids):
        raise ValueError(f"every id must have {ID_BYTES} bytes")
    return [sha256(b"\x00" + item).digest() for item in ids]


def _parents(level: list[bytes]) -> list[bytes]:
    """The level above this one."""
    pairs = iter(level)
    parents = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=False)]
    if len(level) % 2:
        parents.append(level[-1])
    return parents


def merkle_root(ids: Sequence[bytes]) -> bytes:
    """The 32-byte root over 32-byte ``ids``, in their order; of none, ``EMPTY_ROOT``.

    Raises ``ValueError`` for an id of another size.
    """
    level = _leaves(ids)
    if not level:
        return EMPTY_ROOT
    while len(level) > 1:
        level = _parents(level)
    return level[0]


def prove(ids: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """The audit path of ``ids[index]``: the sibling hashes from the leaf up (RFC 6962, section 2.1.1).

    Raises ``IndexError`` for an ``index`` not in ``[0, len(ids))``, ``ValueError`` as :func:`merkle_root`.
    """
    if not 0 <= index < len(ids):
        raise IndexError(f"no id {index} among {len(ids)}")
    level = _leaves(ids)
    path = []
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        level = _parents(level)
        index >>= 1
    return tuple(path)


def verify(root: bytes, id: bytes, index: int, count: int, path: tuple[bytes, ...]) -> bool:
    """Whether ``path`` shows that the ``index``-th of the ``count`` ids under ``root`` is ``id``.

    ``count`` only fixes the shape: a root does not commit to it, so it must come from a trusted place.
    Never raises, whatever the arguments are.
    """
    if type(index) is not int or type(count) is not int or not 0 <= index < count <= MAX_COUNT:
        return False
    if type(path) is not tuple or len(path) > MAX_PATH:
        return False
    if any(type(item) is not bytes or len(item) != 32 for item in (root, id, *path)):
        return False
    node = sha256(b"\x00" + id).digest()
    siblings = iter(path)
    last = count - 1
    while last:
        if index & 1 or index < last:  # otherwise it is a last node without a sibling
            sibling = next(siblings, None)
            if sibling is None:
                return False
            pair = sibling + node if index & 1 else node + sibling
            node = sha256(b"\x01" + pair).digest()
        index >>= 1
        last >>= 1
    return next(siblings, None) is None and node == root
