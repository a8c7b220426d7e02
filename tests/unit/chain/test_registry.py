"""What each transaction does to the state, and what it is refused for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chain.errors import Reason, Refused
from chain.genesis import make_genesis
from chain.registry import (
    POLICY_KEY,
    VALIDATORS_KEY,
    Draft,
    Member,
    PolicyInForce,
    Rating,
    Record,
    decode_record,
    encode_record,
    genesis_records,
    member_key,
    member_summary,
    rating_key,
    read_rating_key,
)
from chain.transactions import Action, Enrol, Rate, Transaction, VerifiedTransaction, sign_transaction
from chain.validators import genesis_validators
from tests.support.world import FAR, genesis_of, secret

TWO_CATEGORIES = json.loads(genesis_of(4).to_json())
TWO_CATEGORIES["policy"]["rating"].append({"code": 7, "name": "help", "min": 0, "max": 3})
GENESIS = make_genesis(TWO_CATEGORIES)
HEIGHT = 50
ANN, BOB, CLEO = secret(10), secret(11), secret(12)


def signed(actor: Any, nonce: int, action: Action, expiry: int = HEIGHT) -> VerifiedTransaction:
    return sign_transaction(actor, GENESIS.id, nonce, expiry, action)


@pytest.fixture
def draft() -> Draft:
    """Ann and Bob are enrolled, Cleo is not."""
    fresh = Draft(genesis_records(GENESIS), GENESIS, HEIGHT, HEIGHT, 1)
    for actor in (ANN, BOB):
        fresh.apply(signed(actor, 0, Enrol()))
    return fresh


def refusal(draft: Draft, transaction: Transaction) -> Reason:
    """The reason for a refusal that changes nothing."""
    before = dict(draft.changes)
    with pytest.raises(Refused) as caught:
        draft.apply(transaction)
    assert draft.changes == before
    return caught.value.reason


def member(draft: Draft, actor: Any) -> Member:
    found = draft.member(actor.public)
    assert found is not None
    return found


def test_the_state_begins_with_policy_and_validators() -> None:
    assert genesis_records(GENESIS) == {
        POLICY_KEY: PolicyInForce(1, GENESIS.policy.digest()),
        VALIDATORS_KEY: genesis_validators(GENESIS),
    }


def test_enrolling(draft: Draft) -> None:
    draft.apply(signed(CLEO, 0, Enrol()))
    assert member(draft, CLEO) == Member(CLEO.public, HEIGHT, nonce=1, points=0, ratings=0)


def test_a_rating_counts_for_its_subject_and_uses_the_raters_nonce(draft: Draft) -> None:
    draft.apply(signed(ANN, 1, Rate(BOB.public, 1, -7)))
    assert member(draft, BOB) == Member(BOB.public, HEIGHT, nonce=1, points=-7, ratings=1)
    assert member(draft, ANN) == Member(ANN.public, HEIGHT, nonce=2, points=0, ratings=0)
    assert draft.get(rating_key(BOB.public, ANN.public, 1)) == Rating(-7, HEIGHT)


def test_a_new_rating_replaces_the_old_one_of_its_category(draft: Draft) -> None:
    for nonce, rate in enumerate([(1, 10), (7, 3), (1, -2), (7, 0)], 1):
        draft.apply(signed(ANN, nonce, Rate(BOB.public, *rate)))
    assert (member(draft, BOB).points, member(draft, BOB).ratings) == (-2, 2)


def test_members_rate_each_other(draft: Draft) -> None:
    draft.apply(signed(ANN, 1, Rate(BOB.public, 1, 4)))
    draft.apply(signed(BOB, 1, Rate(ANN.public, 1, 5)))
    assert (member(draft, ANN).points, member(draft, BOB).points) == (5, 4)
    assert (member(draft, ANN).nonce, member(draft, BOB).nonce) == (2, 2)


def test_changes_hold_both_sides(draft: Draft) -> None:
    base = genesis_records(GENESIS) | {key: after for key, (_, after) in draft.changes.items()}
    later = Draft(base, GENESIS, HEIGHT + 1, HEIGHT + 1, 1)
    later.apply(signed(ANN, 1, Rate(BOB.public, 1, 4), HEIGHT + 1))
    assert later.changes == {
        member_key(ANN.public): (base[member_key(ANN.public)], Member(ANN.public, HEIGHT, 2, 0, 0)),
        member_key(BOB.public): (base[member_key(BOB.public)], Member(BOB.public, HEIGHT, 1, 4, 1)),
        rating_key(BOB.public, ANN.public, 1): (None, Rating(4, HEIGHT + 1)),
    }


GOOD = Rate(BOB.public, 1, 1)
REFUSALS = {
    "a nonce again": (signed(ANN, 0, GOOD), Reason.NONCE_USED),
    "an enrolment again": (signed(ANN, 0, Enrol()), Reason.NONCE_USED),
    "a second enrolment": (signed(ANN, 1, Enrol()), Reason.ALREADY_ENROLLED),
    "a gap": (signed(ANN, 2, GOOD), Reason.NONCE_GAP),
    "a gap before enrolling": (signed(CLEO, 1, Enrol()), Reason.NONCE_GAP),
    "a stranger who rates": (signed(CLEO, 0, GOOD), Reason.NOT_ENROLLED),
    "a stranger who is rated": (signed(ANN, 1, Rate(CLEO.public, 1, 1)), Reason.NOT_ENROLLED),
    "oneself": (signed(ANN, 1, Rate(ANN.public, 1, 1)), Reason.SELF_RATING),
    "another category": (signed(ANN, 1, Rate(BOB.public, 2, 1)), Reason.UNKNOWN_CATEGORY),
    "one point too many": (signed(ANN, 1, Rate(BOB.public, 1, 11)), Reason.POINTS_OUT_OF_RANGE),
    "one point too few": (signed(ANN, 1, Rate(BOB.public, 1, -11)), Reason.POINTS_OUT_OF_RANGE),
    "points of another category": (signed(ANN, 1, Rate(BOB.public, 7, -1)), Reason.POINTS_OUT_OF_RANGE),
    "an expired one": (signed(ANN, 1, GOOD, HEIGHT - 1), Reason.EXPIRED),
    "one that lives too long": (signed(ANN, 1, GOOD, HEIGHT + FAR + 1), Reason.EXPIRY_TOO_FAR),
}


@pytest.mark.parametrize(("transaction", "reason"), REFUSALS.values(), ids=REFUSALS.keys())
def test_refusals_change_nothing(draft: Draft, transaction: VerifiedTransaction, reason: Reason) -> None:
    assert refusal(draft, transaction) is reason


@pytest.mark.parametrize("expiry", [HEIGHT, HEIGHT + FAR])
def test_the_bounds_of_the_expiry_are_inclusive(draft: Draft, expiry: int) -> None:
    draft.apply(signed(ANN, 1, GOOD, expiry))


@pytest.mark.parametrize("points", [-10, 0, 10])
def test_the_bounds_of_a_category_are_inclusive(draft: Draft, points: int) -> None:
    draft.apply(signed(ANN, 1, Rate(BOB.public, 1, points)))
    assert member(draft, BOB).points == points


def test_a_key_that_no_signature_could_bind_does_not_enrol(draft: Draft) -> None:
    forged = signed(CLEO, 0, Enrol())._replace(actor=bytes(32))
    assert refusal(draft, forged) is Reason.BAD_KEY


RECORDS: dict[bytes, Record] = {
    POLICY_KEY: PolicyInForce(1, bytes(32)),
    member_key(ANN.public): Member(ANN.public, 5, 2**40, -(2**40), 7),
    rating_key(BOB.public, ANN.public, 2**32 - 1): Rating(-10, 2**40),
}


@pytest.mark.parametrize(("key", "record"), RECORDS.items(), ids=["policy", "member", "rating"])
def test_records_come_back(key: bytes, record: Any) -> None:
    again = decode_record(key, encode_record(record))
    assert again == record
    assert type(again) is type(record)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"", encode_record(RECORDS[POLICY_KEY])),
        (b"x", encode_record(RECORDS[POLICY_KEY])),
        (b"m" + bytes(32), encode_record(RECORDS[POLICY_KEY])),
        (b"p", b""),
        (b"p", b"\x92\x01"),
        (b"p", b"\x93\x01\x02\x03"),
        (b"p", bytes(5_000)),
    ],
)
def test_a_damaged_record_is_refused(key: bytes, value: bytes) -> None:
    with pytest.raises(Refused):
        decode_record(key, value)


def test_the_key_of_a_rating_can_be_read() -> None:
    key = rating_key(BOB.public, ANN.public, 77)
    assert read_rating_key(key) == (BOB.public, ANN.public, 77)
    assert key.startswith(b"r" + BOB.public)


def test_keys_of_different_things_differ() -> None:
    keys = [POLICY_KEY, member_key(ANN.public), member_key(BOB.public)]
    keys += [rating_key(a, b, c) for a, b in ((ANN.public, BOB.public), (BOB.public, ANN.public)) for c in (1, 256)]
    assert len(set(keys)) == len(keys)


def test_what_people_see_of_a_member() -> None:
    assert member_summary(GENESIS.policy, Member(ANN.public, 5, 3, 12, 2)) == {
        "score": 12,
        "tier": "good",
        "points": 12,
        "ratings": 2,
        "enrolled_height": 5,
        "nonce": 3,
    }
