"""Clients: random traffic, or real ratings, and what is not valid; and what they were promised.

**The promise.**  A node that answered a transaction with "accepted" and does not lose its memory afterwards sees to
it that the transaction becomes final, if it can be executed and everything that its actor signed before it was
promised, too.  After a crash, or without an answer, the client does not know: it offers the same bytes again, which
is always harmless.  In the end everything offered by honest clients must be final, without any of them signing
twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from chain.errors import Refused
from chain.keys import SecretKey
from chain.mempool import MAX_AGE_BLOCKS
from chain.policy import RatingCategory
from chain.transactions import Action, Enrol, Rate, VerifiedTransaction, sign_transaction
from scripts.replay import SAMPLE, Rating, read_ratings
from scripts.simulation.node import Node
from scripts.simulation.settings import Violation
from scripts.simulation.world import World, secret

EXPIRY_HEIGHT = 50_000
CLIENTS = 8
VANDALS = 4
# Shares in a thousand, for each slot.
HONEST_TRAFFIC = 500
INVALID_TRAFFIC = 250

CATEGORY = 1
# The keys of the members of the real data: their numbers, counted from here.
FIRST_MEMBER = 100_000


@dataclass(slots=True)
class Offer:
    """A transaction of an honest client and who promised what: the node and its generation, the height then."""

    transaction: VerifiedTransaction
    node: str = ""
    generation: int = -1
    height: int = 0


class Client:
    """Somebody who signs transactions and counts nonces."""

    def __init__(self, world: World, number: int) -> None:
        self.key: SecretKey = secret(number)
        self.chain_id = world.genesis.id
        self.nonce = 0
        self.offers: list[Offer] = []

    def sign(self, action: Action, *, nonce: int | None = None, expiry: int = EXPIRY_HEIGHT) -> VerifiedTransaction:
        """The next transaction, or one with another nonce."""
        if nonce is None:
            nonce, self.nonce = self.nonce, self.nonce + 1
        return sign_transaction(self.key, self.chain_id, nonce, expiry, action)


class Workload:
    """All clients of a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.clients = [Client(world, 1_000 + number) for number in range(CLIENTS)]
        self.vandals = [Client(world, 2_000 + number) for number in range(VANDALS)]
        self.refused = 0
        self._offers: dict[bytes, Offer] = {}
        self._members: dict[int, Client] = {}
        self._traffic = world.random.choice([self._invented, self._recorded])()

    def each_slot(self) -> None:
        """Some traffic."""
        up = [node for node in self.world.honest if node.is_up]
        if not up:
            return
        if self.world.chance(HONEST_TRAFFIC):
            self._offer(self.world.random.choice(up))
        if self.world.chance(INVALID_TRAFFIC):
            vandal = self.world.random.choice(self.vandals)
            for transaction in self._invalid(vandal):
                self.world.random.choice(up).submit((transaction,))

    def on_answered(
        self, node: Node, transactions: tuple[VerifiedTransaction, ...], outcomes: tuple[Refused | None, ...]
    ) -> None:
        """A node answered."""
        for transaction, outcome in zip(transactions, outcomes, strict=True):
            offer = self._offers.get(transaction.id)
            if outcome is not None:
                self.refused += 1
                self.world.timeline.trace(node.name, outcome.reason.code)
            elif offer is not None:
                height = node.engine.chain.head.header.height
                offer.node, offer.generation, offer.height = node.name, node.generation, height

    def enrol_all(self, node: Node) -> None:
        """Whoever is rated must be enrolled in the end; and a newcomer, so that there is something new to record."""
        self.clients.append(Client(self.world, 1_000 + CLIENTS))
        for client in self.clients:
            if not client.nonce:
                self._submit(node, client, Enrol())

    def offer_again(self, node: Node) -> None:
        """Clients offer again, in order, what nobody promised."""
        for client in self.clients:
            is_promised = True
            for offer in client.offers:
                if offer.transaction.id in self.world.checks.final_transactions:
                    continue
                is_promised = is_promised and self._is_promised(offer)
                if not is_promised:
                    node.submit((offer.transaction,))

    def lost(self) -> list[Offer]:
        """What is not final yet."""
        final = self.world.checks.final_transactions
        return [offer for offer in self._offers.values() if offer.transaction.id not in final]

    def check_nothing_lost(self) -> None:
        """Raises :class:`Violation` where an honest client's transaction is not final."""
        lost = self.lost()
        if lost:
            first = lost[0]
            promise = f"{first.node} promised it at height {first.height}" if first.node else "nobody promised it"
            raise Violation(
                f"{len(lost)} of {len(self._offers)} transactions are lost; the first is "
                f"{first.transaction.id.hex()[:8]}, nonce {first.transaction.nonce}; {promise}"
            )

    @property
    def count(self) -> int:
        """How many transactions honest clients signed."""
        return len(self._offers)

    def _is_promised(self, offer: Offer) -> bool:
        if not offer.node:
            return False
        node = self.world.by_name[offer.node]
        age = node.engine.chain.head.header.height - offer.height
        return node.is_up and node.generation == offer.generation and age < MAX_AGE_BLOCKS // 2

    def _offer(self, node: Node) -> None:
        for _ in range(self.world.random.randint(1, 3)):
            client, action = next(self._traffic)
            self._submit(node, client, action)

    # What honest clients do: each is an endless source of actions and of those who sign them next.  Another kind of
    # transaction has its place in _invented, or is one more source.

    def _invented(self) -> Iterator[tuple[Client, Action]]:
        """Clients enrol and rate one another at random."""
        random = self.world.random
        while True:
            client = random.choice(self.clients)
            if not client.nonce:
                yield client, Enrol()
                continue
            subject = random.choice([other for other in self.clients if other is not client])
            yield client, Rate(subject.key.public, CATEGORY, random.randint(-10, 10))

    def _recorded(self) -> Iterator[tuple[Client, Action]]:
        """The shipped real ratings from some line on; whoever is new enrols first."""
        ratings = _sample(self.world.genesis.policy.ratings[CATEGORY])
        for rating in ratings[self.world.random.randrange(len(ratings)) :]:
            for number in rating[:2]:
                if number not in self._members:
                    self._members[number] = Client(self.world, FIRST_MEMBER + number)
                    self.clients.append(self._members[number])
                    yield self._members[number], Enrol()
            subject = self._members[rating.subject].key.public
            yield self._members[rating.rater], Rate(subject, CATEGORY, rating.points)
        yield from self._invented()

    def _submit(self, node: Node, client: Client, action: Action) -> None:
        transaction = client.sign(action)
        offer = Offer(transaction)
        client.offers.append(offer)
        self._offers[transaction.id] = offer
        if node.is_up:  # else it died of what came before
            node.submit((transaction,))

    def _invalid(self, vandal: Client) -> list[VerifiedTransaction]:
        """What must never enter a block, or only one of which may."""
        random, other = self.world.random, self.clients[0].key.public
        nonce = random.randint(0, 3)
        match random.randrange(7):
            case 0:
                return [vandal.sign(Rate(vandal.key.public, 1, 5), nonce=nonce)]  # rates itself
            case 1:
                return [vandal.sign(Rate(other, 77, 5), nonce=nonce)]  # of no category
            case 2:
                return [vandal.sign(Rate(other, 1, 11), nonce=nonce)]  # out of range
            case 3:
                return [vandal.sign(Rate(other, 1, 1), nonce=5_000)]  # far ahead of its turn
            case 4:
                return [vandal.sign(Rate(other, 1, 1), nonce=nonce, expiry=1)]  # too late
            case 5:
                stranger = secret(9_000 + random.randrange(1_000)).public
                return [vandal.sign(Rate(stranger, 1, 1), nonce=nonce)]  # about nobody
            case _:  # two versions of one nonce, one for each of two nodes
                return [vandal.sign(Rate(other, 1, points), nonce=nonce) for points in (-9, 9)] + [
                    vandal.sign(Enrol(), nonce=0)
                ]


@cache
def _sample(category: RatingCategory) -> list[Rating]:
    return read_ratings(SAMPLE, category)
