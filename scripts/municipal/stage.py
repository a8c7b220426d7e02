"""What every scene has at hand: the cast, the paper, and how long a day of a rehearsal is."""

from __future__ import annotations

from hashlib import sha256

from scripts.municipal.director import Director

# Long enough for an answer that takes eight slots to be seen and two to be heard: 20 days are 40 slots.
SLOTS_A_DAY = 2


def digest(text: str) -> bytes:
    """What stands on the chain for a document that is kept elsewhere."""
    return sha256(text.encode()).digest()


class Stage:
    """One director's chain."""

    def __init__(self, director: Director) -> None:
        self.director = director
        self.genesis = director.genesis
        self.cast = director.cast
        self.paper = director.paper
