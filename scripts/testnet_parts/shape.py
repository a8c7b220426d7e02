"""What a testnet is made of and what is asked of it: plain values, which cost nothing to import."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_NODES = 4
DEFAULT_SLOT_MS = 1_000
# A replay of ratings, the story of a city's register, and that of any policy.
MARKETPLACE, MUNICIPAL, TALE = "marketplace", "municipal", "tale"
# The story takes about 150 slots.
STORY_SLOT_MS = 500


@dataclass(frozen=True, slots=True)
class Shape:
    """What a testnet was made with."""

    nodes: int
    observers: int
    slot_ms: int
    seed: bytes
    scenario: str = MARKETPLACE

    @property
    def is_story(self) -> bool:
        """Whether something is told, and not replayed."""
        return self.scenario != MARKETPLACE

    @property
    def names(self) -> list[str]:
        """The folders of the nodes; validators come first."""
        return [f"node{index}" for index in range(self.nodes + self.observers)]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for; None leaves it to the home, or to the default.

    ``policy`` is the name or file of the one to found a network with.
    """

    nodes: int | None
    observers: int | None
    slot_ms: int | None
    scenario: str | None = None
    policy: str | None = None


@dataclass(frozen=True, slots=True)
class Until:
    """When a testnet stops by itself: once everything is final, after ``duration_s``, or never."""

    is_final: bool
    duration_s: float | None
