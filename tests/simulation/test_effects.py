"""What somebody outside notices: each effect by itself, and the breaks of the consensus that have one."""

from __future__ import annotations

import ast

import pytest

from chain.branches.blockchain import Blockchain
from chain.protocol.production import Producer
from scripts.mutants_parts.breaks import mutants
from scripts.mutants_parts.crew import worker
from scripts.simulation import breaking
from scripts.simulation.argued import ARGUED
from scripts.simulation.effects import Effects
from scripts.simulation.everyrule import FILES, Verdict, document, drawn, kind_of
from scripts.simulation.history import History, run_history
from scripts.simulation.node import SimulatedNode
from scripts.simulation.settings import Settings
from scripts.simulation.workload import Workload
from scripts.simulation.world import secret

QUIETLY = Settings(nodes=4, slots=60, faults="none", only_effects=True)


def test_nobody_looks_inside_where_only_effects_count() -> None:
    assert type(History(QUIETLY, 0).world.checks) is Effects
    assert run_history(QUIETLY, 0).violation == ""


def test_a_validator_that_falls_silent_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a validator that never finds that a slot is its own
    due_slot = Producer.due_slot

    def none_for_one(self: Producer, *arguments: object) -> int | None:
        return None if self.secret.public == secret(1).public else due_slot(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Producer, "due_slot", none_for_one)
    # then the others agree without it, and that it is missing is noticed
    assert "node0 made no block since" in run_history(QUIETLY, 0).violation


def test_a_jailed_validator_that_makes_a_block_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a jail that takes nothing from anybody, neither on a branch nor at the door
    monkeypatch.setattr("chain.consensus.judgement.check_leader", lambda *_arguments: None)
    monkeypatch.setattr(Blockchain, "check_leader", lambda *_arguments: None)
    # when one who signs twice goes on after it was jailed
    outcome = run_history(Settings(4, 150, "none", "persists", only_effects=True), 0)
    # then its next final block is noticed
    assert "is of a validator that is jailed" in outcome.violation
    assert kind_of(outcome.violation) == "jailed validator at work"


@pytest.mark.parametrize(("target", "name", "is_of_a_node"), [(Producer, "due_slot", True), (Workload, "offer", False)])
def test_a_crash_of_a_node_is_told_from_one_of_the_simulator(
    monkeypatch: pytest.MonkeyPatch, target: type, name: str, is_of_a_node: bool
) -> None:
    def fail(*_arguments: object) -> None:
        raise KeyError

    monkeypatch.setattr(target, name, fail)
    outcome = run_history(QUIETLY, 0)
    assert outcome.violation.startswith("node" if is_of_a_node else "the simulator")
    assert "crashes: KeyError" in outcome.violation
    assert outcome.is_damage == is_of_a_node


def test_clients_turn_to_another_node_where_theirs_dies_of_what_they_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    world = History(QUIETLY, 0).world
    for node in world.nodes:
        world.checks.watch(node)
        node.start()
    asked = []

    def draw(node: SimulatedNode) -> None:
        assert node.is_up
        asked.append(node)
        node.crash()

    monkeypatch.setattr(world.workload._traffic, "draw", draw)
    world.workload.offer(1, 9)
    assert sorted(node.name for node in asked) == sorted(node.name for node in world.honest)


# ------------------------------------------------------------------------------------------------- every single rule


def test_every_refusal_of_the_consensus_is_taken_out() -> None:
    for path in FILES:
        raised = [
            node.lineno
            for node in ast.walk(ast.parse(path.read_bytes()))
            if isinstance(node, ast.Raise)
            and isinstance(node.exc, ast.Call)
            and "Refused" in ast.unparse(node.exc.func)
        ]
        silent = [one for one in mutants(path) if one.after in ("pass", "False")]
        taken = sum(
            any(one.first <= line <= one.last or line - 2 <= one.last < line for one in silent) for line in raised
        )
        assert taken == len(raised), path.stem


def test_a_sample_of_them_is_the_same_each_time() -> None:
    keys = [mutant.key for mutant in drawn(20, 0)]
    assert keys == [mutant.key for mutant in drawn(20, 0)]
    assert len(keys) == 20
    assert keys != [mutant.key for mutant in drawn(20, 1)]
    assert set(keys) < {mutant.key for mutant in drawn(None, 0)}


def test_a_break_is_noticed_by_its_effect_and_one_without_is_not() -> None:
    by_key = {mutant.key: mutant for mutant in drawn(None, 0)}
    harmful = next(one for key, one in by_key.items() if key.startswith("electorate.") and "2 * sum" in one.before)
    harmless = next(one for key, one in by_key.items() if key.startswith("suppliers.(module): REST_MS"))
    with worker("reach", breaking.__name__) as ask:
        alone = ask({"trial": 0})
    assert alone["violation"] == ""
    trial = (0, alone["history"], alone["alone_s"], alone["deeds"])
    with worker("try", breaking.__name__) as ask:
        results = [ask({"path": str(one.path), "number": one.number, "trials": [trial]}) for one in (harmful, harmless)]
    assert results[0]["noticed"]
    assert results[0]["trial"] == 0
    assert results[1]["noticed"] == ""


def test_the_document_names_survivors_and_why() -> None:
    first, second, *_ = drawn(None, 0)
    verdicts = [
        Verdict(first, "hangs (SIGPROF)", None, 3, 0, ""),
        Verdict(second, "", None, 3, 2, ""),
    ]
    page = document(verdicts, None, 0)
    assert "| all | 2 | 50.0% | 1 | 1 |" in page
    assert "| hung | 1 |" in page
    assert page.splitlines()[-1].endswith("| 3, 2 | **not argued** |")


def test_what_is_argued_is_a_break_still() -> None:
    assert set(ARGUED) <= {mutant.key for mutant in drawn(None, 0)}
