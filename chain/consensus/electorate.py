"""Who leads, votes and speaks at a height of one branch, and how that changes.

Branches learn of a change at different heights, and an old and a new quorum may share too few validators, whatever part
of the weight moves.  So a change goes through phases, in each of which the validators before it still have a say::

    decided ──► gate ──► joint ──► the new set alone
                  └─► lapsed: the set stays as it was

*Gate*: the new set is waited for, until all whose weight rises spoke and those that spoke hold its threshold; newcomers
speak without weight.  Without it one newcomer that never comes could end finality, beside one validator that stops.
*Joint*: blocks need the thresholds of both sets.  *Alone*: from the first height whose parent shows a joint block
final.  Everything follows from the blocks of the branch, so every node that counts them agrees.
Source: protocol 5.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any, NamedTuple, TypeAlias

from chain.base.codec import U32_MAX, U64_MAX, array, blob, integer
from chain.base.errors import InvariantBroken, Reason, Refused
from chain.base.keys import KEY_BYTES
from chain.consensus.statements import NO_TAG, TAG_BYTES

BATCH_MAX = 256
"""Most validators of a set, since every one speaks in every block."""

WEIGHT_MAX = U32_MAX
"""So that the votes of a whole set of the heaviest validators still fit 64 bits."""

GATE_BLOCKS = 128
"""So long a decided set is waited for: two minutes of one-second slots, in which its newcomers start their nodes."""

MAX_TAGS = 4_096
"""Validators of one network that ever lost their signing state."""

Weights: TypeAlias = tuple[tuple[bytes, int], ...]


@dataclass(frozen=True)
class ValidatorSet:
    """Keys and weights in leader order, and the threshold that follows: more than two thirds of the weight."""

    weights: Weights
    threshold: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "threshold", 2 * sum(weight for _, weight in self.weights) // 3 + 1)

    @cached_property
    def by_key(self) -> dict[bytes, int]:
        """The weight of each key."""
        return dict(self.weights)

    @cached_property
    def leaders(self) -> tuple[bytes, ...]:
        """Those with any weight, who lead slots in turn."""
        return tuple(key for key, weight in self.weights if weight)

    def leader(self, slot: int) -> bytes:
        """Whose turn ``slot`` is, where this set leads."""
        return self.leaders[slot % len(self.leaders)]

    def weight_of(self, keys: Iterable[bytes]) -> int:
        """What some keys weigh together, each counted once by the caller."""
        by_key = self.by_key
        return sum(by_key.get(key, 0) for key in keys)

    def is_enough(self, keys: Iterable[bytes]) -> bool:
        """Whether some keys, each counted once by the caller, reach the threshold together."""
        return self.weight_of(keys) >= self.threshold


class Gate(NamedTuple):
    """``following`` was decided in the block at ``since``, and is waited for."""

    since: int
    following: ValidatorSet

    def is_passed(self, current: ValidatorSet, spoke: Collection[bytes]) -> bool:
        """Whether ``following`` is alive: those who spoke are enough, and all are among them who are to weigh more.

        Their weight alone would not do: one that spoke and then stops could have stood for one that never came.
        """
        rising = (key for key, weight in self.following.weights if weight > current.by_key.get(key, 0))
        return self.following.is_enough(spoke) and all(key in spoke for key in rising)


class Joint(NamedTuple):
    """From the height ``since`` on, ``following`` decides too."""

    since: int
    following: ValidatorSet


Phase: TypeAlias = Gate | Joint | None


class Tag(NamedTuple):
    """``key`` speaks with ``tag`` since the block at ``height``, and not before that block is final."""

    key: bytes
    tag: bytes
    height: int


class Decision(NamedTuple):
    """What executing a block decides about who votes: nothing, as a rule.

    ``following`` is the next set, where one was decided; ``barred`` the keys that make no blocks from the next height
    on, all of them, in a tuple of its own where they changed; ``tags`` the signing states that were renewed.
    """

    following: Weights = ()
    barred: tuple[tuple[bytes, ...], ...] = ()
    tags: tuple[tuple[bytes, bytes], ...] = ()


NOTHING_DECIDED = Decision()


@dataclass(frozen=True)
class Electorate:
    """The validators at one height.

    ``current`` decides since the height ``start``, alone or, while joint, with another set.  ``barred`` keys lead no
    slot though they weigh something yet; ``tags`` are those of keys that lost their signing states.
    """

    start: int
    current: ValidatorSet
    phase: Phase = None
    barred: tuple[bytes, ...] = ()
    tags: tuple[Tag, ...] = ()

    @cached_property
    def sets(self) -> tuple[ValidatorSet, ...]:
        """The sets whose thresholds a block at this height needs, all of them."""
        return (self.current, self.phase.following) if isinstance(self.phase, Joint) else (self.current,)

    @cached_property
    def voters(self) -> frozenset[bytes]:
        """Whose statements about a block at this height are votes: all with weight in a set that decides."""
        return frozenset(key for decides in self.sets for key, weight in decides.weights if weight)

    @cached_property
    def speakers(self) -> frozenset[bytes]:
        """Whose statements count for something: all with weight in a set that decides, or that is waited for."""
        return frozenset(key for decides in self.all_sets for key, weight in decides.weights if weight)

    @property
    def leaders(self) -> tuple[bytes, ...]:
        """Those who lead slots in turn, the barred among them, whose slots stay empty."""
        return self.current.leaders

    def leader(self, slot: int) -> bytes:
        """Whose turn ``slot`` is."""
        return self.current.leader(slot)

    def may_lead(self, key: bytes) -> bool:
        """Whether a key makes blocks."""
        return key in self.leaders and key not in self.barred

    @cached_property
    def all_sets(self) -> tuple[ValidatorSet, ...]:
        """The set that decides, and the one that is waited for or decides too."""
        return (self.current,) if self.phase is None else (self.current, self.phase.following)

    def is_enough(self, keys: Collection[bytes]) -> bool:
        """Whether some keys, each counted once by the caller, reach the threshold of every set that decides."""
        return all(decides.is_enough(keys) for decides in self.sets)

    @cached_property
    def _tag_by_key(self) -> dict[bytes, Tag]:
        return {tag.key: tag for tag in self.tags}

    def tag(self, key: bytes) -> Tag:
        """With which tag ``key`` speaks on top of this branch, and since which height."""
        return self._tag_by_key.get(key) or _first_tag(key)

    def after(self, height: int, *, mhpc: int, spoke: Collection[bytes], decision: Decision) -> Electorate:
        """The validators at the height after ``height``, whose block was the last.

        ``mhpc`` is what that block shows final, ``spoke`` are those who spoke since the gate.  Raises :class:`Refused`
        (``WRONG_DECISION``) for a set decided while a change is under way.

        Example: E takes the seat of D, and a block at height 10 decides that.

        >>> old = tuple((bytes([letter]) * 32, 1) for letter in b"ABCD")
        >>> new = old[:3] + ((b"E" * 32, 1),)
        >>> first = Electorate(1, ValidatorSet(old))
        >>> gate = first.after(10, mhpc=8, spoke=(), decision=Decision(new))
        >>> type(gate.phase).__name__, b"E" * 32 in gate.speakers, gate.phase.following.threshold
        ('Gate', True, 3)

        A, B and E spoke by height 11, which is enough, so blocks from 12 on need three of the old four and three of
        the new.  The block at 14 shows the one at 12 final, and from 15 on the new four decide alone:

        >>> joint = gate.after(11, mhpc=9, spoke=[new[0][0], new[1][0], new[3][0]], decision=NOTHING_DECIDED)
        >>> joint.phase.since, len(joint.sets), joint.leader(3) == b"D" * 32
        (12, 2, True)
        >>> alone = joint.after(14, mhpc=12, spoke=(), decision=NOTHING_DECIDED)
        >>> alone.start, alone.phase, alone.leader(3) == b"E" * 32
        (15, None, True)
        """
        changed = self if decision == NOTHING_DECIDED else self._decided(height, decision)
        match self.phase:
            case Joint(since, following) if mhpc >= since:
                return replace(changed, start=height + 1, current=following, phase=None)
            case Gate(_, following) as gate if gate.is_passed(self.current, spoke):
                return replace(changed, phase=Joint(height + 1, following))
            case Gate(since, _) if height - since >= GATE_BLOCKS:
                return replace(changed, phase=None)
        return changed

    def _decided(self, height: int, decision: Decision) -> Electorate:
        phase = self.phase
        if decision.following:
            if phase is not None:
                raise Refused(Reason.WRONG_DECISION, "another set of validators is under way")
            phase = Gate(height, ValidatorSet(decision.following))
        barred = decision.barred[0] if decision.barred else self.barred
        renewed = {key for key, _ in decision.tags}
        tags = (
            *(tag for tag in self.tags if tag.key not in renewed),
            *(Tag(key, tag, height) for key, tag in decision.tags),
        )
        if len(tags) > MAX_TAGS:
            raise Refused(Reason.WRONG_DECISION, f"more than {MAX_TAGS} validators lost their signing states")
        return replace(self, phase=phase, barred=barred, tags=tags)


@lru_cache(1_024)
def _first_tag(key: bytes) -> Tag:
    """With which tag a key speaks that never renewed it."""
    return Tag(key, NO_TAG, 0)


def set_fault(validators: Sequence[tuple[bytes, int]], batch: int) -> str:
    """Why (key, weight) pairs cannot be the validators of a network with room for ``batch``; "" if they can.

    A weight of 0 is allowed, for a validator that is jailed.
    """
    if not 1 <= batch <= BATCH_MAX:
        return f"a batch is 1 to {BATCH_MAX} validators, not {batch}"
    if not 1 <= len(validators) <= batch:
        return f"a batch of {batch} holds 1 to {batch} validators, not {len(validators)}"
    if any(len(key) != KEY_BYTES for key, _ in validators):
        return f"a validator's key is {KEY_BYTES} bytes"
    if len({key for key, _ in validators}) != len(validators):
        return "a validator is listed twice"
    if not all(0 <= weight <= WEIGHT_MAX for _, weight in validators) or not any(w for _, w in validators):
        return f"weights are 0 to {WEIGHT_MAX} and not all 0"
    return ""


def validator_set(validators: Sequence[tuple[bytes, int]], batch: int) -> ValidatorSet:
    """A set of our own making.  Raises :class:`InvariantBroken` where :func:`set_fault` finds it at fault."""
    if fault := set_fault(validators, batch):
        raise InvariantBroken(fault)
    return ValidatorSet(tuple(validators))


def read_decision(fields: Any) -> Decision:
    """Read the decoded tuple of a :class:`Decision`.  Raises :class:`Refused` ``MALFORMED``."""
    following, barred, tags = array(fields, 3, 3, "a decision")
    return Decision(
        _read_weights(following, 0) if following != () else (),
        tuple(
            tuple(blob(key, KEY_BYTES, "a key") for key in array(keys, 0, BATCH_MAX, "barred keys"))
            for keys in array(barred, 0, 1, "what is barred")
        ),
        tuple(_read_renewed(row) for row in array(tags, 0, BATCH_MAX, "tags")),
    )


def electorate_fields(electorate: Electorate) -> tuple[Any, ...]:
    """The electorate as it is encoded."""
    start, phase = electorate.start, electorate.phase
    kind = 0 if phase is None else 1 if isinstance(phase, Gate) else 2
    following = () if phase is None else (phase.since, phase.following.weights)
    return start, electorate.current.weights, kind, following, electorate.barred, electorate.tags


def read_electorate(fields: Any) -> Electorate:
    """Read :func:`electorate_fields`.  Raises :class:`Refused` ``MALFORMED``."""
    start, current, kind, following, barred, tags = array(fields, 6, 6, "an electorate")
    phase: Phase = None
    if integer(kind, 0, 2, "a phase"):
        since, weights = array(following, 2, 2, "a phase")
        decided = ValidatorSet(_read_weights(weights, 1))
        phase = (Gate if kind == 1 else Joint)(integer(since, 0, U64_MAX, "a height"), decided)
    elif following != ():
        raise Refused(Reason.MALFORMED, "validators to come without a phase")
    return Electorate(
        integer(start, 0, U64_MAX, "a height"),
        ValidatorSet(_read_weights(current, 1)),
        phase,
        tuple(blob(key, KEY_BYTES, "a key") for key in array(barred, 0, BATCH_MAX, "barred keys")),
        tuple(_read_tag(row) for row in array(tags, 0, MAX_TAGS, "tags")),
    )


def _read_weights(rows: Any, low: int) -> Weights:
    weights = []
    for row in array(rows, low, BATCH_MAX, "validators"):
        key, weight = array(row, 2, 2, "a validator")
        weights.append((blob(key, KEY_BYTES, "a key"), integer(weight, 0, WEIGHT_MAX, "a weight")))
    if fault := set_fault(weights, BATCH_MAX):
        raise Refused(Reason.MALFORMED, fault)
    return tuple(weights)


def _read_renewed(row: Any) -> tuple[bytes, bytes]:
    key, tag = array(row, 2, 2, "a tag")
    return blob(key, KEY_BYTES, "a key"), blob(tag, TAG_BYTES, "a tag")


def _read_tag(row: Any) -> Tag:
    key, tag, height = array(row, 3, 3, "a tag")
    return Tag(blob(key, KEY_BYTES, "a key"), blob(tag, TAG_BYTES, "a tag"), integer(height, 0, U64_MAX, "a height"))
