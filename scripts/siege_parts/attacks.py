"""Rows of attackers: each begins with a fresh network and ends with what is left of it."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from dataclasses import replace

import httpx
import trio

from p2p.client import NodeStatus
from p2p.local.config import HomeConfig
from scripts.abuse_parts.surroundings import name, third_party
from scripts.abuse_parts.target import Target
from scripts.siege_parts.field import CLOSE_LOOK_S, NODES, Field, Seen, foes, middle, open_field
from scripts.testnet_parts.nodes import NodeProcess, start_all

# Until a process of attackers is up and at its work.
FOES_TIMEOUT_S = 60.0
# As many as are lost where nobody attacks, on a machine that does other things too.
KEPT_SHARE = 0.98
MAX_LAG = 4
# Until 1,200 connections are there.
CROWD_S = 5.0
# A reply of half a megabyte.
UNREAD_TRANSACTIONS = 4_000
MB = 1_000_000

Found = tuple[str, bool]
"""What was measured, and whether it is enough."""


def slots_told(seen: Seen) -> str:
    """The slots of a row, for people."""
    return f"{seen.kept} of {seen.slots} slots, {seen.lag} to final"


def keeps_pace(seen: Seen, share: float = KEPT_SHARE) -> bool:
    """Whether slots were kept and became final."""
    return seen.slots > 0 and seen.kept >= share * seen.slots and seen.lag <= MAX_LAG


async def silent_identities(count: int, seconds: float) -> Found:
    """They graft and never forward, at every node."""
    async with open_field() as field, foes("silent-grafts", count, [node.home for node in field.nodes]):
        await at_work(field, min(count, 16))
        seen = await field.watch(seconds)
    return slots_told(seen), keeps_pace(seen)


async def at_work(field: Field, count: int) -> None:
    """Wait until the first node has so many guests, or for long enough."""
    await field.seconds_until(field.nodes[0], lambda told: told["peers"] >= NODES - 1 + count, FOES_TIMEOUT_S)


async def polite_liar(height: int, times: int) -> Found:
    """A fresh observer fetches a chain, beside somebody who connected first: who only greets, or a liar."""
    async with open_field(slot_ms=500) as field:
        while field.nodes[0].told["height"] < height:
            await field.watch(5.0)
        without = middle([await _synced_s(field, number, "idle-identity") for number in range(times)])
        beside = middle([await _synced_s(field, number, "dripped-blocks") for number in range(times)])
    if without is None or beside is None:
        return "never synced" if without else "never synced, not even without", False
    return f"{beside:.2f} s, without {without:.2f} s", beside <= 2 * without


async def _synced_s(field: Field, number: int, attack: str) -> float | None:
    """How long a fresh observer takes from when honest peers may come; somebody else is there before.

    Observers of one number have one key: who of two peers has the larger id waits half a second before it dials.
    """
    honest = [node.told["peer_id"] for node in field.nodes]
    observer = field.observer(f"{attack}{number}", field.addresses, seed=bytes([number]) * 32, allow_partitions=True)
    async with observer as node, AsyncExitStack() as stack:
        async with httpx.AsyncClient(trust_env=False) as face:
            await face.post(node.url + "/partition", json={"peer_ids": honest})
            await stack.enter_async_context(foes(attack, 1, [node.home], source=field.nodes[0].home))
            await field.seconds_until(node, lambda told: told["peers"] > 0, FOES_TIMEOUT_S)
            if attack == "dripped-blocks":
                await field.seconds_until(node, lambda told: told["syncing"], FOES_TIMEOUT_S)
            await _let_go(field)
            goal = field.nodes[0].told["height"]
            await face.delete(node.url + "/partition")
        return await field.seconds_until(node, lambda told: told["height"] >= goal, FOES_TIMEOUT_S)


async def _let_go(field: Field) -> None:
    """Wait until the nodes are connected with each other alone: one that comes back before is not let in at once."""
    await field.refresh()
    with trio.move_on_after(FOES_TIMEOUT_S):
        while any(node.told["peers"] >= NODES for node in field.nodes):
            await trio.sleep(CLOSE_LOOK_S)
            await field.refresh()


async def idle_identities(count: int) -> Found:
    """They fill every place; then an honest observer comes that knows only this node."""
    async with open_field() as field, foes("idle-identity", count, [field.nodes[0].home]):
        await at_work(field, 32)
        guests = field.nodes[0].told["peers"] - NODES + 1
        async with field.observer("honest", field.addresses[:1]) as node:
            took = await field.seconds_until(node, lambda told: told["peers"] > 0, FOES_TIMEOUT_S)
    found = "never connects" if took is None else f"connects after {took:.1f} s"
    return f"{found}, {guests} guests", took is not None and took <= 10.0 and guests >= 30


async def named_victims(seconds: float) -> Found:
    """Greetings that name a third party's ports as the greeter's own."""
    async with open_field() as field, third_party() as victim:
        began = trio.current_time()
        await name(Target(field.nodes[0].home), victim)
        await trio.sleep_until(began + seconds)
        await field.refresh()
    return f"{victim.hits} connections in {seconds:.0f} s", victim.hits <= 10 and field.nodes[0].is_live


async def restart_without_founder() -> Found:
    """Each knew nobody but the founder, which stays away when the others come back."""

    def founder_only(index: int, config: HomeConfig) -> HomeConfig:
        return replace(config, peers=config.peers[:1] if index else [])

    async with open_field(configure=founder_only) as field:
        await field.watch(10.0)
        for node in field.nodes:
            await node.stop()
        others = field.nodes[1:]
        await start_all(others, field.client)
        ready = trio.current_time()
        for node in others:
            await field.seconds_until(node, _knows_the_others, FOES_TIMEOUT_S)
        took = trio.current_time() - ready
        is_meshed = all(map(_knows_the_others, (node.told for node in others)))
    return f"meshed after {took:.1f} s" if is_meshed else "not meshed", is_meshed and took <= 10.0


def _knows_the_others(told: NodeStatus) -> bool:
    return told["peers"] >= NODES - 2


async def unread_data(count: int, seconds: float) -> Found:
    """They send far more than is read, and take nothing of replies that are larger than a window."""
    async with open_field() as field:
        await field.load(UNREAD_TRANSACTIONS, 700)
        async with foes("unread-data", count, [field.nodes[0].home]):
            await at_work(field, count // 2)
            seen = await field.watch(seconds)
    return f"{seen.rss_mb} MB at most, {seen.kept} of {seen.slots} slots", seen.rss_mb <= 250


async def patient_askers(transactions: int, seconds: float) -> Found:
    """Two peers ask for the same megabyte as often as they may."""
    async with open_field() as field:
        await field.load(transactions, 700)
        async with foes("patient-askers", 2, [field.nodes[0].home]):
            await at_work(field, 2)
            await field.watch(seconds / 3)  # what is lent at once is used up
            before, began = await field.traffic(field.nodes[0], "send"), time.monotonic()
            seen = await field.watch(seconds)
            rate = (await field.traffic(field.nodes[0], "send") - before) / (time.monotonic() - began)
    return f"{rate / MB:.2f} MB/s, {seen.kept} of {seen.slots} slots", rate <= MB


async def enrolments(seconds: float) -> Found:
    """One stranger brings in members as fast as it goes."""
    async with open_field() as field, foes("enrolments", 1, [field.nodes[0].home]):
        before = field.nodes[0].told["transactions"]
        await at_work(field, 1)
        seen = await field.watch(seconds)
        members = field.nodes[0].told["transactions"] - before
    return f"{slots_told(seen)}, {members:,} in", keeps_pace(seen, 1.0)


async def slow_bodies(seconds: float) -> Found:
    """Slow submissions take all descriptors that there are; the face and the peers go on."""
    async with open_field(descriptors=1_024) as field, foes("slow-bodies", 1, [field.nodes[0].home]):
        waits: list[float] = []
        await trio.sleep(CROWD_S)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_ask_on_and_on, field.nodes[0], waits)
            seen = await field.watch(seconds)
            nursery.cancel_scope.cancel()
        async with field.observer("honest", field.addresses[:1]) as node:
            took = await field.seconds_until(node, lambda told: told["peers"] > 0, FOES_TIMEOUT_S)
    worst = max(waits, default=float("inf"))
    told = f"answers in {worst:.1f} s, {seen.kept} of {seen.slots} slots"
    return told, worst <= 2.0 and keeps_pace(seen) and took is not None


async def _ask_on_and_on(node: NodeProcess, waits: list[float]) -> None:
    """A fresh connection for each question: that is what there may be none left of."""
    while True:
        began = trio.current_time()
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=FOES_TIMEOUT_S) as client:
                await client.get(node.url + "/status")
            waits.append(trio.current_time() - began)
        except httpx.HTTPError:
            waits.append(FOES_TIMEOUT_S)
        await trio.sleep(0.5)
