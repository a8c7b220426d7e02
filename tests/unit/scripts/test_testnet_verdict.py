"""Whether nodes agree, how fast blocks travelled, and the exit code that follows."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest

from p2p.client import HeadMove
from scripts.testnet_parts.ratings_load import Replay
from scripts.testnet_parts.report import print_summary
from scripts.testnet_parts.verdict import (
    FinalChain,
    agreement,
    describe_propagation,
    exit_code,
    percentile,
    propagation_ms,
)


def ids(text: str) -> list[bytes]:
    return [letter.encode() for letter in text]


def test_nodes_agree_when_each_final_chain_begins_the_longest() -> None:
    verdict = agreement([FinalChain("node0", ids("abc")), FinalChain("node1", ids("abcde")), FinalChain("late", [])])
    assert verdict.holds
    assert verdict.height == 0


def test_the_common_height_is_the_lowest() -> None:
    assert agreement([FinalChain("node0", ids("abc")), FinalChain("node1", ids("ab"))]).height == 2


@pytest.mark.parametrize("other", ["abX", "aXc", "Xbc"])
def test_a_node_that_finalized_another_block_is_named(other: str) -> None:
    verdict = agreement([FinalChain("node0", ids("abcd")), FinalChain("node1", ids(other)), FinalChain("n2", ids("a"))])
    assert not verdict.holds
    assert verdict.differing[0] == "node1"


def move(block: str, at_ms: int, *, made: bool = False) -> HeadMove:
    return HeadMove(seq=1, id=block, height=1, slot=1, transactions=0, at_ms=at_ms, made_here=made)


READY = {"maker": 0, "near": 0, "far": 0}


def test_propagation_is_from_the_makers_head_to_every_other_nodes() -> None:
    moves = {
        "maker": [move("a", 100, made=True), move("b", 310)],
        "near": [move("a", 120), move("b", 300, made=True)],
        "far": [move("a", 190), move("b", 340)],
    }
    assert sorted(propagation_ms(moves, READY)) == [10, 20, 40, 90]


def test_what_was_not_measured_is_not_told_in_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    names = ("height", "finalized_height", "final", "submitted", "lost", "reorgs", "seconds", "tx_per_s")
    report: dict[str, Any] = dict.fromkeys(names, 0)
    report |= {"differing": [], "refused": {}, "nodes_detail": [], "home": "x", "state_root": None}
    report |= {"block_propagation_ms": describe_propagation([]), "cpu_ms_per_tx": None}
    load = SimpleNamespace(rows=partial(Replay.rows, cast(Any, None)), can_go_on=False, questions=())
    print_summary(report, cast(Any, SimpleNamespace(load=load)))
    told = capsys.readouterr().out
    assert "processor" in told
    assert "None" not in told


def test_a_block_that_a_reorg_brings_back_counts_once() -> None:
    moves = {"maker": [move("a", 100, made=True)], "near": [move("a", 130), move("x", 140), move("a", 900)], "far": []}
    assert propagation_ms(moves, READY) == [30]


def test_blocks_made_before_a_node_was_ready_or_by_nobody_known_do_not_count() -> None:
    moves = {"maker": [move("a", 100, made=True)], "near": [move("a", 5_000), move("orphan", 5_001)], "far": []}
    assert propagation_ms(moves, {**READY, "near": 4_000}) == []


@pytest.mark.parametrize(("percent", "expected"), [(50, 5), (95, 10), (100, 10), (1, 1)])
def test_percentiles_are_nearest_rank(percent: int, expected: int) -> None:
    assert percentile([10, 1, 9, 2, 8, 3, 7, 4, 6, 5], percent) == expected


def test_percentiles_of_nothing_are_none() -> None:
    assert describe_propagation([]) == {"p50": None, "p95": None, "samples": 0}
    assert describe_propagation([7]) == {"p50": 7, "p95": 7, "samples": 1}


FINE: dict[str, Any] = {"agree": True, "lost": 0, "refused": 0, "gave_up": False, "interrupted": False, "done": True}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, 0),
        ({"interrupted": True}, 0),
        ({"interrupted": True, "done": False, "lost": 5}, 130),
        ({"done": False, "lost": 5}, 1),
        ({"done": False}, 0),
        ({"refused": 1}, 1),
        ({"gave_up": True, "done": False}, 1),
        ({"agree": False}, 1),
        ({"agree": False, "interrupted": True, "done": False}, 1),
    ],
)
def test_the_exit_code_says_how_it_ended(changes: dict[str, Any], code: int) -> None:
    assert exit_code(**{**FINE, **changes}) == code
