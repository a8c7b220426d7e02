"""Rules of what others say, and of how much anybody writes, broken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chain.base.errors import Refused
from chain.content.actions import Rate, Retract
from chain.content.policy import Policy
from chain.register import markers, quotas, ratings, registry
from chain.register.draft import Draft
from chain.register.entries import UNDISPUTED, Member, Rating
from chain.register.statekeys import member_key, rating_key
from scripts.histories_parts.broken_rule import Break, Patch, nothing


def _ratings_add_up() -> Sequence[Patch]:
    def rate(draft: Draft, action: Rate, actor: bytes) -> None:
        ratings.rate(draft, action, actor)
        subject, member = draft.member(action.subject)
        before: Rating | None = Draft(draft._state, draft.genesis, draft.height, draft.slot).get(
            rating_key(subject, draft.identity(actor), action.category)
        )
        kept = 0 if before is None else before.points
        draft.put(member_key(subject), member._replace(rated_points=member.rated_points + kept))

    return [(registry._RULES, Rate, rate)]


def _voices_never_end() -> Sequence[Patch]:
    return [(registry._DEADLINES, b"r", nothing)]


def _rated_for_ever() -> Sequence[Patch]:
    def rate(draft: Draft, action: Rate, actor: bytes) -> None:
        ratings.rate(draft, action, actor)
        key = rating_key(draft.member(action.subject)[0], draft.identity(actor), action.category)
        draft.put(key, draft.get(key)._replace(expires_slot=0))

    return [(registry._RULES, Rate, rate)]


def _one_voice_counts() -> Sequence[Patch]:
    return [(Policy, "rated", lambda _policy, said, _voices, _raters: said)]


def _silent_raters_stand() -> Sequence[Patch]:
    def keep(draft: Draft, key: bytes) -> None:
        rating = draft.get(key)
        if rating.deadline_slot:
            draft.put(key, rating._replace(status=UNDISPUTED, deadline_slot=0))
        else:
            ratings.end(draft, key, rating)

    return [(registry._DEADLINES, b"r", keep)]


def _hurried() -> Sequence[Patch]:
    return [(ratings, "reason_slots", lambda draft, _rating: draft.slots(draft.policy.raters.answer_days))]


def _blamed_again() -> Sequence[Patch]:
    return [(markers, "check_blame", nothing)]


def _taken_back_and_kept() -> Sequence[Patch]:
    def keep(draft: Draft, action: Retract, actor: bytes) -> None:
        subject, _ = draft.member(action.subject)
        ratings._find(draft, subject, draft.identity(actor), action.category)

    return [(registry._RULES, Retract, keep)]


def _rated_twice() -> Sequence[Patch]:
    dealing = ratings._dealing

    def again(draft: Draft, action: Rate, member: Member, _old: Rating | None) -> int:
        return dealing(draft, action, member, None)

    return [(ratings, "_dealing", again)]


def _fresh_raters() -> Sequence[Patch]:
    return [(ratings, "_check_rater", nothing)]


# ------------------------------------------------------------------------------------------------------------- room


def _quotas_uncounted() -> Sequence[Patch]:
    spent = quotas.spent

    def without_end(draft: Draft, actor: bytes, account: Any, *rest: Any) -> tuple[int, int]:
        try:
            return spent(draft, actor, account, *rest)
        except Refused:
            return draft.day, account.used + 1

    return [(quotas, "spent", without_end)]


def _crowds() -> Sequence[Patch]:
    return [(quotas, "check_room", nothing)]


# By what becomes of the rule.
BROKEN: dict[str, Break] = {
    "a new rating is added to the old one": Break(_ratings_add_up),
    "a rating never ends": Break(_voices_never_end),
    "a rating is for ever": Break(_rated_for_ever, "a rating counts for no longer than the policy said"),
    "one voice is enough": Break(
        _one_voice_counts,
        "what members say moves a score within the policy's bounds, and nothing where too few have said it",
    ),
    "a rating stands though its rater is silent": Break(
        _silent_raters_stand, "a rating that was objected to stands only with a reason of its rater"
    ),
    "a rater answers by the terms of today": Break(_hurried, "a rater has as long to give a reason as when it rated"),
    "blame that fell is said again": Break(
        _blamed_again, "blame that fell for want of a reason is not said again before its time"
    ),
    "a rating that is taken back stays": Break(_taken_back_and_kept, "who takes a rating back has said nothing"),
    "a dealing is rated again and again": Break(
        _rated_twice,
        "under a policy of receipts each rating that stands is of a dealing of its own, which both have signed",
    ),
    "who has just come rates": Break(_fresh_raters, "who is too fresh, or stands too low, rates nobody"),
    "what is written a day has no end": Break(_quotas_uncounted, "nobody writes more a day than the policy has it"),
    "strangers fill a block": Break(_crowds, "strangers take no more than their share of a block"),
}
