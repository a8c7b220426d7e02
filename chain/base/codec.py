"""Canonical encoding: one byte string for one value, everywhere and always.

The format is MessagePack restricted to arrays, integers and byte strings.  MessagePack alone is not
canonical (its decoders accept longer forms of the same number), so :func:`decode` re-encodes what it
read and refuses anything but the identical bytes.  Hashes are always taken of the bytes received.
Source: protocol 1.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import msgpack

from chain.base.errors import Reason, Refused

U32_MAX = 2**32 - 1
U64_MAX = 2**64 - 1

_pack = msgpack.Packer(use_bin_type=True, autoreset=True).pack


def encode(value: Any) -> bytes:
    """Encode nested tuples of ints and bytes.  Ints must fit 64 bits."""
    packed: bytes = _pack(value)
    return packed


def decode(data: bytes, *, max_bytes: int, max_items: int = 16) -> tuple[Any, ...]:
    """Decode one canonical array of at most ``max_bytes`` bytes, no array in it longer than ``max_items``.

    Raises :class:`Refused` (``TOO_LARGE`` or ``MALFORMED``) and nothing else.  The items are ints, bytes
    and tuples of them; their arity, types and ranges are for the caller to check with :func:`integer`,
    :func:`blob` and :func:`array`.
    """
    if len(data) > max_bytes:
        raise Refused(Reason.TOO_LARGE, f"{len(data)} bytes where {max_bytes} are allowed")
    try:
        value = msgpack.unpackb(
            data,
            use_list=False,
            raw=True,
            max_array_len=max_items,
            max_bin_len=max_bytes,
            max_str_len=0,
            max_map_len=0,
            max_ext_len=0,
        )
        # Booleans, nil, floats and empty strings survive the limits above; none of them passes the
        # caller's exact type checks, and re-encoding catches every longer form of a legal value.
        canonical = _pack(value) == data
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise Refused(Reason.MALFORMED, "not a canonical encoding") from error
    except msgpack.UnpackException as error:
        raise Refused(Reason.MALFORMED, "not a canonical encoding") from error
    if not canonical or type(value) is not tuple:
        raise Refused(Reason.MALFORMED, "not a canonical encoding")
    return value


def count_items(data: bytes) -> int:
    """How many items an encoded array has.  Raises :class:`Refused` ``MALFORMED`` for what does not begin as one."""
    return _begun(data[:5])[1]


def first_items(data: bytes, count: int) -> bytes:
    """The array of the first ``count`` items of the array that ``data`` begins with, encoded; at most 15 of them.

    Raises :class:`Refused` ``MALFORMED`` where they are not all there.  What follows them is not looked at.
    """
    reader, _ = _begun(data)
    try:
        start = reader.tell()
        for _ in range(count):
            reader.skip()
    except (ValueError, msgpack.UnpackException) as error:
        raise Refused(Reason.MALFORMED, "not the beginning of an array") from error
    return bytes([0x90 | count]) + data[start : reader.tell()]


def _begun(data: bytes) -> tuple[msgpack.Unpacker, int]:
    """A reader at the first item of an array, and how many there are."""
    reader = msgpack.Unpacker(max_buffer_size=max(1, len(data)))
    reader.feed(data)
    try:
        return reader, reader.read_array_header()
    except (ValueError, msgpack.UnpackException) as error:
        raise Refused(Reason.MALFORMED, "not the beginning of an array") from error


def integer(value: Any, low: int, high: int, name: str) -> int:
    """``value`` if it is exactly an ``int`` in ``[low, high]``.  Raises :class:`Refused` ``MALFORMED``."""
    if type(value) is not int or not low <= value <= high:
        raise Refused(Reason.MALFORMED, f"{name} is not an integer from {low} to {high}")
    return value


def blob(value: Any, size: int, name: str) -> bytes:
    """``value`` if it is exactly ``size`` bytes.  Raises :class:`Refused` ``MALFORMED``."""
    if type(value) is not bytes or len(value) != size:
        raise Refused(Reason.MALFORMED, f"{name} is not {size} bytes")
    return value


def array(value: Any, low: int, high: int, name: str) -> tuple[Any, ...]:
    """``value`` if it is a tuple of ``low`` to ``high`` items.  Raises :class:`Refused` ``MALFORMED``."""
    if type(value) is not tuple or not low <= len(value) <= high:
        raise Refused(Reason.MALFORMED, f"{name} is not an array of {low} to {high} items")
    return value


Read: TypeAlias = Callable[[Any, str], Any]
"""Checks one decoded field: ``(value, name) -> value``, or ``MALFORMED``."""


def an_integer(low: int, high: int) -> Read:
    """The check of a field that is an integer in ``[low, high]``."""

    def read(value: Any, name: str) -> int:
        return value if type(value) is int and low <= value <= high else integer(value, low, high, name)

    return read


def a_blob(size: int) -> Read:
    """The check of a field of exactly ``size`` bytes."""

    def read(value: Any, name: str) -> bytes:
        return value if type(value) is bytes and len(value) == size else blob(value, size, name)

    return read


def a_blob_or_nothing(size: int) -> Read:
    """The check of a field of exactly ``size`` bytes, or of none."""
    return lambda value, name: value if type(value) is bytes and not value else blob(value, size, name)
