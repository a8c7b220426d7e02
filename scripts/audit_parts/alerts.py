"""Patterns of abuse that have happened, each counted, with the reason why it is worth a look.

These are rules, not tests: no p-value comes with them, and an honest office with a backlog can show one.

==================  =============================================================================================
flood               one key rates, or one issuer files, many times more in a day, or window, than the others ever do
early-seed capture  a ring that came first: where the earliest are trusted, it would rank first of all
refiling            an issuer files again about a member, in a category, what it had filed there and lost or ended
file-and-withdraw   an issuer withdraws much of what it files: its error rate is diluted, or members are harassed
==================  =============================================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd

from scripts.audit_parts.frames import edges_of

# Below this nothing is a flood; above it, so many times what the median of all does in its fullest day.
FLOOD = 50
FLOOD_TIMES = 10
_DAY_S = 86_400
# A ring came first if so large a part of it is among so many times its size of the earliest members.
EARLY_TIMES, EARLY_SHARE = 3, 0.5
# Two breaches by one member happen; a habit is more.
REFILED, REFILED_SHARE = 3, 0.05
WITHDRAWN, WITHDRAWN_SHARE = 5, 0.2
_ENDED = ("struck", "lapsed", "unruled", "withdrawn", "repaired")


class Alert(NamedTuple):
    """``number`` of ``of``, and in words why to look."""

    alert: str
    who: str
    number: int
    of: int
    reason: str


def find_alerts(ratings: pd.DataFrame, records: pd.DataFrame, rings: pd.DataFrame, window_slots: int) -> pd.DataFrame:
    """All alerts; ``rings`` are those of the ratings, ``window_slots`` is how long issuers' floods take."""
    days = (ratings["time"] // _DAY_S).astype("int64")
    found = [
        *_floods(ratings["rater"], days, "ratings in its fullest day"),
        *_floods(records["issuer"], records["slot"] // max(1, window_slots), "records in its fullest window"),
        *_captures(ratings, rings),
        *_refiled(records),
        *_withdrawn(records),
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
