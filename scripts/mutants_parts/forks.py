"""Broken modules in processes that nothing of them survives.

A process that serves jobs reads them as lines of JSON on stdin, and writes what became of each as a line of JSON to
stdout.  Each job runs in a fork of it, so whatever a mutant does ends with that.  Imports nothing of the project, so
that a fork can import it broken.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from scripts.mutants_parts.breaks import broken

# A mutant may allocate without end.
MEMORY_BYTES = 4 * 2**30
# For one that waits for what never comes, and uses no CPU meanwhile.
WAITING_S = 300

Job = dict[str, Any]
Result = dict[str, Any]


def jobs_and_answers() -> tuple[Iterator[Job], Callable[[Result], None]]:
    """The jobs that come, and where to say what became of each; nobody else can read or write these any more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    silence = os.open(os.devnull, os.O_RDWR)
    jobs = map(json.loads, os.fdopen(os.dup(0), encoding="utf-8"))
    for descriptor in (0, 1, 2):
        os.dup2(silence, descriptor)
    sys.dont_write_bytecode = True

    def answer(result: Result) -> None:
        answers.write(json.dumps(result) + "\n")
        answers.flush()

    return jobs, answer


def in_fork(work: Callable[[], Result]) -> Result:
    """What ``work`` returned in a fork, or that the fork was killed, along with whatever it started."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        try:
            os.write(writing, json.dumps(work()).encode())
        except BaseException as error:  # noqa: BLE001  # a mutant may raise anything, also SystemExit
            os.write(writing, json.dumps({"noticed": f"{type(error).__name__} outside of a test"}).encode())
        finally:
            os._exit(0)
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as pipe:
            said = pipe.read()
    finally:
        try:
            os.killpg(child, signal.SIGKILL)
        except ProcessLookupError:
            os.kill(child, signal.SIGKILL)
        _, status, used = os.wait4(child, 0)
    result: Result = json.loads(said) if said else {"noticed": f"hangs ({signal.Signals(status & 0x7F).name})"}
    return {**result, "cpu_s": used.ru_utime + used.ru_stime}


class Deadline:
    """Kills this process when what it does takes more than so much CPU time, which no load on the machine changes."""

    def __init__(self, cpu_s: float) -> None:
        self.cpu_s = cpu_s

    def __enter__(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, self.cpu_s)
        signal.alarm(WAITING_S)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)


def replace(functions: Sequence[FunctionType], path: Path, module: CodeType) -> None:
    """Give the living functions of a module the code that they have in another version of it."""
    codes = {(code.co_qualname, code.co_firstlineno): code for code in _codes(module)}
    for function in functions:
        if function.__code__.co_filename == str(path):
            function.__code__ = codes[function.__code__.co_qualname, function.__code__.co_firstlineno]


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _name_of(path: Path) -> str:
    """The module in a file of a package, however deep that is."""
    names = [path.stem]
    while (path.parent / "__init__.py").exists():
        path = path.parent
        names.insert(0, path.name)
    return ".".join(names)


class Broken(importlib.abc.MetaPathFinder):
    """Finds one module with a mutant in it."""

    def __init__(self, path: Path, number: int) -> None:
        self.name, self.path, self.number = _name_of(path), path, number

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.name:
            return None
        return importlib.util.spec_from_file_location(fullname, self.path, loader=BrokenLoader(self))


class BrokenLoader(importlib.machinery.SourceFileLoader):
    """Loads it, without a cache."""

    def __init__(self, found: Broken) -> None:
        super().__init__(found.name, str(found.path))
        self.number = found.number

    def get_code(self, fullname: str) -> CodeType:
        return broken(Path(self.path), self.number)
