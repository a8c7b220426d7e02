"""The state tree as pages is the state tree: the same roots and proofs, and the same pages however they came about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from chain.tree import pages
from chain.tree.planting import pages_between, standing
from chain.tree.stateproof import verify_proof
from chain.tree.statetree import StateTree

KEYS = st.integers(0, 300).map(lambda number: str(number).encode())
BATCHES = st.lists(st.dictionaries(KEYS, st.none() | st.binary(min_size=1, max_size=4), max_size=120), max_size=8)


class Rows:
    """Pages in memory."""

    def __init__(self) -> None:
        self.rows: dict[int, bytes] = {}
        self.count = 0

    def fetch(self, paths: Iterable[int]) -> Mapping[int, bytes]:
        return {path: self.rows[path] for path in paths if path in self.rows}

    def update(self, changes: Mapping[bytes, bytes | None]) -> bytes:
        hashed = {sha256(key).digest(): value and sha256(value).digest() for key, value in changes.items()}
        before = standing(lambda path: self.rows.get(path, b""), self.count)
        after = before.changed(hashed)
        self.rows.update(pages_between(before, after))
        self.rows = {path: page for path, page in self.rows.items() if page}
        self.count = len(after)
        return after.root


@given(BATCHES)
def test_pages_give_the_root_of_the_tree_and_follow_from_the_entries_alone(
    batches: list[dict[bytes, bytes | None]],
) -> None:
    tree, rows, state = StateTree(), Rows(), dict[bytes, bytes | None]()
    for changes in batches:
        state = {key: value for key, value in {**state, **changes}.items() if value is not None}
        assert rows.update(changes) == tree.update(changes)
        assert rows.count == len(state)
        fresh = Rows()
        fresh.update(state)
        assert fresh.rows == rows.rows


@given(BATCHES, KEYS)
def test_a_proof_from_pages_is_that_of_the_tree(batches: list[dict[bytes, bytes | None]], key: bytes) -> None:
    tree, rows, state = StateTree(), Rows(), dict[bytes, bytes | None]()
    for changes in batches:
        state.update(changes)
        rows.update(changes)
        tree.update(changes)
    proof = pages.prove(rows.fetch, rows.count, key)
    assert proof == tree.prove(key)
    assert verify_proof(tree.root, key, state.get(key), proof)
