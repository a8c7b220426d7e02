"""Whether finality stands still, and for want of whom."""

from __future__ import annotations

from dataclasses import dataclass

from chain.branches.blockchain import Blockchain

# Without faults two blocks are not final; with as many away as are tolerated, a few more than one round of leaders.
ROUNDS_TO_WAIT = 2


@dataclass(frozen=True, slots=True)
class Stall:
    """Finality stands still at ``height`` since ``slot``, with ``blocks`` above it.

    About these ``heard`` of the weight spoke where ``needed`` is; ``missing`` are the validators that did not.
    """

    height: int
    slot: int
    blocks: int
    heard: int
    needed: int
    missing: tuple[bytes, ...]


def stall_of(chain: Blockchain) -> Stall | None:
    """Where more blocks are not final than in two rounds of leaders, what of it; None else."""
    votes, final, height = chain.head.votes, chain.finalized, chain.head.header.height
    blocks = height - final.height
    if blocks <= ROUNDS_TO_WAIT * len(votes.electorate.leaders):
        return None
    rows = votes.rows[: min(blocks, ROUNDS_TO_WAIT * len(votes.electorate.leaders))]
    spoke = frozenset(speaker for row in rows for speaker in row.said)
    # Of the sets that decide, the one that lacks most.
    decides = min(votes.electorate.sets, key=lambda each: each.weight_of(spoke) - each.threshold)
    missing = tuple(key for key in decides.leaders if key not in spoke)
    return Stall(final.height, final.slot, blocks, decides.weight_of(spoke), decides.threshold, missing)
