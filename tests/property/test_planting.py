"""A tree in memory and its pages: what changed between two trees, and the tree that has the pages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain import replanting
from chain.errors import InvariantBroken
from chain.planting import pages_between, uprooted
from chain.statetree import StateTree

# Hashes of our own making, so that some share more bits than a path has.
NEAR = st.integers(0, 40).map(lambda number: bytes(31) + bytes([number]))
FAR = st.integers(0, 300).map(lambda number: (number * 2**247 + number).to_bytes(32, "big"))
VALUES = st.binary(min_size=32, max_size=32)
BATCHES = st.lists(st.dictionaries(NEAR | FAR, st.none() | VALUES, max_size=120), max_size=6)


@given(BATCHES)
def test_the_pages_of_a_tree_are_those_that_replanting_makes(batches: list[dict[bytes, bytes | None]]) -> None:
    tree, pages = StateTree(), dict[int, bytes]()
    for changes in batches:
        before, tree = tree, tree.changed(changes)
        updated = replanting.update(lambda paths: {path: pages.get(path, b"") for path in paths}, len(before), changes)
        expected = {path: change for path, change in updated.pages.items() if change.before != change.after}
        forth, back = pages_between(before, tree), pages_between(tree, before)
        assert {path: page for path, page in forth.items() if page != pages.get(path, b"")} == {
            path: change.after for path, change in expected.items()
        }
        assert {path: page for path, page in back.items() if page != forth[path]} == {
            path: change.before for path, change in expected.items()
        }
        pages.update(forth)
        assert pages_between(StateTree(), tree).items() >= {path: page for path, page in pages.items() if page}.items()


@given(BATCHES)
def test_a_tree_is_made_of_its_pages(batches: list[dict[bytes, bytes | None]]) -> None:
    tree = StateTree()
    for changes in batches:
        tree.update_hashed(changes)
    again = uprooted(pages_between(StateTree(), tree), len(tree))
    assert again.root == tree.root
    assert again.top == tree.top


def test_pages_that_are_no_tree_are_refused() -> None:
    tree = StateTree.build((b"%d" % number, b"value") for number in range(300))
    pages = pages_between(StateTree(), tree)
    for path, page in pages.items():
        for damaged in (b"", page[:-1] + bytes([page[-1] ^ 1]), page[:-1]):
            with_damage = {**pages, path: damaged}
            with pytest.raises(InvariantBroken):
                uprooted(with_damage, len(tree))
