from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from chain.base.merkle import EMPTY_ROOT, MAX_COUNT, MAX_PATH, merkle_root, prove, verify

IDS = [bytes([i]) * 32 for i in range(40)]


def leaf(data: bytes) -> bytes:
    return sha256(b"\x00" + data).digest()


def inner(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def rfc_6962(ids: list[bytes]) -> bytes:
    """The definition of section 2.1, word for word."""
    if not ids:
        return sha256(b"").digest()
    if len(ids) == 1:
        return leaf(ids[0])
    split = 1
    while split * 2 < len(ids):
        split *= 2
    return inner(rfc_6962(ids[:split]), rfc_6962(ids[split:]))


def test_small_trees_by_hand() -> None:
    a, b, c = (leaf(item) for item in IDS[:3])
    assert merkle_root([]) == EMPTY_ROOT
    assert merkle_root(IDS[:1]) == a
    assert merkle_root(IDS[:2]) == inner(a, b)
    assert merkle_root(IDS[:3]) == inner(inner(a, b), c)


def test_a_root_never_changes() -> None:
    assert merkle_root(IDS[:5]).hex() == "85e20cac1f02fda7bcdb2fc3f908568c57018c77815f1fa361acad13994f08bf"


@pytest.mark.parametrize("count", range(len(IDS)))
def test_agrees_with_the_definition(count: int) -> None:
    assert merkle_root(IDS[:count]) == rfc_6962(IDS[:count])


def test_repeating_the_last_id_changes_the_root() -> None:
    for count in range(1, len(IDS)):
        assert merkle_root(IDS[:count]) != merkle_root([*IDS[:count], IDS[count - 1]])


def test_an_inner_node_is_not_a_leaf() -> None:
    # 64 bytes are no id, so a pair of hashes cannot be presented as one, neither to make a root nor to check one.
    pair = leaf(IDS[0]) + leaf(IDS[1])
    with pytest.raises(ValueError, match="32 bytes"):
        merkle_root([pair])
    assert not verify(merkle_root(IDS[:2]), pair, 0, 1, ())


@pytest.mark.parametrize("count", range(1, 20))
def test_every_id_is_provable_at_its_place_only(count: int) -> None:
    ids = IDS[:count]
    root = merkle_root(ids)
    for index, item in enumerate(ids):
        path = prove(ids, index)
        assert verify(root, item, index, count, path)
        assert not any(verify(root, item, other, count, path) for other in range(count) if other != index)
        assert not verify(root, IDS[-1], index, count, path)
        assert not verify(bytes(32), item, index, count, path)
        assert not verify(root, item, index, count, (*path, bytes(32)))
        for at in range(len(path)):
            assert not verify(root, item, index, count, path[:at])
            assert not verify(root, item, index, count, (*path[:at], bytes(32), *path[at + 1 :]))


def test_nothing_is_provable_in_an_empty_tree() -> None:
    assert not verify(EMPTY_ROOT, IDS[0], 0, 0, ())


def test_the_largest_tree_has_the_longest_path() -> None:
    path = tuple(bytes([level]) * 32 for level in range(MAX_PATH))
    root = leaf(IDS[0])
    for sibling in path:
        root = inner(root, sibling)
    assert verify(root, IDS[0], 0, MAX_COUNT, path)
    assert not verify(root, IDS[0], 0, MAX_COUNT // 2, path)


@pytest.mark.parametrize("index", [-1, 3])
def test_prove_refuses_an_index_outside(index: int) -> None:
    with pytest.raises(IndexError):
        prove(IDS[:3], index)


@pytest.mark.parametrize(
    "arguments",
    [
        (None, IDS[0], 0, 2, (IDS[1],)),
        (IDS[0], "a", 0, 2, (IDS[1],)),
        (IDS[0], b"short", 0, 2, (IDS[1],)),
        (IDS[0], IDS[0], True, 2, (IDS[1],)),
        (IDS[0], IDS[0], 0, 2.0, (IDS[1],)),
        (IDS[0], IDS[0], 0, MAX_COUNT + 1, (IDS[1],) * 33),
        (IDS[0], IDS[0], 0, 2, [IDS[1]]),
        (IDS[0], IDS[0], 0, 2, (None,)),
        (IDS[0], IDS[0], 0, 2, (b"",)),
        (IDS[0], IDS[0], 0, 2, (IDS[1],) * 10_000),
        (IDS[0], IDS[0], 0, MAX_COUNT, (IDS[1],) * 31),
        (IDS[0], IDS[0], 0, 10**100, ()),
    ],
)
def test_verify_says_no_to_nonsense_and_never_raises(arguments: tuple[Any, ...]) -> None:
    assert verify(*arguments) is False
