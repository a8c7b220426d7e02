"""Drafts: changes on top of a state that stays as it is."""

from __future__ import annotations

from chain.register.draft import Draft
from chain.register.entries import PolicyText, Rating, Rules
from chain.register.registry import genesis_state
from chain.register.state import encode_entry
from chain.register.statekeys import RULES_KEY, policy_key, rating_key
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


def test_the_policy_is_that_of_the_rules_also_when_they_change() -> None:
    register = Register(MUNICIPAL)
    draft = Draft(genesis_state(register.genesis), register.genesis, 1, 1)
    assert (draft.policy, draft.slots(20)) == (register.genesis.policy, 20)
    new = amended(draft.policy, day_ms=2_000)
    draft.put(policy_key(2), PolicyText(new.encode()))
    assert draft.policy.version == 1
    draft.put(RULES_KEY, Rules(2, new.digest(), 0, 0))
    assert (draft.policy, draft.slots(20), draft.policy_of(1).version) == (new, 40, 1)
