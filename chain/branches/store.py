"""Where a ledger has its state: the entries at the head, the tree over them, and what of them falls due.

:class:`MemoryStore` holds all of it; :class:`chain.branches.paged.PagedStore` what is not on disk yet, and what was
read lately.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from sortedcontainers import SortedList

from chain.register.draft import Changes
from chain.register.state import WITH_DEADLINES, due_slot
from chain.register.statekeys import TIED, tied_to
from chain.tree.stateproof import Proof
from chain.tree.statetree import StateTree

# No deadline is later.
FOR_EVER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Tree:
    """What moves the tree on disk to a later state: its number of entries, and the pages that change, by path.

    ``pages`` may be asked in another thread, once; ``b""`` is none.
    """

    count: int
    pages: Callable[[], Mapping[int, bytes]]


def _nothing(_identity: bytes, _limit: int) -> Sequence[bytes]:
    return ()


class Ties:
    """What goes where somebody leaves (:func:`~chain.register.statekeys.tied_to`), while a state does not change.

    ``changed`` are the entries in memory, None for those that are gone; ``stored`` gives the first keys of a member on
    disk, ascending.  Memory is looked through once, however many leave, and no more is read than a block works off,
    however much a member leaves behind: who has a hundred thousand ratings is forgotten over fifty blocks.
    """

    def __init__(
        self,
        changed: Mapping[bytes, bytes | None],
        stored: Callable[[bytes, int], Sequence[bytes]] = _nothing,
    ) -> None:
        self._changed = changed
        self._stored = stored

    def of(self, identity: bytes, limit: int) -> list[bytes]:
        """The first ``limit`` keys that go where ``identity`` leaves, ascending."""
        here = self._by_identity.get(identity, ())
        stored = (key for key in self._stored(identity, limit + len(here)) if key not in self._changed)
        return sorted([*stored, *(key for key in here if self._changed[key] is not None)])[:limit]

    @cached_property
    def _by_identity(self) -> Mapping[bytes, list[bytes]]:
        found: defaultdict[bytes, list[bytes]] = defaultdict(list)
        for key in self._changed:
            if key[0] in TIED:
                for identity in {*tied_to(key)}:
                    found[identity].append(key)
        return found


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
    def ties(self) -> Ties:
        """What goes where somebody leaves; nothing may change while it is asked."""

    @abstractmethod
    def settle(self, height: int, blocks: int, changes: Changes) -> Tree | None:
        """The oldest ``blocks`` that can be taken back no longer can: their state, of ``height``, goes to the disk.

        ``changes`` are what they changed together.  Returns what they make of the tree on disk; None leaves it to
        whoever stores the changes to make that from them.
        """


class MemoryStore(Store):
    """All of a state in memory: for what is small, or has no disk."""

    def __init__(self, state: Mapping[bytes, bytes]) -> None:
        self.entries: dict[bytes, bytes] = dict(state)
        self._tree = StateTree.build(self.entries.items())
        due = ((key, due_slot(key, value)) for key, value in self.entries.items())
        self._due: dict[bytes, int] = {key: slot for key, slot in due if slot is not None}
        self._agenda: SortedList[tuple[int, bytes]] = SortedList((slot, key) for key, slot in self._due.items())

    @property
    def root(self) -> bytes:
        return self._tree.root

    def forward(self, changes: Changes) -> bytes:
        values = {key: after for key, (_, after) in changes.items()}
        self._write(values.items())
        return self._tree.update(values)

    def expect(self, keys: Iterable[bytes]) -> None:
        """Nothing costs less at once."""

    def back(self, changes: Changes) -> None:
        values = {key: before for key, (before, _) in changes.items()}
        self._write(values.items())
        self._tree.update(values)

    def prove(self, key: bytes) -> Proof:
        return self._tree.prove(key)

    def due(self, slot: int) -> Iterator[tuple[int, bytes]]:
        for due, key in self._agenda:
            if due > slot:
                return
            yield due, key

    def ties(self) -> Ties:
        """Looks at every key that there is: somebody leaves more seldom than anything else happens."""
        return Ties(self.entries)

    def settle(self, height: int, blocks: int, changes: Changes) -> None:
        return None

    def _write(self, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        entries = self.entries
        for key, after in changes:
            if after is None:
                del entries[key]
            else:
                entries[key] = after
            if key[0] in WITH_DEADLINES:
                self._schedule(key, due_slot(key, after))

    def _schedule(self, key: bytes, is_due: int | None) -> None:
        was_due = self._due.get(key)
        if was_due != is_due:
            if was_due is not None:
                del self._due[key]
                self._agenda.remove((was_due, key))
            if is_due is not None:
                self._due[key] = is_due
                self._agenda.add((is_due, key))
