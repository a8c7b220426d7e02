"""Histories in which honest nodes write to SQLite's files, which are torn, damaged, restored and removed."""

from __future__ import annotations

from typing import get_args

import pytest

from scripts.simulation import plan
from scripts.simulation.acts import Damage
from scripts.simulation.history import History, run_history
from scripts.simulation.settings import Settings

SEEDS = 4  # beside those of scripts/check.py, of which one in ten is like these
SETTINGS = Settings(slots=100, disk="real", keep_timeline=True)


@pytest.mark.parametrize("seed", range(SEEDS), ids=lambda seed: f"seed{seed}")
def test_everything_holds_on_real_storage(seed: int) -> None:
    outcome = run_history(SETTINGS, seed)
    assert outcome.violation == ""
    assert outcome.final_height > 0
    assert set(outcome.culprits) <= set(outcome.villains)


def test_people_let_chains_go_on_that_real_disks_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    # given histories in which more disks than are tolerated are lost at once, nearly always
    monkeypatch.setattr(plan, "RUIN", 40)
    outcomes = [run_history(SETTINGS, seed) for seed in range(4)]
    # then homes sign restarts, and all holds, whatever happens to their files
    assert [outcome.violation for outcome in outcomes] == [""] * len(outcomes)
    assert any(outcome.facts["restarts"] for outcome in outcomes)


@pytest.mark.parametrize(
    ("seed", "slots"),
    [
        # A backup is put back, the next write is torn, then bits of the log are wrong: no number was ever written
        # beside that database, so nothing tells how old it is but what others show.
        pytest.param(1624, 24, id="no-count-beside-a-backup"),
        # A disk that lied leaves an index that disagrees with its table, about which blocks are of the main chain.
        pytest.param(1745, 85, id="an-index-of-another-moment"),
    ],
)
def test_damage_that_once_misled_the_judge(seed: int, slots: int) -> None:
    assert run_history(Settings(slots=slots, disk="real"), seed).violation == ""


def test_each_damage_happens_and_what_is_refused_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    # given machines whose disks suffer more often than not when they crash, and people who restore backups at any time
    for damage, share in plan.BROKEN.items():
        monkeypatch.setitem(plan.BROKEN, damage, 2 * share)
    monkeypatch.setattr(plan, "RESTORE", 10)
    # then a few histories see everything
    wanted = {*(f"its disk: {damage}" for damage in get_args(Damage)[1:])}
    wanted |= {"HOME/chain.db is missing", "HOME/chain.db is damaged", "lost its signing state"}
    for seed in range(100, 150):
        text = "\n".join(run_history(SETTINGS, seed).timeline)
        wanted = {words for words in wanted if words not in text}
        if not wanted:
            return
    pytest.fail(f"nobody sees {wanted}")


def test_the_same_seed_gives_the_same_history_on_the_same_files() -> None:
    first, second = run_history(SETTINGS, 3), run_history(SETTINGS, 3)
    assert first.timeline == second.timeline
    assert first.history == second.history


def test_nothing_is_left_behind() -> None:
    history = History(SETTINGS, 0)
    folder = history.world.homes
    assert folder is not None
    assert folder.is_dir()
    history.close()
    assert not folder.exists()
