"""What a policy gives to tell: a record for each category, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from typing import NamedTuple

from chain.content.language import field_of
from chain.content.policy import Category, Policy
from chain.content.policyfile import read_policy

# An answer takes eight slots to be seen; three of them follow one another in the shortest period.
SHORTEST_SLOTS = 30
# What would take longer than that is not waited for.
LONGEST_SLOTS = 240
# One record in each of so many; a longer catalogue repeats itself.
MAX_CATEGORIES = 24

_DEADLINES = ("answer_days", "ruling_days", "repair_answer_days", "motion_days")

FILED = "filed"
SILENCE, WITHDRAWN, CORRECTED, STRUCK, APPEALED = "silence", "withdrawn", "corrected", "struck", "appealed"
REPAIRED, DECLINED, STATED = "repaired", "declined", "stated"
DISPUTES = (SILENCE, WITHDRAWN, CORRECTED, STRUCK, APPEALED)
_REPAIRS = (REPAIRED, DECLINED)


class Plot(NamedTuple):
    """A record of conduct ``age_days`` old, and what becomes of it."""

    category: Category
    points: int
    severity: int
    age_days: int
    what: str


def rehearsed(policy: Policy, slot_ms: int) -> Policy:
    """The policy with days so long that its shortest deadline is :data:`SHORTEST_SLOTS`.

    Nobody waits years for conduct to be old: what was established before the members enrolled is recorded too, as
    their consent to this policy says.
    """
    document = policy.to_document()
    shortest_days = min(*(getattr(policy, name) for name in _DEADLINES), _disputed_days(policy))
    day_ms = min(field_of("policy", "day_ms").high, -(-SHORTEST_SLOTS * slot_ms // shortest_days))
    rights = {**document["rights"], "lookback_days": policy.retention_days}
    return read_policy({**document, "day_ms": day_ms, "rights": rights})


def _disputed_days(policy: Policy) -> int:
    stands = any(category.stands_disputed for category in policy.categories.values())
    return policy.disputed_days if stands else policy.answer_days


def plots(policy: Policy) -> list[Plot]:
    """A record in each category that takes some, and beside them as many as there are things to become of one."""
    known = [category for _, category in sorted(policy.categories.items()) if not category.is_closed][:MAX_CATEGORIES]
    fileable = [category for category in known if _life_days(policy, category) >= 2 * policy.answer_days]
    told = [*_disputed(policy, fileable), *_repaired(policy, fileable)]
    told += [_plot(policy, category, STATED) for category in fileable[:1]]
    seen = {plot.category.code for plot in told}
    return [*told, *(_plot(policy, category, FILED) for category in fileable if category.code not in seen)]


def _disputed(policy: Policy, categories: list[Category]) -> Iterator[Plot]:
    """Of what can put a member worse, if there is such."""
    contested = cycle([each for each in categories if each.is_adverse] or categories)
    takes = cycle([each for each in categories if each.low < -1])
    for what in DISPUTES if categories else ():
        category = next(takes if what == CORRECTED else contested, None)
        if category is not None:
            yield _plot(policy, category, what)


def _repaired(policy: Policy, categories: list[Category]) -> Iterator[Plot]:
    """Of what can be repaired, and is old enough for that."""
    old = []
    for category in categories:
        for code in category.severities:
            severity = policy.severities[code - 1]
            if severity.repair_after_days + 2 * policy.answer_days <= severity.expires_after_days:
                old.append(_plot(policy, category, FILED)._replace(severity=code, age_days=severity.repair_after_days))
    yield from (plot._replace(what=what) for plot, what in zip(cycle(old), _REPAIRS if old else (), strict=False))


def _plot(policy: Policy, category: Category, what: str) -> Plot:
    lasting = max(category.severities, key=lambda code: policy.severities[code - 1].expires_after_days, default=0)
    return Plot(category, category.low if category.low < 0 else category.high, lasting, 0, what)


def _life_days(policy: Policy, category: Category) -> int:
    lives = [policy.severities[code - 1].expires_after_days for code in category.severities]
    return max(lives, default=policy.retention_days)
