"""Runs tests against broken modules, in a process of its own: ``python -m scripts.mutants_parts.worker KIND``.

Of KIND there are

  reach      which lines of ``chain/`` each test of a file executes, and which ones its collection
  collected  the tests are collected once, and a fork replaces the code of the functions that a mutant changes
  fresh      a fork imports the broken module and collects: for what runs while modules are imported

Imports nothing of the project, so that a fork can import it broken.
"""

from __future__ import annotations

import gc
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FunctionType
from typing import Any

import cryptography.hazmat.primitives.asymmetric.ed25519
import hypothesis.strategies
import msgpack
import pytest
import trio

from scripts.mutants_parts.breaks import broken
from scripts.mutants_parts.forks import Broken, Deadline, Job, Result, in_fork, jobs_and_answers, replace
from scripts.mutants_parts.lines import Lines

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = (
    *("-q", "--tb=no", "-p", "no:cacheprovider", "-p", "no:xdist", "--hypothesis-profile=mutants"),
    "-Wignore::pytest.PytestAssertRewriteWarning",  # the plugins are imported already
)
WARM = (cryptography, hypothesis, msgpack, trio)  # imported once, for all forks

# A test that takes this much longer than alone hangs.  In CPU time, which no load on the machine changes.
SLOWER = 10
GRACE_S = 5.0


def main() -> None:
    """Do jobs until there are no more."""
    jobs, answer = jobs_and_answers()
    hypothesis.settings.register_profile(
        "mutants",
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    )

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
            with Deadline(SLOWER * cpu_s + GRACE_S):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.noticed:
                return


class Collected:
    """After the collection: a fork for each job."""

    def __init__(self, jobs: Iterator[Job], answer: Callable[[Result], None]) -> None:
        self.jobs, self.answer = jobs, answer

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        gc.unfreeze()  # what is frozen is not among the objects
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
        with Deadline(SLOWER * job["collect_s"] + GRACE_S):
            code = _pytest(files, scratch, plugin)
        if plugin.noticed or code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            return {"noticed": plugin.noticed or "cannot be imported"}
    return {"noticed": ""}


class Reach:
    """Notes which lines of ``chain/`` each test executes, and how long it takes."""

    def __init__(self) -> None:
        self.lines = Lines()
        self.collected: dict[str, list[int]] = {}
        self.tests: dict[str, Any] = {}
        self.failed: list[str] = []
        self.collect_s = 0.0

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self) -> Iterator[None]:
        started = time.process_time()
        sys.settrace(self.lines.trace)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            self.collected = self.lines.take()
            self.collect_s = time.process_time() - started

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        started = time.process_time()
        threading.settrace(self.lines.trace)
        sys.settrace(self.lines.trace)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            self.tests[item.nodeid] = (round(time.process_time() - started, 4), self.lines.take())

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)


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
