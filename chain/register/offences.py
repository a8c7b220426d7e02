"""What a validator answers for: two statements that contradict each other, and a signing state that it lost.

Source: protocol 3.6 and 6.7.
"""

from __future__ import annotations

from chain.base.errors import Reason, Refused
from chain.consensus.statements import NO_TAG, is_equivocation
from chain.content.actions import Evidence, Lost
from chain.content.kinds import decode_statement
from chain.content.policy import Policy
from chain.register import validators as seats
from chain.register.draft import Draft
from chain.register.quotas import once_more, times_today, tomorrow
from chain.register.statekeys import VALIDATORS_KEY, losses_key

# A day of one-second slots and a margin for a stall: later, the validator may long be another's.
EVIDENCE_MAX_AGE_BLOCKS = 200_000
# Every proof from the genesis shows each loss for good, in some 1.5 kB.  An operator loses one, and perhaps another.
LOSSES_A_DAY = 8


def present_evidence(draft: Draft, action: Evidence, _actor: bytes) -> None:
    """Two statements jail the validator that signed both, once for all it did until now.

    Raises :class:`Refused` as :func:`punished` does.
    """
    draft.put(VALIDATORS_KEY, punished(draft, action))


def punished(draft: Draft, action: Evidence) -> seats.Validators:
    """The validators once this evidence counts.

    Raises :class:`Refused`: ``TOO_EARLY`` for a statement at a height yet to come, what :func:`check_open` says, and
    what :func:`chain.register.validators.request` says.
    """
    signer = check_open(draft, action)
    if last_height(action) > draft.height:
        raise Refused(Reason.TOO_EARLY, "the chain is not that high yet; until then the offence is not over")
    jail = seats.Change(seats.JAIL, signer)
    return seats.request(draft.validators, jail, batch=draft.genesis.batch, height=draft.height)


def check_open(draft: Draft, action: Evidence) -> bytes:
    """The validator whose offence this is, if it was not punished yet.

    Raises :class:`Refused`: ``NOT_VALIDATOR``, ``ALREADY_PUNISHED``, ``EVIDENCE_TOO_OLD``.
    """
    seat = draft.validators.seat(decode_statement(action.first).speaker)
    if seat is None:
        raise Refused(Reason.NOT_VALIDATOR, "its signer is not a validator")
    over_at = last_height(action)
    if seat.is_jailed or over_at <= seat.clean_height:
        raise Refused(Reason.ALREADY_PUNISHED, "its signer was jailed for this")
    if over_at < draft.height - EVIDENCE_MAX_AGE_BLOCKS:
        raise Refused(Reason.EVIDENCE_TOO_OLD, f"older than {EVIDENCE_MAX_AGE_BLOCKS} blocks")
    return seat.key


def check_evidence(_policy: Policy, action: Evidence, _actor: bytes) -> None:
    """What follows from the two statements alone.  Raises :class:`Refused`: ``MALFORMED``, ``NO_EQUIVOCATION``."""
    first, second = decode_statement(action.first), decode_statement(action.second)
    if first.id >= second.id:
        raise Refused(Reason.MALFORMED, "evidence names the statement with the smaller id first")
    if not is_equivocation(first, second):
        raise Refused(Reason.NO_EQUIVOCATION, "one validator may sign both")


def last_height(action: Evidence) -> int:
    """The height at which the offence is over: that of the later statement."""
    return max(decode_statement(action.first).height, decode_statement(action.second).height)


def renew_tag(draft: Draft, action: Lost, actor: bytes) -> None:
    """A validator speaks from a new signing state.  Raises :class:`Refused` as :func:`check_loss` does."""
    check_loss(draft, action, actor)
    draft.put(VALIDATORS_KEY, seats.renew(draft.validators, actor, action.tag))
    once_more(draft, losses_key(actor))


def check_loss(draft: Draft, action: Lost, actor: bytes) -> None:
    """Whether ``actor`` sits, speaks with the tag that is lost, not with the new one, and lost few today.

    Raises ``NOT_VALIDATOR``, ``TAG_IN_USE``, ``OVER_QUOTA``.
    """
    if draft.validators.seat(actor) is None:
        raise Refused(Reason.NOT_VALIDATOR, "only a validator has a signing state to lose")
    if draft.validators.tag(actor) != action.old:
        raise Refused(Reason.TAG_IN_USE, "this validator speaks with another tag than the one that was lost")
    if action.tag in (NO_TAG, action.old):
        raise Refused(Reason.TAG_IN_USE, "a tag is fresh and random; this one was used")
    if times_today(draft, losses_key(actor)) >= LOSSES_A_DAY:
        raise Refused(
            Reason.OVER_QUOTA,
            f"{LOSSES_A_DAY} signing states of one key are lost a day; the next day begins in slot {tomorrow(draft)}",
        )
