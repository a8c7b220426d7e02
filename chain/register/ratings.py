"""What members say of one another: rate, withdraw it, object to it, answer for it; and how long it counts.

::

    rate ──► stands ──object──► disputed ──answer with a reason──► answered, stands
               │                   │
               └ withdrawn,        └ withdrawn, silence            gone; blame is not
                 ages out          said again for a while

A rating counts while it stands, disputed or not: an objection costs its rater a reason, and nobody its voice.  Under a
policy that asks for receipts each rating names a dealing that the rated member signed too, a later one every time.
Source: protocol 8.4.
"""

from __future__ import annotations

from chain.base.errors import InvariantBroken, Reason, Refused
from chain.content.actions import Dispute, Rate, Reply, Retract
from chain.content.language import NO_LIMIT
from chain.content.policy import Policy
from chain.register import markers
from chain.register.draft import Draft
from chain.register.entries import ANSWERED, DISPUTED, UNDISPUTED, Account, Member, Rating
from chain.register.scores import standing
from chain.register.statekeys import account_key, member_key, rating_key, read_rating_key
from chain.register.terms import reason_slots


def check_rating(policy: Policy, action: Rate, actor: bytes) -> None:
    """What follows from the policy alone.

    Raises :class:`Refused`: ``SELF_RATING``, ``UNKNOWN_CATEGORY``, ``CATEGORY_CLOSED``,
    ``POINTS_OUT_OF_RANGE``, ``NO_RECEIPT``.
    """
    if action.subject == actor:
        raise Refused(Reason.SELF_RATING, "nobody rates itself")
    category = policy.ratings.get(action.category)
    if category is None:
        raise Refused(Reason.UNKNOWN_CATEGORY, f"category {action.category} is not in the policy")
    if category.is_closed:
        raise Refused(Reason.CATEGORY_CLOSED, f"{category.name} takes no new ratings")
    if not category.low <= action.points <= category.high:
        raise Refused(Reason.POINTS_OUT_OF_RANGE, f"{action.points} is not from {category.low} to {category.high}")
    if policy.raters.counting and not action.receipt:
        raise Refused(Reason.NO_RECEIPT, "this policy wants the rated member's signature under the dealing")


def rate(draft: Draft, action: Rate, actor: bytes) -> int:
    """A new rating replaces the rater's old one in the same category.  Returns how many more of it stand now.

    Raises :class:`Refused`: ``NOT_ENROLLED``, ``SELF_RATING`` (also under another key of its own), ``TOO_FRESH``,
    ``SCORE_TOO_LOW``, ``TOO_MANY_RATINGS``, ``RATING_DISPUTED``, ``RATING_FELL``, ``DEADLINE_PASSED``; where receipts
    are asked for ``NO_RECEIPT``, ``NOT_YET_ESTABLISHED``, ``TOO_OLD``, ``DEALING_RATED``.
    """
    rater, voice = draft.member(actor)
    subject, member = draft.member(action.subject)
    if subject == rater:
        raise Refused(Reason.SELF_RATING, "nobody rates itself")
    key = rating_key(subject, rater, action.category)
    old: Rating | None = draft.get(key)
    if old is not None:
        _check_open(draft, old)
        if old.status == DISPUTED:
            raise Refused(Reason.RATING_DISPUTED, "the rating is under objection: answer for it, or withdraw it")
    if action.points < 0:
        markers.check_blame(draft, key)
    policy = draft.policy
    rules = policy.raters
    if rules.are_choosy:
        _check_rater(draft, policy, voice)
    dealt_slot = _dealing(draft, action, member, old) if rules.counting else 0
    expires_slot = draft.slot + draft.slots(rules.rating_days) if rules.rating_days else 0
    if old is not None:
        rated = member.rated(action.points - old.points)
    else:
        if rules.most_given < NO_LIMIT:
            _check_given(draft, actor, rules.most_given)
        is_first = len(policy.ratings) == 1 or not _speaks_elsewhere(draft, subject, rater, action.category)
        rated = member.rated(action.points, 1, int(is_first))
    draft.put(key, Rating(action.points, draft.height, expires_slot, dealt_slot))
    draft.put(member_key(subject), rated)
    return int(old is None)


def retract(draft: Draft, action: Retract, actor: bytes) -> None:
    """The rater takes back what it said, whatever became of it.

    Raises :class:`Refused`: ``NOT_ENROLLED``, ``UNKNOWN_RATING``, ``DEADLINE_PASSED``.
    """
    subject, _ = draft.member(action.subject)
    key, rating = _find(draft, subject, draft.identity(actor), action.category)
    end(draft, key, rating)
    if rating.status == DISPUTED:
        _mark(draft, key, rating)


def dispute(draft: Draft, action: Dispute, actor: bytes) -> None:
    """The rated member objects, once to each rating: a replaced one is another.

    Raises :class:`Refused`: ``NOT_ENROLLED``, ``UNKNOWN_RATING``, ``DEADLINE_PASSED``, ``RATING_DISPUTED``.
    """
    rater, _ = draft.member(action.rater)
    key, rating = _find(draft, draft.identity(actor), rater, action.category)
    if rating.status != UNDISPUTED:
        raise Refused(Reason.RATING_DISPUTED, "its rater has been asked for a reason")
    deadline_slot = draft.slot + reason_slots(draft, rating)
    draft.put(key, rating._replace(status=DISPUTED, deadline_slot=deadline_slot, grounds=action.grounds))


def reply(draft: Draft, action: Reply, actor: bytes) -> None:
    """The rater gives a reason, and the rating stands with it.

    Raises :class:`Refused`: ``NOT_ENROLLED``, ``UNKNOWN_RATING``, ``DEADLINE_PASSED``, ``RATING_NOT_DISPUTED``.
    """
    subject, _ = draft.member(action.subject)
    key, rating = _find(draft, subject, draft.identity(actor), action.category)
    if rating.status != DISPUTED:
        raise Refused(Reason.RATING_NOT_DISPUTED, "nobody waits for a reason")
    draft.put(key, rating._replace(status=ANSWERED, deadline_slot=0, reason=action.reason))


def fall_due(draft: Draft, key: bytes) -> None:
    """A rating is too old, or its rater gave no reason.  Raises :class:`InvariantBroken` for one that is not due."""
    rating = draft.get(key)
    if not isinstance(rating, Rating) or not 0 < rating.due_slot <= draft.slot:
        raise InvariantBroken("a rating that is not due")
    end(draft, key, rating)
    if rating.due_slot != rating.expires_slot:
        _mark(draft, key, rating)


def end(draft: Draft, key: bytes, rating: Rating) -> None:
    """The rating is gone, and what it did to the score with it."""
    subject, rater, category = read_rating_key(key)
    draft.put(key, None)
    member: Member = draft.get(member_key(subject))
    last = 0 if _speaks_elsewhere(draft, subject, rater, category) else 1
    draft.put(member_key(subject), member.rated(-rating.points, -1, -last))
    account_of = account_key(draft.current_key(rater))
    account: Account = draft.get(account_of)
    draft.put(account_of, account._replace(given=account.given - 1))


def _mark(draft: Draft, key: bytes, rating: Rating) -> None:
    """Its rater gave no reason; whoever blames again and again has to give one."""
    if rating.points < 0:
        days = draft.policy.raters.rating_days or draft.policy.retention_days
        markers.mark_fallen(draft, key, draft.slot + draft.slots(days))


def _check_rater(draft: Draft, policy: Policy, voice: Member) -> None:
    rules = policy.raters
    if rules.age_days and draft.date_slot - voice.enrolled_slot < draft.slots(rules.age_days):
        raise Refused(Reason.TOO_FRESH, f"who rates has been a member for {rules.age_days} days")
    if standing(policy, voice).score < rules.least_score:
        raise Refused(Reason.SCORE_TOO_LOW, f"who rates scores {rules.least_score} at least")


def _check_given(draft: Draft, actor: bytes, most: int) -> None:
    """Whether one more rating of this key may stand; their number is kept with its account."""
    account: Account = draft.get(account_key(actor))
    if account.given >= most:
        raise Refused(Reason.TOO_MANY_RATINGS, f"{most} ratings of this key stand")


def _dealing(draft: Draft, action: Rate, member: Member, old: Rating | None) -> int:
    if not action.receipt or action.subject != member.key:
        raise Refused(Reason.NO_RECEIPT, "a receipt is signed with the rated member's present key")
    dealt_slot, days = action.dealt_slot, draft.policy.raters.rating_days
    if dealt_slot > draft.date_slot:
        raise Refused(Reason.NOT_YET_ESTABLISHED, f"the dealing was in slot {dealt_slot}, after this block's")
    if days and dealt_slot + draft.slots(days) <= draft.date_slot:
        raise Refused(Reason.TOO_OLD, f"a rating of this dealing would have aged out after {days} days")
    if old is not None and dealt_slot <= old.dealt_slot:
        raise Refused(Reason.DEALING_RATED, f"the rating that stands is of a dealing in slot {old.dealt_slot}")
    return dealt_slot


def _find(draft: Draft, subject: bytes, rater: bytes, category: int) -> tuple[bytes, Rating]:
    key = rating_key(subject, rater, category)
    rating = draft.get(key)
    if not isinstance(rating, Rating):
        raise Refused(Reason.UNKNOWN_RATING, f"no rating in category {category} stands between the two")
    _check_open(draft, rating)
    return key, rating


def _check_open(draft: Draft, rating: Rating) -> None:
    if 0 < rating.due_slot <= draft.slot:
        slot = draft.date(rating.due_slot)
        raise Refused(Reason.DEADLINE_PASSED, f"its deadline was slot {slot}; the next blocks act on it")


def _speaks_elsewhere(draft: Draft, subject: bytes, rater: bytes, category: int) -> bool:
    """Whether a rating of the same rater about the same member stands in another category."""
    others = (code for code in draft.policy.ratings if code != category)
    return any(draft.get(rating_key(subject, rater, code)) is not None for code in others)
