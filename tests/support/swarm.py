"""Many meshes and their enemies in one thread: frames take a while, heartbeats come in turn, nothing else happens."""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from random import Random

from p2p.meshsub.effects import Check, Effect, Penalise, Send, Verdict
from p2p.meshsub.mesh import Mesh
from p2p.meshsub.parts import Message, Rpc, Subscription

TOPIC = "blocks"
GRAFT = Rpc(graft=(TOPIC,))
HEARTBEAT_MS = 1_000
DELAY_MS = (10, 80)
"""How long a frame takes."""

CHECK_MS = 5
"""How long an honest node checks a message."""


class Swarm:
    """Honest nodes by name, and identities that subscribe, GRAFT as often as they may, and forward nothing, or
    everything ``late_ms`` after it came.
    """

    def __init__(self, seed: int, late_ms: int | None = None) -> None:
        self.late_ms = late_ms
        self.visited: defaultdict[str, set[str]] = defaultdict(set)
        self.rng = Random(seed)
        self.now_ms = 0
        self.honest: dict[str, Mesh] = {}
        self.links: defaultdict[str, set[str]] = defaultdict(set)
        self.heard: dict[str, dict[bytes, tuple[int, int]]] = {}
        """By node and message: when it came, and over how many hops."""
        self.sent: dict[bytes, int] = {}
        self.blamed: list[Penalise] = []
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._ties = itertools.count()

    # -- who is there ---------------------------------------------------------------------------------

    def add(self, name: str, *, named: Iterable[str] = ()) -> None:
        """An honest node that listens."""
        self.honest[name] = Mesh(Random(self.rng.random()), lambda _message: True, frozenset(named))
        self.heard[name] = {}
        self._perform(name, self.honest[name].join(TOPIC, 1_000_000))
        self.later(self.rng.randrange(HEARTBEAT_MS), partial(self._beat, name))

    def connect(self, dialler: str, other: str, hosts: tuple[str, str] = ("", "")) -> None:
        """Two honest nodes."""
        for name, peer, host in ((dialler, other, hosts[1]), (other, dialler, hosts[0])):
            self.links[name].add(peer)
            self._perform(name, self.honest[name].peer_joined(peer, host, is_outbound=name == dialler))

    def besiege(self, name: str, enemy: str, host: str) -> None:
        """Such an identity dials an honest node."""
        self.visited[enemy].add(name)
        self._perform(name, self.honest[name].peer_joined(enemy, host, is_outbound=False))
        self.receive(name, enemy, Rpc(subscriptions=(Subscription(TOPIC),)))
        self.receive(name, enemy, GRAFT)

    # -- what happens ---------------------------------------------------------------------------------

    def publish(self, name: str, data: bytes) -> Message:
        message = Message(name.encode(), b"", TOPIC, data)
        self.sent[message.id] = self.now_ms
        self.heard[name][message.id] = (self.now_ms, 0)
        self._perform(name, self.honest[name].publish(message, self.now_ms))
        return message

    def receive(self, name: str, peer: str, rpc: Rpc) -> None:
        self._perform(name, self.honest[name].received(peer, rpc, self.now_ms))

    def run(self, duration_ms: int) -> None:
        until_ms = self.now_ms + duration_ms
        while self._queue and self._queue[0][0] <= until_ms:
            self.now_ms, _, act = heapq.heappop(self._queue)
            act()
        self.now_ms = until_ms

    def later(self, delay_ms: int, act: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (self.now_ms + delay_ms, next(self._ties), act))

    # -- what came of it ------------------------------------------------------------------------------

    def missed(self, message: Message, within_ms: int, hops: int) -> set[str]:
        """The honest nodes that did not hear a message in time, or from too far."""
        sent_ms, far = self.sent[message.id], (1 << 60, 1 << 60)
        return {
            name
            for name, heard in self.heard.items()
            if heard.get(message.id, far)[0] > sent_ms + within_ms or heard.get(message.id, far)[1] > hops
        }

    def enemies_in(self, name: str) -> int:
        return len(self.honest[name].mesh(TOPIC) - self.honest.keys())

    def _beat(self, name: str) -> None:
        self._perform(name, self.honest[name].heartbeat(self.now_ms))
        self.later(HEARTBEAT_MS, partial(self._beat, name))

    def _perform(self, name: str, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(peers, rpc):
                    for peer in peers:
                        self._carry(name, peer, rpc)
                case Check(peer, message):
                    hops = self.heard[peer].get(message.id, (0, 0))[1] + 1 if peer in self.heard else 1
                    self.later(CHECK_MS, partial(self._let_in, name, message, hops))
                case Penalise():
                    self.blamed.append(effect)

    def _carry(self, name: str, peer: str, rpc: Rpc) -> None:
        if peer in self.honest:
            delay_ms = self.rng.randint(*DELAY_MS)
            self.later(delay_ms, partial(self.receive, peer, name, rpc))
        if self.late_ms is not None and peer not in self.honest and rpc.messages:
            for other in sorted(self.visited[peer]):
                self.later(self.late_ms, partial(self.receive, other, peer, Rpc(messages=rpc.messages)))
        for prune in rpc.prune:
            if peer not in self.honest:  # an enemy that keeps to the rules, so that nobody can blame it
                self.later(prune.backoff_s * 1_000 + HEARTBEAT_MS, partial(self.receive, name, peer, GRAFT))

    def _let_in(self, name: str, message: Message, hops: int) -> None:
        self.heard[name].setdefault(message.id, (self.now_ms, hops))
        self._perform(name, self.honest[name].checked(message.id, Verdict.ACCEPT, self.now_ms))
