"""What fills a block: what waits is tried in its order, and no more of it than the block has time for."""

from __future__ import annotations

from collections.abc import Iterable

from chain.base.errors import Disposition, Reason, Refused
from chain.content.blocks import MAX_BLOCK_TRANSACTIONS, MAX_BODY_BYTES
from chain.content.transactions import VerifiedTransaction
from chain.register import registry
from chain.register.draft import Draft
from chain.register.quotas import is_stranger, stranger_room


def fill(
    draft: Draft, candidates: Iterable[VerifiedTransaction], limit: int
) -> tuple[list[VerifiedTransaction], list[bytes], list[VerifiedTransaction]]:
    """Try candidates in order until the block is full: those that entered, who had one refused, those that never can.

    Newcomers for whom no registrar stands take their share of this block, not of the largest that there can be.
    """
    included: list[VerifiedTransaction] = []
    refusals = _Refusals(draft)
    hopeless: list[VerifiedTransaction] = []
    size, room = 0, stranger_room(draft.policy, limit)
    for transaction in candidates:
        is_full = len(included) == limit or size + len(transaction.raw) > MAX_BODY_BYTES
        if is_full or refusals.are_enough:
            break
        has_share = draft.strangers < room or not is_stranger(transaction.action)
        if refusals.rule_out(transaction.actor) or not has_share:
            continue
        try:
            registry.apply(draft, transaction)
        except Refused as refusal:
            if refusal.reason is not Reason.NONCE_GAP:
                refusals.note(transaction.actor)
            if refusal.reason.disposition is not Disposition.LATER:
                hopeless.append(transaction)
            continue
        included.append(transaction)
        size += len(transaction.raw)
    return included, list(refusals.actors), hopeless


class _Refusals:
    """Who had something refused by a block in the making: those have nothing more to try.

    No more are tried than fill a block, half of them strangers at most, whose keys cost nothing.
    """

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self.actors: dict[bytes, None] = {}
        self._strangers = 0

    @property
    def are_enough(self) -> bool:
        return len(self.actors) == MAX_BLOCK_TRANSACTIONS

    def note(self, actor: bytes) -> None:
        self.actors[actor] = None
        self._strangers += self._is_stranger(actor)

    def rule_out(self, actor: bytes) -> bool:
        are_strangers_enough = self._strangers == MAX_BLOCK_TRANSACTIONS // 2
        return actor in self.actors or (are_strangers_enough and self._is_stranger(actor))

    def _is_stranger(self, actor: bytes) -> bool:
        return self._draft.account(actor) is None
