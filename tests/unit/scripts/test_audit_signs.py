"""Foretelling the sign of a rating: from the past alone, the same again, and judged rightly."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from chain.base.errors import OperatorError
from scripts.audit_parts.frames import RATING_TYPES, empty, read_csv
from scripts.audit_parts.past import FEATURES, HABIT, features
from scripts.audit_parts.planted import merged
from scripts.audit_parts.report import rows
from scripts.audit_parts.signs import (
    MODELS,
    abstention,
    calibration_error,
    folds,
    foretold,
    measure_signs,
    ratings_in_time,
    shuffled,
)
from scripts.replay import SAMPLE


def made(seed: int = 1, count: int = 1_200) -> pd.DataFrame:
    """Sixty members, of whom a fifth is mostly rated badly."""
    rng = np.random.default_rng(seed)
    sides = [rng.permutation(60)[:2] for _ in range(count)]
    chance = [0.85 if subject < 12 else 0.05 for _, subject in sides]
    points = np.where(rng.random(count) < chance, -3, 2)
    listed = [
        (str(a), str(b), int(given), float(at)) for at, ((a, b), given) in enumerate(zip(sides, points, strict=True))
    ]
    return merged(empty(RATING_TYPES), listed)


@pytest.fixture(scope="module")
def measured() -> dict[str, pd.DataFrame]:
    return measure_signs(made())


def arrays(ratings: pd.DataFrame) -> tuple[np.ndarray, ...]:
    found = ratings_in_time(ratings)
    return found.rater, found.subject, found.points, found.time


def test_features_do_not_know_what_comes_later() -> None:
    rater, subject, points, time = arrays(made())
    table = features(rater, subject, points, time)
    changed = points.copy()
    changed[600:] *= -1
    np.testing.assert_array_equal(features(rater, subject, changed, time)[:601], table[:601])
    assert (features(rater, subject, changed, time)[601:] != table[601:]).any()


def test_ratings_of_one_moment_do_not_know_of_each_other() -> None:
    one = np.array([0, 0, 0]), np.array([1, 2, 1]), np.array([-5.0, -5.0, 3.0])
    table = features(*one, np.array([7.0, 7.0, 8.0]))
    habit = table[:, FEATURES.index(HABIT)]
    assert habit.tolist() == [0, 0, pytest.approx(2 / 3)]


def test_every_part_is_judged_by_what_came_after_all_that_was_learned() -> None:
    for learn, set_right, judge in folds(1_000):
        assert learn.stop == set_right.start < set_right.stop == judge.start < judge.stop
    assert [judge.start for *_, judge in folds(1_000)] == [600, 700, 800, 900]


def test_who_was_rated_badly_is_foretold_better_than_by_the_base_rate(measured: dict[str, pd.DataFrame]) -> None:
    table = measured["Foretelling negative ratings"].to_dict("records")
    judged = {row["model"]: row for row in table if row["order"] == "time"}
    assert judged["base rate"]["auc"] == 0.5
    for model in ("logistic regression", "boosted trees"):
        assert judged[model]["auc"] > 0.75
        assert judged[model]["brier"] < judged["base rate"]["brier"]


def test_the_same_ratings_give_the_same_bytes(measured: dict[str, pd.DataFrame]) -> None:
    again = measure_signs(made())
    texts = [json.dumps({name: rows(frame) for name, frame in one.items()}) for one in (measured, again)]
    assert texts[0] == texts[1]


def test_a_random_order_is_the_same_ratings() -> None:
    ratings = ratings_in_time(made())
    mixed = shuffled(ratings)
    said = [sorted(zip(one.rater, one.subject, one.points, strict=True)) for one in (mixed, ratings)]
    assert said[0] == said[1]
    assert (mixed.rater != ratings.rater).any()


@pytest.mark.parametrize("model", MODELS)
def test_every_model_tells_probabilities(model: str) -> None:
    for told, came, _ in foretold(ratings_in_time(made()), model):
        assert len(told) == len(came)
        assert ((told >= 0) & (told <= 1)).all()


def test_calibration_is_how_far_what_was_told_is_from_what_came() -> None:
    came = np.array([True] * 2 + [False] * 8)
    assert calibration_error(np.full(10, 0.2), came) == pytest.approx(0)
    assert calibration_error(np.full(10, 0.9), came) == pytest.approx(0.7)
    assert calibration_error(np.where(came, 1.0, 0.0), came) == 0


def test_who_answers_only_when_sure_is_more_often_right() -> None:
    told = np.array([0.01, 0.02, 0.45, 0.55])
    came = np.array([False, False, True, False])
    by_coverage = {row["coverage"]: row for row in abstention(told, came).to_dict("records")}
    assert (by_coverage[1.0]["accuracy"], by_coverage[0.5]["accuracy"]) == (0.5, 1.0)
    assert by_coverage[1.0]["negative"] == 1


def test_too_few_ratings_or_none_that_is_negative_are_refused() -> None:
    with pytest.raises(OperatorError, match="too few"):
        ratings_in_time(made(count=300))
    with pytest.raises(OperatorError, match="negative"):
        ratings_in_time(made().assign(points=3))


def test_the_sample_is_too_early_for_signs() -> None:
    with pytest.raises(OperatorError, match="negative"):
        ratings_in_time(read_csv(SAMPLE))
