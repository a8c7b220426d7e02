"""Workers, one for each core, and which tests are worth running against a mutant."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from chain.base.errors import OperatorError
from scripts.console import remark
from scripts.mutants_parts.breaks import Mutant
from scripts.mutants_parts.forks import Job, Result

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".mutants" / "reach.json"
FOLDERS = ("tests/unit/chain", "tests/property", "tests/scenarios")

# What a test's reach depends on beside its own text.
_GROUND = (
    "chain/**/*.py",
    "chain/policies/*",
    "tests/conftest.py",
    "tests/support/*.py",
    "tests/scenarios/crafting.py",
)

_working: set[subprocess.Popen[str]] = set()


class Verdict(NamedTuple):
    """What became of a mutant: the test that noticed it ("" if none did), of so many that could."""

    mutant: Mutant
    noticed: str
    tests: int


@dataclass(frozen=True, slots=True)
class Case:
    """A test with the CPU time it takes and the lines it executes, module by module."""

    name: str
    cpu_s: float
    lines: dict[str, frozenset[int]]

    @property
    def file(self) -> str:
        """The file it is in."""
        return self.name.partition("::")[0]


@dataclass(frozen=True, slots=True)
class Reach:
    """All tests, and for each file what its collection executes, module by module, and the CPU time it takes."""

    tests: tuple[Case, ...]
    collected: dict[str, dict[str, frozenset[int]]]
    collect_s: dict[str, float]

    def tests_for(self, mutant: Mutant) -> tuple[list[Case], list[Case]]:
        """The tests that could notice it: after all is collected, and only if they are collected with it.

        The second are those of files whose collection executes it, and all, if the tests of its own module are
        among them: these come first, then the fastest.
        """
        module, lines = mutant.path.stem, _lines(mutant)
        mirror = f"/test_{module}.py"
        late, early = [], []
        for test in sorted(self.tests, key=lambda test: (not test.file.endswith(mirror), test.cpu_s)):
            if not lines.isdisjoint(self.collected[test.file].get(module, ())):
                if module in test.lines or not test.lines:  # or it looks at what the import made
                    early.append(test)
            elif not lines.isdisjoint(test.lines.get(module, ())):
                late.append(test)
        return ([], early + late) if early and early[0].file.endswith(mirror) else (late, early)


def _lines(mutant: Mutant) -> frozenset[int]:
    return frozenset(range(mutant.first, mutant.last + 1))


def reach(processes: int) -> Reach:
    """What each test executes: from the cache what has not changed, the rest measured now.

    Raises :class:`OperatorError` if a test fails with nothing broken.
    """
    files = sorted(str(file.relative_to(ROOT)) for folder in FOLDERS for file in (ROOT / folder).rglob("test_*.py"))
    ground = _digest(path for pattern in _GROUND for path in sorted(ROOT.glob(pattern)))
    cached = json.loads(CACHE.read_text("ascii")) if CACHE.exists() else {}
    measured = {}
    for file in files:
        digest = f"{ground} {_digest([ROOT / file])}"
        measured[file] = cached[file] if cached.get(file, {}).get("digest") == digest else {"digest": digest}
    missing = [file for file in files if "tests" not in measured[file]]
    if missing:
        remark(f"measuring which lines the tests of {len(missing)} files execute …")
        try:
            _measure(missing, measured, processes)
        finally:  # what was measured before Ctrl-C need not be again
            CACHE.parent.mkdir(exist_ok=True)
            CACHE.write_text(json.dumps({file: found for file, found in measured.items() if _is_sound(found)}), "ascii")
    return _joined(measured)


def _is_sound(found: Result) -> bool:
    return "tests" in found and not found["failed"]


def _measure(files: Sequence[str], measured: dict[str, Any], processes: int) -> None:
    todo = queue_of(files)

    def work() -> None:
        with worker("reach") as ask:
            for file in drain(todo):
                measured[file].update(ask({"file": file}))

    in_threads(work, processes)
    for file in files:
        if failed := measured[file].get("failed", [measured[file].get("noticed")]):
            raise OperatorError(f"{failed[0]} fails with nothing broken; mend it first")


def _joined(measured: dict[str, Any]) -> Reach:
    tests = [
        Case(name, cpu_s, _sets(lines))
        for found in measured.values()
        for name, (cpu_s, lines) in found["tests"].items()
    ]
    return Reach(
        tuple(tests),
        {file: _sets(found["collected"]) for file, found in measured.items()},
        {file: found["collect_s"] for file, found in measured.items()},
    )


def _sets(lines: dict[str, list[int]]) -> dict[str, frozenset[int]]:
    return {module: frozenset(numbers) for module, numbers in lines.items()}


def try_all(
    mutants: Sequence[Mutant], known: Reach, patience_s: float, processes: int, tell: Callable[[Verdict], None]
) -> list[Verdict]:
    """What becomes of each mutant, in their order; ``tell`` hears of each at once.

    A mutant is tried with tests of up to ``patience_s`` of CPU time: 0 is all that could notice it.
    """
    verdicts: dict[str, Verdict] = {}
    late, early = queue_of(mutants), queue_of(())
    files = sorted(known.collect_s)

    def work() -> None:
        with worker("collected") as ask:
            ask({"files": files})
            for mutant in drain(late):
                tests, others = known.tests_for(mutant)
                noticed = ask(_job(mutant, _affordable(tests, patience_s)))["noticed"] if tests else ""
                if others and not noticed:
                    early.put(mutant)
                else:
                    keep(Verdict(mutant, noticed, len(tests)))
        with worker("fresh") as ask:
            for mutant in drain(early):
                others, tests = known.tests_for(mutant)
                noticed = ask(_fresh_job(mutant, _affordable(tests, patience_s), known))["noticed"]
                keep(Verdict(mutant, noticed, len(others) + len(tests)))

    def keep(verdict: Verdict) -> None:
        verdicts[verdict.mutant.key] = verdict
        tell(verdict)

    in_threads(work, processes)
    return [verdicts[mutant.key] for mutant in mutants]


def _affordable(tests: Sequence[Case], patience_s: float) -> list[Case]:
    """As many of them, from the first on, as take so long; at least one."""
    spent_s = list(accumulate(test.cpu_s for test in tests))
    return [
        test for test, spent in zip(tests, spent_s, strict=True) if not patience_s or spent - test.cpu_s <= patience_s
    ]


def _job(mutant: Mutant, tests: Sequence[Case]) -> Job:
    return {
        "path": str(mutant.path),
        "number": mutant.number,
        "tests": [(test.name, test.cpu_s) for test in tests],
    }


def _fresh_job(mutant: Mutant, tests: Sequence[Case], known: Reach) -> Job:
    own = tests[0].file
    used = {test.file for test in tests} - {own}
    collect_s = sum(known.collect_s[file] for file in (own, *used))
    return {**_job(mutant, tests), "files": [[own], *([sorted(used)] if used else [])], "collect_s": collect_s}


@contextmanager
def worker(kind: str, module: str = "scripts.mutants_parts.worker") -> Iterator[Callable[[Job], Result]]:
    """A process that answers jobs, one at a time, until the end of the block."""
    command = [sys.executable, "-m", module, kind]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        source, answers = process.stdin, process.stdout

        def ask(job: Job) -> Result:
            with suppress(BrokenPipeError):
                source.write(json.dumps(job) + "\n")
                source.flush()
            answer = answers.readline()
            if not answer:
                raise OperatorError(f"a worker ({kind}) ended; is there memory left?")
            result: Result = json.loads(answer)
            return result

        _working.add(process)
        try:
            yield ask
        finally:
            _working.discard(process)
            with suppress(BrokenPipeError):
                source.close()


def in_threads(work: Callable[[], None], count: int) -> None:
    """Do the same in so many threads; when one fails, so do the workers of the others."""
    with ThreadPoolExecutor(count) as pool:
        begun = [pool.submit(work) for _ in range(count)]
        try:
            for done in as_completed(begun):
                done.result()
        except BaseException:
            for process in tuple(_working):  # the other threads wait for these
                process.send_signal(signal.SIGINT)
            raise


def queue_of(items: Iterable[Any]) -> SimpleQueue[Any]:
    """Work for several threads."""
    queue = SimpleQueue[Any]()
    for item in items:
        queue.put(item)
    return queue


def drain(queue: SimpleQueue[Any]) -> Iterator[Any]:
    """What is left of it, item by item, for whoever asks first."""
    while True:
        try:
            yield queue.get_nowait()
        except Empty:
            return


def _digest(paths: Any) -> str:
    hasher = hashlib.sha256()
    for path in paths:
        hasher.update(path.read_bytes())
    return hasher.hexdigest()[:16]
