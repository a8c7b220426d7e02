"""A manifest from a seed: disasters one after the other, each mended, as many at a time as the protocol tolerates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from scripts.manifest_parts.things import (
    Agree,
    Assertion,
    Attack,
    Clock,
    Continue,
    Cut,
    Event,
    Heal,
    Kill,
    Line,
    Load,
    LoseDisk,
    Manifest,
    NewLines,
    Observer,
    Recorded,
    Restart,
    Slots,
    Start,
    Stays,
    Stop,
    Strangers,
    Synced,
    Validator,
)

# A calm beginning, disasters, and time enough for whoever was away to catch up.
CALM_SLOTS, END_SLOTS = 10, 30
MAX_EPISODES = 4
# What both runners can do, and what costs two cores with seven nodes nothing.
KINDS = ("silent-grafts", "invalid-transactions", "wrong-leaders", "lying-statuses")
HOUR_MS = 3_600_000

_Episode = Iterator[Event]


def draw(seed: int) -> Manifest:
    """The manifest of a seed; the same on every machine."""
    random = Random(f"manifest {seed}")
    validators = tuple(Validator(name=f"v{number}") for number in range(random.randint(4, 6)))
    observers = tuple(Observer(name=f"o{number}") for number in range(random.randint(0, 1)))
    names = [*(each.name for each in validators), *(each.name for each in observers)]
    latency_ms = random.choice([0, 20, 50, 100])
    drawing = _Drawing(random, names)
    events = list(drawing.events())
    slots = drawing.slot + END_SLOTS
    return Manifest(
        title=f"drawn from seed {seed}",
        slots=slots,
        seed=seed,
        line=Line(latency_ms=latency_ms, jitter_ms=latency_ms // 5, loss=random.choice([0, 0, 5, 10])),
        validators=validators,
        observers=observers,
        strangers=(Strangers(name="they", kind=random.choice(KINDS), count=random.randint(1, 4)),),
        events=tuple(events),
        asserts=tuple(_asserted(slots)),
    )


def _asserted(slots: int) -> Iterator[Assertion]:
    yield Agree()
    yield Stays()
    yield Slots(since=1, until=CALM_SLOTS, percent=75)
    yield Recorded(since=0, until=CALM_SLOTS)
    yield Synced(at=slots - 1)


class _Drawing:
    """``slot`` is when the next disaster can begin."""

    def __init__(self, random: Random, names: list[str]) -> None:
        self._random = random
        self._names = names
        self.slot = CALM_SLOTS

    def events(self) -> Iterator[Event]:
        """Load all the time, and a few disasters."""
        yield Load(at=0, per_slot=self._random.randint(1, 20))
        kinds: list[Callable[[int], _Episode]] = [
            self._killed,
            self._stopped,
            self._cut,
            self._wrong_clock,
            self._lost_disk,
            self._attacked,
            self._slow,
            self._restarted,
        ]
        for number, kind in enumerate(self._random.sample(kinds, self._random.randint(1, MAX_EPISODES))):
            yield from kind(number)
            self._wait(5, 10)

    def _wait(self, low: int, high: int) -> int:
        self.slot += self._random.randint(low, high)
        return self.slot

    def _one(self) -> tuple[str]:
        return (self._random.choice(self._names),)

    def _killed(self, _number: int) -> _Episode:
        victim = self._one()
        yield Kill(at=self.slot, nodes=victim)
        yield Start(at=self._wait(2, 15), nodes=victim)

    def _stopped(self, _number: int) -> _Episode:
        victim = self._one()
        yield Stop(at=self.slot, nodes=victim)
        yield Continue(at=self._wait(2, 15), nodes=victim)

    def _restarted(self, _number: int) -> _Episode:
        yield Restart(at=self.slot, nodes=self._one())

    def _cut(self, number: int) -> _Episode:
        name, victim = f"cut-{number}", self._one()
        yield Cut(at=self.slot, name=name, nodes=victim, noticed=self._random.random() < 0.5)
        yield Heal(at=self._wait(5, 20), name=name)

    def _wrong_clock(self, _number: int) -> _Episode:
        victim = self._one()
        yield Clock(at=self.slot, nodes=victim, ahead_ms=self._random.choice([-HOUR_MS, -700, 700, HOUR_MS]))
        yield Clock(at=self._wait(2, 10), nodes=victim, ahead_ms=0)

    def _lost_disk(self, _number: int) -> _Episode:
        victim = self._one()
        yield Kill(at=self.slot, nodes=victim)
        yield LoseDisk(at=self._wait(1, 3), nodes=victim)
        yield Start(at=self.slot, nodes=victim)

    def _attacked(self, _number: int) -> _Episode:
        begun = self.slot
        yield Attack(at=begun, strangers=("they",), slots=self._wait(5, 15) - begun)

    def _slow(self, _number: int) -> _Episode:
        victim = self._one()
        yield NewLines(at=self.slot, nodes=victim, latency_ms=300, jitter_ms=100)
        yield NewLines(at=self._wait(5, 15), nodes=victim)
