"""A tree and its pages: what changed between two trees, the tree that stands on pages, and what is forgotten of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.base.errors import InvariantBroken
from chain.tree import pages
from chain.tree.planting import bring, forget, pages_between, planted, standing
from chain.tree.stateproof import EMPTY, HASH_BYTES
from chain.tree.statetree import Node, StateTree

# Hashes of our own making, so that some share more bits than a path has.
NEAR = st.integers(0, 40).map(lambda number: bytes(31) + bytes([number]))
FAR = st.integers(0, 300).map(lambda number: (number * 2**247 + number).to_bytes(32, "big"))
VALUES = st.binary(min_size=32, max_size=32)
BATCHES = st.lists(st.dictionaries(NEAR | FAR, st.none() | VALUES, max_size=120), max_size=6)


class Disk:
    """Pages that are stored, and how often some were read."""

    def __init__(self) -> None:
        self.pages: dict[int, bytes] = {}
        self.reads = 0

    def read(self, path: int) -> bytes:
        self.reads += 1
        return self.pages.get(path, b"")

    def fetch(self, paths: Iterable[int]) -> Mapping[int, bytes]:
        self.reads += 1
        return {path: self.pages[path] for path in paths if path in self.pages}

    def write(self, changed: Mapping[int, bytes]) -> None:
        """Each change must be one."""
        for path, page in changed.items():
            assert self.pages.get(path, b"") != page
            self.pages[path] = page
            if not page:
                del self.pages[path]


def check_all(disk: Disk, tree: StateTree) -> None:
    """Every page is what the one above it says, and there is no other."""
    seen, todo = set(), [(pages.TOP, pages.top(disk.fetch, len(tree)), len(tree) <= pages.LEAF)]
    while todo:
        path, known, is_leaf = todo.pop()
        row = disk.pages.get(path, b"")
        seen |= {path} if row else set()
        assert pages.check(path, row, is_leaf=is_leaf) == known
        todo += [] if is_leaf else pages.children(path, row)
    assert seen == disk.pages.keys()
    assert pages.root(disk.fetch, len(tree)) == tree.root


@given(BATCHES, st.booleans())
def test_what_changed_makes_of_the_pages_those_of_the_tree(
    batches: list[dict[bytes, bytes | None]], is_known: bool
) -> None:
    tree, disk = StateTree(), Disk()
    for changes in batches:
        before = standing(disk.read, len(tree))
        if is_known:
            bring(before, changes, disk.fetch)
            reads = disk.reads
            after = before.changed({key: value for key, value in changes.items() if value is not None})
            assert disk.reads == reads
        after, tree = before.changed(changes), tree.changed(changes)
        assert (after.root, len(after)) == (tree.root, len(tree))
        forth, back = pages_between(before, after), pages_between(after, before)
        assert forth.keys() == back.keys()
        assert all(disk.pages.get(path, b"") == page for path, page in back.items())
        disk.write(forth)
        check_all(disk, tree)
        assert pages_between(StateTree(), tree) == disk.pages


@given(BATCHES)
def test_a_tree_stands_on_its_pages(batches: list[dict[bytes, bytes | None]]) -> None:
    tree, disk = StateTree(), Disk()
    for changes in batches:
        tree = tree.changed(changes)
    disk.pages = pages_between(StateTree(), tree)
    again = standing(disk.read, len(tree))
    assert again.root == tree.root
    for key in {key for changes in batches for key in changes}:
        assert again.find(key) == tree.find(key)
        assert again.prove_hashed(key) == tree.prove_hashed(key)
    assert looked_at(again.top) == tree.top


def looked_at(node: Node) -> Node:
    """All of a tree."""
    if isinstance(node, bytes):
        return node
    top = node if isinstance(node, list) else node.near()
    return [looked_at(top[0]), top[1], looked_at(top[2]), top[3]] if isinstance(top, list) else top


@given(BATCHES, st.integers(0, 3))
def test_what_is_forgotten_is_read_again(batches: list[dict[bytes, bytes | None]], behind: int) -> None:
    tree, disk = StateTree(), Disk()
    trees = [standing(disk.read, 0)]
    for changes in batches:
        tree = tree.changed(changes)
        trees.append(trees[-1].changed(changes))
        while len(trees) > 1 + behind:
            disk.write(pages_between(trees[0], trees[1]))
            del trees[0]
        forget(trees, 4, disk.read)
        assert all(len(tree) <= 32 or is_far_at(tree.top, 4) for tree in trees[:1] if len(trees) == 1)
        assert trees[-1].root == tree.root
        for key in changes:
            assert trees[-1].find(key) == tree.find(key)


@pytest.mark.parametrize("few", [0, 5, 12])
def test_what_is_no_page_on_disk_yet_is_not_forgotten(few: int) -> None:
    """Where the state on disk has few entries and a later one has many, what lies below is in memory alone."""
    disk = Disk()
    many = {(number << 247).to_bytes(32, "big"): bytes(31) + b"\1" for number in range(500)}
    stored = standing(disk.read, 0).changed(dict(list(many.items())[:few]))
    disk.write(pages_between(StateTree(), stored))
    for trees in ([stored, stored.changed(many)], [stored, stored.changed(many), stored]):
        forget(trees, 4, disk.read)
        assert {key: trees[1].find(key) for key in many} == many


def is_far_at(node: Node, depth: int) -> bool:
    """Whether nothing inner is in memory at a depth and below."""
    if isinstance(node, list) and depth:
        return is_far_at(node[0], depth - 1) and is_far_at(node[2], depth - 1)
    return depth > 0 or not isinstance(node, list)


@given(st.sets(st.binary(min_size=32, max_size=32), min_size=1, max_size=200))
def test_a_subtree_is_made_at_once(keys: set[bytes]) -> None:
    tree = StateTree().changed(dict.fromkeys(keys, EMPTY[:31] + b"\1"))
    entries = sorted(key + EMPTY[:31] + b"\1" for key in keys)
    assert planted(pages.TOP, entries) == pages_between(StateTree(), tree)


def test_pages_that_are_no_tree_are_refused() -> None:
    tree = StateTree.build((b"%d" % number, b"value") for number in range(300))
    whole = pages_between(StateTree(), tree)
    for path, page in whole.items():
        for damaged in (b"", page[:-1] + bytes([page[-1] ^ 1]), page[:-1]):
            disk = Disk()
            disk.pages = {**whole, path: damaged}
            with pytest.raises(InvariantBroken):
                look_through(disk, tree)


def look_through(disk: Disk, tree: StateTree) -> None:
    again = standing(disk.read, len(tree))
    if again.root != tree.root or looked_at(again.top) != tree.top:
        raise InvariantBroken("what the header says tells it")


def test_a_bit_that_flipped_is_noticed_before_a_page_is_used() -> None:
    """Nodes are made of a leaf page once all of it was hashed, and an inner one is read with the hashes at its top."""
    tree = StateTree.build((b"%d" % number, b"value") for number in range(300))
    changes = {sha256(b"%d" % number).digest(): EMPTY for number in range(300)}
    whole = pages_between(StateTree(), tree)
    assert {pages.is_inner(page) for page in whole.values()} == {True, False}
    for path, page in whole.items():
        top = range(pages.FLAGS_BYTES, pages.FLAGS_BYTES + 2 * HASH_BYTES)
        for at in top if pages.is_inner(page) else range(len(page)):
            disk = Disk()
            disk.pages = {**whole, path: page[:at] + bytes([page[at] ^ 1 << at % 8]) + page[at + 1 :]}
            with pytest.raises(InvariantBroken):
                change_under(disk, tree, path, changes)


def change_under(disk: Disk, tree: StateTree, path: int, changes: Mapping[bytes, bytes | None]) -> None:
    """Look up and change all below a page; one at the top tells itself by the root of the tree."""
    depth = path.bit_length() - 1
    below = {key: value for key, value in changes.items() if leading_bits(key, depth) == path}
    before = standing(disk.read, len(tree))
    if before.root != tree.root:
        raise InvariantBroken("what the header says tells it")
    bring(before, below, disk.fetch)
    before.changed(below)


def leading_bits(key: bytes, depth: int) -> int:
    """The path of a page at this depth on the way to a key."""
    return 1 << depth | int.from_bytes(key, "big") >> 256 - depth
