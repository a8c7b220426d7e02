"""A small TCP proxy before each node of a manifest: latency, jitter, bandwidth, loss as stalls, cuts; without root.

Whoever dials a node reaches its *front*, the only address of it that anybody is told.  Whose connection it is, the
front learns from the machine: a socket at the other end belongs to one of the processes that we started, or else to a
stranger.  When each piece arrives says :mod:`scripts.manifest_parts.lines`; the simulator goes by the same rule.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, TypeAlias

import psutil
import trio

from scripts.manifest_parts.lines import Links, Way

if TYPE_CHECKING:
    from trio_typing import TaskStatus

PIECE_BYTES = 16 * 1_024
# Like a window of 1 MB: what one sends ahead of what has arrived.
MAX_PIECES = 64
# How late it is noticed that a cut is healed, or that another connection has ended.
LOOK_S = 0.05
STRANGER = ""

#: The processes that are known, and whose they are.
Owners: TypeAlias = Callable[[], Mapping[int, str]]


class Front:
    """Where one node is reached, on port ``port`` of loopback; the node itself listens on ``behind``."""

    def __init__(self, node: str, port: int, behind: int, links: Links, owners: Owners) -> None:
        self.node = node
        self.port = port
        self._behind = behind
        self._links = links
        self._owners = owners
        self._open: defaultdict[str, set[trio.CancelScope]] = defaultdict(set)

    async def run(self, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Carry what comes, until cancelled."""
        listeners = await trio.open_tcp_listeners(self.port, host="127.0.0.1")
        task_status.started()
        await trio.serve_listeners(self._serve, listeners)

    def part(self, ways: Iterable[Way]) -> None:
        """The connections of these ways end."""
        for dialler in {sender for sender, receiver in ways if receiver == self.node}:
            for scope in self._open.pop(dialler, set()):
                scope.cancel()

    async def _serve(self, stream: trio.SocketStream) -> None:
        port = stream.socket.getpeername()[1]
        dialler = await trio.to_thread.run_sync(owner_of, port, self._owners())
        await self._while_cut(dialler, self.node)
        try:
            behind = await trio.open_tcp_stream("127.0.0.1", self._behind)
        except OSError:
            return  # the node is down, and whoever dials it sees that
        with trio.CancelScope() as scope:
            self._open[dialler].add(scope)
            try:
                async with behind, trio.open_nursery() as nursery:
                    nursery.start_soon(self._carry, stream, behind, dialler, self.node)
                    nursery.start_soon(self._carry, behind, stream, self.node, dialler)
            except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
                pass
            finally:
                self._open[dialler].discard(scope)

    async def _carry(self, source: trio.SocketStream, sink: trio.SocketStream, sender: str, receiver: str) -> None:
        """One direction of a connection; its end ends both."""
        way = self._links.way(sender, receiver)
        put, take = trio.open_memory_channel[tuple[int, bytes]](MAX_PIECES)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._deliver, take, sink, sender, receiver)
            async with put:
                while piece := await source.receive_some(PIECE_BYTES):
                    await put.send((way.arrival_ms(_now_ms(), len(piece)), piece))

    async def _deliver(
        self, take: trio.MemoryReceiveChannel[tuple[int, bytes]], sink: trio.SocketStream, sender: str, receiver: str
    ) -> None:
        async for arrival_ms, piece in take:
            await trio.sleep(max(0, arrival_ms - _now_ms()) / 1_000)
            await self._while_cut(sender, receiver)
            await sink.send_all(piece)
        await sink.send_eof()

    async def _while_cut(self, sender: str, receiver: str) -> None:
        while self._links.is_cut(sender, receiver):
            await trio.sleep(LOOK_S)


class Fronts:
    """The fronts of all nodes."""

    def __init__(self, ports: Mapping[str, tuple[int, int]], links: Links, owners: Owners) -> None:
        self._fronts = {name: Front(name, port, behind, links, owners) for name, (port, behind) in ports.items()}

    async def run(self, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve all, until cancelled."""
        async with trio.open_nursery() as nursery:
            for front in self._fronts.values():
                await nursery.start(front.run)
            task_status.started()

    def part(self, ways: Iterable[Way]) -> None:
        """The connections of these ways end."""
        for front in self._fronts.values():
            front.part(ways)


def owner_of(port: int, owners: Mapping[int, str]) -> str:
    """Whose process has a socket with this local port; "" for nobody's that is known."""
    for pid, name in owners.items():
        try:
            connections = psutil.Process(pid).net_connections(kind="tcp")
        except psutil.Error:
            continue
        if any(each.laddr and each.laddr.port == port for each in connections):
            return name
    return STRANGER


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
