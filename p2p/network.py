"""The byte-level transport as a whole: a host, gossip, relay, requests and peers under one context manager."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import trio

from chain.base.errors import OperatorError
from p2p.addresses import parse_bootstrap
from p2p.bookfile import BookFile
from p2p.courtesy import Courtesy
from p2p.gossip import Gossip, open_gossip
from p2p.host import DEFAULT_MAX_CONNECTIONS, GuardedHost, open_host
from p2p.limits import Clock
from p2p.meshsub.router import DEFAULT_DROP_RATE
from p2p.peers import PeerSettings, PeerSupervisor
from p2p.relay import Relay
from p2p.reputation import BAN_S, Reputation
from p2p.requests import DEFAULT_RATE, Requests

PROTOCOL_VERSION = "11"


@dataclass(frozen=True)
class TransportConfig:
    """What a node has to say about its network.  ``seed`` is the 32-byte Ed25519 seed of its identity."""

    seed: bytes
    genesis_id: bytes
    listen: tuple[str, ...] = ("/ip4/127.0.0.1/tcp/0",)
    bootstrap: tuple[str, ...] = ()
    seeds: tuple[str, ...] = ()  # to ask where hardly any other peer is known
    book: Path | None = None  # the file that holds the peer book
    max_connections: int = DEFAULT_MAX_CONNECTIONS
    peers: PeerSettings = field(default_factory=PeerSettings)
    ban_s: float = BAN_S
    request_rate: tuple[float, float] = DEFAULT_RATE
    drop_rate: tuple[float, float] = DEFAULT_DROP_RATE
    agent: str = "goodfaith"  # what this program is called, for peers that ask
    rng: Random = field(default_factory=Random)
    clock: Clock = trio.current_time  # of penalties and bans

    @property
    def prefix(self) -> str:
        """What all protocol ids and topics begin with: another genesis is another network."""
        return f"/goodfaith/{PROTOCOL_VERSION}/{self.genesis_id.hex()[:16]}/"


class Transport:
    """A running transport.  Register handlers and topics first, then :meth:`start`."""

    def __init__(
        self,
        host: GuardedHost,
        gossip: Gossip,
        relay: Relay,
        requests: Requests,
        peers: PeerSupervisor,
        start: Callable[[], None],
    ) -> None:
        self.gossip = gossip
        self.relay = relay
        self.requests = requests
        self.peers = peers
        self.peer_id = str(host.get_id())
        self.listen_addresses = host.listen_addresses()
        self.start = start


class _Alarm:
    """Takes a fault from where it must not be raised to where it stops the transport."""

    def __init__(self) -> None:
        self._rung = trio.Event()
        self._error: Exception | None = None

    def ring(self, error: Exception) -> None:
        self._error = self._error or error
        self._rung.set()

    async def wait(self) -> None:
        """Wait for the first error, and raise it."""
        await self._rung.wait()
        if self._error is not None:
            raise self._error


@asynccontextmanager
async def open_transport(config: TransportConfig) -> AsyncIterator[Transport]:
    """Listen, and after :meth:`Transport.start` be part of the network, until the block is left.

    Raises :class:`chain.base.errors.OperatorError` for addresses that cannot be used.  An ``InvariantBroken``
    that a handler or validator raises comes out here.
    """
    bootstrap, seeds = (list(map(parse_bootstrap, texts)) for texts in (config.bootstrap, config.seeds))
    async with (
        unwrapped(),
        open_host(config.seed, config.listen, config.max_connections) as host,
        open_gossip(
            host,
            config.prefix,
            rng=config.rng,
            named={address.peer_id for address in bootstrap},
            drop_rate=config.drop_rate,
        ) as (gossip, router),
    ):
        alarm = _Alarm()
        relay = Relay(host, config.prefix + "attest")
        requests = Requests(host, config.prefix, config.request_rate)
        reputation = Reputation(config.clock, ban_s=config.ban_s)
        book = BookFile(config.book) if config.book is not None else None
        peers = PeerSupervisor(host, requests, config.rng, config.peers, reputation, book)
        host.report = router.report = relay.report = requests.report = peers.penalise
        router.drop = peers.disconnect
        router.on_bug = relay.on_bug = requests.on_bug = alarm.ring
        peers.on_gone = relay.forget
        requests.dues.is_reserved = host.influx.is_reserved = peers.is_reserved
        Courtesy(host, config.agent, config.prefix, peers.addresses_for)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(alarm.wait)
            nursery.start_soon(relay.run)
            nursery.start_soon(peers.run)
            yield Transport(host, gossip, relay, requests, peers, lambda: peers.start(bootstrap, seeds))
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def unwrapped() -> AsyncIterator[None]:
    """Turn the exception groups of the nurseries inside back into the one exception they are about, and raise that.

    Of several that all tell the operator what to do, as where a disk is full for whoever writes, the first will do.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup) and (len(error.exceptions) == 1 or _are_told(error)):
            error = error.exceptions[0]
        if error is group:
            raise
        raise error from error.__cause__


def _are_told(group: BaseExceptionGroup[BaseException]) -> bool:
    return group.split(OperatorError)[1] is None
