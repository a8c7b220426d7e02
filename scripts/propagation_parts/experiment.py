"""One network for some slots, from its seed to its figures."""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

from chain.base.keys import SecretKey
from chain.content.actions import Enrol, Rate
from chain.content.transactions import sign_transaction
from p2p.local.process import calm_collector
from scripts.propagation_parts.costs import COMMIT_MS, OBSERVER_UPLOAD_MBPS, VALIDATOR_UPLOAD_MBPS
from scripts.propagation_parts.delays import Delays
from scripts.propagation_parts.gossip import Tally, WideArea
from scripts.propagation_parts.mesh import build_mesh
from scripts.propagation_parts.scoreboard import Scoreboard
from scripts.propagation_parts.sharing import SharingDisk, Verdicts
from scripts.simulation.node import SimulatedNode
from scripts.simulation.ratings import EXPIRY_HEIGHT
from scripts.simulation.wire import Announced, Batch
from scripts.simulation.workload import Workload
from scripts.simulation.world import World, secret, simulated_genesis

# Transactions come in one batch a second, which a single one stands for; its batch stays under the usual 48 kB.
BUNDLE_EVERY_MS = 1_000
# They enrol one after the other and then rate in turn, so that the state stays small.
CLIENTS = 16
# Before the slots that count a validator only listens; after them the chain decides on their blocks.
LEAD_MS = 2_000
TAIL_MS = 5_000


@dataclass(frozen=True, slots=True)
class Setup:
    """A network: how large, how meshed, how fast, for how many slots."""

    nodes: int
    validators: int
    degree: int
    slot_ms: int
    slots: int
    transactions_per_s: int = 100

    @property
    def first_slot(self) -> int:
        """The first of the slots that count."""
        return -(-LEAD_MS // self.slot_ms)

    @property
    def all_slots(self) -> int:
        """How many slots are run."""
        return self.first_slot + self.slots + -(-TAIL_MS // self.slot_ms)


@dataclass(slots=True)
class Figures:
    """What was measured; of several runs the sums.  Bytes and messages are of all nodes together.

    ``blocks`` and ``orphans`` are of the slots that count, ``published`` are all blocks.
    """

    runs: int
    slots: int
    blocks: int
    orphans: int
    published: int
    reorgs: int
    links: int
    to_validators: Counter[int]
    to_all: Counter[int]
    finality_ms: Counter[int]
    finality_blocks: Counter[int]
    block_messages: int
    block_duplicates: int
    block_bytes: int
    transaction_messages: int
    transaction_bytes: int
    cpu_ms: int
    history: str

    def __add__(self, other: Figures) -> Figures:
        return Figures(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(Figures)))


class Experiment:
    """A world of many nodes, without faults."""

    def __init__(self, setup: Setup, seed: int) -> None:
        self.setup = setup
        secrets = [secret(number + 1) for number in range(setup.validators)]
        genesis = simulated_genesis(secrets, setup.slot_ms)
        self.world = world = World(seed, genesis, secrets, setup.slots, keep=False)
        delays = Delays()
        self.network = WideArea(world, delays, setup.transactions_per_s * BUNDLE_EVERY_MS // 1_000)
        self.board = Scoreboard(world)
        world.network, world.checks, world.workload = self.network, self.board, Workload(world, "ratings")
        self._submitted = 0
        verdicts: Verdicts = {}
        repeated = delays.regions * (setup.nodes // len(delays.regions) + 1)
        for number, region in enumerate(world.random.sample(repeated, setup.nodes)):
            key = world.secrets[number] if number < setup.validators else None
            node = SimulatedNode(world, f"node{number}", key)
            node.disk = SharingDisk(world.genesis, verdicts)
            node.disk.write_ms = COMMIT_MS
            world.add(node)
            self.board.watch(node)
            self.network.place(node, region, VALIDATOR_UPLOAD_MBPS if key else OBSERVER_UPLOAD_MBPS)
        self.network.connect(build_mesh(setup.nodes, setup.degree, world.random))

    def run(self) -> Figures:
        """Let the slots pass.  Raises :class:`scripts.simulation.settings.Violation` where a check fails."""
        started = time.process_time_ns()
        for node in self.world.nodes:
            node.start()
        self._submit()
        self.world.run_slots(self.setup.all_slots)
        return self._figures((time.process_time_ns() - started) // 1_000_000)

    def _submit(self) -> None:
        world, number = self.world, self._submitted
        self._submitted += 1
        nonce, client = divmod(number, CLIENTS)
        action = Rate(_client(client + 1).public, 1, number % 21 - 10) if nonce else Enrol()
        transaction = sign_transaction(_client(client), world.genesis.id, nonce, EXPIRY_HEIGHT, action)
        world.random.choice(world.nodes).submit((transaction,))
        world.schedule.later(BUNDLE_EVERY_MS, self._submit)

    def _figures(self, cpu_ms: int) -> Figures:
        board, wires = self.board, list(self.network.wires.values())
        winner = max(self.world.nodes, key=lambda node: node.engine.status(node.now_ms).rank)
        chain = {block.id for block in winner.disk.main.values()}
        counting = range(self.setup.first_slot, self.setup.first_slot + self.setup.slots)
        counted = [header for header in board.made if header.slot in counting]
        blocks = _total([wire.tallies[Announced] for wire in wires])
        transactions = _total([wire.tallies[Batch] for wire in wires])
        # Messages are counted for all blocks, so they are scaled to those that count.
        return Figures(
            runs=1,
            slots=self.setup.slots,
            blocks=len(counted),
            orphans=sum(header.id not in chain for header in counted),
            published=len(board.made),
            reorgs=sum(len(node.reorgs) for node in self.world.nodes),
            links=sum(len(wire.links) for wire in wires),
            to_validators=board.to_validators,
            to_all=board.to_all,
            finality_ms=board.finality_ms,
            finality_blocks=board.finality_blocks,
            block_messages=blocks.received,
            block_duplicates=blocks.duplicates,
            block_bytes=blocks.sent_bytes,
            transaction_messages=transactions.received,
            transaction_bytes=transactions.sent_bytes,
            cpu_ms=cpu_ms,
            history=self.world.timeline.digest(),
        )


def _client(number: int) -> SecretKey:
    return secret(1_000_000 + number % CLIENTS)


def _total(tallies: Sequence[Tally]) -> Tally:
    return Tally(*(sum(getattr(tally, field.name) for tally in tallies) for field in fields(Tally)))


def run_experiment(task: tuple[Setup, int]) -> Figures:
    """One network of one seed."""
    setup, seed = task
    return Experiment(setup, seed).run()


def run_all(tasks: Sequence[tuple[Setup, int]], processes: int) -> Iterator[Figures]:
    """The figures in the order of the tasks, which are the same for any number of processes."""
    if processes == 1:
        yield from map(run_experiment, tasks)
        return
    with multiprocessing.get_context("spawn").Pool(processes, initializer=calm_collector) as pool:
        yield from pool.imap(run_experiment, tasks)
