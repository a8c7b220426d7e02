"""Imported before all else by what may be a program: from here on Ctrl-C is quiet, with exit code 130.

So is a library that is not installed, with exit code 2 and the command that brings it.  All that only where this
process *is* one of our commands; whoever imports one keeps its signals and its tracebacks as they are.  It imports
nothing that the interpreter has not loaded by itself, since until it is done Ctrl-C is a traceback.
"""

from __future__ import annotations

# The module ``signal`` is this one with enumerations, which take longer to load than all the rest of this file.
import _signal  # type: ignore[import-not-found]
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import NoReturn

EXIT_MISTAKE, EXIT_INTERRUPTED = 2, 130
LEAST_PYTHON = (3, 11)
INSTALLED = "goodfaith"
"""The command of the wheel; it is ``node.py``."""
FOLDER = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
"""Where ``node.py`` lies."""
GROUPS = {
    "analysis": ("matplotlib", "numpy", "pandas", "scipy", "sklearn", "threadpoolctl"),
    "index": ("duckdb", "psycopg"),
    "dev": ("hypothesis", "mypy", "pytest", "ruff"),
}
"""What a node does not need, by the group of ``pyproject.toml`` that brings it."""
# Where one of these is not found, that is our fault, and worth a traceback.
_OURS = ("", "chain", "node", "p2p", "scripts", "tests")


def is_command() -> bool:
    """Whether this process was started as one of our commands."""
    folder, name = os.path.split(os.path.realpath(sys.argv[0] if sys.argv else ""))
    return (folder, name) == (FOLDER, "node.py") or folder == os.path.join(FOLDER, "scripts") or is_installed()


def is_installed() -> bool:
    """Whether this process was started as the wheel's command."""
    return os.path.splitext(os.path.basename(sys.argv[0] if sys.argv else ""))[0] == INSTALLED


def end_at_once(_number: int, _frame: object = None) -> None:
    """What Ctrl-C does while nothing is begun."""
    os._exit(EXIT_INTERRUPTED)


def end_without(missing: str) -> NoReturn:
    """End with the command that works where something is ``missing``, in words for people: uv brings it."""
    import shlex  # noqa: PLC0415  not before it is needed: see the first lines

    uv = os.path.join(".uv", "bin", "uv")
    is_there = os.path.exists(os.path.join(FOLDER, uv))
    enter = "" if os.path.realpath(os.curdir) == FOLDER else "cd " + shlex.quote(FOLDER) + " && "
    bring = "" if is_there else "python3 -m pip install -q --upgrade --target .uv uv && "
    script = os.path.relpath(os.path.realpath(sys.argv[0]), FOLDER)
    group = [part for name, brings in GROUPS.items() if missing in brings for part in ("--group", name)]
    command = " ".join(map(shlex.quote, [uv, "run", *group, script, *sys.argv[1:]]))
    sys.stderr.write("error: " + missing + " is not installed for this Python; type\n" + enter + bring + command + "\n")
    sys.exit(EXIT_MISTAKE)


def _tell_what_is_missing(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    missing = (getattr(error, "name", None) or "").partition(".")[0]
    if issubclass(kind, ModuleNotFoundError) and missing not in _OURS:
        end_without(missing)
    sys.__excepthook__(kind, error, trace)


if is_command():
    sys.excepthook = _tell_what_is_missing
    if sys.version_info < LEAST_PYTHON:
        end_without("what this project needs, Python 3.11 above all,")
if is_command() and _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, end_at_once)
