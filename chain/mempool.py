"""The mempool: verified transactions that wait for a block, bounded in every direction.

Order is order of arrival; an actor's transactions are taken in the order of their nonces.  The pool knows
nonces and expiry, not the other rules: those are tried when a block is built, since a transaction may become
valid by what stands before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from chain.codec import U64_MAX
from chain.errors import Reason, Refused
from chain.transactions import Consent, Enrol, Recover, VerifiedTransaction

# Twenty seconds of the fastest sustained rate that one machine's four validators reach.
MAX_TRANSACTIONS = 40_000
MAX_BYTES = 16_000_000
# Room for one busy actor, far from room for all.
MAX_PER_ACTOR = 2_048
# Keys cost nothing before they are enrolled: together they fill at most half of the pool.
MAX_FROM_STRANGERS = MAX_TRANSACTIONS // 2
# What no block took for so long (a full pool empties in about 20) makes room; its sender can offer it again.
MAX_AGE_BLOCKS = 256
# What is set aside until the block that rules it out is final: a few blocks' worth of what conflicts with them.
MAX_ASIDE = 4_096

NextNonce = Callable[[bytes], int | None]


class Mempool:
    """``next_nonce`` tells the nonce that an actor's next transaction carries at the head; None for a stranger.

    ``arrivals`` counts everything that was ever taken.
    """

    def __init__(self, next_nonce: NextNonce, max_expiry_blocks: int = U64_MAX) -> None:
        self._next_nonce = next_nonce
        self._max_expiry_blocks = max_expiry_blocks
        self._taken_at: dict[bytes, int] = {}
        self.arrivals = 0
        self._by_id: dict[bytes, VerifiedTransaction] = {}
        self._by_actor: dict[bytes, dict[int, VerifiedTransaction]] = {}
        self._strangers: set[bytes] = set()
        self._stranger_count = 0
        self._claimed: dict[bytes, None] = {}
        self._aside: dict[bytes, tuple[int, VerifiedTransaction, bool]] = {}
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, transaction_id: bytes) -> bool:
        return transaction_id in self._by_id

    def __iter__(self) -> Iterator[VerifiedTransaction]:
        return iter(self._by_id.values())

    def get(self, transaction_id: bytes) -> VerifiedTransaction | None:
        """The waiting transaction with this id."""
        return self._by_id.get(transaction_id)

    def next_free(self, actor: bytes) -> int:
        """The first nonce of ``actor`` that neither the chain nor this pool has used."""
        queue = self._by_actor.get(actor, {})
        nonce = self._next_nonce(actor) or 0
        while nonce in queue:
            nonce += 1
        return nonce

    def of(self, actor: bytes) -> list[VerifiedTransaction]:
        """What waits of one actor, in the order of nonces."""
        queue = self._by_actor.get(actor, {})
        return [queue[nonce] for nonce in sorted(queue)]

    def ahead_of(self, transaction: VerifiedTransaction, limit: int) -> list[VerifiedTransaction]:
        """What waits of the same actor and has to come first, in the order of nonces, at most ``limit``."""
        queue = self._by_actor.get(transaction.actor, {})
        return [queue[nonce] for nonce in sorted(queue) if nonce < transaction.nonce][:limit]

    def rival_of(self, transaction: VerifiedTransaction) -> VerifiedTransaction | None:
        """Another transaction of the same actor that waits with the same nonce."""
        rival = self._by_actor.get(transaction.actor, {}).get(transaction.nonce)
        return None if rival is None or rival.id == transaction.id else rival

    def add(self, transaction: VerifiedTransaction, height: int, *, is_back: bool = False) -> None:
        """Take a transaction that can enter the block at ``height`` or later.  Raises :class:`Refused`.

        One that ``is_back`` from an abandoned block finds twice the room, and may wait for what made its key known:
        that is back as well.
        """
        room = 2 if is_back else 1
        if transaction.id in self._by_id:
            raise Refused(Reason.DUPLICATE, "already waiting")
        if transaction.expiry_height < height:
            raise Refused(Reason.EXPIRED, f"expired at height {transaction.expiry_height}")
        if transaction.expiry_height > height + self._max_expiry_blocks:
            raise Refused(Reason.EXPIRY_TOO_FAR, f"more than {self._max_expiry_blocks} blocks ahead")
        next_nonce = self._next_nonce(transaction.actor)
        self._classify(transaction.actor, is_stranger=next_nonce is None)
        if transaction.nonce < (next_nonce or 0):
            raise Refused(Reason.NONCE_USED, f"nonce {transaction.nonce} where {next_nonce} is next")
        makes_known = isinstance(transaction.action, Enrol | Consent | Recover)
        if next_nonce is None and transaction.nonce == 0 and not (makes_known or is_back):
            raise Refused(Reason.NOT_ENROLLED, "the first transaction of a key is its enrolment")
        queue = self._by_actor.get(transaction.actor)
        if queue is not None:
            if transaction.nonce in queue:
                raise Refused(Reason.NONCE_TAKEN, f"another transaction waits with nonce {transaction.nonce}")
            if len(queue) >= MAX_PER_ACTOR:
                raise Refused(Reason.ACTOR_QUOTA, f"{MAX_PER_ACTOR} transactions of this actor wait")
        if transaction.nonce >= (next_nonce or 0) + MAX_PER_ACTOR:
            raise Refused(Reason.NONCE_GAP, f"nonce {transaction.nonce} where {next_nonce or 0} is next")
        if len(self._by_id) >= room * MAX_TRANSACTIONS or self.bytes + len(transaction.raw) > room * MAX_BYTES:
            raise Refused(Reason.POOL_FULL, f"{len(self._by_id)} transactions wait; submit again later")
        if next_nonce is None and self._stranger_count >= room * MAX_FROM_STRANGERS:
            raise Refused(Reason.POOL_FULL, "too many keys wait to enrol; submit again later")
        self._insert(transaction, height, is_stranger=next_nonce is None)

    def restore(self, transactions: Iterable[VerifiedTransaction], height: int) -> None:
        """Take back the transactions of an abandoned block, also into a full pool: they were accepted before."""
        for transaction in transactions:
            try:
                self.add(transaction, height, is_back=True)
            except Refused:
                continue

    def discard(self, transactions: Iterable[VerifiedTransaction]) -> None:
        """A block holds these: drop them and whatever they made impossible."""
        if not self._by_id:
            return
        actors = set()
        for transaction in transactions:
            actors.add(transaction.actor)
            self.remove(transaction.id)
        for actor in actors & self._by_actor.keys():  # of most nothing waits any more
            next_nonce = self._next_nonce(actor)
            self._classify(actor, is_stranger=next_nonce is None)
            queue = self._by_actor[actor]
            if next_nonce is not None:
                for nonce in [nonce for nonce in queue if nonce < next_nonce]:
                    self.remove(queue[nonce].id)

    def expire(self, height: int) -> None:
        """Drop what cannot enter a block at ``height`` or later, and what no block took for very long."""
        oldest = height - MAX_AGE_BLOCKS
        taken_at = self._taken_at
        for transaction in [item for item in self if item.expiry_height < height or taken_at[item.id] < oldest]:
            self.remove(transaction.id)

    def remove(self, transaction_id: bytes) -> None:
        """Drop one transaction, if it is here."""
        transaction = self._by_id.pop(transaction_id, None)
        if transaction is None:
            return
        del self._taken_at[transaction_id]
        self._claimed.pop(transaction_id, None)
        self.bytes -= len(transaction.raw)
        queue = self._by_actor[transaction.actor]
        del queue[transaction.nonce]
        if transaction.actor in self._strangers:
            self._stranger_count -= 1
        if not queue:
            del self._by_actor[transaction.actor]
            self._strangers.discard(transaction.actor)

    def set_aside(self, transaction: VerifiedTransaction, height: int) -> None:
        """Drop what waits and no block after the one at ``height`` can hold; it comes back where that block loses."""
        if transaction.id not in self._by_id:
            return
        self._aside[transaction.id] = height, transaction, transaction.id in self._claimed
        while len(self._aside) > MAX_ASIDE:
            del self._aside[next(iter(self._aside))]
        self.remove(transaction.id)

    def bring_back(self, height: int) -> None:
        """Blocks were abandoned: what they ruled out may enter the one at ``height``, or a later one."""
        aside, self._aside = self._aside, {}
        for _, transaction, is_claimed in aside.values():
            self.restore((transaction,), height)
            if is_claimed:
                self.claim((transaction,))

    def forget_aside(self, final_height: int) -> None:
        """What blocks up to here ruled out is out for good."""
        self._aside = {key: item for key, item in self._aside.items() if item[0] > final_height}

    def claim(self, transactions: Iterable[VerifiedTransaction]) -> None:
        """Those of these that wait here are this node's to offer again, until a block holds them."""
        self._claimed.update((item.id, None) for item in transactions if item.id in self._by_id)

    def claimed(self, limit: int) -> tuple[VerifiedTransaction, ...]:
        """What this node has to offer again, the oldest claims first, at most ``limit``."""
        return tuple(self._by_id[key] for key in islice(self._claimed, limit))

    def candidates(self) -> Iterator[VerifiedTransaction]:
        """What a block may hold: in order of arrival, but each actor's in order of its nonces without a gap."""
        cursor: dict[bytes, int] = {}
        skipped: set[bytes] = set()
        for transaction in list(self._by_id.values()):
            actor = transaction.actor
            nonce = cursor.get(actor)
            if nonce is None:
                nonce = self._next_nonce(actor) or 0
            if transaction.nonce == nonce:
                yield transaction
                nonce += 1
                queue = self._by_actor[actor]
                while (follower := queue.get(nonce)) is not None and follower.id in skipped:
                    yield follower
                    nonce += 1
            else:
                skipped.add(transaction.id)
            cursor[actor] = nonce

    def _classify(self, actor: bytes, *, is_stranger: bool) -> None:
        """Note that an actor enrolled, or that a reorg took its enrolment back."""
        count = len(self._by_actor.get(actor, ()))
        if is_stranger and count and actor not in self._strangers:
            self._strangers.add(actor)
            self._stranger_count += count
        elif not is_stranger and actor in self._strangers:
            self._strangers.discard(actor)
            self._stranger_count -= count

    def _insert(self, transaction: VerifiedTransaction, height: int, *, is_stranger: bool) -> None:
        self.arrivals += 1
        self._taken_at[transaction.id] = height
        self._by_id[transaction.id] = transaction
        self._by_actor.setdefault(transaction.actor, {})[transaction.nonce] = transaction
        self.bytes += len(transaction.raw)
        if is_stranger:
            self._strangers.add(transaction.actor)
            self._stranger_count += 1
