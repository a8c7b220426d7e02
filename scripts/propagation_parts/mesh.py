"""Who gossips with whom."""

from __future__ import annotations

from random import Random


def build_mesh(nodes: int, degree: int, random: Random) -> list[list[int]]:
    """For each node its mesh peers, ``degree`` of them, or fewer where nobody else has room.

    A random ring makes sure that all are connected; then one node after the other grafts random nodes that have room,
    as GossipSub does.
    """
    peers: list[dict[int, None]] = [{} for _ in range(nodes)]
    ring = random.sample(range(nodes), nodes)
    for one, two in zip(ring, ring[1:] + ring[:1], strict=True):
        peers[one][two] = peers[two][one] = None
    for one in random.sample(range(nodes), nodes):
        roomy = [two for two in range(nodes) if two != one and two not in peers[one] and len(peers[two]) < degree]
        for two in random.sample(roomy, max(0, min(degree - len(peers[one]), len(roomy)))):
            peers[one][two] = peers[two][one] = None
    return [random.sample(list(known), len(known)) for known in peers]
