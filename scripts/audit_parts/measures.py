"""How well what is planted is found, as tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from scripts.audit_parts.frames import edges_of
from scripts.audit_parts.issuers import audit_issuers, unusual
from scripts.audit_parts.planted import DAY_SLOTS, RINGS, plant_issuers, plant_rings, plant_sybils
from scripts.audit_parts.rings import find_rings
from scripts.audit_parts.trust import compare, earliest, plain_points

# Limits and tests were tried out on other seeds than these.
SEEDS = range(1_000, 1_010)
SIZES = (4, 6, 10, 16, 25)
STRENGTHS = (1.0, 3.0, 6.0, 10.0)
SYBILS = (0, 5, 20, 100, 500)
_RINGS_AT_ONCE = 8
_WINDOW_DAYS = 7


def _share(part: int, whole: int) -> float:
    """A share; NaN of nothing."""
    return part / whole if whole else float("nan")


def measure_rings(ratings: pd.DataFrame, seeds: Iterable[int] = SEEDS, sizes: Sequence[int] = SIZES) -> pd.DataFrame:
    """Precision and recall over members of planted rings, eight at a time in the real ratings.

    ``precision`` counts every real member in a ring as a mistake; ``precision_new`` only those who are in none
    before anything is planted.
    """
    before = _ring_members(ratings)
    rows = []
    for kind in RINGS:
        for size in sizes:
            hits = planted_count = found_count = new_count = 0
            for seed in seeds:
                data, planted = plant_rings(ratings, kind, size, _RINGS_AT_ONCE, seed)
                found = _ring_members(data)
                hits += len(found & planted)
                planted_count += len(planted)
                found_count += len(found)
                new_count += len(found - before)
            rows.append((kind.name, size, *(_share(hits, of) for of in (planted_count, new_count, found_count))))
    return pd.DataFrame(rows, columns=["rings", "size", "recall", "precision_new", "precision"])


def _ring_members(ratings: pd.DataFrame) -> set[str]:
    return {member for ring in find_rings(ratings)["members"] for member in ring}


def measure_issuers(seeds: Iterable[int] = SEEDS, strengths: Sequence[float] = STRENGTHS) -> pd.DataFrame:
    """Precision and recall over planted issuers and pairs, by question and strength.

    At a strength of 1 nothing unusual is planted, so every finding is a mistake.
    """
    rows = []
    for strength in strengths:
        found: list[tuple[str, str]] = []
        planted: list[tuple[str, str]] = []
        right: list[tuple[str, str]] = []
        for seed in seeds:
            population = plant_issuers(strength, seed)
            tests = unusual(audit_issuers(population.records, _WINDOW_DAYS * DAY_SLOTS, population.groups))
            # The other column also names a group, which is no issuer.
            seconds = tests["other"].where(tests["kind"] == "collusion", "")
            who = [f"{one}+{two}" if two else one for one, two in zip(tests["issuer"], seconds, strict=True)]
            hits = set(zip(tests["kind"], who, strict=True))
            found += hits
            right += hits & population.planted
            planted += population.planted
        for kind in sorted({kind for kind, _ in planted}):
            counts = [sum(one == kind for one, _ in listed) for listed in (planted, found, right)]
            hidden, seen, true = counts if strength > 1 else (0, counts[1], 0)
            rows.append((kind, strength, hidden, seen, true, _share(true, hidden), _share(true, seen)))
    columns = ["question", "strength", "planted", "found", "right", "recall", "precision"]
    return pd.DataFrame(rows, columns=columns).sort_values(["question", "strength"], ignore_index=True)


def measure_sybils(ratings: pd.DataFrame, counts: Sequence[int] = SYBILS, seed: int = SEEDS[0]) -> pd.DataFrame:
    """Where Sybils lift their master, a member of middling points, by points and by trust.

    ``duped`` is how many of the old members were talked into rating a Sybil.
    """
    edges = edges_of(ratings)
    points, seeds = plain_points(edges), earliest(ratings)
    master = edges.members[int(np.argsort(points, kind="stable")[edges.count // 2])]
    rows = []
    for duped in (0, 5):
        for count in counts:
            # Ranks among the members there were, so that Sybils do not count as overtaken.
            everybody = compare(plant_sybils(ratings, master, count, duped, seed), seeds)
            ranked = everybody[~everybody["member"].str.startswith("sybil-")]
            own = ranked[ranked["member"] == master].iloc[0]
            by_points = int((ranked["points"] > own["points"]).sum()) + 1
            by_trust = int((ranked["trust"] > own["trust"] + 1e-9).sum()) + 1
            trust = own["trust"] * edges.count / len(everybody)  # of the mean of the members there were
            rows.append((duped, count, int(own["points"]), by_points, trust, by_trust))
    return pd.DataFrame(rows, columns=["duped", "sybils", "points", "rank_points", "trust", "rank_trust"])
