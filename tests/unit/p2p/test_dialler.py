"""What is dialled, where, and what is learned from it about addresses."""

from __future__ import annotations

import logging
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
import trio

from p2p import dialler as module
from p2p.addresses import PeerAddress, read_address
from p2p.hearsay import MAX_IN_VAIN, Hearsay
from p2p.host import open_host
from p2p.requests import Requests
from tests.unit.p2p.net import PREFIX, NetNode, announce, free_address, peer_id_of, running, seed_of, until


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[str]]]:
    """What was said of peers that are not reached."""
    with caplog.at_level(logging.INFO, "p2p.troubles"):
        yield lambda: [item.getMessage() for item in caplog.records if item.name == "p2p.troubles"]


@asynccontextmanager
async def third_party(ports: int) -> AsyncIterator[tuple[list[int], Counter[int]]]:
    """Ports of somebody else, and how many connections each got.  It hangs up at the first word."""
    got: Counter[int] = Counter()
    async with trio.open_nursery() as nursery:
        listening = []
        for _ in range(ports):
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            port = listener.socket.getsockname()[1]

            async def count(stream: trio.SocketStream, port: int = port) -> None:
                got[port] += 1
                async with stream:
                    await stream.receive_some()

            nursery.start_soon(trio.serve_listeners, count, [listener])
            listening.append(port)
        yield listening, got
        nursery.cancel_scope.cancel()


def at(port: int, number: int) -> str:
    return f"/ip4/127.0.0.1/tcp/{port}/p2p/{peer_id_of(number)}"


def port_of(node: NetNode) -> int:
    return int(node.address.split("/")[4])


def read(text: str) -> PeerAddress:
    address = read_address(text)
    assert address is not None
    return address


async def test_a_third_party_named_by_many_gets_few_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TRY_AGAIN_S", 0.05)
    begun: list[PeerAddress] = []
    refused: list[PeerAddress] = []
    begin = Hearsay.begin

    def counted(hearsay: Hearsay, address: PeerAddress) -> bool:
        is_fine = begin(hearsay, address)
        (begun if is_fine else refused).append(address)
        return is_fine

    monkeypatch.setattr(Hearsay, "begin", counted)
    async with third_party(30) as (ports, got), running(1) as node, trio.open_nursery() as nursery:
        for number in range(10, 40):  # each names four, and stays for as long as it takes
            named = [at(port, number) for port in (ports * 2)[number % 30 : number % 30 + 4]]
            nursery.start_soon(announce, number, node, named)
        await until(lambda: len(begun) >= MAX_IN_VAIN)
        await until(lambda: len(node.neighbours) == 30)
        await until(lambda: len(refused) > 300)
        assert sum(got.values()) <= len(begun) <= 10
        assert not node.transport.peers._book.proven()
        nursery.cancel_scope.cancel()


async def test_one_that_greets_and_leaves_has_nothing_dialled_after_it() -> None:
    async with third_party(4) as (ports, got), running(1) as node:
        for number in range(10, 20):
            with trio.move_on_after(0.2):
                await announce(number, node, [at(port, number) for port in ports])
        await until(lambda: not node.neighbours)
        assert not list(node.transport.peers._book)
        assert max(got.values(), default=0) <= 1


async def test_addresses_of_others_that_are_wrong_are_dialled_once() -> None:
    async with third_party(2) as (ports, got), running(1) as node:
        peers = node.transport.peers
        for number in range(20, 60):
            for port in ports:
                peers._book.hear(read(at(port, number)), trio.current_time(), "")
        peers._dialler.wake()
        await until(lambda: not list(peers._book))
        assert got == dict.fromkeys(ports, 1)


async def test_a_peer_that_claims_the_address_of_another_shuts_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TRY_AGAIN_S", 0.05)
    async with running(1) as node, running(2) as honest, trio.open_nursery() as nursery:
        nursery.start_soon(announce, 9, node, [at(port_of(honest), 9)])
        await until(lambda: peer_id_of(9) in node.neighbours)
        honest.transport.peers._book.add(read(node.address), trio.current_time())
        honest.transport.peers._dialler.wake()
        await until(lambda: node.transport.peers._book.proven())
        assert node.transport.peers._book.proven() == [read(honest.address)]
        nursery.cancel_scope.cancel()


async def test_a_name_of_the_operators_is_looked_up_and_the_address_is_proven() -> None:
    async with running(1) as hub:
        named = hub.address.replace("/ip4/127.0.0.1/", "/dns4/localhost/")
        async with running(2, bootstrap=(named,)) as node:
            await until(lambda: hub.peer_id in node.neighbours)
            assert read(hub.address) in node.transport.peers._book.proven()


async def test_a_name_that_stands_for_nothing_is_said(
    said: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(*_: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("p2p.names.getaddrinfo", nobody)
    named = f"/dns6/nobody.example/tcp/1/p2p/{peer_id_of(2)}"
    async with running(1, bootstrap=(named,)):
        await until(said)
    assert (
        "/dns6/nobody.example/tcp/1: its name nobody.example cannot be resolved to an IPv6 address (Name or"
        in said()[0]
    )


async def test_a_name_that_stands_for_this_node_itself_is_said_and_harmless(said: Callable[[], list[str]]) -> None:
    listen = free_address()
    own = f"{listen.replace('/ip4/127.0.0.1/', '/dns4/localhost/')}/p2p/{peer_id_of(2)}"
    async with running(1, listen=(listen,), bootstrap=(own,)) as node, running(3) as friend:
        await until(said)
        assert "this node itself answers there" in said()[0]
        friend.transport.peers._book.add(read(node.address), trio.current_time())
        friend.transport.peers._dialler.wake()
        await until(lambda: node.neighbours == {friend.peer_id})


async def test_an_address_is_proven_without_a_connection_of_its_own() -> None:
    async with running(1) as node, open_host(seed_of(2), ["/ip4/127.0.0.1/tcp/0"]) as host:
        Requests(host, PREFIX)
        assert await node.transport.peers._dialler.prove(read(host.listen_addresses()[0]))
        assert not host.swarm.connections
        assert not node.neighbours
        assert await node.transport.peers._dialler.prove(read(host.listen_addresses()[0]))  # known by now
        assert not await node.transport.peers._dialler.prove(read(at(port_of(node), 2)))
