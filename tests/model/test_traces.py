"""The model and ``chain/`` come to the same: traces of the model through the chain, simulated histories through it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from chain.base.errors import Reason
from chain.consensus.electorate import Gate
from chain.consensus.votes import Count
from scripts.model_parts.judged import real_keys, stamps, walk
from scripts.model_parts.simulated import Writing, recount, stored
from scripts.simulation.history import History
from scripts.simulation.settings import Settings
from tests.model.scenarios import KINDS
from tests.model.traces import difference

OFTEN = {
    Reason.WRONG_LEADER,
    Reason.WRONG_MHP,
    Reason.CONTRADICTS_EARLIER_BLOCK,
    Reason.STALE_ATTESTATION,
    Reason.ALREADY_SAID,
    Reason.UNORDERED,
    Reason.MALFORMED,
    Reason.WRONG_DECISION,
}
"""Why the chain refuses some block of any hundred traces."""
TRACES = 1_000
SIGNED = 42
CHUNKS = 10
SIMULATED = 6


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_the_chain_comes_to_what_the_model_does(chunk: int) -> None:
    walked = [walk(number) for number in range(chunk * TRACES // CHUNKS, (chunk + 1) * TRACES // CHUNKS)]
    assert [one for one in walked if one.difference] == []
    assert {one.kind for one in walked} == KINDS.keys()
    reasons = Counter(reason for one in walked for reason in one.refused)
    assert reasons.keys() >= OFTEN
    assert sum(one.blocks for one in walked) < 12 * reasons.total()


def test_the_same_with_real_signatures() -> None:
    walked = [walk(number, is_signed=True) for number in range(SIGNED)]
    assert [one for one in walked if one.difference] == []


def test_the_keys_have_the_order_of_the_names() -> None:
    keys = real_keys("CAB")
    assert sorted(keys, key=lambda name: keys[name].public) == ["A", "B", "C"]
    assert stamps("A")["A"].public < stamps("B")["B"].public


@pytest.mark.parametrize("rule", ["_height_not_prevoted", "_contradiction", "refuse", "is_passed"])
def test_a_chain_that_counts_otherwise_is_noticed(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = {"_height_not_prevoted": 0, "_contradiction": None, "refuse": None, "is_passed": True}
    monkeypatch.setattr(Gate if rule == "is_passed" else Count, rule, lambda *_arguments: broken[rule])
    assert any(walk(number).difference for number in range(84))


@pytest.mark.parametrize("seed", range(SIMULATED))
def test_the_model_counts_simulated_histories_alike(seed: int) -> None:
    counted = recount(seed)
    assert counted.difference == ""
    assert counted.blocks > 30
    assert counted.final_height > 10


def test_a_simulated_history_that_was_counted_otherwise_is_noticed() -> None:
    history = History(Settings(slots=30, faults="none"), 0)
    history.run()
    writing = Writing(history.world.genesis)
    for block in stored(history.world):
        writing.write(block)
    trace = writing.trace
    assert difference(trace) == ""
    last = trace.blocks[-1]
    assert last.expected is not None
    wrong = replace(last, expected=replace(last.expected, mhpc=last.expected.mhpc - 1))
    assert "in the model" in difference(replace(trace, blocks=(*trace.blocks[:-1], wrong)))
