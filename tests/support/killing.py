"""Work that ends in the middle: a child process that kills itself at a step that was counted before."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from random import Random
from typing import Any

from chain.disk import database

_CONTEXT = multiprocessing.get_context("fork")
# Steps of SQLite's own machine that count as one.
_SQLITE_STEPS = 200
DEADLINE_S = 300


def count_steps(work: Callable[[], object]) -> int:
    """How many steps some work takes, done to its end: calls of Python and C, and what SQLite does within one."""
    ours, its = _CONTEXT.Pipe(duplex=False)
    child = _CONTEXT.Process(target=_run, args=(work, 0, its))
    child.start()
    its.close()
    assert ours.poll(DEADLINE_S)
    steps: int = ours.recv()
    child.join(DEADLINE_S)
    assert child.exitcode == 0
    return steps


def kill_at(work: Callable[[], object], step: int) -> None:
    """Do it up to this step, and no further."""
    child = _CONTEXT.Process(target=_run, args=(work, step, None))
    child.start()
    child.join(DEADLINE_S)
    assert child.exitcode in (-signal.SIGKILL, 0), "a step that threads shortened may never come"


def moments(seed: int, steps: int, count: int = 10) -> list[int]:
    """So many steps to be killed at, the same each time."""
    return sorted(Random(seed).sample(range(1, steps + 1), count))


def _run(work: Callable[[], object], at: int, told: Any) -> None:
    steps = 0

    def tick(*_: object) -> int:
        nonlocal steps
        steps += 1
        if steps == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0

    connect = database._connect

    def counted(*arguments: Any) -> Any:
        connection = connect(*arguments)
        connection.set_progress_handler(tick, _SQLITE_STEPS)
        return connection

    setattr(database, "_connect", counted)  # noqa: B010 – this process ends soon
    sys.setprofile(lambda _frame, event, _arg: tick() if event in ("call", "c_call") else None)
    work()
    sys.setprofile(None)
    if told is not None:
        told.send(steps)
    os._exit(0)
