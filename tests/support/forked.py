"""Node processes that begin with the libraries loaded, which take longer to import than all else that a start does.

A server imports them once, and nothing of ours; each process is forked from it, and runs ``node.py`` from its first
line.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["libp2p", "structlog", "starlette.applications", "hypercorn.trio", "httpx"])


class Forked:
    """What tests use of :class:`subprocess.Popen`, for a process that a server forks."""

    stdin = None

    def __init__(self, program: Path, arguments: Sequence[str], log: Path) -> None:
        """Run a program of ours; what it says on stderr goes to the end of ``log``."""
        self._process = _CONTEXT.Process(target=_become, args=(str(program), tuple(arguments), str(log)))
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """How it ended, if it has."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """How it ends."""
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired(str(self._process), timeout or 0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _become(program: str, arguments: tuple[str, ...], log: str) -> None:
    """Go on as ``python PROGRAM ARGUMENTS 2>> LOG`` does once it has started."""
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    sys.argv = [program, *arguments]
    sys.path.insert(0, os.path.dirname(program))
    runpy.run_path(program, run_name="__main__")
