"""Enrolments that are said to be void: who says so, who objects, on whom the lot falls, and what they decide."""

from __future__ import annotations

from hashlib import sha256

from scripts.recount.lives import DRAWN, GRANTED, HEARING, Annulment, Leaving, Row, claim
from scripts.recount.persons import Persons

_ASK, _OBJECT, _GRANT, _APPEAL = 1, 2, 3, 5
_UPHOLD, _STRIKE = 2, 1


class Enrolments(Persons):
    """The book, and what becomes of enrolments that are called void."""

    def drawn_about(self, who: bytes) -> list[bytes]:
        """On whom the lot fell about the enrolment of somebody."""
        about = self.annulments[who]
        if not about.lot:
            return []
        barred = {about.registrar, who, about.granter}
        return self.lot(about.lot + who, about.lot_height, barred, 3 if about.is_appeal else 1)

    def waits_for_judges(self, who: bytes) -> bool:
        """Whether there are too few arbiters for the appeal of somebody."""
        return self.annulments[who].is_appeal and len(self.drawn_about(who)) < 3

    def _annul(self, row: Row, who: bytes) -> None:
        subject, step = self._member(row["subject"]), row["step"]
        if step == _ASK:
            self._ask_to_annul(row, who, subject)
            return
        about = self._open_annulment(subject)
        if step in (_OBJECT, _APPEAL):
            claim(who == subject, "an objection by another")
            if step == _OBJECT:
                claim(about.stage == HEARING and not about.grounds, "an objection that comes too late, or a second one")
            else:
                claim(about.stage == GRANTED, "an appeal against nothing")
                about.stage, about.due = HEARING, self.slot + self._better(self.consents[subject][1], "hearing_days")
            about.grounds = row["reason"]
            return
        claim(self._serves(who, "is_arbiter") and about.stage == DRAWN, "annulled by no arbiter, or unheard")
        claim(who in self.drawn_about(subject) and not self.waits_for_judges(subject), "annulled by whom no lot named")
        claim(who not in dict(about.votes), "a second ruling on one appeal")
        verdict = _UPHOLD if step == _GRANT else _STRIKE
        self.rulings[who, about.registrar]["upheld" if step == _GRANT else "struck"] += 1
        if about.is_appeal:
            about.votes = [*about.votes, (who, verdict)]
            if [each for _, each in about.votes].count(verdict) < 2:
                return
        self._judge(subject, verdict, who)

    def _ask_to_annul(self, row: Row, who: bytes, subject: bytes) -> None:
        claim(self._serves(who, "is_registrar") and row["actor"] == self.current[who], "an annulment by no registrar")
        signer = self.enrolled_by[subject]
        claim(signer in (b"", who) or not self._serves(signer, "is_registrar"), "an annulment by another registrar")
        claim(not self._holds_office(subject), "an annulment of an office")
        claim(subject not in self.annulments, "two annulments at a time")
        claim(self._enrolment_mark(subject) not in self.markers, "an annulment of what was decided")
        due = self.slot + self._identity_slots(subject, "annulment_days")
        self.annulments[subject] = Annulment(who, row["reason"], due)

    def _open_annulment(self, who: bytes) -> Annulment:
        claim(who in self.annulments, "a decision about no annulment")
        about = self.annulments[who]
        claim(about.due > self.slot, "a decision that comes too late")
        return about

    def _judge_enrolment(self, who: bytes, verdict: int) -> None:
        self._open_annulment(who)
        claim(self.waits_for_judges(who), "a motion on what no motion decides")
        self._judge(who, verdict)

    def _judge(self, who: bytes, verdict: int, arbiter: bytes = b"") -> None:
        about = self.annulments[who]
        if verdict == _STRIKE:
            self._stands(who)
        elif about.granter:
            self._is_void(who)
        else:
            about.stage, about.granter, about.lot, about.lot_height = GRANTED, arbiter, b"", 0
            about.due = self.slot + self._better(self.consents[who][1], "appeal_days")

    def _annulment_due(self, who: bytes) -> None:
        about = self.annulments[who]
        if self._was_gone(who, about.due):
            del self.annulments[who]
        elif about.stage == HEARING:
            about.stage, about.lot, about.lot_height = DRAWN, self.parent, self.height
            about.due = self.slot + self._better(self.consents[who][1], "ruling_days")
        elif about.stage == GRANTED:
            self._is_void(who)
        else:
            for arbiter in () if self.waits_for_judges(who) else self.drawn_about(who):
                if arbiter not in dict(about.votes):
                    self.rulings[arbiter, about.registrar]["silent"] += 1
            self._stands(who)

    def _was_gone(self, who: bytes, slot: int) -> bool:
        return who not in self.enrolled or (who in self.leavings and self.leavings[who].due <= slot)

    def _stands(self, who: bytes) -> None:
        del self.annulments[who]
        self.markers[self._enrolment_mark(who)] = self.slot + self._slots("retention_days"), False

    def _is_void(self, who: bytes) -> None:
        del self.annulments[who]
        if not self._holds_office(who):
            self.recoveries.pop(who, None)
            self.leavings[who] = Leaving(self.slot, self.consents[who][1], is_void=True)

    def _enrolment_mark(self, who: bytes) -> bytes:
        return sha256(b"goodfaith/marker/enrolment" + who + self.enrolled[who].to_bytes(8, "big")).digest()
