"""Hours of load over a bad line, with a kill a minute and a foreign peer: nothing may grow, and nothing be lost."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from itertools import count
from random import Random

import trio

from chain.base.keys import did_from_key
from p2p.client import NodeAway, submit_all
from scripts.bench_parts.offer import Presigner
from scripts.siege_parts.attacks import Found
from scripts.siege_parts.field import LOOK_S, Field, foes, open_field
from scripts.siege_parts.lines import WIDE, links_of
from scripts.testnet_parts.confirm import FinalReader
from scripts.testnet_parts.feed import BATCH
from scripts.testnet_parts.nodes import NodeProcess, start_all

PER_S = 1_000
KILL_EVERY_S = 60.0
# Each minute's: as many as their quotas want, and few whom they rate, so that the register hardly grows with the load.
MEMBERS, RATED = 40, 2
PART_S = 60.0
# What is not final after so long is offered again, the oldest first and in order, before anything new: a node that was
# killed may have been alone with it, and all that its actors sent since then waits for it, of which nodes keep some
# seconds' worth.
PATIENCE_S = 6.0
AGAIN = 2_000
DRAIN_S = 120.0
# A validator that came back has to be there for so many slots before its own count.
SETTLED_SLOTS = 3
# Between the second quarter of a run and the last; what grows without end does so by half or more.
MAX_GROWTH = 1.05


class Soak:
    """One run: what waits to become final since when, and for each slot who of the validators was there."""

    def __init__(self, field: Field, seconds: float) -> None:
        self.field = field
        self.seconds = seconds
        self.waiting: dict[bytes, tuple[float, bytes]] = {}
        self.final = self.kills = 0
        self.is_loaded = False
        self.up_since: dict[str, int] = {}
        self.owed: set[int] = set()
        self.rss: list[int] = []
        self._final = FinalReader(field.genesis)
        self._random = Random(1)
        self._turn = trio.Lock()
        self._numbers = count()

    async def run(self) -> None:
        """Load, kill, look; then wait until all is final, or for long enough."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._look_on)
            nursery.start_soon(self._follow)
            with trio.move_on_after(self.seconds):
                async with trio.open_nursery() as acting:
                    acting.start_soon(self._load_on)
                    acting.start_soon(self._kill_on)
                    acting.start_soon(self.field.give_work)
            self.is_loaded = False
            with trio.move_on_after(DRAIN_S):
                while self.waiting:
                    await trio.sleep(LOOK_S)
            nursery.cancel_scope.cancel()
        self._final.close()

    # --------------------------------------------------------------------------------------------------- what happens

    async def _load_on(self) -> None:
        part = 0
        raws = await self._signed(part)
        while True:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._send, raws)
                part += 1
                raws = await self._signed(part)

    async def _signed(self, part: int) -> list[bytes]:
        seed = sha256(b"%d" % part + self.field.home.shape.seed).digest()
        many = round(PER_S * PART_S)
        with Presigner(self.field.genesis, seed, MEMBERS, many, RATED) as signer:
            return await trio.to_thread.run_sync(signer.sign, many)

    async def _send(self, raws: list[bytes]) -> None:
        """Each batch when it is due, or as soon as what is late was offered."""
        started = trio.current_time()
        self.is_loaded = True
        async with trio.open_nursery() as nursery:
            for start in range(0, len(raws), BATCH):
                batch = raws[start : start + BATCH]
                await trio.sleep_until(started + start / PER_S)
                async with self._turn:
                    self._note(batch)
                    nursery.start_soon(self._offer, batch, next(self._numbers))

    def _note(self, batch: Sequence[bytes]) -> None:
        """These wait from now on."""
        now = time.monotonic()
        self.waiting.update((sha256(raw).digest(), (now, raw)) for raw in batch)

    async def _offer(self, batch: Sequence[bytes], number: int = 0) -> None:
        """To one of the nodes that are up, by a running number; to another where it is killed meanwhile."""
        for turn in range(len(self.field.nodes)):
            node = self.field.nodes[(number + turn) % len(self.field.nodes)]
            if node.is_live:
                with suppress(NodeAway):
                    await self.field.client.ask(node.url, submit_all(batch))
                    return

    async def _kill_on(self) -> None:
        while True:
            await trio.sleep(KILL_EVERY_S)
            node = self._random.choice(self.field.nodes[1:])
            await self._kill(node)

    async def _kill(self, node: NodeProcess) -> None:
        self.up_since.pop(node.name, None)
        self.owed.discard(self.field.slot)
        node.kill()
        await node.wait_ended()
        self.kills += 1
        await start_all([node], self.field.client)

    # ------------------------------------------------------------------------------------------------- what is seen

    async def _look_on(self) -> None:
        leaders = [did_from_key(key) for key, _ in self.field.genesis.validators]
        while True:
            await trio.sleep(LOOK_S)
            await self.field.refresh()
            slot = self.field.slot
            there = {node.told["did"] for node in self.field.nodes if self._is_settled(node, slot)}
            if leaders[slot % len(leaders)] in there and self.is_loaded:
                self.owed.add(slot)
            self.rss.append(self.field.nodes[0].told["rss_bytes"])

    def _is_settled(self, node: NodeProcess, slot: int) -> bool:
        if not node.is_live or node.told["silent"] or node.told["syncing"]:
            self.up_since.pop(node.name, None)
            return False
        return slot - self.up_since.setdefault(node.name, slot) >= SETTLED_SLOTS

    async def _follow(self) -> None:
        while True:
            await self._confirm()
            await trio.sleep(LOOK_S)

    async def _confirm(self) -> None:
        """Read what became final; offer again what waits for too long."""
        for block in await trio.to_thread.run_sync(self._final.read, self.field.nodes[0].home):
            for transaction in block.transactions:
                self.final += self.waiting.pop(transaction.id, None) is not None
        async with self._turn:
            now = time.monotonic()
            late = [raw for since, raw in self.waiting.values() if now - since > PATIENCE_S][:AGAIN]
            for start in range(0, len(late), BATCH):
                batch = late[start : start + BATCH]
                await self._offer(batch)
                self._note(batch)


async def soak(seconds: float) -> Found:
    """The hour, or however long."""
    async with open_field(links=links_of(WIDE)) as field, foes("silent-grafts", 1, [field.nodes[3].home]):
        run = Soak(field, seconds)
        await run.run()
        slots = range(min(run.owed, default=0), field.slot - SETTLED_SLOTS)
        lost = run.owed & set(slots) - field.kept(slots)
    waiting, (early, late) = len(run.waiting), most_before_and_after(run.rss)
    told = f"{len(lost)} of {len(run.owed)} slots, {waiting} of {run.final + waiting:,} lost; {run.kills} kills; "
    is_fine = bool(run.owed) and not lost and not waiting and is_flat(run.rss)
    return told + f"{early >> 20}, then {late >> 20} MB", is_fine


def most_before_and_after(sizes: Sequence[int]) -> tuple[int, int]:
    """The most of the second quarter of a run, and of the last; the first is for what fills once."""
    quarter = len(sizes) // 4
    return max(sizes[quarter : 2 * quarter], default=0), max(sizes[3 * quarter :], default=0)


def is_flat(sizes: Sequence[int]) -> bool:
    """Whether memory did not grow."""
    early, late = most_before_and_after(sizes)
    return 0 < late <= MAX_GROWTH * early
