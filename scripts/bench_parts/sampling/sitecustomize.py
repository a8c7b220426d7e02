"""Where the nodes of a testnet spend their CPU time: with this folder on PYTHONPATH each of them writes it down.

The kernel interrupts a process after each few milliseconds of CPU time that it used, in whatever thread, and what the
main thread does then is noted: who asks another process, or only while one interpreter lock is held, measures how
often a node is woken on a busy machine.  :mod:`scripts.bench_parts.shares` adds it up.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType

EVERY_S = 0.004
# Starting up is left out.
AFTER_S = 20.0
WRITE_S = 3.0
MAX_DEPTH = 60

_stacks: Counter[tuple[str, ...]] = Counter()
_begun_s = time.monotonic()


def _note(_number: int, frame: FrameType | None) -> None:
    if time.monotonic() < _begun_s + AFTER_S:
        return
    stack: list[str] = []
    while frame is not None and len(stack) < MAX_DEPTH:
        stack.append(f"{frame.f_code.co_qualname} ({frame.f_code.co_filename})")
        frame = frame.f_back
    _stacks[tuple(stack)] += 1


def _write(path: Path) -> None:
    while True:
        time.sleep(WRITE_S)
        path.write_text(json.dumps([[count, stack] for stack, count in list(_stacks.items())]))


if "SAMPLES" in os.environ and any(Path(each).name == "node.py" for each in sys.orig_argv) and "run" in sys.orig_argv:
    signal.signal(signal.SIGPROF, _note)
    signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)
    written = Path(os.environ["SAMPLES"]) / f"{os.getpid()}.json"
    threading.Thread(target=_write, args=(written,), daemon=True).start()
