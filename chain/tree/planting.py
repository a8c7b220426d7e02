"""Between the tree in memory (:mod:`chain.tree.statetree`) and its pages (:mod:`chain.tree.pages`).

A tree **stands** on pages that are read one by one, when they are looked at: until then a page is a :class:`FarPage`,
and of an inner page the nodes that nobody looked at are just its row.  Whatever was made of a page stays where it was
read, so all trees that share it have it; :func:`forget` takes it out of them again.

The pages of a tree are made of it by :func:`pages_between`.  Nothing is hashed for that: the tree has every hash.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from chain.base.errors import InvariantBroken
from chain.tree.pages import BOTTOM, DAMAGED, FLAGS_BYTES, LEAF, MAX_PAGE_DEPTH, NODES, TOP, Fetch, Page, check_leaf
from chain.tree.stateproof import EMPTY, ENTRY_BYTES, HASH_BYTES, hash_pair, split, value_in
from chain.tree.statetree import Far, Near, Node, StateTree, descend, grow, has_few

_Inner = list[Any]


class FarPage(Far):
    """The top of a page; ``read`` gives its row, and ``row`` is that of a leaf that was only looked into."""

    __slots__ = ("digest", "path", "read", "row")

    def __init__(self, path: int, digest: bytes, read: Callable[[int], bytes], *, is_leaf: bool) -> None:
        self.path = path
        self.digest = digest
        self.read = read
        self.is_leaf = is_leaf
        self.node = None
        self.row: bytes | None = None

    def near(self) -> Near:
        """See :meth:`Far.near`."""
        if self.node is not None:
            return self.node
        row, self.row = self.row, None
        return self._grown(self.read(self.path) if row is None else row)

    def take(self, row: bytes) -> None:
        """Its row was read.  Raises :class:`InvariantBroken` where it is not what the page above says.

        Of a leaf that is told by what is in it, and by all of it once it is :meth:`near`.
        """
        if self.is_leaf:
            check_leaf(row, self.digest)
            self.row = row
        else:
            self._grown(row)

    def _grown(self, row: bytes) -> Near:
        node, digest = _near(self.path, row, self.read, is_leaf=self.is_leaf)
        if digest != self.digest:
            raise InvariantBroken(DAMAGED)
        self.node = node
        return node


class _FarInside(Far):
    """A node inside an inner page whose row was read."""

    __slots__ = ("number", "path", "read", "row")

    def __init__(self, row: bytes, number: int, path: int, read: Callable[[int], bytes]) -> None:
        self.row = row
        self.number = number
        self.path = path
        self.read = read
        self.is_leaf = False
        self.node = None

    def near(self) -> Near:
        """See :meth:`Far.near`."""
        if self.node is None:
            self.node = _inside(self.row, self.number, self.path, self.read)
        return self.node


def _near(path: int, row: bytes, read: Callable[[int], bytes], *, is_leaf: bool) -> tuple[Near, bytes]:
    """The top of a page, and its hash.  Raises :class:`InvariantBroken` for a row that is no page."""
    if is_leaf:
        if len(row) % ENTRY_BYTES:
            raise InvariantBroken(DAMAGED)
        entries = split(row)
        node, digest = grow(entries, path.bit_length() - 1, 0, len(entries))
        return node, digest
    top = _inside(row, 1, path, read)
    return top, hash_pair(top[1], top[3])


def _inside(row: bytes, number: int, path: int, read: Callable[[int], bytes]) -> _Inner:
    """A node inside an inner page."""
    flags = int.from_bytes(row[:FLAGS_BYTES], "big")
    at = FLAGS_BYTES + (2 * number - 2) * HASH_BYTES
    middle = at + HASH_BYTES
    left, right = row[at:middle], row[middle : middle + HASH_BYTES]
    if len(right) != HASH_BYTES:
        raise InvariantBroken(DAMAGED)
    node: _Inner = []
    for child, below, digest in ((2 * number, 2 * path, left), (2 * number + 1, 2 * path + 1, right)):
        if flags >> child & 1:
            node += (FarPage(below, digest, read, is_leaf=True) if digest != EMPTY else b"", digest)
        elif child >= BOTTOM:
            node += (FarPage(below, digest, read, is_leaf=False), digest)
        else:
            node += (_FarInside(row, child, below, read), digest)
    return node


def standing(read: Callable[[int], bytes], count: int) -> StateTree:
    """The tree of ``count`` entries on pages, of which ``read`` gives each, ``b""`` where there is none.

    Raises :class:`InvariantBroken` where the top one is missing or damaged.
    """
    return StateTree(*_near(TOP, read(TOP), read, is_leaf=count <= LEAF), count)


def bring(tree: StateTree, key_hashes: Iterable[bytes], fetch: Fetch) -> dict[bytes, bytes | None]:
    """The SHA-256 of the values of entries by that of their keys: reads pages a level at a time."""
    found: dict[bytes, bytes | None] = {}
    ways: list[tuple[Node, bytes, int, int]] = [(tree.top, key, int.from_bytes(key, "big"), 0) for key in key_hashes]
    while ways:
        missing: dict[int, FarPage] = {}
        stopped: list[tuple[Node, bytes, int, int]] = []
        for start, key_hash, number, above in ways:
            node, depth = descend(start, number, above)
            while isinstance(node, _FarInside):
                node, depth = descend(node.near(), number, depth)
            if isinstance(node, bytes):
                found[key_hash] = value_in(node, key_hash)
            elif isinstance(node, FarPage) and node.row is not None:
                found[key_hash] = value_in(node.row, key_hash)
            elif isinstance(node, FarPage):
                missing[node.path] = node
                stopped.append((node, key_hash, number, depth))
        rows = fetch(missing) if missing else {}
        for path, page in missing.items():
            page.take(rows.get(path, b""))
        ways = stopped
    return found


def forget(trees: Sequence[StateTree], depth: int, read: Callable[[int], bytes]) -> None:
    """Leave nothing of these trees in memory at ``depth`` and below, as far as they share it: it is all on disk.

    A page begins at ``depth``, and between any two of the trees there is no other that is still of use.
    """
    nodes: list[tuple[int, list[Node]]] = [(TOP, [tree.top for tree in trees])]
    while nodes:
        path, tops = nodes.pop()
        inner = _distinct(tops)
        if not all(isinstance(node, list) and not _is_leaf(node, path) for node in inner):
            continue  # what is no page in one of them may be one in another, and not on disk yet
        for side in range(2):
            below, children = 2 * path + side, [node[2 * side] for node in inner]
            if path.bit_length() < depth:
                nodes.append((below, children))
            elif isinstance(children[0], list | FarPage) and all(child is children[0] for child in children):
                page = FarPage(below, inner[0][2 * side + 1], read, is_leaf=_is_leaf(children[0], below))
                for node in inner:
                    node[2 * side] = page


def _distinct(nodes: Iterable[Node]) -> list[Any]:
    """Each of them once, as it is in memory, None where it is not."""
    distinct: list[Any] = []
    for node in nodes:
        near = node.node if isinstance(node, Far) else node
        if not any(near is other for other in distinct):
            distinct.append(near)
    return distinct


def pages_between(before: StateTree, after: StateTree, rows: dict[int, bytes] | None = None) -> dict[int, bytes]:
    """The pages of ``after`` that are not those of ``before``, by path; ``b""`` where there is none any more.

    What two trees share costs nothing.  ``rows`` are inner pages of ``before``, as far as they are at hand: only what
    differs is changed in them, and they become those of ``after``.
    """
    if before.root == after.root:
        return {}
    between = _Between({} if rows is None else rows)
    between.page(TOP, before.top, after.top)
    return between.changed


def planted(path: int, entries: Sequence[bytes]) -> dict[int, bytes]:
    """All pages of a subtree of these ascending entries, which begins with a page at ``path``."""
    node, _ = grow(list(entries), path.bit_length() - 1, 0, len(entries))
    between = _Between({})
    between.page(path, None, node)
    return between.changed


def crowned(hashes: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The hash of an inner page, and the page, under whose lowest nodes inner pages of these ``hashes`` stand."""
    page = Page.blank()
    for node, digest in enumerate(hashes, BOTTOM):
        page.put(node, digest, is_leaf=False)
    for node in range(BOTTOM - 1, 1, -1):
        page.put(node, hash_pair(page.hash_of(2 * node), page.hash_of(2 * node + 1)), is_leaf=False)
    return hash_pair(page.hash_of(2), page.hash_of(3)), page.encode()


class _Between:
    """Two trees side by side; where they have the same hash, they are the same.

    None is where one has nothing, or no inner node.
    """

    def __init__(self, rows: dict[int, bytes]) -> None:
        self._rows = rows
        self.changed: dict[int, bytes] = {}

    def page(self, path: int, was: Node | None, now: Node | None) -> bool:
        """Compare what pages begin with; whether the new one is a leaf."""
        old, new = _opened(was, path), _opened(now, path)
        known = self._rows.pop(path, None)
        if new is None:
            self._leaf(path, was, now)
            if old:
                self._nodes(Page.blank(), 1, path, old, None)
            return now is not None
        page = Page.decode(known) if old and known else _filled(path, new)
        self._nodes(page, 1, path, old, new)
        self._rows[path] = self.changed[path] = page.encode()
        return False

    def _nodes(self, page: Page, number: int, path: int, was: _Inner | None, now: _Inner | None) -> None:
        """Bring a page in line below one of its nodes."""
        for side in (0, 2):
            old, old_digest = (was[side], was[side + 1]) if was else (None, EMPTY)
            new, new_digest = (now[side], now[side + 1]) if now else (None, EMPTY)
            if old_digest == new_digest and (old is None) is (new is None):
                continue
            child, below = 2 * number + side // 2, 2 * path + side // 2
            if child >= BOTTOM:
                page.put(child, new_digest, is_leaf=self.page(below, old, new))
                continue
            old_inner, new_inner = _opened(old, below), _opened(new, below)
            page.put(child, new_digest, is_leaf=new is not None and new_inner is None)
            self._leaf(below, None if old_inner else old, None if new_inner else new)
            if old_inner or new_inner:
                self._nodes(page, child, below, old_inner, new_inner)

    def _leaf(self, path: int, was: Node | None, now: Node | None) -> None:
        if was or now:
            self.changed[path] = _joined(now) if now else b""


def _opened(top: Node | None, path: int) -> _Inner | None:
    """An inner node that has more than one leaf page holds, or None."""
    node = top.near() if isinstance(top, Far) else top
    if not isinstance(node, list) or path >> MAX_PAGE_DEPTH:
        return None
    may_be_few = isinstance(node[0], bytes) or isinstance(node[2], bytes)  # or it has more than two buckets
    return None if may_be_few and has_few(node) else node


def _is_leaf(node: Node, path: int) -> bool:
    """Whether one leaf page holds the entries below."""
    return node.is_leaf if isinstance(node, Far) else path >> MAX_PAGE_DEPTH > 0 or has_few(node)


def _joined(node: Node) -> bytes:
    """The entries below, ascending."""
    if isinstance(node, Far):
        node = node.near()
    return node if isinstance(node, bytes) else _joined(node[0]) + _joined(node[2])


def _filled(path: int, top: _Inner) -> Page:
    """An inner page, made of all its nodes."""
    page = Page.blank()
    hashes, nodes = page.hashes, [(1, path, top)]
    while nodes:
        number, prefix, node = nodes.pop()
        at = 2 * number * HASH_BYTES
        hashes[at : at + 2 * HASH_BYTES] = node[1] + node[3]
        for side in range(2):
            child, below, under = 2 * number + side, 2 * prefix + side, node[2 * side]
            if isinstance(under, _FarInside):
                _copy(page, under.row, child)
            elif _is_leaf(under, below):
                page.flags |= 1 << child
            elif child < BOTTOM and isinstance(under, list):
                nodes.append((child, below, under))
    return page


def _copy(page: Page, row: bytes, number: int) -> None:
    """Let what is below a node be as in another row of this page."""
    flags, first, width = int.from_bytes(row[:FLAGS_BYTES], "big"), 2 * number, 2
    while first < NODES:
        page.flags |= flags & (1 << width) - 1 << first
        at = FLAGS_BYTES + (first - 2) * HASH_BYTES
        below = row[at : at + width * HASH_BYTES]
        page.hashes[first * HASH_BYTES : first * HASH_BYTES + len(below)] = below
        first, width = 2 * first, 2 * width
