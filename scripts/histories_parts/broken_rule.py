"""One rule of the register, broken on purpose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

Patch = tuple[Any, Any, Any]
RECOUNT = "not what a recount gives"


class Break(NamedTuple):
    """How a rule is broken, and what is said then: the sentence of a right, or what the recount says."""

    make: Callable[[], Sequence[Patch]]
    told: str = RECOUNT


def nothing(*_arguments: Any, **_named: Any) -> None:
    """A check that refuses nothing, or a step that does nothing."""
