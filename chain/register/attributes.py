"""What authorities attest of a member until a date, as a salted digest: a licence, a qualification, a membership.

::

    attest ──► held ──its date──► gone
                 └ taken back, by who attested it or by the member: gone

Points follow from none.  Each is by one authority at a time, which alone renews it; the member need not keep it.
Source: protocol 8.7.
"""

from __future__ import annotations

from collections.abc import Iterable

from chain.base.errors import InvariantBroken, Reason, Refused
from chain.content.actions import Attest
from chain.register.authorities import check_accredited, check_authority
from chain.register.draft import Draft
from chain.register.entries import Attributes, Held
from chain.register.statekeys import attributes_key


def attest(draft: Draft, action: Attest, actor: bytes) -> None:
    """An authority attests what it is accredited for, or it or the member takes it back.

    Raises :class:`Refused`: ``NOT_ENROLLED``, ``UNKNOWN_ATTRIBUTE``, ``NOT_ISSUER``; of who attests
    ``CATEGORY_CLOSED``, ``SELF_RECORD``, ``WRONG_TERM`` and what :func:`check_authority` and :func:`check_accredited`
    say.
    """
    subject, _ = draft.member(action.subject)
    entry: Attributes | None = draft.get(attributes_key(subject))
    held = {each.attribute: each for each in _lasting(draft, entry)}
    old = held.pop(action.attribute, None)
    if action.digest:
        new = _attested(draft, action, actor, subject, old)
        held[new.attribute] = new
    elif old is None:
        raise Refused(Reason.UNKNOWN_ATTRIBUTE, "nobody attests that of this member")
    elif draft.identity(actor) not in (subject, old.issuer):
        raise Refused(Reason.NOT_ISSUER, "who attested it, or the member, takes it back")
    _hold(draft, attributes_key(subject), held.values())


def fall_due(draft: Draft, key: bytes) -> None:
    """The date of an attribute has come.  Raises :class:`InvariantBroken` where that of none has."""
    entry = draft.get(key)
    if not isinstance(entry, Attributes) or entry.due_slot > draft.slot:
        raise InvariantBroken("no attribute is due")
    _hold(draft, key, _lasting(draft, entry))


def _attested(draft: Draft, action: Attest, actor: bytes, subject: bytes, old: Held | None) -> Held:
    issuer, authority = check_authority(draft, actor)
    attribute = draft.policy.attributes.get(action.attribute)
    if attribute is None:
        raise Refused(Reason.UNKNOWN_ATTRIBUTE, f"the policy knows no attribute {action.attribute}")
    if attribute.is_closed:
        raise Refused(Reason.CATEGORY_CLOSED, f"{attribute.name} is attested no more")
    if issuer == subject:
        raise Refused(Reason.SELF_RECORD, "nobody attests anything of itself")
    check_accredited(draft, authority, attribute.code, attribute.name)
    if old is not None and old.issuer != issuer:
        raise Refused(Reason.NOT_ISSUER, "another authority attests it, and alone renews it until its date")
    now, latest = draft.date_slot, draft.date_slot + draft.slots(attribute.valid_days)
    if not now < action.until_slot <= latest:
        raise Refused(Reason.WRONG_TERM, f"it ends after slot {now}, and at slot {latest} at the latest")
    return Held(attribute.code, issuer, action.digest, draft.height, action.until_slot - draft.date(0))


def _lasting(draft: Draft, entry: Attributes | None) -> tuple[Held, ...]:
    return () if entry is None else tuple(each for each in entry.held if each.expires_slot > draft.slot)


def _hold(draft: Draft, key: bytes, held: Iterable[Held]) -> None:
    kept = tuple(sorted(held))
    draft.put(key, Attributes(min(each.expires_slot for each in kept), kept) if kept else None)
