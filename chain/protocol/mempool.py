"""The mempool: verified transactions that wait for a block, bounded in every direction.

Order is order of arrival, and what comes back comes first; an actor's transactions are taken in the order of their
nonces.  The pool knows nonces and expiry, not the other rules: those are tried when a block is built, since a
transaction may become valid by what stands before it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from chain.base.codec import U64_MAX
from chain.base.errors import Reason, Refused
from chain.content.actions import Consent, Enrol, Recover
from chain.content.kinds import MAX_TRANSACTION_BYTES
from chain.content.transactions import VerifiedTransaction
from chain.protocol.aside import Aside
from chain.protocol.queues import Queues

# Twenty seconds of the fastest sustained rate that one machine's four validators reach.
MAX_TRANSACTIONS = 40_000
MAX_BYTES = 16_000_000
# What is early is counted apart, since it takes no room in a block, and what it waits for may never come: half the pool
# at most, so that clients have the time to see that something was lost, and to offer it again.
# Where many wait for what was lost, the farthest from their turn leave, once a block: else what is offered again in
# batches that overtake each other would be turned away as often, and nothing would move any more.
MAX_EARLY = MAX_TRANSACTIONS // 2
# Whoever took it from its client keeps it longer, and offers it again before that.
MAX_EARLY_BLOCKS = 32
# Keys cost nothing before they are enrolled: together they fill at most half of the pool.
MAX_FROM_STRANGERS = MAX_TRANSACTIONS // 2
# What no block took for so long (a full pool empties in about 20) makes room; its sender can offer it again.
MAX_AGE_BLOCKS = 256
# What this node promised to offer keeps its place though no block takes it: so much of what is early, and so much of
# those who are held up.  With half a pool of strangers, a quarter is left for all others.
MAX_PROMISED = MAX_TRANSACTIONS // 8
MAX_PROMISED_BYTES = MAX_BYTES // 8

NextNonce = Callable[[bytes], int | None]


def too_many_strangers() -> Refused:
    """What a key is told that did not enrol yet, where there is no room for more of those."""
    return Refused(Reason.POOL_FULL, "too many keys wait to enrol; submit again later")


class Mempool:
    """``next_nonce`` tells the nonce that an actor's next transaction carries at the head; None for a stranger.

    ``arrivals`` counts everything that was ever taken, ``claims`` what was claimed of it.
    """

    def __init__(self, next_nonce: NextNonce, max_expiry_blocks: int = U64_MAX) -> None:
        self._next_nonce = next_nonce
        self._max_expiry_blocks = max_expiry_blocks
        self._taken_at: dict[bytes, int] = {}
        self.arrivals = self.claims = 0
        self._by_id: OrderedDict[bytes, VerifiedTransaction] = OrderedDict()
        self._queues = Queues(MAX_TRANSACTIONS)
        self._claimed: dict[bytes, int] = {}
        self._aside = Aside()
        self.bytes = 0
        self._thinned_at = -1

    @property
    def ready(self) -> int:
        """How many the next blocks can hold, as far as nonces tell."""
        return len(self) - self.early

    @property
    def early(self) -> int:
        """How many wait for one before them, which is not here."""
        return self._queues.early

    @property
    def strangers(self) -> int:
        """How many that the next blocks take are of keys that did not enrol yet, as far as nonces tell."""
        return self._queues.strangers

    @property
    def expected(self) -> int:
        """How many are ready, of members who are not held up: what the next blocks take."""
        return self._queues.expected

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, transaction_id: bytes) -> bool:
        return transaction_id in self._by_id

    def __iter__(self) -> Iterator[VerifiedTransaction]:
        return iter(self._by_id.values())

    @property
    def actors(self) -> list[bytes]:
        """Of whom something waits."""
        return self._queues.actors

    def get(self, transaction_id: bytes) -> VerifiedTransaction | None:
        """The waiting transaction with this id."""
        return self._by_id.get(transaction_id)

    def next_free(self, actor: bytes) -> int:
        """The first nonce of ``actor`` that neither the chain nor this pool has used."""
        end = self._queues.end(actor)
        return end if end is not None else self._next_nonce(actor) or 0

    def of(self, actor: bytes) -> list[VerifiedTransaction]:
        """What waits of one actor, in the order of nonces."""
        return self._queues.of(actor)

    def is_held_up(self, actor: bytes) -> bool:
        """Whether a block refused what this actor wrote next."""
        return self._queues.is_held_up(actor)

    def ahead_of(self, transaction: VerifiedTransaction, limit: int, since: int = 0) -> list[VerifiedTransaction]:
        """What waits of the same actor and has to come first, in the order of nonces, at most ``limit``.

        What comes before ``since`` is left out; so is what waits behind a gap, as no block can hold it.
        """
        return self._queues.ready_of(transaction.actor, since, transaction.nonce, limit)

    def rival_of(self, transaction: VerifiedTransaction) -> VerifiedTransaction | None:
        """Another transaction of the same actor that waits with the same nonce."""
        rival = self._queues.get(transaction.actor, transaction.nonce)
        return None if rival is None or rival.id == transaction.id else rival

    def add(
        self, transaction: VerifiedTransaction, height: int, *, is_back: bool = False, is_put_off: bool = False
    ) -> None:
        """Take a transaction that can enter the block at ``height`` or later.  Raises :class:`Refused`.

        One that ``is_back`` from an abandoned block finds twice the room, and may wait for what made its key known:
        that is back as well.  One that ``is_put_off`` is what the block at ``height`` would refuse: its actor is held
        up from the beginning.
        """
        if transaction.id in self._by_id:
            raise Refused(Reason.DUPLICATE, "already waiting")
        if transaction.expiry_height < height:
            raise Refused(Reason.EXPIRED, f"expired at height {transaction.expiry_height}")
        if transaction.expiry_height > height + self._max_expiry_blocks:
            raise Refused(Reason.EXPIRY_TOO_FAR, f"more than {self._max_expiry_blocks} blocks ahead")
        next_nonce = self._follow(transaction.actor, height - 1)
        if transaction.nonce < (next_nonce or 0):
            raise Refused(Reason.NONCE_USED, f"nonce {transaction.nonce} where {next_nonce} is next")
        is_first = next_nonce is None and transaction.nonce == 0
        if is_first and not (is_back or isinstance(transaction.action, Enrol | Consent | Recover)):
            raise Refused(Reason.NOT_ENROLLED, "the first transaction of a key is its enrolment")
        self._queues.check(transaction, next_nonce)
        room = 2 if is_back else 1
        if is_put_off or self.is_held_up(transaction.actor):
            if len(self) >= MAX_TRANSACTIONS // 2 and not is_back:
                raise Refused(Reason.POOL_FULL, "what this actor wrote next enters no block yet; submit again later")
        elif next_nonce is None:
            self._check_strangers(transaction, room)
        self._check_room(transaction, height, room)
        self._insert(transaction, height, next_nonce)
        if is_put_off:
            self._queues.hold_up((transaction.actor,), height)

    def _check_strangers(self, transaction: VerifiedTransaction, room: int) -> None:
        """Refuse a stranger's where too many wait."""
        # What waits for an enrolment that may never come takes no room from those that did.
        beside = 0 if self._is_next(transaction) else self.early
        if self.strangers + beside >= room * MAX_FROM_STRANGERS:
            raise too_many_strangers()

    def _check_room(self, transaction: VerifiedTransaction, height: int, room: int) -> None:
        """Refuse what there is too much of; what is early may find room in the place of what is farther."""
        is_full = len(self) >= room * MAX_TRANSACTIONS or self.bytes + len(transaction.raw) > room * MAX_BYTES
        if is_full and not (self._is_next(transaction) and self._thin_out(height)):
            raise Refused(Reason.POOL_FULL, f"{len(self)} transactions wait; submit again later")
        if self.early >= room * MAX_EARLY and not (self._is_next(transaction) or self._thin_out(height)):
            raise Refused(Reason.POOL_FULL, "too many wait for what was sent before them; submit again in order")

    def restore(self, transactions: Iterable[VerifiedTransaction], height: int) -> None:
        """Take back the transactions of abandoned blocks, also into a full pool: they were accepted before.

        They may enter the block at ``height``, or a later one, and are this node's to offer from now on; what those up
        to there rule out is set aside.  They come before all that waits: some of that may build on them.
        """
        back: list[VerifiedTransaction] = []
        for transaction in transactions:
            try:
                self.add(transaction, height, is_back=True)
                back.append(transaction)
            except Refused as refusal:  # it waits already, or another in its place, or this branch rules it out as well
                self._follow(transaction.actor, height - 1)
                self._put_aside(transaction, None if refusal.reason is Reason.NONCE_TAKEN else height - 1)
            self.claim((transaction,))
        for transaction in reversed(back):
            if transaction.id in self:  # it may have left for what came back after it
                self._by_id.move_to_end(transaction.id, last=False)

    def discard(self, transactions: Iterable[VerifiedTransaction], height: int) -> None:
        """The block at ``height`` holds these: drop them and whatever waited with a nonce that they used.

        What was promised of the latter is set aside: that block may lose.
        """
        actors: dict[bytes, None] = {}
        for transaction in transactions:
            actors[transaction.actor] = None
            self.remove(transaction.id)
            self._aside.drop(transaction)
        self._queues.release(actors)
        for actor in actors:
            if actor in self._queues:  # of most nothing waits any more
                self._follow(actor, height)

    def follow(self, actors: Iterable[bytes], height: int) -> None:
        """The chain itself took the accounts of these, or gave them back; its head is at ``height``."""
        for actor in actors:
            self._follow(actor, height)

    def expire(self, height: int) -> None:
        """Drop what cannot enter a block at ``height`` or later, and what no block took for very long."""
        for transaction in [item for item in self if self._is_stale(item, height)]:
            if transaction.expiry_height < height:
                self.set_aside(transaction, height - 1)
            self.remove(transaction.id)
        self._queues.release_old(height)

    def _is_stale(self, transaction: VerifiedTransaction, height: int) -> bool:
        is_another = self._queues.is_early(transaction) and transaction.id not in self._claimed
        oldest = height - (MAX_EARLY_BLOCKS if is_another else MAX_AGE_BLOCKS)
        return transaction.expiry_height < height or self._taken_at[transaction.id] < oldest

    def remove(self, transaction_id: bytes) -> None:
        """Drop one transaction, if it is here."""
        transaction = self._by_id.get(transaction_id)
        if transaction is not None:
            self._queues.drop(transaction)
            self._forget(transaction)

    def set_aside(self, transaction: VerifiedTransaction, height: int) -> None:
        """Drop what waits and the block at ``height`` ruled out; what was promised of it comes back where that loses.

        Its actor stays held up: what it sends in its place is as likely as not of the same kind.
        """
        if transaction.id in self._claimed:
            self._put_aside(transaction, height)
        self.remove(transaction.id)

    def bring_back(self, height: int) -> None:
        """Blocks were abandoned: what they ruled out may enter the one at ``height``, or a later one.

        Before :meth:`restore`, so that what was promised here comes before what took its nonce there.
        """
        self.restore(self._aside.take(), height)

    def became_final(self, final_height: int, height: int) -> None:
        """What blocks up to ``final_height`` ruled out is out for good.

        What is set aside since another waited with its nonce, and that one is gone, may enter the block at ``height``.
        """
        self._aside.forget(final_height)
        self.restore(self._aside.take_displaced(), height)

    @property
    def is_full(self) -> bool:
        """Whether there is hardly room for one more."""
        return len(self) >= MAX_TRANSACTIONS or self.bytes > MAX_BYTES - MAX_TRANSACTION_BYTES

    def suspects(self) -> list[VerifiedTransaction]:
        """Some of what is next, to be tried where too much waits; whom no block would take is held up."""
        return self._queues.suspects()

    def hold_up(self, actors: Iterable[bytes], height: int) -> None:
        """The block at ``height`` would refuse the next transaction of each of these."""
        self._queues.hold_up(actors, height)

    def clear_held_up(self) -> None:
        """What waits of those who are held up leaves, but for what was promised, if that is not too much."""
        self._keep(self._queues.of_held_up(), 0)

    def claim(self, transactions: Iterable[VerifiedTransaction]) -> None:
        """Those of these that wait here are this node's to offer again, until a block holds them."""
        for item in transactions:
            if item.id in self._by_id and item.id not in self._claimed:
                self.claims += 1
                self._claimed[item.id] = self.claims

    def claimed(self, limit: int) -> tuple[VerifiedTransaction, ...]:
        """What this node has to offer again, the oldest claims first, at most ``limit``."""
        return tuple(self._by_id[key] for key in islice(self._claimed, limit))

    def promised(self) -> tuple[VerifiedTransaction, ...]:
        """What this node has to offer again, and then what it set aside; at most as much as a pool is to hold."""
        kept: list[VerifiedTransaction] = []
        size = 0
        for transaction in (*self.claimed(MAX_TRANSACTIONS), *self._aside):
            size += len(transaction.raw)
            if len(kept) == MAX_TRANSACTIONS or size > 2 * MAX_BYTES:
                break
            kept.append(transaction)
        return tuple(kept)

    def overdue(self, claims: int, limit: int) -> tuple[VerifiedTransaction, ...]:
        """The same of the first so many :attr:`claims`, but for what is early or held up: a block could hold it."""
        oldest = (self._by_id[key] for key, number in self._claimed.items() if number <= claims)
        able = (item for item in oldest if not (self._queues.is_early(item) or self.is_held_up(item.actor)))
        return tuple(islice(able, limit))

    def candidates(self) -> Iterator[VerifiedTransaction]:
        """What a block may hold: in order of arrival, but each actor's in order of its nonces without a gap.

        What waits of those who are held up comes last, first of those who were tried the longest ago.
        """
        return self._queues.in_turn(list(self))

    def _insert(self, transaction: VerifiedTransaction, height: int, next_nonce: int | None) -> None:
        self.arrivals += 1
        self._taken_at[transaction.id] = height
        self._by_id[transaction.id] = transaction
        self.bytes += len(transaction.raw)
        self._queues.put(transaction, next_nonce)

    def _is_next(self, transaction: VerifiedTransaction) -> bool:
        """Whether one that does not wait yet would not be early."""
        return transaction.nonce == self.next_free(transaction.actor)

    def _thin_out(self, height: int) -> bool:
        """Of what is early the farther half leaves, but for what was promised, if that is not too much; once a block.

        Whether any left.
        """
        if self._thinned_at == height:
            return False
        self._thinned_at = height
        early = self._queues.early_ones()
        return self._keep(early, sum(item.id not in self._claimed for item in early) // 2)

    def _keep(self, waiting: Iterable[VerifiedTransaction], others: int) -> bool:
        """Of these, the nearest to their turn first, keep what was promised, and so many others.

        What was promised beyond :data:`MAX_PROMISED` leaves as well: else whoever has a client's way to this node could
        fill it with what no block takes.  Whether any left.
        """
        gone: list[bytes] = []
        promised = size = 0
        for transaction in waiting:
            if transaction.id in self._claimed:
                promised += 1
                size += len(transaction.raw)
                leaves = promised > MAX_PROMISED or size > MAX_PROMISED_BYTES
            else:
                others -= 1
                leaves = others < 0
            if leaves:
                gone.append(transaction.id)
        for key in gone:
            self.remove(key)
        return bool(gone)

    def _follow(self, actor: bytes, height: int) -> int | None:
        """Let what waits of an actor follow the head, the block at ``height``; returns its next nonce there."""
        next_nonce = self._next_nonce(actor)
        for used in self._queues.follow(actor, next_nonce):
            if used.id in self._claimed:
                self._put_aside(used, height)
            self._forget(used)
        return next_nonce

    def _put_aside(self, transaction: VerifiedTransaction, height: int | None) -> None:
        self._aside.put(transaction, height, is_strangers=self._next_nonce(transaction.actor) is None)

    def _forget(self, transaction: VerifiedTransaction) -> None:
        """What has left its queue is here no longer."""
        del self._by_id[transaction.id]
        del self._taken_at[transaction.id]
        self._claimed.pop(transaction.id, None)
        self.bytes -= len(transaction.raw)
