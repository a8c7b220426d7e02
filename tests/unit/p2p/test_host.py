from __future__ import annotations

import gc
import warnings
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest
import trio
from libp2p.custom_types import TProtocol
from libp2p.host.exceptions import StreamFailure
from libp2p.network.exceptions import SwarmException
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from chain.base.errors import OperatorError
from p2p import host as host_module
from p2p.frames import LIBRARY_ERRORS
from p2p.host import GuardedHost, cut, open_host
from p2p.library import Unread
from p2p.limits import TRAFFIC
from p2p.network import open_transport
from tests.unit.p2p.net import config_of, peer_id_of, running, seed_of, until

LOOPBACK = ["/ip4/127.0.0.1/tcp/0"]


async def connect(dialler: GuardedHost, listener: GuardedHost) -> None:
    await dialler.swarm.dial_addr(Multiaddr(listener.listen_addresses()[0]), listener.get_id())


async def test_listens_under_the_identity_of_its_seed_on_a_real_port() -> None:
    async with open_host(seed_of(1), LOOPBACK) as host:
        (address,) = host.listen_addresses()
        assert address.startswith("/ip4/127.0.0.1/tcp/")
        assert not address.startswith("/ip4/127.0.0.1/tcp/0/")
        assert address.endswith(f"/p2p/{peer_id_of(1)}")


@pytest.mark.parametrize(
    "address", ["nonsense", "", "/ip4/127.0.0.1", "/ip4/127.0.0.1/udp/1", "/ip4/1/tcp/1", "/dns4/host/tcp/1"]
)
async def test_malformed_listen_address_is_the_operators_mistake(address: str) -> None:
    with pytest.raises(OperatorError, match="looks like"):
        async with open_host(seed_of(1), [address]):
            pass


async def test_address_in_use_is_the_operators_mistake() -> None:
    async with running(1) as node:
        taken = node.address.partition("/p2p/")[0]
        with pytest.raises(OperatorError, match=r"Cannot listen .* \(Address already in use\); change listen"):
            async with open_transport(config_of(2, listen=(taken,))):
                pass


async def test_who_gives_up_while_it_begins_to_listen_leaves_no_socket_behind() -> None:
    for moment in range(20):
        async with trio.open_nursery() as nursery:

            async def give_up(nursery: trio.Nursery, moment: int) -> None:
                for _ in range(moment):
                    await trio.lowlevel.checkpoint()
                nursery.cancel_scope.cancel()

            nursery.start_soon(give_up, nursery, moment)
            async with open_host(seed_of(1), LOOPBACK):
                await trio.sleep_forever()
        with warnings.catch_warnings(record=True) as left:
            warnings.simplefilter("always")
            gc.collect()
        assert [str(each.message) for each in left] == []


def test_other_limits_leave_the_reserved_places_as_they_are() -> None:
    swarm = host_module.build_host(seed_of(1), 4).swarm
    before = swarm.connection_config.max_connections, swarm._inbound_limiter.total_tokens
    swarm.limit(4)
    assert (swarm.connection_config.max_connections, swarm._inbound_limiter.total_tokens) == before


async def test_address_of_another_machine_is_the_operators_mistake() -> None:
    with pytest.raises(OperatorError, match="Cannot listen"):
        async with open_transport(config_of(1, listen=("/ip4/192.0.2.1/tcp/4000",))):
            pass


async def test_malformed_bootstrap_is_the_operators_mistake() -> None:
    with pytest.raises(OperatorError, match="not the address of a peer"):
        async with open_transport(config_of(1, bootstrap=("/ip4/127.0.0.1/tcp/4000",))):
            pass


async def test_the_port_is_free_again_after_shutdown() -> None:
    async with open_host(seed_of(1), LOOPBACK) as host:
        listen = host.listen_addresses()[0].partition("/p2p/")[0]
    async with open_host(seed_of(1), [listen]):
        pass


async def test_nobody_is_let_in_before_someone_says_so() -> None:
    async with open_host(seed_of(1), LOOPBACK) as closed, open_host(seed_of(2), LOOPBACK) as other:
        other.swarm.admit = lambda _peer_id: True
        with suppress(SwarmException):
            await connect(other, closed)
        await until(lambda: not other.swarm.connections)
        assert not closed.swarm.connections


async def test_ended_inbound_connections_make_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_module, "MAX_HANDSHAKES", 2)
    async with open_host(seed_of(1), LOOPBACK, 2) as server, open_host(seed_of(2), LOOPBACK) as client:
        server.swarm.admit = client.swarm.admit = lambda _peer_id: True
        for _ in range(8):  # twice what would be possible if a slot were never given back
            await connect(client, server)
            await until(lambda: server.swarm.connections)
            await cut(client.swarm.connections[server.get_id()][0].muxed_conn)
            await until(lambda: not server.swarm.connections and not client.swarm.connections)


async def test_a_peer_that_sends_what_nobody_reads_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.library.MAX_UNREAD_BYTES", 100_000)
    async with open_host(seed_of(1), LOOPBACK) as server, open_host(seed_of(2), LOOPBACK) as client:
        server.swarm.admit = client.swarm.admit = lambda _peer_id: True
        server.set_stream_handler(TProtocol("/deaf"), lambda _stream: trio.sleep_forever())
        await connect(client, server)
        stream = await client.new_stream(server.get_id(), [TProtocol("/deaf")])
        with suppress(*LIBRARY_ERRORS):  # it may be cut off in the middle
            await stream.write(b"x" * 150_000)
        await until(lambda: not server.swarm.connections)


async def test_where_all_together_send_too_much_who_has_more_than_its_part_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("p2p.library.MAX_ALL_UNREAD_BYTES", 200_000)
    monkeypatch.setattr("p2p.library.UNREAD", Unread())
    async with AsyncExitStack() as stack:
        server, greedy, modest = [
            await stack.enter_async_context(open_host(seed_of(number), LOOPBACK)) for number in (1, 2, 3)
        ]
        server.set_stream_handler(TProtocol("/deaf"), lambda _stream: trio.sleep_forever())
        streams = []
        for host, size in ((greedy, 150_000), (modest, 100_000)):
            server.swarm.admit = host.swarm.admit = lambda _peer_id: True
            await connect(host, server)
            streams.append(await host.new_stream(server.get_id(), [TProtocol("/deaf")]))
            await streams[-1].write(bytes(size))
            connection: Any = server.swarm.connections[host.get_id()][0].muxed_conn
            await until(lambda at=connection, size=size: at.unread - at.coming >= size)  # type: ignore[misc]
        assert len(server.swarm.connections) == 2, "who has less than the half comes in beyond it"
        await streams[0].write(bytes(1_000))
        await until(lambda: greedy.get_id() not in server.swarm.connections)
        assert modest.get_id() in server.swarm.connections
        await streams[1].write(bytes(90_000))
        await until(lambda at=connection: at.unread - at.coming >= 190_000)  # type: ignore[misc]


async def test_too_many_streams_are_refused_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_module, "MAX_INBOUND_STREAMS", 2)
    reports: list[str] = []
    async with open_host(seed_of(1), LOOPBACK) as server, open_host(seed_of(2), LOOPBACK) as client:
        server.swarm.admit = client.swarm.admit = lambda _peer_id: True
        server.report = lambda _peer_id, _weight, why: reports.append(why)
        server.set_stream_handler(TProtocol("/deaf"), lambda _stream: trio.sleep_forever())
        await connect(client, server)
        for _ in range(2):
            await client.new_stream(server.get_id(), [TProtocol("/deaf")])
        with pytest.raises(StreamFailure):
            await client.new_stream(server.get_id(), [TProtocol("/deaf")])
        assert reports == ["opened too many streams"]


async def test_streams_to_unconnected_peers_fail_instead_of_dialling() -> None:
    async with open_host(seed_of(1), LOOPBACK) as host:
        with pytest.raises(SwarmException):
            await host.new_stream(ID.from_base58(peer_id_of(2)), [TProtocol("/x")])


async def test_what_is_sent_is_counted() -> None:
    async with open_host(seed_of(1), LOOPBACK) as server, open_host(seed_of(2), LOOPBACK) as client:
        server.swarm.admit = client.swarm.admit = lambda _peer_id: True
        server.set_stream_handler(TProtocol("/deaf"), lambda _stream: trio.sleep_forever())
        await connect(client, server)
        stream = await client.new_stream(server.get_id(), [TProtocol("/deaf")])
        before = TRAFFIC["sent"]
        await stream.write(b"x" * 10_000)
        assert TRAFFIC["sent"] - before >= 10_000
