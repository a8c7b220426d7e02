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
    CONTEST,
    DENY,
    GRANT,
    LEAVE,
    RECOVER,
    RECOVERY,
    UNDO,
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
from chain.content.identities import BEFORE_ARBITER, IN_HEARING, commitment_of, left_key
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
)
from chain.register.arbiters import annulment_case, drawn, record_case
from chain.register.draft import Draft
from chain.register.entries import Motion, Record
from scripts.histories_parts.hand import FOREVER, Deed, key
from scripts.histories_parts.policies import amendment

SIGNED = bytes(64)
SALT = bytes(16)
GUARDIAN = key(60)
GUARDED = commitment_of(1, (GUARDIAN,), SALT)
DIGEST = bytes(32)
# What a history is about, by the places in the menu: whose a key is, records, all of it.
THEMES = (range(7), (0, 1, 2, 6, 9, 11, 11, 11, 12), range(16))
EMPHASIS = (1, 1, 4, 16)
# In most blocks so many keys do nearly all.
BUSY = 3
# What waits for a member, or says that its keys are being forgotten.
_HALF_GONE = (b"l", b"y", b"u")


class RushedDeeds:
    """Chooses what is tried next, from what a draft shows; few ``keys``, used again and again, by whom they come."""

    def __init__(self, random: Random, keys: list[bytes]) -> None:
        self.random = random
        self.keys = keys
        self._draft: Draft
        self._found: dict[bytes, list[bytes]] = {}
        self._hot: list[bytes] = []
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
            (self._approve, 3),
            (self._consent, 3),
            (self._lose, 1),
        ]
        menu = [menu[at] for at in random.choice(THEMES)]
        self._menu = [choose for choose, _ in menu]
        # Each history is about a few of these: all at once hide what two of them do to each other.
        self._weights = list(accumulate(weight * random.choice(EMPHASIS) for _, weight in menu))

    def begin(self, draft: Draft) -> None:
        """A block begins; in most of them a few keys are busy."""
        self._draft = draft
        self._hot = []
        self.look()
        if self.random.random() < 0.7:
            self._hot = [self.random.choice((self._member(), self._unused(), self._waiting())) for _ in range(BUSY)]

    def look(self) -> None:
        """See what there is now."""
        self._found = {}
        for entry in {**dict.fromkeys(self._draft._state), **self._draft._written}:
            if self._draft.get(entry) is not None:
                self._found.setdefault(entry[:1], []).append(entry[1:])

    def next(self) -> Deed | None:
        """Something to try; None where nothing of the kind makes sense now."""
        deed = self._menu[bisect(self._weights, self.random.randrange(self._weights[-1]))]()
        if deed is not None and self._hot and self.random.random() < 0.1:
            deed = deed._replace(actor=self.random.choice(self._hot))
        return deed

    def opening(self) -> Iterator[Deed]:
        """How it begins: three offices with all rights, and some members."""
        for number, office in enumerate(self.keys[:3]):
            codes = tuple(sorted((*self._draft.policy.categories, *self._draft.policy.attributes)))
            yield Deed(self._draft.validators.active[0].key, Propose(Accredit(office, ALL_RIGHTS, codes, 0, FOREVER)))
            yield Deed(self._draft.validators.active[-1].key, Approve(number))
        for newcomer in self.keys[3:9]:
            yield Deed(newcomer, Enrol(self.keys[0], SIGNED, self._draft.policy.version, GUARDED))

    # ------------------------------------------------------------------------------------------------------- who

    def _any(self, kind: bytes) -> bytes | None:
        found = self._found.get(kind)
        return self.random.choice(found) if found else None

    def _key(self) -> bytes:
        return self.random.choice(self._hot if self._hot and self.random.random() < 0.8 else self.keys)

    def _unused(self) -> bytes:
        """A key that nobody has, as far as there is one, mostly of those that are busy; now and then any."""
        free = [each for each in self.keys if self._draft.account(each) is None and not self._has_left(each)]
        busy = [each for each in self._hot if each in free]
        chance = self.random.random()
        if busy and chance < 0.6:
            return self.random.choice(busy)
        if not free:
            free = [key(300 + len(self.keys))]
            self.keys += free
        return self.random.choice(free) if chance < 0.95 else self._key()

    def _has_left(self, key: bytes) -> bool:
        return self._draft.get(left_key(key)) is not None and self.random.random() < 0.9

    def _waiting(self) -> bytes:
        """A key that a member is to move to, or one that is being forgotten, as far as there is any."""
        moves = [entry.key for who in self._found.get(b"y", ()) if (entry := self._draft.get(b"y" + who)) is not None]
        goes = [entry.cursor for who in self._found.get(b"l", ()) if (entry := self._draft.get(b"l" + who)) is not None]
        found = [each for each in (*moves, *goes) if each]
        return self.random.choice(found) if found else self._unused()

    def _who(self) -> bytes:
        """An identity, mostly one that is half gone."""
        chance = self.random.random()
        if chance > 0.5 and self._draft.get(b"m" + (busy := self._draft.identity(self._key()))) is not None:
            return busy
        found = self._any(self.random.choice(_HALF_GONE)) if chance < 0.3 else None
        return found or self._any(b"m") or self._key()

    def _now(self, who: bytes) -> bytes:
        """Its key; sometimes one that it had, or is to have."""
        chance = self.random.random()
        if chance < 0.06:
            return self._key()
        waiting = self._draft.get(b"y" + who)
        return waiting.key or who if waiting is not None and chance < 0.12 else self._draft.current_key(who)

    def _member(self) -> bytes:
        return self._now(self._who())

    def _office(self) -> bytes:
        """An authority, mostly one that is active."""
        offices = self._found.get(b"a", ())
        active = [who for who in offices if not self._draft.get(b"a" + who).status]
        who = self.random.choice(active) if active and self.random.random() < 0.8 else self._any(b"a")
        return self._draft.current_key(who or self._key())

    # ----------------------------------------------------------------------------------------------- whose a key is

    def _enrol(self) -> Deed:
        actor = self.random.choice((self._unused(), self._waiting(), self._key()))
        guards, version = self.random.choice((b"", GUARDED, GUARDED)), self._draft.policy.version
        if self._draft.policy.enrolment_by_registrar or self.random.random() < 0.4:
            return Deed(actor, Enrol(self._office(), SIGNED, version, guards))
        return Deed(actor, Enrol(b"", b"", version, guards))

    def _rotate(self) -> Deed:
        who = self._office() if self.random.random() < 0.2 else self._member()
        return Deed(who, Rotate(self._unused(), SIGNED))

    def _leave(self) -> Deed:
        return Deed(self._member(), Leave())

    def _veto(self) -> Deed:
        return Deed(self._member(), Veto(self.random.choice((RECOVERY, LEAVE))))

    def _recover(self) -> Deed:
        random = self.random
        subject, step = self._member(), random.choice((RECOVER, RECOVER, UNDO))
        words: dict[str, Any] = {}
        if random.random() < 0.8:
            words |= {"threshold": 1, "guardians": (GUARDIAN,), "salt": SALT, "signatures": (SIGNED,)}
        if not words or random.random() < 0.4:
            words |= {"registrar": self._office(), "consent": SIGNED}
        return Deed(self._unused(), Recover(subject, step, **words))

    def _guard(self) -> Deed:
        return Deed(self._member(), NameGuardians(self.random.choice((GUARDED, GUARDED, b""))))

    def _annul(self) -> Deed:
        who = (self._any(b"u") if self.random.random() < 0.6 else None) or self._who()
        annulment, subject = self._draft.get(b"u" + who), self._now(who)
        if annulment is None or self.random.random() < 0.1:
            return Deed(self._office(), Annul(subject, ANNUL, DIGEST))
        if annulment.status == BEFORE_ARBITER:
            judges = drawn(self._draft, annulment_case(who, annulment), self._draft.date_slot)
            judge = self._draft.current_key(self.random.choice(judges)) if judges else self._office()
            return Deed(judge, Annul(subject, self.random.choice((GRANT, GRANT, DENY)), DIGEST))
        return Deed(subject, Annul(subject, CONTEST if annulment.status == IN_HEARING else APPEAL, DIGEST))

    # -------------------------------------------------------------------------------------------------- what is said

    def _rate(self) -> Deed:
        policy, subject = self._draft.policy, self._member()
        receipt = SIGNED if policy.raters.counting else b""
        dealt = self._draft.date_slot if receipt else 0
        rating = Rate(subject, self._rated(), self.random.choice((-5, 5)), DIGEST if receipt else b"", dealt, receipt)
        return Deed(self._member(), rating)

    def _rated(self) -> int:
        return self.random.choice(list(self._draft.policy.ratings) or [1])

    def _speak(self) -> Deed:
        """Of a rating that there is, as far as there is any."""
        found = self._any(b"r")
        subject, rater, code = self._who(), self._who(), self._rated()
        if found is not None:
            subject, rater, code = found[:32], found[32:64], int.from_bytes(found[64:], "big")
        subject, rater = self._now(subject), self._now(rater)
        action: Action = self.random.choice((Retract(subject, code), Reply(subject, code, DIGEST)))
        if self.random.random() < 0.5:
            return Deed(subject, Dispute(rater, code, DIGEST))
        return Deed(rater, action)

    # ------------------------------------------------------------------------------------------------------- records

    def _file(self) -> Deed | None:
        random, policy = self.random, self._draft.policy
        if not policy.categories:
            return None
        category = random.choice(list(policy.categories.values()))
        filing = FileRecord(
            self._member(),
            category.code,
            random.randint(category.low, category.high),
            random.choice(category.severities or (0,)),
            random.choice((DIGEST, random.randbytes(32))),
            DIGEST,
            self._draft.date_slot - random.choice((0, 0, 1)),
            policy.version,
        )
        if random.random() < 0.4 and self._filed:
            again = random.choice(self._filed)._replace(evidence=random.randbytes(32), policy_version=policy.version)
            return Deed(self._office(), Reopen(*again, self._office(), SIGNED))
        self._filed = [*self._filed[-7:], filing]
        return Deed(self._office(), filing)

    def _attest(self) -> Deed:
        code, until = self.random.choice((51, 52)), self._draft.date_slot + self.random.randint(1, 2)
        subject = self._member()
        if self.random.random() < 0.2:
            return Deed(self.random.choice((subject, self._office())), Attest(subject, code, b"", 0))
        return Deed(self._office(), Attest(subject, code, DIGEST, until))

    def _about_a_record(self) -> Deed | None:
        """By whom it is about, who filed it, or anybody in office."""
        found, random = self._any(b"d"), self.random
        if found is None:
            return None
        record: Record | None = self._draft.get(b"d" + found)
        subject, number = self._now(found[:32]), int.from_bytes(found[32:], "big")
        issuer = self._office() if record is None else self._draft.current_key(record.issuer)
        if record is not None and random.random() < 0.5:
            return self._next_step(subject, number, record)
        own: list[Action] = [
            Object(subject, number, DIGEST),
            Object(subject, number, DIGEST),
            Appeal(subject, number, DIGEST),
            Repair(subject, number, 1, DIGEST),
            Statement(subject, number, DIGEST),
        ]
        verdict = random.choice((1, 2, 3, 3, 3))
        points = 0 if record is None else record.points + 1
        issued: list[Action] = [
            Answer(subject, number, verdict, points, DIGEST),
            Repair(subject, number, random.choice((2, 3)), DIGEST),
        ]
        chance = random.random()
        if chance < 0.4:
            return Deed(subject, random.choice(own))
        if chance < 0.7:
            return Deed(issuer, random.choice(issued))
        return Deed(self._office(), Rule(subject, number, random.choice((1, 2, 2)), DIGEST))

    def _next_step(self, subject: bytes, number: int, record: Record) -> Deed | None:
        """What a dispute, or a repair, waits for."""
        issuer = self._draft.current_key(record.issuer)
        match record.status:
            case 0 if record.upheld:
                return Deed(subject, Appeal(subject, number, DIGEST))
            case 0:
                return Deed(
                    subject, self.random.choice((Object(subject, number, DIGEST), Repair(subject, number, 1, DIGEST)))
                )
            case 1:
                return Deed(issuer, Repair(subject, number, 3, DIGEST))
            case 4:
                return Deed(issuer, Answer(subject, number, 3, 0, DIGEST))
            case 3 | 6:
                return Deed(
                    self._drawn(subject, number, record), Rule(subject, number, self.random.choice((1, 2, 2)), DIGEST)
                )
        return None

    def _drawn(self, subject: bytes, number: int, record: Record) -> bytes:
        found = drawn(self._draft, record_case(self._draft.identity(subject), number, record), self._draft.date_slot)
        return self._draft.current_key(self.random.choice(found)) if found else self._office()

    # ----------------------------------------------------------------------------------------------------- validators

    def _validator(self) -> bytes:
        return self.random.choice(self._draft.validators.active).key

    def _propose(self) -> Deed:
        return Deed(self._validator(), Propose(self._proposal()))

    def _approve(self) -> Deed | None:
        docket = self._draft.docket.open
        return Deed(self._validator(), Approve(self.random.choice(docket))) if docket else None

    def _consent(self) -> Deed | None:
        awaited: list[tuple[int, Motion]] = [(at, self._draft.motion(at)) for at in self._draft.docket.open]
        if not awaited:
            return None
        number, _ = self.random.choice(awaited)
        return Deed(self._key(), Consent(number))

    def _lose(self) -> Deed:
        loser = self._validator()
        return Deed(loser, Lost(self._draft.validators.tag(loser) or NO_TAG, self.random.randbytes(TAG_BYTES)))

    def _proposal(self) -> Proposal:
        random, office = self.random, self._office()
        match random.randrange(10):
            case 0 | 1 | 2:
                codes = tuple(sorted((*self._draft.policy.categories, *self._draft.policy.attributes)))
                who = random.choice((office, self._unused(), self._member(), self._waiting()))
                until = random.choice((FOREVER, FOREVER, self._draft.date_slot + 3))
                return Accredit(who, random.choice((ALL_RIGHTS, ALL_RIGHTS, 1, 2, 0)), codes, 0, until)
            case 3:
                return Revoke(office)
            case 4:
                return random.choice((Suspend(office), Restore(office), Restore(office)))
            case 5:
                if (whose := self._any(b"u")) is not None and random.random() < 0.5:
                    return JudgeEnrolment(whose, random.choice((1, 2)))
                found = self._any(b"d")
                about = (found[:32], int.from_bytes(found[32:], "big")) if found else (office, 0)
                return Judge(*about, random.choice((1, 2)))
            case 6 | 7:
                return self._amendment()
            case _:
                return self._seat()

    def _amendment(self) -> Amend:
        now: Policy = self._draft.policy
        new = amendment(self.random, now)
        effective = self._draft.date_slot + self._draft.slots(max(1, needed_notice_days(now, new)))
        return Amend(now.version, effective, new.encode())

    def _seat(self) -> Proposal:
        validator, other = self._validator(), self.random.choice((self._unused(), self._member(), self._waiting()))
        return self.random.choice(
            (
                AddValidator(other, 1),
                RemoveValidator(validator),
                JailValidator(validator),
                ReleaseValidator(validator),
                ReplaceValidator(validator, other),
            )
        )
