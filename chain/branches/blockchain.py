"""The blockchain of one node: block tree and ledger under the rule of the longest valid chain.

:meth:`Blockchain.add` is the only way a block becomes part of it.  The head moves atomically: where a block
of a better branch proves invalid when it is executed, the old head, state and votes stay as they were.
Source: protocol 4.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chain.base.errors import InvariantBroken, Reason, Refused
from chain.branches.blocktree import BlockTree, Judged, TreeNode, genesis_header
from chain.branches.ledger import Executed, Ledger
from chain.branches.store import Store, Tree
from chain.consensus.ballots import Ballot
from chain.consensus.electorate import Electorate
from chain.consensus.forkchoice import Choice, choose
from chain.consensus.headers import Header
from chain.consensus.restart import restarted
from chain.consensus.votes import Votes
from chain.content.blocks import Block
from chain.content.genesis import Genesis
from chain.register.draft import Changes, Parent

# The state on disk stops at every such height on its way, on all nodes: so that several can give one away.
ALIGNED = 64


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The durable point that a chain starts from: a final block, the votes after it and its state."""

    header: Header
    votes: Votes
    state: Store | Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Settled:
    """What moves the snapshot on disk to a later final block.

    ``changes`` are those of all blocks on the way, ``decisions`` the heights of those that decided something about who
    votes.  Without its ``tree`` the pages follow from the changes.
    """

    header: Header
    votes: Votes
    changes: Changes
    decisions: tuple[int, ...] = ()
    tree: Tree | None = None


@dataclass(frozen=True, slots=True)
class Added:
    """What :meth:`Blockchain.add` did.

    ``abandoned`` blocks left the head's branch (newest first), ``adopted`` ones entered it (oldest first);
    both are empty where the head stayed.  ``finalized`` are the headers that became final, oldest first.
    """

    abandoned: tuple[Block, ...] = ()
    adopted: tuple[Block, ...] = ()
    finalized: tuple[Header, ...] = ()


class Blockchain:
    """The head, what is final, and every branch that can still win.

    Raises :class:`Refused` ``WRONG_STATE_ROOT`` for a snapshot whose state is not that of its header.
    """

    def __init__(self, genesis: Genesis, snapshot: Snapshot | None = None) -> None:
        self.genesis = genesis
        if snapshot is None:
            self.ledger = Ledger(genesis)
            root = genesis_header(genesis, self.ledger.state_root)
            votes = Votes.genesis(genesis.validators, genesis.batch)
        else:
            base = Parent(snapshot.header.id, snapshot.header.slot)
            self.ledger = Ledger(genesis, snapshot.state, snapshot.header.height, base)
            root, votes = snapshot.header, snapshot.votes
            if self.ledger.state_root != root.state_root:
                raise Refused(Reason.WRONG_STATE_ROOT, f"the stored state is not that of height {root.height}")
        self.tree = BlockTree(genesis, root, votes)
        self.head: TreeNode = self.tree[root.id]
        self.finalized: Header = root
        self._settled: Header = root
        self._final_votes = votes
        # The newest aligned header that is final and whose state is not on disk.
        self._aligned: Judged | None = None

    @property
    def unsettled(self) -> int:
        """How many final blocks the snapshot on disk is behind."""
        return self.finalized.height - self._settled.height

    @property
    def settled(self) -> Header:
        """The final header whose state is, or is about to be, on disk; that of the genesis at first."""
        return self._settled

    def electorate_of(self, block: Block) -> Electorate:
        """Who is in force at the height of a block whose parent is in the tree."""
        parent = block.header.parent
        return restarted(self.tree[parent].votes, block.ballot.restart, parent, self.genesis.id).electorate

    @property
    def electorate(self) -> Electorate:
        """Who leads, votes and speaks at the height after the head."""
        return self.head.votes.electorate

    def add(self, block: Block, *, arrived_in_slot: bool, judged: Judged | None = None) -> Added:
        """Let fork choice decide on a block.  Raises :class:`Refused`; a known block is a no-op.

        ``judged`` is what :meth:`check` just made of its header; without it, that happens here.
        """
        header = block.header
        if header.id in self.tree:
            return Added()
        if judged is None:
            judged = self.check(header, block.ballot, solicited=True)
        choice = choose(
            self.head.header,
            self.head.arrived_in_slot,
            header,
            arrived_in_slot,
            tip_restart=self.head.votes.restart,
            block_restart=judged.votes.restart,
        )
        self.tree.make_room(self.head.header.id, header.parent)
        node = self.tree.insert(block, judged, arrived_in_slot=arrived_in_slot)
        if choice not in (Choice.EXTENDS, Choice.TIE_BREAK, Choice.SWITCH):
            return Added()
        abandoned, adopted = self._move_head(node)
        return Added(abandoned, adopted, self._advance_finality())

    def check(self, header: Header, ballot: Ballot, *, solicited: bool) -> Judged:
        """Judge a header that is not in the tree.  Raises :class:`Refused`.

        A branch that leaves the chain below what is final is refused with ``CROSSES_FINALITY``.
        """
        final = self.finalized
        crosses = header.height <= final.height or (header.height == final.height + 1 and header.parent != final.id)
        if crosses:
            raise Refused(Reason.CROSSES_FINALITY, f"the chain is final up to height {final.height}")
        return self.tree.check(header, ballot, solicited=solicited)

    def check_leader(self, header: Header) -> None:
        """Look at a header's proposer alone, where its parent may not be known.

        Raises :class:`Refused`: ``WRONG_LEADER`` if another leads this slot after its parent; where that is not known,
        ``NOT_EXECUTED`` (nobody's fault) if it leads the slot in no set of the head's branch: who was away for long may
        follow a branch that lost, with validators of long ago.
        """
        if header.parent in self.tree:
            if self.tree[header.parent].votes.electorate.leader(header.slot) != header.proposer:
                raise Refused(Reason.WRONG_LEADER, f"slot {header.slot} is another validator's")
        elif all(decides.leader(header.slot) != header.proposer for decides in self.head.votes.known_sets):
            raise Refused(Reason.NOT_EXECUTED, f"who validates at height {header.height} is not known here")

    def speakers(self) -> set[bytes]:
        """The keys that may have a say at any height of the window, or after it."""
        return {key for decides in self.head.votes.known_sets for key in decides.by_key}

    def adopt(self, block: Block, changes: Changes, votes: Votes) -> Added:
        """Add a block that was just built on the head by sealing a draft with these ``changes``, and its ``votes``."""
        self.tree.make_room(self.head.header.id)
        self.ledger.adopt(block, changes)
        self.head = self.tree.insert(block, Judged(block.header, votes), arrived_in_slot=True)
        return Added((), (block,), self._advance_finality())

    def return_to(self, block_id: bytes) -> Added:
        """Let the head be a block of the tree, whatever is longer; what stands above or beside it may win again later.

        Raises :class:`Refused` where blocks up to there prove invalid, and has changed nothing then.
        """
        return Added(*self._move_head(self.tree[block_id]))

    def stay(self, block_id: bytes) -> None:
        """Let the head be where it was stored, also where a block beside it is longer.

        It had gone back on purpose, to where people let the chain go on.  What made something final is another matter:
        it goes on from that.
        """
        if self.head.header.id != block_id and block_id in self.tree:
            self.return_to(block_id)

    def settle(self, *, is_last: bool = False) -> Settled | None:
        """Move the snapshot up to what is final, or to an :data:`ALIGNED` height before that unless it ``is_last``.

        The caller stores the result.  None where nothing is new.
        """
        if not self.unsettled:
            return None
        aligned = None if is_last else self._aligned
        target = aligned or Judged(self.finalized, self._final_votes)
        decisions = tuple(self.ledger.decisions(target.header.height))
        changes, tree = self.ledger.settle(target.header.height)
        self._settled, self._aligned = target.header, None
        return Settled(target.header, target.votes, changes, decisions, tree)

    def _move_head(self, node: TreeNode) -> tuple[tuple[Block, ...], tuple[Block, ...]]:
        down, up = self.tree.path(self.head.header.id, node.header.id)
        undone: list[Executed] = [self.ledger.undo() for _ in down]
        adopted: list[Block] = []
        for block_id in up:
            block = self._body(block_id)
            try:
                self.ledger.extend(block, self.electorate_of(block))
            except Refused:
                for _ in adopted:
                    self.ledger.undo()
                for executed in reversed(undone):
                    self.ledger.redo(executed)
                self.tree.mark_invalid(block_id)
                raise
            adopted.append(block)
        self.head = node
        return tuple(executed.block for executed in undone), tuple(adopted)

    def restore_finality(self, height: int) -> None:
        """What was final before a restart stays final, even where the head's branch alone does not prove it.

        Raises :class:`Refused` where blocks that were final are missing.
        """
        if height > self.head.header.height:
            raise Refused(Reason.CROSSES_FINALITY, f"blocks up to the final height {height} are missing")
        self._advance_finality(height)

    def _advance_finality(self, at_least: int = 0) -> tuple[Header, ...]:
        height = max(self.head.votes.finalized, at_least)
        if height <= self.finalized.height:
            return ()
        newly: list[Header] = []
        node = self.head
        while node.header.height > self.finalized.height:
            if node.header.height <= height:
                newly.append(node.header)
            node = self.tree[node.header.parent]
        if node.header.id != self.finalized.id:
            raise InvariantBroken("the head does not descend from what is final")
        aligned = next((header for header in newly if header.height % ALIGNED == 0), None)
        if aligned is not None:
            self._aligned = Judged(aligned, self.tree[aligned.id].votes)
        final = self.tree[newly[0].id]
        self.finalized = final.header
        self._final_votes = final.votes
        self.tree.reroot(final.header.id)
        return tuple(reversed(newly))

    def _body(self, block_id: bytes) -> Block:
        block = self.tree[block_id].block
        if block is None:
            raise InvariantBroken(f"no body of block {block_id.hex()[:12]}")
        return block
