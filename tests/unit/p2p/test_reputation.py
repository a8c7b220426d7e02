from __future__ import annotations

import pytest

from p2p import reputation as module
from p2p.limits import TokenBucket
from p2p.reputation import BAN_THRESHOLD, Reputation


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_score_halves_in_a_half_life() -> None:
    time = Time()
    reputation = Reputation(time, half_life_s=10.0)
    reputation.penalise("a", 40.0)
    time.now += 10.0
    assert reputation.score("a") == pytest.approx(20.0)
    assert reputation.score("b") == 0.0


def test_the_threshold_bans_once_and_the_ban_ends_with_a_clean_slate() -> None:
    time = Time()
    reputation = Reputation(time, ban_s=60.0)
    assert not reputation.penalise("a", BAN_THRESHOLD - 1)
    assert reputation.penalise("a", 1)
    assert not reputation.penalise("a", BAN_THRESHOLD)  # it is banned already
    assert reputation.banned("a")
    time.now += 60.0
    assert not reputation.banned("a")
    assert reputation.score("a") == 0.0


def test_memory_of_peers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REMEMBERED", 3)
    reputation = Reputation(Time())
    for peer_id in "abcd":
        reputation.penalise(peer_id, 1.0)
        reputation.ban(peer_id, 1.0)
    assert [reputation.score(peer_id) for peer_id in "abcd"] == [0.0, 1.0, 1.0, 1.0]
    assert [reputation.banned(peer_id) for peer_id in "abcd"] == [False, True, True, True]


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    time = Time()
    bucket = TokenBucket(2.0, 3.0, time)
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    time.now += 0.5
    assert [bucket.take() for _ in range(2)] == [True, False]
    time.now += 1000.0
    assert not bucket.take(3.5)
    assert bucket.take(3.0)
