"""Scores and their explanation.

``score = base + points of the records that count (category by category, under their caps) + ratings (capped)``,
and the tier that the score reaches, but no higher than a tier cap allows.  The sums are kept with the member, so a
score costs the same for a member with thousands of records as for one with none; an explanation reads them all.
Source: protocol 6.3.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

from chain.base.errors import InvariantBroken
from chain.content.policy import Policy
from chain.register.entries import Member, Rating, Record


class Standing(NamedTuple):
    """Where a member stands."""

    score: int
    level: int
    tier: str


def standing(policy: Policy, member: Member) -> Standing:
    """The score and tier of a member under the policy in force."""
    score = policy.score(member.record_points, rated(policy, member))
    level = policy.level(score, policy.holding(member.caps))
    return Standing(score, level, policy.tier(level).name)


class Noted(NamedTuple):
    """What the store notes of where a member stands: enough to rank and to list members without reading them."""

    score: int
    level: int
    suspended: int

    def __str__(self) -> str:
        return f"score {self.score}, level {self.level}, {self.suspended} suspended"


def noted(policy: Policy, member: Member) -> Noted:
    """What is noted of a member under the policy in force."""
    score, level, _ = standing(policy, member)
    return Noted(score, level, member.suspended)


def rated(policy: Policy, member: Member) -> int:
    """What the ratings about a member count for, before their floor and cap."""
    return policy.rated(member.rated_points, member.ratings, member.raters)


class Line(NamedTuple):
    """One line of an explanation: ``points`` add up to the score, line by line.

    ``kind`` is ``base``, ``record``, ``category cap``, ``rating``, ``other ratings``, ``ratings rule`` (a mean, or too
    few raters) or ``ratings cap``.  ``source`` is a record with its number, or a rating with its rater.
    """

    kind: str
    points: int
    category: int = -1
    number: int = -1
    record: Record | None = None
    rater: bytes = b""
    rating: Rating | None = None


def explain(
    policy: Policy,
    member: Member,
    records: Iterable[tuple[int, Record]],
    ratings: Iterable[tuple[bytes, int, Rating]],
    limit: int | None = None,
) -> list[Line]:
    """Every point of a member's score.

    ``records`` are ``(number, record)``, ``ratings`` ``(rater, category, rating)``, all that there are about the
    member.  Of the ratings no more than ``limit`` are read and have a line each; the others have one line, of what the
    member's own sum leaves for them.  Raises :class:`InvariantBroken` where they do not add up to the score that the
    state says.
    """
    lines = [Line("base", policy.base)]
    sums: dict[int, int] = {}
    for number, record in sorted(records):
        points = record.worth if record.counts else 0
        sums[record.category] = sums.get(record.category, 0) + points
        lines.append(Line("record", points, record.category, number, record))
    for code, total in sorted(sums.items()):
        cut = policy.categories[code].clamp(total) - total
        if cut:
            lines.append(Line("category cap", cut, code))
    rated_lines = _rated_lines(member, ratings, limit)
    lines += rated_lines
    said = sum(line.points for line in rated_lines)
    if rated_lines and rated_lines[-1].kind == "other ratings":
        counted = rated(policy, member)
    else:
        counted = policy.rated(said, len(rated_lines), len({line.rater for line in rated_lines}))
    if counted != said:
        lines.append(Line("ratings rule", counted - said))
    cut = policy.score(0, counted) - policy.base - counted
    if cut:
        lines.append(Line("ratings cap", cut))
    total, expected = sum(line.points for line in lines), standing(policy, member).score
    if total != expected:
        raise InvariantBroken(f"the lines add up to {total}, and the score is {expected}")
    return lines


def _rated_lines(member: Member, ratings: Iterable[tuple[bytes, int, Rating]], limit: int | None) -> list[Line]:
    """A line for each of the first ``limit`` ratings, and one for all others where there are any."""
    lines = [
        Line("rating", rating.points, code, rater=rater, rating=rating)
        for rater, code, rating in sorted(islice(ratings, limit))
    ]
    if len(lines) == limit and member.ratings > limit:
        lines.append(Line("other ratings", member.rated_points - sum(line.points for line in lines)))
    return lines
