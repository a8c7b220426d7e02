"""The story of a city's credit register, in memory: ``testnet.py --scenario municipal`` tells the same on real nodes."""

from __future__ import annotations

import pytest

from scripts.municipal.audit import audit
from scripts.municipal.cast import Cast
from scripts.municipal.director import Director
from scripts.municipal.story import Story, rehearsal_policy
from tests.support.world import Host, World, secret

SLOTS = 400


class Rehearsal:
    """Four validators, an observer that is to become one, and the story told to its end."""

    def __init__(self) -> None:
        policy = rehearsal_policy(1_000).to_document()
        self.world = World(4, seed=2, batch=6, heartbeat_slots=1, policy=policy)
        newcomer = Host(self.world, "node4", secret(5))
        self.world.hosts.append(newcomer)
        newcomer.start()
        self.told: list[str] = []
        cast = Cast(b"rehearsal", [secret(number) for number in range(1, 5)], secret(5))
        self.director = Director(self.world.genesis, cast, self.told.append)
        self.director.begin(Story(self.director).chapters())
        self.slots = self.world.run_until(self._turn, SLOTS)

    def _turn(self) -> bool:
        host = self.world.hosts[0]
        for height in range(self.director.paper.height + 1, host.final_height + 1):
            self.director.observe(host.disk.main()[height])
        self.world.submit(self.slot % 4, self.director.offers())
        return self.director.is_done

    @property
    def slot(self) -> int:
        return self.world.genesis.slot_at(self.world.now_ms)


def test_it() -> None:
    r = Rehearsal()
    print("\n".join(r.told), r.slots, r.director.skipped, r.director.paper.faults)
    for host in r.world.hosts:
        print(audit(r.world.genesis, host.disk.main(), host.engine.chain.ledger.state, host.height))
    assert 0
