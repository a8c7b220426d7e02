"""A block on its branch: what is valid, how votes are counted, who is proved guilty.

A block never changes once :func:`extend` gave it; it holds all that its branch has come to.  A statement, whether a
header (by the proposer, about its own block) or an attestation (by another, about a tip), counts in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from tests.model.knobs import Rules
from tests.model.sets import Gate, Seats, Sets, VotingSet, seats_after

NO_TAG = 0
"""The tag of everyone until it records a loss of its signing state."""

CARRIED_PER_SPEAKER = 4
"""A block carries at most so many attestations for each who may speak at its height."""


class Statement(NamedTuple):
    """What ``speaker`` says about the block ``tip``: a header if it made that block, else an attestation.

    ``mhg`` is the largest height it ever spoke at before, ``mhp`` the largest prevoted height that the tip shows,
    ``tag`` the signing state it speaks from.
    """

    speaker: str
    tip: int
    height: int
    mhg: int
    mhp: int
    tag: int = NO_TAG


@dataclass(frozen=True, slots=True)
class Decision:
    """What executing a block decides about who votes.  None where nothing is."""

    next: VotingSet | None = None
    barred: frozenset[str] | None = None
    lost: tuple[tuple[str, int], ...] = ()


NOTHING = Decision()


class Voter(NamedTuple):
    """One votes for nothing below the one height, and precommitted up to the other."""

    min_active: int
    largest_precommit: int


ANY_HEIGHT = Voter(1, 0)
"""Of whoever was there from the beginning; of guests, where it is taken out that they have no votes."""


class Tag(NamedTuple):
    """The tag that counts on a branch, and the height of the block that recorded it."""

    value: int
    since: int


@dataclass(slots=True, eq=False)
class Block:
    """A block and the state of its branch as of it; heights are keys of the mappings over the window.

    ``shown`` is the mhp in its header: what it carries is included, its own vote is not.  ``seats`` and ``barred`` are
    those of the next height.
    """

    id: int
    parent: Block | None
    height: int
    decision: Decision
    seats: Seats
    bottom: int
    shown: int = 0
    mhp: int = 0
    mhpc: int = 0
    own: Statement | None = None
    carried: tuple[Statement, ...] = ()
    barred: frozenset[str] = frozenset()
    said: dict[str, dict[int, Statement]] = field(default_factory=dict)
    sets: dict[int, Sets] = field(default_factory=dict)
    guests: dict[int, VotingSet | None] = field(default_factory=dict)
    prevotes: dict[int, tuple[int, ...]] = field(default_factory=dict)
    precommits: dict[int, tuple[int, ...]] = field(default_factory=dict)
    voters: dict[str, Voter] = field(default_factory=dict)
    tags: Mapping[str, Tag] = field(default_factory=dict)

    def tag(self, speaker: str) -> Tag:
        """The tag that a speaker must use on top of this block."""
        return self.tags.get(speaker, Tag(NO_TAG, 0))

    def ancestor(self, height: int) -> Block:
        """The block at a height of this branch, up to this one."""
        block = self
        while block.height > height and block.parent:
            block = block.parent
        return block

    @property
    def final(self) -> Block:
        """The highest block that this branch proves final."""
        return self.ancestor(self.mhpc)

    def may_speak(self, speaker: str) -> bool:
        """Whether an attestation of this block by ``speaker`` would be one of a member or a guest."""
        guests = self.guests.get(self.height)
        return is_member(self.sets.get(self.height, ()), speaker) or (guests is not None and speaker in guests.weights)

    def leaders(self) -> list[str]:
        """Who may make the next block: members of the set that is in force alone, or was before a joint phase."""
        return [speaker for speaker in self.seats.active.weights if speaker not in self.barred]


class Refused(Exception):
    """A block that the rules do not allow."""


def genesis(first: VotingSet, rules: Rules) -> Block:
    """The block that all histories begin with."""
    block = Block(0, None, 0, NOTHING, Seats(first), bottom=1 - rules.window)
    block.voters = dict.fromkeys(first.weights, ANY_HEIGHT)
    return block


def is_member(sets: Sets, speaker: str) -> bool:
    """Whether a speaker sits in one of the sets."""
    return any(speaker in one.weights for one in sets)


def contradicting(one: Statement, other: Statement) -> bool:
    """Whether no honest speaker says both of these two different statements.  Source: LIP 0014."""
    is_in_order = (one.mhg, one.mhp, one.height) <= (other.mhg, other.mhp, other.height)
    earlier, later = (one, other) if is_in_order else (other, one)
    return (
        (earlier.mhp == later.mhp and earlier.height >= later.height)
        or earlier.height > later.mhg
        or earlier.mhp > later.mhp
    )


def is_evidence(one: Statement, other: Statement, rules: Rules) -> bool:
    """Whether two statements convict their speaker."""
    if one == other or one.speaker != other.speaker:
        return False
    return (one.tag == other.tag or rules.evidence_across_tags) and contradicting(one, other)


def extend(
    parent: Block,
    block_id: int,
    proposal: tuple[str, int] | None,
    carried: Iterable[Statement],
    decision: Decision,
    rules: Rules,
    claim: int | None = None,
) -> Block:
    """The child of ``parent`` by ``proposal``, a leader and the mhg that it shows; None: by one without a vote.

    ``claim`` is the mhp that the proposer shows, where that rule is taken out.  Raises :class:`Refused`.
    """
    block = begin(parent, block_id, decision, rules)
    block.carried = tuple(sorted(carried, key=_order))
    if len(block.carried) > room_in(block):
        raise Refused(f"{len(block.carried)} attestations")
    for statement in block.carried:
        take(block, statement, rules)
    show(block, rules, claim)
    if proposal:
        block.own = header_of(block, *proposal)
        take(block, block.own, rules)
    close(block, rules)
    return block


def begin(parent: Block, block_id: int, decision: Decision, rules: Rules) -> Block:
    """The child of ``parent`` before anything is said in it.  Raises :class:`Refused`."""
    height = parent.height + 1
    block = Block(block_id, parent, height, decision, parent.seats, bottom=max(1, height - rules.window + 1))
    block.mhp, block.mhpc, block.barred, block.tags = parent.mhp, parent.mhpc, parent.barred, parent.tags
    kept = range(block.bottom, height)
    block.sets = {at: parent.sets[at] for at in kept}
    block.guests = {at: parent.guests[at] for at in kept}
    block.prevotes = {at: parent.prevotes[at] for at in kept}
    block.precommits = {at: parent.precommits[at] for at in kept}
    block.said = {
        speaker: {at: one for at, one in said.items() if at >= block.bottom} for speaker, said in parent.said.items()
    }
    block.voters = dict(parent.voters)
    sets = parent.seats.sets
    block.sets[height], block.prevotes[height], block.precommits[height] = sets, (0,) * len(sets), (0,) * len(sets)
    block.guests[height] = parent.seats.guests
    _decide(block, decision, rules)
    return block


def show(block: Block, rules: Rules, claim: int | None = None) -> None:
    """Fix the mhp of the header: all that is carried is counted, the proposer's vote is not yet."""
    block.mhp = _highest(block, block.prevotes, block.mhp, rules)
    block.shown = block.mhp if claim is None else claim


def header_of(block: Block, proposer: str, mhg: int) -> Statement:
    """What a proposer says by making ``block``: under the tag of before, whatever the block itself records."""
    tag = (block.parent or block).tag(proposer).value
    return Statement(proposer, block.id, block.height, mhg, block.shown, tag)


def close(block: Block, rules: Rules) -> None:
    """Draw the conclusions from all that was said: mhp, mhpc, and who votes at the next height."""
    block.mhp = _highest(block, block.prevotes, block.mhp, rules)
    block.mhpc = _highest(block, block.precommits, block.mhpc, rules)
    block.seats = seats_after(block.seats, block.height, block.mhpc, rules)
    for speaker in _newcomers(block):
        block.voters[speaker] = Voter(1 if rules.reach_back else block.height + 1, block.height)


def _decide(block: Block, decision: Decision, rules: Rules) -> None:
    if decision.next is not None:
        if not block.seats.may_decide(rules):
            raise Refused("a phase is under way")
        is_jail = rules.jail_at_once and decision.barred
        block.seats = Seats(decision.next) if is_jail else block.seats.decided(decision.next, block.height)
    if decision.barred is not None:
        block.barred = decision.barred
    if decision.lost:
        block.tags = {**block.tags, **{who: Tag(value, block.height) for who, value in decision.lost}}


def _newcomers(block: Block) -> set[str]:
    """Who votes from the next height on and did not at this one."""
    here = {speaker for one in block.sets[block.height] for speaker in one.weights}
    return {speaker for one in block.seats.sets for speaker in one.weights} - here


# ------------------------------------------------------------------------------------------------- one statement


def take(block: Block, said: Statement, rules: Rules) -> None:
    """Count a statement that ``block`` carries or makes.  Raises :class:`Refused` if it may not be there."""
    fault = fault_of(block, said, rules)
    if fault:
        raise Refused(f"{said}: {fault}")
    count(block, said, rules)


def take_all(block: Block, known: Iterable[Statement], rules: Rules) -> None:
    """Carry of the known attestations all that may be in ``block``, the oldest first."""
    room = room_in(block)
    for said in sorted(known, key=_order):
        if len(block.carried) < room and not fault_of(block, said, rules):
            count(block, said, rules)
            block.carried += (said,)


def room_in(block: Block) -> int:
    """How many attestations a block may carry."""
    guests = block.guests[block.height]
    sets = (*block.sets[block.height], *([guests] if guests else []))
    return CARRIED_PER_SPEAKER * len({speaker for one in sets for speaker in one.weights})


def _order(said: Statement) -> tuple[int, str]:
    return said.height, said.speaker


def count(block: Block, said: Statement, rules: Rules) -> None:
    """Count a statement that may be in ``block``."""
    block.said.setdefault(said.speaker, {})[said.height] = said
    gate = block.seats.phase
    if isinstance(gate, Gate) and gate.decided < block.height and gate.decided <= said.height:
        block.seats = replace(block.seats, phase=replace(gate, heard=gate.heard | {said.speaker}))
    if said.mhg < said.height and (rules.guests_vote or is_member(block.sets[said.height], said.speaker)):
        _precommit(block, said, rules)
        _prevote(block, said, rules)


def fault_of(block: Block, said: Statement, rules: Rules) -> str:
    """Why a statement may not be in ``block``, "" if it may."""
    below = block.parent
    if below is None or not max(below.mhpc + 1, block.bottom) <= said.height <= block.height:
        return "no height to speak of"
    mine = block.said.get(said.speaker, {})
    if said.height in mine:
        return "spoken already"
    if said.height == block.height:
        tip, before = block, below
        if said.speaker not in below.leaders():
            return "no leader here"
    else:
        tip = before = below.ancestor(said.height)
        if said.mhg >= said.height or said.mhp != tip.shown:
            return "no attestation of this tip"
    if said.tip != tip.id:
        return "another branch"
    if not _is_of_tag(block, before, said, rules):
        return "no tag of this branch"
    if not tip.may_speak(said.speaker):
        return "no member"
    return _contradicted(said, mine, rules)


def _is_of_tag(block: Block, before: Block, said: Statement, rules: Rules) -> bool:
    """Whether the tag is the newest below ``block``, and its record final where the statement is made."""
    if rules.old_tag_counts and said.tag == NO_TAG:
        return True
    tag = before.tag(said.speaker)
    newest = (block.parent or block).tag(said.speaker)
    if said.tag != tag.value or (newest != tag and not rules.late_old_tag):
        return False
    return rules.tag_not_final or tag.since <= before.mhpc


def _contradicted(said: Statement, mine: Mapping[int, Statement], rules: Rules) -> str:
    if rules.contradictions_taken:
        return ""
    known = [mine[max(mine)]] if rules.latest_only and mine else mine.values()
    compared = (one for one in known if one.tag == said.tag or not rules.votes_per_tag)
    return "contradicts its speaker" if any(contradicting(one, said) for one in compared) else ""


# ---------------------------------------------------------------------------------------------------------- votes


def _highest_unvoted(block: Block, said: Statement) -> int:
    """The highest height below the statement that its speaker did not vote for on this branch (hnp)."""
    mine, height = block.said[said.speaker], said.mhg
    while height >= block.bottom:
        before = mine.get(height)
        if before is None or before.mhg >= height:
            return height
        height = before.mhg
    return block.bottom - 1


def _precommit(block: Block, said: Statement, rules: Rules) -> None:
    voter = block.voters.get(said.speaker, ANY_HEIGHT)
    unvoted = 0 if rules.no_hnp else _highest_unvoted(block, said)
    again = 0 if rules.precommit_again else voter.largest_precommit
    top = said.height if rules.late_above_mhp else min(said.height, said.mhp)
    bottom = max(block.bottom, voter.min_active, unvoted + 1, again + 1)
    hits = [
        height
        for height in range(top, bottom - 1, -1)
        if rules.precommit_unprevoted or _is_enough(block.prevotes[height], block.sets[height], rules)
    ]
    for height in hits:
        block.precommits[height] = _with(block, block.precommits, height, said.speaker, rules)
    if hits:
        block.voters[said.speaker] = voter._replace(largest_precommit=max(hits))


def _prevote(block: Block, said: Statement, rules: Rules) -> None:
    first = 1 if rules.prevote_again else said.mhg + 1
    voter = block.voters.get(said.speaker, ANY_HEIGHT)
    for height in range(max(block.bottom, voter.min_active, first), said.height + 1):
        block.prevotes[height] = _with(block, block.prevotes, height, said.speaker, rules)


def _with(
    block: Block, votes: Mapping[int, tuple[int, ...]], height: int, speaker: str, rules: Rules
) -> tuple[int, ...]:
    guests = block.guests[height] if rules.guests_vote else None
    weight = guests.weights.get(speaker, 0) if guests else 0
    pairs = zip(votes[height], block.sets[height], strict=True)
    return tuple(count + (one.weights.get(speaker) or weight) for count, one in pairs)


def _is_enough(votes: tuple[int, ...], sets: Sets, rules: Rules) -> bool:
    reached = (count >= one.threshold for count, one in zip(votes, sets, strict=True))
    return any(reached) if rules.either_set else all(reached)


def _highest(block: Block, votes: Mapping[int, tuple[int, ...]], known: int, rules: Rules) -> int:
    """The highest height above ``known`` that has enough votes, else ``known``."""
    for height in range(block.height, max(known + 1, block.bottom) - 1, -1):
        if _is_enough(votes[height], block.sets[height], rules):
            return height
    return known
