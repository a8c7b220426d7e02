"""How a new node joins a network on this machine: three nodes that have it all, and one that has nothing."""

from __future__ import annotations

import shutil
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import count
from pathlib import Path

import psutil
import trio

from chain.base.errors import OperatorError
from chain.base.keys import SecretKey
from chain.branches.blockchain import Blockchain
from chain.consensus.statements import NO_TAG
from chain.content.actions import Enrol
from chain.content.genesis import Genesis, found_genesis, load_genesis
from chain.content.policyfile import shipped_policy
from chain.content.transactions import VerifiedTransaction, decode_transaction, sign_transaction
from chain.disk.database import DATABASE
from chain.disk.storage import Storage
from chain.disk.stored import trusted_block
from chain.protocol.events import Commit, SigningState
from chain.protocol.production import Producer
from p2p.client import STATUS, AsyncClient, NodeStatus, announced, submit_all
from p2p.local.config import HomeConfig
from p2p.local.home import create_home
from p2p.local.keyfile import write_key
from scripts.bench_parts.chainwork import BLOCK_TRANSACTIONS, SLOT_MS, extend, validator_secrets, verify_rate
from scripts.bench_parts.figures import Figure
from scripts.console import progress
from scripts.growth_parts.study import build
from scripts.replay import EXPIRY_HEIGHT, SAMPLE, Plan, Signer, read_ratings
from scripts.testnet_parts.nodes import NodeProcess, running

PEERS = 3
POLL_S = 0.1
# Something is wrong where it takes longer.
PATIENCE_S = 3_600.0
ALIGNED = 66
SEED = bytes(range(32))
_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Joined:
    """How long it took from the start of the process, its CPU time and the most memory that it had."""

    wall_s: float
    cpu_s: float
    peak_mb: float


# ----------------------------------------------------------------------------------------------------- by blocks


def joins_by_blocks(folder: Path, replay: Path | None) -> list[Figure]:
    """A whole chain of ratings, block by block.  Raises :class:`OperatorError`."""
    peers = [folder / f"peer-{number}" for number in range(PEERS)]
    joiner = folder / "joiner"
    for home in (*peers, joiner):
        shutil.rmtree(home, ignore_errors=True)
    height, transactions = _replayed(peers, replay or SAMPLE)
    before = verify_rate()
    joined = trio.run(_join_by_blocks, peers, joiner, height)
    limit, rate = (before + verify_rate()) / 2, transactions / joined.wall_s
    what = "the whole file" if replay else "the sample that comes with the project"
    how = f"{transactions:,} transactions in {height} blocks, {what}; from the start of the process, imports included"
    for home in (*peers, joiner):
        shutil.rmtree(home)
    return [
        Figure("joining by blocks, 3 peers", round(rate / limit, 2), "× one core's verify rate", "≥ 1.0", how),
        Figure("– transactions", round(rate), "/s", "", f"{joined.wall_s:.1f} s wall, {joined.cpu_s:.1f} s of CPU"),
        Figure("– memory", round(joined.peak_mb), "MB", "≤ 500", "the most that it had resident"),
    ]


async def _join_by_blocks(peers: Sequence[Path], joiner: Path, height: int) -> Joined:
    async with serving(peers) as (client, addresses):
        config = following(addresses)
        return await join(joiner, peers[0], config, client, lambda status: status["height"] >= height)


def _replayed(homes: Sequence[Path], replay: Path) -> tuple[int, int]:
    """Homes of nodes that follow, with the whole chain of a file; its height, and its transactions."""
    policy = shipped_policy("marketplace")
    category = next(rating for _, rating in sorted(policy.ratings.items()))
    plan = Plan(read_ratings(replay, category), category.code)
    genesis = founded(len(plan) // BLOCK_TRANSACTIONS)
    signer = Signer(plan, genesis, SEED)
    signer.derive_keys()
    with progress("signed", len(plan)) as advance:
        signed = [_read(raw, advance) for at in range(len(plan)) for raw in signer.sign((at,))]
    chain = Blockchain(genesis)
    producers = [Producer(genesis, secret, SigningState(), NO_TAG) for secret in validator_secrets()]
    raws = extend(chain, producers, signed)
    write_chain(homes, genesis, raws)
    return len(raws), len(signed)


def _read(raw: bytes, advance: Callable[[int], None]) -> VerifiedTransaction:
    advance(1)
    return VerifiedTransaction(decode_transaction(raw))


def founded(blocks: int) -> Genesis:
    """One whose first ``blocks`` slots are over."""
    keys = [secret.public for secret in validator_secrets()]
    began = time.time_ns() // 1_000_000 - (blocks + 60) * SLOT_MS
    return found_genesis(
        "growth",
        shipped_policy("marketplace"),
        keys,
        genesis_time_ms=began,
        slot_ms=SLOT_MS,
        max_expiry_blocks=EXPIRY_HEIGHT,
    )


def write_chain(homes: Sequence[Path], genesis: Genesis, raws: Sequence[bytes]) -> None:
    """Homes of nodes that follow, each with this chain."""
    for number, home in enumerate(homes):
        create_home(home, genesis, bytes([number + 1]) * 32, following(()))
        if number:
            shutil.copyfile(homes[0] / DATABASE, home / DATABASE)
            continue
        with closing(Storage(home / DATABASE, genesis)) as storage:
            chain, _ = storage.load()
            for raw in raws:
                added = chain.add(trusted_block(raw), arrived_in_slot=True)
                settled, final = chain.settle(), chain.finalized.height
                storage.commit([Commit(adopted=added.adopted, finalized_height=final, settled=settled)])


# ------------------------------------------------------------------------------------------------------ by state


def joins_by_state(folder: Path, members: int) -> list[Figure]:
    """A register, by its state.  Raises :class:`OperatorError`."""
    made, joiner = build(members, folder), folder / "joiner"
    peers = [folder / f"peer-{number}" for number in range(PEERS)]
    for home in (*peers, joiner):
        shutil.rmtree(home, ignore_errors=True)
    for number, home in enumerate(peers):  # the first is the validator of the register
        shutil.copytree(made, home)
        if number:
            (home / "key").unlink()
            write_key(home / "key", bytes([number]) * 32, None)
    joined = trio.run(_join_by_state, peers, joiner)
    for home in (*peers, joiner):
        shutil.rmtree(home)
    how = f"{members:,} members, from the start of the process until it is live; {joined.cpu_s:.1f} s of CPU"
    return [
        Figure("joining by state, 3 peers", round(joined.wall_s, 1), "s", "≤ 180", how),
        Figure("– memory", round(joined.peak_mb), "MB", "≤ 500", "the most that it had resident"),
    ]


async def _join_by_state(peers: Sequence[Path], joiner: Path) -> Joined:
    async with serving(peers[:1]) as (client, addresses):
        for home in peers[1:]:
            (home / "config.toml").write_text(following(addresses).to_toml(), encoding="utf-8")
        async with serving(peers[1:]) as (_, others), trio.open_nursery() as nursery:
            nursery.start_soon(_enrol, announced(peers[0]).http, load_genesis(peers[0] / "genesis.json"), client)
            for home in peers:  # states are given away at every 64th height
                while (await client.ask(announced(home).http, STATUS))["finalized_height"] < ALIGNED:
                    await trio.sleep(POLL_S)
            config = replace(following([*addresses, *others]), join="state")
            joined = await join(joiner, peers[0], config, client, lambda status: status["finalized_height"] > 1)
            nursery.cancel_scope.cancel()
    return joined


async def _enrol(url: str, genesis: Genesis, client: AsyncClient) -> None:
    """Something to do for a validator: blocks without any end."""
    for number in count():
        secret = SecretKey(sha256(b"growth %d" % number).digest())
        raw = sign_transaction(secret, genesis.id, 0, genesis.max_expiry_blocks // 2, Enrol()).raw
        await client.ask(url, submit_all((raw,)))
        await trio.sleep(SLOT_MS / 1_000)


# ------------------------------------------------------------------------------------------------------ processes


def following(peers: Sequence[str]) -> HomeConfig:
    """The configuration of a node on loopback."""
    return HomeConfig(listen=["/ip4/127.0.0.1/tcp/0"], http="127.0.0.1:0", peers=list(peers))


@asynccontextmanager
async def serving(homes: Sequence[Path]) -> AsyncIterator[tuple[AsyncClient, list[str]]]:
    """Nodes of these homes while the block runs, and their addresses."""
    nodes = [NodeProcess(number, home, is_validator=False) for number, home in enumerate(homes)]
    async with AsyncClient() as client, running(nodes, client, 0):
        yield client, [announced(home).addresses[0] for home in homes]


async def join(
    home: Path, peer: Path, config: HomeConfig, client: AsyncClient, is_there: Callable[[NodeStatus], bool]
) -> Joined:
    """Let a fresh ``home`` of a peer's network join it.  Raises :class:`OperatorError` where it does not get there."""
    create_home(home, load_genesis(peer / "genesis.json"), bytes([99]) * 32, config)
    node, began = NodeProcess(99, home, is_validator=False), time.monotonic()
    try:
        await node.start()
        return await _watched(node, client, began, is_there)
    finally:
        with trio.CancelScope(shield=True):
            await node.stop()


async def _watched(
    node: NodeProcess, client: AsyncClient, began: float, is_there: Callable[[NodeStatus], bool]
) -> Joined:
    assert node.process is not None
    watched, peak, is_ready = psutil.Process(node.process.pid), 0, False
    while not is_ready or not is_there(node.told):
        if node.process.poll() is not None or time.monotonic() - began > PATIENCE_S:
            raise OperatorError(f"{node.name} did not join: {node.last_words()}")
        peak = max(peak, watched.memory_info().rss)
        await trio.sleep(POLL_S)
        if is_ready:
            await node.refresh(client, time.monotonic())
        else:
            is_ready = await node.adopt(client, node.process.pid, time.time_ns() // 1_000_000)
    spent = watched.cpu_times()
    return Joined(time.monotonic() - began, spent.user + spent.system, peak / _MB)
