"""What any peer of libp2p may ask, of whatever network it is: who this is, and whether it is there.

Other implementations ask both of whoever they meet, and js-libp2p speaks no gossip with who does not answer.  Nothing
here tells an address that the peer book would not tell.
Source: protocol 7.9; libp2p specifications "identify" and "ping".
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import trio
from google.protobuf.message import DecodeError
from libp2p.abc import INetStream
from libp2p.custom_types import TProtocol
from libp2p.host.exceptions import StreamFailure
from libp2p.identity.identify.pb.identify_pb2 import Identify
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from p2p.addresses import PeerAddress, version_of
from p2p.frames import LIBRARY_ERRORS, FrameReader, FrameRefused, StreamEnded, reset_quietly, write_frame
from p2p.host import GuardedHost
from p2p.library import remote_of
from p2p.limits import Buckets
from p2p.refusals import plain

log = logging.getLogger(__name__)

IDENTIFY, PING = TProtocol("/ipfs/id/1.0.0"), TProtocol("/ipfs/ping/1.0.0")

IDENTIFY_RATE = (0.2, 5.0)
"""Answers a second, and at once, to one peer: it asks once for each connection, and nothing changes meanwhile."""

PING_BYTES = 32
PING_RATE = (2.0, 16.0)
"""Echoes a second, and at once, to one peer: others ask once a second at most."""

PATIENCE_S = 10.0
"""For each piece of either.  go-libp2p: pingTimeout."""

MAX_IDENTITY_BYTES = 16 * 1024
"""What is read of another's answer: go-libp2p's has 2 kB, with a record that is signed."""


@dataclass(frozen=True)
class Identity:
    """What a peer says of itself: its program, and the protocols that it speaks."""

    agent: str
    protocols: tuple[str, ...]


class Courtesy:
    """Answers both on a host.  ``addresses(host)`` are ours that may be told to who is seen at a host."""

    def __init__(
        self, host: GuardedHost, agent: str, version: str, addresses: Callable[[str], Iterable[PeerAddress]]
    ) -> None:
        self._host = host
        self._agent = agent
        self._version = version
        self._addresses = addresses
        self._identifying = Buckets(*IDENTIFY_RATE)
        self._echoing = Buckets(*PING_RATE)
        host.set_stream_handler(IDENTIFY, self._tell)
        host.set_stream_handler(PING, self._echo)

    async def _tell(self, stream: INetStream) -> None:
        """Say who this is; who asks again and again is not answered."""
        if not self._identifying.take(str(stream.muxed_conn.peer_id)):
            await reset_quietly(stream)
            return
        with trio.fail_after(PATIENCE_S):
            await write_frame(stream, self._identity(stream))
            await stream.close()

    def _identity(self, stream: Any) -> bytes:
        remote_host, port = remote_of(stream.muxed_conn)
        told = [Multiaddr(address.where).to_bytes() for address in self._addresses(remote_host)]
        seen = Multiaddr(f"/{version_of(remote_host)}/{remote_host}/tcp/{port}").to_bytes()
        answer = Identify(
            protocol_version=self._version,
            agent_version=self._agent,
            public_key=self._host.get_public_key().serialize(),
            listen_addrs=told,
            observed_addr=seen,
            protocols=sorted(filter(None, self._host.get_mux().get_protocols())),
        )
        return bytes(answer.SerializeToString())

    async def _echo(self, stream: INetStream) -> None:
        """Send back what comes, 32 bytes at a time; who asks too often is not answered any more."""
        peer_id = str(stream.muxed_conn.peer_id)
        while (payload := await _ping(stream)) and self._echoing.take(peer_id):
            with trio.fail_after(PATIENCE_S):
                await stream.write(payload)
        await reset_quietly(stream)


async def _ping(stream: INetStream) -> bytes:
    """The next ping; empty at the end."""
    payload = b""
    with trio.move_on_after(PATIENCE_S):
        while len(payload) < PING_BYTES:
            piece = await stream.read(PING_BYTES - len(payload))
            if not piece:
                return b""
            payload += piece
        return payload
    return b""


async def identify(host: GuardedHost, peer_id: str) -> Identity | None:
    """What a connected peer says of itself; None where it says nothing that can be read."""
    try:
        with trio.fail_after(PATIENCE_S):
            stream = await host.new_stream(ID.from_base58(peer_id), [IDENTIFY])
            try:
                answer = Identify.FromString(await FrameReader(stream).frame(MAX_IDENTITY_BYTES))
            finally:
                await reset_quietly(stream)
    except (StreamFailure, StreamEnded, FrameRefused, trio.TooSlowError, DecodeError, *LIBRARY_ERRORS) as error:
        log.debug("peer %s does not say who it is: %r", peer_id, error)
        return None
    return Identity(plain(answer.agent_version), tuple(map(plain, answer.protocols)))
