"""Cuts at the worst of times: when a change of the validators was decided, and until it is over."""

from __future__ import annotations

from scripts.simulation.world import World

# Shares in a thousand, for each slot in which somebody knows of a change that is not over.
CUT = 200
MIN_CUT_SLOTS, MAX_CUT_SLOTS = 3, 30


class Upheaval:
    """Parts the nodes of a world into two halves, anew with each cut."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.count = 0
        self._until_slot = -1

    def each_slot(self) -> None:
        """A cut begins, goes on, or ends."""
        world = self.world
        if self._until_slot == world.slot:
            world.network.heal()
            world.timeline.say("world", "the cut is healed")
        elif self._until_slot < world.slot and self._is_changing and world.chance(CUT):
            self._cut()

    @property
    def _is_changing(self) -> bool:
        chains = (node.engine.chain for node in self.world.honest if node.is_up)
        return any(chain.ledger.validators.is_changing for chain in chains)

    def _cut(self) -> None:
        random = self.world.random
        names = [node.name for node in self.world.nodes if node.is_honest]
        random.shuffle(names)
        at = random.randint(1, len(names) - 1)
        left, right = names[:at], names[at:]
        ways = [(one, two) for one in left for two in right]
        self._until_slot = self.world.slot + random.randint(MIN_CUT_SLOTS, MAX_CUT_SLOTS)
        self.world.network.cut([*ways, *((two, one) for one, two in ways)], noticed=False)
        self.count += 1
        self.world.timeline.say("world", f"a change is on its way: a cut of {' '.join(left)} from {' '.join(right)}")
