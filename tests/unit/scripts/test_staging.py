"""What happens to the nodes of a manifest, without any process."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import trio

from scripts.testnet_parts.nodes import NodeProcess
from scripts.testnet_parts.staging import Actor


async def test_what_happens_to_one_node_in_one_slot_happens_in_its_order() -> None:
    # given events of one slot: their tasks are begun together, and which runs first is chance
    actor = Actor(NodeProcess(0, Path("nowhere"), is_validator=True))
    done: list[int] = []

    async def act(number: int, of: Actor) -> None:
        assert of is actor
        await trio.lowlevel.checkpoint()
        done.append(number)

    # when
    async with trio.open_nursery() as nursery:
        for number in range(100):
            nursery.start_soon(actor.in_order(partial(act, number)))
    # then
    assert done == list(range(100))


async def test_what_is_cut_short_does_not_hold_up_the_next() -> None:
    actor = Actor(NodeProcess(0, Path("nowhere"), is_validator=True))
    done = trio.Event()

    async def for_ever(_actor: Actor) -> None:
        await trio.sleep_forever()

    async def soon(_actor: Actor) -> None:
        done.set()

    with trio.CancelScope() as scope:
        scope.cancel()
        await actor.in_order(for_ever)()
    await actor.in_order(soon)()
    assert done.is_set()


def test_an_answer_that_a_later_one_overtook_is_no_news() -> None:
    actor = Actor(NodeProcess(0, Path("nowhere"), is_validator=True))
    assert [actor.is_news(slot) for slot in (0, 2, 1, 3)] == [True, True, False, True]
