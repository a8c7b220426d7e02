"""A validator's key on two machines at once: the operator's mistake that looks like an attack."""

from __future__ import annotations

from scripts.simulation.forge import Cabal
from scripts.simulation.node import SimulatedNode
from scripts.simulation.villain import Expectation, Strategy
from scripts.simulation.world import SLOT_MS, World

# The second machine is started in the middle of things, those of other keys later: where more keys than are tolerated
# renew their tags at the same time, nothing becomes final any more.
COPIED_AT_SLOT = 10


class Machine(SimulatedNode):
    """A validator's machine, which follows the protocol; but its key does so twice."""

    is_honest = False


class Copy(Machine):
    """The second machine: it has the key, an empty chain, and the signing state of the first, if that was copied."""

    def __init__(self, world: World, seat: int, first: Machine, *, with_signing: bool, late_ms: int) -> None:
        super().__init__(world, f"copy{seat}", world.secrets[seat])
        self.clocks.offset_ms = -late_ms
        self._first = first
        self._with_signing = with_signing
        self._begin_slot = COPIED_AT_SLOT * (1 + seat)

    def start(self) -> None:
        """Join, some time after the first."""
        self.world.schedule.later(self._begin_slot * SLOT_MS, self._begin)

    def _begin(self) -> None:
        self.disk.signing = self._first.disk.signing if self._with_signing else None
        super().start()


class CopiedKey(Strategy):
    """Honest, but its key alone is copied to a second machine, which has to wait before it may sign."""

    too_many = Expectation("live", named=False)
    with_signing = False
    # How far the second machine's clock is behind: enough to hear of the first one's block before it signs its own.
    late_ms = 200

    def join(self, cabal: Cabal, seat: int) -> None:
        world = cabal.world
        first = Machine(world, f"villain{seat}", world.secrets[seat])
        world.add(first)
        world.add(Copy(world, seat, first, with_signing=self.with_signing, late_ms=self.late_ms))


class CopiedHome(CopiedKey):
    """Honest, but its key and signing state are copied to a second machine, which may sign at once."""

    with_signing = True
