"""The story of a city's credit register, and that of any policy, told to a network in memory."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from chain.content.policy import Policy
from chain.protocol.trial import try_out
from scripts.municipal.audit import Audit, audit
from scripts.municipal.cast import Cast
from scripts.municipal.director import Director
from scripts.municipal.story import Story, rehearsal_policy
from scripts.tale import tale
from scripts.tale.company import Troupe
from scripts.tale.plots import rehearsed
from tests.support.homes import record, write_home
from tests.support.world import World, secret

# The story takes about 150; where motions lapse and are moved again, more.
SLOTS = 500


class Telling:
    """A story and a network in memory; ``director`` brings one onto the other."""

    director: Director

    def __init__(self, world: World) -> None:
        self.world = world
        self.told: list[str] = []
        self._late: frozenset[str] = frozenset()
        self._late_until = 0

    def turn(self) -> bool:
        """What a driver does in a slot: hand over what became final, submit what is asked for, to whom it likes."""
        host, slot = self.world.hosts[0], self.world.genesis.slot_at(self.world.now_ms)
        for height in range(self.director.paper.height + 1, host.final_height + 1):
            self.director.observe(host.disk.main[height])
        offers = self.director.offers()
        if slot < self._late_until:
            offers = [transaction for transaction in offers if transaction.kind not in self._late]
        self.world.submit(slot % len(self.director.cast.validators), offers)
        attempts, engine = self.director.attempts(), host.engine
        self.director.answered(attempts, try_out(engine.chain, engine.mempool, attempts, slot))
        return self.director.is_done

    def audit(self, index: int) -> Audit:
        """The state of one node at its head, compared with the paper."""
        host = self.world.hosts[index]
        return audit(self.world.genesis, host.disk.main, host.engine.chain.ledger.state, host.height)

    def assert_everybody_agrees(self, members: int) -> None:
        """Every node's state is what the paper says, and explains every score."""
        self.world.check_agreement()
        for index in range(len(self.world.hosts)):
            found = self.audit(index)
            assert (found.differences, found.faults) == ((), ())
            assert found.explained == found.members == members


class Tale(Telling):
    """Three validators, and the tale of a policy told to its end."""

    def __init__(self, policy: Policy) -> None:
        short = rehearsed(policy, 1_000).to_document()
        super().__init__(World(3, seed=2, batch=6, heartbeat_slots=1, policy=short))
        keys = [secret(number) for number in range(1, 4)]
        self.cast = Troupe(b"tale", keys, self.world.genesis.policy)
        self.director = Director(self.world.genesis, self.cast, self.told.append)
        self.director.begin(tale.Tale(self.director).chapters())
        self.world.run_until(self.turn, SLOTS)


class Rehearsal(Telling):
    """Four validators, an observer that is to become one, and the story told to its end.

    Transactions of the kinds in ``late`` reach nobody before slot ``late_until``, as on a machine that is too slow.
    All nodes are up ``outage_slots`` after the genesis.
    """

    def __init__(self, late: frozenset[str] = frozenset(), late_until: int = 0, outage_slots: int = 0) -> None:
        policy = rehearsal_policy(1_000).to_document()
        super().__init__(World(4, seed=2, batch=6, heartbeat_slots=1, policy=policy))
        self.disk = record(self.world.hosts[0])
        self.world.host(secret(5)).start()
        self.cast = Cast(b"rehearsal", [secret(number) for number in range(1, 5)], secret(5))
        self.director = Director(self.world.genesis, self.cast, self.told.append)
        self.director.begin(Story(self.director).chapters())
        self._late, self._late_until = late, late_until
        if outage_slots:
            for host in self.world.hosts:
                host.crash()
            self.world.run(outage_slots)
            for host in self.world.hosts:
                host.start()
        self.world.run_until(self.turn, SLOTS)
        self.paper = self.director.paper
        self.counts = Counter(event.what for event in self.paper.events)

    def standing(self, number: int) -> tuple[int, str]:
        score, _, tier = self.paper.standing(self.cast.member(number).key)
        return score, tier

    def mark(self, number: int) -> int:
        """Until when the key of a member that left does not come back, as a slot."""
        return self.paper.marks[self.cast.member(number).key] + self.paper.lost

    def write(self, home: Path) -> Path:
        """A home with everything that the first node committed."""
        return write_home(home, self.world, self.disk)
