"""Every history of two branches of four validators, one of them Byzantine, up to a number of blocks.

A step: one branch grows by a block, or a second branch begins, anywhere.  Before it, any subset of the honest ones that
may attest the block's parent does; the Byzantine one, A, attests everything, on each branch as if the other were not
there.  The block is made by one without a vote and carries all that is known of its branch.  With a change, the first
block on a branch may decide it, or the second, and so on, or none.  Where attestations may be late, a block may also
carry nothing about its parent; a later one does.  States that differ only in the names of honest validators are one.

Left out are histories in which A is silent now and then or shows an mhg that is not the highest recorded one, blocks
that carry less in another way, and votes of proposers.  :mod:`tests.model.world` has all of these, at random.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, combinations

from tests.model.honest import Honest, recorded_height
from tests.model.knobs import Rules
from tests.model.rules import NOTHING, Block, Decision, Statement, begin, close, genesis, show, take_all
from tests.model.sets import VotingSet, voting_set

BYZANTINE = "A"
FIRST = "ABCD"
BRANCHES = 2

Spoken = tuple[int, tuple[int, int]]
"""What an honest validator keeps: its mhg, and (mhp, height) of its last statement."""


@dataclass(frozen=True, slots=True)
class State:
    """Where a history stands; ``pool`` holds all attestations ever made."""

    blocks: tuple[Block, ...]
    tips: frozenset[int]
    honest: tuple[tuple[str, Spoken], ...]
    pool: tuple[Statement, ...]


@dataclass(slots=True)
class Exhaustion:
    """All histories up to ``limit`` blocks; with ``following``, each branch may decide one change to that set.

    ``late`` says that attestations may come a block late.
    """

    limit: int
    rules: Rules
    following: str = ""
    late: bool = False
    states: int = 0
    finals: int = 0
    switched: int = 0
    conflict: State | None = None
    _first: VotingSet = field(init=False)
    _next: VotingSet | None = field(init=False)
    _names: tuple[str, ...] = field(init=False)
    _seen: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._first = voting_set(dict.fromkeys(FIRST, 1), self.rules)
        self._next = voting_set(dict.fromkeys(self.following, 1), self.rules) if self.following else None
        self._names = tuple(sorted({*FIRST, *self.following} - {BYZANTINE}))

    def run(self) -> Exhaustion:
        """Visit every state, up to the first conflict of finality."""
        honest = tuple((name, (0, (-1, -1))) for name in self._names)
        ahead = [State((genesis(self._first, self.rules),), frozenset({0}), honest, ())]
        while ahead and self.conflict is None:
            state = ahead.pop()
            key = self._key(state)
            if key in self._seen:
                continue
            self._seen.add(key)
            self.states += 1
            if len(state.blocks) <= self.limit:
                ahead += self._steps(state)
        return self

    def _steps(self, state: State) -> Iterator[State]:
        for parent in state.blocks:
            if parent.id in state.tips or len(state.tips) < BRANCHES:
                for honest, pool in self._speaking(state, parent):
                    for decision in self._decisions(parent):
                        for known in self._known(parent, pool):
                            yield self._grown(state, parent, honest, pool, known, decision)

    def _known(self, parent: Block, pool: tuple[Statement, ...]) -> Iterator[tuple[Statement, ...]]:
        yield pool
        if self.late:
            yield tuple(said for said in pool if said.tip != parent.id)

    def _decisions(self, parent: Block) -> tuple[Decision, ...]:
        may = self._next and parent.seats.active is self._first and parent.seats.may_decide(self.rules)
        return (NOTHING, Decision(self._next)) if may else (NOTHING,)

    def _speaking(self, state: State, tip: Block) -> Iterator[tuple[dict[str, Spoken], tuple[Statement, ...]]]:
        """Every choice of honest ones that attest a tip now: what they keep, and the attestations afterwards."""
        before, byzantine = dict(state.honest), self._byzantine(state, tip)
        said = [one for one in (self._attestation(name, before[name], tip) for name in self._names) if one]
        for some in chain.from_iterable(combinations(said, count) for count in range(len(said), -1, -1)):
            kept = {one.speaker: (max(before[one.speaker][0], one.height), (one.mhp, one.height)) for one in some}
            yield {**before, **kept}, (*state.pool, *some, *byzantine)

    def _attestation(self, name: str, spoken: Spoken, tip: Block) -> Statement | None:
        if not tip.height or not tip.may_speak(name):
            return None
        honest = Honest(*spoken)
        mhg = honest.mhg_on(name, tip, makes=False, rules=self.rules)
        said = Statement(name, tip.id, tip.height, mhg, tip.shown)
        return said if mhg < tip.height and honest.may_say(said, self.rules) else None

    def _byzantine(self, state: State, tip: Block) -> tuple[Statement, ...]:
        if not tip.height or not tip.may_speak(BYZANTINE):
            return ()
        said = Statement(BYZANTINE, tip.id, tip.height, recorded_height(BYZANTINE, tip), tip.shown)
        return () if said in state.pool else (said,)

    def _grown(
        self,
        state: State,
        parent: Block,
        honest: dict[str, Spoken],
        pool: tuple[Statement, ...],
        known: tuple[Statement, ...],
        decision: Decision,
    ) -> State:
        block = begin(parent, len(state.blocks), decision, self.rules)
        take_all(block, known, self.rules)
        show(block, self.rules)
        close(block, self.rules)
        blocks = (*state.blocks, block)
        grown = State(blocks, (state.tips - {parent.id}) | {block.id}, tuple(honest.items()), pool)
        self._judge(grown, block)
        return grown

    def _judge(self, state: State, block: Block) -> None:
        final = block.final
        self.finals += final.height > 0
        self.switched += block.seats.active is not self._first
        for one in state.blocks:
            low, high = sorted((one.final, final), key=lambda each: each.height)
            if high.ancestor(low.height) is not low:
                self.conflict = self.conflict or state

    def _key(self, state: State) -> int:
        """What is left of a state once ids mean nothing, nor the names of honest ones that sit in the same sets.

        Blocks of one parent keep apart by their order.
        """
        places = _places(state.blocks)
        records: dict[str, list[tuple[int, int, int]]] = {name: [] for name in (BYZANTINE, *self._names)}
        for block in state.blocks:
            for said in block.carried:
                records[said.speaker].append((places[block.id], said.height, said.mhg))
        for said in state.pool:
            records[said.speaker].append((places[said.tip], -1, said.mhg))
        spoken = dict(state.honest)
        alike = sorted((self._seat_of(name), hash((spoken.get(name), frozenset(records[name])))) for name in records)
        return hash((frozenset(places.values()), tuple(alike)))

    def _seat_of(self, name: str) -> tuple[bool, bool, bool]:
        return name == BYZANTINE, name in FIRST, name in self.following


def _places(blocks: tuple[Block, ...]) -> dict[int, int]:
    """Where each block stands in the tree, whatever its id."""
    places: dict[int, int] = {}
    born: dict[int, int] = {}
    for block in blocks:
        above = block.parent.id if block.parent else -1
        born[above] = born.get(above, 0) + 1
        places[block.id] = hash((places.get(above, 0), born[above], block.decision.next is not None))
    return places
