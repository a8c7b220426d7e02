"""An enrolment was void: so a registrar says; both are heard, an arbiter drawn by lot decides; one appeal.

::

    annul ──hearing──► a lot is drawn ──granted──► the member's turn ──appeals──► as before, with three
                            │                         │                             │
                            │                         └ is silent: forgotten        ├ granted: forgotten
                            └ denied, silence: stays                                └ denied, silence: stays

Lots, rulings and their count are those of a dispute about a record (:mod:`chain.register.arbiters`).  Silence of the
arbiters is judged for the member, and what stood is not called void again.
Source: protocol 8.3.
"""

from __future__ import annotations

from chain.base.errors import InvariantBroken, Reason, Refused
from chain.content.actions import ANNUL, APPEAL, CONTEST, GRANT, STRIKE, UPHOLD, Annul
from chain.content.identities import (
    BEFORE_ARBITER,
    GRANTED,
    IN_HEARING,
    Annulment,
    Leaving,
    annulment_key,
    recovery_key,
)
from chain.register import arbiters, markers, recovery
from chain.register.draft import Draft
from chain.register.entries import Member
from chain.register.offices import check_arbiter, check_registrar_of, holds_office
from chain.register.statekeys import member_key
from chain.register.terms import identity_slots, kept_slots


def annul(draft: Draft, action: Annul, actor: bytes) -> None:
    """A registrar says that an enrolment is void, the member objects or appeals, an arbiter on whom the lot fell rules.

    Raises :class:`Refused`: ``NOT_ENROLLED``; of the registrar ``NOT_REGISTRAR``, ``HOLDS_OFFICE``, ``ANNULMENT_OPEN``,
    ``ENDED``; of the others ``NOTHING_TO_ANNUL``, ``DEADLINE_PASSED``; of the member ``OTHERS_RECORD``,
    ``UNDER_OBJECTION``, ``NOT_UPHELD``; of arbiters ``NOT_ARBITER``, ``OWN_RECORD``, ``IN_HEARING``,
    ``ALREADY_UPHELD``, ``NOT_DRAWN``, ``ALREADY_RULED``.
    """
    subject, member = draft.member(action.subject)
    if action.step == ANNUL:
        _ask(draft, action, actor, subject, member)
    elif action.step in (CONTEST, APPEAL):
        _oppose(draft, action, actor, subject, member)
    else:
        _rule(draft, action, actor, subject, member)


def waiting(draft: Draft, subject: bytes) -> Annulment:
    """The annulment that is open.  Raises :class:`Refused`: ``NOTHING_TO_ANNUL``, ``DEADLINE_PASSED``."""
    annulment: Annulment | None = draft.get(annulment_key(subject))
    if annulment is None:
        raise Refused(Reason.NOTHING_TO_ANNUL, "no registrar says that this enrolment is void")
    if annulment.due_slot <= draft.slot:
        slot = draft.date(annulment.due_slot)
        raise Refused(Reason.DEADLINE_PASSED, f"its deadline was slot {slot}; the next blocks act on it")
    return annulment


def decide(
    draft: Draft, subject: bytes, member: Member, annulment: Annulment, verdict: int, arbiter: bytes = b""
) -> None:
    """The enrolment stands, or is void: at once after an appeal, else once the member has let that pass."""
    if verdict == STRIKE:
        _stands(draft, subject, member)
    elif annulment.is_appealed:
        _is_void(draft, subject)
    else:
        due_slot = draft.slot + kept_slots(draft, member, "appeal_days")
        granted = annulment._replace(status=GRANTED, due_slot=due_slot, arbiter=arbiter, lot=b"", lot_height=0)
        draft.put(annulment_key(subject), granted)


def fall_due(draft: Draft, key: bytes) -> None:
    """The hearing is over and the lot falls; or who was drawn was silent; or nobody appealed.

    About who had left by then nothing is decided.  Raises :class:`InvariantBroken` for one that is not due.
    """
    annulment, subject = draft.get(key), key[1:]
    if not isinstance(annulment, Annulment) or annulment.due_slot > draft.slot:
        raise InvariantBroken("an annulment that is not due")
    member: Member | None = draft.get(member_key(subject))
    if member is None or 0 < member.leaves_slot <= annulment.due_slot:
        draft.put(key, None)
    elif annulment.status == IN_HEARING:
        due_slot = draft.slot + kept_slots(draft, member, "ruling_days")
        drawn = annulment._replace(status=BEFORE_ARBITER, lot=draft.parent.id, lot_height=draft.height)
        draft.put(key, drawn._replace(due_slot=due_slot))
    elif annulment.status == BEFORE_ARBITER:
        arbiters.count_silence(draft, arbiters.annulment_case(subject, annulment))
        _stands(draft, subject, member)
    else:
        _is_void(draft, subject)


def _ask(draft: Draft, action: Annul, actor: bytes, subject: bytes, member: Member) -> None:
    registrar = check_registrar_of(draft, actor, member)
    recovery.check_holds_nothing(draft, subject)
    if draft.get(annulment_key(subject)) is not None:
        raise Refused(Reason.ANNULMENT_OPEN, "an annulment of this enrolment is open")
    markers.check_enrolment(draft, subject, member)
    due_slot = draft.slot + identity_slots(draft, member.policy_version, "annulment_days")
    draft.put(annulment_key(subject), Annulment(registrar, action.reason, due_slot))


def _oppose(draft: Draft, action: Annul, actor: bytes, subject: bytes, member: Member) -> None:
    """The member says why it is not void, once; and once more against what an arbiter granted."""
    annulment = waiting(draft, subject)
    if draft.identity(actor) != subject:
        raise Refused(Reason.OTHERS_RECORD, "only the member itself objects")
    if action.step == CONTEST:
        if annulment.status != IN_HEARING or annulment.grounds:
            raise Refused(Reason.UNDER_OBJECTION, "the member was heard")
    elif annulment.status != GRANTED:
        raise Refused(Reason.NOT_UPHELD, "no arbiter has granted it")
    else:
        due_slot = draft.slot + kept_slots(draft, member, "hearing_days")
        annulment = annulment._replace(status=IN_HEARING, due_slot=due_slot)
    draft.put(annulment_key(subject), annulment._replace(grounds=action.reason))


def _rule(draft: Draft, action: Annul, actor: bytes, subject: bytes, member: Member) -> None:
    annulment = waiting(draft, subject)
    arbiter = check_arbiter(draft, actor)
    if arbiter in (annulment.registrar, subject):
        raise Refused(Reason.OWN_RECORD, "nobody decides about what it asked for itself")
    if annulment.status == IN_HEARING:
        slot = draft.date(annulment.due_slot)
        raise Refused(Reason.IN_HEARING, f"both sides are heard until slot {slot}")
    if annulment.status == GRANTED:
        raise Refused(Reason.ALREADY_UPHELD, "an arbiter has granted it; the member can appeal once")
    verdict = UPHOLD if action.step == GRANT else STRIKE
    case = arbiters.rule(draft, arbiters.annulment_case(subject, annulment), arbiter, verdict)
    if arbiters.is_decided(case, verdict):
        decide(draft, subject, member, annulment, verdict, arbiter)
    else:
        draft.put(annulment_key(subject), annulment._replace(votes=case.votes))


def _stands(draft: Draft, subject: bytes, member: Member) -> None:
    draft.put(annulment_key(subject), None)
    markers.mark_enrolment(draft, subject, member)


def _is_void(draft: Draft, subject: bytes) -> None:
    """It goes without notice, unless it holds an office by now; a recovery that is due as well calls that not off."""
    draft.put(annulment_key(subject), None)
    if not holds_office(draft, subject):
        draft.put(recovery_key(subject), None)
        recovery.set_leaving(draft, subject, Leaving(draft.slot, 1))
