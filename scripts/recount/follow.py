"""A recount that reads a chain, and learns from the chain's own votes when a change of the validators is in force."""

from __future__ import annotations

from collections.abc import Iterable

from chain.consensus.judgement import judge
from chain.consensus.restart import restarted
from chain.consensus.votes import Votes
from chain.content.blocks import Block
from chain.content.genesis import Genesis
from scripts.recount.rows import recount_from, write_block
from scripts.recount.rules import Recount


class Follower:
    """A recount, from the genesis on, of blocks that were accepted."""

    def __init__(self, genesis: Genesis) -> None:
        self.recount = recount_from(genesis)
        self._chain_id = genesis.id
        self._votes = Votes.genesis(genesis.validators, genesis.batch)

    def read(self, block: Block) -> None:
        """The next block."""
        header, ballot = block.header, block.ballot
        begun = restarted(self._votes, ballot.restart, header.parent, self._chain_id)
        write_block(self.recount, block, begun.electorate)
        self._votes = judge(header, ballot, self._votes, self._chain_id)


def recount_of(genesis: Genesis, blocks: Iterable[Block]) -> Recount:
    """The register after these blocks, from height 1 on."""
    follower = Follower(genesis)
    for block in blocks:
        follower.read(block)
    return follower.recount
