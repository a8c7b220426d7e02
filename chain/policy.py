"""Policies: what may be recorded, and how a score and a tier follow from it.  All of it is data.

A policy is written as TOML (``chain/policies/``), travels inside the genesis file, and is part of the state
through its digest.  Every number is an integer, so every node computes the same score.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

from chain.codec import U32_MAX, encode
from chain.errors import OperatorError
from chain.transactions import POINTS_LIMIT

MAX_TIERS = 32
MAX_CATEGORIES = 1_024
SCORE_LIMIT = 10**12


@dataclass(frozen=True, slots=True)
class Tier:
    """A named band of scores; it begins at ``threshold``."""

    name: str
    threshold: int


@dataclass(frozen=True, slots=True)
class RatingCategory:
    """A category in which members rate members, with the points that one rating may give."""

    code: int
    name: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Policy:
    """A checked policy.  Tiers run from the highest threshold down; categories are found by their code."""

    name: str
    version: int
    base: int
    ratings_floor: int
    ratings_cap: int
    tiers: tuple[Tier, ...]
    ratings: Mapping[int, RatingCategory] = field(hash=False)

    def score(self, rating_points: int) -> int:
        """The score of a member whose standing ratings sum up to ``rating_points``."""
        return self.base + max(self.ratings_floor, min(self.ratings_cap, rating_points))

    def tier(self, score: int) -> Tier:
        """The first tier whose threshold ``score`` reaches, else the last one."""
        return next((tier for tier in self.tiers if score >= tier.threshold), self.tiers[-1])

    def digest(self) -> bytes:
        """SHA-256 of the canonical encoding of every rule, independent of the file's layout."""
        fields = (
            self.name.encode(),
            self.version,
            (self.base, self.ratings_floor, self.ratings_cap),
            tuple((tier.name.encode(), tier.threshold) for tier in self.tiers),
            tuple(
                (category.code, category.name.encode(), category.low, category.high)
                for _, category in sorted(self.ratings.items())
            ),
        )
        return sha256(b"goodfaith/policy/1" + encode(fields)).digest()

    def to_document(self) -> dict[str, Any]:
        """The policy in the shape of its file, for JSON or TOML; :func:`read_policy` reads it back."""
        return {
            "name": self.name,
            "version": self.version,
            "score": {
                "base": self.base,
                "ratings_floor": self.ratings_floor,
                "ratings_cap": self.ratings_cap,
            },
            "tier": [{"name": tier.name, "from": tier.threshold} for tier in self.tiers],
            "rating": [
                {"code": category.code, "name": category.name, "min": category.low, "max": category.high}
                for _, category in sorted(self.ratings.items())
            ],
        }


class _Table:
    """One table of a policy document, read field by field with errors that name the field and the remedy."""

    def __init__(self, document: Any, path: str, fields: set[str]) -> None:
        if not isinstance(document, Mapping):
            raise OperatorError(f"policy: {path} must be a table")
        unknown = sorted(set(document) - fields)
        if unknown:
            raise OperatorError(f"policy: {path}.{unknown[0]} is not known; remove it or choose from {sorted(fields)}")
        self._document = document
        self._path = path

    def integer(self, name: str, low: int, high: int) -> int:
        value = self._document.get(name)
        if type(value) is not int or not low <= value <= high:
            raise OperatorError(f"policy: {self._path}.{name} must be an integer from {low} to {high}")
        return value

    def text(self, name: str) -> str:
        value = self._document.get(name)
        if type(value) is not str or not 1 <= len(value) <= 64 or not value.isprintable():
            raise OperatorError(f"policy: {self._path}.{name} must be a text of 1 to 64 characters")
        return value

    def rows(self, name: str, limit: int) -> list[Any]:
        value = self._document.get(name, [])
        if not isinstance(value, list) or len(value) > limit:
            raise OperatorError(f"policy: {name} must be a list of at most {limit} tables")
        return value


def _tiers(rows: list[Any]) -> tuple[Tier, ...]:
    tiers = []
    for number, row in enumerate(rows, 1):
        table = _Table(row, f"tier[{number}]", {"name", "from"})
        tiers.append(Tier(table.text("name"), table.integer("from", -SCORE_LIMIT, SCORE_LIMIT)))
    if not tiers:
        raise OperatorError("policy: at least one [[tier]] is needed")
    for above, below in pairwise(tiers):
        if above.threshold <= below.threshold:
            raise OperatorError(f"policy: tier {below.name!r} must begin below tier {above.name!r}")
    return tuple(tiers)


def _ratings(rows: list[Any]) -> dict[int, RatingCategory]:
    ratings: dict[int, RatingCategory] = {}
    for number, row in enumerate(rows, 1):
        table = _Table(row, f"rating[{number}]", {"code", "name", "min", "max"})
        low = table.integer("min", -POINTS_LIMIT, POINTS_LIMIT)
        category = RatingCategory(
            table.integer("code", 0, U32_MAX),
            table.text("name"),
            low,
            table.integer("max", low, POINTS_LIMIT),
        )
        if category.code in ratings:
            raise OperatorError(f"policy: rating[{number}].code {category.code} is used twice")
        ratings[category.code] = category
    return ratings


def read_policy(document: Any) -> Policy:
    """Check a parsed policy document.  Raises :class:`OperatorError` that names the field and the remedy."""
    table = _Table(document, "policy", {"name", "version", "score", "tier", "rating"})
    score = _Table(document.get("score"), "score", {"base", "ratings_floor", "ratings_cap"})
    floor = score.integer("ratings_floor", -SCORE_LIMIT, 0)
    return Policy(
        name=table.text("name"),
        version=table.integer("version", 1, U32_MAX),
        base=score.integer("base", -SCORE_LIMIT, SCORE_LIMIT),
        ratings_floor=floor,
        ratings_cap=score.integer("ratings_cap", 0, SCORE_LIMIT),
        tiers=_tiers(table.rows("tier", MAX_TIERS)),
        ratings=_ratings(table.rows("rating", MAX_CATEGORIES)),
    )


def parse_policy(text: str) -> Policy:
    """Read a policy from TOML.  Raises :class:`OperatorError`; a syntax error names its line."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError; so is a number too long
        raise OperatorError(f"policy: not valid TOML: {error}") from error
    return read_policy(document)


def shipped_policy(name: str) -> Policy:
    """A policy that ships with Goodfaith, by its name."""
    folder = Path(__file__).parent / "policies"
    known = sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir())
    if name not in known:
        raise OperatorError(f"no policy is called {name!r}; choose from {', '.join(known)}")
    return parse_policy((folder / f"{name}.toml").read_text(encoding="utf-8"))
