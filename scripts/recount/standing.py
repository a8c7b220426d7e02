"""Where somebody stands, from what is known of it and the table of a policy's file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from scripts.recount.lives import Row


class Standing(NamedTuple):
    """Where a member stands; the lowest tier is level 0."""

    score: int
    level: int
    tier: str


def heard(policy: Row, total: int, ratings: int, raters: int) -> int:
    """What so many ratings, which add up to ``total``, come to, before floor and cap."""
    rules = policy["raters"]
    if raters < rules["least_raters"]:
        return 0
    if rules["aggregation"] == "sum" or not ratings:
        return total
    share: int = abs(total) * rules["scale"] // ratings
    return share if total > 0 else -share


def stands(policy: Row, record_points: int, rated: int, caps: Mapping[int, int]) -> Standing:
    """Score and tier of whose records count for so much, and ratings for ``rated`` before floor and cap.

    ``caps`` says how many of the records cap the tier, by its level.
    """
    score, tiers = policy["score"], policy["tier"]
    total = score["base"] + record_points + max(score["ratings_floor"], min(score["ratings_cap"], rated))
    place = next((at for at, tier in enumerate(tiers) if tier["from"] <= total), len(tiers) - 1)
    top = len(tiers) - 1
    holding = [cap for cap, records in caps.items() if records >= tiers[top - cap]["cap_records"]]
    level = min([top - place, *holding])
    return Standing(total, level, tiers[top - level]["name"])
