"""What is remembered, how much of it, and for how long."""

from __future__ import annotations

import pytest

from p2p.meshsub import memory as module
from p2p.meshsub.memory import (
    IWANT_FOLLOWUP_MS,
    MAX_ASKED,
    MAX_RETRANSMISSIONS,
    MCACHE_GOSSIP,
    MCACHE_LEN,
    SEEN_TTL_MS,
    Pauses,
    Recent,
    Seen,
    Wanted,
)
from p2p.meshsub.parts import Message


def message(data: bytes, topic: str = "t") -> Message:
    return Message(b"a", b"1", topic, data)


def test_a_verdict_is_remembered_for_two_minutes() -> None:
    seen = Seen()
    seen.add(b"good", True, 1_000)
    seen.add(b"bad", False, 1_000)
    just_before = 1_000 + SEEN_TTL_MS - 1
    assert [seen.verdict(key, just_before) for key in (b"good", b"bad", b"unknown")] == [True, False, None]
    assert seen.verdict(b"good", just_before + 1) is None


def test_the_memory_of_messages_is_bounded_and_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SEEN", 3)
    seen = Seen()
    for key in (b"1", b"2", b"3", b"1", b"4"):  # 1 is heard of again
        seen.add(key, True, 0)
    assert [seen.verdict(key, 1) for key in (b"1", b"2", b"3", b"4")] == [True, None, True, True]


def test_what_is_recent_is_offered_for_three_heartbeats_and_kept_for_five() -> None:
    recent, first = Recent(), message(b"first")
    recent.put(first)
    for beat in range(MCACHE_LEN):
        assert recent.ids("t", 10) == ((first.id,) if beat < MCACHE_GOSSIP else ())
        assert recent.take(first.id, f"peer {beat}") is first
        recent.shift()
    assert recent.take(first.id, "another") is None


def test_only_so_many_of_one_topic_are_offered_the_newest_first() -> None:
    recent, items = Recent(), [message(b"%d" % number) for number in range(5)]
    for item in items:
        recent.put(item)
        recent.put(message(b"of another topic", "u"))
    assert recent.ids("t", 3) == (items[4].id, items[3].id, items[2].id)


def test_what_is_recent_is_bounded_in_bytes_and_the_oldest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CACHED_BYTES", 250)
    recent, items = Recent(), [message(bytes([number]) * 100) for number in range(3)]
    for item in (items[0], items[0], items[1]):  # one that is there already takes no room again
        recent.put(item)
    assert recent.take(items[0].id, "p") is items[0]
    recent.put(items[2])
    assert recent.take(items[0].id, "p") is None
    assert recent.ids("t", 10) == (items[2].id, items[1].id)
    for _ in range(MCACHE_LEN):
        recent.shift()
    for item in items[:2]:
        recent.put(item)
    assert recent.take(items[0].id, "p") is items[0]


def test_a_peer_gets_a_message_so_often_and_others_all_the_same() -> None:
    recent, item = Recent(), message(b"x")
    recent.put(item)
    got = [recent.take(item.id, "greedy") for _ in range(MAX_RETRANSMISSIONS + 1)]
    assert got == [item] * MAX_RETRANSMISSIONS + [None]
    assert recent.take(item.id, "other") is item


def test_an_id_is_asked_of_a_few_and_of_each_once() -> None:
    wanted = Wanted()
    assert wanted.ask([b"1", b"2"], "p0", 0) == (b"1", b"2")
    assert wanted.ask([b"1", b"2"], "p0", 0) == ()
    for number in range(1, MAX_ASKED):
        assert wanted.ask([b"1"], f"p{number}", 0) == (b"1",)
    assert wanted.ask([b"1", b"2"], "late", 0) == (b"2",)


def test_who_did_not_send_what_it_offered_broke_its_word() -> None:
    wanted = Wanted()
    wanted.ask([b"1", b"2", b"3"], "p", 0)
    wanted.ask([b"1"], "q", 1)
    wanted.came(b"2")
    assert not wanted.broken(IWANT_FOLLOWUP_MS - 1)
    assert wanted.broken(IWANT_FOLLOWUP_MS) == {"p": 2}
    assert wanted.ask([b"3"], "p", IWANT_FOLLOWUP_MS) == (b"3",)  # and may try again
    wanted.forget("q")
    assert wanted.broken(10 * IWANT_FOLLOWUP_MS) == {"p": 1}


def test_no_more_is_waited_for_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WANTED", 2)
    wanted = Wanted()
    assert wanted.ask([b"1", b"2", b"3"], "p", 0) == (b"1", b"2")
    wanted.came(b"1")
    assert wanted.ask([b"3"], "p", 0) == (b"3",)


def test_a_pause_is_of_one_peer_and_topic_and_is_not_shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = Pauses()
    pauses.add("t", "p", 100)
    pauses.add("t", "p", 50)
    assert [pauses.lasts("t", "p", now_ms) for now_ms in (99, 100)] == [True, False]
    assert not pauses.lasts("u", "p", 0)
    assert not pauses.lasts("t", "q", 0)
    assert not pauses.lasts("t", "q", -1)  # what began just now has no time before
    monkeypatch.setattr(module, "MAX_PAUSES", 2)
    pauses.add("t", "q", 100)
    pauses.add("t", "r", 100)
    assert [pauses.lasts("t", peer, 0) for peer in "pqr"] == [False, True, True]
