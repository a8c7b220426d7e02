"""Manifests in the simulator: the worked examples hold, drawn ones too, and what is broken is noticed."""

from __future__ import annotations

from p2p.local.commandline import EXIT_WRONG

import json
from dataclasses import replace
from pathlib import Path

import pytest

from scripts import simulate
from scripts.manifest_parts.drawing import draw
from scripts.manifest_parts.judging import judge
from scripts.manifest_parts.reading import EXAMPLES, read_manifest
from scripts.manifest_parts.things import (
    Agree,
    Assertion,
    Attack,
    Cut,
    Event,
    Kill,
    Lag,
    Line,
    Load,
    Manifest,
    Mute,
    Observer,
    Recorded,
    Seats,
    Slots,
    Speaks,
    Stalls,
    Stays,
    Strangers,
    Synced,
    Validator,
)
from scripts.simulation.siege import SIMULATED
from scripts.simulation.staging import run_manifest
from tests.support.commands import exit_code

FOUR = tuple(Validator(name=name) for name in ("ann", "bob", "cem", "dag"))


def quiet(_text: str) -> None:
    pass


def a_manifest(*events: Event, asserts: tuple[Assertion, ...] = (Agree(),), slots: int = 25) -> Manifest:
    return Manifest(title="t", slots=slots, validators=FOUR, events=(Load(at=0, per_slot=5), *events), asserts=asserts)


def failing(manifest: Manifest) -> dict[str, str]:
    record = run_manifest(manifest, quiet)
    assert record.fault == ""
    return {verdict.assertion.word: verdict.seen for verdict in judge(manifest, record) if not verdict.holds}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_hold(path: Path) -> None:
    assert failing(read_manifest(path)) == {}


@pytest.mark.parametrize("seed", range(2), ids=lambda seed: f"seed{seed}")
def test_drawn_ones_hold(seed: int) -> None:
    assert failing(draw(seed)) == {}


def test_the_same_manifest_is_the_same_history() -> None:
    manifest = a_manifest(Kill(at=3, nodes=("ann",)), slots=12)
    manifest = replace(manifest, line=Line(latency_ms=100, jitter_ms=50, loss=20))
    first, second = run_manifest(manifest, quiet), run_manifest(manifest, quiet)
    assert first == second
    assert run_manifest(replace(manifest, seed=2), quiet) != first


@pytest.mark.parametrize("kind", SIMULATED)
def test_each_kind_of_stranger_changes_nothing(kind: str) -> None:
    manifest = replace(
        a_manifest(
            Attack(at=3, strangers=("they",), slots=20),
            asserts=(Agree(), Stays(), Slots(since=3, until=25, percent=90), Synced(at=24)),
        ),
        strangers=(Strangers(name="they", kind=kind, count=3),),
    )
    assert failing(manifest) == {}


def test_what_is_asserted_wrongly_fails_in_a_run() -> None:
    # given two of four validators that die, and assertions that this contradicts
    wrong: tuple[Assertion, ...] = (
        Slots(since=8, until=25, percent=90),
        Lag(since=8, until=25, blocks=2),
        Stalls(since=0, until=8),
        Mute(at=6, nodes=("ann",)),
        Speaks(since=10, until=25, nodes=("dag",)),
        Recorded(since=8, until=20),
        Seats(at=5, nodes=("ann", "bob", "cem", "eve")),
    )
    manifest = replace(
        a_manifest(Kill(at=8, nodes=("cem", "dag")), asserts=(Agree(), Stays(), *wrong)),
        observers=(Observer(name="eve"),),
    )
    # then these fail, and nothing else
    assert failing(manifest).keys() == {each.word for each in wrong}


def test_a_node_that_is_far_behind_is_not_synced() -> None:
    manifest = a_manifest(asserts=(Synced(at=2, within=0), Synced(at=24)))
    manifest = replace(manifest, observers=(Observer(name="eve", late=True),))
    assert failing(manifest).keys() == {"synced"}


def test_two_chains_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    # given nodes for which half of the votes is enough, and two halves that do not hear each other
    monkeypatch.setattr(
        "chain.consensus.electorate.ValidatorSet.__post_init__", lambda one: object.__setattr__(one, "threshold", 2)
    )
    manifest = a_manifest(Cut(at=5, name="river", nodes=("ann", "bob")), asserts=(Agree(),))
    record = run_manifest(manifest, quiet)
    # then the run itself is at fault
    assert "finalized another block" in record.fault
    (verdict,) = judge(manifest, record)
    assert not verdict.holds


def test_the_command_tells_what_was_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.toml"
    text = (
        'title = "t"\nslots = 8\n[[validators]]\nname = "ann"\n[[events]]\nat = 0\ndo = "load"\nper_slot = 1\n'
        '[[asserts]]\nthat = "agree"\n[[asserts]]\nthat = "stalls"\n'
    )
    path.write_text(text, encoding="utf-8")
    assert exit_code(simulate.main, ["--manifest", str(path), "--json"]) == EXIT_WRONG
    report = json.loads(capsys.readouterr().out)
    assert [(row["that"], row["holds"]) for row in report["asserts"]] == [("agree", True), ("stalls", False)]
    assert exit_code(simulate.main, ["--manifest", str(path)]) == EXIT_WRONG
    assert "ann made height" in capsys.readouterr().out
