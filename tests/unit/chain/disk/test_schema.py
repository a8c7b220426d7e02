"""How values are sealed in a home's database, and under which numbers they are found."""

from __future__ import annotations

import pytest

from chain.base.errors import Reason
from chain.disk.schema import seal, short_id, unseal
from tests.support.refusals import refusal


def test_what_is_sealed_comes_back() -> None:
    for value in (b"", b"value", bytes(1_000)):
        assert unseal(b"key", seal(b"key", value)) == value


def test_any_flipped_bit_of_a_sealed_value_is_damage() -> None:
    sealed = seal(b"key", b"value")
    for bit in range(8 * len(sealed)):
        spoilt = (int.from_bytes(sealed, "big") ^ 1 << bit).to_bytes(len(sealed), "big")
        assert refusal(unseal, b"key", spoilt) is Reason.MALFORMED


@pytest.mark.parametrize("stored", [b"", b"abc", None, 7, 1.5, "text", seal(b"other key", b"value")])
def test_what_was_never_sealed_is_damage(stored: object) -> None:
    assert refusal(unseal, b"key", stored) is Reason.MALFORMED
    assert refusal(unseal, "key", seal(b"key", b"value")) is Reason.MALFORMED


def test_a_transaction_is_looked_up_by_eight_bytes_that_fit_a_column() -> None:
    assert short_id(bytes(7) + b"\x01" + b"rest") == 1
    assert short_id(b"\xff" * 32) == -1
    assert short_id(b"\x80" + bytes(31)) == -(2**63)
