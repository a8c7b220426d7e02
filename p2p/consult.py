"""A short visit to peers, under a name of its own: what they say of themselves, and of somebody else.

Nothing here needs a message of its own: a visitor greets as any peer does, and asks for the addresses of others.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio
from libp2p.abc import INetStream
from libp2p.network.exceptions import SwarmException
from libp2p.peer.id import ID
from libp2p.tools.anyio_service import background_trio_service

from chain.base.errors import Refused
from chain.protocol.messages import Status
from p2p import handshake
from p2p.addresses import PeerAddress
from p2p.clocks import wall_ms
from p2p.farewells import read_refusal
from p2p.host import GuardedHost, build_host
from p2p.library import tame
from p2p.names import Unresolved, resolve
from p2p.network import TransportConfig
from p2p.refusals import FAREWELL, Refusal
from p2p.requests import Failure, RequestError, Requests
from p2p.troubles import why_not_dialled

PATIENCE_S = 10.0
"""For everything that is asked of one peer."""

ASK_TIMES = 4
"""A peer tells a sample of those that it knows."""

FOREIGN = "it is of another network, or speaks another version of the protocol"


@dataclass(frozen=True)
class Opinion:
    """What the peer at ``address`` said: its status, how far its clock is ahead, and where it says that another is.

    ``trouble`` says why it said nothing.  ``ahead_ms`` is exact to ``give_ms``; None where it has no time to tell.
    """

    address: PeerAddress
    trouble: str = ""
    status: Status | None = None
    ahead_ms: int | None = None
    give_ms: int = 0
    places: tuple[str, ...] = ()


async def consult(addresses: Iterable[PeerAddress], genesis_id: bytes, whom: str) -> list[Opinion]:
    """Ask the peers at ``addresses``, all at once, of the network of ``genesis_id``; ``whom`` is a peer's id."""
    opinions: dict[PeerAddress, Opinion] = {}

    async def ask(address: PeerAddress) -> None:
        opinions[address] = await _opinion(address, genesis_id, whom)

    async with trio.open_nursery() as nursery:
        for address in dict.fromkeys(addresses):
            nursery.start_soon(ask, address)
    return sorted(opinions.values(), key=lambda opinion: str(opinion.address))


async def _opinion(address: PeerAddress, genesis_id: bytes, whom: str) -> Opinion:
    with trio.move_on_after(PATIENCE_S):
        async with stranger() as host:
            return await _visit(host, address, genesis_id, whom)
    return Opinion(address, f"it does not answer within {PATIENCE_S:.0f} s")


async def _visit(host: GuardedHost, address: PeerAddress, genesis_id: bytes, whom: str) -> Opinion:
    requests = Requests(host, TransportConfig(seed=b"", genesis_id=genesis_id).prefix)
    refusals: list[Refusal] = []

    async def hear(stream: INetStream) -> None:
        refusals.extend(filter(None, [await read_refusal(stream)]))

    host.set_stream_handler(FAREWELL, hear)
    try:
        numeric = (await resolve(address))[0]
        await host.swarm.dial_addr(numeric.multiaddr, ID.from_base58(address.peer_id))
        return await _heard(requests, address, whom)
    except Unresolved as error:
        return Opinion(address, str(error))
    except SwarmException as error:
        return Opinion(address, why_not_dialled(error, whom))
    except RequestError as error:
        return Opinion(address, _why_silent(error, refusals))
    except Refused as error:
        return Opinion(address, f"what it says is {error}")


def _why_silent(error: RequestError, refusals: list[Refusal]) -> str:
    if error.failure is Failure.UNSUPPORTED:
        return FOREIGN
    return f"{refusals[0].in_words}; {refusals[0].remedy}" if refusals else f"it hangs up ({error})"


async def _heard(requests: Requests, address: PeerAddress, whom: str) -> Opinion:
    async def ask(name: str, request: bytes, max_response: int) -> bytes:
        return await requests.ask_now(address.peer_id, name, request, max_response=max_response, timeout_s=PATIENCE_S)

    nothing = Status(bytes(32), 0, 0, 0).encode()
    before_ms = wall_ms()
    reply = await ask("hello", handshake.encode_hello([], nothing), handshake.MAX_HELLO_BYTES)
    after_ms = wall_ms()
    status = Status.decode(handshake.decode_hello(reply, address.peer_id)[1])
    places: dict[str, None] = {}
    for _ in range(ASK_TIMES):
        told = handshake.decode_peers(await ask("peers", b"", handshake.MAX_PEERS_BYTES))
        places.update({each.where: None for each in told if each.peer_id == whom})
    ahead_ms = status.time_ms - (before_ms + after_ms) // 2 if status.time_ms else None
    return Opinion(address, "", status, ahead_ms, (after_ms - before_ms) // 2, tuple(places))


@asynccontextmanager
async def stranger(seed: bytes | None = None) -> AsyncIterator[GuardedHost]:
    """A host that listens nowhere and lets everybody in, with a fresh identity or that of ``seed``."""
    tame()
    host = build_host(seed or secrets.token_bytes(32))
    host.swarm.admit = lambda _peer_id: True
    async with background_trio_service(host.swarm):
        try:
            yield host
        finally:
            with trio.move_on_after(1) as scope:
                scope.shield = True
                await host.swarm.cut_all()
