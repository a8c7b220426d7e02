"""The ledger: the state of one branch, from the last snapshot to the head, with the way back.

Blocks are executed here; whether a block should be executed is decided in :mod:`chain.blockchain`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from chain.blocks import Block
from chain.errors import InvariantBroken, Reason, Refused
from chain.genesis import Genesis
from chain.registry import Draft, Record, encode_record, genesis_records, read_validators
from chain.statetree import StateTree
from chain.validators import Validators

Changes = dict[bytes, tuple[Record | None, Record]]


@dataclass(frozen=True, slots=True)
class Executed:
    """A block on the branch with what it changed: key -> (record before, record after)."""

    block: Block
    changes: Changes


class Ledger:
    """The records at the head, the tree over them, and the executed blocks above ``base_height``.

    ``base_height`` is the height of the snapshot that is, or is about to be, on disk; blocks at or below it
    cannot be undone any more.
    """

    def __init__(self, genesis: Genesis, records: Mapping[bytes, Record] | None = None, base_height: int = 0) -> None:
        self.genesis = genesis
        self.records: dict[bytes, Record] = dict(genesis_records(genesis) if records is None else records)
        self.base_height = base_height
        self._tree = StateTree.build((key, encode_record(record)) for key, record in self.records.items())
        self._executed: list[Executed] = []

    @property
    def height(self) -> int:
        """The height of the head."""
        return self.base_height + len(self._executed)

    @property
    def state_root(self) -> bytes:
        """32 bytes: the root over every record at the head."""
        return self._tree.root

    @property
    def validators(self) -> Validators:
        """The validators in the state at the head."""
        return read_validators(self.records)

    def draft(self, slot: int, set_start: int) -> Draft:
        """A draft of the block after the head, in ``slot``; its validators are in force since ``set_start``."""
        return Draft(self.records, self.genesis, self.height + 1, slot, set_start)

    def seal(self, draft: Draft) -> tuple[bytes, Changes]:
        """Bring the tree to the state after ``draft`` and return its root; :meth:`adopt` or :meth:`discard` follows."""
        changes = draft.changes
        root = self._tree.update({key: encode_record(after) for key, (_, after) in changes.items()})
        return root, changes

    def discard(self, changes: Changes) -> None:
        """Take back a :meth:`seal`."""
        self._tree.update(
            {key: None if before is None else encode_record(before) for key, (before, _) in changes.items()}
        )

    def adopt(self, block: Block, changes: Changes) -> None:
        """Make a sealed draft the new head."""
        if block.header.height != self.height + 1 or block.header.state_root != self._tree.root:
            raise InvariantBroken(f"block {block.id.hex()[:12]} does not follow from its draft")
        for key, (_, after) in changes.items():
            self.records[key] = after
        self._executed.append(Executed(block, changes))

    def extend(self, block: Block, set_start: int) -> None:
        """Execute ``block`` on the head.  Raises :class:`Refused` and leaves everything as it was."""
        draft = self.draft(block.header.slot, set_start)
        for index, transaction in enumerate(block.transactions):
            try:
                draft.apply(transaction)
            except Refused as refusal:
                raise Refused(Reason.INVALID_TRANSACTION, f"transaction {index}: {refusal}") from refusal
        root, changes = self.seal(draft)
        if root != block.header.state_root:
            self.discard(changes)
            raise Refused(Reason.WRONG_STATE_ROOT, f"the state root at height {block.header.height} differs")
        self.adopt(block, changes)

    def undo(self) -> Executed:
        """Take the head back and return it, so that :meth:`redo` can restore it without executing it again."""
        if not self._executed:
            raise InvariantBroken("undo below the snapshot")
        executed = self._executed.pop()
        self.discard(executed.changes)
        for key, (before, _) in executed.changes.items():
            if before is None:
                del self.records[key]
            else:
                self.records[key] = before
        return executed

    def redo(self, executed: Executed) -> None:
        """Restore a block that :meth:`undo` took back from this very head."""
        self._tree.update({key: encode_record(after) for key, (_, after) in executed.changes.items()})
        self.adopt(executed.block, executed.changes)

    def block_at(self, height: int) -> Block | None:
        """The executed block at ``height``, while it is above the snapshot."""
        index = height - self.base_height - 1
        return self._executed[index].block if 0 <= index < len(self._executed) else None

    def settle(self, height: int) -> dict[bytes, bytes]:
        """Move the snapshot up to ``height`` and return the records changed on the way, encoded, by key.

        The caller stores them; blocks up to ``height`` can no longer be undone.
        """
        count = height - self.base_height
        if not 0 <= count <= len(self._executed):
            raise InvariantBroken(f"cannot settle height {height}")
        rows: dict[bytes, Record] = {}
        for executed in self._executed[:count]:
            for key, (_, after) in executed.changes.items():
                rows[key] = after
        del self._executed[:count]
        self.base_height = height
        return {key: encode_record(record) for key, record in rows.items()}

    def blocks(self) -> Iterable[Block]:
        """The executed blocks above the snapshot, newest first."""
        return (executed.block for executed in reversed(self._executed))
