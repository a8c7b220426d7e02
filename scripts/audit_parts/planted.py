"""What is hidden in data, from a seed, so that finding it can be measured: rings, Sybils and bad issuers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from scripts.audit_parts.frames import RATING_TYPES, RECORD_TYPES

DAY_S = 86_400
# ------------------------------------------------------------------------------------------------------- ratings


@dataclass(frozen=True)
class Ring:
    """A kind of ring.

    Of the ordered pairs of its members the share ``density`` rate one another, 5 to 10 points, within ``days``.  Each
    member also gives ``camouflage`` ratings of 1 to 3 points to popular members, one in six of which is returned,
    and receives ``duped`` ratings, a mean, from members outside.
    """

    name: str
    density: float
    camouflage: int
    duped: float
    days: int


RINGS = (
    Ring("open", density=1.0, camouflage=0, duped=0.0, days=7),
    Ring("camouflaged", density=0.8, camouflage=5, duped=0.5, days=30),
    Ring("patient", density=0.6, camouflage=10, duped=1.0, days=180),
)
_RETURNED = 1 / 6


def _frame(rows: list[tuple[str, str, int, float]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["rater", "subject", "points", "time"])
    return frame.assign(category=1, height=0, slot=0)[list(RATING_TYPES)].astype(RATING_TYPES)


def merged(ratings: pd.DataFrame, rows: list[tuple[str, str, int, float]]) -> pd.DataFrame:
    """The ratings with ``(rater, subject, points, time)`` rows added, in the order of time."""
    return pd.concat([ratings, _frame(rows)]).sort_values("time", kind="stable", ignore_index=True)


def plant_rings(ratings: pd.DataFrame, kind: Ring, size: int, count: int, seed: int) -> tuple[pd.DataFrame, set[str]]:
    """The ratings with ``count`` rings of new members in them, and these members."""
    rng = np.random.default_rng(seed)
    raters = ratings["rater"].unique()
    popular = ratings.loc[ratings["points"] > 0, "subject"].to_numpy()  # as often as it is rated
    first, last = float(ratings["time"].min()), float(ratings["time"].max())
    rows: list[tuple[str, str, int, float]] = []
    planted: set[str] = set()
    for ring in range(count):
        members = [f"ring{ring}-{number}" for number in range(size)]
        planted.update(members)
        start = rng.uniform(first, max(first, last - kind.days * DAY_S))

        def moment(start: float = start) -> float:
            return float(start + rng.uniform(0, kind.days * DAY_S))

        for rater in members:
            rows += [
                (rater, subject, int(rng.integers(5, 11)), moment())
                for subject in members
                if subject != rater and rng.random() < kind.density
            ]
            for subject in np.unique(rng.choice(popular, kind.camouflage)):
                rows.append((rater, subject, int(rng.integers(1, 4)), moment()))
                if rng.random() < _RETURNED:
                    rows.append((subject, rater, int(rng.integers(1, 4)), moment()))
            for other in rng.choice(raters, rng.poisson(kind.duped)):
                rows.append((other, rater, int(rng.integers(1, 4)), moment()))
    return merged(ratings, rows), planted


def plant_sybils(ratings: pd.DataFrame, master: str, count: int, duped: int, seed: int) -> pd.DataFrame:
    """``count`` new members give their ``master`` and up to 20 of one another 10 points, after all other ratings.

    ``duped`` old members other than the master each give one of the Sybils 5 points.
    """
    rng = np.random.default_rng(seed)
    raters = ratings.loc[ratings["rater"] != master, "rater"].unique()
    names = [f"sybil-{number}" for number in range(count)]
    after = float(ratings["time"].max()) + 1
    rows = [(name, master, 10, after) for name in names]
    for name in names:
        others = rng.choice(names, min(20, count), replace=False)
        rows += [(name, other, 10, after) for other in others if other != name]
    if names:
        rows += [
            (other, names[n % count], 5, after) for n, other in enumerate(rng.choice(raters, duped, replace=False))
        ]
    return merged(ratings, rows)


# ------------------------------------------------------------------------------------------------------- records

DAY_SLOTS = 1_440
_CATEGORIES = 12
_GROUPS = ("group A", "group B", "group C", "group D")


@dataclass(frozen=True)
class Population:
    """Records of a year: frame, the group of each record's member, and the planted ``(kind, issuer)``."""

    records: pd.DataFrame
    groups: pd.Series
    planted: frozenset[tuple[str, str]]


def plant_issuers(strength: float, seed: int, issuers: int = 40, members: int = 2_000) -> Population:
    """A year of records by issuers of very different size, five of whom, and one pair, are planted.

    Honest issuers file in a few categories each, on working days, more at the end of a month and about some members
    far more than about others; categories have their own points, and 4 % of records are overturned.  The planted
    ones are of middle size.  At a strength of 6, one files six times as many records in one week, two give points that
    are half a standard deviation lower or higher, one loses 3.5 times as many records, one is 3.5 times as likely to
    pick members of a group, and one files about ten of the members about whom another just did.  At 1 all are honest.
    """
    more = (strength - 1) / 2  # for shares, which have an end
    rng = np.random.default_rng(seed)
    rates = rng.gamma(2.0, 100.0, issuers) + 30
    middle = np.argsort(rates)[issuers // 3 : issuers // 3 + 7]
    names = [f"issuer-{number:02d}" for number in range(issuers)]
    burst, harsh, mild, lost, bias, one, other = (int(at) for at in rng.permutation(middle))
    weights = rng.gamma(0.5, 1.0, members)
    group = rng.choice(len(_GROUPS), members, p=[0.5, 0.25, 0.15, 0.1])
    centre = rng.choice([-1, 1], _CATEGORIES, p=[0.7, 0.3]) * rng.integers(10, 60, _CATEGORIES)
    days = np.arange(365)
    calendar = np.where(days % 7 < 5, 1.0, 0.1) * np.where(days % 30 >= 27, 2.0, 1.0)
    rows: list[pd.DataFrame] = []
    for at in range(issuers):
        count = int(rng.poisson(rates[at]))
        # Shared by few of the others, yet not alone in any.
        mine = (at + np.arange(3)) % _CATEGORIES
        chance = weights * np.where((at == bias) & (group == 2), 1 + more, 1.0)
        day = rng.choice(days, count, p=calendar / calendar.sum())
        if at == burst:
            extra = int(rates[at] / 52 * (strength - 1))
            day = np.concatenate([day, rng.integers(200, 205, extra)])
        category = rng.choice(mine, len(day))
        spread = np.abs(centre[category]) * 0.3
        shift = (more / 5) * ((at == mild) * 1.0 - (at == harsh) * 1.0)
        points = centre[category] + spread * (rng.standard_normal(len(day)) + shift)
        wrong = rng.random(len(day)) < 0.04 * (1 + more if at == lost else 1)
        frame = pd.DataFrame(
            {
                "issuer": names[at],
                "subject": rng.choice(members, len(day), p=chance / chance.sum()),
                "category": category,
                # A category stays what it is: praise or blame.
                "points": np.where(centre[category] > 0, np.maximum(points, 1), np.minimum(points, -1)).round(),
                "slot": day * DAY_SLOTS + rng.integers(480, 1_080, len(day)),
                "outcome": np.where(
                    wrong, rng.choice(["corrected", "withdrawn", "struck", "lapsed"], len(day)), "standing"
                ),
            }
        )
        rows.append(frame)
    rows.append(_echoes(rows[one], names[other], int(4 * more), rng))
    records = pd.concat(rows).assign(severity=1, height=0)
    records["objected"] = (records["outcome"] != "standing") | (rng.random(len(records)) < 0.05)
    records["overturned"] = records["outcome"] != "standing"
    records["tier"] = ""
    # From numbers of their own, so that nothing else depends on them; a year back is taken.
    took = np.random.default_rng([seed, 1]).exponential(10 * DAY_SLOTS, len(records)).astype("int64")
    records["earliest"] = records["slot"] - 365 * DAY_SLOTS
    records["established"] = np.maximum(records["slot"] - took, records["earliest"])
    records["subject"] = "member-" + records["subject"].astype("str")
    records = records.sort_values("slot", kind="stable", ignore_index=True)[list(RECORD_TYPES)].astype(RECORD_TYPES)
    planted = {("burst", burst), ("one-sided", harsh), ("one-sided", mild), ("overturned", lost), ("biased", bias)}
    pairs = frozenset(
        {(kind, names[at]) for kind, at in planted}
        | {("collusion", f"{names[min(one, other)]}+{names[max(one, other)]}")}
    )
    groups = pd.Series([_GROUPS[at] for at in group], [f"member-{n}" for n in range(members)])
    return Population(records, records["subject"].map(groups), pairs)


def _echoes(records: pd.DataFrame, issuer: str, count: int, rng: np.random.Generator) -> pd.DataFrame:
    """``count`` records that ``issuer`` files about the same members within three days after another did."""
    followed = records.sample(n=min(len(records), count), random_state=rng)
    return followed.assign(issuer=issuer, slot=followed["slot"] + rng.integers(0, 3 * DAY_SLOTS, len(followed)))
