"""Parts of random states: each is shown to be all of it, together they are the state, and nothing else passes."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chain.base.codec import decode, encode
from chain.base.errors import Reason, Refused
from chain.tree.ranges import MAX_REPLY_BYTES, WHOLE, Part, Row, check_part, fitting_depth, make_part, read_part
from chain.tree.statetree import StateTree
from tests.support.refusals import refusal

States = st.dictionaries(st.binary(min_size=1, max_size=6), st.binary(max_size=40), max_size=60)


def digest(row: Row) -> bytes:
    return sha256(row[0]).digest()


def rows_of(state: dict[bytes, bytes], part: Part) -> list[Row]:
    return sorted((row for row in state.items() if digest(row) in part), key=digest)


def made(state: dict[bytes, bytes], part: Part) -> tuple[bytes, bytes]:
    """The root, and the encoded part."""
    tree = StateTree.build(state.items())
    return tree.root, make_part(tree, part, rows_of(state, part))


def part_at(key: bytes, depth: int) -> Part:
    number = int.from_bytes(sha256(key).digest(), "big") >> 256 - depth << 256 - depth
    return Part(number.to_bytes(32, "big"), depth)


Parts = st.builds(part_at, st.binary(max_size=4), st.integers(0, 14))


@given(States, Parts)
@example({}, WHOLE)
@example({}, part_at(b"", 256))
def test_a_part_is_all_that_the_state_holds_there(state: dict[bytes, bytes], part: Part) -> None:
    root, data = made(state, part)
    fetched = check_part(root, part, data)
    assert fetched.part == part
    assert list(fetched.rows) == rows_of(state, part)
    assert fetched.total == len(state)


@given(States, st.integers(0, 600))
def test_parts_that_fit_are_together_the_state(state: dict[bytes, bytes], limit: int) -> None:
    tree = StateTree.build(state.items())
    missing, found = [WHOLE], list[Row]()
    while missing:
        part = missing.pop(0)
        rows = rows_of(state, part)
        sizes = [len(key) + len(value) for key, value in rows]
        inside = part.inside(fitting_depth(part, list(map(digest, rows)), sizes, limit))
        fetched = check_part(tree.root, part, make_part(tree, inside, rows_of(state, inside)))
        assert len(fetched.rows) <= 8 or sum(len(key) + len(value) for key, value in fetched.rows) <= limit
        found += fetched.rows
        missing = part.beside(inside.depth) + missing
    assert found == rows_of(state, WHOLE)


def altered(data: bytes, at: int, value: Any) -> bytes:
    fields = list(decode(data, max_bytes=MAX_REPLY_BYTES, max_items=2**14))
    fields[at] = value
    return encode(tuple(fields))


def entries_of(data: bytes) -> list[Any]:
    return list(decode(data, max_bytes=MAX_REPLY_BYTES, max_items=2**14)[4])


@given(States.filter(bool), st.integers(0, 8), st.data())
def test_nothing_missing_added_altered_or_in_another_order_passes(
    state: dict[bytes, bytes], depth: int, data: st.DataObject
) -> None:
    key = data.draw(st.sampled_from(sorted(state)))
    part = part_at(key, depth)
    root, encoded = made(state, part)
    rows = entries_of(encoded)
    at = data.draw(st.integers(0, len(rows) - 1))
    stranger = data.draw(st.binary(min_size=7, max_size=9))
    for wrong in (
        [*rows[:at], *rows[at + 1 :]],
        [*rows[:at], (rows[at][0], rows[at][1] + b"!"), *rows[at + 1 :]],
        [*rows[:at], rows[at], *rows[at:]],
        sorted([*rows, (stranger, b"")], key=digest),
    ):
        with pytest.raises(Refused):
            check_part(root, part, altered(encoded, 4, tuple(wrong)))
    if len(rows) > 1:
        with pytest.raises(Refused):
            check_part(root, part, altered(encoded, 4, tuple(rows[::-1])))


@given(States, Parts, st.data())
def test_any_changed_byte_is_noticed(state: dict[bytes, bytes], part: Part, data: st.DataObject) -> None:
    root, encoded = made(state, part)
    at = data.draw(st.integers(0, len(encoded) - 1))
    flipped = encoded[:at] + bytes([encoded[at] ^ data.draw(st.integers(1, 255))]) + encoded[at + 1 :]
    try:
        fetched = check_part(root, part, flipped)
    except Refused:
        return
    assert fetched.part.depth > part.depth  # as true: of a part inside that holds the same
    assert list(fetched.rows) == rows_of(state, fetched.part)


@given(States, Parts)
def test_another_part_or_root_than_asked_for_is_noticed(state: dict[bytes, bytes], part: Part) -> None:
    root, encoded = made(state, part)
    assert refusal(check_part, bytes(32), part, encoded) is not None
    if part.depth:
        number = int.from_bytes(part.first, "big") ^ 1 << 256 - part.depth
        neighbour = Part(number.to_bytes(32, "big"), part.depth)
        if rows_of(state, part) or rows_of(state, neighbour):
            assert refusal(check_part, root, neighbour, encoded) is not None


def test_a_part_that_is_larger_than_asked_for_is_not_taken() -> None:
    state = {bytes([number]): b"value" for number in range(40)}
    root, encoded = made(state, WHOLE)
    assert refusal(check_part, root, part_at(b"", 1), encoded) is Reason.UNSOLICITED


@pytest.mark.parametrize(("first", "depth"), [(b"", 0), (bytes(31), 0), (bytes(31) + b"\1", 255), (bytes(32), 257)])
def test_a_part_begins_with_its_bits_and_nothing_else(first: bytes, depth: int) -> None:
    assert refusal(read_part, first, depth) is Reason.MALFORMED
    assert read_part(bytes(31) + b"\1", 256) == Part(bytes(31) + b"\1", 256)
