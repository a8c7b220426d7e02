"""Looking through what a node stored for damage, while it runs: slowly, and from the beginning again in the end."""

from __future__ import annotations

from p2p.local.commandline import launched

from collections.abc import Iterator
from contextlib import closing

import structlog
import trio

from chain.disk.database import begin_anew
from chain.disk.reader import Reader
from chain.disk.scrub import Portion

# A portion takes some 30 ms of a core; a million members with ten records each take half a day.
PAUSE_S = 2
# From the end of one look to the beginning of the next.
REST_S = 24 * 3_600
# Portions after which the log says how far it is.
TOLD_EVERY = 1_000

log = structlog.get_logger("scrub")


async def scrub(reader: Reader, *, pause_s: float = PAUSE_S, rest_s: float = REST_S) -> None:
    """Look at everything, again and again, until cancelled; damage is told in the log.  ``reader`` is closed then."""
    with closing(reader):
        while True:
            await _once(reader, pause_s)
            await trio.sleep(rest_s)


async def _once(reader: Reader, pause_s: float) -> None:
    portions, rows, damaged, number = reader.scrub(), 0, 0, 0
    remedy = launched(f"stop the node, {begin_anew(reader.path)}")
    while (portion := await trio.to_thread.run_sync(_next, portions)) is not None:
        rows, damaged, number = rows + portion.rows, damaged + len(portion.damage), number + 1
        for damage in portion.damage:
            log.error("damaged", table=damage.table, row=damage.row, what=damage.what, remedy=remedy)
        if number % TOLD_EVERY == 0:
            log.info("scrubbing", rows=rows, damaged=damaged)
        await trio.sleep(pause_s)
    log.info("scrubbed", rows=rows, damaged=damaged)


def _next(portions: Iterator[Portion]) -> Portion | None:
    return next(portions, None)
