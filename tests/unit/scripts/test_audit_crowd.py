"""A crowd of Sybils under the register's own rules, small: what it can do, and what receipts take from it."""

from __future__ import annotations

import pandas as pd
import pytest

from chain.base.errors import Reason
from scripts.audit_parts.crowd import OPEN, RECEIPT, Crowd, Setting, first_of, measure_crowd, play
from scripts.audit_parts.frames import read_csv
from scripts.replay import SAMPLE

DEALINGS = Setting(RECEIPT, 60, dealings=100)


@pytest.fixture(scope="module")
def few() -> pd.DataFrame:
    """The first ratings of the sample: some hundred members."""
    return read_csv(SAMPLE).head(700)


@pytest.fixture(scope="module")
def rows(few: pd.DataFrame) -> dict[Setting, dict[str, object]]:
    """The measure of each setting."""
    settings = (
        Setting(OPEN, 60),
        Setting(RECEIPT, 60),
        DEALINGS,
        Setting(RECEIPT, 60, withheld=True),
    )
    measured = measure_crowd(few, settings, top=20)
    return {
        setting: {str(name): value for name, value in row.items()}
        for setting, row in zip(settings, measured.to_dict("records"), strict=True)
    }


def test_under_open_a_crowd_moves_the_top_and_takes_the_first_places(rows: dict[Setting, dict[str, float]]) -> None:
    row = rows[Setting(OPEN, 60)]
    assert row["kept"] == 100
    assert row["moved"] > 20
    assert row["crowd_first"] > 10


def test_under_receipt_the_honest_keep_their_voice_and_their_places(rows: dict[Setting, dict[str, float]]) -> None:
    row = rows[Setting(RECEIPT, 60)]
    assert row["kept"] >= 95
    assert row["moved"] < 5
    assert row["accepted"] < row["tried"]


def test_honest_dealings_are_what_a_slander_costs(rows: dict[Setting, dict[str, float]]) -> None:
    paid, free = rows[DEALINGS], rows[Setting(RECEIPT, 60)]
    assert paid["moved"] > free["moved"]
    assert 0 < paid["accepted"] - free["accepted"] <= 100


def test_a_member_that_signs_nothing_is_not_spoken_of(rows: dict[Setting, dict[str, float]]) -> None:
    assert rows[Setting(RECEIPT, 60, withheld=True)]["kept"] < 100


def test_the_state_machine_itself_refuses(few: pd.DataFrame) -> None:
    crowd = Crowd(few, Setting(RECEIPT, 60))
    refused = play(crowd).refused
    assert refused[Reason.NO_RECEIPT] > 0
    assert refused[Reason.BAD_SIGNATURE] > 0
    assert crowd.tried - crowd.accepted == refused.total()


def test_scores_without_a_crowd_are_the_sums_of_the_ratings(few: pd.DataFrame) -> None:
    crowd = Crowd(few, Setting(OPEN, 0))
    scores = play(crowd).scores([*crowd.honest, *crowd.masters])
    assert scores == {who: crowd.points.get(who, 0) for who in scores}
    assert len(scores) == few[["rater", "subject"]].stack().nunique()


def test_equal_scores_are_ordered_by_nothing_that_anybody_chose() -> None:
    assert first_of({"a": 1, "b": 2, "c": 1}, 1) == ["b"]
    assert set(first_of({"a": 1, "b": 2, "c": 1}, 2)) > {"b"}
