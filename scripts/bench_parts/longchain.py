"""A home with a long chain of light blocks, made without a network: one validator of four can go on with it alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from chain.actions import Enrol, Rate
from chain.blockchain import Blockchain
from chain.blocks import Block
from chain.database import DATABASE
from chain.errors import InvariantBroken
from chain.events import Commit, SigningState
from chain.genesis import Genesis, found_genesis
from chain.heard import Heard
from chain.keys import SecretKey
from chain.mempool import Mempool
from chain.policy import shipped_policy
from chain.production import Producer
from chain.statements import NO_TAG
from chain.storage import Storage
from chain.transactions import VerifiedTransaction, sign_transaction
from p2p.local.config import HomeConfig
from p2p.local.home import create_home

# Of the first alone two thirds; its blocks make final what all of them made.
WEIGHTS = (97, 1, 1, 1)
MEMBERS = 200
SLOT_MS = 1_000
# So many of the newest carry what every validator attests, as those of a running network do.
ATTESTED_BLOCKS = 1_000
BLOCKS_A_COMMIT = 500
# Until its node is up.
SPARE_SLOTS = 30


def write_long_chain(home: Path, blocks: int, advance: Callable[[int], None]) -> Genesis:
    """Make a home whose chain has so many blocks and ends about now; ``advance`` is told of blocks."""
    validators = [_secret(number) for number in range(len(WEIGHTS))]
    genesis = found_genesis(
        "long",
        shipped_policy("marketplace"),
        [secret.public for secret in validators],
        genesis_time_ms=time.time_ns() // 1_000_000 - (blocks + SPARE_SLOTS) * SLOT_MS,
        slot_ms=SLOT_MS,
        weights=WEIGHTS,
    )
    config = HomeConfig(listen=["/ip4/127.0.0.1/tcp/0"], http="127.0.0.1:0")
    create_home(home, genesis, validators[0].seed, config)
    storage, chain = Storage(home / DATABASE, genesis), Blockchain(genesis)
    producers = [Producer(genesis, secret, SigningState(), NO_TAG) for secret in validators]
    for first in range(1, blocks + 1, BLOCKS_A_COMMIT):
        heights = range(first, min(blocks + 1, first + BLOCKS_A_COMMIT))
        made = tuple(_make(chain, producers, height, blocks) for height in heights)
        signing, settled = producers[0].signing, chain.settle()
        storage.commit(
            [Commit(adopted=made, finalized_height=chain.finalized.height, settled=settled, signing=signing)]
        )
        advance(len(made))
    storage.close()
    return genesis


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
