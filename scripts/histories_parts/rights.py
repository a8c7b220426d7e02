"""What no sequence of valid transactions may do to somebody, each right in a sentence, checked after every block.

Nothing here knows how the chain keeps a right: it looks at what stands in the state, block after block.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from chain.ledger import Ledger
from chain.policy import Policy
from chain.state import (
    AUTHORITIES,
    DRAWN,
    MAINTAINED,
    OBJECTED,
    RECORDS,
    REPAIR_ASKED,
    REPAIR_DRAWN,
    Authority,
    Member,
    Record,
    member_key,
    read_record_key,
)
from chain.view import StateView

# How long a step may last at most, as the policy that a record was filed under says.
_STEPS = {
    OBJECTED: "answer_days",
    DRAWN: "ruling_days",
    REPAIR_ASKED: "repair_answer_days",
    REPAIR_DRAWN: "ruling_days",
}
Name = tuple[bytes, int]


@dataclass
class Rights:
    """The records that there were after the block before, and all that ended."""

    slot_ms: int
    before: dict[Name, Record] = field(default_factory=dict)
    ended: dict[Name, Record] = field(default_factory=dict)
    slot: int = 0

    def broken(self, ledger: Ledger) -> Iterator[str]:
        """The rights that the newest block took from somebody, a sentence each."""
        view = ledger.view(ledger.head.slot)
        slot = view.slot - view.lost_slots
        if slot - self.slot > ledger.genesis.idle_slots:
            yield "registry time ran on in an outage"
        records = {read_record_key(key): record for key, record in view.entries(RECORDS, Record)}
        for name, record in records.items():
            old = self.before.get(name)
            if old is None:
                yield from self._filed(view, name, record, slot)
            else:
                yield from self._changed(view.policy_of(record.policy_version), old, record, slot)
        for name in self.before.keys() - records.keys():
            self.ended[name] = self.before[name]
        for _, authority in view.entries(AUTHORITIES, Authority):
            if (authority.forgiven_decided, authority.forgiven_overturned) > (authority.decided, authority.overturned):
                yield "more was forgiven than there was"
        self.before, self.slot = records, slot

    def _filed(self, view: StateView, name: Name, record: Record, slot: int) -> Iterator[str]:
        subject = name[0]
        member: Member = view.get(member_key(subject))
        policy = view.policy_of(record.policy_version)
        if record.expires_slot < slot + policy.slots(policy.answer_days, self.slot_ms):
            yield "a record was filed that ends before its issuer has to answer"
        if record.is_adverse:
            then = view.policy_at(record.established_slot)
            if record.category not in then.categories or record.points < then.categories[record.category].low:
                # Corrected in the block of its filing it has more points, never less.
                yield "something was taken from a member by what was no rule then"
            consented = view.policy_of(member.policy_version).lookback_days
            if record.established_slot < member.enrolled_slot - policy.slots(consented, self.slot_ms):
                yield "something was taken from a member for what was before its consent"
        day = policy.slots(1, self.slot_ms)
        for (other, _), gone in self.ended.items():
            if other != subject or gone.expires_slot <= slot:  # at least until then it is kept
                continue
            if gone.evidence == record.evidence:
                yield "the evidence of a record that ended was recorded again"
            same_day = gone.established_slot // day == record.established_slot // day
            if gone.category == record.category and same_day and not record.is_reopened:
                yield "conduct of a record that ended was recorded again"

    def _changed(self, policy: Policy, old: Record, record: Record, slot: int) -> Iterator[str]:
        if record.expires_slot > old.expires_slot or (record.cap, record.points) < (old.cap, old.points):
            yield "a record got worse for whom it is about"
        if record.status != old.status and record.status in _STEPS:
            promised = policy.slots(getattr(policy, _STEPS[record.status]), self.slot_ms)
            if record.deadline_slot - slot > promised:
                yield "a step takes longer than was promised when the record was filed"
        if old.is_declined and record.status == REPAIR_ASKED and old.status != REPAIR_ASKED:
            yield "an issuer is asked for a repair that it has declined"
        if record.upheld > old.upheld and old.status not in (DRAWN, MAINTAINED):
            yield "a record was upheld without a hearing"
        if record.upheld > old.upheld and record.arbiter == record.issuer:
            yield "an issuer ruled on its own record"
