"""Noticing who contradicts itself."""

from __future__ import annotations

import pytest

from chain import witness
from chain.headers import VerifiedHeader, sign_header
from chain.witness import MAX_HEADERS, Witness
from tests.support.world import secret

CHAIN = bytes(32)


def header(slot: int, height: int, mhg: int = 0, mhp: int = 0, *, by: int = 1, parent: int = 0) -> VerifiedHeader:
    return sign_header(
        secret(by),
        CHAIN,
        height=height,
        slot=slot,
        parent=bytes([parent]) * 32,
        mhg=mhg,
        mhp=mhp,
        transaction_root=bytes(32),
        state_root=bytes(32),
    )


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
    for slot in range(1, 2 * MAX_HEADERS):
        seen.note(header(slot, slot, mhg=slot - 1))
    assert len(seen) == MAX_HEADERS
    for by in (2, 3):
        seen.note(header(1, 1, by=by))
    assert len(seen) == 2
