"""The Bitcoin OTC data against what others published about it.

Labels: the rule of Kumar et al. (REV2, WSDM 2018) follows from the ratings alone.  Trusted are the platform's founder
and those the founder rated 5 or more; benign are the trusted and those they rated 5 or more, fraudulent those they
rated -5 or less.  Members who are both are left out here.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score

from chain.base.errors import OperatorError
from scripts.audit_parts.fairness import fairness_goodness, leave_one_out, rev2_fairness, scaled
from scripts.audit_parts.frames import Edges, edges_of
from scripts.audit_parts.rings import find_rings
from scripts.audit_parts.trust import DEFAULT_SEEDS, eigentrust, plain_points

# The member number of the platform's founder in the Bitcoin OTC data.
FOUNDER = "1"
_STRONG = 5
OTC = "Bitcoin OTC"
# By the SHA-256 of who rated whom with how many points, a line each, sorted.
_DATA_SETS = {
    "4730b4dfd386f8fc1ea9cf12de66f53ccb89408fd7f3cb2884e94afcc0c167d4": OTC,
    "badb9453a8160e84793098a4cc150433fd5846b5397a3252d0225edf21ec379a": "Bitcoin Alpha",
}
# REV2 combines the scores of many settings (alpha1, beta1, gamma1, gamma2) in a random forest; these are a few.
_SETTINGS = (
    (0, 0, 1, 1),
    (1, 0, 1, 1),
    (2, 0, 1, 1),
    (0, 1, 1, 1),
    (1, 1, 1, 1),
    (0, 2, 0, 1),
    (0, 0, 0, 1),
    (2, 2, 1, 1),
)
_TREES = 500
_FOLDS = 10
_HELD_OUT_FOLDS = 5


class Figure(NamedTuple):
    """A measured figure beside a published one, if there is one."""

    what: str
    measured: str
    published: str
    remark: str


def trusted_by(ratings: pd.DataFrame, founder: str) -> set[str]:
    """The founder and those whom the founder trusts."""
    given = ratings[(ratings["rater"] == founder) & (ratings["points"] >= _STRONG)]
    return {founder, *given["subject"]}


def labels(ratings: pd.DataFrame, founder: str = FOUNDER) -> pd.Series:
    """For each labelled member whether it is fraudulent.  Raises :class:`OperatorError` if nobody is."""
    trusted = trusted_by(ratings, founder)
    theirs = ratings[ratings["rater"].isin(trusted)]
    benign = trusted | set(theirs.loc[theirs["points"] >= _STRONG, "subject"])
    rejected = set(theirs.loc[theirs["points"] <= -_STRONG, "subject"])
    if not rejected - benign:
        raise OperatorError("these ratings give no labels: --measure is for the Bitcoin OTC data or those of its form")
    found = {member: member in rejected for member in sorted(benign ^ rejected)}
    return pd.Series(found, dtype=bool)


def data_set(ratings: pd.DataFrame) -> str:
    """Which data these are, told by what they say; published figures are about the first of them."""
    said = ratings["rater"] + "," + ratings["subject"] + "," + ratings["points"].astype("str")
    digest = sha256("\n".join(sorted(said)).encode()).hexdigest()
    members = len(set(ratings["rater"]) | set(ratings["subject"]))
    return _DATA_SETS.get(digest, f"unknown data: {len(ratings):,} ratings, {members:,} members")


def measure_published(ratings: pd.DataFrame, every: int = 1) -> Iterator[Figure]:
    """Figures on data of the Bitcoin OTC form, beside those published about Bitcoin OTC itself and no other data.

    ``every`` how many edges one is left out.
    """
    name = data_set(ratings)
    yield Figure("data", name, "-", f"labels by the rule of [2], with member {FOUNDER} as the founder")
    for figure in _figures(ratings, every):
        yield figure if name == OTC else figure._replace(published="-")


def _figures(ratings: pd.DataFrame, every: int) -> Iterator[Figure]:
    edges = scaled(edges_of(ratings))
    known = labels(ratings)
    yield Figure(
        "labels: benign + fraudulent",
        f"{(~known).sum()} + {known.sum()}",
        "136 + 180 [2]",
        "the published set of Bitcoin OTC also has 4 members who were both praised and rejected",
    )
    yield from _from_ratings_given(edges, known)
    yield from _without_the_labelling(ratings, known)
    yield _rings_among_labelled(ratings, known)
    yield from _edge_weights(edges, every)


def _from_ratings_given(edges: Edges, known: pd.Series) -> Iterator[Figure]:
    """Who is fraudulent, from the ratings that members gave; the labels come from those they received."""
    given = edges.sums(edges.rater)
    at = edges.positions(known.index)
    rates = given[at] > 0
    at, fraud = at[rates], known.to_numpy()[rates]
    fairness, _ = fairness_goodness(edges)
    rated = f"{len(at)} labelled members who rated others, {fraud.sum()} of them fraudulent"
    auc, precision = roc_auc_score(fraud, -fairness[at]), average_precision_score(fraud, -fairness[at])
    yield Figure("fairness alone, unsupervised: AUC", f"{auc:.3f}", "-", rated)
    yield Figure("fairness alone, unsupervised: average precision", f"{precision:.3f}", "-", rated)
    mean = edges.means(edges.rater, edges.points, 0)
    spread = np.sqrt(np.maximum(0, edges.means(edges.rater, edges.points**2, 0) - mean**2))
    negative = edges.means(edges.rater, (edges.points < 0).astype(float), 0)
    scores = [fairness, *(rev2_fairness(edges, *setting) for setting in _SETTINGS)]
    table = np.column_stack([*scores, np.log1p(given), mean, spread, negative])[at]
    forest = RandomForestClassifier(_TREES, min_samples_leaf=2, random_state=0)
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    aucs = cross_val_score(forest, table, fraud, cv=folds, scoring="roc_auc")
    yield Figure(
        "REV2 scores and ratings given, random forest, 10-fold: mean AUC",
        f"{aucs.mean():.3f} ± {aucs.std():.3f}",
        "0.895 [3]",
        rated,
    )


def _without_the_labelling(ratings: pd.DataFrame, known: pd.Series) -> Iterator[Figure]:
    """Measures of trust once every rating by those whose ratings made the labels is gone."""
    others = edges_of(ratings[~ratings["rater"].isin(trusted_by(ratings, FOUNDER))])
    at = others.positions(known.index)
    fraud, at = known.to_numpy()[at >= 0], at[at >= 0]
    seeds = np.setdiff1d(np.arange(others.count), at)[:DEFAULT_SEEDS]
    remark = f"{len(at)} labelled members, without the ratings that made the labels"
    for name, trust in (
        ("plain score", plain_points(others)),
        ("goodness", fairness_goodness(scaled(others))[1]),
        (f"EigenTrust, {DEFAULT_SEEDS} earliest unlabelled seeds", eigentrust(others, seeds)),
    ):
        yield Figure(f"{name}: AUC", f"{roc_auc_score(fraud, -trust[at]):.3f}", "-", remark)


def _rings_among_labelled(ratings: pd.DataFrame, known: pd.Series) -> Figure:
    """How many labelled members of rings are fraudulent."""
    members = [member for ring in find_rings(ratings)["members"] for member in ring]
    hit = known.reindex(members).dropna().astype(bool)
    share = known.mean()
    p = stats.hypergeom.sf(hit.sum() - 1, len(known), known.sum(), len(hit))
    return Figure(
        "ring members who are labelled fraudulent",
        f"{hit.sum()} of {len(hit)}",
        f"{share:.0%} of all labelled",
        f"{len(members)} members of rings, others unlabelled; p = {p:.1g}",
    )


def _edge_weights(edges: Edges, every: int) -> Iterator[Figure]:
    """How well fairness times goodness foretells a rating, from -1 to 1."""
    predicted, actual = leave_one_out(edges, np.arange(0, len(edges.points), every))
    rmse, pcc = np.sqrt(np.mean((predicted - actual) ** 2)), np.corrcoef(predicted, actual)[0, 1]
    remark = f"fairness × goodness [1], {len(actual):,} ratings left out one by one"
    yield Figure("leave-one-out: RMSE", f"{rmse:.3f}", "-", remark)
    yield Figure("leave-one-out: Pearson correlation", f"{pcc:.3f}", "-", remark)
    errors = []
    for train, test in KFold(_HELD_OUT_FOLDS, shuffle=True, random_state=0).split(edges.points):
        fairness, goodness = fairness_goodness(edges.keep(train))
        guess = fairness[edges.rater[test]] * goodness[edges.subject[test]]
        errors.append(np.mean((guess - edges.points[test]) ** 2))
    yield Figure(
        "20 % held out: mean squared error",
        f"{np.mean(errors):.4f}",
        "0.1250, 0.1026, 0.0928 [4]",
        "fairness × goodness; published about Bitcoin OTC: ALS, a deep model, transformers, on a split of their own",
    )
