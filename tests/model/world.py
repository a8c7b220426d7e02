"""One history: a scheduler that knows all moves honest validators between branches, and Byzantine ones say anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

from tests.model.honest import Honest, recorded_height
from tests.model.knobs import Rules
from tests.model.rules import (
    NO_TAG,
    NOTHING,
    Block,
    Decision,
    Statement,
    begin,
    close,
    count,
    fault_of,
    genesis,
    header_of,
    is_evidence,
    show,
    take_all,
)
from tests.model.sets import VotingSet, voting_set

BRANCHES = 2
CARRIED_HEIGHTS = 6
"""How far below its parent a block looks for attestations to carry."""
HEAL_BLOCKS_MAX = 90
"""More than any history needs to become final again: its heights, a lapse, and a few blocks for each phase."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Who is there.  ``jailable`` are jailed at random; ``absent`` are named by a next set, but never come.

    Of ``forgetful``, each loses its signing state up to twice, at each of its turns with probability ``p_loss``.
    """

    first: VotingSet
    byzantine: frozenset[str]
    nexts: tuple[VotingSet, ...] = ()
    jailable: tuple[str, ...] = ()
    absent: frozenset[str] = frozenset()
    forgetful: tuple[str, ...] = ()
    p_loss: float = 0.0


@dataclass(frozen=True, slots=True)
class Weather:
    """How a history goes on, all of it probabilities but ``steps``, the number of blocks."""

    steps: int
    attests: float = 0.9
    uncarried: float = 0.0
    decides: float = 0.5
    stays: float = 0.8
    forks: float = 0.05
    syncs: float = 0.1
    outsiders: bool = True


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two blocks that both are final, of which neither is an ancestor of the other."""

    one: Block
    other: Block


@dataclass(slots=True, eq=False)
class World:
    """All blocks and statements of one history."""

    random: Random
    rules: Rules
    cast: Cast
    weather: Weather
    blocks: list[Block] = field(default_factory=list)
    honest: dict[str, Honest] = field(default_factory=dict)
    said: list[Statement] = field(default_factory=list)
    finals: list[Block] = field(default_factory=list)
    pool: dict[int, list[Statement]] = field(default_factory=dict)
    losses: dict[str, int] = field(default_factory=dict)
    sides: dict[str, int] = field(default_factory=dict)
    healing: bool = False

    def __post_init__(self) -> None:
        self.blocks.append(genesis(self.cast.first, self.rules))

    # ------------------------------------------------------------------------------------------------ the scheduler

    def run(self) -> Conflict | None:
        """Let blocks be made up to the first conflict of finality."""
        tips = [self.blocks[0]] * BRANCHES
        for step in range(self.weather.steps):
            side = self.random.randrange(BRANCHES)
            tip = tips[side]
            if self.random.random() < self.weather.forks:
                tip = self.random.choice(self.blocks[-6:])
            elif self.random.random() < self.weather.syncs and step < self.weather.steps // 3:
                tips = [tip] * BRANCHES
            self._let_attest(tip, side)
            block = self.make(tip)
            if block is None:
                continue
            tips[side] = block
            conflict = self.conflict_of(block)
            if conflict:
                return conflict
        return None

    def _let_attest(self, tip: Block, side: int) -> None:
        for speaker in sorted(around(tip)):
            if speaker in self.cast.byzantine:
                is_here = self.random.random() < 0.95
            else:
                if speaker not in self.sides or self.random.random() > self.weather.stays:
                    self.sides[speaker] = self.random.randrange(BRANCHES)
                is_here = self.sides[speaker] == side and self.random.random() < 0.9
            if is_here and self.random.random() < self.weather.attests:
                self.attest(speaker, tip)

    def conflict_of(self, block: Block) -> Conflict | None:
        """The conflict between what ``block`` shows final and what was final before."""
        final = block.final
        for other in self.finals:
            low, high = sorted((final, other), key=lambda one: one.height)
            if high.ancestor(low.height) is not low:
                return Conflict(other, final)
        if final.height and final not in self.finals:
            self.finals.append(final)
        return None

    # -------------------------------------------------------------------------------------------------- statements

    def attest(self, speaker: str, tip: Block) -> None:
        """Let ``speaker`` attest ``tip``, if it may and will."""
        if not tip.may_speak(speaker) or (tip.own and tip.own.speaker == speaker) or speaker in self.cast.absent:
            return
        said_here = self.pool.setdefault(tip.id, [])
        if any(one.speaker == speaker for one in said_here):
            return
        mhg = self._mhg(speaker, tip, makes=False)
        if mhg is None or mhg >= tip.height:
            return
        said = Statement(speaker, tip.id, tip.height, mhg, tip.shown, self._tag(speaker, tip))
        if self._speaks(said, makes=False):
            said_here.append(said)

    def _speaks(self, said: Statement, *, makes: bool) -> bool:
        """Whether ``said`` is said; an honest speaker remembers it."""
        if said.speaker not in self.cast.byzantine:
            state = self.honest[said.speaker]
            if not state.may_say(said, self.rules):
                return False
            state.say(said, makes=makes)
        self.said.append(said)
        return True

    def _tag(self, speaker: str, tip: Block) -> int:
        if self.rules.old_tag_counts and speaker in self.cast.byzantine and self.random.random() < 0.5:
            return NO_TAG
        return tip.tag(speaker).value

    def _mhg(self, speaker: str, parent: Block, *, makes: bool) -> int | None:
        """What a speaker shows as mhg; None where it must be silent."""
        if speaker in self.cast.byzantine:
            return self._any_mhg(speaker, parent)
        state = self._state_of(speaker, parent)
        tag = parent.tag(speaker)
        if state.tag != tag.value or (tag.since > parent.mhpc and not self.rules.tag_not_final):
            return None
        return state.mhg_on(speaker, parent, makes=makes, rules=self.rules)

    def _any_mhg(self, speaker: str, parent: Block) -> int:
        lot = self.random.random()
        if lot < 0.75:
            return self._recorded(speaker, parent)
        if lot < 0.8:
            return 0
        return parent.height if lot < 0.9 else self.random.randrange(parent.height + 2)

    def _recorded(self, speaker: str, parent: Block) -> int:
        """The highest height that the next statement is compared with."""
        if not self.rules.votes_per_tag:
            return recorded_height(speaker, parent)
        tag = parent.tag(speaker).value
        return max((at for at, said in parent.said.get(speaker, {}).items() if said.tag == tag), default=0)

    def _state_of(self, speaker: str, parent: Block) -> Honest:
        """The signing state of an honest speaker, which it may just have lost."""
        state = self.honest.setdefault(speaker, Honest())
        count = self.losses.get(speaker, 0)
        if speaker not in self.cast.forgetful or count == 2 or self.healing or self.random.random() >= self.cast.p_loss:
            return state
        self.losses[speaker] = count + 1
        if self.rules.resumes:
            state = Honest(mhg=recorded_height(speaker, parent))
        else:
            state = Honest(tag=1 if self.rules.tag_counter else 1 + len(self.said) + len(self.blocks))
        self.honest[speaker] = state
        return state

    # ------------------------------------------------------------------------------------------------------ blocks

    def make(self, parent: Block, decision: Decision | None = None) -> Block | None:
        """A child of ``parent`` with all that it can carry; None where nobody may make one."""
        leader = self._leader(parent)
        block = begin(parent, len(self.blocks), decision or self._decision(parent), self.rules)
        take_all(block, self._known(parent), self.rules)
        show(block, self.rules, self._claim(leader, block))
        mhg = self._mhg(leader, parent, makes=True) if leader else None
        if leader and mhg is not None:
            said = header_of(block, leader, mhg)
            if not fault_of(block, said, self.rules) and self._speaks(said, makes=True):
                count(block, said, self.rules)
                block.own = said
        if block.own is None and not self.weather.outsiders:
            return None
        close(block, self.rules)
        self.blocks.append(block)
        return block

    def _leader(self, parent: Block) -> str | None:
        silent = self.cast.absent | self.cast.byzantine if self.healing else self.cast.absent
        leaders = [one for one in parent.leaders() if one not in silent]
        return self.random.choice([*leaders, None] if self.weather.outsiders or not leaders else leaders)

    def _known(self, parent: Block) -> list[Statement]:
        """The attestations of the branch that a block on ``parent`` looks at."""
        found = []
        for tip in _last(parent, CARRIED_HEIGHTS):
            found += [one for one in self.pool.get(tip.id, ()) if self.random.random() >= self._uncarried]
        return found

    @property
    def _uncarried(self) -> float:
        return 0.0 if self.healing else self.weather.uncarried

    def _claim(self, leader: str | None, block: Block) -> int | None:
        if self.rules.claimed_mhp and leader in self.cast.byzantine and self.random.random() < 0.3:
            return self.random.randrange(block.height)
        return None

    def _decision(self, parent: Block) -> Decision:
        lost = self._lost(parent)
        following, barred = None, None
        if parent.seats.may_decide(self.rules) and self.random.random() < self.weather.decides and not self.healing:
            following, barred = self._change(parent)
        return Decision(following, barred, lost) if following or lost else NOTHING

    def _change(self, parent: Block) -> tuple[VotingSet | None, frozenset[str] | None]:
        seated = parent.seats.active.weights
        jailable = [one for one in self.cast.jailable if one in seated]
        if jailable and self.random.random() < 0.5:
            gone = self.random.choice(jailable)
            left = {one: weight for one, weight in seated.items() if one != gone}
            return voting_set(left, self.rules), parent.barred | {gone}
        choices = [one for one in self.cast.nexts if one.weights != seated]
        return (self.random.choice(choices), frozenset()) if choices else (None, None)

    def _lost(self, parent: Block) -> tuple[tuple[str, int], ...]:
        """The record of a lost signing state that the next block holds, if any."""
        if self.rules.resumes or not self.cast.forgetful:
            return ()
        if self.random.random() < 0.05 and self.cast.byzantine and not self.healing:
            liar = self.random.choice(sorted(self.cast.byzantine))
            return ((liar, parent.tag(liar).value + self.random.choice((1, 1, 2))),)
        waiting = [one for one in sorted(self.losses) if self.honest[one].tag != parent.tag(one).value]
        if not waiting or (self.random.random() < 0.5 and not self.healing):
            return ()
        speaker = self.random.choice(waiting)
        return ((speaker, self.honest[speaker].tag),)

    # ----------------------------------------------------------------------------------------------------- healing

    def heal(self) -> int | None:
        """From now on all arrives, and the Byzantine and absent are silent: blocks until all is well, None if never.

        All is well once a block made since is final and no phase is under way, and then, after one more decision, those
        who are there are the set.
        """
        self.healing = True
        start = max(self.blocks, key=lambda one: (one.shown, one.height, -one.id))
        block = self._until(start, lambda one: one.mhpc > start.height and one.seats.phase is None)
        if block is None:
            return None
        healed = block.height - start.height
        gone = self.cast.byzantine | self.cast.absent
        present = {one: weight for one, weight in block.seats.active.weights.items() if one not in gone}
        if present != block.seats.active.weights:
            decided = self.make(block, Decision(voting_set(present, self.rules)))
            if decided is None or not self._until(decided, lambda one: one.seats.active.weights == present):
                return None
        return healed

    def _until(self, block: Block, is_well: Callable[[Block], bool]) -> Block | None:
        """The first block on top of ``block`` as of which all is well."""
        for _ in range(HEAL_BLOCKS_MAX):
            if is_well(block):
                return block
            for speaker in sorted(around(block) - self.cast.byzantine):
                self.attest(speaker, block)
            block = self.make(block) or block
        return None

    # -------------------------------------------------------------------------------------------------------- guilt

    def guilty(self) -> set[str]:
        """Whom two of their own statements convict."""
        by_speaker: dict[str, list[Statement]] = {}
        for said in self.said:
            by_speaker.setdefault(said.speaker, []).append(said)
        return {speaker for speaker, said in by_speaker.items() if self._convicts(said)}

    def _convicts(self, said: list[Statement]) -> bool:
        return any(is_evidence(one, other, self.rules) for index, one in enumerate(said) for other in said[:index])


def around(tip: Block) -> set[str]:
    """Who may have something to say on top of a tip."""
    guests = tip.guests.get(tip.height)
    sets = [*tip.seats.sets, *tip.sets.get(tip.height, ()), *([guests] if guests else [])]
    return {speaker for one in sets for speaker in one.weights}


def _last(block: Block, count: int) -> Iterator[Block]:
    at: Block | None = block
    for _ in range(count):
        if at is None or at.height == 0:
            return
        yield at
        at = at.parent
