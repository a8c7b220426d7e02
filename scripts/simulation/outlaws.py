"""Villains made for one rule each: what they do is harmless while it is in force.

Unlike the attacks of :mod:`scripts.simulation.byzantine` nothing is predicted of more of them than are tolerated.
"""

from __future__ import annotations

from scripts.simulation.bridges import Bridges, Straddles
from scripts.simulation.byzantine import STRATEGIES, Betrays, Equivocates
from scripts.simulation.forge import Cabal, outcome_of
from scripts.simulation.villain import Attests, Dutiful, Strategy, Villain
from scripts.simulation.world import World

# Of its own slots that a backdater left out, it uses so many at once, and none that are older.
TOWER = 4
MAX_BACK_SLOTS = 200


class Persists(Equivocates):
    """Signs two blocks for one slot, and goes on making blocks in what were its slots after it was jailed for it."""

    def each_slot(self, villain: Villain, slot: int) -> None:
        super().each_slot(villain, slot)
        header, votes = villain.head
        if villain.leader(slot) != villain.secret.public and _is_own_slot(villain, slot) and header.slot < slot:
            root, decision = outcome_of(villain, slot, ())
            heard = villain.engine.heard
            block = villain.cabal.forge(
                villain.secret, header, votes, slot, state_root=root, decision=decision, heard=heard
            )
            villain.tell(block)


class Repeats(Betrays):
    """Votes for all of a branch again with each block of it, once something is final for the other half."""

    def attest(self, villain: Villain) -> None:
        half, is_final = self.helped(villain)
        up = [node for node in half if node.is_up]
        for node in up:
            villain.attest_for(node.engine.chain, up, 0 if is_final else None)


class Backdates(Attests):
    """Leaves its slots out, and builds on the head with blocks of these slots when they are long over."""

    def __init__(self) -> None:
        self._used: set[int] = set()

    def each_slot(self, villain: Villain, slot: int) -> None:
        past = range(slot, max(0, slot - MAX_BACK_SLOTS), -1)
        left_out = [at for at in past if _is_own_slot(villain, at) and at not in self._used]
        parent, votes = villain.head
        root, decision = outcome_of(villain, slot, ())
        for at in left_out[:TOWER]:
            block = villain.cabal.forge(villain.secret, parent, votes, at, state_root=root, decision=decision)
            self._used.add(at)
            villain.tell(block)
            if block.id not in villain.cabal.votes:  # it contradicts what it said
                return
            parent, votes = block.header, villain.cabal.votes[block.id]
            root, decision = parent.state_root, type(decision)()


class Busy(Dutiful):
    """Makes an empty block in each of its turns, though nobody wants anything."""


OUTLAWS: dict[str, type[Strategy]] = {
    "persists": Persists,
    "repeats": Repeats,
    "backdates": Backdates,
    "busy": Busy,
    "straddles": Straddles,
    "bridges": Bridges,
}

#: Who may be in any history.
STRANGEST = tuple(name for name in (*STRATEGIES, *OUTLAWS) if name != "bridges")


def join_cabal(world: World, name: str, seats: list[int]) -> None:
    """Add the villains of a world."""
    cabal, strategy = Cabal(world), {**STRATEGIES, **OUTLAWS}[name]()
    for seat in seats:
        strategy.join(cabal, seat)


def _is_own_slot(villain: Villain, slot: int) -> bool:
    """Whether a slot was its own before the validators changed."""
    return villain.world.secrets[slot % len(villain.world.secrets)] is villain.secret
