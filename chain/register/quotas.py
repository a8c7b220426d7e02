"""How much anybody may write a day: who shouts leaves others no room.

What answers somebody, or stops what is done to oneself, is bounded by what it answers and never by a quota, so that
nobody loses a right by having spoken too much, or by having been asked too much; nor is what happens once.
Source: protocol 8.5.
"""

from __future__ import annotations

from chain.base.errors import Reason, Refused
from chain.content.actions import Action, Enrol
from chain.content.blocks import MAX_BLOCK_TRANSACTIONS
from chain.content.kinds import is_counted
from chain.content.language import NO_LIMIT
from chain.content.policy import Policy
from chain.register.authorities import is_in_term
from chain.register.draft import Draft
from chain.register.entries import REVOKED, Account, Authority, Member, Tally
from chain.register.statekeys import authority_key, member_key, tally_key


def limit(draft: Draft, actor: bytes) -> int:
    """How many transactions a key may write a day.

    Who makes blocks, and is neither a member nor an authority, writes as much as an office; who was revoked or is out
    of its term, and any other who is none of them, as a member.
    """
    quotas, identity = draft.policy.quotas, draft.identity(actor)
    authority: Authority | None = draft.get(authority_key(identity))
    if authority is not None and authority.status != REVOKED and is_in_term(authority, draft.date_slot):
        return quotas.office
    member: Member | None = draft.get(member_key(identity))
    if member is None:
        return quotas.member if draft.validators.seat(actor) is None else quotas.office
    is_fresh = draft.date_slot - member.enrolled_slot < draft.slots(quotas.fresh_days)
    return min(quotas.fresh, quotas.member) if is_fresh else quotas.member


def spent(draft: Draft, actor: bytes, account: Account | None, action: Action, ahead: int = 0) -> tuple[int, int]:
    """``(day, used)`` of the account of ``actor`` after one more transaction, before which ``ahead`` others wait.

    Most are far from any quota, whoever they are: who that is is looked up for the others alone.  Raises
    :class:`Refused` ``OVER_QUOTA``.
    """
    day, used = (0, 0) if account is None else (account.day, account.used)
    rules = draft.policy.quotas
    if rules.are_unlimited or not is_counted(action):
        return day, used
    least = rules.least
    today = draft.day
    if day != today:
        used = 0
    if used + ahead >= least and used + ahead >= (most := limit(draft, actor)):
        raise Refused(Reason.OVER_QUOTA, f"{most} transactions a day; the next day begins in slot {tomorrow(draft)}")
    return today, used + 1


def sign_for(draft: Draft, registrar: bytes) -> None:
    """A registrar signed an enrolment.  Raises :class:`Refused` ``OVER_QUOTA``, having written nothing."""
    most = draft.policy.quotas.registrar
    if most == NO_LIMIT:
        return
    key = tally_key(registrar)
    if times_today(draft, key) >= most:
        raise Refused(Reason.OVER_QUOTA, f"{most} enrolments a day; the next day begins in slot {tomorrow(draft)}")
    once_more(draft, key)


def times_today(draft: Draft, key: bytes) -> int:
    """How often that happened today which the tally under a key of the state counts."""
    tally: Tally | None = draft.get(key)
    return tally.times if tally is not None and tally.day == draft.day else 0


def once_more(draft: Draft, key: bytes) -> None:
    """It happened once more."""
    draft.put(key, Tally(draft.day, times_today(draft, key) + 1))


def stranger_room(policy: Policy, room: int = MAX_BLOCK_TRANSACTIONS) -> int:
    """How many enrolments that no registrar signed fit into a block with this much room; at least one."""
    return max(1, room * policy.quotas.strangers_permille // 1_000)


def is_stranger(action: Action) -> bool:
    """Whether this enrols somebody for whom no registrar stands."""
    return isinstance(action, Enrol) and not action.registrar


def check_room(draft: Draft) -> None:
    """Raise :class:`Refused` ``TOO_MANY_ENROLMENTS`` where this block has its share of strangers."""
    room = stranger_room(draft.policy)
    if draft.strangers >= room:
        raise Refused(Reason.TOO_MANY_ENROLMENTS, f"{room} strangers enrol in one block; a registrar's word helps")


def tomorrow(draft: Draft) -> int:
    """The slot in which the next day begins."""
    return draft.date((draft.day + 1) * draft.slots(1))
