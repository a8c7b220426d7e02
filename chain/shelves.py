"""The final states that a node gives away: the last that it was asked for, each as its disk had it at that moment."""

from __future__ import annotations

from chain.errors import Reason, Refused
from chain.messages import GetPart
from chain.newest import Newest
from chain.reader import Reader
from chain.shelf import Shelf

# Two, so that whoever began with the last one comes to its end.
MAX_SHELVES = 2


class Shelves:
    """By root.  Not for several threads at once."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._by_root: Newest[bytes, Shelf] = Newest(MAX_SHELVES)

    def give(self, question: GetPart) -> bytes:
        """A part of the state under a root.

        Raises :class:`Refused`: ``NOT_EXECUTED`` where the state on disk is another one by now, ``TOO_LARGE``.
        """
        shelf = self._by_root.get(question.root)
        if shelf is None:
            shelf = self._by_root[question.root] = self._made(question.root)
        return shelf.give(question)

    def _made(self, root: bytes) -> Shelf:
        with self._reader.consistent():
            header = self._reader.snapshot_header()
            if header is None or header.state_root != root:
                height = 0 if header is None else header.height
                raise Refused(Reason.NOT_EXECUTED, f"the state here is that of height {height}")
            return Shelf(self._reader.state_rows())
