"""Histories with one break of the consensus in force, in a process of its own.

``python -m scripts.simulation.breaking KIND``, and of KIND there are

  reach  which lines of ``chain/`` a history executes, and what becomes of it with nothing broken
  try    histories with a mutant, one after the other, up to the first effect

Imports nothing of the chain; only the forks do, and there it is broken.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click
import cryptography.hazmat.primitives.asymmetric.ed25519
import msgpack

from scripts.mutants_parts.forks import Broken, Deadline, Job, Result, in_fork, jobs_and_answers
from scripts.mutants_parts.lines import Lines
from scripts.simulation.trials import TRIALS

WARM = (click, cryptography, msgpack)  # imported once, for all forks

# A history that takes this much longer than with nothing broken hangs.
SLOWER = 5
GRACE_S = 3.0
# What becomes final so often with nothing broken is denied to everybody where it never does.
OFTEN = 5


def main() -> None:
    """Do jobs until there are no more."""
    jobs, answer = jobs_and_answers()
    work = {"reach": reach, "try": try_out}[sys.argv[1]]
    for job in jobs:
        answer(in_fork(lambda job=job: work(job)))  # type: ignore[misc]


def reach(job: Job) -> Result:
    """The lines of a trial, of the imports before it, its history, and the CPU time that it takes untraced."""
    lines = Lines()
    sys.settrace(lines.trace)
    from scripts.simulation.history import run_history

    sys.settrace(None)
    imported = lines.take()
    settings, seed = TRIALS[job["trial"]]
    sys.settrace(lines.trace)
    outcome = run_history(settings, seed)
    sys.settrace(None)
    started = time.process_time()
    run_history(settings, seed)
    return {
        "lines": lines.take(),
        "imported": imported,
        "violation": outcome.violation,
        "history": outcome.history,
        "deeds": {name: count for name, count in outcome.facts.items() if name.startswith("final ")},
        "alone_s": time.process_time() - started,
    }


def try_out(job: Job) -> Result:
    """The first effect of a mutant, the trial that shows it, and how many histories it changed before."""
    sys.meta_path.insert(0, Broken(Path(job["path"]), job["number"]))
    try:
        from scripts.simulation.history import run_history
    except Exception as error:  # noqa: BLE001  # a mutant may raise anything
        return {"noticed": f"cannot be imported: {type(error).__name__}: {error}", "trial": None, "changed": 0}
    changed, failed = 0, list[str]()
    trials: Sequence[tuple[int, str, float, dict[str, int]]] = job["trials"]
    for number, history, cpu_s, deeds in trials:
        settings, seed = TRIALS[number]
        try:
            with Deadline(SLOWER * cpu_s + GRACE_S):
                outcome = run_history(settings, seed)
        except Exception as error:  # noqa: BLE001  # of the simulator: it tells by itself what a node dies of
            failed.append(f"{type(error).__name__}: {error}")
            continue
        if outcome.violation and outcome.is_damage:
            return {"noticed": outcome.violation, "trial": number, "changed": changed}
        if outcome.violation:
            failed.append(outcome.violation)
            continue
        if denied := [name for name, count in deeds.items() if count >= OFTEN and not outcome.facts.get(name)]:
            return {"noticed": f"never {denied[0]}: denied", "trial": number, "changed": changed}
        changed += outcome.history != history
    noticed = f"no history can begin: {failed[0]}" if len(failed) == len(trials) > 0 else ""
    return {"noticed": noticed, "trial": None, "changed": changed, "failed": failed[0] if failed else ""}


if __name__ == "__main__":
    main()
