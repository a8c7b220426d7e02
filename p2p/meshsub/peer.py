"""What the mesh keeps of all peers and of one, of a topic, of a message that is being checked."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from p2p.meshsub.parts import Message
from p2p.meshsub.standing import Retained, Standing
from p2p.meshsub.topic import Member, Place

WANTED_BYTES, WANTED_BURST_BYTES = 128 * 1024, 1_200_000
"""What a peer's IWANTs may make us send, a heartbeat and at once: thirty bytes must not buy megabytes without end."""

MAX_TOPICS_PER_PEER = 16
"""We use a handful of topics."""

MAX_TOPIC_LENGTH = 256
"""Characters of a topic that is remembered; a frame could name one of a megabyte."""

SUBSCRIPTIONS, SUBSCRIPTION_BURST = 1, 64
"""Subscriptions that a peer may begin or end, a heartbeat and at once: ours are a handful after each connect."""


class Peer:
    """One that is connected."""

    def __init__(self, standing: Standing, is_outbound: bool, origin: tuple[str, ...]) -> None:
        self.standing = standing
        self.is_outbound = is_outbound
        self.origin = origin
        self.topics: set[str] = set()
        self.subscriptions = SUBSCRIPTION_BURST
        self.wanted_bytes = WANTED_BURST_BYTES
        self.ihaves = 0
        self.offered = 0

    def beat(self, busy: set[str]) -> None:
        """A heartbeat has passed."""
        self.standing.decay(busy)
        self.subscriptions = min(SUBSCRIPTION_BURST, self.subscriptions + SUBSCRIPTIONS)
        self.wanted_bytes = min(WANTED_BURST_BYTES, self.wanted_bytes + WANTED_BYTES)
        self.ihaves = self.offered = 0


class Peers(dict[str, Peer]):
    """All that are connected.  ``named`` have reserved places, and so have the machines of validators."""

    def __init__(self, named: Collection[str] = ()) -> None:
        super().__init__()
        self._named = frozenset(named)
        self._validators: set[str] = set()
        self._retained = Retained()

    def join(self, peer: str, is_outbound: bool, origin: tuple[str, ...]) -> None:
        """One more, with the standing that it had."""
        self[peer] = Peer(self._retained.back(peer), is_outbound, origin)

    def leave(self, peer: str) -> None:
        """One less, if it was there."""
        gone = self.pop(peer, None)
        if gone is not None:
            self._retained.keep(peer, gone.standing)
        self._validators.discard(peer)

    def vouch(self, peer: str, is_validator: bool) -> None:
        """Whether one that is connected is a validator's machine."""
        if is_validator and peer in self:
            self._validators.add(peer)
        else:
            self._validators.discard(peer)

    def is_reserved(self, peer: str) -> bool:
        """Whether it has a place in each mesh, whatever it is worth."""
        return peer in self._named or peer in self._validators

    def reserved_in(self, topic: str) -> set[str]:
        """Those with reserved places that listen to a topic."""
        return {peer for peer in self._named | self._validators if self.listens(peer, topic)}

    def listens(self, peer: str, topic: str) -> bool:
        """Whether it is here and listens to a topic."""
        return peer in self and topic in self[peer].topics

    def listeners(self, topic: str) -> list[str]:
        """Who listens to a topic, in the order in which they came."""
        return [peer for peer, state in self.items() if topic in state.topics]

    def score(self, peer: str, topic: str) -> float:
        """What it is worth in a topic."""
        return self[peer].standing.score(topic)

    def place(self, peer: str, topic: str) -> Place:
        """What its place in the mesh of a topic is judged by."""
        state = self[peer]
        return Place(peer, state.standing.score(topic), state.is_outbound, self.is_reserved(peer), state.origin)


@dataclass
class Topic:
    """One that we listen to.  ``is_busy``: something was said since the last heartbeat."""

    max_bytes: int
    mesh: dict[str, Member] = field(default_factory=dict)
    is_busy: bool = False


@dataclass
class Pending:
    """A message that is being checked, and who has brought it."""

    message: Message
    first: str
    brought: set[str]
