"""Ballots: what a block holds for the votes, at its limits and beyond."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from chain.base.codec import U64_MAX, encode
from chain.base.errors import Reason
from chain.consensus.attestations import Carried
from chain.consensus.ballots import EMPTY, MAX_BALLOT_BYTES, MAX_CARRIED, decode_ballot, make_ballot
from chain.consensus.electorate import BATCH_MAX, NOTHING_DECIDED, WEIGHT_MAX, Decision
from chain.consensus.restart import Restart
from tests.support.counting import key
from tests.support.refusals import refusal

TAG = bytes(range(16))


def carried(height: int, speaker: int, mhg: int = 0) -> Carried:
    return Carried(height, key(speaker), mhg, bytes(64))


FULL = Decision(
    tuple((key(number), WEIGHT_MAX) for number in range(BATCH_MAX)),
    (tuple(key(number) for number in range(BATCH_MAX)),),
    tuple((key(number), TAG) for number in range(BATCH_MAX)),
)


@pytest.mark.parametrize(
    "ballot",
    [
        EMPTY,
        make_ballot([carried(3, 1, 2), carried(3, 0), carried(2, 9)]),
        make_ballot((), Decision(((key(0), 1), (key(1), 0)), ((),), ((key(1), TAG),))),
        make_ballot((), Decision(barred=((key(3), key(1)),))),
        make_ballot((), NOTHING_DECIDED, Restart(bytes(32), 7, bytes(16), ((key(1), bytes(64)),))),
    ],
    ids=["empty", "attestations", "a decision", "who is barred", "a restart"],
)
def test_a_ballot_comes_back(ballot: Any) -> None:
    again = decode_ballot(ballot.raw)
    assert again == ballot
    assert again.root == sha256(ballot.raw).digest()


def test_attestations_are_put_in_order() -> None:
    rows = [carried(3, 1), carried(3, 0), carried(2, 9)]
    assert make_ballot(rows).attestations == (rows[2], rows[1], rows[0])


def test_the_largest_fits() -> None:
    rows = [carried(U64_MAX - at, number, U64_MAX - at - 1) for at in range(4) for number in range(BATCH_MAX)]
    assert len(rows) == MAX_CARRIED
    largest = make_ballot(rows, FULL)
    assert len(largest.raw) <= MAX_BALLOT_BYTES
    assert decode_ballot(largest.raw) == largest
    signatures = tuple((key(number), bytes(64)) for number in range(BATCH_MAX))
    restart = make_ballot((), FULL, Restart(bytes(32), U64_MAX, bytes(16), signatures))
    assert decode_ballot(restart.raw) == restart


def read(*fields: Any) -> Reason | None:
    return refusal(decode_ballot, encode(fields))


@pytest.mark.parametrize(
    "rows",
    [
        (carried(3, 1), carried(3, 0)),
        (carried(3, 1), carried(2, 1)),
        (carried(3, 1), carried(3, 1)),
        (carried(3, 1, 0), carried(3, 1, 1)),
    ],
    ids=["by speaker", "by height", "one twice", "two of one speaker"],
)
def test_attestations_are_in_order_each_height_and_speaker_once(rows: tuple[Carried, ...]) -> None:
    assert read(rows, NOTHING_DECIDED, ()) is Reason.UNORDERED


GOOD: tuple[Any, ...] = (((key(0), 1),), ((key(0),),), ((key(0), TAG),))


@pytest.mark.parametrize(
    "fields",
    [
        (),
        ((), NOTHING_DECIDED),
        ((), NOTHING_DECIDED, (), 0),
        (1, NOTHING_DECIDED, ()),
        (((1, key(0), 0),), NOTHING_DECIDED, ()),
        (((0, key(0), 0, bytes(64)),), NOTHING_DECIDED, ()),
        (((1, key(0), 1, bytes(64)),), NOTHING_DECIDED, ()),
        ((), GOOD[:2], ()),
        ((), (*GOOD, 0), ()),
        ((), (((key(0), 0),), *GOOD[1:]), ()),
        ((), (((key(0), 1), (key(0), 1)), *GOOD[1:]), ()),
        ((), (((key(0), WEIGHT_MAX + 1),), *GOOD[1:]), ()),
        ((), (GOOD[0], ((), ()), GOOD[2]), ()),
        ((), (GOOD[0], ((b"short",),), GOOD[2]), ()),
        ((), (GOOD[0], (key(0),), GOOD[2]), ()),
        ((), (*GOOD[:2], ((key(0), b"short"),)), ()),
        ((), (*GOOD[:2], ((b"short", TAG),)), ()),
        ((), (*GOOD[:2], FULL.tags + FULL.tags[:1]), ()),
        ((), NOTHING_DECIDED, ((),)),
        ((), NOTHING_DECIDED, ((bytes(32), 7, bytes(16), ()),) * 2),
        ((), NOTHING_DECIDED, ((bytes(31), 7, bytes(16), ()),)),
        ((), NOTHING_DECIDED, ((bytes(32), -1, bytes(16), ()),)),
        ((), NOTHING_DECIDED, ((bytes(32), 7, bytes(15), ()),)),
        ((), NOTHING_DECIDED, ((bytes(32), 7, bytes(16), ((key(1), bytes(64)), (key(0), bytes(64)))),)),
        ((), NOTHING_DECIDED, ((bytes(32), 7, bytes(16), ((key(1), bytes(64)),) * 2),)),
        ((carried(3, 1),), NOTHING_DECIDED, ((bytes(32), 7, bytes(16), ()),)),
    ],
    ids=range(26),
)
def test_what_is_no_ballot_is_malformed(fields: tuple[Any, ...]) -> None:
    assert read(*fields) is Reason.MALFORMED


def test_a_ballot_is_measured_before_it_is_read() -> None:
    assert refusal(decode_ballot, bytes(MAX_BALLOT_BYTES + 1)) is Reason.TOO_LARGE
    rows = tuple(carried(1, number) for number in range(MAX_CARRIED + 1))
    assert read(rows, NOTHING_DECIDED, ()) in (Reason.MALFORMED, Reason.TOO_LARGE)


def test_what_changes_who_votes_is_told() -> None:
    assert not make_ballot([carried(1, 1)]).changes_voters
    assert make_ballot((), Decision(barred=((),))).changes_voters
    assert make_ballot((), NOTHING_DECIDED, Restart(bytes(32), 7, bytes(16))).changes_voters
