from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from p2p.addresses import read_address
from p2p.bookfile import BookFile
from p2p.peers import PeerSettings
from p2p.requests import RequestError
from tests.unit.p2p.net import (
    PATIENCE_S,
    QUICK_PINGS,
    free_address,
    impostor,
    mesh_of,
    meshed,
    peer_id_of,
    require_service,
    running,
    stranger,
    until,
)


async def test_two_peers_greet_each_other_at_once() -> None:
    async with running(1) as first, running(2, bootstrap=(first.address,)) as second:
        await until(lambda: first.hellos and second.hellos)
        assert first.hellos == {second.peer_id: b"hello of 2"}
        assert second.hellos == {first.peer_id: b"hello of 1"}
        assert (first.connected, second.connected) == ([second.peer_id], [first.peer_id])
        (info,) = second.transport.peers.connected()
        assert (info.direction, info.peer_id) == ("outbound", first.peer_id)


async def test_peers_that_know_each_other_keep_one_connection() -> None:
    listen = [free_address() for _ in range(2)]
    full = tuple(f"{address}/p2p/{peer_id_of(number)}" for number, address in enumerate(listen, 1))
    async with (
        running(1, listen=(listen[0],), bootstrap=full) as first,  # its own address is in there, too
        running(2, listen=(listen[1],), bootstrap=full) as second,
    ):
        await meshed([first, second])
        await require_service(first, second)
        assert first.neighbours == {second.peer_id}


async def test_peers_are_learned_from_peers() -> None:
    async with (
        running(1) as hub,
        running(2, bootstrap=(hub.address,)) as second,
        running(3, bootstrap=(hub.address,)) as third,
    ):
        await until(lambda: third.peer_id in second.neighbours)
        await until(lambda: second.peer_id in third.neighbours)


async def test_peers_that_come_at_the_same_time_find_each_other() -> None:
    async with running(1) as hub, AsyncExitStack() as stack:
        nodes = [stack.enter_async_context(running(number, bootstrap=(hub.address,))) for number in range(2, 6)]
        opened = [await node for node in nodes]
        for node in opened:
            await until(lambda node=node: len(node.neighbours) == 4)  # type: ignore[misc]


async def test_only_so_many_of_one_neighbourhood_are_dialled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.peers.neighbourhood", lambda host: host)
    monkeypatch.setattr("p2p.peers.MAX_DIALLED_NEIGHBOURS", 1)
    async with running(1) as hub, running(2, bootstrap=(hub.address,)) as second:
        await until(lambda: hub.transport.peers._book.proven())
        async with running(3, bootstrap=(hub.address,)) as third:
            peers = third.transport.peers
            await until(lambda: peers._book.get(second.peer_id))
            contact = peers._book.get(second.peer_id)
            assert contact is not None
            assert third.neighbours == {hub.peer_id}
            assert not peers._wants(contact)
            monkeypatch.setattr("p2p.peers.MAX_DIALLED_NEIGHBOURS", 2)
            await until(lambda: second.peer_id in third.neighbours)


async def test_a_restarted_node_finds_those_that_it_knew_without_anybody_named(tmp_path: Path) -> None:
    listen = [(free_address(),) for _ in range(2)]
    books = [tmp_path / name for name in "ab"]
    async with running(1) as founder:
        named = (founder.address,)
        async with (
            running(2, listen=listen[0], bootstrap=named, book=books[0]) as first,
            running(3, listen=listen[1], bootstrap=named, book=books[1]) as second,
        ):
            await until(lambda: second.peer_id in first.neighbours and first.neighbours == first.reached)
            await until(lambda: second.neighbours == second.reached)
    async with (
        running(2, listen=listen[0], bootstrap=named, book=books[0]) as first,
        running(3, listen=listen[1], bootstrap=named, book=books[1]) as second,
    ):
        await meshed([first, second])


async def test_seeds_are_asked_by_a_node_that_knows_nobody_and_by_no_other(tmp_path: Path) -> None:
    async with running(1) as seed, mesh_of(3, first=2) as friends:
        async with running(8, seeds=(seed.address,)) as lost:
            await until(lambda: seed.peer_id in lost.neighbours)
        book = tmp_path / "book"
        known = [address for friend in friends for address in [read_address(friend.address)] if address]
        BookFile(book).write(known)
        async with running(9, seeds=(seed.address,), book=book) as wise:
            await until(lambda: len(wise.neighbours) == 3)
            assert wise.neighbours == {friend.peer_id for friend in friends}


async def test_all_are_dialled_at_once_when_our_own_line_is_back() -> None:
    async with running(1) as node, running(2) as first, running(3) as second:
        book = node.transport.peers._book
        for other in (first, second):
            address = read_address(other.address)
            assert address is not None
            book.reached(address, trio.current_time())
        distant = book.get(second.peer_id)
        assert distant is not None
        distant.failures, distant.due_at = 20, trio.current_time() + 3600
        await until(lambda: node.neighbours == {first.peer_id, second.peer_id})


async def test_only_so_many_learned_peers_are_dialled() -> None:
    settings = PeerSettings(max_peers=1)
    async with (
        running(1) as hub,
        running(2, bootstrap=(hub.address,), peers=settings) as second,
        running(3, bootstrap=(hub.address,), peers=settings) as third,
    ):
        await until(lambda: len(hub.neighbours) == 2)
        await require_service(hub, second)
        assert second.neighbours == third.neighbours == {hub.peer_id}


async def test_a_restarted_peer_is_back_without_dead_time() -> None:
    listen = free_address()
    address = f"{listen}/p2p/{peer_id_of(1)}"
    async with running(2, bootstrap=(address,)) as survivor:
        for life in range(1, 3):
            # It was dialled in vain while it was away, after which the library refuses for a minute.
            with trio.fail_after(55):
                async with running(1, listen=(listen,)) as mortal:
                    await meshed([mortal, survivor])
                    await require_service(mortal, survivor)
                    assert survivor.connected == [mortal.peer_id] * life
                    hellos = survivor.hellos
            await until(lambda: not survivor.neighbours)
            contact = survivor.transport.peers._book.get(peer_id_of(1))
            assert contact is not None
            await until(lambda contact=contact: contact.failures >= 2)  # type: ignore[misc]
        assert hellos == {peer_id_of(1): b"hello of 1"}


async def test_a_peer_that_stops_answering_is_dropped() -> None:
    impatient = replace(QUICK_PINGS, ping_timeout_s=0.5)
    async with running(1, peers=impatient) as node, impostor(9, node) as (_, requests):

        async def silent(peer_id: str, request: bytes) -> bytes:
            await trio.sleep_forever()
            raise AssertionError

        requests.serve("ping", silent, max_request=64, max_response=64, max_concurrent=64)
        await until(lambda: node.connected)
        await until(lambda: node.disconnected)
        assert node.disconnected == [peer_id_of(9)]


async def test_pings_measure_the_round_trip() -> None:
    async with running(1, peers=QUICK_PINGS) as first, running(2, bootstrap=(first.address,)) as second:
        await until(lambda: any(info.rtt_ms for info in first.transport.peers.connected()))
        assert second.neighbours == {first.peer_id}


async def test_a_penalised_peer_is_banned_both_ways_and_back_when_the_ban_ends() -> None:
    now = 0.0
    async with running(1, clock=lambda: now, ban_s=100.0) as node, running(2, bootstrap=(node.address,)) as culprit:
        await until(lambda: node.neighbours and culprit.neighbours)
        node.transport.peers.penalise(culprit.peer_id, 60.0, "did a thing")
        assert node.neighbours
        node.transport.peers.penalise(culprit.peer_id, 60.0, "did it again")
        await until(lambda: node.disconnected and culprit.disconnected)
        async with running(3, bootstrap=(node.address, culprit.address)) as other:
            await meshed([other, node])
            await meshed([other, culprit])
            assert culprit.peer_id not in node.neighbours
            now = 101.0
            await until(lambda: culprit.peer_id in node.neighbours)
            assert all(info.score == 0 for info in node.transport.peers.connected())


async def test_a_foreign_network_is_recognised_once_and_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "p2p"):
        async with (
            running(1) as node,
            running(2, bootstrap=(node.address,), genesis_id=b"\x22" * 32) as foreigner,
            running(3, bootstrap=(node.address,)) as friend,
        ):
            await until(lambda: any("foreign network" in record.message for record in caplog.records))
            await meshed([node, friend])
            await require_service(node, friend)
            assert not foreigner.neighbours
            assert not node.hellos.get(foreigner.peer_id)
            logged = [record for record in caplog.records if f"{node.peer_id} is not reached" in record.getMessage()]
            assert len(logged) == 1


async def test_a_peer_without_any_of_our_protocols_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.peers.HELLO_TIMEOUT_S", 0.2)
    async with running(1) as node, stranger(9, node) as host:
        await until(lambda: not host.swarm.connections)
        assert not node.connected


async def test_a_cut_network_heals() -> None:
    async with mesh_of(4) as nodes:
        left, right = nodes[:2], nodes[2:]
        for side, other in ((left, right), (right, left)):
            for node in side:
                node.transport.peers.block({peer.peer_id for peer in other})
        for node in nodes:
            await until(lambda node=node: len(node.neighbours) == 1)  # type: ignore[misc]
        await left[0].transport.gossip.publish("t", b"left")
        await until(lambda: b"left" in left[1].received)
        assert not any(b"left" in node.received for node in right)
        for node in nodes:
            node.transport.peers.unblock()
        await meshed(nodes)
        await require_service(right[0], left[0])


async def test_an_unfounded_hello_is_penalised() -> None:
    async with mesh_of(2) as (node, friend), impostor(9, node) as (_, requests):
        with pytest.raises(RequestError, match="unsolicited"):
            await requests.ask(node.peer_id, "hello", b"\x92", max_response=100, timeout_s=PATIENCE_S)
        await require_service(node, friend)


async def test_raw_garbage_on_the_port_disturbs_nobody() -> None:
    async with mesh_of(2) as (node, friend):
        port = int(node.address.split("/")[4])
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 1000, b"\x13/multistream/1.0.0\n\xff\xff\xff", b""):
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            await stream.send_all(garbage or b"\x13/multistream/1.0.0\n")
            await stream.aclose()
        idle = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(20)]
        await require_service(node, friend)
        for stream in idle:
            await stream.aclose()


async def test_limits_change_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.lobby.GRACE_S", 2 * PATIENCE_S)  # however slow the machine is, nobody gives way
    async with running(1) as hub:
        hub.transport.peers.adopt(PeerSettings(max_peers=1, max_strangers=1), 2, 60.0)
        async with running(2, bootstrap=(hub.address,)) as second:
            await until(lambda: hub.neighbours == {second.peer_id})
            async with running(3, bootstrap=(hub.address,)) as third:
                contact = third.transport.peers._book.get(hub.peer_id)
                assert contact is not None
                await until(lambda: contact.failures >= 2)
                assert hub.neighbours == {second.peer_id}
                hub.transport.peers.adopt(PeerSettings(max_peers=1, max_strangers=2), 3, 60.0)
                await until(lambda: hub.neighbours == {second.peer_id, third.peer_id})
        hub.transport.peers.penalise("12D3", 1_000.0, "misbehaves")
        assert 0 < hub.transport.peers.bans()["12D3"] <= 60
