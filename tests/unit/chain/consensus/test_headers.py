"""Headers: what is signed, and what is read."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from chain.base.codec import U64_MAX, encode
from chain.base.errors import Reason, Refused
from chain.base.merkle import EMPTY_ROOT
from chain.consensus.headers import (
    MAX_HEADER_BYTES,
    SIGNING_TAG,
    VERSION,
    VerifiedHeader,
    decode_header,
    sign_header,
    verify_header,
)
from tests.support.world import genesis_of, secret

GENESIS = genesis_of(4)
ANN = secret(1)
PARENT, STATE, VOTES = (sha256(name).digest() for name in (b"parent", b"state", b"votes"))
TAG = bytes(range(16))


def header(**changes: Any) -> VerifiedHeader:
    fields = {"height": 7, "slot": 9, "parent": PARENT, "tag": TAG, "mhg": 3, "mhp": 2, "votes_root": VOTES}
    return sign_header(ANN, GENESIS.id, transaction_root=EMPTY_ROOT, state_root=STATE, **{**fields, **changes})


def reason(refused: pytest.ExceptionInfo[Refused]) -> Reason:
    return refused.value.reason


def test_the_header_is_the_bytes_of_the_documentation() -> None:
    signed = header()
    payload = encode((VERSION, 7, 9, PARENT, ANN.public, TAG, 3, 2, VOTES, EMPTY_ROOT, STATE))
    assert signed.raw == payload + ANN.sign(SIGNING_TAG + GENESIS.id + payload)
    assert signed.id == sha256(signed.raw).digest()
    assert decode_header(signed.raw) == signed
    assert verify_header(decode_header(signed.raw), GENESIS.id) == signed


def test_a_header_takes_the_largest_numbers_and_stays_small() -> None:
    signed = header(height=U64_MAX, slot=U64_MAX, mhg=U64_MAX, mhp=U64_MAX)
    assert decode_header(signed.raw) == signed
    assert len(signed.raw) <= MAX_HEADER_BYTES


@pytest.mark.parametrize("change", ["network", "signature", "payload", "proposer"])
def test_a_signature_binds_network_proposer_and_every_field(change: str) -> None:
    signed, chain_id = header(), GENESIS.id
    raw = signed.raw
    if change == "network":
        chain_id = genesis_of(3).id
    elif change == "signature":
        raw = raw[:-1] + bytes([raw[-1] ^ 1])
    elif change == "payload":
        raw = header(slot=10).raw[:-64] + raw[-64:]
    else:
        raw = encode((VERSION, 7, 9, PARENT, secret(2).public, TAG, 3, 2, VOTES, EMPTY_ROOT, STATE)) + raw[-64:]
    with pytest.raises(Refused) as refused:
        verify_header(decode_header(raw), chain_id)
    assert reason(refused) is Reason.BAD_SIGNATURE


GOOD = (VERSION, 7, 9, PARENT, ANN.public, TAG, 3, 2, VOTES, EMPTY_ROOT, STATE)


@pytest.mark.parametrize("index", range(11))
@pytest.mark.parametrize(
    "value", [-1, None, True, 1.0, b"", bytes(31), bytes(15), bytes(17), bytes(33), (), {}, U64_MAX], ids=repr
)
def test_broken_fields_are_malformed(index: int, value: object) -> None:
    fields = (*GOOD[:index], value, *GOOD[index + 1 :])
    if value == U64_MAX and index in (1, 2, 6, 7):
        decode_header(encode(fields) + bytes(64))
        return
    with pytest.raises(Refused) as refused:
        decode_header(encode(fields) + bytes(64))
    assert reason(refused) is Reason.MALFORMED


@pytest.mark.parametrize(
    "fields",
    [
        (*GOOD[:1], 0, *GOOD[2:]),
        (*GOOD[:2], 0, *GOOD[3:]),
        (0, *GOOD[1:]),
        (1, *GOOD[1:]),
        (3, *GOOD[1:]),
        GOOD[:10],
        (*GOOD, 0),
    ],
    ids=["height 0", "slot 0", "version 0", "version 1", "version 3", "a field too few", "a field too many"],
)
def test_headers_of_another_shape_are_malformed(fields: tuple[Any, ...]) -> None:
    with pytest.raises(Refused) as refused:
        decode_header(encode(fields) + bytes(64))
    assert reason(refused) is Reason.MALFORMED


def test_sizes_of_headers() -> None:
    for size in (0, 63, 64, 65, MAX_HEADER_BYTES + 64):
        with pytest.raises(Refused) as refused:
            decode_header(bytes(size))
        assert reason(refused) is Reason.MALFORMED
    with pytest.raises(Refused) as refused:
        decode_header(bytes(MAX_HEADER_BYTES + 65))
    assert reason(refused) is Reason.TOO_LARGE


def test_another_signature_is_another_header() -> None:
    signed = header()
    raw = signed.raw[:-1] + bytes([signed.raw[-1] ^ 1])
    assert decode_header(raw).id != signed.id
    assert replace(decode_header(raw), id=signed.id, raw=signed.raw) == signed
