"""Transactions between a client and finality."""

from __future__ import annotations

from typing import Any

import pytest

from chain.base.errors import Reason, Refused
from chain.content.actions import Enrol, Rate
from chain.protocol import mempool
from chain.register.entries import Member
from tests.scenarios.crafting import Traffic, announce, branch_of, craft, gossip, next_slot, slot_now
from tests.support.pool import check_pool
from tests.support.world import Actor, Host, World


def reasons(outcomes: tuple[Refused | None, ...]) -> list[Reason | None]:
    """Why each transaction was refused; None where it was taken."""
    return [None if outcome is None else outcome.reason for outcome in outcomes]


def member(host: Host, key: bytes) -> Member:
    """A member at the head of a node."""
    return host.engine.chain.ledger.view().member(key)[1]


def mhp(host: Host) -> int:
    """The largest prevoted height that the head of a node knows of: the head with more of it wins."""
    return host.engine.chain.head.header.mhp


def test_a_final_transaction_cannot_be_replayed() -> None:
    # given a rating that is final
    world = World(4, seed=70, heartbeat_slots=1_000)
    traffic = Traffic(world)
    traffic.enrol()
    world.run(2)
    rating = traffic.next()
    world.submit(0, [rating])
    world.run(12)
    assert world.lost() == set()
    roots = {host.state_root for host in world.hosts}
    height = world.hosts[0].height

    # when it is submitted and gossiped again
    outcomes = world.submit(1, [rating])
    for host in world.hosts:
        gossip(host, [rating])
    world.run(10)

    # then it is refused by name and changes nothing
    assert reasons(outcomes) == [Reason.NONCE_USED]
    assert {host.state_root for host in world.hosts} == roots
    assert world.hosts[0].height == height
    assert all(len(host.engine.mempool) == 0 for host in world.hosts)

    # and a leader that includes it nevertheless makes an invalid block
    slot = next_slot(world, 3, slot_now(world) + 1)
    world.run_ms(world.genesis.slot_start_ms(slot) + 10 - world.now_ms)
    block = craft(world, branch_of(world.hosts[0]), slot, [rating])
    gossip(world.hosts[0], [rating])
    announce(world.hosts[0], block)
    assert world.hosts[0].height <= height + 1
    assert world.hosts[0].head_id != block.id


def test_a_transaction_of_an_abandoned_block_is_included_again() -> None:
    # given a rating in a block of one validator that is cut off
    world = World(4, seed=71)
    traffic = Traffic(world)
    traffic.enrol()
    world.run(10)
    world.cut({0}, {1, 2, 3})
    rating = traffic.next()
    world.submit(0, [rating])
    world.run(5)
    first = next(block for block, _ in world.hosts[0].disk.blocks.values() if rating in block.transactions)
    assert rating.id not in world.hosts[0].engine.mempool

    # when that branch loses
    world.submit(1, [Actor(world.genesis, 900).sign(Enrol())])
    world.run(8)
    world.heal()
    world.run(2)
    assert world.hosts[0].reorgs
    assert not world.hosts[0].disk.blocks[first.id][1]
    world.run(15)

    # then the rating was taken back, entered another block, and is final everywhere
    assert world.lost() == set()
    for host in world.hosts:
        check_pool(host.engine.mempool)
        assert len(host.engine.mempool) == 0
    account = world.hosts[3].engine.chain.ledger.view().account(traffic.actors[0].key)
    assert account is not None
    assert account.nonce == 2


def test_an_enrolment_of_an_abandoned_block_is_counted_as_a_strangers_again() -> None:
    # given a newcomer whose enrolment is in a block of a validator that is cut off; its ratings wait
    world = World(4, seed=72)
    traffic = Traffic(world)
    traffic.enrol()
    world.run(10)
    world.cut({0}, {1, 2, 3})
    newcomer = Actor(world.genesis, 901)
    world.submit(0, [newcomer.sign(Enrol())])
    world.run(4)
    unknown = Actor(world.genesis, 902)
    world.submit(0, [newcomer.sign(Rate(unknown.key, 1, 1)) for _ in range(3)])

    # when that branch loses, while they wait for somebody who is not enrolled there
    world.submit(1, [unknown.sign(Enrol())])
    world.run_until(lambda: mhp(world.hosts[1]) > mhp(world.hosts[0]), 10)
    check_pool(world.hosts[0].engine.mempool)
    world.heal()
    for _ in range(20):
        world.run(1)
        for host in world.hosts:
            # then every count of the pool is right, before and after it is enrolled again
            check_pool(host.engine.mempool)
    assert world.hosts[0].reorgs
    assert world.lost() == set()


def test_two_sides_of_a_cut_spend_the_same_nonce_and_one_wins() -> None:
    # given a member who signs two different ratings with one nonce, one on each side of a cut
    world = World(4, seed=73)
    traffic = Traffic(world)
    traffic.enrol()
    world.run(10)
    actor, subject = traffic.actors[0], traffic.actors[1]
    world.cut({0, 1}, {2, 3})
    left = actor.sign(Rate(subject.key, 1, 5))
    actor.nonce -= 1
    right = actor.sign(Rate(subject.key, 1, -5))
    world.submit(0, [left])
    world.submit(2, [right])
    world.run(10)

    # when the cut heals
    world.heal()
    world.run(20)

    # then exactly one of them counts, the same everywhere, and nothing waits for ever
    assert world.agree()
    assert len({left.id, right.id} & world.hosts[0].final_ids) == 1
    assert len({member(host, subject.key).rated_points for host in world.hosts}) == 1
    for host in world.hosts:
        check_pool(host.engine.mempool)
        assert len(host.engine.mempool) == 0


def test_a_full_mempool_refuses_by_name_and_works_on(monkeypatch: pytest.MonkeyPatch) -> None:
    # given room for a hundred transactions, fifty of them from strangers
    monkeypatch.setattr(mempool, "MAX_TRANSACTIONS", 100)
    monkeypatch.setattr(mempool, "MAX_FROM_STRANGERS", 50)
    world = World(4, seed=74)
    traffic = Traffic(world, members=20)
    traffic.enrol()
    world.run(10)

    # when many more come at once, from strangers and from members
    outcomes = world.submit(0, [Actor(world.genesis, 10_000 + n).sign(Enrol()) for n in range(80)])
    assert reasons(outcomes) == [None] * 50 + [Reason.POOL_FULL] * 30
    outcomes = world.submit(0, [traffic.next() for _ in range(80)])
    assert reasons(outcomes) == [None] * 50 + [Reason.POOL_FULL] * 30

    # then what was refused was refused by name, what was accepted becomes final, and there is room again
    world.run(15)
    assert world.lost() == set()
    for host in world.hosts:
        check_pool(host.engine.mempool)
        assert len(host.engine.mempool) == 0
    assert reasons(world.submit(0, [Actor(world.genesis, 20_000).sign(Enrol())])) == [None]


@pytest.mark.parametrize("crowd", [2, 20])
def test_what_no_block_ever_takes_keeps_nobody_out(crowd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a crowd of members who fill every pool with ratings of somebody who never enrols
    monkeypatch.setattr(mempool, "MAX_TRANSACTIONS", 100)
    world = World(4, seed=76, observers=1)
    traffic = Traffic(world, members=30)
    traffic.enrol()
    world.run(10)
    nobody = Actor(world.genesis, 904).key
    plotters, traffic.actors = traffic.actors[:crowd], traffic.actors[20:]

    def plot() -> None:
        for actor in plotters:
            actor.nonce = 1
        junk = [actor.sign(Rate(nobody, 1, 1)) for actor in plotters for _ in range(200 // crowd)]
        for host in world.hosts:
            gossip(host, junk)

    for _ in range(3):  # a slot has no room for all of it, and only what is there is tried
        plot()
        assert all(len(host.engine.mempool) >= 50 for host in world.hosts)
        world.run(1)

    # when others go on, at every node, also at one that makes no blocks, while the crowd never tires
    for _ in range(6):
        plot()
        for number in range(5):
            assert reasons(world.submit(number, [traffic.next() for _ in range(8)])) == [None] * 8
        world.run(1)
    world.run(6)

    # then all that they said is final
    assert world.lost() == set()
    assert world.hosts[4].engine.chain.finalized.height >= world.hosts[4].height - 3
    for host in world.hosts:
        check_pool(host.engine.mempool)


def test_what_no_block_ever_takes_does_not_count_as_what_waits() -> None:
    # given a network that takes what fills eight small blocks, and two members who write more than that of nobody
    world = World(4, seed=77, observers=1)
    traffic = Traffic(world, members=10)
    traffic.enrol()
    world.run(10)
    for host in world.hosts:
        host.engine.throttle.limit = 16
    nobody = Actor(world.genesis, 904).key
    junk = [actor.sign(Rate(nobody, 1, 1)) for actor in traffic.actors[:2] for _ in range(200)]
    for host in world.hosts:
        gossip(host, junk)
    assert not any(host.engine.has_room_for_clients or host.engine.has_room_for_peers for host in world.hosts)

    # when a slot has passed, then every node has room again, also for what its peers pass on
    world.run(1)
    assert all(host.engine.has_room_for_clients and host.engine.has_room_for_peers for host in world.hosts)


def test_strangers_without_end_keep_no_member_out() -> None:
    # given a network that takes what fills eight small blocks, and more keys than that which want to enrol
    world = World(4, seed=78)
    for host in world.hosts:
        host.engine.throttle.limit = 16
        gossip(host, [Actor(world.genesis, 10_000 + number).sign(Enrol()) for number in range(300)])
    # then no more of them are looked at, and members have room
    assert all(host.engine.has_room_for_clients and host.engine.has_room_for_peers for host in world.hosts)
    assert not any(host.engine.takes_strangers for host in world.hosts)
    # until blocks have taken them
    world.run(60)
    assert all(host.engine.takes_strangers for host in world.hosts)


def test_a_full_mempool_takes_back_what_a_lost_branch_held(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a rating in a block of a cut-off validator, whose mempool then fills up with what cannot enter a block yet
    monkeypatch.setattr(mempool, "MAX_TRANSACTIONS", 30)
    world = World(4, seed=75)
    traffic = Traffic(world)
    traffic.enrol()
    world.run(10)
    world.cut({0}, {1, 2, 3})
    rating = traffic.next()
    world.submit(0, [rating])
    world.run(5)
    assert rating.id not in world.hosts[0].engine.mempool
    stranger = Actor(world.genesis, 902)
    stranger.nonce = 5
    blocked = [stranger.sign(Rate(traffic.actors[0].key, 1, 1)) for _ in range(40)]
    gossip(world.hosts[0], blocked)

    # when its branch loses
    world.submit(1, [Actor(world.genesis, 903).sign(Enrol())])
    world.run(8)
    world.heal()
    world.run(60)

    # then what its client was told to be accepted is not lost
    assert world.hosts[0].reorgs
    assert world.lost() == set()


@pytest.mark.parametrize("what", ["self_rating", "category", "points", "expiry_too_far", "enrolled", "expired"])
def test_what_can_never_enter_a_block_is_refused_when_it_is_submitted(what: str) -> None:
    # given a member
    world = World(4, seed=76, max_expiry_blocks=100)
    actors = [Actor(world.genesis, 1_000 + n) for n in range(2)]
    assert reasons(world.submit(0, [actor.sign(Enrol(), 100) for actor in actors])) == [None, None]
    world.run(10)
    me, other = actors
    cases: dict[str, tuple[Any, int, Reason]] = {
        "self_rating": (Rate(me.key, 1, 1), 100, Reason.SELF_RATING),
        "category": (Rate(other.key, 77, 1), 100, Reason.UNKNOWN_CATEGORY),
        "points": (Rate(other.key, 1, 11), 100, Reason.POINTS_OUT_OF_RANGE),
        "expiry_too_far": (Rate(other.key, 1, 1), 100_000, Reason.EXPIRY_TOO_FAR),
        "enrolled": (Enrol(), 100, Reason.ALREADY_ENROLLED),
        "expired": (Rate(other.key, 1, 1), 1, Reason.EXPIRED),
    }
    action, expiry_height, reason = cases[what]

    # when it submits what breaks a rule for good
    outcomes = world.submit(0, [me.sign(action, expiry_height)])

    # then its client is told so at once, not left to wait for what was dropped in silence
    assert reasons(outcomes) == [reason]


def test_a_transaction_that_expires_while_it_waits_leaves_every_mempool() -> None:
    # given a rating that waits for an enrolment that never comes
    world = World(4, seed=77)
    traffic = Traffic(world)
    traffic.enrol()
    world.run(10)
    nobody = Actor(world.genesis, 905)
    height = world.hosts[0].height
    world.submit(0, [traffic.actors[0].sign(Rate(nobody.key, 1, 1), height + 20)])
    world.accepted.clear()

    # when its last height has passed
    traffic.actors[0].nonce -= 1
    members = Traffic(world)
    members.actors = traffic.actors[1:]
    members.run(60, 0)
    world.run(10)

    # then nobody keeps it, and the actor's nonce is free
    assert all(len(host.engine.mempool) == 0 for host in world.hosts)
    assert reasons(world.submit(0, [traffic.actors[0].sign(Rate(traffic.actors[1].key, 1, 1))])) == [None]
    world.run(10)
    assert world.lost() == set()


def test_the_gossip_of_an_accepted_transaction_is_lost_and_offered_again() -> None:
    # given an observer whose gossip is lost at the moment when a client hands it a rating
    world = World(4, observers=1, seed=78)
    traffic = Traffic(world)
    traffic.enrol()
    world.run(10)
    world.loss = 1.0
    world.submit(4, [traffic.next()])
    world.run_ms(100)
    world.loss = 0.0

    # when time passes
    world.run(45)

    # then it was offered again
    assert world.lost() == set()


def test_an_observer_offers_again_what_an_abandoned_block_held() -> None:
    # given an observer and one validator, cut off; the validator's block holds the observer's rating
    world = World(4, observers=1, seed=79)
    traffic = Traffic(world)
    traffic.enrol()
    world.run(25)
    world.cut({0, 4}, {1, 2, 3})
    rating = traffic.next()
    world.submit(4, [rating])
    world.run(32)  # past the moment when the observer offers again what waits: by now nothing does
    assert rating.id not in world.hosts[4].engine.mempool

    # when that validator is gone for good and the observer sees its branch lose
    world.hosts[0].crash()
    world.submit(1, [Actor(world.genesis, 906 + n).sign(Enrol()) for n in range(2)])
    world.run(40)
    world.heal()
    world.run(80)
    assert world.hosts[4].reorgs

    # then the rating is not lost with it
    assert world.lost() == set()
