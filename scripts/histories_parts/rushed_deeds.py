"""What is tried in a rushed history: anything by anybody, mostly about who is half gone."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterator
from itertools import accumulate
from random import Random
from typing import Any

from chain.consensus.statements import NO_TAG, TAG_BYTES
from chain.content.actions import (
    ANNUL,
    APPEAL,
    APPROVE,
    ASK,
    CONTEST,
    CORRECT,
    DECLINE,
    DENY,
    GRANT,
    LEAVE,
    MAINTAIN,
    RECOVER,
    RECOVERY,
    STRIKE,
    UNDO,
    UPHOLD,
    WITHDRAW,
    Action,
    Annul,
    Answer,
    Appeal,
    Approve,
    Attest,
    Consent,
    Dispute,
    Enrol,
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
from chain.content.amendments import needed_notice_days
from chain.content.identities import ANNULMENTS, BEFORE_ARBITER, IN_HEARING, commitment_of
from chain.content.policy import Policy
from chain.content.proposals import (
    ALL_RIGHTS,
    Accredit,
    AddValidator,
    Amend,
    JailValidator,
    Judge,
    JudgeEnrolment,
    Proposal,
    ReleaseValidator,
    RemoveValidator,
    ReplaceValidator,
    Restore,
    Revoke,
    Suspend,
    decode_proposal,
)
from chain.register import entries
from chain.register.arbiters import annulment_case, drawn, record_case
from chain.register.entries import Record
from chain.register.governance import named
from chain.register.statekeys import RATINGS, RECORDS
from scripts.histories_parts.hand import FOREVER, Deed, key
from scripts.histories_parts.policies import amendment
from scripts.histories_parts.rushed_parties import RushedParties

SIGNED = bytes(64)
SALT = bytes(16)
GUARDIAN = key(60)
GUARDED = commitment_of(1, (GUARDIAN,), SALT)
DIGEST = bytes(32)
# Mostly upheld, so that there is something to appeal.
RULINGS = (STRIKE, UPHOLD, UPHOLD)
# What a history is about, by the places in the menu: whose a key is, records, who comes to office, all of it.
THEMES = (range(7), (0, 1, 2, 6, 9, 11, 11, 11, 12), (0, 1, 2, 4, 12, 13, 14), range(16))
EMPHASIS = (1, 1, 4, 16)


class RushedDeeds(RushedParties):
    """Chooses what is tried next, and by whom."""

    def __init__(self, random: Random, keys: list[bytes]) -> None:
        super().__init__(random, keys)
        self._filed: list[FileRecord] = []
        menu: list[tuple[Callable[[], Deed | None], int]] = [
            (self._enrol, 14),
            (self._rotate, 8),
            (self._leave, 6),
            (self._veto, 5),
            (self._recover, 14),
            (self._guard, 5),
            (self._annul, 8),
            (self._rate, 8),
            (self._speak, 6),
            (self._file, 8),
            (self._attest, 4),
            (self._about_a_record, 24),
            (self._propose, 8),
            (self._approve, 6),
            (self._consent, 6),
            (self._lose, 1),
        ]
        menu = [menu[at] for at in random.choice(THEMES)]
        self._menu = [choose for choose, _ in menu]
        # Each history is about a few of these: all at once hide what two of them do to each other.
        self._weights = list(accumulate(weight * random.choice(EMPHASIS) for _, weight in menu))

    def next(self) -> Deed | None:
        """Something to try; None where nothing of the kind makes sense now."""
        deed = self._menu[bisect(self._weights, self.random.randrange(self._weights[-1]))]()
        if deed is not None and self._hot and self.random.random() < 0.1:
            deed = deed._replace(actor=self.random.choice(self._hot))
        return deed

    def opening(self) -> Iterator[Deed]:
        """How it begins: three offices with all rights, and some members."""
        for number, office in enumerate(self.keys[:3]):
            codes = tuple(sorted((*self.draft.policy.categories, *self.draft.policy.attributes)))
            yield Deed(self.draft.validators.active[0].key, Propose(Accredit(office, ALL_RIGHTS, codes, 0, FOREVER)))
            yield Deed(office, Consent(number))
            yield Deed(self.draft.validators.active[-1].key, Approve(number))
        for newcomer in self.keys[3:9]:
            yield Deed(newcomer, Enrol(self.keys[0], SIGNED, self.draft.policy.version, GUARDED))

    # ----------------------------------------------------------------------------------------------- whose a key is

    def _enrol(self) -> Deed:
        actor = self.random.choice((self.unused(), self.waiting(), self.any_key()))
        guards, version = self.random.choice((b"", GUARDED, GUARDED)), self.draft.policy.version
        if self.draft.policy.enrolment_by_registrar or self.random.random() < 0.4:
            return Deed(actor, Enrol(self.office(), SIGNED, version, guards))
        return Deed(actor, Enrol(b"", b"", version, guards))

    def _rotate(self) -> Deed:
        who = self.office() if self.random.random() < 0.2 else self.member()
        return Deed(who, Rotate(self.unused(), SIGNED))

    def _leave(self) -> Deed:
        return Deed(self.member(), Leave())

    def _veto(self) -> Deed:
        return Deed(self.member(), Veto(self.random.choice((RECOVERY, LEAVE))))

    def _recover(self) -> Deed:
        random = self.random
        subject, step = self.member(), random.choice((RECOVER, RECOVER, UNDO))
        words: dict[str, Any] = {}
        if random.random() < 0.8:
            words |= {"threshold": 1, "guardians": (GUARDIAN,), "salt": SALT, "signatures": (SIGNED,)}
        if not words or random.random() < 0.4:
            words |= {"registrar": self.office(), "consent": SIGNED}
        return Deed(self.unused(), Recover(subject, step, **words))

    def _guard(self) -> Deed:
        return Deed(self.member(), NameGuardians(self.random.choice((GUARDED, GUARDED, b""))))

    def _annul(self) -> Deed:
        who = (self.any_of(ANNULMENTS) if self.random.random() < 0.6 else None) or self.who()
        annulment, subject = self.draft.get(ANNULMENTS + who), self.now(who)
        if annulment is None or self.random.random() < 0.1:
            return Deed(self.office(), Annul(subject, ANNUL, DIGEST))
        if annulment.status == BEFORE_ARBITER:
            judges = drawn(self.draft, annulment_case(who, annulment), self.draft.date_slot)
            judge = self.draft.current_key(self.random.choice(judges)) if judges else self.office()
            return Deed(judge, Annul(subject, self.random.choice((GRANT, GRANT, DENY)), DIGEST))
        return Deed(subject, Annul(subject, CONTEST if annulment.status == IN_HEARING else APPEAL, DIGEST))

    # -------------------------------------------------------------------------------------------------- what is said

    def _rate(self) -> Deed:
        policy, subject = self.draft.policy, self.member()
        receipt = SIGNED if policy.raters.counting else b""
        dealt = self.draft.date_slot if receipt else 0
        rating = Rate(subject, self._rated(), self.random.choice((-5, 5)), DIGEST if receipt else b"", dealt, receipt)
        return Deed(self.member(), rating)

    def _rated(self) -> int:
        return self.random.choice(list(self.draft.policy.ratings) or [1])

    def _speak(self) -> Deed:
        """Of a rating that there is, as far as there is any."""
        found = self.any_of(RATINGS)
        subject, rater, code = self.who(), self.who(), self._rated()
        if found is not None:
            subject, rater, code = found[:32], found[32:64], int.from_bytes(found[64:], "big")
        subject, rater = self.now(subject), self.now(rater)
        action: Action = self.random.choice((Retract(subject, code), Reply(subject, code, DIGEST)))
        if self.random.random() < 0.5:
            return Deed(subject, Dispute(rater, code, DIGEST))
        return Deed(rater, action)

    # ------------------------------------------------------------------------------------------------------- records

    def _file(self) -> Deed | None:
        random, policy = self.random, self.draft.policy
        if not policy.categories:
            return None
        category = random.choice(list(policy.categories.values()))
        filing = FileRecord(
            self.member(),
            category.code,
            random.randint(category.low, category.high),
            random.choice(category.severities or (0,)),
            random.choice((DIGEST, random.randbytes(32))),
            DIGEST,
            self.draft.date_slot - random.choice((0, 0, 1)),
            policy.version,
        )
        if random.random() < 0.4 and self._filed:
            again = random.choice(self._filed)._replace(evidence=random.randbytes(32), policy_version=policy.version)
            return Deed(self.office(), Reopen(*again, self.office(), SIGNED))
        self._filed = [*self._filed[-7:], filing]
        return Deed(self.office(), filing)

    def _attest(self) -> Deed:
        code, until = self.random.choice((51, 52)), self.draft.date_slot + self.random.randint(1, 2)
        subject = self.member()
        if self.random.random() < 0.2:
            return Deed(self.random.choice((subject, self.office())), Attest(subject, code, b"", 0))
        return Deed(self.office(), Attest(subject, code, DIGEST, until))

    def _about_a_record(self) -> Deed | None:
        """By whom it is about, who filed it, or anybody in office."""
        found, random = self.any_of(RECORDS), self.random
        if found is None:
            return None
        record: Record | None = self.draft.get(RECORDS + found)
        subject, number = self.now(found[:32]), int.from_bytes(found[32:], "big")
        issuer = self.office() if record is None else self.draft.current_key(record.issuer)
        if record is not None and random.random() < 0.5:
            return self._next_step(subject, number, record)
        own: list[Action] = [
            Object(subject, number, DIGEST),
            Object(subject, number, DIGEST),
            Appeal(subject, number, DIGEST),
            Repair(subject, number, ASK, DIGEST),
            Statement(subject, number, DIGEST),
        ]
        verdict = random.choice((CORRECT, WITHDRAW, MAINTAIN, MAINTAIN, MAINTAIN))
        points = 0 if record is None else record.points + 1
        issued: list[Action] = [
            Answer(subject, number, verdict, points, DIGEST),
            Repair(subject, number, random.choice((APPROVE, DECLINE)), DIGEST),
        ]
        chance = random.random()
        if chance < 0.4:
            return Deed(subject, random.choice(own))
        if chance < 0.7:
            return Deed(issuer, random.choice(issued))
        return Deed(self.office(), Rule(subject, number, random.choice(RULINGS), DIGEST))

    def _next_step(self, subject: bytes, number: int, record: Record) -> Deed | None:
        """What a dispute, or a repair, waits for."""
        issuer = self.draft.current_key(record.issuer)
        match record.status:
            case entries.STANDING if record.upheld:
                return Deed(subject, Appeal(subject, number, DIGEST))
            case entries.STANDING:
                steps = Object(subject, number, DIGEST), Repair(subject, number, ASK, DIGEST)
                return Deed(subject, self.random.choice(steps))
            case entries.REPAIR_ASKED:
                return Deed(issuer, Repair(subject, number, DECLINE, DIGEST))
            case entries.OBJECTED:
                return Deed(issuer, Answer(subject, number, MAINTAIN, 0, DIGEST))
            case entries.REPAIR_DRAWN | entries.DRAWN:
                judge = self._drawn(subject, number, record)
                return Deed(judge, Rule(subject, number, self.random.choice(RULINGS), DIGEST))
        return None

    def _drawn(self, subject: bytes, number: int, record: Record) -> bytes:
        found = drawn(self.draft, record_case(self.draft.identity(subject), number, record), self.draft.date_slot)
        return self.draft.current_key(self.random.choice(found)) if found else self.office()

    # ----------------------------------------------------------------------------------------------------- validators

    def _propose(self) -> Deed:
        return Deed(self.validator(), Propose(self._proposal()))

    def _approve(self) -> Deed | None:
        docket = self.draft.docket.open
        return Deed(self.validator(), Approve(self.random.choice(docket))) if docket else None

    def _consent(self) -> Deed | None:
        docket = self.draft.docket.open
        if not docket:
            return None
        number = self.random.choice(docket)
        invited = named(self.draft, decode_proposal(self.draft.motion(number).proposal))
        is_invited = self.random.random() < 0.8
        return Deed(invited if invited is not None and is_invited else self.any_key(), Consent(number))

    def _lose(self) -> Deed:
        loser = self.validator()
        return Deed(loser, Lost(self.draft.validators.tag(loser) or NO_TAG, self.random.randbytes(TAG_BYTES)))

    def _proposal(self) -> Proposal:
        random, office = self.random, self.office()
        match random.randrange(10):
            case 0 | 1 | 2:
                codes = tuple(sorted((*self.draft.policy.categories, *self.draft.policy.attributes)))
                who = random.choice((office, self.unused(), self.member(), self.waiting()))
                until = random.choice((FOREVER, FOREVER, self.draft.date_slot + 3))
                return Accredit(who, random.choice((ALL_RIGHTS, ALL_RIGHTS, 1, 2, 0)), codes, 0, until)
            case 3:
                return Revoke(office)
            case entries.OBJECTED:
                return random.choice((Suspend(office), Restore(office), Restore(office)))
            case 5:
                if (whose := self.any_of(ANNULMENTS)) is not None and random.random() < 0.5:
                    return JudgeEnrolment(whose, random.choice((STRIKE, UPHOLD)))
                found = self.any_of(RECORDS)
                about = (found[:32], int.from_bytes(found[32:], "big")) if found else (office, 0)
                return Judge(*about, random.choice((STRIKE, UPHOLD)))
            case 6 | 7:
                return self._amendment()
            case _:
                return self._seat()

    def _amendment(self) -> Amend:
        now: Policy = self.draft.policy
        new = amendment(self.random, now)
        effective = self.draft.date_slot + self.draft.slots(max(1, needed_notice_days(now, new)))
        return Amend(now.version, effective, new.encode())

    def _seat(self) -> Proposal:
        validator, other = self.validator(), self.random.choice((self.unused(), self.member(), self.waiting()))
        return self.random.choice(
            (
                AddValidator(other, 1),
                RemoveValidator(validator),
                JailValidator(validator),
                ReleaseValidator(validator),
                ReplaceValidator(validator, other),
            )
        )
