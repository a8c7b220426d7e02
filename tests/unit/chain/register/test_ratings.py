"""The rights of who is rated, and of who rates: withdraw, age out, object, receipts, and how voices add up."""

from __future__ import annotations

from itertools import product

import pytest

from chain.base.errors import Reason, Refused
from chain.content.actions import Dispute, Propose, Rate, Reply, Retract
from chain.content.policy import Policy
from chain.content.proposals import Amend
from chain.content.transactions import sign_transaction, verify_transaction
from chain.register.entries import ANSWERED, DISPUTED, Rating
from chain.register.registry import MAX_DUE_A_BLOCK
from chain.register.statekeys import rating_key
from tests.support.refusals import refusal
from tests.support.register import DIGEST, MARKETPLACE, Person, Register, altered, amended

TRADE = 1
TWO = [{"code": code, "name": f"category {code}", "min": -10, "max": 10} for code in (1, 2)]


def market(**raters: int | str) -> Register:
    return Register(altered(MARKETPLACE, raters=raters, rating=TWO, periods={"notice_days": 1}))


def rating(register: Register, rated: Person, rater: Person) -> Rating | None:
    found: Rating | None = register.draft.get(rating_key(rated.identity, rater.identity, TRADE))
    return found


def given(register: Register, person: Person) -> int:
    account = register.draft.account(person.key)
    assert account is not None
    return account.given


def counts(register: Register, person: Person) -> tuple[int, int, int]:
    entry = register.entry(person)
    return entry.rated_points, entry.ratings, entry.raters


# ------------------------------------------------------------------------------------------------- withdraw, age


def test_its_rater_takes_a_rating_back() -> None:
    register = market()
    ann, bob = register.member(), register.member()
    assert register.refusal(bob, Retract(ann.key, TRADE)) is Reason.UNKNOWN_RATING
    register.do(bob, Rate(ann.key, TRADE, -7))
    register.rotate(bob)
    assert (counts(register, ann), given(register, bob)) == ((-7, 1, 1), 1)
    assert register.refusal(ann, Retract(ann.key, TRADE)) is Reason.UNKNOWN_RATING, "nobody takes back another's"
    register.do(bob, Retract(ann.key, TRADE))
    assert (counts(register, ann), given(register, bob), rating(register, ann, bob)) == ((0, 0, 0), 0, None)


def test_a_rating_ages_out_by_the_days_that_it_was_given_under() -> None:
    register = market(rating_days=5)
    ann, bob = register.member(), register.member()
    register.do(bob, Rate(ann.key, TRADE, 7))
    register.amend(1, raters={"rating_days": 100})
    register.block(4)
    assert counts(register, ann) == (7, 1, 1)
    register.block(1)
    assert (counts(register, ann), given(register, bob)) == ((0, 0, 0), 0)


def test_a_closed_category_takes_no_new_ratings_and_the_old_ones_count() -> None:
    register = market()
    ann, bob = register.member(), register.member()
    register.do(bob, Rate(ann.key, TRADE, 7))
    register.amend(1, rating=[{**TWO[0], "closed": True}, TWO[1]])
    register.block()
    assert register.refusal(ann, Rate(bob.key, TRADE, 7)) is Reason.CATEGORY_CLOSED
    assert register.refusal(bob, Rate(ann.key, TRADE, 8)) is Reason.CATEGORY_CLOSED
    register.do(ann, Rate(bob.key, 2, 7))
    assert counts(register, ann) == (7, 1, 1)
    register.do(bob, Retract(ann.key, TRADE))
    assert counts(register, ann) == (0, 0, 0)


def test_a_new_rating_begins_to_age_anew() -> None:
    register = market(rating_days=5)
    ann, bob = register.member(), register.member()
    register.do(bob, Rate(ann.key, TRADE, 7))
    register.block(4)
    register.do(bob, Rate(ann.key, TRADE, 3))
    register.block(4)
    assert counts(register, ann) == (3, 1, 1)
    register.block(1)
    assert counts(register, ann) == (0, 0, 0)


def test_what_waits_for_its_end_can_no_longer_be_acted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    register = market(rating_days=5)
    ann, bob = register.member(), register.member()
    register.do(bob, Rate(ann.key, TRADE, 7))
    monkeypatch.setattr("chain.register.registry.MAX_DUE_A_BLOCK", 0)
    register.block(5)
    assert MAX_DUE_A_BLOCK > 0
    for person, action in (
        (bob, Rate(ann.key, TRADE, 1)),
        (bob, Retract(ann.key, TRADE)),
        (ann, Dispute(bob.key, TRADE, DIGEST)),
    ):
        assert register.refusal(person, action) is Reason.DEADLINE_PASSED


# ----------------------------------------------------------------------------------------------------- objection


def test_a_rater_answers_with_a_reason_or_silence_deletes_it() -> None:
    register = market(answer_days=3)
    ann, bob, cleo = register.member(), register.member(), register.member()
    for rater in (bob, cleo):
        register.do(rater, Rate(ann.key, TRADE, -5))
        register.do(ann, Dispute(rater.key, TRADE, DIGEST))
    disputed = rating(register, ann, bob)
    assert disputed is not None
    assert (disputed.status, disputed.deadline_slot, counts(register, ann)) == (DISPUTED, 4, (-10, 2, 2))
    register.do(bob, Reply(ann.key, TRADE, DIGEST))
    answered = rating(register, ann, bob)
    assert answered is not None
    assert (answered.status, answered.deadline_slot, answered.reason) == (ANSWERED, 0, DIGEST)
    assert register.refusal(ann, Dispute(bob.key, TRADE, DIGEST)) is Reason.RATING_DISPUTED
    register.block(3)
    assert (counts(register, ann), rating(register, ann, cleo)) == ((-5, 1, 1), None)


@pytest.mark.parametrize("days", [1, 9])
def test_a_rater_has_as_long_as_when_it_rated(days: int) -> None:
    """Whatever the policy says by the time somebody objects, to the good of neither."""
    register = market(answer_days=3)
    ann, bob, cleo = register.member(), register.member(), register.member()
    register.do(bob, Rate(ann.key, TRADE, -5))
    register.amend(60, raters={"answer_days": days})
    register.block(60)
    register.do(cleo, Rate(ann.key, TRADE, -5))
    for rater, its_days in ((bob, 3), (cleo, days)):
        register.do(ann, Dispute(rater.key, TRADE, DIGEST))
        disputed = rating(register, ann, rater)
        assert disputed is not None
        assert disputed.deadline_slot == register.draft.slot + its_days


def test_only_the_rated_objects_and_only_the_rater_answers() -> None:
    register = market()
    ann, bob, cleo = register.member(), register.member(), register.member()
    register.do(bob, Rate(ann.key, TRADE, -5))
    assert register.refusal(cleo, Dispute(bob.key, TRADE, DIGEST)) is Reason.UNKNOWN_RATING
    assert register.refusal(bob, Reply(ann.key, TRADE, DIGEST)) is Reason.RATING_NOT_DISPUTED
    register.do(ann, Dispute(bob.key, TRADE, DIGEST))
    assert register.refusal(cleo, Reply(ann.key, TRADE, DIGEST)) is Reason.UNKNOWN_RATING


def test_nobody_dodges_an_objection_by_rating_anew() -> None:
    register = market()
    ann, bob = register.member(), register.member()
    register.do(bob, Rate(ann.key, TRADE, -5))
    register.do(ann, Dispute(bob.key, TRADE, DIGEST))
    assert register.refusal(bob, Rate(ann.key, TRADE, -6)) is Reason.RATING_DISPUTED
    register.do(bob, Retract(ann.key, TRADE))
    assert register.refusal(bob, Rate(ann.key, TRADE, -1)) is Reason.RATING_FELL
    register.do(bob, Rate(ann.key, TRADE, 6))
    assert register.refusal(bob, Rate(ann.key, TRADE, -1)) is Reason.RATING_FELL, "nor by praise first"


@pytest.mark.parametrize("moves", [False, True])
def test_blame_that_fell_is_not_said_again_while_it_is_remembered(moves: bool) -> None:
    register = market(answer_days=3, rating_days=9)
    ann, bob, cleo = register.member(), register.member(), register.member()
    register.do(bob, Rate(ann.key, TRADE, -5))
    register.do(ann, Dispute(bob.key, TRADE, DIGEST))
    register.block(3)
    assert rating(register, ann, bob) is None
    if moves:
        register.rotate(ann)
        register.rotate(bob)
    assert register.refusal(bob, Rate(ann.key, TRADE, -1)) is Reason.RATING_FELL
    assert register.refusal(cleo, Rate(ann.key, TRADE, -1)) is None, "it is nobody else's"
    assert register.refusal(bob, Rate(cleo.key, TRADE, -1)) is None, "nor about anybody else"
    register.block(8)
    assert register.refusal(bob, Rate(ann.key, TRADE, -1)) is Reason.RATING_FELL
    register.block()
    register.do(bob, Rate(ann.key, TRADE, -1))


def test_what_is_taken_back_unasked_ages_out_or_praised_may_be_said_again() -> None:
    register = market(answer_days=3, rating_days=3)
    ann, bob, cleo = register.member(), register.member(), register.member()
    for rater, points in ((bob, -5), (cleo, 5)):
        register.do(rater, Rate(ann.key, TRADE, points))
        register.do(ann, Dispute(rater.key, TRADE, DIGEST))
    register.block(3)
    assert counts(register, ann) == (0, 0, 0)
    register.do(bob, Rate(ann.key, TRADE, -5))
    register.do(bob, Retract(ann.key, TRADE))
    register.do(bob, Rate(ann.key, TRADE, -5))
    register.do(cleo, Rate(ann.key, TRADE, -5))


# ------------------------------------------------------------------------------------------------------ receipts


def test_no_receipt_no_rating_and_one_for_each_dealing() -> None:
    register = market(counting="receipt", rating_days=9)
    ann, bob = register.member(), register.member()
    assert register.refusal(bob, Rate(ann.key, TRADE, 5)) is Reason.NO_RECEIPT
    assert register.refusal(bob, register.rating(bob, ann, 5, dealt_slot=2)) is Reason.NOT_YET_ESTABLISHED
    assert register.refusal(bob, register.rating(bob, ann, 5, dealt_slot=-8)) is Reason.TOO_OLD
    register.do(bob, register.rating(bob, ann, 5, dealt_slot=0))
    assert register.refusal(bob, register.rating(bob, ann, 6, dealt_slot=0)) is Reason.DEALING_RATED
    register.do(bob, register.rating(bob, ann, 6, dealt_slot=1))
    assert counts(register, ann) == (6, 1, 1)


def test_a_receipt_is_signed_with_the_key_of_today() -> None:
    register = market(counting="receipt")
    ann, bob = register.member(), register.member()
    early = register.rating(bob, ann, 5, dealt_slot=1)
    register.rotate(ann)
    assert register.refusal(bob, early) is Reason.NO_RECEIPT
    register.do(bob, register.rating(bob, ann, 5, dealt_slot=1))


def test_a_receipt_is_for_one_rater_one_dealing_and_one_chain() -> None:
    register = market(counting="receipt")
    ann, bob, cleo = register.member(), register.member(), register.member()
    good = register.rating(bob, ann, 5, dealt_slot=1)
    verify_transaction(register.sign(bob, good), register.genesis.id)
    for person, action in (
        (cleo, good),
        (bob, good._replace(dealt_slot=0)),
        (bob, good._replace(dealing=bytes(32))),
        (bob, good._replace(subject=cleo.key)),
    ):
        assert refusal(verify_transaction, register.sign(person, action), register.genesis.id) is Reason.BAD_SIGNATURE
    other = bytes(32)
    foreign = sign_transaction(bob.secret, other, 1, 9, good)
    with pytest.raises(Refused):
        verify_transaction(foreign, other)


# ---------------------------------------------------------------------------------------- who rates, and how it adds


def test_a_rater_is_old_enough_and_stands_well_enough() -> None:
    register = market(age_days=3, least_score=2)
    ann, bob = register.member(), register.member()
    assert register.refusal(bob, Rate(ann.key, TRADE, 5)) is Reason.TOO_FRESH
    register.block(3)
    assert register.refusal(bob, Rate(ann.key, TRADE, 5)) is Reason.SCORE_TOO_LOW


def test_one_voice_is_heard_so_often() -> None:
    register = market(most_given=2)
    bob, *others = (register.member() for _ in range(4))
    for other in others[:2]:
        register.do(bob, Rate(other.key, TRADE, 5))
    register.do(bob, Rate(others[0].key, TRADE, 6))
    assert register.refusal(bob, Rate(others[2].key, TRADE, 5)) is Reason.TOO_MANY_RATINGS
    register.do(bob, Retract(others[0].key, TRADE))
    register.do(bob, Rate(others[2].key, TRADE, 5))


def test_one_rater_in_two_categories_is_one_rater() -> None:
    register = market(least_raters=2)
    ann, bob, cleo = register.member(), register.member(), register.member()
    for code in (1, 2):
        register.do(bob, Rate(ann.key, code, 9))
    assert (counts(register, ann), register.score(ann)) == ((18, 2, 1), 0)
    register.do(cleo, Rate(ann.key, TRADE, 1))
    assert (counts(register, ann), register.score(ann)) == ((19, 3, 2), 19)
    register.do(bob, Retract(ann.key, 1))
    assert (counts(register, ann), register.score(ann)) == ((10, 2, 2), 10)
    register.do(bob, Retract(ann.key, 2))
    assert (counts(register, ann), register.score(ann)) == ((1, 1, 1), 0)


@pytest.mark.parametrize(
    ("points", "ratings", "mean"), [(0, 0, 0), (7, 2, 35), (-7, 2, -35), (10, 3, 33), (-10, 3, -33), (5, 1, 50)]
)
def test_a_mean_is_rounded_towards_zero(points: int, ratings: int, mean: int) -> None:
    policy: Policy = altered(MARKETPLACE, raters={"aggregation": "mean", "scale": 10})
    assert policy.rated(points, ratings, ratings) == mean


def test_every_point_is_explained_whatever_the_rule() -> None:
    for aggregation, least in product(("sum", "mean"), (0, 9)):
        register = market(aggregation=aggregation, scale=3, least_raters=least)
        ann, *raters = (register.member() for _ in range(4))
        for number, rater in enumerate(raters):
            register.do(rater, Rate(ann.key, TRADE, number + 3))
        register.block()
        assert sum(line.points for line in register.explain(ann)) == register.score(ann)


def test_an_amendment_leaves_what_was_said_as_it_counts() -> None:
    register = market()
    for name, value in (("aggregation", "mean"), ("scale", 2), ("least_raters", 3)):
        document = amended(register.draft.policy, raters={name: value}).encode()
        motion = Propose(Amend(1, 31, document))
        assert register.refusal(register.validators[0], motion) is Reason.WORSENS_THE_PAST


def test_no_sequence_of_transactions_gives_one_dealing_two_ratings_that_stand() -> None:
    register = market(counting="receipt")
    ann, bob = register.member(), register.member()
    receipt = register.rating(bob, ann, 5, dealt_slot=1)
    for action in (receipt, Retract(ann.key, TRADE), receipt, receipt, receipt._replace(points=9)):
        register.refusal(bob, action)
        assert counts(register, ann)[1] <= 1
