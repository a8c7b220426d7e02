"""The ledger: the state of one branch, from the last snapshot to the head, with the way back.

Blocks are executed here; whether a block should be executed is decided in :mod:`chain.branches.blockchain`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

from chain.base.errors import InvariantBroken, Reason, Refused
from chain.branches.store import FOR_EVER, MemoryStore, Store, Tree
from chain.consensus.electorate import Decision, Electorate
from chain.content.blocks import Block
from chain.content.genesis import Genesis
from chain.content.identities import LEAVINGS
from chain.content.transactions import VerifiedTransaction
from chain.register import registry
from chain.register.draft import Changes, Draft, Parent
from chain.register.entries import Account
from chain.register.registry import genesis_state
from chain.register.state import decode_entry
from chain.register.statekeys import ACCOUNTS, RULES_KEY, VALIDATORS_KEY, account_key
from chain.register.validators import Validators, decision
from chain.register.view import MemoryView
from chain.tree.stateproof import Proof


@dataclass(frozen=True, slots=True)
class Executed:
    """A block on the branch, and what it changed.

    Transactions and changes are counted since the first snapshot.
    """

    block: Block
    changes: Changes
    transactions: int
    work: int


class Ledger:
    """The state at the head, the tree over it, and the executed blocks above ``base_height``.

    ``state`` is a store, or encoded entries by key (:mod:`chain.register.state`), which are kept in memory then.
    ``base_height`` is the height of the snapshot that is, or is about to be, on disk; blocks at or below it cannot be
    undone any more.  ``base`` is the block there.
    """

    def __init__(
        self,
        genesis: Genesis,
        state: Store | Mapping[bytes, bytes] | None = None,
        base_height: int = 0,
        base: Parent | None = None,
    ) -> None:
        self.genesis = genesis
        if not isinstance(state, Store):
            state = MemoryStore(genesis_state(genesis) if state is None else state)
        self._store = state
        self.base_height = base_height
        self._base = base or Parent(genesis.id, 0)
        self._executed: list[Executed] = []
        self._base_counts = 0, 0
        self._validators: tuple[bytes, Validators] | None = None
        self._sealed_faults: list[str] = []
        # Of the blocks that became the head: what a fault of ours kept from being done.  Whoever tells it clears it.
        self.faults: list[str] = []

    @property
    def state(self) -> Mapping[bytes, bytes]:
        """The encoded entries at the head, by key."""
        return self._store.entries

    @property
    def height(self) -> int:
        """The height of the head."""
        return self.base_height + len(self._executed)

    @property
    def head(self) -> Parent:
        """The head, as the block after it sees it."""
        return _as_parent(self._executed[-1].block) if self._executed else self._base

    @property
    def state_root(self) -> bytes:
        """32 bytes: the root over every entry at the head."""
        return self._store.root

    def prove(self, key: bytes) -> Proof:
        """What shows the entry of ``key`` at the head, or that there is none, to whoever knows :attr:`state_root`."""
        return self._store.prove(key)

    @property
    def validators(self) -> Validators:
        """Who makes blocks, as the state at the head has it."""
        value = self.state[VALIDATORS_KEY]
        if self._validators is None or self._validators[0] != value:
            self._validators = value, self.view().validators
        return self._validators[1]

    def view(self, slot: int = 0, *, is_final: bool = False) -> MemoryView:
        """The state at the head, to look at; ``slot`` is the head's, ``is_final`` says whether that is final."""
        return MemoryView(self.state, self.genesis, self.height, slot, is_final=is_final)

    def blank_draft(self, slot: int) -> Draft:
        """The block after the head, in ``slot``, before the chain itself begins it: to judge what it may hold."""
        return Draft(self.state, self.genesis, self.height + 1, slot, self.head)

    def next_nonce(self, actor: bytes) -> int | None:
        """The nonce of an actor's next transaction at the head; None for a stranger."""
        key = account_key(actor)
        value = self.state.get(key)
        account = None if value is None else decode_entry(key, value)
        return account.nonce if isinstance(account, Account) else None

    def draft(self, slot: int, electorate: Electorate) -> Draft:
        """The block after the head, in ``slot``, as the chain itself begins it, with ``electorate`` in force."""
        draft = self.blank_draft(slot)
        registry.begin(draft, self._due(draft.slot), electorate)
        return draft

    def expect(self, transactions: Iterable[VerifiedTransaction]) -> None:
        """These are next: what they touch, and costs less to read at once, is read now."""
        self._store.expect(key for transaction in transactions for key in registry.touched(transaction))

    def seal(self, draft: Draft) -> tuple[bytes, Changes]:
        """Bring the state to what it is after ``draft``; returns its root; :meth:`adopt` or :meth:`discard` follows."""
        changes = draft.changes
        self._sealed_faults = draft.faults
        return self._store.forward(changes), changes

    def discard(self, changes: Changes) -> None:
        """Take back a :meth:`seal`."""
        self._store.back(changes)
        self._sealed_faults = []

    def forgotten(self, blocks: int) -> Iterator[bytes]:
        """The keys whose accounts the newest ``blocks`` have taken: their owners have left."""
        for executed in self._executed[-blocks:]:
            for key, (_, after) in executed.changes.items():
                if after is None and key[:1] == ACCOUNTS:
                    yield key[1:]

    def adopt(self, block: Block, changes: Changes) -> None:
        """Make a sealed draft the new head.  Raises :class:`InvariantBroken` for another block than the draft's."""
        if block.header.height != self.height + 1 or block.header.state_root != self._store.root:
            raise InvariantBroken(f"block {block.id.hex()[:12]} does not follow from its draft")
        transactions, work = self._counts_at(self.height)
        counts = transactions + len(block.transactions), work + len(changes)
        self._executed.append(Executed(block, changes, *counts))
        self.faults += self._sealed_faults
        self._sealed_faults = []

    def extend(self, block: Block, electorate: Electorate) -> None:
        """Execute ``block`` on the head, with ``electorate`` in force.

        Raises :class:`Refused` and leaves everything as it was.
        """
        self.expect(block.transactions)
        draft = self.draft(block.header.slot, electorate)
        for index, transaction in enumerate(block.transactions):
            try:
                registry.apply(draft, transaction)
            except Refused as refusal:
                raise Refused(Reason.INVALID_TRANSACTION, f"transaction {index}: {refusal}") from refusal
        if decided(draft, electorate) != block.ballot.decision:
            raise Refused(Reason.WRONG_DECISION, f"the ballot at height {block.header.height} says otherwise")
        root, changes = self.seal(draft)
        if root != block.header.state_root:
            self.discard(changes)
            raise Refused(Reason.WRONG_STATE_ROOT, f"the state root at height {block.header.height} differs")
        self.adopt(block, changes)

    def undo(self) -> Executed:
        """Take the head back and return it, so that :meth:`redo` can restore it without executing it again.

        Raises :class:`InvariantBroken` at the snapshot.
        """
        if not self._executed:
            raise InvariantBroken("undo below the snapshot")
        executed = self._executed.pop()
        self.discard(executed.changes)
        return executed

    def redo(self, executed: Executed) -> None:
        """Restore a block that :meth:`undo` took back from this very head."""
        self._store.forward(executed.changes)
        self.adopt(executed.block, executed.changes)

    @contextmanager
    def rewound(self, height: int) -> Iterator[None]:
        """The ledger as it was at ``height`` while the block lasts, which must not change it.

        It costs what all changes above ``height`` cost, twice.  Raises :class:`InvariantBroken` below the snapshot.
        """
        if not self.base_height <= height <= self.height:
            raise InvariantBroken(f"the state at height {height} is not at hand")
        undone = [self.undo() for _ in range(self.height - height)]
        try:
            yield
        finally:
            for executed in reversed(undone):
                self.redo(executed)

    def block_at(self, height: int) -> Block | None:
        """The executed block at ``height``, while it is above the snapshot."""
        index = height - self.base_height - 1
        return self._executed[index].block if 0 <= index < len(self._executed) else None

    def transactions_above(self, height: int) -> int:
        """How many transactions the blocks above ``height`` hold; ``height`` is not below the snapshot."""
        return self._counts_at(self.height)[0] - self._counts_at(height)[0]

    def is_changed_above(self, height: int) -> bool:
        """Whether the blocks above ``height`` changed anything; ``height`` is not below the snapshot."""
        return self.changes_above(height) > 0

    def changes_above(self, height: int) -> int:
        """How many entries the blocks above ``height`` changed; ``height`` is not below the snapshot."""
        return self._counts_at(self.height)[1] - self._counts_at(height)[1]

    def is_due(self, slot: int) -> bool:
        """Whether the chain itself has something to do in a block of ``slot``."""
        return next(self._store.due(self.blank_draft(slot).slot), None) is not None

    def agenda(self) -> list[tuple[int, bytes]]:
        """All that ever falls due, by slot and key: not for a running node, which has millions."""
        return list(self._store.due(FOR_EVER))

    def settle(self, height: int) -> tuple[Changes, Tree | None]:
        """Move the snapshot up to ``height``: what changed on the way, and what that makes of the tree on disk.

        The caller stores both; without the tree it follows from the changes.  What lies below can no longer be undone.
        Raises :class:`InvariantBroken` for a height that is not between the snapshot's and the head's.
        """
        count = height - self.base_height
        if not 0 <= count <= len(self._executed):
            raise InvariantBroken(f"cannot settle height {height}")
        changes = _joined(executed.changes for executed in self._executed[:count])
        tree = self._store.settle(height, count, changes)
        self._base_counts = self._counts_at(height)
        if count:
            self._base = _as_parent(self._executed[count - 1].block)
        del self._executed[:count]
        self.base_height = height
        return changes, tree

    def decisions(self, height: int) -> Iterator[int]:
        """The heights of blocks above the snapshot and up to ``height`` that decided something about who votes."""
        blocks = (executed.block for executed in self._executed[: height - self.base_height])
        return (block.header.height for block in blocks if block.ballot.changes_voters)

    def blocks(self) -> Iterable[Block]:
        """The executed blocks above the snapshot, newest first."""
        return (executed.block for executed in reversed(self._executed))

    def _due(self, slot: int) -> Iterator[tuple[bytes, bytes]]:
        """What falls due, with whose turn it is, at most so much as one block works off."""
        return islice(self._turns(slot), registry.MAX_DUE_A_BLOCK)

    def _turns(self, slot: int) -> Iterator[tuple[bytes, bytes]]:
        """Whoever leaves comes after all that it is tied to, which has its turn with it, beside one of its own."""
        ties = self._store.ties()
        for _, key in self._store.due(slot):
            if key[:1] == LEAVINGS:
                yield from ((taken, key) for taken in ties.of(key[1:], registry.MAX_DUE_A_BLOCK))
            if key != RULES_KEY:  # a policy waits for nothing: every block looks for it by itself
                yield key, key

    def _counts_at(self, height: int) -> tuple[int, int]:
        index = height - self.base_height - 1
        if index < 0:
            return self._base_counts
        executed = self._executed[index]
        return executed.transactions, executed.work


def _as_parent(block: Block) -> Parent:
    return Parent(block.id, block.header.slot)


def _joined(blocks: Iterable[Changes]) -> Changes:
    """What blocks changed one after another, as one change of each entry."""
    joined: Changes = {}
    for changes in blocks:
        for key, both in changes.items():
            first = joined.get(key)
            joined[key] = both if first is None else (first[0], both[1])
    return {key: both for key, both in joined.items() if both[0] != both[1]}


def decided(draft: Draft, electorate: Electorate) -> Decision:
    """What a finished draft decides about who votes, where ``electorate`` is in force."""
    return decision(draft.validators, electorate, draft.height)
