"""Arbiters: who may rule, drawn by lot, and how they ruled.

The seed of the lot is the id of the block before the one in which the hearing ends: when that is was settled with the
answer, and what it will be nobody knew then.  All who had the right before are ranked by hash; who is not in office
is passed over, so that nobody waits for somebody who is revoked meanwhile.
Source: protocol 6.14.
"""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

from chain.base.errors import Reason, Refused
from chain.content.actions import STRIKE
from chain.content.identities import BEFORE_ARBITER, Annulment
from chain.content.proposals import ARBITER
from chain.register.authorities import is_in_term
from chain.register.draft import Draft
from chain.register.entries import ACTIVE, DRAWN, REVOKED, Authority, Record, Roll, Rulings
from chain.register.statekeys import ROLL_KEY, rulings_key
from chain.register.view import Lookup

# Who is drawn for an appeal, and how many of them decide.
PANEL = 3
MAJORITY = 2
# Each ruling ranks all of them.
MAX_ARBITERS = 64


class Case(NamedTuple):
    """What arbiters decide about: whose word, the ``issuer``'s, against whose, the ``subject``'s.

    ``name`` tells it from others about the same subject.  ``stood_by`` are those who stood by the issuer before: whose
    word reopened it, who upheld it.  ``lot`` is empty where nobody is drawn yet.
    """

    subject: bytes
    name: bytes
    issuer: bytes
    stood_by: tuple[bytes, ...]
    is_appeal: bool
    lot: bytes
    lot_height: int
    votes: tuple[tuple[bytes, int], ...]

    @property
    def seats(self) -> int:
        """How many are drawn: three on an appeal, else one."""
        return PANEL if self.is_appeal else 1


def record_case(subject: bytes, number: int, record: Record) -> Case:
    """The dispute about a record, or about its repair, in which nobody stood by anything."""
    stood_by = (record.reopener, record.arbiter) if record.is_disputed else ()
    is_appeal = record.status == DRAWN and bool(record.upheld)
    name = number.to_bytes(4, "big")
    return Case(subject, name, record.issuer, stood_by, is_appeal, record.lot, record.lot_height, record.votes)


def annulment_case(subject: bytes, annulment: Annulment) -> Case:
    """The dispute about an enrolment."""
    stood_by, lot = (annulment.arbiter,), (annulment.lot, annulment.lot_height)
    is_appeal = annulment.status == BEFORE_ARBITER and annulment.is_appealed
    return Case(subject, b"", annulment.registrar, stood_by, is_appeal, *lot, annulment.votes)


def is_arbiter(authority: Authority | None, date_slot: int) -> bool:
    """Whether an authority may rule at a date."""
    return (
        authority is not None
        and bool(authority.rights & ARBITER)
        and authority.status == ACTIVE
        and is_in_term(authority, date_slot)
    )


def drawn(lookup: Lookup, case: Case, date_slot: int) -> tuple[bytes, ...]:
    """The identities of those who may rule at a date, in the order of the lot; fewer where there are few.

    Never the issuer or the member, nor who stood by it before.  Nobody before the lot is drawn.
    """
    if not case.lot:
        return ()
    seed = b"goodfaith/lot/1" + case.lot + case.subject + case.name
    barred = (case.issuer, case.subject, *case.stood_by)
    ranked = sorted(
        (sha256(seed + who).digest(), who)
        for who, since_height in lookup.roll.arbiters
        if since_height < case.lot_height and who not in barred
    )
    in_office = (who for _, who in ranked if is_arbiter(lookup.authority(who), date_slot))
    return tuple(who for who, _ in zip(in_office, range(case.seats), strict=False))


def needs_motion(lookup: Lookup, case: Case, date_slot: int) -> bool:
    """Whether an appeal waits for a motion of the validators, because there are too few to draw three."""
    return case.is_appeal and len(drawn(lookup, case, date_slot)) < PANEL


def rule(draft: Draft, case: Case, arbiter: bytes, verdict: int) -> Case:
    """The case once an arbiter on whom the lot fell has ruled; :func:`is_decided` says whether that is all.

    Raises :class:`Refused`: ``NOT_DRAWN``, ``ALREADY_RULED``.
    """
    check_drawn(draft, arbiter, case)
    _count(draft, arbiter, case.issuer, "struck" if verdict == STRIKE else "upheld")
    return case._replace(votes=(*case.votes, (arbiter, verdict)))


def is_decided(case: Case, verdict: int) -> bool:
    """Whether that verdict is that of the case: two of one mind decide an appeal."""
    return not case.is_appeal or sum(each == verdict for _, each in case.votes) >= MAJORITY


def check_drawn(draft: Draft, arbiter: bytes, case: Case) -> None:
    """The lot fell on this arbiter.  Raises :class:`Refused`: ``NOT_DRAWN``, ``ALREADY_RULED``."""
    if needs_motion(draft, case, draft.date_slot):
        raise Refused(Reason.NOT_DRAWN, "there are too few other arbiters; a motion of the validators decides")
    if arbiter not in drawn(draft, case, draft.date_slot):
        raise Refused(Reason.NOT_DRAWN, "the lot fell on another arbiter")
    if any(who == arbiter for who, _ in case.votes):
        raise Refused(Reason.ALREADY_RULED, "this arbiter has ruled on this appeal")


def count_silence(draft: Draft, case: Case) -> None:
    """Those who were drawn did not rule in time; where a motion was to decide, nobody of them was silent."""
    if needs_motion(draft, case, draft.date_slot):
        return
    for arbiter in drawn(draft, case, draft.date_slot):
        if not any(who == arbiter for who, _ in case.votes):
            _count(draft, arbiter, case.issuer, "silent")


def check_room(draft: Draft, identity: bytes, rights: int) -> None:
    """One more arbiter can be ranked.  Raises :class:`Refused` ``TOO_MANY_ARBITERS``."""
    arbiters = _ranked(draft)
    if rights & ARBITER and len(arbiters) >= MAX_ARBITERS and identity not in arbiters:
        raise Refused(Reason.TOO_MANY_ARBITERS, f"{MAX_ARBITERS} have the arbiter's right; revoke one first")


def enroll(draft: Draft, identity: bytes, rights: int) -> None:
    """Whoever gets the right is drawn for what is drawn later; whoever loses it is on the roll no more."""
    arbiters = _ranked(draft)
    if rights & ARBITER:
        arbiters.setdefault(identity, draft.height)
    else:
        arbiters.pop(identity, None)
    draft.put(ROLL_KEY, Roll(tuple(sorted(arbiters.items()))))


def _ranked(draft: Draft) -> dict[bytes, int]:
    """Who is on the roll; where it is full whoever was revoked, or whose term is over, makes room for others."""
    arbiters = dict(draft.roll.arbiters)
    return arbiters if len(arbiters) < MAX_ARBITERS else {who: arbiters[who] for who in arbiters if _stays(draft, who)}


def _stays(draft: Draft, identity: bytes) -> bool:
    authority = draft.authority(identity)
    return authority is not None and authority.status != REVOKED and draft.date_slot < authority.until_slot


def _count(draft: Draft, arbiter: bytes, issuer: bytes, what: str) -> None:
    key = rulings_key(arbiter, issuer)
    rulings: Rulings = draft.get(key) or Rulings(0, 0, 0)
    draft.put(key, rulings._replace(**{what: getattr(rulings, what) + 1}))
