"""That simulated nodes connect as real ones do: there is no connection without a hello in both directions."""

from __future__ import annotations

import pytest

from chain.protocol.events import Dismiss, Tick
from scripts.simulation.acts import Weather
from scripts.simulation.history import History
from scripts.simulation.network import HELLO_MS
from scripts.simulation.settings import Settings
from scripts.simulation.world import SLOT_MS, World

HELLO_SLOTS = HELLO_MS // SLOT_MS


@pytest.fixture
def world() -> World:
    """Three validators that have just started, in any weather; nothing happens but what time brings."""
    world = History(Settings(nodes=3, faults="none", traffic="ratings"), 0).world
    for node in world.nodes:
        world.checks.watch(node)
    return world


def known(world: World) -> dict[str, int]:
    """How many others each node knows of."""
    return {node.name: len(node.engine.sync.statuses) for node in world.nodes}


EVERYBODY = {"node0": 2, "node1": 2, "node2": 2}


def test_a_hello_that_got_lost_is_tried_again(world: World) -> None:
    # given links on which everything gets lost
    world.network.weather = Weather(loss=1_000)
    for node in world.nodes:
        node.start()
    world.run_slots(3 * HELLO_SLOTS)
    assert known(world) == dict.fromkeys(EVERYBODY, 0)

    # when they are good again
    world.network.weather = Weather()
    world.run_slots(HELLO_SLOTS + 1)

    # then everybody knows everybody, with no need of a block that somebody makes
    assert known(world) == EVERYBODY


@pytest.mark.parametrize("cut_slots", [1, 4])
def test_the_end_of_a_connection_does_not_end_the_next_one(world: World, cut_slots: int) -> None:
    # given nodes that know each other
    for node in world.nodes:
        node.start()
    world.run_slots(1)
    assert known(world) == EVERYBODY

    # when one is cut off, and back before everybody noticed, or after
    ways = [(one, two) for one in EVERYBODY for two in EVERYBODY if "node2" in (one, two) and one != two]
    world.network.cut(ways, noticed=True)
    world.run_slots(cut_slots)
    world.network.heal()
    world.run_slots(4)

    # then they know each other again
    assert known(world) == EVERYBODY


def test_who_is_dismissed_comes_back(world: World) -> None:
    for node in world.nodes:
        node.start()
    world.run_slots(1)
    node, peer = world.nodes[:2]
    node.engine.sync.forget(peer.name)
    node._perform(Dismiss(peer.name), Tick())
    world.run_slots(1)
    assert known(world) == {"node0": 1, "node1": 1, "node2": 2}
    world.run_slots(HELLO_SLOTS)
    assert known(world) == EVERYBODY
