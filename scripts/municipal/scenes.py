"""How a story is written: a scene is a generator that says what somebody does, or waits for, and then goes on.

Nothing in a scene knows a clock or a network.  It sees the register on paper, as of the last final block.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from chain.base.errors import Reason
from chain.content.actions import Action
from scripts.municipal.cast import Player

Condition: TypeAlias = Callable[[], bool]


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Do:
    """``actor`` signs ``action``, which may be made from the nonce that it gets.

    The scene goes on once this is final, or once it is not and ``is_open`` says that it cannot be any more: whoever
    is late on a slow machine is late, and the story goes on with what the chain made of it.

    What has a ``refusal`` is only tried out, and over once a node refused it for that reason; ``words`` say what it is.
    """

    actor: Player
    action: Action | Callable[[int], Action]
    is_open: Condition = _always
    words: str = ""
    refusal: Reason | None = None


@dataclass(frozen=True, slots=True)
class Until:
    """The scene waits."""

    condition: Condition


Step: TypeAlias = Sequence[Do] | Until
Scene: TypeAlias = Generator[Step, None, None]


@dataclass(frozen=True, slots=True)
class Chapter:
    """The next chapter begins when all ``scenes`` are over; what happens ``meanwhile`` may take longer."""

    title: str
    scenes: Sequence[Scene]
    meanwhile: Sequence[Scene] = field(default=())
