"""Policies: what may be recorded, and how a score and a tier follow from it.  All of it is data.

A policy is written as TOML (``chain/policies/``), travels inside the genesis file and inside motions that amend
it, and is part of the state through its digest.  Every number is an integer, so every node computes the same
score.  Times are whole days; a chain counts them in slots.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from chain.base.codec import encode
from chain.content.clauses import CLAUSES, Identity, Quotas, Raters, clause_document, usual
from chain.content.language import LANGUAGE, SCORE_LIMIT, field_of, in_words, names, to_wire

# The tables whose numbers are a policy's own.
OWN_TABLES = ("score", "periods", "authorities", "rights")
_IDENTITY, _RATERS, _QUOTAS = usual("identity", Identity), usual("raters", Raters), usual("quotas", Quotas)


@dataclass(frozen=True, slots=True)
class Tier:
    """A named band of scores; it begins at ``threshold``, and ``cap_records`` that cap at it make its cap hold."""

    name: str
    threshold: int
    cap_records: int = 1


@dataclass(frozen=True, slots=True)
class Severity:
    """How long a record counts, in days from when the conduct was established.

    The member may ask for repair after ``repair_after_days``; after ``expires_after_days`` the record expires.
    """

    name: str
    repair_after_days: int
    expires_after_days: int


@dataclass(frozen=True, slots=True)
class Category:
    """A category in which authorities record, with the points that one record may give.

    All standing records of the category together count for at least ``floor`` and at most ``ceiling``.
    ``severities`` are the codes that a record may have, from 1 in the order of the policy; with none of them its
    severity is 0: never repaired, it ends with the retention.  A record that ``needs_reason`` carries the digest
    of a written one.  A member with a standing record is at most at the level ``tier_cap``.  A category that
    ``is_closed`` takes no new records, and the old ones stand.  Where it ``stands_disputed``, a record counts while
    an objection to it is open, with shorter deadlines.  Its points halve every ``half_life_days`` (0: never).
    """

    code: int
    name: str
    low: int
    high: int
    floor: int
    ceiling: int
    severities: tuple[int, ...]
    needs_reason: bool
    tier_cap: int | None
    is_closed: bool
    stands_disputed: bool = False
    half_life_days: int = 0

    @property
    def is_adverse(self) -> bool:
        """Whether a record of it can put a member worse."""
        return self.low < 0 or self.tier_cap is not None

    @property
    def is_capped(self) -> bool:
        """Whether its records can add up to more than they count for."""
        return self.floor > -SCORE_LIMIT or self.ceiling < SCORE_LIMIT

    def clamp(self, points: int) -> int:
        """What standing records that add up to ``points`` count for."""
        return max(self.floor, min(self.ceiling, points))


@dataclass(frozen=True, slots=True)
class RatingCategory:
    """A category in which members rate members, with the points that one rating may give.

    One that ``is_closed`` takes no new ratings, and the old ones count.
    """

    code: int
    name: str
    low: int
    high: int
    is_closed: bool = False


@dataclass(frozen=True, slots=True)
class Attribute:
    """What an authority attests of a member for at most ``valid_days``; not any more if it ``is_closed``."""

    code: int
    name: str
    valid_days: int
    is_closed: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """A checked policy.  Tiers run from the highest threshold down; categories are found by their code.

    An authority is suspended once more than ``overturned_permille`` in 1000 of its contested adverse records that
    were decided within ``window_days`` were overturned, and at least ``overturned_minimum`` were decided.

    Conduct may have been established ``lookback_days`` before the member's enrolment.  Between an answer and the
    draw of an arbiter lie ``hearing_days``; an upheld record can be appealed for ``appeal_days``.  What counts while
    it is disputed is answered and ruled on within ``disputed_days``.  An amendment that worsens anything takes
    ``worse_notice_days``.
    """

    name: str
    version: int
    day_ms: int
    enrolment_by_registrar: bool
    base: int
    ratings_floor: int
    ratings_cap: int
    answer_days: int
    ruling_days: int
    repair_answer_days: int
    motion_days: int
    notice_days: int
    retention_days: int
    bodies_days: int
    overturned_permille: int
    overturned_minimum: int
    lookback_days: int
    hearing_days: int
    appeal_days: int
    disputed_days: int
    window_days: int
    worse_notice_days: int
    tiers: tuple[Tier, ...]
    severities: tuple[Severity, ...]
    categories: Mapping[int, Category] = field(hash=False)
    ratings: Mapping[int, RatingCategory] = field(hash=False)
    identity: Identity = _IDENTITY
    raters: Raters = _RATERS
    quotas: Quotas = _QUOTAS
    attributes: Mapping[int, Attribute] = field(default_factory=dict, hash=False)

    def rated(self, points: int, ratings: int, raters: int) -> int:
        """What ``ratings`` by so many ``raters``, which add up to ``points``, count for, before floor and cap.

        A mean is rounded towards 0, so that praise and blame weigh the same.
        """
        rules = self.raters
        if raters < rules.least_raters:
            return 0
        if not rules.aggregation or not ratings:
            return points
        size = abs(points) * rules.scale // ratings
        return size if points > 0 else -size

    def score(self, record_points: int, rated_points: int) -> int:
        """The score of a member from its standing records, capped by category, and the sum of its ratings."""
        return self.base + record_points + max(self.ratings_floor, min(self.ratings_cap, rated_points))

    def level(self, score: int, caps: Iterable[int] = ()) -> int:
        """The level that ``score`` reaches, but none above any of ``caps``; the lowest tier is level 0."""
        return min((sum(score >= tier.threshold for tier in self.tiers[:-1]), *caps))

    def holding(self, caps: Iterable[tuple[int, int]]) -> list[int]:
        """Of ``(level, standing records that cap the tier at it)``, the levels whose caps hold."""
        return [level for level, records in caps if records >= self.tier(level).cap_records]

    def tier(self, level: int) -> Tier:
        """The tier of a level."""
        return self.tiers[len(self.tiers) - 1 - level]

    def slots(self, days: int, slot_ms: int) -> int:
        """How many slots of a chain ``days`` of this policy last; at least one."""
        return max(1, days * self.day_ms // slot_ms)

    def number(self, table: str, name: str) -> int:
        """What it says in a field of :data:`chain.content.language.TABLES` that is a number or a choice."""
        where = getattr(self, table) if table in CLAUSES else self
        value: int = getattr(where, name)
        return value

    def encode(self) -> bytes:
        """The canonical encoding of every rule, independent of the file's layout."""
        return encode(to_wire("policy", self.to_document()))

    def digest(self) -> bytes:
        """What the state commits to: 32 bytes."""
        return sha256(b"goodfaith/policy/3" + self.encode()).digest()

    def to_document(self) -> dict[str, Any]:
        """The policy in the shape of its file, for JSON or TOML (:mod:`chain.content.policyfile` reads it back)."""
        return {
            "language": LANGUAGE,
            "name": self.name,
            "version": self.version,
            "day_ms": self.day_ms,
            "enrolment": in_words(field_of("policy", "enrolment"), self.enrolment_by_registrar),
            **{table: {name: getattr(self, name) for name in names(table)} for table in OWN_TABLES},
            **{name: clause_document(name, getattr(self, name)) for name in CLAUSES},
            "tier": [
                {"name": tier.name, "from": tier.threshold, "cap_records": tier.cap_records} for tier in self.tiers
            ],
            "severity": [{name: getattr(severity, name) for name in names("severity")} for severity in self.severities],
            "category": [self._category_document(item) for _, item in sorted(self.categories.items())],
            "rating": [
                {"code": item.code, "name": item.name, "min": item.low, "max": item.high, "closed": item.is_closed}
                for _, item in sorted(self.ratings.items())
            ],
            **self._attributes_document(),
        }

    def _attributes_document(self) -> dict[str, Any]:
        rows = [
            {"code": item.code, "name": item.name, "valid_days": item.valid_days, "closed": item.is_closed}
            for _, item in sorted(self.attributes.items())
        ]
        return {"attribute": rows} if rows else {}

    def _category_document(self, category: Category) -> dict[str, Any]:
        document = {
            "code": category.code,
            "name": category.name,
            "min": category.low,
            "max": category.high,
            "floor": category.floor,
            "ceiling": category.ceiling,
            "severities": [self.severities[code - 1].name for code in category.severities],
            "reason": category.needs_reason,
            "closed": category.is_closed,
            "interim": in_words(field_of("category", "interim"), category.stands_disputed),
        }
        if category.tier_cap is not None:
            document["tier_cap"] = self.tier(category.tier_cap).name
        if category.half_life_days:
            document["half_life_days"] = category.half_life_days
        return document
