"""``scripts/model.py``: what it runs and tells; the model itself is tested in ``tests/model``."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scripts.model import main
from scripts.model_parts.page import page
from scripts.model_parts.runs import break_all, search_all, visit_all


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int | str | None, str]:
    with pytest.raises(SystemExit) as ended:
        main.main([*arguments, "--processes", "1"])
    return ended.value.code, capsys.readouterr().out


def test_nothing_is_found_with_all_rules_in_force(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(capsys, "--kind", "static", "--nodes", "4", "--seeds", "0..20", "--json")
    (row,) = json.loads(out)["histories"]
    assert (code, row["histories"], row["found"]) == (0, 20, None)


def test_a_broken_rule_is_told_with_the_command_that_finds_it_again(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(capsys, "--kind", "static", "--nodes", "4", "--seeds", "0..20", "--broken", "low_quorum")
    assert code == 0
    assert "conflict at seed 1" in out
    assert "scripts/model.py --kind static --nodes 4 --seeds 1 --broken low_quorum" in out


def test_a_broken_rule_that_does_not_show_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--seeds", "0..1", "--broken", "today", "--json")[0] == 1


def test_a_rule_that_is_argued_need_not_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--seeds", "0..3", "--broken", "reach_back", "--json")[0] == 0


def test_every_history_up_to_a_few_blocks(capsys: pytest.CaptureFixture[str]) -> None:
    states = []
    for late in ((), ("--late",)):
        code, out = run(capsys, "--exhaustive", "3", "--change", "ABCE", *late, "--json")
        (row,) = json.loads(out)["visited"]
        assert (code, row["next set"], row["attestations late"], row["conflict"]) == (0, "ABCE", bool(late), False)
        states.append(row["states"])
    assert states[0] < states[1]


def test_traces_go_through_the_chain(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(capsys, "--traces", "0..2", "--json")
    assert (code, [row["different"] for row in json.loads(out)["traces"]]) == (0, [0, 0])


def test_what_differs_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chain.consensus.votes.Count._contradiction", lambda *_arguments: None)
    monkeypatch.setattr("chain.consensus.judgement.check_leader", lambda *_arguments: None)
    code, out = run(capsys, "--traces", "0..14", "--json")
    assert code == 1
    assert sum(row["different"] for row in json.loads(out)["traces"]) > 0


def test_simulated_histories_are_counted_by_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(capsys, "--simulated", "0", "--json")
    (row,) = json.loads(out)["simulated"]
    assert (code, row["difference"]) == (0, None)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--change", "ABCE"),
        ("--exhaustive", "3", "--kind", "static"),
        ("--broken", "all", "--nodes", "4"),
        ("--write", "--kind", "static"),
        ("--broken", "nonsense"),
        ("--late",),
        ("--traces", "0", "--simulated", "0"),
        ("--traces", "0", "--kind", "static"),
    ],
)
def test_options_that_do_not_go_together_are_a_mistake(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert run(capsys, *arguments)[0] == 2


def test_the_page_has_a_row_for_each_run() -> None:
    searched = list(search_all(["static"], [4], range(5), (), 1))
    visited = list(visit_all([("", 3, False)], (), 1))
    broken: list[Any] = list(break_all(["low_quorum", "reach_back"], range(3), 1))
    text = page(searched, visited, broken)
    assert "| none | 3 | no | 45 |" in text
    assert "| static | 4 | 5 |" in text
    assert "| low_quorum | 2W/3" in text
    assert "| reach_back | a newcomer votes" in text
