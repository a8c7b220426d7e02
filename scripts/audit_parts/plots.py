"""Findings to look at.  Each function draws one figure; :func:`save` writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import SymLogNorm
from matplotlib.figure import Figure

from chain.base.errors import OperatorError
from scripts.audit_parts.frames import edges_of
from scripts.audit_parts.issuers import SIGNIFICANT

# Told apart also by those who see colours differently (Okabe and Ito).
_BLUE, _ORANGE, _GREEN, _RED, _GREY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#999999"
_COLOURS = (_BLUE, _ORANGE, _GREEN, _RED, "#cc79a7")
# More rings than this are not legible in one figure.
_RINGS_SHOWN = 30
# Fixed, so that the same findings give the same file.
_STYLE: Any = {"svg.hashsalt": "goodfaith", "axes.spines.top": False, "axes.spines.right": False, "font.size": 9}


def save(figure: Figure, path: Path) -> None:
    """Write a figure as the kind of file its name says.  Raises :class:`OperatorError`."""
    metadata = {"Date": None} if path.suffix == ".svg" else {}
    try:
        with rc_context(_STYLE):
            figure.savefig(path, dpi=120, metadata=metadata)
    except OSError as error:
        raise OperatorError(f"{path} cannot be written: {error.strerror}") from error


def _figure(width: float, height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width, height), layout="constrained")
    with rc_context(_STYLE):
        axes = figure.subplots(1, columns, squeeze=False)[0]
    return figure, list(axes)


def plot_trust(compared: pd.DataFrame, ring_members: set[str]) -> Figure:
    """Plain points against trust, with the members of rings and the seeds marked."""
    figure, (axes,) = _figure(7, 4.5)
    in_ring = compared["member"].isin(ring_members)
    floor = compared.loc[compared["trust"] > 0, "trust"].min() / 3
    trust = compared["trust"].clip(lower=floor)
    for chosen, colour, label, size in (
        (~in_ring & ~compared["seed"], _GREY, "members", 6),
        (in_ring, _RED, "members of rings", 16),
        (compared["seed"], _BLUE, "pre-trusted", 24),
    ):
        # Thousands of points would make a slow and heavy vector file.
        axes.scatter(
            compared["points"][chosen], trust[chosen], size, colour, label=label, lw=0, alpha=0.7, rasterized=True
        )
    axes.set(xscale="symlog", yscale="log", xlabel="points, what the plain score counts", ylabel="EigenTrust, 1 = mean")
    axes.axvline(0, color=_GREY, lw=0.5)
    axes.set_title(f"Points and trust of {len(compared):,} members (at the bottom: trust 0)", loc="left")
    axes.legend(loc="lower right", frameon=False)
    return figure


def plot_rings(ratings: pd.DataFrame, rings: pd.DataFrame) -> Figure:
    """When the members of each ring rated one another, and who rated whom."""
    figure, (when, whom) = _figure(11, 5, 2)
    shown = rings.head(_RINGS_SHOWN)
    edges = edges_of(ratings)
    members = [member for ring in shown["members"] for member in ring]
    place = np.full(edges.count, -1)
    place[edges.positions(members)] = np.arange(len(members))
    row = np.repeat(np.arange(len(shown)), shown["size"])
    inner = (place[edges.rater] >= 0) & (place[edges.subject] >= 0)
    rater, subject = place[edges.rater[inner]], place[edges.subject[inner]]
    same = row[rater] == row[subject]
    moments = edges.time[inner][same].astype("datetime64[s]")
    when.scatter(moments, shown["ring"].to_numpy()[row[rater[same]]], 12, _BLUE, alpha=0.5, lw=0)
    when.set(ylabel="ring", ylim=(len(shown) + 0.7, 0.3), title="When its members rated one another")
    when.tick_params(axis="x", rotation=30)
    matrix = np.full((len(members), len(members)), np.nan)
    matrix[rater, subject] = edges.points[inner]
    # Logarithmic, or a rating of one point would hardly be seen.
    scale = SymLogNorm(1, vmin=-10, vmax=10)
    image = whom.imshow(matrix, cmap="RdBu", norm=scale, interpolation="nearest")
    borders = np.cumsum(shown["size"])[:-1] - 0.5
    whom.hlines(borders, -0.5, len(members) - 0.5, color=_GREY, lw=0.3)
    whom.vlines(borders, -0.5, len(members) - 0.5, color=_GREY, lw=0.3)
    whom.set(xticks=[], yticks=[], xlabel="who is rated, ring by ring", ylabel="who rates", title="Who rated whom")
    bar = figure.colorbar(image, ax=whom, label="points", shrink=0.8)
    bar.set_ticks([-10, -3, -1, 0, 1, 3, 10], labels=["-10", "-3", "-1", "0", "1", "3", "10"])
    return figure


def plot_issuers(tests: pd.DataFrame) -> Figure:
    """Every test by its question; the further right, the less likely."""
    figure, (axes,) = _figure(8, 4)
    kinds = sorted(tests["kind"].unique())
    strength = -np.log10(tests["q"].clip(lower=1e-30))
    rng = np.random.default_rng(0)  # apart, so that equal values do not hide one another
    height = tests["kind"].map(kinds.index) + rng.uniform(-0.25, 0.25, len(tests))
    found = tests["q"] <= SIGNIFICANT
    axes.scatter(strength[~found], height[~found], 8, _GREY, lw=0)
    axes.scatter(strength[found], height[found], 22, _RED, lw=0)
    for at in tests.index[found]:
        who = " + ".join(name for name in (tests["issuer"][at], tests["other"][at]) if name)
        axes.annotate(who, (strength[at], height[at]), xytext=(5, -3), textcoords="offset points", fontsize=7)
    axes.axvline(-np.log10(SIGNIFICANT), color=_GREY, lw=0.8, ls="--")
    axes.set_yticks(range(len(kinds)), kinds)
    axes.set(
        xlabel=f"-log10 of q; beyond the line q < {SIGNIFICANT}", xlim=(-0.3, max(4, float(strength.max()) * 1.25))
    )
    axes.set_title("Issuers compared with the others in their categories", loc="left")
    return figure


def plot_measures(rings: pd.DataFrame, issuers: pd.DataFrame, sybils: pd.DataFrame) -> Figure:
    """What was planted and found."""
    figure, (ring_axes, issuer_axes, sybil_axes) = _figure(12, 3.8, 3)
    for colour, (kind, own) in zip(_COLOURS, rings.groupby("rings", sort=False), strict=False):
        ring_axes.plot(own["size"], own["recall"], "o-", color=colour, label=f"{kind}: recall")
        ring_axes.plot(
            own["size"], own["precision_new"], "s:", color=colour, label=f"{kind}: precision", ms=4, alpha=0.7
        )
    ring_axes.set(xlabel="members of a ring", ylim=(0, 1.05), title="Planted rings")
    questions = issuers[issuers["strength"] > 1].groupby("question")
    # Ever smaller marks, so that of equal recalls each is seen.
    for size, colour, (question, own) in zip((11, 9, 7, 5, 3), _COLOURS, questions, strict=False):
        issuer_axes.plot(own["strength"], own["recall"], "o-", ms=size, color=colour, label=str(question))
    issuer_axes.set(xlabel="strength", ylabel="recall", ylim=(-0.05, 1.05), title="Planted issuers")
    for duped, style in ((0, "o-"), (5, "s:")):
        own = sybils[sybils["duped"] == duped]
        for column, colour, name in (("rank_points", _RED, "points"), ("rank_trust", _BLUE, "EigenTrust")):
            sybil_axes.plot(own["sybils"], own[column], style, color=colour, label=f"by {name}, {duped} duped", ms=4)
    sybil_axes.set_xscale("symlog", linthresh=5)
    sybil_axes.set(yscale="log", xlabel="Sybils", title="Rank of the Sybils' master (1 is best)")
    sybil_axes.invert_yaxis()
    for axes in (ring_axes, issuer_axes, sybil_axes):
        axes.legend(frameon=False, fontsize=7)
    return figure
