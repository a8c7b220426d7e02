"""Voting sets, and the phases in which one replaces another on a branch.

none -> Gate: a block decided the next set; from the next height on its newcomers may speak, at no weight
     -> Joint: a threshold of the next set was heard, and all in it who gain weight; from here on both sets must agree
     -> none: a block of the joint phase is final on this branch; the next set alone
A gate that nobody passes in time lapses, and the set stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from tests.model.knobs import Rules

JOINT_FIXED_BLOCKS = 2
"""How long a joint phase takes where the rule that it ends with finality is taken out."""


@dataclass(frozen=True, slots=True)
class VotingSet:
    """Who votes, and the weight of each; ``threshold`` of it decides."""

    weights: Mapping[str, int]
    threshold: int

    @property
    def total(self) -> int:
        """The weight of all."""
        return sum(self.weights.values())

    def weight(self, speakers: Iterable[str]) -> int:
        """The weight of these together."""
        return sum(self.weights.get(speaker, 0) for speaker in speakers)


Sets = tuple[VotingSet, ...]
"""The sets in force at a height, each of which must agree: one, or two in a joint phase."""


@dataclass(frozen=True, slots=True)
class Gate:
    """The block at height ``decided`` decided ``next``; ``heard`` spoke about that height or above, in later blocks."""

    decided: int
    next: VotingSet
    heard: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Joint:
    """From height ``start`` on ``next`` decides together with the set of before."""

    decided: int
    start: int
    next: VotingSet


Phase = Gate | Joint | None


@dataclass(frozen=True, slots=True)
class Seats:
    """Who is in force at the next height of a branch: a set, and the phase of the change that is under way.

    ``waiting`` is only used where the rule that changes do not overlap is taken out.
    """

    active: VotingSet
    phase: Phase = None
    waiting: VotingSet | None = None

    @property
    def sets(self) -> Sets:
        """The sets that must agree."""
        return (self.active, self.phase.next) if isinstance(self.phase, Joint) else (self.active,)

    @property
    def guests(self) -> VotingSet | None:
        """The set whose newcomers may speak at no weight."""
        return self.phase.next if isinstance(self.phase, Gate) else None

    def may_decide(self, rules: Rules) -> bool:
        """Whether a block may decide a change: only where no phase is under way."""
        return self.phase is None or (rules.overlapping and isinstance(self.phase, Joint) and self.waiting is None)

    def decided(self, following: VotingSet, height: int) -> Seats:
        """The seats in the block that decides a change, before its statements are heard."""
        return replace(self, waiting=following) if self.phase else Seats(self.active, Gate(height, following))


def voting_set(weights: Mapping[str, int], rules: Rules) -> VotingSet:
    """The set with these weights; those without any are not in it."""
    kept = {speaker: weight for speaker, weight in sorted(weights.items()) if weight}
    return VotingSet(kept, 2 * sum(kept.values()) // 3 + (0 if rules.low_quorum else 1))


def seats_after(seats: Seats, height: int, mhpc: int, rules: Rules) -> Seats:
    """The seats of the next height, after a block at ``height`` that shows ``mhpc`` final on its branch."""
    match seats.phase:
        case Gate() as gate:
            return _after_gate(seats, gate, height, mhpc, rules)
        case Joint() as joint:
            return _after_joint(seats, joint, height, mhpc, rules)
    return seats


def _after_gate(seats: Seats, gate: Gate, height: int, mhpc: int, rules: Rules) -> Seats:
    if rules.today:
        return Seats(gate.next) if mhpc >= gate.decided else seats
    if rules.no_gate or _is_passed(gate, seats.active, rules):
        return Seats(gate.next) if rules.no_joint else Seats(seats.active, Joint(gate.decided, height + 1, gate.next))
    if height >= gate.decided + rules.lapse and not rules.gate_stays:
        return Seats(seats.active)
    return seats


def _is_passed(gate: Gate, before: VotingSet, rules: Rules) -> bool:
    rising = {one for one, weight in gate.next.weights.items() if weight > before.weights.get(one, 0)}
    is_complete = rising <= gate.heard or rules.gate_by_weight
    return is_complete and gate.next.weight(gate.heard) >= gate.next.threshold


def _after_joint(seats: Seats, joint: Joint, height: int, mhpc: int, rules: Rules) -> Seats:
    if _is_over(joint, height, mhpc, rules):
        after = Seats(joint.next)
        return after.decided(seats.waiting, height) if seats.waiting else after
    if rules.joint_lapses and height >= joint.decided + rules.lapse:
        return Seats(seats.active)
    if seats.waiting:
        return Seats(joint.next, Joint(height, height + 1, seats.waiting))
    return seats


def _is_over(joint: Joint, height: int, mhpc: int, rules: Rules) -> bool:
    if rules.joint_fixed:
        return height + 1 >= joint.start + JOINT_FIXED_BLOCKS
    if rules.joint_till_decision:
        return mhpc >= joint.decided
    if rules.joint_till_before:
        return mhpc >= joint.start - 1
    return mhpc >= joint.start
