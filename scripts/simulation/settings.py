"""What a run is asked to do, and the violation that ends one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """Which kinds of faults happen, and what goes with them unless something else is asked for.

    ``changes`` is an upheaval of the validators (:mod:`scripts.simulation.upheaval`); ``is_idle`` says that clients
    rest for long.
    """

    network: bool = False
    crashes: bool = False
    clocks: bool = False
    strangers: bool = False
    changes: bool = False
    is_idle: bool = False
    nodes: int | None = None
    byzantine: str = ""
    traffic: str = ""


PROFILES = {
    "none": Profile(),
    "network": Profile(network=True),
    "crashes": Profile(crashes=True),
    "clocks": Profile(clocks=True),
    "strangers": Profile(strangers=True),
    "all": Profile(network=True, crashes=True, clocks=True, strangers=True),
    "changes": Profile(changes=True, traffic="council"),
    "idle": Profile(is_idle=True, nodes=4, byzantine="busy", traffic="ratings"),
    "setfork": Profile(nodes=4, byzantine="bridges", traffic="quiet"),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """One run without its seed.

    ``nodes`` None lets the seed choose 4 to 7; ``villains`` None is as many as the protocol tolerates;
    ``byzantine`` and ``mutation`` are names, "" for none.  ``traffic`` is the name of what clients do; "" lets the
    seed choose, but with villains only ratings, as theory speaks of validators that stay.  With
    ``only_effects`` nobody looks inside the nodes.
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
