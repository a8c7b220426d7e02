"""What a process owes to whoever started it, and to itself: standard streams, signals, the garbage collector."""

from __future__ import annotations

from p2p.local.startup import end_at_once

import gc
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def open_streams() -> None:
    """Open closed standard streams on nothing; otherwise a socket or the database would get their numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # the lowest free number is its own, unless somebody took it
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


@contextmanager
def interruptible() -> Iterator[None]:
    """Inside, Ctrl-C is a ``KeyboardInterrupt``, so that what was begun is tidied up."""
    before = signal.getsignal(signal.SIGINT)
    if before is not end_at_once:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def stop_signals() -> list[signal.Signals]:
    """What asks a process to end cleanly.  A hang-up does not where whoever started it said so (``nohup``)."""
    names = ["SIGINT", "SIGTERM"]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        names.append("SIGHUP")
    return [signal.Signals[name] for name in names]


def calm_collector() -> None:
    """Spare the garbage collector what lives as long as the process: the state is large and has no cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
