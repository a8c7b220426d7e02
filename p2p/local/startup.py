"""Imported before all else by what may be a program: from here on Ctrl-C is quiet, with exit code 130.

Only where this process *is* one of our commands; whoever imports one keeps the signals as they are.  It imports
nothing that the interpreter has not loaded by itself, since until it is done Ctrl-C is a traceback.
"""

from __future__ import annotations

# The module ``signal`` is this one with enumerations, which take longer to load than all the rest of this file.
import _signal  # type: ignore[import-not-found]
import os
import sys

EXIT_INTERRUPTED = 130
INSTALLED = "goodfaith"
"""The command of the wheel; it is ``node.py``."""
FOLDER = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
"""Where ``node.py`` lies."""


def is_command() -> bool:
    """Whether this process was started as one of our commands."""
    folder, name = os.path.split(os.path.realpath(sys.argv[0] if sys.argv else ""))
    return (folder, name) == (FOLDER, "node.py") or folder == os.path.join(FOLDER, "scripts") or is_installed()


def is_installed() -> bool:
    """Whether this process was started as the wheel's command."""
    return os.path.basename(sys.argv[0] if sys.argv else "").removesuffix(".exe") == INSTALLED


def end_at_once(_number: int, _frame: object = None) -> None:
    """What Ctrl-C does while nothing is begun."""
    os._exit(EXIT_INTERRUPTED)


if is_command() and _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, end_at_once)
