"""How long a program that runs a node lives: until a signal, or until whoever started it is gone."""

from __future__ import annotations

from p2p.local.startup import end_at_once

import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import structlog
import trio

from chain.base.errors import StoreAway
from p2p.local.process import stop_signals
from p2p.local.supervisor import tell_supervisor

# The server that has a node's state is asked again after so long.
AGAIN_S = 2.0

log = structlog.get_logger("node")


class Lifetime:
    """What :func:`lifetime` gives."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._ready = trio.Event()
        self._told = trio.Event()

    async def until_told(self, *, stop_with_parent: bool) -> None:
        """The node is ready: wait for the first signal, or also for the end of standard input."""
        self._ready.set()
        if stop_with_parent:
            self._nursery.start_soon(self._await_end_of_input)
        await self._told.wait()

    async def obey(self, signals: AsyncIterator[int]) -> None:
        """Take signals until cancelled: the first one counts."""
        async for number in signals:
            if not self._ready.is_set():
                _end_as_if_unknown(number)  # a node that is not ready has nothing to lose
            if not self._told.is_set():
                log.info("stopping", signal=signal.Signals(number).name)
                self._told.set()

    async def _await_end_of_input(self) -> None:
        # In a thread, since not everything that standard input can be tells when it is readable.
        read = partial(os.read, sys.stdin.fileno(), 4_096)
        try:
            while await trio.to_thread.run_sync(read, abandon_on_cancel=True):  # type: ignore[call-arg]
                pass
        except OSError as error:
            log.info("stopping", input=str(error))  # a terminal that is gone
        self._told.set()


def _end_as_if_unknown(number: int) -> None:
    if number == signal.SIGINT:
        end_at_once(number)
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


@asynccontextmanager
async def lifetime() -> AsyncIterator[Lifetime]:
    """Take signals inside, also while a node starts and while it stops.  Only for the main thread's program."""
    with trio.open_signal_receiver(*stop_signals()) as signals:
        async with trio.open_nursery() as nursery:
            life = Lifetime(nursery)
            nursery.start_soon(life.obey, signals)
            yield life
            nursery.cancel_scope.cancel()


async def in_stretches(
    live: Callable[[Callable[[], None]], Awaitable[None]], until_told: Callable[[], Awaitable[None]]
) -> None:
    """Let a node ``live`` until it ends; it calls what it is given once it is ready.

    Where the server that has its state goes away, it ends, and begins anew from what is stored: nothing was said that
    is not, and what a lost connection left half done is forgotten.  Raises :class:`OperatorError`, also where the
    server was away from the beginning: it may never have been there.
    """
    was_ready = False

    def tell_ready() -> None:
        nonlocal was_ready
        was_ready = True
        tell_supervisor("READY=1")

    while True:
        try:
            await live(tell_ready)
            return
        except* StoreAway as away:
            if not was_ready:
                raise
            log.warning("store_away", why=str(_first(away)), again_s=AGAIN_S)
        with trio.move_on_after(AGAIN_S):
            await until_told()
            return


def _first(error: BaseException) -> BaseException:
    """One of the errors that a nest of nurseries is about."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
