"""What the mesh keeps of one peer, one topic, one message that is being checked."""

from __future__ import annotations

from dataclasses import dataclass, field

from p2p.meshsub.parts import Message
from p2p.meshsub.standing import Standing
from p2p.meshsub.topic import Member

WANTED_BYTES, WANTED_BURST_BYTES = 128 * 1024, 1_200_000
"""What a peer's IWANTs may make us send, a heartbeat and at once: thirty bytes must not buy megabytes without end."""

MAX_TOPICS_PER_PEER = 16
"""We use a handful of topics."""

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
