"""Two versions at once: what the next one may choose otherwise, as long as it speaks the same protocol.

These limits are a node's own, and no other node can tell; so while some nodes have one version and some the other, the
network agrees as before.  Nodes of another protocol never connect to each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from chain.protocol import download, engine, heard, production, sync

# Smaller blocks, shorter messages and downloads, other intervals, and a chain that is quiet a block earlier.
NEXT: tuple[tuple[ModuleType, str, int], ...] = (
    (production, "MAX_BLOCK_TRANSACTIONS", 16),
    (heard, "MAX_REPEATED", 2),
    (download, "MAX_BLOCKS_PER_REQUEST", 8),
    (sync, "SHORT_BRANCH", 4),
    (engine, "STATUS_EVERY_SLOTS", 5),
    (engine, "REGOSSIP_EVERY_SLOTS", 4),
    (engine, "MAX_QUIET_LAG", 3),
)


@contextmanager
def next_version() -> Iterator[None]:
    """What the next version has is in force."""
    present = [(module, name, getattr(module, name)) for module, name, _ in NEXT]
    try:
        for module, name, value in NEXT:
            setattr(module, name, value)
        yield
    finally:
        for module, name, value in present:
            setattr(module, name, value)
