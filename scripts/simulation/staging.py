"""A manifest, carried out in the simulator: ``python scripts/simulate.py --manifest FILE``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from chain.base.errors import OperatorError
from chain.content.blocks import Block
from chain.content.transactions import VerifiedTransaction
from scripts.manifest_parts.change import Changes
from scripts.manifest_parts.founding import Clients, genesis_of, secrets_of
from scripts.manifest_parts.lines import Links
from scripts.manifest_parts.record import Record, Sight
from scripts.manifest_parts.telling import sentence_of
from scripts.manifest_parts.things import (
    Attack,
    Clock,
    Continue,
    Cut,
    Event,
    Heal,
    Kill,
    Load,
    LoseDisk,
    Manifest,
    Memory,
    NewLines,
    Replace,
    Restart,
    Start,
    Stop,
)
from scripts.simulation.checks import Checks
from scripts.simulation.effects import crashed
from scripts.simulation.meshed import MeshedNetwork
from scripts.simulation.node import SimulatedNode
from scripts.simulation.settings import Violation
from scripts.simulation.siege import Siege, check_siege
from scripts.simulation.workload import Workload
from scripts.simulation.world import GENESIS_MS, World

# Nodes meet, and the first slots pass.
WARM_SLOTS = 4
# A process that is asked to end and started again is away so long.
RESTART_SLOTS = 2


def run_manifest(manifest: Manifest, tell: Callable[[str], None]) -> Record:
    """Carry it out.  ``tell`` hears what happens.  Raises :class:`OperatorError` for what only processes can do."""
    _check_possible(manifest)
    staging = Staging(manifest, tell)
    try:
        staging.run()
    except Violation as violation:
        staging.record.fault = str(violation)
    except Exception as error:
        name = crashed(error)
        if not name:
            raise
        staging.record.fault = f"{name} crashes: {type(error).__name__}: {error}"
    staging.conclude()
    return staging.record


def _check_possible(manifest: Manifest) -> None:
    if any(isinstance(each, Memory) for each in manifest.asserts):
        raise OperatorError(
            "memory is that of processes, and simulated nodes share one: run this manifest with "
            "`python scripts/testnet.py`, or leave that assertion out"
        )
    check_siege(manifest)


class Staging:
    """One run."""

    def __init__(self, manifest: Manifest, tell: Callable[[str], None]) -> None:
        self.manifest = manifest
        self.record = Record()
        self._tell = tell
        self._links = Links(manifest)
        secrets = secrets_of(manifest)
        genesis = genesis_of(manifest, GENESIS_MS)
        self.world = world = World(manifest.seed, genesis, list(secrets.values()), manifest.slots, keep=True)
        world.network = self._network = MeshedNetwork(world, self._links, is_seeded=manifest.seeded)
        world.workload = Workload(world, "ratings")
        world.checks = Checks(world, is_safe=True)
        for node in manifest.nodes:
            world.add(SimulatedNode(world, node.name, secrets[node.name]))
            world.by_name[node.name].set_clock(node.clock_ms, 0)
        self._names = {secret.public: name for name, secret in secrets.items()}
        self._siege = Siege(world, self._network, manifest)
        self._clients, self._load = Clients(manifest, genesis), 0
        self._changes = Changes(manifest, genesis, secrets)
        self._read = 0

    def run(self) -> None:
        """From the first slot to the last.  Raises :class:`Violation`."""
        world, manifest = self.world, self.manifest
        for node in world.nodes:
            world.checks.watch(node)
        for one in manifest.nodes:
            if not one.late:
                world.by_name[one.name].start()
        world.schedule.run_until(world.genesis.slot_start_ms(WARM_SLOTS))
        for slot in range(manifest.slots):
            world.draw_anew(slot)
            for event in manifest.on(slot):
                self._tell(f"slot {slot}: {sentence_of(event)}")
                self._do(event)
            self._offer(slot)
            world.run_slots(1)
            world.checks.each_slot()
            for node in self._answering():
                self.record.see(slot, node.name, _sight(node))
        world.checks.at_end()

    def conclude(self) -> None:
        """What there is in the end."""
        record, nodes = self.record, self.world.nodes
        record.chains = {node.name: [block.id for block in _final_of(node)] for node in nodes}
        longest = max(nodes, key=lambda node: (len(record.chains[node.name]), max(node.disk.main, default=0)))
        headers = [block.header for block in longest.disk.main.values()]
        record.blocks = [(header.slot - WARM_SLOTS, self._names[header.proposer]) for header in headers]
        record.final = {item.id for block in _final_of(longest) for item in block.transactions}

    # ---------------------------------------------------------------------------------------------- events

    def _do(self, event: Event) -> None:
        match event:
            case Kill():
                self._each(event.nodes, lambda node: node.crash("killed"))
            case Start():
                self._each(event.nodes, SimulatedNode.start)
            case Restart():
                self._each(event.nodes, self._restart)
            case Stop():
                self._each(event.nodes, lambda node: node.freeze(self._stopped_ms(node, event), is_suspended=False))
            case Continue():
                pass  # it was known how long they stop
            case LoseDisk():
                self._each(event.nodes, lambda node: node.damage_disk("removed", 0))
            case Clock():
                self._each(event.nodes, lambda node: node.set_clock(event.ahead_ms, 0))
            case Cut():
                ways = self._links.cut(event.name, event.nodes, self.manifest.others(event))
                self._network.cut(sorted(ways), noticed=event.noticed)
            case Heal():
                self._network.reopen(sorted(self._links.heal(event.name)))
            case NewLines():
                self._links.change(event)
            case Attack():
                self._attack(event)
            case Load():
                self._load = event.per_slot
            case Replace():
                self._changes.begin(event)

    def _each(self, names: tuple[str, ...], act: Callable[[SimulatedNode], None]) -> None:
        for name in names:
            act(self.world.by_name[name])

    def _restart(self, node: SimulatedNode) -> None:
        node.crash("its operator starts it again")
        self.world.schedule.later(RESTART_SLOTS * self.manifest.slot_ms, node.start)

    def _stopped_ms(self, node: SimulatedNode, stop: Stop) -> int:
        ends = [
            event.at
            for event in self.manifest.events
            if isinstance(event, Continue | Kill) and event.at >= stop.at and node.name in event.nodes
        ]
        return (min(ends, default=2 * self.manifest.slots) - stop.at) * self.manifest.slot_ms

    def _attack(self, attack: Attack) -> None:
        for who in self.manifest.strangers:
            if who.name in attack.strangers:
                self._siege.begin(who)
                self.world.schedule.later(attack.slots * self.manifest.slot_ms, partial(self._siege.end, who))

    # ----------------------------------------------------------------------------------------------- clients

    def _offer(self, slot: int) -> None:
        for block in self._newly_final():
            self._changes.observe(block)
        offers = self._clients.offer(self._load)
        self.record.offered.update((offer.id, slot) for offer in offers)
        self._submit(slot, [*offers, *self._changes.offers()])

    def _submit(self, slot: int, offers: list[VerifiedTransaction]) -> None:
        nodes = self._answering()
        if offers and nodes:
            nodes[slot % len(nodes)].submit(tuple(offers))

    def _newly_final(self) -> Iterator[Block]:
        final = self.world.checks.final
        while self._read < len(final):
            self._read += 1
            blocks = (node.disk.main.get(self._read) for node in self.world.nodes)
            yield next(block for block in blocks if block is not None and block.id == final[self._read - 1])

    def _answering(self) -> list[SimulatedNode]:
        return [node for node in self.world.nodes if node.is_up and not node.is_frozen]


def _final_of(node: SimulatedNode) -> list[Block]:
    return [node.disk.main[height] for height in range(1, node.disk.finalized + 1)]


def _sight(node: SimulatedNode) -> Sight:
    engine = node.engine
    mute = engine.silence(node.now_ms)
    return Sight(
        height=engine.chain.head.header.height,
        final_height=engine.chain.finalized.height,
        final_id=engine.chain.finalized.id,
        is_validator=engine.is_validator,
        mute="" if mute is None else mute.why,
    )
