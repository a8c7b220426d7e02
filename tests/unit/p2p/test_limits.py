from __future__ import annotations

import pytest
import trio
import trio.testing

from p2p import limits
from p2p.limits import Buckets, Commons, Debts, Places


def test_a_bucket_for_each_of_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_RATED", 2)
    buckets = Buckets(1.0, 2.0, lambda: 0.0)
    assert [buckets.take("a") for _ in range(3)] == [True, True, False]
    assert [buckets.take("b", 2.0), buckets.take("a")] == [True, False]
    assert buckets.take("c")  # b has been idle longest and is forgotten
    assert not buckets.take("a")
    assert buckets.take("b")


def test_who_takes_more_than_its_due_waits_until_that_is_forgiven() -> None:
    now = 1_000.0
    debts = Debts(100.0, 300.0, lambda: now)
    assert debts.wait_s("peer") == 0
    debts.charge("peer", 300)
    assert debts.wait_s("peer") == 0
    debts.charge("peer", 200)
    assert (debts.wait_s("peer"), debts.wait_s("other")) == (2.0, 0)
    now += 2
    assert debts.wait_s("peer") == 0
    now += 1_000
    debts.charge("peer", 400)
    assert debts.wait_s("peer") == 1.0, "nothing is saved up"


def test_debts_are_remembered_of_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_RATED", 2)
    debts = Debts(1.0, 1.0, lambda: 0.0)
    for owner in ("one", "two", "three"):
        debts.charge(owner, 10)
    assert (debts.wait_s("one"), debts.wait_s("three")) == (0, 9)


def test_what_was_not_used_is_given_back_up_to_what_there_was() -> None:
    buckets = Buckets(0.0, 2.0, lambda: 0.0)
    assert [buckets.take("a") for _ in range(3)] == [True, True, False]
    buckets.give_back("a")
    assert [buckets.take("a") for _ in range(2)] == [True, False]
    buckets.give_back("a", 9.0)
    buckets.give_back("nobody")
    assert [buckets.take("a") for _ in range(3)] == [True, True, False]


class Workshop:
    """Work that takes a place for some seconds, on a clock that jumps; what came of it, in order."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.log: list[tuple[str, str, float]] = []

    async def work(self, owner: str, seconds: float) -> None:
        is_done = False
        try:
            async with self.places.hold(owner):
                await trio.sleep(seconds)
                is_done = True
        except trio.TooSlowError:
            self.log.append((owner, "refused", trio.current_time()))
            return
        self.log.append((owner, "done" if is_done else "gave way", trio.current_time()))

    async def run(self, *jobs: tuple[str, float]) -> list[tuple[str, str, float]]:
        async with trio.open_nursery() as nursery:
            for job in jobs:
                nursery.start_soon(self.work, *job)
                await trio.testing.wait_all_tasks_blocked()
        assert len(self.places) == 0
        return self.log


async def test_whoever_holds_a_place_longest_gives_way_but_not_at_once(autojump_clock: trio.testing.MockClock) -> None:
    shop = Workshop(Places(2, 2, grace_s=1.0, wait_s=5.0))
    assert await shop.run(("slow", 100.0), ("slower", 100.0), ("quick", 0.5)) == [
        ("slow", "gave way", 1.0),
        ("quick", "done", 1.5),
        ("slower", "done", 100.0),
    ]


async def test_one_owner_keeps_only_itself_waiting(autojump_clock: trio.testing.MockClock) -> None:
    shop = Workshop(Places(4, 2, grace_s=50.0, wait_s=5.0))
    greedy = [("greedy", 20.0)] * 4
    assert await shop.run(*greedy, ("modest", 1.0)) == [
        ("modest", "done", 1.0),
        ("greedy", "refused", 5.0),
        ("greedy", "refused", 5.0),
        ("greedy", "done", 20.0),
        ("greedy", "done", 20.0),
    ]


async def test_a_place_that_becomes_free_is_taken_at_once(autojump_clock: trio.testing.MockClock) -> None:
    shop = Workshop(Places(1, 1, grace_s=10.0, wait_s=5.0))
    jobs = [("first", 3.0), ("second", 1.0)]
    assert await shop.run(*jobs) == [("first", "done", 3.0), ("second", "done", 4.0)]


async def test_without_a_wait_it_is_now_or_never(autojump_clock: trio.testing.MockClock) -> None:
    shop = Workshop(Places(1, 1, grace_s=1.0, wait_s=0.0))

    async def late() -> None:
        await trio.sleep(2.0)
        await shop.work("late", 1.0)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(shop.work, "idle", 100.0)
        await trio.testing.wait_all_tasks_blocked(0.0)
        nursery.start_soon(shop.work, "early", 1.0)
        nursery.start_soon(late)
    assert [entry[:2] for entry in shop.log] == [("early", "refused"), ("idle", "gave way"), ("late", "done")]


def test_who_takes_all_there_is_leaves_others_their_share() -> None:
    now = [0.0]
    commons = Commons((10.0, 100.0), (20.0, 200.0), (1.0, 50.0), lambda: now[0])
    for number in range(3):
        commons.charge(f"greedy{number}", "here", 300.0)
    assert commons.wait_s("greedy0", "here") == 35.0, "what all owe, which is more than its own"
    assert commons.own_wait_s("greedy0") == 20.0
    assert commons.wait_s("another", "here") == 35.0, "under whatever name"
    assert commons.wait_s("newcomer", "elsewhere") == 0
    commons.charge("newcomer", "elsewhere", 60.0)
    assert commons.wait_s("newcomer", "elsewhere") == 10.0, "and that is its share"
    now[0] = 38.0
    assert commons.wait_s("another", "here") == 0
