"""The mempool: verified transactions that wait for a block, bounded in every direction.

Order is order of arrival; an actor's transactions are taken in the order of their nonces.  The pool knows
nonces and expiry, not the other rules: those are tried when a block is built, since a transaction may become
valid by what stands before it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice

from chain.base.codec import U64_MAX
from chain.base.errors import Reason, Refused
from chain.base.newest import Newest
from chain.content.actions import Consent, Enrol, Recover
from chain.content.kinds import MAX_TRANSACTION_BYTES
from chain.content.transactions import VerifiedTransaction

# Twenty seconds of the fastest sustained rate that one machine's four validators reach.
MAX_TRANSACTIONS = 40_000
MAX_BYTES = 16_000_000
# Room for one busy actor, far from room for all.
MAX_PER_ACTOR = 2_048
# What waits for one with a lower nonce that was never seen: batches overtake each other on their way, by one or two.
# It is counted apart, since it takes no room in a block, and what it waits for may never come: half the pool at most,
# so that clients have the time to see that something was lost, and to offer it again.
# Where many wait for what was lost, the farthest from their turn leave, once a block: else what is offered again in
# batches that overtake each other would be turned away as often, and nothing would move any more.
MAX_EARLY_OF_ACTOR = 1_024
MAX_EARLY = MAX_TRANSACTIONS // 2
# Whoever took it from its client keeps it longer, and offers it again before that.
MAX_EARLY_BLOCKS = 32
# Keys cost nothing before they are enrolled: together they fill at most half of the pool.
MAX_FROM_STRANGERS = MAX_TRANSACTIONS // 2
# What no block took for so long (a full pool empties in about 20) makes room; its sender can offer it again.
MAX_AGE_BLOCKS = 256
# Actors whose next transaction was tried, and refused: a rating of somebody who may never enrol, say.  It costs them
# nothing, so theirs comes last, and gives way where the pool is full.
MAX_HELD_UP = 16_384
# So long that is remembered, unless something of theirs enters a block.
MAX_HELD_UP_BLOCKS = 32
# So many are tried where too much waits, once a slot: a sixteenth of a full block's work.
MAX_SUSPECTS = 256
# What is set aside until the block that rules it out is final: a few blocks' worth of what conflicts with them.
MAX_ASIDE = 4_096

NextNonce = Callable[[bytes], int | None]


class Queue:
    """What waits of one actor: from ``next`` to ``end`` what blocks can hold, and after a gap what is early.

    ``by_nonce`` holds the transactions, ``next`` is the nonce of its next one at the head.  It ``is_held_up`` while a
    block refuses that one.
    """

    def __init__(self, next_nonce: int | None, *, is_held_up: bool = False) -> None:
        self.by_nonce: dict[int, VerifiedTransaction] = {}
        self.next = self.end = next_nonce or 0
        self.is_strangers = next_nonce is None
        self.is_held_up = is_held_up

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

    def follow(self, next_nonce: int | None) -> None:
        """The head moved; what it used up is taken out before."""
        self.is_strangers = next_nonce is None
        nonce = next_nonce or 0
        if not self.next <= nonce <= self.end:
            self.end = nonce
        self.next = nonce
        self._stretch()

    def in_order(self) -> list[VerifiedTransaction]:
        """All of it by nonce."""
        return [self.by_nonce[nonce] for nonce in sorted(self.by_nonce)]

    def _stretch(self) -> None:
        while self.end in self.by_nonce:
            self.end += 1


class Mempool:
    """``next_nonce`` tells the nonce that an actor's next transaction carries at the head; None for a stranger.

    ``arrivals`` counts everything that was ever taken, ``claims`` what was claimed of it.  Of what waits ``early`` is
    what does so for a nonce before it, ``strangers`` what keys wrote that did not enrol yet; ``expected``, what the
    next blocks take, is neither, nor held up.
    """

    def __init__(self, next_nonce: NextNonce, max_expiry_blocks: int = U64_MAX) -> None:
        self._next_nonce = next_nonce
        self._max_expiry_blocks = max_expiry_blocks
        self._taken_at: dict[bytes, int] = {}
        self.arrivals = self.claims = 0
        self._by_id: dict[bytes, VerifiedTransaction] = {}
        self._by_actor: OrderedDict[bytes, Queue] = OrderedDict()
        self.strangers = 0
        self._claimed: dict[bytes, int] = {}
        self._aside: Newest[bytes, tuple[int, VerifiedTransaction, bool]] = Newest(MAX_ASIDE)
        self.bytes = 0
        self.early = self.expected = 0
        self._held_up: OrderedDict[bytes, int] = OrderedDict()
        self._thinned_at = -1

    @property
    def ready(self) -> int:
        """How many the next blocks can hold, as far as nonces tell."""
        return len(self) - self.early

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, transaction_id: bytes) -> bool:
        return transaction_id in self._by_id

    def __iter__(self) -> Iterator[VerifiedTransaction]:
        return iter(self._by_id.values())

    @property
    def actors(self) -> list[bytes]:
        """Of whom something waits."""
        return list(self._by_actor)

    def get(self, transaction_id: bytes) -> VerifiedTransaction | None:
        """The waiting transaction with this id."""
        return self._by_id.get(transaction_id)

    def next_free(self, actor: bytes) -> int:
        """The first nonce of ``actor`` that neither the chain nor this pool has used."""
        queue = self._by_actor.get(actor)
        return queue.end if queue is not None else self._next_nonce(actor) or 0

    def of(self, actor: bytes) -> list[VerifiedTransaction]:
        """What waits of one actor, in the order of nonces."""
        queue = self._by_actor.get(actor)
        return queue.in_order() if queue is not None else []

    def ahead_of(self, transaction: VerifiedTransaction, limit: int, since: int = 0) -> list[VerifiedTransaction]:
        """What waits of the same actor and has to come first, in the order of nonces, at most ``limit``.

        What comes before ``since`` is left out; so is what waits behind a gap, as no block can hold it.
        """
        queue = self._by_actor.get(transaction.actor)
        if queue is None:
            return []
        nonces = range(max(queue.next, since), min(queue.end, transaction.nonce))
        return [queue.by_nonce[nonce] for nonce in nonces[:limit]]

    def rival_of(self, transaction: VerifiedTransaction) -> VerifiedTransaction | None:
        """Another transaction of the same actor that waits with the same nonce."""
        queue = self._by_actor.get(transaction.actor)
        rival = None if queue is None else queue.by_nonce.get(transaction.nonce)
        return None if rival is None or rival.id == transaction.id else rival

    def add(self, transaction: VerifiedTransaction, height: int, *, is_back: bool = False) -> None:
        """Take a transaction that can enter the block at ``height`` or later.  Raises :class:`Refused`.

        One that ``is_back`` from an abandoned block finds twice the room, and may wait for what made its key known:
        that is back as well.
        """
        if transaction.id in self._by_id:
            raise Refused(Reason.DUPLICATE, "already waiting")
        if transaction.expiry_height < height:
            raise Refused(Reason.EXPIRED, f"expired at height {transaction.expiry_height}")
        if transaction.expiry_height > height + self._max_expiry_blocks:
            raise Refused(Reason.EXPIRY_TOO_FAR, f"more than {self._max_expiry_blocks} blocks ahead")
        next_nonce = self._next_nonce(transaction.actor)
        self._follow(transaction.actor, next_nonce)
        if transaction.nonce < (next_nonce or 0):
            raise Refused(Reason.NONCE_USED, f"nonce {transaction.nonce} where {next_nonce} is next")
        is_first = next_nonce is None and transaction.nonce == 0
        if is_first and not (is_back or isinstance(transaction.action, Enrol | Consent | Recover)):
            raise Refused(Reason.NOT_ENROLLED, "the first transaction of a key is its enrolment")
        self._check_queue(transaction, next_nonce or 0)
        self._check_room(transaction, height, is_stranger=next_nonce is None, is_back=is_back)
        self._insert(transaction, height, next_nonce)

    def _check_queue(self, transaction: VerifiedTransaction, next_nonce: int) -> None:
        """Refuse what its actor has too much of."""
        nonce, queue = transaction.nonce, self._by_actor.get(transaction.actor) or Queue(next_nonce)
        if nonce in queue.by_nonce:
            raise Refused(Reason.NONCE_TAKEN, f"another transaction waits with nonce {nonce}")
        if len(queue) >= MAX_PER_ACTOR:
            raise Refused(Reason.ACTOR_QUOTA, f"{MAX_PER_ACTOR} transactions of this actor wait")
        is_early = nonce > max(queue.end, next_nonce)
        if nonce >= next_nonce + MAX_PER_ACTOR or (is_early and queue.early >= MAX_EARLY_OF_ACTOR):
            raise Refused(Reason.NONCE_GAP, f"nonce {nonce} where {max(queue.end, next_nonce)} is next")

    def _check_room(self, transaction: VerifiedTransaction, height: int, *, is_stranger: bool, is_back: bool) -> None:
        """Refuse what there is too much of; what is early may find room in the place of what is farther."""
        room = 2 if is_back else 1
        if not is_back and transaction.actor in self._held_up and len(self) >= MAX_TRANSACTIONS // 2:
            raise Refused(Reason.POOL_FULL, "what this actor sent before enters no block yet; submit again later")
        is_full = len(self) >= room * MAX_TRANSACTIONS or self.bytes + len(transaction.raw) > room * MAX_BYTES
        if is_full and not (self._is_next(transaction) and self._thin_out(height)):
            raise Refused(Reason.POOL_FULL, f"{len(self)} transactions wait; submit again later")
        if is_stranger and self.strangers >= room * MAX_FROM_STRANGERS:
            raise Refused(Reason.POOL_FULL, "too many keys wait to enrol; submit again later")
        if self.early >= room * MAX_EARLY and not (self._is_next(transaction) or self._thin_out(height)):
            raise Refused(Reason.POOL_FULL, "too many wait for what was sent before them; submit again in order")

    def restore(self, transactions: Iterable[VerifiedTransaction], height: int) -> None:
        """Take back the transactions of an abandoned block, also into a full pool: they were accepted before."""
        for transaction in transactions:
            try:
                self.add(transaction, height, is_back=True)
            except Refused:
                self._follow(transaction.actor, self._next_nonce(transaction.actor))

    def discard(self, transactions: Iterable[VerifiedTransaction]) -> None:
        """A block holds these: drop them and whatever they made impossible."""
        if not self._by_id:
            return
        actors = set()
        for transaction in transactions:
            actors.add(transaction.actor)
            self.remove(transaction.id)
        for actor in actors & self._held_up.keys():
            self._release(actor)
        for actor in actors & self._by_actor.keys():  # of most nothing waits any more
            self._follow(actor, self._next_nonce(actor))

    def follow(self, actors: Iterable[bytes]) -> None:
        """The chain itself took the accounts of these, or gave them back."""
        for actor in actors:
            self._follow(actor, self._next_nonce(actor))

    def expire(self, height: int) -> None:
        """Drop what cannot enter a block at ``height`` or later, and what no block took for very long."""
        for transaction in [item for item in self if self._is_stale(item, height)]:
            self.remove(transaction.id)
        for actor in [actor for actor, at in self._held_up.items() if at < height - MAX_HELD_UP_BLOCKS]:
            self._release(actor)

    def _is_stale(self, transaction: VerifiedTransaction, height: int) -> bool:
        is_another = self._is_early(transaction) and transaction.id not in self._claimed
        oldest = height - (MAX_EARLY_BLOCKS if is_another else MAX_AGE_BLOCKS)
        return transaction.expiry_height < height or self._taken_at[transaction.id] < oldest

    def remove(self, transaction_id: bytes) -> None:
        """Drop one transaction, if it is here."""
        transaction = self._by_id.pop(transaction_id, None)
        if transaction is None:
            return
        del self._taken_at[transaction_id]
        self._claimed.pop(transaction_id, None)
        self.bytes -= len(transaction.raw)
        queue = self._by_actor[transaction.actor]
        ready = queue.ready
        queue.drop(transaction.nonce)
        self._note(queue, -1, queue.ready - ready)
        if not queue:
            del self._by_actor[transaction.actor]

    def set_aside(self, transaction: VerifiedTransaction, height: int) -> None:
        """Drop what waits and no block after the one at ``height`` can hold; it comes back where that block loses."""
        if transaction.id not in self._by_id:
            return
        self._aside[transaction.id] = height, transaction, transaction.id in self._claimed
        self._release(transaction.actor)
        self.remove(transaction.id)

    def bring_back(self, height: int) -> None:
        """Blocks were abandoned: what they ruled out may enter the one at ``height``, or a later one."""
        aside = list(self._aside.values())
        self._aside.clear()
        for _, transaction, is_claimed in aside:
            self.restore((transaction,), height)
            if is_claimed:
                self.claim((transaction,))

    def forget_aside(self, final_height: int) -> None:
        """What blocks up to here ruled out is out for good."""
        for key in [key for key, item in self._aside.items() if item[0] <= final_height]:
            del self._aside[key]

    @property
    def is_full(self) -> bool:
        """Whether there is hardly room for one more."""
        return len(self) >= MAX_TRANSACTIONS or self.bytes > MAX_BYTES - MAX_TRANSACTION_BYTES

    def suspects(self) -> list[VerifiedTransaction]:
        """What some members wait with next, each time of others, those first of whom something waits for long.

        They are to be tried where too much waits, and their actors held up where no block would take them.
        """
        able = (
            queue.by_nonce[queue.next]
            for queue in self._by_actor.values()
            if queue.ready and not (queue.is_held_up or queue.is_strangers)
        )
        chosen = list(islice(able, MAX_SUSPECTS))
        for transaction in chosen:
            self._by_actor.move_to_end(transaction.actor)
        return chosen

    def hold_up(self, actors: Iterable[bytes], height: int) -> None:
        """The block at ``height`` would refuse the next transaction of each of these."""
        for actor in actors:
            self._held_up[actor] = height
            self._held_up.move_to_end(actor)
            self._mark(actor, is_held_up=True)
        while len(self._held_up) > MAX_HELD_UP:
            self._release(next(iter(self._held_up)))

    def clear_held_up(self) -> None:
        """What waits of those who are held up leaves, but for what is this node's to offer."""
        queues = [self._by_actor[actor] for actor in self._held_up if actor in self._by_actor]
        leaving = [item.id for queue in queues for item in queue.by_nonce.values() if item.id not in self._claimed]
        for transaction_id in leaving:
            self.remove(transaction_id)

    def claim(self, transactions: Iterable[VerifiedTransaction]) -> None:
        """Those of these that wait here are this node's to offer again, until a block holds them."""
        for item in transactions:
            if item.id in self._by_id and item.id not in self._claimed:
                self.claims += 1
                self._claimed[item.id] = self.claims

    def claimed(self, limit: int) -> tuple[VerifiedTransaction, ...]:
        """What this node has to offer again, the oldest claims first, at most ``limit``."""
        return tuple(self._by_id[key] for key in islice(self._claimed, limit))

    def overdue(self, claims: int, limit: int) -> tuple[VerifiedTransaction, ...]:
        """The same of the first so many :attr:`claims`, but for what is early or held up: a block could hold it."""
        oldest = (self._by_id[key] for key, number in self._claimed.items() if number <= claims)
        able = (item for item in oldest if not (self._is_early(item) or item.actor in self._held_up))
        return tuple(islice(able, limit))

    def candidates(self) -> Iterator[VerifiedTransaction]:
        """What a block may hold: in order of arrival, but each actor's in order of its nonces without a gap.

        What waits of those who are held up comes last.
        """
        held_up = self._held_up
        if not held_up:
            return self._in_turn(list(self))
        first: list[VerifiedTransaction] = []
        last: list[VerifiedTransaction] = []
        for transaction in self:
            (last if transaction.actor in held_up else first).append(transaction)
        return chain(self._in_turn(first), self._in_turn(last))

    def _in_turn(self, transactions: list[VerifiedTransaction]) -> Iterator[VerifiedTransaction]:
        """The same of some actors: all that waits of them, in order of arrival."""
        cursor: dict[bytes, int] = {}
        skipped: set[bytes] = set()
        for transaction in transactions:
            actor = transaction.actor
            nonce = cursor.get(actor)
            if nonce is None:
                nonce = self._next_nonce(actor) or 0
            if transaction.nonce == nonce:
                yield transaction
                nonce += 1
                queue = self._by_actor[actor].by_nonce
                while (follower := queue.get(nonce)) is not None and follower.id in skipped:
                    yield follower
                    nonce += 1
            else:
                skipped.add(transaction.id)
            cursor[actor] = nonce

    def _insert(self, transaction: VerifiedTransaction, height: int, next_nonce: int | None) -> None:
        self.arrivals += 1
        self._taken_at[transaction.id] = height
        self._by_id[transaction.id] = transaction
        self.bytes += len(transaction.raw)
        actor = transaction.actor
        queue = self._by_actor.get(actor)
        if queue is None:
            queue = self._by_actor[actor] = Queue(next_nonce, is_held_up=actor in self._held_up)
        ready = queue.ready
        queue.put(transaction)
        self._note(queue, 1, queue.ready - ready)

    def _is_next(self, transaction: VerifiedTransaction) -> bool:
        """Whether one that does not wait yet would not be early."""
        return transaction.nonce == self.next_free(transaction.actor)

    def _is_early(self, transaction: VerifiedTransaction) -> bool:
        """Whether one that waits does so for another, which is not here."""
        return transaction.nonce >= self._by_actor[transaction.actor].end

    def _thin_out(self, height: int) -> bool:
        """Of what is early and is not this node's to offer, the farther half leaves, if any; once a block."""
        if self._thinned_at == height:
            return False
        self._thinned_at = height
        early = [
            (nonce - queue.end, transaction.id)
            for queue in self._by_actor.values()
            if queue.early
            for nonce, transaction in queue.by_nonce.items()
            if nonce > queue.end and transaction.id not in self._claimed
        ]
        early.sort(key=lambda item: item[0])
        for _, transaction_id in early[len(early) // 2 :]:
            self.remove(transaction_id)
        return bool(early)

    def _follow(self, actor: bytes, next_nonce: int | None) -> None:
        """Note that the nonces of an actor moved, that it enrolled, or that a reorg took its enrolment back."""
        queue = self._by_actor.get(actor)
        if queue is None or queue.is_at(next_nonce):
            return
        for used in [item.id for nonce, item in queue.by_nonce.items() if nonce < (next_nonce or 0)]:
            self.remove(used)
        self._count(queue, -1)
        queue.follow(next_nonce)
        self._count(queue, 1)

    def _release(self, actor: bytes) -> None:
        if self._held_up.pop(actor, None) is not None:
            self._mark(actor, is_held_up=False)

    def _mark(self, actor: bytes, *, is_held_up: bool) -> None:
        queue = self._by_actor.get(actor)
        if queue is not None:
            self._count(queue, -1)
            queue.is_held_up = is_held_up
            self._count(queue, 1)

    def _count(self, queue: Queue, sign: int) -> None:
        self._note(queue, sign * len(queue), sign * queue.ready)

    def _note(self, queue: Queue, more: int, more_ready: int) -> None:
        """So many more wait in a queue, of which so many are ready; or fewer."""
        self.early += more - more_ready
        if queue.is_strangers:
            self.strangers += more
        elif not queue.is_held_up:
            self.expected += more_ready
