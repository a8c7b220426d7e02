"""Streams of gossip that break, that nobody reads, and that are not the latest."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio
from libp2p.abc import INetStream
from libp2p.crypto.ed25519 import create_new_key_pair

from chain.base.errors import Refused
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


def news_of(number: int, count: int) -> list[bytes]:
    """New messages of one peer, each in a frame of its own, of a hundred bytes and some."""
    keys = create_new_key_pair(bytes([number]) * 32)
    sign, public = keys.private_key.sign, keys.public_key.to_bytes()
    messages = [signed(sign, public, at, TOPIC, b"%d of %d " % (at, number) + bytes(100)) for at in range(count)]
    return [framed(encode(Rpc(messages=(message,)))) for message in messages]


async def test_what_strangers_bring_too_fast_waits_at_their_end_and_nobody_else_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # given a rate at which nothing is forgiven while this runs, and room for two messages of a stranger
    monkeypatch.setattr(module, "STRANGER_RATE", (1e-6, 150.0))
    seen: list[bytes] = []

    async def note(_peer_id: str, data: bytes) -> bool:
        seen.append(data[:6])
        return True

    async with running(1, peers=PATIENT) as node, impostor(9, node) as (stranger, _), impostor(8, node) as (named, _):
        await node.transport.gossip.subscribe("t", note, max_bytes=1_000)
        await until(lambda: {peer_id_of(8), peer_id_of(9)} <= set(node.neighbours))
        node.transport.gossip.vouch(peer_id_of(8), True)
        strange, trusted = await open_gossip_stream(stranger, node), await open_gossip_stream(named, node)

        # when the stranger repeats itself, that costs it nothing; then come more news of it than it may bring
        first, *rest = news_of(9, 5)
        for frame in (first, first, first, *rest):
            await strange.write(frame)
        await until(lambda: len(seen) == 2)
        for frame in news_of(8, 5):
            await trusted.write(frame)

        # then all of the other comes, and two of the stranger's
        await until(lambda: len(seen) == 7)
        assert seen == [b"0 of 9", b"1 of 9", *(b"%d of 8" % number for number in range(5))]


async def test_many_strangers_together_may_bring_no_more_than_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STRANGERS_RATE", (1e-6, 50.0))
    monkeypatch.setattr(module, "SHARE_RATE", (1e-6, 50.0))  # all of them are on one host
    seen: list[str] = []

    async def note(peer_id: str, _data: bytes) -> bool:
        seen.append(peer_id)
        return True

    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(running(1, peers=PATIENT))
        await node.transport.gossip.subscribe("t", note, max_bytes=1_000)
        streams = {}
        for number in (7, 8, 9):
            host, _ = await stack.enter_async_context(impostor(number, node))
            await until(lambda number=number: peer_id_of(number) in node.neighbours)  # type: ignore[misc]
            streams[number] = await open_gossip_stream(host, node)
        node.transport.gossip.vouch(peer_id_of(7), True)

        # given a stranger that brought more than that, when another comes
        await streams[9].write(news_of(9, 1)[0])
        await until(lambda: seen == [peer_id_of(9)])
        for frame in news_of(8, 3):
            await streams[8].write(frame)

        # then what it was read for already is taken, and nothing more; who is known is heard
        await until(lambda: peer_id_of(8) in seen)
        await streams[7].write(news_of(7, 1)[0])
        await until(lambda: peer_id_of(7) in seen)
        assert seen == [peer_id_of(9), peer_id_of(8), peer_id_of(7)]
