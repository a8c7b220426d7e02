"""How much a block may hold, so that everybody has it before the next one is due.

A block that takes its receivers longer than a slot makes the next leader build beside it: one of both is thrown away
with all the work spent on it, and a network that gets more than it can carry carries less than it could.  So a leader
makes blocks as large as those that came soon enough: additive increase, multiplicative decrease, as TCP finds the rate
of a line that it knows nothing of (Chiu and Jain, "Analysis of the Increase and Decrease Algorithms for Congestion
Avoidance", 1989).

What waits, waits in the mempool, and not for long: what comes beyond :attr:`Throttle.room` is turned away before its
signature is checked, since a network that checks what it cannot carry has no time left for what it can.  Clients are
turned away first, so that what one node took from them finds room at the others.

This is a leader's own prudence and no rule of the chain: nobody refuses a block because it is large.

>>> throttle = Throttle(slot_ms=1_000)
>>> throttle.note(transactions=1_024, delay_ms=200)
>>> throttle.limit
1280
>>> throttle.note(transactions=1_280, delay_ms=950)
>>> throttle.limit
640
"""

from __future__ import annotations

from chain.content.blocks import MAX_BLOCK_TRANSACTIONS

FIRST_LIMIT = 1_024
# Below this a block is not late because it is large.
LEAST_LIMIT = 256
STEP = 256
# A block should be executed when this much of its slot is over, so that the next leader stands on it.
SOON_TENTHS = 9
# What comes this much later was fetched, by one that was away, and says nothing about its size.
LATE_SLOTS = 4
# So many blocks' worth may wait: more only waits longer.
WAITING_BLOCKS = 8


class Throttle:
    """What a leader may put into a block, by how soon it had the blocks before."""

    def __init__(self, slot_ms: int) -> None:
        self.limit = FIRST_LIMIT
        self._slot_ms = slot_ms

    @property
    def room(self) -> int:
        """How many transactions may wait before clients are told to come back later; twice as many come from peers."""
        return WAITING_BLOCKS * self.limit

    def note(self, *, transactions: int, delay_ms: int, was_beside: bool = False) -> None:
        """A block of so many transactions was executed ``delay_ms`` after its slot began.

        ``was_beside`` tells that another had been built beside it, by one that did not have it in time.
        """
        if delay_ms > LATE_SLOTS * self._slot_ms:
            return
        if was_beside or 10 * delay_ms > SOON_TENTHS * self._slot_ms:
            if transactions >= LEAST_LIMIT:
                self.limit = max(LEAST_LIMIT, min(self.limit, transactions) // 2)
        elif 2 * transactions >= self.limit:
            self.limit = min(MAX_BLOCK_TRANSACTIONS, self.limit + STEP)
