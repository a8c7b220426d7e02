"""When a blockchain lets other validators make blocks: at the same height on one branch, whatever way it came there."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from chain.blockchain import Blockchain, Snapshot
from chain.blocks import Block
from chain.errors import Reason
from chain.registry import genesis_state
from chain.transactions import VerifiedTransaction
from chain.validators import ADD, JAIL
from tests.support.forge import Forge, blockchain
from tests.support.refusals import refusal
from tests.support.wishes import ROOMY, Wishes, named
from tests.support.world import secret

# A change that block 1 asks for is announced by block 2 and in force two rounds of four later.
IN_FORCE = 10
OLD, NEW = named(1, 2, 3, 4), named(1, 2, 3, 4, 5)


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


def grown(forge: Forge, *bodies: Sequence[VerifiedTransaction], parent: Block | None = None, slot: int) -> list[Block]:
    """Blocks with these transactions in the slots from ``slot`` on."""
    blocks: list[Block] = []
    for number, body in enumerate(bodies):
        parent = forge.block(parent, body, slot=slot + number)
        blocks.append(parent)
    return blocks


def with_fifth(forge: Forge, fifth: VerifiedTransaction, length: int) -> list[Block]:
    return grown(forge, [fifth], *[()] * (length - 1), slot=1)


def leaders(chain: Blockchain) -> tuple[bytes, ...]:
    """Who may make the block after the head."""
    return chain.next_votes.newest_set.leaders


def test_an_announced_set_is_in_force_at_its_height_and_not_before(forge: Forge, fifth: VerifiedTransaction) -> None:
    chain = Blockchain(ROOMY)
    for block in with_fifth(forge, fifth, 30):
        assert leaders(chain) == (NEW if block.header.height >= IN_FORCE else OLD)
        chain.add(block, arrived_in_slot=True)
        assert chain.head.header.id == block.id
    assert chain.head.votes.newest_set.start == IN_FORCE
    assert {block.header.proposer for block in chain.ledger.blocks()} == set(NEW)
    assert chain.finalized.height > IN_FORCE


@pytest.mark.parametrize(("height", "signer"), [(IN_FORCE - 1, 10), (IN_FORCE, 10)])
def test_the_other_sets_leader_is_refused(forge: Forge, fifth: VerifiedTransaction, height: int, signer: int) -> None:
    # in slot 14 the old set's third leads, and the new set's fifth
    chain = blockchain(ROOMY, with_fifth(forge, fifth, height - 1))
    right, wrong = (5, 3) if height >= IN_FORCE else (3, 5)
    parent = next(iter(chain.ledger.blocks()))
    bad = forge.block(parent, slot=14, signer=secret(wrong))
    assert refusal(chain.add, bad, arrived_in_slot=True) is Reason.WRONG_LEADER
    chain.add(forge.block(parent, slot=14, signer=secret(right)), arrived_in_slot=True)
    assert chain.head.header.proposer == secret(right).public


def test_it_waits_through_a_stall_until_the_announcement_is_final(forge: Forge, fifth: VerifiedTransaction) -> None:
    # given that half of the validators vanish before the announcement is final
    blocks = with_fifth(forge, fifth, 3)
    slots = [slot for slot in range(4, 60) if slot % 4 in (0, 1)]
    for slot in slots:
        blocks.append(forge.block(blocks[-1], slot=slot))
    chain = blockchain(ROOMY, blocks)
    # then nothing changes, however high the chain grows
    assert chain.head.header.height > 2 * IN_FORCE
    assert (chain.finalized.height, leaders(chain)) == (0, OLD)

    # when they return
    for slot in range(60, 90):
        blocks.append(forge.block(blocks[-1], slot=slot))
        chain.add(blocks[-1], arrived_in_slot=True)
    # then the set is in force with the first block whose parent came when the announcement was final
    assert leaders(chain) == NEW
    start = chain.head.votes.newest_set.start
    before = forge.votes(blocks[start - 2])
    assert before.mhpc_before >= 2 > forge.votes(blocks[start - 3]).mhpc_before


def test_a_branch_that_was_never_executed_changes_at_the_same_height(forge: Forge, fifth: VerifiedTransaction) -> None:
    # given a fork between the announcement, which is final, and the height where its set is in force
    trunk = with_fifth(forge, fifth, 8)
    main = grown(forge, *[()] * 8, parent=trunk[-1], slot=9)
    side = grown(forge, *[()] * 3, parent=trunk[-1], slot=40)
    chain = blockchain(ROOMY, trunk + main[:4])
    for block in side:
        # then the branch beside the head is judged by the same sets
        judged = chain.check(block.header, solicited=True)
        assert judged.votes.newest_set.keys == (NEW if block.header.height >= IN_FORCE else OLD)
        assert judged.votes == forge.votes(block)
        chain.add(block, arrived_in_slot=True, judged=judged)
    assert chain.head.header.id == main[3].id


def test_each_branch_follows_its_own_announcement(forge: Forge, fifth: VerifiedTransaction) -> None:
    # given one branch that asks for a change at once, and one that asks later
    early = grown(forge, [fifth], *[()] * 3, slot=1)
    late = grown(forge, (), (), [fifth], (), (), slot=10)
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
    assert chain.head.votes.newest_set.start == IN_FORCE

    other = blockchain(ROOMY, late + grown(forge, *[()] * 12, parent=late[-1], slot=16))
    assert other.head.votes.newest_set.start == 12


@pytest.mark.parametrize("settled_at", range(6, 18))
def test_a_restart_at_any_height_changes_nothing(forge: Forge, fifth: VerifiedTransaction, settled_at: int) -> None:
    blocks = with_fifth(forge, fifth, 30)
    chain = blockchain(ROOMY, blocks[:settled_at])
    settled = chain.settle()
    assert settled is not None
    rows = genesis_state(ROOMY) | settled.rows
    state = {key: value for key, value in rows.items() if value is not None}

    again = Blockchain(ROOMY, Snapshot(settled.header, settled.votes, state))
    for block in blocks[settled.header.height :]:
        again.add(block, arrived_in_slot=True)
        if block.header.height > settled_at:
            chain.add(block, arrived_in_slot=True)
    assert again.head.header.id == blocks[-1].id
    assert again.head.votes == chain.head.votes
    assert again.ledger.state == chain.ledger.state
    assert again.head.votes.newest_set.start == IN_FORCE


def test_one_change_follows_the_other(forge: Forge, wishes: Wishes) -> None:
    # given requests for more than may change at once
    body = [wishes.sign(ADD, secret(5), weight=1), wishes.sign(ADD, secret(6), weight=1), wishes.sign(JAIL, secret(1))]
    blocks = grown(forge, body, *[()] * 60, slot=1)
    chain = Blockchain(ROOMY)
    seen: list[tuple[bytes, ...]] = []
    for block in blocks:
        chain.add(block, arrived_in_slot=True)
        if leaders(chain) not in seen[-1:]:
            seen.append(leaders(chain))
    # then they come one after the other, and who is jailed makes no block any more
    assert seen == [OLD, NEW, named(2, 3, 4, 5, 6)]
    assert not chain.ledger.validators.is_changing
    jailed = forge.block(blocks[-1], slot=100, signer=secret(1))
    assert refusal(chain.add, jailed, arrived_in_slot=True) is Reason.WRONG_LEADER
    assert secret(1).public in chain.head.votes.newest_set.keys


def test_nothing_is_kept_of_an_announcement_that_is_in_force(forge: Forge, fifth: VerifiedTransaction) -> None:
    blocks = with_fifth(forge, fifth, 30)
    chain = blockchain(ROOMY, blocks[:IN_FORCE])
    assert len(chain.tree._announced) == 1
    for block in blocks[IN_FORCE:]:
        chain.add(block, arrived_in_slot=True)
    assert chain.tree._announced == {}


def test_nothing_is_kept_of_an_announcement_on_a_branch_that_lost(forge: Forge, fifth: VerifiedTransaction) -> None:
    short = with_fifth(forge, fifth, 3)
    chain = blockchain(ROOMY, short)
    assert len(chain.tree._announced) == 1
    for block in grown(forge, *[()] * 20, slot=10):
        chain.add(block, arrived_in_slot=True)
    assert chain.tree._announced == {}
    assert leaders(chain) == OLD


def test_a_proposer_is_looked_at_without_its_parent(forge: Forge, fifth: VerifiedTransaction) -> None:
    # given an announced set that is not in force yet
    blocks = with_fifth(forge, fifth, 30)
    chain = blockchain(ROOMY, blocks[:5])
    # then whoever leads in the one set or in the other may be a leader: in slot 14 the third, or the fifth
    parent = blocks[20]
    for signer, slot, fields, expected in [
        (3, 14, {}, None),
        (5, 14, {}, None),
        (5, 13, {}, Reason.WRONG_LEADER),
        (4, 14, {}, Reason.WRONG_LEADER),
        (77, 14, {}, Reason.WRONG_LEADER),
        # but further ahead than what can be announced, nobody knows
        (77, 14, {"height": 8}, Reason.WRONG_LEADER),
        (77, 14, {"height": 9}, Reason.NOT_EXECUTED),
        (5, 14, {"height": 14}, None),
    ]:
        header = forge.block(parent, slot=slot, signer=secret(signer), **{"height": 8, **fields}).header
        assert refusal(chain.check_leader, header) is expected, (signer, slot, fields)


def test_blocks_of_the_last_set_still_arrive(forge: Forge, fifth: VerifiedTransaction) -> None:
    blocks = with_fifth(forge, fifth, 12)
    chain = blockchain(ROOMY, blocks)
    late = forge.block(blocks[IN_FORCE - 3], slot=14)
    assert late.header.proposer == secret(3).public
    chain.check_leader(late.header)
    assert refusal(chain.add, late, arrived_in_slot=False) is None


def test_the_state_and_the_votes_agree_on_who_is_in_force(forge: Forge, wishes: Wishes) -> None:
    blocks = grown(forge, [wishes.sign(ADD, secret(5), weight=1)], (), [wishes.sign(JAIL, secret(2))], slot=1)
    blocks += grown(forge, *[()] * 40, parent=blocks[-1], slot=4)
    for block in blocks:
        seats = forge.validators(block).active
        newest = forge.votes(block).newest_set
        assert newest.leaders == tuple(seat.key for seat in seats if not seat.is_jailed)


def test_two_blocks_of_a_slot_by_two_leaders_are_no_rivals(forge: Forge, fifth: VerifiedTransaction) -> None:
    # given two branches: on one the old set leads slot 14, on the other the new set does
    blocks = with_fifth(forge, fifth, 12)
    chain = blockchain(ROOMY, blocks)
    old, new = forge.block(blocks[IN_FORCE - 3], slot=14), forge.block(blocks[-1], slot=14)
    assert old.header.proposer != new.header.proposer
    twin = forge.block(blocks[IN_FORCE - 3], slot=14, state_root=bytes(32))
    for block in (old, twin):
        chain.add(block, arrived_in_slot=False)
    # then neither takes the other's place
    judged = chain.check(new.header, solicited=False)
    chain.add(new, arrived_in_slot=True, judged=judged)
    assert new.id in chain.tree


def test_an_announcement_beside_a_branch_means_nothing_to_it(forge: Forge, fifth: VerifiedTransaction) -> None:
    # given two branches, both executed, and only one of them announces a set
    early, late = with_fifth(forge, fifth, 3), grown(forge, *[()] * 14, slot=10)
    tree = Blockchain(ROOMY).tree
    for block in early + late:
        tree.insert(block, tree.check(block.header, solicited=True), arrived_in_slot=True)
        tree.executed(block.id, forge.validators(block))
    # then it is not in force on the other, whatever is final there
    assert tree[late[-1].id].votes.mhpc_before >= 2
    assert tree.next_votes(tree[late[-1].id]).newest_set.leaders == OLD
