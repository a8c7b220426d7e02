"""Policies: written and read again they are the same, and no amendment that the rule lets through lowers anybody."""

from __future__ import annotations

import json
from collections.abc import Iterable
from copy import deepcopy
from itertools import product
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from chain.base.errors import OperatorError
from chain.content.actions import POINTS_LIMIT
from chain.content.amendments import amendment_fault
from chain.content.language import SCORE_LIMIT
from chain.content.policy import Policy
from chain.content.policyfile import decode_policy, read_policy

Document = dict[str, Any]

# Close enough for scores, thresholds and caps to meet.
small = st.integers(-30, 30)
words = st.text(st.sampled_from("ab _-é信Ω🙂"), min_size=1, max_size=6)
step = st.sampled_from([-2, -1, 1, 2])
codes = st.integers(0, 6) | st.integers(0, 2**32 - 1)


@st.composite
def rating_documents(draw: st.DrawFn) -> Document:
    low, high = sorted(draw(st.tuples(small, small) | st.just((-POINTS_LIMIT, POINTS_LIMIT))))
    return {"code": draw(codes), "name": draw(words), "min": low, "max": high, "closed": draw(st.booleans())}


@st.composite
def category_documents(draw: st.DrawFn, tiers: list[str], severities: list[str]) -> Document:
    document: Document = {
        **draw(rating_documents()),
        "floor": draw(st.integers(-30, 0) | st.just(-SCORE_LIMIT)),
        "ceiling": draw(st.integers(0, 30) | st.just(SCORE_LIMIT)),
        "severities": [name for name in severities if draw(st.booleans())],
        "reason": draw(st.booleans()),
        "closed": draw(st.booleans()),
        "interim": draw(st.sampled_from(["suspended", "stands"])),
    }
    if draw(st.booleans()):
        document["tier_cap"] = draw(st.sampled_from(tiers))
    if draw(st.booleans()):
        document["half_life_days"] = draw(st.integers(0, 36_525))
    return document


@st.composite
def severity_documents(draw: st.DrawFn) -> Document:
    repair, expires = sorted(draw(st.tuples(st.integers(0, 9), st.integers(1, 9))))
    return {"name": draw(words), "repair_after_days": repair, "expires_after_days": max(1, expires)}


@st.composite
def documents(draw: st.DrawFn) -> Document:
    thresholds = sorted(draw(st.sets(small, min_size=1, max_size=4)), reverse=True)
    tiers = [f"{draw(words)}{number}" for number in range(len(thresholds))]
    severities = [{**draw(severity_documents()), "name": name} for name in tiers[: draw(st.integers(0, 3))]]
    rows = category_documents(tiers, [row["name"] for row in severities])
    days = st.integers(1, 99)
    return {
        "language": 2,
        "name": draw(words),
        "version": draw(st.integers(1, 2**31)),
        "day_ms": draw(st.integers(1, 86_400_000)),
        "enrolment": draw(st.sampled_from(["open", "registrar"])),
        "score": {
            "base": draw(small),
            "ratings_floor": draw(st.integers(-30, 0)),
            "ratings_cap": draw(st.integers(0, 30)),
        },
        "periods": {
            **{f"{name}_days": draw(days) for name in ("answer", "ruling", "repair_answer", "motion", "notice")},
            "retention_days": draw(st.integers(9, 36_525)),
        },
        "authorities": {"overturned_permille": draw(st.integers(0, 1_000)), "overturned_minimum": draw(days)},
        "rights": {
            f"{name}_days": draw(days)
            for name in ("lookback", "hearing", "appeal", "disputed", "window", "worse_notice")
        },
        "tier": [
            {"name": name, "from": at, "cap_records": draw(st.integers(1, 3))}
            for name, at in zip(tiers, thresholds, strict=True)
        ],
        "severity": severities,
        "category": draw(st.lists(rows, max_size=3, unique_by=lambda row: row["code"])),
        "rating": draw(st.lists(rating_documents(), max_size=3, unique_by=lambda row: row["code"])),
    }


@settings(deadline=None)
@given(document=documents())
def test_a_policy_is_the_same_after_every_way_to_write_it(document: Document) -> None:
    policy = read_policy(document)
    assert read_policy(json.loads(json.dumps(policy.to_document()))) == policy
    data = policy.encode()
    again = decode_policy(data)
    assert (again, again.encode(), again.digest()) == (policy, data, policy.digest())


def change(draw: st.DrawFn, document: Document) -> None:
    """Change one thing in a policy, for better or worse."""
    lists = ("tier", "severity", "category", "rating")
    match draw(st.sampled_from(["add", "remove", "swap", "score", *["edit"] * 4])):
        case "score":
            document["score"][draw(st.sampled_from(sorted(document["score"])))] += draw(step)
        case "add":
            name = draw(st.sampled_from(lists))
            new: dict[str, st.SearchStrategy[Document]] = {
                "tier": st.fixed_dictionaries({"name": words, "from": small}),
                "severity": severity_documents(),
                "category": category_documents([row["name"] for row in document["tier"]], []),
                "rating": rating_documents(),
            }
            document[name].insert(draw(st.integers(0, len(document[name]))), draw(new[name]))
        case kind:
            rows = document[draw(st.sampled_from([name for name in lists if document[name]]))]
            row, other = draw(st.tuples(st.sampled_from(rows), st.sampled_from(rows)))
            if kind == "remove":
                rows.remove(row)
            elif kind == "swap":
                row["name"], other["name"] = other["name"], row["name"]
            else:
                field = draw(st.sampled_from(sorted({"from", "floor", "ceiling", "name", "cap_records"} & row.keys())))
                row[field] = draw(words) if field == "name" else row[field] + draw(step)


@st.composite
def amendments(draw: st.DrawFn) -> tuple[Policy, Policy]:
    """Two policies that differ in a thing or two, or only in the version."""
    document = draw(documents())
    old = read_policy(document)
    document["version"] += 1
    new = read_policy(document)
    for _ in range(draw(st.integers(1, 2))):
        changed = deepcopy(document)
        change(draw, changed)
        try:
            new = read_policy(changed)
        except OperatorError:
            continue
        document = changed
    return old, new


def score(policy: Policy, codes: Iterable[int], recorded: int, rated: int) -> int:
    """The score of a member with so many recorded points in each of the categories."""
    found = [policy.categories[code] for code in codes]
    return policy.score(sum(max(item.floor, min(item.ceiling, recorded)) for item in found), rated)


FAR = 10**13  # beyond every floor, ceiling and cap


@settings(max_examples=300, deadline=None)
@given(
    pair=amendments(),
    points=st.tuples(small, small),
    caps=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3)), max_size=2),
)
def test_an_amendment_lowers_nobody(
    pair: tuple[Policy, Policy], points: tuple[int, int], caps: list[tuple[int, int]]
) -> None:
    old, new = pair
    event(amendment_fault(old, new).split(" ", 1)[0] or "may replace")
    if amendment_fault(old, new):
        return
    scores = [(tier.threshold, tier.threshold) for tier in old.tiers]
    for recorded, rated in product((-FAR, points[0], FAR), (-FAR, points[1], FAR)):
        before, after = (score(policy, old.categories, recorded, rated) for policy in pair)
        assert after >= before
        scores.append((before, after))
    known = [(level, records) for level, records in caps if level < len(old.tiers)]
    for (before, after), limits in product(scores, ((), known)):
        level = old.level(before, old.holding(limits))
        assert new.level(after, new.holding(limits)) >= level
        assert new.tier(level).name == old.tier(level).name
