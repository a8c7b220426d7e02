"""Drafts: changes on top of a state that stays as it is."""

from __future__ import annotations

import pytest

from chain.draft import Draft
from chain.errors import InvariantBroken, Reason
from chain.registry import genesis_state
from chain.state import (
    DOCKET_KEY,
    RULES_KEY,
    VALIDATORS_KEY,
    Account,
    Docket,
    Motion,
    PolicyText,
    Rating,
    Rules,
    account_key,
    encode_entry,
    motion_key,
    policy_key,
    rating_key,
)
from tests.support.refusals import refusal
from tests.support.register import MUNICIPAL, Register, amended

ANN, BOB = bytes([1]) * 32, bytes([2]) * 32
KEY = rating_key(ANN, BOB, 1)
OLD, NEW = Rating(1, 1), Rating(2, 2)


def draft_on(state: dict[bytes, bytes]) -> Draft:
    return Draft(state, Register().genesis, 5, 9)


def test_it_reads_what_was_written_and_else_the_state() -> None:
    state = {KEY: encode_entry(OLD)}
    draft = draft_on(state)
    assert draft.get(KEY) == OLD
    draft.put(KEY, NEW)
    assert draft.get(KEY) == NEW
    draft.put(KEY, None)
    assert draft.get(KEY) is None
    assert state == {KEY: encode_entry(OLD)}


def test_changes_hold_both_sides_and_only_what_differs() -> None:
    other, third = rating_key(BOB, ANN, 1), rating_key(BOB, ANN, 2)
    draft = draft_on({KEY: encode_entry(OLD), other: encode_entry(OLD)})
    draft.put(KEY, NEW)
    draft.put(KEY, OLD)  # as it was
    draft.put(other, None)
    draft.put(third, NEW)
    assert draft.changes == {other: (encode_entry(OLD), None), third: (None, encode_entry(NEW))}
    draft.put(third, None)  # never there
    assert draft.changes == {other: (encode_entry(OLD), None)}


def test_a_key_without_another_owner_is_its_own_identity() -> None:
    draft = draft_on({})
    assert draft.identity(ANN) == ANN
    draft.put(account_key(ANN), Account(3, b"", b""))
    assert draft.identity(ANN) == ANN
    draft.put(account_key(ANN), Account(0, BOB, b""))
    assert draft.identity(ANN) == BOB


def test_who_is_not_there_is_refused_by_name() -> None:
    draft = draft_on({})
    assert refusal(draft.member, ANN) is Reason.NOT_ENROLLED
    assert refusal(draft.motion, 2**32 - 1) is Reason.UNKNOWN_MOTION
    assert (draft.authority(ANN), draft.account(ANN)) == (None, None)


def test_the_policy_is_that_of_the_rules_also_when_they_change() -> None:
    register = Register(MUNICIPAL)
    draft = Draft(genesis_state(register.genesis), register.genesis, 1, 1)
    assert (draft.policy, draft.slots(20)) == (register.genesis.policy, 20)
    new = amended(draft.policy, day_ms=2_000)
    draft.put(policy_key(2), PolicyText(new.encode()))
    assert draft.policy.version == 1
    draft.put(RULES_KEY, Rules(2, new.digest(), 0, 0))
    assert (draft.policy, draft.slots(20), draft.policy_of(1).version) == (new, 40, 1)


def test_entries_by_their_names() -> None:
    register = Register()
    draft = Draft(genesis_state(register.genesis), register.genesis, 1, 1)
    motion = Motion(ANN, b"", 1, 2, (), 0, 0)
    draft.put(motion_key(7), motion)
    assert draft.motion(7) == motion
    assert draft.docket == draft.get(DOCKET_KEY) == Docket(0, ())
    assert draft.validators == draft.get(VALIDATORS_KEY)
    assert [seat.key for seat in draft.validators.active] == [person.key for person in register.validators]


def test_a_state_without_rules_is_our_bug() -> None:
    draft = draft_on({})
    for name in ("rules", "validators", "docket", "policy"):
        with pytest.raises(InvariantBroken):
            getattr(draft, name)
