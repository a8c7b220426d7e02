"""Findings as one document for programs, tables for people, files to keep, and the measured part of the manual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from chain.base.errors import OperatorError
from scripts.audit_parts.alerts import find_alerts
from scripts.audit_parts.frames import Frames, standing
from scripts.audit_parts.issuers import SIGNIFICANT, audit_issuers, describe_issuers, unusual
from scripts.audit_parts.plots import plot_issuers, plot_rings, plot_trust, save
from scripts.audit_parts.rings import fed_by_rings, find_rings
from scripts.audit_parts.trust import compare, official_seeds
from scripts.chain_view import Sheet
from scripts.console import short_did

# What is printed of a p-value below this is its order only.
_DIGITS = 3


@dataclass(frozen=True)
class Audit:
    """All findings: ``trust`` has who rated or was rated, if anybody is pre-trusted.

    ``tests`` has every test of an issuer, significant or not.
    """

    ratings: pd.DataFrame
    records: pd.DataFrame
    rings: pd.DataFrame
    fed: pd.DataFrame
    trust: pd.DataFrame
    issuers: pd.DataFrame
    tests: pd.DataFrame
    alerts: pd.DataFrame

    @property
    def member_count(self) -> int:
        """How many members rated or were rated."""
        return len(set(self.ratings["rater"]) | set(self.ratings["subject"]))

    @property
    def overrated(self) -> pd.DataFrame:
        """Members whose points put them far higher than their trust does, the largest difference first."""
        ahead = self.trust[(self.trust["moved"] > 0) & (self.trust["points"] > 0)]
        return ahead.sort_values(["moved", "points"], ascending=False, kind="stable", ignore_index=True)


def make_audit(frames: Frames, window_slots: int, seeds: Sequence[str] = (), groups: pd.Series | None = None) -> Audit:
    """Ask everything; ``groups`` are those of the records.  Raises :class:`OperatorError`."""
    ratings, records = frames.ratings, frames.records
    rings = find_rings(ratings)
    fed = fed_by_rings(ratings, rings)
    trust = compare(ratings, frames.identities(seeds) or official_seeds(frames))
    if len(frames.members):
        known = frames.members.set_index("member")
        trust["key"], fed["key"] = (frame["member"].map(known["key"]) for frame in (trust, fed))
        trust["score"] = trust["member"].map(known["score"])
    issuers = describe_issuers(records, frames.authorities)
    tests = audit_issuers(records, window_slots, groups)
    alerts = find_alerts(frames, rings, window_slots)
    return Audit(ratings, records, rings, fed, trust, issuers, tests, alerts)


def document(audit: Audit, limit: int) -> dict[str, Any]:
    """For programs; ``limit`` cuts the lists of members, not those of rings and issuers."""
    return {
        "ratings": len(audit.ratings),
        "standing_ratings": len(standing(audit.ratings)),
        "members": audit.member_count,
        "records": len(audit.records),
        "issuers": len(audit.issuers),
        "seeds": audit.trust.loc[audit.trust["seed"], "member"].tolist(),
        "alerts": rows(audit.alerts),
        "all_issuers": rows(audit.issuers),
        "unusual_issuers": rows(unusual(audit.tests)),
        "rings": rows(audit.rings),
        "fed_by_rings": rows(audit.fed.head(limit)),
        "most_trusted": rows(audit.trust.head(limit)),
        "more_points_than_trust": rows(audit.overrated.head(limit)),
    }


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A frame for JSON."""
    return [{str(name): _plain(value) for name, value in row.items()} for row in frame.to_dict("records")]


def _plain(value: Any) -> Any:
    """A value of the standard library's types, for JSON."""
    if value is pd.NA:
        return None
    if hasattr(value, "item"):
        value = value.item()
    if value != value:  # NaN
        return None
    return float(f"{value:.6g}") if isinstance(value, float) else value


def sheets(audit: Audit, limit: int) -> list[Sheet]:
    """For people."""
    facts = [
        ("ratings, of which stand", f"{len(audit.ratings):,}, {len(standing(audit.ratings)):,}"),
        ("members with ratings", f"{audit.member_count:,}"),
        ("pre-trusted members", _seeds_in_words(audit)),
        ("records, issuers", f"{len(audit.records):,}, {len(audit.issuers)}"),
        ("rings, members in rings", f"{len(audit.rings)}, {int(audit.rings['size'].sum())}"),
        ("tests of issuers, unusual", f"{len(audit.tests)}, {len(unusual(audit.tests))}"),
    ]
    issuers = unusual(audit.tests)[["kind", "issuer", "other", "evidence", "p", "q"]]
    rings = audit.rings.drop(columns="conductance").head(limit)
    rings = rings.assign(members=[_some(members) for members in rings["members"]])
    known = ["key", "score"] if "score" in audit.trust else []
    trust = ["rank_trust", "rank_points", "member", *known, "points", "trust", "seed"]
    about = f"q <= {SIGNIFICANT}; not a verdict: numbers to look into" if len(audit.tests) else "too few records to ask"
    tables = (
        ("Issuers, and how their records held", audit.issuers.rename(columns=lambda name: name.replace("_", " "))),
        ("Alerts: patterns worth a look, not verdicts", audit.alerts),
        (f"Unusual issuers ({about})", issuers),
        ("Rings: groups whose support comes from within", rings),
        ("Members who live on the support of a ring", audit.fed.head(limit)),
        ("Members by trust (EigenTrust), beside their rank by points", audit.trust.head(limit)[trust]),
        ("Members with far more points than trust", audit.overrated.head(limit)[[*trust[:-1], "moved"]]),
    )
    shown = tables if len(audit.trust) else tables[:-2]
    return [Sheet("Analysed", ("what", "number"), facts), *(frame_sheet(title, frame) for title, frame in shown)]


def _seeds_in_words(audit: Audit) -> str:
    found = audit.trust.loc[audit.trust["seed"], "member"].tolist()
    return _some(found) if found else "none known, so nobody's trust is told; name some with --trusted"


def _some(members: Sequence[str], count: int = 4) -> str:
    listed = ", ".join(_brief(member) for member in members[:count])
    return listed + (f" and {len(members) - count} more" if len(members) > count else "")


def _brief(member: str) -> str:
    return short_did(member) if member.startswith("did:key:") else member


def frame_sheet(title: str, frame: pd.DataFrame) -> Sheet:
    """A frame as a table to print."""
    shown = [tuple(_shown(value) for value in row) for row in frame.itertuples(index=False)]
    return Sheet(title, tuple(map(str, frame.columns)), shown)


def _shown(value: Any) -> object:
    value = _plain(value)
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) >= 1 else f"{value:.{_DIGITS}g}"
    return _brief(value) if isinstance(value, str) else value


def write_files(audit: Audit, folder: Path) -> list[Path]:
    """Every frame of findings as csv and every plot as SVG.  Raises :class:`OperatorError`."""
    frames = {
        "rings": audit.rings,
        "fed-by-rings": audit.fed,
        "trust": audit.trust,
        "issuers": audit.tests,
        "records": audit.records,
    }
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, frame in frames.items():
            if name == "rings":
                frame = frame.assign(members=[" ".join(members) for members in frame["members"]])
            frame.to_csv(folder / f"{name}.csv", index=False)
            written.append(folder / f"{name}.csv")
    except OSError as error:
        raise OperatorError(f"{folder} cannot be written: {error.strerror}; name another --out") from error
    plots = {}
    if len(audit.trust):
        plots["trust.svg"] = plot_trust(audit.trust, {one for ring in audit.rings["members"] for one in ring})
    if len(audit.rings):
        plots["rings.svg"] = plot_rings(audit.ratings, audit.rings)
    if len(audit.tests):
        plots["issuers.svg"] = plot_issuers(audit.tests)
    for name, figure in plots.items():
        save(figure, folder / name)
        written.append(folder / name)
    return written
