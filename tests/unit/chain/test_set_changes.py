"""When a blockchain lets other validators speak and make blocks: the same on one branch, whatever way it came there."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest

from chain.base.errors import Reason
from chain.branches.blockchain import Blockchain, Snapshot
from chain.consensus.electorate import Gate, Joint
from chain.content.blocks import Block
from chain.content.transactions import VerifiedTransaction
from chain.register.registry import genesis_state
from chain.register.validators import ADD, JAIL, weights_of
from tests.support.forge import Forge, blockchain
from tests.support.refusals import refusal
from tests.support.wishes import ROOMY, Wishes, named
from tests.support.world import secret

# A change that block 1 asks for is decided by block 2; block 4 carries what the newcomer says of block 3, so block 5
# is the first joint one, which block 7 shows final.
IN_FORCE = 8
OLD, NEW, EVERYBODY = named(1, 2, 3, 4), named(1, 2, 3, 4, 5), range(5)


@pytest.fixture
def forge() -> Forge:
    return Forge(ROOMY)


@pytest.fixture
def wishes(monkeypatch: pytest.MonkeyPatch) -> Wishes:
    return Wishes(monkeypatch)


@pytest.fixture
def fifth(wishes: Wishes) -> VerifiedTransaction:
    """A transaction that asks for a fifth validator."""
    return wishes.sign(ADD, secret(5), weight=1)


def grown(
    forge: Forge,
    *bodies: Sequence[VerifiedTransaction],
    parent: Block | None = None,
    slot: int,
    speakers: Sequence[int] = EVERYBODY,
) -> list[Block]:
    """Blocks with these transactions in the slots from ``slot`` on; whoever may attests each of them."""
    blocks: list[Block] = []
    for number, body in enumerate(bodies):
        carrying = []
        if parent is not None:
            row = forge.votes(parent).row(parent.header.height)
            may = [n for n in speakers if row is not None and secret(n + 1).public in row.electorate.speakers]
            carrying = forge.attestations(parent, by=may)
        parent = forge.block(parent, body, slot=slot + number, carrying=carrying)
        blocks.append(parent)
    return blocks


def with_fifth(
    forge: Forge, fifth: VerifiedTransaction, length: int, *, speakers: Sequence[int] = EVERYBODY
) -> list[Block]:
    return grown(forge, [fifth], *[()] * (length - 1), slot=1, speakers=speakers)


def leaders(chain: Blockchain) -> tuple[bytes, ...]:
    """Who may make the block after the head."""
    return chain.electorate.leaders


def test_a_set_leads_from_the_first_height_whose_parent_shows_a_joint_block_final(
    forge: Forge, fifth: VerifiedTransaction
) -> None:
    chain = Blockchain(ROOMY)
    for block in with_fifth(forge, fifth, 30):
        assert leaders(chain) == (NEW if block.header.height >= IN_FORCE else OLD)
        chain.add(block, arrived_in_slot=True)
        assert chain.head.header.id == block.id
    assert chain.electorate.start == IN_FORCE
    assert {block.header.proposer for block in chain.ledger.blocks()} == set(NEW)
    assert chain.finalized.height == 28


def test_its_phases_follow_each_other(forge: Forge, fifth: VerifiedTransaction) -> None:
    blocks = with_fifth(forge, fifth, 8)
    phases = [forge.votes(block).electorate.phase for block in blocks]
    assert [phase and (type(phase), phase.since) for phase in phases] == [
        None, (Gate, 2), (Gate, 2), (Joint, 5), (Joint, 5), (Joint, 5), None, None,
    ]  # fmt: skip


def test_a_newcomer_that_never_comes_changes_nothing(
    forge: Forge, fifth: VerifiedTransaction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chain.consensus.electorate.GATE_BLOCKS", 10)
    blocks = with_fifth(forge, fifth, 20, speakers=range(4))
    chain = blockchain(ROOMY, blocks)
    assert (leaders(chain), chain.ledger.validators.is_changing) == (OLD, False)
    assert chain.finalized.height == 18
    assert chain.ledger.validators.active == Blockchain(ROOMY).ledger.validators.active


@pytest.mark.parametrize("height", [IN_FORCE - 1, IN_FORCE])
def test_the_other_sets_leader_is_refused(forge: Forge, fifth: VerifiedTransaction, height: int) -> None:
    # in slot 14 the old set's third leads, and the new set's fifth
    blocks = with_fifth(forge, fifth, height - 1)
    chain = blockchain(ROOMY, blocks)
    right, wrong = (5, 3) if height >= IN_FORCE else (3, 5)
    bad = forge.block(blocks[-1], slot=14, signer=secret(wrong))
    assert refusal(chain.add, bad, arrived_in_slot=True) is Reason.WRONG_LEADER
    chain.add(forge.block(blocks[-1], slot=14, signer=secret(right)), arrived_in_slot=True)
    assert chain.head.header.proposer == secret(right).public


def test_a_branch_that_was_never_executed_changes_at_the_same_height(forge: Forge, fifth: VerifiedTransaction) -> None:
    # given a fork in the joint phase
    trunk = with_fifth(forge, fifth, 5)
    main = grown(forge, *[()] * 8, parent=trunk[-1], slot=9)
    side = grown(forge, *[()] * 4, parent=trunk[-1], slot=40)
    chain = blockchain(ROOMY, trunk + main[:1])
    for block in side:
        # then the branch beside the head is judged by the same sets
        judged = chain.check(block.header, block.ballot, solicited=True)
        assert judged.votes == forge.votes(block)
        chain.add(block, arrived_in_slot=True, judged=judged)
    assert forge.votes(side[-1]).electorate == forge.votes(main[3]).electorate


def test_each_branch_follows_its_own_decision(forge: Forge, fifth: VerifiedTransaction) -> None:
    # given one branch that asks for a change at once, and one that asks later, before anything is final
    early, late = with_fifth(forge, fifth, 2), grown(forge, (), (), [fifth], (), slot=10, speakers=())
    again = grown(forge, *[()] * 16, parent=early[-1], slot=20)
    chain = blockchain(ROOMY, early)
    # when the head moves from one to the other and back
    for block in late:
        chain.add(block, arrived_in_slot=True)
    assert chain.head.header.id == late[-1].id
    assert chain.ledger.validators.decided_height == 4
    for block in again:
        chain.add(block, arrived_in_slot=True)
    # then the set is in force where the branch says that it is
    assert chain.head.header.id == again[-1].id
    assert chain.head.votes == forge.votes(again[-1])
    assert chain.electorate.start == IN_FORCE


@pytest.mark.parametrize("settled_at", range(3, 15))
def test_a_restart_at_any_height_changes_nothing(forge: Forge, fifth: VerifiedTransaction, settled_at: int) -> None:
    blocks = with_fifth(forge, fifth, 30)
    chain = blockchain(ROOMY, blocks[:settled_at])
    settled = chain.settle()
    assert settled is not None
    rows = genesis_state(ROOMY) | {key: after for key, (_, after) in settled.changes.items()}
    state = {key: value for key, value in rows.items() if value is not None}

    again = Blockchain(ROOMY, Snapshot(settled.header, settled.votes, state))
    for block in blocks[settled.header.height :]:
        again.add(block, arrived_in_slot=True)
        if block.header.height > settled_at:
            chain.add(block, arrived_in_slot=True)
    assert again.head.header.id == blocks[-1].id
    assert again.head.votes == chain.head.votes
    assert again.ledger.state == chain.ledger.state
    assert again.electorate.start == IN_FORCE


def test_one_change_follows_the_other(forge: Forge, wishes: Wishes) -> None:
    body = [wishes.sign(ADD, secret(5), weight=1), wishes.sign(ADD, secret(6), weight=1), wishes.sign(JAIL, secret(1))]
    blocks: list[Block] = []
    chain = Blockchain(ROOMY)
    seen: list[tuple[bytes, ...]] = []
    slot = 1
    for number in range(40):
        parent = blocks[-1] if blocks else None
        while parent is not None and chain.electorate.leader(slot) in chain.electorate.barred:
            slot += 1
        blocks += grown(forge, body if number == 0 else (), parent=parent, slot=slot, speakers=range(6))
        slot += 1
        chain.add(blocks[-1], arrived_in_slot=True)
        if leaders(chain) not in seen[-1:]:
            seen.append(leaders(chain))
    # then they come one after the other; whose weight the first takes away was jailed, and made no block since
    assert seen == [OLD, named(2, 3, 4, 5), named(2, 3, 4, 5, 6)]
    assert not chain.ledger.validators.is_changing
    assert {block.header.proposer for block in blocks[1:]} == set(named(2, 3, 4, 5, 6))
    assert secret(1).public in chain.electorate.current.by_key


def test_who_is_jailed_makes_no_block_from_the_next_one_on(forge: Forge, wishes: Wishes) -> None:
    first = forge.block(None, [wishes.sign(JAIL, secret(3))])
    chain = blockchain(ROOMY, [first])
    bad = forge.block(first, slot=2)
    assert bad.header.proposer == secret(3).public
    assert refusal(chain.add, bad, arrived_in_slot=True) is Reason.BARRED


def test_the_state_and_the_votes_agree_on_who_is_in_force(forge: Forge, wishes: Wishes) -> None:
    blocks = grown(forge, [wishes.sign(ADD, secret(5), weight=1)], (), (), slot=1)
    blocks += grown(forge, *[()] * 20, parent=blocks[-1], slot=4)
    for parent, block in pairwise(blocks):
        validators, electorate = forge.validators(block), forge.votes(parent).electorate
        assert validators.voting == weights_of(validators.active) == electorate.current.weights
        following = validators.following
        assert (
            forge.votes(block).electorate.phase is None
            or following == electorate.all_sets[-1].weights
            or (validators.decided_height == block.header.height)
        )


def test_two_blocks_of_a_slot_by_two_leaders_are_no_rivals(forge: Forge, fifth: VerifiedTransaction) -> None:
    # given two branches: on one the old set leads slot 14, on the other the new set does
    blocks = with_fifth(forge, fifth, 7)
    chain = blockchain(ROOMY, blocks[:6])
    old, new = forge.block(blocks[5], slot=14), forge.block(blocks[6], slot=14)
    assert old.header.proposer != new.header.proposer
    twin = forge.block(blocks[5], slot=14, mhp=old.header.mhp, mhg=old.header.mhg + 1)
    for block in (old, twin):
        chain.add(block, arrived_in_slot=False)
    # then neither takes the other's place
    chain.add(blocks[6], arrived_in_slot=True)
    judged = chain.check(new.header, new.ballot, solicited=False)
    chain.add(new, arrived_in_slot=True, judged=judged)
    assert new.id in chain.tree
