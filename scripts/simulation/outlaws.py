"""Villains made for one rule each: what they do is harmless while it is in force.

Unlike the attacks of :mod:`scripts.simulation.byzantine` nothing is predicted of more of them than are tolerated.
"""

from __future__ import annotations

from dataclasses import replace

from chain.branches.blocktree import TreeNode
from chain.consensus.headers import Header
from chain.consensus.restart import SALT_BYTES, Restart
from chain.consensus.statements import TAG_BYTES
from chain.protocol.messages import Status
from scripts.simulation.bridges import Bridges, Straddles
from scripts.simulation.byzantine import STRATEGIES, Betrays, Equivocates, best_of
from scripts.simulation.forge import Cabal, outcome_of
from scripts.simulation.forgers import Garbles, Impersonates, Misspeaks
from scripts.simulation.node import SimulatedNode
from scripts.simulation.settings import tolerated
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


class Disguises(Equivocates):
    """Signs two blocks for one slot as if from two signing states, so that they prove nothing against each other."""

    def tag(self, villain: Villain) -> bytes | None:
        return villain.world.random.randbytes(TAG_BYTES)

    def attest(self, villain: Villain) -> None:
        villain.attest()


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


class Hoards(Attests):
    """Leaves its slots out; when it has hoarded enough it leaves each block of others behind with two of them."""

    ENOUGH = 98

    def __init__(self) -> None:
        self._hoard: list[int] = []
        self._is_spending = False

    def each_slot(self, villain: Villain, slot: int) -> None:
        if _is_own_slot(villain, slot):
            self._hoard.append(slot)
            self._is_spending |= len(self._hoard) >= self.ENOUGH

    def attest(self, villain: Villain) -> None:
        chain = villain.engine.chain
        header = chain.head.header
        if not self._is_spending:
            super().attest(villain)
        elif len(self._hoard) > 1 and header.proposer != villain.secret.public and header.parent in chain.tree:
            self._leave_behind(villain, chain.tree[header.parent])

    def _leave_behind(self, villain: Villain, parent: TreeNode) -> None:
        header, votes, cabal = parent.header, parent.votes, villain.cabal
        for _ in range(2):
            block = cabal.forge(villain.secret, header, votes, self._hoard.pop(0), heard=villain.engine.heard)
            villain.tell(block)
            if block.id not in cabal.votes:
                return
            header, votes = block.header, cabal.votes[block.id]


class Usurps(Attests):
    """Makes the block of the next slot, whoever leads it, before anybody else can; but only for those who ask."""

    def __init__(self) -> None:
        self._newest: dict[str, Header] = {}

    def attest(self, villain: Villain) -> None:
        super().attest(villain)
        slot, world = villain.world.slot + 1, villain.world
        _, best = best_of(world.honest, slot)
        if best is None:
            return
        head, (root, decision) = best.engine.chain.head, outcome_of(best, slot, ())
        heard = best.engine.heard
        block = villain.cabal.forge(
            villain.secret, head.header, head.votes, slot, state_root=root, decision=decision, heard=heard
        )
        self._newest[villain.name] = block.header
        for node in world.honest:
            world.network.ask_status(node, villain.name)

    def status(self, villain: Villain, peer: str, status: Status) -> Status | None:
        header = self._newest.get(villain.name)
        if header is None:
            return status
        return replace(status, head_id=header.id, height=header.height, mhp=header.mhp)


class Relays(Attests):
    """Signs two blocks for one slot, and is silent when jailed; only the last falls silent later, and did nothing."""

    later = 1
    WAITS_SLOTS = 60

    def __init__(self) -> None:
        self._jailed_since: int | None = None

    def each_slot(self, villain: Villain, slot: int) -> None:
        others = sum(not node.is_honest for node in villain.world.nodes) - 1
        if self._jailed_since is None and len(villain.engine.chain.electorate.barred) >= others:
            self._jailed_since = slot

    def lead(self, villain: Villain, slot: int) -> None:
        if not self._is_last(villain):
            root, decision = outcome_of(villain, slot, (enrols := villain.cabal.stranger_enrols(villain, slot),))
            block = villain.cabal.forge(
                villain.secret, *villain.head, slot, (enrols,), state_root=root, decision=decision
            )
            villain.tell(block)
            villain.tell(villain.sign(slot))
        elif not self._is_gone(slot):
            villain.tell(villain.sign(slot))

    def attest(self, villain: Villain) -> None:
        is_barred = villain.secret.public in villain.engine.chain.electorate.barred
        if not is_barred and not (self._is_last(villain) and self._is_gone(villain.world.slot)):
            super().attest(villain)

    def _is_gone(self, slot: int) -> bool:
        return self._jailed_since is not None and slot > self._jailed_since + self.WAITS_SLOTS

    @staticmethod
    def _is_last(villain: Villain) -> bool:
        return villain is [node for node in villain.world.nodes if not node.is_honest][-1]


class Busy(Dutiful):
    """Makes an empty block in each of its turns, though nobody wants anything."""


class Restarts(Strategy):
    """Is gone when others lose their disks, more together than are tolerated; then operators let the chain go on."""

    LOST_AT_SLOT = 30
    AGREED_AT_SLOT = 50

    def each_slot(self, villain: Villain, slot: int) -> None:
        keeper, *others = villain.world.honest
        if slot == self.LOST_AT_SLOT:
            for node in others:
                node.crash("its disk is gone")
                node.damage_disk("removed", slot)
        elif slot == self.AGREED_AT_SLOT:
            self._agree(villain, keeper)

    @staticmethod
    def _agree(villain: Villain, keeper: SimulatedNode) -> None:
        """All who are left sign, with their nodes stopped, to go on from the head of the one that lost nothing."""
        world, head = villain.world, keeper.engine.chain.head.header
        restart = Restart(head.id, head.height, world.random.randbytes(SALT_BYTES))
        for node in world.honest:
            restart = restart if node.key is None else restart.signed(node.key, world.genesis.id)
        for node in world.honest:
            node.crash("to restart the network")
            node.disk.restart, node.disk.signing = restart, None

    def lead(self, villain: Villain, slot: int) -> None:
        if slot < self.LOST_AT_SLOT:
            villain.tell(villain.sign(slot))

    def attest(self, villain: Villain) -> None:
        if villain.world.slot < self.LOST_AT_SLOT:
            villain.attest()


OUTLAWS: dict[str, type[Strategy]] = {
    "persists": Persists,
    "disguises": Disguises,
    "repeats": Repeats,
    "backdates": Backdates,
    "busy": Busy,
    "hoards": Hoards,
    "usurps": Usurps,
    "relays": Relays,
    "restarts": Restarts,
    "impersonates": Impersonates,
    "misspeaks": Misspeaks,
    "garbles": Garbles,
    "straddles": Straddles,
    "bridges": Bridges,
}

_NAMED: dict[str, type[Strategy]] = {**STRATEGIES, **OUTLAWS}
# What these do takes a certain number of them, or good links.
_IN_THEIR_OWN_HISTORIES = ("bridges", "disguises", "hoards", "relays", "restarts")
#: Who may be in any history.
STRANGEST = tuple(name for name in _NAMED if name not in _IN_THEIR_OWN_HISTORIES)


def most_tolerated(name: str, validators: int) -> int:
    """How many villains of a kind do no harm: as many as theory says at a time, and those that turn when these left."""
    return tolerated(validators) + (_NAMED[name].later if name else 0)


def join_cabal(world: World, name: str, seats: list[int]) -> None:
    """Add the villains of a world."""
    cabal, strategy = Cabal(world), _NAMED[name]()
    for seat in seats:
        strategy.join(cabal, seat)


def _is_own_slot(villain: Villain, slot: int) -> bool:
    """Whether a slot was its own before the validators changed."""
    return villain.world.secrets[slot % len(villain.world.secrets)] is villain.secret
