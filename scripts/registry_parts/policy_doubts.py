"""What is allowed in a policy and hardly meant: each doubt with where it is in the file, and what would follow.

A mistake is what :func:`chain.content.policyfile.policy_of` refuses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from chain.base.codec import U32_MAX
from chain.content.language import LANGUAGE, MAX_CATEGORIES, NO_LIMIT, names
from chain.content.policy import Category, Policy, RatingCategory
from chain.content.policyfile import policy_of
from chain.content.tables import FieldPath, Mistake

_DAY_MS = 86_400_000
# Fewer a day, and somebody who is recorded can not even object, state and ask for repair.
_LEAST_MEMBER, _LEAST_OFFICE, _LEAST_REGISTRAR = 5, 20, 2
_SHORT_DAYS = 3
_MANY_RECORDS = 1_000
# For what a policy cannot do without.
_STAND_INS = {"language": LANGUAGE, "name": "…", "version": 1}
# More mistakes than that nobody mends at once.
_MAX_MISTAKES = 50


class Doubt(NamedTuple):
    """Something hardly meant; ``path`` leads to it."""

    path: FieldPath
    text: str


def mistakes(document: Any) -> list[Mistake]:
    """The mistakes of a document, of a category the first; none means that it can be read.

    What is wrong is left out, or something takes its place, and the rest is looked at again, as long as that is
    possible.  ``document`` is used up.
    """
    found: list[Mistake] = []
    while len(found) < _MAX_MISTAKES:
        try:
            policy_of(document)
        except Mistake as mistake:
            if found and found[-1].path == mistake.path:
                return found
            found.append(mistake)
            if not _replace(document, mistake.path):
                return found
        else:
            return found
    return found


def _replace(document: Any, path: FieldPath) -> bool:
    """Whether a document can do without what is at ``path``, or with something else there."""
    match path:
        case ["attribute", int(at), *_]:
            document["attribute"][at] = {"code": U32_MAX - MAX_CATEGORIES - at, "name": "…", "valid_days": 1}
            return True
        case ["category" | "rating" as kind, int(at), *_]:
            document[kind][at] = {"code": U32_MAX - at, "name": "…", "min": 0, "max": 0}
            return True
        case ["score", str(name)] if name in names("score") and isinstance(document.setdefault("score", {}), dict):
            document["score"][name] = 0
            return True
        case [str(name)] if name in _STAND_INS:
            document[name] = _STAND_INS[name]
            return True
    for step in path[:-1]:
        if isinstance(document, dict) and step not in document:
            return False
        document = document[step]
    return isinstance(document, dict) and document.pop(path[-1], None) is not None


def doubts(policy: Policy, document: Mapping[str, Any]) -> list[Doubt]:
    """Everything in a policy that is hardly meant.  ``document`` is its file as it was parsed: what it says itself."""
    return [
        *_of_time(policy, document),
        *_of_names(document),
        *_of_tiers(policy, document),
        *_of_records(policy, document),
        *_of_severities(policy, document),
        *_of_offices(policy),
        *_of_ratings(policy, document),
        *_of_quotas(policy, document),
        *_of_attributes(policy, document),
    ]


def _of_attributes(policy: Policy, document: Mapping[str, Any]) -> Iterator[Doubt]:
    for number, row in enumerate(document.get("attribute", [])):
        attribute = policy.attributes[row["code"]]
        if attribute.valid_days > policy.retention_days:
            text = f"{attribute.name!r} may stand longer than any record ({policy.retention_days} days)"
            yield Doubt(("attribute", number, "valid_days"), text)
        if attribute.is_closed:
            yield Doubt(("attribute", number, "closed"), f"{attribute.name!r} can never be attested")


def _of_time(policy: Policy, document: Mapping[str, Any]) -> Iterator[Doubt]:
    if policy.day_ms != _DAY_MS:
        yield Doubt(("day_ms",), f"a day lasts {policy.day_ms} ms: good for a rehearsal, not for people")
    if policy.notice_days > policy.worse_notice_days:
        text = f"what worsens something is announced no longer before than anything else ({policy.notice_days} days)"
        yield Doubt(("rights", "worse_notice_days"), text)
    if policy.lookback_days > policy.retention_days:
        yield Doubt(("rights", "lookback_days"), "conduct from before retention_days cannot be recorded anyway")
    if policy.identity.recovery_days < _SHORT_DAYS:
        text = "a thief has the key for good if nobody looks for so few days"
        yield Doubt(("identity", "recovery_days"), text)
    longest = max((_life_days(policy, each) for each in policy.categories.values() if each.is_adverse), default=0)
    if policy.identity.return_days < longest:
        text = (
            f"who leaves and comes back after {policy.identity.return_days} days is rid of records sooner ({longest})"
        )
        yield Doubt(("identity", "return_days"), text)


def _of_names(document: Mapping[str, Any]) -> Iterator[Doubt]:
    seen: dict[str, FieldPath] = {}
    for kind in ("category", "rating", "attribute"):
        for number, row in enumerate(document.get(kind, [])):
            name = row["name"].casefold()
            if name in seen:
                yield Doubt((kind, number, "name"), f"{row['name']!r} is used twice: nobody can tell them apart")
            seen[name] = (kind, number)


# ------------------------------------------------------------------------------------------------------ scores


def _reach(policy: Policy) -> tuple[int, int]:
    """The lowest and the highest score that anybody can have."""
    categories = policy.categories.values()
    lowest = sum(each.floor for each in categories if each.low < 0)
    highest = sum(each.ceiling for each in categories if each.high > 0)
    if policy.ratings:
        lowest, highest = lowest + policy.ratings_floor, highest + policy.ratings_cap
    return policy.base + lowest, policy.base + highest


def _of_tiers(policy: Policy, document: Mapping[str, Any]) -> Iterator[Doubt]:
    lowest, highest = _reach(policy)
    capped = {each.tier_cap for each in policy.categories.values()}
    top = len(policy.tiers) - 1
    for number, tier in enumerate(policy.tiers):
        level, path = top - number, ("tier", number, "from")
        if level and tier.threshold > highest:
            yield Doubt(path, f"nobody reaches {tier.name}: no score is above {highest}")
        elif (
            number
            and policy.tiers[number - 1].threshold <= lowest
            and not any(cap is not None and cap <= level for cap in capped)
        ):
            yield Doubt(path, f"nobody is in {tier.name}: no score is below {lowest}, and no category caps so low")
        if tier.cap_records > 1 and level not in capped:
            yield Doubt(("tier", number, "cap_records"), f"no category caps at {tier.name}")
    if top and policy.level(policy.base) == 0:
        yield Doubt(("score", "base"), f"everybody begins in the lowest tier, {policy.tiers[-1].name}")
    is_closed = [each.is_closed for each in policy.categories.values()]
    if all([*is_closed, *(each.is_closed for each in policy.ratings.values())]):
        yield Doubt((), "nothing can be recorded or rated: every score stays what it is")


# ----------------------------------------------------------------------------------------------------- records


def _of_records(policy: Policy, document: Mapping[str, Any]) -> Iterator[Doubt]:
    top = len(policy.tiers) - 1
    for number, row in enumerate(document.get("category", [])):
        category, path = policy.categories[row["code"]], ("category", number)
        if 0 < category.ceiling < category.high or (category.ceiling == 0 and category.high > 0):
            yield Doubt((*path, "ceiling"), f"{category.name}: the ceiling is below what one record gives")
        if 0 > category.floor > category.low or (category.floor == 0 and category.low < 0):
            yield Doubt((*path, "floor"), f"{category.name}: the floor is above what one record takes")
        if category.tier_cap is not None and category.tier_cap == top:
            yield Doubt((*path, "tier_cap"), f"{category.name}: a cap at the highest tier caps nothing")
        if not (category.low or category.high or category.is_adverse or category.severities):
            yield Doubt((*path, "max"), f"{category.name}: neither points, nor a tier cap, nor an end: it does nothing")
        yield from (
            Doubt((*path, "half_life_days"), f"{category.name}: {text}") for text in _of_fading(policy, category)
        )
        if category.is_adverse:
            yield from (
                Doubt((*path, where), f"{category.name}: {text}") for where, text in _of_adverse(policy, category)
            )


def _of_fading(policy: Policy, category: Category) -> Iterator[str]:
    days, most = category.half_life_days, max(-category.low, category.high)
    if not days:
        return
    if not most:
        yield "a record has no points that could fade"
    elif most == 1:
        yield f"one point has no half: {days} days after the conduct it is gone"
    if most and days >= _life_days(policy, category):
        yield f"a record ends before any of its points fade ({_life_days(policy, category)} days)"
    elif category.low < 0 and days <= policy.answer_days:
        yield f"half of what it takes is gone before an objection is answered ({policy.answer_days} days)"


def _of_adverse(policy: Policy, category: Category) -> Iterator[tuple[str, str]]:
    if category.low < category.high and not category.needs_reason:
        yield "reason", "how much it takes is the issuer's to say, and nobody asks for a written reason"
    severities = [policy.severities[code - 1] for code in category.severities]
    if not any(each.repair_after_days < each.expires_after_days for each in severities):
        yield "severities", "it can never be repaired"
    if category.stands_disputed and policy.disputed_days >= min(policy.answer_days, policy.ruling_days):
        yield "interim", "it counts while disputed, and disputed_days makes no deadline shorter"


def _life_days(policy: Policy, category: Category) -> int:
    lives = [policy.severities[code - 1].expires_after_days for code in category.severities]
    return max(lives, default=policy.retention_days)


def _of_severities(policy: Policy, document: Mapping[str, Any]) -> Iterator[Doubt]:
    used = {code for category in policy.categories.values() for code in category.severities}
    for number, severity in enumerate(policy.severities):
        if number + 1 not in used:
            yield Doubt(("severity", number, "name"), f"no category has the severity {severity.name}")
        where: FieldPath = ("severity", number, "expires_after_days")
        yield from (Doubt(where, text) for text in _of_life(policy, severity.name, severity.expires_after_days))
    if any(not category.severities for category in policy.categories.values()):
        where = ("periods", "retention_days")
        yield from (Doubt(where, text) for text in _of_life(policy, "no severity", policy.retention_days))


def _of_life(policy: Policy, name: str, days: int) -> Iterator[str]:
    """What a record is too short for: it ends while it is disputed, too."""
    if days < policy.answer_days:
        yield f"no record of {name} can be filed: it ends before an objection is answered ({policy.answer_days} days)"
    elif days <= policy.answer_days + policy.hearing_days:
        yield f"a record of {name} ends before an arbiter can be drawn: whoever answers last wins nothing, nor loses it"


def _of_offices(policy: Policy) -> Iterator[Doubt]:
    if not any(category.is_adverse for category in policy.categories.values()):
        return
    if policy.overturned_permille == 1_000:
        text = "no authority is ever suspended, however many of its records are overturned"
        yield Doubt(("authorities", "overturned_permille"), text)
    if policy.overturned_permille == 0 and policy.overturned_minimum == 1:
        yield Doubt(("authorities", "overturned_permille"), "one record that is overturned suspends an authority")
    if policy.overturned_minimum > _MANY_RECORDS:
        text = f"{policy.overturned_minimum} contested records are hardly ever decided: no authority is suspended"
        yield Doubt(("authorities", "overturned_minimum"), text)


# ----------------------------------------------------------------------------------------------------- ratings


def _of_ratings(policy: Policy, document: Mapping[str, Any]) -> Iterator[Doubt]:
    is_shut = policy.ratings_floor == 0 and policy.ratings_cap == 0
    if not policy.ratings:
        for name in ("ratings_floor", "ratings_cap"):
            if getattr(policy, name):
                yield Doubt(("score", name), "there is no [[rating]]: it does nothing")
        if "raters" in document:
            yield Doubt(("raters",), "there is no [[rating]]: it does nothing")
        return
    if is_shut:
        yield Doubt(("score", "ratings_cap"), "ratings_floor and ratings_cap are 0: no rating counts")
    for number, row in enumerate(document.get("rating", [])):
        yield from _of_rating(policy, policy.ratings[row["code"]], ("rating", number), is_shut=is_shut)
    rules = policy.raters
    if rules.least_score > _reach(policy)[1]:
        yield Doubt(("raters", "least_score"), "nobody has a score to rate with")
    elif rules.least_score > policy.base and not policy.categories:
        yield Doubt(("raters", "least_score"), "nobody can begin: who has not been rated may not rate")
    if rules.scale > 1 and not rules.aggregation:
        yield Doubt(("raters", "scale"), 'it multiplies a mean, and aggregation is "sum"')
    if rules.counting and not rules.rating_days:
        yield Doubt(("raters", "rating_days"), "a receipt never ages: it can be used years after the dealing")
    if 0 < rules.rating_days <= rules.answer_days and any(each.low < 0 for each in policy.ratings.values()):
        text = f"blame ends before its rater owes anybody a reason ({rules.answer_days} days), and may be said again"
        yield Doubt(("raters", "rating_days"), text)
    if 0 < rules.most_given < rules.least_raters:
        yield Doubt(("raters", "most_given"), "one may rate fewer than have to rate somebody before it counts")


def _of_rating(policy: Policy, rating: RatingCategory, path: FieldPath, *, is_shut: bool) -> Iterator[Doubt]:
    if rating.low == rating.high == 0:
        yield Doubt((*path, "max"), f"{rating.name}: a rating gives nothing and takes nothing")
    if is_shut or policy.raters.aggregation:
        return
    if rating.high > policy.ratings_cap:
        yield Doubt((*path, "max"), f"{rating.name}: one rating gives more than all together may (ratings_cap)")
    if rating.low < policy.ratings_floor:
        yield Doubt((*path, "min"), f"{rating.name}: one rating takes more than all together may (ratings_floor)")


# ------------------------------------------------------------------------------------------------------ quotas


def _of_quotas(policy: Policy, document: Mapping[str, Any]) -> Iterator[Doubt]:
    quotas = policy.quotas
    least = {"member": _LEAST_MEMBER, "fresh": _LEAST_MEMBER, "office": _LEAST_OFFICE}
    if policy.enrolment_by_registrar:
        least["registrar"] = _LEAST_REGISTRAR
    told = ("a member", "a fresh member", "an authority", "a registrar")
    for (name, fewest), who in zip(least.items(), told, strict=False):
        if getattr(quotas, name) < fewest:
            yield Doubt(("quotas", name), f"{getattr(quotas, name)} a day locks {who} out of its own affairs")
    if NO_LIMIT > quotas.fresh > quotas.member:
        yield Doubt(("quotas", "fresh"), "a fresh member may write no more than a member: member holds")
    if "fresh_days" in document.get("quotas", {}) and quotas.fresh == NO_LIMIT:
        yield Doubt(("quotas", "fresh_days"), "without fresh it does nothing")
    if not policy.enrolment_by_registrar:
        if quotas.strangers_permille == 1_000:
            text = "enrolment is open, and enrolments may fill whole blocks: nobody else gets in"
            yield Doubt(("quotas", "strangers_permille"), text)
        if quotas.registrar != NO_LIMIT:
            yield Doubt(("quotas", "registrar"), "enrolment is open: whoever is over it enrols without a registrar")
    elif quotas.strangers_permille < 1_000:
        yield Doubt(("quotas", "strangers_permille"), "nobody enrols without a registrar: it does nothing")
    if quotas.member == NO_LIMIT:
        yield Doubt(("quotas", "member"), "a member may write without limit: one can shout all others down")
