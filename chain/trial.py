"""Transactions beside the head: whether they may wait for a block, and what the next one would make of them."""

from __future__ import annotations

from collections.abc import Iterable

from chain import registry
from chain.blockchain import Blockchain
from chain.errors import Refused
from chain.mempool import Mempool
from chain.transactions import VerifiedTransaction

# So many waiting transactions of one actor are tried before the one that is asked about; with more ahead of it,
# the answer is that its nonce is not next.
MAX_AHEAD = 256


def take_in(chain: Blockchain, mempool: Mempool, transactions: Iterable[VerifiedTransaction]) -> list[Refused | None]:
    """Let ``transactions`` wait in ``mempool``; one outcome each, None where it was taken."""
    head = chain.head.header
    draft = chain.ledger.blank_draft(head.slot)
    outcomes: list[Refused | None] = []
    for transaction in transactions:
        try:
            registry.check_action(draft.policy, transaction)
            registry.check_standing(draft, transaction)
            mempool.add(transaction, head.height + 1)
        except Refused as refusal:
            outcomes.append(refusal)
        else:
            outcomes.append(None)
    return outcomes


def try_out(
    chain: Blockchain, mempool: Mempool, transactions: Iterable[VerifiedTransaction], slot: int
) -> list[Refused | None]:
    """Try ``transactions`` one after another on top of the head, in a block of ``slot`` or the first that is possible.

    What waits of the same actor with a lower nonce is tried before each.  Nothing is kept; one outcome each, None
    where the block would take it.
    """
    draft = chain.ledger.draft(max(slot, chain.head.header.slot + 1), chain.electorate)
    outcomes: list[Refused | None] = []
    for transaction in transactions:
        for ahead in mempool.ahead_of(transaction, MAX_AHEAD):
            try:
                registry.apply(draft, ahead)
            except Refused:
                continue
        try:
            registry.apply(draft, transaction)
        except Refused as refusal:
            outcomes.append(refusal)
        else:
            outcomes.append(None)
    return outcomes
