"""What a process owes to whoever started it: standard streams, signals, exit codes.

This file is imported before all others of a program, so that Ctrl-C is quiet while they are: it imports little.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from chain.errors import InvariantBroken, OperatorError, innermost

EXIT_MISTAKE = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141

_OUTPUT_ERRORS = frozenset({errno.ENOSPC, errno.EIO, errno.EBADF})


def prepare() -> None:
    """Call this first in a program, before what takes long to import: Ctrl-C then ends it quietly, with exit code 130.

    Standard streams that were closed are opened on nothing; otherwise a socket or the database would get their numbers.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, end_at_once)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # the lowest free number is its own, unless somebody took it
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


def end_at_once(number: int, _frame: FrameType | None = None) -> None:
    """End as the signal ``number`` would end a process that knows nothing of it; Ctrl-C with an exit code."""
    if number == signal.SIGINT:
        os._exit(EXIT_INTERRUPTED)
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def runs_as(command: str) -> bool:
    """Whether this process was started as the installed command of this name."""
    return os.path.basename(sys.argv[0] if sys.argv else "").removesuffix(".exe") == command


@contextmanager
def interruptible() -> Iterator[None]:
    """Inside, Ctrl-C is a ``KeyboardInterrupt``, so that what was begun is tidied up."""
    before = signal.getsignal(signal.SIGINT)
    if before is not end_at_once:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def exit_codes() -> Iterator[None]:
    """0 a clean end, 1 our own fault (with a traceback), 2 the operator can mend it (one sentence), 130 Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except (OperatorError, InvariantBroken, BaseExceptionGroup) as group:
        error = innermost(group)
        if isinstance(error, KeyboardInterrupt):
            sys.exit(EXIT_INTERRUPTED)
        if not isinstance(error, OperatorError):
            raise
        _last_sentence(str(error))
        sys.exit(EXIT_MISTAKE)
    except BrokenPipeError:
        _drop_output()
        sys.exit(EXIT_BROKEN_PIPE)
    except OSError as error:
        if error.errno not in _OUTPUT_ERRORS:
            raise
        _drop_output()
        _last_sentence(f"the output cannot be written ({error.strerror}); send it elsewhere")
        sys.exit(EXIT_MISTAKE)


def _last_sentence(text: str) -> None:
    with suppress(OSError):
        sys.stderr.write(f"node: {text}\n")
        sys.stderr.flush()


def _drop_output() -> None:
    # What is left in the buffer would raise again when the interpreter flushes it at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def stop_signals() -> list[signal.Signals]:
    """What asks a process to end cleanly.  A hang-up does not where whoever started it said so (``nohup``)."""
    names = ["SIGINT", "SIGTERM"]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        names.append("SIGHUP")
    return [signal.Signals[name] for name in names]
