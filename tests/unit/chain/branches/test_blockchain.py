"""The blockchain: which branch is followed, what becomes final, and that a failed switch changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from chain.base.errors import InvariantBroken, OperatorError, Reason, Refused
from chain.branches import blocktree
from chain.branches.blockchain import Added, Blockchain, Snapshot
from chain.content.actions import Enrol, Rate
from chain.content.blocks import Block
from chain.register.registry import genesis_state
from tests.support.forge import Forge, blockchain
from tests.support.refusals import refusal
from tests.support.world import Actor, genesis_of, secret

GENESIS = genesis_of(4)


@pytest.fixture
def forge() -> Forge:
    return Forge(GENESIS)


def add(chain: Blockchain, block: Block) -> Added:
    return chain.add(block, arrived_in_slot=True)


def look(chain: Blockchain) -> tuple[object, ...]:
    """Everything about the head that a refusal must leave as it was."""
    ledger = chain.ledger
    return chain.head, chain.finalized, ledger.height, ledger.state_root, dict(ledger.state), list(ledger.blocks())


def test_a_new_chain_stands_at_the_genesis() -> None:
    chain = Blockchain(GENESIS)
    assert chain.head.header.id == chain.finalized.id == GENESIS.id
    assert chain.settle() is None


def test_children_extend_the_head(forge: Forge) -> None:
    chain = Blockchain(GENESIS)
    for block in forge.chain(3):
        assert add(chain, block) == Added(adopted=(block,))
        assert chain.head.header == block.header


def test_blocks_become_final_five_later_and_in_order(forge: Forge) -> None:
    blocks, chain = forge.chain(12), Blockchain(GENESIS)
    finalized = [header for block in blocks for header in add(chain, block).finalized]
    assert finalized == [block.header for block in blocks[:7]]
    assert chain.finalized == blocks[6].header
    assert len(chain.tree) == 6


def test_a_known_block_changes_nothing(forge: Forge) -> None:
    blocks = forge.chain(3)
    chain = blockchain(GENESIS, blocks)
    before = look(chain)
    for block in blocks:
        assert add(chain, block) == Added()
    assert look(chain) == before


def test_a_longer_branch_wins_and_a_shorter_one_waits(forge: Forge) -> None:
    trunk = forge.chain(1)
    short, long = forge.chain(1, trunk[0], slot=2), forge.chain(2, trunk[0], slot=3)
    chain = blockchain(GENESIS, trunk + short)
    assert add(chain, long[0]) == Added()
    assert add(chain, long[1]) == Added(abandoned=tuple(short), adopted=tuple(long))
    assert chain.head.header == long[1].header
    assert chain.ledger.state_root == long[1].header.state_root


def test_what_was_abandoned_can_win_again(forge: Forge) -> None:
    trunk = forge.chain(1)
    one, two = forge.chain(3, trunk[0], slot=2), forge.chain(2, trunk[0], slot=6)
    chain = blockchain(GENESIS, trunk + one[:1] + two)
    add(chain, one[1])
    added = add(chain, one[2])
    assert added.abandoned == tuple(two[::-1])
    assert added.adopted == tuple(one)


def test_a_timely_twin_replaces_a_late_head(forge: Forge) -> None:
    late, twin = forge.block(None, slot=1), forge.block(None, slot=2)
    chain = Blockchain(GENESIS)
    chain.add(late, arrived_in_slot=False)
    assert add(chain, twin) == Added(abandoned=(late,), adopted=(twin,))


def test_a_second_block_of_a_slot_stays_beside_the_first(forge: Forge) -> None:
    one, two = forge.block(None, slot=1), forge.block(None, slot=1, mhg=5)
    chain = blockchain(GENESIS, [one])
    assert add(chain, two) == Added()
    assert chain.head.header == one.header


BAD = ["state root", "transaction", "transaction in the middle", "child of a bad one"]


@pytest.mark.parametrize("what", BAD)
def test_a_switch_to_an_invalid_branch_changes_nothing(forge: Forge, what: str) -> None:
    ann, bob = Actor(GENESIS, 50), Actor(GENESIS, 51)
    trunk = [forge.block(None, [ann.sign(Enrol())])]
    kept = forge.block(trunk[0], [ann.sign(Rate(bob.key, 1, 1)), bob.sign(Enrol())][1:], slot=2)
    bob.nonce = 0
    good = forge.block(trunk[0], [bob.sign(Enrol())], slot=3)
    if what == "state root":
        side = [good, forge.block(good, slot=4, state_root=bytes(32))]
    elif what == "transaction":
        side = [good, forge.block(good, [bob.sign(Enrol())], slot=4)]
    elif what == "transaction in the middle":
        bad = forge.block(trunk[0], [bob.sign(Rate(ann.key, 1, 99))], slot=3)
        side = [bad, forge.block(bad, slot=4)]
    else:
        bad = forge.block(trunk[0], slot=3, state_root=bytes(32))
        side = [bad, forge.block(bad, slot=4)]
    chain = blockchain(GENESIS, [*trunk, kept, side[0]])
    before = look(chain)

    with pytest.raises(Refused) as refused:
        add(chain, side[1])

    assert refused.value.reason in (Reason.WRONG_STATE_ROOT, Reason.INVALID_TRANSACTION)
    assert look(chain) == before
    add(chain, forge.block(kept, slot=10))
    with pytest.raises(Refused) as refused:
        add(chain, forge.block(side[1], slot=10))
    assert refused.value.reason is Reason.INVALID_PARENT


def test_an_invalid_child_of_the_head_is_refused_once_and_known_afterwards(forge: Forge) -> None:
    bad = forge.block(None, state_root=bytes(32))
    chain = Blockchain(GENESIS)
    with pytest.raises(Refused, match="wrong_state_root"):
        add(chain, bad)
    assert add(chain, bad) == Added()
    assert chain.head.header.id == GENESIS.id
    add(chain, forge.block(None, slot=2))
    assert chain.head.header.slot == 2


def test_what_is_final_never_changes(forge: Forge) -> None:
    blocks = forge.chain(8)
    chain = blockchain(GENESIS, blocks)
    assert chain.finalized.height == 3
    beside = forge.block(blocks[1], slot=50)
    above = forge.block(blocks[3], slot=51)
    before = look(chain)
    with pytest.raises(Refused) as refused:
        add(chain, beside)
    assert refused.value.reason is Reason.CROSSES_FINALITY
    assert add(chain, above) == Added()
    assert look(chain) == before


def test_a_block_that_is_final_already_is_nobodys_fault(forge: Forge) -> None:
    blocks = forge.chain(8)
    chain = blockchain(GENESIS, blocks)
    assert chain.finalized == blocks[2].header
    assert add(chain, blocks[2]) == Added()


def snapshot_of(chain: Blockchain, disk: dict[bytes, bytes]) -> Snapshot:
    settled = chain.settle()
    assert settled is not None
    disk.update((key, value) for key, (_, value) in settled.changes.items() if value is not None)
    return Snapshot(settled.header, settled.votes, disk)


def busy_blocks(forge: Forge, count: int) -> list[Block]:
    ann, bob = Actor(GENESIS, 50), Actor(GENESIS, 51)
    blocks = [forge.block(None, [ann.sign(Enrol()), bob.sign(Enrol())])]
    while len(blocks) < count:
        blocks.append(forge.block(blocks[-1], [ann.sign(Rate(bob.key, 1, len(blocks) % 10))]))
    return blocks


@pytest.mark.parametrize("height", [2, 5, 9])
def test_who_follows_validators_of_long_ago_is_not_blamed_for_it(forge: Forge, height: int) -> None:
    # given a chain, and headers by who leads no slot of it
    blocks = forge.attested(6)
    chain = blockchain(GENESIS, blocks)
    astray = forge.block(blocks[0], signer=secret(77), height=height, parent=bytes(32))
    wrong = forge.block(blocks[-1], signer=secret(77), height=height)
    # then only where its parent is known it is proven that another leads
    assert refusal(chain.check_leader, astray.header) is Reason.NOT_EXECUTED
    assert refusal(chain.check_leader, wrong.header) is Reason.WRONG_LEADER
    assert refusal(chain.check_leader, forge.block(blocks[2], parent=bytes(32)).header) is None


def test_a_snapshot_and_the_blocks_after_it_give_the_same_chain(forge: Forge) -> None:
    blocks = busy_blocks(forge, 14)
    chain = blockchain(GENESIS, blocks[:9])
    disk = genesis_state(GENESIS)
    snapshot = snapshot_of(chain, disk)
    assert chain.unsettled == 0
    assert chain.settle() is None

    again = Blockchain(GENESIS, snapshot)
    for block in blocks[4:]:
        add(again, block)
    for block in blocks[9:]:
        add(chain, block)
    assert again.head.header == chain.head.header
    assert again.head.votes == chain.head.votes
    assert again.finalized == chain.finalized
    assert again.ledger.state == chain.ledger.state


def test_a_snapshot_whose_state_is_not_its_headers_is_refused(forge: Forge) -> None:
    chain = blockchain(GENESIS, busy_blocks(forge, 9))
    disk = genesis_state(GENESIS)
    snapshot = snapshot_of(chain, disk)
    key = max(disk)
    damaged = {other: record for other, record in disk.items() if other != key}
    with pytest.raises(Refused) as refused:
        Blockchain(GENESIS, replace(snapshot, state=damaged))
    assert refused.value.reason is Reason.WRONG_STATE_ROOT


def test_finality_survives_a_restart_on_a_branch_that_does_not_prove_it(forge: Forge) -> None:
    blocks = forge.chain(6)
    chain = blockchain(GENESIS, blocks[:4])
    assert chain.finalized.height == 0
    chain.restore_finality(2)
    assert chain.finalized == blocks[1].header
    with pytest.raises(Refused, match="crosses_finality"):
        add(chain, forge.block(blocks[0], slot=50))
    add(chain, blocks[4])


@pytest.mark.parametrize("kept", [0, 2])
def test_finality_above_every_stored_block_is_a_damaged_database(forge: Forge, kept: int) -> None:
    chain = blockchain(GENESIS, forge.chain(kept))
    with pytest.raises((Refused, OperatorError, InvariantBroken)):
        chain.restore_finality(kept + 1)


def seal(chain: Blockchain, forge: Forge) -> None:
    """Build the next block on the head as a producer does, and adopt it."""
    parent = next((block for block in chain.ledger.blocks() if block.id == chain.head.header.id), None)
    _, changes = chain.ledger.seal(chain.ledger.draft(chain.head.header.slot + 1, chain.electorate))
    block = forge.block(parent)
    chain.adopt(block, changes, forge.votes(block))


def test_a_block_made_here_is_adopted(forge: Forge) -> None:
    chain = Blockchain(GENESIS)
    for height in range(1, 9):
        seal(chain, forge)
        assert chain.head.header.height == height
    assert chain.finalized.height == 3


def test_a_block_made_here_was_in_time_so_no_twin_replaces_it(forge: Forge) -> None:
    chain = Blockchain(GENESIS)
    seal(chain, forge)
    assert add(chain, forge.block(None, slot=2)) == Added()
    assert chain.head.header.slot == 1


def test_blocks_that_were_asked_for_are_taken_however_many_share_a_slot(forge: Forge) -> None:
    chain = Blockchain(GENESIS)
    for number in range(blocktree.MAX_BLOCKS_PER_SLOT + 1):
        add(chain, forge.block(None, slot=1, mhg=number))
    assert len(chain.tree) == 1 + blocktree.MAX_BLOCKS_PER_SLOT + 1


def test_a_full_tree_makes_room_for_a_block_without_its_parent(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a full tree whose worst tip is the parent of the block that comes
    trunk, worst = forge.chain(4), forge.block(None, slot=10)
    chain = blockchain(GENESIS, [*trunk, worst])
    monkeypatch.setattr(blocktree, "MAX_BLOCKS", len(chain.tree))
    # then it is not given up
    add(chain, forge.block(worst, slot=11))
    assert worst.id in chain.tree


def test_a_full_tree_does_not_stop_the_chain_that_is_followed(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a tree that blocks of losing branches have filled
    monkeypatch.setattr(blocktree, "MAX_BLOCKS", 12)
    trunk = forge.chain(4)
    chain = blockchain(GENESIS, trunk)
    flood: Sequence[Block] = [forge.block(trunk[0], slot=10 + number) for number in range(12)]
    for block in flood:
        assert refusal(add, chain, block) in (None, Reason.TREE_FULL)

    # when the chain goes on, then finality follows and makes room
    for block in forge.chain(8, trunk[-1], slot=40):
        add(chain, block)
    assert chain.head.header.height == 12
    assert chain.finalized.height == 7


def test_people_may_let_the_chain_go_on_from_another_branch(forge: Forge) -> None:
    # given a head, and beside it a branch on which people agreed meanwhile
    trunk = forge.chain(1)
    short, long = forge.chain(1, trunk[0], slot=2), forge.chain(2, trunk[0], slot=3)
    chain = blockchain(GENESIS, trunk + short + long)
    # when the head is to be there, though its branch is the longer one
    assert chain.return_to(short[0].id) == Added(abandoned=tuple(reversed(long)), adopted=tuple(short))
    # then it is, with its state
    assert chain.head.header == short[0].header
    assert chain.ledger.state_root == short[0].header.state_root
