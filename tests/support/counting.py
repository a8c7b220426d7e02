"""Votes counted block after block, without signatures: who makes a block, and what it carries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chain.consensus.electorate import NOTHING_DECIDED, Decision
from chain.consensus.votes import Votes

Vote = tuple[int, int, int]
"""What a block carries: the number of a speaker, the height that it attests, and its ``mhg``."""


def key(index: int) -> bytes:
    """The key of a validator."""
    return index.to_bytes(32, "big")


def equal(count: int) -> tuple[tuple[bytes, int], ...]:
    """``count`` validators of weight 1."""
    return tuple((key(index), 1) for index in range(count))


def genesis(count: int, height: int = 0) -> Votes:
    """The votes where ``count`` validators begin."""
    return Votes.genesis(equal(count), batch=count, height=height)


def made(
    votes: Votes, proposer: int, mhg: int, carried: Iterable[Vote] = (), decision: Decision = NOTHING_DECIDED
) -> Votes:
    """The votes after a block.  Raises :class:`Refused` where it cannot be."""
    count = votes.open(votes.height + 1)
    for speaker, height, said in carried:
        count.take(key(speaker), height, said)
    count.carried_all()
    count.speak(key(proposer), mhg)
    return count.close(key(votes.height + 1), decision)


def spoken(votes: Votes, speaker: int) -> int:
    """The largest height of the window that somebody spoke at."""
    return votes.spoken_up_to(key(speaker))


def grow(votes: Votes, proposers: Iterable[int], decision: Decision = NOTHING_DECIDED) -> Votes:
    """Honest blocks by ``proposers``, which carry nothing; the first of them decides something."""
    for proposer in proposers:
        votes = made(votes, proposer, spoken(votes, proposer), (), decision)
        decision = NOTHING_DECIDED
    return votes


def about_tip(votes: Votes, speakers: Iterable[int]) -> list[Vote]:
    """What those of ``speakers`` who have a say and did not speak yet honestly say of the tip, as a ballot has it."""
    tip = votes.row(votes.height)
    may = set() if tip is None else tip.electorate.speakers - tip.said.keys()
    return [(each, votes.height, spoken(votes, each)) for each in sorted(speakers) if key(each) in may]


def grow_attested(
    votes: Votes, proposers: Iterable[int], speakers: Sequence[int], decision: Decision = NOTHING_DECIDED
) -> Votes:
    """Honest blocks that carry what ``speakers`` say of the one before; the first of them decides something."""
    for proposer in proposers:
        carried = about_tip(votes, speakers)
        count = {speaker: height for speaker, height, _ in carried}
        votes = made(votes, proposer, count.get(proposer, spoken(votes, proposer)), carried, decision)
        decision = NOTHING_DECIDED
    return votes


FIFTH = (*equal(3), (key(7), 1))
OLD, NEW, EVERYBODY = [0, 1, 2, 3], [0, 1, 2, 7], [0, 1, 2, 3, 7]


def changing(following: Sequence[tuple[bytes, int]] = FIFTH, *, speakers: Sequence[int] = EVERYBODY) -> list[Votes]:
    """The votes after 6 blocks, of which the last decides ``following``, and after each of 6 more."""
    votes = grow_attested(genesis(4), [0, 1, 2, 3, 0], OLD)
    states = [grow_attested(votes, [3], OLD, Decision(tuple(following)))]
    for proposer in (2, 0, 1, 2, 0, 1):
        states.append(grow_attested(states[-1], [proposer], speakers))
    return states
