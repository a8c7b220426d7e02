"""Scenes about records: filed, objected to, ruled on, appealed, repaired, and not filed again."""

from __future__ import annotations

from collections.abc import Callable

from chain.base.errors import Reason
from chain.content.actions import (
    ASK,
    CORRECT,
    MAINTAIN,
    STRIKE,
    UPHOLD,
    Answer,
    Appeal,
    FileRecord,
    Object,
    Repair,
    Rule,
    Statement,
)
from scripts.municipal.cast import Player
from scripts.municipal.scenes import Do, Scene, Until
from scripts.municipal.stage import Stage, digest
from scripts.recount.lives import COUNTING, DRAWN, OBJECTED, REPAIR_ASKED

MINOR, GENERAL, SERIOUS = 1, 2, 3
# When conduct was established, in days before it is filed, so that its repair can be asked for at once.
_AGE_DAYS = {0: 10, MINOR: 10, GENERAL: 100, SERIOUS: 400}


class Casework(Stage):
    """What offices, members and arbiters do about records."""

    _filed = 0

    def _file(
        self, agency: Player, member: Player, code: int, points: int, severity: int, age_days: int | None = None
    ) -> Do:
        """A record of conduct that was established some time ago."""
        days = _AGE_DAYS[severity] if age_days is None else age_days
        established_slot = self.paper.slot - self.slots(days)
        # Deadlines stand still in an outage; what stands in a record is a date.
        established_date = established_slot + self.paper.lost
        self._filed += 1
        evidence = digest(f"{agency.name} on {member.name}: {code}, document {self._filed}")
        version = self.paper.version
        rules = next(item for item in self.paper.policy["category"] if item["code"] == code)
        reason = digest(f"why {evidence.hex()}") if rules["reason"] else b""
        action = FileRecord(member.key, code, points, severity, evidence, reason, established_date, version)
        lasts_days = self.paper.policy["periods"]["retention_days"]
        if severity:
            lasts_days = self.paper.policy["severity"][severity - 1]["expires_after_days"]
        return Do(agency, action, lambda: self.paper.slot < established_slot + self.slots(lasts_days))

    def _status(self, member: Player) -> str:
        """The status of the first record about a member; empty where it is gone."""
        record = self.paper.record(self.paper.who(member.key), 0)
        return "" if record is None else record.status

    def _when(self, member: Player, *statuses: str) -> Callable[[], bool]:
        return lambda: self._status(member) in statuses

    def _objection(self, member: Player, signer: Player | None = None) -> Scene:
        action = Object(member.key, 0, digest(f"{member.name} objects"))
        yield [Do(signer or member, action, self._when(member, *COUNTING))]

    def _silence(self, member: Player) -> Scene:
        """The agency does not answer."""
        yield from self._objection(member)
        yield Until(self._when(member, ""))

    def _answered(self, member: Player, agency: Player, verdict: int, signer: Player | None = None) -> Scene:
        yield from self._objection(member, signer)
        yield [self._answer(member, agency, verdict)]

    def _answer(self, member: Player, agency: Player, verdict: int) -> Do:
        """A correction halves what the record takes."""
        record = self.paper.record(self.paper.who(member.key), 0)
        points = record.points // 2 if record is not None and verdict == CORRECT else 0
        reason = digest(f"{agency.name} answers {member.name}")
        return Do(agency, Answer(member.key, 0, verdict, points, reason), self._when(member, OBJECTED))

    def _ruling(self, member: Player, agency: Player, verdict: int | None, signer: Player | None = None) -> Scene:
        """The agency maintains its record, both are heard, and whom the lot names rules, or is silent."""
        yield from self._answered(member, agency, MAINTAIN, signer)
        if verdict is None:
            yield Until(self._when(member, ""))
            return
        yield Until(self._when(member, DRAWN, ""))
        yield [self._rule(member, who, verdict) for who in self._drawn(member)]

    def _drawn(self, member: Player) -> list[Player]:
        """On whom the lot fell; nobody where the record is gone."""
        record = self.paper.record(self.paper.who(member.key), 0)
        return [] if record is None else [self.cast.player(who) for who in self.paper.drawn(record)]

    def _rule(self, member: Player, arbiter: Player, verdict: int) -> Do:
        reason = digest(f"the ruling of {arbiter.name} on {member.name}")
        return Do(arbiter, Rule(member.key, 0, verdict, reason), self._when(member, DRAWN))

    def _appeal(self, member: Player, agency: Player) -> Scene:
        """What one arbiter upheld goes to three others; one is of the same mind, and two are not."""
        yield from self._ruling(member, agency, UPHOLD)
        yield [Do(member, Appeal(member.key, 0, digest(f"{member.name} appeals")), self._when(member, *COUNTING))]
        yield Until(self._when(member, DRAWN, ""))
        for who, verdict in zip(self._drawn(member), (UPHOLD, STRIKE, STRIKE), strict=False):
            yield [self._rule(member, who, verdict)]

    def _refiling(self, agency: Player, member: Player) -> Scene:
        """The agency files again what ended: by the same document, then by another one."""
        filing = self.paper.records[self.paper.who(member.key)][0].filing
        fields = {name: filing[name] for name in FileRecord._fields} | {"policy_version": self.paper.version}
        again, record = FileRecord(**fields), f"record 0 about {member.name}"
        yield [Do(agency, again, words=f"files {record} again", refusal=Reason.ENDED)]
        other = again._replace(evidence=digest(f"another document about {member.name}"))
        yield [Do(agency, other, words=f"files {record} again, with another document", refusal=Reason.ENDED)]

    def _comment(self, member: Player) -> Scene:
        yield [Do(member, Statement(member.key, 0, digest("I had paid.")), self._when(member, *COUNTING))]

    def _corrected_unasked(self, member: Player, agency: Player) -> Scene:
        """An agency that finds its own mistake does not pay for it."""
        yield [Do(agency, Answer(member.key, 0, CORRECT, -10, b""), self._when(member, *COUNTING))]

    def _repair(self, member: Player, agency: Player, step: int | None) -> Scene:
        """The member asks; the agency approves, declines, or is silent."""
        document = digest(f"{member.name} has paid")
        yield [Do(member, Repair(member.key, 0, ASK, document), self._when(member, *COUNTING))]
        if step is None:
            yield Until(self._when(member, ""))
            return
        yield [Do(agency, Repair(member.key, 0, step, document), self._when(member, REPAIR_ASKED))]

    def _expiry(self, member: Player) -> Scene:
        yield Until(self._when(member, ""))
