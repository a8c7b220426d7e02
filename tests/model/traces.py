"""A history as plain data, to compare the model with an implementation in both directions.

Model to implementation: :func:`trace_of_seed` makes a trace; an adapter feeds its blocks to the implementation in
order, and compares what it has come to after each with ``expected``; where that is None, the block must be refused.
Attestations are counted in the order of (height, speaker), so names must become keys of the same order.

Implementation to model: an adapter writes down the blocks that were made somewhere, in an order in which parents come
first, with what the implementation came to; :func:`difference` says where the model comes to something else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from tests.model.honest import recorded_height
from tests.model.knobs import Rules
from tests.model.rules import Block, Decision, Refused, Statement, extend, genesis
from tests.model.scenarios import KINDS
from tests.model.search import world_of
from tests.model.sets import Gate, Joint, VotingSet, voting_set
from tests.model.world import World

Weights = tuple[tuple[str, int], ...]
"""A voting set: names and weights, in the order of names."""

SPOILED = 0.2
"""Which part of a trace's blocks comes a second time, spoiled."""


@dataclass(frozen=True, slots=True)
class TracedAttestation:
    """An attestation as a block carries it; the tip, its mhp and the tag follow from the branch."""

    height: int
    speaker: str
    mhg: int


@dataclass(frozen=True, slots=True)
class TracedDecision:
    """What a block decides about who votes: the next set or (), the barred or None, and (speaker, tag) of the lost."""

    next: Weights = ()
    barred: tuple[str, ...] | None = None
    lost: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Expected:
    """What a branch has come to as of a block.

    ``phase`` is none, gate or joint, with the height of its decision or start, and ``sets`` those in force: all of the
    next height.  ``prevotes`` and ``precommits`` are of each height above ``mhpc`` of the parent, lowest first, one
    weight for each set in force there.
    """

    shown: int
    mhp: int
    mhpc: int
    phase: str
    since: int
    sets: tuple[Weights, ...]
    barred: tuple[str, ...]
    prevotes: tuple[tuple[int, ...], ...]
    precommits: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class TracedBlock:
    """A block: the index of its parent (0 is the genesis block, the first traced one is 1), and all that it says.

    ``mhp`` is that in its header.  ``expected`` is None where the block is refused.
    """

    parent: int
    proposer: str
    mhg: int
    mhp: int
    attestations: tuple[TracedAttestation, ...]
    decision: TracedDecision
    expected: Expected | None


@dataclass(frozen=True, slots=True)
class Trace:
    """A history: the first set, over how many blocks votes are counted, after how many a gate lapses; its blocks."""

    first: Weights
    window: int
    lapse: int
    blocks: tuple[TracedBlock, ...]


def trace_of_seed(name: str, n: int, seed: int) -> Trace:
    """The trace of a history of a kind of :data:`KINDS`, in which each block has a proposer, and some are spoiled."""
    world = world_of(KINDS[name], n, seed, Rules())
    world.weather = replace(world.weather, outsiders=False)
    world.run()
    return _trace(world, Random(f"spoil {name} {n} {seed}"))


def _trace(world: World, random: Random) -> Trace:
    rows: list[TracedBlock] = []
    place = {0: 0}
    for block in world.blocks[1:]:
        row = _traced(block, place)
        spoiled = _spoiled(row, block, world, random) if random.random() < SPOILED else None
        rows += [row] if spoiled is None else [spoiled, row]
        place[block.id] = len(rows)
    return Trace(_weights(world.cast.first), world.rules.window, world.rules.lapse, tuple(rows))


def _traced(block: Block, place: dict[int, int]) -> TracedBlock:
    if block.parent is None or block.own is None:
        raise ValueError("only a block with a parent and a proposer is traced")
    return TracedBlock(
        place[block.parent.id],
        block.own.speaker,
        block.own.mhg,
        block.shown,
        tuple(TracedAttestation(said.height, said.speaker, said.mhg) for said in block.carried),
        _traced_decision(block.decision),
        expected_of(block),
    )


def _traced_decision(decision: Decision) -> TracedDecision:
    following = _weights(decision.next) if decision.next else ()
    barred = None if decision.barred is None else tuple(sorted(decision.barred))
    return TracedDecision(following, barred, decision.lost)


def _weights(one: VotingSet) -> Weights:
    return tuple(sorted(one.weights.items()))


def expected_of(block: Block) -> Expected:
    """What the model has come to as of a block."""
    first = max(block.bottom, (block.parent.mhpc if block.parent else 0) + 1)
    heights = range(first, block.height + 1)
    phase, since = "none", 0
    if isinstance(block.seats.phase, Gate):
        phase, since = "gate", block.seats.phase.decided
    elif isinstance(block.seats.phase, Joint):
        phase, since = "joint", block.seats.phase.start
    return Expected(
        block.shown,
        block.mhp,
        block.mhpc,
        phase,
        since,
        tuple(map(_weights, block.seats.sets)),
        tuple(sorted(block.barred)),
        tuple(block.prevotes[height] for height in heights),
        tuple(block.precommits[height] for height in heights),
    )


# --------------------------------------------------------------------------------------------------------- spoiling


def _spoiled(row: TracedBlock, block: Block, world: World, random: Random) -> TracedBlock | None:
    """The block with one thing changed, if the model refuses it then."""
    sets = (world.cast.first, *world.cast.nexts)
    people = sorted({"?", *(name for one in sets for name in one.weights)})
    kind = random.choice((_other_mhg, _doubled, _other_attestation, _other_mhp, _early_change, _uninvited, _intruder))
    changed = kind(row, block, people, random)
    try:
        _extend(block.parent or block, changed, -1, world.rules)
    except Refused:
        return replace(changed, expected=None)
    return None


def _other_mhg(row: TracedBlock, block: Block, *_: object) -> TracedBlock:
    return replace(row, mhg=max(0, recorded_height(row.proposer, block.parent or block) - 1))


def _doubled(row: TracedBlock, *_: object) -> TracedBlock:
    return replace(row, attestations=(*row.attestations[:1], *row.attestations))


def _other_attestation(row: TracedBlock, *_: object) -> TracedBlock:
    return replace(row, attestations=tuple(replace(one, mhg=one.height) for one in row.attestations))


def _other_mhp(row: TracedBlock, *_: object) -> TracedBlock:
    return replace(row, mhp=row.mhp + 1)


def _uninvited(row: TracedBlock, block: Block, people: list[str], random: Random) -> TracedBlock:
    """Somebody attests any of the blocks below, whether it may or not, and says anything."""
    height = random.randint(max(0, block.bottom - 2), block.height - 1)
    speaker = random.choice(people)
    before = max((at for at in block.said.get(speaker, {}) if at < height), default=0)
    mhg = random.choice((before, before, random.randrange(max(1, height))))
    added = TracedAttestation(height, speaker, mhg)
    carried = {(one.height, one.speaker): one for one in (*row.attestations, added)}
    return replace(row, attestations=tuple(carried[key] for key in sorted(carried)))


def _intruder(row: TracedBlock, block: Block, people: list[str], random: Random) -> TracedBlock:
    """Somebody else makes the block, whether it may or not."""
    proposer = random.choice(people)
    return replace(row, proposer=proposer, mhg=recorded_height(proposer, block))


def _early_change(row: TracedBlock, block: Block, *_: object) -> TracedBlock:
    return replace(row, decision=replace(row.decision, next=_weights(block.seats.active)))


# --------------------------------------------------------------------------------------------------------- replaying


def difference(trace: Trace) -> str:
    """Where the model comes to something else than a trace expects, "" if nowhere."""
    rules = Rules(lapse=trace.lapse, window=trace.window)
    blocks: list[Block | None] = [genesis(voting_set(dict(trace.first), rules), rules)]
    for index, row in enumerate(trace.blocks, start=1):
        parent = blocks[row.parent]
        if parent is None:
            return f"block {index}: its parent is refused"
        try:
            block = _extend(parent, row, index, rules)
        except Refused as refused:
            blocks.append(None)
            if row.expected is not None:
                return f"block {index}: {refused}"
            continue
        blocks.append(block)
        if row.expected != expected_of(block):
            return f"block {index}: {row.expected} expected, {expected_of(block)} in the model"
    return ""


def _extend(parent: Block, row: TracedBlock, block_id: int, rules: Rules) -> Block:
    carried = [_statement(parent, one) for one in row.attestations]
    following = voting_set(dict(row.decision.next), rules) if row.decision.next else None
    barred = None if row.decision.barred is None else frozenset(row.decision.barred)
    decision = Decision(following, barred, row.decision.lost)
    block = extend(parent, block_id, (row.proposer, row.mhg), carried, decision, rules)
    if block.shown != row.mhp:
        raise Refused(f"the header shows mhp {row.mhp}, the branch {block.shown}")
    return block


def _statement(parent: Block, one: TracedAttestation) -> Statement:
    tip = parent.ancestor(one.height)
    return Statement(one.speaker, tip.id, one.height, one.mhg, tip.shown, tip.tag(one.speaker).value)
