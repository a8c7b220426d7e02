"""Villains on both sides of a cut, while validators change: each side is helped to finalize what it likes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from chain.content.actions import Action, Approve, Consent, Propose
from chain.content.proposals import (
    AddValidator,
    JailValidator,
    Proposal,
    ReleaseValidator,
    RemoveValidator,
    ReplaceValidator,
    ReweighValidator,
)
from chain.content.transactions import sign_transaction
from chain.protocol.events import Request
from chain.protocol.messages import Status
from scripts.simulation.forge import outcome_of
from scripts.simulation.node import SimulatedNode
from scripts.simulation.villain import Strategy, Villain
from scripts.simulation.world import World

EXPIRY_HEIGHT = 50_000
# Motions are made, approved and consented to within a round; the first change is decided right after it.
ROUND_SLOTS = 5
# When the network is cut: about when the first change is decided, or some time around all of them.
FIRST_DECISION, ALL_DECISIONS = (6, 8), (4, 24)
MAX_TURN_SLOTS = 30
MAX_WEIGHT = 3


class Straddles(Strategy):
    """Stands behind every head there is, with blocks and attestations, for those who follow it; and serves nobody."""

    def each_slot(self, villain: Villain, slot: int) -> None:
        for nodes in _by_head(villain):
            chain = nodes[0].engine.chain
            if chain.head.header.slot >= slot or chain.electorate.leader(slot) != villain.secret.public:
                continue
            root, decision = outcome_of(nodes[0], slot, ())
            block = villain.cabal.forge(
                villain.secret,
                chain.head.header,
                chain.head.votes,
                slot,
                state_root=root,
                decision=decision,
                heard=nodes[0].engine.heard,
            )
            villain.tell(block, nodes)

    def attest(self, villain: Villain) -> None:
        for nodes in _by_head(villain):
            villain.attest_for(nodes[0].engine.chain, nodes)

    def status(self, villain: Villain, peer: str, status: Status) -> Status | None:
        return None

    def answer(self, villain: Villain, request: Request, reply: bytes | None) -> bytes | None:
        return None


@dataclass(frozen=True, slots=True)
class Rift:
    """Which changes are decided, round after round, and how the network is cut meanwhile.

    ``left`` are the honest nodes on one side; at each of ``turns``, slots in order, the cut begins or ends.
    """

    rounds: tuple[tuple[Proposal, ...], ...]
    left: tuple[str, ...]
    turns: tuple[int, ...]


class Bridges(Straddles):
    """Helps both sides of a cut while validators change: one that still has the old ones, and one that has the new.

    All honest validators want the changes, and all newcomers consent.  Until the cut it does as it should: a villain
    that was jailed before weighs nothing any more.
    """

    def __init__(self) -> None:
        self._rift: Rift | None = None
        self._slot = -1

    def lead(self, villain: Villain, slot: int) -> None:
        if not self._is_parted(slot):
            villain.tell(villain.sign(slot))

    def attest(self, villain: Villain) -> None:
        if self._is_parted(villain.world.slot):
            super().attest(villain)
        else:
            villain.attest()

    def each_slot(self, villain: Villain, slot: int) -> None:
        world = villain.world
        self._rift = self._rift or draw_rift(world)
        if self._is_parted(slot):
            super().each_slot(villain, slot)
        if self._slot == slot or world.is_mended:  # another villain saw to it
            return
        self._slot = slot
        self._decide(world, slot)
        if slot in self._rift.turns:
            self._turn(world, is_heal=self._rift.turns.index(slot) % 2 == 1)

    def _is_parted(self, slot: int) -> bool:
        return self._rift is not None and slot >= self._rift.turns[0]

    def _decide(self, world: World, slot: int) -> None:
        assert self._rift is not None
        first_number = 0
        for at, changes in enumerate(self._rift.rounds):
            numbers = range(first_number, first_number + len(changes))
            first_number += len(changes)
            voters, newcomers = sides(world)
            match slot - at * ROUND_SLOTS:
                case 1:  # slots after the round before
                    _submit(voters[0], *map(Propose, changes))
                case 3:
                    for voter in voters[1:]:
                        _submit(voter, *map(Approve, numbers))
                case 4:
                    for node in newcomers:
                        mine = [
                            number for number, change in zip(numbers, changes, strict=True) if _enters(node, change)
                        ]
                        _submit(node, *map(Consent, mine))

    def _turn(self, world: World, *, is_heal: bool) -> None:
        assert self._rift is not None
        left = self._rift.left
        right = [node.name for node in world.honest if node.name not in left]
        ways = [(one, two) for one in left for two in right]
        world.timeline.say(
            "world", f"a cut of {' '.join(left)} from {' '.join(right)} {'ends' if is_heal else 'begins'}"
        )
        if is_heal:
            world.network.heal()
        else:
            world.network.cut([*ways, *((two, one) for one, two in ways)], noticed=False)


def draw_rift(world: World) -> Rift:
    """Some changes, and cuts at some time around them that part those who come from those who go."""
    random = world.random
    voters, newcomers = sides(world)
    seats = voters[1:]
    random.shuffle(seats)
    rounds: tuple[list[Proposal], list[Proposal]] = [], []
    left, right = [node.name for node in newcomers], list[str]()
    weights = {key.public: 1 for key in world.secrets}
    for _ in range(random.randint(1, min(len(newcomers), len(seats)))):
        one = seats.pop()
        right.append(one.name)
        for at, change in enumerate(_draw_changes(world, _key(one), newcomers, weights)):
            rounds[min(at, 1)].append(change)
    for number, node in enumerate((voters[0], *seats)):
        (right, left)[number % 2].append(node.name)
    turns = [random.randint(*random.choice((FIRST_DECISION, ALL_DECISIONS)))]
    while random.randrange(3):
        turns.append(turns[-1] + random.randint(1, MAX_TURN_SLOTS))
    return Rift(tuple(map(tuple, filter(None, rounds))), tuple(left), tuple(turns))


def sides(world: World) -> tuple[list[SimulatedNode], list[SimulatedNode]]:
    """The honest validators of the first set, and those who are none yet."""
    first = {key.public for key in world.secrets}
    return (
        [node for node in world.honest if _key(node) in first],
        [node for node in world.honest if _key(node) not in first],
    )


def _draw_changes(
    world: World, key: bytes, newcomers: list[SimulatedNode], weights: dict[bytes, int]
) -> tuple[Proposal, ...]:
    """What happens to one seat, so that honest ones keep more than two thirds of the ``weights``."""
    random = world.random
    weight = random.randint(2, MAX_WEIGHT)
    spared = 3 * (len(world.nodes) - len(world.honest)) < sum(weights.values()) - weights[key]
    kinds = ["replace", "replace", "replace", "add", "reweigh", *(["jail", "remove"] if spared else [])]
    match random.choice(kinds):
        case "replace":
            return (ReplaceValidator(key, _key(newcomers.pop())),)
        case "add":
            weights[_key(newcomers[-1])] = weight
            return (AddValidator(_key(newcomers.pop()), weight),)
        case "reweigh":
            weights[key] = weight
            return (ReweighValidator(key, weight),)
        case "remove":
            del weights[key]
            return (RemoveValidator(key),)
    return JailValidator(key), ReleaseValidator(key), ReweighValidator(key, weight)


def _enters(node: SimulatedNode, change: Proposal) -> bool:
    match change:
        case AddValidator(key, _) | ReplaceValidator(_, key):
            return key == _key(node)
    return False


def _submit(node: SimulatedNode, *actions: Action) -> None:
    if node.key is None or not node.is_up:
        return
    first = node.engine.mempool.next_free(node.key.public)
    chain_id = node.world.genesis.id
    signed = [
        sign_transaction(node.key, chain_id, first + number, EXPIRY_HEIGHT, action)
        for number, action in enumerate(actions)
    ]
    node.submit(tuple(signed))


def _key(node: SimulatedNode) -> bytes:
    return b"" if node.key is None else node.key.public


def _by_head(villain: Villain) -> Iterator[list[SimulatedNode]]:
    """The honest nodes that run, by the heads that they stand on."""
    up = [node for node in villain.world.honest if node.is_up]
    heads = dict.fromkeys(node.engine.chain.head.header.id for node in up)
    for head_id in heads:
        yield [node for node in up if node.engine.chain.head.header.id == head_id]
