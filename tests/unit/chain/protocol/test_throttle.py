from __future__ import annotations

import pytest

from chain.content.blocks import MAX_BLOCK_TRANSACTIONS
from chain.protocol.throttle import FIRST_LIMIT, LEAST_LIMIT, STEP, Throttle

SLOT_MS = 1_000
SOON, LATE, NEXT_DAY = 900, 901, 4_001


def throttled(*, limit: int = FIRST_LIMIT) -> Throttle:
    throttle = Throttle(SLOT_MS)
    throttle.limit = limit
    return throttle


def test_blocks_that_come_soon_let_the_next_ones_hold_more_up_to_what_a_block_may_hold() -> None:
    throttle = throttled()
    for _ in range(2 * MAX_BLOCK_TRANSACTIONS // STEP):
        throttle.note(transactions=throttle.limit, delay_ms=SOON)
    assert throttle.limit == MAX_BLOCK_TRANSACTIONS


@pytest.mark.parametrize(("delay_ms", "was_beside"), [(LATE, False), (0, True)])
def test_one_that_came_late_or_made_another_useless_halves_it(delay_ms: int, was_beside: bool) -> None:
    throttle = throttled(limit=2_048)
    throttle.note(transactions=1_000, delay_ms=delay_ms, was_beside=was_beside)
    assert throttle.limit == 500


def test_what_may_wait_follows_what_a_block_may_hold() -> None:
    assert throttled(limit=LEAST_LIMIT).room < throttled().room == 8 * FIRST_LIMIT


def test_it_never_ends_at_nothing() -> None:
    throttle = throttled()
    for _ in range(20):
        throttle.note(transactions=throttle.limit, delay_ms=LATE)
    assert throttle.limit == LEAST_LIMIT


@pytest.mark.parametrize(
    ("transactions", "delay_ms"),
    [(FIRST_LIMIT // 2 - 1, SOON), (LEAST_LIMIT - 1, LATE), (FIRST_LIMIT, NEXT_DAY)],
    ids=[
        "a small block says nothing of large ones",
        "a small one is late for other reasons",
        "who was away fetches old blocks",
    ],
)
def test_what_says_nothing_of_size_changes_nothing(transactions: int, delay_ms: int) -> None:
    throttle = throttled()
    throttle.note(transactions=transactions, delay_ms=delay_ms)
    assert throttle.limit == FIRST_LIMIT


def test_it_settles_near_what_a_network_can_carry() -> None:
    # given machines that take 0.5 ms a transaction, so 1,800 within nine tenths of a slot
    throttle, sizes = throttled(limit=MAX_BLOCK_TRANSACTIONS), []

    # when there is always more to do
    for _ in range(200):
        sizes.append(throttle.limit)
        throttle.note(transactions=throttle.limit, delay_ms=throttle.limit // 2)

    # then hardly a block is larger, and they are not small
    settled = sizes[10:]
    assert sum(size > 1_800 for size in settled) <= len(settled) // 4
    assert sum(settled) / len(settled) > 0.7 * 1_800
