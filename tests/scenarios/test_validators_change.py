"""Validators come, go and are jailed while the network runs."""

from __future__ import annotations

import pytest

from chain.validators import ADD, JAIL, RELEASE, REMOVE, REPLACE
from tests.scenarios.crafting import Traffic, branch_of, replay
from tests.support.wishes import Wishes
from tests.support.world import Host, World, secret

SLOTS = 60


@pytest.fixture
def wishes(monkeypatch: pytest.MonkeyPatch) -> Wishes:
    return Wishes(monkeypatch)


def world_of_four(seed: int, *keys: int) -> World:
    """Four validators, observers with these keys, and room for six validators."""
    world = World(4, seed=seed, batch=6)
    for number in keys:
        world.host(secret(number)).start()
    world.run(1)
    return world


def settled(world: World) -> bool:
    """Whether every node that is up has nothing more to change."""
    return not any(host.engine.chain.ledger.validators.is_changing for host in world.up)


def slots_of(host: Host, since: int) -> list[int]:
    return [slot for slot in host.signed if slot > since]


def test_a_key_becomes_a_validators_by_motion(wishes: Wishes) -> None:
    # given a network, and a node whose key is nobody's
    world = world_of_four(31, 5)
    fifth = world.hosts[4]
    assert not fifth.engine.is_validator
    # when its key is added
    world.submit(0, [wishes.sign(ADD, secret(5), weight=1)])
    world.run_until(lambda: fifth.engine.is_validator, SLOTS)
    # then it makes blocks in its turn, and all of them become final
    slot = world.genesis.slot_at(world.now_ms)
    traffic = Traffic(world)
    traffic.enrol()
    traffic.run(10, 0)
    world.run_until(lambda: settled(world) and bool(slots_of(fifth, slot)), SLOTS)
    world.run_until(world.agree, SLOTS)
    assert all(slot % 5 == 4 for slot in fifth.signed)
    # and somebody who comes later, and one who executes it all, find the same
    newcomer = world.join()
    world.run_until(lambda: newcomer.head_id == fifth.head_id, SLOTS)
    assert replay(world, branch_of(newcomer)).state_root == fifth.state_root


def test_who_is_jailed_makes_no_block_until_it_is_released(wishes: Wishes) -> None:
    world = world_of_four(32)
    villain = world.hosts[2]
    world.submit(0, [wishes.sign(JAIL, secret(3))])
    world.run_until(lambda: not villain.engine.is_validator, SLOTS)
    jailed_slot = world.genesis.slot_at(world.now_ms)
    world.submit(0, [wishes.sign(RELEASE, secret(3))])
    world.run_until(lambda: villain.engine.is_validator, SLOTS)
    released_slot = world.genesis.slot_at(world.now_ms)
    assert [slot for slot in villain.signed if jailed_slot < slot <= released_slot] == []
    world.submit(0, [wishes.sign(ADD, secret(5), weight=1)])
    world.run_until(lambda: bool(slots_of(villain, released_slot)), SLOTS)
    assert not any(host.penalties for host in world.hosts)


def test_a_network_moves_to_other_keys_one_after_the_other(wishes: Wishes) -> None:
    # given four nodes whose keys are to be replaced by those of four others
    world = world_of_four(33, 11, 12, 13, 14)
    changes = [wishes.sign(REPLACE, secret(number), secret(10 + number).public) for number in range(1, 5)]
    world.submit(0, changes)
    # when one of them is down for a while, and another starts again
    world.run(8)
    world.hosts[5].crash()
    world.run(20)
    world.hosts[5].start()
    world.run_until(lambda: settled(world) and not world.hosts[0].engine.is_validator, 6 * SLOTS)
    # then the new ones carry on alone
    assert [host.engine.is_validator for host in world.hosts] == [False] * 4 + [True] * 4
    for host in world.hosts[:4]:
        host.crash()
    height = world.hosts[4].final_height
    world.submit(4, [wishes.sign(REMOVE, secret(11))])
    world.run_until(lambda: world.hosts[7].final_height > height + 8, SLOTS)
    world.run_until(lambda: settled(world), SLOTS)
    assert [host.engine.is_validator for host in world.hosts[4:]] == [False, True, True, True]


def test_a_change_waits_while_nothing_becomes_final(wishes: Wishes) -> None:
    # given a change that is asked for, and half of the validators gone before it can be final
    world = world_of_four(34, 5)
    world.submit(0, [wishes.sign(ADD, secret(5), weight=1)])
    world.run_until(lambda: world.hosts[0].engine.chain.ledger.validators.decided_height > 0, SLOTS)
    for host in world.hosts[2:4]:
        host.crash()
    # when much more than two rounds pass
    world.run(2 * SLOTS)
    # then nothing has changed
    assert not world.hosts[4].engine.is_validator
    assert world.hosts[4].signed == {}
    # until they return
    for host in world.hosts[2:4]:
        host.start()
    world.run_until(lambda: world.hosts[4].engine.is_validator, 2 * SLOTS)
    world.run_until(lambda: settled(world), SLOTS)


def test_a_partition_across_a_change_ends_in_one_chain(wishes: Wishes) -> None:
    # given a change that is announced, and a network that falls apart before it is in force
    world = world_of_four(35, 5)
    world.submit(0, [wishes.sign(ADD, secret(5), weight=1)])
    world.run_until(lambda: world.hosts[0].engine.chain.ledger.validators.decided_height > 0, SLOTS)
    world.cut({0, 1, 2}, {3, 4})
    # when the larger part goes on and changes, and the smaller cannot
    world.run_until(lambda: len(world.hosts[0].engine.chain.next_votes.newest_set.leaders) == 5, 2 * SLOTS)
    assert not world.hosts[4].engine.is_validator
    world.heal()
    # then all end on one chain, with five validators
    world.run_until(lambda: world.hosts[4].engine.is_validator and bool(world.hosts[4].signed), 2 * SLOTS)
    world.run_until(lambda: settled(world) and world.agree(), SLOTS)
    assert {len(host.engine.chain.next_votes.newest_set.leaders) for host in world.hosts} == {5}
    assert not any(host.penalties for host in world.hosts)
