"""What happens in a history, step by step: one transaction, or what the chain itself does at the start of a block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from chain.content.actions import ANNUL, ASK, Action, Annul, FileRecord, Leave, Rate, Reopen, Repair, Retract
from chain.content.policy import Policy
from chain.register.draft import Draft
from chain.register.entries import Entry, Record
from chain.register.statekeys import read_record_key

Name = tuple[bytes, int]


class WatchedDraft(Draft):
    """A draft that keeps what each entry was before it was written, until that is taken."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.touched: dict[bytes, Any] = {}

    def put(self, key: bytes, entry: Entry | None) -> None:
        if key not in self.touched:
            self.touched[key] = self.get(key)
        super().put(key, entry)

    def take(self) -> dict[bytes, Any]:
        """What was written since the last time, as it was before."""
        touched, self.touched = self.touched, {}
        return touched


class Change(NamedTuple):
    """An entry before and after; None where there is none.  ``name`` is its key without the kind."""

    name: bytes
    before: Any
    after: Any


class Step(NamedTuple):
    """What ``action`` of ``actor`` made of the state; without an action it is the chain itself that acts."""

    view: Draft
    actor: bytes
    action: Action | None
    touched: Mapping[bytes, Any]

    @property
    def slot(self) -> int:
        """Registry time."""
        return self.view.slot

    def of(self, kind: bytes) -> Iterator[Change]:
        """What changed among the entries of a kind."""
        for key, before in self.touched.items():
            if key[:1] == kind and (after := self.view.get(key)) != before:
                yield Change(key[1:], before, after)

    def records(self) -> Iterator[tuple[Name, Record | None, Record | None]]:
        """The records that changed."""
        return ((read_record_key(b"d" + name), before, after) for name, before, after in self.of(b"d"))

    def entries(self, kind: bytes) -> Iterator[tuple[bytes, Any]]:
        """All that there are of a kind, by the rest of their keys."""
        keys = [key for key in dict.fromkeys((*self.view._state, *self.view._written)) if key[:1] == kind]
        return ((key[1:], entry) for key in keys if (entry := self.view.get(key)) is not None)

    def slots(self, days: int, policy: Policy | None = None) -> int:
        """Days of a policy, or of the one in force, in slots."""
        return (policy or self.view.policy).slots(days, self.view.genesis.slot_ms)


class Office(NamedTuple):
    """When an office's contested records were decided, since it was founded or restored: slot, decided, overturned."""

    decisions: tuple[tuple[int, int, int], ...] = ()


class Doubt(NamedTuple):
    """An enrolment that ``registrar`` calls void: until ``heard_slot`` both are heard.

    ``granter`` granted it, which can be appealed until ``silent_slot``; ``granting`` are those who do on the appeal.
    """

    registrar: bytes
    heard_slot: int
    granter: bytes = b""
    silent_slot: int = 0
    granting: frozenset[bytes] = frozenset()


@dataclass
class Past:
    """What was seen before a step, as far as a right needs it.

    ``heard`` says since when both sides of a dispute are heard, ``named`` which guardians count from when,
    ``undoable`` until when they can undo what a key did, ``moves`` to what key somebody moves, and when,
    ``doubts`` which enrolments are called void, ``gone`` until when a key stays away, ``consented`` to which policy a
    member did, ``said`` under which one a rating was given,
    ``policies`` since what date which version is in force.  ``written`` counts what is asked for in this block,
    ``vetoed`` says until when who stopped a recovery is left alone, ``fallen`` until when a rating does not blame
    again, ``reopened`` by whose word a record is about what had ended, ``agreed`` who consented to which motion.
    """

    slot: int = 0
    ended: dict[Name, Record] = field(default_factory=dict)
    heard: dict[Name, int] = field(default_factory=dict)
    named: dict[bytes, list[tuple[int, bytes]]] = field(default_factory=dict)
    undoable: dict[bytes, int] = field(default_factory=dict)
    moves: dict[bytes, tuple[bytes, int]] = field(default_factory=dict)
    doubts: dict[bytes, Doubt] = field(default_factory=dict)
    consented: dict[bytes, int] = field(default_factory=dict)
    said: dict[bytes, int] = field(default_factory=dict)
    gone: dict[bytes, int] = field(default_factory=dict)
    offices: dict[bytes, Office] = field(default_factory=dict)
    written: Counter[bytes] = field(default_factory=Counter)
    vetoed: dict[bytes, int] = field(default_factory=dict)
    fallen: dict[bytes, int] = field(default_factory=dict)
    reopened: dict[Name, bytes] = field(default_factory=dict)
    agreed: dict[int, set[bytes]] = field(default_factory=dict)
    strangers: int = 0
    policies: list[tuple[int, int]] = field(default_factory=list)

    def version_at(self, date_slot: int) -> int:
        """The version of the policy that was in force at a date; the first one before that."""
        return max((version for since, version in self.policies if since <= date_slot), default=1)

    def promised(self, step: Step, who: bytes, name: str) -> int:
        """A period in slots, as the policy has it that somebody consented to, or the one in force if that is better."""
        policies = [step.view.policy_of(self.consented.get(who, step.view.policy.version)), step.view.policy]
        days = [getattr(policy if hasattr(policy, name) else policy.identity, name) for policy in policies]
        is_members_time = name in ("recovery_days", "annulment_days", "hearing_days", "appeal_days")
        return step.slots(max(days) if is_members_time else min(days))

    def guardians(self, identity: bytes, slot: int) -> bytes:
        """The commitment that counts; empty where nobody was named."""
        return next((each for since, each in reversed(self.named.get(identity, [])) if since <= slot), b"")


def asks(step: Step) -> bool:
    """Whether somebody asks for something of its own accord, rather than answer."""
    match step.action:
        case Repair(step=kind) | Annul(step=kind):
            return kind in (ASK, ANNUL)
        case action:
            return isinstance(action, FileRecord | Reopen | Rate | Retract | Leave)
