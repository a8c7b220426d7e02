"""Homes of validators with a long chain of light blocks, made without a network: their nodes go on with it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from chain.base.errors import InvariantBroken
from chain.base.keys import SecretKey
from chain.branches.blockchain import Blockchain
from chain.consensus.statements import NO_TAG
from chain.content.actions import Enrol, Rate
from chain.content.blocks import Block
from chain.content.genesis import Genesis, found_genesis
from chain.content.policyfile import shipped_policy
from chain.content.transactions import VerifiedTransaction, sign_transaction
from chain.disk.database import DATABASE
from chain.disk.storage import Storage
from chain.protocol.events import Commit, SigningState
from chain.protocol.heard import Heard
from chain.protocol.mempool import Mempool
from chain.protocol.production import Producer
from p2p.local.config import HomeConfig
from p2p.local.home import create_home, peer_id_of
from scripts.testnet_parts.homes import free_ports

VALIDATORS = 4
MEMBERS = 200
SLOT_MS = 1_000
# So many of the newest carry what every validator attests, as those of a running network do.
ATTESTED_BLOCKS = 1_000
BLOCKS_A_COMMIT = 500


def write_long_chain(folder: Path, blocks: int, advance: Callable[[int], None]) -> list[Path]:
    """Make a home for each validator; the chain has a block for each slot up to now.  ``advance`` is told of blocks."""
    validators = [_secret(number) for number in range(VALIDATORS)]
    genesis = found_genesis(
        "long",
        shipped_policy("marketplace"),
        [secret.public for secret in validators],
        genesis_time_ms=time.time_ns() // 1_000_000 - blocks * SLOT_MS,
        slot_ms=SLOT_MS,
    )
    homes = _make_homes(folder, genesis, [secret.seed for secret in validators])
    producers = [Producer(genesis, secret, SigningState(), NO_TAG) for secret in validators]
    with closing(Storage(homes[0] / DATABASE, genesis)) as storage:
        for commit in _commits(Blockchain(genesis), producers, blocks):
            storage.commit([commit])
            advance(len(commit.adopted))
    for home, producer in zip(homes, producers, strict=True):
        if home != homes[0]:
            for name in (DATABASE, f"{DATABASE}-commits"):
                shutil.copyfile(homes[0] / name, home / name)
        with closing(Storage(home / DATABASE, genesis)) as storage:
            storage.commit([Commit(signing=producer.signing)])
    return homes


def _make_homes(folder: Path, genesis: Genesis, seeds: Sequence[bytes]) -> list[Path]:
    """Homes that hold nothing yet, and know each other."""
    ports = free_ports(len(seeds))
    addresses = [f"/ip4/127.0.0.1/tcp/{port}/p2p/{peer_id_of(seed)}" for port, seed in zip(ports, seeds, strict=True)]
    homes = [folder / f"node{number}" for number in range(len(seeds))]
    for home, seed, address in zip(homes, seeds, addresses, strict=True):
        others = [other for other in addresses if other != address]
        config = HomeConfig(listen=[address.partition("/p2p/")[0]], peers=others, http="127.0.0.1:0")
        create_home(home, genesis, seed, config)
    return homes


def _commits(chain: Blockchain, producers: Sequence[Producer], blocks: int) -> Iterator[Commit]:
    for first in range(1, blocks + 1, BLOCKS_A_COMMIT):
        heights = range(first, min(blocks + 1, first + BLOCKS_A_COMMIT))
        made = tuple(_make(chain, producers, height, blocks) for height in heights)
        yield Commit(adopted=made, finalized_height=chain.finalized.height, settled=chain.settle())


def _make(chain: Blockchain, producers: Sequence[Producer], height: int, blocks: int) -> Block:
    """The next block: members come in the first, and rate each other in the second."""
    heard, mempool = Heard(), Mempool(chain.ledger.next_nonce)
    if height > blocks - ATTESTED_BLOCKS:
        for attestation in filter(None, (producer.attest(chain) for producer in producers)):
            heard.add(attestation)
    for transaction in _transactions(chain.genesis.id, height):
        mempool.add(transaction, height)
    made = producers[height % len(producers)].make(chain, mempool, heard, height)
    if made is None:
        raise InvariantBroken("an honest producer contradicts itself")
    chain.adopt(made.block, made.changes, made.votes)
    return made.block


def _transactions(chain_id: bytes, height: int) -> list[VerifiedTransaction]:
    if height > 2:
        return []
    members = [_secret(1_000 + number) for number in range(MEMBERS)]
    actions = [
        Enrol() if height == 1 else Rate(members[number - 1].public, 1, number % 10 + 1) for number in range(MEMBERS)
    ]
    return [
        sign_transaction(member, chain_id, height - 1, 10_000, action)
        for member, action in zip(members, actions, strict=True)
    ]


def _secret(number: int) -> SecretKey:
    return SecretKey(number.to_bytes(31, "big") + b"\x03")
