"""Blocks that no honest validator makes: any parent, any vote, any body, by the keys that a villain holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chain import registry
from chain.blocks import Block, assemble
from chain.headers import Header, sign_header
from chain.keys import SecretKey
from chain.merkle import merkle_root
from chain.transactions import Enrol, VerifiedTransaction, sign_transaction
from chain.votes import Votes
from scripts.simulation.node import SimulatedNode
from scripts.simulation.wire import announcement_of
from scripts.simulation.world import World, secret


class Cabal:
    """What all villains of a world share: what they forged, and where its branches stand."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.blocks: dict[bytes, Block] = {}
        self.votes: dict[bytes, Votes] = {}
        self.transactions: dict[bytes, VerifiedTransaction] = {}
        self._strangers = 0

    def forge(
        self,
        key: SecretKey,
        parent: Header,
        votes: Votes,
        slot: int,
        transactions: Sequence[VerifiedTransaction] = (),
        *,
        mhg: int | None = None,
        mhp: int | None = None,
        height: int | None = None,
        parent_id: bytes | None = None,
        state_root: bytes | None = None,
    ) -> Block:
        """The block of ``slot`` on ``parent``, as an honest validator would make it but for what is given.

        ``votes`` are those after the parent.  ``mhg`` is by default what this branch knows of the signer.
        """
        known_mhg = next((ballot.height for ballot in votes.ballots if ballot.proposer == key.public), 0)
        header = sign_header(
            key,
            self.world.genesis.id,
            height=parent.height + 1 if height is None else height,
            slot=slot,
            parent=parent.id if parent_id is None else parent_id,
            mhg=known_mhg if mhg is None else mhg,
            mhp=votes.mhp if mhp is None else mhp,
            transaction_root=merkle_root([transaction.id for transaction in transactions]),
            state_root=parent.state_root if state_root is None else state_root,
        )
        block = assemble(header, transactions)
        self.blocks[block.id] = block
        self.transactions.update((transaction.id, transaction) for transaction in transactions)
        if header.parent == parent.id and header.height == parent.height + 1:
            self.votes[block.id] = votes.apply(header)
        return block

    def stranger_enrols(self) -> VerifiedTransaction:
        """A valid transaction that nobody saw before."""
        self._strangers += 1
        return sign_transaction(secret(50_000 + self._strangers), self.world.genesis.id, 0, 50_000, Enrol())


def tell(sender: SimulatedNode, block: Block, receivers: Iterable[SimulatedNode]) -> None:
    """Announce a block to some."""
    for receiver in receivers:
        sender.world.network.send(sender.name, receiver, announcement_of(block))


def root_with(node: SimulatedNode, slot: int, transactions: Sequence[VerifiedTransaction]) -> bytes:
    """The state root after a block of ``slot`` with these valid transactions on the head of a node."""
    chain = node.engine.chain
    ledger = chain.ledger
    draft = ledger.draft(slot, chain.next_votes.newest_set.start)
    for transaction in transactions:
        registry.apply(draft, transaction)
    root, changes = ledger.seal(draft)
    ledger.discard(changes)
    return root
