"""Blocks: how a body fits its header."""

from __future__ import annotations

import pytest

from chain.base.codec import encode
from chain.base.errors import Reason, Refused
from chain.base.merkle import EMPTY_ROOT, merkle_root
from chain.consensus.ballots import EMPTY, MAX_BALLOT_BYTES, Ballot, make_ballot
from chain.consensus.electorate import Decision
from chain.consensus.headers import MAX_HEADER_BYTES, VerifiedHeader, sign_header
from chain.consensus.statements import NO_TAG
from chain.content import blocks
from chain.content.actions import Enrol
from chain.content.blocks import (
    MAX_BLOCK_BYTES,
    MAX_BLOCK_TRANSACTIONS,
    MAX_BODY_BYTES,
    Block,
    assemble,
    decode_block,
    encode_block,
)
from chain.content.transactions import VerifiedTransaction
from tests.support.world import Actor, genesis_of, secret

GENESIS = genesis_of(4)


def header(root: bytes = EMPTY_ROOT, ballot: Ballot = EMPTY) -> VerifiedHeader:
    return sign_header(
        secret(1),
        GENESIS.id,
        height=7,
        slot=9,
        parent=bytes(32),
        tag=NO_TAG,
        mhg=3,
        mhp=2,
        votes_root=ballot.root,
        transaction_root=root,
        state_root=bytes(32),
    )


def enrolments(count: int) -> list[VerifiedTransaction]:
    return [Actor(GENESIS, 100 + number).sign(Enrol()) for number in range(count)]


def block_of(transactions: list[VerifiedTransaction]) -> Block:
    return assemble(header(merkle_root([item.id for item in transactions])), EMPTY, transactions)


def reason(refused: pytest.ExceptionInfo[Refused]) -> Reason:
    return refused.value.reason


@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_block_travels(count: int) -> None:
    block = block_of(enrolments(count))
    decoded, ballot, transactions = decode_block(encode_block(block))
    assert assemble(VerifiedHeader(decoded), ballot, [VerifiedTransaction(item) for item in transactions]) == block
    assert block.id == block.header.id


def test_a_body_is_exactly_the_one_committed_to() -> None:
    good = enrolments(3)
    signed = block_of(good).header
    for body in ([], good[:2], good[::-1], [*good, good[2]], [good[0], good[0], good[2]]):
        with pytest.raises(Refused) as refused:
            assemble(signed, EMPTY, body)
        assert reason(refused) is Reason.WRONG_TX_ROOT


def test_a_ballot_is_exactly_the_one_committed_to() -> None:
    other = make_ballot((), Decision(barred=((),)))
    assert assemble(header(ballot=other), other, []).ballot == other
    for signed, ballot in ((header(), other), (header(ballot=other), EMPTY)):
        with pytest.raises(Refused) as refused:
            assemble(signed, ballot, [])
        assert reason(refused) is Reason.WRONG_VOTES_ROOT


def test_a_body_has_at_most_so_many_transactions() -> None:
    one = enrolments(1)
    ids = [one[0].id] * MAX_BLOCK_TRANSACTIONS
    block = assemble(header(merkle_root(ids)), EMPTY, one * MAX_BLOCK_TRANSACTIONS)
    assert len(block.transactions) == MAX_BLOCK_TRANSACTIONS
    with pytest.raises(Refused) as refused:
        assemble(header(merkle_root([*ids, one[0].id])), EMPTY, one * (MAX_BLOCK_TRANSACTIONS + 1))
    assert reason(refused) is Reason.TOO_MANY_TRANSACTIONS


def test_a_body_has_at_most_so_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    body = enrolments(3)
    size = sum(len(item.raw) for item in body)
    signed = block_of(body).header
    monkeypatch.setattr(blocks, "MAX_BODY_BYTES", size)
    assemble(signed, EMPTY, body)
    monkeypatch.setattr(blocks, "MAX_BODY_BYTES", size - 1)
    with pytest.raises(Refused) as refused:
        assemble(signed, EMPTY, body)
    assert reason(refused) is Reason.TOO_LARGE


def test_the_largest_block_fits_its_encoding() -> None:
    framing = 3 * MAX_BLOCK_TRANSACTIONS + MAX_HEADER_BYTES + 64 + MAX_BALLOT_BYTES + 16
    assert MAX_BODY_BYTES + framing <= MAX_BLOCK_BYTES


RAW, VOTES = header().raw, EMPTY.raw
BODY = enrolments(1)[0].raw


@pytest.mark.parametrize(
    "value",
    [
        (),
        (RAW,),
        (RAW, ()),
        (RAW, VOTES, (), 0),
        (1, VOTES, ()),
        (RAW, 1, ()),
        (RAW, b"", ()),
        (RAW, ((), ()), ()),
        (RAW, VOTES[:-1], ()),
        (RAW, VOTES, b""),
        (RAW, VOTES, (1,)),
        (RAW, VOTES, ((),)),
        (RAW, VOTES, (b"",)),
        (b"", VOTES, ()),
        ((RAW,), VOTES, ()),
        (RAW, VOTES, (BODY, None)),
        (RAW, VOTES, (BODY[:-1],)),
        (RAW, VOTES, (BODY,) * (MAX_BLOCK_TRANSACTIONS + 1)),
    ],
    ids=range(18),
)
def test_what_is_no_block_is_malformed(value: object) -> None:
    with pytest.raises(Refused) as refused:
        decode_block(encode(value))
    assert reason(refused) is Reason.MALFORMED


def test_a_block_is_measured_before_it_is_read() -> None:
    with pytest.raises(Refused) as refused:
        decode_block(bytes(MAX_BLOCK_BYTES + 1))
    assert reason(refused) is Reason.TOO_LARGE
