"""Traffic of members only: they enrol and rate one another.  All of it becomes final, whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from chain.base.keys import SecretKey
from chain.content.actions import Action, Enrol, Rate
from chain.content.policy import RatingCategory
from chain.content.transactions import VerifiedTransaction, sign_transaction
from scripts.ratings_file import Rating
from scripts.replay import SAMPLE, read_ratings
from scripts.simulation.node import SimulatedNode
from scripts.simulation.rules import RATING
from scripts.simulation.world import World, secret

EXPIRY_HEIGHT = 50_000
MEMBERS = 8
# The numbers of their keys are counted from here; the second is for members of the real data.
FIRST_MEMBER, FIRST_RECORDED = 1_000, 100_000


class Member:
    """Somebody who signs transactions and counts nonces."""

    def __init__(self, world: World, number: int) -> None:
        self.key: SecretKey = secret(number)
        self.chain_id = world.genesis.id
        self.nonce = 0

    def sign(self, action: Action, *, nonce: int | None = None, expiry: int = EXPIRY_HEIGHT) -> VerifiedTransaction:
        """The next transaction, or one with another nonce."""
        if nonce is None:
            nonce, self.nonce = self.nonce, self.nonce + 1
        return sign_transaction(self.key, self.chain_id, nonce, expiry, action)


class Invented:
    """Members enrol and rate one another at random."""

    is_firm = True

    def __init__(self, world: World) -> None:
        self.world = world
        self.members = [Member(world, FIRST_MEMBER + number) for number in range(MEMBERS)]
        self._source = self._draw()

    def draw(self, _node: SimulatedNode) -> VerifiedTransaction | None:
        """What somebody wants recorded next."""
        member, action = next(self._source)
        return member.sign(action)

    def at_end(self) -> list[VerifiedTransaction]:
        """Whoever is rated must be enrolled in the end; and a newcomer, so that there is something new to record."""
        newcomer = Member(self.world, FIRST_MEMBER + MEMBERS)
        return [member.sign(Enrol()) for member in (*self.members, newcomer) if not member.nonce]

    def _draw(self) -> Iterator[tuple[Member, Action]]:
        random = self.world.random
        while True:
            member = random.choice(self.members)
            if not member.nonce:
                yield member, Enrol()
                continue
            subject = random.choice([other for other in self.members if other is not member])
            yield member, Rate(subject.key.public, RATING, random.randint(-10, 10))


class Recorded(Invented):
    """The shipped real ratings from some line on; whoever is new enrols first."""

    def _draw(self) -> Iterator[tuple[Member, Action]]:
        known: dict[int, Member] = {}
        ratings = _sample(self.world.genesis.policy.ratings[RATING])
        for rating in ratings[self.world.random.randrange(len(ratings)) :]:
            for number in rating[:2]:
                if number not in known:
                    known[number] = Member(self.world, FIRST_RECORDED + number)
                    self.members.append(known[number])
                    yield known[number], Enrol()
            yield known[rating.rater], Rate(known[rating.subject].key.public, RATING, rating.points)
        yield from super()._draw()


@cache
def _sample(category: RatingCategory) -> list[Rating]:
    return read_ratings(SAMPLE, category)
