"""The canonical encoding: what it takes, and what it refuses."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgpack
import pytest

from chain.base.codec import U64_MAX, array, blob, count_items, decode, encode, first_items, integer
from chain.base.errors import Reason, Refused


def refusal(data: bytes, **limits: int) -> Reason:
    with pytest.raises(Refused) as caught:
        decode(data, **{"max_bytes": 1_000, **limits})
    return caught.value.reason


@pytest.mark.parametrize(
    "value",
    [(), (0,), (-1, U64_MAX, -(2**63)), (b"", b"x" * 300), ((), ((b"",),)), (1, (2, (3, (4,))))],
    ids=str,
)
def test_ints_bytes_and_arrays_come_back(value: tuple[Any, ...]) -> None:
    assert decode(encode(value), max_bytes=1_000) == value


@pytest.mark.parametrize("value", [U64_MAX + 1, -(2**63) - 1])
def test_an_integer_beyond_64_bits_cannot_be_encoded(value: int) -> None:
    with pytest.raises(OverflowError):
        encode((value,))


def test_a_failed_encoding_leaves_nothing_behind() -> None:
    with pytest.raises(OverflowError):
        encode((1, 2, U64_MAX + 1))
    assert encode((7,)) == b"\x91\x07"


# One row an alias: the canonical form is in the comment.
ALIASES = {
    "uint8 for a small int": b"\x91\xcc\x01",  # 91 01
    "uint16 for a small int": b"\x91\xcd\x00\x01",
    "uint32 for a small int": b"\x91\xce\x00\x00\x00\x01",
    "uint64 for a small int": b"\x91\xcf" + (1).to_bytes(8, "big"),
    "int8 for a positive int": b"\x91\xd0\x01",
    "int16 for a positive int": b"\x91\xd1\x00\x01",
    "int32 for a positive int": b"\x91\xd2\x00\x00\x00\x01",
    "int64 for a positive int": b"\x91\xd3" + (1).to_bytes(8, "big"),
    "int8 for a small negative int": b"\x91\xd0\xff",  # 91 ff
    "int16 for a negative int": b"\x91\xd1\xff\x80",  # 91 d0 80
    "int64 for a negative int": b"\x91\xd3" + (-1).to_bytes(8, "big", signed=True),
    "array16 for a short array": b"\xdc\x00\x01\x01",
    "array32 for a short array": b"\xdd\x00\x00\x00\x01\x01",
    "array16 inside": b"\x91\xdc\x00\x00",
    "bin16 for short bytes": b"\x91\xc5\x00\x01x",
    "bin32 for short bytes": b"\x91\xc6\x00\x00\x00\x01x",
    "bin32 for no bytes": b"\x91\xc6\x00\x00\x00\x00",
    "fixstr": b"\x91\xa1x",
    "empty fixstr": b"\x91\xa0",
    "str8": b"\x91\xd9\x01x",
    "empty str32": b"\x91\xdb\x00\x00\x00\x00",
    "float32": b"\x91\xca\x3f\x80\x00\x00",
    "map": b"\x91\x81\x01\x02",
    "ext": b"\x91\xc7\x01\x05x",
    "fixext": b"\x91\xd4\x05x",
    "timestamp": b"\x91" + msgpack.packb(msgpack.Timestamp(1, 1)),
    "the reserved byte": b"\x91\xc1",
    "trailing byte": b"\x91\x01\x00",
    "trailing array": b"\x90\x90",
    "truncated array": b"\x92\x01",
    "truncated bytes": b"\x91\xc4\x05abc",
    "truncated length": b"\x91\xc5\x00",
    "truncated int": b"\x91\xcf\x00",
    "nothing": b"",
    "an int alone": b"\x01",
    "bytes alone": b"\xc4\x01x",
    "nil alone": b"\xc0",
    "an empty map alone": b"\x80",
    "an ext alone": b"\xc7\x00\x05",
}


@pytest.mark.parametrize("data", ALIASES.values(), ids=ALIASES.keys())
def test_other_forms_are_malformed(data: bytes) -> None:
    assert refusal(data) is Reason.MALFORMED


@pytest.mark.parametrize("depth", [400, 600, 2_000, 100_000])
@pytest.mark.parametrize("opening", [b"\x91", b"\xdc\x00\x01", b"\xdd\x00\x00\x00\x01"])
def test_deep_nesting_is_never_more_than_a_refusal(depth: int, opening: bytes) -> None:
    data = opening * depth + b"\x90"
    value: tuple[Any, ...] = ()
    with suppress(Refused):
        value = decode(data, max_bytes=1_000_000)
    assert value == () or encode(value) == data


def test_bytes_are_counted_before_they_are_read() -> None:
    data = encode((b"x" * 100,))
    assert decode(data, max_bytes=len(data)) == (b"x" * 100,)
    assert refusal(data, max_bytes=len(data) - 1) is Reason.TOO_LARGE
    assert refusal(b"\xc1" * 2_000) is Reason.TOO_LARGE


def test_items_are_counted_in_every_array() -> None:
    assert len(decode(encode(tuple(range(16))), max_bytes=1_000)) == 16
    assert refusal(encode(tuple(range(17)))) is Reason.MALFORMED
    assert refusal(encode((1, tuple(range(17))))) is Reason.MALFORMED
    assert len(decode(encode(tuple(range(17))), max_bytes=1_000, max_items=17)) == 17


def test_a_header_that_promises_gigabytes_is_refused() -> None:
    for data in (
        b"\xdd\xff\xff\xff\xff",
        b"\x91\xc6\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff",
    ):
        assert refusal(data) is Reason.MALFORMED


STOWAWAYS = [True, False, None, 1.0, {}, msgpack.ExtType(5, b"")]


@pytest.mark.parametrize("value", STOWAWAYS, ids=repr)
def test_what_slips_through_decoding_passes_no_type_check(value: object) -> None:
    for check in (lambda: integer(value, 0, 1, "it"), lambda: blob(value, 0, "it"), lambda: array(value, 0, 9, "it")):
        with pytest.raises(Refused) as caught:
            check()
        assert caught.value.reason is Reason.MALFORMED


def test_the_first_items_of_an_array_are_an_array() -> None:
    whole = encode((b"header", b"b" * 300, (b"x", b"y")))
    assert first_items(whole, 2) == encode((b"header", b"b" * 300))
    assert first_items(whole[:-3], 2) == encode((b"header", b"b" * 300))
    for data in (whole[:-8], b"", b"\xa1x", encode((b"header",))):
        with pytest.raises(Refused):
            first_items(data, 2)


@pytest.mark.parametrize("count", [0, 1, 15, 16, 300])
def test_items_are_counted_without_reading_them(count: int) -> None:
    assert count_items(encode((b"x" * 100,) * count)) == count
    with pytest.raises(Refused):
        count_items(b"\xc1")


def test_integer_checks_the_range_inclusively() -> None:
    assert [integer(value, 3, 5, "it") for value in (3, 4, 5)] == [3, 4, 5]
    for value in (2, 6, b"4", (4,)):
        with pytest.raises(Refused, match="it is not an integer from 3 to 5"):
            integer(value, 3, 5, "it")


def test_blob_checks_the_exact_size() -> None:
    assert blob(b"abc", 3, "it") == b"abc"
    for value in (b"ab", b"abcd", 3, bytearray(b"abc"), "abc"):
        with pytest.raises(Refused, match="it is not 3 bytes"):
            blob(value, 3, "it")


def test_array_checks_the_number_of_items() -> None:
    assert array((1, 2), 1, 2, "it") == (1, 2)
    for value in ((), (1, 2, 3), [1, 2], b"ab"):
        with pytest.raises(Refused, match="it is not an array of 1 to 2 items"):
            array(value, 1, 2, "it")
