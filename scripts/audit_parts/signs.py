"""Foretelling whether a rating will be negative, judged by what came later; no score ever depends on it.

Each of the last four tenths of the ratings is foretold from what came before it: a model learns from all but the last
tenth before, its probabilities are set right on that last tenth (J. Platt, "Probabilistic Outputs for Support Vector
Machines", 1999), and only then it sees the tenth it is judged by.  The same models on a random order of the ratings,
where the past holds the future, show how much that flatters.

One thread, fixed seeds and a fixed order: the same data and versions give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import svds
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from chain.base.errors import OperatorError
from scripts.audit_parts.frames import Floats, Ints
from scripts.audit_parts.past import FEATURES, HABIT, REPUTATION, features

FOLDS = (0.6, 0.7, 0.8, 0.9)
TENTH = 0.1
COVERAGES = (1.0, 0.95, 0.9, 0.75, 0.5, 0.25)
LEAST = 1_000
_BINS = 10
_RANK = 8
_SEED = 1_000
_EDGE = 1e-6
_Truth = NDArray[np.bool_]


@dataclass(frozen=True)
class Ratings:
    """Ratings as arrays, in an order that is taken for time's; ``table`` holds their features."""

    rater: Ints
    subject: Ints
    points: Floats
    time: Floats
    members: int
    table: Floats

    @property
    def negative(self) -> _Truth:
        """What is to be foretold."""
        return np.asarray(self.points < 0)

    def __len__(self) -> int:
        return len(self.points)


def ratings_in_time(frame: pd.DataFrame) -> Ratings:
    """The ratings of a file in the order of time.  Raises :class:`OperatorError` where they are too few to judge."""
    if len(frame) < LEAST:
        raise OperatorError(f"{len(frame):,} ratings are too few to foretell signs; give {LEAST:,}")
    ordered = frame.sort_values("time", kind="stable", ignore_index=True)
    names = pd.Index(pd.unique(ordered[["rater", "subject"]].to_numpy().ravel()))
    rater, subject = (names.get_indexer(pd.Index(ordered[side])).astype(np.int64) for side in ("rater", "subject"))
    points, time = (ordered[name].to_numpy(np.float64) for name in ("points", "time"))
    if any(len(set(points[part] < 0)) < 2 for fold in folds(len(points)) for part in fold):
        raise OperatorError("some tenth of these ratings has none that is negative, or no other; give more of them")
    return Ratings(rater, subject, points, time, len(names), features(rater, subject, points, time))


def shuffled(ratings: Ratings) -> Ratings:
    """The same in a random order, as a random split has it: what came later is known before."""
    order = np.random.default_rng(_SEED).permutation(len(ratings))
    rater, subject, points = ratings.rater[order], ratings.subject[order], ratings.points[order]
    time = np.arange(len(order), dtype=np.float64)
    return replace(
        ratings, rater=rater, subject=subject, points=points, time=time, table=features(rater, subject, points, time)
    )


# ------------------------------------------------------------------------------------------------------- models

Fold = tuple[slice, slice, slice]
"""What is learned from, set right on, and judged by."""


def folds(count: int) -> Iterator[Fold]:
    """One after the other in time."""
    for cut in FOLDS:
        learn, set_right, end = (round(count * share) for share in (cut - TENTH, cut, cut + TENTH))
        yield slice(0, learn), slice(learn, set_right), slice(set_right, end)


def base_rate(ratings: Ratings, fold: Fold) -> Floats:
    """The share of negative ratings so far, for everybody."""
    _, set_right, judge = fold
    share = float(ratings.negative[: set_right.stop].mean())
    return np.full(judge.stop - judge.start, share)


def reputation(ratings: Ratings, fold: Fold) -> Floats:
    """What the subject was rated so far, and nothing else."""
    alone = ratings.table[:, [FEATURES.index(REPUTATION)]]
    return _learned(LogisticRegression(), replace(ratings, table=alone), fold)


def logistic(ratings: Ratings, fold: Fold) -> Floats:
    """Logistic regression on the features."""
    return _learned(make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000)), ratings, fold)


def boosted(ratings: Ratings, fold: Fold) -> Floats:
    """Gradient-boosted trees on the features."""
    model = HistGradientBoostingClassifier(
        max_iter=150, learning_rate=0.05, max_leaf_nodes=15, l2_regularization=1.0, early_stopping=False,
        random_state=_SEED,
    )  # fmt: skip
    return _learned(model, ratings, fold)


def spectral(ratings: Ratings, fold: Fold) -> Floats:
    """A signed spectral embedding: the largest singular vectors of the signed graph so far, and nothing else.

    The graph is scaled by the roots of its degrees, as in J. Kunegis et al., "Spectral Analysis of Signed Graphs",
    SDM 2010.  What is learned is how much each pair of vectors counts, on ratings that the graph does not hold.
    """
    learn, set_right, judge = fold
    signs = np.sign(ratings.points[learn])
    shape = (ratings.members, ratings.members)
    graph = sparse.csr_array((signs, (ratings.rater[learn], ratings.subject[learn])), shape=shape)
    out, into = (np.sqrt(np.maximum(np.asarray(abs(graph).sum(axis=axis)).ravel(), 1)) for axis in (1, 0))
    scaled = sparse.csr_array(sparse.diags_array(1 / out) @ graph @ sparse.diags_array(1 / into))
    start = np.random.default_rng(_SEED).standard_normal(ratings.members)
    left, values, right = svds(scaled, k=min(_RANK, ratings.members - 1), v0=start)

    def products(part: slice) -> Floats:
        return np.asarray(left[ratings.rater[part]] * values * right.T[ratings.subject[part]])

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000))
    model.fit(products(set_right), ratings.negative[set_right])
    return np.asarray(model.predict_proba(products(judge))[:, 1])


def _learned(model: Any, ratings: Ratings, fold: Fold) -> Floats:
    learn, set_right, judge = fold
    model.fit(ratings.table[learn], ratings.negative[learn])

    def logit(part: slice) -> Floats:
        told = np.clip(model.predict_proba(ratings.table[part])[:, 1], _EDGE, 1 - _EDGE)
        return np.asarray(np.log(told / (1 - told)))[:, None]

    right = LogisticRegression(C=1e6).fit(logit(set_right), ratings.negative[set_right])
    return np.asarray(right.predict_proba(logit(judge))[:, 1])


MODELS: dict[str, Callable[[Ratings, Fold], Floats]] = {
    "base rate": base_rate,
    "spectral embedding": spectral,
    "mean so far": reputation,
    "logistic regression": logistic,
    "boosted trees": boosted,
}
# Whose calibration and abstention are shown.
SHOWN = "boosted trees"


class Told(NamedTuple):
    """The probabilities of a negative rating, what came, and whether the rater had given no negative one before."""

    told: Floats
    came: _Truth
    is_first: _Truth


def foretold(ratings: Ratings, model: str) -> list[Told]:
    """What a model tells of each fold."""
    no_habit = ratings.table[:, FEATURES.index(HABIT)] == 0
    with threadpool_limits(1):
        return [
            Told(MODELS[model](ratings, fold), ratings.negative[fold[2]], no_habit[fold[2]])
            for fold in folds(len(ratings))
        ]


# ------------------------------------------------------------------------------------------------------ judging


def calibration_error(told: Floats, came: _Truth) -> float:
    """The expected calibration error: how far what was told is from what came, a mean over all that was told."""
    return sum(size * abs(mean - share) for mean, share, size in reliability(told, came)) / len(told)


def reliability(told: Floats, came: _Truth) -> Iterator[tuple[float, float, int]]:
    """For each tenth of probability that was told: its mean, the share that came, and how many they are."""
    bins = np.minimum((told * _BINS).astype(np.int64), _BINS - 1)
    for one in np.unique(bins):
        part = bins == one
        yield float(told[part].mean()), float(came[part].mean()), int(part.sum())


def measure_signs(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Tables: every model by time, beside a random order; calibration and abstention of the best."""
    ratings = ratings_in_time(frame)
    mixed = shuffled(ratings)
    rows = []
    for name in MODELS:
        rows.append((name, "time", *_judge(foretold(ratings, name))))
        rows.append((name, "random", *_judge(foretold(mixed, name))))
    columns = ["model", "order", "negative", "auc", "of tenths", "no habit", "precision", "brier", "ece", "accuracy"]
    told, came, _ = (np.concatenate(parts) for parts in zip(*foretold(ratings, SHOWN), strict=True))
    reliable = pd.DataFrame(reliability(told, came), columns=["told", "came", "ratings"])
    return {
        "Foretelling negative ratings": pd.DataFrame(rows, columns=columns),
        f"Reliability of {SHOWN}, in the order of time": reliable,
        f"Abstention of {SHOWN}, in the order of time": abstention(told, came),
    }


def _judge(parts: list[Told]) -> tuple[object, ...]:
    told, came, _ = (np.concatenate(sides) for sides in zip(*parts, strict=True))
    aucs = [_auc(part.told, part.came) for part in parts]
    firsts = [_auc(part.told[part.is_first], part.came[part.is_first]) for part in parts]
    return (
        float(came.mean()),
        float(np.mean(aucs)),
        f"{min(aucs):.3f} to {max(aucs):.3f}",
        float(np.nanmean(firsts)),
        float(average_precision_score(came, told)),
        float(brier_score_loss(came, told)),
        calibration_error(told, came),
        float(((told >= 0.5) == came).mean()),
    )


def _auc(told: Floats, came: _Truth) -> float:
    """NaN where all that came is of one kind."""
    return float(roc_auc_score(came, told)) if len(set(came)) == 2 else float("nan")


def abstention(told: Floats, came: _Truth) -> pd.DataFrame:
    """How right the surest answers are, beside those of who always says "positive" of the same ratings."""
    surest = np.argsort(-np.abs(told - 0.5), kind="stable")
    rows = []
    for coverage in COVERAGES:
        kept = surest[: max(1, round(coverage * len(surest)))]
        right = (told[kept] >= 0.5) == came[kept]
        found = int((came[kept] & (told[kept] >= 0.5)).sum())
        rows.append((coverage, float(right.mean()), float((~came[kept]).mean()), found, int(came[kept].sum())))
    columns = ["coverage", "accuracy", "accuracy_of_always_positive", "negative_found", "negative"]
    return pd.DataFrame(rows, columns=columns)
