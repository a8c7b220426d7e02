"""What a run is asked to do, and the violation that ends one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Profile:
    """Which kinds of faults happen, and what goes with them unless something else is asked for.

    ``changes`` is of validators: the network is cut while they are on their way.  ``is_idle`` says that clients rest
    for long; ``is_mixed`` that the seed draws rests, villains and what clients do.  ``nodes`` are the numbers of
    validators that the seed chooses from.
    """

    network: bool = False
    crashes: bool = False
    clocks: bool = False
    strangers: bool = False
    changes: bool = False
    is_idle: bool = False
    is_mixed: bool = False
    nodes: tuple[int, ...] = (4, 5, 6, 7)
    byzantine: str = ""
    traffic: str = ""


PROFILES = {
    "none": Profile(),
    "network": Profile(network=True),
    "crashes": Profile(crashes=True),
    "clocks": Profile(clocks=True),
    "strangers": Profile(strangers=True),
    "all": Profile(network=True, crashes=True, clocks=True, strangers=True, changes=True, is_mixed=True),
    "changes": Profile(changes=True, traffic="council"),
    "idle": Profile(is_idle=True, nodes=(4,), byzantine="busy", traffic="ratings"),
    "setfork": Profile(nodes=(4, 4, 4, 10), byzantine="bridges", traffic="quiet"),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """One run without its seed.

    ``nodes`` None lets the seed choose; ``villains`` None is as many as the protocol tolerates; ``byzantine`` and
    ``mutation`` are names, "" for none.  ``traffic`` is the name of what clients do; "" lets the seed choose, but with
    villains that are given only ratings, as theory speaks of validators that stay.  With ``only_effects`` nobody looks
    inside the nodes.  ``disk`` is what honest nodes write to; ``only`` are the numbers of the acts that happen, of
    those that the seed has; None for all.  All of them happen ``skip`` slots earlier.
    """

    nodes: int | None = None
    slots: int = 300
    faults: str = "all"
    byzantine: str = ""
    villains: int | None = None
    mutation: str = ""
    traffic: str = ""
    only_effects: bool = False
    keep_timeline: bool = False
    disk: Literal["memory", "real", "mixed"] = "memory"
    only: tuple[int, ...] | None = None
    skip: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one run.

    ``is_damage`` tells a violation outside from one that only shows inside a node.  ``history`` is the SHA-256 of
    everything that happened, in hexadecimal; ``heal_slots`` how long it took after the faults ended until all agreed
    and finality had moved on, -1 where it did not; ``culprits`` the validators that the headers seen prove guilty.
    """

    seed: int
    violation: str
    is_damage: bool
    at_slot: int
    nodes: int
    final_height: int
    heal_slots: int
    history: str
    cpu_ms: int
    facts: dict[str, int]
    culprits: tuple[str, ...]
    villains: tuple[str, ...]
    timeline: tuple[str, ...]


class Violation(Exception):
    """What must hold did not, and somebody outside is hurt: by a fork, a lost transaction, evidence that is wrong."""


class BrokenInside(Violation):
    """What only shows by looking inside a node, as a wrong count of votes; it may hurt somebody later, or never."""


def tolerated(validators: int) -> int:
    """How many of so many validators of equal weight may be Byzantine: fewer than a third."""
    return (validators - 1) // 3
