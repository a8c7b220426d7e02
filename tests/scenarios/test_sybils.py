"""Hundreds of silent identities beside a few honest nodes: they GRAFT wherever they may, and forward nothing."""

from __future__ import annotations

import pytest

from p2p.meshsub.topic import D_HI, MAX_OF_BLOCK
from tests.support.swarm import Swarm

SLOT_MS = 1_000
SYBILS = 200


def everywhere(number: int) -> str:
    """Each identity in a network of its own."""
    return f"{45 + number // 200}.{number % 200}.7.9"


def one_block(number: int) -> str:
    return f"45.7.9.{number % 250 + 1}"


def loopback(_number: int) -> str:
    return "127.0.0.1"


def besiege(swarm: Swarm, count: int, hosts: object) -> None:
    for number in range(count):
        for name in swarm.honest:
            swarm.besiege(name, f"sybil{number}", hosts(number))  # type: ignore[operator]


def full(swarm: Swarm, count: int) -> list[str]:
    """Honest nodes, each connected to each."""
    names = [f"node{number}" for number in range(count)]
    for name in names:
        swarm.add(name)
    for number, name in enumerate(names):
        for other in names[:number]:
            swarm.connect(name, other, ("80.1.2.3", "80.1.2.3"))
    return names


def ring(swarm: Swarm, count: int, *, named: bool) -> list[str]:
    """Honest nodes, each connected to the next two, so that what one says is passed on by others or not heard."""
    names = [f"node{number}" for number in range(count)]
    follow = {name: (names[(n + 1) % count], names[(n + 2) % count]) for n, name in enumerate(names)}
    for name in names:
        swarm.add(name, named=follow[name] if named else ())
    for number, name in enumerate(names):
        for other in follow[name]:
            swarm.connect(name, other, (f"80.{number}.2.3", f"81.{number}.2.3"))
    return names


def slots(swarm: Swarm, names: list[str], count: int, *, hops: int) -> list[set[str]]:
    """Let one after the other make a block a slot; who missed each."""
    missed = []
    for number in range(count):
        block = swarm.publish(names[number % len(names)], b"block %d of %d" % (number, swarm.now_ms))
        swarm.run(SLOT_MS)
        missed.append(swarm.missed(block, SLOT_MS, hops))
    return missed


@pytest.mark.parametrize("hosts", [loopback, one_block, everywhere])
@pytest.mark.parametrize("count", [4, 10])
def test_who_knows_everybody_hears_every_block_soon(count: int, hosts: object) -> None:
    swarm = Swarm(count)
    names = full(swarm, count)
    besiege(swarm, SYBILS, hosts)
    assert not any(slots(swarm, names, 40, hops=4))
    assert not swarm.blamed


@pytest.mark.parametrize("hosts", [loopback, one_block, everywhere])
def test_the_operators_named_peers_pass_every_block_on(hosts: object) -> None:
    swarm = Swarm(1)
    names = ring(swarm, 10, named=True)
    besiege(swarm, SYBILS, hosts)
    assert not any(slots(swarm, names, 40, hops=7))


def test_one_block_of_addresses_takes_three_places_and_nobodys_blocks() -> None:
    swarm = Swarm(2)
    names = ring(swarm, 10, named=False)
    besiege(swarm, SYBILS, one_block)
    assert not any(slots(swarm, names, 40, hops=7))
    assert max(map(swarm.enemies_in, names)) <= MAX_OF_BLOCK


@pytest.mark.parametrize("late_ms", [300, 1_500])
@pytest.mark.parametrize("seed", range(2))
def test_who_passes_everything_on_late_keeps_nobody_from_hearing_it_soon(seed: int, late_ms: int) -> None:
    swarm = Swarm(seed, late_ms)
    names = ring(swarm, 10, named=False)
    besiege(swarm, SYBILS // 4, everywhere)
    slots(swarm, names, 60, hops=7)
    assert not any(slots(swarm, names, 40, hops=7))


@pytest.mark.parametrize("seed", range(2))
def test_in_a_swarm_from_everywhere_strangers_find_each_other_by_what_they_deliver(seed: int) -> None:
    swarm = Swarm(seed)
    names = ring(swarm, 10, named=False)
    besiege(swarm, SYBILS, everywhere)
    slots(swarm, names, 30, hops=7)
    assert not any(slots(swarm, names, 40, hops=7))
    assert max(map(swarm.enemies_in, names)) <= D_HI


def test_identities_that_come_later_displace_nobody_who_delivers() -> None:
    swarm = Swarm(5)
    names = ring(swarm, 10, named=False)
    assert not any(slots(swarm, names, 30, hops=7))
    besiege(swarm, SYBILS, everywhere)
    assert not any(slots(swarm, names, 40, hops=7))


def test_a_mesh_of_only_strangers_is_no_mesh_of_the_silent_once_somebody_speaks() -> None:
    swarm = Swarm(6)
    names = ring(swarm, 4, named=False)
    besiege(swarm, SYBILS, everywhere)
    swarm.run(60_000)  # nobody says anything, and nobody loses anything by it
    full_of_them = [swarm.enemies_in(name) for name in names]
    assert min(full_of_them) > 0
    assert not any(slots(swarm, names, 60, hops=3))
