"""What people try in a random history: mostly what they may, sometimes not; and now and then with the wrong key."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterator
from functools import cache
from hashlib import sha256
from itertools import accumulate
from random import Random
from typing import NamedTuple, TypeVar

from chain.amendments import needed_notice_days
from chain.attestations import VERSION as ATTESTATION_VERSION
from chain.codec import encode
from chain.genesis import Genesis
from chain.headers import VERSION as HEADER_VERSION
from chain.identities import commitment_of
from chain.keys import SecretKey
from chain.policy import Policy
from chain.proposals import (
    ALL_RIGHTS,
    Accredit,
    AddValidator,
    Amend,
    JailValidator,
    Judge,
    Proposal,
    ReleaseValidator,
    RemoveValidator,
    ReplaceValidator,
    Restore,
    Revoke,
    ReweighValidator,
    Suspend,
)
from chain.statements import NO_TAG, TAG_BYTES
from chain.transactions import (
    AUDIT,
    Action,
    Anchor,
    Annul,
    Answer,
    Appeal,
    Approve,
    Consent,
    Dispute,
    Enrol,
    Evidence,
    FileRecord,
    Leave,
    Lost,
    NameGuardians,
    Object,
    Propose,
    Rate,
    Recover,
    Reopen,
    Repair,
    Reply,
    Retract,
    Rotate,
    Rule,
    Statement,
    Veto,
)
from scripts.histories_parts.policies import amendment
from scripts.recount.lives import (
    DRAWN,
    OBJECTED,
    OPEN,
    REPAIR_ASKED,
    REPAIR_DRAWN,
    REPAIR_REFERRED,
    REVOKED,
    STANDING,
    SUSPENDED,
    Record,
)
from scripts.recount.rules import Recount

FOREVER = 2**64 - 1
T = TypeVar("T")


class Deed(NamedTuple):
    """An attempt by the holder of a key."""

    actor: bytes
    action: Action


@cache
def key(number: int) -> bytes:
    """The public key of somebody; nobody signs here, as signatures are checked before the registry."""
    return SecretKey(sha256(b"history %d" % number).digest()).public


@cache
def _guardians(number: int) -> tuple[bytes, ...]:
    return tuple(sorted(key(60 + 10 * number + place) for place in range(3)))


@cache
def _commitment(number: int) -> bytes:
    return commitment_of(2, _guardians(number), bytes(16))


class Deeds:
    """Chooses what is tried next, from what the recount says there is."""

    def __init__(self, random: Random, recount: Recount, genesis: Genesis) -> None:
        self.random = random
        self.recount = recount
        self.validators = [key for key, _ in genesis.validators]
        # By their documents: what amendments say.
        self._policies = {genesis.policy.encode(): genesis.policy}
        self.offices = [key(10 + number) for number in range(random.choice((3, 6, 6)))]
        self.members = [key(20 + number) for number in range(random.randint(2, 5))]
        self.everybody = [*self.validators, *self.offices, *self.members]
        self._fresh = 100
        self._evidence = 0
        self._next: list[Deed] = []
        self._invited: list[bytes] = []
        is_ruled = bool(genesis.policy.categories)
        # What is tried, and how often.
        self._menu: list[tuple[Callable[[], Deed | None], int]] = [
            (self._enrol, 3),
            (self._rate, (5 if is_ruled else 30) if genesis.policy.ratings else 0),
            (self._speak_of_a_rating, 8 if genesis.policy.ratings else 0),
            (self._own, 8),
            (self._file, 14 if is_ruled else 0),
            (self._object, 10),
            (self._answer, 12),
            (self._rule, 20),
            (self._repair, 10),
            (self._reopen, 3 if is_ruled else 0),
            (self._appeal, 10),
            (self._comment, 1),
            (self._rotate, 2),
            (self._propose, 3),
            (self._approve, 8),
            (self._consent, 4),
            (self._accuse, 1),
            (self._lose, 1),
            (self._anchor, 1),
        ]
        self._weights = list(accumulate(weight for _, weight in self._menu))

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self._policies[self.recount.rules[self.recount.version]["document"]]

    def opening(self) -> Iterator[Deed]:
        """How most histories begin: offices are accredited, members enrol."""
        codes = tuple(sorted(self.policy.categories))
        enough = self._enough()
        for number, office in enumerate(self.offices):
            rights = ALL_RIGHTS if number != 1 or not codes else 0
            yield Deed(self.validators[0], Propose(Accredit(office, rights, codes, 0, FOREVER)))
            for validator in self.validators[1:enough]:
                yield Deed(validator, Approve(number))
        version = self.policy.version
        registrar = self.policy.enrolment_by_registrar
        enrol = Enrol(self.offices[0], bytes(64), version) if registrar else Enrol(policy_version=version)
        for member in self.members + self.offices[2:] * self.random.randrange(2):
            yield Deed(member, enrol)
        if self.random.random() < 0.5:
            number = len(self.recount.motions)
            yield Deed(self.validators[0], Propose(self._amendment()))
            for validator in self.validators[1:enough]:
                yield Deed(validator, Approve(number))

    def _enough(self) -> int:
        """So many validators, from the first, carry a motion."""
        weights = list(self.recount.weights.values())
        return next(count for count in range(1, len(weights) + 1) if 3 * sum(weights[:count]) > 2 * sum(weights))

    def next(self) -> Deed | None:
        """Something to try; None where nothing of the kind makes sense now."""
        if self._next:
            return self._next.pop()
        deed = self._menu[bisect(self._weights, self.random.randrange(self._weights[-1]))][0]()
        if deed is not None and self.random.random() < 0.04:
            deed = deed._replace(actor=self.random.choice(self.everybody))
        return deed

    # ------------------------------------------------------------------------------------------------------ people

    def _now(self, identity: bytes) -> bytes:
        """The key of somebody today, sometimes an earlier one."""
        if self.random.random() < 0.03:
            return identity
        return self.recount.current.get(identity, identity)

    def _mostly(self, usual: T, *odd: T) -> T:
        return usual if self.random.random() < 0.93 else self.random.choice(odd)

    def _somebody(self) -> bytes:
        return self._now(self.random.choice(self.members))

    def _left_key(self) -> bytes:
        return self.random.choice(list(self.recount.successor) or self.members)

    def _new_key(self) -> bytes:
        self._fresh += 1
        return key(self._fresh)

    def _found(self, wanted: Callable[[Record], object]) -> tuple[bytes, int, Record] | None:
        records = [record for record in self.recount.all_records() if wanted(record) or self.random.random() < 0.05]
        if not records:
            return None
        record = self.random.choice(records)
        return self._now(record.subject), self._mostly(record.number, record.number + 1), record

    # ---------------------------------------------------------------------------------------------------- members

    def _enrol(self) -> Deed:
        registrar = self._now(self._mostly(self.offices[0], *self.offices))
        if self._mostly(not self.policy.enrolment_by_registrar, True, False):
            return Deed(self._somebody(), Enrol(policy_version=self._version()))
        newcomer = self._mostly(self._new_key(), self._somebody())
        return Deed(newcomer, Enrol(registrar, bytes(64), self._version()))

    def _version(self) -> int:
        return self._mostly(self.policy.version, self.policy.version + 1, 0)

    def _rate(self) -> Deed:
        code = self._mostly(self.random.choice(list(self.policy.ratings)), 99)
        rater, subject = self.random.sample(self.members, 2) if self.random.random() < 0.95 else self.members[:1] * 2
        points = self._mostly(self.random.randint(-5, 5), 11)
        dealt = self.recount.slot - self._mostly(self.random.choice((0, 0, 1)), -1, 9)
        receipt = bytes(64) if self._mostly(self.policy.raters.counting, not self.policy.raters.counting) else b""
        return Deed(self._now(rater), Rate(self._now(subject), code, points, bytes(32), dealt, receipt))

    def _speak_of_a_rating(self) -> Deed | None:
        """Take back, object to, or answer for a rating, mostly one that there is."""
        found = [(who, *name, it) for who, about in self.recount.ratings.items() for name, it in about.items()]
        if not found:
            return None
        wanted = [row for row in found if row[3].status == "disputed"] if self.random.random() < 0.5 else []
        subject, rater, code, voice = self.random.choice(wanted or found)
        code = self._mostly(code, 99)
        match self.random.choice(
            ("dispute", "dispute", "retract") if voice.status != "disputed" else ("reply", "retract")
        ):
            case "dispute":
                return Deed(self._now(subject), Dispute(self._now(rater), code, bytes(32)))
            case "reply":
                return Deed(self._now(rater), Reply(self._now(subject), code, bytes(32)))
            case _:
                return Deed(self._now(rater), Retract(self._now(subject), code))

    def _comment(self) -> Deed | None:
        found = self._found(lambda record: True)
        return found and Deed(found[0], Statement(found[0], found[1], self._mostly(bytes(32), b"")))

    def _rotate(self) -> Deed:
        who = self._now(self._mostly(self.random.choice(self.members + self.offices), self._validator()))
        if self._invited and self.random.random() < 0.3:
            who = self._invited.pop()
        return Deed(who, Rotate(self._mostly(self._new_key(), self._somebody()), bytes(64)))

    # ---------------------------------------------------------------------------------------------------- identity

    def _own(self) -> Deed | None:
        """Something about whose a key is."""
        random, recount = self.random, self.recount
        who = random.choice(self.members)
        now = self._now(who)
        if who in recount.annulments and random.random() < 0.7:
            step = random.choice((2, 3, 3, 4))
            return Deed(now if step == 2 else self._now(random.choice(self.offices)), Annul(now, step, bytes(32)))
        if who in recount.recoveries and random.random() < 0.4:
            again = Deed(self._new_key(), self._recovery(who, now))
            self._next = self._mostly([Deed(now, Veto(1)), again], [])
            return Deed(now, Veto(1))
        match random.randrange(8):
            case 0 | 1:
                return Deed(now, NameGuardians(self._mostly(_commitment(random.randrange(2)), b"")))
            case 2 | 3 | 4:
                if random.random() < 0.5:
                    self._next = [
                        Deed(now, Veto(1)),
                        Deed(self._new_key(), self._recovery(who, now)),
                        Deed(now, Veto(1)),
                    ]
                return Deed(self._mostly(self._new_key(), now), self._recovery(who, now))
            case 5:
                return Deed(now, Leave())
            case 6:
                return Deed(now, Veto(random.choice((1, 2))))
            case _:
                return Deed(self._now(random.choice(self.offices)), Annul(now, 1, bytes(32)))

    def _recovery(self, who: bytes, now: bytes) -> Recover:
        step = self.random.choice((1, 1, 2))
        if who not in self.recount.guards and self.random.random() < 0.8:
            return Recover(now, step, registrar=self._now(self.offices[0]), consent=bytes(64))
        named, which = self.recount.guards.get(who), self.random.randrange(2)
        if named is not None and self.random.random() < 0.8:
            which = int(_commitment(1) == named.now)
        signatures = (bytes(64), self._mostly(bytes(64), b""), b"")
        words = Recover(now, step, 2, _guardians(which), bytes(16), signatures)
        if self.random.random() < 0.5:
            return words
        return words._replace(
            registrar=self._now(self.recount.enrolled_by.get(who) or self.offices[0]), consent=bytes(64)
        )

    # ---------------------------------------------------------------------------------------------------- records

    def _file(self) -> Deed | None:
        policy, random = self.policy, self.random
        if not policy.categories:
            return None
        category = random.choice(list(policy.categories.values()))
        self._evidence += 1
        evidence = self._mostly(self._evidence, random.randint(0, self._evidence)).to_bytes(32, "big")
        filing = FileRecord(
            subject=self._mostly(self._somebody(), self.offices[2], self._new_key()),
            category=self._mostly(category.code, 99),
            points=self._mostly(random.randint(category.low, category.high), category.high + 1, -1_000_000),
            severity=self._mostly(random.choice(category.severities or (0,)), 0, 1, 255),
            evidence=evidence,
            reason=bytes(32) if self._mostly(category.needs_reason, False) else b"",
            established_slot=self.recount.date - self._mostly(random.choice((0, 0, 1, 5)), -1, 30, 2**48),
            policy_version=self._version(),
        )
        return Deed(self._now(random.choice(self.offices)), filing)

    def _reopen(self) -> Deed | None:
        """Mostly conduct of a record that has ended."""
        ended = [record for about in self.recount.records.values() for record in about if record.end]
        if not ended:
            return None
        random, record = self.random, self.random.choice(ended)
        self._evidence += 1
        fields = {name: record.filing[name] for name in FileRecord._fields} | {
            "subject": self._now(record.subject),
            "evidence": self._mostly(self._evidence.to_bytes(32, "big"), record.filing["evidence"]),
            "reason": self._mostly(bytes(32), b""),
            "policy_version": self._version(),
        }
        if random.random() < 0.1:
            return Deed(self._now(record.issuer), FileRecord(**fields))
        arbiter = self._now(random.choice(self.offices))
        return Deed(self._now(record.issuer), Reopen(**fields, arbiter=arbiter, consent=bytes(64)))

    def _appeal(self) -> Deed | None:
        found = self._found(lambda record: record.upheld == 1 and not record.is_disputed)
        return found and Deed(found[0], Appeal(found[0], found[1], bytes(32)))

    def _object(self) -> Deed | None:
        found = self._found(lambda record: record.counts and not record.upheld)
        return found and Deed(found[0], Object(found[0], found[1], bytes(32)))

    def _answer(self) -> Deed | None:
        wanted = self.random.choice((*[OBJECTED] * 4, REPAIR_ASKED, STANDING))
        found = self._found(lambda record: record.status == wanted)
        if found is None:
            return None
        subject, number, record = found
        points = record.points + self._mostly(self.random.randint(1, 5), 0, 100)
        answer = Answer(subject, number, self.random.choice((1, 2, 3, 3, 3)), points, self._mostly(bytes(32), b""))
        return Deed(self._now(record.issuer), answer)

    def _rule(self) -> Deed | None:
        found = self._found(lambda record: record.status in (DRAWN, REPAIR_DRAWN))
        if found is None:
            return None
        usual = self.random.choice(self.recount.drawn(found[2]) or self.offices)
        arbiter = self._now(self._mostly(usual, *self.offices))
        return Deed(arbiter, Rule(found[0], found[1], self.random.choice((1, 2)), bytes(32)))

    def _repair(self) -> Deed | None:
        if self.random.random() < 0.6:
            found = self._found(
                lambda record: record.status == STANDING and 0 < record.repairable_from <= self.recount.slot
            )
            return found and Deed(found[0], Repair(found[0], found[1], 1, bytes(32)))
        found = self._found(lambda record: record.status in (REPAIR_ASKED, REPAIR_REFERRED))
        step = self.random.choice((2, 3))
        return found and Deed(self._now(found[2].issuer), Repair(found[0], found[1], step, bytes(32)))

    # ------------------------------------------------------------------------------------------------- governance

    def _propose(self) -> Deed:
        mover, number = self._validator(), len(self.recount.motions)
        if self.random.random() < 0.7:
            self._next = [Deed(other, Approve(number)) for other in self.recount.weights if other != mover]
        return Deed(mover, Propose(self._proposal()))

    def _approve(self) -> Deed | None:
        numbers = [number for number, motion in enumerate(self.recount.motions) if motion.status == OPEN]
        if not numbers:
            return None
        number = self._mostly(numbers[-1], *numbers, 99)
        silent = [
            validator
            for validator in self.recount.weights
            if number >= len(self.recount.motions) or validator not in self.recount.motions[number].approvals
        ]
        return Deed(self.random.choice(silent or self.validators), Approve(number))

    def _validator(self) -> bytes:
        return self.random.choice(list(self.recount.weights))

    def _proposal(self) -> Proposal:
        random, recount = self.random, self.recount
        office = random.choice(self.offices)
        status = recount.offices[office].status if office in recount.offices else REVOKED
        match random.randrange(10):
            case 0 | 1:
                codes = sorted(random.sample(sorted(self.policy.categories), len(self.policy.categories) // 2))
                from_slot = self._mostly(0, recount.date + 2)
                who = self.random.choice((self._now(office), self._now(office), self._left_key(), self._somebody()))
                until = self._mostly(FOREVER, recount.date + 3, recount.date)
                return Accredit(who, random.randint(0, ALL_RIGHTS), tuple(codes), from_slot, until)
            case 2 | 3:
                usual: Proposal = Restore(self._now(office)) if status == SUSPENDED else Suspend(self._now(office))
                return self._mostly(usual, Revoke(office), Restore(office), Suspend(self._somebody()))
            case 4:
                return Revoke(self._now(office)) if random.random() < 0.3 else Restore(self._now(office))
            case 5 | 6:
                return self._amendment()
            case 7:
                found = self._found(self.recount.waits_for_motion)
                return Judge(found[0], found[1], random.choice((1, 2))) if found else self._amendment()
            case _:
                return self._seat()

    def _amendment(self) -> Amend:
        recount = self.recount
        new = amendment(self.random, self.policy)
        document = new.encode()
        self._policies[document] = new
        notice = needed_notice_days(self.policy, new) + self._mostly(self.random.randint(0, 5), -1, 500)
        return Amend(self._mostly(recount.version, recount.version + 1), recount.date + notice, document)

    def _seat(self) -> Proposal:
        validator = self._validator()
        other = self.random.choice((self._new_key(), self._new_key(), self._somebody(), self._left_key(), validator))
        self._invited.append(other)
        random = self.random
        return random.choice(
            (
                AddValidator(other, 1),
                RemoveValidator(validator),
                JailValidator(validator),
                ReleaseValidator(validator),
                ReplaceValidator(validator, other),
                ReweighValidator(validator, self._mostly(random.randint(1, 3), 0)),
            )
        )

    def _consent(self) -> Deed | None:
        awaited = [at for at, motion in enumerate(self.recount.motions) if motion.is_awaited and motion.status == OPEN]
        invited = [at for at, motion in enumerate(self.recount.motions) if motion.newcomer]
        if not invited:
            return None
        number = self.random.choice(awaited) if awaited and self.random.random() < 0.9 else self.random.choice(invited)
        newcomer = self.recount.motions[number].newcomer
        return Deed(self._mostly(newcomer, self._somebody()), Consent(number))

    def _lose(self) -> Deed:
        loser, tag, tags = self._validator(), self.random.randbytes(TAG_BYTES), self.recount.council.tags
        old = self._mostly(tags.get(loser, NO_TAG), tag)
        return Deed(loser, Lost(old, self._mostly(tag, NO_TAG, old)))

    def _anchor(self) -> Deed:
        digest = self.random.randbytes(32)
        return Deed(self._somebody(), Anchor(AUDIT, digest, digest, self._mostly(digest, b""), digest))

    def _accuse(self) -> Deed:
        """Two statements of the same height, headers or attestations, and mostly not the same one."""
        height = max(1, self.recount.height - self._mostly(self.random.randrange(4), 8, -2))
        signer = self._validator()
        first, second = (self._statement(signer, height, number) for number in (0, self._mostly(1, 0)))
        in_order = sorted((first, second), key=lambda raw: sha256(raw).digest())
        return Deed(self._somebody(), Evidence(*in_order))

    def _statement(self, signer: bytes, height: int, number: int) -> bytes:
        """A statement as it travels, which nobody has signed."""
        other = bytes([number]) * 32
        if self.random.random() < 0.5:
            return encode((ATTESTATION_VERSION, signer, NO_TAG, other, height, 0, 0)) + bytes(64)
        slot, roots = max(1, self.recount.date), (other, other, other)
        return encode((HEADER_VERSION, height, slot, bytes(32), signer, NO_TAG, 0, 0, *roots)) + bytes(64)
