"""The block tree: every known branch above the finalized block, with the votes after each block.

A header is judged here in full (leader, slot, height, votes, contradiction) on whatever branch it stands, with what its
ballot says; only the execution of its transactions waits until its branch wins.
Source: protocol 2.4 and 4.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from chain.base.errors import InvariantBroken, Reason, Refused
from chain.consensus.ballots import EMPTY, Ballot
from chain.consensus.forkchoice import Rank, rank
from chain.consensus.headers import Header, VerifiedHeader
from chain.consensus.judgement import check_follows, judge
from chain.consensus.statements import NO_TAG
from chain.consensus.votes import Votes
from chain.content.blocks import Block
from chain.content.genesis import Genesis

# A day of one-second slots with finality stalled; beyond it the worst losing branches are dropped.
MAX_BLOCKS = 100_000
# Two blocks of one slot are evidence; a third that nobody builds on adds nothing but cost.
MAX_BLOCKS_PER_SLOT = 2


@dataclass(frozen=True, slots=True)
class Judged:
    """A header that is valid on its branch, and the votes after it; the tree must not change until it is used."""

    header: Header
    votes: Votes

    @property
    def rank(self) -> Rank:
        """What fork choice compares."""
        return rank(self.header, self.votes.restart)


@dataclass(slots=True)
class TreeNode:
    """One block in the tree.  ``block`` is None only for the root, whose body is final and on disk."""

    header: Header
    votes: Votes
    block: Block | None
    arrived_in_slot: bool
    invalid: bool = False
    children: list[bytes] = field(default_factory=list)

    @property
    def rank(self) -> Rank:
        """What fork choice compares."""
        return rank(self.header, self.votes.restart)


def genesis_header(genesis: Genesis, state_root: bytes) -> Header:
    """The header that stands for the genesis: height 0, slot 0, unsigned."""
    return Header(genesis.id, 0, 0, bytes(32), bytes(32), NO_TAG, 0, 0, EMPTY.root, bytes(32), state_root, b"")


class BlockTree:
    """Blocks by id, all descending from ``root``, after which votes are the ones given."""

    def __init__(self, genesis: Genesis, root: Header, votes: Votes) -> None:
        self.root = root.id
        self._chain_id = genesis.id
        self._nodes: dict[bytes, TreeNode] = {root.id: TreeNode(root, votes, None, True)}
        # By slot and proposer: where the validators change, branches differ in whose turn a slot is.
        self._slots: dict[tuple[int, bytes], list[bytes]] = {}

    def __contains__(self, block_id: bytes) -> bool:
        return block_id in self._nodes

    def __len__(self) -> int:
        return len(self._nodes)

    def __getitem__(self, block_id: bytes) -> TreeNode:
        return self._nodes[block_id]

    def check(self, header: Header, ballot: Ballot, *, solicited: bool) -> Judged:
        """Judge a header with its ballot on its branch, by :mod:`chain.consensus.judgement`.

        Raises :class:`Refused` as that does, ``UNKNOWN_PARENT`` or ``INVALID_PARENT`` for a parent that is not known or
        not valid, and ``TREE_FULL`` for a third block of one slot.  That is taken only when ``solicited``: when a
        branch that builds on it was asked for, it may be needed; when it is merely announced, it is a flood.
        """
        parent = self._nodes.get(header.parent)
        if parent is None:
            raise Refused(Reason.UNKNOWN_PARENT, f"parent {header.parent.hex()[:12]} is not known")
        if parent.invalid:
            raise Refused(Reason.INVALID_PARENT, f"parent {header.parent.hex()[:12]} is invalid")
        check_follows(header, parent.header)
        rivals = self._slots.get((header.slot, header.proposer), ())
        if len(rivals) >= MAX_BLOCKS_PER_SLOT and not solicited:
            raise Refused(Reason.TREE_FULL, f"{len(rivals)} blocks of slot {header.slot} are known")
        return Judged(header, judge(header, ballot, parent.votes, self._chain_id))

    def insert(self, block: Block, judged: Judged, *, arrived_in_slot: bool) -> TreeNode:
        """Add a block whose header :meth:`check` just accepted; raises :class:`InvariantBroken` for another."""
        header, parent = block.header, self._nodes[block.header.parent]
        if judged.header.id != header.id:
            raise InvariantBroken("a block inserted by the verdict on another")
        node = TreeNode(header, judged.votes, block, arrived_in_slot)
        self._nodes[header.id] = node
        parent.children.append(header.id)
        self._slots.setdefault((header.slot, header.proposer), []).append(header.id)
        return node

    def nodes(self) -> Iterable[TreeNode]:
        """All blocks, the root among them."""
        return self._nodes.values()

    def headers(self) -> Iterator[VerifiedHeader]:
        """The headers of all blocks above the root, in the order in which they came."""
        return (node.block.header for node in self._nodes.values() if node.block is not None)

    def make_room(self, *needed: bytes) -> None:
        """Where the tree is full, drop the worst tip that is not ``needed``, if there is one."""
        if len(self._nodes) < MAX_BLOCKS:
            return
        tips = [node for node in self._nodes.values() if not node.children and node.header.id not in needed]
        if tips:
            self._drop(min(tips, key=lambda node: (node.rank, node.header.id)).header)

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
        keep[block_id].block = None
        for gone in self._nodes.keys() - keep.keys():
            self._forget_slot(self._nodes[gone].header)
        self._nodes = keep
        self.root = block_id

    def tips(self) -> list[Header]:
        """The last valid header of every branch, best first."""
        nodes = self._nodes
        tips = [
            node
            for node in sorted(nodes.values(), key=lambda node: node.header.id)
            if not node.invalid and all(nodes[child].invalid for child in node.children)
        ]
        return [node.header for node in sorted(tips, key=lambda node: node.rank, reverse=True)]

    def _drop(self, header: Header) -> None:
        del self._nodes[header.id]
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
