"""Consent is withdrawn, or was none: a member leaves, an enrolment is annulled, and everything about it is forgotten.

::

    leave ──notice──► forgotten          annul ──► the member's turn ──objects, or is silent──► an arbiter's turn
      │                                                                                           │
      └ veto: stays                                   forgotten ◄──grants──┤ denies, is silent: stays

What is forgotten goes in the order of its keys, and counts against what a block works off.  Of every key that the
member had a mark stays for a while: a hash, so that nobody leaves to come back clean.
Source: protocol 8.2 and 8.3.
"""

from __future__ import annotations

from chain import effects, ratings, recovery
from chain.actions import ANNUL, CONTEST, GRANT, Annul, Leave
from chain.draft import Draft
from chain.entries import Account, Member, Rating
from chain.errors import InvariantBroken, Reason, Refused
from chain.identities import (
    Annulment,
    Leaving,
    Left,
    Recovery,
    annulment_key,
    guardians_key,
    leaving_key,
    left_key,
    recovery_key,
)
from chain.offices import check_arbiter, check_registrar_of, holds_office
from chain.statekeys import RATINGS, account_key, member_key, read_record_key

# Keys of one member that one visit forgets; who had more is visited again.
KEYS_A_VISIT = 16


def leave(draft: Draft, _action: Leave, actor: bytes) -> None:
    """The actor goes after the notice period, in which open duties are settled.

    Raises :class:`Refused`: ``NOT_ENROLLED``, ``HOLDS_OFFICE``, ``ALREADY_LEAVING``.
    """
    subject, _ = draft.member(actor)
    recovery.check_holds_nothing(draft, subject)
    if draft.get(leaving_key(subject)) is not None:
        raise Refused(Reason.ALREADY_LEAVING, "it is leaving")
    due_slot = draft.slot + draft.slots(draft.policy.identity.leave_days)
    waiting: Recovery | None = draft.get(recovery_key(subject))
    if waiting is not None:
        due_slot = max(due_slot, waiting.due_slot + 1)
    recovery.set_leaving(draft, subject, Leaving(due_slot))
    recovery.can_undo(draft, subject)


def annul(draft: Draft, action: Annul, actor: bytes) -> None:
    """A registrar says that an enrolment is void, the member objects, an arbiter decides.

    Raises :class:`Refused`: ``NOT_ENROLLED``, ``NO_REASON_GIVEN``; of the registrar ``NOT_REGISTRAR``,
    ``HOLDS_OFFICE``, ``ANNULMENT_OPEN``; of the others ``NOTHING_TO_ANNUL``, ``DEADLINE_PASSED``, ``OTHERS_RECORD``,
    ``UNDER_OBJECTION``, ``NOT_ARBITER``, ``OWN_RECORD``, ``NOT_HEARD``.
    """
    subject, member = draft.member(action.subject)
    if action.step == ANNUL:
        _ask(draft, action, actor, subject, member)
        return
    key, annulment = annulment_key(subject), _open(draft, subject)
    if action.step == CONTEST:
        if draft.identity(actor) != subject:
            raise Refused(Reason.OTHERS_RECORD, "only the member itself objects")
        if annulment.is_heard:
            raise Refused(Reason.UNDER_OBJECTION, "the member was heard")
        draft.put(key, _heard(draft, annulment)._replace(grounds=action.reason))
        return
    if check_arbiter(draft, actor) in (annulment.registrar, subject):
        raise Refused(Reason.OWN_RECORD, "nobody decides about what it asked for itself")
    if not annulment.is_heard:
        raise Refused(Reason.NOT_HEARD, f"the member can object until slot {draft.date(annulment.due_slot)}")
    draft.put(key, None)
    if action.step == GRANT and not holds_office(draft, subject):
        recovery.set_leaving(draft, subject, Leaving(draft.slot, 1))


def annulment_due(draft: Draft, key: bytes) -> None:
    """The member was silent, and it is an arbiter's turn; or the arbiters were, and the enrolment stands.

    Raises :class:`InvariantBroken` for one that is not due.
    """
    annulment = draft.get(key)
    if not isinstance(annulment, Annulment) or annulment.due_slot > draft.slot:
        raise InvariantBroken("an annulment that is not due")
    draft.put(key, None if annulment.is_heard else _heard(draft, annulment))


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

    Of who holds an office by now the keys stay as they are.  Raises :class:`InvariantBroken` for one who is not due.
    """
    leaving, subject = draft.get(key), key[1:]
    if not isinstance(leaving, Leaving) or leaving.due_slot > draft.slot:
        raise InvariantBroken("a member who does not leave")
    member: Member | None = draft.get(member_key(subject))
    if member is not None:
        keeps_keys = holds_office(draft, subject)
        for about in (member_key, guardians_key, recovery_key, annulment_key):
            draft.put(about(subject), None)
        if keeps_keys:
            draft.put(key, None)
            return
    cursor = _forget_keys(draft, leaving.cursor or subject)
    draft.put(key, leaving._replace(cursor=cursor) if cursor else None)


def left_due(draft: Draft, key: bytes) -> None:
    """A key that left may come back."""
    draft.put(key, None)


def _forget_keys(draft: Draft, key: bytes) -> bytes:
    """Forget the first keys of a chain of rotations; the next one, empty where that was all."""
    # What its owner signed before is void until no block can hold it any more.
    stays = max(draft.slots(draft.policy.identity.return_days), draft.genesis.max_expiry_blocks + 1)
    for _ in range(KEYS_A_VISIT):
        account: Account = draft.get(account_key(key))
        draft.put(account_key(key), None)
        draft.put(left_key(key), Left(draft.slot + stays))
        if not account.successor:
            return b""
        key = account.successor
    return key


def _ask(draft: Draft, action: Annul, actor: bytes, subject: bytes, member: Member) -> None:
    registrar = check_registrar_of(draft, actor, member)
    recovery.check_holds_nothing(draft, subject)
    if draft.get(annulment_key(subject)) is not None:
        raise Refused(Reason.ANNULMENT_OPEN, "an annulment of this enrolment is open")
    due_slot = draft.slot + draft.slots(draft.policy.identity.annulment_days)
    draft.put(annulment_key(subject), Annulment(registrar, action.reason, due_slot))


def _open(draft: Draft, subject: bytes) -> Annulment:
    annulment: Annulment | None = draft.get(annulment_key(subject))
    if annulment is None:
        raise Refused(Reason.NOTHING_TO_ANNUL, "no registrar says that this enrolment is void")
    if annulment.due_slot <= draft.slot:
        slot = draft.date(annulment.due_slot)
        raise Refused(Reason.DEADLINE_PASSED, f"its deadline was slot {slot}; the next blocks act on it")
    return annulment


def _heard(draft: Draft, annulment: Annulment) -> Annulment:
    due_slot = draft.slot + draft.slots(draft.policy.identity.annulment_days)
    return annulment._replace(is_heard=1, due_slot=due_slot)
