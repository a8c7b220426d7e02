"""What a peer was worth lately: what it delivered first, where it was silent, and how it behaved.

The score of a peer in a topic is P2 - P3b - P7 of the specification "gossipsub v1.1" (first deliveries, failures of
the mesh, behaviour), with weights of one.  P1 (time in the mesh) would pay the silent, P4 (invalid messages) goes to
the one account of all that peers do wrong, :mod:`p2p.reputation`, which bans where the specification has its
GraylistThreshold, and in the place of P6 (colocation) stands a limit, in :mod:`p2p.meshsub.topic`.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict

FIRST_CAP = 100.0
"""Specification: FirstMessageDeliveriesCap.  So much is made good by no further delivery."""

SILENCE = 5.0
"""P3b of a peer that was silent in the mesh of a topic: below any that has delivered nothing, above GossipThreshold."""

MAX_BEHAVIOUR = 30.0
"""More than this is not remembered: it is below every threshold."""

FIRST_DECAY = 0.999
"""A heartbeat with messages leaves so much of P2 (FirstMessageDeliveriesDecay): half goes in eleven minutes."""

PENALTY_DECAY = 0.99
"""A heartbeat leaves so much of P3b and P7 (MeshFailurePenaltyDecay, BehaviourPenaltyDecay): half goes in a minute."""

DECAY_TO_ZERO = 0.5
"""Specification: DecayToZero."""

GOSSIP_THRESHOLD, PUBLISH_THRESHOLD = -10.0, -20.0
"""Specification: GossipThreshold, PublishThreshold.  Reached by behaviour alone: silence costs a place, no more."""

MAX_RETAINED = 1_024
"""Peers that have gone and whose standing is kept (RetainScore), for as long as others do not take the room."""


class Standing:
    """One peer's."""

    def __init__(self) -> None:
        self._first: defaultdict[str, float] = defaultdict(float)
        self._silence: dict[str, float] = {}
        self._behaviour = 0.0

    def score(self, topic: str) -> float:
        """What the peer is worth in ``topic``; 0 is one of which nothing is known."""
        return self._first.get(topic, 0.0) - self._silence.get(topic, 0.0) - self._behaviour

    def delivered(self, topic: str) -> None:
        """It brought a good message before everybody else: P2."""
        self._first[topic] = min(FIRST_CAP, self._first[topic] + 1.0)

    def was_silent(self, topic: str) -> None:
        """It was in the mesh and brought nothing while others did: P3b."""
        self._silence[topic] = SILENCE

    def misbehaved(self, times: int = 1) -> None:
        """It broke a promise or did not keep to a pause: P7."""
        self._behaviour = min(MAX_BEHAVIOUR, self._behaviour + times)

    def decay(self, busy: set[str]) -> None:
        """A heartbeat has passed.  Where nobody said anything, nothing is forgotten of who did."""
        for topic in busy & self._first.keys():
            self._first[topic] *= FIRST_DECAY
        self._silence = {topic: left for topic, cost in self._silence.items() if (left := _less(cost))}
        self._behaviour = _less(self._behaviour)


class Retained:
    """The standing of peers that have gone, should they come back."""

    def __init__(self) -> None:
        self._gone: OrderedDict[str, Standing] = OrderedDict()

    def keep(self, peer: str, standing: Standing) -> None:
        self._gone[peer] = standing
        while len(self._gone) > MAX_RETAINED:
            self._gone.popitem(last=False)

    def back(self, peer: str) -> Standing:
        """What there was, or the standing of a stranger."""
        return self._gone.pop(peer, None) or Standing()


def _less(penalty: float) -> float:
    left = penalty * PENALTY_DECAY
    return left if left >= DECAY_TO_ZERO else 0.0
