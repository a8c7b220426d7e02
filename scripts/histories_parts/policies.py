"""Policies and amendments for random histories: small, with tight caps, short periods and odd thresholds."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from random import Random
from typing import Any

from chain.content.policy import Category, Policy
from chain.content.policyfile import read_policy, shipped_policy

SLOT_MS = 1_000
# Of each kind, so that a process reads few documents and still meets many.
VARIANTS = 200
_PERIODS = ("answer_days", "ruling_days", "repair_answer_days", "motion_days", "notice_days")
_RIGHTS = ("lookback_days", "hearing_days", "appeal_days", "disputed_days", "window_days", "worse_notice_days")


def random_policy(random: Random) -> Policy:
    """A policy whose days last one slot: a shipped one in a third of the cases."""
    if random.random() < 0.33:
        return _shipped(random.choice(("municipal", "municipal", "marketplace")))
    return _small(random.randrange(VARIANTS))


def amendment(random: Random, policy: Policy) -> Policy:
    """The next version of a policy; one in four breaks the rules of amendments."""
    categories = {code: _eased(category) for code, category in policy.categories.items()}
    changes: dict[str, Any] = {"version": policy.version + 1, "categories": categories}
    for name in random.sample((*_PERIODS, *_RIGHTS), 2):
        changes[name] = random.randint(1, 12)
    match random.randrange(8):
        case 0:
            changes["base"] = policy.base + random.choice((5, 0, -1))
        case 1:
            changes["ratings_cap"] = policy.ratings_cap + random.choice((7, 1, -1 if policy.ratings_cap else 0))
            changes["ratings"] = {
                code: replace(rating, is_closed=code == max(policy.ratings) and not rating.is_closed)
                for code, rating in policy.ratings.items()
            }
        case 2:
            down = random.choice((0, 1, -1, -12))
            changes["tiers"] = tuple(
                replace(tier, threshold=tier.threshold - down, cap_records=max(1, tier.cap_records + down))
                for tier in policy.tiers
            )
        case 3:
            changes["severities"] = tuple(
                replace(severity, repair_after_days=random.randint(0, 2)) for severity in policy.severities
            )
        case 4 | 5 if policy.categories:
            code = random.choice(list(policy.categories))
            category = policy.categories[code]
            low = category.low - random.randint(0, 3)
            another = (category.half_life_days + 2) % 5
            changed = random.choice(
                (
                    replace(category, low=low, half_life_days=another),
                    replace(category, is_closed=not category.is_closed, half_life_days=another),
                    replace(category, tier_cap=random.choice((None, 0))),
                    replace(category, stands_disputed=not category.stands_disputed),
                    replace(category, floor=category.floor // 2),
                )
            )
            changes["categories"] = {**categories, code: changed}
        case 6:
            changes["overturned_permille"] = random.choice((0, 300, 1_000))
        case 7 if random.random() < 0.5:
            changes["raters"] = policy.raters._replace(
                counting=random.randrange(2), rating_days=random.choice((0, 5)), answer_days=random.choice((1, 3, 7))
            )
            changes["quotas"] = policy.quotas._replace(member=random.choice((2, 9)))
            if random.random() < 0.2:
                changes["raters"] = policy.raters._replace(aggregation=1 - policy.raters.aggregation)
        case 7 if random.random() < 0.8:
            recovery_days = random.choice((1, 3, 6))
            changes["identity"] = policy.identity._replace(
                recovery_days=recovery_days,
                registrar=random.randrange(2),
                annulment_days=random.choice((1, 4)),
                leave_days=recovery_days + random.choice((0, 3)),
                return_days=random.choice((1, 5)),
            )
        case _:
            changes["version"] += random.choice((0, 0, 1))
    return replace(policy, **changes)


def _eased(category: Category) -> Category:
    """A category whose blame fades sooner, or whose praise does later: no amendment is worse for that."""
    days = category.half_life_days
    if category.low >= 0:
        return replace(category, half_life_days=3 * days)
    return replace(category, half_life_days=max(1, days // 3)) if days and category.high <= 0 else category


@cache
def _shipped(name: str) -> Policy:
    return read_policy({**shipped_policy(name).to_document(), "day_ms": SLOT_MS})


@cache
def _small(variant: int) -> Policy:
    random = Random(variant)
    tiers = random.randint(1, 4)
    names = ["top", "high", "low", "bottom"][:tiers]
    thresholds = sorted(random.sample(range(-20, 30), tiers), reverse=True)
    severities = [
        {
            "name": name,
            "repair_after_days": (repairable := random.randint(0, 4)),
            "expires_after_days": repairable + random.randint(5, 30),
        }
        for name in ("minor", "serious")
    ]
    return read_policy(
        {
            "language": 2,
            "name": f"small {variant}",
            "version": 1,
            "day_ms": SLOT_MS,
            "enrolment": random.choice(("open", "registrar")),
            "score": {
                "base": random.randint(-5, 10),
                "ratings_floor": -random.randint(0, 8),
                "ratings_cap": random.randint(0, 8),
            },
            "periods": {**{name: random.randint(1, 6) for name in _PERIODS}, "retention_days": random.randint(34, 70)},
            "authorities": {
                "overturned_permille": random.choice((0, 250, 500, 1_000)),
                "overturned_minimum": random.randint(1, 3),
            },
            "rights": {
                "lookback_days": random.choice((0, 5, 40, 40)),
                **{name: random.randint(1, 5) for name in ("hearing_days", "appeal_days", "disputed_days")},
                "window_days": random.randint(1, 30),
                "worse_notice_days": random.randint(1, 12),
            },
            **_clauses(random),
            "tier": [
                {"name": name, "from": at, "cap_records": 1 + variant // 2 % 2}
                for name, at in zip(names, thresholds, strict=True)
            ],
            "severity": severities,
            "category": [
                {**_category(random, code, names), "half_life_days": (0, 2, 1, 5)[(variant // 6 + code) % 4]}
                for code in range(1, random.randint(2, 5))
            ],
            "attribute": [
                {"code": 50 + code, "name": f"attribute {code}", "valid_days": random.randint(1, 7)}
                for code in range(variant % 3)
            ],
            "rating": [{"code": code, "name": f"rating {code}", "min": -5, "max": 5} for code in (1, 7)],
        }
    )


def _clauses(random: Random) -> dict[str, Any]:
    """Numbers small enough to matter within a history of some dozen slots."""
    quotas = {"member": 6, "fresh": 3, "fresh_days": 4, "office": 9, "registrar": 4, "strangers_permille": 1}
    raters = {
        "counting": random.choice(("open", "receipt")),
        "aggregation": random.choice(("sum", "mean")),
        "scale": random.choice((1, 3)),
        "rating_days": random.choice((0, 4, 9)),
        "answer_days": 3,
        "age_days": random.choice((0, 0, 2)),
        "least_score": random.choice((-100, -100, 3)),
        "most_given": random.choice((1, 2, 9)),
        "least_raters": random.choice((0, 1, 2)),
    }
    identity = {
        "recovery_days": 3,
        "registrar": random.choice(("recovers", "recovers nobody")),
        "annulment_days": random.choice((1, 4)),
        "leave_days": random.choice((3, 4)),
        "return_days": random.choice((1, 5)),
    }
    return {
        "identity": identity,
        "quotas": {name: quotas[name] for name in quotas if random.random() < 0.3},
        "raters": {name: raters[name] for name in raters if random.random() < 0.6},
    }


def _category(random: Random, code: int, tiers: list[str]) -> dict[str, Any]:
    category: dict[str, Any] = {"code": code, "name": f"category {code}"}
    category["min"] = random.randint(-9, 4)
    category["max"] = random.randint(category["min"], 6)
    if random.random() < 0.6:
        category["floor"] = -random.randint(0, 12)
    if random.random() < 0.4:
        category["ceiling"] = random.randint(0, 9)
    category["severities"] = random.choice(([], ["minor"], ["serious"], ["minor", "serious"]))
    category["reason"] = random.random() < 0.2
    if random.random() < 0.4:
        category["tier_cap"] = random.choice(tiers)
    category["interim"] = random.choice(("suspended", "suspended", "stands"))
    return category
