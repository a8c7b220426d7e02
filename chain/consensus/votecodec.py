"""The votes on a branch as bytes, for a durable snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chain.base import codec
from chain.base.errors import Reason, Refused
from chain.consensus.electorate import BATCH_MAX, Electorate, electorate_fields, read_electorate
from chain.consensus.votes import ROUNDS, Row, Voter, Votes

ENCODED_BYTES_MAX = 2**24
"""Above the largest state: a window of ``3 * BATCH_MAX`` blocks, about each of which everyone spoke."""


def encode_votes(votes: Votes) -> bytes:
    """The canonical bytes of the state, for a durable snapshot.

    Whoever said something about a block is a number there, since a window can hold a hundred thousand statements.
    """
    speakers = sorted({speaker for row in votes.rows for speaker in row.said})
    number_of = {speaker: number for number, speaker in enumerate(speakers)}
    electorates: list[Electorate] = [votes.electorate]
    rows = []
    for row in votes.rows:
        if row.electorate is not electorates[-1] and row.electorate != electorates[-1]:
            electorates.append(row.electorate)
        said = tuple(sorted((number_of[speaker], mhg) for speaker, mhg in row.said.items()))
        rows.append((row.id, row.mhp, row.mhpc, len(electorates) - 1, said, row.prevotes, row.precommits))
    return codec.encode(
        (
            votes.batch,
            votes.base,
            votes.height,
            votes.mhp,
            votes.mhpc,
            tuple(map(electorate_fields, electorates)),
            tuple(speakers),
            tuple(rows),
            tuple((key, *voter) for key, voter in sorted(votes.voters.items())),
            tuple(sorted(votes.spoke)),
        )
    )


def decode_votes(data: bytes) -> Votes:
    """The state that :func:`encode_votes` wrote; raises :class:`Refused` for bytes it cannot have written.

    The encoding is canonical, and no other passes.
    """
    fields = codec.decode(data, max_bytes=ENCODED_BYTES_MAX, max_items=2**14)
    raw = codec.array(fields, 10, 10, "votes")
    batch = codec.integer(raw[0], 1, BATCH_MAX, "batch")
    height = codec.integer(raw[2], 0, codec.U64_MAX, "height")
    base = codec.integer(raw[1], 0, height, "base")
    mhp = codec.integer(raw[3], base, height, "mhp")
    mhpc = codec.integer(raw[4], base, mhp, "mhpc")
    length = min(ROUNDS * batch, height - base)
    electorates = [read_electorate(row) for row in codec.array(raw[5], 1, length + 1, "electorates")]
    speakers = [_read_key(key) for key in codec.array(raw[6], 0, 2**14, "speakers")]
    rows = codec.array(raw[7], length, length, "the window")
    votes = Votes(
        batch,
        base,
        0,
        tuple(_read_row(row, height - index, electorates, speakers) for index, row in enumerate(rows)),
        electorates[0],
        dict(_read_voter(row, height) for row in codec.array(raw[8], 1, 2**14, "voters")),
        frozenset(_read_key(key) for key in codec.array(raw[9], 0, 2 * BATCH_MAX, "those who spoke")),
        mhp,
        mhpc,
    )
    if encode_votes(votes) != data:
        raise Refused(Reason.MALFORMED, "votes that are not in their canonical encoding")
    return votes


def _read_row(fields: Any, height: int, electorates: Sequence[Electorate], speakers: Sequence[bytes]) -> Row:
    block_id, mhp, mhpc, number, said, prevotes, precommits = codec.array(fields, 7, 7, "a block's votes")
    electorate = electorates[codec.integer(number, 0, len(electorates) - 1, "an electorate")]
    return Row(
        height,
        codec.blob(block_id, 32, "a block"),
        codec.integer(mhp, 0, height, "mhp"),
        codec.integer(mhpc, 0, height, "mhpc"),
        electorate,
        dict(_read_said(pair, speakers) for pair in codec.array(said, 0, 2 * BATCH_MAX, "what was said")),
        _read_votes(prevotes, electorate),
        _read_votes(precommits, electorate),
    )


def _read_said(pair: Any, speakers: Sequence[bytes]) -> tuple[bytes, int]:
    number, mhg = codec.array(pair, 2, 2, "a statement")
    return speakers[codec.integer(number, 0, len(speakers) - 1, "a speaker")], codec.integer(
        mhg, 0, codec.U64_MAX, "mhg"
    )


def _read_votes(votes: Any, electorate: Electorate) -> tuple[int, ...]:
    sets = len(electorate.sets)
    return tuple(codec.integer(weight, 0, codec.U64_MAX, "votes") for weight in codec.array(votes, sets, sets, "votes"))


def _read_voter(row: Any, height: int) -> tuple[bytes, Voter]:
    key, min_active, largest = codec.array(row, 3, 3, "a voter")
    codec.integer(min_active, 1, height + 1, "min_active")
    return _read_key(key), Voter(min_active, codec.integer(largest, min_active - 1, height, "largest_precommit"))


def _read_key(key: Any) -> bytes:
    return codec.blob(key, 32, "a key")
