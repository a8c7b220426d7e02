"""Amendments: which policy may follow another, and what it worsens for the future.

Nothing of an amendment touches what is recorded: that is a rule (:func:`amendment_fault`), and records keep the terms
they were filed under (:mod:`chain.terms`).  What it worsens for the future is named, and takes a longer notice.
Source: protocol 6.6.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from chain.policy import Category, Policy

# Periods of which the longer, and of which the shorter, is the worse one for members.
_WORSE_LONGER = (
    "answer_days",
    "ruling_days",
    "repair_answer_days",
    "retention_days",
    "lookback_days",
    "disputed_days",
    "overturned_permille",
    "overturned_minimum",
)
_WORSE_SHORTER = ("notice_days", "worse_notice_days", "hearing_days", "appeal_days", "window_days")
# The same, of the tables of :data:`chain.clauses.CLAUSES`.
_CLAUSES_WORSE_HIGHER = {"identity": ("registrar", "leave_days", "return_days"), "raters": ("answer_days",)}
_CLAUSES_WORSE_LOWER = {"identity": ("recovery_days", "annulment_days"), "quotas": ("member", "fresh")}


def amendment_fault(old: Policy, new: Policy) -> str:
    """Why ``new`` may not replace ``old``, in one sentence, or an empty text if it may.

    An amendment never worsens what is already recorded: whatever is recorded about a member, neither its score
    nor its level gets lower by it.  A record keeps its own points, periods and tier cap, so the rule needs to see
    no record.
    """
    return next(_amendment_faults(old, new), "")


def _amendment_faults(old: Policy, new: Policy) -> Iterator[str]:
    if new.version != old.version + 1:
        yield f"the version must be {old.version + 1}"
    for name in ("name", "day_ms"):
        if getattr(new, name) != getattr(old, name):
            yield f"{name} must stay {getattr(old, name)}"
    for name in ("base", "ratings_floor", "ratings_cap"):
        if getattr(new, name) < getattr(old, name):
            yield f"{name} must not get lower than {getattr(old, name)}"
    for name in ("aggregation", "scale", "least_raters"):
        if getattr(new.raters, name) != getattr(old.raters, name):
            yield f"{name} of raters must stay: it decides what ratings count for that were given before"
    for tier, raised in zip_longest(reversed(old.tiers), reversed(new.tiers)):
        if tier is None:
            break  # new tiers above the old ones lower nobody
        if raised is None or raised.name != tier.name:
            yield f"tier {tier.name} must keep its name and its place from below"
        elif raised.threshold > tier.threshold:
            yield f"tier {tier.name} must not begin above {tier.threshold}"
    names = tuple(severity.name for severity in old.severities)
    if tuple(severity.name for severity in new.severities[: len(names)]) != names:
        yield f"the severities must begin with {', '.join(names)}; add new ones after them"
    for code, category in sorted(old.categories.items()):
        # Floor and ceiling are within the sums of what is recorded.
        kept = new.categories.get(code)
        if kept is None or (kept.name, kept.floor, kept.ceiling) != (category.name, category.floor, category.ceiling):
            yield f"category {code} must stay, with its name, floor and ceiling; close it if it shall end"
    for code, rating in sorted(old.ratings.items()):
        if code not in new.ratings or new.ratings[code].name != rating.name:
            yield f"category {code} of ratings must stay, with its name"


def needed_notice_days(old: Policy, new: Policy) -> int:
    """How long before it binds ``new`` has to be announced, under ``old``."""
    return max(old.notice_days, old.worse_notice_days) if worsenings(old, new) else old.notice_days


def worsenings(old: Policy, new: Policy) -> list[str]:
    """What ``new`` worsens for the future, a sentence each: for members, or in the rules that bind offices."""
    return list(_worsenings(old, new))


def _worsenings(old: Policy, new: Policy) -> Iterator[str]:
    for name in _WORSE_LONGER:
        if getattr(new, name) > getattr(old, name):
            yield f"{name} rises from {getattr(old, name)} to {getattr(new, name)}"
    for name in _WORSE_SHORTER:
        if getattr(new, name) < getattr(old, name):
            yield f"{name} falls from {getattr(old, name)} to {getattr(new, name)}"
    yield from _clause_worsenings(old, new)
    if old.enrolment_by_registrar and not new.enrolment_by_registrar:
        yield "enrolment is opened: no registrar sees who enrols"
    for before, after in zip(old.severities, new.severities, strict=False):
        for name in ("repair_after_days", "expires_after_days"):
            if getattr(after, name) > getattr(before, name):
                yield f"{name} of severity {after.name} rises to {getattr(after, name)}"
    for code, category in sorted(new.categories.items()):
        yield from _category_worsenings(old.categories.get(code), category, len(new.tiers))
    for code, rating in sorted(new.ratings.items()):
        lowest = old.ratings[code].low if code in old.ratings else 0
        if rating.low < lowest:
            yield f"ratings in {rating.name} may take down to {rating.low}"


def _clause_worsenings(old: Policy, new: Policy) -> Iterator[str]:
    for sign, word, tables in ((1, "rises", _CLAUSES_WORSE_HIGHER), (-1, "falls", _CLAUSES_WORSE_LOWER)):
        for table, names in tables.items():
            for name in names:
                before, after = (getattr(getattr(policy, table), name) for policy in (old, new))
                if sign * after > sign * before:
                    yield f"{name} of {table} {word} from {before} to {after}"


def _category_worsenings(old: Category | None, new: Category, levels: int) -> Iterator[str]:
    if old is None:
        if new.is_adverse:
            yield f"{new.name} is a new category that can take points or cap the tier"
        return
    if new.low < old.low:
        yield f"{new.name} may take more: down to {new.low}"
    if new.high < old.high:
        yield f"{new.name} may give less: up to {new.high}"
    if (levels if new.tier_cap is None else new.tier_cap) < (levels if old.tier_cap is None else old.tier_cap):
        yield f"{new.name} caps the tier, or at a lower one"
    if new.stands_disputed and not old.stands_disputed:
        yield f"{new.name} stands while it is disputed"
    if old.needs_reason and not new.needs_reason:
        yield f"{new.name} needs no written reason any more"
    if old.is_closed and not new.is_closed and new.is_adverse:
        yield f"{new.name} is opened again"
    # With no severity at all a record lasts as long as the retention, and cannot be repaired.
    if new.is_adverse and set(new.severities or (0,)) - set(old.severities or (0,)):
        yield f"{new.name} may be graded by other severities"
