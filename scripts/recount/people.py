"""What people do: enrol, move to another key; and how much anybody may write a day."""

from __future__ import annotations

from scripts.recount.enrolments import Enrolments
from scripts.recount.lives import ACTIVE, REVOKED, Row, claim

# What answers somebody, happens once, or belongs to the validators' own affairs, is never too much.
FREE = (
    "enrol",
    "recover",
    "veto",
    "answer",
    "appeal",
    "approve",
    "consent",
    "dispute",
    "evidence",
    "object",
    "motion",
    "reply",
    "rule",
)
BLOCK_ROOM = 4_096
LOSSES_A_DAY = 8
UNLIMITED = 2**32 - 1


class People(Enrolments):
    """The book, and what its members write in it."""

    # --------------------------------------------------------------------------------------------------- quotas

    def _open_day(self) -> None:
        """A block begins: a share of it is for strangers."""
        self.strangers = 0

    @property
    def _today(self) -> int:
        return self.slot // self._days(1)

    def _count_quota(self, row: Row, actor: bytes, who: bytes) -> None:
        most, quotas = self._quota(actor, who), self.policy["quotas"]
        answers = row["kind"] in FREE or (row["kind"] in ("repair", "annul") and row["step"] > 1)
        answers = answers or (row["kind"] == "attest" and not row["digest"])
        answers = answers and (row["kind"], row.get("verdict")) != ("answer", 1)
        if answers or all(quotas[name] == UNLIMITED for name in ("member", "fresh", "office")):
            return
        self._once_more(self.written, actor, most, "more in one day than a quota allows")

    def _count_loss(self, validator: bytes) -> None:
        self._once_more(self.losses, validator, LOSSES_A_DAY, "more signing states lost in one day than are believed")

    def _once_more(self, tallies: dict[bytes, tuple[int, int]], key: bytes, most: int, what: str) -> None:
        day, times = tallies.get(key, (0, 0))
        times = times if day == self._today else 0
        claim(times < most, what)
        tallies[key] = self._today, times + 1

    def _quota(self, actor: bytes, who: bytes) -> int:
        quotas = self.policy["quotas"]
        office = self.offices.get(who)
        if office is not None and office.status != REVOKED and office.is_in_term(self.date):
            return int(quotas["office"])
        if who not in self.enrolled:
            return int(quotas["office" if self.council.has(actor) else "member"])
        age = self.date - self.consents[who][0]
        return int(min(quotas["member"], quotas["fresh"] if age < self._days(quotas["fresh_days"]) else UNLIMITED))

    # -------------------------------------------------------------------------------------------------- members

    def _enrol(self, row: Row, actor: bytes, who: bytes) -> None:
        claim(who not in self.enrolled, "enrolled twice")
        claim(who not in self.leavings and self._is_unmarked(who), "enrolled though it has left")
        claim(row["policy_version"] == self.version, "a consent to another policy")
        if self.policy["enrolment"] == "registrar" or row["registrar"]:
            registrar = self.offices.get(self.who(row["registrar"]))
            claim(registrar and registrar.serves("is_registrar", self.date), "an enrolment without a registrar")
        quotas, signer = self.policy["quotas"], self.who(row["registrar"])
        if signer:
            if quotas["registrar"] != UNLIMITED:
                what = "a registrar signs more in one day than its quota allows"
                self._once_more(self.signed, signer, quotas["registrar"], what)
        else:
            self.strangers += 1
            room = max(1, BLOCK_ROOM * quotas["strangers_permille"] // 1_000)
            claim(self.strangers <= room, "more strangers in one block than their share")
        self.enrolled[who], self.enrolled_by[who] = self.height, signer
        self.consents[who] = self.date, self.version
        self.current.setdefault(who, actor)
        self._guard(who, row["guardians"])

    def _rotate(self, new_key: bytes, actor: bytes, who: bytes) -> None:
        claim(who in self.enrolled or who in self.offices, "a stranger moves")
        claim(who in self.offices or self._member(actor), "somebody moves who has left")
        claim(new_key not in self.accounts and self._is_unmarked(new_key), "a key of somebody else is taken over")
        claim(not self.council.has(actor), "a validator moves by itself")
        claim(not self.council.is_wished_for(actor), "somebody moves who may become a validator")
        self._move_to(new_key, actor, who)
        if who in self.enrolled:
            self._can_be_undone(who)
        self._tell("rotated", who)

    def _anchor(self, actor: bytes, who: bytes) -> None:
        holds_office = who in self.offices and self.offices[who].status != REVOKED
        claim(holds_office or self.council.has(actor) or self._member(actor), "a stranger anchors a report")

    # ------------------------------------------------------------------------------------------------ attributes

    def _attest(self, row: Row, who: bytes) -> None:
        subject, code = self._member(row["subject"]), row["attribute"]
        held = self.attributes.get(subject, {})
        old = held.get(code) if code in held and held[code][3] > self.slot else None
        if not row["digest"]:
            claim(old and who in (subject, old[0]), "what nobody attests is taken back, or by a stranger")
            del held[code]
        else:
            known = [each for each in self.policy.get("attribute", []) if each["code"] == code]
            claim(known and not known[0]["closed"], "something is attested that the policy does not know")
            office = self._office(who)
            claim(office.status == ACTIVE and office.is_in_term(self.date), "attested out of office")
            claim(code in office.terms["categories"] and who != subject, "attested without an accreditation")
            claim(old is None or old[0] == who, "attested over another's word")
            days = self._days(known[0]["valid_days"])
            claim(self.date < row["until_slot"] <= self.date + days, "attested for too long, or for the past")
            held[code] = who, row["digest"], self.height, row["until_slot"] - self.lost
        self._keep_attributes(subject, held)

    def _keep_attributes(self, who: bytes, held: dict[int, tuple[bytes, bytes, int, int]]) -> None:
        """Those that have not ended."""
        self.attributes.pop(who, None)
        if kept := {code: about for code, about in held.items() if about[3] > self.slot}:
            self.attributes[who] = kept

    def _move_to(self, new_key: bytes, old_key: bytes, who: bytes) -> None:
        """What was written today stays written."""
        self.accounts.add(new_key)
        if old_key in self.written:
            self.written[new_key] = self.written[old_key]
        self.owner[new_key] = self.owner[old_key] = who
        self.successor[old_key] = self.current[who] = new_key
