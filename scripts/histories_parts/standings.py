"""Where a member stands, as a recount has it: the sums are those of the state, which each block is recounted for."""

from __future__ import annotations

from functools import lru_cache

from chain.content.policy import Policy
from chain.register.entries import Member
from scripts.recount.standing import Standing, heard, stands

# A history knows few policies.
document = lru_cache(maxsize=16)(Policy.to_document)


def standing(policy: Policy, member: Member) -> Standing:
    """The score and tier of a member under a policy."""
    rules = document(policy)
    rated = heard(rules, member.rated_points, member.ratings, member.raters)
    return stands(rules, member.record_points, rated, dict(member.caps))


def unrated(policy: Policy, member: Member) -> int:
    """The score that a member would have if nobody had said anything about it."""
    return stands(document(policy), member.record_points, 0, {}).score
