"""A small register in a home on disk: a city's policy, five members, an office that records and one that rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from chain.base.keys import did_from_key
from chain.branches.blockchain import Blockchain
from chain.consensus.votes import Votes
from chain.content.actions import (
    ASK,
    CORRECT,
    MAINTAIN,
    STRIKE,
    Action,
    Answer,
    Approve,
    Consent,
    Enrol,
    FileRecord,
    Object,
    Propose,
    Rate,
    Repair,
    Rotate,
    Rule,
)
from chain.content.blocks import Block
from chain.content.consents import sign_rotation
from chain.content.genesis import Genesis, make_genesis
from chain.content.policy import Policy
from chain.content.policyfile import read_policy, shipped_policy
from chain.content.proposals import ARBITER, Accredit, AddValidator, Amend, JailValidator
from chain.content.transactions import VerifiedTransaction
from chain.disk.database import DATABASE
from chain.disk.storage import Storage
from chain.protocol.events import Commit, SigningState
from tests.support.forge import Forge
from tests.support.homes import write_genesis
from tests.support.world import Actor, secret

DIGEST = sha256(b"a document kept elsewhere").digest()
SLOT_MS = 1_000
TICKET, DRUNK, DEFAULT, HEROISM = 13, 14, 1, 101
NEIGHBOURS = 901


def city_policy(**changes: Any) -> Policy:
    """The municipal policy with a slot for a day, open enrolment, and members who rate each other."""
    document = shipped_policy("municipal").to_document()
    document |= {"day_ms": SLOT_MS, "enrolment": "open"}
    document["score"] |= {"ratings_floor": -8, "ratings_cap": 8}
    document["authorities"] |= {"overturned_permille": 400, "overturned_minimum": 4}
    document["rights"] |= {"hearing_days": 1}
    document["rating"] = [{"code": NEIGHBOURS, "name": "neighbours", "min": -10, "max": 10}]
    return read_policy(document | changes)


def city_genesis(policy: Policy) -> Genesis:
    """Four validators with ``secret(1)`` to ``secret(4)``."""
    return make_genesis(
        {
            "format": 1,
            "name": "city",
            "genesis_time_ms": 1_700_000_000_000,
            "slot_ms": SLOT_MS,
            "batch": 6,
            "heartbeat_slots": 20,
            "max_expiry_blocks": 100_000,
            "validators": [{"did": did_from_key(secret(n).public), "weight": 1} for n in range(1, 5)],
            "policy": policy.to_document(),
        }
    )


class City:
    """The history of a register, block by block; slots are heights."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.genesis = city_genesis(policy or city_policy())
        self.validators = [Actor(self.genesis, n) for n in range(1, 5)]
        self.newcomer = Actor(self.genesis, 99)
        self.office, self.judge = Actor(self.genesis, 50), Actor(self.genesis, 51)
        self.ann, self.bob, self.cleo, self.dan, self.eve = self.members = [
            Actor(self.genesis, 60 + n) for n in range(5)
        ]
        self.blocks: list[Block] = []
        self._filings = 0
        self._forge = Forge(self.genesis)

    @property
    def height(self) -> int:
        return len(self.blocks)

    @property
    def is_changing(self) -> bool:
        """Whether other validators are decided in the settled state, which is some blocks behind."""
        final = self._forge.votes(self.blocks[-1]).finalized
        return bool(final and self._forge.validators(self.blocks[final - 1]).change)

    def did(self, actor: Actor) -> str:
        """The key that somebody has now."""
        return did_from_key(actor.key)

    def block(
        self,
        *transactions: VerifiedTransaction,
        slot: int | None = None,
        carrying: Sequence[tuple[int, Block]] = (),
    ) -> Block:
        """The next block, in the next slot by default; ``carrying`` says who (by number) attests which blocks."""
        parent = self.blocks[-1] if self.blocks else None
        said = [self._forge.attest(block, number - 1) for number, block in carrying]
        self.blocks.append(self._forge.block(parent, transactions, slot=slot, carrying=said))
        return self.blocks[-1]

    def state(self, block: Block) -> dict[bytes, bytes]:
        """The state after a block."""
        return self._forge.state(block)

    def votes(self, block: Block) -> Votes:
        """The votes after a block."""
        return self._forge.votes(block)

    def stray(self, parent: Block, **fields: Any) -> Block:
        """A block that the city's chain does not hold."""
        return self._forge.block(parent, **fields)

    def filing(self, subject: Actor, category: int, points: int, severity: int) -> FileRecord:
        """A record of what was established one slot ago, on evidence of its own."""
        self._filings += 1
        evidence = sha256(b"evidence %d" % self._filings).digest()
        return FileRecord(subject.key, category, points, severity, evidence, b"", self.height, 1)

    def carried(self, *proposals: Any) -> None:
        """The first validator proposes, whom it invites consents, two more approve; the first motion has number 0."""
        first = sum(isinstance(tx.action, Propose) for block in self.blocks for tx in block.transactions)
        self.block(*[self.validators[0].sign(Propose(proposal)) for proposal in proposals])
        numbers = range(first, first + len(proposals))
        consents = [
            actor.sign(Consent(number))
            for number, proposal in zip(numbers, proposals, strict=True)
            for actor in (self.newcomer, self.office, self.judge)
            if isinstance(proposal, AddValidator | Accredit) and proposal[0] == actor.key
        ]
        approvals = [actor.sign(Approve(number)) for actor in self.validators[1:3] for number in numbers]
        self.block(*consents, *approvals)

    def rotate(self, actor: Actor, number: int) -> VerifiedTransaction:
        """``actor`` moves to the key ``secret(number)``."""
        fresh = secret(number)
        proof = sign_rotation(fresh, self.genesis.id, actor.key, actor.nonce)
        transaction = actor.sign(Rotate(fresh.public, proof))
        actor.secret, actor.nonce = fresh, 0
        return transaction

    def write(self, home: Path, *, only_final: bool = False) -> Path:
        """A home that took all blocks, its state settled as far as they are final; or only those that are."""
        write_genesis(home, self.genesis)
        Storage.create(home / DATABASE, self.genesis, SigningState())
        chain = Blockchain(self.genesis)
        for block in self.blocks:
            chain.add(block, arrived_in_slot=True)
        assert chain.head.header.id == self.blocks[-1].id
        final = chain.finalized.height
        taken = tuple(self.blocks[:final] if only_final else self.blocks)
        storage = Storage(home / DATABASE, self.genesis)
        storage.commit([Commit(adopted=taken, finalized_height=final, settled=chain.settle())])
        storage.close()
        return home


def lively_city() -> City:
    """What may happen in a register, most of it once.

    =====  ======================================================================
    ann    a ticket, a default (objected to, open), heroism, ratings beyond the cap; a new key
    bob    a default, objected to, maintained, struck; another, repaired on silence
    cleo   a ticket, objected to and never answered; a rating
    dan    drunk driving, which caps the tier
    eve    nothing
    =====  ======================================================================
    """
    city = City()
    office, judge, ann, bob, cleo, dan = city.office, city.judge, city.ann, city.bob, city.cleo, city.dan
    forever = 2**63
    city.block(*[member.sign(Enrol()) for member in city.members])
    city.carried(
        Accredit(office.key, 0, (DEFAULT, TICKET, DRUNK, HEROISM), 0, forever),
        Accredit(judge.key, ARBITER, (), 0, 1_000),
    )
    city.block(*_signed(office, city.filing(ann, TICKET, -5, 1), city.filing(ann, DEFAULT, -20, 2)))
    city.block(*_signed(office, city.filing(bob, DEFAULT, -20, 1), city.filing(cleo, TICKET, -5, 1)))
    city.block(*_signed(office, city.filing(dan, DRUNK, 0, 2), city.filing(ann, HEROISM, 30, 0)))
    city.block(
        *[rater.sign(Rate(ann.key, NEIGHBOURS, points)) for rater, points in ((bob, 6), (cleo, 7), (dan, -2))],
        ann.sign(Rate(cleo.key, NEIGHBOURS, 4)),
    )
    city.block(bob.sign(Object(bob.key, 0, DIGEST)), cleo.sign(Object(cleo.key, 0, DIGEST)))
    city.block(office.sign(Answer(bob.key, 0, MAINTAIN, 0, DIGEST)))
    city.block(judge.sign(Rule(bob.key, 0, STRIKE, DIGEST)))
    city.block(*_signed(office, city.filing(bob, DEFAULT, -20, 1), city.filing(bob, DEFAULT, -20, 1)))
    city.block(bob.sign(Repair(bob.key, 1, ASK, DIGEST)), bob.sign(Object(bob.key, 2, DIGEST)))
    city.block(office.sign(Answer(bob.key, 2, CORRECT, -1, DIGEST)))
    for _ in range(20):  # until silence has deleted cleo's ticket and repaired bob's default
        city.block()
    city.block(city.rotate(ann, 90))
    city.block(ann.sign(Object(ann.key, 1, DIGEST)))
    city.carried(Amend(1, city.height + 40, next_policy(city).encode()))
    city.block(city.validators[3].sign(Propose(AddValidator(city.newcomer.key, 1))))
    for _ in range(12):  # so that all of it is final
        city.block()
    return city


def changing_city(blocks: int) -> City:
    """A city that jails a validator, takes in another, and makes ``blocks`` more."""
    city = City()
    city.carried(JailValidator(city.validators[3].key))
    for _ in range(20):
        city.block()
    city.carried(AddValidator(city.newcomer.key, 1))
    for _ in range(blocks):
        city.block()
    return city


def next_policy(city: City, **changes: Any) -> Policy:
    """Policy 2: the base is raised by ten."""
    document = city.genesis.policy.to_document() | {"version": 2}
    document["score"] = document["score"] | {"base": 1010}
    return read_policy(document | changes)


def _signed(actor: Actor, *actions: Action) -> Sequence[VerifiedTransaction]:
    return [actor.sign(action) for action in actions]


@dataclass(frozen=True)
class Told:
    """A city, and its home on disk."""

    city: City
    home: Path

    def did(self, name: str) -> str:
        actor: Actor = getattr(self.city, name)
        return self.city.did(actor)


def told_city(home: Path) -> Told:
    """The lively city, written to this home."""
    city = lively_city()
    return Told(city, city.write(home))
