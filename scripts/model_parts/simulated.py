"""Simulated histories as traces: what honest nodes took, counted once more by the model.

The simulator's own checks count with the node's code.  Here every block that an honest node's disk holds, on whatever
branch, is written down with what ``chain/`` has come to, and the model says where it comes to something else.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import Any

from chain.base.errors import Refused
from chain.consensus import electorate
from chain.consensus.electorate import Decision
from chain.consensus.judgement import judge
from chain.consensus.votes import ROUNDS, Votes
from chain.content.blocks import Block
from chain.content.genesis import Genesis
from scripts.model_parts.judged import expected_of
from scripts.simulation.byzantine import STRATEGIES
from scripts.simulation.history import History
from scripts.simulation.settings import Settings, Violation
from scripts.simulation.world import World
from tests.model.traces import Trace, TracedAttestation, TracedBlock, TracedDecision, difference

SLOTS = 100


@dataclass(frozen=True, slots=True)
class Recounted:
    """A simulated history, and where the model comes to something else, "" if nowhere."""

    seed: int
    attack: str
    blocks: int
    attestations: int
    final_height: int
    joint_blocks: int
    losses: int
    difference: str

    @property
    def row(self) -> dict[str, Any]:
        """For a table or JSON."""
        return {
            "seed": self.seed,
            "attack": self.attack,
            "blocks": self.blocks,
            "attestations": self.attestations,
            "final height": self.final_height,
            "joint": self.joint_blocks,
            "tags renewed": self.losses,
            "difference": self.difference or None,
        }


class Writing:
    """Writes down blocks, parents first, with the votes after each as ``chain/`` counts them."""

    def __init__(self, genesis: Genesis) -> None:
        self._genesis = genesis
        self._rows: list[TracedBlock] = []
        self._place = {genesis.id: 0}
        self.votes = {genesis.id: Votes.genesis(genesis.validators, genesis.batch)}

    @property
    def trace(self) -> Trace:
        """All that was written."""
        first = tuple(sorted((key.hex(), weight) for key, weight in self._genesis.validators))
        return Trace(first, ROUNDS * self._genesis.batch, electorate.GATE_BLOCKS, tuple(self._rows))

    def write(self, block: Block) -> None:
        """Write the next block.  Raises :class:`Refused` where the chain would not take it."""
        header, ballot = block.header, block.ballot
        before = self.votes[header.parent]
        after = judge(header, ballot, before, self._genesis.id)
        self.votes[header.id] = after
        self._rows.append(
            TracedBlock(
                self._place[header.parent],
                header.proposer.hex(),
                header.mhg,
                header.mhp,
                tuple(TracedAttestation(one.height, one.speaker.hex(), one.mhg) for one in ballot.attestations),
                _decision(ballot.decision),
                expected_of(before, after, bytes.hex),
            )
        )
        self._place[header.id] = len(self._rows)


def _decision(decided: Decision) -> TracedDecision:
    return TracedDecision(
        tuple(sorted((key.hex(), weight) for key, weight in decided.following)),
        tuple(sorted(key.hex() for key in decided.barred[0])) if decided.barred else None,
        tuple((key.hex(), int.from_bytes(tag, "big")) for key, tag in decided.tags),
    )


def recount(seed: int, slots: int = SLOTS) -> Recounted:
    """Simulate the history of a seed under all faults, every other one with villains, and count it by the model."""
    attacks = list(STRATEGIES)
    attack = attacks[seed // 2 % len(attacks)] if seed % 2 else ""
    with closing(History(Settings(slots=slots, byzantine=attack), seed)) as history:
        try:
            history.run()
        except Violation as violation:
            return Recounted(seed, attack, 0, 0, 0, 0, 0, f"the simulator itself found: {violation}")
        return _recounted(seed, attack, history.world)


def _recounted(seed: int, attack: str, world: World) -> Recounted:
    writing = Writing(world.genesis)
    try:
        for block in stored(world):
            writing.write(block)
        found = difference(writing.trace) or _held_otherwise(world, writing)
    except Refused as refusal:
        found = f"the chain refuses a block that an honest node holds: {refusal}"
    rows = writing.trace.blocks
    come_to = [row.expected for row in rows if row.expected]
    return Recounted(
        seed,
        attack,
        len(rows),
        sum(len(row.attestations) for row in rows),
        max((one.mhpc for one in come_to), default=0),
        sum(one.phase == "joint" for one in come_to),
        sum(len(row.decision.lost) for row in rows),
        found,
    )


def stored(world: World) -> list[Block]:
    """Every block that the disk of an honest node holds and that a block below it stands on, parents first."""
    known = {block.id: block for node in world.honest for block, _ in node.disk.blocks.values()}
    connected = {world.genesis.id}
    blocks = []
    for block in sorted(known.values(), key=lambda block: (block.header.height, block.id)):
        if block.header.parent in connected:
            connected.add(block.id)
            blocks.append(block)
    return blocks


def _held_otherwise(world: World, writing: Writing) -> str:
    """Which node holds, for one of these blocks, other votes than come of counting from the genesis."""
    for node in world.honest:
        if not node.is_up:
            continue
        for tip in node.engine.chain.tree.tips():
            held = node.engine.chain.tree[tip.id].votes
            if tip.id in writing.votes and held != writing.votes[tip.id]:
                return f"{node.name} holds other votes after block {tip.id.hex()[:8]}"
    return ""
