"""A mapping that keeps the newest of its entries."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Newest(OrderedDict[K, V]):
    """Holds ``most`` entries; beyond them the one goes that was put in first.

    Not a ``dict`` whose first key is deleted: that key is found by walking over all that were deleted before it, and
    with 80,000 entries each new one takes 100 times as long as it should.

    >>> newest: Newest[str, int] = Newest(2)
    >>> for number, key in enumerate("abc"):
    ...     newest[key] = number
    >>> list(newest)
    ['b', 'c']
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        if len(self) > self.most:
            self.popitem(last=False)

    def renew(self, key: K, value: V) -> None:
        """Put in as the newest what may have been here for long."""
        self[key] = value
        self.move_to_end(key)
