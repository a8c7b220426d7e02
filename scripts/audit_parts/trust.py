"""A measure of trust that praise among strangers cannot raise, beside the plain score.

EigenTrust: S. D. Kamvar, M. T. Schlosser, H. Garcia-Molina, "The EigenTrust Algorithm for Reputation Management in
P2P Networks", WWW 2003.  A member's trust is the chance that a walk which starts at a pre-trusted member, follows
positive ratings in proportion to their points and starts again every now and then, is found at it.  Members that
only praise one another are reached through the ratings that others gave them, and through nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import sparse

from chain.base.errors import OperatorError
from scripts.audit_parts.frames import IN_FORCE, Edges, Floats, Frames, edges_of

# How often a walk starts again; Kamvar et al. leave it open, PageRank's customary value.
RESTART = 0.15
DEFAULT_SEEDS = 10
# The error shrinks by 1 - RESTART a round: 200 rounds leave 1e-14 of it.
_MAX_ROUNDS = 200
_TOLERANCE = 1e-12


def official_seeds(frames: Frames) -> list[str]:
    """Whom the register itself trusts: validators and authorities in office, as far as they rate or are rated.

    Where none of them is, the members whom those authorities stand behind with a record for the better.  Never the
    earliest members: whoever enrols first would be trusted most.
    """
    known = set(frames.ratings["rater"]) | set(frames.ratings["subject"])
    officers = sorted(known & set(frames.officers))
    records = frames.records
    for_them = records["issuer"].isin(frames.officers) & (records["points"] > 0) & records["outcome"].isin(IN_FORCE)
    return officers or sorted(known & set(records.loc[for_them, "subject"]))


def earliest(ratings: pd.DataFrame, count: int = DEFAULT_SEEDS) -> list[str]:
    """The members of the earliest ratings: for measuring old data where nobody else is known, and for nothing else."""
    return list(edges_of(ratings).members[:count])


def choose_seeds(edges: Edges, seeds: Sequence[str]) -> np.ndarray:
    """Positions of the pre-trusted members.  Raises OperatorError."""
    found = edges.positions(seeds)
    if (found < 0).any():
        missing = seeds[int(np.argmin(found))]
        raise OperatorError(f"seed {missing} neither gave nor received a rating; name members that did")
    return np.unique(found)


def eigentrust(edges: Edges, seeds: np.ndarray, restart: float = RESTART) -> Floats:
    """The trust of every member; it sums up to 1."""
    if not edges.count:
        return np.zeros(0)
    start = np.zeros(edges.count)
    start[seeds] = 1 / len(seeds)
    given = np.maximum(edges.points, 0)
    totals = edges.sums(edges.rater, given)
    weights = given / np.where(totals > 0, totals, 1)[edges.rater]
    towards = sparse.csr_array((weights, (edges.subject, edges.rater)), shape=(edges.count, edges.count))
    stuck = totals == 0  # whoever trusts nobody hands its trust back to the seeds
    trust = start
    for _ in range(_MAX_ROUNDS):
        after = (1 - restart) * (towards @ trust + trust[stuck].sum() * start) + restart * start
        if np.abs(after - trust).sum() < _TOLERANCE:
            return np.asarray(after)
        trust = after
    return trust


def plain_points(edges: Edges) -> Floats:
    """The sum of the standing ratings about every member, which is what a plain score counts."""
    return edges.sums(edges.subject, edges.points)


def compare(ratings: pd.DataFrame, seeds: Sequence[str]) -> pd.DataFrame:
    """Every member with its points, its trust and its rank by each, most trusted first.

    ``trust`` is relative to the mean: 1 is what every member would have if all had the same.  Equal values share
    the better rank.  ``moved`` is by how many places the plain rank is better than the one by trust.  Without seeds
    nobody's trust can be told: there are no rows.
    """
    edges = edges_of(ratings if len(seeds) else ratings.head(0))
    frame = pd.DataFrame({"member": edges.members, "points": plain_points(edges)})
    chosen = choose_seeds(edges, seeds)
    frame["trust"] = eigentrust(edges, chosen) * edges.count
    frame["seed"] = np.isin(np.arange(edges.count), chosen)
    # Rounded, as the last digits of equal trusts depend on the order of summation.
    frame["rank_points"] = frame["points"].rank(method="min", ascending=False).astype(int)
    frame["rank_trust"] = frame["trust"].round(9).rank(method="min", ascending=False).astype(int)
    frame["moved"] = frame["rank_trust"] - frame["rank_points"]
    return frame.sort_values(["rank_trust", "rank_points"], kind="stable", ignore_index=True)
