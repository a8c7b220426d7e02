from __future__ import annotations

import logging
import struct
from typing import Any, cast

import pytest
import trio
from libp2p.abc import INetStream
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID
from libp2p.stream_muxer.yamux.yamux import FLAG_RST, TYPE_DATA, TYPE_WINDOW_UPDATE, YAMUX_HEADER_FORMAT

from chain.base.errors import InvariantBroken, Reason, Refused
from p2p.dues import Inquiry
from p2p.frames import NEGOTIATION, NOT_SUPPORTED
from p2p.network import open_transport
from p2p.peers import PeerSettings
from p2p.reputation import BLAMED, REFUSED
from p2p.requests import Failure, RequestError, reading
from tests.unit.p2p.net import (
    PATIENCE_S,
    PREFIX,
    NetNode,
    config_of,
    framed,
    impostor,
    mesh_of,
    peer_id_of,
    require_service,
    running,
    stranger,
    until,
)


class Free:
    """Nobody owes anything."""

    def order(self, _inquiry: Inquiry) -> Free:
        return self

    def debtor(self) -> None:
        return None

    def price(self, reply: bytes) -> int:
        return len(reply)


async def failure_of(node: NetNode, peer_id: str, name: str, request: bytes = b"", **options: Any) -> Failure:
    limits = {"max_response": 100, "timeout_s": PATIENCE_S, **options}
    with pytest.raises(RequestError) as caught:
        await node.transport.requests.ask(peer_id, name, request, **limits)
    return caught.value.failure


async def test_many_requests_at_once_are_all_answered() -> None:
    async with mesh_of(2) as (node, friend):
        replies: list[bytes] = []

        async def ask(number: int) -> None:
            reply = await friend.transport.requests.ask(
                node.peer_id, "big", b"%d" % number, max_response=300_000, timeout_s=PATIENCE_S
            )
            replies.append(reply)

        async def big(peer_id: str, request: bytes) -> bytes:
            assert peer_id == friend.peer_id
            return request * 100_000

        node.transport.requests.serve("big", big, max_request=10, max_response=300_000, max_concurrent=8)
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(ask, number)
        assert sorted(replies) == sorted(b"%d" % number * 100_000 for number in range(20))


async def test_who_takes_too_much_is_told_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.dues.DEBTOR_RATE", (1.0, 100_000.0))
    async with mesh_of(3) as (node, greedy, modest):

        async def big(_peer_id: str, _request: bytes) -> bytes:
            return bytes(200_000)

        node.transport.requests.serve("big", big, max_request=10, max_response=300_000, max_concurrent=8)
        limits: dict[str, Any] = {"max_response": 300_000, "timeout_s": PATIENCE_S}
        assert len(await greedy.transport.requests.ask(node.peer_id, "big", b"", **limits)) == 200_000
        with monkeypatch.context() as patch:  # for this one: a busy machine may take as long over a good request
            patch.setattr("p2p.requests.TURN_TIMEOUT_S", 0.05)
            assert await failure_of(greedy, node.peer_id, "big", **limits) is Failure.BUSY
        assert len(await modest.transport.requests.ask(node.peer_id, "big", b"", **limits)) == 200_000


async def test_what_is_of_use_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.dues.DEBTOR_RATE", (1.0, 100_000.0))
    async with mesh_of(2) as (node, friend):

        async def big(_peer_id: str, _request: bytes) -> bytes:
            return bytes(200_000)

        node.transport.requests.dues.prices = Free()
        node.transport.requests.serve("big", big, max_request=10, max_response=300_000, max_concurrent=8)
        for _ in range(3):
            ask = friend.transport.requests.ask(node.peer_id, "big", b"", max_response=300_000, timeout_s=PATIENCE_S)
            assert len(await ask) == 200_000


async def test_what_arrives_of_a_reply_is_told() -> None:
    async with mesh_of(2) as (node, friend):

        async def big(_peer_id: str, _request: bytes) -> bytes:
            return bytes(290_000)

        told: list[tuple[int, int]] = []
        node.transport.requests.serve("big", big, max_request=10, max_response=300_000, max_concurrent=8)
        await friend.transport.requests.ask(
            node.peer_id,
            "big",
            b"",
            max_response=300_000,
            timeout_s=PATIENCE_S,
            on_progress=lambda *it: told.append(it),
        )
        received = [received for received, size in told if size == 290_001]
        assert received == sorted(received)
        assert len(received) > 1


async def test_what_a_handler_does_is_told_as_what_it_is(caplog: pytest.LogCaptureFixture) -> None:
    async def refuse(peer_id: str, request: bytes) -> bytes:
        raise Refused(Reason.UNSOLICITED, "not you")

    async def crash(peer_id: str, request: bytes) -> bytes:
        raise ValueError("a fault of ours")

    async with mesh_of(2) as (node, friend):
        for name, handler in (("refuse", refuse), ("crash", crash)):
            node.transport.requests.serve(name, handler, max_request=10, max_response=10, max_concurrent=1)
        with caplog.at_level(logging.ERROR):
            assert await failure_of(friend, node.peer_id, "refuse") is Failure.REFUSED
            assert not caplog.records
            assert await failure_of(friend, node.peer_id, "crash") is Failure.FAILED
            assert [record.message for record in caplog.records] == ["answering crash failed"]
        assert await failure_of(friend, node.peer_id, "unknown") is Failure.UNSUPPORTED
        assert await failure_of(friend, peer_id_of(7), "echo") is Failure.DISCONNECTED
        assert await failure_of(friend, node.peer_id, "echo", b"x" * 200) is Failure.TOO_LARGE
        await require_service(node, friend)


async def test_who_says_no_and_resets_at_once_is_heard() -> None:
    # given a peer that takes what follows the proposal for another one, as js-libp2p does: its two frames come together
    async with running(1) as node, stranger(2, node) as host:

        async def says_no(stream: INetStream) -> None:
            connection: Any = stream.muxed_conn
            number = cast(Any, stream).muxed_stream.stream_id
            said = framed(NEGOTIATION) + framed(NOT_SUPPORTED)
            data = struct.pack(YAMUX_HEADER_FORMAT, 0, TYPE_DATA, 0, number, len(said)) + said
            await connection.secured_conn.write(
                data + struct.pack(YAMUX_HEADER_FORMAT, 0, TYPE_WINDOW_UPDATE, FLAG_RST, number, 0)
            )

        host.swarm.set_stream_handler(says_no)
        foreigner = str(host.get_id())
        for _ in range(20):
            with pytest.raises(RequestError) as caught:
                await node.transport.requests.ask_now(foreigner, "x", b"y", max_response=9, timeout_s=PATIENCE_S)
            assert caught.value.failure is Failure.UNSUPPORTED


async def test_more_at_once_than_served_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.requests.TURN_TIMEOUT_S", 0.1)
    monkeypatch.setattr("p2p.requests.GRACE_S", PATIENCE_S)
    async with mesh_of(2) as (node, friend):
        started, release = trio.Event(), trio.Event()

        async def wait(peer_id: str, request: bytes) -> bytes:
            started.set()
            await release.wait()
            return b""

        node.transport.requests.serve("wait", wait, max_request=10, max_response=10, max_concurrent=1)
        async with trio.open_nursery() as nursery:

            async def first() -> None:
                await friend.transport.requests.ask(node.peer_id, "wait", b"", max_response=10, timeout_s=PATIENCE_S)

            nursery.start_soon(first)
            await started.wait()
            assert await failure_of(friend, node.peer_id, "wait") is Failure.BUSY
            release.set()


async def test_who_asks_too_often_is_turned_away_and_in_the_end_banned() -> None:
    silent = PeerSettings(ping_interval_s=10 * PATIENCE_S)  # pings are requests, too
    async with (
        running(1, request_rate=(0.0, 10.0)) as node,
        running(2, bootstrap=(node.address,), peers=silent) as friend,
    ):
        await until(lambda: node.peer_id in friend.neighbours)
        failures = []
        while node.peer_id in friend.neighbours:
            try:
                await friend.transport.requests.ask(node.peer_id, "echo", b"", max_response=10, timeout_s=PATIENCE_S)
            except RequestError as error:
                failures.append(error.failure)
        assert set(failures) <= {Failure.BUSY, Failure.DISCONNECTED}
        assert failures.count(Failure.BUSY) >= 18


async def test_a_silent_peer_costs_the_timeout_and_not_more() -> None:
    async with mesh_of(2) as (node, friend):

        async def silent(peer_id: str, request: bytes) -> bytes:
            await trio.sleep_forever()
            raise AssertionError

        node.transport.requests.serve("silent", silent, max_request=10, max_response=10, max_concurrent=1)
        assert await failure_of(friend, node.peer_id, "silent", timeout_s=0.2) is Failure.TIMEOUT
        await require_service(node, friend)


@pytest.mark.parametrize(
    ("reply", "failure"),
    [
        (framed(b""), Failure.MALFORMED),
        (framed(b"\x77garbage"), Failure.MALFORMED),
        (framed(b"\x00" + b"x" * 1000), Failure.TOO_LARGE),
        (framed(b"\x00" + b"x" * 101), Failure.TOO_LARGE),
        (b"\xff" * 50, Failure.TOO_LARGE),
        (framed(b"\x00whole")[:4], Failure.DISCONNECTED),
        (framed(b"\x02\xff\xfe no"), Failure.REFUSED),
    ],
)
async def test_a_garbage_reply_is_a_failure_of_the_right_kind(reply: bytes, failure: Failure) -> None:
    async def answer(stream: object) -> None:
        await stream.write(reply)  # type: ignore[attr-defined]
        await stream.close()  # type: ignore[attr-defined]

    async with mesh_of(2) as (node, friend), impostor(9, node) as (host, _):
        host.set_stream_handler(TProtocol(PREFIX + "echo"), answer)
        await until(lambda: peer_id_of(9) in node.neighbours)
        assert await failure_of(node, peer_id_of(9), "echo") is failure
        await require_service(node, friend)


@pytest.mark.parametrize(
    "request_bytes",
    [framed(b"x" * 1001), b"\x80\x94\xeb\xdc\x03", b"\xff" * 30],
    ids=["oversize", "a-gigabyte-announced", "endless-length"],
)
async def test_crash_way_3_a_hostile_request_is_counted_against_its_sender(request_bytes: bytes) -> None:
    async with mesh_of(2) as (node, friend), impostor(9, node) as (host, _):
        await until(lambda: peer_id_of(9) in node.neighbours)
        stream = await host.new_stream(ID.from_base58(node.peer_id), [TProtocol(PREFIX + "echo")])
        await stream.write(request_bytes)
        await until(lambda: any(info.score > 20 for info in node.transport.peers.connected()))
        await require_service(node, friend)


async def test_a_request_that_cannot_be_read_is_counted_and_held_against_its_sender() -> None:
    async def picky(_peer_id: str, request: bytes) -> bytes:
        refusal = Refused(Reason.MALFORMED, "not that")
        if request:  # what was read, and is found to be wrong here, is not the sender's fault
            raise refusal
        with reading():
            raise refusal

    async with mesh_of(2) as (node, friend), impostor(9, node) as (_, requests):
        refused, blamed = REFUSED[Reason.MALFORMED], BLAMED[Reason.MALFORMED]
        node.transport.requests.serve("picky", picky, max_request=9, max_response=9, max_concurrent=1)
        for request in (b"good", b""):
            assert BLAMED[Reason.MALFORMED] == blamed
            with pytest.raises(RequestError, match="malformed"):
                await requests.ask(node.peer_id, "picky", request, max_response=9, timeout_s=PATIENCE_S)
        assert (REFUSED[Reason.MALFORMED], BLAMED[Reason.MALFORMED]) == (refused + 2, blamed + 1)
        assert any(info.score > 20 for info in node.transport.peers.connected())
        await require_service(node, friend)


async def test_crash_way_3_a_protocol_name_that_is_not_text() -> None:
    async with mesh_of(2) as (node, friend), impostor(9, node) as (host, _):
        stream = await host.swarm.new_stream(ID.from_base58(node.peer_id))
        await stream.write(framed(b"/multistream/1.0.0\n") + framed(b"\xff\xfe\n"))
        await until(lambda: stream.muxed_stream.reset_received)  # type: ignore[attr-defined]
        await require_service(node, friend)


async def test_a_broken_invariant_in_a_handler_stops_the_transport() -> None:
    async def broken(peer_id: str, request: bytes) -> bytes:
        raise InvariantBroken("seen in a handler")

    async def run_until_asked(friend: NetNode) -> None:
        async with open_transport(config_of(2, bootstrap=(friend.address,))) as transport:
            transport.requests.serve("broken", broken, max_request=1, max_response=1, max_concurrent=1)
            transport.start()
            await until(lambda: transport.peer_id in friend.neighbours)
            await failure_of(friend, transport.peer_id, "broken")
            await trio.sleep_forever()

    async with running(1) as friend:
        with pytest.raises(InvariantBroken, match="seen in a handler"):
            await run_until_asked(friend)


async def test_answered_streams_are_forgotten_on_both_sides() -> None:
    async with mesh_of(2) as (node, _), impostor(9, node) as (host, requests):
        muxed = host.swarm.connections[ID.from_base58(node.peer_id)][0].muxed_conn
        await until(lambda: peer_id_of(9) in node.neighbours)
        before = len(muxed.streams)  # type: ignore[attr-defined]
        for _ in range(10):
            await requests.ask(node.peer_id, "echo", b"x", max_response=10, timeout_s=PATIENCE_S)
        await until(lambda: len(muxed.streams) <= before)  # type: ignore[attr-defined]
