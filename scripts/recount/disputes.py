"""What becomes of a record: objections, answers, lots, rulings, appeals, repairs, and how each ends."""

from __future__ import annotations

from hashlib import sha256

from scripts.recount.book import Book
from scripts.recount.lives import (
    ACTIVE,
    DRAWN,
    MAINTAINED,
    OBJECTED,
    REPAIR_ASKED,
    REPAIR_DRAWN,
    REPAIR_REFERRED,
    STANDING,
    SUSPENDED,
    Happened,
    Record,
    Row,
    claim,
)

STRIKE = 1
_HEARD = {MAINTAINED: DRAWN, REPAIR_REFERRED: REPAIR_DRAWN}


def evidence_mark(subject: bytes, evidence: bytes) -> bytes:
    """Under which the state keeps what is known of a piece of evidence about somebody."""
    return sha256(b"goodfaith/marker/evidence" + subject + evidence).digest()


class Disputes(Book):
    """A book that knows how records are disputed."""

    # ------------------------------------------------------------------------------------------------- who may rule

    def drawn(self, record: Record) -> list[bytes]:
        """On whom the lot fell: one, or three on an appeal, or all that there are."""
        if not record.lot:
            return []
        is_appeal = record.status == DRAWN and record.upheld
        stood_by = {record.reopener, record.arbiter} if record.is_disputed else set()
        seed = record.lot + record.subject + record.number.to_bytes(4, "big")
        return self.lot(seed, record.lot_height, {record.issuer, record.subject} | stood_by, 3 if is_appeal else 1)

    def waits_for_motion(self, record: Record) -> bool:
        """Whether there are too few arbiters for an appeal."""
        return record.status == DRAWN and record.upheld > 0 and len(self.drawn(record)) < 3

    # ------------------------------------------------------------------------------------------------ what is marked

    def _marks(self, subject: bytes, filing: Row) -> tuple[bytes, bytes]:
        """Of a piece of evidence, and of conduct."""
        day = (filing["established_slot"] // self._days(1)).to_bytes(8, "big", signed=True)
        conduct = sha256(b"goodfaith/marker/conduct" + subject + filing["category"].to_bytes(4, "big") + day)
        return evidence_mark(subject, filing["evidence"]), conduct.digest()

    # ---------------------------------------------------------------------------------------------- what people do

    def _object(self, row: Row, who: bytes) -> None:
        record = self._own_record(row, who)
        claim(not record.is_disputed and not record.upheld, "an objection that was not open")
        self._contest(record, row["grounds"])
        record.status, record.deadline = OBJECTED, self.slot + self._disputed(record, "answer_days")
        self._tell("objected", record.name)

    def _appeal(self, row: Row, who: bytes) -> None:
        record = self._own_record(row, who)
        claim(not record.is_disputed and record.upheld == 1, "an appeal that was not open")
        claim(self.slot < record.appealable_until, "an appeal that was too late")
        self._contest(record, row["grounds"])
        record.appealable_until = 0
        self._hear(record)
        self._tell("appealed", record.name)

    def _contest(self, record: Record, grounds: bytes) -> None:
        record.stands = record.stands and self.categories[record.filing["category"]]["interim"] == "stands"
        record.grounds, record.proof, record.lot, record.lot_height = grounds, b"", b"", 0

    def _hear(self, record: Record) -> None:
        record.status, record.deadline = MAINTAINED, self.slot + self._kept(record, "hearing_days")

    def _disputed(self, record: Record, period: str) -> int:
        """What counts while it is disputed has shorter deadlines."""
        slots = self._kept(record, period)
        return min(slots, self._kept(record, "disputed_days")) if record.stands else slots

    def _answer(self, row: Row, who: bytes) -> None:
        record = self._issued_record(row, who)
        was_disputed, upheld, took = record.is_disputed, record.upheld, record.takes_something
        match row["verdict"]:
            case 3:
                claim(record.status == OBJECTED and row["reason"], "maintained without an objection or a reason")
                self._hear(record)
                self._tell(MAINTAINED, record.name)
                return
            case 2:
                self._deed(who, "withdrawn")
                self._end(record, "withdrawn")
            case _:
                policies = self.policy, self._policy_of(record.filing["policy_version"])
                kinds = [kind for policy in policies for kind in policy["category"]]
                highest = max(0, *(kind["max"] for kind in kinds if kind["code"] == record.filing["category"]))
                claim(record.points < row["points"] <= highest, "a correction for the worse, or beyond the policy")
                record.points = row["points"]
                record.fade(self.slot)
                self._tell("corrected", record.name)
                if was_disputed:
                    record.settle()
                    record.upheld, record.arbiter, record.grounds, record.stands = 0, b"", b"", False
        if was_disputed and took:
            self._deed(who, "fell on appeal" if upheld else "fell")

    def _rule(self, row: Row, who: bytes) -> None:
        record, verdict = self._find(row), row["verdict"]
        claim(self._office(who).serves("is_arbiter", self.date), "a ruling of no arbiter")
        claim(record.status in (DRAWN, REPAIR_DRAWN), "a ruling that was not open")
        claim(who in self.drawn(record) and not self.waits_for_motion(record), "a ruling by whom the lot did not name")
        claim(who not in dict(record.votes), "a second ruling on one appeal")
        self.rulings[who, record.issuer]["struck" if verdict == STRIKE else "upheld"] += 1
        if record.status == REPAIR_DRAWN:
            self._rule_on_repair(record, verdict)
        elif not record.upheld:
            record.arbiter = who
            self._decide(record, verdict)
        else:
            record.votes = [*record.votes, (who, verdict)]
            self._tell("voted", (*record.name, who, verdict))
            if [each for _, each in record.votes].count(verdict) == 2:
                self._decide(record, verdict)

    def _decide(self, record: Record, verdict: int) -> None:
        again = " on appeal" if record.upheld else ""
        took = record.takes_something
        if verdict == STRIKE:
            self._end(record, "struck")
        else:
            record.settle()
            record.appealable_until = 0 if again else self.slot + self._kept(record, "appeal_days")
            record.upheld += 1
            self._tell("upheld", record.name)
        if took:
            self._deed(record.issuer, ("fell" if verdict == STRIKE else "upheld") + again)

    def _repair(self, row: Row, who: bytes) -> None:
        if row["step"] == 1:
            record = self._own_record(row, who)
            claim(record.status == STANDING, "a repair that nobody may ask for")
            claim(0 < record.repairable_from <= self.slot, "a repair asked for too early")
            record.proof, period = row["document"], "hearing_days" if record.is_declined else "repair_answer_days"
            record.status = REPAIR_REFERRED if record.is_declined else REPAIR_ASKED
            record.deadline = self.slot + self._kept(record, period)
            self._tell(record.status, record.name)
            return
        record = self._issued_record(row, who)
        if row["step"] == 2:
            claim(record.status in (REPAIR_ASKED, REPAIR_REFERRED, REPAIR_DRAWN), "a repair that nobody asked for")
            self._end(record, "repaired")
        else:
            claim(record.status == REPAIR_ASKED, "a repair declined that nobody asked for, or twice")
            record.settle()
            record.is_declined, record.proof = True, b""
            self._tell("repair declined", record.name)

    def _rule_on_repair(self, record: Record, verdict: int) -> None:
        if verdict == STRIKE:
            self._end(record, "repaired")
            return
        policies = self.policy, self._policy_of(record.filing["policy_version"])
        days = min(policy["severity"][record.filing["severity"] - 1]["repair_after_days"] for policy in policies)
        record.settle()
        record.proof, record.repairable_from = b"", self.slot + self._days(days)
        self._tell("repair declined", record.name)

    # --------------------------------------------------------------------------------------------- what falls due

    def _record_due(self, record: Record) -> None:
        if record.is_fading and record.next_half <= self.slot:
            record.fade(self.slot)
            self._tell("faded", record.name)
        if record.decided > self.slot:
            return
        if record.decided == record.expires:  # what came first counts, however late the block is
            self._end(record, "expired")
        elif record.status in _HEARD:
            slots = self._disputed(record, "ruling_days")
            if record.status == REPAIR_REFERRED:
                slots = self._kept(record, "ruling_days")
            record.status, record.deadline = _HEARD[record.status], self.slot + slots
            record.lot, record.lot_height = self.parent, self.height
            self._tell("lots were drawn", record.name)
        elif record.status == OBJECTED:
            took = record.takes_something
            self._end(record, "silence")
            if took:
                self._deed(record.issuer, "fell")
        else:
            self._count_silence(record)
            self._end(record, "unruled" if record.status == DRAWN else "repaired by silence")

    def _count_silence(self, record: Record) -> None:
        if not self.waits_for_motion(record):
            for who in self.drawn(record):
                if who not in dict(record.votes):
                    self.rulings[who, record.issuer]["silent"] += 1

    def _end(self, record: Record, what: str) -> None:
        record.end = what
        for marker in self._marks(record.subject, record.filing) if record.kept_until > self.slot else ():
            until, is_reopened = self.markers.get(marker, (0, False))
            self.markers[marker] = max(record.kept_until, until), is_reopened and not record.is_reopened
        self._tell(what, record.name)

    def _deed(self, who: bytes, deed: str) -> None:
        office, policy = self.offices[who], self.policy
        before = office.status
        window = self._days(policy["rights"]["window_days"])
        office.deeds.append(Happened(deed, policy["authorities"], window, self.slot))
        if (before, office.status) == (ACTIVE, SUSPENDED) and deed != "suspend":
            self._tell("suspended", who)
