"""Random histories of a city's register: whatever happens, the state says what the paper says.

Two computations that share no code, so a difference is a mistake in one of them.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from random import Random
from typing import Any

import pytest

from chain.base.errors import Refused
from chain.branches.ledger import Ledger, decided
from chain.consensus.ballots import make_ballot
from chain.consensus.headers import sign_header
from chain.consensus.judgement import judge
from chain.consensus.statements import NO_TAG
from chain.consensus.votes import Votes
from chain.content.actions import (
    Action,
    Answer,
    Appeal,
    Consent,
    Enrol,
    FileRecord,
    Object,
    Propose,
    Repair,
    Rotate,
    Rule,
    Statement,
)
from chain.content.blocks import Block
from chain.content.policy import Policy
from chain.content.policyfile import read_policy
from chain.content.proposals import ARBITER, REGISTRAR, Accredit, Amend, Proposal, Restore, decode_proposal
from chain.content.transactions import Transaction, VerifiedTransaction
from chain.register import registry
from chain.register.draft import Draft
from chain.register.statekeys import read_record_key, record_key
from scripts.histories_parts.broken import broken
from scripts.municipal.audit import audit
from scripts.municipal.story import rehearsal_policy
from tests.support.world import genesis_of, secret

GENESIS = genesis_of(1, policy=rehearsal_policy(1_000).to_document())
VALIDATOR = secret(1)
MEMBERS = [secret(100 + number).public for number in range(12)]
AGENCIES = [secret(200 + number).public for number in range(3)]
ARBITERS = [secret(300).public]
BLOCKS = 80
AUDIT_EVERY = 10
TRIES_A_BLOCK = 25
DOCUMENT = bytes(32)


class History:
    """One validator's chain, and whoever tries things on it; what is refused leaves no trace."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.ledger = Ledger(GENESIS)
        self.blocks: dict[int, Block] = {}
        self.slot = 0
        self.votes = Votes.genesis(GENESIS.validators, GENESIS.batch)
        self.spare_keys = (secret(1_000 + number).public for number in count())
        self._ids = count()

    def grow(self) -> None:
        """One more block, after some slots or many."""
        self.slot += self.random.choice((1, 1, 1, 2, 5, 20))
        height = self.ledger.height + 1
        draft = self.ledger.draft(self.slot, self.votes.electorate)
        taken = []
        for _ in range(TRIES_A_BLOCK):
            actor, action = self._anything() if self.random.randrange(10) else self._consent(draft)
            account = draft.account(actor)
            number = next(self._ids).to_bytes(32, "big")
            # Signatures are not the register's affair.
            transaction = VerifiedTransaction(
                Transaction(number, actor, account.nonce if account else 0, height, action, b"")
            )
            with suppress(Refused):
                registry.apply(draft, transaction)
                taken.append(transaction)
        ballot = make_ballot((), decided(draft, self.votes.electorate))
        root, changes = self.ledger.seal(draft)
        fields: dict[str, Any] = {"parent": self.ledger.head.id, "transaction_root": bytes(32), "mhg": height - 1}
        fields |= {"tag": NO_TAG, "mhp": self.votes.mhp, "votes_root": ballot.root}
        header = sign_header(VALIDATOR, GENESIS.id, height=height, slot=self.slot, state_root=root, **fields)
        self.blocks[height] = Block(header, ballot, tuple(taken))
        self.ledger.adopt(self.blocks[height], changes)
        self.votes = judge(header, ballot, self.votes, GENESIS.id)

    def _anything(self) -> tuple[bytes, Action]:
        choice, view = self.random.choice, self.ledger.blank_draft(self.slot)
        records = [key for key in self.ledger.state if key[:1] == b"d"]
        member, number = read_record_key(choice(records)) if records else (choice(MEMBERS), 0)
        issuer = view.get(record_key(member, number)).issuer if records else AGENCIES[0]
        # Whoever moved acts with the newest key.
        key, agency = self._key(member), self._key(choice((issuer, issuer, *AGENCIES)))
        match self.random.randrange(12):
            case 0:
                return VALIDATOR.public, Propose(self._proposal(view.policy))
            case 1:
                return choice(MEMBERS), Enrol(self._key(AGENCIES[0]), bytes(64), view.rules.version)
            case 2 | 3:
                return agency, self._filing(view.policy, choice(MEMBERS))
            case 4 | 5:
                return key, choice((Object, Object, Object, Appeal))(member, number, DOCUMENT)
            case 6 | 7:
                points = choice((0, -1, -10))
                return agency, Answer(member, number, choice((1, 2, 3, 3)), points, DOCUMENT)
            case 8:
                return self._key(choice(ARBITERS)), Rule(member, number, choice((1, 2)), DOCUMENT)
            case 9 | 10:
                step = choice((1, 1, 2, 3))
                return (key if step == 1 else agency), Repair(member, number, step, DOCUMENT)
            case _:
                if self.random.randrange(4):
                    return key, Statement(member, number, DOCUMENT)
                return choice((key, agency)), Rotate(next(self.spare_keys), bytes(64))

    def _consent(self, view: Draft) -> tuple[bytes, Action]:
        """Whom the last motion would give an office agrees, if it would anybody."""
        number = max(view.docket.next_motion - 1, 0)
        proposal = decode_proposal(view.motion(number).proposal) if view.docket.next_motion else None
        actor = self._key(proposal.authority) if isinstance(proposal, Accredit) else self.random.choice(MEMBERS)
        return actor, Consent(number)

    def _key(self, identity: bytes) -> bytes:
        view = self.ledger.blank_draft(self.slot)
        while (account := view.account(identity)) is not None and account.successor:
            identity = account.successor
        return identity

    def _filing(self, policy: Policy, member: bytes) -> FileRecord:
        categories = list(policy.categories.values())
        # Often one with a cap, so that the cap is reached.
        category = self.random.choice([*categories, *(3 * [item for item in categories if item.is_capped])])
        points = self.random.randint(category.low, category.high)
        severity = self.random.choice(category.severities or (0,))
        slots = policy.slots(self.random.choice((0, 5, 80, 100, 400)), GENESIS.slot_ms)
        return FileRecord(
            *(member, category.code, points, severity, self.random.randbytes(32), DOCUMENT),
            *(self.slot - slots, policy.version),
        )

    def _proposal(self, policy: Policy) -> Proposal:
        choice = self.random.choice
        agency = choice(AGENCIES)
        match self.random.randrange(5):
            case 0 | 1:
                rights = REGISTRAR if agency == AGENCIES[0] else 0
                codes = tuple(sorted(self.random.sample(sorted(policy.categories), 16)))
                return Accredit(agency, rights, codes, 0, 10_000)
            case 2:
                return Accredit(ARBITERS[0], ARBITER, (), 0, 10_000)
            case 3:
                return Restore(agency)
            case _:
                return Amend(policy.version, self.slot + policy.slots(61, GENESIS.slot_ms), self._amended(policy))

    def _amended(self, policy: Policy) -> bytes:
        """A base that is not lower, tiers that begin not higher, and other periods and limits."""
        document = policy.to_document()
        document["version"] += 1
        document["score"]["base"] += self.random.randint(0, 3)
        tiers = [{**tier, "from": tier["from"] - self.random.randint(0, 5)} for tier in document["tier"]]
        document["periods"]["answer_days"] = self.random.randint(1, 30)
        document["authorities"]["overturned_permille"] = self.random.choice((50, 100, 300))
        document["authorities"]["overturned_minimum"] = self.random.choice((1, 5, 10))
        return read_policy({**document, "tier": tiers}).encode()


@pytest.mark.parametrize("seed", range(6))
def test_the_state_says_what_the_paper_says(seed: int) -> None:
    history = History(seed)
    while history.ledger.height < BLOCKS:
        history.grow()
        if history.ledger.height % AUDIT_EVERY == 0:
            check(history, history.ledger.height)
    # And so it does after the second half was taken back.
    while history.ledger.height > BLOCKS // 2:
        history.ledger.undo()
    check(history, BLOCKS // 2)


# A city's members do not rate each other.
SEEN_ON_PAPER = (
    "the points of a category have no cap",
    "the points of a record count while an objection is open",
    "nothing happens when a deadline passes",
    "records cap no tier",
    "an overturned record is not counted",
    "nobody is suspended, whatever was overturned",
    "an announced policy never comes into force",
)


@pytest.mark.parametrize("rule", SEEN_ON_PAPER)
def test_the_paper_notices_a_broken_rule(rule: str) -> None:
    with broken(rule):
        assert_noticed(History(seed=5))


def assert_noticed(history: History) -> None:
    while history.ledger.height < BLOCKS:
        history.grow()
    found = audit(GENESIS, history.blocks, history.ledger.state, BLOCKS)
    assert found.differences or found.faults
    assert not found.holds


def check(history: History, height: int) -> None:
    found = audit(GENESIS, history.blocks, history.ledger.state, height)
    assert found.differences == ()
    assert found.faults == ()
    assert found.explained == found.members
