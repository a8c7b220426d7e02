"""How a new node joins a network on this machine: three nodes that have it all, and one that has nothing."""

from __future__ import annotations

import shutil
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import trio

from chain.blockchain import Blockchain
from chain.database import DATABASE, trusted_block
from chain.errors import OperatorError
from chain.events import Commit, SigningState
from chain.genesis import Genesis, found_genesis, load_genesis
from chain.policy import shipped_policy
from chain.production import Producer
from chain.statements import NO_TAG
from chain.storage import Storage
from chain.transactions import VerifiedTransaction, decode_transaction
from p2p.client import AsyncClient, NodeStatus, announced
from p2p.local.config import HomeConfig
from p2p.local.home import create_home
from scripts.bench_parts.chainwork import BLOCK_TRANSACTIONS, SLOT_MS, extend, validator_secrets, verify_rate
from scripts.bench_parts.figures import Figure
from scripts.console import progress
from scripts.replay import EXPIRY_HEIGHT, SAMPLE, Plan, Signer, read_ratings
from scripts.testnet_parts.nodes import NodeProcess, running

PEERS = 3
POLL_S = 0.1
# Something is wrong where nothing more comes for so long.
PATIENCE_S = 120.0
SEED = bytes(range(32))
_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Joined:
    """How long it took from the start of the process, the CPU time and most memory of it, and where it is then."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    status: NodeStatus


# ----------------------------------------------------------------------------------------------------- by blocks


def joins_by_blocks(folder: Path, replay: Path | None) -> list[Figure]:
    """A whole chain of ratings, block by block.  Raises :class:`OperatorError`."""
    peers = [folder / f"peer-{number}" for number in range(PEERS)]
    joiner = folder / "joiner"
    for home in (*peers, joiner):
        shutil.rmtree(home, ignore_errors=True)
    height, transactions = _replayed(peers, replay or SAMPLE)
    before = verify_rate()
    joined = trio.run(join, peers, joiner, lambda status: status["height"] >= height)
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
    """A register, by its state."""
    raise OperatorError("this version cannot join by state; leave it out with --only")


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


async def join(peers: Sequence[Path], home: Path, is_there: Callable[[NodeStatus], bool]) -> Joined:
    """Let a fresh ``home`` of the peers' network join it.  Raises :class:`OperatorError` where it does not get on."""
    async with serving(peers) as (client, addresses):
        create_home(home, load_genesis(peers[0] / "genesis.json"), bytes([99]) * 32, following(addresses))
        node = NodeProcess(99, home, is_validator=False)
        began = time.monotonic()
        async with running([node], client, 0):
            return await _watched(node, client, began, is_there)


async def _watched(
    node: NodeProcess, client: AsyncClient, began: float, is_there: Callable[[NodeStatus], bool]
) -> Joined:
    peak, height, moved = 0, -1, time.monotonic()
    while not is_there(status := node.told):
        peak = max(peak, status["rss_bytes"])
        if status["height"] != height:
            height, moved = status["height"], time.monotonic()
        if time.monotonic() - moved > PATIENCE_S:
            raise OperatorError(f"{node.name} stays at height {height}; see {node.home / 'node.log'}")
        await trio.sleep(POLL_S)
        await node.refresh(client, time.monotonic())
    peak = max(peak, status["rss_bytes"])
    return Joined(time.monotonic() - began, status["cpu_s"], peak / _MB, status)
