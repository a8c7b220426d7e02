"""Networks that fall apart and come together, and networks that lose messages."""

from __future__ import annotations

import pytest

from tests.scenarios.crafting import Traffic, branch_of, replay
from tests.support.world import World


@pytest.mark.parametrize(
    ("groups", "progress"),
    [(({0, 1}, {2, 3}), False), (({0}, {1, 2, 3}), True), (({0}, {1}, {2}, {3}), False)],
    ids=["2-2", "3-1", "1-1-1-1"],
)
def test_a_minute_apart_ends_on_one_chain(groups: tuple[set[int], ...], progress: bool) -> None:
    # given a busy network
    world = World(4, seed=11)
    traffic = Traffic(world)
    traffic.enrol()
    traffic.run(10, 0, 3)
    final_before = max(host.final_height for host in world.hosts)

    # when it is cut for sixty slots, with clients on both sides (each member rates through one side only)
    world.cut(*groups)
    left, right = Traffic(world, 0), Traffic(world, 0)
    left.actors, right.actors = traffic.actors[:4], traffic.actors[4:]
    for _ in range(60):
        world.submit(0, [left.next()])
        world.submit(3, [right.next()])
        world.run(1)
    final_apart = max(host.final_height for host in world.hosts)
    world.heal()
    world.run(30)

    # then only a side with two thirds finalized, and now all are on one chain that lost nothing
    assert (final_apart > final_before + 5) is progress
    assert world.agree()
    assert world.lost() == set()
    assert replay(world, branch_of(world.hosts[0])).state_root == world.hosts[3].state_root
    world.check_agreement()


def test_finality_stalls_without_two_thirds_and_returns_with_them() -> None:
    # given two of four validators down
    world = World(4, seed=12)
    traffic = Traffic(world)
    traffic.enrol()
    traffic.run(10, 0)
    world.hosts[2].crash()
    world.hosts[3].crash()
    final = world.hosts[0].final_height

    # when the others go on for a long time
    traffic.run(400, 0)
    assert world.hosts[0].height > final + 190
    assert world.hosts[0].final_height <= final + 5

    # and the two come back
    world.hosts[2].start()
    world.hosts[3].start()
    world.run(15)

    # then everything becomes final by itself
    assert world.agree()
    assert world.lost() == set()


def test_a_split_after_a_long_stall_heals() -> None:
    # given 300 blocks that are not final, and then the two remaining validators apart for long, too
    world = World(4, seed=13)
    traffic = Traffic(world)
    traffic.enrol()
    traffic.run(10, 0)
    world.hosts[2].crash()
    world.hosts[3].crash()
    traffic.run(610, 0)
    assert world.hosts[0].height - world.hosts[0].final_height > 300
    world.cut({0, 2}, {1, 3})
    traffic.run(290, 0)
    assert world.hosts[0].height - world.hosts[0].final_height > 365

    # when all meet again
    world.hosts[2].start()
    world.hosts[3].start()
    world.heal()
    world.run(30)

    # then there is one chain
    assert world.agree()
    assert world.lost() == set()


@pytest.mark.parametrize("reply_bytes", [3_000, 900_000], ids=["small_replies", "full_replies"])
def test_forks_longer_than_one_reply_heal(reply_bytes: int) -> None:
    # given two sides with more than 64 blocks each that are not final, and replies that may hold few blocks
    world = World(4, seed=14)
    world.reply_bytes = reply_bytes
    traffic = Traffic(world)
    traffic.enrol()
    traffic.run(10, 0)
    world.cut({0, 1}, {2, 3})
    for _ in range(150):
        world.submit(0, [traffic.next()])
        world.submit(2, list(world.accepted.values())[-1:])
        world.run(1)
    for host in world.hosts:
        assert host.height - host.final_height > 64

    # when they meet
    world.heal()
    world.run(40)

    # then there is one chain
    assert world.agree()
    assert world.lost() == set()
    assert max(max(host.reorgs, default=0) for host in world.hosts) > 64


@pytest.mark.parametrize("loss", [0.1, 0.2])
def test_lost_messages_lose_nothing(loss: float) -> None:
    # given a network that loses every tenth or fifth message
    world = World(4, observers=1, seed=15)
    traffic = Traffic(world)
    traffic.enrol()
    world.run(10)
    world.loss = loss

    # when it is busy, and then has time to offer again what was lost (every 32 slots)
    traffic.run(60, 0, 4)
    world.run(200)

    # then everything is final everywhere
    world.check_agreement()
    assert world.lost() == set()


def test_a_node_that_missed_the_last_block_of_a_quiet_network_asks_for_it() -> None:
    # given a network about to fall quiet
    world = World(4, observers=1, seed=16, heartbeat_slots=1_000)
    traffic = Traffic(world)
    traffic.enrol()
    world.run(15)

    # when gossip does not reach one node, and nobody notices
    world.hosts[4].is_deaf = True
    world.submit(0, [traffic.next()])
    world.run(3)
    world.hosts[4].is_deaf = False
    assert not world.agree()
    world.run(8 * 5)

    # then it learns what it missed by asking its peers in turn
    assert world.agree()
    assert world.lost() == set()


@pytest.mark.parametrize("seed", [10, 20, 34])
def test_finality_that_only_some_know_does_not_leave_the_others_behind(seed: int) -> None:
    # given nodes that learned of finality on a branch that lost, so that the head's branch does not prove it yet
    world = World(4, seed=seed)
    traffic = Traffic(world)
    traffic.enrol()
    world.run(10)
    world.loss = 0.2
    traffic.run(40, 0, 3)
    world.run(40)

    # when the network is good again and nobody submits anything
    world.loss = 0.0
    world.run(100)

    # then those who know go on making blocks until all know
    assert world.lost() == set()
    assert len({host.final_height for host in world.hosts}) == 1
