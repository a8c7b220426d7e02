"""What a runner saw, slot by slot; nothing in here knows which one it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Sight:
    """What a node showed in a slot; ``mute`` is why it makes no blocks, "" where it does or need not."""

    height: int
    final_height: int
    final_id: bytes
    is_validator: bool
    mute: str = ""
    rss_mb: int = 0


@dataclass(slots=True)
class Record:
    """One run.

    ``sights`` go by slot and node; who did not answer is not in them.  ``chains`` are the ids of the final blocks of
    each node in the end, from height 1 on; ``blocks`` the slot and the maker of each block on the longest chain.
    ``offered`` is in which slot clients offered what, ``final`` what of it is final.
    """

    sights: dict[int, dict[str, Sight]] = field(default_factory=dict)
    chains: Mapping[str, Sequence[bytes]] = field(default_factory=dict)
    blocks: Sequence[tuple[int, str]] = ()
    offered: dict[bytes, int] = field(default_factory=dict)
    final: set[bytes] = field(default_factory=set)
    fault: str = ""

    def see(self, slot: int, node: str, sight: Sight) -> None:
        """A node showed something."""
        self.sights.setdefault(slot, {})[node] = sight
