"""A node that restarts while strangers wait at its door: it goes to those that it knew."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import trio

from p2p.book import MAX_ADDRESSES
from p2p.frames import LIBRARY_ERRORS
from p2p.peers import PeerSettings
from p2p.requests import RequestError
from tests.unit.p2p.net import NetNode, announce, free_address, peer_id_of, running, until

STRANGERS = 8
SETTINGS = PeerSettings(max_peers=4, max_strangers=4)


async def knock(number: int, node: NetNode) -> None:
    """Come again and again, each time with other addresses at which there is nobody."""
    dead = [f"/ip4/127.0.0.1/tcp/{1 + number * 100 + port}/p2p/{peer_id_of(number)}" for port in range(MAX_ADDRESSES)]
    while True:
        try:
            await announce(number, node, dead)
        except* (*LIBRARY_ERRORS, RequestError):
            pass  # it is not up, or there was no place
        await trio.sleep(0.05)


async def test_a_restarted_node_reaches_those_that_it_knew_past_strangers_in_every_place(tmp_path: Path) -> None:
    life: dict[str, Any] = {
        "listen": (free_address(),),
        "book": tmp_path / "peers.json",
        "peers": SETTINGS,
    }
    async with AsyncExitStack() as stack:
        # given a node that was at two others, which will not come to it by themselves
        passive = PeerSettings(max_peers=0)
        friends = [await stack.enter_async_context(running(number, peers=passive)) for number in (2, 3)]
        known = {friend.peer_id for friend in friends}
        async with running(1, bootstrap=tuple(friend.address for friend in friends), **life) as node:
            await until(lambda: known <= node.reached)

        # when it starts again, told of nobody, and strangers are at its door before it is up
        nursery = await stack.enter_async_context(trio.open_nursery())
        stack.callback(nursery.cancel_scope.cancel)
        for number in range(10, 10 + STRANGERS):
            nursery.start_soon(knock, number, node)
        async with running(1, **life) as node:
            # then they take the places of strangers, and no other
            await until(lambda: known <= node.neighbours)
            await until(lambda: len(node.neighbours) == SETTINGS.max_strangers + len(known))
            assert known <= node.reached
            assert not node.reached - known, "what the strangers claimed was right nowhere"
        nursery.cancel_scope.cancel()
