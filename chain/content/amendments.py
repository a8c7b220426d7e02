"""Amendments: which policy may follow another, and what it worsens for the future.

Nothing of an amendment touches what is recorded: that is a rule (:func:`amendment_fault`), and records keep the terms
they were filed under (:mod:`chain.register.terms`).  What it worsens for the future is named, and takes a longer
notice.  Source: protocol 6.6.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from chain.content.clauses import CLAUSES
from chain.content.language import MAX_DAYS, TABLES
from chain.content.policy import Category, Policy, RatingCategory

# The tables whose fields say themselves which way they worsen.
_COMPARED = ("periods", "authorities", "rights", *CLAUSES)


def amendment_fault(old: Policy, new: Policy) -> str:
    """Why ``new`` may not replace ``old``, in one sentence, or an empty text if it may.

    An amendment never worsens what is already recorded: whatever is recorded about a member, neither its score
    nor its level gets lower by it.  A record keeps its own points, periods and tier cap, so the rule needs to see
    no record.
    """
    return next(_amendment_faults(old, new), "")


def amendment_faults(old: Policy, new: Policy) -> list[str]:
    """Every reason why ``new`` may not replace ``old``, a sentence each."""
    return list(_amendment_faults(old, new))


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
        elif raised.cap_records < tier.cap_records:
            yield f"tier {tier.name} must not be capped by fewer records than {tier.cap_records}"
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
    for code, attribute in sorted(old.attributes.items()):
        if code not in new.attributes or new.attributes[code].name != attribute.name:
            yield f"attribute {code} must stay, with its name; close it if it shall end"


def needed_notice_days(old: Policy, new: Policy) -> int:
    """How long before it binds ``new`` has to be announced, under ``old``."""
    return max(old.notice_days, old.worse_notice_days) if worsenings(old, new) else old.notice_days


def worsenings(old: Policy, new: Policy) -> list[str]:
    """What ``new`` worsens for the future, a sentence each: for members, or in the rules that bind offices."""
    return list(_worsenings(old, new))


def _worsenings(old: Policy, new: Policy) -> Iterator[str]:
    yield from _worse_numbers(old, new)
    if old.enrolment_by_registrar and not new.enrolment_by_registrar:
        yield "enrolment is opened: no registrar sees who enrols"
    for before, after in zip(old.severities, new.severities, strict=False):
        for field in TABLES["severity"]:
            if field.worse and getattr(after, field.name) > getattr(before, field.name):
                yield f"{field.name} of severity {after.name} rises to {getattr(after, field.name)}"
    for code, category in sorted(new.categories.items()):
        yield from _category_worsenings(old.categories.get(code), category, len(new.tiers))
        if code in old.categories and category.is_adverse:
            yield from _grading_worsenings(new, old.categories[code], category)
    for code, rating in sorted(new.ratings.items()):
        known = old.ratings.get(code, RatingCategory(code, rating.name, 0, 0))
        if known.is_closed and not rating.is_closed and rating.low < 0:
            yield f"ratings in {rating.name} are opened again"
        if rating.low < known.low:
            yield f"ratings in {rating.name} may take down to {rating.low}"


def _worse_numbers(old: Policy, new: Policy) -> Iterator[str]:
    for table in _COMPARED:
        of = f" of {table}" if table in CLAUSES else ""
        for field in TABLES[table]:
            before, after = (policy.number(table, field.name) for policy in (old, new))
            if field.worse * (after - before) > 0:
                yield f"{field.name}{of} {'rises' if after > before else 'falls'} from {before} to {after}"


def _half_life(category: Category) -> int:
    """In days; longer than any where nothing fades."""
    return category.half_life_days or MAX_DAYS + 1


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
    if new.low < 0 and _half_life(old) < _half_life(new):
        yield f"what {new.name} takes fades more slowly, or not at all"
    if new.high > 0 and _half_life(new) < _half_life(old):
        yield f"what {new.name} gives fades sooner"
    if old.is_closed and not new.is_closed and new.is_adverse:
        yield f"{new.name} is opened again"
    if new.is_closed and not old.is_closed and new.high > 0:
        yield f"{new.name} gives nothing any more"


def _grading_worsenings(policy: Policy, old: Category, new: Category) -> Iterator[str]:
    # With no severity at all a record lasts as long as the retention, and cannot be repaired.
    if set(new.severities or (0,)) - set(old.severities or (0,)):
        yield f"{new.name} may be graded by other severities"
    elif any(after > before for before, after in zip(_mildest(policy, old), _mildest(policy, new), strict=True)):
        yield f"{new.name} may not be graded as mildly any more"


def _mildest(policy: Policy, category: Category) -> tuple[int, int]:
    """Of the severities of a category, which it has, in days: how soon one is repaired, and how soon one ends."""
    graded = [policy.severities[code - 1] for code in category.severities]
    days = policy.retention_days
    repaired = min((severity.repair_after_days for severity in graded), default=days)
    return repaired, min((severity.expires_after_days for severity in graded), default=days)
