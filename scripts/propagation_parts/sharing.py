"""What a thousand engines need to work out only once: what every one of them makes of a header."""

from __future__ import annotations

from chain.branches.blockchain import Blockchain
from chain.branches.blocktree import BlockTree, Judged
from chain.consensus.ballots import Ballot
from chain.consensus.headers import Header
from chain.consensus.votes import Votes
from chain.content.genesis import Genesis
from chain.protocol.events import SigningState
from scripts.simulation.disk import Disk

Verdicts = dict[bytes, Judged]


class SharingTree(BlockTree):
    """A tree that takes over what another one made of a header, once it knows the header's parent."""

    def __init__(self, genesis: Genesis, root: Header, votes: Votes, verdicts: Verdicts) -> None:
        super().__init__(genesis, root, votes)
        self._verdicts = verdicts

    def check(self, header: Header, ballot: Ballot, *, solicited: bool) -> Judged:
        known = self._verdicts.get(header.id)
        if known is None or header.parent not in self:
            known = self._verdicts[header.id] = super().check(header, ballot, solicited=solicited)
        return known


class SharingDisk(Disk):
    """A disk whose chain begins with the genesis, and shares its ``verdicts`` with those of all other nodes."""

    def __init__(self, genesis: Genesis, verdicts: Verdicts) -> None:
        super().__init__(genesis, SigningState())
        self._verdicts = verdicts

    def load(self) -> Blockchain:
        chain = super().load()
        head = chain.head
        chain.tree = SharingTree(self.genesis, head.header, head.votes, self._verdicts)
        chain.head = chain.tree[head.header.id]
        return chain
