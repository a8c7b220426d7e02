"""Bodies that nodes drop, and states that they begin with: somebody honest keeps all that others may have to fetch."""

from __future__ import annotations

from collections.abc import Collection

from scripts.simulation.disk import Disk
from scripts.simulation.node import SimulatedNode
from scripts.simulation.world import World


def may_prune(world: World, node: SimulatedNode) -> bool:
    """Whether a node can drop what is older than the state on its disk: another has all of it."""
    settled = node.disk.settled
    return settled is not None and _others_keep(world, (node,), settled.header.height)


def are_needed(world: World, *nodes: SimulatedNode) -> bool:
    """Whether bodies would be gone for good with the disks of these nodes."""
    dropped = max(other.disk.oldest for other in world.honest) - 1
    return dropped > 0 and not _others_keep(world, nodes, dropped)


def source_of(world: World, node: SimulatedNode) -> Disk | None:
    """The disk with the newest state that another gives away, None where a node had better fetch every block."""
    others = [other for other in world.honest if other is not node and other.is_up and other.disk.settled is not None]
    best = max(others, key=_settled_height, default=None)
    return best.disk if best is not None and _others_keep(world, (node,), _settled_height(best)) else None


def _others_keep(world: World, nodes: Collection[SimulatedNode], height: int) -> bool:
    """Whether another honest node than these has every body up to a height, on a disk without hidden damage."""
    others = (other.disk for other in world.honest if other not in nodes)
    return any(disk.oldest == 1 and disk.finalized >= height and not disk.is_unsound for disk in others)


def _settled_height(node: SimulatedNode) -> int:
    settled = node.disk.settled
    return 0 if settled is None else settled.header.height
