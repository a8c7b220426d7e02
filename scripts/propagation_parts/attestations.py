"""How attestations travel: every validator signs one a block, and the next leaders need them soon.

A small simulation of its own, without engines: a block spreads through the mesh, each validator signs on having it on
disk, and what it signed goes its way by one of :data:`WAYS`.  Delays, lines and the costs of work are those of the rest
of this study; what one frame on a stream costs was measured beside a message of gossip (:mod:`costs`).
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from random import Random

from scripts.propagation_parts import costs
from scripts.propagation_parts.delays import Delays
from scripts.propagation_parts.mesh import build_mesh
from scripts.propagation_parts.scoreboard import percentile
from scripts.propagation_parts.tables import markdown

SIZES = (4, 31, 100)
BLOCKS = 40
LOOKED_AT_MS = (250, 500, 1_000)
# A leader that is silent is followed by another: who speaks to leaders speaks to so many.
LEADERS = 2
# Peers that a node is connected to: those it dials and those that dial it.  Other leaders are reached through them.
CONNECTIONS = 64
# Peers that are asked to pass on what a leader who is not connected should have.
PROXIES = 2
TRANSACTIONS_A_BLOCK = 100


@dataclass(frozen=True, slots=True)
class Way:
    """How they travel.  Each frame or message holds what came together in ``wait_ms``."""

    name: str
    wait_ms: int = 0
    degree: int = 6
    is_gossip: bool = False
    is_direct: bool = False
    is_batched: bool = True


RELAY = Way("hop by hop, 50 ms, 6 peers", 50)
WAYS = (
    Way("gossip, a message each", is_gossip=True, is_batched=False),
    Way("gossip, batched at each hop", 50, is_gossip=True),
    Way("straight to the next two leaders", 50, is_direct=True),
    RELAY,
    Way("hop by hop, 100 ms, 6 peers", 100),
    Way("hop by hop, 75 ms, 8 peers", 75, 8),
)


@dataclass(frozen=True, slots=True)
class Weather:
    """What goes wrong: nodes that are silent, messages that are lost; both in percent."""

    silent: int = 0
    lost: int = 0


WEATHERS = (Weather(), Weather(silent=10), Weather(lost=20), Weather(silent=10, lost=20), Weather(silent=30, lost=5))


@dataclass(slots=True)
class Travel:
    """What was seen of one way: of all blocks together, and of all nodes."""

    nodes: int
    blocks: int = 0
    expected: int = 0
    frames: int = 0
    bytes: int = 0
    copies: int = 0
    cpu_us: int = 0
    signatures_us: int = 0
    # From the beginning of the slot, and from signing, until the next leader has an attestation.
    at_leader_ms: Counter[int] = field(default_factory=Counter)
    travelled_ms: Counter[int] = field(default_factory=Counter)

    def share_percent(self, within_ms: int) -> float:
        """How many of a hundred attestations the next leader has by then."""
        had = sum(count for ms, count in self.at_leader_ms.items() if ms <= within_ms)
        return 100 * had / self.expected


class Site:
    """One validator's node: where it is, until when it is busy, and what is still to be sent to whom."""

    def __init__(self, number: int, region: str, peers: list[int]) -> None:
        self.number = number
        self.region = region
        self.peers = peers
        self.core_free_us = 0
        self.uplink_free_us = 0
        self.has_block = False
        self.known: set[int] = set()
        self.outboxes: dict[int, set[int]] = {peer: set() for peer in peers}

    def rest(self) -> None:
        """Between blocks everybody becomes idle."""
        self.core_free_us = self.uplink_free_us = 0
        self.has_block = False
        self.known.clear()
        self.outboxes.clear()

    def work_us(self, now_us: int, cost_us: int) -> int:
        """When a piece of work is done, behind all that came before."""
        self.core_free_us = max(now_us, self.core_free_us) + cost_us
        return self.core_free_us

    def depart_us(self, ready_us: int, size: int) -> int:
        """When the last byte of a message has left."""
        self.uplink_free_us = max(ready_us, self.uplink_free_us) + size * 8 // costs.VALIDATOR_UPLOAD_MBPS
        return self.uplink_free_us


class Journey:
    """The attestations of some blocks, one block after the other.  An attestation is its speaker's number."""

    def __init__(self, nodes: int, way: Way, weather: Weather, seed: int) -> None:
        self.way, self.weather, self.random = way, weather, Random(seed)
        self._delays = Delays()
        repeated = self._delays.regions * (nodes // len(self._delays.regions) + 1)
        regions = self.random.sample(repeated, nodes)
        mesh = build_mesh(nodes, min(way.degree, nodes - 1), self.random)
        self.sites = [Site(number, regions[number], mesh[number]) for number in range(nodes)]
        self.connected = {
            frozenset((one, two))
            for one in range(nodes)
            for two in range(one)
            if two in mesh[one] or self.random.randrange(max(CONNECTIONS, nodes - 1)) < CONNECTIONS
        }
        self.travel = Travel(nodes)
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = iter(range(10**9))
        self._now_us = 0

    def run(self, blocks: int) -> Travel:
        """Let so many blocks be made and attested."""
        for number in range(blocks):
            self._block(number)
        return self.travel

    def _block(self, number: int) -> None:
        nodes = len(self.sites)
        order = [(number + step) % nodes for step in range(nodes)]
        self.up = {site for site in order if self.random.randrange(100) >= self.weather.silent}
        self.up.add(order[0])
        self.leader = next((site for site in order[1:] if site in self.up), order[1])
        self.addressed = order[1 : 1 + LEADERS]
        self.signed_us: dict[int, int] = {}
        for site in self.sites:
            site.rest()
        self._now_us = 0
        self._take_block(self.sites[order[0]], None, author=order[0])
        while self._queue:
            self._now_us, _, action = heapq.heappop(self._queue)
            action()
        self.travel.blocks += 1
        self.travel.expected += len(self.signed_us.keys() - {self.leader})

    def _at(self, time_us: int, action: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (time_us, next(self._numbers), action))

    def _carry(self, site: Site, peer: int, ready_us: int, size: int, arrive: Callable[[], None]) -> None:
        gone_us = site.depart_us(ready_us, size)
        is_lost = self.random.randrange(100) < self.weather.lost or peer not in self.up
        if not is_lost:
            self._at(gone_us + self._delays.one_way_us(site.region, self.sites[peer].region), arrive)

    # ------------------------------------------------------------------------------------------------ the block

    def _take_block(self, site: Site, sender: int | None, author: int) -> None:
        if site.has_block:
            site.work_us(self._now_us, costs.FURTHER_COPY_US)
            return
        site.has_block = True
        checked_us = site.work_us(self._now_us, costs.FIRST_COPY_US + costs.SIGNATURE_US)
        size = costs.ID_BYTES * TRANSACTIONS_A_BLOCK + costs.ENVELOPE_BYTES
        for peer in site.peers:
            if peer != sender:
                arrive = partial(self._take_block, self.sites[peer], site.number, author)
                self._carry(site, peer, checked_us, size, arrive)
        applied_us = site.work_us(checked_us, costs.BLOCK_US + costs.EXECUTION_US * TRANSACTIONS_A_BLOCK)
        if site.number != author:
            stored_us = applied_us + 1_000 * self.random.randint(1, costs.COMMIT_MS)
            self._at(stored_us, partial(self._sign, site))

    def _sign(self, site: Site) -> None:
        self.signed_us[site.number] = self._now_us
        site.known.add(site.number)
        self._offer(site, site.number, set(self._targets(site, site.number)))

    # ------------------------------------------------------------------------------------------ the attestations

    def _targets(self, site: Site, speaker: int) -> Iterator[int]:
        """Whom it is to be sent to: the peers of the mesh, or the leaders, or who can reach them."""
        if not self.way.is_direct:
            yield from site.peers
            return
        for leader in self.addressed:
            if frozenset((site.number, leader)) in self.connected:
                yield leader
            elif speaker == site.number:
                near = [peer for peer in range(len(self.sites)) if frozenset((site.number, peer)) in self.connected]
                yield from self.random.sample(near, PROXIES)

    def _offer(self, site: Site, speaker: int, targets: set[int]) -> None:
        wait_ms = 0 if self.way.is_direct and speaker == site.number else self.way.wait_ms
        for peer in sorted(targets - {site.number, speaker}):
            outbox = site.outboxes.setdefault(peer, set())
            if not self.way.is_batched:
                self._at(self._now_us, partial(self._send, site, peer, {speaker}))
                continue
            if not outbox:
                self._at(self._now_us + 1_000 * wait_ms, partial(self._flush, site, peer))
            outbox.add(speaker)

    def _flush(self, site: Site, peer: int) -> None:
        outbox = site.outboxes[peer]
        if outbox:
            self._send(site, peer, set(outbox))
            outbox.clear()

    def _send(self, site: Site, peer: int, speakers: set[int]) -> None:
        size = len(speakers) * costs.ATTESTATION_BYTES
        size += costs.ENVELOPE_BYTES if self.way.is_gossip else costs.FRAME_BYTES
        cost_us = 0 if self.way.is_gossip else costs.FRAME_SENT_US
        self.travel.frames += 1
        self.travel.bytes += size
        ready_us = self._work_us(site, cost_us)
        self._carry(site, peer, ready_us, size, partial(self._take, self.sites[peer], site.number, speakers))

    def _take(self, site: Site, sender: int, speakers: set[int]) -> None:
        fresh = speakers - site.known
        site.known |= fresh
        self.travel.copies += len(speakers)
        self.travel.signatures_us += costs.SIGNATURE_US * len(fresh)
        if not self.way.is_gossip:
            site.outboxes.get(sender, set()).difference_update(speakers)
        self._work_us(site, self._reading_us(fresh) + costs.ITEM_US * len(speakers))
        done_us = site.work_us(self._now_us, costs.SIGNATURE_US * len(fresh))
        for speaker in sorted(fresh):
            if site.number == self.leader:
                self.travel.at_leader_ms[-(-done_us // 1_000)] += 1
                self.travel.travelled_ms[-(-(done_us - self.signed_us[speaker]) // 1_000)] += 1
            targets = set(self._targets(site, speaker)) - {sender}
            self._at(done_us, partial(self._offer, site, speaker, targets))

    def _reading_us(self, fresh: set[int]) -> int:
        if not self.way.is_gossip:
            return costs.FRAME_TAKEN_US
        return costs.FIRST_COPY_US if fresh or self.way.is_batched else costs.FURTHER_COPY_US

    def _work_us(self, site: Site, cost_us: int) -> int:
        self.travel.cpu_us += cost_us
        return site.work_us(self._now_us, cost_us)


@dataclass(frozen=True, slots=True)
class TravelRow:
    """One way in one weather.  What is ``_per_block`` is of one node; CPU is without what signatures cost."""

    nodes: int
    way: str
    silent: int
    lost: int
    shares_percent: tuple[float, ...]
    travelled_ms: tuple[int | None, int | None]
    frames_per_block: float
    copies_per_block: float
    kilobytes_per_block: float
    cpu_ms_per_block: float
    signatures_ms_per_block: float


def study(sizes: tuple[int, ...] = SIZES, blocks: int = BLOCKS) -> list[TravelRow]:
    """Every way at each size in each weather; the same for everybody who runs it."""
    return [
        _row(way, weather, Journey(nodes, way, weather, seed=nodes).run(blocks))
        for nodes in sizes
        for way in WAYS
        for weather in WEATHERS
    ]


def table(rows: list[TravelRow]) -> str:
    """The rows as a table: a line for each size and way, with what it costs when nothing goes wrong."""
    columns = (
        "validators", "way", *(f"{w.silent} / {w.lost} %" for w in WEATHERS),
        "on its way ms", "frames", "copies", "kB sent", "CPU ms",
    )  # fmt: skip
    lines = []
    for fine in (row for row in rows if not (row.silent or row.lost)):
        same = [row for row in rows if (row.nodes, row.way) == (fine.nodes, fine.way)]
        cells = [" / ".join(f"{share:.0f}" for share in row.shares_percent) for row in same]
        costs_of_it = (fine.frames_per_block, fine.copies_per_block, fine.kilobytes_per_block, fine.cpu_ms_per_block)
        way_ms = " / ".join("–" if ms is None else str(ms) for ms in fine.travelled_ms)
        lines.append((str(fine.nodes), fine.way, *cells, way_ms, *map(str, costs_of_it)))
    return markdown(columns, lines)


def _row(way: Way, weather: Weather, travel: Travel) -> TravelRow:
    each = travel.nodes * travel.blocks
    return TravelRow(
        travel.nodes,
        way.name,
        weather.silent,
        weather.lost,
        tuple(round(travel.share_percent(ms), 1) for ms in LOOKED_AT_MS),
        (percentile(travel.travelled_ms, 50), percentile(travel.travelled_ms, 95)),
        round(travel.frames / each, 1),
        round(travel.copies / each, 1),
        round(travel.bytes / each / 1_000, 1),
        round(travel.cpu_us / each / 1_000, 1),
        round(travel.signatures_us / each / 1_000, 1),
    )
