"""How members come, and move to another key.

Each rule checks everything before it writes anything, so a refused transaction has changed nothing.
Source: protocol 6.2.
"""

from __future__ import annotations

from chain.base.errors import Reason, Refused
from chain.base.keys import check_public_key
from chain.content.actions import Enrol, Rotate
from chain.content.identities import Guardians, guardians_key
from chain.register import quotas
from chain.register.draft import Draft
from chain.register.entries import Account, Member
from chain.register.offices import check_not_gone, check_registrar, makes_blocks
from chain.register.recovery import can_undo, check_fresh
from chain.register.statekeys import account_key, authority_key, member_key


def enrol(draft: Draft, action: Enrol, actor: bytes) -> None:
    """The actor joins; where the policy asks for it, with the consent of a registrar who signed this enrolment.

    What it consents to is the policy in force, by its version: nobody is bound by another one.

    Raises :class:`Refused`: ``ALREADY_ENROLLED``, ``HAS_LEFT``, ``BAD_KEY``, ``STALE_POLICY``, ``EARLY_POLICY``,
    ``NOT_REGISTRAR``, ``NO_CONSENT``, ``OVER_QUOTA``, ``TOO_MANY_ENROLMENTS``.
    """
    identity = check_new(draft, actor)
    check_public_key(actor)
    version = _consented(draft, action)
    signer = check_registrar(draft, action.registrar) if action.registrar else b""
    if not signer and draft.policy.enrolment_by_registrar:
        raise Refused(Reason.NO_CONSENT, "this policy wants a registrar's signature under an enrolment")
    if signer:
        quotas.sign_for(draft, signer)
    else:
        quotas.check_room(draft)
        draft.strangers += 1
    entry = Member(actor, draft.height, 0, 0, 0, 0, 0, 0, (), draft.date_slot, version, signer)
    draft.put(member_key(identity), entry)
    if action.guardians:
        draft.put(guardians_key(identity), Guardians(action.guardians))


def _consented(draft: Draft, action: Enrol) -> int:
    """The version of the policy in force.  What was signed for the one that is announced waits for it."""
    rules = draft.rules
    if action.policy_version == rules.version:
        return rules.version
    is_early = 0 < rules.next_version == action.policy_version
    reason = Reason.EARLY_POLICY if is_early else Reason.STALE_POLICY
    raise Refused(reason, f"policy {rules.version} is in force, not {action.policy_version}")


def check_new(draft: Draft, actor: bytes) -> bytes:
    """The identity of somebody who has not enrolled.  Raises ``ALREADY_ENROLLED``, ``HAS_LEFT``."""
    identity = draft.identity(actor)
    if draft.get(member_key(identity)) is not None:
        raise Refused(Reason.ALREADY_ENROLLED, "this key is enrolled")
    check_not_gone(draft, actor)
    return identity


def rotate(draft: Draft, action: Rotate, actor: bytes) -> None:
    """The history stays with the identity; the old key can do nothing more.

    Raises :class:`Refused`: ``NOT_ENROLLED``, ``BAD_KEY``, ``KEY_IN_USE``.
    """
    identity = draft.identity(actor)
    authority = draft.authority(identity)
    member: Member | None = draft.get(member_key(identity))
    if authority is None:
        identity, member = draft.member(actor)
    if makes_blocks(draft, actor):
        raise Refused(Reason.KEY_IN_USE, "this key makes blocks; replace it by motion first")
    check_public_key(action.new_key)
    check_fresh(draft, action.new_key)
    # Whoever applies this counts the nonce; what was written today stays written under the new key.
    account = draft.account(actor)
    day, used = quotas.spent(draft, actor, account, action)
    given = 0 if account is None else account.given
    draft.put(account_key(action.new_key), Account(0, identity, b"", day, used, given))
    draft.put(account_key(actor), Account(0, identity, action.new_key))
    if member is not None:
        draft.put(member_key(identity), member._replace(key=action.new_key))
        can_undo(draft, identity)
    if authority is not None:
        draft.put(authority_key(identity), authority._replace(key=action.new_key))
