"""Which lines of ``chain/`` are executed.

Imports nothing of the project, so that what is watched can be imported broken.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

CHAIN = Path(__file__).resolve().parents[2] / "chain"

Trace = Callable[[FrameType, str, Any], Any]


class Watched(NamedTuple):
    """The lines of one function: all, those not executed yet, and what strikes them off."""

    code: CodeType
    lines: frozenset[int]
    left: set[int]
    strike: Trace


class Lines:
    """Notes the lines; :meth:`trace` is for ``sys.settrace``."""

    def __init__(self) -> None:
        self.watched: dict[int, Watched | None] = {}  # by identity: to hash code takes longer than to run it
        self.alive: list[CodeType] = []  # so that no identity is given again

    def trace(self, frame: FrameType, _event: str, _argument: object) -> Trace | None:
        code = frame.f_code
        try:
            watched = self.watched[id(code)]
        except KeyError:
            watched = self.watched[id(code)] = _watch(code)
            self.alive.append(code)
        if watched is None or not watched.left:
            return None
        watched.left.discard(code.co_firstlineno)  # of which no event tells
        return watched.strike

    def take(self) -> dict[str, list[int]]:
        """The lines since the last call."""
        taken: dict[str, set[int]] = {}
        for watched in filter(None, self.watched.values()):
            if len(watched.left) < len(watched.lines):
                taken.setdefault(Path(watched.code.co_filename).stem, set()).update(watched.lines - watched.left)
                watched.left.update(watched.lines)
        return {module: sorted(lines) for module, lines in taken.items()}


def _watch(code: CodeType) -> Watched | None:
    if Path(code.co_filename).parent.parent != CHAIN:
        return None
    lines = frozenset(line for _, _, line in code.co_lines() if line)
    left = set(lines)

    def strike(frame: FrameType, _event: str, _argument: object) -> Trace:
        left.discard(frame.f_lineno)
        return strike

    return Watched(code, lines, left, strike)
