"""What authorities are measured by: the adverse records that were contested, and how those ended.

Nothing that an office files about its friends, and nothing that it withdraws by itself, changes its error rate.
Source: protocol 6.13.
"""

from __future__ import annotations

from chain.base.errors import InvariantBroken, Reason, Refused
from chain.content.policy import Policy
from chain.register.draft import Draft
from chain.register.entries import ACTIVE, REVOKED, SUSPENDED, Authority, Record, Window
from chain.register.statekeys import authority_key


def check_authority(draft: Draft, actor: bytes) -> tuple[bytes, Authority]:
    """An authority that is not revoked, with its identity.

    Raises :class:`Refused`: ``NOT_AUTHORITY``, ``AUTHORITY_REVOKED``.
    """
    identity = draft.identity(actor)
    authority = draft.authority(identity)
    if authority is None:
        raise Refused(Reason.NOT_AUTHORITY, "no motion has accredited this key")
    if authority.status == REVOKED:
        raise Refused(Reason.AUTHORITY_REVOKED, "a motion has revoked this authority")
    return identity, authority


def check_accredited(draft: Draft, authority: Authority, code: int, name: str) -> None:
    """It may record or attest that now.  Raises :class:`Refused`: ``AUTHORITY_SUSPENDED``, ``NOT_ACCREDITED``."""
    if authority.status == SUSPENDED:
        raise Refused(Reason.AUTHORITY_SUSPENDED, "too many of its records were overturned, or a motion suspended it")
    if code not in authority.categories:
        raise Refused(Reason.NOT_ACCREDITED, f"not accredited for {name}")
    if not is_in_term(authority, draft.date_slot):
        raise Refused(Reason.NOT_ACCREDITED, f"accredited from slot {authority.from_slot} to {authority.until_slot}")


def is_in_term(authority: Authority, date_slot: int) -> bool:
    """Whether an authority is accredited at a date."""
    return authority.from_slot <= date_slot < authority.until_slot


def count_decided(draft: Draft, record: Record, *, is_overturned: bool) -> None:
    """An adverse record that was contested was decided; one under appeal was before, and is not counted twice."""
    if not record.is_adverse:
        return
    authority = issuer_of(draft, record)
    decided, overturned = int(not record.upheld), int(is_overturned)
    window = _rolled(authority.window, draft.slot, draft.slots(draft.policy.window_days))
    authority = authority._replace(
        decided=authority.decided + decided,
        overturned=authority.overturned + overturned,
        window=window._replace(decided=window.decided + decided, overturned=window.overturned + overturned),
    )
    draft.put(authority_key(record.issuer), _judged(draft.policy, authority))


def count_withdrawn(draft: Draft, record: Record) -> None:
    """Withdrawals count apart, whatever else they are."""
    authority = issuer_of(draft, record)
    draft.put(authority_key(record.issuer), authority._replace(withdrawn=authority.withdrawn + 1))


def issuer_of(draft: Draft, record: Record) -> Authority:
    """The authority that filed a record.  Raises :class:`InvariantBroken` where there is none."""
    authority = draft.authority(record.issuer)
    if authority is None:
        raise InvariantBroken("a record without an issuer")
    return authority


def forgiven(authority: Authority, slot: int) -> Authority:
    """The authority as a motion restores it in ``slot``: what was stays visible, and does not count any more."""
    return authority._replace(
        status=ACTIVE,
        forgiven_decided=authority.decided,
        forgiven_overturned=authority.overturned,
        window=Window(slot, 0, 0, 0, 0),
    )


def rate(authority: Authority) -> tuple[int, int]:
    """``(overturned, decided)`` of what counts, as of its last decision: no more than all can be overturned."""
    window = authority.window
    decided = window.decided + window.decided_before
    return min(decided, window.overturned + window.overturned_before), decided


def _rolled(window: Window, slot: int, window_slots: int) -> Window:
    """The window at ``slot``: it counts for its own length, and for as long again behind the next."""
    if slot < window.start_slot + window_slots:
        return window
    if slot < window.start_slot + 2 * window_slots:
        return Window(window.start_slot + window_slots, 0, 0, window.decided, window.overturned)
    return Window(slot, 0, 0, 0, 0)


def _judged(policy: Policy, authority: Authority) -> Authority:
    """An issuer that errs too often is suspended: it may not file until a motion restores it.

    Example: with 400 of 1,000 and a minimum of 4, an issuer of whose contested records 5 were decided is suspended by
    the third that was overturned (3,000 > 2,000), and not by the second (2,000 = 2,000); one of 3 by none.
    """
    overturned, decided = rate(authority)
    errs_often = decided >= policy.overturned_minimum and overturned * 1000 > policy.overturned_permille * decided
    return authority._replace(status=SUSPENDED) if errs_often and authority.status == ACTIVE else authority
