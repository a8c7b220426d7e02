"""What waits of each actor, in the order of its nonces, and whose next transaction blocks refuse."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from itertools import islice

from chain.base.codec import U64_MAX
from chain.base.errors import Reason, Refused
from chain.content.transactions import VerifiedTransaction

# How far ahead of its next nonce one busy actor is heard, and so how much of it waits: far from room for all.
MAX_PER_ACTOR = 2_048
# What waits for one with a lower nonce that was never seen: batches overtake each other on their way, by one or two.
MAX_EARLY_OF_ACTOR = 1_024
# So long it is remembered who is held up, unless something of theirs enters a block.
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
        # Not how many wait: what abandoned blocks held comes back before all of them, and they wait for it.
        is_far = nonce >= self.next + MAX_PER_ACTOR
        if is_far and len(self) >= MAX_PER_ACTOR:
            raise Refused(Reason.ACTOR_QUOTA, f"{MAX_PER_ACTOR} transactions of this actor wait")
        if is_far or (nonce > self.end and self.early >= MAX_EARLY_OF_ACTOR):
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

    Held up are actors whose next transaction was tried, and refused: a rating of somebody who may never enrol, say.
    That costs them nothing, so theirs comes last, and gives way where the pool is full.  ``most`` of them are
    remembered, as many as can wait: were there fewer, those who are forgotten would be tried again before everybody
    else, block after block.  A key that did not enrol is forgotten with what waited of it: the next one costs nothing.

    Of what waits ``early`` is what does so for a nonce before it.  Of the rest, as far as nobody is held up,
    ``strangers`` is what keys wrote that did not enrol yet, and ``expected`` what all others did.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._by_actor: OrderedDict[bytes, Queue] = OrderedDict()
        self._held_up: OrderedDict[bytes, int] = OrderedDict()
        self.early = self.strangers = self.expected = 0

    def __contains__(self, actor: bytes) -> bool:
        return actor in self._by_actor

    @property
    def actors(self) -> list[bytes]:
        """Of whom something waits."""
        return list(self._by_actor)

    def end(self, actor: bytes) -> int | None:
        """The nonce after what blocks can hold of an actor; None where nothing waits of it."""
        queue = self._by_actor.get(actor)
        return None if queue is None else queue.end

    def get(self, actor: bytes, nonce: int) -> VerifiedTransaction | None:
        """What waits of an actor with this nonce."""
        queue = self._by_actor.get(actor)
        return None if queue is None else queue.by_nonce.get(nonce)

    def of(self, actor: bytes) -> list[VerifiedTransaction]:
        """All that waits of an actor, by nonce."""
        queue = self._by_actor.get(actor)
        return [] if queue is None else queue.in_order()

    def ready_of(self, actor: bytes, since: int, before: int, limit: int) -> list[VerifiedTransaction]:
        """What blocks can hold of an actor, by nonce, from ``since`` to before ``before``, at most ``limit``."""
        queue = self._by_actor.get(actor)
        if queue is None:
            return []
        nonces = range(max(queue.next, since), min(queue.end, before))
        return [queue.by_nonce[nonce] for nonce in nonces[:limit]]

    def is_early(self, transaction: VerifiedTransaction) -> bool:
        """Whether one that waits does so for another, which is not here."""
        return transaction.nonce >= self._by_actor[transaction.actor].end

    def early_ones(self) -> list[VerifiedTransaction]:
        """All that is early, the nearest to its turn first."""
        return _by_distance(
            (nonce - queue.end, transaction)
            for queue in self._by_actor.values()
            if queue.early
            for nonce, transaction in queue.by_nonce.items()
            if nonce > queue.end
        )

    def in_turn(self, transactions: Iterable[VerifiedTransaction]) -> Iterator[VerifiedTransaction]:
        """Of all that waits, as it came, what blocks can hold: each actor's in the order of its nonces.

        What waits of those who are held up comes last, first of those for whom no block had time for longest.
        """
        cursor: dict[bytes, int] = {}
        skipped: set[bytes] = set()
        for transaction in transactions:
            actor = transaction.actor
            if actor in self._held_up:
                continue
            queue = self._by_actor[actor]
            nonce = cursor.get(actor, queue.next)
            if transaction.nonce == nonce:
                yield transaction
                nonce += 1
                while (follower := queue.by_nonce.get(nonce)) is not None and follower.id in skipped:
                    yield follower
                    nonce += 1
            else:
                skipped.add(transaction.id)
            cursor[actor] = nonce
        for actor in list(self._held_up):
            yield from self.ready_of(actor, 0, U64_MAX, U64_MAX)

    def check(self, transaction: VerifiedTransaction, next_nonce: int | None) -> None:
        """Raise :class:`Refused` where too much waits of its actor; its queue has followed the head."""
        (self._by_actor.get(transaction.actor) or Queue(next_nonce)).check(transaction.nonce)

    def put(self, transaction: VerifiedTransaction, next_nonce: int | None) -> None:
        """Add one of an actor whose next is this at the head; its queue has followed that."""
        actor = transaction.actor
        queue = self._by_actor.get(actor)
        if queue is None:
            queue = self._by_actor[actor] = Queue(next_nonce)
        ready = queue.ready
        queue.put(transaction)
        self._note(actor, queue, 1, queue.ready - ready)

    def drop(self, transaction: VerifiedTransaction) -> None:
        """Take one out that waits."""
        actor = transaction.actor
        queue = self._by_actor[actor]
        ready = queue.ready
        queue.drop(transaction.nonce)
        self._note(actor, queue, -1, queue.ready - ready)
        self._close(actor, queue)

    def follow(self, actor: bytes, next_nonce: int | None) -> list[VerifiedTransaction]:
        """The nonces of an actor moved, it enrolled, or a reorg took that back; what is used up leaves, returned."""
        queue = self._by_actor.get(actor)
        if queue is None or queue.is_at(next_nonce):
            return []
        self._count(actor, -1)
        used = queue.follow(next_nonce)
        self._count(actor, 1)
        self._close(actor, queue)
        return used

    # ------------------------------------------------------------------------------------------ who is held up

    def is_held_up(self, actor: bytes) -> bool:
        """Whether a block refused what it wrote next."""
        return actor in self._held_up

    def suspects(self) -> list[VerifiedTransaction]:
        """What some wait with next, each time of others, those first of whom something waits for long."""
        able = (
            queue.by_nonce[queue.next]
            for actor, queue in self._by_actor.items()
            if queue.ready and actor not in self._held_up
        )
        chosen = list(islice(able, MAX_SUSPECTS))
        for transaction in chosen:
            self._by_actor.move_to_end(transaction.actor)
        return chosen

    def hold_up(self, actors: Iterable[bytes], height: int) -> None:
        """The block at ``height`` would refuse the next transaction of each of these."""
        for actor in actors:
            self._count(actor, -1)
            self._held_up[actor] = height
            self._held_up.move_to_end(actor)
            self._count(actor, 1)
        self.release(list(islice(self._held_up, max(0, len(self._held_up) - self._most))))

    def release(self, actors: Iterable[bytes]) -> None:
        """Those of these who are held up are so no longer."""
        for actor in actors:
            if actor in self._held_up:
                self._count(actor, -1)
                del self._held_up[actor]
                self._count(actor, 1)

    def release_old(self, height: int) -> None:
        """The same of those of whom no block up to ``height`` took anything for long.

        Of keys that did not enrol so many as are tried in a slot, so that no others are crowded out.
        """
        old = [actor for actor, at in self._held_up.items() if at < height - MAX_HELD_UP_BLOCKS]
        members = [actor for actor in old if not self._is_strangers(actor)]
        strangers = (actor for actor in old if self._is_strangers(actor))
        self.release([*members, *islice(strangers, MAX_SUSPECTS)])

    def of_held_up(self) -> list[VerifiedTransaction]:
        """All that waits of those who are held up, the nearest to its turn first."""
        return _by_distance(
            (nonce - queue.next, transaction)
            for actor in self._held_up
            if (queue := self._by_actor.get(actor)) is not None
            for nonce, transaction in queue.by_nonce.items()
        )

    def _is_strangers(self, actor: bytes) -> bool:
        queue = self._by_actor.get(actor)
        return queue is not None and queue.is_strangers

    def _close(self, actor: bytes, queue: Queue) -> None:
        """Forget a queue in which nothing waits any more."""
        if not queue:
            del self._by_actor[actor]
            if queue.is_strangers:
                self._held_up.pop(actor, None)

    def _count(self, actor: bytes, sign: int) -> None:
        queue = self._by_actor.get(actor)
        if queue is not None:
            self._note(actor, queue, sign * len(queue), sign * queue.ready)

    def _note(self, actor: bytes, queue: Queue, more: int, more_ready: int) -> None:
        """So many more wait in a queue, of which so many are ready; or fewer."""
        self.early += more - more_ready
        if actor in self._held_up:
            return
        if queue.is_strangers:
            self.strangers += more_ready
        else:
            self.expected += more_ready


def _by_distance(waiting: Iterable[tuple[int, VerifiedTransaction]]) -> list[VerifiedTransaction]:
    """Transactions with how far each is from its turn, the nearest first."""
    return [transaction for _, transaction in sorted(waiting, key=lambda item: item[0])]
