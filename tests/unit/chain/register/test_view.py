"""A state to look at: entries by their names, and by what their keys begin with."""

from __future__ import annotations

import pytest

from chain.base.errors import InvariantBroken, Reason
from chain.register.draft import Draft
from chain.register.entries import Account, Authority, Docket, Entry, Member, Motion, PolicyText, Rating, Record, Rules
from chain.register.registry import genesis_state
from chain.register.state import encode_entry
from chain.register.statekeys import (
    DOCKET_KEY,
    RATINGS,
    RULES_KEY,
    VALIDATORS_KEY,
    account_key,
    authority_key,
    member_key,
    motion_key,
    policy_key,
    rating_key,
)
from chain.register.view import Lookup, MemoryView
from tests.support.refusals import refusal
from tests.support.register import MUNICIPAL, Register, amended

ANN, BOB, CLEO = (bytes([number]) * 32 for number in (1, 2, 255))


def view_of(*entries: tuple[bytes, Entry]) -> MemoryView:
    return MemoryView({key: encode_entry(entry) for key, entry in entries}, Register().genesis, 4, 9)


def test_a_key_without_another_owner_is_its_own_identity() -> None:
    assert view_of().identity(ANN) == ANN
    assert view_of((account_key(ANN), Account(3, b"", b""))).identity(ANN) == ANN
    assert view_of((account_key(ANN), Account(0, BOB, b""))).identity(ANN) == BOB


def test_who_moved_has_another_key_now() -> None:
    member, office = Member(BOB, 1, 0, 0, 0, 0, 0, 0, ()), Authority(CLEO, 0, (), 0, 9, 0, 0, 0, 0, 0)
    view = view_of((member_key(ANN), member), (authority_key(BOB), office), (account_key(BOB), Account(0, ANN, b"")))
    assert [view.current_key(identity) for identity in (ANN, BOB, CLEO)] == [BOB, CLEO, CLEO]
    assert view.member(ANN) == view.member(BOB) == (ANN, member)


def test_who_is_not_there_is_refused_by_name() -> None:
    view = view_of()
    assert refusal(view.member, ANN) is Reason.NOT_ENROLLED
    assert refusal(view.motion, 2**32 - 1) is Reason.UNKNOWN_MOTION
    assert (view.authority(ANN), view.account(ANN), view.get(RULES_KEY)) == (None, None, None)


def test_the_policies_are_those_of_the_rules() -> None:
    register = Register(MUNICIPAL)
    state = genesis_state(register.genesis)
    view = MemoryView(state, register.genesis, 0, 0)
    assert (view.policy, view.announced_policy) == (register.genesis.policy, None)
    new = amended(view.policy, day_ms=2_000)
    state |= {
        policy_key(2): encode_entry(PolicyText(new.encode())),
        RULES_KEY: encode_entry(Rules(1, view.policy.digest(), 2, 70)),
    }
    later = MemoryView(state, register.genesis, 1, 1)
    assert (later.policy, later.announced_policy, later.policy_of(2)) == (view.policy, new, new)
    with pytest.raises(InvariantBroken):
        later.policy_of(3)


@pytest.mark.parametrize("kind", [MemoryView, Draft])
def test_entries_by_their_names(kind: type[MemoryView | Draft]) -> None:
    register = Register()
    motion = Motion(ANN, b"", 1, 2, (), 0, 0, 0)
    state = {**genesis_state(register.genesis), motion_key(7): encode_entry(motion)}
    found: Lookup = kind(state, register.genesis, 1, 1)
    assert found.motion(7) == motion
    assert found.docket == found.get(DOCKET_KEY) == Docket(0, ())
    assert found.validators == found.get(VALIDATORS_KEY)
    assert [seat.key for seat in found.validators.active] == [person.key for person in register.validators]


def test_a_state_without_rules_is_our_bug() -> None:
    view = view_of()
    for name in ("rules", "validators", "docket", "policy"):
        with pytest.raises(InvariantBroken):
            getattr(view, name)


def test_entries_come_by_key_and_are_of_one_kind() -> None:
    keys = [rating_key(subject, rater, 1) for subject in (CLEO, ANN) for rater in (CLEO, BOB)]
    view = view_of(*((key, Rating(1, 2)) for key in keys), (member_key(ANN), Member(ANN, 1, 0, 0, 0, 0, 0, 0, ())))
    assert [key for key, _ in view.entries(RATINGS, Rating)] == sorted(keys)
    assert [key for key, _ in view.entries(RATINGS + CLEO, Rating)] == sorted(keys[:2])
    with pytest.raises(InvariantBroken):
        list(view.entries(RATINGS, Record))
