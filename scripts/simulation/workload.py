"""Clients: what they sign, what is not valid, and what they were promised.

**The promise.**  A node that answered a transaction with "accepted" and does not lose its memory afterwards sees to
it that the transaction becomes final, if it can be executed and everything that its actor signed before it was
promised, too.  After a crash, or without an answer, the client does not know: it offers the same bytes again, which
is always harmless.  In the end nothing promised may wait that the chain would take; and where no rule can stand
against what honest clients offered, all of it must be final, without any of them signing twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import takewhile
from typing import Protocol

from chain.base.errors import Disposition, Refused
from chain.branches.blockchain import Blockchain
from chain.content.actions import Enrol, Rate
from chain.content.transactions import VerifiedTransaction
from chain.protocol.mempool import MAX_AGE_BLOCKS
from chain.register import registry
from scripts.simulation.clients import refusal_of
from scripts.simulation.council import Council, Quiet
from scripts.simulation.node import SimulatedNode
from scripts.simulation.offices import Offices
from scripts.simulation.ratings import FIRST_MEMBER, Invented, Member, Recorded
from scripts.simulation.rules import RATING
from scripts.simulation.settings import Violation
from scripts.simulation.world import World, secret

VANDALS = 4


class Traffic(Protocol):
    """What honest clients want recorded.  If it ``is_firm``, no rule can ever stand against any of it."""

    is_firm: bool

    def draw(self, node: SimulatedNode) -> VerifiedTransaction | None:
        """The next transaction, by a client of ``node``, if there is one."""

    def at_end(self) -> list[VerifiedTransaction]:
        """What they sign once all faults are over; it holds something new."""


TRAFFIC: dict[str, Callable[[World], Traffic]] = {
    "ratings": Invented,
    "recorded": Recorded,
    "registry": Offices,
    "council": Council,
    "quiet": Quiet,
}


@dataclass(slots=True)
class Offer:
    """A transaction of an honest client and who promised what: the node, its generation, the height and slot then."""

    transaction: VerifiedTransaction
    node: str = ""
    generation: int = -1
    height: int = 0
    slot: int = 0


class Workload:
    """All clients of a world."""

    def __init__(self, world: World, traffic: str) -> None:
        self.world = world
        self.refused = 0
        self._traffic: Traffic = TRAFFIC[traffic](world)
        self._vandals = [Member(world, 2_000 + number) for number in range(VANDALS)]
        self._offers: dict[bytes, Offer] = {}

    def offer(self, number: int, count: int) -> None:
        """Honest clients offer so many transactions to a running node."""
        for _ in range(count):
            up = self._up()  # one may die of what it was offered, or of what it reads for that
            if up:
                node = up[number % len(up)]
                self._offer(node, self._traffic.draw(node))

    def do_mischief(self) -> None:
        """Somebody offers what is not valid."""
        random, up = self.world.random, self._up()
        for transaction in self._invalid(random.choice(self._vandals)) if up else ():
            random.choice(up).submit((transaction,))

    def on_answered(
        self, node: SimulatedNode, transactions: tuple[VerifiedTransaction, ...], outcomes: tuple[Refused | None, ...]
    ) -> None:
        """A node answered."""
        for transaction, outcome in zip(transactions, outcomes, strict=True):
            offer = self._offers.get(transaction.id)
            if outcome is not None:
                self.refused += 1
                self.world.timeline.trace(node.name, outcome.reason.code)
            elif offer is not None:
                height = node.engine.chain.head.header.height
                offer.node, offer.generation = node.name, node.generation
                offer.height, offer.slot = height, self.world.slot

    def offer_last(self, node: SimulatedNode) -> None:
        """What clients offer once all faults are over."""
        for transaction in self._traffic.at_end():
            self._offer(node, transaction)

    def offer_again(self, node: SimulatedNode) -> None:
        """Clients offer again, each in its order, what nobody promised."""
        waiting: set[bytes] = set()
        for offer in self._open():
            actor = offer.transaction.actor
            if actor in waiting or not self._is_promised(offer):
                waiting.add(actor)
                node.submit((offer.transaction,))

    def lost(self) -> list[Offer]:
        """What is not final yet, but should be in the end."""
        if self._traffic.is_firm:
            return self._open()
        node = self.world.honest[0]
        return [
            offer for offer in self._open() if self._is_promised(offer) and refusal_of(node, offer.transaction) is None
        ]

    @property
    def is_waiting(self) -> bool:
        """Whether something that was promised is not final, though it could be or a block holds it already."""
        node = self.world.honest[0]
        final_height = node.engine.chain.finalized.height
        newest = takewhile(lambda block: block.header.height > final_height, node.newest_blocks())
        held = {item.id for block in newest for item in block.transactions}
        promised = (offer.transaction for offer in self._open() if self._is_promised(offer))
        return any(item.id in held or refusal_of(node, item) is None for item in promised)

    def check_nothing_lost(self) -> None:
        """Raises :class:`Violation` where something is.

        Not for what the chain has ruled out meanwhile, nor for one of several that a client signed with one nonce, as
        the chain looked different to it.
        """
        signed = Counter((offer.transaction.actor, offer.transaction.nonce) for offer in self._offers.values())
        alone = [offer for offer in self.lost() if signed[offer.transaction.actor, offer.transaction.nonce] == 1]
        lost = [offer for offer in alone if not self._was_ruled_out(offer)]
        if lost:
            first = lost[0]
            promise = f"{first.node} promised it at height {first.height}" if first.node else "nobody promised it"
            raise Violation(
                f"{len(lost)} of {len(self._offers)} transactions are lost; the first is "
                f"{first.transaction.kind} {first.transaction.id.hex()[:8]}, nonce {first.transaction.nonce}; {promise}"
            )

    @property
    def count(self) -> int:
        """How many transactions honest clients signed."""
        return len(self._offers)

    def _up(self) -> list[SimulatedNode]:
        return [node for node in self.world.honest if node.is_up]

    def _open(self) -> list[Offer]:
        final = self.world.checks.final_transactions
        return [offer for key, offer in self._offers.items() if key not in final]

    def _was_ruled_out(self, offer: Offer) -> bool:
        """Whether the final chain, since the promise, once seemed to rule it out for ever: then nodes drop it."""
        node, chain = self.world.honest[0], Blockchain(self.world.genesis)
        for height in range(1, node.engine.chain.finalized.height + 1):
            block = node.disk.main[height]
            # The branch on which it was promised may have lost, also to one with fewer blocks.
            moments = range(len(block.transactions) + 1 if block.header.slot >= offer.slot else 0)
            if any(_rules_out(chain, block.transactions[:count], offer) for count in moments):
                return True
            chain.add(block, arrived_in_slot=True)
        return False

    def _is_promised(self, offer: Offer) -> bool:
        if not offer.node:
            return False
        node = self.world.by_name[offer.node]
        age = node.engine.chain.head.header.height - offer.height
        return node.is_up and node.generation == offer.generation and age < MAX_AGE_BLOCKS // 2

    def _offer(self, node: SimulatedNode, transaction: VerifiedTransaction | None) -> None:
        if transaction is None:
            return
        self._offers.setdefault(transaction.id, Offer(transaction))
        if node.is_up:  # else it died of what came before
            node.submit((transaction,))

    def _invalid(self, vandal: Member) -> list[VerifiedTransaction]:
        """What must never enter a block, or only one of which may."""
        random, other = self.world.random, secret(FIRST_MEMBER).public
        nonce = random.randint(0, 3)
        match random.randrange(7):
            case 0:
                return [vandal.sign(Rate(vandal.key.public, RATING, 5), nonce=nonce)]  # rates itself
            case 1:
                return [vandal.sign(Rate(other, 77, 5), nonce=nonce)]  # of no category
            case 2:
                return [vandal.sign(Rate(other, RATING, 11), nonce=nonce)]  # out of range
            case 3:
                return [vandal.sign(Rate(other, RATING, 1), nonce=5_000)]  # far ahead of its turn
            case 4:
                return [vandal.sign(Rate(other, RATING, 1), nonce=nonce, expiry=1)]  # too late
            case 5:
                stranger = secret(9_000 + random.randrange(1_000)).public
                return [vandal.sign(Rate(stranger, RATING, 1), nonce=nonce)]  # about nobody
            case _:  # two versions of one nonce, one for each of two nodes
                return [vandal.sign(Rate(other, RATING, points), nonce=nonce) for points in (-9, 9)] + [
                    vandal.sign(Enrol(), nonce=0)
                ]


def _rules_out(chain: Blockchain, before: Iterable[VerifiedTransaction], offer: Offer) -> bool:
    """Whether the block after the head could not hold it after these, nor any later one."""
    draft = chain.ledger.draft(chain.head.header.slot + 1, chain.electorate)
    for transaction in before:
        registry.apply(draft, transaction)
    try:
        registry.apply(draft, offer.transaction)
    except Refused as refusal:
        return refusal.reason.disposition is not Disposition.LATER
    return False
