"""What a thousand engines need to hold only once: the votes after a block, which are immutable and the same for all."""

from __future__ import annotations

from dataclasses import fields
from typing import cast

from chain.blockchain import Blockchain
from chain.events import SigningState
from chain.genesis import Genesis
from chain.votes import SignedHeader, Votes, VotingHeader
from scripts.simulation.disk import Disk


class SharedVotes(Votes):
    """Votes that remember what follows from them, so that one engine's count serves all."""

    __slots__ = ("_children",)
    _children: dict[bytes, SharedVotes]

    @classmethod
    def of(cls, votes: Votes) -> SharedVotes:
        """The same votes, to be shared."""
        shared = cls(**{field.name: getattr(votes, field.name) for field in fields(votes)})
        object.__setattr__(shared, "_children", {})
        return shared

    def apply(self, header: VotingHeader) -> Votes:
        header_id = cast("SignedHeader", header).id
        child = self._children.get(header_id)
        if child is None:
            child = self._children[header_id] = SharedVotes.of(Votes.apply(self, header))
        return child


class SharingDisk(Disk):
    """A disk whose chain begins with votes that all nodes share."""

    def __init__(self, genesis: Genesis, votes: SharedVotes) -> None:
        super().__init__(genesis, SigningState())
        self._votes = votes

    def load(self) -> Blockchain:
        chain = super().load()
        chain.head.votes = self._votes
        return chain
