"""The state computed in another way: from the list of what was accepted, and nothing of the rules' own code.

The rules keep sums and counters up to date step by step.  Here are only life stories, and everything is summed
from scratch when it is asked for.  What must never be accepted is noticed as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from chain.headers import decode_header
from chain.policy import Policy
from chain.proposals import Accredit, Amend, Restore, Revoke, Suspend
from chain.state import (
    ACTIVE,
    CARRIED,
    LAPSED,
    MAINTAINED,
    OBJECTED,
    OPEN,
    REPAIR_ASKED,
    REVOKED,
    STANDING,
)
from chain.transactions import (
    APPROVE,
    ASK,
    CORRECT,
    MAINTAIN,
    STRIKE,
    WITHDRAW,
    Answer,
    Approve,
    Enrol,
    Evidence,
    FileRecord,
    Object,
    Propose,
    Rate,
    Repair,
    Rotate,
    Rule,
    Statement,
    Transaction,
)
from scripts.histories_parts.lives import Life, Move, Office, claim


class Recount:
    """What there is after the events that it was told of."""

    def __init__(self, policy: Policy, slot_ms: int, validators: Mapping[bytes, int], due_a_block: int) -> None:
        self.policies = {policy.version: policy}
        self.version = policy.version
        self.announced: tuple[int, int] | None = None
        self.drafts: dict[bytes, Policy] = {}  # by document: what amendments say
        self.owner: dict[bytes, bytes] = {}
        self.current: dict[bytes, bytes] = {}
        self.successor: dict[bytes, bytes] = {}
        self.nonces: Counter[bytes] = Counter()
        self.accounts: set[bytes] = set(validators)
        self.enrolled: dict[bytes, int] = {}
        self.ratings: dict[tuple[bytes, bytes, int], tuple[int, int]] = {}
        self.lives: dict[tuple[bytes, int], Life] = {}
        self.offices: dict[bytes, Office] = {}
        self.moves: list[Move] = []
        self.punished: set[Evidence] = set()
        self.weights: Mapping[bytes, int] = validators
        self.height = self.slot = 0
        self._slot_ms = slot_ms
        self._due_a_block = due_a_block

    # ------------------------------------------------------------------------------------------------------ events

    def begin(self, height: int, slot: int, weights: Mapping[bytes, int]) -> None:
        """A block begins; ``weights`` are those of its validators, 0 for one that is jailed."""
        self.height, self.slot, self.weights = height, slot, weights
        waiting: list[tuple[int, bytes, Life | Move | None]] = []
        if self.announced is not None and self.announced[1] <= slot:
            before = {member: self.standing(member) for member in self.enrolled}
            waiting.append((self.announced[1], b"p", None))
            self.version, self.announced = self.announced[0], None
            for member, (score, level) in before.items():
                new_score, new_level = self.standing(member)
                claim(new_score >= score and new_level >= level, "an amendment worsened a score or a tier")
        waiting += [
            (life.due, b"d" + subject + number.to_bytes(4, "big"), life)
            for (subject, number), life in self.lives.items()
            if not life.is_over and life.due <= slot
        ]
        waiting += [
            (move.expires, b"o" + number.to_bytes(4, "big"), move)
            for number, move in enumerate(self.moves)
            if move.status == OPEN and move.expires <= slot
        ]
        for _, _, due in sorted(waiting, key=lambda row: row[:2])[: self._due_a_block]:
            if isinstance(due, Move):
                due.status, due.closed = LAPSED, height
            elif due is not None:
                due.is_over = True
                if due.is_suspended and due.deadline < due.expires:
                    self._deed(due.issuer, "overturned")

    def accept(self, transaction: Transaction) -> None:
        """A transaction was accepted."""
        actor = transaction.actor
        claim(actor not in self.successor, "a key that was left acts")
        claim(transaction.nonce == self.nonces[actor], "a nonce out of turn")
        self.nonces[actor] += 1
        self.accounts.add(actor)
        who = self.identity(actor)
        match transaction.action:
            case Enrol():
                claim(who not in self.enrolled, "enrolled twice")
                self.enrolled[who] = self.height
                self.current.setdefault(who, actor)
            case Rate(subject, code, points):
                subject = self._about(subject)
                claim(who in self.enrolled and who != subject, "a rating by nobody, or about oneself")
                self.ratings[subject, who, code] = points, self.height
            case FileRecord() as filing:
                self._file(who, filing)
            case Object(subject, number, grounds):
                life = self._life(subject, number)
                claim(who == self.identity(subject), "an objection by another")
                claim(not life.is_suspended and not life.upheld, "an objection to what cannot be objected to")
                life.status, life.grounds, life.proof = OBJECTED, grounds, b""
                life.deadline = self.slot + self._slots(self.policy.answer_days)
            case Answer() as answer:
                self._answer(who, answer)
            case Rule(subject, number, verdict, _):
                self._rule(who, self._life(subject, number), verdict)
            case Repair(subject, number, step, document):
                self._repair(who, self.identity(subject), self._life(subject, number), step, document)
            case Statement(subject, number, words):
                claim(who == self.identity(subject), "a statement by another")
                self._life(subject, number).words = words
            case Rotate(new_key, _):
                claim(new_key not in self.accounts, "a key of somebody else is taken over")
                claim(not self.weights.get(actor), "a validator rotates by itself")
                self.accounts.add(new_key)
                self.owner[new_key] = self.owner[actor] = who
                self.successor[actor] = self.current[who] = new_key
            case Propose(proposal):
                expires = self.slot + self._slots(self.policy.motion_days)
                self.moves.append(Move(actor, proposal, self.height, expires, [actor]))
                self._count(self.moves[-1], actor)
            case Approve(number):
                claim(actor not in self.moves[number].approvals, "a validator approves twice")
                self.moves[number].approvals.append(actor)
                self._count(self.moves[number], actor)
            case Evidence() as accuse:
                claim(accuse not in self.punished, "punished twice for one offence")
                self.punished.add(accuse)
                slots = (decode_header(accuse.first).slot, decode_header(accuse.second).slot)
                claim(max(slots) <= self.slot, "punished for an offence that is not over")

    def _file(self, who: bytes, filing: FileRecord) -> None:
        subject = self._about(filing.subject)
        office, policy = self.offices[who], self.policy
        category = policy.categories[filing.category]
        claim(who != subject, "a record about oneself")
        claim(office.account()[0] == ACTIVE, "a suspended or revoked authority files")
        claim(filing.category in office.terms.categories, "filed without accreditation")
        claim(office.terms.from_height <= self.height < office.terms.until_height, "filed out of term")
        claim(category.low <= filing.points <= category.high and not category.is_closed, "filed against the policy")
        claim(filing.policy_version == self.version, "filed under another policy")
        expires = filing.established_slot + self._slots(policy.retention_days)
        repairable_from = 0
        if filing.severity:
            severity = policy.severities[filing.severity - 1]
            expires = min(expires, filing.established_slot + self._slots(severity.expires_after_days))
            repairable_from = max(1, filing.established_slot + self._slots(severity.repair_after_days))
        claim(expires > self.slot, "filed though it is over")
        number = sum(about == subject for about, _ in self.lives)
        cap = -1 if category.tier_cap is None else category.tier_cap
        self.lives[subject, number] = Life(who, filing, filing.points, self.height, expires, repairable_from, cap)
        self._deed(who, "filed")

    def _answer(self, who: bytes, answer: Answer) -> None:
        life = self._life(answer.subject, answer.number)
        claim(who == life.issuer, "an answer by another")
        claim(self.offices[who].account()[0] != REVOKED, "a revoked authority answers")
        if answer.verdict == MAINTAIN:
            claim(life.status == OBJECTED and answer.reason, "maintained without an objection or a reason")
            life.status, life.deadline = MAINTAINED, self.slot + self._slots(self.policy.ruling_days)
            return
        if life.is_suspended:
            self._deed(who, "overturned")
        if answer.verdict == WITHDRAW:
            life.is_over = True
        elif answer.verdict == CORRECT:
            claim(answer.points > life.points, "a correction for the worse")
            life.points = answer.points
            if life.is_suspended:
                life.status, life.deadline, life.grounds = STANDING, 0, b""

    def _rule(self, who: bytes, life: Life, verdict: int) -> None:
        claim(life.status == MAINTAINED and who != life.issuer, "a ruling that nobody may make")
        claim(self.offices[who].account()[0] == ACTIVE and self.offices[who].terms.rights & 2, "no arbiter rules")
        if verdict == STRIKE:
            life.is_over = True
            self._deed(life.issuer, "overturned")
        else:
            life.status, life.upheld, life.deadline = STANDING, 1, 0

    def _repair(self, who: bytes, subject: bytes, life: Life, step: int, document: bytes) -> None:
        if step == ASK:
            claim(who == subject and life.status == STANDING, "a repair that nobody may ask for")
            claim(0 < life.repairable_from <= self.slot, "a repair too early")
            life.status, life.proof = REPAIR_ASKED, document
            life.deadline = self.slot + self._slots(self.policy.repair_answer_days)
            return
        claim(who == life.issuer and life.status == REPAIR_ASKED, "a repair answered by another")
        if step == APPROVE:
            life.is_over = True
        else:
            severity = self.policies[life.filing.policy_version].severities[life.filing.severity - 1]
            life.status, life.deadline, life.proof = STANDING, 0, b""
            life.repairable_from = self.slot + self._slots(severity.repair_after_days)

    def _count(self, move: Move, actor: bytes) -> None:
        claim(self.weights.get(actor), "no validator votes")
        claim(move.status == OPEN and move.expires > self.slot, "a vote on a closed motion")
        if 3 * sum(self.weights.get(key, 0) for key in move.approvals) <= 2 * sum(self.weights.values()):
            return
        move.status, move.closed = CARRIED, self.height
        match move.proposal:
            case Accredit() as terms:
                self.accounts.add(terms.authority)
                who = self.identity(terms.authority)
                self.current.setdefault(who, terms.authority)
                if who in self.offices:
                    self.offices[who].terms = terms
                else:
                    self.offices[who] = Office(terms)
                self._deed(who, "accredited")
            case Suspend(key):
                self._deed(self.identity(key), "suspended")
            case Revoke(key):
                self._deed(self.identity(key), "revoked")
            case Restore(key):
                self._deed(self.identity(key), "restored")
            case Amend(_, slot, document):
                claim(self.announced is None, "two policies are announced")
                claim(slot >= self.slot + self._slots(self.policy.notice_days), "a policy without notice")
                self.announced = self.version + 1, slot
                self.policies[self.version + 1] = self.drafts[document]
            case seat:
                self.accounts.add(seat[-1] if isinstance(seat[-1], bytes) else seat[0])

    # ----------------------------------------------------------------------------------------------------- looking

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self.policies[self.version]

    def identity(self, key: bytes) -> bytes:
        """Whose key this is."""
        return self.owner.get(key, key)

    def standing(self, member: bytes) -> tuple[int, int]:
        """Score and level, from every record and rating about the member."""
        policy = self.policy
        lives = [life for life in self._lives_of(member) if not life.is_suspended]
        rated = sum(points for points, _ in self._ratings_of(member))
        score = policy.base + self._record_points(lives) + min(policy.ratings_cap, max(policy.ratings_floor, rated))
        reached = next((at for at, tier in enumerate(policy.tiers) if tier.threshold <= score), len(policy.tiers) - 1)
        level = len(policy.tiers) - 1 - reached
        return score, min([level, *(life.cap for life in lives if life.cap >= 0)])

    def entries(self) -> dict[bytes, Any]:
        """Every entry of the state but policies and validators, decoded."""
        announced = self.announced or (0, 0)
        entries: dict[bytes, Any] = {b"p": (self.version, _digest(self.policy), *announced)}
        for key in self.accounts:
            owner = self.owner.get(key, b"")
            entries[b"n" + key] = (self.nonces[key], owner, self.successor.get(key, b""))
        for member in self.enrolled:
            entries[b"m" + member] = self._member(member)
            entries.update(self._sums(member))
        for (subject, rater, code), rating in self.ratings.items():
            entries[b"r" + subject + rater + code.to_bytes(4, "big")] = rating
        for (subject, number), life in self.lives.items():
            if not life.is_over:
                entries[b"d" + subject + number.to_bytes(4, "big")] = life.entry()
        for who, office in self.offices.items():
            entries[b"a" + who] = (self.current[who], *office.terms[1:], *office.account())
        for number, move in enumerate(self.moves):
            entries[b"o" + number.to_bytes(4, "big")] = move.entry()
        still_open = tuple(number for number, move in enumerate(self.moves) if move.status == OPEN)
        entries[b"g"] = (len(self.moves), still_open)
        return entries

    def _member(self, member: bytes) -> tuple[Any, ...]:
        lives = list(self._lives_of(member))
        standing = [life for life in lives if not life.is_suspended]
        ratings = list(self._ratings_of(member))
        return (
            self.current[member],
            self.enrolled[member],
            sum(points for points, _ in ratings),
            len(ratings),
            self._record_points(standing),
            sum(subject == member for subject, _ in self.lives),
            len(standing),
            len(lives) - len(standing),
            tuple(sorted(Counter(life.cap for life in standing if life.cap >= 0).items())),
        )

    def _sums(self, member: bytes) -> Iterator[tuple[bytes, tuple[int]]]:
        totals: Counter[int] = Counter()
        for life in self._lives_of(member):
            if not life.is_suspended:
                totals[life.filing.category] += life.points
        for code, total in totals.items():
            category = self.policy.categories[code]
            if total and (category.floor > -(10**12) or category.ceiling < 10**12):
                yield b"s" + member + code.to_bytes(4, "big"), (total,)

    def _record_points(self, lives: list[Life]) -> int:
        points = 0
        for code in {life.filing.category for life in lives}:
            category = self.policy.categories[code]
            total = sum(life.points for life in lives if life.filing.category == code)
            points += min(category.ceiling, max(category.floor, total))
        return points

    def _lives_of(self, member: bytes) -> Iterator[Life]:
        return (life for (subject, _), life in self.lives.items() if subject == member and not life.is_over)

    def _ratings_of(self, member: bytes) -> Iterator[tuple[int, int]]:
        return (rating for (subject, _, _), rating in self.ratings.items() if subject == member)

    def _about(self, key: bytes) -> bytes:
        subject = self.identity(key)
        claim(subject in self.enrolled, "something about somebody who has not enrolled")
        return subject

    def _life(self, key: bytes, number: int) -> Life:
        life = self.lives[self._about(key), number]
        claim(not life.is_over and life.due > self.slot, "something happens to a record that is over or due")
        return life

    def _deed(self, who: bytes, deed: str) -> None:
        self.offices[who].deeds.append((deed, self.policy))

    def _slots(self, days: int) -> int:
        return days * self.policy.day_ms // self._slot_ms or 1


@lru_cache(maxsize=16)
def _digest(policy: Policy) -> bytes:
    return policy.digest()
