"""Attestations that were heard and that no block of the head's branch carries yet."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter

from chain.base.errors import Refused
from chain.base.newest import Newest
from chain.consensus.attestations import Carried, VerifiedAttestation
from chain.consensus.votes import CARRIED_PER_SPEAKER, Count

# A speaker says one thing a height; this is how far it can be ahead of us, or finality behind it.
MAX_PER_SPEAKER = 256
# Validators come and go; only validators are heard.
MAX_SPEAKERS = 1_024
# What a message repeats of one's own.
MAX_REPEATED = 16


class Heard:
    """By speaker and height; of a speaker the latest :data:`MAX_PER_SPEAKER`."""

    def __init__(self) -> None:
        self._heard: Newest[bytes, dict[tuple[int, bytes], VerifiedAttestation]] = Newest(MAX_SPEAKERS)

    def __len__(self) -> int:
        return sum(map(len, self._heard.values()))

    def __iter__(self) -> Iterator[VerifiedAttestation]:
        return (each for said in self._heard.values() for each in said.values())

    def add(self, attestation: VerifiedAttestation) -> bool:
        """Remember an attestation that is above what is final; whether it is news."""
        said = self._heard.setdefault(attestation.speaker, {})
        key = attestation.height, attestation.tip
        if key in said:
            return False
        said[key] = attestation
        if len(said) > MAX_PER_SPEAKER:
            del said[min(said)]
        return True

    def knows(self, carried: Carried, tip: bytes) -> bool:
        """Whether what a block carries about ``tip`` was heard before."""
        return (carried.height, tip) in self._heard.get(carried.speaker, {})

    def up_to(self, last: VerifiedAttestation) -> tuple[VerifiedAttestation, ...]:
        """``last``, and before it what its speaker said below it, oldest first, at most :data:`MAX_REPEATED`.

        What it said from another signing state, and strangers repeat, is of no use to anybody.
        """
        said = self._heard.get(last.speaker, {}).values()
        below = [each for each in said if each.tag == last.tag and each.height < last.height]
        return (*sorted(below, key=attrgetter("height"))[1 - MAX_REPEATED :], last)

    def drop(self, final_height: int) -> None:
        """Forget what is about blocks that are final, or that lost."""
        for speaker, said in list(self._heard.items()):
            for key in [key for key in said if key[0] <= final_height]:
                del said[key]
            if not said:
                del self._heard[speaker]

    def choose(self, count: Count, own: bytes) -> list[Carried]:
        """What the block that is being counted carries: one's own first, then the oldest; all of it is counted.

        A validator that left its own attestations out would keep every block from being final until others carry them.
        """
        room = CARRIED_PER_SPEAKER * len(count.electorate.speakers)
        waiting = [
            each
            for said in self._heard.values()
            for each in said.values()
            if each.height < count.height and self._fits(count, each)
        ]
        first = sorted(waiting, key=lambda each: (each.speaker != own, each.height, each.speaker))[:room]
        carried: list[Carried] = []
        for each in sorted(first, key=lambda each: (each.height, each.speaker)):
            try:
                count.take(each.speaker, each.height, each.mhg)
            except Refused:  # two that contradict each other, say
                continue
            carried.append(each.carried)
        return carried

    @staticmethod
    def _fits(count: Count, attestation: VerifiedAttestation) -> bool:
        if count.refuse(attestation.speaker, attestation.height, attestation.mhg):
            return False
        row, tag = count.about(attestation.speaker, attestation.height)
        return (row.id, row.mhp, tag.tag) == (attestation.tip, attestation.mhp, attestation.tag)
