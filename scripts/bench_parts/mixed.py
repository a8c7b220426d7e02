"""How fast registry transactions are applied whose signatures are known: ratings alone, and all kinds mixed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from random import Random

from chain.blocks import Block
from chain.genesis import Genesis, found_genesis
from chain.headers import sign_header
from chain.keys import SecretKey
from chain.ledger import Ledger
from chain.policy import Policy, read_policy, shipped_policy
from chain.proposals import ARBITER, Accredit
from chain.registry import apply
from chain.transactions import (
    CORRECT,
    MAINTAIN,
    STRIKE,
    UPHOLD,
    WITHDRAW,
    Action,
    Answer,
    Comment,
    Enrol,
    File,
    Object,
    Propose,
    Rate,
    Rule,
    Transaction,
    VerifiedTransaction,
)

BLOCK_TRANSACTIONS = 500
EXPIRY_HEIGHT = 50_000
AUTHORITIES = 4
DIGEST = bytes(range(32))


def bench_policy() -> Policy:
    """The municipal policy, but anybody may enrol and members rate each other, so that every kind occurs."""
    document = shipped_policy("municipal").to_document()
    rating = {"code": 1_000, "name": "trade", "min": -10, "max": 10}
    lenient = {"overturned_permille": 1_000, "overturned_minimum": 1}
    return read_policy({**document, "enrolment": "open", "rating": [rating], "authorities": lenient})


@dataclass(slots=True)
class _Filed:
    issuer: int
    subject: int
    number: int


class Applier:
    """A ledger fed with blocks of transactions that nobody signed; only applying them is measured."""

    def __init__(self, members: int, seed: int = 1) -> None:
        self._random = Random(seed)
        self._maker = _secret(1)
        self.policy = bench_policy()
        self.genesis: Genesis = found_genesis(
            "bench", self.policy, [self._maker.public], genesis_time_ms=0, slot_ms=1_000
        )
        self.ledger = Ledger(self.genesis)
        self.seconds = 0.0
        self._nonces: dict[bytes, int] = {}
        self._parent = self.genesis.id
        self._authorities = [_secret(10 + number).public for number in range(AUTHORITIES)]
        self._category = next(
            item for item in self.policy.categories.values() if item.severities and item.low < item.high < 0
        )
        codes = (self._category.code,)
        for authority in self._authorities:
            self.block([self._sign(self._maker.public, Propose(Accredit(authority, ARBITER, codes, 0, 10**6)))])
        self.members = [_secret(1_000 + number).public for number in range(members)]
        self._filed = [0] * members
        self.blocks([self._sign(member, Enrol()) for member in self.members])

    def ratings(self, count: int) -> list[VerifiedTransaction]:
        """Random members rate random others."""
        made = []
        for _ in range(count):
            rater, subject = self._random.sample(self.members, 2)
            made.append(self._sign(rater, Rate(subject, 1_000, self._random.randint(-10, 10))))
        return made

    def mixed(self, count: int) -> list[VerifiedTransaction]:
        """Ratings, records and what becomes of them."""
        made: list[VerifiedTransaction] = []
        stories: list[Iterator[VerifiedTransaction]] = []
        while len(made) < count:
            while len(stories) < 50:
                stories.append(self._story())
            at = self._random.randrange(len(stories))
            transaction = next(stories[at], None)
            if transaction is None:
                del stories[at]
            else:
                made.append(transaction)
        return made

    def blocks(self, transactions: list[VerifiedTransaction]) -> None:
        """Apply these in full blocks; the time goes into :attr:`seconds`."""
        for start in range(0, len(transactions), BLOCK_TRANSACTIONS):
            self.block(transactions[start : start + BLOCK_TRANSACTIONS])

    def block(self, transactions: list[VerifiedTransaction]) -> None:
        """Apply one block."""
        height = self.ledger.height + 1
        started = time.perf_counter()
        draft = self.ledger.draft(height, 1)
        for transaction in transactions:
            apply(draft, transaction)
        root, changes = self.ledger.seal(draft)
        self.seconds += time.perf_counter() - started
        header = sign_header(
            self._maker,
            self.genesis.id,
            height=height,
            slot=height,
            parent=self._parent,
            mhg=height - 1,
            mhp=0,
            transaction_root=DIGEST,
            state_root=root,
        )
        started = time.perf_counter()
        self.ledger.adopt(Block(header, tuple(transactions)), changes)
        self.seconds += time.perf_counter() - started
        self.ledger.settle(height)
        self._parent = header.id

    def _story(self) -> Iterator[VerifiedTransaction]:
        random = self._random
        for _ in range(2):  # one by one: a nonce is taken when its turn comes
            yield from self.ratings(1)
        issuer, subject = random.randrange(AUTHORITIES), random.randrange(len(self.members))
        filed = _Filed(issuer, subject, self._filed[subject])
        self._filed[subject] += 1
        category, key = self._category, self.members[subject]
        record = File(key, category.code, category.low, category.severities[-1], DIGEST, DIGEST, 0, 1)
        yield self._sign(self._authorities[issuer], record)
        yield from self._ending(filed, key)

    def _ending(self, filed: _Filed, key: bytes) -> Iterator[VerifiedTransaction]:
        issuer, arbiter = (self._authorities[(filed.issuer + step) % AUTHORITIES] for step in (0, 1))
        number = filed.number
        match self._random.randrange(8):
            case 0:
                yield self._sign(key, Comment(key, number, DIGEST))
            case 1:
                yield self._sign(issuer, Answer(key, number, CORRECT, self._category.high, b""))
            case 2:
                yield self._sign(issuer, Answer(key, number, WITHDRAW, 0, b""))
            case 3 | 4:
                yield self._sign(key, Object(key, number, DIGEST))
                yield self._sign(issuer, Answer(key, number, MAINTAIN, 0, DIGEST))
                yield self._sign(arbiter, Rule(key, number, self._random.choice((STRIKE, UPHOLD, UPHOLD)), DIGEST))
            case _:
                return

    def _sign(self, actor: bytes, action: Action) -> VerifiedTransaction:
        nonce = self._nonces.get(actor, 0)
        self._nonces[actor] = nonce + 1
        raw = bytes(200)
        key = sha256(actor + nonce.to_bytes(8, "big")).digest()
        return VerifiedTransaction(Transaction(key, actor, nonce, EXPIRY_HEIGHT, action, raw))


def applied_per_s(kind: str, count: int, members: int = 5_000) -> float:
    """Transactions a second on one core, ``kind`` being ``rate`` or ``mixed``."""
    applier = Applier(members)
    transactions = applier.ratings(count) if kind == "rate" else applier.mixed(count)
    applier.seconds = 0.0
    applier.blocks(transactions)
    return len(transactions) / applier.seconds


def _secret(number: int) -> SecretKey:
    return SecretKey(number.to_bytes(31, "big") + b"\x05")
