"""Those who have a plan: to worsen somebody's standing, or to keep their own, by whatever is valid.

A plan is tried again and again, step by step, between what everybody else does; None lets some time pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeAlias

from chain.content.actions import (
    ANNUL,
    APPEAL,
    ASK,
    CONTEST,
    DECLINE,
    GRANT,
    LEAVE,
    MAINTAIN,
    RECOVER,
    RECOVERY,
    UNDO,
    UPHOLD,
    WITHDRAW,
    Annul,
    Answer,
    Appeal,
    Approve,
    Dispute,
    Enrol,
    FileRecord,
    Leave,
    NameGuardians,
    Object,
    Propose,
    Rate,
    Recover,
    Reopen,
    Repair,
    Retract,
    Rotate,
    Rule,
    Statement,
    Veto,
)
from chain.content.proposals import Amend, Judge, Restore, Suspend
from scripts.histories_parts.deeds_about_records import AboutRecords
from scripts.histories_parts.deeds_of_members import OfMembers
from scripts.histories_parts.deeds_of_validators import OfValidators
from scripts.histories_parts.hand import Deed, commitment_to, guardians_of
from scripts.recount.lives import DRAWN, REPAIR_DRAWN, Record

Plan: TypeAlias = Iterator[Deed | None]
DIGEST = bytes(32)
# How often somebody has a plan at all.
SHARE = 0.7


class Attackers(OfMembers, AboutRecords, OfValidators):
    """The plans; each is a loop without an end."""

    def plot(self) -> Plan | None:
        """The plan of this history, if anybody has one."""
        plans: list[Callable[[], Plan]] = [
            *(self._diluter, self._pair, self._majority, self._thief, self._inventor, self._crowd, self._hoarder),
            *(self._slanderer, self._mover, self._reopener),
            self._majority,  # who has most power tries most
        ]
        plan = self.random.choice(plans)
        return self._again(plan) if self.random.random() < SHARE else None

    @staticmethod
    def _again(plan: Callable[[], Plan]) -> Plan:
        while True:
            yield from plan()
            yield None

    # ---------------------------------------------------------------------------------------------------- the plans

    def _diluter(self) -> Plan:
        """An office hides what it lost behind friendly filings, withdraws in time, and files again what fell."""
        office, victim, puppet = self._office(), self._victim(), self._victim()
        yield self._filing(office, victim)
        yield self._filing(office, puppet, is_adverse=False)
        record = self._last(victim)
        if record is None:
            return
        if self.random.random() < 0.5:  # it is suspended meanwhile
            yield from self._carried(Propose(Suspend(self._now(office))))
        yield Deed(self._now(victim), Object(victim, record.number, DIGEST))
        yield Deed(self._now(office), self.random.choice(self._answers(record)))
        for _ in range(3):
            yield self._filing(office, puppet, is_adverse=False)
        if record.end:
            yield from self._refilings(office, record)

    def _refilings(self, office: bytes, record: Record) -> Plan:
        """By the same evidence, by another, on the next day, and as a reopening that it consents to itself."""
        fields = {name: record.filing[name] for name in FileRecord._fields} | {"policy_version": self.policy.version}
        again = FileRecord(**fields)
        other = again._replace(evidence=self._new_evidence(), reason=DIGEST)
        yield Deed(self._now(office), again)
        yield Deed(self._now(office), other)
        yield Deed(self._now(office), other._replace(established_slot=other.established_slot + 1))
        for arbiter in (office, self._office()):
            fresh = other._replace(evidence=self._new_evidence())
            yield Deed(self._now(office), Reopen(*fresh, arbiter=self._now(arbiter), consent=bytes(64)))

    def _pair(self) -> Plan:
        """An issuer and the arbiters of its choice are through with a member's objection before it can answer."""
        issuer, victim = self._office(), self._victim()
        yield self._filing(issuer, victim)
        record = self._last(victim)
        if record is None:
            return
        yield Deed(self._now(victim), Object(victim, record.number, DIGEST))
        yield Deed(self._now(issuer), Answer(victim, record.number, MAINTAIN, 0, DIGEST))
        for _ in range(2):
            for _ in range(6):
                yield from self._rulings(victim, record)
            yield Deed(self._now(victim), Appeal(victim, record.number, DIGEST))
        yield from self._carried(Propose(Judge(victim, record.number, UPHOLD)))

    def _rulings(self, victim: bytes, record: Record) -> Plan:
        """By whomever, and by whom the lot named."""
        for arbiter in self.random.sample(self.offices, min(2, len(self.offices))):
            yield Deed(self._now(arbiter), Rule(victim, record.number, UPHOLD, DIGEST))
        if record.status in (DRAWN, REPAIR_DRAWN):
            for arbiter in self.recount.drawn(record):
                yield Deed(self._now(arbiter), Rule(victim, record.number, UPHOLD, DIGEST))
        yield None

    def _majority(self) -> Plan:
        """The validators change the rules, with as little notice as they can, for what has been recorded already."""
        office, victim = self._office(), self._victim()
        yield self._filing(office, victim)
        record = self._last(victim)
        policy, days = self.policy, self.random.randint(8, 20)
        category = policy.categories.get(record.filing["category"]) if record is not None else None
        changes: list[dict[str, Any]] = [
            {
                **{"answer_days": days, "ruling_days": days, "repair_answer_days": days, "hearing_days": 1},
                "identity": policy.identity._replace(recovery_days=1, annulment_days=1, leave_days=days),
                "raters": policy.raters._replace(answer_days=days),
            },
            {"base": policy.base - 1},
            {"notice_days": 1, "worse_notice_days": 1},
            {"lookback_days": days},
        ]
        if category is not None:
            worse = replace(category, low=category.low - 3, tier_cap=0)
            changes += 2 * [{"categories": {**policy.categories, category.code: worse}}]  # what hurts most
        new = replace(policy, version=policy.version + 1, **self.random.choice(changes))
        self._policies[new.encode()] = new
        notice = self.random.choice((0, policy.notice_days, *2 * (policy.worse_notice_days,)))
        yield from self._carried(Propose(Amend(policy.version, self.recount.date + notice, new.encode())))
        yield Deed(self._now(victim), Object(victim, record.number if record else 0, DIGEST))
        yield from (None, None)
        yield self._filing(office, victim, age_slots=self.random.randint(1, 8))
        yield from self._carried(Propose(Restore(self._now(office))))
        yield Deed(self._new_key(), Recover(self._now(victim), RECOVER, registrar=self._now(office), consent=bytes(64)))
        yield Deed(self._now(victim), Veto(RECOVERY))
        yield Deed(self._now(office), Annul(self._now(victim), ANNUL, DIGEST))
        yield from (Deed(self._now(victim), Dispute(rater, code, DIGEST)) for rater, code in self._said(victim))

    def _said(self, victim: bytes) -> list[tuple[bytes, int]]:
        """Who rates somebody, and in which category."""
        return [(self._now(rater), code) for rater, code in self.recount.ratings[victim]]

    def _thief(self) -> Plan:
        """Whoever has a member's key is faster than its guardians, who are many."""
        victim, now = (who := self._victim()), self._now(who)
        yield Deed(now, NameGuardians(commitment_to(0)))
        deeds = [
            Deed(now, NameGuardians(commitment_to(1))),
            Deed(now, NameGuardians(b"")),
            Deed(now, Rotate(self._new_key(), bytes(64))),
            Deed(now, Leave()),
        ]
        yield from self.random.sample(deeds, self.random.randint(1, len(deeds)))
        for which, step in self.random.sample([(0, UNDO), (0, RECOVER), (1, RECOVER), (1, UNDO)], 3):
            yield Deed(self._new_key(), self._word(victim, step, which))
            yield self.random.choice((None, Deed(self._now(victim), Veto(self.random.choice((RECOVERY, LEAVE))))))

    def _word(self, victim: bytes, step: int, which: int) -> Recover:
        signatures = (bytes(64), bytes(64), b"")
        return Recover(self._now(victim), step, 2, guardians_of(which), bytes(16), signatures)

    def _inventor(self) -> Plan:
        """A registrar invents people, moves those whom it enrolled, and says that enrolments are void."""
        registrar, victim = self.offices[0], self._victim()
        now = self._now(registrar)
        for _ in range(self.random.randint(1, 5)):
            invented = self._new_key()
            yield Deed(invented, Enrol(now, bytes(64), self.policy.version))
            yield from self._praise(invented, victim)
        yield Deed(self._new_key(), Recover(self._now(victim), RECOVER, registrar=now, consent=bytes(64)))
        yield Deed(now, Annul(self._now(victim), ANNUL, DIGEST))
        yield Deed(self.random.choice((now, self._now(victim))), Annul(self._now(victim), CONTEST, DIGEST))
        for _ in range(3):
            for arbiter in (registrar, self._office(), *self._named(victim)):
                yield Deed(self._now(arbiter), Annul(self._now(victim), GRANT, DIGEST))
            yield None
            yield Deed(self._now(victim), Annul(self._now(victim), APPEAL, DIGEST))
        yield Deed(now, Annul(self._now(victim), ANNUL, DIGEST))
        yield from (None, None)
        yield Deed(self._now(victim), Enrol(now, bytes(64), self.policy.version))

    def _named(self, victim: bytes) -> list[bytes]:
        return self.recount.drawn_about(victim) if victim in self.recount.annulments else []

    def _crowd(self) -> Plan:
        """Strangers come by the dozen and say the same, and one shouts."""
        victim, puppet = self._victim(), self._victim()
        for _ in range(self.random.randint(3, 8)):
            stranger = self._new_key()
            yield Deed(stranger, Enrol(policy_version=self.policy.version))
            yield from self._praise(stranger, victim)
        for number in range(self.random.randint(2, 10)):
            yield from self._praise(puppet, victim)
            if number % 3 == 2:
                yield Deed(self._now(puppet), Retract(self._now(victim), 1))

    def _praise(self, rater: bytes, about: bytes) -> Plan:
        if self.policy.ratings:
            code = self.random.choice(list(self.policy.ratings))
            receipt = bytes(64) if self.policy.raters.counting else b""
            dealt = self.recount.date - self.random.randrange(2)
            points = self.random.choice((-5, 5))
            yield Deed(self._now(rater), Rate(self._now(about), code, points, DIGEST, dealt, receipt))

    def _hoarder(self) -> Plan:
        """An issuer keeps what is to be repaired, and declines again and again."""
        issuer, victim = self._office(), self._victim()
        yield self._filing(issuer, victim)
        record = self._last(victim)
        if record is None:
            return
        for _ in range(3):
            yield Deed(self._now(victim), Repair(victim, record.number, ASK, DIGEST))
            yield Deed(self._now(victim), Statement(victim, record.number, DIGEST))
            yield Deed(self._now(issuer), Repair(victim, record.number, DECLINE, DIGEST))
            yield from self._rulings(victim, record)

    def _slanderer(self) -> Plan:
        """Somebody blames, says nothing when it is asked for a reason, and blames again."""
        if not self.policy.ratings:
            return
        rater, victim = self.random.sample(self.members, 2)
        code, receipt = min(self.policy.ratings), bytes(64) if self.policy.raters.counting else b""
        for points in (-5, self.random.choice((-5, 5)), -5):
            now = self._now(victim)
            yield Deed(self._now(rater), Rate(now, code, points, DIGEST, self.recount.date, receipt))
            yield Deed(now, Dispute(self._now(rater), code, DIGEST))
            yield self.random.choice((None, Deed(self._now(rater), Retract(now, code))))

    def _mover(self) -> Plan:
        """Who has written enough for a day moves to another key, or is moved by its guardians; or comes and goes."""
        who, about = self.random.sample(self.members, 2)
        yield Deed(self._now(who), NameGuardians(commitment_to(0)))
        for _ in range(3):
            yield from self._praise(who, about)
            yield Deed(self._now(who), self.random.choice((Rotate(self._new_key(), bytes(64)), Leave(), Veto(LEAVE))))
            yield Deed(self._new_key(), self._word(who, self.random.choice((UNDO, UNDO, RECOVER)), 0))
            yield Deed(self._now(who), Veto(RECOVERY))

    def _reopener(self) -> Plan:
        """An issuer withdraws, records it again by the word of a friend, and the friend is to rule on that."""
        issuer, friend, victim = self._office(), self._office(), self._victim()
        yield self._filing(issuer, victim)
        ended = self._last(victim)
        if ended is None or ended.end:
            return
        yield Deed(self._now(issuer), Answer(victim, ended.number, WITHDRAW, 0, DIGEST))
        fields = {name: ended.filing[name] for name in FileRecord._fields} | {"policy_version": self.policy.version}
        again = FileRecord(**fields)._replace(evidence=self._new_evidence(), reason=DIGEST)
        yield Deed(self._now(issuer), Reopen(*again, arbiter=self._now(friend), consent=bytes(64)))
        record = self._last(victim)
        if record is None or record.end:
            return
        yield Deed(self._now(victim), Object(victim, record.number, DIGEST))
        yield Deed(self._now(issuer), Answer(victim, record.number, MAINTAIN, 0, DIGEST))
        for _ in range(8):
            yield Deed(self._now(friend), Rule(victim, record.number, UPHOLD, DIGEST))
            yield from self._rulings(victim, record)
            yield Deed(self._now(victim), Appeal(victim, record.number, DIGEST))

    # ------------------------------------------------------------------------------------------------------- parts

    def _office(self) -> bytes:
        return self.random.choice(self.offices)

    def _victim(self) -> bytes:
        return self.random.choice(self.members)

    def _last(self, subject: bytes) -> Record | None:
        """The newest record about somebody."""
        about = self.recount.records.get(subject, [])
        return about[-1] if about else None

    def _filing(self, office: bytes, subject: bytes, *, is_adverse: bool = True, age_slots: int = 0) -> Deed | None:
        """What would be taken: in a category that is open, for or against somebody."""
        fitting = [
            category
            for category in self.policy.categories.values()
            if (category.low < 0 if is_adverse else category.high > 0) and not category.is_closed
        ]
        if not fitting:
            return None
        category = self.random.choice(fitting)
        points = category.low if is_adverse else category.high
        filing = FileRecord(
            *(self._now(subject), category.code, points, (category.severities or (0,))[-1], self._new_evidence()),
            *(DIGEST if category.needs_reason else b"", self.recount.date - age_slots, self.policy.version),
        )
        return Deed(self._now(office), filing)

    @staticmethod
    def _answers(record: Record) -> list[Answer]:
        """What takes an objection from the table."""
        name = record.subject, record.number
        return [
            Answer(*name, WITHDRAW, 0, DIGEST),
            Answer(*name, MAINTAIN, 0, DIGEST),
            Answer(*name, 1, record.points + 1, DIGEST),
        ]

    def _carried(self, motion: Propose) -> Plan:
        """All validators are of one mind."""
        voters = list(self.recount.weights)
        number = len(self.recount.motions)
        yield Deed(voters[0], motion)
        for voter in voters[1:]:
            yield Deed(voter, Approve(number))
