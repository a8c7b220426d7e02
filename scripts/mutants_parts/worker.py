"""Runs tests against broken modules, in a process of its own: ``python -m scripts.mutants_parts.worker KIND``.

Jobs come as lines of JSON on stdin, what became of each goes as a line of JSON to stdout.  Each job runs in a fork
of this process, so whatever a mutant does ends with it.  Of KIND there are

  reach      which lines of ``chain/`` each test of a file executes, and which ones its collection
  collected  the tests are collected once, and a fork replaces the code of the functions that a mutant changes
  fresh      a fork imports the broken module and collects: for what runs while modules are imported

Imports nothing of the project, so that a fork can import it broken.
"""

from __future__ import annotations

import gc
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import resource
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any, NamedTuple

import cryptography.hazmat.primitives.asymmetric.ed25519
import hypothesis.strategies
import msgpack
import pytest
import trio

from scripts.mutants_parts.breaks import broken

ROOT = Path(__file__).resolve().parents[2]
CHAIN = ROOT / "chain"
OPTIONS = (
    *("-q", "--tb=no", "-p", "no:cacheprovider", "-p", "no:xdist", "--hypothesis-profile=mutants"),
    "-Wignore::pytest.PytestAssertRewriteWarning",  # the plugins are imported already
)
WARM = (cryptography, hypothesis, msgpack, trio)  # imported once, for all forks

Job = dict[str, Any]
Result = dict[str, Any]
Trace = Callable[[FrameType, str, Any], Any]

# A test that takes this much longer than alone hangs.  In CPU time, which no load on the machine changes.
SLOWER = 10
GRACE_S = 5.0
# For a test that waits for what never comes, and uses no CPU meanwhile.
WAITING_S = 300
# A mutant may allocate without end.
MEMORY_BYTES = 4 * 2**30


def main() -> None:
    """Do jobs until there are no more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    silence = os.open(os.devnull, os.O_RDWR)
    jobs = map(json.loads, os.fdopen(os.dup(0), encoding="utf-8"))
    for descriptor in (0, 1, 2):
        os.dup2(silence, descriptor)
    sys.dont_write_bytecode = True
    hypothesis.settings.register_profile(
        "mutants",
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    )

    def answer(result: Result) -> None:
        answers.write(json.dumps(result) + "\n")
        answers.flush()

    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        match sys.argv[1]:
            case "reach":
                for job in jobs:
                    answer(in_fork(lambda job=job: _reach(job, scratch)))  # type: ignore[misc]
            case "fresh":
                for job in jobs:
                    answer(in_fork(lambda job=job: _fresh(job, scratch)))  # type: ignore[misc]
            case "collected":
                first = next(jobs, None)
                if first is not None:
                    _pytest(first["files"], scratch, Collected(jobs, answer))


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


def _pytest(arguments: Sequence[str], scratch: str, plugin: object) -> int:
    base = tempfile.mkdtemp(dir=scratch)
    return int(pytest.main([*OPTIONS, f"--rootdir={ROOT}", f"--basetemp={base}", *arguments], plugins=[plugin]))


class Chosen:
    """Runs the tests of a job that were collected, and keeps what noticed something."""

    def __init__(self) -> None:
        self.noticed = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.noticed = report.nodeid

    def run(self, session: pytest.Session, tests: Sequence[tuple[str, float]]) -> None:
        by_id = {item.nodeid: item for item in session.items}
        chosen = [(by_id[name], cpu_s) for name, cpu_s in tests if name in by_id]
        for at, (item, cpu_s) in enumerate(chosen):
            following = chosen[at + 1][0] if at + 1 < len(chosen) else None
            with Deadline(cpu_s):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.noticed:
                return


class Deadline:
    """Kills this process when a test takes far longer than it should."""

    def __init__(self, cpu_s: float) -> None:
        self.cpu_s = cpu_s

    def __enter__(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, SLOWER * self.cpu_s + GRACE_S)
        signal.alarm(WAITING_S)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)


class Collected:
    """After the collection: a fork for each job."""

    def __init__(self, jobs: Iterator[Job], answer: Callable[[Result], None]) -> None:
        self.jobs, self.answer = jobs, answer

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        functions = [one for one in gc.get_objects() if isinstance(one, FunctionType)]
        gc.freeze()
        self.answer({"collected": len(session.items)})
        for job in self.jobs:
            self.answer(in_fork(lambda job=job: self._try(session, functions, job)))  # type: ignore[misc]
        return True

    @staticmethod
    def _try(session: pytest.Session, functions: Sequence[FunctionType], job: Job) -> Result:
        replace(functions, Path(job["path"]), broken(Path(job["path"]), job["number"]))
        chosen = Chosen()
        session.config.pluginmanager.register(chosen)
        chosen.run(session, job["tests"])
        return {"noticed": chosen.noticed}


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


class Broken(importlib.abc.MetaPathFinder):
    """Finds one module with a mutant in it."""

    def __init__(self, path: Path, number: int) -> None:
        self.name, self.path, self.number = f"{path.parent.name}.{path.stem}", path, number

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


class RunChosen(Chosen):
    """Runs the tests of a job in place of all that were collected."""

    def __init__(self, tests: Sequence[tuple[str, float]]) -> None:
        super().__init__()
        self.tests = tests

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise session.Interrupted("the collection failed")
        signal.setitimer(signal.ITIMER_PROF, 0)
        self.run(session, self.tests)
        return True


def _fresh(job: Job, scratch: str) -> Result:
    sys.meta_path.insert(0, Broken(Path(job["path"]), job["number"]))
    for files in job["files"]:
        plugin = RunChosen(job["tests"])
        with Deadline(job["collect_s"]):
            code = _pytest(files, scratch, plugin)
        if plugin.noticed or code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            return {"noticed": plugin.noticed or "cannot be imported"}
    return {"noticed": ""}


class Watched(NamedTuple):
    """The lines of one function: all, those not executed yet, and what strikes them off."""

    code: CodeType
    lines: frozenset[int]
    left: set[int]
    strike: Trace


class Reach:
    """Notes which lines of ``chain/`` each test executes, and how long it takes."""

    def __init__(self) -> None:
        self.watched: dict[int, Watched | None] = {}  # by identity: to hash code takes longer than to run it
        self.alive: list[CodeType] = []  # so that no identity is given again
        self.collected: dict[str, list[int]] = {}
        self.tests: dict[str, Any] = {}
        self.failed: list[str] = []
        self.collect_s = 0.0

    def trace(self, frame: FrameType, _event: str, _argument: object) -> Trace | None:
        code = frame.f_code
        try:
            watched = self.watched[id(code)]
        except KeyError:
            watched = self.watched[id(code)] = _watch(code)
            self.alive.append(code)
        if watched is None or not watched.left:
            return None
        watched.left.discard(code.co_firstlineno)  # of which no event tells
        return watched.strike

    def take(self) -> dict[str, list[int]]:
        """The lines since the last call."""
        taken: dict[str, set[int]] = {}
        for watched in filter(None, self.watched.values()):
            if len(watched.left) < len(watched.lines):
                taken.setdefault(Path(watched.code.co_filename).stem, set()).update(watched.lines - watched.left)
                watched.left.update(watched.lines)
        return {module: sorted(lines) for module, lines in taken.items()}

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self) -> Iterator[None]:
        started = time.process_time()
        sys.settrace(self.trace)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            self.collected = self.take()
            self.collect_s = time.process_time() - started

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        started = time.process_time()
        threading.settrace(self.trace)
        sys.settrace(self.trace)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            self.tests[item.nodeid] = (round(time.process_time() - started, 4), self.take())

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)


def _watch(code: CodeType) -> Watched | None:
    if Path(code.co_filename).parent != CHAIN:
        return None
    lines = frozenset(line for _, _, line in code.co_lines() if line)
    left = set(lines)

    def strike(frame: FrameType, _event: str, _argument: object) -> Trace:
        left.discard(frame.f_lineno)
        return strike

    return Watched(code, lines, left, strike)


def _reach(job: Job, scratch: str) -> Result:
    plugin = Reach()
    code = _pytest([job["file"]], scratch, plugin)
    failed = plugin.failed or ([job["file"]] if code else [])
    return {
        "failed": failed,
        "collected": plugin.collected,
        "collect_s": plugin.collect_s,
        "tests": plugin.tests,
    }


if __name__ == "__main__":
    main()
