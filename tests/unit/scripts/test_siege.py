"""What a siege measures, judged without one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from chain.base.errors import OperatorError
from p2p.local.config import HomeConfig, read_config
from scripts.manifest_parts.things import Line
from scripts.siege_parts.attacks import KEPT_SHARE, MAX_LAG, keeps_pace, slots_told
from scripts.siege_parts.field import Seen, middle, put_behind_fronts
from scripts.siege_parts.lines import SLOW, OneLine, over_the_line
from scripts.siege_parts.report import document
from scripts.siege_parts.rows import ROWS
from scripts.siege_parts.soak import is_flat
from scripts.siege_parts.verdicts import PATIENCE, Verdict, judged

WIDTH = 80


def test_every_row_has_a_name_of_its_own_and_room_beside_what_is_measured() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
    for row in ROWS:
        assert len(row.name) <= 14
        assert len(row.goal) <= 32


@pytest.mark.parametrize(
    ("seen", "is_enough"),
    [
        (Seen(50, 49, 2, 47, 100), True),
        (Seen(50, 48, 2, 46, 100), False),
        (Seen(50, 50, MAX_LAG + 1, 2, 100), False),
        (Seen(0, 0, 0, 0, 100), False),
    ],
    ids=["one lost", "two lost", "not final", "nothing seen"],
)
def test_slots_are_kept_and_become_final(seen: Seen, is_enough: bool) -> None:
    assert keeps_pace(seen, KEPT_SHARE) is is_enough
    assert f"{seen.kept} of {seen.slots}" in slots_told(seen)


def test_the_median_of_what_was_never_done_is_none() -> None:
    assert middle([1.0, None, 3.0]) == 3.0
    assert middle([None, None, 3.0]) is None


def test_who_is_behind_a_front_is_known_by_it_alone(tmp_path: Path) -> None:
    for name, port, other in (("a", 4001, 4002), ("b", 4002, 4001)):
        (tmp_path / name).mkdir()
        config = HomeConfig(listen=[f"/ip4/127.0.0.1/tcp/{port}"], peers=[f"/ip4/127.0.0.1/tcp/{other}/p2p/them"])
        (tmp_path / name / "config.toml").write_text(config.to_toml(), encoding="utf-8")
    ports = put_behind_fronts([tmp_path / "a", tmp_path / "b"])
    assert [behind for _, behind in ports.values()] == [4001, 4002]
    assert read_config(tmp_path / "a" / "config.toml").peers == [f"/ip4/127.0.0.1/tcp/{ports['b'][0]}/p2p/them"]


def test_a_node_on_a_slow_line_has_one_for_all_its_peers_and_others_have_none() -> None:
    links = OneLine(Line(kbit_s=600))
    down = links.way("node0", SLOW)
    assert links.way("node1", SLOW) is down
    assert links.way(SLOW, "node0") is links.way(SLOW, "node1")
    assert links.way(SLOW, "node0") is not down
    assert down.arrival_ms(0, 75_000) == 1_000
    assert links.way("node1", SLOW).arrival_ms(0, 75_000) == 2_000
    assert links.way("node0", "node1").arrival_ms(0, 75_000) == 0


def test_no_more_has_come_over_a_slow_line_than_it_carries_in_the_time() -> None:
    links = OneLine(Line(kbit_s=600))
    sent = [(7 * number % 500, (number % 4, 16_384 - 100 * number)) for number in range(120)]
    arrived = [(links.way(f"node{who}", SLOW).arrival_ms(now_ms, size), size) for now_ms, (who, size) in sorted(sent)]
    for until_ms, _ in arrived:
        assert sum(size for at_ms, size in arrived if at_ms <= until_ms) <= 75 * until_ms
    assert links.down.carried == sum(size for _, size in arrived)
    assert arrived[-1][0] == -(-links.down.carried // 75)  # and it was never idle


@pytest.mark.parametrize(
    ("took", "past", "is_enough"),
    [(100.0, 0, True), (100.0, -50_000, True), (100.0, 1, False), (200.0, 0, False), (None, 0, False)],
    ids=["in time", "with what carries it", "past the line", "too slow", "never"],
)
def test_a_chain_over_a_slow_line_came_over_it_and_in_time(took: float | None, past: int, is_enough: bool) -> None:
    assert over_the_line(6_000_000, took, past)[1] is is_enough


@pytest.mark.parametrize(
    ("sizes", "flat"),
    [
        ([1, 50, 99, 100, 100, 102, 101, 104], True),
        ([100, 100, 100, 100, 100, 100, 106, 100], False),
        ([100 + number for number in range(40)], False),
        ([100], False),
    ],
    ids=["fills and stays", "a peak at the end", "grows", "too short to tell"],
)
def test_memory_is_flat_that_does_not_grow_after_it_was_filled(sizes: list[int], flat: bool) -> None:
    assert is_flat(sizes) is flat


async def test_a_row_that_cannot_be_run_is_not_met() -> None:
    async def fail(_scale: float) -> tuple[str, bool]:
        raise OperatorError("no room; make some")

    verdict = await judged(replace(ROWS[0], run=fail), 1.0)
    assert (verdict.measured, verdict.is_met) == ("no room; make some", False)


async def test_a_row_that_breaks_off_or_hangs_is_not_met_and_the_next_one_comes(autojump_clock: MockClock) -> None:
    async def break_off(_scale: float) -> tuple[str, bool]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 1)
            raise ValueError("what nobody thought of")

    async def hang(_scale: float) -> tuple[str, bool]:
        await trio.sleep_forever()
        raise AssertionError

    assert (await judged(replace(ROWS[0], run=break_off), 1.0)).measured == (
        "broke off: ValueError('what nobody thought of')"
    )
    for is_long, seconds in ((False, PATIENCE * ROWS[0].seconds), (True, ROWS[0].seconds + 30)):
        verdict = await judged(replace(ROWS[0], run=hang, is_long=is_long), 30.0)
        assert (verdict.measured, verdict.is_met) == (f"not done after {seconds} s", False)


def test_the_page_has_each_row_with_the_load_beside_its_figure() -> None:
    verdict = Verdict("idle-33", "33 idle identities", "never connects", "connects within 10 s", False, 7.5, 40)
    assert document([verdict]).splitlines()[-1] == (
        "| 33 idle identities | never connects | connects within 10 s | **no** | 7.5 | `idle-33` |"
    )
