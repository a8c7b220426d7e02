"""Which of two tips wins: the longest valid chain, where the prevoted part counts before the length.

The rules are those of LIP 0014, and one more: between the two counts from where people let a branch go on, since two
thirds of the weight signed that it should.  They compare two valid headers and know nothing else; that a switch never
crosses the finalized height, and that both headers are valid on their own branch, is for the caller.
"""

from __future__ import annotations

from enum import Enum
from typing import Protocol, TypeAlias

Rank: TypeAlias = tuple[int, int, int]
"""What "longest" compares of a tip: ``(mhp, restart, height)``.  A restart is one more than the height from which the
last one of its branch let it go on, 0 without any."""


class ForkHeader(Protocol):
    """The fields of a header that fork choice looks at; ``mhp`` is the max height prevoted before it."""

    @property
    def id(self) -> bytes: ...
    @property
    def parent(self) -> bytes: ...
    @property
    def height(self) -> int: ...
    @property
    def slot(self) -> int: ...
    @property
    def mhp(self) -> int: ...
    @property
    def proposer(self) -> bytes: ...


class Choice(Enum):
    """What a received block means for the tip."""

    SAME = "same"  # it is the tip: ignore it
    EXTENDS = "extends"  # the tip's child: apply it
    DOUBLE = "double"  # its proposer made the tip too: keep the tip, and both headers as evidence
    TIE_BREAK = "tie_break"  # a timely twin of a late tip: replace the tip
    SWITCH = "switch"  # the tip of a better branch: change to it
    KEEP = "keep"  # keep the tip, and the block in the tree while it could still win


def choose(
    tip: ForkHeader,
    tip_arrived_in_slot: bool,
    block: ForkHeader,
    block_arrived_in_slot: bool,
    *,
    tip_restart: int = 0,
    block_restart: int = 0,
) -> Choice:
    """What to do with ``block`` where ``tip`` is the head (LIP 0014, cases 1 to 6).

    A block arrived in its slot if it was received then; one made here, or fetched while syncing, counts as
    in time.
    """
    if block.id == tip.id:
        return Choice.SAME
    if block.parent == tip.id and block.height == tip.height + 1:
        return Choice.EXTENDS
    if (block.height, block.mhp, block_restart, block.parent) == (tip.height, tip.mhp, tip_restart, tip.parent):
        if block.proposer == tip.proposer:
            return Choice.DOUBLE
        late_tip_timely_block = not tip_arrived_in_slot and block_arrived_in_slot
        return Choice.TIE_BREAK if tip.slot < block.slot and late_tip_timely_block else Choice.KEEP
    is_better = rank(block, block_restart) > rank(tip, tip_restart)
    return Choice.SWITCH if is_better else Choice.KEEP


def rank(header: ForkHeader, restart: int) -> Rank:
    """What is compared of a tip; ``restart`` is that of the votes after it."""
    return header.mhp, restart, header.height
