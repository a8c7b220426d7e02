"""Who leads, votes and speaks at a height, and each step of how that changes."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from chain.base.codec import decode, encode
from chain.base.errors import Reason
from chain.consensus.electorate import (
    GATE_BLOCKS,
    MAX_TAGS,
    NOTHING_DECIDED,
    Decision,
    Electorate,
    Gate,
    Joint,
    Tag,
    ValidatorSet,
    electorate_fields,
    read_electorate,
)
from chain.consensus.statements import NO_TAG
from tests.support.counting import equal, key
from tests.support.refusals import refusal

TAG = bytes(range(16))
OLD = ValidatorSet(equal(4))
NEW = ValidatorSet((*equal(3), (key(7), 1)))
FIRST = Electorate(1, OLD)


def after(
    now: Electorate, height: int = 10, *, mhpc: int = 0, spoke: Iterable[int] = (), decision: Decision = NOTHING_DECIDED
) -> Electorate:
    return now.after(height, mhpc=mhpc, spoke=frozenset(map(key, spoke)), decision=decision)


@pytest.mark.parametrize(("weights", "threshold"), [((1,), 1), ((1,) * 4, 3), ((1,) * 6, 5), ((5, 1, 0, 1), 5)])
def test_a_threshold_is_more_than_two_thirds(weights: tuple[int, ...], threshold: int) -> None:
    assert ValidatorSet(tuple((key(index), weight) for index, weight in enumerate(weights))).threshold == threshold


def test_who_weighs_nothing_leads_no_slot_and_has_no_say() -> None:
    now = Electorate(1, ValidatorSet(((key(0), 1), (key(1), 0), (key(2), 1))))
    assert [now.leader(slot) for slot in range(4)] == [key(0), key(2), key(0), key(2)]
    assert now.speakers == {key(0), key(2)}


def test_nothing_happens_where_nothing_is_decided() -> None:
    assert after(FIRST) is FIRST


def test_a_decision_opens_a_gate_and_guests_may_speak() -> None:
    gate = after(FIRST, 10, decision=Decision(NEW.weights))
    assert (gate.phase, gate.start, gate.sets) == (Gate(10, NEW), 1, (OLD,))
    assert (gate.leaders, gate.speakers) == (OLD.leaders, frozenset(map(key, (0, 1, 2, 3, 7))))


@pytest.mark.parametrize(
    ("spoke", "is_passed"),
    [
        ((0, 1, 2), False),  # enough, and the newcomer is not among them
        ((7,), False),
        ((0, 7), False),
        ((0, 3, 7), False),  # who leaves does not count
        ((0, 1, 7), True),
        ((0, 1, 2, 3, 7), True),
    ],
)
def test_a_gate_waits_for_all_who_rise_and_for_enough(spoke: tuple[int, ...], is_passed: bool) -> None:
    gate = after(FIRST, 10, decision=Decision(NEW.weights))
    assert after(gate, 12, spoke=spoke).phase == (Joint(13, NEW) if is_passed else Gate(10, NEW))


def test_a_gate_lapses_after_so_many_blocks() -> None:
    gate = after(FIRST, 10, decision=Decision(NEW.weights))
    assert after(gate, 10 + GATE_BLOCKS - 1).phase == Gate(10, NEW)
    assert after(gate, 10 + GATE_BLOCKS) == FIRST
    assert after(gate, 10 + GATE_BLOCKS, spoke=(0, 1, 7)).phase == Joint(11 + GATE_BLOCKS, NEW)


def test_both_sets_decide_until_a_joint_block_is_final() -> None:
    joint = Electorate(1, OLD, Joint(13, NEW))
    assert joint.sets == (OLD, NEW)
    assert joint.leaders == OLD.leaders
    assert after(joint, 500, mhpc=12) is joint
    assert after(joint, 15, mhpc=13) == Electorate(16, NEW)


@pytest.mark.parametrize("phase", [Gate(10, NEW), Joint(10, NEW)])
def test_nothing_else_is_decided_meanwhile(phase: Gate | Joint) -> None:
    now = Electorate(1, OLD, phase)
    assert refusal(after, now, 12, decision=Decision(equal(2))) is Reason.WRONG_DECISION
    # but who is jailed, and which signing states are lost
    changed = after(now, 12, decision=Decision((), ((key(3),),), ((key(0), TAG),)))
    assert (changed.phase, changed.barred, changed.tags) == (phase, (key(3),), (Tag(key(0), TAG, 12),))
    alone = after(Electorate(1, OLD, Joint(10, NEW)), 12, mhpc=10, decision=Decision((), ((key(3),),)))
    assert (alone.current, alone.phase, alone.barred, alone.start) == (NEW, None, (key(3),), 13)


def test_who_is_barred_is_told_whole() -> None:
    barred = after(FIRST, decision=Decision(barred=((key(3), key(1)),)))
    assert barred.barred == (key(3), key(1))
    assert barred.leaders == OLD.leaders
    assert after(barred, decision=Decision(tags=((key(0), TAG),))).barred == (key(3), key(1))
    assert after(barred, decision=Decision(barred=((),))).barred == ()


def test_a_tag_is_the_latest_of_its_key() -> None:
    now = after(after(FIRST, 5, decision=Decision(tags=((key(0), TAG),))), 8, decision=Decision(tags=((key(1), TAG),)))
    assert (now.tag(key(0)), now.tag(key(2))) == (Tag(key(0), TAG, 5), Tag(key(2), NO_TAG, 0))
    again = after(now, 9, decision=Decision(tags=((key(0), TAG[::-1]),)))
    assert (again.tag(key(0)), len(again.tags)) == (Tag(key(0), TAG[::-1], 9), 2)


def test_so_many_keys_may_lose_their_signing_states() -> None:
    full = Electorate(1, OLD, tags=tuple(Tag(key(100 + number), TAG, 1) for number in range(MAX_TAGS)))
    assert refusal(after, full, decision=Decision(tags=((key(0), TAG),))) is Reason.WRONG_DECISION
    assert len(after(full, decision=Decision(tags=((key(100), TAG),))).tags) == MAX_TAGS


@pytest.mark.parametrize("phase", [None, Gate(7, NEW), Joint(9, NEW)])
def test_an_electorate_comes_back(phase: Gate | Joint | None) -> None:
    now = Electorate(3, OLD, phase, (key(3), key(1)), (Tag(key(0), TAG, 4),))
    assert read_electorate(decode(encode(electorate_fields(now)), max_bytes=2**12)) == now
