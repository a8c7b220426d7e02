"""The durable snapshot of votes: what comes back from it, and what bytes are no snapshot."""

from __future__ import annotations

from typing import Any

import pytest

from chain.base import codec
from chain.base.errors import Reason, Refused
from chain.consensus.electorate import BATCH_MAX, NOTHING_DECIDED, WEIGHT_MAX, Decision
from chain.consensus.votecodec import ENCODED_BYTES_MAX, decode_votes, encode_votes
from chain.consensus.votes import Votes
from tests.support.counting import changing, equal, genesis, grow, key
from tests.support.refusals import refusal

TAG = bytes(15) + b"1"


def snapshots() -> list[Votes]:
    renewed = grow(changing()[1], [0, 1, 2], Decision(barred=((key(0),),), tags=((key(2), TAG),)))
    return [genesis(4), genesis(4, height=9), grow(genesis(4), [0, 1, 2] * 9), *changing(), renewed]


@pytest.mark.parametrize("votes", snapshots(), ids=range(len(snapshots())))
def test_a_snapshot_brings_back_the_same_state(votes: Votes) -> None:
    again = decode_votes(encode_votes(votes))
    assert again == votes
    assert grow(again, [0, 1]) == grow(votes, [0, 1])


def test_the_largest_snapshot_can_be_read_back() -> None:
    batch = 40  # of the 256: the encoding grows with the square
    heaviest = tuple((b"\xff" * 30 + index.to_bytes(2, "big"), WEIGHT_MAX) for index in range(batch))
    base = 2**63
    votes = Votes.genesis(heaviest, batch, base)
    for _ in range(3 * batch + 1):
        count = votes.open(votes.height + 1)
        for each, _ in heaviest:
            if votes.rows and each not in votes.rows[0].said:
                count.take(each, votes.height, votes.height - 1)
        count.carried_all()
        count.speak(heaviest[0][0], votes.height)
        votes = count.close(b"\xff" * 32, NOTHING_DECIDED)
    data = encode_votes(votes)
    assert decode_votes(data) == votes
    assert len(data) * (BATCH_MAX / batch) ** 2 < ENCODED_BYTES_MAX


FIELDS = ("batch", "base", "height", "mhp", "mhpc", "electorates", "speakers", "window", "voters", "spoke")
SNAPSHOT = grow(genesis(4), [0, 1, 2, 3, 0, 1, 2])
ROW = (key(1), 0, 0, 0, ((0, 0),), (1,), (0,))
ELECTORATE = (1, equal(4), 0, (), (), ())


def with_(row: tuple[Any, ...], at: int, value: object) -> tuple[Any, ...]:
    return (*row[:at], value, *row[at + 1 :])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("batch", 0),
        ("batch", BATCH_MAX + 1),
        ("batch", 2),  # a shorter window
        ("base", -1),
        ("base", 8),  # above the tip
        ("base", 3),  # below which there is a window
        ("height", -1),
        ("height", 6),  # lower than the window's blocks reach
        ("mhp", 8),  # prevoted beyond the tip
        ("mhp", 0),  # below what is precommitted
        ("mhpc", 6),  # precommitted beyond the prevoted
        ("window", ()),
        ("window", (ROW,)),
        ("window", (ROW,) * 8),
        *(("window", (with_(ROW, at, -1),) * 7) for at in range(7)),
        ("window", (ROW[:-1],) * 7),
        ("window", ((*ROW, 0),) * 7),
        ("window", (with_(ROW, 0, b"short"),) * 7),
        ("window", (with_(ROW, 1, 9),) * 7),
        ("window", (with_(ROW, 2, 9),) * 7),
        ("window", (with_(ROW, 3, 1),) * 7),  # there is one electorate
        ("window", (with_(ROW, 4, ((0,),)),) * 7),
        ("window", (with_(ROW, 4, ((4, 1),)),) * 7),
        ("window", (with_(ROW, 4, ((0, -1),)),) * 7),
        ("window", (with_(ROW, 5, ()),) * 7),
        ("window", (with_(ROW, 5, (1, 1)),) * 7),
        ("window", (with_(ROW, 6, (-1,)),) * 7),
        ("electorates", ()),
        ("electorates", (ELECTORATE,) * 9),
        ("electorates", (ELECTORATE[:-1],)),
        ("electorates", ((*ELECTORATE, 0),)),
        ("electorates", (with_(ELECTORATE, 0, -1),)),
        ("electorates", (with_(ELECTORATE, 1, ()),)),
        ("electorates", (with_(ELECTORATE, 1, ((key(0), 1), (key(0), 1))),)),
        ("electorates", (with_(ELECTORATE, 1, ((key(0), 0),)),)),
        ("electorates", (with_(ELECTORATE, 2, 1),)),  # a gate to nowhere
        ("electorates", (with_(ELECTORATE, 2, 3),)),
        ("electorates", (with_(ELECTORATE, 3, (1, equal(2))),)),  # a set without a phase
        ("electorates", (with_(ELECTORATE, 4, (b"short",)),)),
        ("electorates", (with_(ELECTORATE, 5, ((key(0), TAG),)),)),
        ("electorates", (with_(ELECTORATE, 5, ((key(0), b"short", 1),)),)),
        ("electorates", (with_(ELECTORATE, 5, ((key(0), TAG, -1),)),)),
        ("speakers", ()),
        ("speakers", (b"short",) * 4),
        ("voters", ()),
        ("voters", ((key(0), 1),)),
        ("voters", ((key(0), 1, 0, 0),)),
        ("voters", ((b"short", 1, 0),)),
        ("voters", ((key(0), 0, 0),)),
        ("voters", ((key(0), 9, 8),)),
        ("voters", ((key(0), 2, 0),)),
        ("voters", ((key(0), 1, 8),)),
        ("spoke", (b"short",)),
        ("spoke", 1),
    ],
)
def test_bytes_that_no_state_encodes_to_are_refused(field: str, value: Any) -> None:
    fields = dict(zip(FIELDS, codec.decode(encode_votes(SNAPSHOT), max_bytes=2**20), strict=True))
    assert fields[field] != value
    fields[field] = value
    with pytest.raises(Refused) as caught:
        decode_votes(codec.encode(tuple(fields.values())))
    assert caught.value.reason is Reason.MALFORMED


@pytest.mark.parametrize("data", [b"", b"\x90", b"\xff", codec.encode((1, 2, 3))])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(Refused):
        decode_votes(data)


def test_a_snapshot_is_measured_before_it_is_read() -> None:
    assert refusal(decode_votes, bytes(ENCODED_BYTES_MAX + 1)) is Reason.TOO_LARGE
