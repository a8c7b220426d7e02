"""The ballot of a block: what it holds for the votes alone, so that who counts them need not execute anything.

On the wire it is ``[[attestation, …], decision]``; its SHA-256 is the ``votes root`` of the header.
Source: protocol 2.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import pairwise

from chain.attestations import Carried, read_carried
from chain.codec import array, decode, encode
from chain.electorate import BATCH_MAX, NOTHING_DECIDED, Decision, read_decision
from chain.errors import Reason, Refused
from chain.votes import CARRIED_PER_SPEAKER

MAX_CARRIED = CARRIED_PER_SPEAKER * BATCH_MAX
# 1,024 attestations of 120 bytes, and a decision about 256 validators.
MAX_BALLOT_BYTES = 144_000


@dataclass(frozen=True)
class Ballot:
    """The attestations that a block carries, in their order, and what executing it decides; ``raw`` is hashed."""

    attestations: tuple[Carried, ...]
    decision: Decision
    raw: bytes

    @cached_property
    def root(self) -> bytes:
        """32 bytes: what the header commits to."""
        return sha256(self.raw).digest()


def make_ballot(attestations: Sequence[Carried], decision: Decision = NOTHING_DECIDED) -> Ballot:
    """The ballot of a block that is made here."""
    carried = tuple(sorted(attestations))
    return Ballot(carried, decision, encode((carried, decision)))


def decode_ballot(raw: bytes) -> Ballot:
    """Read a ballot.

    Raises :class:`Refused`: ``TOO_LARGE``, ``MALFORMED``, ``UNORDERED`` where the attestations are not sorted, each
    height and speaker once.  Whether they can be carried is for the branch to say.
    """
    carried, decision = array(decode(raw, max_bytes=MAX_BALLOT_BYTES, max_items=MAX_CARRIED), 2, 2, "a ballot")
    attestations = tuple(read_carried(row) for row in array(carried, 0, MAX_CARRIED, "attestations"))
    keys = [(each.height, each.speaker) for each in attestations]
    if any(first >= second for first, second in pairwise(keys)):
        raise Refused(Reason.UNORDERED, "attestations that are not in order, each once")
    return Ballot(attestations, read_decision(decision), raw)


EMPTY = make_ballot(())
