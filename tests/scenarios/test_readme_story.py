"""A first story, commented for newcomers to copy.  Run it alone: ``pytest tests/scenarios/test_readme_story.py``."""

from __future__ import annotations

from chain.content.actions import Enrol, Rate
from tests.support.world import Actor, World


def test_a_rating_survives_a_cut_through_the_network() -> None:
    # Given: four validators, on a virtual network under a virtual clock.  A `World` runs the very engine that a
    # real node runs, but a minute of it takes milliseconds, and the same seed always gives the same history.
    world = World(validators=4, seed=7)
    alice, bob = Actor(world.genesis, 101), Actor(world.genesis, 102)

    # Both enrol through node 0, as a client would over HTTP.  None means: accepted.
    assert world.submit(0, [alice.sign(Enrol()), bob.sign(Enrol())]) == (None, None)

    # Slots last a second; leaders take turns.  After ten of them this is final on every node.
    world.run(slots=10)
    assert world.lost() == set()

    # When: the network is cut in two halves, and Alice rates Bob where only nodes 2 and 3 can hear it.
    world.cut({0, 1}, {2, 3})
    assert world.submit(3, [alice.sign(Rate(bob.key, category=1, points=7))]) == (None,)
    common_height = world.hosts[0].height
    world.run(slots=20)

    # Both halves go on, but two of four are no two thirds: nothing that only one half has becomes final.
    assert world.hosts[0].head_id != world.hosts[3].head_id
    assert all(host.final_height <= common_height for host in world.hosts)

    # And when: the cut heals.
    world.heal()
    world.run(slots=20)

    # Then: one chain, one state, the rating is final everywhere, and no two nodes ever finalized different blocks.
    assert world.agree()
    assert len({host.state_root for host in world.hosts}) == 1
    assert world.lost() == set()
    world.check_agreement()
