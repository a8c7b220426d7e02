"""A key is not a person: guardians, recovery with a veto, and what they can undo.

::

    recover ──► waits ──delay──► the member moves to the new key
                  │
                  └ veto of the present key ──► recover, once a registrar stands by it too ──delay──► it moves

A key alone stops its guardians, and so does a thief's; it does not stop guardians and a registrar together within the
delay after its veto: it was heard, and nobody is taken over in silence.  Nobody else is heard within that delay, so
that no member has to veto day after day, and nobody fills blocks with that.

Whoever may say so stays who it is while a recovery waits: a naming that waits is off then, and none begins, so that
a thief's friends are not the guardians of whom is given back.

A key that rotates, leaves or names other guardians gives its guardians the same delay to undo that: the member moves
to a key that they name, at once, and nobody's veto counts.  So a thief who is first has not won.
Source: protocol 8.1.
"""

from __future__ import annotations

from chain.base.errors import InvariantBroken, Reason, Refused
from chain.base.keys import check_public_key
from chain.content.actions import LEAVE, UNDO, NameGuardians, Recover, Veto
from chain.content.identities import (
    MAX_GUARDIANS,
    Guardians,
    Leaving,
    Recovery,
    commitment_of,
    guardians_key,
    leaving_key,
    left_key,
    recovery_key,
)
from chain.register.draft import Draft
from chain.register.entries import Account, Member
from chain.register.offices import check_registrar, check_registrar_of, holds_office
from chain.register.statekeys import account_key, member_key
from chain.register.terms import identity_slots, registrar_recovers


def name_guardians(draft: Draft, action: NameGuardians, actor: bytes) -> None:
    """The first are in force at once; others replace them after the delay in which they can undo it.

    Nobody is named while a recovery waits, which its key may stop first.

    Raises :class:`Refused`: ``NOT_ENROLLED``, ``RECOVERY_PENDING``.
    """
    subject, member = draft.member(actor)
    waiting: Recovery | None = draft.get(recovery_key(subject))
    if waiting is not None and waiting.key:
        raise Refused(Reason.RECOVERY_PENDING, "a recovery waits, and until then its guardians are who they are")
    now = _in_force(draft, subject)
    if not now:
        draft.put(guardians_key(subject), Guardians(action.commitment) if action.commitment else None)
        return
    until = _delayed(draft, member)
    draft.put(guardians_key(subject), Guardians(now, action.commitment, until, until))


def recover(draft: Draft, action: Recover, actor: bytes) -> None:
    """The actor is the key that the member is to have: its guardians say so, or the registrar who enrolled it.

    Raises :class:`Refused`: ``KEY_IN_USE``, ``BAD_KEY``, ``HOLDS_OFFICE``, ``RECOVERY_PENDING``, ``NOTHING_TO_UNDO``
    and what :func:`check_word` says.
    """
    check_fresh(draft, actor)
    check_public_key(actor)
    subject = check_word(draft, action)
    check_holds_nothing(draft, subject)
    if action.step == UNDO:
        _undo(draft, subject, actor)
        return
    before: Recovery | None = draft.get(recovery_key(subject))
    if before is not None and before.key:
        raise Refused(Reason.RECOVERY_PENDING, "another recovery of this member waits")
    is_final = before is not None and bool(action.guardians and action.registrar)
    if before is not None and not is_final:
        slot = draft.date(before.due_slot)
        raise Refused(Reason.RECOVERY_PENDING, f"its key has stopped one: guardians and registrar both, or slot {slot}")
    due_slot = _delayed(draft, draft.get(member_key(subject)))
    draft.put(recovery_key(subject), Recovery(actor, due_slot, int(is_final)))
    guardians: Guardians | None = draft.get(guardians_key(subject))
    if guardians is not None and guardians.next_slot > draft.slot:  # else a thief's would undo what comes of this
        draft.put(guardians_key(subject), guardians._replace(next_commitment=b"", next_slot=0))
    leaving: Leaving | None = draft.get(leaving_key(subject))
    if leaving is not None:
        set_leaving(draft, subject, leaving._replace(due_slot=max(leaving.due_slot, due_slot + 1)))


def check_word(draft: Draft, action: Recover) -> bytes:
    """The member about whom those speak who may; their signatures were checked before.

    Guardians undo alone: whose word stands beside theirs then, and in which office, is of no account.

    Raises :class:`Refused`: ``NOT_ENROLLED``, ``NOT_GUARDIANS``, ``NOT_REGISTRAR``.
    """
    subject, member = draft.member(action.subject)
    in_force = _in_force(draft, subject)
    if in_force:
        _check_guardians(action, in_force)
        if action.registrar and action.step != UNDO:
            check_registrar_of(draft, action.registrar, member)
    elif action.step == UNDO or not member.registrar or not registrar_recovers(draft, member):
        raise Refused(Reason.NOT_GUARDIANS, "this member named nobody who may do that for it")
    elif check_registrar(draft, action.registrar) != member.registrar:
        raise Refused(Reason.NOT_REGISTRAR, "only the registrar who enrolled a member recovers it")
    return subject


def _check_guardians(action: Recover, commitment: bytes) -> None:
    keys, signed = action.guardians, sum(map(bool, action.signatures))
    if commitment_of(action.threshold, keys, action.salt) != commitment:
        raise Refused(Reason.NOT_GUARDIANS, "these are not the guardians that the member named")
    is_sound = list(keys) == sorted(set(keys)) and len(keys) < 2 * action.threshold <= 2 * len(keys)
    if not is_sound or len(keys) > MAX_GUARDIANS or len(action.signatures) != len(keys):
        raise Refused(Reason.NOT_GUARDIANS, f"more than half of at most {MAX_GUARDIANS} different keys, in order")
    if signed < action.threshold:
        raise Refused(Reason.NOT_GUARDIANS, f"{signed} of them signed where {action.threshold} are needed")


def veto(draft: Draft, action: Veto, actor: bytes) -> None:
    """The present key stops a recovery, or takes back that its owner leaves.

    Raises :class:`Refused`: ``NOT_ENROLLED``, ``NOTHING_TO_STOP``, ``DEADLINE_PASSED``, ``PAST_VETO``.
    """
    subject, member = draft.member(actor)
    key = leaving_key(subject) if action.what == LEAVE else recovery_key(subject)
    entry: Recovery | Leaving | None = draft.get(key)
    if entry is None or (isinstance(entry, Recovery) and not entry.key):
        raise Refused(Reason.NOTHING_TO_STOP, "nothing of the kind is under way")
    if entry.due_slot <= draft.slot:
        slot = draft.date(entry.due_slot)
        raise Refused(Reason.DEADLINE_PASSED, f"it was due in slot {slot}; the next blocks act on it")
    if isinstance(entry, Leaving):
        set_leaving(draft, subject, None)
    elif entry.is_final:
        raise Refused(Reason.PAST_VETO, "a registrar stands by its guardians after a veto: it was heard")
    else:
        draft.put(key, Recovery(b"", _delayed(draft, member)))


def fall_due(draft: Draft, key: bytes) -> None:
    """Nobody vetoed, or nobody came after a veto.

    Where the member holds an office by now, or the new key is somebody's, or its owner's who left, nothing happens.

    Raises :class:`InvariantBroken` for a recovery that is not due.
    """
    recovery, subject = draft.get(key), key[1:]
    if not isinstance(recovery, Recovery) or recovery.due_slot > draft.slot:
        raise InvariantBroken("a recovery that is not due")
    draft.put(key, None)
    if not recovery.key:
        return
    if _is_nobodys(draft, recovery.key) and not holds_office(draft, subject):
        _move(draft, subject, recovery.key)


def can_undo(draft: Draft, subject: bytes) -> None:
    """Its key did something that its guardians, if there are any, can undo within the delay."""
    now = _in_force(draft, subject)
    if now:
        old: Guardians = draft.get(guardians_key(subject))
        is_replaced = not 0 < old.next_slot <= draft.slot
        until = _delayed(draft, draft.get(member_key(subject)))
        coming = (old.next_commitment, old.next_slot) if is_replaced else (b"", 0)
        draft.put(guardians_key(subject), Guardians(now, *coming, until))


def set_leaving(draft: Draft, subject: bytes, leaving: Leaving | None) -> None:
    """A member leaves, or stays; its entry says so too, since everybody who acts on it looks there."""
    member: Member = draft.get(member_key(subject))
    if leaving is not None:
        leaving = leaving._replace(policy_version=member.policy_version)
    draft.put(leaving_key(subject), leaving)
    draft.put(member_key(subject), member._replace(leaves_slot=0 if leaving is None else leaving.due_slot))


def check_fresh(draft: Draft, key: bytes) -> None:
    """Nobody has, or had, this key.  Raises ``KEY_IN_USE``."""
    if draft.account(key) is not None or draft.get(left_key(key)) is not None:
        raise Refused(Reason.KEY_IN_USE, "the new key is in use, or its owner has left; make a fresh one")


def check_holds_nothing(draft: Draft, subject: bytes) -> None:
    """Offices change hands by rotation and by motion alone.  Raises ``HOLDS_OFFICE``."""
    if holds_office(draft, subject):
        raise Refused(Reason.HOLDS_OFFICE, "an authority, or who makes blocks, does that by motion")


def _delayed(draft: Draft, member: Member) -> int:
    """The slot until which a member's key, or its guardians, can object."""
    return draft.slot + identity_slots(draft, member.policy_version, "recovery_days")


def _is_nobodys(draft: Draft, key: bytes) -> bool:
    """Whether a key that asked for a recovery has become nobody's since; of who left nothing is there."""
    account = draft.account(key)
    if account is None or account.identity or account.successor:
        return False
    return draft.get(member_key(key)) is None and draft.authority(key) is None


def _undo(draft: Draft, subject: bytes, new_key: bytes) -> None:
    guardians: Guardians | None = draft.get(guardians_key(subject))
    if guardians is None or guardians.undo_until_slot <= draft.slot:
        raise Refused(Reason.NOTHING_TO_UNDO, "its key did nothing lately that guardians can undo")
    draft.put(recovery_key(subject), None)
    _move(draft, subject, new_key)


def _move(draft: Draft, subject: bytes, new_key: bytes) -> None:
    """The member has another key, and what its old one had begun is off; what it wrote today stays written."""
    member: Member = draft.get(member_key(subject))
    old: Account = draft.get(account_key(member.key))
    new: Account = draft.get(account_key(new_key)) or Account(0, b"", b"")
    draft.put(account_key(new_key), new._replace(identity=subject, day=old.day, used=old.used, given=old.given))
    draft.put(account_key(member.key), old._replace(identity=subject, successor=new_key, given=0))
    draft.put(member_key(subject), member._replace(key=new_key))
    now = _in_force(draft, subject)
    draft.put(guardians_key(subject), Guardians(now) if now else None)
    set_leaving(draft, subject, None)


def _in_force(draft: Draft, subject: bytes) -> bytes:
    guardians: Guardians | None = draft.get(guardians_key(subject))
    return b"" if guardians is None else guardians.in_force(draft.slot)
