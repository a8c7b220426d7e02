"""A right: its sentence, and whether a step broke it.  :mod:`scripts.histories_parts.rights` has all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from scripts.histories_parts.steps import Past, Step

Broken = Callable[[Past, Step], bool]


class Right(NamedTuple):
    """``is_broken`` says of one step whether it took the right from somebody."""

    sentence: str
    is_broken: Broken


RIGHTS: list[Right] = []


def right(sentence: str) -> Callable[[Broken], Broken]:
    """Register a right with what decides whether a step broke it."""

    def register(is_broken: Broken) -> Broken:
        RIGHTS.append(Right(sentence, is_broken))
        return is_broken

    return register
