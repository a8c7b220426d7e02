"""Arbiters: who may rule, drawn by lot, and how they ruled.

The seed of the lot is the id of the block before the one in which the hearing ends: when that is was settled with the
answer, and what it will be nobody knew then.  All who had the right before are ranked by hash; who is not in office
is passed over, so that nobody waits for somebody who is revoked meanwhile.
Source: protocol 6.14.
"""

from __future__ import annotations

from hashlib import sha256

from chain.actions import STRIKE
from chain.authorities import is_in_term
from chain.draft import Draft
from chain.entries import ACTIVE, DRAWN, Authority, Record, Roll, Rulings
from chain.errors import Reason, Refused
from chain.proposals import ARBITER
from chain.statekeys import ROLL_KEY, rulings_key
from chain.view import Lookup

# Who is drawn for an appeal, and how many of them decide.
PANEL = 3
MAJORITY = 2
# Each ruling ranks all of them.
MAX_ARBITERS = 64


def is_arbiter(authority: Authority | None, date_slot: int) -> bool:
    """Whether an authority may rule at a date."""
    return (
        authority is not None
        and bool(authority.rights & ARBITER)
        and authority.status == ACTIVE
        and is_in_term(authority, date_slot)
    )


def drawn(lookup: Lookup, subject: bytes, number: int, record: Record, date_slot: int) -> tuple[bytes, ...]:
    """The identities of those who may rule on a record at a date, in the order of the lot; fewer where there are few.

    Never the issuer or the member, nor in a dispute who stood by it before: whose word reopened the conduct, or who
    upheld it.  Nobody before the lot is drawn.
    """
    if not record.lot:
        return ()
    seed = b"goodfaith/lot/1" + record.lot + subject + number.to_bytes(4, "big")
    barred = (record.issuer, subject, record.arbiter if record.is_disputed else b"")
    ranked = sorted(
        (sha256(seed + who).digest(), who)
        for who, since_height in lookup.roll.arbiters
        if since_height < record.lot_height and who not in barred
    )
    in_office = (who for _, who in ranked if is_arbiter(lookup.authority(who), date_slot))
    count = seats(record)
    return tuple(who for who, _ in zip(in_office, range(count), strict=False))


def seats(record: Record) -> int:
    """How many are drawn for a record: three on an appeal, else one."""
    return PANEL if record.status == DRAWN and record.upheld else 1


def needs_motion(lookup: Lookup, subject: bytes, number: int, record: Record, date_slot: int) -> bool:
    """Whether an appeal waits for a motion of the validators, because there are too few to draw three."""
    return (
        record.status == DRAWN
        and bool(record.upheld)
        and len(drawn(lookup, subject, number, record, date_slot)) < PANEL
    )


def check_drawn(draft: Draft, arbiter: bytes, subject: bytes, number: int, record: Record) -> None:
    """The lot fell on this arbiter.  Raises :class:`Refused`: ``NOT_DRAWN``, ``ALREADY_RULED``."""
    if needs_motion(draft, subject, number, record, draft.date_slot):
        raise Refused(Reason.NOT_DRAWN, "there are too few other arbiters; a motion of the validators decides")
    if arbiter not in drawn(draft, subject, number, record, draft.date_slot):
        raise Refused(Reason.NOT_DRAWN, "the lot fell on another arbiter")
    if any(who == arbiter for who, _ in record.votes):
        raise Refused(Reason.ALREADY_RULED, "this arbiter has ruled on this appeal")


def count_ruling(draft: Draft, arbiter: bytes, issuer: bytes, verdict: int) -> None:
    """An arbiter ruled."""
    rulings = _rulings(draft, arbiter, issuer)
    if verdict == STRIKE:
        rulings = rulings._replace(struck=rulings.struck + 1)
    else:
        rulings = rulings._replace(upheld=rulings.upheld + 1)
    draft.put(rulings_key(arbiter, issuer), rulings)


def count_silence(draft: Draft, subject: bytes, number: int, record: Record) -> None:
    """Those who were drawn did not rule in time; where a motion was to decide, nobody of them was silent."""
    if needs_motion(draft, subject, number, record, draft.date_slot):
        return
    for arbiter in drawn(draft, subject, number, record, draft.date_slot):
        if not any(who == arbiter for who, _ in record.votes):
            rulings = _rulings(draft, arbiter, record.issuer)
            draft.put(rulings_key(arbiter, record.issuer), rulings._replace(silent=rulings.silent + 1))


def check_room(draft: Draft, identity: bytes, rights: int) -> None:
    """One more arbiter can be ranked.  Raises :class:`Refused` ``TOO_MANY_ARBITERS``."""
    arbiters = draft.roll.arbiters
    if rights & ARBITER and len(arbiters) >= MAX_ARBITERS and not any(who == identity for who, _ in arbiters):
        raise Refused(Reason.TOO_MANY_ARBITERS, f"{MAX_ARBITERS} have the arbiter's right; take it from one first")


def enroll(draft: Draft, identity: bytes, rights: int) -> None:
    """Whoever gets the right is drawn for what is drawn later; whoever loses it is on the roll no more."""
    arbiters = dict(draft.roll.arbiters)
    if rights & ARBITER:
        arbiters.setdefault(identity, draft.height)
    else:
        arbiters.pop(identity, None)
    draft.put(ROLL_KEY, Roll(tuple(sorted(arbiters.items()))))


def _rulings(draft: Draft, arbiter: bytes, issuer: bytes) -> Rulings:
    found: Rulings | None = draft.get(rulings_key(arbiter, issuer))
    return found or Rulings(0, 0, 0)
