"""Policies: what may be recorded, and how a score and a tier follow from it.  All of it is data.

A policy is written as TOML (``chain/policies/``), travels inside the genesis file and inside motions that amend
it, and is part of the state through its digest.  Every number is an integer, so every node computes the same
score.  Times are whole days; a chain counts them in slots.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

from chain.clauses import (
    CLAUSES,
    MAX_DAYS,
    SCORE_LIMIT,
    Identity,
    Quotas,
    Raters,
    clause_document,
    read_clause,
    usual,
)
from chain.codec import U32_MAX, decode, encode
from chain.errors import OperatorError, Reason, Refused
from chain.proposals import MAX_POLICY_BYTES
from chain.tables import Mistake, Table, line_of, read_text
from chain.transactions import POINTS_LIMIT

MAX_TIERS = 32
MAX_SEVERITIES = 8
# Of each kind.  The catalogue of a whole city fits, and one who reads a motion can still judge it.
MAX_CATEGORIES = 256

LANGUAGE = 2

_DAY_MS = 86_400_000
_ENROLMENT = ("open", "registrar")
# What holds where a file says nothing: five years of retention, and authorities are never suspended.
_PERIODS = {
    "answer_days": 20,
    "ruling_days": 20,
    "repair_answer_days": 20,
    "motion_days": 30,
    "notice_days": 30,
    "retention_days": 1_826,
}
_AUTHORITIES = {"overturned_permille": 1_000, "overturned_minimum": 1}
# Rights: the lowest and the highest value, and what holds where a file says nothing.
_RIGHTS = {
    "lookback_days": (0, MAX_DAYS, 0),
    "hearing_days": (1, MAX_DAYS, 5),
    "appeal_days": (1, MAX_DAYS, 20),
    "disputed_days": (1, MAX_DAYS, 10),
    "window_days": (1, MAX_DAYS, 365),
    "worse_notice_days": (1, MAX_DAYS, 60),
}
_INTERIM = ("suspended", "stands")
_LANGUAGE_1 = (
    "must be 2: this file is of an older language. Write language = 2; what it says nothing of is then "
    + ", ".join(f"{name} {default}" for name, (_, _, default) in _RIGHTS.items())
    + ' (table [rights]), and interim "suspended" for each category; overturned_minimum and overturned_permille '
    "now count contested records alone"
)

# The fields of each table, in the order in which :meth:`Policy.encode` writes them.
_FIELDS: dict[str, tuple[str, ...]] = {
    "policy": (
        "language", "name", "version", "day_ms", "enrolment",
        "score", "periods", "authorities", "rights", "tier", "severity", "category", "rating", *CLAUSES,
    ),
    "score": ("base", "ratings_floor", "ratings_cap"),
    "periods": tuple(_PERIODS),
    "authorities": tuple(_AUTHORITIES),
    "rights": tuple(_RIGHTS),
    **{name: tuple(keys) for name, keys in CLAUSES.items()},
    "tier": ("name", "from"),
    "severity": ("name", "repair_after_days", "expires_after_days"),
    "category": (
        "code", "name", "min", "max", "floor", "ceiling", "severities", "reason", "tier_cap", "closed",
        "interim",
    ),
    "rating": ("code", "name", "min", "max"),
}  # fmt: skip
_ROWS = ("tier", "severity", "category", "rating")
_FLAGS = ("reason", "closed")


_IDENTITY, _RATERS, _QUOTAS = usual("identity", Identity), usual("raters", Raters), usual("quotas", Quotas)


@dataclass(frozen=True, slots=True)
class Tier:
    """A named band of scores; it begins at ``threshold``."""

    name: str
    threshold: int


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
    an objection to it is open, with shorter deadlines.
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
    """A category in which members rate members, with the points that one rating may give."""

    code: int
    name: str
    low: int
    high: int


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

    def tier(self, level: int) -> Tier:
        """The tier of a level."""
        return self.tiers[len(self.tiers) - 1 - level]

    def slots(self, days: int, slot_ms: int) -> int:
        """How many slots of a chain ``days`` of this policy last; at least one."""
        return max(1, days * self.day_ms // slot_ms)

    def encode(self) -> bytes:
        """The canonical encoding of every rule, independent of the file's layout."""
        return encode(_to_wire("policy", self.to_document()))

    def digest(self) -> bytes:
        """What the state commits to: 32 bytes."""
        return sha256(b"goodfaith/policy/3" + self.encode()).digest()

    def to_document(self) -> dict[str, Any]:
        """The policy in the shape of its file, for JSON or TOML; :func:`read_policy` reads it back."""
        return {
            "language": LANGUAGE,
            "name": self.name,
            "version": self.version,
            "day_ms": self.day_ms,
            "enrolment": _ENROLMENT[self.enrolment_by_registrar],
            "score": {name: getattr(self, name) for name in _FIELDS["score"]},
            "periods": {name: getattr(self, name) for name in _PERIODS},
            "authorities": {name: getattr(self, name) for name in _AUTHORITIES},
            "rights": {name: getattr(self, name) for name in _RIGHTS},
            **{name: clause_document(name, getattr(self, name)) for name in CLAUSES},
            "tier": [{"name": tier.name, "from": tier.threshold} for tier in self.tiers],
            "severity": [
                {name: getattr(severity, name) for name in _FIELDS["severity"]} for severity in self.severities
            ],
            "category": [self._category_document(item) for _, item in sorted(self.categories.items())],
            "rating": [
                {"code": item.code, "name": item.name, "min": item.low, "max": item.high}
                for _, item in sorted(self.ratings.items())
            ],
        }

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
            "interim": _INTERIM[category.stands_disputed],
        }
        if category.tier_cap is not None:
            document["tier_cap"] = self.tier(category.tier_cap).name
        return document


# ------------------------------------------------------------------------------------------------- documents


def read_policy(document: Any) -> Policy:
    """Check a parsed policy document.  Raises :class:`OperatorError` that names the field and the remedy."""
    try:
        return _read(document)
    except Mistake as mistake:
        raise OperatorError(f"policy: {mistake}") from mistake


def parse_policy(text: str) -> Policy:
    """Read a policy from TOML.  Raises :class:`OperatorError` that names the line and the remedy."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError; so is a number too long
        raise OperatorError(f"policy: not valid TOML: {error}") from error
    try:
        return _read(document)
    except Mistake as mistake:
        raise OperatorError(f"policy: line {line_of(text, mistake.path)}: {mistake}") from mistake


def load_policy(path: Path) -> Policy:
    """Read a policy file.  Raises :class:`OperatorError`."""
    return parse_policy(read_text(path))


def shipped_policy(name: str) -> Policy:
    """A policy that ships with Goodfaith, by its name.  Raises :class:`OperatorError` for another name."""
    folder = Path(__file__).parent / "policies"
    known = sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir())
    if name not in known:
        raise OperatorError(f"no policy is called {name!r}; choose from {', '.join(known)}")
    return parse_policy((folder / f"{name}.toml").read_text(encoding="utf-8"))


def _read(document: Any) -> Policy:
    table = Table(document, _FIELDS["policy"])
    if document.get("language") != LANGUAGE or type(document["language"]) is not int:
        raise table.mistake("language", _LANGUAGE_1)
    score = table.table("score", _FIELDS["score"])
    periods = table.table("periods", _FIELDS["periods"])
    authorities = table.table("authorities", _FIELDS["authorities"])
    rights = table.table("rights", _FIELDS["rights"])
    days = {name: periods.integer(name, 1, MAX_DAYS, default) for name, default in _PERIODS.items()}
    tiers = _tiers(table)
    severities = _severities(table, days["retention_days"])
    policy = Policy(
        name=table.text("name"),
        version=table.integer("version", 1, U32_MAX),
        day_ms=table.integer("day_ms", 1, _DAY_MS, _DAY_MS),
        enrolment_by_registrar=bool(table.choice("enrolment", _ENROLMENT)),
        base=score.integer("base", -SCORE_LIMIT, SCORE_LIMIT),
        ratings_floor=score.integer("ratings_floor", -SCORE_LIMIT, 0),
        ratings_cap=score.integer("ratings_cap", 0, SCORE_LIMIT),
        **days,
        overturned_permille=authorities.integer("overturned_permille", 0, 1_000, _AUTHORITIES["overturned_permille"]),
        overturned_minimum=authorities.integer("overturned_minimum", 1, U32_MAX, _AUTHORITIES["overturned_minimum"]),
        **{name: rights.integer(name, *bounds) for name, bounds in _RIGHTS.items()},
        tiers=tiers,
        severities=severities,
        categories=_categories(table, tiers, severities),
        ratings=_ratings(table),
        identity=read_clause(table, "identity", Identity),
        raters=read_clause(table, "raters", Raters),
        quotas=read_clause(table, "quotas", Quotas),
    )
    _check_identity(table, policy.identity)
    size = len(policy.encode())
    if size > MAX_POLICY_BYTES:
        raise Mistake((), f"is too long: {size} bytes encoded where {MAX_POLICY_BYTES} are allowed; shorten names")
    return policy


def _check_identity(table: Table, identity: Identity) -> None:
    """Guardians must be able to act before somebody is gone."""
    if identity.leave_days < identity.recovery_days:
        raise table.mistake("identity", f"leave_days must be at least recovery_days, {identity.recovery_days}")


def _tiers(table: Table) -> tuple[Tier, ...]:
    rows = table.rows("tier", _FIELDS["tier"], MAX_TIERS)
    tiers = tuple(Tier(row.text("name"), row.integer("from", -SCORE_LIMIT, SCORE_LIMIT)) for row in rows)
    if not tiers:
        raise table.mistake("tier", "must have at least one [[tier]]")
    _check_names(rows, [tier.name for tier in tiers])
    for (above, below), row in zip(pairwise(tiers), rows[1:], strict=True):
        if above.threshold <= below.threshold:
            raise row.mistake("from", f"must begin below the tier before it, {above.name!r}")
    return tiers


def _severities(table: Table, retention_days: int) -> tuple[Severity, ...]:
    rows = table.rows("severity", _FIELDS["severity"], MAX_SEVERITIES)
    severities = []
    for row in rows:
        repair_after_days = row.integer("repair_after_days", 0, retention_days)
        expires_after_days = row.integer("expires_after_days", max(1, repair_after_days), retention_days)
        severities.append(Severity(row.text("name"), repair_after_days, expires_after_days))
    _check_names(rows, [severity.name for severity in severities])
    return tuple(severities)


def _categories(table: Table, tiers: Sequence[Tier], severities: Sequence[Severity]) -> dict[int, Category]:
    levels = [tier.name for tier in reversed(tiers)]
    names = [severity.name for severity in severities]
    categories: dict[int, Category] = {}
    for row in table.rows("category", _FIELDS["category"], MAX_CATEGORIES):
        low = row.integer("min", -POINTS_LIMIT, POINTS_LIMIT)
        category = Category(
            code=row.integer("code", 0, U32_MAX),
            name=row.text("name"),
            low=low,
            high=row.integer("max", low, POINTS_LIMIT),
            floor=row.integer("floor", -SCORE_LIMIT, 0, -SCORE_LIMIT),
            ceiling=row.integer("ceiling", 0, SCORE_LIMIT, SCORE_LIMIT),
            severities=tuple(index + 1 for index in row.choices("severities", names)),
            needs_reason=row.flag("reason"),
            tier_cap=row.choice("tier_cap", levels),
            is_closed=row.flag("closed"),
            stands_disputed=bool(row.choice("interim", _INTERIM)),
        )
        if category.code in categories:
            raise row.mistake("code", f"{category.code} is used twice; choose another")
        categories[category.code] = category
    return categories


def _ratings(table: Table) -> dict[int, RatingCategory]:
    ratings: dict[int, RatingCategory] = {}
    for row in table.rows("rating", _FIELDS["rating"], MAX_CATEGORIES):
        low = row.integer("min", -POINTS_LIMIT, POINTS_LIMIT)
        high = row.integer("max", low, POINTS_LIMIT)
        category = RatingCategory(row.integer("code", 0, U32_MAX), row.text("name"), low, high)
        if category.code in ratings:
            raise row.mistake("code", f"{category.code} is used twice; choose another")
        ratings[category.code] = category
    return ratings


def _check_names(rows: Sequence[Table], names: Sequence[str]) -> None:
    for number, (row, name) in enumerate(zip(rows, names, strict=True)):
        if name in names[:number]:
            raise row.mistake("name", f"{name!r} is used twice; choose another")


# ------------------------------------------------------------------------------------------------ on the wire


def decode_policy(data: bytes) -> Policy:
    """Read what :meth:`Policy.encode` made.  Raises :class:`Refused` (``TOO_LARGE``, ``MALFORMED``) and no other.

    The document is checked by the rules of :func:`read_policy`, and only the bytes that encode the policy pass.
    """
    fields = decode(data, max_bytes=MAX_POLICY_BYTES, max_items=MAX_CATEGORIES)
    try:
        policy = _read(_from_wire("policy", fields))
    except Mistake as mistake:
        raise Refused(Reason.MALFORMED, f"policy: {mistake}") from mistake
    if policy.encode() != data:
        raise Refused(Reason.MALFORMED, "policy: not its canonical encoding")
    return policy


def _to_wire(name: str, value: Any) -> Any:
    """A table as the tuple of its fields, a text as bytes, true as 1; what is left out as the empty text."""
    match value:
        case dict():
            return tuple(_to_wire(key, value.get(key, "")) for key in _FIELDS[name])
        case list():
            return tuple(_to_wire(name, item) for item in value)
        case str():
            return value.encode()
        case _:
            return int(value)


def _from_wire(name: str, row: Any) -> Any:
    """The table that :func:`_to_wire` was given, as far as ``row`` has its shape; what is in it is not checked."""
    fields = _FIELDS[name]
    if type(row) is not tuple or len(row) != len(fields):
        return row
    return {key: _field_from_wire(key, value) for key, value in zip(fields, row, strict=True) if value != b""}


def _field_from_wire(name: str, value: Any) -> Any:
    match value:
        case bytes():
            return value.decode(errors="replace")
        case tuple() if name == "severities":
            return [_field_from_wire("", item) for item in value]
        case tuple() if name in _ROWS:
            return [_from_wire(name, item) for item in value]
        case tuple() if name in _FIELDS:
            return _from_wire(name, value)
        case 0 | 1 if name in _FLAGS:
            return bool(value)
        case _:
            return value
