"""What validators decide together: motions.

More than two thirds of the weight carries a motion at the block that holds the last approval needed.  What it
decides must still be possible then, else that approval is refused.
Source: protocol 6.6.
"""

from __future__ import annotations

from chain.base.codec import U32_MAX
from chain.base.errors import InvariantBroken, Reason, Refused
from chain.base.keys import check_public_key
from chain.consensus.electorate import Electorate
from chain.content.actions import Approve, Consent, Propose
from chain.content.amendments import amendment_fault, needed_notice_days
from chain.content.identities import Annulment
from chain.content.proposals import (
    Accredit,
    AddValidator,
    Amend,
    JailValidator,
    Judge,
    JudgeEnrolment,
    Proposal,
    ReleaseValidator,
    RemoveValidator,
    ReplaceValidator,
    Restore,
    Revoke,
    ReweighValidator,
    SeatProposal,
    Suspend,
    decode_proposal,
    encode_proposal,
)
from chain.register import annulments, arbiters, effects, objections
from chain.register import validators as seats
from chain.register.authorities import forgiven
from chain.register.draft import Draft
from chain.register.entries import (
    ACTIVE,
    AUTHORITY_STATUS_NAMES,
    CARRIED,
    LAPSED,
    OPEN,
    REVOKED,
    SUSPENDED,
    Account,
    Authority,
    Docket,
    Member,
    Motion,
    PolicyText,
    Record,
    Rules,
    Window,
)
from chain.register.offices import check_not_gone
from chain.register.statekeys import (
    DOCKET_KEY,
    RULES_KEY,
    VALIDATORS_KEY,
    account_key,
    authority_key,
    member_key,
    motion_key,
    policy_key,
    read_motion_key,
)
from chain.register.view import Lookup, read_policy_text

# Open motions of one validator; a motion can hold a whole policy.
MAX_OPEN_MOTIONS = 8
# Beyond its notice.  While a policy is announced no other can be: one announced for the year 3000 would be the last.
MAX_WAIT_DAYS = 366

_POSSIBLE_FROM = {Suspend: (ACTIVE,), Revoke: (ACTIVE, SUSPENDED), Restore: (SUSPENDED,)}


def propose(draft: Draft, action: Propose, actor: bytes) -> None:
    """A validator proposes, and so approves.

    Raises :class:`Refused`: ``NOT_VALIDATOR``, ``TOO_MANY_MOTIONS``, ``COUNTER_LIMIT``, and what
    :func:`check_proposal` says against the proposal.
    """
    check_validator(draft, actor)
    docket = draft.docket
    number = docket.next_motion
    if number > U32_MAX:
        raise Refused(Reason.COUNTER_LIMIT, "no more motions can be counted")
    if sum(draft.motion(number).proposer == actor for number in docket.open) >= MAX_OPEN_MOTIONS:
        raise Refused(Reason.TOO_MANY_MOTIONS, f"{MAX_OPEN_MOTIONS} motions of this validator are open")
    check_proposal(draft, action.proposal)
    motion = Motion(
        proposer=actor,
        proposal=encode_proposal(action.proposal),
        height=draft.height,
        expires_slot=draft.slot + draft.slots(draft.policy.motion_days),
        approvals=(actor,),
        status=OPEN,
        closed_height=0,
        is_awaited=int(_asks(draft, action.proposal) not in (None, actor)),
    )
    carried = _counted(draft, motion)
    draft.put(DOCKET_KEY, Docket(number + 1, docket.open if carried.status else (*docket.open, number)))
    draft.put(motion_key(number), carried)


def approve(draft: Draft, action: Approve, actor: bytes) -> None:
    """A validator approves an open motion; more than two thirds of the weight carry it, in this very block.

    Raises :class:`Refused`: ``NOT_VALIDATOR``, ``UNKNOWN_MOTION``, ``MOTION_CLOSED``, ``DEADLINE_PASSED``,
    ``ALREADY_APPROVED``.
    """
    check_validator(draft, actor)
    motion = _open_motion(draft, action.number)
    if actor in motion.approvals:
        raise Refused(Reason.ALREADY_APPROVED, "this validator has approved the motion")
    counted = _counted(draft, motion._replace(approvals=(*motion.approvals, actor)))
    if counted.status != OPEN:
        _strike_off(draft, action.number)
    draft.put(motion_key(action.number), counted)


def consent(draft: Draft, action: Consent, actor: bytes) -> None:
    """Whom an open motion would seat, or give an office, agrees; if it had approvals enough, that carries it.

    Raises :class:`Refused` as :func:`check_newcomer` does, and as carrying does.
    """
    motion = check_newcomer(draft, action, actor)
    counted = _counted(draft, motion._replace(is_awaited=0))
    if counted.status != OPEN:
        _strike_off(draft, action.number)
    draft.put(motion_key(action.number), counted)


def check_newcomer(draft: Draft, action: Consent, actor: bytes) -> Motion:
    """The open motion that waits for the consent of ``actor``.

    Raises :class:`Refused`: ``UNKNOWN_MOTION``, ``MOTION_CLOSED``, ``DEADLINE_PASSED``, ``NO_NEWCOMER``,
    ``ALREADY_CONSENTED``.
    """
    motion = _open_motion(draft, action.number)
    if named(draft, decode_proposal(motion.proposal)) != actor:
        raise Refused(Reason.NO_NEWCOMER, "this motion would neither seat this key nor give it an office")
    if not motion.is_awaited:
        raise Refused(Reason.ALREADY_CONSENTED, "nobody's consent is missing")
    return motion


def named(view: Lookup, proposal: Proposal) -> bytes | None:
    """The present key of whom a proposal would seat or accredit, if it would anybody."""
    match proposal:
        case AddValidator(key, _) | ReplaceValidator(_, key):
            return key
        case Accredit(key):
            return view.current_key(view.identity(key))
    return None


def begin(draft: Draft, electorate: Electorate) -> None:
    """What the start of a block, at whose height ``electorate`` is in force, brings into force.

    An announced policy waits for no other deadline: it binds from the first block at or after its slot.
    """
    rules = draft.rules
    if rules.next_version and rules.next_slot <= draft.slot:
        new = draft.policy_of(rules.next_version)
        draft.put(RULES_KEY, Rules(new.version, new.digest(), 0, 0))
        draft.put(policy_key(new.version), PolicyText(new.encode(), draft.date_slot, draft.height))
    before = draft.validators
    after = seats.begin(before, electorate, height=draft.height, batch=draft.genesis.batch)
    if after is not before:
        draft.put(VALIDATORS_KEY, after)


def fall_due(draft: Draft, key: bytes) -> None:
    """An open motion lapses.  Raises :class:`InvariantBroken` for one that is not due."""
    motion = draft.get(key)
    if not isinstance(motion, Motion) or motion.status != OPEN or motion.expires_slot > draft.slot:
        raise InvariantBroken("a motion that is not due")
    _strike_off(draft, read_motion_key(key))
    draft.put(key, motion._replace(status=LAPSED, closed_height=draft.height))


def check_validator(draft: Draft, actor: bytes) -> None:
    """Only a validator that is not jailed moves and approves.  Raises ``NOT_VALIDATOR``."""
    if not any(seat.key == actor and not seat.is_jailed for seat in draft.validators.active):
        raise Refused(Reason.NOT_VALIDATOR, "only a validator that is not jailed moves and approves")


def check_proposal(draft: Draft, proposal: Proposal) -> None:
    """Whether the state would let this be carried now.  Raises :class:`Refused`."""
    chosen = proposal.authority if isinstance(proposal, Accredit) else named(draft, proposal)
    if chosen is not None and draft.authority(draft.identity(chosen)) is None:
        check_not_gone(draft, chosen)
    match proposal:
        case Accredit():
            _check_accreditation(draft, proposal)
        case Suspend(key) | Revoke(key) | Restore(key):
            _, authority = _known_authority(draft, key)
            if authority.status not in _POSSIBLE_FROM[type(proposal)]:
                name = AUTHORITY_STATUS_NAMES[authority.status]
                raise Refused(Reason.USELESS_MOTION, f"the authority is {name}")
        case Judge():
            _check_judgement(draft, proposal)
        case JudgeEnrolment():
            _check_annulment(draft, proposal)
        case Amend():
            _check_amendment(draft, proposal)
        case _:
            account = None if chosen is None else draft.account(chosen)
            if account is not None and account.successor:
                raise Refused(Reason.ROTATED_KEY, "the owner of this key has moved to another")
            _seated(draft, proposal)


def carry(draft: Draft, proposal: Proposal) -> None:
    """Do what was decided.  Raises :class:`Refused`, having written nothing, where it is no longer possible."""
    check_proposal(draft, proposal)
    match proposal:
        case Accredit():
            _accredit(draft, proposal)
        case Suspend(key):
            identity, authority = _known_authority(draft, key)
            draft.put(authority_key(identity), authority._replace(status=SUSPENDED))
        case Revoke(key):
            identity, authority = _known_authority(draft, key)
            draft.put(authority_key(identity), authority._replace(status=REVOKED))
        case Restore(key):
            identity, authority = _known_authority(draft, key)
            draft.put(authority_key(identity), forgiven(authority, draft.slot))
        case Judge(key, number, verdict):
            subject, record = _check_judgement(draft, proposal)
            objections.decide(draft, subject, number, record, verdict)
        case JudgeEnrolment(key, verdict):
            annulments.decide(draft, *_check_annulment(draft, proposal), verdict)
        case Amend():
            rules = draft.rules
            next_slot = proposal.effective_slot - draft.date(0)
            draft.put(policy_key(rules.version + 1), PolicyText(proposal.document))
            draft.put(RULES_KEY, rules._replace(next_version=rules.version + 1, next_slot=next_slot))
        case _:
            draft.put(VALIDATORS_KEY, _seated(draft, proposal))


def _counted(draft: Draft, motion: Motion) -> Motion:
    """The motion after another approval or consent; carried, and what it proposes done, if nothing is missing."""
    weights = dict(seats.weights_of(draft.validators.active))
    is_approved = 3 * sum(weights.get(key, 0) for key in motion.approvals) > 2 * sum(weights.values())
    if is_approved and not motion.is_awaited:
        carry(draft, decode_proposal(motion.proposal))
        motion = motion._replace(status=CARRIED, closed_height=draft.height)
    return motion


def _open_motion(draft: Draft, number: int) -> Motion:
    motion = draft.motion(number)
    if motion.status != OPEN:
        raise Refused(Reason.MOTION_CLOSED, f"the motion ended at height {motion.closed_height}")
    if motion.expires_slot <= draft.slot:
        raise Refused(Reason.DEADLINE_PASSED, f"the motion lapsed in slot {motion.expires_slot}")
    return motion


def _strike_off(draft: Draft, number: int) -> None:
    docket = draft.docket
    draft.put(DOCKET_KEY, Docket(docket.next_motion, tuple(other for other in docket.open if other != number)))


def _known_authority(draft: Draft, key: bytes) -> tuple[bytes, Authority]:
    identity = draft.identity(key)
    authority = draft.authority(identity)
    if authority is None:
        raise Refused(Reason.NOT_AUTHORITY, "no motion has accredited this key")
    return identity, authority


def _check_accreditation(draft: Draft, proposal: Accredit) -> None:
    check_public_key(proposal.authority)
    arbiters.check_room(draft, draft.identity(proposal.authority), proposal.rights)
    if proposal.until_slot <= max(proposal.from_slot, draft.date_slot):
        raise Refused(Reason.USELESS_MOTION, "this accreditation would end before it begins")
    policy = draft.policy
    unknown = [code for code in proposal.categories if code not in policy.categories and code not in policy.attributes]
    if unknown:
        raise Refused(Reason.UNKNOWN_CATEGORY, f"category {unknown[0]} is not in the policy")
    if not proposal.categories and not proposal.rights:
        raise Refused(Reason.USELESS_MOTION, "neither a category nor a right")


def _accredit(draft: Draft, proposal: Accredit) -> None:
    """A new authority, or other terms for one; its counts stay, and so does a suspension."""
    identity = draft.identity(proposal.authority)
    old = draft.authority(identity)
    if old is None:
        member: Member | None = draft.get(member_key(identity))
        key = proposal.authority if member is None else member.key  # it may have moved since
        old = Authority(key, 0, (), 0, 0, ACTIVE, window=Window(draft.slot, 0, 0, 0, 0))
    authority = old._replace(
        rights=proposal.rights,
        categories=proposal.categories,
        from_slot=proposal.from_slot,
        until_slot=proposal.until_slot,
        status=ACTIVE if old.status == REVOKED else old.status,
    )
    draft.put(authority_key(identity), authority)
    arbiters.enroll(draft, identity, proposal.rights)
    _open_account(draft, proposal.authority)


def _asks(draft: Draft, proposal: Proposal) -> bytes | None:
    """The key without whose word this must not happen to it, if there is one.

    Who makes blocks answers for its node, and an authority can neither leave nor be recovered.  Whoever holds or held
    an office agreed to that once, and is not asked about its terms.
    """
    if isinstance(proposal, Accredit) and draft.authority(draft.identity(proposal.authority)) is not None:
        return None
    return named(draft, proposal)


def _open_account(draft: Draft, key: bytes) -> None:
    """So that its first transaction is not a stranger's."""
    if draft.account(key) is None:
        draft.put(account_key(key), Account(0, b"", b""))


def _check_judgement(draft: Draft, proposal: Judge) -> tuple[bytes, Record]:
    """The appeal that waits for a motion, and whom it is about."""
    subject, _ = draft.member(proposal.subject)
    record = effects.find_record(draft, subject, proposal.number)
    if not arbiters.needs_motion(draft, arbiters.record_case(subject, proposal.number, record), draft.date_slot):
        raise Refused(Reason.USELESS_MOTION, "no appeal against this record waits for a motion")
    return subject, record


def _check_annulment(draft: Draft, proposal: JudgeEnrolment) -> tuple[bytes, Member, Annulment]:
    """The same, of an enrolment."""
    subject, member = draft.member(proposal.subject)
    annulment = annulments.waiting(draft, subject)
    if not arbiters.needs_motion(draft, arbiters.annulment_case(subject, annulment), draft.date_slot):
        raise Refused(Reason.USELESS_MOTION, "no appeal against this annulment waits for a motion")
    return subject, member, annulment


def _check_amendment(draft: Draft, proposal: Amend) -> None:
    rules = draft.rules
    if proposal.base_version != rules.version:
        raise Refused(Reason.STALE_POLICY, f"policy {rules.version} is in force, not {proposal.base_version}")
    if rules.next_version:
        raise Refused(Reason.STALE_POLICY, f"policy {rules.next_version} is announced; amend it once it is in force")
    new = read_policy_text(proposal.document)
    if fault := amendment_fault(draft.policy, new):
        raise Refused(Reason.WORSENS_THE_PAST, fault)
    earliest = draft.date_slot + draft.slots(needed_notice_days(draft.policy, new))
    if proposal.effective_slot < earliest:
        raise Refused(Reason.NOTICE_TOO_SHORT, f"carried now, it is in force from slot {earliest} at the earliest")
    latest = earliest + draft.slots(MAX_WAIT_DAYS)
    if proposal.effective_slot > latest:
        raise Refused(Reason.USELESS_MOTION, f"carried now, it must be in force from slot {latest} at the latest")


def _seated(draft: Draft, proposal: SeatProposal) -> seats.Validators:
    """The validators after a change to them was requested.  Raises :class:`Refused`."""
    match proposal:
        case AddValidator(key, weight):
            change = seats.Change(seats.ADD, key, weight=weight)
        case RemoveValidator(key):
            change = seats.Change(seats.REMOVE, key)
        case JailValidator(key):
            change = seats.Change(seats.JAIL, key)
        case ReleaseValidator(key):
            change = seats.Change(seats.RELEASE, key)
        case ReplaceValidator(key, other):
            change = seats.Change(seats.REPLACE, key, other)
        case ReweighValidator(key, weight):
            change = seats.Change(seats.REWEIGH, key, weight=weight)
    return seats.request(draft.validators, change, batch=draft.genesis.batch, height=draft.height)
