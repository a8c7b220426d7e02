"""Who may let a chain go on from a block, and what everybody is told by that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain.base.codec import decode, encode
from chain.base.errors import Reason, Refused
from chain.consensus.electorate import MAX_TAGS, Decision, Gate, Tag, ValidatorSet
from chain.consensus.restart import SALT_BYTES, Restart, read_restart, restarted
from chain.consensus.statements import NO_TAG, TAG_BYTES
from chain.consensus.votes import Votes
from chain.protocol.rescue import may_come
from tests.support.forge import Forge, blockchain
from tests.support.refusals import refusal
from tests.support.world import genesis_of, secret

GENESIS = genesis_of(4)
ALL = (1, 2, 3, 4)
SALT = b"s" * SALT_BYTES


@pytest.fixture
def forge() -> Forge:
    return Forge(GENESIS)


def signed(tip: bytes, height: int, *signers: int, salt: bytes = SALT) -> Restart:
    restart = Restart(tip, height, salt)
    for number in signers:
        restart = restart.signed(secret(number), GENESIS.id)
    return restart


def after_three(forge: Forge) -> tuple[Votes, bytes]:
    """The votes after three blocks of which only the first is final, and the tip."""
    tip = forge.attested(3)[-1]
    assert forge.votes(tip).finalized == 1
    return forge.votes(tip), tip.id


def test_three_of_four_make_the_tip_final_and_give_everybody_a_tag(forge: Forge) -> None:
    votes, tip = after_three(forge)
    restart = signed(tip, 3, 1, 2, 4)
    again = restarted(votes, restart, tip, GENESIS.id)
    assert (again.mhp, again.mhpc, again.finalized, again.height, again.rows) == (3, 3, 3, 3, ())
    assert again.blind == 0, "what is final is known"
    for number in ALL:
        key = secret(number).public
        assert again.electorate.tag(key) == Tag(key, restart.tag(key), 3)
        assert again.electorate.tag(key).height <= again.mhpc, "they may speak at once"
    assert len({restart.tag(secret(number).public) for number in ALL}) == 4
    assert all(len(tag.tag) == TAG_BYTES and tag.tag != NO_TAG for tag in again.electorate.tags)


def test_fork_choice_sees_that_a_branch_was_restarted(forge: Forge) -> None:
    votes, tip = after_three(forge)
    assert (votes.restart, Votes.genesis(GENESIS.validators, GENESIS.batch).restart) == (0, 0)
    assert restarted(votes, signed(tip, 3, 1, 2, 4), tip, GENESIS.id).restart == 4


def test_nothing_goes_on_from_the_genesis_whoever_signed(forge: Forge) -> None:
    votes, root = Votes.genesis(GENESIS.validators, GENESIS.batch), forge.root.id
    restart = signed(root, 0, *ALL)
    assert refusal(restarted, votes, restart, root, GENESIS.id) is Reason.WRONG_RESTART
    assert not may_come(restart, blockchain(GENESIS, [])), "a home that signed one does not wait for it"


def test_another_salt_gives_other_tags() -> None:
    key = secret(1).public
    assert Restart(b"", 0, SALT).tag(key) != Restart(b"", 0, b"t" * SALT_BYTES).tag(key)


def test_without_a_restart_the_votes_are_what_they_were(forge: Forge) -> None:
    votes, tip = after_three(forge)
    assert restarted(votes, None, tip, GENESIS.id) is votes


@pytest.mark.parametrize("signers", [(), (1, 2), (1, 2, 9), (7, 8, 9)])
def test_two_thirds_are_not_enough(forge: Forge, signers: tuple[int, ...]) -> None:
    votes, tip = after_three(forge)
    assert refusal(restarted, votes, signed(tip, 3, *signers), tip, GENESIS.id) is Reason.WRONG_RESTART


def test_it_is_about_one_block_alone(forge: Forge) -> None:
    votes, tip = after_three(forge)
    for other in (signed(bytes(32), 3, *ALL), signed(tip, 2, *ALL), signed(tip, 4, *ALL)):
        assert refusal(restarted, votes, other, tip, GENESIS.id) is Reason.WRONG_RESTART


def test_a_signature_is_for_this_chain_this_tip_and_this_salt(forge: Forge) -> None:
    votes, tip = after_three(forge)
    good = signed(tip, 3, 1, 2, 3)
    elsewhere = Restart(tip, 3, SALT).signed(secret(4), bytes(32))
    for bad in (
        good._replace(salt=b"t" * SALT_BYTES),
        good._replace(signatures=(*good.signatures[:2], (good.signatures[2][0], bytes(64)))),
        good._replace(signatures=(*good.signatures, *elsewhere.signatures)),
    ):
        assert refusal(restarted, votes, bad, tip, GENESIS.id) is Reason.BAD_SIGNATURE


def test_while_a_change_is_under_way_both_sets_have_to_agree_and_the_change_lapses(forge: Forge) -> None:
    votes, tip = after_three(forge)
    new = tuple((secret(number).public, 1) for number in (4, 5, 6, 7))
    electorate = votes.electorate.after(3, mhpc=1, spoke=(), decision=Decision(new))
    assert isinstance(electorate.phase, Gate)
    joint = electorate.after(4, mhpc=1, spoke=[key for key, _ in new], decision=Decision())
    signers = [secret(number).public for number in (1, 2, 3)]
    assert electorate.is_enough(signers), "who is only waited for has no say"
    assert not joint.is_enough(signers)
    assert joint.is_enough([*signers, *(key for key, _ in new)])
    again = restarted(replace(votes, electorate=joint), signed(tip, 3, *range(1, 8)), tip, GENESIS.id)
    assert again.electorate.phase is None
    assert again.electorate.current == ValidatorSet(GENESIS.validators)


def test_there_is_room_for_everybodys_tag_however_many_keys_lost_theirs_before(forge: Forge) -> None:
    votes, tip = after_three(forge)
    strangers = tuple(Tag(number.to_bytes(32, "big"), SALT, number) for number in range(MAX_TAGS))
    full = replace(votes, electorate=replace(votes.electorate, tags=strangers))
    tags = restarted(full, signed(tip, 3, 1, 2, 4), tip, GENESIS.id).electorate.tags
    assert len(tags) == MAX_TAGS
    assert tags[: -len(ALL)] == strangers[len(ALL) :], "those of long ago are forgotten, who have no say"
    assert {tag.key for tag in tags[-len(ALL) :]} == {secret(number).public for number in ALL}


def test_its_encoding_has_one_form() -> None:
    restart = signed(bytes(32), 3, 3, 1, 2)
    raw = encode(restart)
    assert read_restart(decode(raw, max_bytes=10_000)) == restart
    one, two, three = restart.signatures
    for wrong in (
        restart._replace(signatures=(two, one, three)),
        restart._replace(signatures=(one, one, two)),
        restart._replace(salt=bytes(SALT_BYTES - 1)),
        restart._replace(tip=bytes(31)),
        restart._replace(height=-1),
        restart._replace(signatures=((one[0], bytes(63)),)),
    ):
        with pytest.raises(Refused) as told:
            read_restart(tuple(wrong))
        assert told.value.reason is Reason.MALFORMED
