"""Policies are read here, from TOML, documents and the wire: each field is checked, and a mistake says where it is."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from chain.base.codec import decode
from chain.base.errors import OperatorError, Reason, Refused
from chain.content.actions import POINTS_LIMIT
from chain.content.clauses import Identity, Quotas, Raters, read_clause
from chain.content.language import (
    LANGUAGE,
    MAX_ATTRIBUTES,
    MAX_CATEGORIES,
    MAX_SEVERITIES,
    MAX_TIERS,
    TABLES,
    from_wire,
    names,
    read_plain,
)
from chain.content.policy import OWN_TABLES, Attribute, Category, Policy, RatingCategory, Severity, Tier
from chain.content.proposals import MAX_POLICY_BYTES
from chain.content.tables import Mistake, Table, line_of, read_text

_LANGUAGE_1 = (
    "must be 2: this file is of an older language. Write language = 2; what it says nothing of is then "
    + ", ".join(f"{field.name} {field.usual}" for field in TABLES["rights"])
    + ' (table [rights]), and interim "suspended" for each category; overturned_minimum and overturned_permille '
    "now count contested records alone"
)

_Kind = TypeVar("_Kind", Category, RatingCategory, Attribute)


def read_policy(document: Any) -> Policy:
    """Check a parsed policy document.  Raises :class:`OperatorError` that names the field and the remedy."""
    try:
        return policy_of(document)
    except Mistake as mistake:
        raise OperatorError(f"policy: {mistake}") from mistake


def parse_policy(text: str) -> Policy:
    """Read a policy from TOML.  Raises :class:`OperatorError` that names the line and the remedy."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError; so is a number too long
        raise OperatorError(f"policy: not valid TOML: {error}") from error
    try:
        return policy_of(document)
    except Mistake as mistake:
        raise OperatorError(f"policy: line {line_of(text, mistake.path)}: {mistake}") from mistake


def load_policy(path: Path) -> Policy:
    """Read a policy file.  Raises :class:`OperatorError`."""
    return parse_policy(read_text(path))


def shipped_policy(name: str) -> Policy:
    """A policy that ships with Goodfaith, by its name.  Raises :class:`OperatorError` for another name."""
    folder = Path(__file__).parents[1] / "policies"
    known = sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir())
    if name not in known:
        raise OperatorError(f"no policy is called {name!r}; choose from {', '.join(known)}")
    return parse_policy((folder / f"{name}.toml").read_text(encoding="utf-8"))


def policy_of(document: Any) -> Policy:
    """Check a parsed policy document.  Raises :class:`chain.content.tables.Mistake`, which leads to the field."""
    table = Table(document, names("policy"))
    if document.get("language") != LANGUAGE or type(document["language"]) is not int:
        raise table.mistake("language", _LANGUAGE_1)
    head = read_plain(table, "policy")
    numbers: dict[str, int] = {}
    for name in OWN_TABLES:
        numbers |= read_plain(table.table(name, names(name)), name)
    tiers = _tiers(table)
    severities = _severities(table, numbers["retention_days"])
    categories = _categories(table, tiers, severities)
    policy = Policy(
        name=head["name"],
        version=head["version"],
        day_ms=head["day_ms"],
        enrolment_by_registrar=bool(head["enrolment"]),
        **numbers,
        tiers=tiers,
        severities=severities,
        categories=categories,
        ratings=_ratings(table),
        identity=read_clause(table, "identity", Identity),
        raters=read_clause(table, "raters", Raters),
        quotas=read_clause(table, "quotas", Quotas),
        attributes=_attributes(table, categories),
    )
    _check_identity(policy.identity)
    size = len(policy.encode())
    if size > MAX_POLICY_BYTES:
        raise Mistake((), f"is too long: {size} bytes encoded where {MAX_POLICY_BYTES} are allowed; shorten names")
    return policy


def _check_identity(identity: Identity) -> None:
    """Guardians must be able to act before somebody is gone."""
    if identity.leave_days < identity.recovery_days:
        problem = f"must be at least recovery_days, {identity.recovery_days}"
        raise Mistake(("identity", "leave_days"), problem)


def _tiers(table: Table) -> tuple[Tier, ...]:
    rows = table.rows("tier", names("tier"), MAX_TIERS)
    read = [read_plain(row, "tier") for row in rows]
    tiers = tuple(Tier(each["name"], each["from"], each["cap_records"]) for each in read)
    if not tiers:
        raise table.mistake("tier", "must have at least one [[tier]]")
    _check_names(rows, [tier.name for tier in tiers])
    for (above, below), row in zip(pairwise(tiers), rows[1:], strict=True):
        if above.threshold <= below.threshold:
            raise row.mistake("from", f"must begin below the tier before it, {above.name!r}")
    return tiers


def _severities(table: Table, retention_days: int) -> tuple[Severity, ...]:
    rows = table.rows("severity", names("severity"), MAX_SEVERITIES)
    severities = []
    for row in rows:
        least_days = row.integer("repair_after_days", 0, retention_days)
        bounds = max(1, least_days), retention_days
        severities.append(Severity(**read_plain(row, "severity", expires_after_days=bounds)))
    _check_names(rows, [severity.name for severity in severities])
    return tuple(severities)


def _categories(table: Table, tiers: Sequence[Tier], severities: Sequence[Severity]) -> dict[int, Category]:
    levels = [tier.name for tier in reversed(tiers)]
    severity_names = [severity.name for severity in severities]
    categories: dict[int, Category] = {}
    for row in table.rows("category", names("category"), MAX_CATEGORIES):
        read = _ranged(row, "category")
        category = Category(
            code=read["code"],
            name=read["name"],
            low=read["min"],
            high=read["max"],
            floor=read["floor"],
            ceiling=read["ceiling"],
            severities=tuple(index + 1 for index in row.choices("severities", severity_names)),
            needs_reason=read["reason"],
            tier_cap=row.choice("tier_cap", levels),
            is_closed=read["closed"],
            stands_disputed=bool(read["interim"]),
            half_life_days=read["half_life_days"],
        )
        _add(categories, row, category)
    return categories


def _ratings(table: Table) -> dict[int, RatingCategory]:
    ratings: dict[int, RatingCategory] = {}
    for row in table.rows("rating", names("rating"), MAX_CATEGORIES):
        read = _ranged(row, "rating")
        _add(ratings, row, RatingCategory(read["code"], read["name"], read["min"], read["max"], read["closed"]))
    return ratings


def _attributes(table: Table, categories: Mapping[int, Category]) -> dict[int, Attribute]:
    attributes: dict[int, Attribute] = {}
    for row in table.rows("attribute", names("attribute"), MAX_ATTRIBUTES):
        read = read_plain(row, "attribute")
        if read["code"] in categories:
            raise row.mistake("code", f"{read['code']} is the code of a category; accreditations name both by it")
        _add(attributes, row, Attribute(read["code"], read["name"], read["valid_days"], read["closed"]))
    return attributes


def _ranged(row: Table, name: str) -> dict[str, Any]:
    """A category, whose ``max`` is at least its ``min``."""
    return read_plain(row, name, max=(row.integer("min", -POINTS_LIMIT, POINTS_LIMIT), POINTS_LIMIT))


def _add(categories: dict[int, _Kind], row: Table, category: _Kind) -> None:
    if category.code in categories:
        raise row.mistake("code", f"{category.code} is used twice; choose another")
    categories[category.code] = category


def _check_names(rows: Sequence[Table], names: Sequence[str]) -> None:
    for number, (row, name) in enumerate(zip(rows, names, strict=True)):
        if name in names[:number]:
            raise row.mistake("name", f"{name!r} is used twice; choose another")


def decode_policy(data: bytes) -> Policy:
    """Read what :meth:`Policy.encode` made.  Raises :class:`Refused` (``TOO_LARGE``, ``MALFORMED``) and no other.

    The document is checked by the rules of :func:`read_policy`, and only the bytes that encode the policy pass.
    """
    fields = decode(data, max_bytes=MAX_POLICY_BYTES, max_items=MAX_CATEGORIES)
    try:
        policy = policy_of(from_wire("policy", fields))
    except Mistake as mistake:
        raise Refused(Reason.MALFORMED, f"policy: {mistake}") from mistake
    if policy.encode() != data:
        raise Refused(Reason.MALFORMED, "policy: not its canonical encoding")
    return policy
