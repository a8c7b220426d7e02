"""The parts of one history that everybody in it reaches."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from chain.base.keys import SecretKey
from chain.content.genesis import Genesis, found_genesis
from chain.protocol.events import SigningState
from scripts.simulation.disk import Disk
from scripts.simulation.realdisk import RealDisk
from scripts.simulation.rules import simulated_policy
from scripts.simulation.schedule import Schedule
from scripts.simulation.timeline import Timeline
from scripts.simulation.wire import Signatures

if TYPE_CHECKING:
    from scripts.simulation.effects import Effects
    from scripts.simulation.network import Network
    from scripts.simulation.node import SimulatedNode
    from scripts.simulation.strangers import Stranger
    from scripts.simulation.workload import Workload

GENESIS_MS = 1_000_000_000
SLOT_MS = 1_000
HEARTBEAT_SLOTS = 20


def secret(number: int) -> SecretKey:
    """A key that is the same in every run."""
    return SecretKey(number.to_bytes(32, "big"))


def simulated_genesis(secrets: list[SecretKey], slot_ms: int = SLOT_MS) -> Genesis:
    """The genesis of simulated histories, with these validators."""
    return found_genesis(
        "simulation",
        simulated_policy(slot_ms),
        [key.public for key in secrets],
        genesis_time_ms=GENESIS_MS,
        slot_ms=slot_ms,
        heartbeat_slots=HEARTBEAT_SLOTS,
    )


class World:
    """One history: its genesis, its one source of randomness, its clock, and who takes part.

    ``slots`` is how long faults last; in the later half of them villains leave the network alone.  In ``homes`` are the
    databases of honest nodes, where there are any.
    """

    network: Network
    checks: Effects
    workload: Workload

    def __init__(
        self,
        seed: int,
        genesis: Genesis,
        secrets: list[SecretKey],
        slots: int,
        *,
        keep: bool,
        homes: Path | None = None,
    ) -> None:
        self.seed = seed
        self.homes = homes
        self.random = Random(seed)
        self.half_slot = slots // 2
        self.secrets = secrets
        self.genesis = genesis
        self.signatures = Signatures(genesis.id)
        start_ms, slot_ms = genesis.genesis_time_ms, genesis.slot_ms
        self.schedule = Schedule(start_ms + slot_ms // 2)
        self.timeline = Timeline(self.schedule, start_ms, slot_ms, keep=keep)
        self.is_mended = False
        self.nodes: list[SimulatedNode] = []
        self.strangers: list[Stranger] = []
        self.by_name: dict[str, SimulatedNode] = {}
        self.peers: dict[str, SimulatedNode | Stranger] = {}

    @property
    def now_ms(self) -> int:
        """The true time."""
        return self.schedule.now_ms

    @property
    def slot(self) -> int:
        """The slot of the true time."""
        return self.genesis.slot_at(self.now_ms)

    def add(self, node: SimulatedNode) -> None:
        """One more node; it is not started yet."""
        self.nodes.append(node)
        self.by_name[node.name] = self.peers[node.name] = node

    def let_near(self, stranger: Stranger) -> None:
        """Somebody who runs no engine; it does not act yet."""
        self.strangers.append(stranger)
        self.peers[stranger.name] = stranger

    @property
    def honest(self) -> list[SimulatedNode]:
        """The nodes that follow the protocol, running or not."""
        return [node for node in self.nodes if node.is_honest]

    def new_disk(self, name: str, signing: SigningState | None, *, is_real: bool) -> Disk:
        """An empty disk of a node."""
        if self.homes is None or not is_real:
            return Disk(self.genesis, signing)
        return RealDisk(self.genesis, signing, self.homes / name)

    def draw_anew(self, number: int) -> None:
        """What is drawn in a slot depends on no draws before it: a history that lacks some acts is still alike."""
        self.random.seed(f"{self.seed} {number}")

    def chance(self, per_mille: int) -> bool:
        """True in so many of a thousand cases."""
        return self.random.randrange(1000) < per_mille

    def run_slots(self, slots: int) -> None:
        """Let slots pass."""
        self.schedule.run_until(self.now_ms + slots * self.genesis.slot_ms)
