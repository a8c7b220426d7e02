"""What counts as a mutant, which ones a sample holds, and that a worker notices one and only one."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from pathlib import Path
from textwrap import dedent
from types import FunctionType

import pytest

from scripts.mutants_parts.argued import ARGUED
from scripts.mutants_parts.breaks import Mutant, broken, choose, mutants
from scripts.mutants_parts.crew import ROOT, Case, Reach, Verdict, worker
from scripts.mutants_parts.forks import Broken, in_fork, replace
from scripts.mutants_parts.report import show


def breaks(tmp_path: Path, text: str) -> list[Mutant]:
    path = tmp_path / "rules.py"
    path.write_text(dedent(text))
    return mutants(path)


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("y = a < b", ["y = a <= b"]),
        ("y = a == b", ["y = a != b"]),
        ("y = a in b", ["y = a not in b"]),
        ("y = a <= b < c", ["y = a < b < c", "y = a <= b <= c"]),
        ("y = a and b", ["y = a or b", "y = not a and b", "y = a and (not b)"]),
        ("y = not (a < b)", ["y = a < b", "y = not a <= b"]),
        ("y = x[5]", ["y = x[6]", "y = x[4]"]),
        ("y = x[0]", ["y = x[1]"]),
        ("y = True", ["y = False"]),
        ("y = min(a, b)", ["y = max(a, b)"]),
        ("y = a + b", ["y = a - b"]),
        ("y += a", ["y -= a"]),
        ("y = -a", ["y = a"]),
        ("if a: y()", ["not a"]),
        ("if a < b: raise Refused(R)", ["False", "a <= b"]),
        ("if a:\n  y()\n  raise Refused(R)", ["not a", "pass"]),
        ("check_it(a)", ["pass"]),
    ],
)
def test_each_place_is_broken_in_each_way(tmp_path: Path, text: str, after: list[str]) -> None:
    assert sorted(mutant.after for mutant in breaks(tmp_path, text)) == sorted(after)


@pytest.mark.parametrize(
    "text",
    [
        '"""Not 1 < 2."""',
        "__all__ = [1]",
        "x: Literal[1]",
        "def f(x: Literal[1]) -> Literal[2]: ...",
        "@dataclass(slots=True)\nclass A: ...",
        "y = f'{1 + 2} apples'",
        "y = zip(a, b, strict=True)",
        "y = OperatorError('at most ' + str(5))",
        "if TYPE_CHECKING:\n  x = 1",
        "y = 'a' + b",
    ],
)
def test_what_is_for_people_and_type_checkers_is_not_broken(tmp_path: Path, text: str) -> None:
    assert [mutant.after for mutant in breaks(tmp_path, text)] == []


def test_a_guard_against_a_bug_of_ours_stays(tmp_path: Path) -> None:
    found = breaks(tmp_path, "if a < b:\n  raise InvariantBroken('a is less')")
    assert [mutant.after for mutant in found] == ["a <= b"]


RULES = """
    LIMIT = 3

    class Rules:
        def holds(self, x):
            if (
                x < 2
            ):
                return x == 1
            return False
"""


def test_a_mutant_knows_its_place(tmp_path: Path) -> None:
    found = {mutant.after: mutant for mutant in breaks(tmp_path, RULES)}
    assert found["LIMIT = 4"].function == ""
    assert found["x <= 2"].function == "Rules.holds"
    assert (found["x <= 2"].first, found["x <= 2"].line, found["x <= 2"].last) == (7, 7, 7)
    assert found["return x != 1"].key == "rules.Rules.holds: return x == 1 -> return x != 1"
    assert len({mutant.key for mutant in found.values()}) == len(found)


def test_a_sample_changes_only_where_the_module_does(tmp_path: Path) -> None:
    many = "".join(f"def f{n}(): return {n} < x\n" for n in range(50))
    before = choose(breaks(tmp_path, many), 30, 0)
    assert [mutant.number for mutant in before] == sorted(mutant.number for mutant in before)
    after = choose(breaks(tmp_path, "def new(): return x\n" + many), 30, 0)
    assert [mutant.key for mutant in after] == [mutant.key for mutant in before]
    assert [mutant.key for mutant in choose(breaks(tmp_path, many), 30, 1)] != [mutant.key for mutant in before]
    assert len(choose(before, 100, 0)) == 30


def test_a_living_function_is_broken(tmp_path: Path) -> None:
    found = {mutant.after: mutant.number for mutant in breaks(tmp_path, RULES)}
    path = tmp_path / "rules.py"
    space: dict[str, type] = {}
    exec(compile(path.read_bytes(), str(path), "exec"), space)
    rules, holds = space["Rules"](), space["Rules"].__dict__["holds"]
    assert isinstance(holds, FunctionType)
    assert not rules.holds(2)
    replace([holds], path, broken(path, found["return x != 1"]))
    assert rules.holds(0)
    replace([holds], path, compile(path.read_bytes(), str(path), "exec"))
    assert not rules.holds(0)


def test_a_module_is_imported_broken(tmp_path: Path) -> None:
    found = {mutant.after: mutant.number for mutant in breaks(tmp_path, RULES)}
    (tmp_path / "__init__.py").touch()

    def work() -> dict[str, int]:
        sys.path.insert(0, str(tmp_path.parent))
        sys.meta_path.insert(0, Broken(tmp_path / "rules.py", found["LIMIT = 4"]))
        return {"limit": importlib.import_module(f"{tmp_path.name}.rules").LIMIT}

    assert in_fork(work)["limit"] == 4
    assert not list(tmp_path.rglob("rules*.pyc"))


def test_whatever_a_mutant_does_ends_with_its_fork() -> None:
    def killed() -> dict[str, object]:
        os.kill(os.getpid(), signal.SIGPROF)
        return {}

    def exits() -> dict[str, object]:
        raise SystemExit(0)

    assert in_fork(killed)["noticed"] == "hangs (SIGPROF)"
    assert in_fork(exits)["noticed"] == "SystemExit outside of a test"


def test_the_tests_of_the_same_module_come_first_then_the_fastest(tmp_path: Path) -> None:
    mutant = next(mutant for mutant in breaks(tmp_path, RULES) if mutant.after == "x <= 2")
    lines = {"rules": frozenset({7})}
    slow, fast, own = (
        Case("tests/a.py::slow", 2.0, lines),
        Case("tests/a.py::fast", 1.0, lines),
        Case("tests/unit/chain/test_rules.py::own", 3.0, lines),
    )
    blind = Case("tests/a.py::blind", 0.1, {"rules": frozenset({9})})
    tests = (slow, blind, own, fast)
    nothing: dict[str, dict[str, frozenset[int]]] = {test.file: {} for test in tests}
    assert Reach(tests, nothing, {}).tests_for(mutant) == ([own, fast, slow], [])
    # What a file executes while it is collected can only be noticed by collecting it broken.
    assert Reach(tests, {**nothing, "tests/a.py": lines}, {}).tests_for(mutant) == ([own], [blind, fast, slow])
    assert Reach(tests, {**nothing, own.file: lines}, {}).tests_for(mutant) == ([], [own, fast, slow])


def test_workers_notice_what_their_tests_notice() -> None:
    file = "tests/unit/chain/base/test_merkle.py"
    path = ROOT / "chain" / "base" / "merkle.py"
    names = [f"{file}::test_small_trees_by_hand", f"{file}::test_nothing_is_provable_in_an_empty_tree"]
    number = next(mutant.number for mutant in mutants(path) if mutant.after == "len(level) > 2")
    tests = [(name, 0.1) for name in names]
    job = {"path": str(path), "number": number, "tests": tests}
    with worker("collected") as ask:
        assert ask({"files": [file]})["collected"] > 1
        assert ask(job)["noticed"] == names[0]
        assert ask({**job, "tests": tests[1:]})["noticed"] == ""
    with worker("fresh") as ask:
        assert ask({**job, "files": [[file]], "collect_s": 1.0})["noticed"] == names[0]


def test_survivors_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, *_ = breaks(tmp_path, RULES)
    show([Verdict(first, "tests/a.py::one", 3), Verdict(second, "", 3)])
    told = capsys.readouterr().out
    assert "rules       2  50.0%" in told
    assert "- LIMIT = 3\n  + LIMIT = 2" in told


def test_what_is_argued_is_a_mutant_still() -> None:
    keys = {mutant.key for path in (ROOT / "chain").rglob("[!_]*.py") for mutant in mutants(path)}
    assert set(ARGUED) <= keys
