"""Random histories, each from one seed, and what is wrong in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from random import Random

from tests.model.knobs import Rules
from tests.model.scenarios import KINDS, Kind
from tests.model.world import Conflict, World

LAPSES = (2, 3, 5, 8)


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong in a history: ``what`` is conflict, convicted, stalled or unproven."""

    what: str
    kind: str
    n: int
    seed: int
    blocks: int
    detail: str


@dataclass(slots=True)
class Tally:
    """What many histories came to."""

    histories: int = 0
    blocks: int = 0
    finals: int = 0
    changed: int = 0
    lapsed: int = 0
    returned: int = 0
    conflicts: int = 0
    least_guilty: Fraction = Fraction(1)
    healed_in: list[int] = field(default_factory=list)
    finding: Finding | None = None

    def count(self, world: World) -> None:
        """Add one history."""
        self.histories += 1
        self.blocks += len(world.blocks) - 1
        self.finals += len(world.finals)
        self.changed += any(one.seats.active is not world.cast.first for one in world.blocks)
        self.lapsed += any(_has_lapsed(one.id, world) for one in world.blocks)
        self.returned += any(said.tag and said.speaker not in world.cast.byzantine for said in world.said)


def world_of(kind: Kind, n: int, seed: int, rules: Rules) -> World:
    """The world of a seed, before anything happened in it."""
    random = Random(f"{kind.name} {n} {seed}")
    rules = replace(rules, lapse=random.choice(LAPSES), window=kind.window(n))
    return World(random, rules, kind.cast(random, n, rules), kind.weather(random))


def search(name: str, n: int, seeds: Iterable[int], rules: Rules, wanted: str = "") -> Tally:
    """Run the histories of ``seeds`` up to the first finding, or to the first of a kind that is ``wanted``."""
    kind, tally = KINDS[name], Tally()
    for seed in seeds:
        world = world_of(kind, n, seed, rules)
        conflict = world.run()
        tally.count(world)
        found = _verdict(world, kind, conflict, tally)
        if found and wanted in ("", found[0]):
            what, detail = found
            tally.finding = Finding(what, name, n, seed, len(world.blocks) - 1, detail)
            break
    return tally


def _verdict(world: World, kind: Kind, conflict: Conflict | None, tally: Tally) -> tuple[str, str] | None:
    guilty = world.guilty()
    innocent = guilty - world.cast.byzantine
    if conflict and not kind.over:
        one, other = conflict.one, conflict.other
        return "conflict", f"blocks {one.id} and {other.id} are final at heights {one.height} and {other.height}"
    if innocent:
        return "convicted", f"honest {', '.join(sorted(innocent))}"
    if conflict:
        share = _share(world, guilty)
        tally.conflicts += 1
        tally.least_guilty = min(tally.least_guilty, share)
        return None if 3 * share >= 1 else ("unproven", f"only {share} of a set is proved guilty")
    if kind.heals:
        took = world.heal()
        if took is None:
            return "stalled", "after all healed nothing new becomes final, or a change never ends"
        tally.healed_in.append(took)
    return None


def _share(world: World, guilty: set[str]) -> Fraction:
    """The largest part of a set in force anywhere that is proved guilty."""
    used = {id(one): one for block in world.blocks for sets in block.sets.values() for one in sets}
    return max(Fraction(one.weight(guilty), one.total) for one in used.values())


def _has_lapsed(block_id: int, world: World) -> bool:
    block = world.blocks[block_id]
    before = block.parent.seats if block.parent else block.seats
    return before.phase is not None and block.seats.phase is None and block.seats.active is before.active
