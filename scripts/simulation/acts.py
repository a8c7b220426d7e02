"""What happens to a world from outside, as data: dated acts that can be listed, left out, and done again.

A history is its seed, its settings and its acts.  Nothing here is drawn while it runs; so any part of the acts is a
history, too, which is how a failing one becomes short.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

# When the machine dies: at once; in its next write, of which nothing, a part or all reaches the disk; or right after
# its next reorg, when most is in flux.
Doom = Literal["", "lost", "torn", "kept", "reorg"]
# How far a change of validators is: its newcomers are waited for, or both sets decide.
Stage = Literal["gate", "joint"]
# What became of the disk until the machine is back: nothing, its signing state is gone, all of it is gone, its last
# commits are gone because it lied about fsync, bits of its log, its tables or its meta rows are wrong, or an operator
# put a backup in its place.
Damage = Literal["", "signing", "removed", "lied", "flipped log", "flipped tables", "flipped meta", "restored"]


@dataclass(frozen=True, slots=True)
class Weather:
    """How the whole network behaves: a way takes ``low_ms`` to ``low_ms + spread_ms``.

    ``tail``, ``loss``, ``duplicate`` and ``reorder`` are shares in a thousand.  In the tail a delay is doubled,
    again and again by the toss of a coin: a distribution without a thin end, made of integers.
    """

    low_ms: int = 5
    spread_ms: int = 55
    tail: int = 0
    loss: int = 0
    duplicate: int = 0
    reorder: int = 0


@dataclass(frozen=True, slots=True)
class Weathered:
    """All links are like this from now on."""

    slot: int
    weather: Weather

    def __str__(self) -> str:
        return str(self.weather)


@dataclass(frozen=True, slots=True)
class Clogged:
    """What one sends to another waits."""

    slot: int
    one: str
    two: str
    for_ms: int

    def __str__(self) -> str:
        return f"the link from {self.one} to {self.two} is clogged for {self.for_ms} ms"


@dataclass(frozen=True, slots=True)
class Cut:
    """Nothing passes on some ways until the first of ``turns``, in slots after it; after the second, nothing again."""

    slot: int
    ways: tuple[tuple[str, str], ...]
    title: str
    is_noticed: bool
    turns: tuple[int, ...]

    def __str__(self) -> str:
        return f"a cut ({self.title}{', noticed' if self.is_noticed else ''})"


@dataclass(frozen=True, slots=True)
class Ambush:
    """From now on a cut lies in wait: it begins some slots after a change of validators is at that stage somewhere."""

    slot: int
    stage: Stage
    wait_slots: int
    cut: Cut

    def __str__(self) -> str:
        return f"{self.cut}, {self.wait_slots} slots after a change of validators is at its {self.stage}"


@dataclass(frozen=True, slots=True)
class Crash:
    """A node dies and is back some slots later; ``seed`` draws the details of the damage.

    Where its disk is gone, and ``seed`` is odd, it begins with a state that others give away.
    """

    slot: int
    node: str
    doom: Doom
    down_slots: int
    damage: Damage
    seed: int

    def __str__(self) -> str:
        when = {"": "now", "reorg": "right after a reorg"}.get(self.doom, f"in a write, which is {self.doom}")
        damage = f"; its disk: {self.damage}" if self.damage else ""
        return f"{self.node} is to die {when}, for {self.down_slots} slots{damage}"


@dataclass(frozen=True, slots=True)
class BackUp:
    """An operator copies a home's database as it stands."""

    slot: int
    node: str

    def __str__(self) -> str:
        return f"a backup is made of {self.node}"


@dataclass(frozen=True, slots=True)
class Ruin:
    """The disks of these nodes are gone at once, and the nodes back some slots later.

    If the others are too few for anything to become final, people let the chain go on; if not, nothing happens.
    """

    slot: int
    nodes: tuple[str, ...]
    down_slots: int

    def __str__(self) -> str:
        return f"the disks of {' '.join(self.nodes)} are gone, and the nodes for {self.down_slots} slots"


@dataclass(frozen=True, slots=True)
class Prune:
    """A node drops what blocks said that are older than the state on its disk, if another still has all of it."""

    slot: int
    node: str

    def __str__(self) -> str:
        return f"{self.node} drops the bodies of old blocks"


@dataclass(frozen=True, slots=True)
class Upgrade:
    """An operator stops a node, and starts it in the other of two versions."""

    slot: int
    node: str

    def __str__(self) -> str:
        return f"{self.node} gets another version"


@dataclass(frozen=True, slots=True)
class SlowDisk:
    """Each write takes up to ``write_ms`` for some slots."""

    slot: int
    node: str
    write_ms: int
    slots: int

    def __str__(self) -> str:
        return f"the disk of {self.node} takes up to {self.write_ms} ms for {self.slots} slots"


@dataclass(frozen=True, slots=True)
class WrongClock:
    """A wall clock steps to so far from the true time, and drifts from there, and the monotonic one with it."""

    slot: int
    node: str
    offset_ms: int
    drift_ppm: int

    def __str__(self) -> str:
        return f"the wall clock of {self.node} is off by {self.offset_ms} ms and drifts by {self.drift_ppm} ppm"


@dataclass(frozen=True, slots=True)
class Freeze:
    """A machine stands still, and its monotonic clock with it: a virtual one, suspended."""

    slot: int
    node: str
    for_ms: int

    def __str__(self) -> str:
        return f"{self.node} freezes for {self.for_ms} ms, and its monotonic clock with it"


@dataclass(frozen=True, slots=True)
class Near:
    """A stranger is near from the beginning."""

    slot: int

    def __str__(self) -> str:
        return "a stranger comes near"


@dataclass(frozen=True, slots=True)
class Offer:
    """Honest clients offer so many transactions to one of the running nodes, the one numbered so."""

    slot: int
    number: int
    count: int

    def __str__(self) -> str:
        return f"clients offer {self.count} transactions"


@dataclass(frozen=True, slots=True)
class Mischief:
    """A client offers what is not valid."""

    slot: int

    def __str__(self) -> str:
        return "a vandal offers what is not valid"


Act: TypeAlias = (
    Weathered
    | Clogged
    | Cut
    | Ambush
    | Crash
    | BackUp
    | Ruin
    | Prune
    | Upgrade
    | SlowDisk
    | WrongClock
    | Freeze
    | Near
    | Offer
    | Mischief
)
