"""Groups of members whose support comes from within, and members who live on the support of such a group.

What a member gives away costs nothing, so it can be camouflage; what it receives from others is what a ring lacks.
Two members are linked if they rate one another positively and those who support the one largely support the other
too (the Jaccard index of their supporters).  A ring is a connected group of such links that is dense inside and has
little support from outside.  That is the idea behind FRAUDAR (B. Hooi et al., KDD 2016), whose measure also cannot
be lowered by camouflage, made local, because rings are many and small.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse, stats
from scipy.special import gammaln

from scripts.audit_parts.frames import Edges, Floats, Ints, edges_of

# Three who rate one another are friends; with four, chance and friendship begin to differ.
MIN_SIZE = 4
_DAY_S = 86_400
# What is rated within this time of one another counts as one burst.
BURST_S = 7 * _DAY_S


@dataclass(frozen=True)
class Limits:
    """What makes a ring: the least share of support from within, and the least density.

    Links are tried from the loosest of ``overlaps`` to the strictest: where a ring hangs together with others by loose
    links, a stricter one takes it out of them.
    """

    overlaps: tuple[float, ...] = (0.25, 0.3, 0.4, 0.5)
    inside: float = 0.5
    density: float = 0.4


def find_rings(ratings: pd.DataFrame, limits: Limits = Limits()) -> pd.DataFrame:
    """Rings, the most telling first.

    ``inside_share``: positive ratings about its members that come from its members.  ``density``: ordered pairs of
    members with a positive rating.  ``conductance``: positive ratings, either way, that cross its border.
    ``p_mixing``: how likely any group of this size would be so closed if positive ratings went to anybody; the bound
    is for all such groups together, so nothing is gained by looking at many.  ``p_burst``: how likely so many of its
    inner ratings fall into one week, given when everybody rates.
    """
    edges = edges_of(ratings)
    positive = np.flatnonzero(edges.points > 0)
    supporters = sparse.csr_array(
        (np.ones(len(positive)), (edges.subject[positive], edges.rater[positive])), shape=(edges.count, edges.count)
    )
    taken = np.zeros(edges.count, dtype=bool)
    found = []
    for ring_of in _components(supporters, limits.overlaps):
        for ring in range(int(ring_of.max(initial=-1)) + 1):
            group = np.flatnonzero(ring_of == ring)
            if not taken[group].any() and (measures := _measure(edges, positive, group, limits)) is not None:
                taken[group] = True
                found.append(measures)
    columns = ["members", "size", "inside", "inside_share", "density", "conductance", "burst", "p_mixing", "p_burst"]
    rings = pd.DataFrame(found, columns=columns)
    rings = rings.sort_values(["p_mixing", "p_burst"], kind="stable", ignore_index=True)
    rings.insert(0, "ring", np.arange(1, len(rings) + 1))
    return rings


def _components(supporters: sparse.csr_array, overlaps: Sequence[float]) -> Iterator[Ints]:
    """By each overlap, for each member the number of its group of at least :data:`MIN_SIZE`, or -1."""
    count = supporters.shape[0]
    mutual = sparse.coo_array(supporters.multiply(supporters.T))
    one, other = (side[mutual.row < mutual.col] for side in (mutual.row, mutual.col))
    # Everybody supports itself, else two who have nobody but one another would share nothing.
    own = (supporters + sparse.eye_array(count)).tocsr()
    shared = own[one].multiply(own[other]).sum(axis=1)
    sizes = own.sum(axis=1)
    jaccard = shared / (sizes[one] + sizes[other] - shared)
    for overlap in overlaps:
        link = jaccard >= overlap
        graph = sparse.coo_array((np.ones(link.sum()), (one[link], other[link])), shape=(count, count))
        _, labels = sparse.csgraph.connected_components(graph, directed=False)
        big = np.bincount(labels) >= MIN_SIZE
        yield np.where(big, np.cumsum(big) - 1, -1)[labels].astype(np.int64)


def _measure(edges: Edges, positive: Ints, group: Ints, limits: Limits) -> tuple[object, ...] | None:
    """The measures of one group, None if it is no ring."""
    is_in = np.zeros(edges.count, dtype=bool)
    is_in[group] = True
    from_group, to_group = is_in[edges.rater[positive]], is_in[edges.subject[positive]]
    inner = positive[from_group & to_group]
    size, inside, received, given = len(group), len(inner), int(to_group.sum()), int(from_group.sum())
    density = inside / (size * (size - 1))
    if inside < limits.inside * received or density < limits.density:
        return None
    crossing = received + given - 2 * inside
    burst, p_burst = _burst(np.sort(edges.time[inner]), np.sort(edges.time[positive]))
    return (
        tuple(edges.members[group]),
        size,
        inside,
        inside / received,
        density,
        crossing / (crossing + 2 * inside),
        burst,
        _mixing(edges.count, size, inside, received, given / len(positive)),
        p_burst,
    )


def _mixing(members: int, size: int, inside: int, received: int, share: float) -> float:
    """A union bound over all groups of ``size`` on the tail of a binomial."""
    groups = gammaln(members + 1) - gammaln(size + 1) - gammaln(members - size + 1)
    return float(np.exp(min(0.0, stats.binom.logsf(inside - 1, received, share) + groups)))


def _burst(inner: Floats, everywhere: Floats) -> tuple[int, float]:
    """The most inner ratings within :data:`BURST_S`, and a bound on how likely that is.

    Each inner rating is taken to fall on a week with the share that week has of all ratings; as the window may begin
    at any inner rating, the tail is multiplied by their number.
    """
    ends = np.searchsorted(inner, inner + BURST_S, side="right")
    counts = ends - np.arange(len(inner))
    around = np.searchsorted(everywhere, inner + BURST_S, side="right") - np.searchsorted(everywhere, inner)
    # The first of a window is there by choice, so it is no evidence.
    tails = np.asarray(stats.binom.sf(counts - 2, len(inner) - 1, around / len(everywhere)))
    return int(counts.max()), float(min(1.0, len(inner) * tails.min()))


def fed_by_rings(ratings: pd.DataFrame, rings: pd.DataFrame, share: float = 0.5) -> pd.DataFrame:
    """Members of whose positive points at least ``share`` come from one ring, in it or not, most points first."""
    edges = edges_of(ratings)
    gain = np.maximum(edges.points, 0)
    total = edges.sums(edges.subject, gain)
    rows = []
    for ring, members in zip(rings["ring"], rings["members"], strict=True):
        is_in = np.isin(np.arange(edges.count), edges.positions(members))
        fed = edges.sums(edges.subject, gain * is_in[edges.rater])
        rows += [
            (edges.members[int(at)], ring, bool(is_in[at]), total[at], fed[at], fed[at] / total[at])
            for at in np.flatnonzero((fed > 0) & (fed >= share * total))
        ]
    columns = ["member", "ring", "in_ring", "points_for", "from_ring", "share"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.sort_values(["from_ring", "member"], ascending=[False, True], kind="stable", ignore_index=True)
