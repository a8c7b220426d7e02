"""Transports on loopback for the tests of this room, and peers that do not keep to the rules."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import trio
from libp2p.abc import INetStream
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID
from libp2p.utils.varint import encode_uvarint
from multiaddr import Multiaddr

from p2p import handshake
from p2p.host import GuardedHost, open_host
from p2p.network import Transport, TransportConfig, open_transport
from p2p.peers import PeerSettings
from p2p.requests import Requests
from scripts.testnet_parts.homes import free_ports

PATIENCE_S = 300.0
"""For conditions that come true at once on an idle machine."""

GENESIS = b"\x11" * 32
MESHSUB = TProtocol("/meshsub/1.1.0")
PREFIX = TransportConfig(seed=b"", genesis_id=GENESIS).prefix
QUICK_PINGS = PeerSettings(ping_interval_s=0.1)


def free_address() -> str:
    """A multiaddr of loopback at which nobody listens."""
    (port,) = free_ports(1)
    return f"/ip4/127.0.0.1/tcp/{port}"


def seed_of(number: int) -> bytes:
    return bytes([number]) * 32


def peer_id_of(number: int) -> str:
    return str(ID.from_pubkey(create_new_key_pair(seed_of(number)).public_key))


async def until(condition: Callable[[], object]) -> None:
    """Wait until ``condition()`` is true."""
    with trio.fail_after(PATIENCE_S):
        while not condition():
            await trio.sleep(0.005)


async def until_never(condition: Callable[[], object]) -> None:
    """Wait until ``condition()`` is true, however long that takes."""
    while not condition():
        await trio.sleep(0.02)


@dataclass
class NetNode:
    """A transport that listens to the topic ``t`` and remembers what it was given and told."""

    transport: Transport
    received: list[bytes] = field(default_factory=list)
    connected: list[str] = field(default_factory=list)
    disconnected: list[str] = field(default_factory=list)
    hellos: dict[str, bytes] = field(default_factory=dict)

    @property
    def peer_id(self) -> str:
        return self.transport.peer_id

    @property
    def address(self) -> str:
        return self.transport.listen_addresses[0]

    @property
    def neighbours(self) -> set[str]:
        return {info.peer_id for info in self.transport.peers.connected()}

    @property
    def reached(self) -> set[str]:
        """The peers at whose address this node was."""
        return {address.peer_id for address in self.transport.peers._book.proven()}

    async def validate(self, peer_id: str, data: bytes) -> bool:
        self.received.append(data)
        return not data.startswith(b"bad")

    async def echo(self, peer_id: str, request: bytes) -> bytes:
        return request


def config_of(number: int, *, bootstrap: tuple[str, ...] = (), **options: Any) -> TransportConfig:
    """Of an identity; no peer is lost because this machine is slow, unless a test wants that."""
    options = {"genesis_id": GENESIS, "rng": Random(number), "peers": PeerSettings(), **options}
    if options["peers"].ping_timeout_s == PeerSettings.ping_timeout_s:
        options["peers"] = replace(options["peers"], ping_timeout_s=PATIENCE_S)
    return TransportConfig(seed=seed_of(number), bootstrap=bootstrap, **options)


@asynccontextmanager
async def running(number: int, *, bootstrap: tuple[str, ...] = (), **options: Any) -> AsyncIterator[NetNode]:
    """A started node with the identity ``number``."""
    async with open_transport(config_of(number, bootstrap=bootstrap, **options)) as transport:
        node = NetNode(transport)
        await transport.gossip.subscribe("t", node.validate, max_bytes=100_000)
        transport.requests.serve("echo", node.echo, max_request=1000, max_response=1000, max_concurrent=4)
        transport.peers.local_hello = lambda: b"hello of %d" % number
        transport.peers.on_hello = node.hellos.__setitem__
        transport.peers.on_connected = node.connected.append
        transport.peers.on_disconnected = node.disconnected.append
        transport.start()
        yield node


@asynccontextmanager
async def mesh_of(count: int, *, first: int = 1, **options: Any) -> AsyncIterator[list[NetNode]]:
    """``count`` nodes, each connected to each and in its mesh; identities from ``first``."""
    async with AsyncExitStack() as stack:
        nodes: list[NetNode] = []
        for number in range(first, first + count):
            addresses = tuple(node.address for node in nodes)
            nodes.append(await stack.enter_async_context(running(number, bootstrap=addresses, **options)))
        await meshed(nodes)
        yield nodes


async def meshed(nodes: list[NetNode]) -> None:
    """Wait until each of ``nodes`` has each other one in its mesh."""
    everyone = {node.peer_id for node in nodes}
    for node in nodes:
        await until(lambda node=node: everyone - {node.peer_id} <= node.transport.gossip.mesh("t"))  # type: ignore[misc]


async def require_service(node: NetNode, friend: NetNode) -> None:
    """``node`` still answers its ``friend`` and still gets its gossip."""
    ask = friend.transport.requests.ask
    assert await ask(node.peer_id, "echo", b"there?", max_response=10, timeout_s=PATIENCE_S) == b"there?"
    message = b"still there? %d" % len(node.received)
    await friend.transport.gossip.publish("t", message)
    await until(lambda: message in node.received)


@asynccontextmanager
async def stranger(number: int, node: NetNode) -> AsyncIterator[GuardedHost]:
    """A bare host, connected to ``node``, without any of our protocols."""
    async with open_host(seed_of(number), ["/ip4/127.0.0.1/tcp/0"]) as host:
        host.swarm.admit = lambda _peer_id: True
        await host.swarm.dial_addr(Multiaddr(node.address), ID.from_base58(node.peer_id))
        yield host


@asynccontextmanager
async def impostor(number: int, node: NetNode) -> AsyncIterator[tuple[GuardedHost, Requests]]:
    """A host that greets like one of ours; what else it answers is up to the test."""
    async with open_host(seed_of(number), ["/ip4/127.0.0.1/tcp/0"]) as host:
        host.swarm.admit = lambda _peer_id: True
        requests = Requests(host, PREFIX)
        await host.swarm.dial_addr(Multiaddr(node.address), ID.from_base58(node.peer_id))
        hello = handshake.encode_hello([], b"trust me")
        await requests.ask(node.peer_id, "hello", hello, max_response=handshake.MAX_HELLO_BYTES, timeout_s=PATIENCE_S)
        yield host, requests


async def announce(number: int, node: NetNode, addresses: Sequence[str]) -> None:
    """Greet ``node``, claim these addresses, answer its pings, and stay for as long as it lets us."""
    async with open_host(seed_of(number), ["/ip4/127.0.0.1/tcp/0"]) as host:
        host.swarm.admit = lambda _peer_id: True
        requests = Requests(host, PREFIX)
        requests.serve("ping", node.echo, max_request=64, max_response=64, max_concurrent=4)
        await host.swarm.dial_addr(Multiaddr(node.address), ID.from_base58(node.peer_id))
        size = handshake.MAX_HELLO_BYTES
        hello = handshake.encode_hello(addresses, b"")
        await requests.ask(node.peer_id, "hello", hello, max_response=size, timeout_s=PATIENCE_S)
        await until_never(lambda: not host.swarm.connections)


async def open_gossip_stream(host: GuardedHost, node: NetNode) -> INetStream:
    return await host.new_stream(ID.from_base58(node.peer_id), [MESHSUB])


def framed(payload: bytes) -> bytes:
    return encode_uvarint(len(payload)) + payload
