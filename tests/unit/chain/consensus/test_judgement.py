"""The one judgement of headers, and its one exception for who does not count from the genesis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from chain.base.errors import InvariantBroken, Reason
from chain.consensus.attestations import Attestation
from chain.consensus.ballots import EMPTY, make_ballot
from chain.consensus.electorate import Decision
from chain.consensus.judgement import check_ballot, check_follows, judge, whole
from chain.consensus.votes import CARRIED_PER_SPEAKER, Votes
from chain.content.blocks import Block
from tests.support.forge import Forge
from tests.support.refusals import refusal
from tests.support.world import genesis_of, secret

GENESIS = genesis_of(4)
TAG, OTHER_TAG = bytes(15) + b"1", bytes(15) + b"2"
SIX = tuple((secret(number).public, 1) for number in range(1, 7))


@pytest.fixture
def forge() -> Forge:
    return Forge(GENESIS)


def judged(blocks: Sequence[Block], votes: Votes) -> Votes:
    """The votes after consecutive blocks."""
    for block in blocks:
        votes = judge(block.header, block.ballot, votes, GENESIS.id)
    return votes


def from_genesis(blocks: Sequence[Block]) -> Votes:
    return judged(blocks, Votes.genesis(GENESIS.validators, GENESIS.batch))


def above(base: int, blocks: Sequence[Block] = ()) -> Votes:
    """The votes of who began to count after the block at ``base``."""
    return judged(blocks, Votes.start(Votes.genesis(GENESIS.validators, 4).electorate, 4, base, blind=True))


def why(block: Block, votes: Votes) -> Reason | None:
    return refusal(judge, block.header, block.ballot, votes, GENESIS.id)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, None),
        ({"parent": bytes(32)}, Reason.UNKNOWN_PARENT),
        ({"height": 3}, Reason.WRONG_HEIGHT),
        ({"height": 5}, Reason.WRONG_HEIGHT),
        ({"slot": 3}, Reason.SLOT_NOT_AFTER_PARENT),
    ],
)
def test_a_header_follows_its_parent(forge: Forge, fields: dict[str, Any], reason: Reason | None) -> None:
    parent = forge.chain(3)[-1]
    header = forge.block(parent, **fields).header
    assert refusal(check_follows, header, parent.header) is reason


def test_a_header_commits_to_its_ballot(forge: Forge) -> None:
    header = forge.block().header
    assert refusal(check_ballot, header, EMPTY) is None
    assert refusal(check_ballot, header, make_ballot((), Decision(barred=((),)))) is Reason.WRONG_VOTES_ROOT


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, None),
        ({"signer": secret(77)}, Reason.WRONG_LEADER),
        ({"tag": TAG}, Reason.WRONG_TAG),
        ({"mhp": 1}, Reason.WRONG_MHP),
        ({"mhp": 2**64 - 1}, Reason.WRONG_MHP),
        ({"mhg": 3}, Reason.CONTRADICTS_EARLIER_BLOCK),
    ],
)
def test_a_header_is_judged_by_the_votes_before_it(forge: Forge, fields: dict[str, Any], reason: Reason | None) -> None:
    blocks = forge.chain(8)
    assert why(forge.block(blocks[-1], **fields), from_genesis(blocks)) is reason


@pytest.mark.parametrize("kind", ["chain", "attested"])
def test_what_it_returns_are_the_votes_after_it(forge: Forge, kind: str) -> None:
    blocks = forge.chain(9) if kind == "chain" else forge.attested(9)
    votes = from_genesis(blocks)
    assert votes == forge.votes(blocks[-1])
    assert votes.finalized == (4 if kind == "chain" else 7)


def test_mhp_is_what_the_votes_say_once_the_ballot_is_counted(forge: Forge) -> None:
    blocks = forge.attested(5)
    said = forge.attestations(blocks[-1])
    right = forge.block(blocks[-1], carrying=said)
    assert right.header.mhp == 5
    assert why(right, from_genesis(blocks)) is None
    assert why(forge.block(blocks[-1], carrying=said, mhp=4), from_genesis(blocks)) is Reason.WRONG_MHP
    assert why(forge.block(blocks[-1], mhp=5), from_genesis(blocks)) is Reason.WRONG_MHP


# ------------------------------------------------------------------------------------------------- attestations


@pytest.mark.parametrize(
    ("speaker", "fields", "reason"),
    [
        (3, {}, None),
        (3, {"tip": bytes(32)}, Reason.BAD_SIGNATURE),  # about another branch
        (3, {"mhp": 0}, Reason.BAD_SIGNATURE),  # about another branch
        (3, {"tag": TAG}, Reason.BAD_SIGNATURE),  # from a signing state of which nobody knows
        (5, {}, Reason.NOT_VALIDATOR),
        (3, {"mhg": 2}, Reason.CONTRADICTS_EARLIER_BLOCK),
        (3, {"height": 2, "mhg": 1, "mhp": 1}, Reason.STALE_ATTESTATION),
        (3, {"height": 6, "mhg": 4}, Reason.STALE_ATTESTATION),
        (0, {}, Reason.ALREADY_SAID),  # the maker of that block
    ],
)
def test_what_a_block_carries_is_judged_by_its_branch(
    forge: Forge, speaker: int, fields: dict[str, Any], reason: Reason | None
) -> None:
    *before, tip = forge.attested(5, slot=4)  # the last one in slot 8, by the first
    assert forge.votes(tip).finalized == 3
    carrying = [forge.attest(tip, speaker, **fields)]
    assert why(forge.block(tip, carrying=carrying), from_genesis([*before, tip])) is reason


def test_what_was_said_on_another_network_is_not_carried(forge: Forge) -> None:
    tip = forge.block()
    elsewhere = Forge(genesis_of(4, name="another"))
    said = elsewhere.attest(elsewhere.block(), 2, tip=tip.id)
    assert why(forge.block(tip, carrying=[said]), from_genesis([tip])) is Reason.BAD_SIGNATURE


def test_what_was_said_of_a_twin_is_not_carried(forge: Forge) -> None:
    tip, twin = forge.block(), forge.block(None, state_root=bytes(32))
    assert why(forge.block(tip, carrying=[forge.attest(twin, 2)]), from_genesis([tip])) is Reason.BAD_SIGNATURE


def test_nothing_is_carried_twice(forge: Forge) -> None:
    blocks = forge.attested(2)
    said = forge.attest(blocks[0], 3)
    assert said.carried in blocks[1].ballot.attestations
    assert why(forge.block(blocks[-1], carrying=[said]), from_genesis(blocks)) is Reason.ALREADY_SAID


def test_a_validator_that_is_jailed_has_a_say_as_long_as_it_weighs_something(forge: Forge) -> None:
    barred = Decision(barred=((secret(4).public,),))
    blocks = [forge.block(None, decision=barred)]
    said = forge.attest(blocks[0], 3)
    assert why(forge.block(blocks[-1], carrying=[said]), from_genesis(blocks)) is None
    mine = forge.block(blocks[-1], slot=3)
    assert mine.header.proposer == secret(4).public
    assert why(mine, from_genesis(blocks)) is Reason.BARRED
    free = forge.block(blocks[-1], decision=Decision(barred=((),)))
    assert why(forge.block(free, slot=7), from_genesis([*blocks, free])) is None


def test_a_block_carries_four_for_each_speaker_at_most() -> None:
    genesis = genesis_of(1, batch=2)
    forge = Forge(genesis)
    blocks = forge.chain(1)
    said: list[Attestation] = [forge.attest(blocks[0], number) for number in range(1, 2 + CARRIED_PER_SPEAKER)]
    votes = judge(blocks[0].header, blocks[0].ballot, Votes.genesis(genesis.validators, 2), genesis.id)
    for count, reason in ((5, Reason.TOO_MANY_ATTESTATIONS), (4, Reason.NOT_VALIDATOR)):
        block = forge.block(blocks[-1], carrying=said[:count])
        assert refusal(judge, block.header, block.ballot, votes, genesis.id) is reason


# ------------------------------------------------------------------------------------------------------- decisions


def test_nothing_is_decided_while_a_change_is_under_way(forge: Forge) -> None:
    decided = forge.block(None, decision=Decision(SIX[:3]))
    votes = from_genesis([decided])
    assert votes.electorate.phase is not None
    assert why(forge.block(decided, decision=Decision(SIX[:2])), votes) is Reason.WRONG_DECISION
    assert why(forge.block(decided, decision=Decision(barred=((SIX[0][0],),))), votes) is None


def renewed(forge: Forge, blocks: int) -> list[Block]:
    """A chain whose first block records that the last validator lost its signing state; the others speak."""
    first = forge.block(None, slot=4, decision=Decision(tags=((secret(4).public, TAG),)))
    return [first, *forge.attested(blocks - 1, first, by=(0, 1, 2))]


def test_the_old_tag_is_void_from_the_next_block_on(forge: Forge) -> None:
    (first,) = blocks = renewed(forge, 1)
    assert why(forge.block(first, slot=7, tag=bytes(16)), from_genesis(blocks)) is Reason.WRONG_TAG
    old = forge.attest(first, 3, tag=bytes(16))
    assert why(forge.block(first, carrying=[old]), from_genesis(blocks)) is Reason.WRONG_TAG


def test_the_new_tag_speaks_where_its_renewal_is_final_and_not_before(forge: Forge) -> None:
    blocks = renewed(forge, 3)
    assert [forge.votes(block).finalized for block in blocks] == [0, 0, 1]
    for count in (1, 2):
        assert why(forge.block(blocks[count - 1], slot=7), from_genesis(blocks[:count])) is Reason.WRONG_TAG
    tip = blocks[-1]
    assert why(forge.block(tip, slot=7), from_genesis(blocks)) is None
    assert why(forge.block(tip, slot=7, tag=OTHER_TAG), from_genesis(blocks)) is Reason.WRONG_TAG
    assert why(forge.block(tip, carrying=[forge.attest(tip, 3)]), from_genesis(blocks)) is None
    # while what it says of a block that did not show that yet is not carried, whichever tag it has
    for tag in (TAG, bytes(16)):
        early = forge.attest(blocks[1], 3, tag=tag)
        assert why(forge.block(tip, carrying=[early]), from_genesis(blocks)) is Reason.WRONG_TAG


# --------------------------------------------------------------------------------------- as gossip would have had it


def test_what_a_block_carries_is_whole_again(forge: Forge) -> None:
    blocks = forge.attested(4)
    for block in blocks[1:]:
        expected = {each.id: each for each in forge.attestations(blocks[block.header.height - 2])}
        found = {
            each.id: each for each in (whole(it, forge.votes(block), GENESIS.id) for it in block.ballot.attestations)
        }
        assert found == expected


def test_what_a_block_cannot_carry_is_our_own_bug(forge: Forge) -> None:
    blocks = forge.attested(3)
    carried = forge.attest(blocks[-1], 3).carried
    with pytest.raises(InvariantBroken):
        whole(carried, forge.votes(blocks[-1]), GENESIS.id)
    with pytest.raises(InvariantBroken):
        whole(carried._replace(height=9), forge.votes(blocks[-1]), GENESIS.id)


# ------------------------------------------------------------------------------------- counted from some height on


BASE = 20


def test_what_is_prevoted_up_to_where_counting_began_is_let_pass(forge: Forge) -> None:
    *before, first = forge.chain(BASE + 1)
    assert 0 < first.header.mhp < BASE
    assert why(first, above(BASE)) is None
    # while a node, which has counted from the genesis, knows better
    assert why(forge.block(before[-1], mhp=0), from_genesis(before)) is Reason.WRONG_MHP


@pytest.mark.parametrize(("mhp", "reason"), [(0, None), (BASE - 1, None), (BASE, None), (BASE + 1, Reason.WRONG_MHP)])
def test_but_nothing_above_it_is(forge: Forge, mhp: int, reason: Reason | None) -> None:
    assert why(forge.block(forge.chain(BASE)[-1], mhp=mhp), above(BASE)) is reason


def test_once_something_above_it_is_prevoted_the_rule_is_whole_again(forge: Forge) -> None:
    blocks = forge.chain(BASE + 9)
    votes = above(BASE, blocks[BASE:-1])
    assert votes.mhp > BASE
    for mhp in (BASE - 1, votes.mhp - 1, votes.mhp + 1):
        assert why(forge.block(blocks[-2], mhp=mhp), votes) is Reason.WRONG_MHP
    assert why(blocks[-1], votes) is None


def test_attestations_of_what_came_before_are_left_aside(forge: Forge) -> None:
    blocks = forge.attested(BASE)
    late = forge.block(blocks[-1], carrying=forge.attestations(blocks[-1]))
    assert late.ballot.attestations[0].height == BASE
    assert above(BASE, [late]).rows[0].said.keys() == {late.header.proposer}


def test_attestations_of_a_block_that_knew_of_less_name_what_it_says(forge: Forge) -> None:
    # given a block that carries nothing, so that its mhp is below where counting begins, and one that carries it
    blocks = forge.attested(BASE)
    silent = forge.block(blocks[-1])
    assert silent.header.mhp == BASE - 1
    next_one = forge.block(silent, carrying=forge.attestations(silent))
    # then its attestations are as right as ever
    assert above(BASE, [silent, next_one]).mhp == BASE + 1 == from_genesis([*blocks, silent, next_one]).mhp
