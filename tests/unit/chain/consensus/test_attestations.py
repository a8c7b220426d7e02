"""Attestations: what is signed, what is read, and how a carried one is whole again."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from chain.base.codec import U64_MAX, encode
from chain.base.errors import Reason
from chain.consensus.attestations import (
    MAX_ATTESTATION_BYTES,
    SIGNING_TAG,
    VERSION,
    Carried,
    VerifiedAttestation,
    complete,
    decode_attestation,
    read_carried,
    sign_attestation,
    verify_attestation,
)
from chain.consensus.headers import sign_header
from tests.support.refusals import refusal
from tests.support.world import genesis_of, secret

GENESIS = genesis_of(4)
ANN = secret(1)
TIP, TAG = sha256(b"tip").digest(), bytes(range(16))
GOOD = (VERSION, ANN.public, TAG, TIP, 7, 3, 2)


def said(**changes: Any) -> VerifiedAttestation:
    fields = {"tag": TAG, "tip": TIP, "height": 7, "mhg": 3, "mhp": 2}
    return sign_attestation(ANN, GENESIS.id, **{**fields, **changes})


def test_it_is_the_bytes_of_the_documentation() -> None:
    signed, payload = said(), encode(GOOD)
    assert signed.raw == payload + ANN.sign(SIGNING_TAG + GENESIS.id + payload)
    assert signed.id == sha256(signed.raw).digest()
    assert signed.slot is None
    assert decode_attestation(signed.raw) == verify_attestation(decode_attestation(signed.raw), GENESIS.id) == signed


def test_it_takes_the_largest_numbers_and_stays_small() -> None:
    signed = said(height=U64_MAX, mhg=U64_MAX - 1, mhp=U64_MAX - 1)
    assert decode_attestation(signed.raw) == signed
    assert len(signed.raw) <= MAX_ATTESTATION_BYTES


def test_a_signature_binds_the_network_and_every_field() -> None:
    signed = said()
    assert refusal(verify_attestation, signed, genesis_of(3).id) is Reason.BAD_SIGNATURE
    others = {"tag": bytes(16), "tip": bytes(32), "height": 8, "mhg": 4, "mhp": 3}
    for name, value in others.items():
        forged = decode_attestation(said(**{name: value}).raw[:-64] + signed.raw[-64:])
        assert refusal(verify_attestation, forged, GENESIS.id) is Reason.BAD_SIGNATURE
    others_key = encode((VERSION, secret(2).public, *GOOD[2:])) + signed.raw[-64:]
    assert refusal(verify_attestation, decode_attestation(others_key), GENESIS.id) is Reason.BAD_SIGNATURE


def test_a_headers_signature_is_none_for_an_attestation() -> None:
    header = sign_header(
        ANN,
        GENESIS.id,
        height=7,
        slot=9,
        parent=TIP,
        tag=TAG,
        mhg=3,
        mhp=2,
        votes_root=TIP,
        transaction_root=TIP,
        state_root=TIP,
    )
    assert refusal(decode_attestation, header.raw) is Reason.MALFORMED


@pytest.mark.parametrize("index", range(7))
@pytest.mark.parametrize(
    "value", [-1, None, True, 1.0, b"", bytes(15), bytes(31), bytes(33), (), {}, U64_MAX], ids=repr
)
def test_broken_fields_are_malformed(index: int, value: object) -> None:
    raw = encode((*GOOD[:index], value, *GOOD[index + 1 :])) + bytes(64)
    is_good = value == U64_MAX and index == 4
    assert refusal(decode_attestation, raw) is (None if is_good else Reason.MALFORMED)


@pytest.mark.parametrize(
    "fields",
    [
        GOOD[:6],
        (*GOOD, 0),
        (2, *GOOD[1:]),
        (*GOOD[:4], 0, 0, 0),
        (*GOOD[:4], 7, 7, 2),
        (*GOOD[:4], 7, 8, 2),
        (*GOOD[:4], 7, 3, 7),
    ],
    ids=["a field too few", "one too many", "version 2", "height 0", "mhg as high", "mhg above", "mhp as high"],
)
def test_attestations_of_another_shape_are_malformed(fields: tuple[Any, ...]) -> None:
    assert refusal(decode_attestation, encode(fields) + bytes(64)) is Reason.MALFORMED


def test_sizes() -> None:
    for size in (0, 63, 64, 65, MAX_ATTESTATION_BYTES + 64):
        assert refusal(decode_attestation, bytes(size)) is Reason.MALFORMED
    assert refusal(decode_attestation, bytes(MAX_ATTESTATION_BYTES + 65)) is Reason.TOO_LARGE


# ------------------------------------------------------------------------------------------------------- in a block


def test_a_carried_one_is_whole_again_where_its_branch_says_the_rest() -> None:
    signed = said()
    assert signed.carried == Carried(7, ANN.public, 3, signed.raw[-64:])
    assert complete(signed.carried, GENESIS.id, tag=TAG, tip=TIP, mhp=2) == signed
    right: dict[str, Any] = {"tag": TAG, "tip": TIP, "mhp": 2}
    for wrong in ({"tag": bytes(16)}, {"tip": bytes(32)}, {"mhp": 1}):
        assert refusal(complete, signed.carried, GENESIS.id, **(right | wrong)) is Reason.BAD_SIGNATURE
    assert refusal(complete, signed.carried._replace(mhg=2), GENESIS.id, **right) is Reason.BAD_SIGNATURE
    assert refusal(complete, signed.carried, genesis_of(3).id, **right) is Reason.BAD_SIGNATURE


def test_carried_ones_are_read_field_by_field() -> None:
    good = (7, ANN.public, 3, bytes(64))
    assert read_carried(good) == Carried(*good)
    broken = {0: (0, -1, None), 1: (b"", bytes(31)), 2: (-1, 7, U64_MAX), 3: (b"", bytes(63), bytes(65))}
    for at, values in broken.items():
        for value in values:
            assert refusal(read_carried, (*good[:at], value, *good[at + 1 :])) is Reason.MALFORMED
    for fields in ((), good[:3], (*good, 0), b""):
        assert refusal(read_carried, fields) is Reason.MALFORMED


def test_another_signature_is_another_attestation() -> None:
    signed = said()
    raw = signed.raw[:-1] + bytes([signed.raw[-1] ^ 1])
    assert decode_attestation(raw).id != signed.id
    assert replace(decode_attestation(raw), id=signed.id, raw=signed.raw) == signed
