"""Peers that serve headers and nothing else, as a test wants them: two chains that are both final, and who lies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import count
from random import Random
from typing import Any

import trio
from libp2p.abc import INetStream
from libp2p.custom_types import TProtocol

from chain.base.codec import encode
from chain.content.actions import Enrol
from chain.content.blocks import Block
from chain.content.genesis import Genesis
from chain.protocol.messages import GetHeadings, RawItems, Status, cut_to_size
from chain.protocol.serving import HEADINGS, STATUS
from p2p.network import Transport, TransportConfig, open_transport
from tests.support.forge import Forge
from tests.support.world import Actor, genesis_of

GENESIS = genesis_of(4)
FORGE = Forge(GENESIS)
ENROLMENTS = [Actor(GENESIS, number).sign(Enrol()) for number in range(200, 260)]
FIRST = FORGE.block(None, ENROLMENTS)
STEM = [FIRST, *FORGE.attested(5, FIRST)]
CHAIN = [*STEM, *FORGE.attested(30, STEM[-1])]
RIVAL = [*STEM, *FORGE.attested(30, STEM[-1], slot=200)]
"""All validators signed both."""


class Server:
    """A peer that serves the headers of some blocks; tests replace what it answers."""

    def __init__(self, transport: Transport, blocks: Sequence[Block]) -> None:
        self.transport = transport
        self.blocks = blocks
        self.asked: list[GetHeadings] = []
        self.alter: Callable[[Block], bytes] = raw
        self.before: Callable[[], Awaitable[object]] = trio.lowlevel.checkpoint

    @property
    def peer_id(self) -> str:
        return self.transport.peer_id

    async def status(self, _peer: str, _question: bytes) -> bytes:
        head, votes = self.blocks[-1].header, FORGE.votes(self.blocks[-1])
        return Status(head.id, head.height, head.mhp, votes.finalized).encode()

    async def headings(self, _peer: str, question: bytes) -> bytes:
        request = GetHeadings.decode(question)
        self.asked.append(request)
        await self.before()
        ids = [block.id for block in self.blocks]
        last = ids.index(request.tip_id) + 1 if request.tip_id in ids else 0
        part = self.blocks[:last][request.from_height - 1 :][: request.count]
        return RawItems(cut_to_size(map(self.alter, part), 100_000)).encode()

    def drip(self, name: str = HEADINGS.name, after: int = 0) -> None:
        """Answers of this name come one byte a second; the first few as they are."""
        protocol = TProtocol(self.transport.requests.prefix + name)
        host, turns = self.transport.requests._host, count()
        honest = host.get_mux().handlers[protocol]
        assert honest is not None

        async def handle(stream: INetStream) -> None:
            if next(turns) < after:
                await honest(stream)
                return
            await stream.write(b"\x80\x80\x04")
            while True:
                await trio.sleep(1)
                await stream.write(b"\0")

        host.set_stream_handler(protocol, handle)


def raw(block: Block) -> bytes:
    return encode((block.header.raw, block.ballot.raw))


def config(number: int, genesis: Genesis, **options: Any) -> TransportConfig:
    return TransportConfig(seed=bytes([number]) * 32, genesis_id=genesis.id, rng=Random(number), **options)


@asynccontextmanager
async def serving(number: int, blocks: Sequence[Block]) -> AsyncIterator[Server]:
    async with open_transport(config(number, GENESIS)) as transport:
        server = Server(transport, blocks)
        hello = Status(GENESIS.id, 0, 0, 0).encode()
        transport.peers.local_hello = lambda: hello
        for kind, answer in ((STATUS, server.status), (HEADINGS, server.headings)):
            limits = {"max_request": 64, "max_response": kind.max_reply, "max_concurrent": 8}
            transport.requests.serve(kind.name, answer, **limits)
        transport.start()
        yield server
