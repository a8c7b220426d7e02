"""What a row came to, beside its goal."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import trio

from chain.base.errors import OperatorError
from scripts.siege_parts.rows import Row

PATIENCE = 3
"""Of what a row takes where all is well."""


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
    """Run a row; one that cannot be run to its end, for whatever reason or in time, is not met: others wait for it."""
    load, began = os.getloadavg()[0], time.monotonic()
    # The scale of a long row is its seconds.
    limit_s = (scale + row.seconds) if row.is_long else PATIENCE * row.seconds
    measured, is_met = f"not done after {limit_s:.0f} s", False
    with trio.move_on_after(limit_s):
        try:
            measured, is_met = await row.run(scale)
        except* OperatorError as group:
            measured = str(group.exceptions[0])
        except* Exception as group:  # noqa: BLE001 - the table is made while nobody is there
            error: BaseException = group
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            measured = f"broke off: {error!r}"
    return Verdict(row.name, row.condition, measured, row.goal, is_met, round(load, 1), round(time.monotonic() - began))
