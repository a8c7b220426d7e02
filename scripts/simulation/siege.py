"""The strangers of a manifest: what those of the simulator can do of what real ones do, under the same names."""

from __future__ import annotations

from collections.abc import Sequence

from chain.base.errors import OperatorError
from scripts.manifest_parts.things import Manifest, Strangers
from scripts.simulation.meshed import MeshedNetwork
from scripts.simulation.node import SimulatedNode
from scripts.simulation.strangers import ACTS, Deed, Stranger
from scripts.simulation.world import World

SILENT = "silent-grafts"
_DEEDS = {
    "validator-fodder": Stranger.garbage,
    "invalid-transactions": Stranger.spoilt_transactions,
    "wrong-leaders": Stranger.own_headers,
    "forged-announcements": Stranger.forged_headers,
    "forged-attestations": Stranger.forged_attestations,
    "attestation-flood": Stranger.foreign_attestations,
    "impossible-status": Stranger.broken_claim,
    "lying-statuses": Stranger.tempting_claim,
}
SIMULATED = (SILENT, *_DEEDS)


def check_siege(manifest: Manifest) -> None:
    """Raises :class:`OperatorError` where strangers need a real network."""
    for who in manifest.strangers:
        if who.kind not in SIMULATED:
            raise OperatorError(
                f"{who.name} does {who.kind}, which needs real connections: run this manifest with "
                f"`python scripts/testnet.py`, or choose from {', '.join(SIMULATED)}"
            )


class Assailant(Stranger):
    """A stranger that does one thing, to those it is told."""

    def __init__(self, world: World, name: str, number: int, deeds: Sequence[Deed], targets: Sequence[SimulatedNode]):
        super().__init__(world, name, number)
        self._deeds = deeds
        self._targets = targets

    @property
    def acts(self) -> Sequence[Deed]:
        return self._deeds

    @property
    def targets(self) -> Sequence[SimulatedNode]:
        return self._targets


class Siege:
    """All of them; who ``begin`` an attack are there until it ends."""

    def __init__(self, world: World, network: MeshedNetwork, manifest: Manifest) -> None:
        self._world = world
        self._network = network
        self._names = manifest.names
        self._number = 0
        self._there: dict[str, list[Assailant]] = {}

    def begin(self, who: Strangers) -> None:
        """They come."""
        targets = [self._world.by_name[name] for name in who.targets or self._names]
        for at in range(who.count):
            assailant = Assailant(self._world, f"{who.name} {at}", self._number, _deeds_of(who.kind), targets)
            self._number += 1
            self._there.setdefault(who.name, []).append(assailant)
            self._world.let_near(assailant)
            for node in targets:
                self._network.visit(assailant.name, node, wants_places=who.kind == SILENT)
            if who.kind != SILENT:
                assailant.start()

    def end(self, who: Strangers) -> None:
        """They go."""
        for assailant in self._there.pop(who.name):
            assailant.leave()
            for node in assailant.targets:
                self._network.depart(assailant.name, node)


def _deeds_of(kind: str) -> list[Deed]:
    return [deed for deed in ACTS if deed[0] is _DEEDS.get(kind)]
