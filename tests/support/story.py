"""A short history with a lost branch, and the home that it left on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from chain.base.keys import did_from_key
from chain.content.actions import Enrol, Rate
from tests.support.homes import RecordingDisk, record, write_home
from tests.support.world import Actor, World


@dataclass(frozen=True)
class Story:
    """Five members, four of whom are rated; the network was cut in halves once, and one branch lost."""

    world: World
    disk: RecordingDisk
    actors: list[Actor]
    home: Path

    @property
    def dids(self) -> list[str]:
        return [did_from_key(actor.key) for actor in self.actors]

    def arguments(self, command: str) -> list[str]:
        """A question that has an answer in this story."""
        first = next(block for _, block in sorted(self.disk.main.items()) if block.transactions)
        more = {"block": [str(first.header.height)], "tx": [first.transactions[0].id.hex()], "member": [self.dids[0]]}
        more["history"] = more["member"]
        return [command, *more.get(command, [])]


def told_story(home: Path) -> Story:
    """The story, and the home of one of its hosts."""
    world = World(validators=4, seed=3)
    disk = record(world.hosts[2])
    actors = [Actor(world.genesis, 100 + n) for n in range(5)]
    a, b, c, d, e = actors
    world.run(4)
    world.submit(0, [actor.sign(Enrol()) for actor in actors])
    world.run(3)
    world.submit(0, [a.sign(Rate(b.key, 1, 7)), c.sign(Rate(b.key, 1, -2)), b.sign(Rate(a.key, 1, 5))])
    world.cut({0, 1}, {2, 3})
    world.run(3)
    world.submit(0, [a.sign(Rate(b.key, 1, 3)), c.sign(Rate(a.key, 1, -4))])
    world.submit(2, [d.sign(Rate(e.key, 1, 1))])
    world.run(12)
    world.heal()
    world.run(20)
    host = world.hosts[2]
    assert host.reorgs
    assert sum(len(block.transactions) for at, block in disk.main.items() if at <= host.final_height) == 11
    return Story(world, disk, actors, write_home(home, world, disk))
