"""The ways in which attestations can travel, behind scripts/docs/attestations.md, in small."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scripts import propagation
from scripts.propagation_parts.attestations import RELAY, WAYS, WEATHERS, Journey, Travel, Way, Weather, study, table
from tests.support.commands import exit_code

DIRECT = next(way for way in WAYS if way.is_direct)
FINE = Weather()


def travel(nodes: int, way: Way, weather: Weather = FINE) -> Travel:
    return Journey(nodes, way, weather, seed=1).run(5)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
@pytest.mark.parametrize("nodes", [4, 13])
def test_without_faults_the_next_leader_hears_everybody_once(way: Way, nodes: int) -> None:
    seen = travel(nodes, way)
    assert seen.expected == 5 * (nodes - 2)  # all but who made the block, and the leader itself
    assert seen.at_leader_ms.total() == seen.travelled_ms.total() == seen.expected
    assert seen.share_percent(10_000) == 100


def test_the_same_seed_gives_the_same_figures() -> None:
    assert study((4,), 2) == study((4,), 2)


def test_what_the_ways_cost_stands_in_the_order_that_the_choice_rests_on() -> None:
    single, batched, direct, relay = (travel(31, way) for way in WAYS[:4])
    assert direct.cpu_us < relay.cpu_us < batched.cpu_us < single.cpu_us
    assert relay.copies < single.copies  # a neighbour is not sent what it sent
    assert relay.signatures_us == single.signatures_us


def test_a_longer_wait_is_fewer_frames_and_a_longer_way() -> None:
    short, long = (travel(31, replace(RELAY, wait_ms=wait_ms)) for wait_ms in (50, 150))
    assert long.frames < short.frames
    assert min(long.travelled_ms) > min(short.travelled_ms)


def test_what_is_lost_on_one_way_comes_on_another_hop_by_hop_and_not_straight() -> None:
    relay, direct = (travel(31, way, Weather(silent=10, lost=20)) for way in (RELAY, DIRECT))
    assert relay.share_percent(1_000) > 98 > direct.share_percent(1_000)


def test_a_quick_run_makes_the_table(tmp_path: Path) -> None:
    assert exit_code(propagation.main, ["--attestations", "--quick", "--out", str(tmp_path)]) == 0
    document = (tmp_path / propagation.ATTESTATIONS).read_text(encoding="utf-8")
    assert table(study((4, 7), 5)) in document
    assert document.count("hop by hop, 50 ms") == 3  # two lines, and what is built


def test_the_published_table_has_every_size_and_way() -> None:
    document = (propagation.DOCS / propagation.ATTESTATIONS).read_text(encoding="utf-8")
    for nodes in (4, 31, 100):
        for way in WAYS:
            assert f"| {nodes} | {way.name} |" in document
    assert all(f" {weather.silent} / {weather.lost} % " in document for weather in WEATHERS)
