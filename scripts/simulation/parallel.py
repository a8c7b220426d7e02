"""Many runs on all cores.  The same seeds give the same outcomes, whatever the number of processes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable, Iterator
from functools import partial

from scripts.simulation.history import run_history
from scripts.simulation.settings import Outcome, Settings


def run_many(settings: Settings, seeds: Iterable[int], processes: int | None = None) -> Iterator[Outcome]:
    """The outcomes in the order of the seeds; stop reading, and what is not run yet is never run."""
    wanted = list(seeds)
    processes = min(len(wanted), processes or cores())
    if processes <= 1:
        yield from map(partial(run_history, settings), wanted)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap(partial(run_history, settings), wanted)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
