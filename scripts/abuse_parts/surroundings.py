"""Attacks beside the conversation of peers: by what they say of addresses, and on the node's own HTTP face."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import trio

from p2p import handshake
from scripts.abuse_parts.target import Target, until_thrown_out, visit

# What one greeting may name, and what names a third party often enough.
VICTIM_PORTS = 4
GREETINGS = 300
GREETING_PAUSE_S = 0.05
# More connections than a process usually may have descriptors.
SLOW_BODIES = 1_200
BYTE_PAUSE_S = 1.0
SLOW_HEAD = (
    b"POST /transactions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/msgpack\r\n"
    b"content-length: 100000\r\n\r\n"
)


class Victim:
    """A third party, and how often somebody connected to it."""

    def __init__(self) -> None:
        self.ports: list[int] = []
        self.hits = 0

    async def _open(self, stream: trio.SocketStream) -> None:
        self.hits += 1
        with suppress(trio.BrokenResourceError):
            while await stream.receive_some():
                pass


@asynccontextmanager
async def third_party() -> AsyncIterator[Victim]:
    """Somebody who listens on some ports and has nothing to do with all this."""
    victim = Victim()
    async with trio.open_nursery() as nursery:
        for _ in range(VICTIM_PORTS):
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            victim.ports.append(listeners[0].socket.getsockname()[1])
            nursery.start_soon(trio.serve_listeners, victim._open, listeners)
        yield victim
        nursery.cancel_scope.cancel()


async def named_victims(target: Target) -> None:
    """Greet under many names, each of which says that it listens where a third party does."""
    async with third_party() as victim:
        await name(target, victim)


async def name(target: Target, victim: Victim) -> None:
    """Greet :data:`GREETINGS` times, and go."""
    for _ in range(GREETINGS):
        with until_thrown_out():
            async with visit(target, ports=victim.ports):
                pass
        await trio.sleep(max(target.pace_s, GREETING_PAUSE_S))


async def address_flood(target: Target) -> None:
    """Greet under ever new names, each with as many addresses as a greeting holds, at which there is nobody."""
    for number in itertools.count():
        host = f"127.{number // 250 % 250}.{number % 250}.9"
        with until_thrown_out():
            async with visit(target, ports=range(1, 1 + handshake.MAX_SHARED), host=host):
                pass
        await trio.sleep(max(target.pace_s, GREETING_PAUSE_S))


async def slow_bodies(target: Target) -> None:
    """Submissions to the HTTP face that come byte by byte."""
    port = int(target.http.rpartition(":")[2])
    async with trio.open_nursery() as nursery:

        async def dawdle() -> None:
            while True:
                with suppress(OSError, trio.BrokenResourceError):
                    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                        await stream.send_all(SLOW_HEAD)
                        while True:
                            await trio.sleep(BYTE_PAUSE_S)
                            await stream.send_all(b"\x91")
                await trio.sleep(BYTE_PAUSE_S)

        for _ in range(SLOW_BODIES):
            nursery.start_soon(dawdle)
