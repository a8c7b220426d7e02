"""What the mesh wants done, and what it is told of a check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from p2p.meshsub.parts import Message, Rpc


class Fault(Enum):
    """How bad it is what a peer did."""

    EXCESS = "too much of something allowed"
    INVALID = "what no honest peer passes on"


class Verdict(Enum):
    """What a check makes of a message.  Specification: extended validators."""

    ACCEPT = "passed on"
    IGNORE = "not passed on, and nobody is blamed"
    REJECT = "not passed on, and whoever brings it is blamed"


@dataclass(frozen=True, slots=True)
class Send:
    """A frame for each of these peers."""

    peers: tuple[str, ...]
    rpc: Rpc


@dataclass(frozen=True, slots=True)
class Check:
    """Have somebody look at a message, and tell :meth:`Mesh.checked`."""

    peer: str
    message: Message


@dataclass(frozen=True, slots=True)
class Penalise:
    """Hold something against a peer."""

    peer: str
    fault: Fault
    why: str


Effect = Send | Check | Penalise
