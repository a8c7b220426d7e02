"""What a running testnet makes of signals."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from scripts.testnet_parts.run import ECHO_S, Testnet


class Process:
    """Counts how often it is killed."""

    def __init__(self) -> None:
        self.killed = 0

    def kill(self) -> None:
        self.killed += 1


class Interrupted:
    """As much of a testnet as signals concern."""

    def __init__(self) -> None:
        self.nodes = [Process()]
        self.interrupted = False
        self._scope = trio.CancelScope()


@pytest.mark.parametrize(
    ("pauses_s", "name", "killed"),
    [
        ((), "SIGINT", 0),
        ((0.0,), "SIGINT", 0),  # one press, from the terminal and from what started it
        ((ECHO_S + 0.1,), "SIGINT", 1),
        ((0.0, ECHO_S + 0.1), "SIGINT", 1),
        ((ECHO_S + 0.1,), "SIGHUP", 0),
    ],
)
async def test_a_second_press_kills_and_an_echo_of_the_first_does_not(
    autojump_clock: MockClock, pauses_s: tuple[float, ...], name: str, killed: int
) -> None:
    if not hasattr(signal, name):
        pytest.skip(f"no {name} here")
    testnet: Any = Interrupted()

    async def pressed() -> AsyncIterator[int]:
        yield signal.Signals[name]
        for pause_s in pauses_s:
            await trio.sleep(pause_s)
            yield signal.Signals[name]

    await Testnet._obey(testnet, pressed())
    assert (testnet.interrupted, testnet.nodes[0].killed) == (True, killed)
