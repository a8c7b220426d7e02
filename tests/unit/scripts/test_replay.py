"""The ratings of a replay, the keys of their members, and the plan."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from chain.base.errors import OperatorError
from chain.base.keys import SecretKey
from chain.content.actions import Enrol, Rate
from chain.content.genesis import Genesis
from chain.content.policy import RatingCategory
from chain.content.policyfile import shipped_policy
from chain.content.transactions import decode_transaction, sign_transaction, verify_transaction
from scripts.ratings_file import Rating
from scripts.replay import EXPIRY_HEIGHT, SAMPLE, Plan, Signer, Step, member_secret, node_seed, read_ratings
from tests.support.world import genesis_of

LINES = "6,2,4,1289241911.72836\n6,5,2,1289241941.53378\n1,6,-10,1289243140\n"
RATINGS = [Rating(6, 2, 4), Rating(6, 5, 2), Rating(1, 6, -10)]
SEED = bytes(range(32))


@pytest.fixture
def category() -> RatingCategory:
    (only,) = shipped_policy("marketplace").ratings.values()
    return only


@pytest.fixture
def genesis() -> Genesis:
    return genesis_of(1, max_expiry_blocks=EXPIRY_HEIGHT)


def test_a_limit_takes_the_first_ratings(tmp_path: Path, category: RatingCategory) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text(LINES, encoding="ascii")
    assert [read_ratings(path, category, limit) for limit in (None, 2, 9)] == [RATINGS, RATINGS[:2], RATINGS]


def test_what_was_decided_about_a_file_is_said(
    tmp_path: Path, category: RatingCategory, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text("".join(reversed(LINES.splitlines(keepends=True))), encoding="ascii")
    assert read_ratings(path, category, 2) == RATINGS[:2]
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"{path} is not in the order of its times: sorted, lines of one time in their order\n")


def test_the_shipped_sample_is_the_beginning_of_the_data(category: RatingCategory) -> None:
    ratings = read_ratings(SAMPLE, category)
    assert len(ratings) == 1_500
    assert ratings[:2] == RATINGS[:2]


def test_a_members_key_follows_from_the_networks_seed_and_its_number() -> None:
    number = (35).to_bytes(8, "big")
    expected = SecretKey(sha256(b"goodfaith/testnet/member/1" + SEED + number).digest())
    assert member_secret(SEED, 35).public == expected.public
    assert member_secret(SEED, 36).public != expected.public
    assert member_secret(bytes(32), 35).public != expected.public
    assert SecretKey(node_seed(SEED, 35)).public != expected.public


def test_a_plan_enrols_everybody_and_then_rates_in_the_files_order() -> None:
    plan = Plan(RATINGS, category=1)
    assert plan.members == [6, 2, 5, 1]
    assert plan.steps[:4] == [Step(number, 0, number, None) for number in (6, 2, 5, 1)]
    assert plan.steps[4:] == [Step(6, 1, 2, 4), Step(6, 2, 5, 2), Step(1, 1, 6, -10)]
    assert [plan.position(step.actor, step.nonce) for step in plan.steps] == list(range(7))
    assert plan.position(6, 3) is None
    assert plan.position(99, 0) is None


def test_the_plan_of_more_ratings_gives_the_first_ones_the_same_nonces() -> None:
    few, more = Plan(RATINGS[:2], category=1), Plan(RATINGS, category=1)
    assert set(few.steps) < set(more.steps)


def test_signed_steps_are_valid_for_their_chain_and_the_same_every_time(genesis: Genesis) -> None:
    plan = Plan(RATINGS, category=1)
    signer, again = Signer(plan, genesis, SEED), Signer(plan, genesis, SEED)
    signer.derive_keys()
    again.derive_keys()
    raws = signer.sign(range(len(plan)))
    assert raws == again.sign(range(len(plan)))
    transactions = [verify_transaction(decode_transaction(raw), genesis.id) for raw in raws]
    assert [item.nonce for item in transactions] == [step.nonce for step in plan.steps]
    assert transactions[0].action == Enrol()
    assert transactions[6].action == Rate(member_secret(SEED, 6).public, 1, -10)
    assert [signer.locate(item) for item in transactions] == list(range(len(plan)))


def test_a_final_transaction_that_is_not_of_the_plan_is_told_apart(genesis: Genesis) -> None:
    signer = Signer(Plan(RATINGS, category=1), genesis, SEED)
    signer.derive_keys()
    member, stranger = member_secret(SEED, 6), SecretKey(bytes(32))
    assert signer.locate(sign_transaction(stranger, genesis.id, 0, EXPIRY_HEIGHT, Enrol())) is None
    assert signer.locate(sign_transaction(member, genesis.id, 3, EXPIRY_HEIGHT, Enrol())) is None
    other = sign_transaction(member, genesis.id, 1, EXPIRY_HEIGHT, Rate(stranger.public, 1, 4))
    with pytest.raises(OperatorError, match="another transaction 1 of member 6"):
        signer.locate(other)
