"""A register for tests, told as a story: who there is, what they do, and how time passes.

::

    register = Register()                                   # four validators, the municipal policy, a day a slot
    office, judge = register.office(1, 13), register.arbiter()
    ann = register.member()
    number = register.file(office, ann, 13, -5)
    register.do(ann, Object(ann.key, number, DIGEST))       # or: assert register.refusal(…) is Reason.…
    register.block(20)                                      # the block after this one, 20 slots later
    assert register.score(ann) == 1000

Everything happens in the block in the making, ``register.draft``; :meth:`Register.block` makes it the head.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from itertools import count, repeat
from typing import Any

from chain.base.errors import Reason
from chain.base.keys import SecretKey, did_from_key
from chain.base.merkle import merkle_root
from chain.branches.ledger import Ledger, decided
from chain.consensus.ballots import EMPTY, make_ballot
from chain.consensus.electorate import Electorate, ValidatorSet
from chain.consensus.headers import sign_header
from chain.consensus.statements import NO_TAG
from chain.content.actions import (
    MAINTAIN,
    RECOVER,
    Action,
    Answer,
    Approve,
    Consent,
    Enrol,
    Evidence,
    FileRecord,
    Object,
    Propose,
    Rate,
    Recover,
    Reopen,
    Rotate,
)
from chain.content.blocks import Block, assemble
from chain.content.consents import sign_consent, sign_receipt, sign_recovery, sign_reopening, sign_rotation
from chain.content.genesis import Genesis, make_genesis
from chain.content.policy import Policy
from chain.content.policyfile import read_policy, shipped_policy
from chain.content.proposals import ARBITER, REGISTRAR, Accredit, AddValidator, Amend, Proposal, ReplaceValidator
from chain.content.transactions import VerifiedTransaction, sign_transaction
from chain.register import arbiters, registry
from chain.register.entries import CARRIED, Authority, Member, Motion, Record, Rulings
from chain.register.scores import Line, Standing, explain, standing
from chain.register.statekeys import RATINGS, RECORDS, read_rating_key, read_record_key, record_key, rulings_key
from tests.support.refusals import refusal

DIGEST = sha256(b"a document kept elsewhere").digest()
SLOT_MS = 1_000
FAR = 100_000
FOREVER = 2**64 - 1
MUNICIPAL, MARKETPLACE = shipped_policy("municipal"), shipped_policy("marketplace")


_OWNERS: dict[bytes, Person] = {}


def _document(number: int) -> bytes:
    return sha256(b"document %d" % number).digest()


@cache
def _secret(name: str) -> SecretKey:
    return SecretKey(sha256(name.encode()).digest())


class Person:
    """Somebody with a key, the same in every run; ``keys`` are all it ever had."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.keys: list[bytes] = []
        self.renew()

    def __repr__(self) -> str:
        return self.name

    @property
    def key(self) -> bytes:
        return self.secret.public

    @property
    def identity(self) -> bytes:
        return self.keys[0]

    def renew(self) -> None:
        """Take a fresh key."""
        self.secret = _secret(f"{self.name} {len(self.keys)}")
        self.keys.append(self.key)
        _OWNERS[self.key] = self

    def with_key(self, index: int) -> Person:
        """The person as it was with an earlier key."""
        past = Person(self.name)
        for _ in range(index):
            past.renew()
        return past


def altered(policy: Policy, **changes: Any) -> Policy:
    """A policy with other tables: fields of a table are merged, lists and plain fields replaced."""
    document = policy.to_document()
    for name, value in changes.items():
        document[name] = {**document[name], **value} if isinstance(value, Mapping) else value
    return _policy(json.dumps(document))


# Thousands of tests begin with one of a few policies and genesis blocks, which never change.
@cache
def _policy(document: str) -> Policy:
    return read_policy(json.loads(document))


@cache
def _genesis(document: str) -> Genesis:
    return make_genesis(json.loads(document))


def amended(policy: Policy, **changes: Any) -> Policy:
    """The next version of a policy."""
    return altered(policy, **{"version": policy.version + 1, **changes})


def with_category(policy: Policy, code: int, **changes: Any) -> list[dict[str, Any]]:
    """The categories of a policy, one of them changed or added; for ``altered(policy, category=…)``."""
    rows: dict[int, dict[str, Any]] = {row["code"]: row for row in policy.to_document()["category"]}
    rows[code] = {**rows.get(code, {"code": code, "name": f"category {code}", "min": -10, "max": 10}), **changes}
    return [rows[code] for code in sorted(rows)]


def genesis_for(policy: Policy, validators: Sequence[tuple[Person, int]], heartbeat_slots: int = FAR) -> Genesis:
    """A genesis whose slots last one day of the policy, and without an outage until ``heartbeat_slots`` are silent."""
    return _genesis(
        json.dumps(
            {
                "format": 1,
                "name": "test",
                "genesis_time_ms": 0,
                "slot_ms": SLOT_MS,
                "batch": max(8, len(validators)),
                "heartbeat_slots": heartbeat_slots,
                "max_expiry_blocks": FAR,
                "validators": [{"did": did_from_key(person.key), "weight": weight} for person, weight in validators],
                "policy": {**policy.to_document(), "day_ms": SLOT_MS},
            }
        )
    )


class Register:
    """A ledger and the block in the making on top of it."""

    def __init__(
        self,
        policy: Policy = MUNICIPAL,
        weights: Sequence[int] = (1, 1, 1, 1),
        *,
        slot: int = 1,
        heartbeat_slots: int = FAR,
        one_document: bool = True,
    ) -> None:
        """Where there is more than ``one_document``, every filing has evidence of its own."""
        self._documents = repeat(DIGEST) if one_document else map(_document, count())
        self.validators = [Person(f"validator {number}") for number in range(len(weights))]
        self.genesis = genesis_for(policy, list(zip(self.validators, weights, strict=True)), heartbeat_slots)
        self.ledger = Ledger(self.genesis)
        self.blocks: list[tuple[Block, Electorate]] = []
        self._body: list[VerifiedTransaction] = []
        self._numbers = count(1)
        self.electorate = Electorate(1, ValidatorSet(self.genesis.validators))
        self.draft = self.ledger.draft(slot, self.electorate)

    # ----------------------------------------------------------------------------------------------------- time

    def block(self, slots: int = 1) -> Block:
        """Make the block in the making the head, and begin the next one ``slots`` later; no rule may go wrong."""
        assert not self.draft.faults
        ballot = make_ballot((), decided(self.draft, self.electorate))
        root, changes = self.ledger.seal(self.draft)
        header = sign_header(
            self.validators[0].secret,
            self.genesis.id,
            height=self.draft.height,
            slot=self.draft.date_slot,
            parent=self.blocks[-1][0].id if self.blocks else self.genesis.id,
            tag=NO_TAG,
            mhg=0,
            mhp=0,
            votes_root=ballot.root,
            transaction_root=merkle_root([transaction.id for transaction in self._body]),
            state_root=root,
        )
        block = assemble(header, ballot, self._body)
        self.ledger.adopt(block, changes)
        self.blocks.append((block, self.electorate))
        self._body = []
        # Everybody speaks here, and every block is final at once: what is decided is in force three blocks later.
        height, everybody = self.ledger.height, self.electorate.speakers
        self.electorate = self.electorate.after(height, mhpc=height, spoke=everybody, decision=ballot.decision)
        self.draft = self.ledger.draft(self.draft.date_slot + slots, self.electorate)
        return block

    # --------------------------------------------------------------------------------------------- transactions

    def sign(self, person: Person, action: Action, *, slip: int = 0, life: int = 10) -> VerifiedTransaction:
        """The person's next transaction; ``slip`` is added to its nonce, ``life`` to the height."""
        account = self.draft.account(person.key)
        nonce = slip + (0 if account is None else account.nonce)
        return sign_transaction(person.secret, self.genesis.id, nonce, self.draft.height + life, action)

    def do(self, person: Person, action: Action) -> None:
        """It happens, or :class:`Refused` is raised."""
        transaction = self.sign(person, action)
        registry.apply(self.draft, transaction)
        self._body.append(transaction)

    def refusal(self, person: Person, action: Action, **odd: int) -> Reason | None:
        """Why it is refused, having changed nothing; None where it is not, and then it has happened."""
        before, happened = self.draft.changes, list(self.draft.happenings)
        transaction = self.sign(person, action, **odd)
        reason = refusal(registry.apply, self.draft, transaction)
        if reason is None:
            self._body.append(transaction)
        else:
            assert (self.draft.changes, self.draft.happenings) == (before, happened)
        return reason

    # -------------------------------------------------------------------------------------------------- people

    def person(self) -> Person:
        """Somebody whom the register does not know."""
        return Person(f"person {next(self._numbers)}")

    def office(self, *categories: int, rights: int = 0, term: tuple[int, int] = (0, FOREVER)) -> Person:
        """An authority that may file in these categories."""
        office = self.person()
        self.carry(Accredit(office.key, rights, categories, *term))
        return office

    def registrar(self) -> Person:
        """An authority that may co-sign enrolments."""
        return self.office(rights=REGISTRAR)

    def arbiter(self) -> Person:
        """An authority that may rule on objections."""
        return self.office(rights=ARBITER)

    def member(self, registrar: Person | None = None) -> Person:
        """Somebody who enrolled, where the policy wants it with the consent of a registrar."""
        person = self.person()
        if self.draft.policy.enrolment_by_registrar and registrar is None:
            registrar = self.registrar()
        self.do(person, self.enrolment(person, registrar))
        return person

    def enrolment(self, person: Person, registrar: Person | None, life: int = 10) -> Enrol:
        """An enrolment, which a registrar co-signed if there is one."""
        if registrar is None:
            return Enrol(policy_version=self.draft.rules.version)
        signature = sign_consent(registrar.secret, self.genesis.id, person.key, self.draft.height + life)
        return Enrol(registrar.key, signature, self.draft.rules.version)

    def rating(self, rater: Person, rated: Person, points: int, *, dealt_slot: int, category: int = 1) -> Rate:
        """A rating with a receipt that the rated person signed."""
        receipt = sign_receipt(rated.secret, self.genesis.id, rater.key, DIGEST, dealt_slot)
        return Rate(rated.key, category, points, DIGEST, dealt_slot, receipt)

    def recovery(
        self, new: Person, member: Person, registrar: Person, *, step: int = RECOVER, life: int = 10
    ) -> Recover:
        """A registrar's word that a member moves to another's key."""
        expiry = self.draft.height + life
        consent = sign_recovery(registrar.secret, self.genesis.id, member.key, new.key, step, expiry)
        return Recover(member.key, step, registrar=registrar.key, consent=consent)

    def rotation(self, person: Person, other: Person) -> Rotate:
        """The move of a person to another's key, as both of them sign it."""
        account = self.draft.account(person.key)
        nonce = 0 if account is None else account.nonce
        return Rotate(other.key, sign_rotation(other.secret, self.genesis.id, person.key, nonce))

    def rotate(self, person: Person) -> None:
        """The person moves to a fresh key."""
        past = person.with_key(len(person.keys) - 1)
        person.renew()
        self.do(past, self.rotation(past, person))

    # ----------------------------------------------------------------------------------------------- governance

    def propose(self, proposal: Proposal, by: int = 0) -> int:
        """A validator moves; the number of the motion."""
        number = self.draft.docket.next_motion
        self.do(self.validators[by], Propose(proposal))
        return number

    def invite(self, proposal: Proposal, by: int = 0) -> int:
        """A validator moves, and whom it would seat or give a first office consents; the number of the motion."""
        number = self.propose(proposal, by)
        match proposal:
            case AddValidator(key, _) | ReplaceValidator(_, key) | Accredit(key) if self.motion(number).is_awaited:
                self.do(self.owner(self.draft.identity(key)), Consent(number))
        return number

    def carry(self, proposal: Proposal) -> int:
        """Validators move and approve, one after the other, until the motion is carried; who is invited consents."""
        number = self.invite(proposal)
        for validator in self.validators[1:]:
            if self.motion(number).status == CARRIED:
                break
            self.do(validator, Approve(number))
        assert self.motion(number).status == CARRIED
        return number

    def amend(self, notice: int = 30, **changes: Any) -> Policy:
        """Carry an amendment of the policy, in force ``notice`` slots from now."""
        policy = amended(self.draft.policy, **changes)
        self.carry(Amend(policy.version - 1, self.draft.date_slot + notice, policy.encode()))
        return policy

    # ---------------------------------------------------------------------------------------------------- records

    def filing(self, subject: Person, category: int, points: int, **fields: Any) -> FileRecord:
        """A record of what was established in this slot, with the mildest severity, as the policy in force wants it."""
        known = self.draft.policy.categories.get(category)
        severities = known.severities if known is not None else ()
        filing = FileRecord(
            subject=subject.key,
            category=category,
            points=points,
            severity=severities[0] if severities else 0,
            evidence=next(self._documents),
            reason=b"",
            established_slot=self.draft.date_slot,
            policy_version=self.draft.policy.version,
        )
        return filing._replace(**fields)

    def file(self, office: Person, subject: Person, category: int, points: int, **fields: Any) -> int:
        """An office records something; the number of the record."""
        _, member = self.draft.member(subject.key)
        self.do(office, self.filing(subject, category, points, **fields))
        return member.filed

    def object(self, member: Person, number: int, office: Person) -> None:
        """The member objects, the office maintains, and the hearing passes: somebody is drawn."""
        self.do(member, Object(member.key, number, DIGEST))
        self.do(office, Answer(member.key, number, MAINTAIN, 0, DIGEST))
        self.block(self.draft.policy.hearing_days)

    def reopening(self, office: Person, arbiter: Person, filing: FileRecord) -> Reopen:
        """What an office files about conduct that ended, with an arbiter's signature."""
        action = Reopen(*filing, arbiter.key, b"")
        return action._replace(consent=sign_reopening(arbiter.secret, self.genesis.id, office.key, action))

    # --------------------------------------------------------------------------------------------------- reading

    def entry(self, person: Person) -> Member:
        """A member's entry."""
        return self.draft.member(person.key)[1]

    def authority(self, person: Person) -> Authority:
        """An authority's entry."""
        found = self.draft.authority(self.draft.identity(person.key))
        assert found is not None
        return found

    def record(self, person: Person, number: int) -> Record | None:
        """A record, while it is there."""
        found: Record | None = self.draft.get(record_key(self.draft.identity(person.key), number))
        return found

    def standing_record(self, person: Person, number: int) -> Record:
        """A record that is there."""
        found = self.record(person, number)
        assert found is not None
        return found

    def drawn(self, person: Person, number: int) -> list[Person]:
        """Those on whom the lot fell for a record."""
        subject, record = self.draft.identity(person.key), self.standing_record(person, number)
        found = arbiters.drawn(self.draft, arbiters.record_case(subject, number, record), self.draft.date_slot)
        return list(map(self.owner, found))

    def owner(self, identity: bytes) -> Person:
        """Whose an identity is."""
        return _OWNERS[self.draft.current_key(identity)]

    def rulings(self, arbiter: Person, issuer: Person) -> Rulings:
        """How an arbiter ruled on an issuer."""
        found: Rulings | None = self.draft.get(rulings_key(arbiter.identity, issuer.identity))
        return found or Rulings(0, 0, 0)

    def motion(self, number: int) -> Motion:
        """A motion."""
        return self.draft.motion(number)

    def standing(self, person: Person) -> Standing:
        """Score and tier."""
        return standing(self.draft.policy, self.entry(person))

    def score(self, person: Person) -> int:
        """The score."""
        return self.standing(person).score

    @property
    def happened(self) -> list[str]:
        """What became of records in the block in the making."""
        return [happening.what for happening in self.draft.happenings]

    def explain(self, person: Person) -> list[Line]:
        """Every point of a member's score at the head, found by reading the whole state."""
        view = self.ledger.view()
        identity, member = view.member(person.key)
        about = [key for key in self.ledger.state if key[1:33] == identity]
        records = [(read_record_key(key)[1], view.get(key)) for key in about if key.startswith(RECORDS)]
        ratings = [(*read_rating_key(key)[1:], view.get(key)) for key in about if key.startswith(RATINGS)]
        return explain(view.policy, member, records, ratings)


def evidence(
    register: Register, signer: Person, slot: int = 1, other_slot: int | None = None, **fields: int
) -> Evidence:
    """Two headers of one validator for the same slot, or for two, with other roots."""
    usual = {"height": 5, "mhg": 0, "mhp": 0}
    headers = sorted(
        (
            sign_header(
                signer.secret,
                register.genesis.id,
                slot=number,
                parent=bytes(32),
                tag=NO_TAG,
                votes_root=EMPTY.root,
                transaction_root=bytes(32),
                state_root=bytes([mark]) * 32,
                **(usual if mark else {**usual, **fields}),
            )
            for mark, number in enumerate((slot, slot if other_slot is None else other_slot))
        ),
        key=lambda header: header.id,
    )
    return Evidence(headers[0].raw, headers[1].raw)
