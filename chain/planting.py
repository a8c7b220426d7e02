"""Between a tree in memory (:mod:`chain.statetree`) and its pages (:mod:`chain.pages`): the one from the other.

Nothing is hashed on the way to the pages: the tree has every hash that they hold.
"""

from __future__ import annotations

from collections.abc import Mapping

from chain.errors import InvariantBroken
from chain.pages import BOTTOM, DAMAGED, FLAGS_BYTES, LEAF, LEAF_BYTES, MAX_PAGE_DEPTH, NODES, TOP, Page
from chain.statetree import EMPTY, Node, StateTree, grow, hash_pair, split


def pages_between(before: StateTree, after: StateTree) -> dict[int, bytes]:
    """The pages of ``after`` that are not those of ``before``, by path; ``b""`` where there is none any more.

    What two trees share costs nothing.
    """
    changed: dict[int, bytes] = {}
    pages: list[tuple[int, Node, Node]] = [(TOP, before.top, after.top)]
    while pages:
        path, was, now = pages.pop()
        if was is now:
            continue
        _, old = _page(was, path)
        changed[path], new = _page(now, path)
        pages += ((below, old.get(below, b""), new.get(below, b"")) for below in old.keys() | new.keys())
    return changed


def uprooted(pages: Mapping[int, bytes], count: int) -> StateTree:
    """The tree of ``count`` entries that has these pages.

    Raises :class:`InvariantBroken` where one is missing, or is not what the page above it says.
    """
    return StateTree(*_Uprooting(pages).below(TOP, is_leaf=count <= LEAF), count)


def _page(node: Node, path: int) -> tuple[bytes, dict[int, Node]]:
    """The row of a page whose top is ``node``, and the tops of the pages below it, by their paths."""
    if isinstance(node, bytes) or _is_leaf(node, path):
        return _joined(node), {}
    hashes, flags, last, below = [EMPTY] * NODES, 0, 0, dict[int, Node]()
    inner = [(1, path, node)]
    while inner:
        number, prefix, (left, left_hash, right, right_hash) = inner.pop()
        last = max(last, 2 * number)
        for side, child, digest in ((0, left, left_hash), (1, right, right_hash)):
            at, under = 2 * number + side, 2 * prefix + side
            hashes[at] = digest
            if isinstance(child, bytes) or _is_leaf(child, under):
                flags |= 1 << at
                below[under] = child
            elif at >= BOTTOM:
                below[under] = child
            else:
                inner.append((at, under, child))
    return flags.to_bytes(FLAGS_BYTES, "big") + b"".join(hashes[2 : 1 << last.bit_length()]), below


def _is_leaf(node: Node, path: int) -> bool:
    """Whether one leaf page holds the entries below."""
    size, nodes = 0, [node]
    while nodes and size <= LEAF_BYTES:
        node = nodes.pop()
        if isinstance(node, bytes):
            size += len(node)
        else:
            nodes += (node[0], node[2])
    return size <= LEAF_BYTES or path >> MAX_PAGE_DEPTH > 0


def _joined(node: Node) -> bytes:
    """The entries below, ascending."""
    return node if isinstance(node, bytes) else _joined(node[0]) + _joined(node[2])


class _Uprooting:
    """Makes nodes of pages, each with its hash."""

    def __init__(self, pages: Mapping[int, bytes]) -> None:
        self._pages = pages

    def below(self, path: int, *, is_leaf: bool) -> tuple[Node, bytes]:
        """The top of a page."""
        row, depth = self._pages.get(path, b""), path.bit_length() - 1
        if is_leaf:
            entries = split(row)
            return grow(entries, depth, 0, len(entries))
        return self._inside(Page.decode(row), 1, path)

    def _inside(self, page: Page, number: int, path: int) -> tuple[Node, bytes]:
        """A node of an inner page."""
        is_leaf = bool(page.flags >> number & 1)
        if is_leaf or number >= BOTTOM:
            node, digest = self.below(path, is_leaf=is_leaf)
        else:
            left, left_hash = self._inside(page, 2 * number, 2 * path)
            right, right_hash = self._inside(page, 2 * number + 1, 2 * path + 1)
            node, digest = (left, left_hash, right, right_hash), hash_pair(left_hash, right_hash)
        if number > 1 and digest != page.hash_of(number):
            raise InvariantBroken(DAMAGED)
        return node, digest
