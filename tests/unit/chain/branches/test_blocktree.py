"""The block tree: judging headers on their branch, and what is kept."""

from __future__ import annotations

from typing import Any

import pytest

from chain.base.errors import Reason, Refused
from chain.branches import blocktree
from chain.branches.blocktree import BlockTree, genesis_header
from chain.consensus.ballots import EMPTY
from chain.consensus.headers import Header
from chain.consensus.statements import NO_TAG
from chain.consensus.votes import Votes
from chain.content.blocks import Block
from tests.support.forge import Forge
from tests.support.world import genesis_of, secret

GENESIS = genesis_of(4)


def first_votes() -> Votes:
    return Votes.genesis(GENESIS.validators, GENESIS.batch)


class Grove:
    """A tree, and the forge of what grows in it."""

    def __init__(self) -> None:
        self.forge = Forge(GENESIS)
        self.tree = BlockTree(GENESIS, self.forge.root, first_votes())

    def plant(self, *blocks: Block) -> None:
        for block in blocks:
            judged = self.tree.check(block.header, block.ballot, solicited=True)
            self.tree.insert(block, judged, arrived_in_slot=True)

    def refusal(self, block: Block, *, solicited: bool = False) -> Reason:
        before = len(self.tree)
        with pytest.raises(Refused) as caught:
            self.tree.check(block.header, block.ballot, solicited=solicited)
        assert len(self.tree) == before
        return caught.value.reason


@pytest.fixture
def grove() -> Grove:
    return Grove()


def test_leaders_take_turns_in_the_order_of_the_genesis() -> None:
    keys = [key for key, _ in GENESIS.validators]
    validators = first_votes().electorate
    assert [validators.leader(slot) for slot in range(8)] == keys + keys
    assert validators.leader(2**64 - 1) == keys[3]


def test_a_good_header_gets_the_votes_of_its_branch(grove: Grove) -> None:
    blocks = grove.forge.chain(7)
    grove.plant(*blocks)
    assert [grove.tree[block.id].votes for block in blocks] == [grove.forge.votes(block) for block in blocks]
    assert len(grove.tree) == 8
    assert grove.tree[blocks[-1].id].votes.finalized == 2


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"parent": bytes(32)}, Reason.UNKNOWN_PARENT),
        ({"height": 3}, Reason.WRONG_HEIGHT),
        ({"height": 5}, Reason.WRONG_HEIGHT),
        ({"height": 2**64 - 1}, Reason.WRONG_HEIGHT),
        ({"slot": 3}, Reason.SLOT_NOT_AFTER_PARENT),
        ({"slot": 2}, Reason.SLOT_NOT_AFTER_PARENT),
        ({"signer": secret(3)}, Reason.WRONG_LEADER),
        ({"signer": secret(77)}, Reason.WRONG_LEADER),
        ({"mhp": 2**64 - 1}, Reason.WRONG_MHP),
        ({"mhp": 0}, Reason.WRONG_MHP),
        ({"tag": bytes(15) + b"1"}, Reason.WRONG_TAG),
    ],
    ids=str,
)
def test_a_bad_header_is_refused(grove: Grove, fields: dict[str, Any], reason: Reason) -> None:
    branch = grove.forge.chain(3)
    grove.plant(*branch)
    assert grove.refusal(grove.forge.block(branch[-1], **fields)) is reason


def test_a_header_must_not_contradict_its_proposers_last_one_on_the_branch(grove: Grove) -> None:
    branch = grove.forge.chain(4)
    grove.plant(*branch)
    assert grove.refusal(grove.forge.block(branch[-1], mhg=0)) is Reason.CONTRADICTS_EARLIER_BLOCK
    grove.plant(grove.forge.block(branch[-1], mhg=1))


def test_a_header_may_claim_to_have_generated_more_and_then_votes_for_nothing(grove: Grove) -> None:
    block = grove.forge.block(None, mhg=2**64 - 1)
    grove.plant(block)
    assert grove.tree[block.id].votes.rows[0].prevotes == (0,)


def test_slots_may_be_skipped(grove: Grove) -> None:
    grove.plant(grove.forge.block(None, slot=10**12))


def test_two_blocks_of_a_slot_are_kept_and_a_third_only_on_request(grove: Grove) -> None:
    first, second, third = (grove.forge.block(None, slot=1, state_root=bytes([n]) * 32) for n in range(3))
    grove.plant(first)
    grove.tree.check(second.header, second.ballot, solicited=False)
    grove.plant(second)
    assert grove.refusal(third) is Reason.TREE_FULL
    grove.plant(third)


def test_a_full_tree_gives_up_its_worst_tip_but_never_the_head(grove: Grove, monkeypatch: pytest.MonkeyPatch) -> None:
    trunk, side = grove.forge.chain(3), grove.forge.chain(2, slot=5)
    grove.plant(*trunk, *side)
    grove.tree.make_room(trunk[2].id)
    assert len(grove.tree) == 6

    monkeypatch.setattr(blocktree, "MAX_BLOCKS", 5)
    for left in (5, 4, 4):
        grove.tree.make_room(trunk[2].id)
        assert len(grove.tree) == left
    assert all(block.id in grove.tree for block in trunk)


def test_what_stands_on_an_invalid_block_is_invalid(grove: Grove) -> None:
    trunk = grove.forge.chain(2)
    bad = grove.forge.chain(2, trunk[0], slot=5)
    grove.plant(*trunk, *bad)
    grove.tree.mark_invalid(bad[0].id)
    assert [grove.tree[block.id].invalid for block in (*trunk, *bad)] == [False, False, True, True]
    for parent in bad:
        assert grove.refusal(grove.forge.block(parent, slot=9), solicited=True) is Reason.INVALID_PARENT


def test_paths_lead_down_to_the_fork_and_up_again(grove: Grove) -> None:
    trunk = grove.forge.chain(2)
    left = grove.forge.chain(3, trunk[-1], slot=3)
    right = grove.forge.chain(1, trunk[-1], slot=20)
    grove.plant(*trunk, *left, *right)
    ids = [block.id for block in left]
    assert grove.tree.path(left[-1].id, right[-1].id) == (ids[::-1], [right[0].id])
    assert grove.tree.path(right[-1].id, left[-1].id) == ([right[0].id], ids)
    assert grove.tree.path(trunk[-1].id, left[-1].id) == ([], ids)
    assert grove.tree.path(left[-1].id, grove.forge.root.id) == ([*ids[::-1], trunk[1].id, trunk[0].id], [])
    assert grove.tree.path(left[0].id, left[0].id) == ([], [])


def test_a_new_root_forgets_everything_beside_it(grove: Grove) -> None:
    trunk = grove.forge.chain(3)
    stale = grove.forge.chain(2, trunk[0], slot=6)
    twin = grove.forge.block(trunk[0], slot=2, state_root=bytes(32))
    grove.plant(*trunk, *stale, twin)
    grove.tree.reroot(trunk[1].id)
    assert grove.tree.root == trunk[1].id
    assert grove.tree[trunk[1].id].block is None
    assert [block.id in grove.tree for block in (*trunk, *stale, twin)] == [False, True, True, False, False, False]
    assert grove.refusal(stale[0]) is Reason.UNKNOWN_PARENT
    grove.tree.reroot(trunk[1].id)
    assert len(grove.tree) == 2


def test_the_slots_of_forgotten_blocks_are_forgotten_too(grove: Grove) -> None:
    parent: Block | None = None
    for number in range(30):
        block = grove.forge.block(parent)
        twin = grove.forge.block(parent, state_root=bytes([number]) * 32)
        grove.plant(block, twin)
        grove.tree.reroot(block.id)
        parent = block
    assert len(grove.tree) == 1
    assert len(grove.tree._slots) <= 1


def test_tips_are_listed_best_first(grove: Grove) -> None:
    trunk = grove.forge.chain(2)
    long = grove.forge.chain(2, trunk[-1])
    short = grove.forge.chain(1, trunk[0], slot=9)
    grove.plant(*trunk, *long, *short)
    assert grove.tree.tips() == [long[-1].header, short[-1].header]


def test_a_block_whose_only_child_is_invalid_is_a_tip(grove: Grove) -> None:
    trunk = grove.forge.chain(2)
    bad = grove.forge.block(trunk[-1])
    grove.plant(*trunk, bad)
    grove.tree.mark_invalid(bad.id)
    assert grove.tree.tips() == [trunk[-1].header]


def test_a_branch_that_was_never_executed_is_judged_however_long_it_is(grove: Grove) -> None:
    branch = grove.forge.attested(20)
    grove.plant(*branch)
    assert grove.tree[branch[-1].id].votes == grove.forge.votes(branch[-1])
    assert grove.tree[branch[-1].id].votes.finalized == 18


def test_what_a_block_carries_is_judged_on_its_branch(grove: Grove) -> None:
    first, other = grove.forge.chain(1), grove.forge.chain(1, slot=5)
    grove.plant(*first, *other)
    said = grove.forge.attestations(other[0])
    assert grove.refusal(grove.forge.block(first[0], slot=6, carrying=said)) is Reason.BAD_SIGNATURE
    grove.plant(grove.forge.block(other[0], slot=6, carrying=said))


def test_the_genesis_stands_for_a_header_that_nobody_signed() -> None:
    genesis, root = genesis_of(4), b"\x07" * 32
    assert genesis_header(genesis, root) == Header(
        id=genesis.id,
        height=0,
        slot=0,
        parent=bytes(32),
        proposer=bytes(32),
        tag=NO_TAG,
        mhg=0,
        mhp=0,
        votes_root=EMPTY.root,
        transaction_root=bytes(32),
        state_root=root,
        raw=b"",
    )
