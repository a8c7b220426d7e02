"""Rows of bad lines: nodes that reach each other over a proxy that delays, stalls and limits; see the manifests."""

from __future__ import annotations

import signal

import trio

from scripts.manifest_parts.lines import Links, OneWay
from scripts.manifest_parts.things import Line, Manifest
from scripts.siege_parts.attacks import Found, keeps_pace
from scripts.siege_parts.field import Field, open_field
from scripts.testnet_parts.confirm import FinalReader
from scripts.testnet_parts.nodes import NodeProcess

WIDE = Line(latency_ms=100, jitter_ms=20, loss=10)
SLOW_KBIT_S = 600
SLOW = "slow"
LOAD_PER_S = 600
SYNC_TIMEOUT_S = 400.0
# When somebody is killed and somebody stopped: so much of the chain is there.
MIDWAY = 0.3
SYNC_GOAL_PER_S = 5_000
LINE_GOAL = 0.7


def links_of(line: Line) -> Links:
    """All links alike."""
    return Links(Manifest(title="siege", slots=1, line=line))


class OneLine(Links):
    """All links without a limit, but that :data:`SLOW` has one line for all that it sends, and one for what it gets."""

    def __init__(self, line: Line) -> None:
        super().__init__(Manifest(title="siege", slots=1))
        self._line = line

    @property
    def down(self) -> OneWay:
        """What :data:`SLOW` gets."""
        return self.way("", SLOW)

    def way(self, sender: str, receiver: str) -> OneWay:
        """One direction of a link."""
        if SLOW not in (sender, receiver):
            return super().way(sender, receiver)
        way = super().way(*((SLOW, "") if sender == SLOW else ("", SLOW)))
        way.nature = self._line
        return way


async def slow_line(transactions: int) -> Found:
    """A fresh observer fetches a chain, all of it over one slow line."""
    links = OneLine(Line(kbit_s=SLOW_KBIT_S))
    async with open_field(links=links) as field:
        await field.load(transactions, LOAD_PER_S)
        size = await trio.to_thread.run_sync(_chain_bytes, field)
        goal = field.nodes[0].told["height"]
        async with field.observer(SLOW, field.addresses, private=True) as node:  # else others dial past its line
            took = await field.seconds_until(node, lambda told: told["height"] >= goal, SYNC_TIMEOUT_S)
            past = await field.traffic(node, "receive") - links.down.carried
    return over_the_line(size, took, past)


def over_the_line(size: int, took: float | None, past: float) -> Found:
    """A chain of ``size`` bytes took so many seconds; it says nothing where ``past`` bytes more came than were carried.

    A node counts what it gets without what carries it, so that these are never more than the line's.
    """
    if past > 0:
        return f"{past:,.0f} bytes came past the line", False
    if took is None:
        return f"not finished after {SYNC_TIMEOUT_S:.0f} s", False
    share = 8 * size / 1_000 / took / SLOW_KBIT_S
    return f"{took:.0f} s, {share:.2f} of the line", share >= LINE_GOAL


def _chain_bytes(field: Field) -> int:
    """What the transactions of the final chain have, without what carries them."""
    reader, size = FinalReader(field.genesis), 0
    while blocks := reader.read(field.nodes[0].home):
        size += sum(len(transaction.raw) for block in blocks for transaction in block.transactions)
    reader.close()
    return size


async def wide_area(seconds: float) -> Found:
    """Slots of a network around the world under load, then a fresh observer, then one that loses peers midway."""
    async with open_field(links=links_of(WIDE)) as field:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(field.load, round(LOAD_PER_S * seconds), LOAD_PER_S)
            seen = await field.watch(seconds)
        rates = [await sync_rate(field, "calm", is_cruel=False), await sync_rate(field, "cruel", is_cruel=True)]
    told = f"{seen.kept}/{seen.slots} slots, {rates[0]:,.0f} and {rates[1]:,.0f} tx/s"
    return told, keeps_pace(seen, 1.0) and min(rates) >= SYNC_GOAL_PER_S


async def sync_rate(field: Field, observer: str, *, is_cruel: bool) -> float:
    """Transactions a second that a fresh observer fetches, from when its process is ready; 0 if it does not end."""
    await field.refresh()
    goal, transactions = field.nodes[0].told["height"], field.nodes[0].told["transactions"]
    private = field.observer(observer, field.addresses, private=True)  # else others dial past the lines
    async with private as node, trio.open_nursery() as nursery:
        if is_cruel:
            nursery.start_soon(_lose_peers, node, MIDWAY * transactions, field.nodes[1], field.nodes[2])
        took = await field.seconds_until(node, lambda told: told["height"] >= goal, SYNC_TIMEOUT_S)
        nursery.cancel_scope.cancel()
    return 0.0 if took is None else transactions / took


async def _lose_peers(node: NodeProcess, midway: float, killed: NodeProcess, stopped: NodeProcess) -> None:
    while node.told["transactions"] < midway:
        await trio.sleep(0.02)
    killed.kill()
    if stopped.process is not None:
        stopped.process.send_signal(signal.SIGSTOP)
