"""What this node promised to offer, and a block rules out that is not final: it waits for that block to lose."""

from __future__ import annotations

from chain.base.newest import Newest
from chain.content.transactions import VerifiedTransaction

# As many as fill a block, and few of each actor: whoever signs a nonce twice on purpose takes no room from others.
MAX_ACTORS = 512
MAX_OF_ACTOR = 8


class Aside:
    """Transactions, each with the height of the block that rules it out; of too many the oldest leave."""

    def __init__(self) -> None:
        self._by_actor: Newest[bytes, Newest[bytes, tuple[int, VerifiedTransaction]]] = Newest(MAX_ACTORS)

    def put(self, transaction: VerifiedTransaction, height: int) -> None:
        """The block at ``height`` rules this out."""
        if transaction.actor not in self._by_actor:
            self._by_actor[transaction.actor] = Newest(MAX_OF_ACTOR)
        self._by_actor[transaction.actor].renew(transaction.id, (height, transaction))

    def take(self) -> list[VerifiedTransaction]:
        """All of it, which leaves."""
        taken = [transaction for own in self._by_actor.values() for _, transaction in own.values()]
        self._by_actor.clear()
        return taken

    def forget(self, final_height: int) -> None:
        """What blocks up to here ruled out is out for good."""
        for actor, own in list(self._by_actor.items()):
            for key in [key for key, (height, _) in own.items() if height <= final_height]:
                del own[key]
            if not own:
                del self._by_actor[actor]
