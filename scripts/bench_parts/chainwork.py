"""Measurements inside one process: the limit of signatures, and the import of a chain."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import NamedTuple, cast

from chain.base.errors import InvariantBroken
from chain.base.keys import SIGNATURE_BYTES, SecretKey, verify
from chain.branches.blockchain import Blockchain
from chain.consensus.headers import VerifiedHeader, verify_header
from chain.consensus.statements import NO_TAG
from chain.content.actions import Action, Enrol, Rate
from chain.content.blocks import Block, Heading, assemble, decode_block, decode_heading, encode_block, heading_of
from chain.content.genesis import Genesis, found_genesis
from chain.content.policyfile import shipped_policy
from chain.content.transactions import VerifiedTransaction, sign_transaction, verify_transaction
from chain.disk.storage import Storage
from chain.disk.stored import trusted_block
from chain.protocol.admission import AdmittedClaim
from chain.protocol.engine import Engine
from chain.protocol.events import (
    Ask,
    BlocksReceived,
    Commit,
    Event,
    HeadingsReceived,
    SigningState,
    StatusReceived,
    Tick,
)
from chain.protocol.heard import Heard
from chain.protocol.mempool import Mempool
from chain.protocol.messages import GetBlocks, GetHeadings, GetTransactions, Status, cut_to_size
from chain.protocol.production import Producer
from p2p.local.process import calm_collector

VALIDATORS = 4
BLOCK_TRANSACTIONS = 500
SLOT_MS = 1_000
FAR_HEIGHT = 100_000


@dataclass(frozen=True)
class RecordedChain:
    """A chain made beforehand: encoded blocks that enrol ``members``, then encoded blocks of ratings."""

    genesis: Genesis
    members: int
    enrolling: tuple[bytes, ...]
    rating: tuple[bytes, ...]
    head: Status


def verify_rate(count: int = 2_000, clock: Callable[[], float] = time.perf_counter) -> float:
    """Signatures that a node's own verifier checks a second on one core, for messages of a rating's size."""
    secret = SecretKey(bytes(31) + b"\x01")
    message = bytes(150)
    signature = secret.sign(message)
    started = clock()
    for _ in range(count):
        if not verify(secret.public, message, signature):
            raise InvariantBroken("a good signature is refused")
    return count / (clock() - started)


def record_chain(members: int, ratings: int, seed: int = 1) -> RecordedChain:
    """Make a chain of full blocks: enrolments, then random ratings among random members."""
    random = Random(seed)
    validators = validator_secrets()
    genesis = _genesis(validators)
    actors = [_secret(1_000 + number) for number in range(members)]
    nonces = [0] * members

    def sign(number: int, action: Enrol | Rate) -> VerifiedTransaction:
        transaction = sign_transaction(actors[number], genesis.id, nonces[number], FAR_HEIGHT, action)
        nonces[number] += 1
        return transaction

    enrolments = [sign(number, Enrol()) for number in range(members)]
    rated = []
    for _ in range(ratings):
        rater, subject = random.sample(range(members), 2)
        rated.append(sign(rater, Rate(actors[subject].public, 1, random.randint(-10, 10))))
    chain = Blockchain(genesis)
    producers = [Producer(genesis, secret, SigningState(), NO_TAG) for secret in validators]
    parts = [extend(chain, producers, transactions) for transactions in (enrolments, rated)]
    return RecordedChain(genesis, members, tuple(parts[0]), tuple(parts[1]), status_of(chain))


def status_of(chain: Blockchain) -> Status:
    """What a peer with this chain says of itself."""
    head = chain.head.header
    return Status(head.id, head.height, head.mhp, chain.finalized.height)


def extend(
    chain: Blockchain, producers: Sequence[Producer], transactions: Sequence[VerifiedTransaction]
) -> list[bytes]:
    """Full blocks of these transactions on top of a chain, by its validators in turn; encoded."""
    raws = []
    for start in range(0, len(transactions), BLOCK_TRANSACTIONS):
        mempool = Mempool(chain.ledger.next_nonce)
        for transaction in transactions[start : start + BLOCK_TRANSACTIONS]:
            mempool.add(transaction, chain.head.header.height + 1)
        slot = chain.head.header.slot + 1
        heard = Heard()
        for producer in producers:
            attestation = producer.attest(chain)
            if attestation is not None:
                heard.add(attestation)
        made = producers[slot % len(producers)].make(chain, mempool, heard, slot)
        if made is None:
            raise InvariantBroken("an honest producer contradicts itself")
        chain.adopt(made.block, made.changes, made.votes)
        chain.settle()
        raws.append(encode_block(made.block))
    return raws


class Importer:
    """A stopped node's storage and engine, fed with encoded blocks as its sync would; ``head`` is their last one."""

    def __init__(self, storage: Storage, head: Status) -> None:
        self._storage = storage
        chain, _ = storage.load()
        self._chain_id = chain.genesis.id
        self._base = chain.head.header.height
        self._engine = Engine(chain.genesis, chain)
        self._now_ms = chain.genesis.slot_start_ms(chain.head.header.slot + head.height + 1 - self._base)
        self._raws: list[bytes] = []
        self._asked: list[GetHeadings | GetBlocks] = []
        self._handle(StatusReceived("peer", AdmittedClaim(head)), self._now_ms)

    def run(self, raws: Sequence[bytes], *, check_signatures: bool) -> float:
        """Decode, check, execute and store these blocks; returns the seconds it took."""
        started = time.perf_counter()
        self._raws += raws
        last = self._base + len(self._raws)
        while self._engine.chain.head.header.height < last:
            request = next((each for each in self._asked if each.from_height <= last), None)
            event = Tick() if request is None else self._reply(request, check_signatures=check_signatures)
            # Importing runs faster than the chain's own clock: move ours by what really passed.
            self._handle(event, self._now_ms + int((time.perf_counter() - started) * 1_000))
        return time.perf_counter() - started

    def _handle(self, event: Event, now_ms: int) -> None:
        effects = self._engine.handle(event, now_ms)
        asked = (effect.request for effect in effects if isinstance(effect, Ask))
        self._asked += [request for request in asked if not isinstance(request, GetTransactions)]
        self._storage.commit([effect for effect in effects if isinstance(effect, Commit)])

    def _reply(self, request: GetHeadings | GetBlocks, *, check_signatures: bool) -> Event:
        self._asked.remove(request)
        decode = self._checked if check_signatures else trusted_block
        raws = self._raws[request.from_height - self._base - 1 :][: request.count]
        if isinstance(request, GetHeadings):
            headings = (decode_heading(heading_of(raw)) for raw in raws)
            return HeadingsReceived(
                "peer", request, tuple(Heading(VerifiedHeader(it), ballot) for it, ballot in headings)
            )
        return BlocksReceived("peer", request, tuple(map(decode, cut_to_size(raws, request.max_bytes))))

    def _checked(self, raw: bytes) -> Block:
        chain_id = self._chain_id
        header, ballot, transactions = decode_block(raw)
        verified = [verify_transaction(item, chain_id) for item in transactions]
        return assemble(verify_header(header, chain_id), ballot, verified)

    def close(self) -> None:
        self._storage.close()


def import_rates(recorded: RecordedChain) -> tuple[float, float]:
    """Transactions a second when importing the ratings with cold signatures, and with known ones."""
    rates = []
    for check_signatures in (True, False):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "chain.db"
            Storage.create(path, recorded.genesis, None)
            importer = Importer(Storage(path, recorded.genesis), recorded.head)
            importer.run(recorded.enrolling, check_signatures=False)
            calm_collector()
            seconds = importer.run(recorded.rating, check_signatures=check_signatures)
            importer.close()
            rates.append(len(recorded.rating) * BLOCK_TRANSACTIONS / seconds)
    return rates[0], rates[1]


def unsigned(chain_id: bytes, actor: bytes, nonce: int, action: Action) -> VerifiedTransaction:
    """A transaction in which zeros stand for the signature, for who takes signatures as checked."""
    return sign_transaction(cast("SecretKey", _Nobody(actor)), chain_id, nonce, FAR_HEIGHT, action)


class _Nobody(NamedTuple):
    public: bytes

    def sign(self, _message: bytes) -> bytes:
        return bytes(SIGNATURE_BYTES)


def validator_secrets() -> list[SecretKey]:
    """The keys of those who make such chains."""
    return [_secret(number) for number in range(VALIDATORS)]


def _secret(number: int) -> SecretKey:
    return SecretKey(number.to_bytes(31, "big") + b"\x02")


def _genesis(validators: Sequence[SecretKey]) -> Genesis:
    keys = [secret.public for secret in validators]
    return found_genesis("bench", shipped_policy("marketplace"), keys, genesis_time_ms=0, slot_ms=SLOT_MS)
