"""Slow requests, on a clock of their own: which of them honest peers can make, and which they cannot."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
import trio
import trio.testing
from libp2p.stream_muxer.yamux.yamux import HEADER_SIZE, MAX_MESSAGE_SIZE

from p2p.frames import PIECE_BYTES
from p2p.reputation import Reputation
from p2p.requests import Requests
from tests.unit.p2p.net import PREFIX, framed, peer_id_of


class Wire:
    """What a request handler sees of a stream: pieces, each of which comes after a while, and then nothing."""

    def __init__(self, host: Answerer, pieces: Sequence[tuple[float, bytes]]) -> None:
        self.muxed_conn = host
        self._pieces = list(pieces)
        self.written = b""

    async def read(self, _size: int) -> bytes:
        if not self._pieces:
            await trio.sleep_forever()
        wait_s, piece = self._pieces.pop(0)
        await trio.sleep(wait_s)
        return piece

    async def write(self, data: bytes) -> None:
        self.written += data

    async def reset(self) -> None: ...

    async def close_write(self) -> None: ...


class Answerer:
    """A host that answers one question, asked by one peer; ``blamed`` is what it was told of that."""

    peer_id = peer_id_of(9)

    def __init__(self) -> None:
        self.blamed: list[float] = []
        requests = Requests(self, PREFIX)  # type: ignore[arg-type]
        requests.report = lambda _peer_id, weight, _why: self.blamed.append(weight)
        requests.serve("q", self._answer, max_request=200_000, max_response=1, max_concurrent=64)

    def set_stream_handler(self, _protocol: str, handler: Callable[[Any], Awaitable[None]]) -> None:
        self._handler = handler

    def get_remote_address(self) -> None:
        """It is not known any more."""

    async def _answer(self, _peer_id: str, _request: bytes) -> bytes:
        return b""

    async def ask(self, pieces: Sequence[tuple[float, bytes]]) -> bytes:
        """The reply to a request that comes in these pieces; empty where there was none."""
        wire = Wire(self, pieces)
        await self._handler(wire)
        return wire.written


def pieces_of(request: bytes) -> list[bytes]:
    """A request as the multiplexer of an honest asker sends it."""
    size = MAX_MESSAGE_SIZE - HEADER_SIZE
    whole = framed(request)
    return [whole[start : start + size] for start in range(0, len(whole), size)]


def test_the_multiplexer_carries_larger_pieces_than_any_that_is_blamed() -> None:
    assert max(map(len, pieces_of(bytes(200_000)))) > PIECE_BYTES


@pytest.mark.parametrize("size", [0, 60, 65_000, 65_600, 200_000])
@pytest.mark.parametrize("stalled_at", [0, 1, 2, 3])
async def test_an_honest_asker_that_stalls_is_never_blamed(
    size: int, stalled_at: int, autojump_clock: trio.testing.MockClock
) -> None:
    host = Answerer()
    pieces = [(0.0, piece) for piece in pieces_of(bytes(size))]
    if stalled_at < len(pieces):
        pieces[stalled_at] = (1_000.0, pieces[stalled_at][1])
    assert bool(await host.ask(pieces)) == (stalled_at >= len(pieces))
    assert host.blamed == []


async def test_who_dribbles_requests_is_blamed_until_it_is_banned(autojump_clock: trio.testing.MockClock) -> None:
    host, reputation = Answerer(), Reputation()
    dribble = [(1.0, bytes([byte])) for byte in framed(bytes(60))]
    dribbles = 0
    while not reputation.banned(host.peer_id):
        assert not await host.ask(dribble)
        dribbles += 1
        assert len(host.blamed) == dribbles
        reputation.penalise(host.peer_id, host.blamed[-1])
    assert 20 <= dribbles <= 30
