"""What is passed on by any means between people: receipts, and the words of guardians."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chain.base.errors import OperatorError
from chain.content.actions import RECOVER
from scripts.registry_parts.keys import Voucher, read_voucher
from scripts.registry_parts.voices import Receipt, read_receipt

KEY, SIGNATURE = bytes(range(32)), bytes(64)
RECEIPT = Receipt(KEY, bytes(32), KEY, -7, SIGNATURE)
VOUCHER = Voucher(KEY, bytes(32), KEY, RECOVER, 99, SIGNATURE)


def test_tokens_come_back_as_they_were() -> None:
    assert read_receipt(f" {RECEIPT.to_token()}\n") == RECEIPT
    assert read_voucher(f" {VOUCHER.to_token()}\n") == VOUCHER


@pytest.mark.parametrize(
    ("read", "token"),
    [(read_receipt, RECEIPT.to_token()), (read_voucher, VOUCHER.to_token())],
    ids=["receipt", "voucher"],
)
def test_a_token_that_is_not_whole_is_the_persons_mistake(read: Callable[[str], object], token: str) -> None:
    for bad in (token[:-3], token[4:], token[:9] + "!" + token[10:], "", "gfc1AAAA"):
        with pytest.raises(OperatorError, match="copy all of what"):
            read(bad)


def test_one_is_not_taken_for_the_other() -> None:
    with pytest.raises(OperatorError):
        read_voucher("gfv1" + RECEIPT.to_token()[4:])
    with pytest.raises(OperatorError):
        read_receipt("gfr1" + VOUCHER.to_token()[4:])
