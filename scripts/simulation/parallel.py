"""Many runs on all cores.  The same jobs give the same results in the same order, whatever the number of processes."""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from p2p.local.process import calm_collector
from scripts.simulation.history import run_history
from scripts.simulation.settings import Outcome, Settings

Job = TypeVar("Job")
Result = TypeVar("Result")


def run_many(settings: Settings, seeds: Iterable[int], processes: int | None = None) -> Iterator[Outcome]:
    """The outcomes of these seeds; stop reading, and what is not run yet is never run."""
    return in_parallel(run_job, [(settings, seed) for seed in seeds], processes)


def run_job(job: tuple[Settings, int]) -> Outcome:
    """One history.  What it leaves is full of cycles: it goes at once, and nothing was looked through before."""
    outcome = run_history(*job)
    gc.collect()
    return outcome


def in_parallel(work: Callable[[Job], Result], jobs: list[Job], processes: int | None = None) -> Iterator[Result]:
    """What ``work``, a function of a module, makes of each job; stop reading, and the rest is never done."""
    processes = min(len(jobs), processes or cores())
    if processes <= 1:
        yield from map(work, jobs)
        return
    with multiprocessing.get_context("spawn").Pool(processes, calm_collector) as pool:
        yield from pool.imap(work, jobs)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
