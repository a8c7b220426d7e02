"""What every command line of the project shares: its look, its first moments, its words and its end.

Exit codes: 0 fine, 1 what the command looked for is wrong (or a fault of ours, with a traceback), 2 usage or the
operator's mistake, in one sentence that begins with ``error:``, 130 Ctrl-C, 141 the reader of the pipe went away (both
as a shell counts them).

Whatever takes long to import is imported by the command that needs it, under :func:`importing`: asking for ``-h`` must
not wait for trio, libp2p or pandas.
"""

from __future__ import annotations

from p2p.local.startup import EXIT_INTERRUPTED, EXIT_MISTAKE, FOLDER, INSTALLED, is_command, is_installed

import codecs
import errno
import io
import os
import re
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import click

from chain.base.errors import OperatorError
from p2p.local.mistyped import told
from p2p.local.process import interruptible, open_streams

ROOT = Path(FOLDER)
EXIT_WRONG, EXIT_BROKEN_PIPE = 1, 141
OUR_FAULT = (
    "This is a fault of Goodfaith's own, and what is on disk stays as it is: start it again, and where it ends here "
    "once more leave the home alone, send these lines to who maintains Goodfaith, and run the version that mends it."
)
# How Ctrl-C ends this process while nothing is begun; tests and others who import a command have their own way.
_AT_FIRST = signal.getsignal(signal.SIGINT)
_SETTINGS = {"help_option_names": ["-h", "--help"]}
# A command as messages and documents spell it; it is printed as it works from here.
_SPELLED = re.compile(r"(?<![\w/])python (node\.py|scripts/\w+\.py)")
# What a terminal that knows no Unicode gets instead.
_PLAIN = {"…": "...", "–": "-", "—": "-", "─": "-", "━": "-", "█": "#", "→": "->", "×": "x", "≥": ">=", "≤": "<="}


# ---------------------------------------------------------------------------------------------- making commands


class _Program(click.Command):
    """A command whose :meth:`main` ends as the exit codes above say, whoever calls it."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Run to the end, and exit.  ``args`` are those of the process by default."""
        sys.exit(_code_of(self, sys.argv[1:] if args is None else args, extra))


class Command(_Program):
    """A program of one command."""


class Group(_Program, click.Group):
    """A program of several commands."""


def command(function: Callable[..., None]) -> Command:
    """Make a program of a function: ``-h``, ``--version``, exit codes."""
    return click.command(cls=Command, context_settings=_SETTINGS)(_version(function))


def group(function: Callable[..., None]) -> Group:
    """Make a program with commands of its own; see :func:`command`."""
    return click.group(cls=Group, context_settings=_SETTINGS)(_version(function))


def _version(function: Callable[..., None]) -> Callable[..., None]:
    def show(context: click.Context, _parameter: click.Parameter, is_wanted: bool) -> None:
        if is_wanted:
            click.echo(f"goodfaith {version()}")
            context.exit()

    return click.option(
        "--version", is_flag=True, is_eager=True, expose_value=False, callback=show, help="Show the version and exit."
    )(function)


def version() -> str:
    """The version: that of the clone whose file this is, else that of the installed package."""
    import importlib.metadata
    import tomllib

    with suppress(OSError, ValueError, KeyError):
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        if project["name"] == INSTALLED:
            return str(project["version"])
    return importlib.metadata.version(INSTALLED)


as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
"""Every command that answers takes it."""


def home_of_node(help: str = "A node's home.", default: Path | None = Path("home")) -> Callable[..., Any]:
    """The option ``--home``: a node's folder, ``home`` if nothing else is said."""
    return click.option(
        "--home",
        type=click.Path(path_type=Path, file_okay=False),
        envvar="GOODFAITH_HOME",
        default=default,
        show_default=default is not None,
        show_envvar=True,
        help=help,
    )


# --------------------------------------------------------------------------------------------------- how it starts


@contextmanager
def importing() -> Iterator[None]:
    """Imports inside happen late, and Ctrl-C ends them at once: libraries do not expect it while they are loaded."""
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, _AT_FIRST)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _plain(error: UnicodeError) -> tuple[str, int]:
    """What cannot be written becomes something like it, or a question mark."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PLAIN.get(char, "?") for char in error.object[error.start : error.end]), error.end


codecs.register_error("goodfaith-plain", _plain)


def _soften(*streams: object) -> None:
    """Let terminals that do not know a character show another one."""
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="goodfaith-plain")


# ---------------------------------------------------------------------------------------------- what can be pasted


def launched(text: str) -> str:
    """``text`` with every ``python node.py`` or ``python scripts/….py`` in it as it works from here.

    Whoever started this with uv reads ``.uv/bin/uv run node.py``, in the folder where that holds.
    """
    return _SPELLED.sub(lambda found: _launch(found[1]), text)


def pasted(path: Path) -> str:
    """``path`` as it goes into a command that is printed: quoted where needed, and from here where that is shorter."""
    return shlex.quote(_near(path))


def _launch(script: str) -> str:
    if script == "node.py" and is_installed():
        return shlex.quote(INSTALLED if shutil.which(INSTALLED) else _near(Path(sys.argv[0])))
    return shlex.join([*_launcher(), _near(ROOT / script)])


def _launcher() -> list[str]:
    uv, interpreter = os.environ.get("UV"), Path(sys.executable).absolute()
    if uv and interpreter.is_relative_to(ROOT) and Path.cwd().is_relative_to(ROOT):
        return [_short(Path(uv)), "run"]
    return [_short(interpreter)]


def _short(program: Path) -> str:
    """The name alone where the shell finds just this program by it."""
    found = shutil.which(program.name)
    if found and Path(found).absolute() == program.absolute():
        return program.name
    near = _near(program)
    return near if os.sep in near else os.path.join(os.curdir, near)


def _near(path: Path) -> str:
    """The shorter of the names that it has from here and from everywhere."""
    if os.pardir in path.parts:  # what is above a link, only the system knows: as it was typed
        return str(path)
    whole = str(path.absolute())
    return min(os.path.relpath(whole), whole, key=len)


def _own_name() -> str:
    program = Path(sys.argv[0]).resolve()
    return _launch(str(program.relative_to(ROOT))) if is_command() and program.suffix == ".py" else program.name


# ----------------------------------------------------------------------------------------------------- how it ends


def _code_of(program: click.Command, args: Sequence[str], extra: dict[str, Any]) -> int:
    open_streams()
    _soften(sys.stdout, sys.stderr)
    try:
        with interruptible(), program.make_context(_own_name(), list(args), **extra) as context:
            program.invoke(context)
            sys.stdout.flush()
    except click.exceptions.Exit as end:
        return end.exit_code
    except BaseException as error:
        ends = [_end(cause) for cause in _causes(error)]
        known = dict(end for end in ends if end is not None)
        if None in ends:  # nobody's mistake but ours: it goes on, with its traceback
            _explain(error)
            raise
        for sentence in known:
            _say(sentence)
        _drop_what_cannot_be_written()
        return max(known.values())
    return 0


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exceptions that a nest of nurseries is about."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _causes(inner)
    else:
        yield error


def _end(cause: BaseException) -> tuple[str, int] | None:
    """What is said at the end, and the exit code; None for a fault of ours."""
    match cause:
        case KeyboardInterrupt() | click.Abort():
            return "", EXIT_INTERRUPTED
        case BrokenPipeError():
            return "", EXIT_BROKEN_PIPE
        case OperatorError():
            return str(cause), EXIT_MISTAKE
        case click.exceptions.NoArgsIsHelpError(ctx=click.Context(command_path=path)):
            return f"say what to do; `{path} -h` lists the commands", EXIT_MISTAKE
        case click.UsageError():
            return told(cause, cause.ctx.command_path if cause.ctx else _own_name()), EXIT_MISTAKE
        case click.ClickException():
            return cause.format_message(), EXIT_MISTAKE
        case OSError(filename=str(name)):  # a file or folder that this user may not touch, or that is not there
            return f"{name}: {cause.strerror}", EXIT_MISTAKE
        case OSError(errno=errno.ENOSPC | errno.EIO):
            return f"the output cannot be written: {cause.strerror}", EXIT_MISTAKE
        case _:
            return None


def _explain(error: BaseException) -> None:
    """What to do is said below the traceback of each fault of ours."""
    for cause in _causes(error):
        if _end(cause) is None:
            cause.add_note(OUR_FAULT)


def _say(sentence: str) -> None:
    if sentence:
        with suppress(OSError):
            click.echo(f"{click.style('error:', fg='red')} {launched(sentence)}", err=True)


def _drop_what_cannot_be_written() -> None:
    """What is left in a buffer would raise again when the interpreter flushes it at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
