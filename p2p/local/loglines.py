"""A line of the log as a terminal shows it: no wider than that; what does not fit goes below, under its beginning.

A file and a pipe get the same on one line, for programs; see :mod:`p2p.local.logs`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from typing import Any, NamedTuple, TextIO

import click

USUAL_COLUMNS = 80
"""How wide a terminal is taken for that does not say so."""

# The time of day and a blank: below it, all lines of an event begin at the same place.
_INDENT = len("16:31:36 ")
_LOOKS: dict[str, dict[str, Any]] = {
    "debug": {"dim": True},
    "warning": {"fg": "yellow"},
    "error": {"fg": "red"},
    "critical": {"fg": "red"},
}
_QUOTED = frozenset(" \t=\r\n\"'")


class _Word(NamedTuple):
    """What is not broken, and how it looks."""

    text: str
    shown: str


class Folded:
    """Renders an event for whoever watches: ``16:31:36 head height=12 id=925d18014c4f``.

    Times are UTC, and the date is a line of its own whenever it is another.  A level is named unless it is ``info``.
    ``key=value`` stays in one piece; only a text that is longer than a line is broken, between its words.
    ``columns`` says how wide the terminal is now.
    """

    def __init__(self, columns: Callable[[], int]) -> None:
        self._columns = columns
        self._has_colours = not os.environ.get("NO_COLOR")
        self._date = ""

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
        date, _, clock = event.pop("timestamp").partition("T")
        trace = event.pop("exception", None)
        room = max(1, self._columns() - _INDENT)
        first, *more = _folded(self._words(event, room), room)
        lines = [] if date == self._date else [self._styled(f"{date} UTC", dim=True)]
        lines += [self._styled(clock[:8], dim=True) + " " + first, *(" " * _INDENT + line for line in more)]
        self._date = date
        return "\n".join(lines if trace is None else [*lines, trace])

    def _words(self, event: MutableMapping[str, Any], room: int) -> list[_Word]:
        level, what = event.pop("level"), str(event.pop("event"))
        words = [_Word(level, self._styled(level, **_LOOKS[level]))] if level in _LOOKS else []
        words += [_Word(word, self._styled(word, bold=bool(event))) for word in what.split(" ")]
        for key, value in event.items():
            text = value if isinstance(value, str) and not _QUOTED & set(value) else repr(value)
            pieces = [text] if len(key) + 1 + len(text) <= room else text.split(" ")
            words.append(_Word(f"{key}={pieces[0]}", self._styled(f"{key}=", fg="cyan") + pieces[0]))
            words += [_Word(piece, piece) for piece in pieces[1:]]
        return words

    def _styled(self, text: str, **style: Any) -> str:
        return click.style(text, **style) if self._has_colours else text


def _folded(words: list[_Word], room: int) -> list[str]:
    """Lines of ``room`` characters; a word that is longer has one of its own."""
    lines: list[str] = []
    left = 0
    for word in words:
        if lines and len(word.text) < left:
            lines[-1] += " " + word.shown
            left -= 1 + len(word.text)
        else:
            lines.append(word.shown)
            left = room - len(word.text)
    return lines


def columns_of(stream: TextIO) -> int:
    """How wide the terminal of ``stream`` is now."""
    with suppress(OSError):  # it is gone, or is none
        return os.get_terminal_size(stream.fileno()).columns or USUAL_COLUMNS
    return USUAL_COLUMNS
