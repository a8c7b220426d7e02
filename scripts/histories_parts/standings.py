"""Where a member stands, as a recount has it: the sums are those of the state, which each block is recounted for."""

from __future__ import annotations

from functools import lru_cache

from chain.entries import Member
from chain.policy import Policy
from scripts.recount.standing import Standing, heard, stands

# A history knows few policies.
_document = lru_cache(maxsize=16)(Policy.to_document)


def standing(policy: Policy, member: Member) -> Standing:
    """The score and tier of a member under a policy."""
    document = _document(policy)
    rated = heard(document, member.rated_points, member.ratings, member.raters)
    return stands(document, member.record_points, rated, dict(member.caps))
