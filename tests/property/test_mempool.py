"""The mempool under any history: its bounds hold, its order can be executed, its counters are right."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chain.base.errors import Disposition
from chain.content.actions import Action, Enrol, Rate
from chain.content.transactions import VerifiedTransaction, sign_transaction
from chain.protocol import mempool, queues
from chain.protocol.mempool import Mempool
from tests.support.pool import check_pool
from tests.support.refusals import refusal
from tests.support.world import genesis_of, secret

GENESIS = genesis_of(4)
ACTORS = [secret(50 + number) for number in range(5)]
BOUNDS = {"MAX_TRANSACTIONS": 14, "MAX_BYTES": 2_400, "MAX_FROM_STRANGERS": 6, "MAX_EARLY": 4}
OF_AN_ACTOR = {"MAX_PER_ACTOR": 5, "MAX_EARLY_OF_ACTOR": 3}
who = st.integers(0, len(ACTORS) - 1)


class PoolMachine(RuleBasedStateMachine):
    """A pool beside the simplest of chains: a stack of blocks, and nonces that follow from them."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks: list[list[VerifiedTransaction]] = []
        self.reached: dict[bytes, int] = {}  # the highest nonce that was ever next, of each actor
        self.pool = Mempool(self.next_nonce)
        self.patch = pytest.MonkeyPatch()

    @initialize()
    def shrink_the_bounds(self) -> None:
        for module, bounds in ((mempool, BOUNDS), (queues, OF_AN_ACTOR)):
            for name, value in bounds.items():
                self.patch.setattr(module, name, value)

    def teardown(self) -> None:
        self.patch.undo()

    def next_nonce(self, actor: bytes) -> int | None:
        used = sum(transaction.actor == actor for block in self.blocks for transaction in block)
        return used or None

    @property
    def next_height(self) -> int:
        return len(self.blocks) + 1

    def make(self, actor: int, ahead: int, life: int, padding: int) -> VerifiedTransaction:
        nonce = max(0, (self.next_nonce(ACTORS[actor].public) or 0) + ahead)
        action: Action = Enrol() if nonce == 0 else Rate(ACTORS[padding % 5].public, 1, 1)
        return sign_transaction(ACTORS[actor], GENESIS.id, nonce, max(0, self.next_height + life), action)

    @rule(actor=who, ahead=st.integers(-1, 6), life=st.integers(-1, 8), padding=who)
    def add(self, actor: int, ahead: int, life: int, padding: int) -> None:
        transaction = self.make(actor, ahead, life, padding)
        before, was_crowded = list(self.pool), self.pool.early >= BOUNDS["MAX_EARLY"]
        is_full = (
            len(before) >= BOUNDS["MAX_TRANSACTIONS"] or self.pool.bytes + len(transaction.raw) > BOUNDS["MAX_BYTES"]
        )
        ready = list(self.pool.candidates())
        reason = refusal(self.pool.add, transaction, self.next_height)
        if reason is None and (was_crowded or is_full):  # what is early may have made room
            before = [item for item in before if item.id in self.pool]
            assert all(item.id in self.pool for item in ready)
        assert list(self.pool) == ([*before, transaction] if reason is None else before)
        assert reason is None or reason.disposition is not Disposition.BLAME

    @rule(count=st.integers(0, 6), skipped=st.integers(0, 2))
    def a_block_of_candidates(self, count: int, skipped: int) -> None:
        self._extend([item for item in self.pool.candidates() if item.actor != ACTORS[skipped].public][:count])

    @rule(actors=st.lists(who, max_size=3), life=st.integers(0, 3))
    def a_block_of_what_never_came_here(self, actors: list[int], life: int) -> None:
        self._extend([self.make(actor, 0, life, actor) for actor in dict.fromkeys(actors)])

    def _extend(self, body: list[VerifiedTransaction]) -> None:
        self.blocks.append(body)
        self.pool.discard(body, self.next_height)
        for transaction in body:
            self.reached[transaction.actor] = max(transaction.nonce + 1, self.reached.get(transaction.actor, 0))
            assert transaction.id not in self.pool

    @precondition(lambda self: self.blocks)
    @rule(depth=st.integers(1, 3), again=st.booleans())
    def a_reorg(self, depth: int, again: bool) -> None:
        depth = min(depth, len(self.blocks))
        abandoned = [self.blocks.pop() for _ in range(depth)]
        adopted: list[list[VerifiedTransaction]] = [[] for _ in range(depth)]
        if again:
            adopted[0] = abandoned[-1]
        self.blocks += adopted
        for body in adopted:
            self.pool.discard(body, self.next_height)
        for body in abandoned:
            self.pool.restore(body, self.next_height)

    @rule(actors=st.lists(who, max_size=3))
    def a_block_refuses(self, actors: list[int]) -> None:
        held_up = {ACTORS[actor].public for actor in actors}
        self.pool.hold_up(held_up, self.next_height)
        assert all(self.pool.is_held_up(actor) for actor in held_up)
        order = [self.pool.is_held_up(item.actor) for item in self.pool.candidates()]
        assert order == sorted(order)

    @rule()
    def a_full_pool_is_cleared(self) -> None:
        waiting = list(self.pool)
        held_up = {item.actor for item in waiting if self.pool.is_held_up(item.actor)}
        self.pool.clear_held_up()
        assert {item.actor for item in waiting if item.id not in self.pool} <= held_up
        promised = self.pool.claimed(len(waiting))
        assert not any(self.pool.is_held_up(item.actor) for item in self.pool if item not in promised)

    @rule()
    def expire(self) -> None:
        self.pool.expire(self.next_height)
        assert all(transaction.expiry_height >= self.next_height for transaction in self.pool)

    @rule(index=st.integers(0, 20))
    def remove(self, index: int) -> None:
        waiting = list(self.pool)
        if waiting:
            self.pool.remove(waiting[index % len(waiting)].id)
            assert len(self.pool) == len(waiting) - 1

    @invariant()
    def bounds_hold(self) -> None:
        assert len(self.pool) <= BOUNDS["MAX_TRANSACTIONS"]
        assert self.pool.bytes <= BOUNDS["MAX_BYTES"]
        for actor, count in Counter(item.actor for item in self.pool).items():
            came_back = self.reached.get(actor, 0) - (self.next_nonce(actor) or 0)
            assert count <= OF_AN_ACTOR["MAX_PER_ACTOR"] + came_back

    @invariant()
    def candidates_can_be_executed_in_order(self) -> None:
        candidates = list(self.pool.candidates())
        nonces: dict[bytes, int] = {}
        for transaction in candidates:
            expected = nonces.get(transaction.actor, self.next_nonce(transaction.actor) or 0)
            assert transaction.nonce == expected
            nonces[transaction.actor] = expected + 1
        # and nothing is left out that could follow
        for transaction in self.pool:
            expected = nonces.get(transaction.actor, self.next_nonce(transaction.actor) or 0)
            assert transaction.nonce != expected or transaction in candidates

    @invariant()
    def counters_equal_a_recount(self) -> None:
        check_pool(self.pool)


TestMempool = PoolMachine.TestCase
TestMempool.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
