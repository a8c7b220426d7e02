"""Messages on their way: announcements and transactions through the mesh, requests to one peer.

A node takes a message off the wire, checks it, passes it on to its mesh peers but the one it came from, and then lets
its engine see it: the order of things in :mod:`p2p.protocol` and GossipSub.  Its work waits in one queue, what it
sends in another, so a slow line or a busy core delays whatever comes behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256

from chain.events import BlockAnnounced, BlocksReceived, Event, MissingReceived, Request, TransactionsReceived
from chain.headers import Header
from chain.messages import Announcement
from scripts.propagation_parts import costs
from scripts.propagation_parts.delays import Delays
from scripts.simulation.network import Network
from scripts.simulation.node import SimulatedNode
from scripts.simulation.world import World


@dataclass(frozen=True, slots=True)
class Message:
    """One message of gossip; ``check_us`` before it is passed on, ``apply_us`` after."""

    id: bytes
    event: BlockAnnounced | TransactionsReceived
    bytes: int
    check_us: int
    apply_us: int
    header: Header | None = None


@dataclass(slots=True)
class Tally:
    """What one node did for one kind of message."""

    received: int = 0
    duplicates: int = 0
    sent_bytes: int = 0


class Wire:
    """One node's place in the network: who it talks to, how fast, and until when it is busy."""

    def __init__(self, node: SimulatedNode, region: str, upload_mbps: int) -> None:
        self.node = node
        self.region = region
        self.upload_mbps = upload_mbps
        self.links: list[tuple[Wire, int]] = []
        self.seen: set[bytes] = set()
        self.uplink_free_us = 0
        self.core_free_us = 0
        self.blocks = Tally()
        self.transactions = Tally()

    def depart_us(self, ready_us: int, size: int) -> int:
        """When the last byte of a message has left, behind all that was sent before."""
        self.uplink_free_us = max(ready_us, self.uplink_free_us) + size * 8 // self.upload_mbps
        return self.uplink_free_us

    def work_us(self, ready_us: int, cost_us: int) -> int:
        """When a piece of work is done, behind all that came before."""
        self.core_free_us = max(ready_us, self.core_free_us) + cost_us
        return self.core_free_us


class WideArea(Network):
    """A network of gossip over real distances.  One transaction on it stands for ``bundle`` of them."""

    def __init__(self, world: World, delays: Delays, bundle: int) -> None:
        super().__init__(world)
        self.bundle = bundle
        self.wires: dict[str, Wire] = {}
        self._delays = delays

    def place(self, node: SimulatedNode, region: str, upload_mbps: int) -> None:
        """A node gets a place on the map."""
        self.wires[node.name] = Wire(node, region, upload_mbps)

    def connect(self, mesh: list[list[int]]) -> None:
        """Link the nodes, in the order in which they were placed."""
        wires = list(self.wires.values())
        for wire, peers in zip(wires, mesh, strict=True):
            wire.links = [(wires[peer], self._delays.one_way_us(wire.region, wires[peer].region)) for peer in peers]

    # ------------------------------------------------------------------------------------------- what nodes use

    def join(self, node: SimulatedNode) -> None:
        """Hello to the mesh peers that are up already."""
        for other, _ in self.wires[node.name].links:
            if other.node.is_up:
                self.meet(node, other.node)

    def broadcast(self, sender: SimulatedNode, event: Event) -> None:
        """Publish to the mesh."""
        wire = self.wires[sender.name]
        now_us = 1_000 * self.world.now_ms
        if isinstance(event, BlockAnnounced):
            ids = len(event.transaction_ids) * self.bundle
            size = len(Announcement(event.header.raw, ()).encode()) + costs.ID_BYTES * ids + costs.ENVELOPE_BYTES
            apply_us = costs.BLOCK_US + costs.EXECUTION_US * ids
            message = Message(event.header.id, event, size, costs.SIGNATURE_US, apply_us, event.header)
            ready_us = wire.work_us(now_us, apply_us)  # who makes a block executes it, too
        elif isinstance(event, TransactionsReceived):
            count = len(event.transactions) * self.bundle
            batch_id = sha256(b"".join(item.id for item in event.transactions)).digest()
            size = count * costs.TRANSACTION_BYTES + costs.ENVELOPE_BYTES
            message = Message(batch_id, event, size, costs.SIGNATURE_US * count, 0)
            ready_us = wire.work_us(now_us, 0) + costs.BATCH_WAIT_US
        else:
            raise TypeError(f"{type(event).__name__} is no gossip")
        wire.seen.add(message.id)
        self._forward(wire, message, ready_us, None)

    def ask(self, asker: SimulatedNode, peer: str, request: Request) -> None:
        """A request, answered without fail: nothing gets lost here."""
        here, there = self.wires[asker.name], self.wires[peer]
        way_us = self._delays.one_way_us(here.region, there.region)

        def arrive() -> None:
            reply = there.node.answer(request)
            if reply is not None:
                gone_us = there.depart_us(1_000 * self.world.now_ms, self._reply_bytes(reply))
                done_us = here.work_us(gone_us + way_us, self._reply_us(reply))
                self._at(done_us, partial(asker.receive, reply))

        asked_us = here.depart_us(1_000 * self.world.now_ms, len(request.encode()) + costs.ENVELOPE_BYTES)
        self._at(asked_us + way_us, arrive)

    # ------------------------------------------------------------------------------------------------- the wire

    # These two run for each copy of each message, ten thousand times a block: they reach for nothing twice.

    def _forward(self, wire: Wire, message: Message, ready_us: int, skip: Wire | None) -> None:
        later, now_ms, arrive = self.world.schedule.later, self.world.schedule.now_ms, self._arrive
        tally = wire.blocks if message.header is not None else wire.transactions
        sending_us = message.bytes * 8 // wire.upload_mbps
        gone_us = max(ready_us, wire.uplink_free_us)
        for other, way_us in wire.links:
            if other is not skip:
                gone_us += sending_us
                tally.sent_bytes += message.bytes
                later(-(-(gone_us + way_us) // 1_000) - now_ms, partial(arrive, other, wire, message))
        wire.uplink_free_us = gone_us

    def _arrive(self, wire: Wire, sender: Wire, message: Message) -> None:
        now_us, header = 1_000 * self.world.schedule.now_ms, message.header
        tally = wire.blocks if header is not None else wire.transactions
        tally.received += 1
        if message.id in wire.seen:
            tally.duplicates += 1
            wire.core_free_us = max(now_us, wire.core_free_us) + costs.FURTHER_COPY_US
            return
        wire.seen.add(message.id)
        checked_us = wire.work_us(now_us, costs.FIRST_COPY_US + message.check_us)
        if header is not None and header.height <= wire.node.engine.chain.finalized.height:
            return  # no news: p2p.protocol passes it on neither to the mesh nor to the engine
        self._forward(wire, message, checked_us, sender)
        event = replace(message.event, peer=sender.node.name)
        self._at(wire.work_us(checked_us, message.apply_us), partial(wire.node.receive, event))

    def _at(self, time_us: int, action: Callable[[], None]) -> None:
        schedule = self.world.schedule
        schedule.later(max(0, -(-time_us // 1_000) - schedule.now_ms), action)

    def _ways_ms(self, sender: str, receiver: str) -> Iterator[int]:
        yield self._delays.one_way_us(self.wires[sender].region, self.wires[receiver].region) // 1_000

    def _reply_bytes(self, reply: Event) -> int:
        count = self._count(reply) * self.bundle
        headers = sum(len(block.header.raw) for block in reply.blocks) if isinstance(reply, BlocksReceived) else 0
        return headers + count * costs.TRANSACTION_BYTES + costs.ENVELOPE_BYTES

    def _reply_us(self, reply: Event) -> int:
        blocks = len(reply.blocks) if isinstance(reply, BlocksReceived) else 0
        each_us = costs.SIGNATURE_US + costs.EXECUTION_US
        return blocks * (costs.SIGNATURE_US + costs.BLOCK_US) + self._count(reply) * self.bundle * each_us

    @staticmethod
    def _count(reply: Event) -> int:
        if isinstance(reply, BlocksReceived):
            return sum(len(block.transactions) for block in reply.blocks)
        return len(reply.transactions) if isinstance(reply, MissingReceived) else 0
