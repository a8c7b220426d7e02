"""A state laid out by the hashes of its keys, so that any part of it can be given away with its proof.

It is all in memory, and of a state that is small enough for that.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from chain.errors import Reason, Refused
from chain.messages import GetPart
from chain.ranges import Row, digest, fitting_depth, make_part
from chain.statetree import StateTree

# About 200 MB.
MAX_SHELF_ENTRIES = 250_000


class Shelf:
    """The entries of one state."""

    def __init__(self, rows: Iterable[Row]) -> None:
        """Raises :class:`Refused` ``TOO_LARGE``."""
        laid: list[tuple[bytes, Row]] = []
        for row in rows:
            laid.append((digest(row), row))
            if len(laid) > MAX_SHELF_ENTRIES:
                raise Refused(Reason.TOO_LARGE, f"a state of more than {MAX_SHELF_ENTRIES} entries is not given away")
        laid.sort()
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
