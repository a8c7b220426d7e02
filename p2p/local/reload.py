"""A running node takes over what changed in its ``config.toml``, as far as it can, when SIGUSR1 asks for it.

Not SIGHUP, which others use for this: a terminal that is closed sends it, and ends a node cleanly.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import structlog

from chain.base.errors import OperatorError
from p2p.local.config import HomeConfig, live_settings, read_config

RELOAD = signal.SIGUSR1

log = structlog.get_logger("node")


def ignore_reloads() -> None:
    """What would end a process that does not know the signal: until it does, there is nothing to read again."""
    signal.signal(RELOAD, signal.SIG_IGN)


async def follow_config(
    asked: AsyncIterator[int], path: Path, config: HomeConfig, adopt: Callable[[HomeConfig], None]
) -> None:
    """Whenever ``asked`` to, read the file at ``path``, and let ``adopt`` take over what may change.

    ``config`` is what the node runs with.  What cannot change while it runs, or has a mistake, is named in the log.
    """
    async for _ in asked:
        config = _read_again(path, config, adopt)


def _read_again(path: Path, before: HomeConfig, adopt: Callable[[HomeConfig], None]) -> HomeConfig:
    try:
        wanted = read_config(path)
    except OperatorError as error:
        log.warning("configuration_refused", why=str(error), remedy="mend it and send the signal again")
        return before
    changed = {name for name, value in vars(wanted).items() if value != getattr(before, name)}
    now, later = sorted(changed & live_settings()), sorted(changed - live_settings())
    after = replace(before, **{name: getattr(wanted, name) for name in now})
    adopt(after)
    log.info("configuration_read", changed=" ".join(now) or "nothing", at_the_next_start=" ".join(later) or "nothing")
    return after


def adopt_level(level: str) -> None:
    """Log from ``level`` on, from now on."""
    logging.getLogger().setLevel(level.upper())
