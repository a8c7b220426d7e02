"""The state tree against its definition: a function of the set of entries, whatever happened before."""

from __future__ import annotations

import random
from hashlib import sha256

from hypothesis import given, settings
from hypothesis import strategies as st

from chain.tree.stateproof import BUCKET, Proof, verify_proof
from chain.tree.statetree import StateTree

Entries = dict[bytes, bytes]
Changes = dict[bytes, bytes | None]


def digest(*parts: bytes) -> bytes:
    return sha256(b"".join(parts)).digest()


def node_by_definition(entries: list[tuple[bytes, bytes]], depth: int) -> bytes:
    if not entries:
        return bytes(32)
    if len(entries) <= BUCKET:
        return digest(b"\x00", *(part for entry in sorted(entries) for part in entry))
    sides: tuple[list[tuple[bytes, bytes]], list[tuple[bytes, bytes]]] = ([], [])
    for entry in entries:
        sides[int.from_bytes(entry[0], "big") >> (255 - depth) & 1].append(entry)
    return digest(b"\x01", *(node_by_definition(side, depth + 1) for side in sides))


def root_by_definition(entries: Entries) -> bytes:
    """The root over hashed entries, recomputed from nothing."""
    return digest(b"\x02", len(entries).to_bytes(8, "big"), node_by_definition(list(entries.items()), 0))


def inverse(changes: Changes, before: Entries) -> Changes:
    return {key: before.get(key) for key in changes}


def apply(changes: Changes, entries: Entries) -> Entries:
    return {key: value for key, value in (entries | changes).items() if value is not None}


# Few distinct keys, so that updates hit, and half of them below one prefix, so that buckets split deep and merge.
PREFIXES = (b"", b"", bytes(7), b"\xff" * 7 + b"\xf0", bytes(31))
HASHES = [prefix + sha256(b"%d" % number).digest()[len(prefix) :] for number in range(24) for prefix in PREFIXES]
VALUES = [sha256(b"value %d" % number).digest() for number in range(3)] + HASHES[:2]
# A batch removes about as often as it sets, so that trees shrink below a bucket again.
batches = st.lists(
    st.dictionaries(st.sampled_from(HASHES), st.one_of(st.none(), st.sampled_from(VALUES)), max_size=60),
    max_size=6,
)


@given(batches)
@settings(max_examples=300, deadline=None)
def test_every_update_gives_the_root_of_the_definition_and_undoes_exactly(history: list[Changes]) -> None:
    tree = StateTree()
    entries: Entries = {}
    undo: list[tuple[Changes, bytes]] = []
    for changes in history:
        undo.append((inverse(changes, entries), tree.root))
        entries = apply(changes, entries)
        assert tree.update_hashed(changes) == tree.root == root_by_definition(entries)
        assert len(tree) == len(entries)
    for changes, root in reversed(undo):
        assert tree.update_hashed(changes) == root
    assert len(tree) == 0


@given(st.sets(st.sampled_from(HASHES)), st.randoms(use_true_random=False), st.integers(1, 50))
@settings(max_examples=150, deadline=None)
def test_the_root_does_not_depend_on_order_or_batches(keys: set[bytes], rng: random.Random, size: int) -> None:
    entries = {key: sha256(key).digest() for key in keys}
    order = sorted(keys)
    rng.shuffle(order)
    tree = StateTree()
    for at in range(0, len(order), size):
        tree.update_hashed({key: entries[key] for key in order[at : at + size]})
    assert tree.root == root_by_definition(entries)


plain_keys = st.integers(0, 60).map(lambda number: b"key %d" % number)


@given(st.dictionaries(plain_keys, st.binary(max_size=3)), plain_keys, st.binary(max_size=3))
@settings(max_examples=200, deadline=None)
def test_a_proof_shows_what_is_there_and_nothing_else(entries: Entries, key: bytes, other: bytes) -> None:
    tree = StateTree.build(entries.items())
    assert tree.root == root_by_definition(
        {sha256(name).digest(): sha256(value).digest() for name, value in entries.items()}
    )
    proof = tree.prove(key)
    assert Proof.decode(proof.encode()) == proof
    for claim in {other, b"", *entries.values()} | {None}:
        assert verify_proof(tree.root, key, claim, proof) == (claim == entries.get(key))
