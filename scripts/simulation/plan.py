"""From a seed to the acts of a history, slot by slot: those of a shorter one are the first of a longer one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import get_args

from scripts.simulation.acts import (
    Act,
    Ambush,
    BackUp,
    Clogged,
    Crash,
    Cut,
    Damage,
    Doom,
    Freeze,
    Mischief,
    Near,
    Offer,
    Prune,
    Ruin,
    SlowDisk,
    Stage,
    Upgrade,
    Weather,
    Weathered,
    WrongClock,
)
from scripts.simulation.settings import Profile

# Shares in a thousand, for each slot, and for each node where it is about one.
WEATHER = 40
CUT = 35
AMBUSH = 60
FLAP = 400
CLOG = 40
CRASH = 12
SLOW_DISK = 10
BACK_UP = 10
RESTORE = 2
UPGRADE = 3
RUIN = 1  # once at most
PRUNE = 10
JUMP = 10
FAR_JUMP = 150  # of jumps
JUMP_OF_ALL = 2
FREEZE = 2
NTP = 50
HONEST_TRAFFIC = 500
INVALID_TRAFFIC = 250
# How many strangers come near: in some histories none, unless it is all about them.
STRANGERS = (0, 0, 1, 2)
# Some histories are calm, some are stormy: what the shares of cuts, crashes, slow disks and jumps are multiplied by.
INTENSITIES = (1, 1, 2, 4)
# In one of so many mixed histories clients rest, as in all idle ones: for most of the time.
IDLE_IN = 4
REST_EVERY_SLOTS, BUSY_SLOTS = 200, 25

MAX_DOWN_SLOTS = 25
MAX_CUT_SLOTS = 40
MAX_AMBUSH_SLOTS = 6
MAX_CLOG_MS = 15_000
MAX_WRITE_MS = 3_000
MAX_JUMP_MS = 450
HOUR_MS = 3_600_000
FAR_JUMPS_MS = (20_000, HOUR_MS, 24 * HOUR_MS)
MAX_FREEZE_MS = 60_000

# What a disk in memory can suffer, and a real one, as shares in a thousand of crashes, but for what people do to it.
FORGETFUL: dict[Damage, int] = {"signing": 75, "removed": 75}
BROKEN: dict[Damage, int] = {
    "signing": 25,
    "removed": 50,
    "lied": 75,
    "flipped log": 75,
    "flipped tables": 75,
    "flipped meta": 50,
}


@dataclass(slots=True)
class Plan:
    """Draws the acts of a world with these nodes, in which ``honest`` ones are those that things happen to.

    ``people`` draws what happens to homes by people's hands, or to many at once; ``keepers`` who drops old bodies.
    """

    random: Random
    people: Random
    keepers: Random
    profile: Profile
    nodes: Sequence[str]
    honest: Sequence[str]
    damages: dict[Damage, int]
    intensity: int = field(init=False)
    is_idle: bool = field(init=False)
    _cut_until: int = field(init=False, default=0)
    _is_ruined: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self.intensity = self.random.choice(INTENSITIES)
        is_drawn_idle = self.random.randrange(IDLE_IN) == 0
        self.is_idle = self.profile.is_idle or (self.profile.is_mixed and is_drawn_idle)

    def draw(self, slots: int) -> Iterator[Act]:
        """All acts, in their order."""
        if self.profile.strangers:
            count = self.random.choice(STRANGERS) if self.profile.network else max(STRANGERS)
            yield from (Near(0) for _ in range(count))
        for slot in range(slots):
            yield from self._trouble(slot)
            yield from self._homes(slot) if self.profile.crashes else ()
            yield from self._prunes(slot) if self.profile.is_mixed else ()
            yield from self._traffic(slot)

    def _trouble(self, slot: int) -> Iterator[Act]:
        if self.profile.network and len(self.nodes) > 1:
            yield from self._network(slot)
        if self.profile.changes and len(self.honest) > 1 and self._chance(AMBUSH):
            stage = self.random.choice(get_args(Stage))
            yield Ambush(slot, stage, self.random.randrange(MAX_AMBUSH_SLOTS), self._cut(slot, self.honest))
        for node in self.honest:
            if self.profile.crashes:
                yield from self._machine(slot, node)
        if self.profile.clocks:
            yield from self._clocks_of_all(slot)
            for node in self.honest:
                yield from self._clock(slot, node)

    def _traffic(self, slot: int) -> Iterator[Act]:
        if self.is_idle and slot % REST_EVERY_SLOTS >= BUSY_SLOTS:
            return
        if self._chance(HONEST_TRAFFIC):
            yield Offer(slot, self.random.randrange(len(self.nodes)), self.random.randint(1, 3))
        if self._chance(INVALID_TRAFFIC):
            yield Mischief(slot)

    def _network(self, slot: int) -> Iterator[Act]:
        random = self.random
        if self._chance(WEATHER):
            yield Weathered(slot, _weather(random))
        if self._chance(CLOG * self.intensity):
            one, two = random.sample(self.nodes, 2)
            yield Clogged(slot, one, two, random.randint(1_000, MAX_CLOG_MS))
        if slot > self._cut_until and self._chance(CUT * self.intensity):
            cut = self._cut(slot, self.nodes)
            self._cut_until = slot + cut.turns[-1]
            yield cut

    def _cut(self, slot: int, nodes: Sequence[str]) -> Cut:
        random = self.random
        names = random.sample(nodes, len(nodes))
        at = random.randint(1, len(names) - 1)
        left, right = names[:at], names[at:]
        ways = [(one, two) for one in left for two in right]
        kind = random.choice(["whole", "flapping", "one way", "single ways"])
        if kind == "single ways":
            ways = [(one, two) for one in names for two in names if one != two and random.randrange(3) == 0]
        elif kind != "one way":
            ways += [(two, one) for one, two in ways]
        for_slots = random.randint(2, MAX_CUT_SLOTS)
        turns = [at for at in range(1, for_slots) if kind == "flapping" and self._chance(FLAP)]
        turns = turns[: len(turns) // 2 * 2]  # it ends with a heal
        is_noticed = kind == "flapping" or (kind == "whole" and random.randrange(2) == 0)
        title = f"{kind} of {' '.join(left)} from {' '.join(right)}"
        return Cut(slot, tuple(ways), title, is_noticed, (*turns, for_slots))

    def _machine(self, slot: int, node: str) -> Iterator[Act]:
        random = self.random
        if self._chance(CRASH * self.intensity):
            doom: Doom = random.choice(get_args(Doom))
            down_slots = random.randint(1, MAX_DOWN_SLOTS)
            yield Crash(slot, node, doom, down_slots, self._damage(), random.getrandbits(32))
        elif self._chance(SLOW_DISK * self.intensity):
            write_ms = random.choice([5, 50, 500, MAX_WRITE_MS])
            yield SlowDisk(slot, node, write_ms, random.randint(1, 20))

    def _homes(self, slot: int) -> Iterator[Act]:
        people = self.people
        for node in self.honest:
            if people.randrange(1000) < BACK_UP:
                yield BackUp(slot, node)
            elif people.randrange(1000) < RESTORE:
                yield Crash(slot, node, "", people.randint(1, MAX_DOWN_SLOTS), "restored", people.getrandbits(32))
            elif self.profile.is_mixed and people.randrange(1000) < UPGRADE:
                yield Upgrade(slot, node)
        if self.profile.is_mixed and not self._is_ruined and people.randrange(1000) < RUIN and len(self.honest) > 1:
            self._is_ruined = True
            victims = people.sample(self.honest, people.randint(2, len(self.honest)))
            yield Ruin(slot, tuple(victims), people.randint(1, MAX_DOWN_SLOTS))

    def _prunes(self, slot: int) -> Iterator[Act]:
        for node in self.honest:
            if self.keepers.randrange(1000) < PRUNE:
                yield Prune(slot, node)

    def _damage(self) -> Damage:
        damages = self.damages
        whole: Damage = ""
        choices = [*damages, whole]
        return self.random.choices(choices, [*damages.values(), 1_000 - sum(damages.values())])[0]

    def _clocks_of_all(self, slot: int) -> Iterator[Act]:
        """All are set by one source, and that is wrong."""
        if self._chance(JUMP_OF_ALL * self.intensity):
            offset_ms = self.random.randint(-HOUR_MS, HOUR_MS)
            yield from (WrongClock(slot, node, offset_ms, 0) for node in self.honest)

    def _clock(self, slot: int, node: str) -> Iterator[Act]:
        random = self.random
        if self._chance(JUMP * self.intensity):
            reach_ms = random.choice(FAR_JUMPS_MS) if self._chance(FAR_JUMP) else MAX_JUMP_MS
            offset_ms, drift_ppm = random.randint(-reach_ms, reach_ms), random.choice([0, -100, 100, -10_000, 10_000])
            yield WrongClock(slot, node, offset_ms, drift_ppm)
        elif self._chance(FREEZE):
            yield Freeze(slot, node, random.randint(1_000, MAX_FREEZE_MS))
        elif self._chance(NTP):
            yield WrongClock(slot, node, 0, 0)

    def _chance(self, per_mille: int) -> bool:
        return self.random.randrange(1000) < per_mille


def _weather(random: Random) -> Weather:
    return Weather(
        random.choice([2, 20, 200]),
        random.choice([10, 200, 800]),
        tail=random.choice([0, 20, 100]),
        loss=random.choice([0, 0, 20, 100, 300]),
        duplicate=random.choice([0, 0, 50]),
        reorder=random.choice([0, 0, 50]),
    )
