"""How fast registry transactions are applied whose signatures are known: ratings alone, and all kinds mixed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from random import Random

from chain.base.keys import SecretKey
from chain.base.merkle import merkle_root
from chain.branches.ledger import Ledger
from chain.consensus.ballots import EMPTY
from chain.consensus.electorate import Electorate, validator_set
from chain.consensus.headers import sign_header
from chain.consensus.statements import NO_TAG
from chain.content.actions import (
    CORRECT,
    MAINTAIN,
    STRIKE,
    UPHOLD,
    WITHDRAW,
    Action,
    Answer,
    Consent,
    Enrol,
    FileRecord,
    Object,
    Propose,
    Rate,
    Rule,
    Statement,
)
from chain.content.blocks import Block
from chain.content.genesis import found_genesis
from chain.content.policy import Category, Policy
from chain.content.policyfile import read_policy, shipped_policy
from chain.content.proposals import ARBITER, Accredit
from chain.content.transactions import Transaction, VerifiedTransaction
from chain.register.registry import apply
from chain.register.view import StateView

BLOCK_TRANSACTIONS = 500
SLOT_MS = 1_000
# A block an hour: conduct and deadlines lie days apart, as they would.
BLOCK_SLOTS = 3_600
DAY_SLOTS = 86_400
# After so many more transactions a hearing of a day is over: 24 blocks, and the one in which it began.
HEARING_TRANSACTIONS = (DAY_SLOTS // BLOCK_SLOTS + 2) * BLOCK_TRANSACTIONS
EXPIRY_HEIGHT = 50_000
DIGEST = bytes(range(32))


def secret_of(number: int) -> SecretKey:
    """The same keys in every run."""
    return SecretKey(number.to_bytes(31, "big") + b"\x05")


MAKER = secret_of(1)
AUTHORITIES = tuple(secret_of(10 + number).public for number in range(4))
# There is one, so that the lot falls on it.
ARBITER_KEY = secret_of(20).public


def bench_policy() -> Policy:
    """The municipal policy, but anybody may enrol and members rate each other, so that every kind occurs."""
    document = shipped_policy("municipal").to_document()
    rating = {"code": 1_000, "name": "trade", "min": -10, "max": 10}
    lenient = {"overturned_permille": 1_000, "overturned_minimum": 1}
    rights = {**document["rights"], "lookback_days": document["periods"]["retention_days"], "hearing_days": 1}
    changes = {"enrolment": "open", "rating": [rating], "authorities": lenient, "rights": rights, "quotas": {}}
    return read_policy({**document, **changes})


class Applier:
    """A ledger fed with blocks of transactions that nobody signed; only applying them is measured.

    ``members`` are those who rate and whom records are about; what it has to know of them beforehand it asks ``look``,
    so that the ledger has not read it yet.  ``root_…`` is the part of the times that the tree took.
    """

    def __init__(
        self, ledger: Ledger, members: Sequence[bytes], seed: int = 1, look: Callable[[], StateView] | None = None
    ) -> None:
        self.ledger = ledger
        self._look = look or ledger.view
        self.parent = ledger.head.id
        self.members = members
        self.cpu_s = self.wall_s = self.root_cpu_s = self.root_wall_s = 0.0
        self._electorate = Electorate(1, validator_set(ledger.genesis.validators, ledger.genesis.batch))
        self._random = Random(seed)
        self._nonces: dict[bytes, int] = {}
        self._filed: dict[bytes, int] = {}
        self._heard: deque[tuple[int, Rule]] = deque()
        graded = (item for item in ledger.genesis.policy.categories.values() if item.severities)
        self._category = next(item for item in graded if item.low < item.high < 0)

    def enrol(self) -> None:
        """Accredit the authorities and enrol the members of an empty ledger."""
        codes = tuple(sorted(self.ledger.genesis.policy.categories))
        offices = [Accredit(authority, 0, codes, 0, 10**9) for authority in AUTHORITIES]
        for number, office in enumerate([*offices, Accredit(ARBITER_KEY, ARBITER, (), 0, 10**9)]):
            self.block([self.sign(MAKER.public, Propose(office)), self.sign(office.authority, Consent(number))])
        self.blocks([self.sign(member, Enrol()) for member in self.members])

    def file(self, subject: bytes, category: Category) -> VerifiedTransaction:
        """An authority records something about a member."""
        random = self._random
        points, severity = random.randint(category.low, category.high), random.choice(category.severities or (0,))
        established_slot = random.randint(0, self.ledger.height * BLOCK_SLOTS)
        reason = DIGEST if category.needs_reason else b""
        evidence = random.randbytes(len(DIGEST))
        action = FileRecord(subject, category.code, points, severity, evidence, reason, established_slot, 1)
        return self.sign(random.choice(AUTHORITIES), action)

    def object_to(self, subject: bytes, number: int) -> VerifiedTransaction:
        """A member objects to a record."""
        return self.sign(subject, Object(subject, number, DIGEST))

    def ratings(self, count: int) -> list[VerifiedTransaction]:
        """Random members rate random others."""
        made = []
        for _ in range(count):
            rater, subject = self._random.sample(self.members, 2)
            made.append(self.sign(rater, Rate(subject, 1_000, self._random.randint(-10, 10))))
        return made

    def mixed(self, count: int) -> list[VerifiedTransaction]:
        """Ratings, records and what becomes of them."""
        made: list[VerifiedTransaction] = []
        stories: list[Iterator[VerifiedTransaction]] = []
        while len(made) < count:
            while self._heard and self._heard[0][0] <= len(made):
                made.append(self.sign(ARBITER_KEY, self._heard.popleft()[1]))
            while len(stories) < 50:
                stories.append(self._story(made))
            at = self._random.randrange(len(stories))
            transaction = next(stories[at], None)
            if transaction is None:
                del stories[at]
            else:
                made.append(transaction)
        self._heard.clear()
        return made[:count]

    def blocks(self, transactions: list[VerifiedTransaction]) -> None:
        """Apply these in full blocks; the time goes into :attr:`seconds`."""
        for start in range(0, len(transactions), BLOCK_TRANSACTIONS):
            self.block(transactions[start : start + BLOCK_TRANSACTIONS])
            self.ledger.settle(self.ledger.height)

    def block(self, transactions: Sequence[VerifiedTransaction]) -> Block:
        """Apply one block."""
        ledger, height = self.ledger, self.ledger.height + 1
        slot = ledger.head.slot + BLOCK_SLOTS
        with self._measured():
            ledger.expect(transactions)
            draft = ledger.draft(slot, self._electorate)
            for transaction in transactions:
                apply(draft, transaction)
            wall, cpu = time.perf_counter(), time.process_time()
            root, changes = ledger.seal(draft)
            self.root_cpu_s += time.process_time() - cpu
            self.root_wall_s += time.perf_counter() - wall
        header = sign_header(
            MAKER,
            ledger.genesis.id,
            height=height,
            slot=slot,
            parent=self.parent,
            tag=NO_TAG,
            mhg=height - 1,
            mhp=0,
            votes_root=EMPTY.root,
            transaction_root=merkle_root([transaction.id for transaction in transactions]),
            state_root=root,
        )
        block = Block(header, EMPTY, tuple(transactions))
        with self._measured():
            ledger.adopt(block, changes)
        self.parent = header.id
        return block

    def sign(self, actor: bytes, action: Action) -> VerifiedTransaction:
        """A transaction as if ``actor`` had signed it."""
        nonce = self._nonces.get(actor)
        if nonce is None:
            account = self._look().account(actor)
            nonce = 0 if account is None else account.nonce
        self._nonces[actor] = nonce + 1
        raw = bytes(200)
        key = sha256(actor + nonce.to_bytes(8, "big")).digest()
        return VerifiedTransaction(Transaction(key, actor, nonce, EXPIRY_HEIGHT, action, raw))

    @contextmanager
    def _measured(self) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.cpu_s += time.process_time() - cpu
        self.wall_s += time.perf_counter() - wall

    def _story(self, made: list[VerifiedTransaction]) -> Iterator[VerifiedTransaction]:
        random = self._random
        for _ in range(2):  # one by one: a nonce is taken when its turn comes
            yield from self.ratings(1)
        issuer, key, category = random.randrange(len(AUTHORITIES)), random.choice(self.members), self._category
        number = self._filed.get(key)
        if number is None:
            number = self._look().member(key)[1].filed
        self._filed[key] = number + 1
        # Of days before the chain, so that nothing is recorded twice.
        about = (random.randbytes(len(DIGEST)), DIGEST, -number * DAY_SLOTS)
        yield self.sign(
            AUTHORITIES[issuer], FileRecord(key, category.code, category.low, category.severities[-1], *about, 1)
        )
        yield from self._ending(AUTHORITIES[issuer], key, number, made)

    def _ending(
        self, issuer: bytes, key: bytes, number: int, made: list[VerifiedTransaction]
    ) -> Iterator[VerifiedTransaction]:
        match self._random.randrange(8):
            case 0:
                yield self.sign(key, Statement(key, number, DIGEST))
            case 1:
                yield self.sign(issuer, Answer(key, number, CORRECT, self._category.high, b""))
            case 2:
                yield self.sign(issuer, Answer(key, number, WITHDRAW, 0, b""))
            case 3 | 4:
                yield self.sign(key, Object(key, number, DIGEST))
                yield self.sign(issuer, Answer(key, number, MAINTAIN, 0, DIGEST))
                verdict = self._random.choice((STRIKE, UPHOLD, UPHOLD))
                self._heard.append((len(made) + HEARING_TRANSACTIONS, Rule(key, number, verdict, DIGEST)))
            case _:
                return


def found_ledger() -> Ledger:
    """A ledger at its genesis, made by one validator."""
    genesis = found_genesis(
        "bench", bench_policy(), [MAKER.public], genesis_time_ms=0, slot_ms=SLOT_MS, heartbeat_slots=BLOCK_SLOTS
    )
    return Ledger(genesis)


def applied_per_s(kind: str, count: int, members: int = 5_000) -> float:
    """Transactions a CPU second on one core, ``kind`` being ``rate`` or ``mixed``.

    They begin when the first hearings are over: before that no mix has rulings in it, which cost most.
    """
    ledger = found_ledger()
    applier = Applier(ledger, [secret_of(1_000 + number).public for number in range(members)])
    applier.enrol()
    make = applier.ratings if kind == "rate" else applier.mixed
    transactions = make(HEARING_TRANSACTIONS + count)
    applier.blocks(transactions[:HEARING_TRANSACTIONS])
    applier.cpu_s = 0.0
    applier.blocks(transactions[HEARING_TRANSACTIONS:])
    return count / applier.cpu_s
