"""Kinds of worlds: who is there, what changes, who lies."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from random import Random

from tests.model.knobs import Rules
from tests.model.sets import VotingSet, voting_set
from tests.model.world import Cast, Weather

NAMES = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SPARES = 4
"""How many there are who sit in no set at first."""

Weights = dict[str, int]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of world: how it is cast, and what is looked for in it.

    In a world that is ``over``, a third or more of a set is Byzantine, and a conflict must prove at least a third of
    one set guilty.  One that ``heals`` must become final again.  In a ``busy`` one, most speak, and changes are many.
    """

    name: str
    what: str
    cast: Callable[[Random, int, Rules], Cast]
    over: bool = False
    heals: bool = False
    busy: bool = False
    steps: tuple[int, ...] = (10, 16, 24)

    def window(self, n: int) -> int:
        """Over how many blocks votes are counted: three for each that may ever sit in a set."""
        return 3 * (n + SPARES)

    def weather(self, random: Random) -> Weather:
        """How one history of it goes on."""
        return Weather(
            steps=random.choice(self.steps),
            attests=1.0 if self.busy else random.choice((0.5, 1.0, 1.0)),
            uncarried=random.choice((0.0, 0.1, 0.3)),
            decides=random.choice((0.5, 1.0) if self.busy else (0.2, 0.5, 1.0)),
            stays=random.choice((0.8, 0.95) if self.busy else (0.5, 0.8, 0.95)),
            forks=random.choice((0.02, 0.05) if self.busy else (0.02, 0.1)),
            syncs=random.choice((0.1, 0.3) if self.busy else (0.0, 0.1, 0.3)),
        )


def is_tolerable(one: VotingSet, byzantine: Collection[str]) -> bool:
    """Whether less than a third of a set is Byzantine."""
    return 3 * one.weight(byzantine) < one.total


def faults(total: int) -> int:
    """How many of so many equal ones may be Byzantine."""
    return (total - 1) // 3


def static(_random: Random, n: int, rules: Rules) -> Cast:
    """One set for ever, as many Byzantine as it tolerates."""
    return Cast(voting_set(dict.fromkeys(NAMES[:n], 1), rules), frozenset(NAMES[: faults(n)]))


def changing(random: Random, n: int, rules: Rules, *, unequal: bool = False, disjoint: bool = False) -> Cast:
    """A few next sets, which branches choose from as they like; Byzantine are less than a third of each."""
    while True:
        people = NAMES[: n + SPARES]
        weights = {one: random.choice((1, 2, 3)) if unequal else 1 for one in people[:n]}
        nexts: list[Weights] = []
        for _ in range(random.choice((1, 1, 2, 3))):
            base = nexts[-1] if nexts and random.random() < 0.5 else weights
            nexts.append(dict.fromkeys(random.sample(people, n), 1) if disjoint else _changed(random, base, people))
        byzantine = frozenset(one for one in people if random.random() < 0.35)
        first, *others = (
            voting_set(one, rules) for one in (weights, *nexts) if one is weights or sum(one.values()) > 1
        )
        if (
            byzantine & {*weights, *nexts[0]}
            and others
            and all(is_tolerable(one, byzantine) for one in (first, *others))
        ):
            return Cast(first, byzantine, tuple(others))


def _changed(random: Random, base: Weights, people: str) -> Weights:
    weights = dict(base)
    for _ in range(random.choice((1, 1, 2))):
        one = random.choice(sorted(weights))
        other = random.choice([person for person in people if person not in weights] or [one])
        match random.randrange(4):
            case 0:
                weights[other] = weights.pop(one)
            case 1:
                weights[other] = random.choice((1, 2))
            case 2 if len(weights) > 2:
                del weights[one]
            case _:
                weights[one] = random.choice((1, 2, 3))
    return weights


def unequal(random: Random, n: int, rules: Rules) -> Cast:
    """Like change, with weights of one to three."""
    return changing(random, n, rules, unequal=True)


def disjoint(random: Random, n: int, rules: Rules) -> Cast:
    """Like change, but the next sets may have nobody in common with the first."""
    return changing(random, n, rules, disjoint=True)


def busy(random: Random, n: int, rules: Rules) -> Cast:
    """Like disjoint; most speak, and changes come as often as they can."""
    return disjoint(random, n, rules)


def jail(random: Random, n: int, rules: Rules) -> Cast:
    """Byzantine and honest ones are jailed and released again; what stays tolerates the Byzantine."""
    names = NAMES[:n]
    byzantine = frozenset(names[: random.randrange(1, faults(n) + 1)])
    spare = random.randrange(n - 3 * len(byzantine))
    first = voting_set(dict.fromkeys(names, 1), rules)
    return Cast(first, byzantine, (first,), jailable=tuple(names[: len(byzantine) + spare]))


def long(random: Random, n: int, rules: Rules) -> Cast:
    """Like change, over more blocks than votes are counted for."""
    return changing(random, n, rules)


def lost(random: Random, n: int, rules: Rules) -> Cast:
    """One set; some honest ones, perhaps all, lose their signing state, and the Byzantine say that they did."""
    return _forgetting(random, static(random, n, rules))


def lost_changing(random: Random, n: int, rules: Rules) -> Cast:
    """Like lost, while the set changes."""
    return _forgetting(random, changing(random, n, rules))


def _forgetting(random: Random, cast: Cast) -> Cast:
    honest = sorted({one for each in (cast.first, *cast.nexts) for one in each.weights} - cast.byzantine)
    count = min(len(honest), random.choice((1, 1, faults(len(cast.first.weights)), len(honest))))
    forgetful = tuple(random.sample(honest, count))
    return replace(cast, forgetful=forgetful, p_loss=random.choice((0.02, 0.05, 0.1)))


def over(random: Random, n: int, rules: Rules) -> Cast:
    """One set, a third or more of it Byzantine."""
    return replace(static(random, n, rules), byzantine=frozenset(NAMES[: faults(n) + 1 + random.randrange(2)]))


def over_changing(random: Random, n: int, rules: Rules) -> Cast:
    """Like change, with a third or more of the first set Byzantine."""
    cast = changing(random, n, rules)
    return replace(cast, byzantine=cast.byzantine | {*random.sample(sorted(cast.first.weights), 1 + faults(n))})


def over_lost(random: Random, n: int, rules: Rules) -> Cast:
    """Like over; the Byzantine take new tags when they like."""
    return replace(over(random, n, rules), forgetful=(NAMES[n - 1],))


def healing(random: Random, n: int, rules: Rules) -> Cast:
    """Sets change, and any of the newcomers that they name may never come; then the Byzantine fall silent."""
    cast = changing(random, n, rules, disjoint=random.random() < 0.2)
    newcomers = sorted({one for each in cast.nexts for one in each.weights} - {*cast.first.weights})
    absent = frozenset(one for one in newcomers if random.random() < 0.4)
    return replace(cast, absent=absent, byzantine=cast.byzantine - absent)


def healing_lost(random: Random, n: int, rules: Rules) -> Cast:
    """One set; less than a third of it lost its signing state, or is Byzantine."""
    cast = static(random, n, rules)
    byzantine = random.randrange(faults(n) + 1)
    names = sorted(cast.first.weights)
    forgetful = tuple(names[byzantine : faults(n)])
    return replace(cast, byzantine=frozenset(names[:byzantine]), forgetful=forgetful, p_loss=0.1)


def _kind(name: str, cast: Callable[[Random, int, Rules], Cast], **more: object) -> Kind:
    return Kind(name, (cast.__doc__ or "").split("\n", maxsplit=1)[0], cast, **more)  # type: ignore[arg-type]


KINDS = {
    one.name: one
    for one in (
        _kind("static", static),
        _kind("change", changing),
        _kind("unequal", unequal),
        _kind("disjoint", disjoint),
        _kind("busy", busy, busy=True, steps=(24, 32)),
        _kind("jail", jail),
        _kind("lost", lost, steps=(24, 40)),
        _kind("lost-change", lost_changing, steps=(24, 40)),
        _kind("long", long, steps=(80,)),
        _kind("over", over, over=True),
        _kind("over-change", over_changing, over=True),
        _kind("over-lost", over_lost, over=True),
        _kind("heal", healing, heals=True),
        _kind("heal-lost", healing_lost, heals=True),
    )
}
