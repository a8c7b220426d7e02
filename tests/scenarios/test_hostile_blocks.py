"""Blocks that no honest validator makes, or that arrive when they should not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chain.base.errors import Reason
from chain.consensus.ballots import make_ballot
from chain.protocol.events import (
    BlocksReceived,
    Commit,
    Equivocation,
    Finalized,
    HeadingsReceived,
    HeadMoved,
    MissingReceived,
    Notice,
    PeerLost,
    Tick,
)
from chain.protocol.messages import Announcement, GetBlocks, GetHeadings, GetTransactions
from scripts.simulation.wire import Announced, attested
from tests.scenarios.crafting import (
    Traffic,
    announce,
    attest,
    branch_of,
    chain_reply,
    craft,
    next_slot,
    reasons_of,
    slot_now,
)
from tests.support.forge import heading
from tests.support.world import Host, World, secret


def busy_world(seed: int, validators: int = 4, slots: int = 12) -> tuple[World, Traffic]:
    """A network with some blocks and nothing waiting."""
    world = World(validators, seed=seed)
    traffic = Traffic(world)
    traffic.enrol()
    traffic.run(slots, 0)
    world.run(10)
    return world, traffic


def clock_to(world: World, slot: int, after_ms: int = 100) -> None:
    """Let the time come when ``slot`` began ``after_ms`` ago."""
    world.run_ms(world.genesis.slot_start_ms(slot) + after_ms - world.now_ms)


def everything(host: Host) -> tuple[bytes, bytes, int, set[bytes], int]:
    """What a refused block must not change."""
    engine = host.engine
    return host.head_id, host.state_root, host.final_height, {item.id for item in engine.mempool}, engine.mempool.bytes


def test_an_equivocating_leader_is_seen_and_does_not_split_the_network() -> None:
    # given a leader that makes two blocks in its slot
    world, traffic = busy_world(50)
    slot = next_slot(world, 3, slot_now(world) + 1)
    world.hosts[3].crash()
    clock_to(world, slot)
    branch = branch_of(world.hosts[0])
    one, two = craft(world, branch, slot), craft(world, branch, slot, [traffic.next()])

    # when they reach the others in different order
    for number, (first, second) in enumerate([(one, two), (two, one), (one, two)]):
        announce(world.hosts[number], first)
        if second is two or first is two:
            request = GetTransactions((two.transactions[0].id,))
            world.hosts[number].handle(MissingReceived("stranger", request, two.transactions))
        announce(world.hosts[number], second)
        world.hosts[number].handle(
            MissingReceived("stranger", GetTransactions((two.transactions[0].id,)), two.transactions)
        )
    assert world.hosts[0].head_id == one.id
    assert world.hosts[1].head_id == two.id
    world.run(1)
    traffic.run(10, 0)
    world.run(10)

    # then they agree on one of the two, everybody has the evidence, and finality goes on
    assert world.agree()
    assert [host.equivocations for host in world.hosts[:3]] == [1, 1, 1]
    assert world.hosts[0].final_height > one.header.height
    assert world.lost() == set()
    world.check_agreement()


def test_a_third_block_of_a_slot_is_a_flood() -> None:
    # given two blocks of one slot
    world, _ = busy_world(51)
    slot = next_slot(world, 3, slot_now(world) + 1)
    world.hosts[3].crash()
    clock_to(world, slot)
    host, branch = world.hosts[0], branch_of(world.hosts[0])
    announce(host, craft(world, branch, slot))
    announce(host, craft(world, branch, slot, mhg=0))
    size = len(host.engine.chain.tree)

    # when more of them come
    for mhg in range(1, 4):
        announce(host, craft(world, branch, slot, mhg=mhg))

    # then the tree keeps two
    assert len(host.engine.chain.tree) == size


@pytest.mark.parametrize(
    ("tip_is_late", "block_is_late", "wins"),
    [
        (True, False, True),
        (False, False, False),
        (True, True, False),
        (False, True, False),
    ],
)
def test_a_timely_block_replaces_a_late_tip(tip_is_late: bool, block_is_late: bool, wins: bool) -> None:
    # given a tip that arrived in its slot, or after it
    world, _ = busy_world(52)
    host, branch = world.hosts[0], branch_of(world.hosts[0])
    first_slot = next_slot(world, 2, slot_now(world) + 1)
    for other in world.hosts[1:]:
        other.crash()
    tip = craft(world, branch, first_slot)
    clock_to(world, first_slot + (1 if tip_is_late else 0))
    announce(host, tip)
    assert host.head_id == tip.id

    # when its twin of the next slot arrives in its own slot, or after it
    clock_to(world, first_slot + (2 if block_is_late else 1))
    twin = craft(world, branch, first_slot + 1)
    announce(host, twin)

    # then it replaces the tip only where it kept its time and the tip did not
    assert (host.head_id == twin.id) is wins
    assert reasons_of(host) == []


def test_a_block_a_little_early_waits_for_its_slot() -> None:
    # given a block that is announced 400 ms before its slot
    world, _ = busy_world(53)
    host = world.hosts[0]
    slot = next_slot(world, 3, slot_now(world) + 1)
    world.hosts[3].crash()
    clock_to(world, slot - 1, after_ms=600)
    block = craft(world, branch_of(host), slot)

    # when it arrives
    announce(host, block)

    # then it enters the chain as soon as its slot begins, in time
    assert host.head_id != block.id
    world.run_ms(399)
    assert host.head_id != block.id
    world.run_ms(2)
    assert host.head_id == block.id
    assert host.engine.chain.head.arrived_in_slot
    assert reasons_of(host) == []


@pytest.mark.parametrize("early_ms", [502, 5_000, 10**9])
def test_a_block_from_too_far_in_the_future_is_refused(early_ms: int) -> None:
    # given a block whose slot is far off
    world, _ = busy_world(54)
    host = world.hosts[0]
    slot = next_slot(world, 3, slot_now(world) + early_ms // 1000)
    clock_to(world, slot, after_ms=-early_ms) if early_ms < 10_000 else None
    before = everything(host)

    # when it is announced, and when it comes as the reply to a download
    block = craft(world, branch_of(host), slot)
    announce(host, block)

    # then nothing changes and nothing waits
    assert everything(host) == before
    assert len(host.engine.waiting) == 0


def test_a_flood_of_early_headers_does_not_push_an_honest_one_out() -> None:
    # given an honest block that waits for its slot
    world, _ = busy_world(55)
    host = world.hosts[0]
    slot = next_slot(world, 3, slot_now(world) + 1)
    world.hosts[3].crash()
    clock_to(world, slot - 1, after_ms=700)
    block = craft(world, branch_of(host), slot)
    announce(host, block)

    # when somebody who is no validator signs a hundred headers for that slot
    for number in range(100):
        announce(host, craft(world, branch_of(host), slot, secret=secret(5_000 + number)))

    # then the honest block still enters the chain when its slot begins
    world.run_ms(301)
    assert host.head_id == block.id


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("height", 1_000, Reason.WRONG_HEIGHT),
        ("mhp", 1_000, Reason.WRONG_MHP),
        ("secret", secret(1), Reason.WRONG_LEADER),
        ("state_root", bytes(32), Reason.WRONG_STATE_ROOT),
    ],
)
def test_a_block_with_a_wrong_field_changes_nothing(field: str, value: Any, reason: Reason) -> None:
    # given a network at work
    world, traffic = busy_world(56)
    host = world.hosts[0]
    slot = next_slot(world, 3, slot_now(world) + 1)
    world.hosts[3].crash()
    clock_to(world, slot)
    world.submit(0, [traffic.next()])
    before = everything(host)

    # when the block of this slot has a wrong field
    announce(host, craft(world, branch_of(host), slot, **{field: value}))

    # then it is refused for that reason, and nothing has changed
    assert everything(host) == before
    assert reason in reasons_of(host) or any(reason.code in notice for notice in host.notices)


def test_a_block_that_contradicts_its_signers_last_one_is_refused_and_its_signer_accused() -> None:
    # given a network at work
    world, traffic = busy_world(56)
    host = world.hosts[0]
    slot = next_slot(world, 3, slot_now(world) + 1)
    world.hosts[3].crash()
    clock_to(world, slot)
    world.submit(0, [traffic.next()])
    head_id = host.head_id

    # when the leader of this slot denies what it signed before
    announce(host, craft(world, branch_of(host), slot, mhg=0))

    # then its block is refused
    assert host.head_id == head_id
    assert any(Reason.CONTRADICTS_EARLIER_BLOCK.code in notice for notice in host.notices)

    # and once a block of one who saw it holds the evidence, the signer makes none; a little later it has neither
    # slots nor weight
    culprit = world.hosts[3]
    culprit.start()
    world.run_until(lambda: any(seat.is_jailed for seat in host.engine.chain.ledger.validators.active), 10)
    signed = set(culprit.signed)
    world.run(40)
    assert set(culprit.signed) == signed
    assert world.agree()
    validators = host.engine.chain.ledger.validators
    assert [seat.key for seat in validators.active if seat.is_jailed] == [secret(4).public]
    assert not validators.is_changing
    assert secret(4).public not in host.engine.chain.electorate.leaders


def test_a_validator_that_attests_two_blocks_of_one_height_is_jailed() -> None:
    # given two blocks of one height, by leaders whose slots follow one another
    world, traffic = busy_world(63)
    slot = next_slot(world, 2, slot_now(world) + 1)
    world.hosts[2].crash()
    world.hosts[3].crash()
    clock_to(world, slot)
    branch = branch_of(world.hosts[0])
    one, two = craft(world, branch, slot), craft(world, branch, slot, [traffic.next()])

    # when another validator stands behind both
    said = [attest(world, block, 3) for block in (one, two)]
    for host in world.hosts[:2]:
        host.hear("stranger", attested(said))

    # then everybody has the evidence, and soon it makes no block and weighs nothing
    assert [host.equivocations for host in world.hosts[:2]] == [1, 1]
    world.hosts[2].start()
    culprit = world.hosts[3]
    culprit.start()
    chain = world.hosts[0].engine.chain
    world.run_until(lambda: any(seat.is_jailed for seat in chain.ledger.validators.active), 10)
    signed = set(culprit.signed)
    traffic.run(20, 0)
    assert set(culprit.signed) == signed
    assert chain.electorate.current.by_key[secret(4).public] == 0
    assert world.hosts[0].final_height == world.hosts[0].height - 2
    assert not any(host.penalties for host in world.hosts)


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("forged", Reason.BAD_SIGNATURE),
        ("of a stranger", Reason.NOT_VALIDATOR),
        ("of another branch", Reason.BAD_SIGNATURE),
        ("of its own height", Reason.STALE_ATTESTATION),
        ("of what is final", Reason.STALE_ATTESTATION),
    ],
)
def test_a_block_that_carries_a_bad_attestation_changes_nothing(case: str, reason: Reason) -> None:
    # given a network at work
    world, traffic = busy_world(64)
    host = world.hosts[0]
    slot = next_slot(world, 3, slot_now(world) + 1)
    world.hosts[3].crash()
    clock_to(world, slot)
    branch = branch_of(host)
    right = craft(world, branch, slot)
    good = attest(world, branch[-1], 1, mhg=branch[-1].header.height - 1)
    said = {
        "forged": good.carried._replace(signature=bytes(64)),
        "of a stranger": attest(world, branch[-1], 40).carried,
        "of another branch": attest(world, craft(world, branch[:-1], slot), 1).carried,
        "of its own height": attest(world, right, 1).carried,
        "of what is final": attest(world, branch[host.final_height - 1], 1, mhg=0).carried,
    }[case]
    ballot = make_ballot([said])
    before = everything(host)

    # when the block of this slot carries something that nobody may have said there
    announce(host, replace(craft(world, branch, slot, votes_root=ballot.root), ballot=ballot))

    # then it is refused for that reason, nothing has changed, and the next leader goes on
    assert everything(host) == before
    assert any(reason.code in notice for notice in host.notices)
    traffic.run(4, 0)
    assert host.height > right.header.height


def test_a_better_branch_that_is_invalid_half_way_leaves_everything_as_it_was() -> None:
    # given a network that forks: two blocks on our side, with transactions in the blocks and in the mempool
    world, traffic = busy_world(57)
    host = world.hosts[0]
    base = branch_of(host)
    for other in world.hosts[1:]:
        other.crash()
    transactions = [traffic.next() for _ in range(4)]
    world.submit(0, transactions)
    world.run(9)
    assert host.height == len(base) + 2
    world.submit(0, [traffic.next() for _ in range(2)])
    before = everything(host)
    finality = host.engine.chain.finalized

    # when a longer branch comes whose second block has a wrong state root
    branch = list(base)
    slot = branch[-1].header.slot
    for number in range(4):
        slot = next_slot(world, 1 + number % 3, slot)
        wrong: dict[str, Any] = {"state_root": b"\x66" * 32} if number == 1 else {}
        branch.append(craft(world, branch, slot, transactions[:1] if number == 0 else (), **wrong))
    assert slot <= slot_now(world)
    for block in branch[len(base) :]:
        announce(host, block)
        host.handle(
            MissingReceived(
                "stranger", GetTransactions(tuple(item.id for item in block.transactions)), block.transactions
            )
        )

    # then head, state, finality and mempool are what they were, and the node goes on
    assert everything(host) == before
    assert host.engine.chain.finalized == finality
    height = host.height
    world.run(4)
    assert host.height == height + 1


def test_a_reply_with_a_bad_block_keeps_the_good_ones_before_it() -> None:
    # given a download under way
    world, _ = busy_world(58)
    host = world.hosts[0]
    for other in world.hosts[1:]:
        other.crash()
    base = branch_of(host)
    branch = list(base)
    slot = branch[-1].header.slot
    world.run(10)
    for number in range(3):
        slot = next_slot(world, 1 + number % 3, slot)
        wrong: dict[str, Any] = {"state_root": b"\x66" * 32} if number == 2 else {}
        branch.append(craft(world, branch, slot, **wrong))
    stranger = world.stranger()
    stranger.reply = chain_reply(branch)

    # when it is announced, and fetched
    announce(host, branch[-1])
    world.run(1)

    # then the two good blocks are the chain now, and the sender of the bad one is blamed
    assert host.head_id == branch[-2].id
    assert reasons_of(host) == [Reason.WRONG_STATE_ROOT]


def test_a_block_whose_transactions_nobody_has_is_given_up() -> None:
    # given a leader that announces a block and keeps its transactions to itself
    world, traffic = busy_world(59)
    slot = next_slot(world, 3, slot_now(world) + 1)
    world.hosts[3].crash()
    clock_to(world, slot)
    block = craft(world, branch_of(world.hosts[0]), slot, [traffic.next() for _ in range(3)])
    world.stranger()
    for host in world.hosts[:3]:
        announce(host, block)
        assert host.engine.waiting

    # when the network goes on without it
    others = Traffic(world)
    for actor, known in zip(others.actors, traffic.actors, strict=True):
        actor.nonce = known.nonce
    others.actors = others.actors[:4]
    for _ in range(25):
        world.submit(0, [others.next()])
        world.run(1)
    world.run(12)

    # then nothing waits for it any more, and everything else is final
    assert all(not host.engine.waiting for host in world.hosts[:3])
    assert world.agree()
    assert world.lost() == set()


def test_an_announcement_with_the_wrong_transactions_does_not_hide_the_right_one() -> None:
    # given a good block that somebody announces first, with ids that do not belong to it
    world, _ = busy_world(60)
    slot = next_slot(world, 3, slot_now(world) + 1)
    world.hosts[3].crash()
    clock_to(world, slot)
    host = world.hosts[0]
    block = craft(world, branch_of(host), slot)
    world.stranger()
    host.hear("stranger", Announced(Announcement(block.header.raw, block.ballot.raw, (b"\x55" * 32,)).encode()))

    # when the honest announcement follows
    announce(host, block, peer="node1")

    # then the block is there at once: the header commits to other transactions
    assert host.head_id == block.id
    assert [(peer, refusal.reason) for peer, refusal in host.penalties] == [("stranger", Reason.WRONG_TX_ROOT)]


def test_a_peer_that_leaves_does_not_take_an_announced_block_with_it() -> None:
    # given a block whose announcer leaves before it sent the transactions
    world, traffic = busy_world(61)
    slot = next_slot(world, 3, slot_now(world) + 1)
    world.hosts[3].crash()
    clock_to(world, slot)
    host = world.hosts[0]
    block = craft(world, branch_of(host), slot, [traffic.next()])
    world.stranger()
    announce(host, block)
    host.handle(PeerLost("stranger"))

    # when another peer announces it and has them
    announce(host, block, peer="node1")
    host.handle(MissingReceived("node1", GetTransactions((block.transactions[0].id,)), block.transactions))

    # then it enters the chain
    assert host.head_id == block.id


def test_effects_of_one_event_come_in_the_order_commit_news() -> None:
    # given an observer
    world = World(4, observers=1, seed=62)
    traffic = Traffic(world)
    traffic.enrol()
    traffic.run(10, 0)
    observer = world.hosts[4]
    observer.crash()
    traffic.run(10, 0)
    missed = tuple(branch_of(world.hosts[0])[observer.height :])
    world.cut({0, 1, 2, 3}, {4})
    observer.start()
    chain = branch_of(world.hosts[0])
    announce(observer, missed[-1])
    (headings,) = observer.engine.sync.suppliers.asked
    shown = tuple(map(heading, chain[headings.request.from_height - 1 :]))
    assert isinstance(headings.request, GetHeadings)
    observer.handle(HeadingsReceived("stranger", headings.request, shown))
    (download,) = observer.engine.sync.suppliers.asked

    # when many blocks come at once
    assert isinstance(download.request, GetBlocks)
    reply = tuple(chain[download.request.from_height - 1 :])
    effects = observer.engine.handle(BlocksReceived("stranger", download.request, reply), observer.now_ms)

    # then they are one commit, before anything is told about them
    assert isinstance(effects[0], Commit)
    assert effects[0].adopted == missed
    assert sum(isinstance(effect, HeadMoved) for effect in effects) == len(missed)
    assert any(isinstance(effect, Finalized) for effect in effects)
    assert not any(isinstance(effect, Equivocation | Notice) for effect in effects)
    assert observer.engine.handle(Tick(), observer.now_ms) == []
