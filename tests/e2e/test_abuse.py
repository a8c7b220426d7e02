"""Four real validators, one of them abused: blocks are made and final, and no honest peer is blamed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import partial
from itertools import count
from typing import Any, TypeVar

import httpx
import psutil
import pytest
import trio

from chain.base.errors import Reason
from chain.content.actions import Enrol
from chain.content.genesis import Genesis
from chain.protocol.messages import Status
from p2p.client import PEERS
from p2p.host import MAX_HANDSHAKES
from p2p.local.callers import MAX_CALLERS
from p2p.local.config import HomeConfig
from p2p.local.home import create_home, peer_id_of
from scripts.abuse_parts.catalogue import ATTACKS, Attack
from scripts.abuse_parts.strike import carry_out
from scripts.abuse_parts.target import Target, until_thrown_out, visit
from scripts.testnet_parts.homes import free_ports
from tests.support.running import DEADLINE_S, RunningNode, starting, wait_for
from tests.support.world import Actor, genesis_of, secret

T = TypeVar("T")

VALIDATORS = 4
SLOT_MS = 400
# The attacker has no machine of its own here: its work must not be what keeps the validators from theirs.
PACE_S = 0.2
# Between two tries at a door.
RETRY_S = 0.1
MAX_PEERS = 16
BAN_S = 5
# Threads, the database: what a node has open besides its connections with peers and those of its HTTP face.
OTHER_FILES = 100
# An idle node has 100 MB; what one attacker may keep busy is megabytes, what it can send in the time is gigabytes.
MAX_GROWTH_BYTES = 150_000_000


class Besieged(RunningNode):
    """A node at whose HTTP face may be a crowd: whoever comes to it may have to come again."""

    def ask(self, path: str, **options: Any) -> httpx.Response:
        return until_heard(partial(super().ask, path, **options))

    def offer(self, genesis: Genesis, numbers: Iterator[int]) -> None:
        """Something for its next block; where its pool is full, it has enough."""
        outcomes = until_heard(lambda: self.submit([Actor(genesis, next(numbers)).sign(Enrol())]))
        assert outcomes[0] is None or outcomes[0]["reason"] == Reason.POOL_FULL.code


def until_heard(ask: Callable[[], T]) -> T:
    """What was asked, once the crowd lets it be asked."""
    heard: list[T] = []

    def is_heard() -> bool:
        with suppress(httpx.TransportError):
            heard.append(ask())
        return bool(heard)

    wait_for(is_heard, "its HTTP face answers", RETRY_S)
    return heard[0]


class Network:
    """The validators; the first one is attacked."""

    def __init__(self, nodes: Sequence[Besieged]) -> None:
        self.nodes = nodes
        self.genesis = Target(nodes[0].home).genesis
        self.peer_ids = {peer_id_of(secret(number + 1).seed) for number in range(VALIDATORS)}
        self.processes = [psutil.Process(node.process.pid) for node in nodes]
        self.rss = self.processes[0].memory_info().rss
        self._numbers = count(10_000)

    def target(self) -> Target:
        """The first validator; the attacker stole the key of the second."""
        return Target(self.nodes[0].home, [secret(2)], PACE_S)

    def make_progress(self, but: Collection[RunningNode] = ()) -> None:
        """Work given to each node from now on becomes final everywhere, by blocks of every validator ``but`` these."""
        seqs = {node: max((head["seq"] for head in node.get("/heads")["heads"]), default=0) for node in self.nodes}
        awaited = [node for node in self.nodes if node not in but]

        def each_made_one() -> bool:
            for node in awaited[:]:
                node.offer(self.genesis, self._numbers)
                if any(head["made_here"] for head in node.get(f"/heads?after={seqs[node]}")["heads"]):
                    awaited.remove(node)
            return not awaited

        wait_for(each_made_one, "each validator makes a block", SLOT_MS / 1_000)
        height = max(node.status()["height"] for node in self.nodes)

        def is_final() -> bool:
            self.nodes[0].offer(self.genesis, self._numbers)
            return all(node.status()["finalized_height"] >= height for node in self.nodes)

        wait_for(is_final, "it is final", SLOT_MS / 1_000)

    def require_health(self) -> None:
        """Nothing died, grew, or turned against an honest peer."""
        for node in self.nodes:
            assert node.process.poll() is None
            log = node.log()
            assert "Traceback" not in log
            assert not [line for line in log.splitlines() if "is banned" in line and self.peer_ids & set(line.split())]
            scores = {peer["peer_id"]: peer["score"] for peer in node.get("/peers")["peers"]}
            assert {peer_id: scores[peer_id] for peer_id in self.peer_ids & set(scores) if scores[peer_id]} == {}
        attacked = self.processes[0]
        assert attacked.num_fds() <= 2 * MAX_PEERS + MAX_HANDSHAKES + MAX_CALLERS + OTHER_FILES
        assert attacked.memory_info().rss < self.rss + MAX_GROWTH_BYTES
        assert self.nodes[0].status()["peers"] <= 2 * MAX_PEERS

    def has_banned(self, peer_id: str) -> bool:
        return f"peer {peer_id} is banned" in self.nodes[0].log()


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    path = tmp_path_factory.mktemp("abuse")
    genesis = genesis_of(VALIDATORS, genesis_time_ms=time.time_ns() // 1_000_000, slot_ms=SLOT_MS)
    listen = [f"/ip4/127.0.0.1/tcp/{port}" for port in free_ports(VALIDATORS)]
    full = [f"{address}/p2p/{peer_id_of(secret(number + 1).seed)}" for number, address in enumerate(listen)]
    with ExitStack() as stack:
        nodes = []
        for number, address in enumerate(listen):
            config = HomeConfig(
                listen=[address],
                peers=[other for other in full if not other.startswith(address + "/")],
                http="127.0.0.1:0",
                max_peers=MAX_PEERS,
                ban_s=BAN_S,
            )
            create_home(path / f"node{number}", genesis, secret(number + 1).seed, config)
            node = stack.enter_context(starting(path / f"node{number}"))
            nodes.append(Besieged(node.home, node.process))
        for node in nodes:
            node.wait_ready()
        told = VALIDATORS - 1
        wait_for(lambda: all(node.status()["peers"] == told for node in nodes), "all are connected", SLOT_MS / 1_000)
        yield Network(nodes)


async def in_thread(function: Callable[..., object], *arguments: object) -> None:
    """What waits for nodes must not hold up the attack."""
    await trio.to_thread.run_sync(lambda: function(*arguments))


GROUPS = {
    "what crashed older versions": (
        "raw-bytes",
        "undecodable-identities",
        "not-protobuf",
        "garbage-requests",
        "validator-fodder",
        "giant-keys",
        "countless-parts",
    ),
    "floods of gossip": (
        "control-flood",
        "stray-control",
        "endless-topics",
        "silent-grafts",
        "offer-storm",
        "unread-gossip",
        "invalid-transactions",
        "duplicate-transactions",
        "useless-transactions",
        "enrolments",
        "ratings-of-nobody",
        "wrong-leaders",
        "unknown-leaders",
        "forged-announcements",
    ),
    "attestations": (
        "garbage-attestations",
        "forged-attestations",
        "attestation-flood",
        "same-attestations",
    ),
    "floods of requests": (
        "request-flood",
        "patient-askers",
        "unread-data",
        "idle-streams",
        "dropped-streams",
        "slow-requests",
        "unread-replies",
    ),
    "lies": (
        "garbage-status",
        "impossible-status",
        "lying-statuses",
        "slow-replies",
        "dripped-blocks",
        "foreign-chain",
        "other-heights",
    ),
    "500 connections": ("many-connections", "idle-identity", "half-open-handshakes"),
    "below every protocol": ("frame-storm", "streamless-data", "short-connections"),
    "what is beside the conversation": ("named-victims", "address-flood", "slow-bodies"),
}
STOLEN_KEY = ("vouched-crowd", "orphans", "future-blocks", "two-faced-attestations")


def test_every_attack_is_tried() -> None:
    names = [name for group in (*GROUPS.values(), STOLEN_KEY) for name in group]
    assert sorted(names) == sorted(attack.name for attack in ATTACKS)


@asynccontextmanager
async def under_attack(network: Network, names: Collection[str]) -> AsyncIterator[None]:
    """These attacks go on inside; before its end, everybody who is to be banned is, and the nodes are well."""
    async with trio.open_nursery() as nursery:
        # A busy node, or a door that is crowded with other attackers, may lose one before it did a thing.
        async def attack_and_be_banned(attack: Attack) -> None:
            with trio.fail_after(DEADLINE_S):
                while True:
                    target = network.target()
                    await carry_out(attack, target)
                    if target.visitors and all(map(network.has_banned, target.visitors)):
                        break

        async def attack_on_and_on(attack: Attack) -> None:
            while True:
                await carry_out(attack, network.target())
                await trio.sleep(RETRY_S)

        async with trio.open_nursery() as until_banned:
            for attack in ATTACKS:
                if attack.name in names and attack.is_banned:
                    until_banned.start_soon(attack_and_be_banned, attack)
                elif attack.name in names:
                    nursery.start_soon(attack_on_and_on, attack)
            yield
        await in_thread(network.require_health)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("group", GROUPS)
async def test_blocks_are_made_and_final_under(network: Network, group: str) -> None:
    async with under_attack(network, GROUPS[group]):
        await in_thread(network.make_progress)


async def test_a_ban_ends_and_who_behaves_then_is_welcome(network: Network) -> None:
    target, seed = network.target(), os.urandom(32)
    impossible = Status(bytes(32), 1, 2, 0).encode()
    with trio.fail_after(DEADLINE_S):
        while not any(map(network.has_banned, target.visitors)):
            with until_thrown_out():
                async with visit(target, impossible, seed) as visitor:
                    await visitor.thrown_out()
            await trio.sleep(RETRY_S)
    (peer_id,) = set(target.visitors)
    with trio.fail_after(DEADLINE_S):
        while True:
            with until_thrown_out():
                async with visit(target, seed=seed):
                    while not (known := [p for p in (await target.ask(PEERS))["peers"] if p["peer_id"] == peer_id]):
                        await trio.sleep(RETRY_S)
                    break
            await trio.sleep(RETRY_S)
    assert known[0]["score"] == 0
    assert peer_id not in json.dumps((await target.ask(PEERS))["banned"])


async def test_the_owner_of_a_stolen_key_stops_and_the_others_go_on(network: Network) -> None:
    robbed = network.nodes[1]
    async with under_attack(network, STOLEN_KEY):
        await in_thread(wait_for, lambda: "this node says no more" in robbed.log(), "it sees its key in use elsewhere")
        await in_thread(network.make_progress, [robbed])
