"""The node under attack, and the hostile peers that visit it.

A visitor speaks real libp2p below (TCP, Noise, Yamux) and whatever the attack wants above.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import trio
from libp2p.abc import INetStream
from libp2p.custom_types import TProtocol
from libp2p.host.exceptions import StreamFailure
from libp2p.peer.id import ID
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.validators import PUBSUB_SIGNING_PREFIX
from libp2p.utils.varint import encode_uvarint
from multiaddr import Multiaddr

from chain.base.keys import SecretKey
from chain.content.genesis import load_genesis
from chain.protocol.messages import Status
from p2p import handshake
from p2p.client import STATUS, AsyncClient, NodeAway, Query, announced
from p2p.consult import stranger
from p2p.frames import LIBRARY_ERRORS
from p2p.host import GuardedHost
from p2p.network import TransportConfig
from p2p.requests import RequestError, Requests

T = TypeVar("T")

MESHSUB = TProtocol("/meshsub/1.1.0")
# For answers of a node that is being flooded.
PATIENCE_S = 60.0
# Whoever comes to a crowded face may have to come again.
PUSHED_OUT, PUSHED_OUT_S = 10, 0.5
THROWN_OUT = (*LIBRARY_ERRORS, StreamFailure, RequestError, trio.TooSlowError)
"""What a visitor sees when the node has had enough of it."""


@contextmanager
def until_thrown_out() -> Iterator[None]:
    """What is inside may end with the node throwing us out, in one task or in several at once."""
    try:
        yield
    except THROWN_OUT:
        pass
    except BaseExceptionGroup as group:
        rest = group.split(lambda error: isinstance(error, THROWN_OUT))[1]
        if rest is not None:
            raise rest from group


def framed(payload: bytes) -> bytes:
    return encode_uvarint(len(payload)) + payload


class Target:
    """A running node, known by its home.

    ``stolen`` are keys of validators that the attacker got hold of; ``pace_s`` is its pause between messages, for
    an attacker that shares the machine with those it attacks; ``source`` is a node whose blocks it may pass on, else
    this one.
    """

    def __init__(
        self, home: Path, stolen: Sequence[SecretKey] = (), pace_s: float = 0.0, source: Target | None = None
    ) -> None:
        self.pace_s = pace_s
        self.source = source or self
        facts = announced(home)
        self.genesis = load_genesis(home / "genesis.json")
        self.stolen = {secret.public: secret for secret in stolen}
        self.http = facts.http
        self.address = facts.addresses[0].replace("/0.0.0.0/", "/127.0.0.1/")
        self.peer_id = ID.from_base58(facts.peer_id)
        self.visitors: list[str] = []
        self.prefix = TransportConfig(seed=b"", genesis_id=self.genesis.id).prefix

    def slot_now(self) -> int:
        return self.genesis.slot_at(time.time_ns() // 1_000_000)

    @property
    def port(self) -> int:
        return int(self.address.split("/")[4])

    async def ask(self, question: Query[T]) -> T:
        """What the node's HTTP face says, also where a crowd at it pushes us out a few times.  Raises ``NodeAway``."""
        async with AsyncClient(PATIENCE_S) as client:
            for _ in range(PUSHED_OUT):
                with suppress(NodeAway):
                    return await client.ask(self.http, question)
                await trio.sleep(PUSHED_OUT_S)
            return await client.ask(self.http, question)

    async def status(self) -> Status:
        """Where the node stands, as it tells everybody who asks."""
        facts = await self.ask(STATUS)
        return Status(bytes.fromhex(facts["head_id"]), facts["height"], 0, facts["finalized_height"])


class Visitor:
    """A peer that has greeted like an honest one."""

    def __init__(self, target: Target, host: GuardedHost, requests: Requests) -> None:
        self.target = target
        self.host = host
        self.requests = requests
        self.peer_id = str(host.get_id())
        self._numbers = itertools.count(1)

    async def open(self, name: str) -> INetStream:
        """A stream for one question."""
        return await self.host.new_stream(self.target.peer_id, [TProtocol(self.target.prefix + name)])

    async def open_gossip(self) -> INetStream:
        return await self.host.new_stream(self.target.peer_id, [MESHSUB])

    async def ask(self, name: str, request: bytes, *, max_response: int = 1_000_000) -> bytes:
        asked = self.requests.ask_now(
            str(self.target.peer_id), name, request, max_response=max_response, timeout_s=PATIENCE_S
        )
        return await asked

    def message(self, topic: str, data: bytes) -> bytes:
        """A frame of gossip with one message, signed by this peer."""
        message = rpc_pb2.Message(
            from_id=self.host.get_id().to_bytes(),
            seqno=next(self._numbers).to_bytes(8, "big"),
            data=data,
            topicIDs=[self.target.prefix + topic],
        )
        signed = PUBSUB_SIGNING_PREFIX.encode() + message.SerializeToString()
        message.signature = self.host.get_private_key().sign(signed)
        return framed(rpc_pb2.RPC(publish=[message]).SerializeToString())

    async def shout(self, topic: str, data: Sequence[bytes]) -> None:
        """Gossip these without end, one after the other, until thrown out."""
        stream = await self.open_gossip()
        for item in itertools.cycle(data):
            await stream.write(self.message(topic, item))
            await trio.sleep(self.target.pace_s)

    async def thrown_out(self) -> None:
        """Wait until the node cuts the connection."""
        while self.target.peer_id in self.host.swarm.connections:
            await trio.sleep(0.05)


@asynccontextmanager
async def visit(
    target: Target,
    status: bytes | None = None,
    seed: bytes | None = None,
    ports: Sequence[int] = (),
    host: str = "127.0.0.1",
) -> AsyncIterator[Visitor]:
    """A peer with a fresh identity (or that of ``seed``) that greets, claims ``status``, and to listen on ``ports``
    of ``host``.
    """
    async with stranger(seed) as guarded:
        await guarded.swarm.dial_addr(Multiaddr(target.address), target.peer_id)
        visitor = Visitor(target, guarded, Requests(guarded, target.prefix))
        target.visitors.append(visitor.peer_id)

        async def pong(_peer_id: str, _request: bytes) -> bytes:
            return b""

        visitor.requests.serve("ping", pong, max_request=64, max_response=64, max_concurrent=64)
        claim = Status(bytes(32), 0, 0, 0).encode() if status is None else status
        places = [f"/ip4/{host}/tcp/{port}/p2p/{visitor.peer_id}" for port in ports]
        await visitor.ask("hello", handshake.encode_hello(places, claim), max_response=handshake.MAX_HELLO_BYTES)
        yield visitor
