"""What was known before a rating was made: its features come from ratings of earlier moments alone.

Counts, means and signs are the usual ones of J. Leskovec, D. Huttenlocher, J. Kleinberg, "Predicting Positive and
Negative Links in Online Social Networks", WWW 2010: what a member gave and received, what the other side said before,
and the paths of two ratings between the two.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from scripts.audit_parts.frames import Floats, Ints

HABIT = "rater: share of negative ones given"
REPUTATION = "subject: mean points received"
FEATURES = (
    "rater: log of ratings given",
    HABIT,
    "rater: mean points given",
    "rater: log of ratings received",
    "rater: mean points received",
    "subject: log of ratings received",
    "subject: share of negative ones received",
    REPUTATION,
    "subject: log of ratings given",
    "subject: share of negative ones given",
    "the subject rated the rater: points",
    "the subject rated the rater",
    "paths of two that agree",
    "paths of two that do not",
    "the rater rated the subject before: points",
)
_MOST_POINTS = 10


@dataclass
class _Tally:
    """How many ratings somebody gave, or received: their number, the negative ones, the sum of points."""

    count: int = 0
    negative: int = 0
    points: float = 0.0

    def add(self, points: float) -> None:
        self.count += 1
        self.negative += points < 0
        self.points += points / _MOST_POINTS

    @property
    def volume(self) -> float:
        return float(np.log1p(self.count))

    @property
    def mean(self) -> float:
        return self.points / (self.count + 1)

    @property
    def bad(self) -> float:
        return self.negative / (self.count + 1)


@dataclass
class _Past:
    """All ratings so far."""

    given: defaultdict[int, _Tally] = field(default_factory=lambda: defaultdict(_Tally))
    received: defaultdict[int, _Tally] = field(default_factory=lambda: defaultdict(_Tally))
    by: defaultdict[int, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    about: defaultdict[int, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))

    def add(self, rater: int, subject: int, points: float) -> None:
        self.given[rater].add(points)
        self.received[subject].add(points)
        self.by[rater][subject] = self.about[subject][rater] = points

    def row(self, rater: int, subject: int) -> tuple[float, ...]:
        gave, got = self.given[rater], self.received[rater]
        given, received = self.given[subject], self.received[subject]
        back = self.by[subject].get(rater)
        between = self.by[rater].keys() & self.about[subject].keys()
        agree = sum(self.by[rater][one] * self.about[subject][one] > 0 for one in between)
        return (
            gave.volume, gave.bad, gave.mean, got.volume, got.mean,
            received.volume, received.bad, received.mean, given.volume, given.bad,
            (back or 0.0) / _MOST_POINTS, float(back is not None),
            float(np.log1p(agree)), float(np.log1p(len(between) - agree)),
            self.by[rater].get(subject, 0.0) / _MOST_POINTS,
        )  # fmt: skip


def features(rater: Ints, subject: Ints, points: Floats, time: Floats) -> Floats:
    """One row for each rating, in the order of ``time``, in which they come; those of one moment see none of it."""
    past = _Past()
    table = np.zeros((len(points), len(FEATURES)))
    begin = 0
    for end in range(1, len(points) + 1):
        if end < len(points) and time[end] == time[begin]:
            continue
        moment = range(begin, end)
        for at in moment:
            table[at] = past.row(int(rater[at]), int(subject[at]))
        for at in moment:
            past.add(int(rater[at]), int(subject[at]), float(points[at]))
        begin = end
    return table
