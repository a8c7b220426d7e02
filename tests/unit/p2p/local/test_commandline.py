"""How a program begins and ends, and what it prints to be pasted."""

from __future__ import annotations

from p2p.local.commandline import OUR_FAULT, ROOT, command, group, importing, launched, pasted

import errno
import os
import shlex
import shutil
import sys
from pathlib import Path
from traceback import format_exception

import click
import pytest

from chain.base.errors import InvariantBroken, OperatorError
from p2p.local import commandline
from scripts.console import SeedRange
from tests.support.commands import exit_code


def ended(error: BaseException, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit code and the last words of a program that raises this."""

    @command
    def program() -> None:
        raise error

    return exit_code(program), capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (OperatorError("home does not exist; name another"), 2, "error: home does not exist; name another\n"),
        (click.ClickException("seven is no number"), 2, "error: seven is no number\n"),
        (KeyboardInterrupt(), 130, ""),
        (click.Abort(), 130, ""),
        (BrokenPipeError(), 141, ""),
        (PermissionError(errno.EACCES, "Permission denied", "home/key"), 2, "error: home/key: Permission denied\n"),
        (OSError(errno.EROFS, "Read-only file system", "home"), 2, "error: home: Read-only file system\n"),
        (OSError(errno.ENOSPC, "No space left"), 2, "error: the output cannot be written: No space left\n"),
    ],
)
def test_what_the_operator_can_mend_is_one_sentence(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(error, capsys) == (code, said)


def test_who_names_no_command_is_told_where_they_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    @group
    def program() -> None:
        """Do one of several things."""

    @program.command()
    def one() -> None:
        """Do one."""

    assert exit_code(program) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: say what to do; `")
    assert said.endswith(" -h` lists the commands\n")


@group
def mistyped() -> None:
    """Do one of several things."""


@mistyped.command()
@click.option("--slots", type=click.IntRange(1, 31_000), required=True)
@click.option("--limit", type=click.IntRange(1))
@click.option("--days", type=int)
@click.option("--share", type=click.FloatRange(0, 1, min_open=True))
@click.option("--mode", type=click.Choice(["full", "pruned", "archive"]))
@click.option("--out", type=click.Path(dir_okay=False))
@click.option("--table", type=click.Path(dir_okay=False, exists=True))
@click.option("--home", type=click.Path(file_okay=False), envvar="GOODFAITH_HOME")
@click.option("--json", is_flag=True)
@click.argument("plan")
def one(**_given: object) -> None:
    """Do one."""


@mistyped.command()
@click.option("--seeds", type=SeedRange())
@click.argument("verdict", type=click.Choice(["strike", "uphold"]))
def two(**_given: object) -> None:
    """Do another."""


MISTYPED = {
    "three": "there is no command three; `p -h` lists those there are",
    "onne": "there is no command onne; did you mean one?",
    "one --zebra": "there is no option --zebra; `p one -h` lists those there are",
    "one --jsom": "there is no option --jsom; did you mean --json?",
    "one --slots 1": "PLAN is missing; give it, as `p one -h` shows",
    "one x": "--slots is missing; give a whole number from 1 to 31,000, as `p one -h` shows",
    "two": "VERDICT is missing; give strike or uphold, as `p two -h` shows",
    "two none": "VERDICT takes strike or uphold, not 'none'",
    "two strike uphold "
    + "and so on " * 9: "'uphold and so on and so on and so on and so on and so on …' is more than this "
    "command takes; `p two -h` shows what that is",
    "two strike uphold 3": "'uphold 3' is more than this command takes; `p two -h` shows what that is",
    "two strike --seeds 5..1": "--seeds: there is no seed in this range",
    "one x --slots": "--slots needs a value after it; -h in its place says which",
    "one x --json=3": "--json takes no value; leave out what follows it",
    "one x --slots 31001": "--slots takes a whole number from 1 to 31,000, not 31001",
    "one x --slots -1": "--slots takes a whole number from 1 to 31,000, not -1",
    "one x --slots two": "--slots takes a whole number from 1 to 31,000, not 'two'",
    "one x --limit 0": "--limit takes a whole number, 1 or more, not 0",
    "one x --days 1.5": "--days takes a whole number, not '1.5'",
    "one x --share 0": "--share takes a number above 0, up to 1, not 0.0",
    'one x --mode "it\'s"': '--mode takes full, pruned or archive, not "it\'s"',
    "one x --out .": "'.' is a folder; --out takes a file",
    "one x --table nowhere": "'nowhere' does not exist; --table takes a file that is there",
    "one x --home pyproject.toml": "'pyproject.toml' is a file; --home takes a folder",
}


@pytest.mark.parametrize("typed", MISTYPED)
def test_what_is_mistyped_is_told_in_a_sentence_that_says_what_to_type(
    typed: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["p"])
    assert exit_code(mistyped, shlex.split(typed)) == 2
    assert capsys.readouterr().err == f"error: {MISTYPED[typed]}\n"


def test_a_wrong_value_of_the_environment_is_told_by_its_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("GOODFAITH_HOME", "pyproject.toml")
    assert exit_code(mistyped, ["one", "x", "--slots", "1"]) == 2
    assert capsys.readouterr().err == "error: 'pyproject.toml' is a file; GOODFAITH_HOME takes a folder\n"


def test_a_nest_of_failures_is_told_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = OperatorError("node0 did not start: no"), OperatorError("node1 did not start: no")
    nest = BaseExceptionGroup("", [BaseExceptionGroup("", [first, second]), OperatorError(str(first))])
    assert ended(nest, capsys) == (2, f"error: {first}\nerror: {second}\n")


def test_ctrl_c_in_a_nest_is_ctrl_c(capsys: pytest.CaptureFixture[str]) -> None:
    nest = BaseExceptionGroup("", [BaseExceptionGroup("", [KeyboardInterrupt()])])
    assert ended(nest, capsys) == (130, "")


@pytest.mark.parametrize("error", [InvariantBroken("ours"), KeyError("ours"), OSError(errno.EBADF, "ours")])
def test_a_fault_of_ours_goes_on_with_its_traceback(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    for raised in (error, BaseExceptionGroup("", [OperatorError("mend me"), error])):
        with pytest.raises(type(raised)):
            ended(raised, capsys)
        assert capsys.readouterr().err == ""
        assert OUR_FAULT in "".join(format_exception(raised))


def test_imports_that_come_late_change_nothing_else() -> None:
    import signal  # noqa: PLC0415

    before = signal.getsignal(signal.SIGINT)
    with importing():
        pass
    assert signal.getsignal(signal.SIGINT) is before


# ---------------------------------------------------------------------------------------------- what can be pasted


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No uv, no python to be found, and a folder that is not the project's."""
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_whoever_uses_uv_reads_uv(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV", str(ROOT / ".uv" / "bin" / "uv"))
    monkeypatch.setattr(sys, "executable", str(ROOT / ".venv" / "bin" / "python"))
    monkeypatch.chdir(ROOT)
    assert launched("try `python scripts/top.py -h`") == "try `.uv/bin/uv run scripts/top.py -h`"
    assert launched("python node.py run") == ".uv/bin/uv run node.py run"
    monkeypatch.chdir(ROOT / "scripts")
    assert launched("python scripts/top.py") == "../.uv/bin/uv run top.py"


def test_uv_is_not_named_where_it_would_find_another_project(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV", "/opt/uv")
    assert launched("python node.py run") == f"{sys.executable} {ROOT}/node.py run"


def test_a_python_that_the_shell_finds_goes_by_its_name(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = elsewhere / "python"
    python.write_text("#!/bin/sh\n", encoding="ascii")
    python.chmod(0o755)
    assert shutil.which("python") == str(python)
    monkeypatch.setattr(sys, "executable", str(python))
    assert launched("python node.py run") == f"python {ROOT}/node.py run"


def test_a_path_is_named_from_here_where_that_is_shorter(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = elsewhere / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    assert pasted(here / "home") == pasted(Path("home")) == "home"
    assert pasted(elsewhere / "two words") == "'../two words'"
    assert pasted(Path("/home")) == "/home"
    assert pasted(here) == "."


def test_what_is_above_a_link_is_left_to_the_system(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (elsewhere / "far" / "folder").mkdir(parents=True)
    (elsewhere / "link").symlink_to(elsewhere / "far" / "folder")
    (elsewhere / "far" / "home").touch()
    assert Path(pasted(Path("link/../home"))).exists()
    assert pasted(Path("../two words")) == "'../two words'"
    monkeypatch.chdir(elsewhere / "link")
    assert Path(pasted(elsewhere / "far" / "home")).exists()


def test_a_program_beside_the_reader_is_found(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(elsewhere / "python"))
    assert launched("python node.py run").startswith("./python ")


def test_names_with_blanks_are_quoted(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commandline, "ROOT", Path("/my files/goodfaith"))
    monkeypatch.setattr(sys, "executable", "/my files/python")
    assert launched("python node.py run") == "'/my files/python' '/my files/goodfaith/node.py' run"


def test_the_installed_command_names_itself(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(elsewhere / "goodfaith"), "run"])
    assert launched("start it with `python node.py run`") == "start it with `goodfaith run`"
    assert os.sep not in launched("python node.py")


def test_what_is_no_command_of_ours_stays(elsewhere: Path) -> None:
    for text in ("", "cpython node.py", "/usr/bin/python node.py", "python other.py", "see scripts/docs/audit.md"):
        assert launched(text) == text
