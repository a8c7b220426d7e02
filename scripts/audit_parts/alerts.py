"""Patterns of abuse that have happened, each counted, with the reason why it is worth a look.

Most are rules and no tests, and an honest office with a backlog can show one.  Where chance could look the same, an
exact test was made, corrected for all that were asked, and the reason gives its p-value.

===================  ============================================================================================
flood                one key rates, or one issuer files, many times more in a day, or window, than the others ever do
early-seed capture   a ring that came first: where the earliest are trusted, it would rank first of all
refiling             an issuer files again about a member, in a category, what it had filed there and lost or ended
file-and-withdraw    an issuer withdraws much of what it files: its error rate is diluted, or members are harassed
issuer-arbiter pair  an arbiter upholds one issuer more often than the others, and more often than others uphold it
edge dating          an issuer's conduct is established just inside what would still be taken: a date made to fit
late dating          an issuer files what it says was established ever so much longer ago than it usually takes
===================  ============================================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd
from scipy import stats

from scripts.audit_parts.frames import Frames, edges_of

# Below this nothing is a flood; above it, so many times what the median of all does in its fullest day.
FLOOD = 50
FLOOD_TIMES = 10
_DAY_S = 86_400
# A ring came first if so large a part of it is among so many times its size of the earliest members.
EARLY_TIMES, EARLY_SHARE = 3, 0.5
# Two breaches by one member happen; a habit is more.
REFILED, REFILED_SHARE = 3, 0.05
WITHDRAWN, WITHDRAWN_SHARE = 5, 0.2
# Fewer rulings on an issuer, or by others, tell nothing; all tests of one kind together are wrong once in a hundred.
RULINGS, CHANCE = 5, 0.01
# The oldest twentieth of what would be taken, where that is long enough to have one.
EDGE, EDGE_LEAST, EDGE_SLOTS = 0.05, 5, 20
# So many times what an office's records usually take from conduct to filing.
LATE_TIMES, LATE_LEAST, LATE_SHARE = 10, 3, 0.05
_ENDED = ("struck", "lapsed", "unruled", "withdrawn", "repaired")


class Alert(NamedTuple):
    """``number`` of ``of``, and in words why to look."""

    alert: str
    who: str
    number: int
    of: int
    reason: str


def find_alerts(frames: Frames, rings: pd.DataFrame, window_slots: int) -> pd.DataFrame:
    """All alerts; ``rings`` are those of the ratings, ``window_slots`` is how long issuers' floods take."""
    ratings, records = frames.ratings, frames.records
    days = (ratings["time"] // _DAY_S).astype("int64")
    found = [
        *_floods(ratings["rater"], days, "ratings in its fullest day"),
        *_floods(records["issuer"], records["slot"] // max(1, window_slots), "records in its fullest window"),
        *_captures(ratings, rings),
        *_refiled(records),
        *_withdrawn(records),
        *_pairs(frames.rulings),
        *_edges(records),
        *_late(records, window_slots),
    ]
    return pd.DataFrame(found, columns=list(Alert._fields))


def _floods(who: pd.Series, when: pd.Series, what: str) -> Iterator[Alert]:
    fullest = who.groupby([who, when]).size().groupby(level=0).max() if len(who) else pd.Series(dtype="int64")
    usual = float(fullest.median()) if len(fullest) else 0.0
    for name, most in fullest[(fullest >= FLOOD) & (fullest >= FLOOD_TIMES * usual)].items():
        yield Alert("flood", str(name), int(most), int((who == name).sum()), f"{what}; the median is {usual:g}")


def _captures(ratings: pd.DataFrame, rings: pd.DataFrame) -> Iterator[Alert]:
    members = edges_of(ratings).members
    for ring in rings["members"]:
        early = len(set(members[: EARLY_TIMES * len(ring)]) & set(ring))
        if early >= EARLY_SHARE * len(ring):
            names = ", ".join(sorted(ring)[:3])
            yield Alert("early-seed capture", names, early, len(ring), "members of a ring who were among the earliest")


def _refiled(records: pd.DataFrame) -> Iterator[Alert]:
    ordered = records.sort_values("height", kind="stable")
    same = [ordered["issuer"], ordered["subject"], ordered["category"]]
    ended = ordered["outcome"].isin(_ENDED).astype("int64")
    again = ended.groupby(same).cumsum() - ended > 0
    for name, group in again.groupby(ordered["issuer"]):
        number = int(group.sum())
        if number >= REFILED and number >= REFILED_SHARE * len(group):
            reason = "records about a member and category where an earlier one of its own had ended"
            yield Alert("refiling", str(name), number, len(group), reason)


def _withdrawn(records: pd.DataFrame) -> Iterator[Alert]:
    gone = records["outcome"] == "withdrawn"
    for name, group in gone.groupby(records["issuer"]):
        number = int(group.sum())
        if number >= WITHDRAWN and number >= WITHDRAWN_SHARE * len(group):
            yield Alert("file-and-withdraw", str(name), number, len(group), "records that it withdrew itself")


def _pairs(rulings: pd.DataFrame) -> Iterator[Alert]:
    """Fisher's exact test, once beside the arbiter's other rulings and once beside those of other arbiters."""
    counts = rulings.assign(ruled=rulings["upheld"] + rulings["struck"])[["arbiter", "issuer", "upheld", "ruled"]]
    of_arbiter, of_issuer = (counts.groupby(side)[["upheld", "ruled"]].sum() for side in ("arbiter", "issuer"))
    asked = int((counts["ruled"] >= RULINGS).sum())
    for arbiter, issuer, upheld, ruled in counts.itertuples(index=False):
        beside = of_arbiter.loc[arbiter], of_issuer.loc[issuer]
        others = [(int(row["upheld"]) - upheld, int(row["ruled"]) - ruled) for row in beside]
        if ruled < RULINGS or others[0][1] < RULINGS:
            continue
        judged = [pair for pair in others if pair[1] >= RULINGS]
        p = max(_more_upheld(upheld, ruled, *pair) for pair in judged) * asked
        if p <= CHANCE:
            (u, n), (by, total) = others
            reason = f"records of {issuer} upheld; of other issuers {u} of {n}, by other arbiters {by} of {total}"
            yield Alert("issuer-arbiter pair", str(arbiter), upheld, ruled, f"{reason}; p = {p:.1g}")


def _more_upheld(upheld: int, ruled: int, others_upheld: int, others_ruled: int) -> float:
    """How likely so many or more would be upheld if all rulings were of one kind."""
    return float(stats.hypergeom.sf(upheld - 1, ruled + others_ruled, upheld + others_upheld, ruled))


def _edges(records: pd.DataFrame) -> Iterator[Alert]:
    """As if any slot that would be taken were as likely: who files promptly is far from the oldest of them."""
    span = records["slot"] - records["earliest"]
    usable = records[span >= EDGE_SLOTS]
    at_edge = (usable["established"] - usable["earliest"]) <= EDGE * span[usable.index]
    groups = [(name, group) for name, group in at_edge.groupby(usable["issuer"]) if group.sum() >= EDGE_LEAST]
    for name, group in groups:
        number = int(group.sum())
        p = float(stats.binom.sf(number - 1, len(group), EDGE)) * len(groups)
        if p <= CHANCE:
            reason = f"records of conduct in the oldest twentieth of what would be taken; p = {p:.1g}"
            yield Alert("edge dating", str(name), number, len(group), reason)


def _late(records: pd.DataFrame, window_slots: int) -> Iterator[Alert]:
    adverse = records[records["points"] < 0]
    delay = adverse["slot"] - adverse["established"]
    for name, group in delay.groupby(adverse["issuer"]):
        usual = float(group.median())
        number = int((group > max(LATE_TIMES * usual, window_slots)).sum())
        if number >= LATE_LEAST and number >= LATE_SHARE * len(group):
            reason = f"adverse records of conduct long before; {usual:g} slots are usual for this office"
            yield Alert("late dating", str(name), number, len(group), reason)
