"""How much trouble each peer has made, and who is kept out for it."""

from __future__ import annotations

import math
from collections import Counter

import trio

from chain.base.errors import Reason, Refused
from chain.base.newest import Newest
from p2p.limits import Clock

REFUSED: Counter[Reason] = Counter()
BLAMED: Counter[Reason] = Counter()
"""How often what a peer sent was refused for each reason, in this process; and how often that was held against it."""

BAN_THRESHOLD = 100.0
"""A peer is banned at this score: one proof of malice, four invalid messages, or some twenty small faults."""

HALF_LIFE_S = 600.0
"""Honest peers err now and then; after ten minutes half of it is forgotten."""

BAN_S = 300.0
"""Long enough to make an attack slow, short enough that a repaired peer is back the same hour."""

MAX_REMEMBERED = 4096
"""Identities are free, so the memory of them is bounded; the longest untouched are forgotten first."""


class Weight:
    """What the faults that this layer sees itself add to a score."""

    MALICE = BAN_THRESHOLD  # bytes that no implementation of the protocol ever sends
    INVALID = 30.0  # well-formed, refused by the receiver's check
    EXCESS = 5.0  # more than the agreed amount of something allowed


class Reputation:
    """Scores that decay and bans that end by themselves.  ``clock`` gives seconds."""

    def __init__(
        self,
        clock: Clock = trio.current_time,
        *,
        ban_s: float = BAN_S,
        half_life_s: float = HALF_LIFE_S,
    ) -> None:
        self._clock = clock
        self._ban_s = ban_s
        self._half_life_s = half_life_s
        self._scores: Newest[str, tuple[float, float]] = Newest(MAX_REMEMBERED)
        self._banned_until: Newest[str, float] = Newest(MAX_REMEMBERED)

    def ban_for(self, ban_s: float) -> None:
        """Make later bans so long."""
        self._ban_s = ban_s

    def score(self, peer_id: str) -> float:
        """The peer's present score; 0 is a peer without a fault."""
        score, at = self._scores.get(peer_id, (0.0, 0.0))
        return score * math.exp2((at - self._clock()) / self._half_life_s) if score else 0.0

    def penalise(self, peer_id: str, weight: float) -> bool:
        """Add ``weight`` to the score.  True if this bans the peer now."""
        score = self.score(peer_id) + weight
        if score < BAN_THRESHOLD:
            self._scores.renew(peer_id, (score, self._clock()))
            return False
        already = self.banned(peer_id)
        self._scores.pop(peer_id, None)
        self.ban(peer_id, self._ban_s)
        return not already

    def ban(self, peer_id: str, duration_s: float) -> None:
        """Keep the peer out for ``duration_s`` from now."""
        self._banned_until.renew(peer_id, self._clock() + duration_s)

    def bans(self) -> dict[str, float]:
        """Who is kept out, and for how many seconds more."""
        now = self._clock()
        return {peer_id: until - now for peer_id, until in self._banned_until.items() if now < until}

    def banned(self, peer_id: str) -> bool:
        until = self._banned_until.get(peer_id)
        if until is None:
            return False
        if self._clock() < until:
            return True
        del self._banned_until[peer_id]
        return False


def count_refusal(refusal: Refused, *, is_blamed: bool) -> None:
    """Count that something of a peer was refused, wherever that is."""
    REFUSED[refusal.reason] += 1
    if is_blamed:
        BLAMED[refusal.reason] += 1
