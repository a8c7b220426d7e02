"""What all commands have in common, as a shell sees it."""

from __future__ import annotations

from p2p.local.commandline import Command, Group
from p2p.local.startup import GROUPS

import importlib
import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest

from tests.support.running import DEADLINE_S, ROOT

PROGRAMS = sorted(
    path for path in (*(ROOT / "scripts").glob("*.py"), ROOT / "node.py") if "__main__" in path.read_text("utf-8")
)
every_program = pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
# How they end is written once, for commands and for groups of them; each is tried that imports much, or little.
some_programs = pytest.mark.parametrize(
    "program",
    [path for path in PROGRAMS if path.stem in ("node", "simulate", "inspect_chain")],
    ids=lambda path: path.stem,
)
# What takes long to import, and nobody needs who asks for -h; node.py is made of trio, and logs.
HEAVY = {"trio", "libp2p", "httpx", "pandas", "numpy", "matplotlib", "sklearn", "rich", "structlog", "starlette"}


def run(program: Path, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(program), *arguments]
    settings: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": ROOT}
    ended: subprocess.CompletedProcess[str] = subprocess.run(command, check=False, **settings | options)
    return ended


def test_all_programs_are_tried() -> None:
    assert {"node", "testnet", "registry", "inspect_chain", "simulate", "check"} <= {path.stem for path in PROGRAMS}


@every_program
def test_every_program_ends_as_all_do(program: Path) -> None:
    module = importlib.import_module(".".join(program.relative_to(ROOT).with_suffix("").parts))
    *_, guard, call = program.read_text("utf-8").splitlines()
    assert guard == 'if __name__ == "__main__":'
    assert isinstance(getattr(module, call.strip().removesuffix("()")), Command | Group)


@every_program
def test_help_is_given_and_waits_for_nothing_heavy(program: Path) -> None:
    code = (
        "import atexit, json, runpy, sys\n"
        f"atexit.register(lambda: print(json.dumps(sorted({HEAVY!r} & set(sys.modules))), file=sys.stderr))\n"
        f"sys.argv = [{str(program)!r}, '-h']\n"
        f"runpy.run_path({str(program)!r}, run_name='__main__')\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert ended.returncode == 0
    assert ended.stdout.startswith("Usage: ")
    assert "--version" in ended.stdout
    assert "-h, --help" in ended.stdout
    assert max(map(len, ended.stdout.splitlines())) <= 80
    (heavy,) = ended.stderr.splitlines()
    assert set(json.loads(heavy)) <= ({"trio", "structlog", "rich"} if program.name == "node.py" else set())


@pytest.mark.parametrize("option", ["--home", "--ratings-csv"])
def test_what_an_audit_is_to_read_is_missed_before_anything_heavy_is_imported(option: str) -> None:
    code = (
        "import sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from scripts.audit import audit\n"
        "try:\n"
        f"    audit([{option!r}, 'nowhere'])\n"
        "finally:\n"
        f"    print(sorted({HEAVY!r} & set(sys.modules)))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (ended.returncode, ended.stdout) == (2, "[]\n")
    assert ended.stderr == f"error: 'nowhere' does not exist; {option} takes a path that is there\n"


@every_program
def test_a_python_without_the_libraries_is_told_what_to_type(program: Path, tmp_path: Path) -> None:
    """-S leaves out all that is installed."""
    name = str(program.relative_to(ROOT))
    for folder, enter in ((ROOT, ""), (tmp_path, f"cd {ROOT} && ")):
        command = [sys.executable, "-E", "-S", str(program), "--home", "two words"]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
        said, to_type = ended.stderr.splitlines()
        assert (ended.returncode, ended.stdout) == (2, "")
        assert said.startswith("error: ")
        assert said.endswith(" is not installed for this Python; type")
        assert to_type.startswith(enter)
        assert to_type.endswith(f".uv/bin/uv run {name} --home 'two words'")


@pytest.mark.parametrize(("missing", "code"), [("pandas", 2), ("chain.nowhere", 1)])
def test_what_is_found_missing_late_is_told_too_unless_it_is_ours(missing: str, code: int, tmp_path: Path) -> None:
    program = ROOT / "scripts" / "manifest.py"
    lines = (
        "import runpy, sys",
        f"sys.modules[{missing!r}] = None",
        f"sys.argv = [{str(program)!r}, 'x']",
        "import p2p.local.commandline as lines",
        f"lines.open_streams = lambda: __import__({missing!r})",
        f"runpy.run_path({str(program)!r}, run_name='__main__')",
    )
    ended = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert ended.returncode == code
    assert ("Traceback" in ended.stderr) == (code == 1)
    assert ("uv run --group analysis scripts/manifest.py x" in ended.stderr) == (code == 2)


def test_a_library_that_only_some_need_is_brought_by_its_group() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = project["dependency-groups"] | {"index": project["project"]["optional-dependencies"]["index"]}
    for group, brought in GROUPS.items():
        texts = [each for each in groups[group] if isinstance(each, str)]
        names = {re.split(r"[\[>]", text)[0].replace("scikit-learn", "sklearn") for text in texts}
        assert {*brought} <= names
        assert group == "dev" or {*brought} == names  # what only checks the project is no script's to ask for
    assert project["tool"]["uv"]["default-groups"] == []


@every_program
def test_lists_of_commands_say_what_each_does_to_the_end(program: Path) -> None:
    module = importlib.import_module(".".join(program.relative_to(ROOT).with_suffix("").parts))
    name = program.read_text("utf-8").splitlines()[-1].strip().removesuffix("()")
    lists = [click.Context(getattr(module, name), terminal_width=80, info_name=name)]
    for context in lists:
        if isinstance(context.command, click.Group):
            assert "..." not in context.command.get_help(context).partition("Commands:")[2]
            lists += [click.Context(each, context, terminal_width=80) for each in context.command.commands.values()]


@some_programs
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_is_given_and_nothing_else_done(program: Path, option: str) -> None:
    ended = run(program, option)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("Usage: ")


@some_programs
def test_the_version_is_that_of_the_project(program: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert run(program, "--version").stdout == f"goodfaith {project['version']}\n"


@some_programs
def test_an_unknown_option_is_a_mistake_told_in_one_line(program: Path) -> None:
    ended = run(program, "--zzz")
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: there is no option --zzz; ")
    assert line.endswith(f"{program.relative_to(ROOT)} -h` lists those there are")


@some_programs
def test_an_output_that_takes_nothing_is_told(program: Path) -> None:
    with Path("/dev/full").open("w") as full:
        ended = run(program, "-h", stdout=full)
    assert (ended.returncode, ended.stderr) == (2, "error: the output cannot be written: No space left on device\n")


@some_programs
def test_a_reader_that_went_away_ends_it_quietly(program: Path) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    ended = run(program, "-h", stdout=write_end)
    os.close(write_end)
    assert (ended.returncode, ended.stderr) == (141, "")


@some_programs
def test_closed_streams_are_no_trouble(program: Path, tmp_path: Path) -> None:
    command = f'"{sys.executable}" "{program}" "$1" 0<&- 1>&- 2>&-'
    for argument, code in (("-h", 0), ("--colour", 2)):
        ended = subprocess.run(["sh", "-c", command, "sh", argument], timeout=DEADLINE_S, check=False, cwd=tmp_path)
        assert ended.returncode == code
    assert list(tmp_path.iterdir()) == []


@some_programs
def test_a_terminal_that_knows_no_unicode_gets_other_characters(program: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    ended = run(program, "-h", env=environment, encoding="latin-1")
    assert (ended.returncode, ended.stderr) == (0, "")


@every_program
def test_ctrl_c_while_it_imports_is_quiet(program: Path) -> None:
    """From its first import on, which -X importtime tells; until then the interpreter is still waking up."""
    command = [sys.executable, "-X", "importtime", str(program), "-h"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stderr is not None
        while not process.stderr.readline().endswith(" p2p.local.startup\n"):
            assert process.poll() is None, "the first import of a program is p2p.local.startup"
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
        said = [line for line in process.stderr if not line.startswith("import time:")]
    assert (process.returncode, said) in [(130, []), (0, [])]


@every_program
def test_no_two_options_of_a_command_give_the_same_argument(program: Path) -> None:
    """Or the one is read as the other, and the command does nothing at all."""
    module = importlib.import_module(".".join(program.relative_to(ROOT).with_suffix("").parts))
    name = program.read_text("utf-8").splitlines()[-1].strip().removesuffix("()")
    commands: list[click.Command] = [getattr(module, name)]
    for command in commands:
        names = [parameter.name for parameter in command.params]
        assert len(names) == len(set(names)), f"{command.name}: {names}"
        commands += command.commands.values() if isinstance(command, click.Group) else ()
