"""Every broken rule, each until a history shows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.simulation.argued import RULES
from scripts.simulation.history import run_history
from scripts.simulation.mutations import MUTATIONS, Mutation
from scripts.simulation.parallel import in_parallel
from scripts.simulation.settings import Outcome, Settings

DOCUMENT = Path(__file__).parent.parent / "docs" / "broken-rules.md"
SEEDS = range(1_000)

_HEAD = """\
# Rules broken on purpose, and what noticed

Made by `python scripts/simulate.py --mutate all --write`; do not edit.

A simulator that notices no broken rule proves nothing. Here one rule at a time is broken in the node's own code, and
histories are run from seed 0 on until one shows it: by an effect on somebody outside, or, where a history is too short
for one, by a look inside a node or a comparison with a copy of the rule. The same history is fine with all rules in
force. See one of them:

    python scripts/simulate.py --mutate majority
"""


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
        mutation.slots or slots,
        mutation.faults,
        mutation.byzantine,
        mutation.villains,
        name,
        mutation.traffic,
        only_effects=not mutation.is_inside,
    )


def document(findings: Sequence[Finding]) -> str:
    """The result as Markdown."""
    lines = [_HEAD, "| rule broken on purpose | faults | attack | noticed | as |", "|---|---|---|---|---|"]
    for one in findings:
        mutation, outcome = MUTATIONS[one.name], one.outcome
        attack = " by ".join(filter(None, (mutation.byzantine, str(mutation.villains or "")))) or "none"
        noticed = "**not at all**" if outcome is None else f"seed {outcome.seed}, slot {outcome.at_slot}"
        as_what = "" if outcome is None else f"{outcome.violation}{'' if outcome.is_damage else ' (inside a node)'}"
        lines.append(f"| {one.name}: {mutation.what} | {mutation.faults} | {attack} | {noticed} | {as_what} |")
    lines += ["", "Not among them, as no history could show it:", ""]
    lines += [f"* {rule}: {why}" for rule, why in RULES.items()]
    return "\n".join(lines) + "\n"


def run_sweep(seeds: range, slots: int, processes: int | None = None) -> Iterator[Finding]:
    """Try every broken rule with these seeds, in order, until one shows it."""
    return in_parallel(_until_noticed, [(name, seeds, slots) for name in MUTATIONS], processes)


def _until_noticed(job: tuple[str, range, int]) -> Finding:
    name, seeds, slots = job
    settings = settings_for(MUTATIONS[name], name, slots)
    control = replace(settings, mutation="", only_effects=False)
    for seed in seeds:
        outcome = run_history(settings, seed)
        if outcome.violation and not run_history(control, seed).violation:
            return Finding(name, settings, outcome)
    return Finding(name, settings, None)
