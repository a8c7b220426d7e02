"""How soon blocks become final, and how quiet a network is that has nothing to do."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from scripts.simulation.wire import Attested, Message
from tests.scenarios.crafting import Traffic, branch_of, replay, slot_now
from tests.support.world import Host, World


def losing(patch: pytest.MonkeyPatch, is_lost: Callable[[int], bool]) -> None:
    """Lose some of the messages with attestations, by their number."""
    hear, numbers = Host.hear, count()

    def hear_most(host: Host, sender: str, message: Message) -> None:
        if not isinstance(message, Attested) or not is_lost(next(numbers)):
            hear(host, sender, message)

    patch.setattr(Host, "hear", hear_most)


@pytest.mark.parametrize(("validators", "lag"), [(1, 1), (2, 2), (4, 2), (7, 2), (10, 2)])
def test_a_block_is_final_two_blocks_later_however_many_validators(validators: int, lag: int) -> None:
    # given a busy network where everybody attests every block
    world = World(validators, observers=1, seed=1)
    traffic = Traffic(world)
    traffic.enrol()

    # when it runs
    for _ in range(3 * validators + lag):
        traffic.run(1, 0)

        # then finality follows every head at that distance, on every node
        for host in world.hosts:
            assert host.final_height == max(0, host.height - lag)
    for host in world.hosts:
        assert host.height >= 3 * validators
        assert host.reorgs == []
    world.check_agreement()


@pytest.mark.parametrize(("validators", "down"), [(4, 1), (7, 2), (10, 3)])
def test_as_many_as_are_tolerated_may_be_down(validators: int, down: int) -> None:
    # given a busy network
    world = World(validators, seed=6)
    traffic = Traffic(world)
    traffic.enrol()
    world.run_until(lambda: not world.lost(), 20)

    # when fewer than a third of the validators go, those whose turn is next, and the others go on
    leader = slot_now(world) % validators
    for number in range(1, down + 1):
        world.hosts[(leader + number) % validators].crash()
    alive = world.hosts.index(world.up[0])
    for _ in range(3 * validators):
        traffic.run(1, alive)

        # then their slots stay empty, and a block is final two blocks later all the same
        assert all(host.final_height >= host.height - 2 for host in world.up)
    assert world.up[0].final_height > 2 * (validators - down)


@pytest.mark.parametrize(("validators", "lag"), [(4, 4), (7, 8)])
def test_without_gossip_of_attestations_blocks_carry_those_of_their_makers(
    validators: int, lag: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a network in which every attestation gets lost
    losing(monkeypatch, lambda _number: True)
    world = World(validators, seed=7)
    traffic = Traffic(world)
    traffic.enrol()

    # when it runs
    for _ in range(4 * validators):
        traffic.run(1, 0)

        # then blocks become final all the same, by what each maker carries of its own, later
        assert all(host.final_height >= host.height - lag for host in world.hosts)
    assert world.agree()


def test_attestations_that_get_lost_at_times_are_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a network in which a fifth of the attestations do not arrive
    losing(monkeypatch, lambda number: number % 5 == 0)
    world = World(4, seed=8)
    traffic = Traffic(world)
    traffic.enrol()
    traffic.run(4, 0)

    # when it runs
    lags = []
    for _ in range(60):
        traffic.run(1, 0)
        lags += [host.height - host.final_height for host in world.hosts]

    # then finality hardly notices: what is lost comes with the next, a block later
    assert sorted(lags)[len(lags) // 2] == 2
    assert max(lags) <= 3


def test_everything_accepted_becomes_final_with_one_state() -> None:
    # given traffic at every node, the observer among them
    world = World(4, observers=1, seed=2)
    traffic = Traffic(world, members=20)
    traffic.enrol(host=4)
    traffic.run(20, 0, 1, 2, 3, 4)

    # when nothing more is submitted
    world.run(15)

    # then all of it is final everywhere, and a replay from the genesis comes to the same state
    assert len(world.accepted) == 20 + 20 * 5
    assert world.lost() == set()
    assert len({host.state_root for host in world.hosts}) == 1
    assert replay(world, branch_of(world.hosts[4])).state_root == world.hosts[0].state_root


def test_an_idle_network_makes_only_heartbeats() -> None:
    # given a network that was busy
    world = World(4, seed=3, heartbeat_slots=21)
    traffic = Traffic(world)
    traffic.enrol()
    world.run(30)
    assert world.lost() == set()
    before = [host.height for host in world.hosts]

    # when nobody submits anything
    world.run(21 * 10)

    # then there are three blocks a heartbeat: one, and the two that make it final
    for host, height in zip(world.hosts, before, strict=True):
        assert 27 <= host.height - height <= 33
        assert host.height - host.final_height == 2


def test_heartbeats_become_final_whatever_their_interval() -> None:
    # given a heartbeat that falls on the same leader again and again
    world = World(4, seed=4, heartbeat_slots=20)

    # when the network idles for long
    world.run(20 * 30)

    # then finality still follows: a validator that lost its signing state waits for it
    assert world.hosts[0].final_height == world.hosts[0].height - 2 > 0


def test_a_transaction_that_cannot_enter_a_block_does_not_keep_the_network_awake() -> None:
    # given one transaction of a stranger whose first nonce is missing
    world = World(4, seed=5)
    traffic = Traffic(world)
    traffic.actors[0].nonce = 5
    world.submit(0, [traffic.next()])

    # when the network idles
    world.run(100)

    # then it makes heartbeats, not a block a slot
    assert world.hosts[0].height <= 3 * 5
