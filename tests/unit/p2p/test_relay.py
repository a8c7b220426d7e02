"""Items passed on hop by hop, over real transports on loopback, and peers that abuse it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import count, islice, pairwise, repeat

import pytest
import trio
import trio.testing
from libp2p.abc import INetStream
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID

from chain.base.errors import InvariantBroken
from chain.protocol.messages import RawItems
from p2p import relay as module
from p2p.frames import FrameReader, StreamEnded, write_frame
from p2p.host import GuardedHost
from p2p.relay import FRAME_BURST, ITEM_BURST, MAX_FRAME_BYTES, MAX_FRAME_ITEMS, MAX_ITEM_BYTES, MAX_WAITING, Line
from p2p.reputation import BLAMED
from tests.unit.p2p.net import (
    PATIENCE_S,
    PREFIX,
    NetNode,
    framed,
    impostor,
    peer_id_of,
    require_service,
    running,
    until,
)

PROTOCOL = TProtocol(PREFIX + "attest")


@pytest.fixture(autouse=True)
def _long_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known stays known, however long a test takes."""
    monkeypatch.setattr(module, "FORGET_S", 10 * PATIENCE_S)


class Voice:
    """What a node's relay is given, and what it makes of it: items that begin with ``bad`` are not let in."""

    def __init__(self, node: NetNode) -> None:
        self.node = node
        self.frames: list[tuple[str, tuple[bytes, ...]]] = []
        self.pause = trio.Event()
        self.pause.set()
        node.transport.relay.serve(self.admit, lambda: node.neighbours)

    async def admit(self, peer_id: str, items: Sequence[bytes]) -> Collection[bytes]:
        self.frames.append((peer_id, tuple(items)))
        await self.pause.wait()
        if b"bug" in items:
            raise InvariantBroken("a bug")
        if b"fault" in items:
            raise ValueError("a fault")
        return [item for item in items if not item.startswith(b"bad")]

    @property
    def heard(self) -> list[bytes]:
        return sorted(item for _, items in self.frames for item in items)

    def send(self, *items: bytes) -> None:
        self.node.transport.relay.send(items)


@asynccontextmanager
async def row_of(length: int) -> AsyncIterator[list[Voice]]:
    """Nodes of which each knows only the one before and the one after."""
    async with AsyncExitStack() as stack:
        voices: list[Voice] = []
        for number in range(1, length + 1):
            known = tuple(voice.node.address for voice in voices[-1:])
            voices.append(Voice(await stack.enter_async_context(running(number, bootstrap=known))))
            for voice in voices:  # of those that others tell it of it wants none
                voice.node.transport.peers.block({peer_id_of(n) for n in range(1, length + 1)} - near(voices, voice))
        for one, two in pairwise(voices):
            await until(lambda one=one, two=two: two.node.peer_id in one.node.neighbours)  # type: ignore[misc]
            await until(lambda one=one, two=two: one.node.peer_id in two.node.neighbours)  # type: ignore[misc]
        yield voices


def near(voices: list[Voice], voice: Voice) -> set[str]:
    place = voices.index(voice) + 1
    return {peer_id_of(number) for number in (place - 1, place + 1)}


@asynccontextmanager
async def attacked() -> AsyncIterator[tuple[Voice, Voice, GuardedHost]]:
    """A node, a friend of it, and a hostile host that it takes for one of ours."""
    async with row_of(2) as (voice, friend), impostor(9, voice.node) as (host, _):
        await until(lambda: peer_id_of(9) in voice.node.neighbours)
        yield voice, friend, host


async def never_read(_stream: INetStream) -> None:
    await trio.sleep_forever()


async def open_items(host: GuardedHost, voice: Voice) -> INetStream:
    return await host.new_stream(ID.from_base58(voice.node.peer_id), [PROTOCOL])


def encoded(*items: bytes) -> bytes:
    return RawItems(items).encode()


async def require_relay(voice: Voice, friend: Voice) -> None:
    """``voice`` still answers and takes and passes on what its ``friend`` says."""
    await require_service_of_requests(voice.node, friend.node)
    item = b"still there? %d" % len(voice.frames)
    friend.send(item)
    await until(lambda: item in voice.heard)


async def require_service_of_requests(node: NetNode, friend: NetNode) -> None:
    ask = friend.transport.requests.ask
    assert await ask(node.peer_id, "echo", b"there?", max_response=10, timeout_s=PATIENCE_S) == b"there?"


def is_gone(voice: Voice) -> bool:
    return peer_id_of(9) in voice.node.transport.peers.bans()


# ---------------------------------------------------------------------------------------------------- how it goes


async def test_what_one_says_reaches_everyone_hop_by_hop_and_each_of_them_once() -> None:
    async with row_of(4) as voices:
        items = [b"item %d" % number for number in range(200)]
        voices[0].send(*items)
        for voice in voices[1:]:
            await until(lambda voice=voice: voice.heard == sorted(items))  # type: ignore[misc]
        voices[3].send(b"an answer")
        await until(lambda: voices[0].heard == [b"an answer"])
        assert [voice.heard.count(b"an answer") for voice in voices] == [1, 1, 1, 0]
        assert voices[3].frames[0][0] == voices[2].node.peer_id


async def test_what_comes_together_travels_in_one_frame() -> None:
    async with row_of(2) as (one, two):
        for number in range(50):
            one.send(b"%d" % number)
        await until(lambda: len(two.heard) == 50)
        assert len(two.frames) == 1


async def test_a_neighbour_is_not_sent_what_it_has_sent_by_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAIT_S", PATIENCE_S)
    async with attacked() as (voice, _friend, host):
        host.set_stream_handler(PROTOCOL, never_read)
        voice.send(b"common", b"other")
        assert voice.node.transport.relay.waiting(peer_id_of(9)) == 2
        await write_frame(await open_items(host, voice), encoded(b"common"))
        await until(lambda: voice.node.transport.relay.waiting(peer_id_of(9)) == 1)
        assert not voice.heard


async def test_only_what_is_let_in_is_passed_on_and_the_rest_is_new_when_it_comes_again() -> None:
    async with row_of(3) as (one, two, three):
        one.send(b"bad", b"good")
        await until(lambda: three.heard == [b"good"])
        assert two.heard == [b"bad", b"good"]
        one.send(b"bad", b"good", b"more")
        await until(lambda: three.heard == [b"good", b"more"])
        assert two.heard == [b"bad", b"bad", b"good", b"more"]


async def test_what_is_said_again_later_is_passed_on_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FORGET_S", 0.0)
    async with row_of(3) as (one, _two, three):
        one.send(b"again")
        await until(lambda: three.heard == [b"again"])
        one.send(b"again")
        await until(lambda: three.heard == [b"again", b"again"])


async def test_one_that_was_gone_hears_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with row_of(2) as (one, two):
        one.send(b"before")
        await until(lambda: two.heard)
        one.node.transport.peers.disconnect(two.node.peer_id)
        await until(lambda: one.node.disconnected)
        await until(lambda: two.node.peer_id in one.node.neighbours and one.node.peer_id in two.node.neighbours)
        one.send(b"after")
        await until(lambda: two.heard == [b"after", b"before"])


async def test_what_our_side_makes_of_it_never_stops_the_reading(caplog: pytest.LogCaptureFixture) -> None:
    async with row_of(2) as (one, two):
        with caplog.at_level(logging.ERROR):
            one.send(b"fault")
            await until(lambda: [record.message for record in caplog.records] == ["admitting items failed"])
        await require_relay(two, one)
        assert [info.score for info in two.node.transport.peers.connected()] == [0.0]


async def test_what_hangs_is_let_go(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(module, "ADMIT_TIMEOUT_S", 0.05)
    async with row_of(2) as (one, two):
        two.pause = trio.Event()
        with caplog.at_level(logging.ERROR):
            one.send(b"x")
            await until(lambda: "admitting items takes too long" in caplog.text)
        monkeypatch.setattr(module, "ADMIT_TIMEOUT_S", PATIENCE_S)
        two.pause.set()
        await require_relay(two, one)


async def test_a_bug_of_ours_stops_the_transport() -> None:
    async def hear_a_bug(voice: Voice) -> None:
        async with running(2, bootstrap=(voice.node.address,)) as node:
            Voice(node)
            await until(lambda: node.peer_id in voice.node.neighbours)
            voice.send(b"bug")
            await trio.sleep_forever()

    async with running(1) as node:
        with pytest.raises(InvariantBroken, match="a bug"):
            await hear_a_bug(Voice(node))


@pytest.mark.parametrize("size", [0, MAX_ITEM_BYTES + 1])
async def test_an_item_that_others_would_refuse_is_a_bug(size: int) -> None:
    async with running(1) as node:
        voice = Voice(node)
        voice.send(bytes(1), bytes(MAX_ITEM_BYTES))
        with pytest.raises(InvariantBroken):
            voice.send(bytes(size))


# -------------------------------------------------------------------------------------------------------- abuse


@pytest.mark.parametrize(
    ("raw", "is_frame"),
    [
        (framed(b"\xff" * 40), True),
        (framed(b""), True),
        (framed(encoded()), True),
        (framed(encoded(b"")), True),
        (framed(encoded(b"fine", bytes(MAX_ITEM_BYTES + 1))), True),
        (framed(encoded(*(b"%d" % number for number in range(MAX_FRAME_ITEMS + 1)))), True),
        (framed(bytes(MAX_FRAME_BYTES + 1))[:10], False),
        (b"\xff" * 20, False),
    ],
    ids=["garbage", "nothing", "no items", "empty item", "large item", "many items", "large frame", "no frame"],
)
async def test_what_nobody_honest_sends_is_banned_and_counted(raw: bytes, is_frame: bool) -> None:
    before = BLAMED.total()
    async with attacked() as (voice, friend, host):
        stream = await open_items(host, voice)
        await stream.write(raw)
        await until(lambda: is_gone(voice))
        assert not voice.frames
        assert BLAMED.total() == before + is_frame
        await require_relay(voice, friend)


async def test_the_largest_frame_is_taken() -> None:
    async with attacked() as (voice, _friend, host):
        stream = await open_items(host, voice)
        items = [b"%0120d" % number for number in range(MAX_FRAME_ITEMS)]
        await write_frame(stream, encoded(*items))
        await write_frame(stream, encoded(bytes(MAX_ITEM_BYTES)))
        await until(lambda: len(voice.heard) == MAX_FRAME_ITEMS + 1)
        assert not is_gone(voice)


async def flood(host: GuardedHost, voice: Voice, frames: Iterable[bytes]) -> None:
    """Frame after frame until the node has had enough."""
    stream = await open_items(host, voice)
    for frame in frames:
        if is_gone(voice):
            break
        with suppress(StreamEnded):
            await write_frame(stream, frame)
    await until(lambda: is_gone(voice))


async def test_a_flood_of_frames_is_banned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FRAME_RATE_PER_S", 1e-9)
    async with attacked() as (voice, friend, host):
        await flood(host, voice, repeat(encoded(b"the same item")))
        assert voice.heard == [b"the same item"]
        await require_relay(voice, friend)


async def test_a_flood_of_items_is_banned_before_many_were_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ITEM_RATE_PER_S", 1e-9)
    async with attacked() as (voice, friend, host):
        numbers = count()
        frames = (encoded(*(b"%d" % number for number in islice(numbers, MAX_FRAME_ITEMS))) for _ in repeat(None))
        await flood(host, voice, frames)
        assert len(voice.heard) == ITEM_BURST
        await require_relay(voice, friend)


async def test_one_stream_of_a_peer_is_read_and_the_latest_is() -> None:
    async with attacked() as (voice, friend, host):
        old = await open_items(host, voice)
        await write_frame(old, encoded(b"on the old one"))
        await until(lambda: voice.heard)
        streams = [await open_items(host, voice) for _ in range(20)]
        await write_frame(streams[-1], encoded(b"on the new one"))
        await until(lambda: len(voice.heard) == 2)
        with pytest.raises(StreamEnded):
            await FrameReader(old).frame(100)
        assert not is_gone(voice)
        await require_relay(voice, friend)


async def test_a_frame_held_back_holds_up_nobody() -> None:
    async with attacked() as (voice, friend, host):
        stream = await open_items(host, voice)
        await stream.write(framed(encoded(b"never whole"))[:5])
        await require_relay(voice, friend)
        assert b"never whole" not in voice.heard


async def test_one_whose_items_take_long_holds_up_nobody_but_itself() -> None:
    async with attacked() as (voice, friend, host):
        friend.send(b"hello")
        await until(lambda: voice.heard)
        stream = await open_items(host, voice)
        voice.pause = trio.Event()
        for number in range(5):
            await write_frame(stream, encoded(b"slow %d" % number))
        await until(lambda: b"slow 0" in voice.heard)
        friend.send(b"quick")
        await until(lambda: not friend.node.transport.relay.waiting(voice.node.peer_id))
        await require_service(voice.node, friend.node)  # what was asked after it has come
        voice.pause.set()
        await until(lambda: len(voice.heard) == 7)
        # One frame of each peer waits in line at most.
        assert [items for _, items in voice.frames].index((b"quick",)) <= 4  # after the hello


async def test_one_that_never_reads_costs_so_much_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAIT_S", 0.001)
    monkeypatch.setattr(module, "ITEM_RATE_PER_S", 1e9)
    monkeypatch.setattr(module, "WRITE_TIMEOUT_S", 0.5)
    monkeypatch.setattr(module, "REOPEN_S", 0.01)
    async with attacked() as (voice, friend, host):
        taken: list[INetStream] = []

        async def take_no_more(stream: INetStream) -> None:
            taken.append(stream)
            await never_read(stream)

        host.set_stream_handler(PROTOCOL, take_no_more)
        numbers, most = count(), 0
        while len(taken) < 2:  # the first took what the multiplexer takes for it, and then nothing
            voice.send(*(b"%0500d" % number for number in islice(numbers, 100)))
            most = max(most, voice.node.transport.relay.waiting(peer_id_of(9)))
            await trio.sleep(0.001)
        assert most == MAX_WAITING
        await require_relay(voice, friend)


async def test_one_that_breaks_every_stream_gets_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REOPEN_S", 0.01)
    async with attacked() as (voice, friend, host):
        taken = []

        async def reset(stream: INetStream) -> None:
            taken.append(stream)
            await stream.reset()

        host.set_stream_handler(PROTOCOL, reset)
        number = 0
        while len(taken) < 3:
            number += 1
            voice.send(b"%d" % number)
            await trio.sleep(0.01)
        await require_relay(voice, friend)


async def test_one_without_the_protocol_is_let_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REOPEN_S", 0.01)
    async with attacked() as (voice, friend, _host):
        voice.send(b"to whom it may concern")
        await until(lambda: friend.heard)
        await until(lambda: voice.node.transport.relay.waiting(peer_id_of(9)) == 0)
        await require_relay(voice, friend)


async def test_nothing_is_kept_for_a_peer_that_has_gone() -> None:
    async with row_of(1) as (voice,):
        async with impostor(9, voice.node):
            await until(lambda: peer_id_of(9) in voice.node.neighbours)
            voice.send(b"x")
            assert voice.node.transport.relay.waiting(peer_id_of(9)) == 1
        await until(lambda: voice.node.disconnected)
        assert voice.node.transport.relay.waiting(peer_id_of(9)) == 0


# ------------------------------------------------------------------------------------------------- what is kept


async def test_a_line_holds_so_many_and_drops_the_oldest() -> None:
    line = Line()
    line.put({b"%d" % number: b"%d" % number for number in range(MAX_WAITING + 3)})
    assert len(line) == MAX_WAITING
    assert line.take()[0] == b"3"


async def test_a_line_gives_frames_that_are_taken_and_leaves_the_rest_for_the_next() -> None:
    line = Line()
    items = {b"%d" % number: bytes(MAX_ITEM_BYTES) for number in range(MAX_FRAME_ITEMS)}
    line.put(items)
    taken = 0
    while line.filled.is_set():
        frame = line.take()
        assert 0 < len(encoded(*frame)) <= MAX_FRAME_BYTES
        taken += len(frame)
    assert taken == MAX_FRAME_ITEMS
    assert len(line) == 0


async def test_what_the_other_side_has_is_not_sent() -> None:
    line = Line()
    line.put({b"a": b"A", b"b": b"B"})
    line.strike([b"a", b"unknown"])
    assert line.take() == (b"B",)
    assert not line.filled.is_set()


async def test_a_line_sends_no_more_than_the_other_side_takes(autojump_clock: trio.testing.MockClock) -> None:
    line = Line()
    sent = 0
    for number in range(20):
        line.put({b"%d %d" % (number, step): b"x" for step in range(MAX_FRAME_ITEMS)})
        sent += len(line.take())
    assert sent == ITEM_BURST / 2
    assert line.filled.is_set()
    await trio.sleep(60)
    assert len(line.take()) == MAX_FRAME_ITEMS


async def test_the_memory_of_items_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KNOWN", 2)
    async with row_of(2) as (one, two):
        for item in (b"1", b"2", b"3"):
            one.send(item)
            await until(lambda item=item: item in two.heard)  # type: ignore[misc]
        one.send(b"1", b"3")
        await until(lambda: two.heard.count(b"1") == 2)
        assert two.heard.count(b"3") == 1


def test_an_honest_peer_keeps_to_the_rates() -> None:
    assert module.FRAME_RATE_PER_S >= 2 / module.WAIT_S
    # A peer that stopped for as long as pings allow takes what was sent meanwhile.
    assert FRAME_BURST >= 13 / module.WAIT_S
