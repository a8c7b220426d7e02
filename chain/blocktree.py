"""The block tree: every known branch above the finalized block, with the votes after each block.

A header is judged here in full (leader, slot, height, votes, contradiction) on whatever branch it stands;
only the execution of its transactions waits until its branch wins.
Source: protocol 2.4 and 4.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from chain.blocks import Block
from chain.errors import InvariantBroken, Reason, Refused
from chain.genesis import Genesis
from chain.headers import Header, VerifiedHeader
from chain.judgement import check_follows, judge
from chain.validators import Validators, with_announced
from chain.votes import Votes

# A day of one-second slots with finality stalled; beyond it the worst losing branches are dropped.
MAX_BLOCKS = 100_000
# Two blocks of one slot are evidence; a third that nobody builds on adds nothing but cost.
MAX_BLOCKS_PER_SLOT = 2


@dataclass(frozen=True, slots=True)
class Judged:
    """A header that is valid on its branch, and the votes after it; the tree must not change until it is used."""

    header: Header
    votes: Votes


@dataclass(slots=True)
class TreeNode:
    """One block in the tree.

    ``block`` is None only for the root, whose body is final and on disk.  ``executed_height`` is the height of the
    last block on its branch, itself included, that is known to have been executed.
    """

    header: Header
    votes: Votes
    block: Block | None
    arrived_in_slot: bool
    executed_height: int
    invalid: bool = False
    children: list[bytes] = field(default_factory=list)


def genesis_header(genesis: Genesis, state_root: bytes) -> Header:
    """The header that stands for the genesis: height 0, slot 0, unsigned."""
    return Header(genesis.id, 0, 0, bytes(32), bytes(32), 0, 0, bytes(32), state_root, b"")


class BlockTree:
    """Blocks by id, all descending from ``root``, after which votes and validators are the ones given."""

    def __init__(self, root: Header, votes: Votes, validators: Validators) -> None:
        self.root = root.id
        self._nodes: dict[bytes, TreeNode] = {root.id: TreeNode(root, votes, None, True, root.height)}
        # By slot and proposer: where the validators change, branches differ in whose turn a slot is.
        self._slots: dict[tuple[int, bytes], list[bytes]] = {}
        # Announced sets that are not in force on all branches yet, by the block that announced them.
        self._announced: dict[bytes, Validators] = {root.id: validators} if validators.next else {}

    def __contains__(self, block_id: bytes) -> bool:
        return block_id in self._nodes

    def __len__(self) -> int:
        return len(self._nodes)

    def __getitem__(self, block_id: bytes) -> TreeNode:
        return self._nodes[block_id]

    @property
    def top_height(self) -> int:
        """The largest height on any known branch."""
        return max(node.header.height for node in self._nodes.values())

    def check(self, header: Header, *, solicited: bool) -> Judged:
        """Judge a header on its branch, by :mod:`chain.judgement`.

        Raises :class:`Refused` as that does, and ``UNKNOWN_PARENT`` or ``INVALID_PARENT`` for a parent that is not
        known or not valid, ``NOT_EXECUTED`` as :meth:`next_votes` does, and ``TREE_FULL`` for a third block of one
        slot.  That is taken only when ``solicited``: when a branch that builds on it was asked for, it may be needed;
        when it is merely announced, it is a flood.
        """
        parent = self._nodes.get(header.parent)
        if parent is None:
            raise Refused(Reason.UNKNOWN_PARENT, f"parent {header.parent.hex()[:12]} is not known")
        if parent.invalid:
            raise Refused(Reason.INVALID_PARENT, f"parent {header.parent.hex()[:12]} is invalid")
        check_follows(header, parent.header)
        votes = judge(header, self.next_votes(parent))
        rivals = self._slots.get((header.slot, header.proposer), ())
        if len(rivals) >= MAX_BLOCKS_PER_SLOT and not solicited:
            raise Refused(Reason.TREE_FULL, f"{len(rivals)} blocks of slot {header.slot} are known")
        return Judged(header, votes)

    def next_votes(self, parent: TreeNode) -> Votes:
        """The votes after ``parent`` with the validators in force at the next height.

        They follow from blocks that were final on this branch before the parent came.  Raises :class:`Refused`
        ``NOT_EXECUTED`` where these were not executed here.  While less than a third of the weight breaks the
        rules that cannot be: a branch with that much final is the head's already.

        Example: of four seats one is replaced, as the block at height 10 announced.  The set may be in force from
        10 + 2 * 4 = 18 on (:func:`chain.validators.begin`).

        * Nobody fails: block 15 proves block 10 final.  The votes after tip 16 are the first that knew it before
          their tip came (``mhpc_before >= 10``); at tip 17 the next height is 18, and from there the new set leads.
        * Finality stalls, and it is block 30 that proves block 10 final: from tip 31 on it was known before, so the
          new set leads from 32.
        * A branch that leaves the chain at height 9 does not hold block 10: there the old set goes on.
        """
        votes = parent.votes
        if votes.mhpc_before > parent.executed_height and votes.mhpc_before > self._find_executed(parent):
            raise Refused(Reason.NOT_EXECUTED, f"who validates after height {votes.height} is not known here")
        for block_id, validators in self._announced.items():
            changed = with_announced(votes, validators)
            if changed is not votes and self._stands_on(parent, block_id, validators.decided_height):
                return changed
        return votes

    def executed(self, block_id: bytes, validators: Validators) -> None:
        """A block of the tree was executed, with these validators in the state after it."""
        node = self._nodes[block_id]
        node.executed_height = node.header.height
        if validators.decided_height == node.header.height:
            self._announced[block_id] = validators

    def insert(self, block: Block, judged: Judged, *, arrived_in_slot: bool) -> TreeNode:
        """Add a block whose header :meth:`check` just accepted; raises :class:`InvariantBroken` for another."""
        header, parent = block.header, self._nodes[block.header.parent]
        if judged.header.id != header.id:
            raise InvariantBroken("a block inserted by the verdict on another")
        node = TreeNode(header, judged.votes, block, arrived_in_slot, parent.executed_height)
        self._nodes[header.id] = node
        parent.children.append(header.id)
        self._slots.setdefault((header.slot, header.proposer), []).append(header.id)
        return node

    def headers(self) -> Iterator[VerifiedHeader]:
        """The headers of all blocks above the root, in the order in which they came."""
        return (node.block.header for node in self._nodes.values() if node.block is not None)

    def make_room(self, *needed: bytes) -> None:
        """Where the tree is full, drop the worst tip that is not ``needed``, if there is one."""
        if len(self._nodes) < MAX_BLOCKS:
            return
        tips = [node.header for node in self._nodes.values() if not node.children and node.header.id not in needed]
        if tips:
            self._drop(min(tips, key=lambda header: (header.mhp, header.height, header.id)))

    def mark_invalid(self, block_id: bytes) -> None:
        """A block proved invalid when executed: it and all that stands on it can never win."""
        for node in list(self._subtree(block_id)):
            node.invalid = True

    def path(self, start: bytes, end: bytes) -> tuple[list[bytes], list[bytes]]:
        """``(down, up)``: ids to leave from ``start``, newest first, and to enter up to ``end``, oldest first."""
        down: list[bytes] = []
        up: list[bytes] = []
        left, right = self._nodes[start].header, self._nodes[end].header
        while left.id != right.id:
            if left.height >= right.height:
                down.append(left.id)
                left = self._nodes[left.parent].header
            else:
                up.append(right.id)
                right = self._nodes[right.parent].header
        return down, up[::-1]

    def reroot(self, block_id: bytes) -> None:
        """Forget every block that does not descend from ``block_id``, which became final."""
        if block_id == self.root:
            return
        keep = {node.header.id: node for node in self._subtree(block_id)}
        self._announced = {
            other: validators
            for other, validators in self._announced.items()
            if other in keep or self._is_pending(keep[block_id], other, validators)
        }
        keep[block_id].block = None
        for gone in self._nodes.keys() - keep.keys():
            self._forget_slot(self._nodes[gone].header)
        self._nodes = keep
        self.root = block_id

    def tips(self) -> list[Header]:
        """The last valid header of every branch, best first."""
        nodes = self._nodes
        headers = [
            node.header
            for node in nodes.values()
            if not node.invalid and all(nodes[child].invalid for child in node.children)
        ]
        return sorted(headers, key=lambda header: (-header.mhp, -header.height, header.id))

    def _find_executed(self, node: TreeNode) -> int:
        """The height of the last executed block on a branch; the root is one, so the way ends."""
        found = node
        while found.executed_height < found.header.height:
            found = self._nodes[found.header.parent]
        node.executed_height = found.executed_height
        return node.executed_height

    def _stands_on(self, node: TreeNode, block_id: bytes, height: int) -> bool:
        """Whether a branch holds this block at ``height``; of those below the root only its ancestors are asked for."""
        if height <= self._nodes[self.root].header.height:
            return True
        while node.header.height > height:
            node = self._nodes[node.header.parent]
        return node.header.id == block_id

    def _is_pending(self, root: TreeNode, block_id: bytes, validators: Validators) -> bool:
        """Whether a set announced below a new root is on its branch, and not yet in force there."""
        decided = validators.decided_height
        return decided >= root.votes.newest_set.start and self._stands_on(root, block_id, decided)

    def _drop(self, header: Header) -> None:
        del self._nodes[header.id]
        self._announced.pop(header.id, None)
        self._nodes[header.parent].children.remove(header.id)
        self._forget_slot(header)

    def _forget_slot(self, header: Header) -> None:
        key = header.slot, header.proposer
        ids = self._slots.get(key, [])
        if header.id in ids:
            ids.remove(header.id)
            if not ids:
                del self._slots[key]

    def _subtree(self, block_id: bytes) -> Iterator[TreeNode]:
        stack = [block_id]
        while stack:
            node = self._nodes[stack.pop()]
            stack.extend(node.children)
            yield node
