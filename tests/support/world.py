"""The simulated network, for stories: hosts that say what they were seen doing, and no trouble but what a test makes.

Everything is :mod:`scripts.simulation`: the same nodes, the same door and the same wire.  The same seed gives the same
history.  What must hold whatever happens is asserted while it happens: a commit comes before every other effect, a
signature is durable before the block leaves, no slot is signed twice, and what is final never changes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any
from unittest.mock import patch

from chain.base.errors import Refused
from chain.base.keys import SecretKey, did_from_key
from chain.consensus.headers import Header
from chain.consensus.statements import SignedStatement
from chain.content.actions import Action
from chain.content.genesis import Genesis, make_genesis
from chain.content.policyfile import shipped_policy
from chain.content.transactions import VerifiedTransaction, sign_transaction
from chain.protocol import pace
from chain.protocol.events import (
    AnnounceBlock,
    Commit,
    Effect,
    Equivocation,
    Event,
    Finalized,
    Notice,
    Outcomes,
    Request,
    Submitted,
)
from chain.protocol.messages import REPLY_BYTES, Status
from scripts.simulation.acts import Weather
from scripts.simulation.checks import Checks
from scripts.simulation.network import Network
from scripts.simulation.node import SimulatedNode
from scripts.simulation.strangers import Stranger as SimulatedStranger
from scripts.simulation.wire import Claim, Message
from scripts.simulation.world import World as SimulatedWorld
from scripts.simulation.world import secret

__all__ = ["FAR", "GENESIS_MS", "Actor", "Host", "Stranger", "World", "genesis_of", "secret"]

GENESIS_MS = 1_000_000
FAR = 100_000
MARKETPLACE = shipped_policy("marketplace")


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
        "policy": {**MARKETPLACE.to_document(), "quotas": {}},
    }
    return _made(json.dumps({**document, **changes}))


@cache
def _made(document: str) -> Genesis:
    """Hundreds of tests begin with the same one; it never changes."""
    return make_genesis(json.loads(document))


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


class Stranger(SimulatedStranger):
    """Somebody on the wire who runs no engine; a test says what it claims and what it answers."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name, 0)
        self.asked: list[Request] = []
        self.claim: Status | None = None
        self.reply: Callable[[Request], bytes | None] = lambda _request: None

    def status_for(self, _peer: str) -> bytes | None:
        """What it claims; None where it says nothing."""
        return None if self.claim is None else self.claim.encode()

    def answer(self, request: Request) -> bytes | None:
        """Its reply to a request; None where it never replies."""
        self.asked.append(request)
        return self.reply(request)


class Host(SimulatedNode):
    """One node, and what it was seen doing."""

    world: World

    def __init__(self, world: World, name: str, key: SecretKey | None) -> None:
        super().__init__(world, name, key)
        self.is_deaf = False  # gossip does not reach it, and nobody notices
        self.commits: list[Commit] = []
        self.finalized: dict[int, bytes] = {}
        self.final_ids: set[bytes] = set()
        self.signed: dict[int, bytes] = {}
        self.penalties: list[tuple[str, Refused]] = []
        self.notices: list[str] = []
        self.equivocations = 0
        self.answers: tuple[Refused | None, ...] = ()

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

    def set_clock(self, offset_ms: int, drift_ppm: int = 0) -> None:
        """The wall clock steps: from now on it shows the world's time plus ``offset_ms``."""
        super().set_clock(offset_ms, drift_ppm)

    def handle(self, event: Event) -> None:
        """Something happens to it."""
        self.receive(event)

    def hear(self, sender: str, message: Message) -> None:
        if not self.is_deaf or isinstance(message, Claim):
            super().hear(sender, message)

    def _process(self, event: Event) -> None:
        small = min(self.world.reply_bytes, pace.MIN_BYTES)
        first = min(self.world.reply_bytes, pace.FIRST_BYTES)
        with patch.multiple(pace, MIN_BYTES=small, FIRST_BYTES=first, REPLY_BYTES=self.world.reply_bytes):
            super()._process(event)

    def _store(self, commit: Commit, effects: list[Effect]) -> None:
        gone = [block.header.height for block in commit.abandoned]
        assert all(height > len(self.finalized) for height in gone), f"{self.name} abandoned a final block"
        self.commits.append(commit)
        super()._store(commit, effects)

    def _perform(self, effect: Effect, event: Event) -> None:
        match effect:
            case AnnounceBlock(block):
                self._check_signed(block.header)
            case Outcomes(outcomes):
                self.answers = outcomes
                return
            case Finalized(header):
                self._record_final(header.height)
            case Equivocation():
                self.equivocations += 1
            case Notice(name, text):
                self.notices.append(f"{name}: {text}")
            case _:
                pass
        super()._perform(effect, event)

    def _blame(self, peer: str, refusal: Refused) -> None:
        assert refusal.reason.disposition.value == "blame", "blamed for what an honest peer may do"
        self.penalties.append((peer, refusal))

    def _check_signed(self, header: Header) -> None:
        assert self.signed.setdefault(header.slot, header.id) == header.id, "signed a slot twice"
        assert self.disk.signing is not None, "signed without a signing state"
        assert self.disk.signing.slot == header.slot, "announced before the signing state was durable"
        assert self.disk.blocks[header.id][1], "announced before the block was durable"

    def _record_final(self, height: int) -> None:
        main = self.disk.main
        for at in range(len(self.finalized) + 1, height + 1):
            self.finalized[at] = main[at].id
            self.final_ids.update(transaction.id for transaction in main[at].transactions)


class _Peers(dict[str, Any]):
    """All peers by name; whoever is asked for and no host is a stranger that keeps silent."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def __missing__(self, name: str) -> Stranger:
        self[name] = Stranger(self._world, name)
        return self[name]  # type: ignore[no-any-return]


class _NoChecks(Checks):
    """Hosts look at what they do themselves: here a test may break any rule."""

    def on_start(self, node: SimulatedNode) -> None:
        pass

    def on_handled(self, node: SimulatedNode, event: Event, effects: list[Effect]) -> None:
        assert not any(isinstance(effect, Commit) for effect in effects[1:]), "a commit is the first effect"

    def on_stored(self, node: SimulatedNode, commit: Commit, said: list[SignedStatement]) -> None:
        pass

    def on_announced(self, node: SimulatedNode, statement: SignedStatement) -> None:
        pass

    def on_passed_on(self, node: SimulatedNode, header: Header, *, is_news: bool = False) -> None:
        pass

    def on_equivocation(self, node: SimulatedNode, statement: SignedStatement) -> None:
        pass


class World(SimulatedWorld):
    """The wire and the hosts.

    ``delay_ms`` is the range of every message's way; ``loss`` the share of messages that get lost (a request
    whose way or reply is lost fails after ``REQUEST_TIMEOUT_MS``); ``reply_bytes`` what a node asks for at once.
    """

    def __init__(self, validators: int = 4, observers: int = 0, seed: int = 0, **genesis: Any) -> None:
        secrets = [secret(number + 1) for number in range(validators)]
        super().__init__(seed, genesis_of(validators, **genesis), secrets, FAR, keep=False)
        # Tests act late in a slot, when its block has reached everybody and it is too late to make one.
        self.schedule.now_ms = GENESIS_MS + self.genesis.slot_ms * 3 // 4
        self.network = Network(self)
        self.checks = _NoChecks(self, is_safe=True)
        self.peers = _Peers(self)
        self.reply_bytes = REPLY_BYTES
        self.accepted: dict[bytes, VerifiedTransaction] = {}
        self.hosts: list[Host] = []
        for number in range(validators + observers):
            self.host(secrets[number] if number < validators else None)
        for host in self.hosts:
            host.start()

    # ------------------------------------------------------------------------------------------------ for tests

    @property
    def delay_ms(self) -> tuple[int, int]:
        weather = self.network.weather
        return weather.low_ms, weather.low_ms + weather.spread_ms

    @delay_ms.setter
    def delay_ms(self, delay_ms: tuple[int, int]) -> None:
        low_ms, high_ms = delay_ms
        self.network.weather = Weather(low_ms, high_ms - low_ms, loss=self.network.weather.loss)

    @property
    def loss(self) -> float:
        return self.network.weather.loss / 1000

    @loss.setter
    def loss(self, share: float) -> None:
        low_ms, high_ms = self.delay_ms
        self.network.weather = Weather(low_ms, high_ms - low_ms, loss=round(1000 * share))

    def run(self, slots: int) -> None:
        """Let ``slots`` slots pass."""
        self.run_slots(slots)

    def run_ms(self, duration_ms: int) -> None:
        """Let ``duration_ms`` pass."""
        self.schedule.run_until(self.now_ms + duration_ms)

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

    def host(self, key: SecretKey | None) -> Host:
        """One more node, a validator or, without a key, an observer; it is not started yet."""
        host = Host(self, f"node{len(self.hosts)}", key)
        self.add(host)
        self.hosts.append(host)
        return host

    def join(self) -> Host:
        """A new observer with an empty disk."""
        host = self.host(None)
        host.start()
        return host

    def stranger(self, name: str = "stranger") -> Stranger:
        """The peer of this name, without an engine, for what no honest node does."""
        found = self.peers[name]
        assert isinstance(found, Stranger), f"{name} is a host"
        return found

    def greet(self, stranger: Stranger, host: Host) -> None:
        """A stranger connects and says where it stands."""
        self.network.ask_status(host, stranger.name)

    def cut(self, *groups: set[int]) -> None:
        """Only nodes of one group reach each other, until :meth:`heal`; both ends of a connection notice."""
        place = {f"node{number}": at for at, group in enumerate(groups) for number in group}
        names = [host.name for host in self.hosts]
        self.network.cut(
            ((one, two) for one in names for two in names if one != two and place.get(one) != place.get(two)),
            noticed=True,
        )

    def heal(self) -> None:
        """All nodes reach each other again."""
        self.network.heal()

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
