"""What a row came to, beside its goal."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from chain.errors import OperatorError
from scripts.siege_parts.rows import Row


@dataclass(frozen=True, slots=True)
class Verdict:
    """``measured`` is for people; ``load`` says how many processes wanted a core of this machine before."""

    row: str
    condition: str
    measured: str
    goal: str
    is_met: bool
    load: float
    seconds: float


async def judged(row: Row, scale: float) -> Verdict:
    """Run a row; one that cannot be run to its end is not met."""
    load, began = os.getloadavg()[0], time.monotonic()
    try:
        measured, is_met = await row.run(scale)
    except* OperatorError as group:
        measured, is_met = str(group.exceptions[0]), False
    return Verdict(row.name, row.condition, measured, row.goal, is_met, round(load, 1), round(time.monotonic() - began))
