"""Prevotes, precommits and finality, counted from the statements on one branch.

The rules are those of Lisk-BFT (J. Hackfeld, "A lightweight BFT consensus protocol for blockchains",
arXiv 1903.11434; LIP 0014, 0056, 0058), with two additions: a validator speaks by the blocks that it makes *and* by
attestations that later blocks carry, and a height may need the thresholds of two sets.  By ``mhg`` and ``mhp``
(:mod:`chain.consensus.statements`) a statement says which blocks of the branch its speaker now prevotes and precommits.
Whoever holds the headers and what they carry can count finality; no further messages are needed.

:class:`Votes` is immutable.  A child is derived from its parent by a :class:`Count`, in time proportional to what the
block carries, and the state before a block stays valid for every other branch.
Source: protocol 3.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from operator import attrgetter, ge
from typing import NamedTuple, TypeAlias

from chain.base.errors import InvariantBroken, Reason, Refused
from chain.consensus.electorate import Decision, Electorate, Tag, ValidatorSet, validator_set
from chain.consensus.statements import Said, contradicting

ROUNDS = 3
"""The window is so many batches of blocks: what is older gets no more votes."""

CARRIED_PER_SPEAKER = 4
"""Attestations a block for each speaker: one in good times, and some to catch up by."""


class Voter(NamedTuple):
    """A validator votes for nothing below the one height, and precommitted up to the other."""

    min_active: int
    largest_precommit: int


class Row(NamedTuple):
    """One block of the window: what it is, what was said about it, and the weight of the votes for it.

    ``mhp`` is what its header says, ``mhpc`` what it shows final; ``electorate`` was in force at its height.  ``said``
    holds the ``mhg`` of every statement about it by its speaker.  The votes run parallel to the electorate's sets.
    """

    height: int
    id: bytes
    mhp: int
    mhpc: int
    electorate: Electorate
    said: Mapping[bytes, int]
    prevotes: tuple[int, ...]
    precommits: tuple[int, ...]


@dataclass(frozen=True)
class Votes:
    """The votes on one branch, as of its tip.

    ``rows`` are the last ``3 * batch`` blocks, newest first, after the block at ``base``; ``electorate`` is in force at
    the next height.  ``mhp`` and ``mhpc`` are the largest heights ever prevoted and precommitted on the branch, the
    base at first.  ``spoke`` are those who spoke since the set that is waited for was decided.  Up to the height
    ``blind`` it is not known what was said and prevoted: it is 0 for a node, the base for who counts from there.
    """

    batch: int
    base: int
    blind: int
    rows: tuple[Row, ...]
    electorate: Electorate
    voters: Mapping[bytes, Voter]
    spoke: frozenset[bytes]
    mhp: int
    mhpc: int

    @classmethod
    def start(cls, electorate: Electorate, batch: int, height: int, *, blind: bool = False) -> Votes:
        """Nothing said yet after the final block at ``height``; or, where ``blind``, nothing that is known."""
        voters = {key: Voter(height + 1, height) for key in electorate.voters}
        return cls(batch, height, height if blind else 0, (), electorate, voters, frozenset(), height, height)

    @classmethod
    def genesis(cls, validators: tuple[tuple[bytes, int], ...], batch: int, height: int = 0) -> Votes:
        """The state at the genesis block: ``validators`` are (key, weight) pairs, at most ``batch`` of them.

        Raises :class:`InvariantBroken` for a set that :func:`~chain.consensus.electorate.set_fault` finds at fault.
        """
        return cls.start(Electorate(height + 1, validator_set(validators, batch)), batch, height)

    @cached_property
    def restart(self) -> int:
        """One more than the height from which people last let this branch go on, or 0 (protocol 3.7, 4.1)."""
        is_renewed = any(tag.height <= self.base for tag in self.electorate.tags)
        return self.base + 1 if self.base or is_renewed else 0

    @property
    def height(self) -> int:
        """The height of the branch's tip."""
        return self.rows[0].height if self.rows else self.base

    @property
    def bottom(self) -> int:
        """The lowest height of the window."""
        return self.rows[-1].height if self.rows else self.base + 1

    @property
    def finalized(self) -> int:
        """The largest final height that this branch proves.

        On one branch it is ``mhpc``, which never falls: precommits are never taken back, and whatever leaves
        the window is below what stays.  A node that changed branches keeps the maximum over all of them.
        """
        return self.mhpc

    def row(self, height: int) -> Row | None:
        """The block of the window at ``height``, if there is one."""
        index = self.height - height
        return self.rows[index] if 0 <= index < len(self.rows) else None

    def spoken_up_to(self, speaker: bytes) -> int:
        """The largest height of the window that ``speaker`` spoke at, 0 for none."""
        return next((row.height for row in self.rows if speaker in row.said), 0)

    @cached_property
    def known_sets(self) -> frozenset[ValidatorSet]:
        """Every set that decided, or was waited for, at a height of the window, or is at the next."""
        every = (self.electorate, *(row.electorate for row in self.rows))
        others = (older for newer, older in pairwise(every) if older is not newer)  # hardly ever any
        return frozenset(known for electorate in (self.electorate, *others) for known in electorate.all_sets)

    def is_worth_a_block(self, validator: bytes) -> bool:
        """Whether a block by ``validator`` can help to make blocks final.

        It can while those who spoke in the last two rounds are enough for that, and where it would be news that
        ``validator`` is back.  A branch too short to tell is given the benefit of the doubt.
        """
        rounds = 2 * len(self.electorate.leaders)
        heard: set[bytes] = set()
        for row in self.rows[:rounds]:
            heard.update(row.said)
            if self.electorate.is_enough(heard):
                return True
        return len(self.rows) < rounds or validator not in heard

    def open(self, height: int) -> Count:
        """Begin to count the block that is next.  Raises :class:`InvariantBroken` if ``height`` is not."""
        if height != self.height + 1:
            raise InvariantBroken(f"votes at height {self.height} applied to a block at {height}")
        return Count(self)


class Count:
    """The votes while one block is counted: what it carries first, then its proposer's own statement.

    A block is opened by :meth:`Votes.open`, each attestation :meth:`take`\\ n in its order, then the block's ``mhp`` is
    known, its header :meth:`speak`\\ s, and :meth:`close` gives the votes after it.
    """

    def __init__(self, votes: Votes) -> None:
        self._votes = votes
        self.height = votes.height + 1
        self.electorate = votes.electorate
        self._voters = dict(votes.voters)
        self._spoke = set(votes.spoke)
        kept = votes.rows[: ROUNDS * votes.batch - 1]
        self._bottom = kept[-1].height if kept else self.height
        none = (0,) * len(self.electorate.sets)
        self._rows = [Row(self.height, b"", 0, 0, self.electorate, {}, none, none), *kept]
        self.mhp = votes.mhp
        self.mhpc = votes.mhpc

    def refuse(self, speaker: bytes, height: int, mhg: int) -> Refused | None:
        """Why an attestation cannot be carried in this block, or None where it can.

        Its signature, and with it the tip that it is about, is the caller's to check.
        """
        votes = self._votes
        if not max(votes.mhpc, self._bottom - 1) < height < self.height:
            return Refused(Reason.STALE_ATTESTATION, f"height {height}, where {votes.mhpc} is final")
        row, tag = self.about(speaker, height)
        if speaker not in row.electorate.speakers:
            return Refused(Reason.NOT_VALIDATOR, f"its speaker has no say at height {height}")
        if tag != self.electorate.tag(speaker) or tag.height > row.mhpc:
            return Refused(
                Reason.WRONG_TAG, "its speaker renewed its signing state, and this is from before that was final"
            )
        if speaker in row.said:
            return Refused(Reason.ALREADY_SAID, f"its speaker has spoken at height {height}")
        if mhg >= height:
            return Refused(Reason.MALFORMED, "an attestation of what its speaker voted against")
        return self._contradiction(speaker, Said(height, mhg, row.mhp))

    def about(self, speaker: bytes, height: int) -> tuple[Row, Tag]:
        """The block of the window at ``height``, below this one, and with which tag ``speaker`` attests it."""
        return self._row(height), self._row(height + 1).electorate.tag(speaker)

    def take(self, speaker: bytes, height: int, mhg: int) -> None:
        """Count an attestation.  Raises :class:`Refused` as :meth:`refuse` says."""
        if refusal := self.refuse(speaker, height, mhg):
            raise refusal
        self.add(speaker, height, mhg)

    def add(self, speaker: bytes, height: int, mhg: int) -> None:
        """Count an attestation that :meth:`refuse` found nothing against."""
        self._count(speaker, Said(height, mhg, self._row(height).mhp))

    def carried_all(self) -> int:
        """Bring :attr:`mhp` up to what was taken, and return it: it is what the block's header has to say."""
        self.mhp = self._highest(self.mhp, lambda row: row.prevotes)
        row = self._rows[0]
        self._rows[0] = row._replace(mhp=self.mhp)
        return self.mhp

    def believe(self, mhp: int) -> None:
        """Let the header say an ``mhp`` from before counting began: its attestations say the same."""
        self._rows[0] = self._rows[0]._replace(mhp=mhp)

    def speak(self, proposer: bytes, mhg: int) -> None:
        """Count the header's own statement.

        Raises :class:`Refused` (``CONTRADICTS_EARLIER_BLOCK``) where that contradicts what its proposer said here.
        """
        said = Said(self.height, mhg, self._rows[0].mhp)
        if refusal := self._contradiction(proposer, said):
            raise refusal
        self._count(proposer, said)

    def close(self, block_id: bytes, decision: Decision) -> Votes:
        """The votes after the block.  Raises :class:`Refused` (``WRONG_DECISION``) for what cannot be decided now."""
        self.mhp = self._highest(self.mhp, lambda row: row.prevotes)
        self.mhpc = self._highest(self.mhpc, lambda row: row.precommits)
        self._rows[0] = self._rows[0]._replace(id=block_id, mhpc=self.mhpc)
        electorate = self.electorate.after(self.height, mhpc=self.mhpc, spoke=self._spoke, decision=decision)
        is_gate_open = electorate.phase is not None and electorate.phase == self.electorate.phase
        voters = self._voters
        if electorate.sets != self.electorate.sets:
            voters = self._voters_of(electorate)
        return Votes(
            self._votes.batch,
            self._votes.base,
            self._votes.blind,
            tuple(self._rows),
            electorate,
            voters,
            frozenset(self._spoke) if is_gate_open else frozenset(),
            self.mhp,
            self.mhpc,
        )

    # ------------------------------------------------------------------------------------------------- counting

    def _count(self, speaker: bytes, said: Said) -> None:
        """Let a statement vote (LIP 0014): precommits first, for what was prevoted before it, then prevotes.

        Example: A, B, C and D of weight 1 make blocks in turn and attest each block but their own; three votes are
        enough.  What block 2 carries prevotes block 1, and what block 3 carries precommits it:

        >>> keys = [bytes([letter]) * 32 for letter in b"ABCD"]
        >>> votes = Votes.genesis(tuple((key, 1) for key in keys), batch=4)
        >>> for height in (1, 2, 3):
        ...     count = votes.open(height)
        ...     for key in keys:
        ...         if height > 1 and key != keys[(height - 1) % 4]:
        ...             count.take(key, height - 1, mhg=height - 2)
        ...     mhp = count.carried_all()
        ...     count.speak(keys[height % 4], mhg=height - 1)
        ...     votes = count.close(bytes([height]), Decision())
        ...     print(height, mhp, votes.mhpc, [(row.prevotes, row.precommits) for row in votes.rows])
        1 0 0 [((1,), (0,))]
        2 1 0 [((1,), (0,)), ((4,), (1,))]
        3 2 1 [((1,), (0,)), ((4,), (1,)), ((4,), (4,))]
        """
        height, mhg, mhp = said
        row = self._row(height)
        since = self.electorate.phase.since if self.electorate.phase is not None else self.height + 1
        if height >= since:
            self._spoke.add(speaker)
        self._put(row._replace(said={**row.said, speaker: mhg}))
        if mhg >= height or speaker not in row.electorate.voters:  # it voted on other branches, or weighs nothing here
            return
        voter = self._voters[speaker]
        lowest = max(self._bottom, voter.min_active, voter.largest_precommit + 1)
        lowest = max(lowest, self._height_not_prevoted(speaker, mhg, lowest) + 1)
        is_first = True
        for at in range(mhp, lowest - 1, -1):  # which is below the statement's own height
            row = self._row(at)
            if _is_enough(row.prevotes, row.electorate.sets):
                self._put(row._replace(precommits=_added(row.precommits, row.electorate.sets, speaker)))
                if is_first:
                    self._voters[speaker] = Voter(voter.min_active, at)
                    is_first = False
        for at in range(max(self._bottom, voter.min_active, mhg + 1), height + 1):
            row = self._row(at)
            self._put(row._replace(prevotes=_added(row.prevotes, row.electorate.sets, speaker)))

    def _height_not_prevoted(self, speaker: bytes, mhg: int, lowest: int) -> int:
        """The largest height that a speaker did not vote for, as its chain of ``mhg`` says.

        Of those below ``lowest`` it only matters that there is one.
        Source: LIP 0014, "getHeightNotPrevoted".  A statement votes for every block of its branch above its ``mhg``,
        the height of its speaker's statement before.  If that one is on this branch too, it voted below, and so on.

        Example: A spoke at heights 1 and 2, but between them at 3 on another branch.  So what it now says at 4, with
        ``mhg`` 3, does not reach down to its statements here:

        >>> a = bytes(32)
        >>> votes = Votes.genesis(((a, 1), (bytes([1]) * 32, 1)), batch=2)
        >>> for height, mhg in ((1, 0), (2, 1), (3, None), (4, 3)):
        ...     count = votes.open(height)
        ...     if mhg is not None:
        ...         count.speak(a, mhg)
        ...     votes = count.close(bytes([height]), Decision())
        >>> votes.open(5)._height_not_prevoted(a, 3, 1)
        3
        """
        previous = mhg
        while previous >= lowest:
            earlier = self._row(previous).said.get(speaker)
            if earlier is None or earlier >= previous:
                return previous
            previous = earlier
        return previous

    def _contradiction(self, speaker: bytes, said: Said) -> Refused | None:
        """Why a speaker cannot have said this beside what it said on this branch.

        What it said here, in the order of heights, is in the order in which an honest validator says it, and to follow
        honestly is transitive: it is enough to look at the statements right below and right above.
        """
        below = range(said.height - 1, self._bottom - 1, -1)
        above = range(said.height + 1, self.height + 1)
        for heights in (below, above):
            for height in heights:
                row = self._row(height)
                if speaker in row.said:
                    if contradicting(Said(height, row.said[speaker], row.mhp), said):
                        detail = f"it contradicts what its signer said at height {height}"
                        return Refused(Reason.CONTRADICTS_EARLIER_BLOCK, detail)
                    break
        return None

    def _highest(self, reached: int, votes: _Column) -> int:
        """The highest height of the window above ``reached`` with enough votes, or ``reached``."""
        for row in self._rows:
            if row.height <= reached:
                break
            if _is_enough(votes(row), row.electorate.sets):
                return row.height
        return reached

    def _voters_of(self, electorate: Electorate) -> dict[bytes, Voter]:
        """The voters once another electorate is in force: who enters votes for nothing below that height.

        Who left keeps its votes as long as the window knows blocks that it may still attest.
        """
        known = {key for row in self._rows for key in row.electorate.voters}
        staying = {key: voter for key, voter in self._voters.items() if key in known}
        entering = electorate.voters - self.electorate.voters
        return staying | {key: Voter(self.height + 1, self.height) for key in entering}

    def _row(self, height: int) -> Row:
        return self._rows[self.height - height]

    def _put(self, row: Row) -> None:
        self._rows[self.height - row.height] = row


_threshold = attrgetter("threshold")
_Column: TypeAlias = Callable[[Row], tuple[int, ...]]


def _added(votes: tuple[int, ...], sets: Sequence[ValidatorSet], speaker: bytes) -> tuple[int, ...]:
    return tuple(weight + decides.by_key.get(speaker, 0) for weight, decides in zip(votes, sets, strict=True))


def _is_enough(votes: tuple[int, ...], sets: Sequence[ValidatorSet]) -> bool:
    return all(map(ge, votes, map(_threshold, sets)))
