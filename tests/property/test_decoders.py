"""Every decoder that faces the network returns what it read, the same bytes again, or a refusal."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain.base.codec import encode
from chain.base.errors import Reason
from scripts.fuzz_parts.decoders import DECODERS as TABLE
from tests.support.refusals import refusal

# Those whose result tells the bytes that it was read from.
DECODERS = {name: (item.decode, item.again, list(item.originals)) for name, item in TABLE.items() if item.again}
pytestmark = pytest.mark.parametrize("name", DECODERS)


@st.composite
def mutated(draw: st.DrawFn, originals: list[bytes]) -> bytes:
    """Valid bytes with a few bytes changed, cut, doubled or put in."""
    data = draw(st.sampled_from(originals))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        end = draw(st.integers(at, min(len(data), at + 40)))
        match draw(st.sampled_from(["flip", "cut", "double", "insert", "truncate", "marker"])):
            case "flip" if at < len(data):
                data = data[:at] + bytes([data[at] ^ draw(st.integers(1, 255))]) + data[at + 1 :]
            case "cut":
                data = data[:at] + data[end:]
            case "double":
                data = data[:end] + data[at:]
            case "insert":
                data = data[:at] + draw(st.binary(max_size=20)) + data[at:]
            case "truncate":
                data = data[:at]
            case _:
                marker = draw(st.sampled_from([b"\xc0", b"\xc3", b"\xa0", b"\x80", b"\x90", b"\xc7\x00\x05", b"\xdd"]))
                data = data[:at] + marker + data[at + 1 :]
    return data


def check(name: str, data: bytes) -> None:
    decode, again, _ = DECODERS[name]
    decoded: list[Any] = []
    reason = refusal(lambda: decoded.append(decode(data)))
    assert reason in (None, Reason.MALFORMED, Reason.TOO_LARGE)
    assert [again(item) for item in decoded] == ([data] if reason is None else [])


def test_the_originals_are_valid(name: str) -> None:
    decode, again, originals = DECODERS[name]
    assert [again(decode(data)) for data in originals] == originals


@settings(max_examples=50)
@given(data=st.binary(max_size=400))
def test_any_bytes(name: str, data: bytes) -> None:
    check(name, data)


@settings(max_examples=80)
@given(data=st.data())
def test_mutated_messages(name: str, data: st.DataObject) -> None:
    check(name, data.draw(mutated(DECODERS[name][2])))


leaf = st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=40) | st.none() | st.booleans() | st.floats()
shapes = st.recursive(leaf, lambda inner: st.lists(inner, max_size=10).map(tuple), max_leaves=10)


@settings(max_examples=30)
@given(value=shapes, tail=st.sampled_from([b"", bytes(64)]))
def test_well_formed_nonsense(name: str, value: Any, tail: bytes) -> None:
    check(name, encode(value) + tail)
