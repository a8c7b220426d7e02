"""Issuers whose records are unusual, each compared with the other issuers in the same categories.

Five questions, one test each.  The p-values of one question are corrected for their number (Y. Benjamini,
Y. Hochberg, "Controlling the False Discovery Rate", 1995); ``q`` is the corrected value, and among a question's
findings with ``q <= 0.05`` at most 5 % are expected to be chance, as far as honest issuers file as the test supposes.

=========  ==========================================================================================================
burst      so many of its records in one window, given its share of all records and how unevenly all issuers file
one-sided  within its categories its points are lower, or higher, than those of the others
overturned more of its records were corrected or withdrawn after an objection, struck, or lost by silence
biased     more of the members it filed negative records about are of one group than of those of the others
collusion  two issuers file about the same member within days more often than other pairs do
=========  ==========================================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from scripts.audit_parts.frames import IN_FORCE, Floats, Ints

SIGNIFICANT = 0.05
# An issuer with fewer records is not judged: nothing could be told from chance.
MIN_RECORDS = 20
COLUMNS = ("kind", "issuer", "other", "observed", "expected", "evidence", "p")


class Finding(NamedTuple):
    """One test: ``observed`` against ``expected``, in words, and the p-value."""

    kind: str
    issuer: str
    other: str
    observed: float
    expected: float
    evidence: str
    p: float


def audit_issuers(records: pd.DataFrame, window_slots: int, groups: pd.Series | None = None) -> pd.DataFrame:
    """Every test of every issuer with its ``q``, the least likely first.

    ``window_slots`` is how long a burst takes, and how close in time two records must be to count as one act of two
    issuers.  ``groups`` says of which group the member of each record is, NA where it is of none; without it nothing
    is asked about groups.
    """
    counts = records["issuer"].value_counts()
    records = records[records["issuer"].isin(counts.index[counts >= MIN_RECORDS])]
    found: list[Finding] = []
    if records["issuer"].nunique() > 1:
        found += bursts(records, window_slots)
        found += one_sided(records)
        found += overturned(records)
        found += collusion(records, window_slots)
        if groups is not None:
            found += biased(records, groups)
    frame = pd.DataFrame(found, columns=list(COLUMNS))
    frame["q"] = frame.groupby("kind")["p"].transform(stats.false_discovery_control)
    return frame.sort_values(["p", "issuer"], kind="stable", ignore_index=True)


def describe_issuers(records: pd.DataFrame, authorities: pd.DataFrame) -> pd.DataFrame:
    """Each issuer, the one with the largest overturned share first: no test, what is on the chain.

    ``authorities`` adds the key and the status that it has now, and its last suspension.
    """
    counted = records.assign(filed=True, in_force=records["outcome"].isin(IN_FORCE)).groupby("issuer")
    frame = counted[["filed", "in_force", "objected", "overturned"]].sum().astype("int64")
    frame["overturned_share"] = frame["overturned"] / frame["filed"]
    frame = frame.reset_index().merge(authorities, "left", on="issuer")
    order = ["overturned_share", "issuer"]
    return frame.sort_values(order, ascending=[False, True], kind="stable", ignore_index=True)


def unusual(tests: pd.DataFrame, level: float = SIGNIFICANT) -> pd.DataFrame:
    """The tests whose ``q`` is at most ``level``."""
    return tests[tests["q"] <= level].reset_index(drop=True)


def _dispersion(squares: Floats) -> float:
    """How much wider than chance all issuers spread, at least 1, from squared deviations in units of chance.

    From their median, so that the few who are unusual do not hide themselves: for normal deviates it is 0.455.
    """
    return max(1.0, float(np.median(squares)) / 0.455) if len(squares) else 1.0


def _tails(observed: Floats, mean: Floats, dispersion: float) -> Floats:
    """How likely counts of at least ``observed`` are; above a dispersion of 1 negative binomial, else Poisson."""
    if dispersion <= 1.01:
        return np.asarray(stats.poisson.sf(observed - 1, mean))
    return np.asarray(stats.nbinom.sf(observed - 1, mean / (dispersion - 1), 1 / dispersion))


def bursts(records: pd.DataFrame, window_slots: int) -> list[Finding]:
    """Each issuer's fullest window; the p-value is multiplied by the number of windows."""
    window = (records["slot"] - records["slot"].min()) // window_slots
    table = pd.crosstab(records["issuer"], window).reindex(columns=range(int(window.max()) + 1), fill_value=0)
    counts = table.to_numpy(np.float64)
    others = counts.sum(axis=0) - counts
    # Half a record more everywhere: a window without any would otherwise expect none.
    shares = (others + 0.5) / (others + 0.5).sum(axis=1, keepdims=True)
    expected = counts.sum(axis=1, keepdims=True) * shares
    spread = ((counts - expected) ** 2 / expected).sum(axis=1) / max(1, counts.shape[1] - 1)
    dispersion = max(1.0, float(np.median(spread)))  # as in _dispersion, but a mean over many windows needs no 0.455
    found = []
    for at, issuer in enumerate(table.index):
        tails = _tails(counts[at], expected[at], dispersion)
        worst = int(np.argmin(tails))
        seen, mean = counts[at, worst], expected[at, worst]
        begin = int(records["slot"].min()) + worst * window_slots
        text = f"{seen:.0f} records in slots {begin} to {begin + window_slots - 1}, {mean:.1f} expected"
        found.append(Finding("burst", issuer, "", seen, mean, text, min(1.0, float(tails[worst]) * len(tails))))
    return found


def one_sided(records: pd.DataFrame) -> list[Finding]:
    """Mean rank of an issuer's points within categories, 0 (harshest) to 1, against that of the others: two-sided."""
    shared = records[records.groupby("category")["issuer"].transform("nunique") > 1]
    rows, deviations = [], []
    for issuer, own in shared.groupby("issuer"):
        peers = shared[shared["category"].isin(own["category"].unique())]
        by = peers.groupby("category")["points"]
        mine = peers["issuer"] == issuer
        frame = pd.DataFrame({"category": peers["category"], "mine": mine})
        frame["place"] = (by.rank() - 0.5) / by.transform("size")
        # Ranks of a sample without replacement: the variance of van Elteren's test, category by category.
        parts = frame.groupby("category").agg(n=("mine", "sum"), size=("mine", "size"), var=("place", "var"))
        variance = float((parts["n"] * (1 - parts["n"] / parts["size"]) * parts["var"]).sum())
        ranks = frame.loc[mine, "place"]
        deviations.append((ranks.sum() - len(ranks) / 2) / np.sqrt(variance) if variance > 0 else 0.0)
        side = "harsher" if ranks.mean() < 0.5 else "milder"
        points = (own["points"].mean(), peers.loc[~mine, "points"].mean())
        text = (
            f"points rank at {ranks.mean():.2f} of 0 to 1 ({side}); {points[0]:.1f} on average, others {points[1]:.1f}"
        )
        rows.append((str(issuer), float(ranks.mean()), text))
    scale = np.sqrt(_dispersion(np.square(deviations)))
    tails = np.asarray(2 * stats.norm.sf(np.abs(deviations) / scale))
    return [
        Finding("one-sided", issuer, "", mean, 0.5, text, float(p))
        for (issuer, mean, text), p in zip(rows, tails, strict=True)
    ]


def overturned(records: pd.DataFrame) -> list[Finding]:
    """Records that did not hold; what is expected follows from the others' share in each category."""

    def evidence(observed: int, expected: float, records_count: int) -> str:
        return f"{observed} of {records_count} records did not hold when objected to, {expected:.1f} expected"

    return _more_than_others("overturned", "", records, records["overturned"], evidence)


def biased(records: pd.DataFrame, groups: pd.Series) -> list[Finding]:
    """Members with negative records of each group; a member counts once, for some draw many records by themselves."""
    negative = records[records["points"] < 0].drop_duplicates(["issuer", "category", "subject"])
    member_group = groups.reindex(negative.index)

    found: list[Finding] = []
    for group in sorted(member_group.dropna().unique()):

        def evidence(observed: int, expected: float, records_count: int, group: str = group) -> str:
            return (
                f"{observed} of {records_count} members with negative records are of {group}, {expected:.1f} expected"
            )

        found += _more_than_others("biased", str(group), negative, member_group == group, evidence)
    return found


def _more_than_others(
    kind: str, other: str, records: pd.DataFrame, hit: pd.Series, evidence: Callable[[int, float, int], str]
) -> list[Finding]:
    """Whether ``hit`` holds for more of an issuer's records than the others' shares in its categories let expect."""
    frame = pd.DataFrame({"issuer": records["issuer"], "category": records["category"], "hit": hit})
    cells = frame.groupby(["issuer", "category"])["hit"].agg(["sum", "size"])
    totals = cells.groupby("category").transform("sum")
    others = totals - cells
    # Half a hit and half a miss more: what never happened to a few others may happen all the same.
    share = (others["sum"] + 0.5) / (others["size"] + 1)
    # Whoever is alone in a category can only be compared with what the others do in all of theirs.
    elsewhere = cells.sum() - cells.groupby("issuer").transform("sum")
    cells["expected"] = cells["size"] * share.where(
        others["size"] > 0, (elsewhere["sum"] + 0.5) / (elsewhere["size"] + 1)
    )
    sums = cells.groupby("issuer").sum()
    observed, size, mean = (sums[name].to_numpy(np.float64) for name in ("sum", "size", "expected"))
    dispersion = _dispersion((observed - mean) ** 2 / (mean * (1 - mean / size)))
    # A sum of unlike coins spreads less than one of like coins with the same mean, so this is on the safe side.
    if dispersion == 1:
        tails = np.asarray(stats.binom.sf(observed - 1, size, mean / size))
    else:
        tails = _tails(observed, mean, dispersion)
    return [
        Finding(kind, str(issuer), other, seen, expected, evidence(int(seen), expected, int(count)), float(p))
        for issuer, seen, expected, count, p in zip(sums.index, observed, mean, size, tails, strict=True)
    ]


def collusion(records: pd.DataFrame, window_slots: int) -> list[Finding]:
    """Pairs of issuers by how often they file about one member within ``window_slots`` of one another.

    Two issuers' records are that near in time ``m`` times; what share of these is about the same member is taken
    from all other pairs, for one event may well concern two institutions.
    """
    issuers = np.sort(records["issuer"].unique())
    times = records["slot"] - records["slot"].min()
    # Time of one's own for each member, too far from everybody else's to be near: so the same count, without ever
    # joining records with records, finds who is near about one member.
    member = pd.Series(pd.factorize(records["subject"])[0], records.index)
    about = member * (int(times.max()) + window_slots + 1) + times
    own = {issuer: rows.index for issuer, rows in records.groupby("issuer")}
    near, same, members = np.zeros((3, len(issuers), len(issuers)))
    upper = np.triu_indices(len(issuers), 1)
    for a, b in zip(*upper, strict=True):
        mine, others = own[issuers[a]], own[issuers[b]]
        near[a, b] = _others_within(times[mine], times[others], window_slots).sum()
        met = _others_within(about[mine], about[others], window_slots)
        same[a, b], members[a, b] = met.sum(), member[mine][met > 0].nunique()
    seen, chances = same[upper], near[upper]
    expected = chances * (seen.sum() - seen + 0.5) / np.maximum(chances.sum() - chances, 1)
    # Some pairs meet over the same members by the nature of their work: the spread is that of all pairs.
    usable = expected > 0
    dispersion = _dispersion((seen[usable] - expected[usable]) ** 2 / expected[usable])
    tails = np.where(usable, _tails(seen, np.where(usable, expected, 1), dispersion), 1.0)
    found = []
    for a, b, observed, mean, p in zip(*upper, seen, expected, tails, strict=True):
        text = (
            f"{observed:.0f} times about the same member within {window_slots} slots ({members[a, b]:.0f} members), "
            f"{mean:.1f} expected"
        )
        found.append(Finding("collusion", str(issuers[a]), str(issuers[b]), observed, mean, text, float(p)))
    return found


def _others_within(one: pd.Series, other: pd.Series, distance: int) -> Ints:
    """For each time of ``one``, how many of ``other`` are at most ``distance`` away."""
    times, others = one.to_numpy(np.int64), np.sort(other.to_numpy(np.int64))
    above = np.searchsorted(others, times + distance, side="right")
    return np.asarray(above - np.searchsorted(others, times - distance), dtype=np.int64)
