"""The Bitcoin OTC form, the keys of its members, and the plan of a replay."""

from __future__ import annotations

import gzip
from hashlib import sha256
from pathlib import Path

import pytest

from chain.errors import OperatorError
from chain.genesis import Genesis
from chain.keys import SecretKey
from chain.messages import RawItems
from chain.policy import RatingCategory, shipped_policy
from chain.transactions import Enrol, Rate, decode_transaction, sign_transaction, verify_transaction
from scripts.replay import (
    EXPIRY_HEIGHT,
    MAX_LINE_BYTES,
    SAMPLE,
    Plan,
    Rating,
    Signer,
    Step,
    member_secret,
    node_seed,
    pack,
    parse_line,
    read_ratings,
)
from tests.support.world import genesis_of

HEADER = "FROM_NODE,TO_NODE,TRUST_INDEX,TIME_SINCE_EPOCH\n"
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


@pytest.mark.parametrize("text", [HEADER + LINES, LINES, HEADER + LINES.replace("\n", "\r\n"), LINES + "\n\n"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_file_is_read_packed_or_not_with_or_without_a_header(
    tmp_path: Path, category: RatingCategory, text: str, packed: bool
) -> None:
    path = tmp_path / "ratings"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    assert read_ratings(path, category) == RATINGS


def test_a_limit_takes_the_first_ratings_and_reads_no_further(tmp_path: Path, category: RatingCategory) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text(HEADER + LINES + "nonsense\n", encoding="ascii")
    assert read_ratings(path, category, 2) == RATINGS[:2]
    assert read_ratings(path, category, 3) == RATINGS


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("6,2,4", "3 fields where 4 are wanted"),
        ("6,2,4,1,1", "5 fields"),
        ("6,2,11,1", "'11' is no rating from -10 to 10"),
        ("6,2,-11,1", "'-11' is no rating"),
        ("6,2,4.5,1", "'4.5' is no rating"),
        ("6,2,--4,1", "'--4' is no rating"),
        ("6,2,,1", "'' is no rating"),
        ("-6,2,4,1", "'-6' is no member number"),
        ("six,2,4,1", "'six' is no member number"),
        ("4294967296,2,4,1", "is no member number"),
        ("9" * 200 + ",2,4,1", "is no member number"),
        ("6,٢,4,1", "is no member number"),
        ("6,2,4,yesterday", "'yesterday' is no time"),
        ("6,2,4,-1", "'-1' is no time"),
        ("6,2,4,1.2.3", "is no time"),
        ("6,2,4,nan", "is no time"),
        ("6,6,4,1", "member 6 rates itself"),
    ],
)
def test_a_bad_line_says_what_is_wrong(category: RatingCategory, line: str, says: str) -> None:
    with pytest.raises(ValueError, match=says.replace("(", r"\(")):
        parse_line(line, category)


def test_a_bad_line_is_named_by_its_number(tmp_path: Path, category: RatingCategory) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text(HEADER + LINES + "6,2,99,1\n", encoding="ascii")
    with pytest.raises(OperatorError, match=r"ratings\.csv, line 5: '99' is no rating from -10 to 10"):
        read_ratings(path, category)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "holds no ratings"),
        (HEADER.encode(), "holds no ratings"),
        (b"1," * MAX_LINE_BYTES, "line 1: longer than 256 characters"),
        (b"\x1f\x8bnot gzip at all", "cannot be read"),
        (gzip.compress(LINES.encode() * 100, mtime=0)[:-20], "cannot be read"),
        (b"\xff\xfe\x00", "line 1: 1 fields"),
    ],
)
def test_a_file_of_another_form_is_refused_in_a_sentence(
    tmp_path: Path, category: RatingCategory, content: bytes, says: str
) -> None:
    path = tmp_path / "ratings.csv.gz"
    path.write_bytes(content)
    with pytest.raises(OperatorError, match=says):
        read_ratings(path, category)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path, category: RatingCategory) -> None:
    with pytest.raises(OperatorError, match="does not exist"):
        read_ratings(tmp_path / "nowhere.csv", category)
    with pytest.raises(OperatorError, match="cannot be read"):
        read_ratings(tmp_path, category)


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
    assert RawItems.decode(pack(raws), max_items=512).items == tuple(raws)


def test_a_final_transaction_that_is_not_of_the_plan_is_told_apart(genesis: Genesis) -> None:
    signer = Signer(Plan(RATINGS, category=1), genesis, SEED)
    signer.derive_keys()
    member, stranger = member_secret(SEED, 6), SecretKey(bytes(32))
    assert signer.locate(sign_transaction(stranger, genesis.id, 0, EXPIRY_HEIGHT, Enrol())) is None
    assert signer.locate(sign_transaction(member, genesis.id, 3, EXPIRY_HEIGHT, Enrol())) is None
    other = sign_transaction(member, genesis.id, 1, EXPIRY_HEIGHT, Rate(stranger.public, 1, 4))
    with pytest.raises(OperatorError, match="another transaction 1 of member 6"):
        signer.locate(other)
