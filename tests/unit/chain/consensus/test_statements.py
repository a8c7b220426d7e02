"""What a validator says of a branch, and when two statements convict it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

import pytest

from chain.consensus.statements import NO_TAG, Said, contradicting, is_equivocation
from chain.consensus.votes import Votes
from tests.support.counting import genesis, grow, key


@dataclass(frozen=True)
class Statement:
    speaker: bytes = key(0)
    tag: bytes = NO_TAG
    height: int = 5
    mhg: int = 3
    mhp: int = 2
    slot: int | None = 8
    id: bytes = b"1"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"height": 6, "mhg": 5}, False),  # the next block on the branch
        ({"height": 4, "mhg": 5, "mhp": 3}, False),  # on a shorter branch with more prevotes
        ({"height": 5, "mhg": 5, "mhp": 3}, False),  # at the same height of a better branch
        ({}, True),  # two blocks that differ elsewhere
        ({"height": 5, "mhg": 5}, True),  # two blocks of one height, the second owning up to the first
        ({"height": 4, "mhg": 5}, True),  # moved to a shorter branch without more prevotes
        ({"height": 6, "mhg": 4}, True),  # conceals the first
        ({"height": 6, "mhg": 0}, True),  # conceals more
        ({"height": 7, "mhg": 5, "mhp": 1}, True),  # moved to a branch with fewer prevotes
    ],
)
@pytest.mark.parametrize("slots", [(8, 12), (8, None), (None, 8), (None, None)])
def test_contradicting_statements_of_either_kind(
    changes: dict[str, Any], expected: bool, slots: tuple[int | None, int | None]
) -> None:
    first = Statement(slot=slots[0])
    second = replace(first, slot=slots[1], id=b"2", **changes)
    assert contradicting(first, second) is expected
    assert contradicting(second, first) is expected
    assert is_equivocation(first, second) is expected
    assert is_equivocation(second, first) is expected


def test_of_two_with_the_same_mhg_the_one_with_more_prevotes_is_the_later() -> None:
    first = Said(height=5, mhg=6, mhp=2)
    assert not contradicting(first, Said(height=4, mhg=6, mhp=3))
    assert not contradicting(first, Said(height=4, mhg=6, mhp=2))
    assert contradicting(first, Said(height=5, mhg=6, mhp=2))


@pytest.mark.parametrize("mhps", list(itertools.product(range(3), repeat=2)))
@pytest.mark.parametrize("mhgs", list(itertools.product(range(5), repeat=2)))
def test_two_attestations_of_one_height_always_contradict(mhgs: tuple[int, int], mhps: tuple[int, int]) -> None:
    one, other = (Said(5, mhg, mhp) for mhg, mhp in zip(mhgs, mhps, strict=True))
    assert contradicting(one, other)


def test_two_headers_of_one_slot_are_evidence_even_where_they_do_not_contradict() -> None:
    first = Statement(height=5, mhg=3, mhp=2)
    second = Statement(height=5, mhg=5, mhp=3, id=b"2")
    assert not contradicting(first, second)
    assert is_equivocation(first, second)


def test_two_attestations_have_no_slot_in_common() -> None:
    first, second = (Statement(height=height, mhg=height - 1, slot=None, id=bytes([height])) for height in (5, 6))
    assert not is_equivocation(first, second)


@pytest.mark.parametrize(
    "changes", [{"id": b"1"}, {"speaker": key(1)}, {"tag": bytes(15) + b"1"}], ids=["itself", "another's", "a new tag"]
)
def test_what_is_no_evidence(changes: dict[str, Any]) -> None:
    first, second = Statement(), replace(Statement(id=b"2"), **changes)
    assert contradicting(first, second)
    assert not is_equivocation(first, second)
    assert not is_equivocation(second, first)


def test_a_violation_of_safety_names_a_third() -> None:
    # given four validators of which two vote on both sides of a partition, hiding the other side's blocks
    def branch(proposers: list[int], first_slot: int) -> tuple[Votes, list[Statement]]:
        votes, made = genesis(4), []
        for turn in range(9):
            proposer, slot = proposers[turn % 3], first_slot + turn
            votes = grow(votes, [proposer])
            (tip, *_), speaker = votes.rows, key(proposer)
            made.append(Statement(speaker, NO_TAG, tip.height, tip.said[speaker], tip.mhp, slot, bytes([slot])))
        return votes, made

    left, on_the_left = branch([0, 2, 3], first_slot=1)
    right, on_the_right = branch([1, 3, 2], first_slot=101)
    # when both sides finalize
    assert left.finalized > 0
    assert right.finalized > 0
    # then their headers convict exactly those two
    pairs = itertools.combinations(on_the_left + on_the_right, 2)
    assert {a.speaker for a, b in pairs if is_equivocation(a, b)} == {key(2), key(3)}
