"""What is tried about records: by who files, whom they are about, and who rules."""

from __future__ import annotations

from chain.content.actions import Answer, Appeal, Attest, FileRecord, Object, Reopen, Repair, Rule
from scripts.histories_parts.hand import Deed, Hand
from scripts.recount.lives import DRAWN, OBJECTED, REPAIR_ASKED, REPAIR_DRAWN, REPAIR_REFERRED, STANDING


class AboutRecords(Hand):
    """Deeds about records."""

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

    def _attest(self) -> Deed | None:
        """Mostly by an office, for a while; sometimes it is taken back."""
        codes, random = list(self.policy.attributes), self.random
        if not codes:
            return None
        who, code = random.choice(self.members), self._mostly(random.choice(codes), 99)
        if random.random() < 0.2:
            issuer = self.recount.attributes.get(who, {}).get(code, (self.offices[0],))[0]
            return Deed(self._now(random.choice((who, issuer, self.offices[0]))), Attest(self._now(who), code, b"", 0))
        until_slot = self.recount.date + self._mostly(random.randint(1, 6), 0, 9, -5)
        subject = self._mostly(self._now(who), self.offices[2])
        return Deed(self._now(random.choice(self.offices)), Attest(subject, code, bytes(32), until_slot))

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
