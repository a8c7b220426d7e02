"""The rules of members: enrol, rate, move to another key."""

from __future__ import annotations

import pytest

from chain.base.errors import Reason
from chain.base.keys import SecretKey
from chain.content.actions import Approve, Consent, Enrol, Object, Propose, Rate, Rotate
from chain.content.proposals import REGISTRAR, Accredit, AddValidator, ReplaceValidator, Revoke, Suspend
from chain.register.entries import OPEN, Account, Member, Rating
from chain.register.statekeys import account_key, member_key, rating_key
from tests.support.register import DIGEST, FOREVER, MARKETPLACE, MUNICIPAL, Person, Register, altered

TRADE = 1


@pytest.fixture
def market() -> Register:
    return Register(MARKETPLACE)


@pytest.fixture
def town() -> Register:
    return Register()


# -------------------------------------------------------------------------------------------------------- enrolling


def test_enrolling_where_everybody_may(market: Register) -> None:
    ann = market.member()
    assert market.entry(ann) == Member(ann.key, 1, 0, 0, 0, 0, 0, 0, (), 1, 1)
    assert market.draft.account(ann.key) == Account(1, b"", b"")
    assert market.refusal(ann, Enrol()) is Reason.ALREADY_ENROLLED


def test_a_policy_may_want_the_consent_of_a_registrar(town: Register) -> None:
    ann, registrar = town.person(), town.registrar()
    assert town.refusal(ann, Enrol()) is Reason.NO_CONSENT
    town.do(ann, town.enrolment(ann, registrar))
    assert town.entry(ann).key == ann.key


def test_who_is_no_registrar_now(town: Register) -> None:
    ann = town.person()
    nobody, judge = town.person(), town.arbiter()
    suspended, revoked = town.registrar(), town.registrar()
    town.carry(Suspend(suspended.key))
    town.carry(Revoke(revoked.key))
    early, late = town.office(rights=REGISTRAR, term=(3, 9)), town.office(rights=REGISTRAR, term=(0, 2))
    for registrar in (nobody, ann, judge, suspended, revoked, early, town.validators[0]):
        assert town.refusal(ann, town.enrolment(ann, registrar)) is Reason.NOT_REGISTRAR
    town.block()
    for registrar in (early, late):
        assert town.refusal(ann, town.enrolment(ann, registrar)) is Reason.NOT_REGISTRAR
    town.block()
    town.do(ann, town.enrolment(ann, early))


def test_a_consent_that_nobody_asked_for_is_checked_all_the_same(market: Register) -> None:
    ann = market.person()
    assert market.refusal(ann, market.enrolment(ann, market.person())) is Reason.NOT_REGISTRAR
    market.do(ann, market.enrolment(ann, market.registrar()))


def test_a_key_that_no_signature_could_bind_does_not_enrol(market: Register) -> None:
    ann = market.person()
    ann.secret = SecretKey(ann.secret.seed)  # its own: others have the same person
    ann.secret.public = bytes(32)
    assert market.refusal(ann, Enrol()) is Reason.BAD_KEY


# ----------------------------------------------------------------------------------------------------------- rating


def test_a_rating_counts_for_its_subject_and_a_new_one_replaces_it(market: Register) -> None:
    ann, bob = market.member(), market.member()
    for points in (10, -3, 0):
        market.do(ann, Rate(bob.key, TRADE, points))
        assert (market.entry(bob).rated_points, market.entry(bob).ratings) == (points, 1)
    assert market.draft.get(rating_key(bob.key, ann.key, TRADE)) == Rating(0, 1)
    market.do(bob, Rate(ann.key, TRADE, 7))
    assert (market.score(ann), market.score(bob)) == (7, 0)


def test_ratings_of_different_raters_and_categories_add_up_under_the_cap() -> None:
    rows = [*MARKETPLACE.to_document()["rating"], {"code": 7, "name": "help", "min": 0, "max": 3}]
    market = Register(altered(MARKETPLACE, rating=rows, score={"ratings_cap": 15, "ratings_floor": -4}))
    ann, bob, cleo = (market.member() for _ in range(3))
    for rater, rate in ((ann, Rate(cleo.key, TRADE, 9)), (bob, Rate(cleo.key, TRADE, 4)), (bob, Rate(cleo.key, 7, 3))):
        market.do(rater, rate)
    assert (market.entry(cleo).rated_points, market.entry(cleo).ratings, market.score(cleo)) == (16, 3, 15)
    market.do(ann, Rate(cleo.key, TRADE, -10))
    market.do(bob, Rate(cleo.key, TRADE, -5))
    assert (market.entry(cleo).rated_points, market.score(cleo)) == (-12, -4)


def test_rating_refused(market: Register) -> None:
    ann, bob, stranger = market.member(), market.member(), market.person()
    assert market.refusal(ann, Rate(ann.key, TRADE, 1)) is Reason.SELF_RATING
    assert market.refusal(ann, Rate(stranger.key, TRADE, 1)) is Reason.NOT_ENROLLED
    assert market.refusal(stranger, Rate(ann.key, TRADE, 1)) is Reason.NOT_ENROLLED
    assert market.refusal(ann, Rate(bob.key, 2, 1)) is Reason.UNKNOWN_CATEGORY
    for points in (-11, 11):
        assert market.refusal(ann, Rate(bob.key, TRADE, points)) is Reason.POINTS_OUT_OF_RANGE


def test_a_moved_member_does_not_rate_its_earlier_self(market: Register) -> None:
    ann = market.member()
    market.rotate(ann)
    for key in ann.keys:
        assert market.refusal(ann, Rate(key, TRADE, 10)) is Reason.SELF_RATING


# --------------------------------------------------------------------------------------------------------- rotating


def test_the_history_follows_and_every_key_ever_leads_to_it(market: Register) -> None:
    ann, bob = market.member(), market.member()
    market.do(bob, Rate(ann.key, TRADE, 5))
    market.do(ann, Rate(bob.key, TRADE, 6))
    for _ in range(2):
        market.rotate(ann)
    assert [market.draft.member(key)[0] for key in ann.keys] == [ann.identity] * 3
    assert (market.entry(ann).key, market.entry(ann).rated_points) == (ann.key, 5)
    # ratings by and about any key of the history are those of one member
    for key, points in zip(ann.keys, (7, 8, 9), strict=True):
        market.do(bob, Rate(key, TRADE, points))
        assert (market.entry(ann).rated_points, market.entry(ann).ratings) == (points, 1)
    market.do(ann, Rate(bob.key, TRADE, -6))
    assert (market.entry(bob).rated_points, market.entry(bob).ratings) == (-6, 1)
    assert market.draft.get(member_key(ann.key)) is None


def test_a_key_that_was_left_does_nothing_any_more(market: Register) -> None:
    ann, bob = market.member(), market.member()
    market.rotate(ann)
    past = ann.with_key(0)
    assert market.draft.account(past.key) == Account(2, ann.identity, ann.key, 1, 1)
    assert market.draft.account(ann.key) == Account(0, ann.identity, b"", 1, 1)
    for action in (Rate(bob.key, TRADE, 1), Enrol(), market.rotation(past, market.person())):
        assert market.refusal(past, action) is Reason.ROTATED_KEY
    assert market.refusal(ann, Enrol()) is Reason.ALREADY_ENROLLED


def test_records_of_a_moved_member_and_a_moved_issuer(town: Register) -> None:
    office, ann = town.office(1), town.member()
    number = town.file(office, ann, 1, -20)
    town.rotate(ann)
    town.rotate(office)
    assert town.authority(office).key == office.key
    second = town.file(office, ann, 1, -20, evidence=bytes(32))
    assert (number, second, town.score(ann), town.authority(office).filed) == (0, 1, 960, 2)
    town.do(ann, Object(ann.identity, number, DIGEST))
    town.do(ann, Object(ann.key, second, DIGEST))
    assert town.score(ann) == 1000
    assert town.refusal(office.with_key(0), town.filing(ann, 1, -20)) is Reason.ROTATED_KEY


def test_a_registrar_signs_only_with_its_key_of_today(town: Register) -> None:
    registrar, ann = town.registrar(), town.person()
    town.rotate(registrar)
    assert town.refusal(ann, town.enrolment(ann, registrar.with_key(0))) is Reason.NOT_REGISTRAR
    town.do(ann, town.enrolment(ann, registrar))


@pytest.mark.parametrize("named", [0, 1])
def test_a_moved_member_is_accredited_with_its_key_of_today(town: Register, named: int) -> None:
    ann, bob = town.member(), town.person()
    town.rotate(ann)
    town.carry(Accredit(ann.keys[named], REGISTRAR, (), 0, FOREVER))
    assert (town.authority(ann).key, town.draft.authority(ann.identity)) == (ann.key, town.authority(ann))
    assert town.refusal(bob, town.enrolment(bob, ann.with_key(0))) is Reason.NOT_REGISTRAR
    town.do(bob, town.enrolment(bob, ann))


def test_an_authority_that_moved_and_then_enrols_is_one_with_itself(town: Register) -> None:
    office, registrar = town.office(1), town.registrar()
    town.rotate(office)
    town.do(office, town.enrolment(office, registrar))
    assert town.draft.member(office.identity) == (office.identity, town.entry(office))
    assert town.refusal(office, town.filing(office, 1, -20)) is Reason.SELF_RECORD


def test_who_cannot_rotate(market: Register) -> None:
    ann, bob = market.member(), market.member()
    stranger, fresh = market.person(), market.person()
    assert market.refusal(stranger, market.rotation(stranger, fresh)) is Reason.NOT_ENROLLED
    assert market.refusal(market.validators[0], market.rotation(market.validators[0], fresh)) is Reason.NOT_ENROLLED
    for taken in (bob, ann, market.validators[1]):
        assert market.refusal(ann, market.rotation(ann, taken)) is Reason.KEY_IN_USE
    assert market.refusal(ann, Rotate(bytes(32), bytes(64))) is Reason.BAD_KEY
    market.do(ann, market.rotation(ann, fresh))
    assert market.refusal(bob, market.rotation(bob, fresh)) is Reason.KEY_IN_USE


def joins(register: Register, person: Person) -> None:
    """The person becomes a validator, two blocks from now at the earliest."""
    register.carry(AddValidator(person.key, 1))


@pytest.mark.parametrize("blocks", [0, 1, 12], ids=["it waits", "it is decided", "it is in force"])
def test_a_key_that_makes_blocks_or_soon_will_does_not_rotate(market: Register, blocks: int) -> None:
    ann = market.member()
    joins(market, ann)
    for _ in range(blocks):
        market.block()
    validators = market.draft.validators
    assert [bool(validators.queue), bool(validators.change), len(validators.active) == 5].index(True) == min(blocks, 2)
    assert market.refusal(ann, market.rotation(ann, market.person())) is Reason.KEY_IN_USE


def test_a_new_key_may_not_be_that_of_a_validator_to_be(market: Register) -> None:
    ann, newcomer = market.member(), market.person()
    joins(market, newcomer)
    assert market.refusal(ann, market.rotation(ann, newcomer)) is Reason.KEY_IN_USE


def test_a_key_that_was_left_makes_no_blocks(market: Register) -> None:
    ann = market.member()
    number = market.propose(AddValidator(ann.key, 1))
    market.rotate(ann)
    past = ann.keys[0]
    for proposal in (AddValidator(past, 1), ReplaceValidator(market.validators[3].key, past)):
        assert market.refusal(market.validators[0], Propose(proposal)) is Reason.ROTATED_KEY
    market.do(market.validators[1], Approve(number))
    market.do(market.validators[2], Approve(number))
    assert market.refusal(ann.with_key(0), Consent(number)) is Reason.ROTATED_KEY
    assert market.motion(number).status == OPEN
    market.carry(AddValidator(ann.key, 1))


def test_a_member_rotates_with_the_nonces_that_it_has(market: Register) -> None:
    ann, bob = market.member(), market.member()
    market.do(ann, Rate(bob.key, TRADE, 1))
    market.rotate(ann)
    assert market.draft.get(account_key(ann.keys[0])).nonce == 3
    market.do(ann, Rate(bob.key, TRADE, 2))
    assert market.draft.get(account_key(ann.key)).nonce == 1


def test_a_municipal_member_does_not_rate() -> None:
    town = Register(MUNICIPAL)
    ann, bob = town.member(), town.member()
    assert town.refusal(ann, Rate(bob.key, TRADE, 1)) is Reason.UNKNOWN_CATEGORY
