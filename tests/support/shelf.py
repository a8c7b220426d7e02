"""A state in memory, laid out by the hashes of its keys, to give parts of it away as a node does from its disk."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from chain.protocol.messages import GetPart
from chain.tree.ranges import Row, digest, fitting_depth, make_part
from chain.tree.statetree import StateTree


class Shelf:
    """The entries of one state."""

    def __init__(self, rows: Iterable[Row]) -> None:
        laid = sorted((digest(row), row) for row in rows)
        self._hashes = [key_hash for key_hash, _ in laid]
        self._rows = [row for _, row in laid]
        self._tree = StateTree.build(self._rows)

    @property
    def root(self) -> bytes:
        """The root of the state."""
        return self._tree.root

    def give(self, question: GetPart) -> bytes:
        """The part asked for, or the first one inside it that fits into the bytes asked for."""
        part = question.part
        low, high = bisect_left(self._hashes, part.first), bisect_right(self._hashes, part.last)
        sizes = [len(key) + len(value) for key, value in self._rows[low:high]]
        inside = part.inside(fitting_depth(part, self._hashes[low:high], sizes, question.max_bytes))
        return make_part(self._tree, inside, self._rows[low : bisect_right(self._hashes, inside.last)])
