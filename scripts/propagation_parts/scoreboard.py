"""What is measured while the usual checks go on: no two nodes may finalize different blocks here, either."""

from __future__ import annotations

from collections import Counter

from chain.consensus.headers import Header
from chain.consensus.statements import SignedStatement
from chain.protocol.events import Commit, Effect, Event, Finalized
from scripts.simulation.checks import Checks
from scripts.simulation.node import SimulatedNode
from scripts.simulation.world import World


class Scoreboard(Checks):
    """Counts in whole ms and blocks: how often which value was seen."""

    def __init__(self, world: World) -> None:
        super().__init__(world, is_safe=True)
        # From the moment a leader publishes a block until another node has it on disk.
        self.to_validators: Counter[int] = Counter()
        self.to_all: Counter[int] = Counter()
        # From the slot of a block until a validator calls it final, and how many blocks stand on it then.
        self.finality_ms: Counter[int] = Counter()
        self.finality_blocks: Counter[int] = Counter()
        self.made: list[Header] = []
        self._published_ms: dict[bytes, int] = {}
        self._stored_by: dict[str, set[bytes]] = {}

    def on_announced(self, node: SimulatedNode, statement: SignedStatement) -> None:
        super().on_announced(node, statement)
        if isinstance(statement, Header):
            self.made.append(statement)
            self._published_ms[statement.id] = self.world.now_ms

    def on_stored(self, node: SimulatedNode, commit: Commit, said: list[SignedStatement]) -> None:
        super().on_stored(node, commit, said)
        stored = self._stored_by.setdefault(node.name, set())
        own = {statement.id for statement in said}
        for block in (*commit.adopted, *commit.side):
            if block.id in stored:
                continue
            stored.add(block.id)
            if block.id in own:
                continue
            took_ms = self.world.now_ms - self._published_ms[block.id]
            self.to_all[took_ms] += 1
            if node.key is not None:
                self.to_validators[took_ms] += 1

    def on_handled(self, node: SimulatedNode, event: Event, effects: list[Effect]) -> None:
        super().on_handled(node, event, effects)
        if node.key is None:
            return
        for effect in effects:
            if isinstance(effect, Finalized):
                header = effect.header
                self.finality_ms[self.world.now_ms - self.world.genesis.slot_start_ms(header.slot)] += 1
                self.finality_blocks[node.engine.chain.head.header.height - header.height] += 1


def percentile(counts: Counter[int], percent: int) -> int | None:
    """The smallest value that at least ``percent`` % of all do not exceed; None of nothing."""
    wanted = -(-counts.total() * percent // 100)
    for value in sorted(counts):
        wanted -= counts[value]
        if wanted <= 0:
            return value
    return None
