"""A network whose nodes run before it begins."""

from __future__ import annotations

from itertools import count

from chain.content.actions import Enrol
from tests.support.world import GENESIS_MS, Actor, World

AHEAD_SLOTS = 300


def test_nodes_that_run_before_their_network_begins_start_it_together() -> None:
    # given four nodes that run minutes before, and a member who cannot wait
    world = World(4, genesis_time_ms=GENESIS_MS + AHEAD_SLOTS * 1_000)
    early = Actor(world.genesis, 1_000)
    assert world.submit(1, [early.sign(Enrol())]) == (None,)

    # when the time has not come
    world.run(AHEAD_SLOTS - 10)
    assert world.slot == -10

    # then nobody signs, and each says why, and until when
    for host in world.hosts:
        mute = host.engine.silence(world.now_ms)
        assert mute is not None
        assert (mute.kind, mute.until_ms) == ("not_begun", world.genesis.genesis_time_ms)
        assert (host.height, host.signed) == (0, {})
        assert [note for note in host.notices if note.startswith("silent")] == [
            "silent: its network has not begun; signs from 1970-01-01T00:21:40Z on"
        ]

    # when it comes, what waited is in the first block, which is final two blocks later
    actors = (Actor(world.genesis, number) for number in count(1_001))
    world.run(11)
    for _ in range(6):
        world.submit(0, [next(actors).sign(Enrol())])
        world.run(1)
    assert min(host.final_height for host in world.hosts) >= 3
    assert all(host.engine.chain.ledger.next_nonce(early.key) == 1 for host in world.hosts)
    assert all(host.engine.silence(world.now_ms) is None for host in world.hosts)
    assert all(min(host.signed) >= 1 for host in world.hosts)
