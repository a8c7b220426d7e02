"""How soon a node answers while transactions flow: every question of its HTTP API, one after the other."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import httpx
import trio

from chain.base.errors import OperatorError
from p2p.client import AsyncClient
from p2p.local.endpoints import ENDPOINTS, Endpoint
from scripts.bench_parts.limit import DRAIN_S, ENROL_PER_S, LOOK_S, MEMBERS, NODES, READY_S, Watch
from scripts.bench_parts.offer import Loader, Offer, Presigner
from scripts.console import remark
from scripts.testnet_parts.homes import TestnetHome, open_testnet
from scripts.testnet_parts.nodes import NodeProcess, running
from scripts.testnet_parts.shape import Wanted
from scripts.testnet_parts.verdict import percentile

T = TypeVar("T")

PER_S = 500
# As often as a page that is looked at closely; what is costly is asked as often as one host may.
ASKED_PER_S = 40.0
COSTLY_EVERY_S = 1.1
TIMEOUT_S = 60.0
# As fast as they are answered, by so many at once.
STORM, STORMING = 10_000, 16
# Meanwhile so many ratings come, for so long at most, in batches so small that each slot has a block to hold one.
STORM_PER_S, STORM_S, STORM_BATCH = 50, 240, 10
# Until the blocks of the last slots are known.
SETTLE_S = 3.0


@dataclass(frozen=True, slots=True)
class Answered:
    """How long answers took, in milliseconds: of all, and of each path; ``costly`` apart.

    ``final_per_s`` is what became final a second meanwhile.  Then :data:`STORM` questions came as fast as they were
    answered, for ``storm_s``: ``refused`` were told to come back, and ``kept`` of ``slots`` got their block.
    ``cpu_ms`` is what an answer took: what the node used beyond the average of the others, whom nobody asked.
    """

    quick: list[float]
    costly: list[float]
    by_path: Mapping[str, list[float]]
    final_per_s: float
    storm_s: float
    refused: int
    kept: int
    slots: int
    cpu_ms: float

    def slowest(self) -> tuple[str, float]:
        """The path that takes longest, and its p95."""
        return max(((path, p95(times)) for path, times in self.by_path.items()), key=lambda row: row[1])


def p95(times: Sequence[float]) -> float:
    """The time that nineteen of twenty did not exceed."""
    return (percentile([round(1_000 * each) for each in times], 95) or 0) / 1_000


def measure_reads(seconds: float) -> Answered:
    """Ask one of four validators for ``seconds``, while it and the others take :data:`PER_S` ratings a second."""
    with tempfile.TemporaryDirectory() as folder:
        home = open_testnet(Path(folder) / "testnet", Wanted(nodes=NODES, observers=0, slot_ms=None))
        return trio.run(_measure, home, seconds)


async def _measure(home: TestnetHome, seconds: float) -> Answered:
    flow = MEMBERS + round(PER_S * seconds)
    count = flow + STORM_PER_S * STORM_S
    nodes = [NodeProcess(index, home.path / name, is_validator=True) for index, name in enumerate(home.shape.names)]
    async with AsyncClient() as client:
        with Presigner(home.genesis, home.shape.seed, MEMBERS, count) as signer:
            remark(f"reads: signing {count:,} transactions …")
            raws = await trio.to_thread.run_sync(signer.sign, count)
        async with running(nodes, client, READY_S), trio.open_nursery() as nursery:
            watch = Watch(home.genesis, nodes, client)
            nursery.start_soon(watch.run)
            loader = Loader(client, [node.url for node in nodes])
            await loader.send(raws[:MEMBERS], Offer(ENROL_PER_S))
            await _until_final(watch, MEMBERS)
            remark(f"reads: asking for {seconds:.0f} s, while {PER_S} a second come …")
            before = watch.final_everywhere
            trickle = Loader(client, [node.url for node in nodes], STORM_BATCH)
            nursery.start_soon(_flow, loader, trickle, raws[MEMBERS:flow], raws[flow:])
            quick, costly, by_path = await _apart(_ask_by_turns, nodes[0].url, seconds)
            final_per_s = (watch.final_everywhere - before) / seconds
            remark(f"reads: {STORM:,} questions as fast as they are answered …")
            began, first = trio.current_time(), watch.slot + 2
            extra_s = _extra_cpu_s(nodes)
            refused = await _storm(nodes[0].url)
            storm_s, slots = trio.current_time() - began, range(first, watch.slot)
            await trio.sleep(SETTLE_S)
            cpu_ms = 1_000 * (_extra_cpu_s(nodes) - extra_s) / STORM
            kept = len(watch.blocks().keys() & set(slots))
            nursery.cancel_scope.cancel()
    return Answered(quick, costly, by_path, final_per_s, storm_s, refused, kept, len(slots), cpu_ms)


async def _apart(ask: Callable[..., T], *arguments: object) -> T:
    """Ask in a process of its own: what sends and watches here must not be timed as the node's answers."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return await trio.to_thread.run_sync(pool.submit(ask, *arguments).result)


def _extra_cpu_s(nodes: Sequence[NodeProcess]) -> float:
    """CPU time of the first node beyond the average of the others."""
    asked, *others = (node.cpu_s for node in nodes)
    return asked - sum(others) / len(others)


async def _storm(url: str) -> int:
    """How many were not answered but told to come back."""
    counts: list[int] = []

    async def ask() -> None:
        counts.append(await trio.to_thread.run_sync(_ask_on, url, STORM // STORMING))

    async with trio.open_nursery() as nursery:
        for _ in range(STORMING):
            nursery.start_soon(ask)
    return sum(counts)


def _ask_on(url: str, count: int) -> int:
    with httpx.Client(base_url=url, trust_env=False, timeout=TIMEOUT_S) as client:
        questions = (path for endpoint, path in _questions(client) if not endpoint.is_costly)
        return sum(client.get(path).status_code == httpx.codes.SERVICE_UNAVAILABLE for path in islice(questions, count))


async def _flow(loader: Loader, trickle: Loader, many: Sequence[bytes], few: Sequence[bytes]) -> None:
    await loader.send(many, Offer(PER_S))
    await trickle.send(few, Offer(STORM_PER_S))


async def _until_final(watch: Watch, count: int) -> None:
    with trio.move_on_after(DRAIN_S):
        while watch.final_everywhere < count:
            await trio.sleep(LOOK_S)
        return
    raise OperatorError("the members could not be enrolled; see what else keeps this machine busy")


def _ask_by_turns(url: str, seconds: float) -> tuple[list[float], list[float], dict[str, list[float]]]:
    """How long each answer took."""
    times: tuple[list[float], list[float]] = [], []
    by_path: dict[str, list[float]] = {}
    with httpx.Client(base_url=url, trust_env=False, timeout=TIMEOUT_S) as client:
        asked, ends = _questions(client), time.monotonic() + seconds
        while time.monotonic() < ends:
            endpoint, path = next(asked)
            began = time.perf_counter()
            reply = client.get(path)
            took = 1_000 * (time.perf_counter() - began)
            if reply.status_code not in (httpx.codes.OK, httpx.codes.SERVICE_UNAVAILABLE):  # health may be ill
                raise OperatorError(f"{path} is answered with {reply.status_code}: {reply.text[:200]}")
            times[endpoint.is_costly].append(took)
            by_path.setdefault(endpoint.path, []).append(took)
            time.sleep(max(0.0, 1 / ASKED_PER_S - took / 1_000))
    return *times, by_path


def _questions(client: httpx.Client) -> Iterator[tuple[Endpoint, str]]:
    """All questions by turns, for ever; one that is costly when its time has come."""
    member = client.get("/top").json()["members"][0]["member"]
    block = client.get("/blocks?limit=2").json()["blocks"][0]
    known = {"key": member, "who": member, "which": block["height"]}
    transaction = client.get(f"/blocks/{block['height']}").json()["transactions"]
    known["transaction_id"] = transaction[0]["id"] if transaction else "00" * 32
    quick = [each for each in ENDPOINTS if not each.is_costly]
    costly = [each for each in ENDPOINTS if each.is_costly]
    next_costly = time.monotonic()
    number = 0
    while True:
        for endpoint in quick:
            yield endpoint, endpoint.url(**known)
            if time.monotonic() >= next_costly:
                next_costly = time.monotonic() + COSTLY_EVERY_S
                yield costly[number % len(costly)], costly[number % len(costly)].url(**known)
                number += 1
