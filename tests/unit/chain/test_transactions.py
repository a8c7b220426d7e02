"""Transactions: what is signed, and what is no transaction."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from chain.codec import U32_MAX, U64_MAX, encode
from chain.errors import Reason, Refused
from chain.transactions import (
    MAX_TRANSACTION_BYTES,
    POINTS_LIMIT,
    SIGNING_TAG,
    Action,
    Enrol,
    Rate,
    decode_transaction,
    sign_transaction,
    verify_transaction,
)
from tests.support.world import secret

CHAIN = sha256(b"one network").digest()
OTHER_CHAIN = sha256(b"another network").digest()
ANN, BOB = secret(1), secret(2)
SIGNATURE = bytes(64)


def raw(*fields: Any) -> bytes:
    return encode(fields) + SIGNATURE


def refusal(data: bytes) -> Reason:
    with pytest.raises(Refused) as caught:
        decode_transaction(data)
    return caught.value.reason


@pytest.mark.parametrize(
    "action",
    [
        Enrol(),
        Rate(BOB.public, 1, -10),
        Rate(bytes(32), U32_MAX, POINTS_LIMIT),
        Rate(bytes(32), 0, -POINTS_LIMIT),
    ],
    ids=str,
)
@pytest.mark.parametrize("number", [0, 1, U64_MAX])
def test_what_was_signed_comes_back_and_verifies(action: Action, number: int) -> None:
    signed = sign_transaction(ANN, CHAIN, number, U64_MAX - number, action)

    assert decode_transaction(signed.raw) == signed
    assert verify_transaction(decode_transaction(signed.raw), CHAIN) == signed
    assert (signed.actor, signed.nonce, signed.expiry_height) == (ANN.public, number, U64_MAX - number)
    assert signed.action == action
    assert len(signed.raw) < 300


def test_the_bytes_are_those_of_the_documentation() -> None:
    signed = sign_transaction(ANN, CHAIN, 3, 99, Rate(BOB.public, 1, -7))
    payload = encode((2, ANN.public, 3, 99, (BOB.public, 1, -7)))
    assert signed.raw == payload + ANN.sign(SIGNING_TAG + CHAIN + payload)
    assert signed.id == sha256(signed.raw).digest()


def test_kinds_have_names() -> None:
    assert sign_transaction(ANN, CHAIN, 0, 9, Enrol()).kind == "enrol"
    assert sign_transaction(ANN, CHAIN, 0, 9, Rate(BOB.public, 1, 1)).kind == "rate"


def test_a_signature_binds_the_network_the_actor_and_every_byte() -> None:
    signed = sign_transaction(ANN, CHAIN, 3, 99, Rate(BOB.public, 1, -7))
    forged = [
        (signed.raw, OTHER_CHAIN),
        (signed.raw[:-1] + bytes([signed.raw[-1] ^ 1]), CHAIN),
        (encode((2, BOB.public, 3, 99, (BOB.public, 1, -7))) + signed.raw[-64:], CHAIN),
        (encode((2, ANN.public, 4, 99, (BOB.public, 1, -7))) + signed.raw[-64:], CHAIN),
        (encode((2, ANN.public, 3, 99, (BOB.public, 1, 7))) + signed.raw[-64:], CHAIN),
        (encode((1, ANN.public, 3, 99, ())) + signed.raw[-64:], CHAIN),
    ]
    for data, chain in forged:
        with pytest.raises(Refused) as caught:
            verify_transaction(decode_transaction(data), chain)
        assert caught.value.reason is Reason.BAD_SIGNATURE


RATE = (2, ANN.public, 0, 9, (BOB.public, 1, 1))
BROKEN = {
    "unknown kind": (3, *RATE[1:]),
    "kind 0": (0, *RATE[1:]),
    "a negative kind": (-1, *RATE[1:]),
    "a kind that equals 1": (True, ANN.public, 0, 9, ()),
    "a kind that is a float": (2.0, *RATE[1:]),
    "a kind that cannot be hashed": ({}, *RATE[1:]),
    "a short actor": (2, bytes(31), *RATE[2:]),
    "a long actor": (2, bytes(33), *RATE[2:]),
    "an actor that is an int": (2, 5, *RATE[2:]),
    "a negative nonce": (2, ANN.public, -1, *RATE[3:]),
    "a nonce of bytes": (2, ANN.public, b"1", *RATE[3:]),
    "a nonce that is true": (2, ANN.public, True, *RATE[3:]),
    "a negative expiry": (2, ANN.public, 0, -1, RATE[4]),
    "no expiry": (2, ANN.public, 0, None, RATE[4]),
    "a field too few": RATE[:4],
    "a field too many": (*RATE, 0),
    "an enrolment with a body": (1, ANN.public, 0, 9, (1,)),
    "an enrolment with an int for a body": (1, ANN.public, 0, 9, 0),
    "a rating without a body": (2, ANN.public, 0, 9, ()),
    "a rating of two fields": (2, ANN.public, 0, 9, (BOB.public, 1)),
    "a rating of four fields": (2, ANN.public, 0, 9, (BOB.public, 1, 1, 1)),
    "a rating of bytes": (2, ANN.public, 0, 9, b"abc"),
    "a rating that is a map": (2, ANN.public, 0, 9, {}),
    "a short subject": (2, ANN.public, 0, 9, (bytes(31), 1, 1)),
    "a subject that is an array": (2, ANN.public, 0, 9, ((), 1, 1)),
    "a negative category": (2, ANN.public, 0, 9, (BOB.public, -1, 1)),
    "a large category": (2, ANN.public, 0, 9, (BOB.public, U32_MAX + 1, 1)),
    "too many points": (2, ANN.public, 0, 9, (BOB.public, 1, POINTS_LIMIT + 1)),
    "too few points": (2, ANN.public, 0, 9, (BOB.public, 1, -POINTS_LIMIT - 1)),
    "points that are true": (2, ANN.public, 0, 9, (BOB.public, 1, True)),
    "points that are a float": (2, ANN.public, 0, 9, (BOB.public, 1, 1.0)),
}


@pytest.mark.parametrize("fields", BROKEN.values(), ids=BROKEN.keys())
def test_broken_fields_are_malformed(fields: tuple[Any, ...]) -> None:
    assert refusal(raw(*fields)) is Reason.MALFORMED


@pytest.mark.parametrize("size", [0, 1, 63, 64])
def test_what_has_no_payload_is_malformed(size: int) -> None:
    assert refusal(bytes(size)) is Reason.MALFORMED


def test_too_large_is_refused_before_it_is_read() -> None:
    assert refusal(b"\xc1" * (MAX_TRANSACTION_BYTES + 1)) is Reason.TOO_LARGE
    assert refusal(b"\xc1" * MAX_TRANSACTION_BYTES) is Reason.MALFORMED


def test_a_byte_after_the_signature_makes_another_and_malformed_transaction() -> None:
    signed = sign_transaction(ANN, CHAIN, 0, 9, Enrol())
    assert refusal(signed.raw + b"\x00") is Reason.MALFORMED
    assert refusal(b"\x00" + signed.raw) is Reason.MALFORMED
