"""Noticing who contradicts itself."""

from __future__ import annotations

import pytest

from chain.consensus.attestations import VerifiedAttestation, sign_attestation
from chain.consensus.headers import VerifiedHeader, sign_header
from chain.consensus.statements import NO_TAG
from chain.protocol import witness
from chain.protocol.witness import MAX_STATEMENTS, Witness
from tests.support.world import secret

CHAIN = bytes(32)


def header(
    slot: int, height: int, mhg: int = 0, mhp: int = 0, *, by: int = 1, parent: int = 0, tag: bytes = NO_TAG
) -> VerifiedHeader:
    return sign_header(
        secret(by),
        CHAIN,
        height=height,
        slot=slot,
        parent=bytes([parent]) * 32,
        tag=tag,
        mhg=mhg,
        mhp=mhp,
        votes_root=bytes(32),
        transaction_root=bytes(32),
        state_root=bytes(32),
    )


def attestation(
    height: int, mhg: int = 0, mhp: int = 0, *, by: int = 1, tip: int = 0, tag: bytes = NO_TAG
) -> VerifiedAttestation:
    return sign_attestation(secret(by), CHAIN, tag=tag, tip=bytes([tip]) * 32, height=height, mhg=mhg, mhp=mhp)


def test_an_honest_validator_never_contradicts_itself() -> None:
    seen = Witness()
    assert seen.note(header(1, 1)) is None
    assert seen.note(header(5, 4, mhg=1)) is None
    assert seen.note(header(9, 8, mhg=4, mhp=3)) is None


def test_two_headers_of_one_slot_are_an_offence() -> None:
    seen = Witness()
    one, two = header(1, 1), header(1, 1, parent=1)
    assert seen.note(one) is None
    assert seen.note(two) == one


def test_two_headers_of_different_slots_are_one_where_they_contradict_each_other() -> None:
    seen = Witness()
    one = header(1, 1)
    seen.note(one)
    assert seen.note(header(5, 2, mhg=0, parent=1)) == one


def test_a_header_and_an_attestation_contradict_each_other_too() -> None:
    for one, two in (
        (header(1, 5), attestation(5, mhg=2)),
        (header(1, 5), attestation(6, mhg=2)),
        (attestation(5), header(9, 5, mhg=5)),
        (attestation(5, tip=1), attestation(5, mhg=2, tip=2)),
        (attestation(5), attestation(7)),
    ):
        seen = Witness()
        assert seen.note(one) is None
        assert seen.note(two) == one


def test_who_speaks_honestly_both_ways_is_not_accused() -> None:
    seen = Witness()
    for statement in (header(1, 1), attestation(2, mhg=1), attestation(3, mhg=2, mhp=1), header(5, 4, mhg=3, mhp=2)):
        assert seen.note(statement) is None


def test_what_was_said_from_a_lost_signing_state_convicts_nobody() -> None:
    seen = Witness()
    seen.note(header(1, 5))
    assert seen.note(header(1, 5, parent=1, tag=bytes(15) + b"1")) is None
    assert seen.note(attestation(5, tag=bytes(15) + b"2")) is None
    assert seen.note(attestation(5, mhg=1, tag=bytes(15) + b"2")) is not None


def test_a_header_seen_again_is_no_news() -> None:
    seen = Witness()
    one, two = header(1, 1), header(1, 1, parent=1)
    seen.note(one)
    seen.note(two)
    assert seen.note(two) is None
    assert seen.note(one) is None


def test_others_are_others() -> None:
    seen = Witness()
    seen.note(header(1, 1))
    assert seen.note(header(1, 1, by=2)) is None


def test_its_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness, "MAX_SIGNERS", 2)
    seen = Witness()
    for slot in range(1, 2 * MAX_STATEMENTS):
        seen.note(header(slot, slot, mhg=slot - 1))
    assert len(seen) == MAX_STATEMENTS
    for by in (2, 3):
        seen.note(header(1, 1, by=by))
    assert len(seen) == 2
