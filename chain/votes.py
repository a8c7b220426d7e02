"""Prevotes, precommits and finality, counted from the headers of one branch.

The rules are those of Lisk-BFT (J. Hackfeld, "A lightweight BFT consensus protocol for blockchains",
arXiv 1903.11434; LIP 0014, 0056, 0058).  Blocks are the votes: by ``mhg``, the largest height its
proposer ever generated before it, and ``mhp``, the largest height prevoted on its branch before it, a
header says which blocks of the branch the proposer now prevotes and precommits.  Finality therefore
needs no further messages, and anyone who holds the headers can count it.

:class:`Votes` is immutable.  A child is derived from its parent in time proportional to the window, and
the state before a block stays valid for every other branch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

from chain import codec
from chain.errors import InvariantBroken, Reason, Refused

BATCH_MAX = 256
"""Most validators a window is built for.  Finality takes 4/3 of a round, so more would wait for minutes."""

WEIGHT_MAX = codec.U32_MAX
"""So that the votes of a whole window of the heaviest validators still fit 64 bits."""

KEY_BYTES = 32
"""A validator is known by its raw Ed25519 public key."""

ENCODED_BYTES_MAX = 2**24
"""Above the largest state: a window of ``3 * BATCH_MAX`` blocks, with new validators at each of them."""


class VotingHeader(Protocol):
    """The four fields of a header that count as votes."""

    @property
    def height(self) -> int: ...
    @property
    def proposer(self) -> bytes: ...
    @property
    def mhg(self) -> int: ...
    @property
    def mhp(self) -> int: ...


class SignedHeader(VotingHeader, Protocol):
    """What it takes to hold a proposer to account for a header."""

    @property
    def id(self) -> bytes: ...
    @property
    def slot(self) -> int: ...


class Ballot(NamedTuple):
    """The part of a header that stays in the window: heights, and the key of the block's proposer."""

    height: int
    proposer: bytes
    mhg: int
    mhp: int


@dataclass(frozen=True, slots=True)
class BlockVotes:
    """One block of the window with the weight of the votes that later blocks (and it) cast for it."""

    height: int
    proposer: bytes
    mhg: int
    mhp: int
    prevotes: int
    precommits: int


@dataclass(frozen=True, slots=True)
class ValidatorSet:
    """The validators in force from height ``start`` until the next set starts, in the order given.

    ``leaders`` are those with any weight; they lead slots in turn.
    """

    start: int
    keys: tuple[bytes, ...]
    weights: tuple[int, ...]
    threshold: int
    leaders: tuple[bytes, ...]

    def weight(self, validator: bytes) -> int:
        """The weight of a validator, 0 if it is not in the set."""
        return self.weights[self.keys.index(validator)] if validator in self.keys else 0

    def leader(self, slot: int) -> bytes:
        """Whose turn ``slot`` is, where this set is in force."""
        return self.leaders[slot % len(self.leaders)]


@dataclass(frozen=True, slots=True)
class Voter:
    """An active validator votes for nothing below the one height, and precommitted up to the other."""

    min_active_height: int
    largest_precommit: int


@dataclass(frozen=True, slots=True)
class Votes:
    """The votes on one branch, as of its tip.

    ``ballots``, ``prevotes`` and ``precommits`` run in parallel over the last ``3 * batch`` blocks, newest
    first (:attr:`infos` joins them); ``voters`` runs parallel to the keys of the newest of ``sets``, which
    are newest first too and reach back as far as the window does.  ``mhp`` and ``mhpc`` are the largest
    heights ever prevoted and precommitted on the branch, the genesis height at first; ``mhpc_before`` is what
    ``mhpc`` was before the tip.
    """

    batch: int
    ballots: tuple[Ballot, ...]
    prevotes: tuple[int, ...]
    precommits: tuple[int, ...]
    sets: tuple[ValidatorSet, ...]
    voters: tuple[Voter, ...]
    mhp: int
    mhpc: int
    mhpc_before: int

    @classmethod
    def genesis(cls, validators: Sequence[tuple[bytes, int]], batch: int, height: int = 0) -> Votes:
        """The state at the genesis block: ``validators`` are (key, weight) pairs, at most ``batch`` of them.

        Raises :class:`InvariantBroken` for a set that :func:`set_fault` finds at fault.
        """
        newest = _validator_set(height + 1, validators, batch)
        voters = tuple(Voter(height + 1, height) for _ in validators)
        return cls(batch, (), (), (), (newest,), voters, mhp=height, mhpc=height, mhpc_before=height)

    @property
    def height(self) -> int:
        """The height of the branch's tip."""
        return self.ballots[0].height if self.ballots else self.mhp

    @property
    def finalized(self) -> int:
        """The largest final height that this branch proves.

        On one branch it is ``mhpc``, which never falls: precommits are never taken back, and whatever leaves
        the window is below what stays.  A node that changed branches keeps the maximum over all of them.
        """
        return self.mhpc

    @property
    def newest_set(self) -> ValidatorSet:
        """The validators in force at the tip, or at the next height once they are set for it."""
        return self.sets[0]

    @property
    def infos(self) -> tuple[BlockVotes, ...]:
        """The window, newest first, at most ``3 * batch`` blocks."""
        columns = zip(self.ballots, self.prevotes, self.precommits, strict=True)
        return tuple(BlockVotes(*ballot, prevotes, precommits) for ballot, prevotes, precommits in columns)

    def is_worth_a_block(self, validator: bytes) -> bool:
        """Whether a block by ``validator`` can help to make blocks final.

        It can while those who made the blocks of the last two rounds are enough for that, and where it would be
        news that ``validator`` is back.  A branch too short to tell is given the benefit of the doubt.
        """
        newest = self.sets[0]
        recent = self.ballots[: 2 * len(newest.leaders)]
        signers = {ballot.proposer for ballot in recent}
        if len(recent) < 2 * len(newest.leaders) or validator not in signers:
            return True
        return sum(map(newest.weight, signers)) >= newest.threshold

    def threshold(self, height: int) -> int:
        """The weight of votes that a block at ``height``, in the window or next, needs."""
        return next(validators.threshold for validators in self.sets if validators.start <= height)

    def contradicts(self, header: VotingHeader) -> bool:
        """Whether ``header``, next on this branch, contradicts its proposer's latest block in the window."""
        for ballot in self.ballots:
            if ballot.proposer == header.proposer:
                return contradicting(ballot, header)
        return False

    def apply(self, header: VotingHeader) -> Votes:
        """The state after a valid header; raises :class:`InvariantBroken` if its height is not the next."""
        if header.height != self.height + 1:
            raise InvariantBroken(f"votes at height {self.height} applied to a block at {header.height}")
        window, top = 3 * self.batch, header.height
        ballot = Ballot(top, header.proposer, header.mhg, header.mhp)
        ballots = (ballot, *self.ballots)[:window]
        prevotes = [0, *self.prevotes][:window]
        precommits = [0, *self.precommits][:window]
        bottom = ballots[-1].height
        sets = self.sets
        while len(sets) > 1 and sets[-2].start <= bottom:
            sets = sets[:-1]

        voters = self.voters
        if header.mhg < top and header.proposer in sets[0].keys:
            seat = sets[0].keys.index(header.proposer)
            voter = _precommit(sets, voters[seat], ballots, prevotes, precommits)
            _prevote(sets, voter, ballots, prevotes)
            if voter is not voters[seat]:
                voters = (*voters[:seat], voter, *voters[seat + 1 :])

        return Votes(
            self.batch,
            ballots,
            tuple(prevotes),
            tuple(precommits),
            sets,
            voters,
            mhp=_highest(sets, top, max(bottom, self.mhp + 1), prevotes, self.mhp),
            mhpc=_highest(sets, top, max(bottom, self.mhpc + 1), precommits, self.mhpc),
            mhpc_before=self.mhpc,
        )

    def with_validators(self, validators: Sequence[tuple[bytes, int]], height: int) -> Votes:
        """The state with another validator set in force from ``height``, which is the next one.

        A validator that stays keeps how far its votes reach; a new one, or one that comes back, votes for
        nothing below ``height``.  Blocks below ``height`` keep the weights and threshold that were theirs.
        Raises :class:`InvariantBroken` for another height or a set that :func:`set_fault` finds at fault.
        """
        if height != self.height + 1:
            raise InvariantBroken(f"validators for height {height} set at height {self.height}")
        newest = _validator_set(height, validators, self.batch)
        if (newest.keys, newest.weights) == (self.sets[0].keys, self.sets[0].weights):
            return self
        staying = dict(zip(self.sets[0].keys, self.voters, strict=True))
        voters = tuple(staying.get(key, Voter(height, height - 1)) for key in newest.keys)
        older = self.sets[1:] if self.sets[0].start == height else self.sets
        return replace(self, sets=(newest, *older), voters=voters)

    def encode(self) -> bytes:
        """The canonical bytes of the state, for a durable snapshot."""
        columns = zip(self.ballots, self.prevotes, self.precommits, strict=True)
        return codec.encode(
            (
                self.batch,
                self.height,
                self.mhp,
                self.mhpc,
                self.mhpc_before,
                tuple((b.proposer, b.mhg, b.mhp, pre, com) for b, pre, com in columns),
                tuple((s.start, tuple(zip(s.keys, s.weights, strict=True))) for s in self.sets),
                tuple((v.min_active_height, v.largest_precommit) for v in self.voters),
            )
        )

    @classmethod
    def decode(cls, data: bytes) -> Votes:
        """The state that :meth:`encode` wrote; raises :class:`Refused` for bytes it cannot have written."""
        fields = codec.decode(data, max_bytes=ENCODED_BYTES_MAX, max_items=3 * BATCH_MAX + 1)
        raw = codec.array(fields, 8, 8, "votes")
        batch = codec.integer(raw[0], 1, BATCH_MAX, "batch")
        height = codec.integer(raw[1], 0, codec.U64_MAX, "height")
        mhp = codec.integer(raw[2], 0, height, "mhp")
        mhpc = codec.integer(raw[3], 0, mhp, "mhpc")
        mhpc_before = codec.integer(raw[4], 0, mhpc, "mhpc_before")
        rows = codec.array(raw[5], 0, min(3 * batch, height), "window")
        if not rows and mhpc_before != height:
            raise Refused(Reason.MALFORMED, "votes without a block where not everything is final")
        infos = [_info(row, height - index) for index, row in enumerate(rows)]
        sets = _sets(codec.array(raw[6], 1, 3 * batch + 1, "validator sets"), batch, height, len(rows))
        seats = len(sets[0].keys)
        voters = tuple(_voter(row, height) for row in codec.array(raw[7], seats, seats, "voters"))
        ballots, prevotes, precommits = zip(*infos, strict=True) if infos else ((), (), ())
        return cls(batch, ballots, prevotes, precommits, sets, voters, mhp, mhpc, mhpc_before)


def contradicting(b1: VotingHeader, b2: VotingHeader) -> bool:
    """Whether two *distinct* headers of one validator prove that it broke the protocol (LIP 0014).

    An honest validator's headers, in the order it made them, are disjoint votes on tips that only get better.
    """
    if (b1.mhg, b1.mhp, b1.height) > (b2.mhg, b2.mhp, b2.height):
        b1, b2 = b2, b1
    return (
        (b1.mhp == b2.mhp and b1.height >= b2.height)  # changed branches without a reason, or signed twice
        or b1.height > b2.mhg  # concealed a block it had generated
        or b1.mhp > b2.mhp  # left the branch with more prevotes
    )


def is_equivocation(h1: SignedHeader, h2: SignedHeader) -> bool:
    """Whether two headers are evidence against one validator: contradicting, or two for the same slot.

    Source: protocol 3.4.
    """
    if h1.proposer != h2.proposer or h1.id == h2.id:
        return False
    return h1.slot == h2.slot or contradicting(h1, h2)


def set_fault(validators: Sequence[tuple[bytes, int]], batch: int) -> str:
    """Why (key, weight) pairs cannot be the validators of a window of ``3 * batch`` blocks; "" if they can.

    A weight of 0 is allowed, for a validator that is jailed.
    """
    if not 1 <= batch <= BATCH_MAX:
        return f"a batch is 1 to {BATCH_MAX} blocks, not {batch}"
    if not 1 <= len(validators) <= batch:
        return f"a batch of {batch} holds 1 to {batch} validators, not {len(validators)}"
    if any(len(key) != KEY_BYTES for key, _ in validators):
        return f"a validator's key is {KEY_BYTES} bytes"
    if len({key for key, _ in validators}) != len(validators):
        return "a validator is listed twice"
    if not all(0 <= weight <= WEIGHT_MAX for _, weight in validators) or not any(w for _, w in validators):
        return f"weights are 0 to {WEIGHT_MAX} and not all 0"
    return ""


def _height_not_prevoted(ballots: Sequence[Ballot]) -> int:
    """The largest height that the newest block's proposer did not vote for, as its chain of ``mhg`` says.

    Source: LIP 0014, "getHeightNotPrevoted".  A block votes for every block of its branch above its ``mhg``, the
    height of its proposer's block before it.  If that one is on this branch too, it voted below, and so on down.

    Example: A made the blocks at heights 1 and 3, B the one at 2.  When A says that its last block was at height 1,
    both its blocks are on this branch, and together they vote for everything:

    >>> a, b = bytes(32), bytes([1]) * 32
    >>> _height_not_prevoted([Ballot(3, a, mhg=1, mhp=0), Ballot(2, b, 0, 0), Ballot(1, a, 0, 0)])
    0

    When A says that its last block was at height 2, that one is on another branch, since here B made it.  A voted
    there, so on this branch its new block votes for height 3 alone:

    >>> _height_not_prevoted([Ballot(3, a, mhg=2, mhp=0), Ballot(2, b, 0, 0), Ballot(1, a, 0, 0)])
    2
    """
    newest = ballots[0]
    previous = newest.mhg
    while newest.height - previous < len(ballots):
        ballot = ballots[newest.height - previous]
        if ballot.proposer != newest.proposer or ballot.mhg >= previous:
            return previous
        previous = ballot.mhg
    return ballots[-1].height - 1


def _precommit(
    sets: Sequence[ValidatorSet],
    voter: Voter,
    ballots: Sequence[Ballot],
    prevotes: Sequence[int],
    precommits: list[int],
) -> Voter:
    """Add the precommits that the newest block casts; the voter with its new largest precommit.

    Source: LIP 0014.  A proposer precommits what is prevoted by two thirds before its block, what it prevoted
    itself, and nothing twice.

    Example: A, B, C and D of weight 1 make blocks in turn; three votes are enough.

    >>> keys = [bytes([letter]) * 32 for letter in b"ABCD"]
    >>> votes = Votes.genesis([(key, 1) for key in keys], batch=4)
    >>> for height in range(1, 7):
    ...     block = Ballot(height, keys[(height - 1) % 4], mhg=max(0, height - 4), mhp=votes.mhp)
    ...     votes = votes.apply(block)
    ...     print(height, votes.prevotes[::-1], votes.precommits[::-1])
    1 (1,) (0,)
    2 (2, 1) (0, 0)
    3 (3, 2, 1) (0, 0, 0)
    4 (4, 3, 2, 1) (1, 0, 0, 0)
    5 (4, 4, 3, 2, 1) (2, 1, 0, 0, 0)
    6 (4, 4, 4, 3, 2, 1) (3, 2, 1, 0, 0, 0)

    D's block at height 4 finds three prevotes (A's, B's, C's) for height 1 alone, and precommits it.  A's at height
    5 finds four for height 1 and three for height 2, and precommits both.  B's at height 6 is the third precommit
    for height 1, which is final: five blocks after it, for n = 4.
    """
    newest = ballots[0]
    lowest = max(voter.min_active_height, _height_not_prevoted(ballots) + 1, voter.largest_precommit + 1)
    largest = 0
    for validators, indexes in _spans(sets, newest.height, lowest):
        weight, threshold = validators.weight(newest.proposer), validators.threshold
        for index in indexes:
            if prevotes[index] >= threshold:
                precommits[index] += weight
                largest = largest or newest.height - index
    return Voter(voter.min_active_height, largest) if largest else voter


def _prevote(sets: Sequence[ValidatorSet], voter: Voter, ballots: Sequence[Ballot], prevotes: list[int]) -> None:
    """Add the prevotes that the newest block casts, its own for itself among them.  Source: LIP 0014, protocol 3.1."""
    newest = ballots[0]
    lowest = max(ballots[-1].height, newest.mhg + 1, voter.min_active_height)
    for validators, indexes in _spans(sets, newest.height, lowest):
        weight = validators.weight(newest.proposer)
        for index in indexes:
            prevotes[index] += weight


def _highest(sets: Sequence[ValidatorSet], top: int, lowest: int, votes: Sequence[int], otherwise: int) -> int:
    """The highest height from ``top`` down to ``lowest`` with enough votes, or ``otherwise``."""
    for validators, indexes in _spans(sets, top, lowest):
        threshold = validators.threshold
        for index in indexes:
            if votes[index] >= threshold:
                return top - index
    return otherwise


def _spans(sets: Sequence[ValidatorSet], top: int, lowest: int) -> list[tuple[ValidatorSet, range]]:
    """Cut the heights ``top`` … ``lowest`` where the validators changed: each set and its window indexes."""
    spans = []
    high = top
    for validators in sets:
        if high < lowest:
            break
        spans.append((validators, range(top - high, top - max(lowest, validators.start) + 1)))
        high = validators.start - 1
    return spans


def _validator_set(start: int, validators: Sequence[tuple[bytes, int]], batch: int) -> ValidatorSet:
    if fault := set_fault(validators, batch):
        raise InvariantBroken(fault)
    keys = tuple(key for key, _ in validators)
    weights = tuple(weight for _, weight in validators)
    leaders = tuple(key for key, weight in validators if weight)
    return ValidatorSet(start, keys, weights, threshold=2 * sum(weights) // 3 + 1, leaders=leaders)


def _info(row: Any, height: int) -> tuple[Ballot, int, int]:
    proposer, mhg, mhp, prevotes, precommits = codec.array(row, 5, 5, "block votes")
    ballot = Ballot(
        height,
        codec.blob(proposer, KEY_BYTES, "proposer"),
        codec.integer(mhg, 0, codec.U64_MAX, "mhg"),
        codec.integer(mhp, 0, codec.U64_MAX, "mhp"),
    )
    return (
        ballot,
        codec.integer(prevotes, 0, codec.U64_MAX, "prevotes"),
        codec.integer(precommits, 0, codec.U64_MAX, "precommits"),
    )


def _sets(rows: tuple[Any, ...], batch: int, height: int, blocks: int) -> tuple[ValidatorSet, ...]:
    """Decode the validator sets: newest first, and none that the window has left behind."""
    sets: list[ValidatorSet] = []
    latest = height + 1
    for row in rows:
        start, pairs = codec.array(row, 2, 2, "validator set")
        codec.integer(start, 1, latest, "start of a validator set")
        latest = start - 1
        validators = []
        for pair in codec.array(pairs, 1, batch, "validators"):
            key, weight = codec.array(pair, 2, 2, "validator")
            checked = codec.blob(key, KEY_BYTES, "key"), codec.integer(weight, 0, WEIGHT_MAX, "weight")
            validators.append(checked)
        if fault := set_fault(validators, batch):
            raise Refused(Reason.MALFORMED, fault)
        sets.append(_validator_set(start, validators, batch))
    bottom = height - blocks + 1
    if sets[-1].start > bottom or any(validators.start <= bottom for validators in sets[:-1]):
        raise Refused(Reason.MALFORMED, "validator sets that do not fit the window")
    return tuple(sets)


def _voter(row: Any, height: int) -> Voter:
    raw_min_active, raw_largest = codec.array(row, 2, 2, "voter")
    min_active = codec.integer(raw_min_active, 1, height + 1, "min_active_height")
    return Voter(min_active, codec.integer(raw_largest, min_active - 1, height, "largest_precommit"))
