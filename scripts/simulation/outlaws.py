"""Villains made for one rule each: what they do is harmless while it is in force.

Unlike the attacks of :mod:`scripts.simulation.byzantine` nothing is predicted of more of them than are tolerated.
"""

from __future__ import annotations

from chain.events import Request
from chain.messages import Status
from chain.proposals import ReplaceValidator
from chain.transactions import Action, Approve, Propose, sign_transaction
from scripts.simulation.byzantine import STRATEGIES, Equivocates
from scripts.simulation.forge import Cabal
from scripts.simulation.villain import Dutiful, Strategy, Villain
from scripts.simulation.world import SLOT_MS, World

# Of its own slots that a backdater left out, it uses so many at once, and none that are older.
TOWER = 4
MAX_BACK_SLOTS = 200


class Persists(Equivocates):
    """Signs two blocks for one slot, and goes on making blocks in what were its slots after it was jailed for it."""

    def each_slot(self, villain: Villain, slot: int) -> None:
        super().each_slot(villain, slot)
        if villain.leader(slot) != villain.secret.public and _is_own_slot(villain, slot):
            villain.tell(villain.forge(villain.head, slot))


class Backdates(Strategy):
    """Leaves its slots out, and builds on the head with blocks of these slots when they are long over."""

    def __init__(self) -> None:
        self._used: set[int] = set()

    def each_slot(self, villain: Villain, slot: int) -> None:
        past = range(slot, max(0, slot - MAX_BACK_SLOTS), -1)
        left_out = [at for at in past if _is_own_slot(villain, at) and at not in self._used]
        parent, votes = villain.head
        for at in left_out[:TOWER]:
            block = villain.forge((parent, votes), at)
            parent, votes = block.header, villain.cabal.votes[block.id]
            self._used.add(at)
            villain.tell(block)


class Busy(Dutiful):
    """Makes an empty block in each of its turns, though nobody wants anything."""


class Straddles(Strategy):
    """Makes a block on every head there is, for those who follow it, and serves nobody."""

    def lead(self, villain: Villain, slot: int) -> None:
        up = [node for node in villain.world.honest if node.is_up]
        heads = {node.engine.chain.head.header.id: node.engine.chain for node in up}
        for head_id, chain in heads.items():
            head = chain.head.header
            if head.slot < slot and chain.next_votes.newest_set.leader(slot) == villain.secret.public:
                block = villain.cabal.forge(villain.secret, head, chain.next_votes, slot)
                villain.tell(block, [node for node in up if node.engine.chain.head.header.id == head_id])

    def status(self, villain: Villain, peer: str, status: Status) -> Status | None:
        return None

    def answer(self, villain: Villain, request: Request, reply: bytes | None) -> bytes | None:
        return None


class Bridges(Straddles):
    """One of four, while another is replaced: the two who follow it in turn are parted, each with one of the others.

    It helps the one half as it should.  To the other it says that it voted up to where they were parted.
    """

    CUT_AT_SLOT = 11
    BEGINS_AT_SLOT = 12
    CHANGES_SIDES_AT_SLOT = 16

    def __init__(self) -> None:
        self._parted_at = 0

    def each_slot(self, villain: Villain, slot: int) -> None:
        turn = slot - villain.world.secrets.index(villain.secret)
        first, second, leaving = _following(villain)
        new = villain.world.by_name["spare0"].key
        assert new is not None
        match turn:
            case 0:
                leaves = villain.world.secrets[leaving].public
                self._decide(villain, first, Propose(ReplaceValidator(leaves, new.public)))
            case 1:
                self._decide(villain, second, Approve(0))
            case 4:
                self._decide(villain, leaving, Approve(0))
            case self.CUT_AT_SLOT:
                villain.world.schedule.later(SLOT_MS // 2, lambda: self._part(villain))

    def lead(self, villain: Villain, slot: int) -> None:
        turn = slot - villain.world.secrets.index(villain.secret)
        first, second, leaving = (villain.world.by_name[f"node{seat}"] for seat in _following(villain))
        if turn >= self.BEGINS_AT_SLOT:
            chain = first.engine.chain
            block = villain.forge((chain.head.header, chain.next_votes), slot)
            villain.tell(block, [first, villain.world.by_name["spare0"]])
        if turn >= self.CHANGES_SIDES_AT_SLOT:
            chain = second.engine.chain
            mine = (ballot.height for ballot in chain.head.votes.ballots if ballot.proposer == villain.secret.public)
            block = villain.forge((chain.head.header, chain.next_votes), slot, mhg=next(mine, self._parted_at))
            villain.tell(block, [second, leaving])

    def _part(self, villain: Villain) -> None:
        first, second, leaving = (f"node{seat}" for seat in _following(villain))
        self._parted_at = villain.world.by_name[first].engine.chain.head.header.height
        ways = [(one, two) for one in (first, "spare0") for two in (second, leaving)]
        villain.world.network.cut([*ways, *((two, one) for one, two in ways)], noticed=False)

    @staticmethod
    def _decide(villain: Villain, seat: int, action: Action) -> None:
        world = villain.world
        world.by_name[f"node{seat}"].submit(
            (sign_transaction(world.secrets[seat], world.genesis.id, 0, 50_000, action),)
        )


OUTLAWS: dict[str, type[Strategy]] = {
    "persists": Persists,
    "backdates": Backdates,
    "busy": Busy,
    "straddles": Straddles,
    "bridges": Bridges,
}


def join_cabal(world: World, name: str, seats: list[int]) -> None:
    """Add the villains of a world."""
    cabal, strategy = Cabal(world), {**STRATEGIES, **OUTLAWS}[name]()
    for seat in seats:
        strategy.join(cabal, seat)


def _is_own_slot(villain: Villain, slot: int) -> bool:
    """Whether a slot was its own before the validators changed."""
    return villain.world.secrets[slot % len(villain.world.secrets)] is villain.secret


def _following(villain: Villain) -> tuple[int, int, int]:
    """The seats that lead after it, where there are four."""
    seat = villain.world.secrets.index(villain.secret)
    one, two, three = ((seat + turns) % 4 for turns in (1, 2, 3))
    return one, two, three
