"""What this node promised to offer, and cannot now: a block that is not final rules it out, or another is in its place.

It waits for that block to lose, or for that other to leave the pool.
"""

from __future__ import annotations

from collections.abc import Callable

from chain.base.newest import Newest
from chain.content.transactions import VerifiedTransaction

# As many as fill a block, and few of each actor: whoever signs a nonce twice on purpose takes no room from others.
MAX_ACTORS = 512
MAX_OF_ACTOR = 8


class Aside:
    """Transactions, each with the height of the block that rules it out; of too many the oldest leave.

    The height is None where another transaction of the same nonce waits in the pool.
    """

    def __init__(self) -> None:
        self._by_actor: Newest[bytes, Newest[bytes, tuple[int | None, VerifiedTransaction]]] = Newest(MAX_ACTORS)

    def put(self, transaction: VerifiedTransaction, height: int | None) -> None:
        """The block at ``height`` rules this out, or another is in its place."""
        if transaction.actor not in self._by_actor:
            self._by_actor[transaction.actor] = Newest(MAX_OF_ACTOR)
        self._by_actor[transaction.actor].renew(transaction.id, (height, transaction))

    def drop(self, transaction: VerifiedTransaction) -> None:
        """A block holds it."""
        own = self._by_actor.get(transaction.actor)
        if own is not None:
            own.pop(transaction.id, None)
            if not own:
                del self._by_actor[transaction.actor]

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
        for actor, own in list(self._by_actor.items()):
            leaving = [key for key, (height, _) in own.items() if is_meant(height)]
            taken.extend(own.pop(key)[1] for key in leaving)
            if not own:
                del self._by_actor[actor]
        return taken
