"""What waits of each actor, in the order of its nonces, and whose next transaction blocks refuse."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from itertools import islice

from chain.base.errors import Reason, Refused
from chain.content.transactions import VerifiedTransaction

# Room for one busy actor, far from room for all.
MAX_PER_ACTOR = 2_048
# What waits for one with a lower nonce that was never seen: batches overtake each other on their way, by one or two.
MAX_EARLY_OF_ACTOR = 1_024
# Actors whose next transaction was tried, and refused: a rating of somebody who may never enrol, say.  It costs them
# nothing, so theirs comes last, and gives way where the pool is full.  As many as can wait: were there fewer, those who
# are forgotten would be tried again before everybody else, block after block.
MAX_HELD_UP = 40_000
# So long that is remembered, unless something of theirs enters a block.
MAX_HELD_UP_BLOCKS = 32
# So many are tried where too much waits, once a slot: a sixteenth of a full block's work.
MAX_SUSPECTS = 256


class Queue:
    """What waits of one actor: from ``next`` to ``end`` what blocks can hold, and after a gap what is early.

    ``by_nonce`` holds the transactions, ``next`` is the nonce of its next one at the head.
    """

    def __init__(self, next_nonce: int | None) -> None:
        self.by_nonce: dict[int, VerifiedTransaction] = {}
        self.next = self.end = next_nonce or 0
        self.is_strangers = next_nonce is None

    def __len__(self) -> int:
        return len(self.by_nonce)

    @property
    def ready(self) -> int:
        """How many follow the head without a gap."""
        return self.end - self.next

    @property
    def early(self) -> int:
        """How many wait for one that is not here."""
        return len(self) - self.ready

    def check(self, nonce: int) -> None:
        """Raise :class:`Refused` where there is no room for one with this nonce, which is not below ``next``."""
        if nonce in self.by_nonce:
            raise Refused(Reason.NONCE_TAKEN, f"another transaction waits with nonce {nonce}")
        if len(self) >= MAX_PER_ACTOR:
            raise Refused(Reason.ACTOR_QUOTA, f"{MAX_PER_ACTOR} transactions of this actor wait")
        if nonce >= self.next + MAX_PER_ACTOR or (nonce > self.end and self.early >= MAX_EARLY_OF_ACTOR):
            raise Refused(Reason.NONCE_GAP, f"nonce {nonce} where {self.end} is next")

    def put(self, transaction: VerifiedTransaction) -> None:
        """Add one."""
        self.by_nonce[transaction.nonce] = transaction
        self._stretch()

    def drop(self, nonce: int) -> None:
        """Take one out."""
        del self.by_nonce[nonce]
        if self.next <= nonce < self.end:
            self.end = nonce

    def is_at(self, next_nonce: int | None) -> bool:
        """Whether it follows the head already."""
        return self.next == (next_nonce or 0) and self.is_strangers == (next_nonce is None)

    def follow(self, next_nonce: int | None) -> list[VerifiedTransaction]:
        """The head moved: what it used up is taken out, and returned."""
        self.is_strangers = next_nonce is None
        self.next, before = next_nonce or 0, self.next
        if not before <= self.next <= self.end:
            self.end = self.next
        used = [self.by_nonce.pop(nonce) for nonce in list(self.by_nonce) if nonce < self.next]
        self._stretch()
        return used

    def in_order(self) -> list[VerifiedTransaction]:
        """All of it by nonce."""
        return [self.by_nonce[nonce] for nonce in sorted(self.by_nonce)]

    def _stretch(self) -> None:
        while self.end in self.by_nonce:
            self.end += 1


class Queues:
    """The queues of all actors of whom something waits, and who is held up, since which height.

    Of what waits ``early`` is what does so for a nonce before it.  Of the rest, as far as nobody is held up,
    ``strangers`` is what keys wrote that did not enrol yet, and ``expected`` what all others did.
    """

    def __init__(self) -> None:
        self.by_actor: OrderedDict[bytes, Queue] = OrderedDict()
        self.held_up: OrderedDict[bytes, int] = OrderedDict()
        self.early = self.strangers = self.expected = 0

    def is_early(self, transaction: VerifiedTransaction) -> bool:
        """Whether one that waits does so for another, which is not here."""
        return transaction.nonce >= self.by_actor[transaction.actor].end

    def by_distance(self) -> list[VerifiedTransaction]:
        """All that is early, the nearest to its turn first."""
        early = [
            (nonce - queue.end, transaction)
            for queue in self.by_actor.values()
            if queue.early
            for nonce, transaction in queue.by_nonce.items()
            if nonce > queue.end
        ]
        early.sort(key=lambda item: item[0])
        return [transaction for _, transaction in early]

    def check(self, transaction: VerifiedTransaction, next_nonce: int | None) -> None:
        """Raise :class:`Refused` where too much waits of its actor; its queue has followed the head."""
        (self.by_actor.get(transaction.actor) or Queue(next_nonce)).check(transaction.nonce)

    def put(self, transaction: VerifiedTransaction, next_nonce: int | None) -> None:
        """Add one of an actor whose next is this at the head; its queue has followed that."""
        actor = transaction.actor
        queue = self.by_actor.get(actor)
        if queue is None:
            queue = self.by_actor[actor] = Queue(next_nonce)
        ready = queue.ready
        queue.put(transaction)
        self._note(actor, queue, 1, queue.ready - ready)

    def drop(self, transaction: VerifiedTransaction) -> None:
        """Take one out that waits."""
        actor = transaction.actor
        queue = self.by_actor[actor]
        ready = queue.ready
        queue.drop(transaction.nonce)
        self._note(actor, queue, -1, queue.ready - ready)
        if not queue:
            del self.by_actor[actor]

    def follow(self, actor: bytes, next_nonce: int | None) -> list[VerifiedTransaction]:
        """The nonces of an actor moved, it enrolled, or a reorg took that back; what is used up leaves, returned."""
        queue = self.by_actor.get(actor)
        if queue is None or queue.is_at(next_nonce):
            return []
        self._count(actor, -1)
        used = queue.follow(next_nonce)
        self._count(actor, 1)
        if not queue:
            del self.by_actor[actor]
        return used

    # ------------------------------------------------------------------------------------------ who is held up

    def suspects(self) -> list[VerifiedTransaction]:
        """What some wait with next, each time of others, those first of whom something waits for long."""
        able = (
            queue.by_nonce[queue.next]
            for actor, queue in self.by_actor.items()
            if queue.ready and actor not in self.held_up
        )
        chosen = list(islice(able, MAX_SUSPECTS))
        for transaction in chosen:
            self.by_actor.move_to_end(transaction.actor)
        return chosen

    def hold_up(self, actors: Iterable[bytes], height: int) -> None:
        """The block at ``height`` would refuse the next transaction of each of these."""
        for actor in actors:
            self._count(actor, -1)
            self.held_up[actor] = height
            self.held_up.move_to_end(actor)
            self._count(actor, 1)
        self.release(list(islice(self.held_up, max(0, len(self.held_up) - MAX_HELD_UP))))

    def release(self, actors: Iterable[bytes]) -> None:
        """Those of these who are held up are so no longer."""
        for actor in actors:
            if actor in self.held_up:
                self._count(actor, -1)
                del self.held_up[actor]
                self._count(actor, 1)

    def release_old(self, height: int) -> None:
        """The same of those of whom no block up to ``height`` took anything for long."""
        self.release([actor for actor, at in self.held_up.items() if at < height - MAX_HELD_UP_BLOCKS])

    def of_held_up(self) -> list[VerifiedTransaction]:
        """All that waits of those who are held up."""
        queues = [self.by_actor[actor] for actor in self.held_up if actor in self.by_actor]
        return [transaction for queue in queues for transaction in queue.by_nonce.values()]

    def _count(self, actor: bytes, sign: int) -> None:
        queue = self.by_actor.get(actor)
        if queue is not None:
            self._note(actor, queue, sign * len(queue), sign * queue.ready)

    def _note(self, actor: bytes, queue: Queue, more: int, more_ready: int) -> None:
        """So many more wait in a queue, of which so many are ready; or fewer."""
        self.early += more - more_ready
        if actor in self.held_up:
            return
        if queue.is_strangers:
            self.strangers += more_ready
        else:
            self.expected += more_ready
