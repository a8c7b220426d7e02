"""Which tip wins: the reference implementation's vectors, and each rule by itself."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from chain.consensus.forkchoice import Choice, choose

VECTORS = json.loads((Path(__file__).parents[3] / "vectors" / "bft" / "bft_fork_choice_rules.json").read_text("utf-8"))
STATUS = {
    "FORK_STATUS_IDENTICAL_BLOCK": {Choice.SAME},
    "FORK_STATUS_VALID_BLOCK": {Choice.EXTENDS},
    "FORK_STATUS_DOUBLE_FORGING": {Choice.DOUBLE},
    "FORK_STATUS_TIE_BREAK": {Choice.TIE_BREAK},
    "FORK_STATUS_DIFFERENT_CHAIN": {Choice.SWITCH},
    "FORK_STATUS_DISCARD": {Choice.KEEP},
}


@dataclass(frozen=True)
class Tip:
    id: bytes
    parent: bytes
    height: int
    slot: int
    mhp: int
    proposer: bytes


def from_vector(raw: dict[str, Any], interval: int) -> tuple[Tip, bool]:
    """A vector's block, and whether it was received in its own slot."""
    slot = raw["timestamp"] // interval
    tip = Tip(
        id=raw["id"].encode(),
        parent=raw["previousBlockId"].encode(),
        height=raw["height"],
        slot=slot,
        mhp=raw["maxHeightPrevoted"],
        proposer=bytes.fromhex(raw["generatorPublicKey"]),
    )
    return tip, raw["receivedAt"] // interval == slot


@pytest.mark.parametrize("case", VECTORS["testCases"], ids=lambda case: case["description"].split(":")[0])
def test_reference_vectors(case: dict[str, Any]) -> None:
    config = VECTORS["config"] | case.get("config", {})
    tip, tip_in_slot = from_vector(config["lastBlock"], config["blockInterval"])
    block, block_in_slot = from_vector(case["input"]["receivedBlock"], config["blockInterval"])
    names = {status: name for name, status in VECTORS["config"]["forkStatuses"].items()}

    choice = choose(tip, tip_in_slot, block, block_in_slot)

    assert choice in STATUS[names[case["output"]["forkStatus"]]]


TIP = Tip(id=b"tip", parent=b"parent", height=10, slot=20, mhp=7, proposer=b"ann")
TWIN = replace(TIP, id=b"twin", slot=21, proposer=b"bob")


def test_the_tip_again_is_ignored() -> None:
    assert choose(TIP, True, TIP, False) is Choice.SAME


def test_a_child_extends() -> None:
    child = Tip(id=b"child", parent=b"tip", height=11, slot=21, mhp=7, proposer=b"bob")
    assert choose(TIP, True, child, True) is Choice.EXTENDS
    assert choose(TIP, False, child, False) is Choice.EXTENDS


def test_a_second_block_of_the_tips_proposer_is_evidence_and_never_replaces_it() -> None:
    double = replace(TWIN, proposer=b"ann")
    assert choose(TIP, False, double, True) is Choice.DOUBLE


def test_a_timely_twin_replaces_only_a_late_tip() -> None:
    outcomes = {
        (tip_in_slot, block_in_slot): choose(TIP, tip_in_slot, TWIN, block_in_slot)
        for tip_in_slot in (False, True)
        for block_in_slot in (False, True)
    }
    assert outcomes == {
        (False, False): Choice.KEEP,
        (False, True): Choice.TIE_BREAK,
        (True, False): Choice.KEEP,
        (True, True): Choice.KEEP,
    }


@pytest.mark.parametrize("slot", [19, 20])
def test_a_twin_of_an_earlier_or_the_same_slot_does_not_replace_the_tip(slot: int) -> None:
    assert choose(TIP, False, replace(TWIN, slot=slot), True) is Choice.KEEP


@pytest.mark.parametrize(
    ("mhp", "height", "expected"),
    [
        (8, 9, Choice.SWITCH),  # more prevoted beats longer
        (7, 11, Choice.SWITCH),
        (7, 10, Choice.KEEP),  # a tie between different parents
        (7, 9, Choice.KEEP),
        (6, 99, Choice.KEEP),
    ],
)
def test_another_branch_wins_by_prevoted_height_and_then_by_length(mhp: int, height: int, expected: Choice) -> None:
    other = Tip(id=b"other", parent=b"elsewhere", height=height, slot=21, mhp=mhp, proposer=b"bob")
    assert choose(TIP, False, other, True) is expected


@pytest.mark.parametrize(
    ("mhp", "restart", "height", "expected"),
    [
        (7, 5, 9, Choice.SWITCH),  # two thirds signed that it goes on from there, and it is shorter
        (7, 3, 99, Choice.KEEP),  # the tip's own restart is the later one
        (6, 5, 99, Choice.KEEP),  # two thirds went on without it
        (7, 4, 11, Choice.SWITCH),
    ],
)
def test_between_what_is_prevoted_and_length_counts_where_people_let_a_branch_go_on(
    mhp: int, restart: int, height: int, expected: Choice
) -> None:
    other = Tip(id=b"other", parent=b"elsewhere", height=height, slot=21, mhp=mhp, proposer=b"bob")
    assert choose(TIP, False, other, True, tip_restart=4, block_restart=restart) is expected


def test_a_twin_without_the_restart_of_the_tip_does_not_replace_it() -> None:
    assert choose(TIP, False, TWIN, True, tip_restart=4, block_restart=0) is Choice.KEEP
    assert choose(TIP, False, TWIN, True, tip_restart=0, block_restart=4) is Choice.SWITCH
