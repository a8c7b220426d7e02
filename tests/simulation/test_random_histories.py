"""Seeded random histories: traffic, loss, delays, partitions, crashes and wrong clocks; then peace.

A failure is run again alone by its seed: ``pytest tests/simulation -k seed17``.
"""

from __future__ import annotations

from random import Random
from typing import Literal

import pytest

from chain.content.actions import Enrol, Rate
from chain.content.transactions import VerifiedTransaction
from chain.protocol import mempool, queues
from tests.scenarios.crafting import branch_of, replay, votings
from tests.support.pool import check_pool
from tests.support.world import Actor, Host, World

SEEDS = 6  # beside those of scripts/check.py
TROUBLED_SLOTS = 150
PEACEFUL_SLOTS = 60
MAX_CLOCK_OFFSET_MS = 300


class History:
    """One random history.  Its own generator decides what happens; the world's decides the wire."""

    def __init__(self, seed: int) -> None:
        self.random = Random(f"history {seed}")
        self.world = World(self.random.randint(4, 7), self.random.randint(0, 1), seed=seed)
        self.actors = [Actor(self.world.genesis, 1_000 + number) for number in range(10)]
        self.submitted: list[tuple[Host, int, VerifiedTransaction]] = []
        self.down_until: dict[str, int] = {}
        self.cut_until = 0
        self.slot = 0
        self.final: dict[str, int] = {}
        self.world.loss = self.random.choice([0.0, 0.0, 0.05, 0.15])
        self.world.reply_bytes = self.random.choice([5_000, 900_000])
        low = self.random.choice([2, 20, 200])
        self.world.delay_ms = (low, low + self.random.choice([20, 200, 800]))
        for host in self.world.hosts:
            host.set_clock(self.random.randint(-MAX_CLOCK_OFFSET_MS, MAX_CLOCK_OFFSET_MS))

    def trouble(self) -> None:
        """One slot in which anything may happen."""
        self.slot += 1
        self._traffic()
        if self.slot >= self.cut_until and self.random.random() < 0.04:
            self._cut()
        elif self.slot == self.cut_until:
            self.world.heal()
        for host in self.world.hosts:
            if not host.is_up and self.slot >= self.down_until[host.name]:
                host.start()
            elif host.is_up and self.random.random() < 0.01:
                self.down_until[host.name] = self.slot + self.random.randint(1, 25)
                dooms: list[Literal["lost", "kept"]] = ["lost", "kept"]
                host.doom = self.random.choice(dooms)
            elif host.is_up and self.random.random() < 0.01:
                host.set_clock(self.random.randint(-MAX_CLOCK_OFFSET_MS, MAX_CLOCK_OFFSET_MS))
        passed_ms = self.random.randrange(1, 1_000)
        self.world.run_ms(passed_ms)
        self._traffic()
        self.world.run_ms(1_000 - passed_ms)

    def peace(self) -> None:
        """Everybody is back, all reach each other, and clients offer again what a crash of their node lost."""
        self.world.heal()
        self.world.loss = 0.0
        self.world.delay_ms = (5, 60)
        for host in self.world.hosts:
            host.doom = ""
            if not host.is_up:
                host.start()
        self.world.run(5)
        for host, generation, transaction in self.submitted:
            if host.generation != generation:
                self.world.submit(self.world.hosts.index(host), [transaction])

    def check(self) -> None:
        """What holds after every slot."""
        self.world.check_agreement()
        for host in self.world.up:
            assert host.final_height >= self.final.get(host.name, 0), f"finality of {host.name} fell"
            self.final[host.name] = host.final_height
            assert host.disk.finalized == host.final_height
            assert host.disk.main[host.height].id == host.head_id if host.height else True
            pool = host.engine.mempool
            assert len(pool) <= mempool.MAX_TRANSACTIONS
            assert pool.bytes <= mempool.MAX_BYTES
            check_pool(pool)
            assert all(0 < len(pool.of(actor)) <= 2 * queues.MAX_PER_ACTOR for actor in pool.actors)
            assert len(host.engine.waiting) <= 64
            assert not host.penalties, f"{host.name} blamed an honest peer: {host.penalties[0]}"
            assert host.equivocations == 0

    def _cut(self) -> None:
        numbers = list(range(len(self.world.hosts)))
        self.random.shuffle(numbers)
        at = self.random.randint(1, len(numbers) - 1)
        self.world.heal()
        self.world.cut(set(numbers[:at]), set(numbers[at:]))
        self.cut_until = self.slot + self.random.randint(2, 40)

    def _traffic(self) -> None:
        if self.random.random() < 0.5 or not self.world.up:
            return
        host = self.random.choice(self.world.up)
        actor = self.random.choice(self.actors)
        batch: list[VerifiedTransaction] = []
        for _ in range(self.random.randint(1, 3)):
            subject = self.random.choice([other for other in self.actors if other is not actor])
            action = Enrol() if actor.nonce == 0 else Rate(subject.key, 1, self.random.randint(-10, 10))
            batch.append(actor.sign(action))
        outcomes = self.world.submit(self.world.hosts.index(host), batch)
        assert outcomes == ((None,) * len(batch) if host.is_up else ())
        self.submitted += [(host, host.generation, transaction) for transaction in batch]


@pytest.mark.parametrize("seed", range(SEEDS), ids=lambda seed: f"seed{seed}")
def test_a_random_history_ends_well(seed: int) -> None:
    # given 150 slots of trouble
    history = History(seed)
    world = history.world
    for _ in range(TROUBLED_SLOTS):
        history.trouble()
        history.check()

    # when there is peace, everybody who can be rated enrols in the end, and there is something new to record
    history.peace()
    before = max(host.final_height for host in world.hosts)
    world.submit(0, [Actor(world.genesis, 9_999).sign(Enrol())])
    for actor in history.actors:
        if actor.nonce == 0:
            history.world.submit(0, [actor.sign(Enrol())])
    for _ in range(PEACEFUL_SLOTS):
        world.run(1)
        history.check()

    # then all are on one chain (two equal heads of a quiet network wait for its next heartbeat), finality went on,
    # and nothing that was accepted is lost
    world.run_until(world.agree, world.genesis.heartbeat_slots + 10)
    assert min(host.final_height for host in world.hosts) > before
    assert world.lost() == set()
    assert all(len(host.engine.mempool) == 0 for host in world.hosts)

    # and who trusts nobody comes to the same state and the same votes
    blocks = branch_of(world.hosts[-1])
    for host in world.hosts:
        assert replay(world, blocks).state_root == host.state_root
        assert votings(world, blocks)[-1] == host.engine.chain.head.votes
