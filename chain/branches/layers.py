"""What is on disk, as its ledger sees it, and over it what changed since.

What blocks above the snapshot changed lies over what is on disk.  What settles stays there until the disk is known to
have it: a commit is made in another thread, and whatever is read meanwhile is the same before and after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from chain.base.errors import OperatorError

_K = TypeVar("_K")
_V = TypeVar("_V")
UNKNOWN: Any = object()


class Rows(Protocol):
    """What is on disk.  Where it is damaged, anything raises :class:`OperatorError`.

    ``height`` is that of the newest state that is known to be durable; what is read may be newer.
    """

    @property
    def height(self) -> int:
        """See above; another thread may raise it."""

    @property
    def are_far(self) -> bool:
        """Whether each question is a journey, so that many are to be asked at once."""

    def entry(self, key: bytes) -> bytes | None:
        """An encoded entry."""

    def keys(self, after: bytes, count: int) -> Sequence[bytes]:
        """The next keys above ``after``, ascending."""

    def entries(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Many of them, as far as there are any."""

    def page(self, path: int) -> bytes:
        """A page, ``b""`` where there is none."""

    def pages(self, paths: Sequence[int]) -> Mapping[int, bytes]:
        """Many of them, as far as there are any."""

    def due(self, slot: int, after: tuple[int, bytes], count: int) -> Sequence[tuple[int, bytes]]:
        """The next that fall due up to ``slot``, by slot and key."""

    def tied(self, identity: bytes, limit: int) -> Sequence[bytes]:
        """The first keys that go where ``identity`` leaves, ascending."""

    def damaged(self, why: str) -> OperatorError:
        """What is to be raised where it is."""


class Layer(Generic[_K, _V]):
    """What blocks changed since the snapshot that is on disk, and under it what was read there lately.

    ``changed`` has each key as it is at the head, and ``_blocks`` how many of the blocks that are not known to be on
    disk changed it: those that can be taken back, and those that settled.  A block that goes either way takes one off;
    at none the disk has the same value, so what was changed is what was read.

    Of what was read there are at least ``least``, once so many were, and at most twice as many.
    """

    def __init__(self, least: int) -> None:
        self.changed: dict[_K, _V] = {}
        self._blocks: dict[_K, int] = {}
        self._least = least
        self._new: dict[_K, _V] = {}
        self._old: dict[_K, _V] = {}

    def get(self, key: _K) -> _V:
        """The value at the head, as far as it is in memory."""
        value: _V = self.changed.get(key, UNKNOWN)
        if value is UNKNOWN:
            value = self._new.get(key, UNKNOWN)
            if value is UNKNOWN and (value := self._old.get(key, UNKNOWN)) is not UNKNOWN:
                self.remember(key, value)
        return value

    def remember(self, key: _K, value: _V) -> None:
        """What the disk has."""
        self._new[key] = value
        if len(self._new) >= self._least:
            self._old, self._new = self._new, {}

    def change(self, key: _K, value: _V) -> None:
        """One more block changed it."""
        self.changed[key] = value
        self._blocks[key] = self._blocks.get(key, 0) + 1

    def take_back(self, key: _K, value: _V) -> bool:
        """One block less changed it; whether that was the last, so that it is as on disk."""
        self.changed[key] = value
        return self.release(key)

    def release(self, key: _K) -> bool:
        """One block's change is on disk; whether it was the last, so that this is what the disk has."""
        left = self._blocks[key] - 1
        if left:
            self._blocks[key] = left
            return False
        del self._blocks[key]
        self.remember(key, self.changed.pop(key))
        return True
