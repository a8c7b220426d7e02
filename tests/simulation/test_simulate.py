"""The simulator itself: many short histories, the same bytes from the same seed, villains, broken rules."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from chain.content.actions import Propose
from chain.content.blocks import Heading
from chain.content.kinds import KINDS
from chain.content.proposals import Proposal
from chain.protocol.events import BlocksReceived, Commit, FollowWallClock, HeadingsReceived, Tick
from chain.protocol.messages import GetBlocks, GetHeadings
from scripts.histories_parts.broken import BROKEN, broken
from scripts.histories_parts.broken_rule import RECOUNT
from scripts.simulation.acts import Freeze
from scripts.simulation.copies import CopiedHome
from scripts.simulation.faults import Faults
from scripts.simulation.history import History, run_history
from scripts.simulation.matrix import DOCUMENT, SEEDS, Case, Row, cases, describe, document, run_matrix
from scripts.simulation.mutations import MUTATIONS
from scripts.simulation.settings import PROFILES, Settings, Violation
from scripts.simulation.sweep import settings_for
from scripts.simulation.villain import Expectation

ROOT = Path(__file__).parents[2]
QUICK_SEEDS = 2  # beside those that CI runs for longer, by scripts/check.py
QUICK_SLOTS = 100


@pytest.mark.parametrize("seed", range(QUICK_SEEDS), ids=lambda seed: f"seed{seed}")
def test_everything_holds_under_all_faults(seed: int) -> None:
    outcome = run_history(Settings(slots=QUICK_SLOTS), seed)
    assert outcome.violation == ""
    assert outcome.final_height > 0
    assert set(outcome.culprits) <= set(outcome.villains)


@pytest.mark.parametrize("profile", PROFILES)
def test_everything_holds_under_each_kind_of_fault(profile: str) -> None:
    assert run_history(Settings(slots=QUICK_SLOTS, faults=profile), 1_000).violation == ""


def test_the_same_seed_gives_the_same_history_to_the_byte() -> None:
    settings = Settings(slots=40, keep_timeline=True)
    first, second = run_history(settings, 7), run_history(settings, 7)
    assert first.timeline == second.timeline
    assert replace(first, cpu_ms=0) == replace(second, cpu_ms=0)
    assert run_history(replace(settings, keep_timeline=False), 7).history == first.history
    assert run_history(settings, 8).history != first.history


@pytest.mark.parametrize("byzantine", ["", "equivocates"])
def test_another_process_with_another_hash_seed_lives_through_the_same(byzantine: str) -> None:
    settings = Settings(slots=40, byzantine=byzantine)
    code = (
        "from scripts.simulation.history import run_history; from scripts.simulation.settings import Settings; "
        f"print(run_history(Settings(slots=40, byzantine={byzantine!r}), 7).history)"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": str(ROOT)}
    process = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == run_history(settings, 7).history


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.strategy}-{case.villains}of{case.nodes}")
def test_an_attack_ends_as_theory_predicts(case: Case) -> None:
    assert describe(run_history(case.settings, 0)) == case.predicted


def test_evidence_does_not_wait_behind_evidence_that_came_too_late() -> None:
    # given two liars: all accuse the first, but only one accusation is needed, and then they accuse the second
    settings = Settings(nodes=7, slots=80, faults="none", byzantine="lies", villains=2)
    # then that one is jailed, too
    assert describe(run_history(settings, 2)) == "live, named, jailed"


def test_the_document_says_what_is_predicted() -> None:
    rows = [Row(case, (case.predicted,) * len(SEEDS)) for case in cases()]
    assert DOCUMENT.read_text(encoding="utf-8") == document(rows), "run scripts/simulate.py --matrix --write"


def test_a_prediction_that_fails_is_seen() -> None:
    # given a theory by which two of four silent validators stop nothing
    wrong = [replace(case, expected=Expectation("live", named=False)) for case in cases(["silent"])]
    # when it is tried
    rows = list(run_matrix(wrong, [0], processes=1))
    # then it is refuted
    assert [row.is_right for row in rows] == [True, False, True, False]
    assert "| live | **stalls**, not live | live | **stalls**, not live |" in document(rows)


@pytest.mark.parametrize("seed", range(6), ids=lambda seed: f"seed{seed}")
def test_two_machines_in_step_stop_or_leave_evidence(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # given two machines with one key and one signing state, whose clocks agree: both sign in the same instant
    monkeypatch.setattr(CopiedHome, "late_ms", 0)
    history = History(Settings(nodes=4, slots=80, faults="none", byzantine="copied-home"), seed)
    history.run()
    # then one stopped before it signed, or both did when they heard of each other, and evidence names the key
    pair = [node.engine.producer for node in history.world.nodes if not node.is_honest]
    stopped = [producer.is_stopped for producer in pair if producer is not None]
    assert any(stopped)
    assert all(stopped) == bool(history.world.checks.culprits())


def test_a_validator_that_lost_its_signing_state_signs_again_in_the_end() -> None:
    outcomes = (run_history(Settings(slots=QUICK_SLOTS, keep_timeline=True), seed) for seed in range(20))
    forgetful = next(outcome for outcome in outcomes if outcome.facts["forgot"])
    assert any("lost its" in line for line in forgetful.timeline)
    assert any("notice  signing_again" in line for line in forgetful.timeline)


def test_a_quorum_of_villains_cannot_rewrite_what_a_node_called_final() -> None:
    outcome = run_history(Settings(nodes=4, slots=90, faults="none", byzantine="rewrites", villains=3), 0)
    assert outcome.violation == ""
    assert outcome.final_height > 0


@pytest.mark.parametrize("name", ["impersonates", "misspeaks", "garbles", "usurps", "disguises"])
@pytest.mark.parametrize("nodes", [4, 7])
def test_what_is_signed_and_must_not_be_does_no_harm(name: str, nodes: int) -> None:
    outcome = run_history(Settings(nodes=nodes, slots=80, faults="none", byzantine=name), nodes)
    assert outcome.violation == ""
    assert set(outcome.culprits) <= set(outcome.villains)


def test_a_network_goes_on_after_a_restart() -> None:
    # given three of four validators whose nodes stopped, two of them without their disks
    history = History(Settings(nodes=4, slots=80, faults="none", byzantine="restarts"), 0)
    # when their operators let the chain go on from the head of the third
    history.run()
    # then it does, and everybody speaks from a new signing state
    electorate = history.world.checks.newcomer.electorate
    assert {tag.key for tag in electorate.tags} == electorate.speakers
    assert history.heal_slots > 0


def test_nothing_is_lost_where_more_machines_stood_still_than_are_tolerated() -> None:
    # three of four go by times that differ, and nobody can say who is right
    with closing(History(Settings(slots=20, nodes=4, faults="none"), 1)) as history:
        frozen = [Freeze(12, f"node{number}", 45_000 + 6_000 * number) for number in range(3)]
        history.faults = Faults(history.world, frozen)
        history.run()
    assert history.heal_slots > 600


def test_validators_change_and_every_kind_of_transaction_becomes_final() -> None:
    # given some histories of a whole registry, villains whose evidence is brought again and again, crashes, a council
    kinds: set[str] = set()
    proposals: set[str] = set()
    changes = 0
    # Nobody anchors a report or attests anything here; the histories of the registry do (`scripts/histories.py`).
    every_kind = {kind.name for kind in KINDS} - {"anchor", "attest"}
    # An annulment is appealed, with too few arbiters left, once in many histories.
    every_proposal = {kind.__name__ for kind in get_args(Proposal)} - {"JudgeEnrolment"}
    # Those first that have most of what others have not.
    lively = [(0, "", "changes"), (3, "", "crashes"), (1, "equivocates", "none"), (6, "", "none")]
    others = [(seed, "", "none") for seed in range(10)]
    for seed, byzantine, faults in (*lively, (0, "equivocates", "none"), *others):
        traffic = "council" if faults == "changes" else "registry"
        history = History(Settings(nodes=4, slots=200, faults=faults, byzantine=byzantine, traffic=traffic), seed)
        history.run()
        node = history.world.honest[0]
        for block in node.disk.main.values():
            actions = [item.action for item in block.transactions]
            kinds.update(item.kind for item in block.transactions)
            proposals.update(type(item.proposal).__name__ for item in actions if isinstance(item, Propose))
        changes += node.engine.chain.electorate.start > 1
        if kinds >= every_kind and proposals >= every_proposal and changes > 1:
            return
    # then all of it happens
    pytest.fail(f"never final: {every_kind - kinds} {every_proposal - proposals}, or no {changes + 1} changes")


QUICKLY_SEEN = ["no-contradiction-check", "majority", "amnesiac-signs", "cross-finality", "unbounded-waiting"]
QUICKLY_SEEN += ["no-joint-phase", "no-deadlines"]
QUICKLY_SEEN += ["any-attestation", "carried-unchecked", "any-restart", "any-height", "any-turn", "any-slot"]
QUICKLY_SEEN += ["jailed-weigh", "any-newer-final"]
# Where the search begins: the seeds before would only take their time.
SEEN_FROM = {"no-joint-phase": 16}


@pytest.mark.parametrize("name", QUICKLY_SEEN)
def test_a_broken_rule_is_noticed(name: str) -> None:
    settings = settings_for(MUTATIONS[name], name, slots=150)
    first = SEEN_FROM.get(name, 0)
    outcomes = (run_history(settings, seed) for seed in range(first, first + 20))
    found = next((outcome for outcome in outcomes if outcome.violation), None)
    assert found is not None
    assert found.is_damage != MUTATIONS[name].is_inside
    # and what is broken is mended again
    assert run_history(replace(settings, mutation="", only_effects=False), found.seed).violation == ""


# Nobody here attests anything, appeals against an annulment or amends the terms of members: histories break these.
NOT_MET = {
    "points never fade",
    "an attribute never ends",
    "who granted an annulment rules on its appeal",
    "whose a key is changes by the terms of today",
}


# What the recount alone notices in random histories, it notices here; suspensions and deadlines are mutations above,
# and a key is seldom moved on a day on which it wrote.
@pytest.mark.parametrize(
    "rule",
    [
        rule
        for rule, each in BROKEN.items()
        if each.told == RECOUNT and "deadline" not in rule and not rule.endswith("by moving") and rule not in NOT_MET
    ],
)
def test_a_broken_rule_of_the_registry_is_noticed(rule: str) -> None:
    settings = Settings(nodes=4, slots=150, faults="none", traffic="registry")
    with broken(rule):
        assert any("is not what a recount gives" in run_history(settings, seed).violation for seed in range(12))


@pytest.mark.parametrize("is_told", [True, False])
def test_a_block_whose_header_came_in_time_may_be_taken_though_the_clock_stepped_back(is_told: bool) -> None:
    # given a node that was shown a header when its slot had begun, or another one
    history = History(Settings(nodes=4, slots=30, faults="none", traffic="ratings"), 0)
    history.run()
    checks, node = history.world.checks, history.world.honest[0]
    head = node.engine.chain.head.block
    assert head is not None
    request = GetHeadings(head.id, head.header.height, 1)
    checks._timely[node.name].clear()  # type: ignore[attr-defined]
    headings = (Heading(head.header, head.ballot),) if is_told else ()
    checks.on_handled(node, HeadingsReceived("node1", request, headings), [])
    # when its clock steps back before the block comes
    node.set_clock(-3_600_000, 0)
    node._watch_clock()
    node._perform(FollowWallClock(), Tick())
    brought = BlocksReceived("node1", GetBlocks(head.id, head.header.height, 1), (head,))
    # then it may be taken, and another is noticed
    with nullcontext() if is_told else pytest.raises(Violation, match="took a block of slot"):
        checks.on_handled(node, brought, [Commit(adopted=(head,))])


def test_a_block_of_the_future_is_noticed_though_clocks_step_back() -> None:
    # given validators that take every block at once, and clocks that jump
    settings = Settings(slots=150, faults="clocks", mutation="accept-future")
    # then the first that is taken too early is noticed
    assert any("passed on block" in run_history(settings, seed).violation for seed in range(5))
