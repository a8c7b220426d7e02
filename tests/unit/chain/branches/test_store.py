from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from chain.branches.store import Ties
from chain.register.statekeys import rating_key, record_key

WHO, OTHER, THIRD = bytes([1]) * 32, bytes([2]) * 32, bytes([3]) * 32


class Counted(Mapping[bytes, bytes | None]):
    """Entries that know how often all of them were gone through."""

    def __init__(self, entries: Mapping[bytes, bytes | None]) -> None:
        self._entries = entries
        self.rounds = 0

    def __getitem__(self, key: bytes) -> bytes | None:
        return self._entries[key]

    def __iter__(self) -> Iterator[bytes]:
        self.rounds += 1
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def test_however_many_leave_memory_is_looked_through_once() -> None:
    entries = Counted({rating_key(OTHER, WHO, 1): b"", record_key(OTHER, 3): b"", record_key(THIRD, 4): None})
    ties = Ties(entries)
    for _ in range(100):
        assert ties.of(WHO, 9) == [rating_key(OTHER, WHO, 1)]
        assert ties.of(OTHER, 9) == sorted([rating_key(OTHER, WHO, 1), record_key(OTHER, 3)])
        assert ties.of(THIRD, 9) == []
    assert entries.rounds == 1


def test_no_more_is_read_of_who_leaves_than_is_asked_for_and_what_changed_in_memory() -> None:
    # given a hundred thousand ratings on disk, the first of which is gone in memory, and a new one
    disk = sorted(rating_key(WHO, number.to_bytes(32, "big"), 1) for number in range(1, 100_001))
    asked: list[int] = []

    def stored(_identity: bytes, limit: int) -> Sequence[bytes]:
        asked.append(limit)
        return disk[:limit]

    fresh = rating_key(WHO, bytes(32), 1)
    ties = Ties({disk[0]: None, fresh: b""}, stored)
    assert ties.of(WHO, 3) == [fresh, *disk[1:3]]
    assert asked == [5]
