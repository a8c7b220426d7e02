"""What a testnet submits, when it submits it again, and how fast."""

from __future__ import annotations

import random

import pytest

from chain.base.errors import Reason, Refused
from scripts.testnet_parts.feed import BATCH, MAX_OUTSTANDING, RETRY_MS, Feed
from scripts.testnet_parts.pace import MIN_CHANGE_MS, MIN_PER_S, START_PER_S, Pace

PATIENCE_MS = 10_000
ALL = 10**9

LATER = Refused(Reason.POOL_FULL)
DUPLICATE = Refused(Reason.DUPLICATE)
NONCE_USED = Refused(Reason.NONCE_USED)
EXPIRED = Refused(Reason.EXPIRED)
FORGED = Refused(Reason.BAD_SIGNATURE)


def taken(feed: Feed, batch: list[int], now_ms: int = 0) -> list[int]:
    """A node takes the whole batch."""
    feed.settle(batch, [None] * len(batch), now_ms)
    return batch


def test_positions_go_out_in_order_and_in_batches() -> None:
    feed = Feed(BATCH + 10, PATIENCE_MS)
    assert feed.take(0, ALL) == list(range(BATCH))
    assert feed.take(0, ALL) == list(range(BATCH, BATCH + 10))
    assert feed.take(0, ALL) == []
    assert (feed.submitted, feed.final, feed.outstanding, feed.lost) == (BATCH + 10, 0, BATCH + 10, BATCH + 10)


def test_what_is_not_signed_yet_waits() -> None:
    feed = Feed(100, PATIENCE_MS)
    assert feed.take(0, 30) == list(range(30))
    assert feed.take(0, 30) == []
    assert feed.take(0, 100) == list(range(30, 100))


def test_what_is_out_is_bounded() -> None:
    feed = Feed(2 * MAX_OUTSTANDING, PATIENCE_MS)
    while batch := feed.take(0, ALL):
        taken(feed, batch)
    assert feed.outstanding == MAX_OUTSTANDING
    feed.confirm(0)
    assert feed.take(0, ALL) == [MAX_OUTSTANDING]


def test_it_is_done_when_everything_is_final() -> None:
    feed = Feed(3, PATIENCE_MS)
    for position in taken(feed, feed.take(0, ALL)):
        assert not feed.is_done
        feed.confirm(position)
        feed.confirm(position)  # seen twice, counted once
    assert feed.is_done
    assert (feed.submitted, feed.final, feed.lost) == (3, 3, 0)
    assert feed.take(ALL, ALL) == []


def test_later_is_offered_again_soon() -> None:
    feed = Feed(2, PATIENCE_MS)
    feed.settle(feed.take(0, ALL), [LATER, None], 0)
    assert feed.take(RETRY_MS - 1, ALL) == []
    assert feed.take(RETRY_MS, ALL) == [0]
    assert feed.resubmitted == 1


@pytest.mark.parametrize("outcome", [None, DUPLICATE, NONCE_USED])
def test_what_a_node_has_but_does_not_become_final_is_offered_again_after_a_while(outcome: Refused | None) -> None:
    feed = Feed(1, PATIENCE_MS)
    feed.settle(feed.take(0, ALL), [outcome], 0)
    assert feed.take(PATIENCE_MS - 1, ALL) == []
    assert feed.take(PATIENCE_MS, ALL) == [0]
    assert feed.refused == {}
    feed.confirm(0)
    feed.settle([0], [NONCE_USED], PATIENCE_MS)
    assert feed.is_done


def test_what_became_final_is_not_offered_again() -> None:
    feed = Feed(2, PATIENCE_MS)
    taken(feed, feed.take(0, ALL))
    feed.confirm(1)
    assert feed.take(PATIENCE_MS, ALL) == [0]


@pytest.mark.parametrize("outcome", [EXPIRED, FORGED])
def test_a_permanent_refusal_is_counted_and_not_repeated(outcome: Refused) -> None:
    feed = Feed(2, PATIENCE_MS)
    feed.settle(feed.take(0, ALL), [outcome, None], 0)
    assert feed.refused == {outcome.reason.code: 1}
    assert feed.take(ALL, ALL) == [1]
    feed.confirm(1)
    assert feed.is_done
    assert feed.lost == 0


def test_a_batch_whose_node_died_goes_to_the_next_one_at_once() -> None:
    feed = Feed(BATCH + 1, PATIENCE_MS)
    batch = feed.take(0, ALL)
    feed.confirm(batch[0])  # it had put this one into a block before it died
    feed.give_back(batch)
    assert feed.take(0, ALL) == [*batch[1:], BATCH]


def test_what_an_earlier_run_brought_to_finality_is_skipped() -> None:
    feed = Feed(5, PATIENCE_MS)
    for position in (0, 1, 3):
        feed.confirm(position)
    assert (feed.submitted, feed.final, feed.lost) == (3, 3, 0)
    assert feed.take(0, ALL) == [2, 4]
    assert (feed.submitted, feed.final, feed.lost) == (5, 3, 2)


def test_a_closed_feed_follows_what_is_out_and_submits_nothing_new() -> None:
    feed = Feed(10, PATIENCE_MS)
    taken(feed, feed.take(0, 4))
    feed.close()
    assert not feed.is_done
    assert feed.take(PATIENCE_MS, ALL) == [0, 1, 2, 3]
    for position in range(4):
        feed.confirm(position)
    assert feed.is_done
    assert (feed.submitted, feed.lost) == (4, 0)


@pytest.mark.parametrize("seed", range(5))
def test_with_nodes_that_lose_and_refuse_everything_still_becomes_final_once(seed: int) -> None:
    draw = random.Random(seed)
    feed = Feed(2_000, PATIENCE_MS)
    pools: list[int] = []
    now_ms = 0
    while not feed.is_done:
        now_ms += 200
        assert now_ms < 10_000_000
        batch = feed.take(now_ms, ALL)
        if draw.random() < 0.3:
            feed.give_back(batch)
            continue
        outcomes = [draw.choice([None, None, LATER, DUPLICATE]) for _ in batch]
        feed.settle(batch, outcomes, now_ms)
        pools += [at for at, outcome in zip(batch, outcomes, strict=True) if outcome is None and draw.random() < 0.8]
        for position in pools[: draw.randrange(400)]:
            feed.confirm(position)
            pools.remove(position)
    assert (feed.submitted, feed.final, feed.lost, feed.refused) == (2_000, 2_000, 0, {})


def spend_for(pace: Pace, start_ms: int, duration_ms: int, waiting: int) -> int:
    """Submit as much as is allowed while the mempools hold ``waiting``."""
    spent = 0
    for now_ms in range(start_ms, start_ms + duration_ms, 50):
        allowed = pace.allowed(now_ms)
        pace.spend(allowed)
        spent += allowed
        pace.observe(waiting, now_ms)
    return spent


def test_the_pace_allows_its_rate() -> None:
    pace = Pace(slot_ms=1_000, now_ms=0)
    assert pace.allowed(0) == 0
    assert spend_for(pace, 0, MIN_CHANGE_MS, waiting=0) == pytest.approx(START_PER_S, rel=0.1)


def test_the_pace_rises_while_the_mempools_stay_small() -> None:
    pace = Pace(slot_ms=500, now_ms=0)
    spend_for(pace, 0, 10_000, waiting=0)
    assert pace.per_s > 1.5 * START_PER_S


def test_the_pace_falls_when_the_mempools_grow_but_never_to_nothing() -> None:
    pace = Pace(slot_ms=500, now_ms=0)
    spend_for(pace, 0, 3_000, waiting=20_000)
    assert pace.per_s < START_PER_S
    spend_for(pace, 3_000, 60_000, waiting=20_000)
    assert pace.per_s == MIN_PER_S


def test_the_pace_stays_below_what_was_asked_for() -> None:
    pace = Pace(slot_ms=500, now_ms=0, max_per_s=200)
    assert pace.per_s == 200
    assert spend_for(pace, 0, 20_000, waiting=0) <= 200 * 20 + BATCH
    assert pace.per_s == 200


def test_a_pace_that_is_not_used_does_not_rise() -> None:
    pace = Pace(slot_ms=500, now_ms=0)
    for now_ms in range(0, 20_000, 50):
        pace.allowed(now_ms)
        pace.observe(0, now_ms)
    assert pace.per_s == START_PER_S


def test_unused_permission_does_not_add_up_to_a_burst() -> None:
    pace = Pace(slot_ms=500, now_ms=0)
    assert pace.allowed(3_600_000) <= START_PER_S + BATCH
