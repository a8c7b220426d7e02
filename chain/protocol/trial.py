"""Transactions beside the head: whether they may wait for a block, and what the next one would make of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from chain.base.errors import Disposition, Reason, Refused
from chain.branches.blockchain import Blockchain
from chain.content.actions import Rate
from chain.content.transactions import Transaction, VerifiedTransaction
from chain.protocol.mempool import Mempool, too_many_strangers
from chain.register import registry
from chain.register.draft import Draft

# So many waiting transactions of one actor are tried before the one that is asked about; with more ahead of it,
# the answer is that its nonce is not next.
MAX_AHEAD = 256
# Of what is submitted only these are tried: a load of thousands of one actor would try them again for each.
MAX_AHEAD_SUBMITTED = 8

Take: TypeAlias = Callable[[VerifiedTransaction], Refused | None]
_R = Reason
# What no block to come changes for the better, whatever stands in it.
FOR_GOOD = frozenset(
    (
        _R.ALREADY_APPROVED,
        _R.ALREADY_ENROLLED,
        _R.ALREADY_PUNISHED,
        _R.BAD_KEY,
        _R.EVIDENCE_TOO_OLD,
        _R.KEY_IN_USE,
        _R.MOTION_CLOSED,
        _R.NOT_BETTER,
        _R.NOT_ISSUER,
        _R.NOT_REPAIRABLE,
        _R.NO_CONSENT,
        _R.OTHERS_RECORD,
        _R.OWN_RECORD,
        _R.NO_RECEIPT,
        _R.SELF_RATING,
        _R.SELF_RECORD,
        _R.STALE_POLICY,
        _R.TOO_OLD,
        _R.WORSENS_THE_PAST,
    )
)
# What says nothing of a transaction but how many were tried before it.
_CROWDED = _R.TOO_MANY_ENROLMENTS


def take_in(chain: Blockchain, mempool: Mempool, transactions: Iterable[VerifiedTransaction]) -> list[Refused | None]:
    """Let ``transactions`` wait in ``mempool``; one outcome each, None where it was taken."""
    take = _taking(chain, mempool)
    return [take(transaction) for transaction in transactions]


class Desk:
    """Where clients hand in what waits for a block: what a trial refuses for good is refused here as well.

    What was taken stays tried until the head moves, or time: what comes after it is tried on top of it.  Where one was
    carried out and not taken, what comes with it is not tried: a trial from the beginning for each would be too much.
    """

    def __init__(self, chain: Blockchain, mempool: Mempool) -> None:
        self._chain = chain
        self._mempool = mempool
        self._tried: tuple[bytes, int, Draft] | None = None

    def submit(self, transactions: Iterable[VerifiedTransaction], slot: int) -> list[Refused | None]:
        """Like :func:`take_in`, for whoever waits for an answer; what waits then is this node's to offer again."""
        self._renew(slot)
        take = _taking(self._chain, self._mempool)
        return [self._submit(take, transaction) for transaction in transactions]

    def _submit(self, take: Take, transaction: VerifiedTransaction) -> Refused | None:
        draft, is_carried_out = None if self._tried is None else self._tried[2], False
        if draft is not None and _is_worth_a_trial(draft, transaction):
            ahead = _untried(draft, self._mempool, transaction, MAX_AHEAD_SUBMITTED + 1)
            if len(ahead) <= MAX_AHEAD_SUBMITTED:
                refusal = _tried(draft, ahead, transaction)
                if refusal is not None and refusal.reason in FOR_GOOD:
                    return refusal
                is_carried_out = refusal is None
        outcome = take(transaction)
        # At once, since what comes with it may need room; and also what waited, as its sender is told that it does.
        self._mempool.claim((transaction,))
        if is_carried_out and transaction.id not in self._mempool:
            self._tried = None
        return outcome

    def _renew(self, slot: int) -> None:
        head = self._chain.head.header.id
        if self._tried is None or self._tried[:2] != (head, slot):
            self._tried = head, slot, _next_block(self._chain, slot)


def try_out(
    chain: Blockchain, mempool: Mempool, transactions: Iterable[VerifiedTransaction], slot: int
) -> list[Refused | None]:
    """Try ``transactions`` one after another on top of the head, in a block of ``slot`` or the first that is possible.

    What waits of the same actor with a lower nonce is tried before each.  Nothing is kept; one outcome each, None
    where the block would take it.
    """
    draft = _next_block(chain, slot)
    return [_tried(draft, _untried(draft, mempool, item, MAX_AHEAD), item) for item in transactions]


def set_void_aside(chain: Blockchain, mempool: Mempool, transactions: Sequence[VerifiedTransaction]) -> None:
    """Of what waits, set aside what a block on top of the head would refuse, and not for want of time or room.

    What the head itself refused is tried anew: some of it may build on what the head holds.
    """
    outcomes = try_out(chain, mempool, transactions, 0) if transactions else ()
    for transaction, refusal in zip(transactions, outcomes, strict=True):
        if _is_void(refusal):
            mempool.set_aside(transaction, chain.head.header.height)


def sift(chain: Blockchain, mempool: Mempool) -> None:
    """Find some of those whose next transaction no block on top of the head would take; in a full pool theirs go."""
    head = chain.head.header
    draft = chain.ledger.blank_draft(head.slot + 1)
    outcomes = [(suspect.actor, _tried(draft, (), suspect)) for suspect in mempool.suspects()]
    refused = [actor for actor, outcome in outcomes if outcome is not None and outcome.reason is not _CROWDED]
    mempool.hold_up(refused, head.height + 1)
    if mempool.is_full:
        mempool.clear_held_up()


def screen(chain: Blockchain, *, takes_strangers: bool = True) -> Callable[[Transaction], Refused | None]:
    """What is refused before its signature is looked at: what its actor may not write any more today.

    Where it does not ``takes_strangers``, that is all that keys write which did not enrol yet.
    """
    draft = chain.ledger.blank_draft(chain.head.header.slot)

    def look(transaction: Transaction) -> Refused | None:
        if not takes_strangers and draft.account(transaction.actor) is None:
            return too_many_strangers()
        try:
            registry.check_quota(draft, transaction)
        except Refused as refusal:
            return refusal
        return None

    return look


def _taking(chain: Blockchain, mempool: Mempool) -> Take:
    """What lets one transaction after another wait, as the head sees it."""
    height = chain.head.header.height + 1
    draft = chain.ledger.blank_draft(chain.head.header.slot)

    def take(transaction: VerifiedTransaction) -> Refused | None:
        try:
            registry.check_action(draft.policy, transaction)
            registry.check_standing(draft, transaction)
            is_put_off = _is_first(draft, transaction) and _is_put_off(chain, transaction)
            try:
                mempool.add(transaction, height, is_put_off=is_put_off)
            except Refused as refusal:
                if refusal.reason is not Reason.NONCE_TAKEN or not _makes_room(chain, mempool, transaction):
                    raise
                mempool.add(transaction, height, is_put_off=is_put_off)
        except Refused as refusal:
            return refusal
        return None

    return take


def _is_first(draft: Draft, transaction: VerifiedTransaction) -> bool:
    """Whether this is the first word of a key: it costs nothing, so whoever lets it wait tries it."""
    return transaction.nonce == 0 and draft.account(transaction.actor) is None


def _is_put_off(chain: Blockchain, transaction: VerifiedTransaction) -> bool:
    """Whether the first word of a key waits for its time, as an enrolment under a policy that is announced does.

    It takes nobody's room meanwhile.  Raises :class:`Refused` for what time does not change.
    """
    refusal = _tried(chain.ledger.blank_draft(chain.head.header.slot + 1), (), transaction)
    if refusal is not None and refusal.reason.disposition is not Disposition.LATER:
        raise refusal
    return refusal is not None


def _next_block(chain: Blockchain, slot: int) -> Draft:
    return chain.ledger.draft(max(slot, chain.head.header.slot + 1), chain.electorate)


def _is_worth_a_trial(draft: Draft, transaction: VerifiedTransaction) -> bool:
    """Whether it may be refused for good, as far as that takes a trial to see, and another one than everybody's has.

    Of what is submitted most are ratings, and only those with receipts may, or those of oneself by another key.
    """
    if _is_first(draft, transaction):
        return False
    match transaction.action:
        case Rate(subject=subject) if not draft.policy.raters.counting:
            return draft.identity(subject) == draft.identity(transaction.actor)
    return True


def _untried(draft: Draft, mempool: Mempool, transaction: VerifiedTransaction, limit: int) -> list[VerifiedTransaction]:
    """What has to come before ``transaction`` and is not in ``draft`` yet."""
    account = draft.account(transaction.actor)
    return mempool.ahead_of(transaction, limit, 0 if account is None else account.nonce)


def _tried(draft: Draft, ahead: Iterable[VerifiedTransaction], transaction: VerifiedTransaction) -> Refused | None:
    for earlier in ahead:
        try:
            registry.apply(draft, earlier)
        except Refused:
            continue
    try:
        registry.apply(draft, transaction)
    except Refused as refusal:
        return refusal
    return None


def _makes_room(chain: Blockchain, mempool: Mempool, transaction: VerifiedTransaction) -> bool:
    """What waits under the nonce of ``transaction`` gives way to it, if the head has made that impossible."""
    rival = mempool.rival_of(transaction)
    if rival is None or mempool.ahead_of(rival, 1):
        return False
    refusal = _tried(chain.ledger.blank_draft(chain.head.header.slot + 1), (), rival)
    if not _is_void(refusal):
        return False
    mempool.set_aside(rival, chain.head.header.height)
    return True


def _is_void(refusal: Refused | None) -> bool:
    return refusal is not None and refusal.reason.disposition is not Disposition.LATER
