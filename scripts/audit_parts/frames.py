"""The frames that everything else works on, and how they are read from csv files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chain.base.errors import OperatorError

RATING_TYPES = {
    "rater": "str",
    "subject": "str",
    "category": "int64",
    "points": "int64",
    "height": "int64",
    "slot": "int64",
    "time": "float64",
}
# Points and severity are as filed, the tier is the member's before.  The outcome is what last became of a record:
# standing, objected, maintained, upheld or corrected, or gone: withdrawn, struck, lapsed (the issuer was silent),
# unruled (the arbiters were), repaired or expired.  It is overturned once it did not hold when it was objected to.
# Conduct was established in the slot ``established``; a record of conduct before ``earliest`` would have been refused.
RECORD_TYPES = {
    "issuer": "str",
    "subject": "str",
    "category": "int64",
    "points": "int64",
    "severity": "int64",
    "height": "int64",
    "slot": "int64",
    "tier": "str",
    "outcome": "str",
    "objected": "bool",
    "overturned": "bool",
    "established": "int64",
    "earliest": "int64",
}
# How often an arbiter upheld and struck what an issuer filed, and was silent.
RULING_TYPES = {"arbiter": "str", "issuer": "str", "upheld": "int64", "struck": "int64", "silent": "int64"}
# The outcomes of a record that is in force.
IN_FORCE = ("standing", "objected", "maintained", "upheld", "corrected")
MEMBER_TYPES = {"member": "str", "key": "str", "registrar": "str", "score": "int64"}
# A suspension's height, and what had been decided and overturned by then, are of the last one, NA if there was none.
AUTHORITY_TYPES = {
    "issuer": "str",
    "key": "str",
    "status": "str",
    "suspended_height": "Int64",
    "suspended_decided": "Int64",
    "suspended_overturned": "Int64",
}
_CSV_COLUMNS = ("rater", "subject", "points", "time")
_CSV_POINTS = 10

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def empty(types: dict[str, str]) -> pd.DataFrame:
    """A frame without rows."""
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in types.items()})


def frame_of(rows: list[tuple[Any, ...]], types: dict[str, str]) -> pd.DataFrame:
    """A frame of rows."""
    return pd.DataFrame(rows, columns=list(types)).astype(types) if rows else empty(types)


@dataclass(frozen=True)
class Frames:
    """What there is to analyse.  Who has ever been somebody is named by its identity: its first key, as a did.

    ``members``, ``authorities`` and ``rulings`` are known of a home's chain only; ``key`` is the one they have now.
    ``officers`` are the validators that are not jailed, and the authorities in office.
    """

    ratings: pd.DataFrame
    records: pd.DataFrame = field(default_factory=lambda: empty(RECORD_TYPES))
    members: pd.DataFrame = field(default_factory=lambda: empty(MEMBER_TYPES))
    authorities: pd.DataFrame = field(default_factory=lambda: empty(AUTHORITY_TYPES))
    officers: tuple[str, ...] = ()
    rulings: pd.DataFrame = field(default_factory=lambda: empty(RULING_TYPES))

    def identities(self, names: Iterable[str]) -> list[str]:
        """The same names, with the identity in place of a current key."""
        of_key = dict(zip(self.members["key"], self.members["member"], strict=True))
        return [of_key.get(name, name) for name in names]

    def groups(self, by: str) -> pd.Series:
        """Of which group the member of each record is, by ``registrar`` or by ``tier``; NA if of none."""
        if by == "tier":
            return self.records["tier"]
        return self.records["subject"].map(self.members.set_index("member")[by])

    def groups_in(self, path: Path) -> pd.Series:
        """The same from a csv file of ``member,group`` lines.  Raises :class:`OperatorError`."""
        groups = read_groups(path)
        return self.records["subject"].map(groups.set_axis(pd.Index(self.identities(groups.index), dtype="str")))


def read_csv(path: Path) -> pd.DataFrame:
    """Ratings from a csv or csv.gz file in the Bitcoin OTC form.  Raises :class:`OperatorError`."""
    try:
        lines: pd.DataFrame = pd.read_csv(path, header=None, names=list(_CSV_COLUMNS), dtype="str", compression="infer")
    except (OSError, EOFError, ValueError) as error:
        raise OperatorError(f"{path} cannot be read as csv ({error}); give FROM,TO,POINTS,SECONDS lines") from error
    if pd.to_numeric(lines["points"].head(1), errors="coerce").isna().any():
        lines = lines.iloc[1:]  # a header line
    points, time = (pd.to_numeric(lines[name], errors="coerce") for name in ("points", "time"))
    wrong = lines["rater"].isna() | lines["subject"].isna() | time.isna() | ~points.between(-_CSV_POINTS, _CSV_POINTS)
    if lines.empty or wrong.any():
        at = (
            "it is empty"
            if lines.empty
            else f"line {int(lines.index[int(wrong.to_numpy().argmax())]) + 1} is not a rating"
        )
        raise OperatorError(f"{path}: {at}; give FROM,TO,POINTS,SECONDS lines with points from -10 to 10")
    ratings = lines.assign(points=points, time=time, category=1, height=0, slot=0)
    ratings = ratings[list(RATING_TYPES)].astype(RATING_TYPES)
    return ratings.sort_values("time", kind="stable", ignore_index=True)


def standing(ratings: pd.DataFrame) -> pd.DataFrame:
    """The ratings that count: of the same rater, subject and category only the last one."""
    return ratings.drop_duplicates(["rater", "subject", "category"], keep="last")


@dataclass(frozen=True)
class Edges:
    """Ratings as arrays: ``rater`` and ``subject`` are positions in ``members``, who stand in order of appearance."""

    members: pd.Index
    rater: Ints
    subject: Ints
    points: Floats
    time: Floats

    @property
    def count(self) -> int:
        """The number of members."""
        return len(self.members)

    def positions(self, names: Iterable[str]) -> Ints:
        """Where these members stand; -1 for those who are none."""
        return np.asarray(self.members.get_indexer(pd.Index(list(names), dtype="str")), dtype=np.int64)

    def keep(self, chosen: NDArray[Any]) -> Edges:
        """The chosen edges, by a mask or positions, of the same members."""
        return Edges(self.members, self.rater[chosen], self.subject[chosen], self.points[chosen], self.time[chosen])

    def sums(self, of: Ints, values: Floats | None = None) -> Floats:
        """For each member the sum of ``values``, or the number, of the edges whose ``of`` it is."""
        return np.bincount(of, values, self.count).astype(np.float64)

    def means(self, of: Ints, values: Floats, default: float) -> Floats:
        """The same as means; ``default`` for members without edges."""
        counts = self.sums(of)
        return np.where(counts > 0, self.sums(of, values) / np.maximum(counts, 1), default)


def edges_of(ratings: pd.DataFrame) -> Edges:
    """The standing ratings as arrays; several categories of one pair are added up."""
    both = np.empty(2 * len(ratings), dtype=object)
    both[::2], both[1::2] = ratings["rater"], ratings["subject"]
    members = pd.Index(pd.unique(both), dtype="str")
    by_pair = standing(ratings).groupby(["rater", "subject"], sort=False, as_index=False)
    pairs = by_pair.agg(points=("points", "sum"), time=("time", "last"))
    return Edges(
        members,
        members.get_indexer(pd.Index(pairs["rater"])).astype(np.int64),
        members.get_indexer(pd.Index(pairs["subject"])).astype(np.int64),
        pairs["points"].to_numpy(np.float64),
        pairs["time"].to_numpy(np.float64),
    )


def read_groups(path: Path) -> pd.Series:
    """The group of each member from a csv file of ``member,group`` lines.  Raises :class:`OperatorError`."""
    try:
        lines = pd.read_csv(path, header=None, names=["member", "group"], dtype="str")
    except (OSError, ValueError) as error:
        raise OperatorError(f"{path} cannot be read as csv ({error}); give member,group lines") from error
    if lines.empty or lines.isna().any(axis=None) or lines["member"].duplicated().any():
        raise OperatorError(f"{path} must name each member once, in member,group lines without a header")
    groups: pd.Series = lines.set_index("member")["group"]
    return groups
