"""How fair members rate, and how good they are once the unfair count less.

Fairness and goodness: S. Kumar, F. Spezzano, V. S. Subrahmanian, C. Faloutsos, "Edge Weight Prediction in Weighted
Signed Networks", ICDM 2016.  REV2: S. Kumar, B. Hooi, D. Makhija, M. Kumar, C. Faloutsos, V. S. Subrahmanian,
"REV2: Fraudulent User Prediction in Rating Platforms", WSDM 2018; here without its terms for behaviour in time.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scripts.audit_parts.frames import Edges, Floats

# Both converge geometrically; the papers need far fewer rounds.
_MAX_ROUNDS = 200
_TOLERANCE = 1e-6


def scaled(edges: Edges) -> Edges:
    """The same edges with points from -1 to 1, as the papers have them."""
    return replace(edges, points=edges.points / max(1.0, float(np.abs(edges.points).max(initial=1))))


def fairness_goodness(edges: Edges, goodness: Floats | None = None) -> tuple[Floats, Floats]:
    """Fairness (0 to 1) and goodness (-1 to 1) of every member; ``edges`` are :func:`scaled`.

    ``goodness`` is where to start from.
    """
    if goodness is None:
        goodness = edges.means(edges.subject, edges.points, 0.0)
    fairness = np.ones(edges.count)
    for _ in range(_MAX_ROUNDS):
        gap = np.abs(edges.points - goodness[edges.subject]) / 2
        fairness = 1 - edges.means(edges.rater, gap, 0.0)
        after = edges.means(edges.subject, fairness[edges.rater] * edges.points, 0.0)
        done = float(np.abs(after - goodness).max(initial=0)) < _TOLERANCE
        goodness = after
        if done:
            break
    return fairness, goodness


def rev2_fairness(edges: Edges, prior_raters: float, prior_subjects: float, own: float, gap: float) -> Floats:
    """REV2's fairness of every member; ``edges`` are :func:`scaled`.

    The priors weigh the median fairness and goodness as that many more ratings (the paper's alpha1 and beta1);
    ``own`` and ``gap`` weigh the rater's fairness and the distance to the goodness in a rating's reliability
    (gamma1 and gamma2).
    """
    fairness = np.ones(edges.count)
    goodness = edges.means(edges.subject, edges.points, 0.0)
    reliability = np.ones(len(edges.points))
    given, received = edges.sums(edges.rater), edges.sums(edges.subject)
    rates, is_rated = given > 0, received > 0
    for _ in range(_MAX_ROUNDS):
        total = edges.sums(edges.subject, reliability * edges.points) + prior_subjects * np.median(goodness[is_rated])
        goodness = total / np.maximum(received + prior_subjects, 1)
        near = 1 - np.abs(edges.points - goodness[edges.subject]) / 2
        reliability = (own * fairness[edges.rater] + gap * near) / (own + gap)
        total = edges.sums(edges.rater, reliability) + prior_raters * np.median(fairness[rates])
        after = total / np.maximum(given + prior_raters, 1)
        done = float(np.abs(after - fairness).max(initial=0)) < _TOLERANCE
        fairness = after
        if done:
            break
    return fairness


def leave_one_out(edges: Edges, chosen: np.ndarray) -> tuple[Floats, Floats]:
    """What fairness times goodness predicts for each ``chosen`` edge from all the others, and its true points."""
    _, start = fairness_goodness(edges)
    predicted = np.empty(len(chosen))
    for place, at in enumerate(chosen):
        others = edges.keep(np.arange(len(edges.points)) != at)
        fairness, goodness = fairness_goodness(others, start)
        predicted[place] = fairness[edges.rater[at]] * goodness[edges.subject[at]]
    return predicted, edges.points[chosen]
