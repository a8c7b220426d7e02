"""What another policy would do to a recorded state: every score and tier, before anyone votes on it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from chain.base.keys import did_from_key
from chain.content.amendments import amendment_fault, needed_notice_days, worsenings
from chain.content.policy import Policy
from chain.documents.people import all_records, members
from chain.documents.words import policy_changes
from chain.register.scores import standing
from chain.register.view import StateView


class Move(NamedTuple):
    """The score and tier of the member with this key, before and after; ``levels`` is by how many tiers it climbs."""

    member: bytes
    score: int
    new_score: int
    tier: str
    new_tier: str
    levels: int


def dry_run(view: StateView, new: Policy, limit: int) -> dict[str, Any]:
    """Compare every member's score and tier under the policy in force with those under ``new``."""
    old = view.policy
    # What is stored is right for the caps of categories in force, which an allowed amendment keeps.
    points = _recounted(view, new) if _caps(old) != _caps(new) else None
    moves = []
    for identity, member in members(view):
        before = standing(old, member)
        after = standing(new, member if points is None else member._replace(record_points=points[identity]))
        moves.append(Move(member.key, before.score, after.score, before.tier, after.tier, after.level - before.level))
    affected = [move for move in moves if move.levels or move.score != move.new_score or move.tier != move.new_tier]
    affected.sort(key=lambda move: (-abs(move.new_score - move.score), -abs(move.levels), move.member))
    between = Counter((move.tier, move.new_tier) for move in affected if move.tier != move.new_tier)
    fault = amendment_fault(old, new)
    return {
        "allowed": not fault,
        "fault": fault or None,
        "worsens": worsenings(old, new),
        "notice_days": needed_notice_days(old, new),
        "changes": [
            {"rule": rule, "before": before, "after": after} for rule, before, after in policy_changes(old, new)
        ],
        "members": len(moves),
        "scores": _directions(move.new_score - move.score for move in moves),
        "tiers": _directions(move.levels for move in moves),
        "between_tiers": [
            {"tier": tier, "new_tier": new_tier, "members": count} for (tier, new_tier), count in between.most_common()
        ],
        "affected": len(affected),
        "most_affected": [{**move._asdict(), "member": did_from_key(move.member)} for move in affected[:limit]],
    }


def _directions(differences: Iterable[int]) -> dict[str, int]:
    """How many go up, go down, or stay."""
    signs = Counter((difference > 0) - (difference < 0) for difference in differences)
    return {"up": signs[1], "down": signs[-1], "unchanged": signs[0]}


def _caps(policy: Policy) -> dict[int, tuple[int, int]]:
    return {code: (category.floor, category.ceiling) for code, category in policy.categories.items()}


def _recounted(view: StateView, new: Policy) -> dict[bytes, int]:
    """The record points of every member under the caps of ``new``; a category that it lacks counts for nothing."""
    sums: defaultdict[tuple[bytes, int], int] = defaultdict(int)
    for subject, _, record in all_records(view):
        if record.counts:
            sums[subject, record.category] += record.worth
    points: defaultdict[bytes, int] = defaultdict(int)
    for (subject, code), total in sums.items():
        category = new.categories.get(code)
        points[subject] += 0 if category is None else category.clamp(total)
    return points
