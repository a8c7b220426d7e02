"""How a program begins and ends, and what it prints to be pasted."""

from __future__ import annotations

from p2p.local.commandline import OUR_FAULT, ROOT, command, group, importing, launched

import errno
import os
import shutil
import sys
from pathlib import Path
from traceback import format_exception

import click
import pytest

from chain.base.errors import InvariantBroken, OperatorError
from p2p.local import commandline
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
    assert launched("python scripts/top.py") == f"{ROOT}/.uv/bin/uv run top.py"


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
