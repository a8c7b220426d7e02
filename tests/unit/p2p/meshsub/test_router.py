"""Streams of gossip that break, that nobody reads, and that are not the latest."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from libp2p.abc import INetStream
from libp2p.crypto.ed25519 import create_new_key_pair

from chain.errors import Refused
from p2p.frames import FrameReader, StreamEnded
from p2p.host import GuardedHost
from p2p.meshsub import router as module
from p2p.meshsub.parts import Rpc, Subscription
from p2p.meshsub.signing import signed
from p2p.meshsub.wire import MAX_RPC_BYTES, decode, encode
from p2p.peers import PeerSettings
from tests.unit.p2p.net import (
    MESHSUB,
    PATIENCE_S,
    PREFIX,
    NetNode,
    framed,
    impostor,
    open_gossip_stream,
    peer_id_of,
    running,
    until,
)

TOPIC = PREFIX + "t"
# An impostor answers no pings, and is to stay however slow the machine is.
PATIENT = PeerSettings(ping_interval_s=10 * PATIENCE_S)


class Ear:
    """What a peer does with the streams that are opened to it: the first ``deaf`` it resets, or does not read."""

    def __init__(self, deaf: int = 0, *, resets: bool = False) -> None:
        self.streams = 0
        self.heard: list[Rpc] = []
        self._deaf = deaf
        self._resets = resets

    async def __call__(self, stream: INetStream) -> None:
        self.streams += 1
        if self.streams > self._deaf:
            await self._read(FrameReader(stream))
        elif self._resets:
            await stream.reset()
        else:
            await trio.sleep_forever()

    async def _read(self, reader: FrameReader) -> None:
        try:
            while True:
                self.heard.append(decode(await reader.frame(MAX_RPC_BYTES)))
        except (StreamEnded, Refused):
            return


@asynccontextmanager
async def listener(number: int, node: NetNode, ear: Ear) -> AsyncIterator[GuardedHost]:
    """A peer that says it listens, and has such an ear."""
    async with impostor(number, node) as (host, _):
        host.set_stream_handler(MESHSUB, ear)
        await until(lambda: peer_id_of(number) in node.neighbours)
        stream = await open_gossip_stream(host, node)
        await stream.write(framed(encode(Rpc(subscriptions=(Subscription(TOPIC),)))))
        await until(lambda: node.transport.gossip.ready(peer_id_of(number), "t"))
        yield host


async def test_a_peer_is_told_what_we_listen_to_again_where_its_stream_broke(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REOPEN_S", 0.01)
    ear = Ear(1, resets=True)
    async with running(1, peers=PATIENT) as node, listener(9, node, ear):
        number = 0
        while not ear.heard:  # that a stream is broken is seen when it is written to
            await node.transport.gossip.publish("t", b"%d" % (number := number + 1))
            await trio.sleep(0.01)
        assert ear.heard[0] == Rpc(subscriptions=(Subscription(TOPIC),))


async def test_who_takes_no_gossip_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REOPEN_S", 0.01)
    monkeypatch.setattr(module, "WRITE_TIMEOUT_S", 0.2)
    monkeypatch.setattr(module, "BREAK_BURST", 2.0)
    async with running(1, peers=PATIENT) as node, listener(9, node, Ear(1_000)):
        number = 0
        while peer_id_of(9) in node.neighbours:
            await node.transport.gossip.publish("t", b"%d" % (number := number + 1) + bytes(90_000))
            await trio.sleep(0.01)


async def test_of_several_streams_the_latest_is_read() -> None:
    async with running(1, peers=PATIENT) as node, impostor(9, node) as (host, _):
        await until(lambda: peer_id_of(9) in node.neighbours)
        first = await open_gossip_stream(host, node)
        second = await open_gossip_stream(host, node)
        await until(lambda: first.muxed_stream.reset_received)  # type: ignore[attr-defined]
        await second.write(framed(encode(Rpc(subscriptions=(Subscription(TOPIC),)))))
        await until(lambda: node.transport.gossip.ready(peer_id_of(9), "t"))


async def test_what_is_not_checked_as_its_sender_goes_is_checked_when_it_comes_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_CHECKING", 1)
    release = trio.Event()
    seen: list[bytes] = []

    async def slow(_peer_id: str, data: bytes) -> bool:
        seen.append(data)
        await release.wait()
        return True

    keys = create_new_key_pair(b"\x07" * 32)
    news = tuple(
        signed(keys.private_key.sign, keys.public_key.to_bytes(), number, TOPIC, b"news %d" % number)
        for number in range(2)
    )
    async with running(1, peers=PATIENT) as node:
        await node.transport.gossip.subscribe("t", slow, max_bytes=1_000)
        async with impostor(9, node) as (host, _):
            await until(lambda: peer_id_of(9) in node.neighbours)
            stream = await open_gossip_stream(host, node)
            await stream.write(framed(encode(Rpc(messages=news))))
            await until(lambda: seen)
        await until(lambda: peer_id_of(9) not in node.neighbours)
        release.set()
        async with impostor(8, node) as (host, _):
            await until(lambda: peer_id_of(8) in node.neighbours)
            stream = await open_gossip_stream(host, node)
            await stream.write(framed(encode(Rpc(messages=news))))
            await until(lambda: len(seen) == 2)
        assert seen == [b"news 0", b"news 1"]
