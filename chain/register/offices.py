"""Who holds an office, and which."""

from __future__ import annotations

from chain.base.errors import Reason, Refused
from chain.content.identities import Left, leaving_key, left_key
from chain.content.proposals import ARBITER, REGISTRAR
from chain.register.authorities import is_in_term
from chain.register.draft import Draft
from chain.register.entries import ACTIVE, Authority, Member
from chain.register.statekeys import member_key


def check_registrar(draft: Draft, key: bytes) -> bytes:
    """The identity of a registrar in office whose present key this is.  Raises ``NOT_REGISTRAR``."""
    identity = draft.identity(key)
    registrar = draft.authority(identity)
    if registrar is None or not registrar.rights & REGISTRAR or key != registrar.key:
        raise Refused(Reason.NOT_REGISTRAR, "the co-signer is not a registrar; ask one whom the validators accredited")
    if not is_in_office(draft, registrar):
        raise Refused(Reason.NOT_REGISTRAR, "the registrar is suspended, revoked, or out of its term")
    return identity


def check_registrar_of(draft: Draft, key: bytes, member: Member) -> bytes:
    """Like :func:`check_registrar`, about a member: who enrolled it speaks, another where that one is not in office.

    Raises ``NOT_REGISTRAR``.
    """
    identity = check_registrar(draft, key)
    if member.registrar not in (b"", identity) and _is_registrar(draft, member.registrar):
        raise Refused(Reason.NOT_REGISTRAR, "the registrar who enrolled it is in office, and has to say so itself")
    return identity


def _is_registrar(draft: Draft, identity: bytes) -> bool:
    registrar = draft.authority(identity)
    return registrar is not None and bool(registrar.rights & REGISTRAR) and is_in_office(draft, registrar)


def check_arbiter(draft: Draft, key: bytes) -> bytes:
    """The identity of an arbiter in office whose present key this is.  Raises ``NOT_ARBITER``."""
    identity = draft.identity(key)
    arbiter = draft.authority(identity)
    if arbiter is None or not arbiter.rights & ARBITER:
        raise Refused(Reason.NOT_ARBITER, "only an arbiter rules")
    if not is_in_office(draft, arbiter):
        raise Refused(Reason.NOT_ARBITER, "the arbiter is suspended or out of its term")
    return identity


def is_in_office(draft: Draft, authority: Authority) -> bool:
    """Whether an authority is active, and in its term."""
    return authority.status == ACTIVE and is_in_term(authority, draft.date_slot)


def makes_blocks(draft: Draft, key: bytes) -> bool:
    """Whether this key has a seat, or a change of the seats that waits is about it."""
    validators = draft.validators
    return validators.seat(key) is not None or any(key in (change.key, change.other) for change in validators.queue)


def holds_office(draft: Draft, identity: bytes) -> bool:
    """Whether somebody is, or was, an authority, or makes blocks."""
    return draft.authority(identity) is not None or makes_blocks(draft, draft.current_key(identity))


def check_not_gone(draft: Draft, key: bytes) -> None:
    """Whoever left is forgotten first, and for good, before it comes back as anything.  Raises ``HAS_LEFT``."""
    identity = draft.identity(key)
    if draft.get(leaving_key(identity)) is not None and draft.get(member_key(identity)) is None:
        raise Refused(Reason.HAS_LEFT, "this member has left; the next blocks forget the rest of its keys")
    left: Left | None = draft.get(left_key(identity))
    if left is not None:
        raise Refused(Reason.HAS_LEFT, f"this key has left, and comes back from slot {draft.date(left.until_slot)}")
