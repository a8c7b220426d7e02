"""Where a ledger has its state: the entries at the head, the tree over them, and what of them falls due.

:class:`MemoryStore` holds all of it; :class:`chain.paged.PagedStore` what is not on disk yet, and what was read lately.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sortedcontainers import SortedList

from chain.draft import Changes
from chain.state import WITH_DEADLINES, due_slot
from chain.statekeys import TIED, tied_to
from chain.statetree import Proof, StateTree

# No deadline is later.
FOR_EVER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Tree:
    """What moves the tree on disk to a later state: its number of entries, and pages that change; ``b""`` is none."""

    count: int
    pages: Mapping[int, bytes]


class Store(ABC):
    """The state at the head.  It moves a block at a time, forward, and back the way it came.

    ``entries`` are the encoded entries by key; whoever holds that mapping sees them move.
    """

    entries: Mapping[bytes, bytes]

    @property
    @abstractmethod
    def root(self) -> bytes:
        """32 bytes: the root over every entry."""

    @abstractmethod
    def forward(self, changes: Changes) -> bytes:
        """Make these changes; returns the new root."""

    @abstractmethod
    def back(self, changes: Changes) -> None:
        """Take back the changes that were made last."""

    @abstractmethod
    def expect(self, keys: Iterable[bytes]) -> None:
        """These will be looked up next: what costs less at once may be read now."""

    @abstractmethod
    def prove(self, key: bytes) -> Proof:
        """What shows the entry of ``key``, or that there is none, under :attr:`root`."""

    @abstractmethod
    def due(self, slot: int) -> Iterator[tuple[int, bytes]]:
        """What falls due up to ``slot``, by slot and key; nothing may change while it is drawn."""

    @abstractmethod
    def tied(self, identity: bytes) -> list[bytes]:
        """The keys that go where ``identity`` leaves (:func:`~chain.statekeys.tied_to`), ascending."""

    @abstractmethod
    def settle(self, height: int, blocks: int) -> Tree | None:
        """The oldest ``blocks`` that can be taken back no longer can: their state, of ``height``, goes to the disk.

        Returns the tree there, where it is at hand; else whoever stores the entries makes it from them.
        """


class MemoryStore(Store):
    """All of a state in memory: for what is small, or has no disk."""

    def __init__(self, state: Mapping[bytes, bytes]) -> None:
        self.entries: dict[bytes, bytes] = dict(state)
        self._tree = StateTree.build(self.entries.items())
        due = ((due_slot(key, value), key) for key, value in self.entries.items())
        self._agenda: SortedList[tuple[int, bytes]] = SortedList((slot, key) for slot, key in due if slot is not None)
        self._ties: defaultdict[bytes, set[bytes]] = defaultdict(set)
        for key in self.entries:
            self._tie(key, is_there=True)

    @property
    def root(self) -> bytes:
        return self._tree.root

    def forward(self, changes: Changes) -> bytes:
        root = self._tree.update({key: after for key, (_, after) in changes.items()})
        self._write((key, before, after) for key, (before, after) in changes.items())
        return root

    def expect(self, keys: Iterable[bytes]) -> None:
        """Nothing costs less at once."""

    def back(self, changes: Changes) -> None:
        self._tree.update({key: before for key, (before, _) in changes.items()})
        self._write((key, after, before) for key, (before, after) in changes.items())

    def prove(self, key: bytes) -> Proof:
        return self._tree.prove(key)

    def due(self, slot: int) -> Iterator[tuple[int, bytes]]:
        for due, key in self._agenda:
            if due > slot:
                return
            yield due, key

    def tied(self, identity: bytes) -> list[bytes]:
        return sorted(self._ties.get(identity, ()))

    def settle(self, height: int, blocks: int) -> None:
        return None

    def _tie(self, key: bytes, *, is_there: bool) -> None:
        ties = self._ties
        for identity in tied_to(key):
            if is_there:
                ties[identity].add(key)
            else:
                ties[identity].discard(key)
                if not ties[identity]:
                    del ties[identity]

    def _write(self, changes: Iterable[tuple[bytes, bytes | None, bytes | None]]) -> None:
        entries = self.entries
        for key, before, after in changes:
            if after is None:
                del entries[key]
            else:
                entries[key] = after
            kind = key[0]
            if kind in TIED and (before is None or after is None):
                self._tie(key, is_there=after is not None)
            if kind in WITH_DEADLINES:
                self._schedule(key, before, after)

    def _schedule(self, key: bytes, before: bytes | None, after: bytes | None) -> None:
        was_due, is_due = due_slot(key, before), due_slot(key, after)
        if was_due != is_due:
            if was_due is not None:
                self._agenda.remove((was_due, key))
            if is_due is not None:
                self._agenda.add((is_due, key))
