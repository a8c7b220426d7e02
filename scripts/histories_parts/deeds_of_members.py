"""What members try: to come, to speak, to move, to leave; and what is tried with their keys."""

from __future__ import annotations

from chain.content.actions import (
    Annul,
    Dispute,
    Enrol,
    Leave,
    NameGuardians,
    Rate,
    Recover,
    Reply,
    Retract,
    Rotate,
    Statement,
    Veto,
)
from scripts.histories_parts.hand import Deed, Hand, commitment_to, guardians_of
from scripts.recount.lives import DRAWN, GRANTED, HEARING


class OfMembers(Hand):
    """Deeds of members."""

    _next: list[Deed]

    def _enrol(self) -> Deed:
        registrar = self._now(self._mostly(self.offices[0], *self.offices))
        if self._mostly(not self.policy.enrolment_by_registrar, True, False):
            return Deed(self._somebody(), Enrol(policy_version=self._version()))
        newcomer = self._mostly(self._new_key(), self._somebody())
        return Deed(newcomer, Enrol(registrar, bytes(64), self._version()))

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
            usual = {HEARING: 2, DRAWN: random.choice((3, 3, 4)), GRANTED: 5}[recount.annulments[who].stage]
            step = self._mostly(usual, 2, 3, 4, 5)
            arbiter = self._mostly(random.choice(recount.drawn_about(who) or self.offices), *self.offices)
            return Deed(now if step in (2, 5) else self._now(arbiter), Annul(now, step, bytes(32)))
        if who in recount.recoveries and random.random() < 0.4:
            again = Deed(self._new_key(), self._recovery(who, now))
            self._next = self._mostly([Deed(now, Veto(1)), again], [])
            return Deed(now, Veto(1))
        match random.randrange(8):
            case 0 | 1:
                return Deed(now, NameGuardians(self._mostly(commitment_to(random.randrange(2)), b"")))
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
            which = int(commitment_to(1) == named.now)
        signatures = (bytes(64), self._mostly(bytes(64), b""), b"")
        words = Recover(now, step, 2, guardians_of(which), bytes(16), signatures)
        if self.random.random() < 0.5:
            return words
        return words._replace(
            registrar=self._now(self.recount.enrolled_by.get(who) or self.offices[0]), consent=bytes(64)
        )
