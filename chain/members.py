"""How members come, and move to another key.

Each rule checks everything before it writes anything, so a refused transaction has changed nothing.
Source: protocol 6.2.
"""

from __future__ import annotations

from chain import quotas
from chain.draft import Draft
from chain.errors import Reason, Refused
from chain.keys import check_public_key
from chain.proposals import REGISTRAR
from chain.state import (
    ACTIVE,
    Account,
    Member,
    account_key,
    authority_key,
    member_key,
)
from chain.transactions import Enrol, Rotate


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
    account = draft.account(actor)
    day, used = quotas.spent(draft, account, action, identity)
    given = 0 if account is None else account.given
    draft.put(account_key(action.new_key), Account(0, identity, b"", day, used, given))
    draft.put(account_key(actor), Account(0, identity, action.new_key))
    if member is not None:
        draft.put(member_key(identity), member._replace(key=action.new_key))
    if authority is not None:
        draft.put(authority_key(identity), authority._replace(key=action.new_key))
