from __future__ import annotations

import random
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from chain.base.codec import encode
from chain.base.errors import Reason, Refused
from chain.tree.stateproof import BUCKET, EMPTY, MAX_DEPTH, MAX_PROOF_BYTES, Proof, verify_proof
from chain.tree.statetree import StateTree

ITEMS = {b"key %d" % number: b"value %d" % number for number in range(1000)}
ABSENT = b"no such key"


def digest(*parts: bytes) -> bytes:
    return sha256(b"".join(parts)).digest()


def root_of(count: int, top: bytes) -> bytes:
    return digest(b"\x02", count.to_bytes(8, "big"), top)


def hashed(first: int, last: int = 0) -> bytes:
    """A key hash of our own making: its first and its last byte."""
    return bytes([first]) + bytes(30) + bytes([last])


@pytest.fixture
def tree() -> StateTree:
    return StateTree.build(ITEMS.items())


class TestStructure:
    """Small trees, hashed by hand."""

    def test_empty(self) -> None:
        assert StateTree().root == StateTree.build([]).root == root_of(0, bytes(32))
        assert len(StateTree()) == 0

    def test_one_entry(self) -> None:
        tree = StateTree()
        root = tree.update({b"k": b"v"})
        assert root == tree.root == root_of(1, digest(b"\x00", digest(b"k"), digest(b"v")))

    def test_a_full_bucket_is_sorted(self) -> None:
        names = [b"%d" % number for number in range(BUCKET)]
        tree = StateTree.build((name, b"v") for name in names)
        in_order = b"".join(key + digest(b"v") for key in sorted(digest(name) for name in names))
        assert tree.root == root_of(BUCKET, digest(b"\x00", in_order))

    def test_one_entry_more_splits_on_the_first_bit(self) -> None:
        low, high = [hashed(number) for number in range(BUCKET)], hashed(0x80)
        tree = StateTree()
        tree.update_hashed(dict.fromkeys((*low, high), EMPTY))
        left = digest(b"\x00", *(key + EMPTY for key in low))
        right = digest(b"\x00", high + EMPTY)
        assert tree.root == root_of(BUCKET + 1, digest(b"\x01", left, right))

    def test_an_empty_side_is_zeros(self) -> None:
        keys = [hashed(number) for number in range(BUCKET)] + [hashed(0x40)]
        tree = StateTree()
        tree.update_hashed(dict.fromkeys(keys, EMPTY))
        left = digest(b"\x00", *(key + EMPTY for key in keys[:-1]))
        right = digest(b"\x00", keys[-1] + EMPTY)
        assert tree.root == root_of(BUCKET + 1, digest(b"\x01", digest(b"\x01", left, right), bytes(32)))

    def test_removing_the_entry_that_split_merges(self) -> None:
        tree = StateTree()
        tree.update_hashed({hashed(0, number): EMPTY for number in range(BUCKET)})
        before = tree.root
        tree.update_hashed({hashed(0, BUCKET): EMPTY})
        assert tree.root != before
        assert tree.update_hashed({hashed(0, BUCKET): None}) == before

    def test_a_root_never_changes(self, tree: StateTree) -> None:
        assert tree.root.hex() == "67676fabfb989bf2e5647dda8f2003b286e6b34c2084e76878137ec1b1621bc0"


class TestUpdate:
    def test_agrees_with_build_in_any_order(self, tree: StateTree) -> None:
        rng = random.Random(1)
        for _ in range(3):
            items = list(ITEMS.items())
            rng.shuffle(items)
            one_by_one = StateTree()
            for key, value in items:
                one_by_one.update({key: value})
            assert one_by_one.root == StateTree.build(items).root == StateTree().update(dict(items)) == tree.root

    def test_undo(self, tree: StateTree) -> None:
        before = tree.root
        changes: dict[bytes, bytes | None] = {b"key %d" % number: None for number in range(0, 1000, 3)}
        changes |= {b"key %d" % number: b"changed" for number in range(1, 1000, 3)}
        changes |= {b"new %d" % number: b"" for number in range(500)}
        assert tree.update(changes) != before
        assert len(tree) == 1000 - 334 + 500
        assert tree.update({key: ITEMS.get(key) for key in changes}) == before

    def test_another_tree_is_made_beside_it(self, tree: StateTree) -> None:
        before = tree.root
        changes = {digest(b"key 1"): None, digest(b"new"): EMPTY}
        other = tree.changed(changes)
        assert (tree.root, len(tree)) == (before, 1000)
        assert (tree.find(digest(b"key 1")), tree.find(digest(b"new"))) == (digest(b"value 1"), None)
        assert (other.find(digest(b"key 1")), other.find(digest(b"new"))) == (None, EMPTY)
        assert other.root == StateTree.build(ITEMS.items()).update_hashed(changes) != before

    def test_removing_everything_leaves_the_empty_tree(self, tree: StateTree) -> None:
        assert tree.update(dict.fromkeys(ITEMS)) == StateTree().root
        assert len(tree) == 0

    def test_what_changes_nothing_changes_nothing(self, tree: StateTree) -> None:
        before = tree.root
        assert tree.update({}) == tree.update({ABSENT: None}) == tree.update({b"key 1": b"value 1"}) == before
        assert len(tree) == 1000

    def test_a_value_that_is_a_key_is_not_mistaken_for_it(self) -> None:
        tree = StateTree.build([(b"a", b"b"), (b"c", b"a")])
        assert tree.update({b"b": b"x"}) == StateTree.build([(b"a", b"b"), (b"c", b"a"), (b"b", b"x")]).root
        tree.update({b"b": None, b"a": None})
        assert tree.root == StateTree.build([(b"c", b"a")]).root
        assert verify_proof(tree.root, b"a", None, tree.prove(b"a"))

    @pytest.mark.parametrize(
        ("other", "value", "key"),
        [
            (hashed(1), EMPTY, EMPTY),  # from the second byte on, all of it looks like the key
            (EMPTY, bytes(31) + b"\x01", b"\x01" * 32),  # looks like the key from one byte before where it is
        ],
    )
    def test_what_looks_like_a_key_across_entries_is_not_mistaken_for_it(
        self, other: bytes, value: bytes, key: bytes
    ) -> None:
        alone, both = StateTree(), StateTree()
        alone.update_hashed({other: value})
        both.update_hashed({other: value, key: value})
        tree = StateTree()
        tree.update_hashed({other: value})
        assert tree.update_hashed({key: b"\x07" * 32}) != tree.update_hashed({key: value}) == both.root
        assert len(tree) == 2
        assert tree.update_hashed({key: None}) == alone.root

    def test_a_key_twice_is_refused(self) -> None:
        with pytest.raises(ValueError, match="twice"):
            StateTree.build([(b"k", b"1"), (b"k", b"2")])

    @pytest.mark.parametrize("bad", [{b"short": EMPTY}, {EMPTY: b""}, {EMPTY: bytes(33)}])
    def test_hashes_of_another_size_are_refused_before_anything_changes(
        self, tree: StateTree, bad: dict[bytes, bytes | None]
    ) -> None:
        before = tree.root
        with pytest.raises(ValueError, match="32 bytes"):
            tree.update_hashed({digest(b"key 1"): None} | bad)
        assert (tree.root, len(tree)) == (before, 1000)


class TestGroundKeys:
    """Key hashes ground to share 60 bits with those of a real key: deeper, never wider."""

    KEY = b"key 7"
    PREFIX_BITS = 60

    def ground(self, count: int) -> list[bytes]:
        rng = random.Random(2)
        free = MAX_DEPTH - self.PREFIX_BITS
        prefix = int.from_bytes(digest(self.KEY), "big") >> free << free
        return [(prefix | rng.getrandbits(free)).to_bytes(32, "big") for _ in range(count)]

    def test_one_path_deepens(self, tree: StateTree) -> None:
        before, proof_before = tree.root, tree.prove(ABSENT)
        tree.update_hashed(dict.fromkeys(self.ground(200), EMPTY))
        proof = tree.prove(self.KEY)
        assert self.PREFIX_BITS < len(proof.path) < self.PREFIX_BITS + 20
        assert proof.path.count(EMPTY) > 40  # nothing beside it: the price of a bit is one hash
        assert verify_proof(tree.root, self.KEY, b"value 7", Proof.decode(proof.encode()))
        assert len(tree.prove(ABSENT).path) == len(proof_before.path)
        assert tree.update_hashed(dict.fromkeys(self.ground(200))) == before

    def test_as_deep_as_a_tree_can_be(self) -> None:
        # Nobody can grind so far; the bounds must hold all the same.
        number = int.from_bytes(digest(self.KEY), "big")
        others = [*range(1, 2 * BUCKET), *(1 << bit for bit in range(4, MAX_DEPTH))]
        neighbours = [(number ^ other).to_bytes(32, "big") for other in others]
        tree = StateTree()
        tree.update_hashed(dict.fromkeys(neighbours, EMPTY))
        tree.update({self.KEY: b"v"})
        proof = tree.prove(self.KEY)
        assert len(proof.path) == MAX_DEPTH - 3  # three bits tell the eight entries of a bucket apart
        assert len(proof.bucket) == BUCKET * 64
        assert verify_proof(tree.root, self.KEY, b"v", Proof.decode(proof.encode()))


class TestProof:
    def test_presence_and_absence(self, tree: StateTree) -> None:
        for key, value in ITEMS.items():
            proof = tree.prove(key)
            assert verify_proof(tree.root, key, value, proof)
            assert not verify_proof(tree.root, key, None, proof)
            assert not verify_proof(tree.root, key, b"forged", proof)
        for number in range(1000):
            key = b"absent %d" % number
            proof = tree.prove(key)
            assert verify_proof(tree.root, key, None, proof)
            assert not verify_proof(tree.root, key, b"", proof)

    def test_empty_tree(self) -> None:
        tree = StateTree()
        assert tree.prove(ABSENT) == Proof(0, b"", ())
        assert verify_proof(tree.root, ABSENT, None, tree.prove(ABSENT))

    def test_the_proof_of_another_key_or_state(self, tree: StateTree) -> None:
        proof = tree.prove(b"key 1")
        other = next(key for key in ITEMS if tree.prove(key).bucket != proof.bucket)
        assert not verify_proof(tree.root, other, None, proof)
        assert not verify_proof(tree.root, b"key 1", None, tree.prove(other))
        before = tree.root
        tree.update({b"key 2": b"changed"})
        assert not verify_proof(tree.root, b"key 1", b"value 1", proof)
        assert verify_proof(before, b"key 1", b"value 1", proof)

    def test_absence_cannot_be_forged(self, tree: StateTree) -> None:
        """The ways to hide an entry: drop it, another bucket, an empty one, stop above it, go on below it."""
        key = b"key 1"
        proof = tree.prove(key)
        at = proof.bucket.find(digest(key))
        last = proof.path[-1]
        own = digest(b"\x00", proof.bucket)
        pair = own + last if int.from_bytes(digest(key), "big") >> (256 - len(proof.path)) & 1 == 0 else last + own
        forgeries = [
            replace(proof, bucket=proof.bucket[:at] + proof.bucket[at + 64 :]),
            replace(proof, bucket=b""),
            *(replace(proof, bucket=tree.prove(other).bucket) for other in (b"key 2", b"key 3", ABSENT)),
            replace(proof, bucket=pair, path=proof.path[:-1]),
            replace(proof, bucket=b"", path=(*proof.path, own)),
            Proof(0, b"", ()),
            Proof(proof.count, b"", ()),
        ]
        for forged in forgeries:
            assert not verify_proof(tree.root, key, None, forged)

    def test_every_field_counts(self, tree: StateTree) -> None:
        key, value, proof = b"key 1", b"value 1", tree.prove(b"key 1")
        assert not verify_proof(tree.root, key, value, replace(proof, count=proof.count + 1))
        for at in range(len(proof.bucket)):
            changed = proof.bucket[:at] + bytes([proof.bucket[at] ^ 1]) + proof.bucket[at + 1 :]
            assert not verify_proof(tree.root, key, value, replace(proof, bucket=changed))
        for at in range(len(proof.path)):
            for path in (
                proof.path[:at],
                proof.path[at + 1 :],
                (*proof.path[:at], EMPTY, *proof.path[at + 1 :]),
                (*proof.path[:at], EMPTY, *proof.path[at:]),
            ):
                assert not verify_proof(tree.root, key, value, replace(proof, path=path))
        assert not verify_proof(bytes(32), key, value, proof)

    def test_a_root_over_a_false_bucket_proves_nothing(self) -> None:
        """Unsorted, repeated, misplaced or miscounted entries are refused though the hashes fit the root."""

        def check(count: int, names: list[bytes], sibling: bytes | None = None) -> bool:
            bucket = b"".join(digest(name) + digest(b"v") for name in names)
            node = digest(b"\x00", bucket)
            if sibling is not None:
                zero = digest(b"x")[0] < 0x80
                node = digest(b"\x01", *((node, sibling) if zero else (sibling, node)))
            proof = Proof(count, bucket, () if sibling is None else (sibling,))
            return verify_proof(root_of(count, node), b"x", b"v" if b"x" in names else None, proof)

        names = sorted((b"x", b"y", b"z"), key=digest)
        same = [b"%d" % n for n in range(20) if digest(b"%d" % n)[0] >> 7 == digest(b"x")[0] >> 7]
        away = [b"%d" % n for n in range(20) if digest(b"%d" % n)[0] >> 7 != digest(b"x")[0] >> 7]
        assert check(3, names)
        assert not check(3, names[::-1])
        assert not check(2, [b"x", b"x"])
        assert not check(4, names)
        assert check(20, sorted([b"x", same[0]], key=digest), EMPTY)
        assert not check(20, sorted([b"x", away[0]], key=digest), EMPTY)
        assert not check(BUCKET, sorted([b"x", same[0]], key=digest), EMPTY)
        many = sorted([b"x", *(b"%d" % n for n in range(BUCKET))], key=digest)
        assert not check(BUCKET + 1, many)
        assert check(BUCKET, [name for name in many if name != b"0"])

    @pytest.mark.parametrize(
        "nonsense",
        [
            (None, b"k", b"v", Proof(0, b"", ())),
            (b"", b"k", None, Proof(0, b"", ())),
            (EMPTY, None, None, Proof(0, b"", ())),
            (EMPTY, "k", None, Proof(0, b"", ())),
            (EMPTY, b"k", 1, Proof(0, b"", ())),
            (EMPTY, b"k", b"v", None),
            (EMPTY, b"k", b"v", b"proof"),
            (EMPTY, b"k", None, Proof(-1, b"", ())),
            (EMPTY, b"k", None, Proof(2**64, b"", ())),
            (EMPTY, b"k", None, Proof(True, b"", ())),
            (EMPTY, b"k", None, Proof(9, b"", (EMPTY,) * 257)),
            (EMPTY, b"k", None, Proof(9, b"", (b"",))),
            (EMPTY, b"k", None, Proof(9, b"", (None,))),  # type: ignore[arg-type]
            (EMPTY, b"k", None, Proof(9, b"", [EMPTY])),  # type: ignore[arg-type]
            (EMPTY, b"k", None, Proof(9, b"", None)),  # type: ignore[arg-type]
            (EMPTY, b"k", None, Proof(9, None, ())),  # type: ignore[arg-type]
            (EMPTY, b"k", None, Proof(1, b"half an entry", ())),
            (EMPTY, b"k", None, Proof("9", b"", ())),  # type: ignore[arg-type]
        ],
    )
    def test_nonsense_is_refused_and_never_raises(self, nonsense: tuple[Any, ...]) -> None:
        assert verify_proof(*nonsense) is False


class TestProofEncoding:
    def test_round_trip(self, tree: StateTree) -> None:
        for key in (b"key 1", ABSENT):
            proof = tree.prove(key)
            assert Proof.decode(proof.encode()) == proof

    def test_the_largest_proof_fits(self) -> None:
        proof = Proof(2**64 - 1, bytes(64 * BUCKET), (EMPTY,) * MAX_DEPTH)
        assert len(proof.encode()) <= MAX_PROOF_BYTES
        assert Proof.decode(proof.encode()) == proof

    @pytest.mark.parametrize(
        "fields",
        [
            (),
            (1, b""),
            (1, b"", (), 0),
            (-1, b"", ()),
            (b"", b"", ()),
            (1, 0, ()),
            (1, bytes(63), ()),
            (1, bytes(64 * BUCKET + 64), ()),
            (1, b"", b""),
            (1, b"", (bytes(31),)),
            (1, b"", (0,)),
            (1, b"", (EMPTY,) * 257),
        ],
    )
    def test_other_shapes_are_refused(self, fields: tuple[Any, ...]) -> None:
        with pytest.raises(Refused):
            Proof.decode(encode(fields))

    def test_truncated_padded_and_oversized_bytes_are_refused(self, tree: StateTree) -> None:
        data = tree.prove(b"key 1").encode()
        for end in range(len(data)):
            with pytest.raises(Refused):
                Proof.decode(data[:end])
        with pytest.raises(Refused):
            Proof.decode(data + b"\x00")
        with pytest.raises(Refused) as refused:
            Proof.decode(bytes(MAX_PROOF_BYTES + 1))
        assert refused.value.reason is Reason.TOO_LARGE


@pytest.mark.parametrize("count", [1, BUCKET, BUCKET + 1, 40, 400])
@pytest.mark.parametrize("depth", [0, 3, 8])
def test_parts_that_were_empty_are_grafted(count: int, depth: int) -> None:
    rng = random.Random(count)
    values = {rng.randbytes(8): rng.randbytes(8) for _ in range(count)}
    parts: dict[int, list[bytes]] = {}
    for entry in sorted(sha256(key).digest() + sha256(value).digest() for key, value in values.items()):
        parts.setdefault(int.from_bytes(entry[:32], "big") >> MAX_DEPTH - depth, []).append(entry)
    tree = StateTree()
    for prefix in rng.sample(sorted(parts), len(parts)):
        before = tree.root
        first = (prefix << MAX_DEPTH - depth).to_bytes(32, "big")
        tree, was = tree.grafted(first, parts[prefix]), tree
        assert was.root == before
    whole = StateTree.build(values.items())
    assert (tree.root, len(tree)) == (whole.root, count)
    assert all(tree.prove(key) == whole.prove(key) for key in values)
