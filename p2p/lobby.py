"""Who gives way to a newcomer: the least useful stranger, so that neither idlers nor honest crowds fill every place.

A stranger dialled us and is neither named by the operator nor a validator's machine.  Identities are free, addresses
less so, and use is what costs an attacker most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from random import Random

from p2p.addresses import neighbourhood

GRACE_S = 5.0
"""How long a newcomer may take before it is compared: time to greet and to ask for what it came for."""

MEMORY_S = 600.0
"""What a peer did counts this long."""


class Use(IntEnum):
    """What a stranger is good for, in rising order."""

    NONE = 0
    ASKED = 1  # it takes part
    DELIVERED = 2  # it brought something good that was new


@dataclass(frozen=True)
class Guest:
    """A stranger, as compared with others.  ``since`` is when it came, in seconds."""

    peer_id: str
    host: str
    since: float
    use: Use


@dataclass(frozen=True)
class Room:
    """How many strangers there may be in all, of one /24 or /64, and of one address."""

    strangers: int
    neighbours: int
    sharing: int

    @classmethod
    def of(cls, strangers: int) -> Room:
        """A quarter for a neighbourhood and an eighth for an address, where those say something: not on one site."""
        return cls(strangers, max(1, strangers // 4), max(1, strangers // 8))


def makes_room(guests: Sequence[Guest], host: str, room: Room, now: float, rng: Random) -> Guest | None:
    """Who leaves so that a newcomer from ``host`` can come in; None if there is a place.

    Raises ``LookupError`` where those of the least use are too new to be judged.
    """
    place = neighbourhood(host)
    sharing = [guest for guest in guests if place and guest.host == host]
    near = [guest for guest in guests if place and neighbourhood(guest.host) == place]
    for crowd, most in ((sharing, room.sharing), (near, room.neighbours), (guests, room.strangers)):
        if len(crowd) >= most:
            return _least(crowd, guests, now, rng)
    return None


def _least(crowd: Sequence[Guest], guests: Sequence[Guest], now: float, rng: Random) -> Guest:
    lowest = min((guest.use for guest in crowd), default=Use.NONE)
    judged = [guest for guest in crowd if guest.use is lowest and now - guest.since >= GRACE_S]
    if not judged:  # who is new may yet be of use, and who is of use does not make room for it
        raise LookupError("nobody of the least use has been here for long enough")

    def neighbours(guest: Guest) -> int:
        place = neighbourhood(guest.host)
        return sum(bool(place) and neighbourhood(other.host) == place for other in guests)

    most = max(map(neighbours, judged))
    alike = sorted((guest for guest in judged if neighbours(guest) == most), key=lambda guest: guest.since)
    # Those that have been here longer stay; which of the others goes cannot be arranged.
    return rng.choice(alike[len(alike) // 2 :])
