"""Proposals on the wire: every kind comes back, and nothing else is read."""

from __future__ import annotations

from typing import Any

import pytest

from chain.base.codec import U32_MAX, U64_MAX
from chain.base.errors import Reason
from chain.content.proposals import (
    ALL_RIGHTS,
    MAX_GRANT,
    MAX_POLICY_BYTES,
    MAX_WEIGHT,
    Accredit,
    AddValidator,
    Amend,
    JailValidator,
    Proposal,
    ReleaseValidator,
    RemoveValidator,
    ReplaceValidator,
    Restore,
    Revoke,
    Suspend,
    decode_proposal,
    encode_proposal,
    proposal_fields,
    read_proposal,
)
from tests.support.refusals import refusal

KEY, OTHER = bytes(32), bytes([7]) * 32
PROPOSALS: list[Proposal] = [
    Accredit(KEY, 0, (), 0, 0),
    Accredit(KEY, ALL_RIGHTS, tuple(range(U32_MAX - MAX_GRANT + 1, U32_MAX + 1)), U64_MAX, U64_MAX),
    Suspend(KEY),
    Revoke(KEY),
    Restore(KEY),
    Amend(1, 0, b"\x00"),
    Amend(U32_MAX, U64_MAX, bytes(MAX_POLICY_BYTES)),
    AddValidator(KEY, 1),
    AddValidator(KEY, MAX_WEIGHT),
    RemoveValidator(KEY),
    JailValidator(KEY),
    ReleaseValidator(KEY),
    ReplaceValidator(KEY, OTHER),
]


@pytest.mark.parametrize("proposal", PROPOSALS, ids=lambda proposal: type(proposal).__name__)
def test_what_was_proposed_comes_back(proposal: Proposal) -> None:
    for again in (decode_proposal(encode_proposal(proposal)), read_proposal(proposal_fields(proposal))):
        assert again == proposal
        assert type(again) is type(proposal)


def test_every_kind_keeps_its_number_on_the_wire() -> None:
    kinds = (Accredit, Suspend, Revoke, Restore, Amend)
    seats = (AddValidator, RemoveValidator, JailValidator, ReleaseValidator, ReplaceValidator)
    numbers = {type(proposal): proposal_fields(proposal)[0] for proposal in PROPOSALS}
    assert numbers == dict(zip((*kinds, *seats), range(1, 11), strict=True))


MALFORMED: list[Any] = [
    (),
    None,
    b"\x02",
    [2, KEY],
    (0, KEY),
    (11, KEY),
    (True, KEY),
    (b"\x02", KEY),
    (2,),
    (2, KEY, KEY),
    (2, KEY[1:]),
    (2, KEY + b"\x00"),
    (2, 7),
    (1, KEY, ALL_RIGHTS + 1, (), 0, 0),
    (1, KEY, -1, (), 0, 0),
    (1, KEY, 0, (2, 1), 0, 0),
    (1, KEY, 0, (1, 1), 0, 0),
    (1, KEY, 0, (-1,), 0, 0),
    (1, KEY, 0, (U32_MAX + 1,), 0, 0),
    (1, KEY, 0, (b"\x01",), 0, 0),
    (1, KEY, 0, tuple(range(MAX_GRANT + 1)), 0, 0),
    (1, KEY, 0, 1, 0, 0),
    (1, KEY, 0, (), -1, 0),
    (1, KEY, 0, (), 0, U64_MAX + 1),
    (5, 0, 0, b"\x00"),
    (5, 1, -1, b"\x00"),
    (5, 1, 0, b""),
    (5, 1, 0, bytes(MAX_POLICY_BYTES + 1)),
    (5, 1, 0, "text"),
    (6, KEY, 0),
    (6, KEY, MAX_WEIGHT + 1),
    (6, KEY, True),
    (10, KEY, b""),
    (2, *[KEY] * 8),
]


@pytest.mark.parametrize("fields", MALFORMED, ids=lambda fields: repr(fields)[:40])
def test_nothing_else_is_a_proposal(fields: Any) -> None:
    assert refusal(read_proposal, fields) is Reason.MALFORMED


def test_a_motion_of_the_state_is_decoded_within_bounds() -> None:
    assert refusal(decode_proposal, bytes(MAX_POLICY_BYTES + 512)) is Reason.MALFORMED
    assert refusal(decode_proposal, bytes(MAX_POLICY_BYTES + 513)) is Reason.TOO_LARGE
    assert refusal(decode_proposal, b"") is Reason.MALFORMED
