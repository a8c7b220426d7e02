"""How much is asked for at once, and how long that may take."""

from __future__ import annotations

import pytest

from chain.protocol.messages import REPLY_BYTES
from chain.protocol.pace import (
    FIRST_BYTES,
    MAX_GROWTH,
    MIN_BYTES,
    PATIENCE_MS,
    SLACK,
    SLOWEST,
    TARGET_MS,
    Pace,
    patience_ms,
)


def test_what_comes_in_time_and_is_used_up_grows_to_a_whole_reply() -> None:
    pace = Pace()
    for _ in range(10):
        before = pace.ask_bytes
        pace.arrived(before, TARGET_MS)
        assert pace.ask_bytes == min(2 * before, REPLY_BYTES)
    assert pace.rate == REPLY_BYTES * 1_000 // TARGET_MS


def test_what_comes_much_sooner_grows_by_what_would_have_come_in_time() -> None:
    pace = Pace()
    pace.arrived(FIRST_BYTES, TARGET_MS // 3)
    assert pace.ask_bytes == FIRST_BYTES * 1_000 // (TARGET_MS // 3)
    before = pace.ask_bytes
    pace.arrived(before, 1)
    assert pace.ask_bytes == MAX_GROWTH * before


def test_a_small_reply_says_nothing_of_the_line() -> None:
    pace = Pace()
    pace.arrived(FIRST_BYTES // 2 - 1, 1)
    assert (pace.ask_bytes, pace.rate) == (FIRST_BYTES, 0)


@pytest.mark.parametrize("took_ms", [TARGET_MS + 1, 2 * TARGET_MS])
def test_what_is_a_little_late_is_asked_for_again(took_ms: int) -> None:
    pace = Pace()
    pace.arrived(FIRST_BYTES, took_ms)
    assert (pace.ask_bytes, pace.rate) == (FIRST_BYTES, FIRST_BYTES * 1_000 // took_ms)


def test_what_comes_late_shrinks_to_what_would_come_in_time() -> None:
    pace = Pace()
    for _ in range(5):
        pace.arrived(REPLY_BYTES, 1)
    pace.arrived(900_000, 12_000)  # the largest block at 600 kbit/s
    assert pace.rate == 75_000
    assert pace.ask_bytes == 75_000
    for _ in range(5):
        pace.arrived(900_000, 120_000)
    assert pace.ask_bytes == MIN_BYTES


def test_after_a_failure_the_next_try_is_smaller() -> None:
    pace = Pace()
    pace.failed()
    assert pace.ask_bytes == FIRST_BYTES // 2
    for _ in range(5):
        pace.failed()
    assert pace.ask_bytes == MIN_BYTES


def test_the_time_follows_what_is_expected_and_the_best_line() -> None:
    assert patience_ms(100_000, 0, 50_000) == PATIENCE_MS + SLACK * 2_000
    assert patience_ms(100_000, 90_000, 50_000) == PATIENCE_MS + SLACK * 2_000, "a trickle buys no time"


def test_where_no_line_is_known_what_arrives_buys_time() -> None:
    assert patience_ms(REPLY_BYTES, 0, 0) == PATIENCE_MS
    assert patience_ms(REPLY_BYTES, 10 * SLOWEST, 0) == PATIENCE_MS + 10_000
