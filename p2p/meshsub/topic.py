"""Who is in the mesh of one topic, and who has to go: what is worth knowing of each, and the choice among them.

Source: libp2p specifications, "gossipsub v1.0" (mesh maintenance) and "v1.1" (outbound quota, heartbeat maintenance,
opportunistic grafting).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from random import Random

D, D_LO, D_HI = 6, 4, 12
"""Specification: D, D_lo, D_hi.  Networks of up to five nodes are fully meshed."""

D_SCORE, D_OUT = 4, 2
"""Specification: D_score, the best that survive a cut whatever is drawn; D_out, below D_lo and at most D / 2."""

D_ACTIVE_MS = 10_000
SILENT_AFTER = 32
"""A peer is silent that brought nothing while others brought so many messages, and that had so long.  Specification:
MeshMessageDeliveriesActivation, MeshMessageDeliveriesThreshold.  One of six that forward alike is passed over by
chance so often in one of three hundred cases."""

MAX_OF_ADDRESS, MAX_OF_BLOCK = 2, 3
"""Strangers of one address, and of one /24 (of IPv6: /64), in the mesh of a topic: other identities are free, other
networks are not.  Half of D; in the place of the specification's P6."""

_LIMITS = (MAX_OF_ADDRESS, MAX_OF_BLOCK)


@dataclass(frozen=True, slots=True)
class Place:
    """What a peer's place is judged by.  ``is_reserved``: the operator named it, or it is a validator's machine."""

    peer: str
    score: float
    is_outbound: bool
    is_reserved: bool
    origin: tuple[str, ...]


@dataclass
class Member:
    """A peer in the mesh: since when, and how many messages others brought since it last brought one."""

    since_ms: int
    passed: int = 0

    def is_silent(self, now_ms: int) -> bool:
        return self.passed >= SILENT_AFTER and now_ms - self.since_ms >= D_ACTIVE_MS


def origin_of(host: str) -> tuple[str, ...]:
    """The address and its block, each of which counts; none where all come from one place, as in a local network."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return ()
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    if not address.is_global:
        return ()
    block = ip_network((address, 24 if address.version == 4 else 64), strict=False)
    return (str(address), str(block))


class Origins:
    """How many places those of one address or block have taken."""

    def __init__(self, places: Iterable[Place]) -> None:
        self._count = Counter(origin for place in places if not place.is_reserved for origin in place.origin)

    def take(self, place: Place) -> bool:
        """Whether there is room for one more from there; if so it is taken."""
        if place.is_reserved or not place.origin:
            return True
        if any(self._count[key] >= limit for key, limit in zip(place.origin, _LIMITS, strict=True)):
            return False
        self._count.update(place.origin)
        return True


def room(mesh: Collection[Place], most: int) -> int:
    """How many strangers a mesh of ``most`` may hold: those with reserved places leave them D_lo at least."""
    return max(most - sum(place.is_reserved for place in mesh), D_LO)


def may_enter(place: Place, mesh: Sequence[Place]) -> bool:
    """Whether a peer that asks for it gets into the mesh; if there are too many then, the next heartbeat chooses."""
    if place.is_reserved:
        return True
    if place.score < 0 or not Origins(mesh).take(place):
        return False
    strangers = sum(not other.is_reserved for other in mesh)
    # Beyond D_hi we take whom we chose to dial, as the specification has it, and who has shown what it is worth.
    return strangers < room(mesh, D_HI) or place.is_outbound or place.score > 0


def survivors(mesh: Sequence[Place], rng: Random) -> set[str]:
    """Who stays in a mesh that is too large: reserved places, the best, D_out that we dialled, and some by chance."""
    kept = [place for place in mesh if place.is_reserved]
    strangers = [place for place in mesh if not place.is_reserved]
    rng.shuffle(strangers)
    strangers.sort(key=lambda place: -place.score)
    best, rest = strangers[:D_SCORE], strangers[D_SCORE:]
    rng.shuffle(rest)
    lacking = max(0, D_OUT - sum(place.is_outbound for place in kept + best))
    outbound = [place for place in rest if place.is_outbound][:lacking]
    others = [place for place in rest if place not in outbound]
    chosen = (best + others)[: room(mesh, D) - len(outbound)] + outbound
    return {place.peer for place in kept + chosen}


def recruits(mesh: Sequence[Place], candidates: Sequence[Place], rng: Random) -> list[str]:
    """Whom to GRAFT: everyone with a reserved place, as many as bring the mesh to D, and D_out that we dial.

    Those that delivered come before those of which nothing is known; among these it is chance.
    """
    fill = Filling(mesh, candidates, rng)
    fill.take(lambda place: place.is_reserved, len(candidates))
    if len(fill.mesh) < D_LO:
        fill.take(lambda _place: True, D - len(fill.mesh))
    fill.take(lambda place: place.is_outbound, D_OUT - sum(place.is_outbound for place in fill.mesh))
    return fill.taken


def better(mesh: Sequence[Place], candidates: Sequence[Place], rng: Random, most: int) -> list[str]:
    """Those with more than the median score of the mesh.  Specification: opportunistic grafting."""
    scores = sorted(place.score for place in mesh)
    median = scores[len(scores) // 2] if scores else 0.0
    fill = Filling(mesh, candidates, rng)
    fill.take(lambda place: place.score > median, most)
    return fill.taken


class Filling:
    """A mesh to which candidates are added, within the limits of their origins."""

    def __init__(self, mesh: Sequence[Place], candidates: Sequence[Place], rng: Random) -> None:
        self.mesh = list(mesh)
        self.taken: list[str] = []
        self._origins = Origins(mesh)
        self._left = list(candidates)
        rng.shuffle(self._left)
        self._left.sort(key=lambda place: -max(place.score, 0.0))

    def take(self, wanted: Callable[[Place], bool], count: int) -> None:
        """Add at most ``count`` of those that are ``wanted``."""
        for place in [place for place in self._left if wanted(place)]:
            if count <= 0:
                return
            if self._origins.take(place):
                self._left.remove(place)
                self.mesh.append(place)
                self.taken.append(place.peer)
                count -= 1
