"""The simulated networks behind scripts/docs/propagation.md, in small."""

from __future__ import annotations

from p2p.local.startup import EXIT_MISTAKE

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from chain.base.errors import OperatorError
from chain.protocol.events import SigningState
from scripts import propagation
from scripts.propagation_parts import plans
from scripts.propagation_parts.delays import Delays
from scripts.propagation_parts.experiment import Experiment, Figures, Setup, run_all, run_experiment
from scripts.propagation_parts.gossip import Wire
from scripts.propagation_parts.mesh import build_mesh
from scripts.propagation_parts.report import fill
from scripts.propagation_parts.scoreboard import percentile
from scripts.simulation.disk import Disk
from tests.support.commands import exit_code

SMALL = Setup(nodes=10, validators=4, degree=6, slot_ms=1_000, slots=20)


def without_cpu(figures: Figures) -> Figures:
    return replace(figures, cpu_ms=0)


# ------------------------------------------------------------------------------------------------- what goes in


def test_there_is_a_delay_from_each_region_to_each_and_it_is_the_same_both_ways() -> None:
    delays = Delays()
    assert len(delays.regions) == len(set(delays.regions)) == 12
    for one in delays.regions:
        for two in delays.regions:
            delay_us = delays.one_way_us(one, two)
            assert delay_us == delays.one_way_us(two, one)
            assert 1_000 <= delay_us < 200_000
            assert (delay_us == 1_000) == (one == two)
    assert delays.one_way_us("East US", "UK South") == 39_250  # of 78 ms and 79 ms there and back


@pytest.mark.parametrize(("nodes", "degree"), [(4, 6), (10, 8), (100, 7), (300, 12)])
def test_a_mesh_is_connected_and_mutual_and_holds_its_degree(nodes: int, degree: int) -> None:
    mesh = build_mesh(nodes, degree, Random(nodes))
    for node, peers in enumerate(mesh):
        assert len(peers) == len(set(peers)) <= degree
        assert node not in peers
        assert all(node in mesh[peer] for peer in peers)
    wanted = nodes * min(degree, nodes - 1)
    assert 0.9 * wanted <= sum(map(len, mesh)) <= wanted
    reached = {0}
    while (wider := reached | {peer for node in reached for peer in mesh[node]}) != reached:
        reached = wider
    assert len(reached) == nodes


def test_a_line_and_a_core_do_one_thing_after_the_other() -> None:
    wire = Wire(Experiment(SMALL, 0).world.nodes[0], "East US", upload_mbps=8)
    assert wire.depart_us(0, 1_000) == 1_000  # a byte a µs
    assert wire.depart_us(500, 1_000) == 2_000
    assert wire.depart_us(5_000, 1_000) == 6_000
    assert wire.work_us(0, 300) == 300
    assert wire.work_us(100, 300) == 600


# ------------------------------------------------------------------------------------------------ what comes out


def test_the_same_seed_gives_the_same_figures_in_any_number_of_processes() -> None:
    tasks = [(SMALL, 1), (SMALL, 2)]
    alone, others = ([without_cpu(figures) for figures in run_all(tasks, processes)] for processes in (1, 2))
    assert alone == others
    assert alone[0].history != alone[1].history


def test_shared_votes_are_the_votes_that_each_engine_counts_alone() -> None:
    shared, alone = Experiment(SMALL, 3), Experiment(SMALL, 3)
    for node in alone.world.nodes:
        node.disk = Disk(alone.world.genesis, SigningState())
        node.disk.write_ms = shared.world.nodes[0].disk.write_ms
    assert without_cpu(shared.run()) == without_cpu(alone.run())


def test_with_room_in_a_slot_each_validator_makes_each_of_its_blocks_and_none_is_lost() -> None:
    experiment = Experiment(SMALL, 4)
    figures = experiment.run()
    first = SMALL.first_slot
    made = Counter(header.proposer for header in experiment.board.made if first <= header.slot < first + SMALL.slots)
    assert made == Counter({key: SMALL.slots // 4 for key, _ in experiment.world.genesis.validators})
    assert (figures.blocks, figures.orphans, figures.reorgs) == (SMALL.slots, 0, 0)
    assert percentile(figures.finality_blocks, 50) == percentile(figures.finality_blocks, 95) == 2


def test_a_block_reaches_every_other_node_and_none_before_light_could() -> None:
    experiment = Experiment(SMALL, 5)
    figures = experiment.run()
    shortest_us = min(way_us for wire in experiment.network.wires.values() for _, way_us in wire.links)
    assert min(figures.to_all) * 1_000 > shortest_us
    # the last block or two may still be on their way
    assert (figures.published - 2) * 9 < figures.to_all.total() <= figures.published * 9
    assert (figures.published - 2) * 3 < figures.to_validators.total() <= figures.published * 3
    assert figures.block_messages - figures.block_duplicates == pytest.approx(figures.published * 9, abs=2 * 9)


def test_slots_shorter_than_the_propagation_lose_blocks_and_more_the_shorter_they_are() -> None:
    shares = []
    for slot_ms in (1_000, 125, 60):
        figures = run_experiment((replace(SMALL, slot_ms=slot_ms, slots=60), 6))
        slowest_ms = percentile(figures.to_validators, 99)
        assert slowest_ms is not None
        assert (slowest_ms > slot_ms) == (figures.orphans > 0)
        shares.append(figures.orphans / figures.blocks)
    assert shares == sorted(shares)
    assert shares[1] < shares[2]


def test_more_mesh_peers_mean_more_copies() -> None:
    few, many = (run_experiment((replace(SMALL, nodes=30, degree=degree, slots=10), 7)) for degree in (6, 12))
    assert many.block_duplicates > 1.5 * few.block_duplicates
    assert many.block_bytes > 1.5 * few.block_bytes


def test_a_percentile_is_a_value_that_was_seen() -> None:
    counts = Counter({10: 50, 20: 45, 30: 4, 1_000: 1})
    assert [percentile(counts, percent) for percent in (1, 50, 51, 95, 96, 99, 100)] == [10, 10, 20, 20, 30, 30, 1_000]
    assert percentile(Counter(), 50) is None


# ---------------------------------------------------------------------------------------------------- the report


def test_the_tables_in_the_docs_are_those_of_the_figures_beside_them() -> None:
    document = (propagation.DOCS / "propagation.md").read_text(encoding="utf-8")
    rows = plans.load(propagation.DOCS / "propagation.json")
    assert fill(document, rows) == document
    planned = {(s.nodes, s.validators, s.degree, s.slot_ms, seeds) for s, seeds in plans.full_plan()}
    assert {(r.nodes, r.validators, r.degree, r.slot_ms, r.runs) for r in rows} == planned


def test_a_document_without_a_place_for_the_tables_is_a_mistake() -> None:
    rows = plans.load(propagation.DOCS / "propagation.json")
    with pytest.raises(OperatorError, match="no place for the table of slots"):
        fill("# Nothing here\n", rows)


def test_a_quick_run_writes_figures_tables_and_the_picture_and_draws_it_again_to_the_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(
        plans, "quick_plan", lambda slots: [(replace(SMALL, slots=8), 1), (replace(SMALL, degree=4), 1)]
    )
    assert exit_code(propagation.main, ["--quick", "--processes", "1", "--out", str(tmp_path)]) == 0
    assert len(json.loads((tmp_path / "propagation.json").read_text())) == 2
    assert "| 10 / 4 | 1,000 | 8 of 8 | 0.0 % |" in (tmp_path / "propagation.md").read_text()
    picture = (tmp_path / "propagation.svg").read_bytes()
    assert exit_code(propagation.main, ["--draw-only", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "propagation.svg").read_bytes() == picture


def test_drawing_without_figures_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    assert exit_code(propagation.main, ["--draw-only", "--out", str(tmp_path)]) == EXIT_MISTAKE
    assert "run without --draw-only" in capsys.readouterr().err
