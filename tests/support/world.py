"""A network of engines in memory: a virtual clock, seeded delays, partitions, crashes; no sockets, no threads.

Every node runs the very engine that a real node runs.  Effects are carried out as ``node.py`` would, against a
virtual network and a virtual disk.  The same seed gives the same history.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from random import Random

from chain.blockchain import Blockchain, Settled, Snapshot
from chain.blocks import Block
from chain.engine import Engine
from chain.errors import Refused
from chain.events import (
    AnnounceBlock,
    Answer,
    Ask,
    AskStatus,
    BlockAnnounced,
    BlocksReceived,
    Commit,
    Effect,
    Equivocation,
    Event,
    Finalized,
    GossipTransactions,
    HeadMoved,
    MissingReceived,
    Notice,
    PeerLost,
    Penalise,
    Request,
    RequestFailed,
    SigningState,
    StatusReceived,
    Submitted,
    Tick,
    TransactionsReceived,
)
from chain.genesis import Genesis, make_genesis
from chain.keys import SecretKey, did_from_key
from chain.messages import GetAncestors, GetBlocks, GetTransactions
from chain.policy import shipped_policy
from chain.registry import decode_record, encode_record, genesis_records
from chain.transactions import Action, VerifiedTransaction, sign_transaction

GENESIS_MS = 1_000_000
FAR = 100_000


def secret(number: int) -> SecretKey:
    """A key that is the same in every run."""
    return SecretKey(number.to_bytes(32, "big"))


def genesis_of(validators: int, **changes: int) -> Genesis:
    """A small genesis under the marketplace policy whose validators are ``secret(1)``, ``secret(2)``, …"""
    document = {
        "format": 1,
        "name": "test",
        "genesis_time_ms": GENESIS_MS,
        "slot_ms": 1000,
        "batch": validators,
        "heartbeat_slots": 20,
        "max_expiry_blocks": FAR,
        "validators": [{"did": did_from_key(secret(n + 1).public), "weight": 1} for n in range(validators)],
        "policy": shipped_policy("marketplace").to_document(),
    }
    return make_genesis({**document, **changes})


class Actor:
    """Somebody who signs transactions and counts nonces."""

    def __init__(self, genesis: Genesis, number: int) -> None:
        self.secret = secret(number)
        self.genesis = genesis
        self.nonce = 0

    @property
    def key(self) -> bytes:
        return self.secret.public

    def sign(self, action: Action, expiry_height: int = 10_000) -> VerifiedTransaction:
        """The actor's next transaction."""
        transaction = sign_transaction(self.secret, self.genesis.id, self.nonce, expiry_height, action)
        self.nonce += 1
        return transaction


class Disk:
    """What survives a crash: blocks, the settled snapshot and the signing state."""

    def __init__(self, genesis: Genesis) -> None:
        self.genesis = genesis
        self.blocks: dict[bytes, tuple[Block, bool]] = {}
        self.state = {key: encode_record(record) for key, record in genesis_records(genesis).items()}
        self.settled: Settled | None = None
        self.finalized = 0
        self.signing: SigningState | None = SigningState()

    def commit(self, commit: Commit) -> None:
        for block in commit.abandoned:
            self.blocks[block.id] = (block, False)
        for block in commit.side:
            self.blocks.setdefault(block.id, (block, False))
        for block in commit.adopted:
            self.blocks[block.id] = (block, True)
        if commit.finalized_height is not None:
            self.finalized = commit.finalized_height
        if commit.settled is not None:
            self.settled = commit.settled
            self.state.update(commit.settled.rows)
        if commit.signing is not None:
            self.signing = commit.signing

    def main(self) -> dict[int, Block]:
        return {block.header.height: block for block, is_main in self.blocks.values() if is_main}

    def load(self) -> Blockchain:
        snapshot = None
        if self.settled is not None:
            records = {key: decode_record(key, value) for key, value in self.state.items()}
            snapshot = Snapshot(self.settled.header, self.settled.votes, records)
        chain = Blockchain(self.genesis, snapshot)
        base = chain.finalized.height
        for height, block in sorted(self.main().items()):
            if height > base:
                chain.add(block, arrived_in_slot=True)
        chain.restore_finality(self.finalized)
        return chain


class Host:
    """One node: an engine, its disk, and what it was seen doing."""

    def __init__(self, world: World, name: str, key: SecretKey | None) -> None:
        self.world = world
        self.name = name
        self.key = key
        self.disk = Disk(world.genesis)
        self.engine: Engine
        self.is_up = False
        self.generation = 0
        self.finalized: dict[int, bytes] = {}
        self.signed: dict[int, bytes] = {}
        self.penalties: list[tuple[str, Refused]] = []
        self.notices: list[str] = []
        self.reorgs: list[int] = []
        self.equivocations = 0
        self.answers: tuple[Refused | None, ...] = ()

    def start(self) -> None:
        """Load the disk and join."""
        self.generation += 1
        self.engine = Engine(self.world.genesis, self.disk.load(), secret=self.key, signing=self.disk.signing)
        self.is_up = True
        self.world.schedule_tick(self)
        for other in self.world.hosts:
            if other is not self and other.is_up:
                self.world.meet(self, other)

    def crash(self) -> None:
        """Lose everything that was not committed."""
        self.is_up = False
        self.generation += 1
        for other in self.world.hosts:
            if other is not self and other.is_up:
                other.handle(PeerLost(self.name))

    def handle(self, event: Event) -> None:
        for effect in self.engine.handle(event, self.world.now_ms):
            self._perform(effect)

    @property
    def height(self) -> int:
        return self.engine.chain.head.header.height

    @property
    def final_height(self) -> int:
        return self.engine.chain.finalized.height

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Commit():
                self.disk.commit(effect)
            case AnnounceBlock(block):
                header = block.header
                assert self.signed.setdefault(header.slot, header.id) == header.id, "signed a slot twice"
                ids = tuple(transaction.id for transaction in block.transactions)
                self.world.broadcast(self, BlockAnnounced(self.name, header, ids))
            case GossipTransactions(transactions):
                self.world.broadcast(self, TransactionsReceived(self.name, transactions))
            case Ask(peer, request):
                self.world.ask(self, peer, request)
            case AskStatus(peer):
                self.world.ask_status(self, peer)
            case Penalise(peer, refusal):
                self.penalties.append((peer, refusal))
            case Finalized(header):
                self._record_final(header.height)
            case HeadMoved(depth=depth) if depth:
                self.reorgs.append(depth)
            case Equivocation():
                self.equivocations += 1
            case Notice(name, text):
                self.notices.append(f"{name}: {text}")
            case Answer(outcomes):
                self.answers = outcomes
            case _:
                pass

    def _record_final(self, height: int) -> None:
        for at, block in self.disk.main().items():
            if at <= height:
                assert self.finalized.setdefault(at, block.id) == block.id, f"{self.name} changed what was final"


class World:
    """The clock, the wire and the hosts."""

    def __init__(self, validators: int = 4, observers: int = 0, seed: int = 0, **genesis: int) -> None:
        self.genesis = genesis_of(validators, **genesis)
        self.random = Random(seed)
        self.now_ms = GENESIS_MS
        self.delay_ms = (5, 60)
        self.loss = 0.0
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._groups: list[set[str]] = []
        self.hosts = [Host(self, f"node{n}", secret(n + 1)) for n in range(validators)]
        self.hosts += [Host(self, f"node{validators + n}", None) for n in range(observers)]
        for host in self.hosts:
            host.start()

    # ------------------------------------------------------------------------------------------------ for tests

    def run(self, slots: int) -> None:
        """Let ``slots`` slots pass."""
        end_ms = self.now_ms + slots * self.genesis.slot_ms
        while self._queue and self._queue[0][0] <= end_ms:
            self.now_ms, _, action = heapq.heappop(self._queue)
            action()
        self.now_ms = end_ms

    def submit(self, host: int, transactions: Iterable[VerifiedTransaction]) -> tuple[Refused | None, ...]:
        """Hand transactions to one node, as its HTTP face does."""
        self.hosts[host].handle(Submitted(tuple(transactions)))
        return self.hosts[host].answers

    def cut(self, *groups: set[int]) -> None:
        """Only nodes of one group reach each other, until :meth:`heal`."""
        self._groups = [{f"node{n}" for n in group} for group in groups]
        self._each_pair(
            lambda one, two: None if self._reachable(one.name, two.name) else one.handle(PeerLost(two.name))
        )

    def heal(self) -> None:
        """All nodes reach each other again."""
        self._groups = []
        self._each_pair(self.meet)

    def check_agreement(self) -> None:
        """No two nodes finalized different blocks."""
        final: dict[int, bytes] = {}
        for host in self.hosts:
            for height, block_id in host.finalized.items():
                assert final.setdefault(height, block_id) == block_id, f"two final blocks at height {height}"

    # ----------------------------------------------------------------------------------------------- for hosts

    def later(self, delay_ms: int, action: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (self.now_ms + delay_ms, self._count, action))

    def schedule_tick(self, host: Host) -> None:
        generation = host.generation

        def tick() -> None:
            if host.is_up and host.generation == generation:
                host.handle(Tick())
                self.schedule_tick(host)

        self.later(max(1, host.engine.wake_ms(self.now_ms) - self.now_ms), tick)

    def broadcast(self, sender: Host, event: Event) -> None:
        for host in self.hosts:
            if host is not sender:
                self._send(sender, host, event)

    def meet(self, one: Host, two: Host) -> None:
        for a, b in ((one, two), (two, one)):
            self._send(a, b, StatusReceived(a.name, a.engine.status()))

    def ask_status(self, asker: Host, peer: str) -> None:
        other = self._host(peer)
        if other.is_up and self._reachable(asker.name, peer):
            self._send(other, asker, StatusReceived(peer, other.engine.status()))

    def ask(self, asker: Host, peer: str, request: Request) -> None:
        other = self._host(peer)
        if not other.is_up or not self._reachable(asker.name, peer):
            self._send(asker, asker, RequestFailed(peer, request), delay_ms=200)
            return
        match request:
            case GetTransactions(ids):
                found = [other.engine.mempool.get(key) for key in ids]
                for block, _ in other.disk.blocks.values():
                    found += [item for item in block.transactions if item.id in ids]
                known = tuple(item for item in found if item is not None)
                self._send(other, asker, MissingReceived(peer, request, known))
            case GetBlocks(start, count):
                main = other.disk.main()
                blocks = [main[height] for height in range(start, start + count) if height in main]
                self._send(other, asker, BlocksReceived(peer, request, tuple(blocks)))
            case GetAncestors(block_id, count):
                chain: list[Block] = []
                while block_id in other.disk.blocks and len(chain) < count:
                    chain.append(other.disk.blocks[block_id][0])
                    block_id = chain[-1].header.parent
                self._send(other, asker, BlocksReceived(peer, request, tuple(reversed(chain))))

    def _host(self, name: str) -> Host:
        return next(host for host in self.hosts if host.name == name)

    def _reachable(self, one: str, two: str) -> bool:
        return not self._groups or any(one in group and two in group for group in self._groups)

    def _each_pair(self, action: Callable[[Host, Host], None]) -> None:
        for one in self.hosts:
            for two in self.hosts:
                if one is not two and one.is_up and two.is_up:
                    action(one, two)

    def _send(self, sender: Host, receiver: Host, event: Event, delay_ms: int | None = None) -> None:
        if sender is not receiver and (
            not self._reachable(sender.name, receiver.name) or self.random.random() < self.loss
        ):
            return
        generation = receiver.generation

        def deliver() -> None:
            if receiver.is_up and receiver.generation == generation:
                receiver.handle(event)

        self.later(self.random.randint(*self.delay_ms) if delay_ms is None else delay_ms, deliver)
