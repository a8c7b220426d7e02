"""Messages on their way: announcements and transactions through the mesh, requests to one peer.

A node takes a message off the wire, checks it, passes it on to its mesh peers but the one it came from, and then lets
its engine see it: the order of things in :mod:`p2p.protocol` and GossipSub.  Its work waits in one queue, what it
sends in another, so a slow line or a busy core delays whatever comes behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256

from chain.protocol.admission import Blamed, Dropped, Known
from chain.protocol.events import BlockAnnounced, BlocksReceived, Event, MissingReceived, Request
from chain.protocol.messages import MAX_BATCH_TRANSACTIONS, Announcement, RawItems
from scripts.propagation_parts import costs
from scripts.propagation_parts.delays import Delays
from scripts.simulation.network import Network
from scripts.simulation.node import SimulatedNode
from scripts.simulation.wire import Announced, Attested, Batch, Gossip
from scripts.simulation.world import World


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message of gossip on its way; ``check_us`` before it is passed on, ``apply_us`` after."""

    id: bytes
    message: Gossip
    bytes: int
    check_us: int
    apply_us: int

    @property
    def is_block(self) -> bool:
        return isinstance(self.message, Announced)


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
        self.tallies: dict[type[Gossip], Tally] = {Announced: Tally(), Batch: Tally(), Attested: Tally()}

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

    def broadcast(self, sender: SimulatedNode, message: Gossip) -> None:
        """Publish to the mesh."""
        wire = self.wires[sender.name]
        parcel = self._parcel(message)
        # Who makes a block executes it, too; everything else is collected first.
        ready_us = wire.work_us(1_000 * self.world.now_ms, parcel.apply_us)
        wire.seen.add(parcel.id)
        self._forward(wire, parcel, ready_us if parcel.is_block else ready_us + costs.BATCH_WAIT_US, None)

    def _parcel(self, message: Gossip) -> Parcel:
        parcel_id = sha256(message.data).digest()
        if isinstance(message, Announced):
            announcement = Announcement.decode(message.data)
            ids = len(announcement.transaction_ids) * self.bundle
            bare = Announcement(announcement.header, announcement.ballot, ())
            size = len(bare.encode()) + costs.ID_BYTES * ids + costs.ENVELOPE_BYTES
            apply_us = costs.BLOCK_US + costs.EXECUTION_US * ids
            return Parcel(parcel_id, message, size, costs.SIGNATURE_US, apply_us)
        items = RawItems.decode(message.data, max_items=MAX_BATCH_TRANSACTIONS).items
        if isinstance(message, Attested):
            size = len(message.data) + costs.ENVELOPE_BYTES
            return Parcel(parcel_id, message, size, costs.SIGNATURE_US * len(items), 0)
        count = len(items) * self.bundle
        size = count * costs.TRANSACTION_BYTES + costs.ENVELOPE_BYTES
        return Parcel(parcel_id, message, size, costs.SIGNATURE_US * count, 0)

    def ask(self, asker: SimulatedNode, peer: str, request: Request) -> None:
        """A request, answered without fail: nothing gets lost here."""
        here, there = self.wires[asker.name], self.wires[peer]
        way_us = self._delays.one_way_us(here.region, there.region)

        def arrive() -> None:
            answer = there.node.answer(request)
            if answer is not None:
                reply, _ = asker.door.open_reply(peer, request, answer)
                gone_us = there.depart_us(1_000 * self.world.now_ms, self._reply_bytes(reply))
                done_us = here.work_us(gone_us + way_us, self._reply_us(reply))
                self._at(done_us, partial(asker.receive, reply))

        asked_us = here.depart_us(1_000 * self.world.now_ms, len(request.encode()) + costs.ENVELOPE_BYTES)
        self._at(asked_us + way_us, arrive)

    # ------------------------------------------------------------------------------------------------- the wire

    # These two run for each copy of each message, ten thousand times a block: they reach for nothing twice.

    def _forward(self, wire: Wire, parcel: Parcel, ready_us: int, skip: Wire | None) -> None:
        later, now_ms, arrive = self.world.schedule.later, self.world.schedule.now_ms, self._arrive
        tally = wire.tallies[type(parcel.message)]
        sending_us = parcel.bytes * 8 // wire.upload_mbps
        gone_us = max(ready_us, wire.uplink_free_us)
        for other, way_us in wire.links:
            if other is not skip:
                gone_us += sending_us
                tally.sent_bytes += parcel.bytes
                later(-(-(gone_us + way_us) // 1_000) - now_ms, partial(arrive, other, wire, parcel))
        wire.uplink_free_us = gone_us

    def _arrive(self, wire: Wire, sender: Wire, parcel: Parcel) -> None:
        now_us = 1_000 * self.world.schedule.now_ms
        tally = wire.tallies[type(parcel.message)]
        tally.received += 1
        if parcel.id in wire.seen:
            tally.duplicates += 1
            wire.core_free_us = max(now_us, wire.core_free_us) + costs.FURTHER_COPY_US
            return
        wire.seen.add(parcel.id)
        checked_us = wire.work_us(now_us, costs.FIRST_COPY_US + parcel.check_us)
        node = wire.node
        outcome = node.door.let_in(sender.node.name, parcel.message, node.engine.chain, node.now_ms)
        if isinstance(outcome, Dropped | Blamed):
            return  # no news: passed on neither to the mesh nor to the engine
        if isinstance(outcome, BlockAnnounced) and not outcome.announcement.is_news:
            return  # evidence at most
        self._forward(wire, parcel, checked_us, sender)
        if not isinstance(outcome, Known):
            self._at(wire.work_us(checked_us, parcel.apply_us), partial(node.receive, outcome))

    def _at(self, time_us: int, action: Callable[[], None]) -> None:
        schedule = self.world.schedule
        schedule.later(max(0, -(-time_us // 1_000) - schedule.now_ms), action)

    def _ways_ms(self, sender: str, receiver: str, _size: int = 0) -> Iterator[int]:
        yield self._delays.one_way_us(self.wires[sender].region, self.wires[receiver].region) // 1_000

    def _reply_bytes(self, reply: Event) -> int:
        count = self._count(reply) * self.bundle
        blocks = reply.blocks if isinstance(reply, BlocksReceived) else ()
        headers = sum(len(block.header.raw) + len(block.ballot.raw) for block in blocks)
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
