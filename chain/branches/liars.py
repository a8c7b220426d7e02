"""Who signed two chains that are both final: if they contradict, at least a third of the weight broke the rules.

Source: protocol 3.4; consensus, "every violation of safety leaves evidence".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

from chain.branches.blocktree import Judged
from chain.consensus.statements import is_equivocation


class Spoken(NamedTuple):
    """A statement as the votes of a branch know it; ``id`` is the block that it is about."""

    id: bytes
    speaker: bytes
    tag: bytes
    slot: int | None
    height: int
    mhg: int
    mhp: int


def liars(ours: Sequence[Judged], theirs: Sequence[Judged]) -> tuple[bytes, ...]:
    """The keys that contradicted themselves on two branches, sorted; both begin right after the fork, oldest first."""
    one, other = set(_statements(ours)), set(_statements(theirs))
    by_key = {key: [said for said in other if said.speaker == key] for key in {said.speaker for said in other}}
    pairs = (product((said,), by_key.get(said.speaker, ())) for said in one)
    return tuple(sorted({first.speaker for each in pairs for first, second in each if is_equivocation(first, second)}))


def _statements(branch: Sequence[Judged]) -> Iterator[Spoken]:
    """What was said about the blocks of a branch, as far as it was carried there."""
    made = {judged.header.id: judged.header for judged in branch}
    if not branch:
        return
    # The window is three batches, so that one look a batch sees all that was ever said about a block.
    for judged in branch[:: -branch[-1].votes.batch]:
        following = judged.votes.electorate
        for row in judged.votes.rows:
            header = made.get(row.id)
            if header is None:
                break
            for speaker, mhg in row.said.items():
                is_own = speaker == header.proposer
                tag = header.tag if is_own else following.tag(speaker).tag
                yield Spoken(row.id, speaker, tag, header.slot if is_own else None, row.height, mhg, row.mhp)
            following = row.electorate
