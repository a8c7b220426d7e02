"""The ballot of a block: what it holds for the votes alone, so that who counts them need not execute anything.

On the wire it is ``[[attestation, …], decision, [restart]]``, where a restart (:mod:`chain.consensus.restart`) hardly
ever is; its SHA-256 is the ``votes root`` of the header.
Source: protocol 2.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import pairwise

from chain.base.codec import array, decode, encode
from chain.base.errors import Reason, Refused
from chain.consensus.attestations import Carried, read_carried
from chain.consensus.electorate import BATCH_MAX, NOTHING_DECIDED, Decision, read_decision
from chain.consensus.restart import Restart, read_restart
from chain.consensus.votes import CARRIED_PER_SPEAKER

MAX_CARRIED = CARRIED_PER_SPEAKER * BATCH_MAX
# 1,024 attestations of 120 bytes, and a decision about 256 validators and what they lost.
MAX_BALLOT_BYTES = 160_000


@dataclass(frozen=True)
class Ballot:
    """The attestations that a block carries, in their order, and what executing it decides; ``raw`` is hashed."""

    attestations: tuple[Carried, ...]
    decision: Decision
    restart: Restart | None
    raw: bytes

    @property
    def changes_voters(self) -> bool:
        """Whether who votes, or how, is not the same after the block: a proof has to show that."""
        return self.decision != NOTHING_DECIDED or self.restart is not None

    @cached_property
    def root(self) -> bytes:
        """32 bytes: what the header commits to."""
        return sha256(self.raw).digest()


def make_ballot(
    attestations: Sequence[Carried], decision: Decision = NOTHING_DECIDED, restart: Restart | None = None
) -> Ballot:
    """The ballot of a block that is made here."""
    carried = tuple(sorted(attestations))
    restarts = () if restart is None else (restart,)
    return Ballot(carried, decision, restart, encode((carried, decision, restarts)))


def decode_ballot(raw: bytes) -> Ballot:
    """Read a ballot.

    Raises :class:`Refused`: ``TOO_LARGE``, ``MALFORMED``, ``UNORDERED`` where the attestations are not sorted, each
    height and speaker once.  Whether they can be carried, and whether a restart is agreed, is for the branch to say.
    """
    fields = decode(raw, max_bytes=MAX_BALLOT_BYTES, max_items=MAX_CARRIED)
    carried, decision, restarts = array(fields, 3, 3, "a ballot")
    attestations = tuple(read_carried(row) for row in array(carried, 0, MAX_CARRIED, "attestations"))
    keys = [(each.height, each.speaker) for each in attestations]
    if any(first >= second for first, second in pairwise(keys)):
        raise Refused(Reason.UNORDERED, "attestations that are not in order, each once")
    restart = next(map(read_restart, array(restarts, 0, 1, "a restart")), None)
    if restart is not None and attestations:
        raise Refused(Reason.MALFORMED, "a restart carries no attestations: nothing said before it counts any more")
    return Ballot(attestations, read_decision(decision), restart, raw)


EMPTY = make_ballot(())
