"""What this node promised to offer, and cannot now: a block that is not final rules it out, or another is in its place.

It waits for that block to lose, or for that other to leave the pool.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from chain.base.newest import Newest
from chain.content.transactions import VerifiedTransaction

# As many as fill a block, and few of each actor: whoever signs a nonce twice on purpose takes no room from others.
MAX_ACTORS = 512
MAX_OF_ACTOR = 8

_Room: TypeAlias = Newest[bytes, Newest[bytes, tuple[int | None, VerifiedTransaction]]]


class Aside:
    """Transactions, each with the height of the block that rules it out; of too many the oldest leave.

    The height is None where another transaction of the same nonce waits in the pool.  Keys that did not enrol have a
    room of their own: they cost nothing, and of all that guardians name for one member a block takes one.
    """

    def __init__(self) -> None:
        # Of members, and of keys that did not enrol.
        self._rooms = _Room(MAX_ACTORS), _Room(MAX_ACTORS)

    def __iter__(self) -> Iterator[VerifiedTransaction]:
        return (transaction for room in self._rooms for own in room.values() for _, transaction in own.values())

    def put(self, transaction: VerifiedTransaction, height: int | None, *, is_strangers: bool = False) -> None:
        """The block at ``height`` rules this out, or another is in its place."""
        self.drop(transaction)
        room = self._rooms[is_strangers]
        if transaction.actor not in room:
            room[transaction.actor] = Newest(MAX_OF_ACTOR)
        room[transaction.actor][transaction.id] = height, transaction

    def drop(self, transaction: VerifiedTransaction) -> None:
        """It stands aside no more, as where a block holds it."""
        for room in self._rooms:
            own = room.get(transaction.actor)
            if own is not None:
                own.pop(transaction.id, None)
                if not own:
                    del room[transaction.actor]

    def take(self) -> list[VerifiedTransaction]:
        """All of it, which leaves."""
        return self._take(lambda _: True)

    def take_displaced(self) -> list[VerifiedTransaction]:
        """The same of that in whose place another waits."""
        return self._take(lambda height: height is None)

    def forget(self, final_height: int) -> None:
        """What blocks up to here ruled out is out for good."""
        self._take(lambda height: height is not None and height <= final_height)

    def _take(self, is_meant: Callable[[int | None], bool]) -> list[VerifiedTransaction]:
        taken: list[VerifiedTransaction] = []
        for room in self._rooms:
            for actor, own in list(room.items()):
                leaving = [key for key, (height, _) in own.items() if is_meant(height)]
                taken.extend(own.pop(key)[1] for key in leaving)
                if not own:
                    del room[actor]
        return taken
