"""What members do: enrol, rate, move to another key.

Each rule checks everything before it writes anything, so a refused transaction has changed nothing.
Source: protocol 6.2.
"""

from __future__ import annotations

from chain import quotas
from chain.draft import Draft
from chain.errors import Reason, Refused
from chain.keys import check_public_key
from chain.policy import Policy
from chain.proposals import REGISTRAR
from chain.state import (
    ACTIVE,
    Account,
    Member,
    Rating,
    account_key,
    authority_key,
    member_key,
    rating_key,
)
from chain.transactions import Enrol, Rate, Rotate


def enrol(draft: Draft, action: Enrol, actor: bytes) -> None:
    """The actor joins; where the policy asks for it, with the consent of a registrar who signed this enrolment.

    Raises :class:`Refused`: ``ALREADY_ENROLLED``, ``BAD_KEY``, ``NOT_REGISTRAR``, ``NO_CONSENT``, ``OVER_QUOTA``,
    ``TOO_MANY_ENROLMENTS``.
    """
    identity = check_new(draft, actor)
    check_public_key(actor)
    signer = b""
    if action.registrar:
        signer = draft.identity(action.registrar)
        registrar = draft.authority(signer)
        if registrar is None or not registrar.rights & REGISTRAR or action.registrar != registrar.key:
            raise Refused(Reason.NOT_REGISTRAR, "the co-signer is no registrar; ask one whom the validators accredited")
        if registrar.status != ACTIVE or not registrar.from_height <= draft.height < registrar.until_height:
            raise Refused(Reason.NOT_REGISTRAR, "the registrar is suspended, revoked, or out of its term")
    elif draft.policy.enrolment_by_registrar:
        raise Refused(Reason.NO_CONSENT, "this policy wants a registrar's signature under an enrolment")
    if signer:
        quotas.sign_for(draft, signer)
    else:
        quotas.check_room(draft)
        draft.strangers += 1
    entry = Member(actor, draft.height, 0, 0, 0, 0, 0, 0, (), draft.slot, signer)
    draft.put(member_key(identity), entry)


def check_new(draft: Draft, actor: bytes) -> bytes:
    """The identity of somebody who has not enrolled.  Raises ``ALREADY_ENROLLED``."""
    identity = draft.identity(actor)
    if draft.get(member_key(identity)) is not None:
        raise Refused(Reason.ALREADY_ENROLLED, "this key is enrolled")
    return identity


def check_rating(policy: Policy, action: Rate, actor: bytes) -> None:
    """What follows from the policy alone.

    Raises :class:`Refused`: ``SELF_RATING``, ``UNKNOWN_CATEGORY``, ``POINTS_OUT_OF_RANGE``.
    """
    if action.subject == actor:
        raise Refused(Reason.SELF_RATING, "nobody rates itself")
    category = policy.ratings.get(action.category)
    if category is None:
        raise Refused(Reason.UNKNOWN_CATEGORY, f"category {action.category} is not in the policy")
    if not category.low <= action.points <= category.high:
        raise Refused(Reason.POINTS_OUT_OF_RANGE, f"{action.points} is not from {category.low} to {category.high}")


def rate(draft: Draft, action: Rate, actor: bytes) -> None:
    """A new rating replaces the rater's old one in the same category.

    Raises :class:`Refused`: ``NOT_ENROLLED``, ``SELF_RATING`` (also under another key of its own).
    """
    points = action.points
    rater, _ = draft.member(actor)
    subject, member = draft.member(action.subject)
    if subject == rater:
        raise Refused(Reason.SELF_RATING, "nobody rates itself")
    key = rating_key(subject, rater, action.category)
    old: Rating | None = draft.get(key)
    replaced, added = (0, 1) if old is None else (old.points, 0)
    rated = member._replace(rated_points=member.rated_points + points - replaced, ratings=member.ratings + added)
    draft.put(key, Rating(points, draft.height))
    draft.put(member_key(subject), rated)


def rotate(draft: Draft, action: Rotate, actor: bytes) -> None:
    """The history stays with the identity; the old key can do nothing more.

    Raises :class:`Refused`: ``NOT_ENROLLED``, ``BAD_KEY``, ``KEY_IN_USE``.
    """
    identity = draft.identity(actor)
    member, authority = draft.get(member_key(identity)), draft.authority(identity)
    if member is None and authority is None:
        raise Refused(Reason.NOT_ENROLLED, "only members and authorities rotate; validators change by motion")
    validators = draft.validators
    if validators.seat(actor) is not None or any(actor in (change.key, change.other) for change in validators.queue):
        raise Refused(Reason.KEY_IN_USE, "this key makes blocks; replace it by motion first")
    check_public_key(action.new_key)
    if draft.account(action.new_key) is not None:
        raise Refused(Reason.KEY_IN_USE, "the new key is in use; make a fresh one")
    # Whoever applies this counts the nonce; what was written today stays written under the new key.
    day, used = quotas.spent(draft, draft.account(actor), action, identity)
    draft.put(account_key(action.new_key), Account(0, identity, b"", day, used))
    draft.put(account_key(actor), Account(0, identity, action.new_key))
    if member is not None:
        draft.put(member_key(identity), member._replace(key=action.new_key))
    if authority is not None:
        draft.put(authority_key(identity), authority._replace(key=action.new_key))
