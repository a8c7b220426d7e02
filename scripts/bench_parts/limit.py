"""What four validators carry: an open loop that rises until they miss slots, then as much of that as they can hold."""

from __future__ import annotations

import os
import tempfile
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

import trio

from chain.base.errors import OperatorError
from chain.content.blocks import MAX_BLOCK_TRANSACTIONS
from chain.content.genesis import Genesis
from p2p.client import AsyncClient, HeadMove
from scripts.bench_parts.chainwork import verify_rate
from scripts.bench_parts.offer import Loader, Offer, Presigner, loader_ceiling
from scripts.console import remark
from scripts.testnet_parts.confirm import FinalReader
from scripts.testnet_parts.feed import BATCH
from scripts.testnet_parts.homes import TestnetHome, open_testnet
from scripts.testnet_parts.nodes import NodeProcess, running
from scripts.testnet_parts.shape import Wanted
from scripts.testnet_parts.verdict import percentile, propagation_ms

NODES = 4
MEMBERS = 3_000
ENROL_PER_S = 1_000
# Blocks of 500.
CALM_PER_S, CALM_S = 500, 15
# The rise begins with this part of what the nodes' verifiers could check, and takes so long to what blocks hold.
START, RISE_S = 0.1, 60.0
# A rise of a minute passes what can be held for long: less is tried until every slot is kept and nothing is refused.
SHARES = (0.95, 0.85, 0.75, 0.65)
# Nothing rises beyond what blocks hold: they are full, and everything else waits.
MOST_PER_SLOT = 1.1 * MAX_BLOCK_TRANSACTIONS
# One missed slot may be an accident of the machine.
MISSED, WITHIN_SLOTS = 2, 8
# The limit is what so many slots in a row took; few, since it is behind the rise by half of them.
BEST_SLOTS = 5
# Nodes wait for the slot, and a block for its leader; what waits longer than this piles up.
PATIENT_SLOTS = 4
# Each node is asked so often, one after the other: finality is seen four times as finely.
LOOK_S = 0.4
DRAIN_S = 90.0
READY_S = 60.0


@dataclass(frozen=True, slots=True)
class Limit:
    """What was found by rising: transactions a second, why it was no more, and what the loader alone sends."""

    per_s: float
    why: str
    loader_per_s: float
    verify_per_s: float

    @property
    def signatures_per_s(self) -> float:
        """If each node checked each signature once, and nothing else was done on these cores."""
        return self.verify_per_s * (os.cpu_count() or 1) / NODES


@dataclass(frozen=True, slots=True)
class Held:
    """What the nodes did at a rate near their limit; CPU is in milliseconds a rating.

    ``late_s`` is how far the loader fell behind its schedule at most.
    """

    offered_per_s: float
    final_per_s: float
    slots: int
    kept: int
    reorgs: int
    refused: int
    lost: int
    cpu_ms: float
    loader_cpu_ms: float
    late_s: float
    p50_s: float
    p95_s: float
    block_p50_ms: int
    block_p95_ms: int
    rss_mb: float


@dataclass(frozen=True, slots=True)
class Carried:
    """What four validators carry: little, as much as they can, and for a while the ``share`` of it that they hold."""

    calm: Held
    limit: Limit
    share: float
    held: Held


def measure_limit(seconds: float) -> Carried:
    """Offer blocks of 500, find the limit, and hold the most of :data:`SHARES` of it for ``seconds``."""
    with tempfile.TemporaryDirectory() as folder:
        home = open_testnet(Path(folder) / "testnet", Wanted(nodes=NODES, observers=0, slot_ms=None))
        return trio.run(_measure, home, seconds)


# ------------------------------------------------------------------------------------------- when it is too much


def trouble(
    blocks: Mapping[int, HeadMove], slots: range, waiting: float, per_slot: float, refused: Mapping[str, int]
) -> str | None:
    """Why the nodes take no more, if they do not.

    ``blocks`` are those of the main chain by slot, ``slots`` those that are over, ``waiting`` is what no block holds
    yet of a load of ``per_slot``.
    """
    if refused:
        return f"{sum(refused.values())} refused ({', '.join(sorted(refused))})"
    missed = [slot for slot in slots[-WITHIN_SLOTS:] if slot not in blocks]
    if len(missed) >= MISSED:
        return f"{len(missed)} of {WITHIN_SLOTS} slots missed"
    if waiting > PATIENT_SLOTS * per_slot:
        return f"{waiting:,.0f} wait for a block"
    return None


def most_taken(blocks: Mapping[int, HeadMove], slots: Sequence[int]) -> float:
    """Transactions a slot: the most that :data:`BEST_SLOTS` in a row took."""
    counts = [blocks[slot].transactions if slot in blocks else 0 for slot in slots]
    sums = [sum(counts[start : start + BEST_SLOTS]) for start in range(len(counts) - BEST_SLOTS + 1)]
    return max(sums, default=0) / BEST_SLOTS


# ------------------------------------------------------------------------------------------------------ the run


#: Slot, height and the ids of the transactions of a final block.
_Final: TypeAlias = tuple[int, int, list[bytes]]


class Watch:
    """What the nodes say while they are fed.  ``final`` holds each new final height and when it was seen."""

    def __init__(self, genesis: Genesis, nodes: Sequence[NodeProcess], client: AsyncClient) -> None:
        self.genesis = genesis
        self.nodes = nodes
        self.final: list[tuple[int, float]] = [(0, 0.0)]
        self._client = client

    async def run(self) -> None:
        """Ask one node after the other, until cancelled."""
        async with trio.open_nursery() as nursery:
            for index, node in enumerate(self.nodes):
                nursery.start_soon(self._follow, node, index * LOOK_S / len(self.nodes))

    async def _follow(self, node: NodeProcess, delay_s: float) -> None:
        await trio.sleep(delay_s)
        while True:
            await node.refresh(self._client, time.monotonic())
            await node.refresh_moves(self._client)
            height = node.told["finalized_height"]
            if height > self.final[-1][0]:
                self.final.append((height, trio.current_time()))
            await trio.sleep(LOOK_S)

    def seen_final(self, height: int) -> float:
        """When the block at ``height`` was first seen to be final."""
        return self.final[bisect_left(self.final, (height, 0.0))][1]

    @property
    def slot(self) -> int:
        """The slot that it is."""
        return self.genesis.slot_at(time.time_ns() // 1_000_000)

    @property
    def included(self) -> int:
        """Transactions on the main chain of the node that has most."""
        return max(node.told["transactions"] for node in self.nodes)

    @property
    def cpu_s(self) -> float:
        """CPU time of all nodes."""
        return sum(node.cpu_s for node in self.nodes)

    def blocks(self) -> dict[int, HeadMove]:
        """The newest main chain that the first node told of, by slot."""
        heights = {move.height: move for move in self.nodes[0].moves}
        return {move.slot: move for move in heights.values()}

    @property
    def reorgs(self) -> int:
        """The most that a node went through."""
        return max(node.told["reorgs"] for node in self.nodes)

    def propagation_ms(self, slots: range) -> list[int]:
        """How long the blocks of ``slots`` took to each other node."""
        moves = {node.name: [move for move in node.moves if move.slot in slots] for node in self.nodes}
        return propagation_ms(moves, dict.fromkeys(moves, 0))

    @property
    def final_everywhere(self) -> int:
        """Transactions that are final on all nodes."""
        return min(node.told["final_transactions"] for node in self.nodes)


async def _measure(home: TestnetHome, seconds: float) -> Carried:
    verify = verify_rate()
    start = START * verify * (os.cpu_count() or 1) / NODES
    most = MOST_PER_SLOT * 1_000 / home.genesis.slot_ms
    rise, calm = Offer(start, (most - start) / RISE_S), Offer(CALM_PER_S)
    counts = MEMBERS, CALM_PER_S * CALM_S, rise.count(most)
    async with AsyncClient() as client:
        with Presigner(
            home.genesis, home.shape.seed, MEMBERS, sum(counts) + round(len(SHARES) * most * seconds)
        ) as signer:
            remark(f"limit: signing {sum(counts):,} transactions …")
            enrolments, few, many = [await _signed(signer, count) for count in counts]
            alone = await loader_ceiling(client, many)
            async with _running(home, client) as watch, trio.open_nursery() as nursery:
                nursery.start_soon(watch.run)
                run = _Run(home, client, watch)
                await run.enrol(enrolments)
                remark(f"limit: offering {calm.per_s:,.0f} a second …")
                calmly = await run.hold(few, calm)
                remark(f"limit: rising from {rise.per_s:,.0f} a second by {rise.growth_per_s:,.0f} …")
                found, why, left = await run.rise(many, rise)
                verify = (verify + verify_rate()) / 2
                for share in SHARES:
                    steady = Offer(share * found)
                    remark(f"limit: {found:,.0f} a second ({why}); signing {seconds:.0f} s of {steady.per_s:,.0f} …")
                    # What was not sent goes first: nonces leave no gaps.
                    count = round(steady.per_s * seconds)
                    left += await _signed(signer, max(0, count - len(left)))
                    remark(f"limit: holding {steady.per_s:,.0f} a second …")
                    held = await run.hold(left[:count], steady)
                    del left[:count]
                    if held.kept == held.slots and not held.refused:
                        break
                nursery.cancel_scope.cancel()
    return Carried(calmly, Limit(found, why, alone, verify), share, held)


async def _signed(signer: Presigner, count: int) -> list[bytes]:
    return await trio.to_thread.run_sync(signer.sign, count)


@asynccontextmanager
async def _running(home: TestnetHome, client: AsyncClient) -> AsyncIterator[Watch]:
    """The nodes of a home, connected with each other."""
    nodes = [NodeProcess(index, home.path / name, is_validator=True) for index, name in enumerate(home.shape.names)]
    async with running(nodes, client, READY_S):
        yield Watch(home.genesis, nodes, client)


class _Run:
    """One testnet that is fed; ``sent`` counts what it got so far."""

    def __init__(self, home: TestnetHome, client: AsyncClient, watch: Watch) -> None:
        self.sent = 0
        self._home = home
        self._slot_s = home.genesis.slot_ms / 1_000
        self._client = client
        self._watch = watch

    def _loader(self) -> Loader:
        return Loader(self._client, [node.url for node in self._watch.nodes])

    async def enrol(self, raws: Sequence[bytes]) -> None:
        """Bring in the members.  Raises :class:`OperatorError` where that does not succeed in time."""
        loader = self._loader()
        await loader.send(raws, Offer(ENROL_PER_S))
        await self._settle(loader, len(raws))
        if self._watch.final_everywhere != self.sent:
            raise OperatorError("the members could not be enrolled; see what else keeps this machine busy")

    async def rise(self, raws: Sequence[bytes], offer: Offer) -> tuple[float, str, list[bytes]]:
        """Send more and more until it is too much.

        How many a second the nodes took, what happened then, and what was not sent.
        """
        loader, watch = self._loader(), self._watch
        started, first = trio.current_time(), watch.slot + 1
        why = f"more was offered than blocks of {MAX_BLOCK_TRANSACTIONS:,} hold"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(loader.send, raws, offer)
            while len(loader.due) * BATCH < len(raws):
                await trio.sleep(LOOK_S)
                waiting = self.sent + len(loader.due) * BATCH - watch.included
                per_slot = offer.rate(trio.current_time() - started) * self._slot_s
                # The last slots may be over and their blocks not known yet.
                slots = range(first, watch.slot - PATIENT_SLOTS + 1)
                found = trouble(watch.blocks(), slots, waiting, per_slot, loader.refused)
                if found is not None:
                    why, loader.is_stopped = found, True
                    break
        taken = most_taken(watch.blocks(), range(first, watch.slot))
        sent = min(len(raws), len(loader.due) * BATCH)
        await self._settle(loader, sent)
        return min(taken, per_slot) / self._slot_s, why, list(raws[sent:])

    async def _settle(self, loader: Loader, sent: int) -> None:
        """Wait until ``sent`` more are final everywhere, or for long enough; what was refused is offered again."""
        self.sent += sent
        with trio.move_on_after(DRAIN_S):
            while self._watch.final_everywhere < self.sent:
                await trio.sleep(LOOK_S)
                refused, loader = loader.back, self._loader()
                await loader.send(refused, Offer(ENROL_PER_S))

    async def hold(self, raws: Sequence[bytes], offer: Offer) -> Held:
        """Send at one rate, and see what becomes of every transaction."""
        loader, watch = self._loader(), self._watch
        reorgs, cpu_s, loader_cpu_s, first = watch.reorgs, watch.cpu_s, time.process_time(), watch.slot
        await loader.send(raws, offer)
        loader_cpu_s = time.process_time() - loader_cpu_s
        last, refused = watch.slot, len(loader.back)
        with trio.move_on_after(DRAIN_S):
            while watch.final_everywhere < self.sent + len(raws) - refused:
                await trio.sleep(LOOK_S)
        cpu_s = watch.cpu_s - cpu_s
        await self._settle(loader, len(raws))
        blocks = await trio.to_thread.run_sync(_final_blocks, self._home, first, watch.final[-1][0])
        # In the first slot it began, and the block of the next one holds what came until then.
        slots = range(first + 2, last)
        kept = {slot: len(ids) for slot, _, ids in blocks if slot in slots}
        waits = self._waits_ms(raws, loader.due, blocks)
        moved = watch.propagation_ms(slots)
        return Held(
            offered_per_s=offer.per_s,
            final_per_s=sum(kept.values()) / (len(slots) * self._slot_s),
            slots=len(slots),
            kept=len(kept),
            reorgs=watch.reorgs - reorgs,
            refused=refused,
            lost=len(raws) - len(waits),
            cpu_ms=1_000 * cpu_s / len(raws),
            loader_cpu_ms=1_000 * loader_cpu_s / len(raws),
            late_s=loader.late_s,
            p50_s=(percentile(waits, 50) or 0) / 1_000,
            p95_s=(percentile(waits, 95) or 0) / 1_000,
            block_p50_ms=percentile(moved, 50) or 0,
            block_p95_ms=percentile(moved, 95) or 0,
            rss_mb=max(node.told["rss_bytes"] for node in watch.nodes) / 1e6,
        )

    def _waits_ms(self, raws: Sequence[bytes], due: Sequence[float], blocks: Sequence[_Final]) -> list[int]:
        """From when each was due until it was seen to be final."""
        due_of = {sha256(raw).digest(): due[number // BATCH] for number, raw in enumerate(raws)}
        seen = {key: self._watch.seen_final(height) for _, height, ids in blocks for key in ids}
        return [round(1_000 * (seen[key] - at)) for key, at in due_of.items() if key in seen]


def _final_blocks(home: TestnetHome, from_slot: int, height: int) -> list[_Final]:
    """Slot, height and the transactions' ids of the final blocks from ``from_slot`` up to ``height``."""
    reader = FinalReader(home.genesis)
    blocks = []
    while read := reader.read(home.path / home.shape.names[0]):
        blocks += [
            (block.header.slot, block.header.height, [transaction.id for transaction in block.transactions])
            for block in read
            if block.header.slot >= from_slot and block.header.height <= height
        ]
    reader.close()
    return blocks
