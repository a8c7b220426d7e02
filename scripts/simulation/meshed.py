"""A network as a manifest has it: links of their own, and gossip through the very meshes that nodes run.

Transactions and announcements go from mesh to mesh (:mod:`p2p.meshsub`); attestations, claims and requests go straight
to whom they are for.  What is sent while its way is cut gets lost: whoever meets again asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from random import Random

from chain.protocol.messages import MAX_ANNOUNCEMENT_BYTES, MAX_BATCH_BYTES
from p2p.meshsub.effects import Check, Effect, Penalise, Send, Verdict
from p2p.meshsub.mesh import Mesh
from p2p.meshsub.parts import Message as Gossiped
from p2p.meshsub.parts import Rpc, Subscription
from scripts.manifest_parts.lines import Links
from scripts.simulation.network import REQUEST_BYTES, Network
from scripts.simulation.node import SimulatedNode
from scripts.simulation.wire import Announced, Batch, Gossip, Message
from scripts.simulation.world import World

HEARTBEAT_MS = 1_000
# What a message takes on the way through a machine, whatever its link.
HOP_MS = 1
FRAME_BYTES = 60
TOPICS = {"blocks": MAX_ANNOUNCEMENT_BYTES, "transactions": MAX_BATCH_BYTES}
GRAFT = Rpc(graft=tuple(TOPICS))


class MeshedNetwork(Network):
    """``is_seeded``: nodes name nobody; else each names all others, as those of a testnet do."""

    def __init__(self, world: World, links: Links, *, is_seeded: bool) -> None:
        super().__init__(world)
        self.links = links
        self._is_seeded = is_seeded
        self._meshes: dict[str, Mesh] = {}
        self._generations: dict[str, int] = {}
        self._is_let_in = False

    # ---------------------------------------------------------------------------------------------- for nodes

    def join(self, node: SimulatedNode) -> None:
        if self._generations.get(node.name) != node.generation:
            self._begin(node)
        super().join(node)

    def leave(self, node: SimulatedNode) -> None:
        super().leave(node)
        self._meshes.pop(node.name, None)
        for other in self._meshes.values():
            other.peer_left(node.name)

    def meet(self, one: SimulatedNode, two: SimulatedNode) -> None:
        if one.is_up and two.is_up:
            self._link(one, two)
            self._link(two, one)
        super().meet(one, two)

    def cut(self, ways: Iterable[tuple[str, str]], *, noticed: bool) -> None:
        ways = list(ways)
        super().cut(ways, noticed=noticed)
        for one, two in ways if noticed else ():
            if one in self._meshes:
                self._perform(one, self._meshes[one].peer_left(two))

    def broadcast(self, sender: SimulatedNode, message: Gossip) -> None:
        topic = _topic(message)
        if not topic:
            super().broadcast(sender, message)
            return
        gossiped = Gossiped(sender.name.encode(), b"", topic, message.data)
        self._perform(sender.name, self._meshes[sender.name].publish(gossiped, self.world.now_ms))
        for stranger in self.world.strangers:
            self.world.schedule.later(1, partial(stranger.overhear, message))

    def pass_on(self, node: SimulatedNode, sender: str, message: Message) -> None:
        if _topic(message):
            self._is_let_in = True
        else:
            super().pass_on(node, sender, message)

    def send(self, sender: str, receiver: SimulatedNode, message: Message) -> None:
        topic = _topic(message)
        if topic:
            self._carry(sender, receiver.name, Rpc(messages=(Gossiped(sender.encode(), b"", topic, message.data),)))
        else:
            super().send(sender, receiver, message)

    # ------------------------------------------------------------------------------------------ for strangers

    def visit(self, name: str, node: SimulatedNode, *, wants_places: bool = False) -> None:
        """Somebody without an engine dials a node, and listens to all; or even asks for a place in its meshes."""
        mesh = self._meshes.get(node.name)
        if mesh is None:
            return
        self._perform(node.name, mesh.peer_joined(name, "", is_outbound=False))
        self._hear(name, node.name, Rpc(subscriptions=tuple(map(Subscription, TOPICS))))
        if wants_places:
            self._hear(name, node.name, GRAFT)

    def depart(self, name: str, node: SimulatedNode) -> None:
        """It is gone."""
        if node.name in self._meshes:
            self._perform(node.name, self._meshes[node.name].peer_left(name))

    # --------------------------------------------------------------------------------------------- the meshes

    def _begin(self, node: SimulatedNode) -> None:
        named = () if self._is_seeded else [other.name for other in self.world.nodes if other is not node]
        mesh = Mesh(Random(f"mesh {self.world.seed} {node.name}"), lambda _message: True, frozenset(named))
        self._meshes[node.name], self._generations[node.name] = mesh, node.generation
        for topic, max_bytes in TOPICS.items():
            mesh.join(topic, max_bytes)
        self.world.schedule.later(self.world.random.randrange(HEARTBEAT_MS), partial(self._beat, node, node.generation))

    def _beat(self, node: SimulatedNode, generation: int) -> None:
        if node.generation != generation or not node.is_up:
            return
        if not node.is_frozen:
            self._perform(node.name, self._meshes[node.name].heartbeat(self.world.now_ms))
        self.world.schedule.later(HEARTBEAT_MS, partial(self._beat, node, generation))

    def _link(self, node: SimulatedNode, other: SimulatedNode) -> None:
        mesh = self._meshes.get(node.name)
        if mesh is None or other.name in mesh.peers:
            return
        is_outbound = self.world.nodes.index(node) < self.world.nodes.index(other)
        self._perform(node.name, mesh.peer_joined(other.name, "", is_outbound=is_outbound))
        leads = other.key is not None and other.key.public in node.engine.chain.electorate.leaders
        self._perform(node.name, mesh.vouch(other.name, leads))

    def _perform(self, name: str, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(peers, rpc):
                    for peer in peers:
                        self._carry(name, peer, rpc)
                case Check(peer, message):
                    self._check(name, peer, message)
                case Penalise(peer, fault, why):
                    self.world.by_name[name].say(f"holds against {peer} that it {why} ({fault.value})")

    def _carry(self, sender: str, receiver: str, rpc: Rpc) -> None:
        size = FRAME_BYTES * rpc.parts + sum(len(message.data) for message in rpc.messages)
        for delay_ms in self._ways_ms(sender, receiver, size):
            if receiver in self._generations:
                generation = self._generations[receiver]
                self.world.schedule.later(delay_ms, partial(self._arrive, sender, receiver, rpc, generation))
            else:
                self._answer(sender, receiver, rpc)

    def _arrive(self, sender: str, receiver: str, rpc: Rpc, generation: int) -> None:
        node = self.world.by_name[receiver]
        if node.is_up and not node.is_frozen and node.generation == generation:
            self._hear(sender, receiver, rpc)

    def _hear(self, sender: str, receiver: str, rpc: Rpc) -> None:
        self._perform(receiver, self._meshes[receiver].received(sender, rpc, self.world.now_ms))

    def _answer(self, node: str, stranger: str, rpc: Rpc) -> None:
        """A stranger that lost its place asks again as soon as it may, so that nobody can blame it."""
        for prune in rpc.prune:
            again = partial(self._graft_again, stranger, node, prune.topic)
            self.world.schedule.later(prune.backoff_s * 1_000 + HEARTBEAT_MS, again)

    def _graft_again(self, stranger: str, node: str, topic: str) -> None:
        if node in self._meshes and stranger in self._meshes[node].peers:
            self._hear(stranger, node, Rpc(graft=(topic,)))

    def _check(self, name: str, peer: str, gossiped: Gossiped) -> None:
        node = self.world.by_name[name]
        kind: Callable[[bytes], Announced | Batch] = Announced if gossiped.topic == "blocks" else Batch
        self._is_let_in = False
        blamed = node.blames
        node.hear(peer, kind(gossiped.data))
        refused = Verdict.REJECT if node.blames > blamed else Verdict.IGNORE
        verdict = Verdict.ACCEPT if self._is_let_in else refused
        if name in self._meshes:  # it may have died of what it heard
            self._perform(name, self._meshes[name].checked(gossiped.id, verdict, self.world.now_ms))

    # ---------------------------------------------------------------------------------------------- the wire

    def _ways_ms(self, sender: str, receiver: str, _size: int = REQUEST_BYTES) -> Iterator[int]:
        if (sender, receiver) in self._blocked:
            return
        self.sent += 1
        now_ms = self.world.now_ms
        yield HOP_MS + self.links.way(sender, receiver).arrival_ms(now_ms, _size) - now_ms


def _topic(message: Message) -> str:
    """The topic that a message is of, "" if it is not gossiped through meshes."""
    match message:
        case Announced():
            return "blocks"
        case Batch():
            return "transactions"
        case _:
            return ""
