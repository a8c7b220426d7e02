"""One value, one byte string: whatever decodes encodes to the same bytes, and every alias is refused."""

from __future__ import annotations

from typing import Any

import msgpack
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chain.base.codec import U64_MAX, decode, encode
from chain.base.errors import Reason, Refused

MAX_BYTES, MAX_ITEMS = 4_096, 16

integers = st.integers(-(2**63), U64_MAX) | st.sampled_from(
    [edge + step for bits in (5, 7, 8, 15, 16, 31, 32) for edge in (2**bits, -(2**bits)) for step in (-1, 0)]
)
leaves = integers | st.binary(max_size=40) | st.sampled_from([bytes(255), bytes(256)])
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=12)
arrays = st.lists(values, max_size=5).map(tuple)


def outcome(data: bytes) -> tuple[Any, ...] | Reason:
    """What decoding comes to; any exception but a refusal fails the test."""
    try:
        return decode(data, max_bytes=MAX_BYTES, max_items=MAX_ITEMS)
    except Refused as refused:
        return refused.reason


@settings(max_examples=60)
@given(arrays)
def test_values_come_back(value: tuple[Any, ...]) -> None:
    data = encode(value)
    assert decode(data, max_bytes=len(data)) == value


# Every MessagePack form of an integer: its first byte, its width, whether it is signed.
INTEGER_FORMS = [(0xCC + n, 1 << n, False) for n in range(4)] + [(0xD0 + n, 1 << n, True) for n in range(4)]


def integer_forms(value: int) -> list[bytes]:
    forms = [value.to_bytes(1, "big", signed=value < 0)] if -32 <= value < 128 else []
    for first, width, signed in INTEGER_FORMS:
        low, high = (-(1 << 8 * width - 1), 1 << 8 * width - 1) if signed else (0, 1 << 8 * width)
        if low <= value < high:
            forms.append(bytes([first]) + value.to_bytes(width, "big", signed=signed))
    return forms


def sized_forms(size: int, fixed: int, fixed_limit: int, *firsts: tuple[int, int]) -> list[bytes]:
    forms = [bytes([fixed | size])] if size < fixed_limit else []
    return forms + [bytes([first]) + size.to_bytes(width, "big") for first, width in firsts if size < 1 << 8 * width]


@st.composite
def any_form(draw: st.DrawFn, value: Any) -> bytes:
    """``value`` in any form that a MessagePack decoder takes for it."""
    if type(value) is int:
        return draw(st.sampled_from(integer_forms(value)))
    if type(value) is bytes:
        forms = sized_forms(len(value), 0, 0, (0xC4, 1), (0xC5, 2), (0xC6, 4))
        forms += sized_forms(len(value), 0xA0, 32, (0xD9, 1), (0xDA, 2), (0xDB, 4))
        return draw(st.sampled_from(forms)) + value
    head = draw(st.sampled_from(sized_forms(len(value), 0x90, 16, (0xDC, 2), (0xDD, 4))))
    return head + b"".join(draw(any_form(item)) for item in value)


@settings(max_examples=60)
@given(st.data(), arrays)
def test_of_all_forms_of_a_value_one_is_accepted(data: st.DataObject, value: tuple[Any, ...]) -> None:
    alias = data.draw(any_form(value))
    assert msgpack.unpackb(alias, use_list=False, raw=True) == value
    if len(alias) > MAX_BYTES:
        assert outcome(alias) is Reason.TOO_LARGE
    else:
        assert outcome(alias) == (value if alias == encode(value) else Reason.MALFORMED)


@settings(max_examples=60)
@given(st.binary(max_size=200))
@example(b"\x91" * 199 + b"\x90")
@example(b"\x91\xcb\x7f\xf8\x00\x00\x00\x00\x00\x01")  # a NaN with a payload
def test_what_is_accepted_encodes_to_the_same_bytes(data: bytes) -> None:
    value = outcome(data)
    if isinstance(value, tuple):
        assert encode(value) == data


foreign = st.none() | st.booleans() | st.floats() | st.text(max_size=40) | st.dictionaries(integers, integers)
mixed = st.recursive(
    integers | st.binary(max_size=40) | foreign, lambda inner: st.lists(inner, max_size=4), max_leaves=8
)


@settings(max_examples=60)
@given(st.lists(mixed, max_size=MAX_ITEMS))
def test_no_foreign_value_is_taken_for_another(value: list[Any]) -> None:
    data: bytes = msgpack.packb(value)
    decoded = outcome(data)
    assert decoded is Reason.MALFORMED or encode(decoded) == data


@settings(max_examples=60)
@given(arrays, st.data())
def test_a_changed_byte_is_another_value_or_none(value: tuple[Any, ...], data: st.DataObject) -> None:
    good = encode(value)
    index = data.draw(st.integers(0, len(good) - 1))
    bad = bytearray(good)
    bad[index] ^= data.draw(st.integers(1, 255))
    decoded = outcome(bytes(bad))
    assert isinstance(decoded, Reason) or (decoded != value or _holds_a_stowaway(decoded))


def _holds_a_stowaway(value: Any) -> bool:
    """Whether a boolean or a float stands where an equal int could: the caller's type checks refuse it."""
    if type(value) is tuple:
        return any(_holds_a_stowaway(item) for item in value)
    return type(value) not in (int, bytes)


@settings(max_examples=60)
@given(arrays, st.binary(min_size=1, max_size=5), st.integers(1, 50))
def test_trailing_and_missing_bytes_are_refused(value: tuple[Any, ...], tail: bytes, missing: int) -> None:
    good = encode(value)
    assert isinstance(outcome(good + tail), Reason)
    assert isinstance(outcome(good[: max(0, len(good) - missing)]), Reason)
