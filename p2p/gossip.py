"""Messages to everyone: publish to a topic, and check what others publish before it is passed on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libp2p.peer.id import ID
from libp2p.tools.anyio_service import background_trio_service

from chain.errors import InvariantBroken
from p2p.host import GuardedHost
from p2p.pubsub import DEFAULT_DROP_RATE, GuardedPubsub, Topic, Validate, message_id
from p2p.router import TunedGossipSub

MAX_MESSAGE_BYTES = 1_000_000
"""The largest message that fits a frame with its envelope."""


class Gossip:
    """The topics of one network.  Topic names are short; on the wire they carry the network's prefix."""

    def __init__(self, pubsub: GuardedPubsub, router: TunedGossipSub, prefix: str) -> None:
        self._pubsub = pubsub
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
        name = self._prefix + topic
        self._pubsub.topics[name] = Topic(validate, max_bytes)
        await self._router.join(name)  # before it is announced: who grafts us then finds us ready
        await self._pubsub.subscribe(name)

    async def publish(self, topic: str, data: bytes) -> None:
        """Queue a message for the mesh; it does not wait for the network, and no validator of ours sees it.

        The same bytes can be published again; peers that saw them drop them.  Raises :class:`InvariantBroken` for a
        message that the topic's subscribers would refuse as too large.
        """
        name = self._prefix + topic
        if len(data) > self._pubsub.topics[name].max_bytes:
            raise InvariantBroken(f"a message of {len(data)} bytes is too large for topic {topic}")
        await self._pubsub.publish(name, data)

    def mesh(self, topic: str) -> set[str]:
        """The peers that messages of ``topic`` are sent to directly."""
        return {str(peer_id) for peer_id in self._router.mesh.get(self._prefix + topic, set())}

    def ready(self, peer_id: str, topic: str) -> bool:
        """Whether the peer has told us that it listens to ``topic`` and we have a stream to it."""
        peer = ID.from_base58(peer_id)
        return peer in self._pubsub.peers and peer in self._pubsub.peer_topics.get(self._prefix + topic, set())


@asynccontextmanager
async def open_gossip(
    host: GuardedHost, prefix: str, drop_rate: tuple[float, float] = DEFAULT_DROP_RATE
) -> AsyncIterator[tuple[Gossip, GuardedPubsub]]:
    """Run gossip on a host that has not been opened to peers yet."""
    router = TunedGossipSub(message_id)
    pubsub = GuardedPubsub(host, router, prefix, drop_rate)
    async with background_trio_service(pubsub), background_trio_service(router):
        await pubsub.wait_until_ready()
        yield Gossip(pubsub, router, prefix), pubsub
