"""What waits for a peer: in order, bounded, and no more than that."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from p2p.meshsub import outbox as module
from p2p.meshsub.outbox import Outbox


async def test_what_is_put_first_is_taken_first() -> None:
    outbox = Outbox()
    assert all(outbox.put(frame) for frame in (b"1", b"2"))
    assert [await outbox.take(), await outbox.take()] == [b"1", b"2"]
    assert len(outbox) == 0


async def test_who_takes_waits_for_something(autojump_clock: trio.testing.MockClock) -> None:
    outbox = Outbox()
    with trio.move_on_after(5) as scope:
        await outbox.take()
    assert scope.cancelled_caught
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.take)
        await trio.testing.wait_all_tasks_blocked()
        assert outbox.put(b"1")


async def test_it_is_bounded_in_bytes_and_has_room_again_once_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_QUEUED_BYTES", 2_000)
    outbox = Outbox()
    assert [outbox.put(bytes(1_000)) for _ in range(3)] == [True, True, False]
    await outbox.take()
    assert outbox.put(bytes(1_000))
    assert not outbox.put(b"x")
    outbox.clear()
    assert len(outbox) == 0
    assert outbox.put(bytes(5_000))  # what is larger than all of it goes alone
    assert not outbox.put(b"x")


async def test_it_is_bounded_in_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_QUEUED_FRAMES", 2)
    outbox = Outbox()
    assert [outbox.put(b"") for _ in range(3)] == [True, True, False]
