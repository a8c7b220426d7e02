"""Messages to everyone: publish to a topic, and check what others publish before it is passed on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from random import Random

import trio

from chain.base.errors import InvariantBroken
from p2p.host import GuardedHost
from p2p.meshsub.mesh import Mesh
from p2p.meshsub.router import DEFAULT_DROP_RATE, Router, Validate
from p2p.meshsub.signing import is_signed

MAX_MESSAGE_BYTES = 1_000_000
"""The largest message that fits a frame with its envelope."""


class Gossip:
    """The topics of one network.  Topic names are short; on the wire they carry the network's prefix."""

    def __init__(self, router: Router, prefix: str) -> None:
        self._router = router
        self._prefix = prefix

    async def subscribe(self, topic: str, validate: Validate, *, max_bytes: int) -> None:
        """Receive the messages of ``topic``, each distinct one once.

        ``validate(peer_id, data)`` gets the peer that forwarded the message, and is the receiver: it takes
        what it needs and returns whether to pass the message on.  False blames the forwarder, so it is
        for what no honest peer sends at any time, and the verdict holds for every copy.  Several run at
        once; one that waits holds up nobody else.  If it raises ``Refused``, the message is dropped and
        nobody is blamed: for what depends on our clock or state.  ``InvariantBroken`` stops the transport.
        """
        if max_bytes > MAX_MESSAGE_BYTES:
            raise InvariantBroken(f"topic {topic} allows {max_bytes} bytes, a frame holds {MAX_MESSAGE_BYTES}")
        self._router.subscribe(self._prefix + topic, validate, max_bytes)

    async def publish(self, topic: str, data: bytes) -> None:
        """Queue a message for the mesh; it does not wait for the network, and no validator of ours sees it.

        The same bytes can be published again; peers that saw them drop them.  Raises :class:`InvariantBroken` for a
        message that the topic's subscribers would refuse as too large.
        """
        name = self._prefix + topic
        if len(data) > self._router.mesh.topics[name].max_bytes:
            raise InvariantBroken(f"a message of {len(data)} bytes is too large for topic {topic}")
        self._router.publish(name, data)

    def vouch(self, peer_id: str, is_validator: bool) -> None:
        """Whether a connected peer is a validator's machine, as far as it is known now: such ones are not displaced."""
        self._router.vouch(peer_id, is_validator)

    def mesh(self, topic: str) -> set[str]:
        """The peers to which messages of ``topic`` are passed on."""
        return self._router.mesh.mesh(self._prefix + topic)

    def ready(self, peer_id: str, topic: str) -> bool:
        """Whether the peer is connected and has told us that it listens to ``topic``."""
        return self._router.is_ready(peer_id, self._prefix + topic)


@asynccontextmanager
async def open_gossip(
    host: GuardedHost,
    prefix: str,
    *,
    rng: Random,
    named: Collection[str] = (),
    drop_rate: tuple[float, float] = DEFAULT_DROP_RATE,
) -> AsyncIterator[tuple[Gossip, Router]]:
    """Run gossip on a host that has not been opened to peers yet.  ``named`` are the peers that the operator named."""
    router = Router(host, Mesh(rng, is_signed, named, prefix), drop_rate)
    async with trio.open_nursery() as nursery:
        await nursery.start(router.run)
        yield Gossip(router, prefix), router
        nursery.cancel_scope.cancel()
