"""Consent is withdrawn, or was none (:mod:`chain.register.annulments`): everything about who goes is forgotten.

::

    leave ──notice──► forgotten
      │
      └ veto: stays

What is forgotten goes in the order of its keys, and counts against what a block works off.  Of every key that the
member had a mark stays for a while: a hash, so that nobody leaves to come back clean.
Source: protocol 8.2.
"""

from __future__ import annotations

from chain.base.errors import InvariantBroken, Reason, Refused
from chain.content.actions import Leave
from chain.content.identities import (
    Leaving,
    Left,
    Recovery,
    annulment_key,
    guardians_key,
    leaving_key,
    left_key,
    recovery_key,
)
from chain.register import effects, ratings, recovery
from chain.register.draft import Draft
from chain.register.entries import Account, Member, Rating
from chain.register.offices import holds_office
from chain.register.statekeys import RATINGS, account_key, attributes_key, member_key, read_record_key
from chain.register.terms import identity_slots, notice_slots

# Keys of one member that one visit forgets; who had more is visited again.
KEYS_A_VISIT = 16


def leave(draft: Draft, _action: Leave, actor: bytes) -> None:
    """The actor goes after the notice period, in which open duties are settled.

    Raises :class:`Refused`: ``NOT_ENROLLED``, ``HOLDS_OFFICE``, ``ALREADY_LEAVING``.
    """
    subject, member = draft.member(actor)
    recovery.check_holds_nothing(draft, subject)
    if draft.get(leaving_key(subject)) is not None:
        raise Refused(Reason.ALREADY_LEAVING, "it is leaving")
    due_slot = draft.slot + notice_slots(draft, member.policy_version)
    waiting: Recovery | None = draft.get(recovery_key(subject))
    if waiting is not None:
        due_slot = max(due_slot, waiting.due_slot + 1)
    recovery.set_leaving(draft, subject, Leaving(due_slot))
    recovery.can_undo(draft, subject)


def forget(draft: Draft, key: bytes) -> None:
    """A record about somebody who left, or a rating by or about it, is gone, and counts against nobody."""
    if key.startswith(RATINGS):
        rating: Rating = draft.get(key)
        ratings.end(draft, key, rating)
    else:
        subject, number = read_record_key(key)
        effects.end(draft, subject, number, draft.get(key), "forgotten")


def fall_due(draft: Draft, key: bytes) -> None:
    """All that a member was tied to is gone, and so is the member; of its keys a mark stays.

    Of who holds an office by now the keys stay as they are, and the first is marked.

    Raises :class:`InvariantBroken` for one who is not due.
    """
    leaving, subject = draft.get(key), key[1:]
    if not isinstance(leaving, Leaving) or leaving.due_slot > draft.slot:
        raise InvariantBroken("a member who does not leave")
    member: Member | None = draft.get(member_key(subject))
    if member is not None:
        keeps_keys = holds_office(draft, subject)
        for about in (member_key, guardians_key, recovery_key, annulment_key, attributes_key):
            draft.put(about(subject), None)
        if keeps_keys:
            _mark(draft, subject, leaving.policy_version)
            draft.put(key, None)
            return
    cursor = _forget_keys(draft, leaving.cursor or subject, leaving.policy_version)
    draft.put(key, leaving._replace(cursor=cursor) if cursor else None)


def left_due(draft: Draft, key: bytes) -> None:
    """A key that left may come back."""
    draft.put(key, None)


def _forget_keys(draft: Draft, key: bytes, policy_version: int) -> bytes:
    """Forget the first keys of a chain of rotations; the next one, empty where that was all."""
    for _ in range(KEYS_A_VISIT):
        account: Account = draft.get(account_key(key))
        draft.put(account_key(key), None)
        _mark(draft, key, policy_version)
        if not account.successor:
            return b""
        key = account.successor
    return key


def _mark(draft: Draft, key: bytes, policy_version: int) -> None:
    # What its owner signed before is void until no block can hold it any more.
    stays = max(identity_slots(draft, policy_version, "return_days"), draft.genesis.max_expiry_blocks + 1)
    draft.put(left_key(key), Left(draft.slot + stays))
