"""From a history that fails to a short one that fails in the same way: delta debugging over its acts.

After Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input" (2002): parts of the acts are left out,
large ones first, and whatever still fails is gone on from.  What a slot draws does not depend on the slots before, so
a history that lacks some acts is much like the one that has them.  The same failure gives the same short one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from scripts.simulation.acts import Act
from scripts.simulation.history import History, run_history
from scripts.simulation.settings import Outcome, Settings

# A try lives through as many slots as the failing history at first, and a few in the end: a minute or less altogether.
MAX_SLOTS = 15_000
# What begins so many slots earlier finds each leader once.
LEADERS = 8
# Names, hashes and numbers are another's in a shorter history.
_VARIES = re.compile(r"\b[0-9a-f]{8,}\b|\b(node|spare|villain|copy|stranger)\d+|-?\d+")


@dataclass(frozen=True, slots=True)
class Short:
    """The shortest history found, its acts, what became of it, and how many were tried."""

    settings: Settings
    acts: tuple[Act, ...]
    outcome: Outcome
    tries: int


def shrink_history(settings: Settings, failed: Outcome, tell: Callable[[str], None] = lambda _: None) -> Short:
    """A short history that fails as this one did; ``tell`` hears how far it is."""
    return _Search(settings, failed, tell).run()


def way_to_fail(outcome: Outcome) -> tuple[bool, str]:
    """What two violations have in common that show the same fault."""
    return outcome.is_damage, _VARIES.sub("#", outcome.violation)[:60]


def planned(settings: Settings, seed: int) -> tuple[Act, ...]:
    """All acts of a seed, numbered as ``only`` numbers them."""
    history = History(replace(settings, only=None), seed)
    history.close()
    return history.acts


class _Search:
    def __init__(self, settings: Settings, failed: Outcome, tell: Callable[[str], None]) -> None:
        self._seed = failed.seed
        self._acts = planned(settings, failed.seed)
        self._way = way_to_fail(failed)
        self._tell = tell
        self._tries = 0
        self._slots_left = MAX_SLOTS
        only = tuple(range(len(self._acts))) if settings.only is None else settings.only
        self._settings = replace(settings, only=only)
        self._outcome = failed

    def run(self) -> Short:
        self._shorten()
        self._drop_kinds()
        self._drop_parts()
        self._begin_earlier()
        self._shorten()
        self._drop_parts()
        settings = replace(self._settings, keep_timeline=True)
        acts = tuple(replace(act, slot=max(0, act.slot - settings.skip)) for act in self._kept())
        return Short(self._settings, acts, run_history(settings, self._seed), self._tries)

    @property
    def _only(self) -> tuple[int, ...]:
        return self._settings.only or ()

    def _kept(self) -> list[Act]:
        return [self._acts[number] for number in self._only]

    def _fails(self, settings: Settings) -> bool:
        """Try a history, and go on from it if it fails in the same way."""
        if self._slots_left <= 0:
            return False
        self._tries += 1
        outcome = run_history(settings, self._seed)
        self._slots_left -= outcome.at_slot
        if way_to_fail(outcome) != self._way:
            return False
        self._settings, self._outcome = settings, outcome
        self._tell(f"try {self._tries}: {settings.slots} slots, {len(self._only)} acts")
        return True

    def _fails_with(self, numbers: Iterable[int]) -> bool:
        return self._fails(replace(self._settings, only=tuple(numbers)))

    def _shorten(self) -> None:
        """End the faults at the violation; or, where it shows only after them, ever earlier."""
        self._fails_until(min(self._settings.slots, self._outcome.at_slot + 1))
        step = self._settings.slots // 2
        while step:
            if not self._fails_until(self._settings.slots - step):
                step //= 2

    def _fails_until(self, slots: int) -> bool:
        if not 0 < slots < self._settings.slots:
            return False
        end = slots + self._settings.skip
        only = tuple(number for number in self._only if self._acts[number].slot < end)
        return self._fails(replace(self._settings, slots=slots, only=only))

    def _begin_earlier(self) -> None:
        """Leave out the slots before the first act, but for some, so that the leaders can be the same."""
        first = min((act.slot for act in self._kept() if act.slot), default=0)
        for skip in range(min(first, self._settings.slots) - 1, max(0, first - 1 - LEADERS), -1):
            if self._fails(replace(self._settings, skip=skip, slots=self._settings.slots - skip)):
                return

    def _drop_kinds(self) -> None:
        """Leave out all acts of one kind; then all that one node suffers."""
        for group in (*self._groups(lambda act: type(act).__name__), *self._groups(_node_of)):
            self._fails_with(number for number in self._only if number not in group)

    def _groups(self, key: Callable[[Act], str]) -> Iterator[frozenset[int]]:
        names = sorted({key(self._acts[number]) for number in self._only} - {""})
        for name in names:
            yield frozenset(number for number in self._only if key(self._acts[number]) == name)

    def _drop_parts(self) -> None:
        """Leave out one part of the acts after the other, until no single one can be left out."""
        size = len(self._only)
        while size:
            at = 0
            while at < len(self._only):
                if not self._fails_with(self._only[:at] + self._only[at + size :]):
                    at += size
            size //= 2


def _node_of(act: Act) -> str:
    return getattr(act, "node", "")
