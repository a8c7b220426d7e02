"""Every broken rule, each until a history shows it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from scripts.simulation.history import run_history
from scripts.simulation.mutations import MUTATIONS, Mutation
from scripts.simulation.parallel import in_parallel
from scripts.simulation.settings import Outcome, Settings

SEEDS = range(1_000)


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken rule and the history that showed it, if one did: the same history with all rules in force is fine."""

    name: str
    settings: Settings
    outcome: Outcome | None


def settings_for(mutation: Mutation, name: str, slots: int) -> Settings:
    """The runs that should show a broken rule."""
    return Settings(
        mutation.nodes,
        slots,
        mutation.faults,
        mutation.byzantine,
        mutation.villains,
        name,
        only_damage=not mutation.is_inside,
    )


def run_sweep(seeds: range, slots: int, processes: int | None = None) -> Iterator[Finding]:
    """Try every broken rule with these seeds, in order, until one shows it."""
    return in_parallel(_until_noticed, [(name, seeds, slots) for name in MUTATIONS], processes)


def _until_noticed(job: tuple[str, range, int]) -> Finding:
    name, seeds, slots = job
    settings = settings_for(MUTATIONS[name], name, slots)
    control = replace(settings, mutation="", only_damage=False)
    for seed in seeds:
        outcome = run_history(settings, seed)
        if outcome.violation and not run_history(control, seed).violation:
            return Finding(name, settings, outcome)
    return Finding(name, settings, None)
