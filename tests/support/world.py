"""A network of engines in memory: virtual clocks, seeded delays, loss, partitions, crashes; no sockets, no threads.

Every node runs the very engine that a real node runs.  Effects are carried out as ``node.py`` would, against a
virtual network and a virtual disk.  The same seed gives the same history.

What must hold whatever happens is asserted while it happens: a commit comes before every other effect, a
signature is durable before the block leaves, no slot is signed twice, and what is final never changes.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any, Literal

from chain.blocks import encode_block
from chain.engine import Engine
from chain.errors import Refused
from chain.events import (
    AnnounceBlock,
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
    Outcomes,
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
from chain.messages import GetBlocks, GetTransactions, Status, cut_to_size
from chain.policy import shipped_policy
from chain.transactions import Action, VerifiedTransaction, sign_transaction
from scripts.simulation.disk import Disk

GENESIS_MS = 1_000_000
FAR = 100_000
# As long as p2p/ waits for a reply; a connection that is gone is noticed at once.
REQUEST_TIMEOUT_MS = 10_000
NO_CONNECTION_MS = 200


def secret(number: int) -> SecretKey:
    """A key that is the same in every run."""
    return SecretKey(number.to_bytes(32, "big"))


def genesis_of(validators: int, **changes: Any) -> Genesis:
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


class Stranger:
    """Somebody on the wire who runs no engine; a test says what it claims and what it answers."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.is_up = True
        self.asked: list[Request] = []
        self.claim: Status | None = None
        self.reply: Callable[[Request], Event | None] = lambda _request: None

    def status(self) -> Status | None:
        """What it claims; None where it says nothing."""
        return self.claim

    def answer(self, request: Request) -> Event | None:
        """Its reply to a request; None where it never replies."""
        self.asked.append(request)
        return self.reply(request)


class Host:
    """One node: an engine, its disk, its clock, and what it was seen doing."""

    def __init__(self, world: World, name: str, key: SecretKey | None) -> None:
        self.world = world
        self.name = name
        self.key = key
        self.disk = Disk(world.genesis, SigningState())
        self.engine: Engine
        self.is_up = False
        self.generation = 0
        self.clock_offset_ms = 0
        self.is_deaf = False  # gossip does not reach it, and nobody notices
        self.doom: Literal["", "before_commit", "after_commit"] = ""  # kill it around its next commit
        self.commits: list[Commit] = []
        self.finalized: dict[int, bytes] = {}
        self.final_ids: set[bytes] = set()
        self.signed: dict[int, bytes] = {}
        self.penalties: list[tuple[str, Refused]] = []
        self.notices: list[str] = []
        self.reorgs: list[int] = []
        self.moves: list[HeadMoved] = []
        self.equivocations = 0
        self.answers: tuple[Refused | None, ...] = ()
        self._ticks = 0

    @property
    def now_ms(self) -> int:
        """What this node's clock shows."""
        return self.world.now_ms + self.clock_offset_ms

    @property
    def height(self) -> int:
        return self.engine.chain.head.header.height

    @property
    def head_id(self) -> bytes:
        return self.engine.chain.head.header.id

    @property
    def final_height(self) -> int:
        return self.engine.chain.finalized.height

    @property
    def state_root(self) -> bytes:
        return self.engine.chain.ledger.state_root

    def start(self) -> None:
        """Load the disk and join."""
        self.generation += 1
        self.doom = ""
        self.engine = Engine(self.world.genesis, self.disk.load(), secret=self.key, signing=self.disk.signing)
        self.is_up = True
        self.schedule_tick()
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

    def set_clock(self, offset_ms: int) -> None:
        """The clock jumps: from now on it shows the world's time plus ``offset_ms``."""
        self.clock_offset_ms = offset_ms
        self.schedule_tick()

    def schedule_tick(self) -> None:
        generation = self.generation
        self._ticks += 1
        number = self._ticks

        def tick() -> None:
            if self.is_up and (self.generation, self._ticks) == (generation, number):
                self.handle(Tick())
                if self.is_up:
                    self.schedule_tick()

        self.world.later(max(1, self.engine.wake_ms(self.now_ms) - self.now_ms), tick)

    def handle(self, event: Event) -> None:
        due_ms = self.engine.wake_ms(self.now_ms)
        effects = self.engine.handle(event, self.now_ms)
        assert not any(isinstance(effect, Commit) for effect in effects[1:]), "a commit is the first effect"
        if self.doom and effects and isinstance(effects[0], Commit):
            if self.doom == "after_commit":
                self._perform(effects[0])
            self.crash()
            return
        for effect in effects:
            self._perform(effect)
        if self.is_up and self.engine.wake_ms(self.now_ms) < due_ms:
            self.schedule_tick()

    def status(self) -> Status:
        return self.engine.status()

    def answer(self, request: Request) -> Event:
        """Serve a peer's request from the disk and the mempool, as much as one reply can hold."""
        match request:
            case GetTransactions(ids):
                known = {key: item for key in ids if (item := self.engine.mempool.get(key)) is not None}
                for block in self.engine.chain.ledger.blocks() if len(known) < len(ids) else ():
                    known.update((item.id, item) for item in block.transactions)
                return MissingReceived(self.name, request, tuple(known[key] for key in ids if key in known))
            case GetBlocks(tip_id, start, count):
                blocks = self.disk.branch(tip_id, start)[:count]
        fitting = len(cut_to_size([encode_block(block) for block in blocks], self.world.reply_bytes))
        return BlocksReceived(self.name, request, tuple(blocks[:fitting]))

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Commit():
                gone = [block.header.height for block in effect.abandoned]
                assert all(height > len(self.finalized) for height in gone), f"{self.name} abandoned a final block"
                self.commits.append(effect)
                self.disk.commit(effect)
            case AnnounceBlock(block):
                header = block.header
                assert self.signed.setdefault(header.slot, header.id) == header.id, "signed a slot twice"
                assert self.disk.signing is not None, "signed without a signing state"
                assert self.disk.signing.slot == header.slot, "announced before the signing state was durable"
                assert self.disk.blocks[header.id][1], "announced before the block was durable"
                ids = tuple(transaction.id for transaction in block.transactions)
                self.world.broadcast(self, BlockAnnounced(self.name, header, ids))
            case GossipTransactions(transactions):
                self.world.broadcast(self, TransactionsReceived(self.name, transactions))
            case Ask(peer, request):
                self.world.ask(self, peer, request)
            case AskStatus(peer):
                self.world.ask_status(self, peer)
            case Penalise(peer, refusal):
                assert refusal.reason.disposition.value == "blame", "blamed for what an honest peer may do"
                self.penalties.append((peer, refusal))
            case Finalized(header):
                self._record_final(header.height)
            case HeadMoved(depth=depth):
                self.moves.append(effect)
                if depth:
                    self.reorgs.append(depth)
            case Equivocation():
                self.equivocations += 1
            case Notice(name, text):
                self.notices.append(f"{name}: {text}")
            case Outcomes(outcomes):
                self.answers = outcomes

    def _record_final(self, height: int) -> None:
        main = self.disk.main
        for at in range(len(self.finalized) + 1, height + 1):
            self.finalized[at] = main[at].id
            self.final_ids.update(transaction.id for transaction in main[at].transactions)


class World:
    """The wire and the hosts.

    ``delay_ms`` is the range of every message's way; ``loss`` the share of messages that get lost (a request
    whose way or reply is lost fails after ``REQUEST_TIMEOUT_MS``); ``reply_bytes`` what one reply holds.
    """

    def __init__(self, validators: int = 4, observers: int = 0, seed: int = 0, **genesis: Any) -> None:
        self.genesis = genesis_of(validators, **genesis)
        self.random = Random(seed)
        # Tests act late in a slot, when its block has reached everybody and it is too late to make one.
        self.now_ms = GENESIS_MS + self.genesis.slot_ms * 3 // 4
        self.delay_ms = (5, 60)
        self.loss = 0.0
        self.reply_bytes = 900_000
        self.accepted: dict[bytes, VerifiedTransaction] = {}
        self.strangers: dict[str, Stranger] = {}
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
        self.run_ms(slots * self.genesis.slot_ms)

    def run_ms(self, duration_ms: int) -> None:
        """Let ``duration_ms`` pass."""
        end_ms = self.now_ms + duration_ms
        while self._queue and self._queue[0][0] <= end_ms:
            self.now_ms, _, action = heapq.heappop(self._queue)
            action()
        self.now_ms = end_ms

    def run_until(self, done: Callable[[], bool], slots: int) -> int:
        """Let slots pass until ``done``, at most ``slots``; how many it took.  Fails where it never was."""
        for passed in range(slots + 1):
            if done():
                return passed
            self.run(1)
        raise AssertionError(f"not within {slots} slots")

    def submit(self, host: int, transactions: Iterable[VerifiedTransaction]) -> tuple[Refused | None, ...]:
        """Hand transactions to one node, as its HTTP face does; remembers what was accepted.

        Returns one outcome for each, none at all where the node was killed before it answered.
        """
        wanted = tuple(transactions)
        self.hosts[host].answers = ()
        self.hosts[host].handle(Submitted(wanted))
        outcomes = self.hosts[host].answers
        if not self.hosts[host].is_up:
            return ()  # it was killed before it answered
        taken = [item for item, outcome in zip(wanted, outcomes, strict=True) if outcome is None]
        self.accepted.update((item.id, item) for item in taken)
        return outcomes

    def join(self) -> Host:
        """A new observer with an empty disk."""
        host = Host(self, f"node{len(self.hosts)}", None)
        self.hosts.append(host)
        host.start()
        return host

    def stranger(self, name: str = "stranger") -> Stranger:
        """The peer of this name, without an engine, for what no honest node does."""
        return self.strangers.setdefault(name, Stranger(self, name))

    def cut(self, *groups: set[int]) -> None:
        """Only nodes of one group reach each other, until :meth:`heal`."""
        self._groups = [{f"node{n}" for n in group} for group in groups]
        for one, two in self._pairs():
            if not self._reachable(one.name, two.name):
                one.handle(PeerLost(two.name))
                two.handle(PeerLost(one.name))

    def heal(self) -> None:
        """All nodes reach each other again."""
        self._groups = []
        for one, two in self._pairs():
            self.meet(one, two)

    @property
    def up(self) -> list[Host]:
        """The hosts that run."""
        return [host for host in self.hosts if host.is_up]

    def agree(self) -> bool:
        """Whether all running nodes have one head."""
        return len({host.head_id for host in self.up}) == 1

    def lost(self) -> set[bytes]:
        """Accepted transactions that are not final on every running node."""
        return {key for key in self.accepted for host in self.up if key not in host.final_ids}

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

    def broadcast(self, sender: Host, event: Event) -> None:
        for host in self.hosts:
            if host is not sender and not host.is_deaf:
                self.send(sender.name, host, event)

    def meet(self, one: Host | Stranger, two: Host) -> None:
        """Two nodes connect and tell each other where they stand."""
        self.ask_status(two, one.name, reliable=True)
        if isinstance(one, Host):
            self.ask_status(one, two.name, reliable=True)

    def ask_status(self, asker: Host, peer: str, *, reliable: bool = False) -> None:
        other = self._peer(peer)
        status = other.status() if other.is_up else None
        if status is not None:
            self.send(peer, asker, StatusReceived(peer, status), reliable=reliable)

    def ask(self, asker: Host, peer: str, request: Request) -> None:
        other = self._peer(peer)
        generation = asker.generation
        answered: list[Event] = []

        def arrive() -> None:
            reply = other.answer(request) if other.is_up and self._reachable(asker.name, peer) else None
            if reply is not None and not self._is_lost():
                self.later(self._way_ms(), lambda: deliver(reply))

        def deliver(reply: Event) -> None:
            if asker.is_up and asker.generation == generation and not answered:
                answered.append(reply)
                asker.handle(reply)

        is_connected = other.is_up and self._reachable(asker.name, peer)
        if is_connected and not self._is_lost():
            self.later(self._way_ms(), arrive)
        failed_ms = REQUEST_TIMEOUT_MS if is_connected else NO_CONNECTION_MS
        self.later(failed_ms, lambda: deliver(RequestFailed(peer, request)))

    def send(self, sender: str, receiver: Host, event: Event, *, reliable: bool = False) -> None:
        """One message on its way."""
        if not self._reachable(sender, receiver.name) or (not reliable and self._is_lost()):
            return
        generation = receiver.generation

        def deliver() -> None:
            if receiver.is_up and receiver.generation == generation:
                receiver.handle(event)

        self.later(self._way_ms(), deliver)

    def _way_ms(self) -> int:
        return self.random.randint(*self.delay_ms)

    def _is_lost(self) -> bool:
        return self.loss > 0 and self.random.random() < self.loss

    def _peer(self, name: str) -> Host | Stranger:
        return next((host for host in self.hosts if host.name == name), None) or self.stranger(name)

    def _reachable(self, one: str, two: str) -> bool:
        if not self._groups or one in self.strangers or two in self.strangers:
            return True
        return any(one in group and two in group for group in self._groups)

    def _pairs(self) -> Sequence[tuple[Host, Host]]:
        up = self.up
        return [(one, two) for index, one in enumerate(up) for two in up[index + 1 :]]
