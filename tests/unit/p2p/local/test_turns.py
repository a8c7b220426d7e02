"""Turns: answers are made one after the other, and take so much of the time at most, however many ask."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from p2p.local.endpoints import ENDPOINTS
from p2p.local.http import build_app
from p2p.local.problems import Problem
from p2p.local.turns import AROUND_S, AT_ONCE_S, MAX_WAITING, PATIENCE_S, SHARE, Turns
from tests.unit.p2p.local.test_http import FakeFace, ask, path_of, told_problem

WORK_S = 0.01
TOOK_S = WORK_S + AROUND_S


class Crowd:
    """Those who take turns, each for :data:`WORK_S`; who is at work, and what came of it, in order."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.at_work = 0
        self.answered: list[int] = []
        self.sent_away: list[int] = []

    async def ask(self, number: int, line: str = "disk") -> None:
        try:
            async with self.turns.take(line):
                self.at_work += 1
                assert self.at_work == 1
                await trio.sleep(WORK_S)
                self.at_work -= 1
                self.answered.append(number)
        except Problem:
            self.sent_away.append(number)

    async def ask_on(self, count: int) -> None:
        for number in range(count):
            await self.ask(number)


async def test_who_asks_now_and_then_never_waits(autojump_clock: MockClock) -> None:
    crowd, count = Crowd(), 1_000
    began = trio.current_time()
    for number in range(count):
        await crowd.ask(number)
        await trio.sleep(TOOK_S / SHARE)
    assert trio.current_time() - began == pytest.approx(count * (WORK_S + TOOK_S / SHARE))


async def test_a_storm_is_answered_in_its_share_of_the_time(autojump_clock: MockClock) -> None:
    crowd, each, askers = Crowd(), 625, 16
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(askers):
            nursery.start_soon(crowd.ask_on, each)
    passed = trio.current_time() - began
    assert (len(crowd.answered), crowd.sent_away) == (each * askers, [])
    assert each * askers * TOOK_S <= SHARE * (passed + 1) + AT_ONCE_S


async def test_who_is_in_line_is_served_in_order(autojump_clock: MockClock) -> None:
    crowd = Crowd()
    async with trio.open_nursery() as nursery, crowd.turns.take("disk"):
        for number in range(MAX_WAITING):
            nursery.start_soon(crowd.ask, number)
            await trio.testing.wait_all_tasks_blocked()
        await crowd.ask(MAX_WAITING)
        assert crowd.sent_away == [MAX_WAITING], "the line is full"
    assert crowd.answered == sorted(crowd.answered)
    assert sorted(crowd.answered + crowd.sent_away) == list(range(MAX_WAITING + 1))


async def hold(turns: Turns, seconds: float) -> None:
    async with turns.take("disk"):
        await trio.sleep(seconds)


async def test_nobody_waits_for_long(autojump_clock: MockClock) -> None:
    crowd = Crowd()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hold, crowd.turns, PATIENCE_S + 1)
        await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()
        await crowd.ask(1)
        assert trio.current_time() - began == pytest.approx(PATIENCE_S)
        await crowd.ask(2, "node")
    assert (crowd.answered, crowd.sent_away) == ([2], [1])


async def test_who_leaves_while_it_waits_holds_up_nobody(autojump_clock: MockClock) -> None:
    crowd = Crowd()
    await hold(crowd.turns, AT_ONCE_S + 1)
    with trio.move_on_after(0.1) as scope:
        await crowd.ask(1)
    assert scope.cancelled_caught
    await crowd.ask(2)
    assert (crowd.answered, crowd.sent_away) == ([2], [])


async def test_what_fails_gives_its_turn_back() -> None:
    turns = Turns()
    for _ in range(2):
        with pytest.raises(KeyError):
            async with turns.take("disk"):
                raise KeyError


class Busy(FakeFace):
    """A node that answers each question when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer = trio.Event()

    async def answer(self, *arguments: Any) -> Any:
        await self.may_answer.wait()
        return await super().answer(*arguments)


@pytest.mark.parametrize("path", sorted({path_of(each) for each in ENDPOINTS if not each.is_costly}))
async def test_each_quick_question_waits_for_its_turn(autojump_clock: MockClock, path: str) -> None:
    face = Busy()
    app = build_app(face)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, app, "GET", path)
        await trio.testing.wait_all_tasks_blocked()
        reply = await ask(app, "GET", path)
        told_problem(reply, 503)
        assert reply.headers["retry-after"] == "5"
        told_problem(await ask(app, "GET", "/nothing"), 404)
        face.may_answer.set()
    assert len(face.asked) == 1


async def test_what_is_costly_and_what_is_sent_wait_for_no_turn(autojump_clock: MockClock) -> None:
    face = Busy()
    app = build_app(face)
    costly = [path_of(each) for each in ENDPOINTS if each.is_costly]
    async with trio.open_nursery() as nursery:
        for path in costly:
            nursery.start_soon(ask, app, "GET", path)
        await trio.testing.wait_all_tasks_blocked()
        sent = await ask(app, "POST", "/transactions", json={"transactions": ["00"]})
        assert sent.status_code == httpx.codes.OK
        face.may_answer.set()
    assert len(face.asked) == len(costly)


async def test_a_storm_of_questions_for_nothing_is_slowed_down(autojump_clock: MockClock) -> None:
    app, count = build_app(FakeFace()), 3_000
    began = trio.current_time()
    for _ in range(count):
        told_problem(await ask(app, "GET", "/nothing"), 404)
    assert trio.current_time() - began >= count * AROUND_S / SHARE - AT_ONCE_S / SHARE - 1
