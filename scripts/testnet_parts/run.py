"""The running testnet: its processes, the feeding of the replay, and when it is over."""

from __future__ import annotations

import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import httpx
import trio

from chain.errors import OperatorError
from scripts.replay import Plan, Signer, pack
from scripts.testnet_parts.confirm import FinalReader
from scripts.testnet_parts.feed import BATCH, MAX_OUTSTANDING, Feed
from scripts.testnet_parts.homes import TestnetHome
from scripts.testnet_parts.nodes import HTTP_TIMEOUT_S, Node, Unreachable
from scripts.testnet_parts.pace import Pace

if TYPE_CHECKING:
    from trio_typing import TaskStatus

# Finality takes 5 slots with four validators and 7 with one of them down; three times that is no accident.
PATIENCE_SLOTS = 20
MIN_PATIENCE_S = 5.0
# Signed and not yet submitted: two seconds of work ahead of the fastest network on one machine.
SIGN_AHEAD = MAX_OUTSTANDING
SIGN_CHUNK = 500
# The mesh of five local nodes is complete after one or two seconds; a few missing links do not matter.
MESH_TIMEOUT_S = 15.0
STATUS_EVERY_S = 0.5
# The nodes stamp their head moves themselves and remember 1,024 of them.
MOVES_EVERY_S = 5.0
SHORT_NAP_S = 0.05
# After --duration, what was submitted gets this long to become final.
DRAIN_S = 60.0
# Without more than two thirds of the validators nothing becomes final; somebody may be restarting one by hand.
QUORUM_GRACE_S = 60.0
RESTART_DELAY_S = 1.0
MAX_RESTARTS = 20


@dataclass(frozen=True, slots=True)
class Until:
    """When a testnet stops by itself: once everything is final, after ``duration_s``, or never."""

    is_final: bool
    duration_s: float | None


Watch: TypeAlias = "Callable[[Testnet], Awaitable[None]]"


class Testnet:
    """Runs one testnet from start to stop.  ``note`` is told, in a sentence, what people should know."""

    __test__ = False  # pytest takes the name for a test case

    def __init__(self, home: TestnetHome, plan: Plan, *, restart_dead: bool, note: Callable[[str], None]) -> None:
        shape = home.shape
        self.home = home
        self.nodes = [
            Node(index, home.path / name, is_validator=index < shape.nodes) for index, name in enumerate(shape.names)
        ]
        self.signer = Signer(plan, home.genesis, shape.seed)
        self.feed = Feed(len(plan), patience_ms=round(1000 * max(MIN_PATIENCE_S, self._slots_s(PATIENCE_SLOTS))))
        self.pace = Pace(shape.slot_ms, _now_ms())
        self.reader = FinalReader(home.genesis)
        self.resumed = 0  # final before this run
        self.started_s: float | None = None  # when the first transaction was submitted
        self.finished_s: float | None = None  # when everything was final everywhere
        self.interrupted = False
        self.gave_up = False
        self._restart_dead = restart_dead
        self._note = note
        self._restarting: set[str] = set()
        self._raws: list[bytes] = []
        self._scope = trio.CancelScope()
        self._client = httpx.AsyncClient(timeout=HTTP_TIMEOUT_S, trust_env=False)

    def _slots_s(self, slots: int) -> float:
        return slots * self.home.shape.slot_ms / 1000

    # --------------------------------------------------------------------------------------------- for the view

    @property
    def live(self) -> list[Node]:
        """The nodes that answer."""
        return [node for node in self.nodes if node.is_live]

    @property
    def included(self) -> int:
        """Transactions on the main chain of the node that has most of them."""
        return max((node.last["transactions"] for node in self.nodes if node.last), default=0)

    @property
    def seconds(self) -> float:
        """From the first submission until everything was final everywhere, or until now."""
        if self.started_s is None:
            return 0.0
        return (time.monotonic() if self.finished_s is None else self.finished_s) - self.started_s

    # --------------------------------------------------------------------------------------------------- its life

    async def prepare(self) -> None:
        """Derive the keys and see what an earlier run brought to finality.

        Raises :class:`OperatorError` where the home was fed from another file.
        """
        await trio.to_thread.run_sync(self.signer.derive_keys)
        if self.home.is_resumed:
            for node in self.nodes:
                while await trio.to_thread.run_sync(self.reader.is_behind, node.home):
                    await self._read_final(node)
            self.resumed = self.feed.final

    async def run(self, until: Until, watch: Watch) -> None:
        """Run all processes until it is over; none is left when this returns.  ``watch`` shows it, forever."""
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with self._client, trio.open_nursery() as outer:
                outer.start_soon(self._obey, signals)
                try:
                    with self._scope:
                        await self._work(until, watch)
                finally:
                    with trio.CancelScope(shield=True):
                        await self._stop_all()
                outer.cancel_scope.cancel()

    async def _obey(self, signals: AsyncIterator[int]) -> None:
        async for _ in signals:
            if self.interrupted:
                for node in self.nodes:
                    node.kill()
            self.interrupted = True
            self._scope.cancel()

    async def _work(self, until: Until, watch: Watch) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch, self)
            async with trio.open_nursery() as starting:
                for node in self.nodes:
                    starting.start_soon(nursery.start, partial(self._tend, node))
            for node in self.nodes:
                nursery.start_soon(self._poll, node)
            nursery.start_soon(self._sign)
            nursery.start_soon(self._confirm)
            await self._wait_for_mesh()
            for node in self.nodes[: self.home.shape.nodes]:
                nursery.start_soon(self._submit_to, node)
            nursery.start_soon(self._keep_pace)
            nursery.start_soon(self._watch_quorum)
            await self._wait_until(until)
            await self._refresh_all()
            nursery.cancel_scope.cancel()

    async def _stop_all(self) -> None:
        self.reader.close()  # first, so that each node is the last on its database and folds its log into it
        async with trio.open_nursery() as nursery:
            for node in self.nodes:
                nursery.start_soon(node.stop)

    async def _wait_until(self, until: Until) -> None:
        with trio.move_on_after(float("inf") if until.duration_s is None else until.duration_s):
            await self._everything_final()
            if not until.is_final:
                await trio.sleep_forever()
            return
        self.feed.close()
        with trio.move_on_after(DRAIN_S):
            await self._everything_final()

    async def _everything_final(self) -> None:
        """Wait until whatever is submitted is final on every node that lives."""
        while not self.feed.is_done:
            await trio.sleep(SHORT_NAP_S)
        height = self.reader.height
        while self._restarting or min((node.last["finalized_height"] for node in self.live), default=-1) < height:
            await trio.sleep(SHORT_NAP_S)
            for node in self.live:
                await node.refresh(self._client, time.monotonic())
        if self.finished_s is None:
            self.finished_s = time.monotonic()
            if self.started_s is not None:
                self._note(f"all {self.feed.final} transactions are final on {len(self.live)} nodes")

    async def _wait_for_mesh(self) -> None:
        wanted = min(len(self.nodes) - 1, 2 * len(self.nodes) // 3)
        with trio.move_on_after(MESH_TIMEOUT_S):
            while any(node.status is None or node.status["peers"] < wanted for node in self.nodes):
                await trio.sleep(SHORT_NAP_S)

    async def _watch_quorum(self) -> None:
        """Give up where too few validators live for anything to become final, for too long."""
        missing_since_s: float | None = None
        while True:
            live = sum(node.is_live for node in self.nodes if node.is_validator)
            now_s = time.monotonic()
            if 3 * live > 2 * self.home.shape.nodes:
                missing_since_s = None
            elif missing_since_s is None:
                missing_since_s = now_s
                self._note(f"only {live} validators live: nothing becomes final until more than two thirds do")
            elif now_s - missing_since_s > QUORUM_GRACE_S:
                self._note(f"giving up: more than a third of the validators were dead for {QUORUM_GRACE_S:.0f} s")
                self.gave_up = True
                self._scope.cancel()
                return
            await trio.sleep(STATUS_EVERY_S)

    # ------------------------------------------------------------------------------------------------- processes

    async def _tend(self, node: Node, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Start a node and follow it to its end, and beyond where it is restarted."""
        await node.start()
        await node.wait_ready(self._client, _unix_ms())
        task_status.started()
        while True:
            self._note(f"{node.name} {await node.wait_ended()}")
            if not (self._restart_dead and await self._restart(node)):
                await self._await_return(node)
                return

    async def _restart(self, node: Node) -> bool:
        self._restarting.add(node.name)
        for _ in range(MAX_RESTARTS):
            await trio.sleep(RESTART_DELAY_S)
            try:
                await node.start()
                await node.wait_ready(self._client, _unix_ms())
            except OperatorError as error:
                self._note(str(error))
                continue
            self._note(f"{node.name} is back")
            self._restarting.discard(node.name)
            return True
        self._restarting.discard(node.name)
        return False

    async def _await_return(self, node: Node) -> None:
        """A node may be started again by hand; it is then not ours to stop."""
        while True:
            if not node.is_live and await node.adopt(self._client, None, _unix_ms()):
                self._note(f"{node.name} is back, started by hand")
            await trio.sleep(STATUS_EVERY_S)

    async def _poll(self, node: Node) -> None:
        moves_due_s = time.monotonic() + MOVES_EVERY_S
        while True:
            await node.refresh(self._client, time.monotonic())
            if time.monotonic() >= moves_due_s:
                await node.refresh_moves(self._client)
                moves_due_s = time.monotonic() + MOVES_EVERY_S
            await trio.sleep(STATUS_EVERY_S)

    async def _refresh_all(self) -> None:
        for node in self.live:
            await node.refresh(self._client, time.monotonic())
            await node.refresh_moves(self._client)

    # ------------------------------------------------------------------------------------------------- the replay

    async def _sign(self) -> None:
        """Sign ahead of the submissions, in a worker thread."""
        while len(self._raws) < self.feed.total:
            start = len(self._raws)
            if start - self.feed.horizon >= SIGN_AHEAD:
                await trio.sleep(SHORT_NAP_S)
                continue
            chunk = range(start, min(start + SIGN_CHUNK, self.feed.total))
            self._raws += await trio.to_thread.run_sync(self.signer.sign, chunk)

    async def _submit_to(self, node: Node) -> None:
        """Offer one batch after the other to this validator, while it lives."""
        while True:
            batch = self._next_batch() if node.is_live else []
            if not batch:
                await trio.sleep(SHORT_NAP_S)
                continue
            if self.started_s is None:
                self.started_s = time.monotonic()
            try:
                outcomes = await node.submit(self._client, pack(self._raws[position] for position in batch))
            except Unreachable:
                self.feed.give_back(batch)
                await trio.sleep(STATUS_EVERY_S)
            else:
                self.feed.settle(batch, outcomes, _now_ms())

    def _next_batch(self) -> list[int]:
        now_ms = _now_ms()
        if self.pace.allowed(now_ms) < BATCH:
            return []
        batch = self.feed.take(now_ms, len(self._raws))
        self.pace.spend(len(batch))
        return batch

    async def _keep_pace(self) -> None:
        while True:
            waiting = max((node.last["mempool"] for node in self.live), default=0)
            self.pace.observe(waiting, _now_ms())
            await trio.sleep(STATUS_EVERY_S)

    async def _confirm(self) -> None:
        """Read what became final from the node that has most of it."""
        while True:
            best = max(self.live, key=lambda node: node.last["finalized_height"], default=None)
            if best is None or not await self._read_final(best):
                await trio.sleep(2 * SHORT_NAP_S)

    async def _read_final(self, node: Node) -> int:
        positions = await trio.to_thread.run_sync(self.reader.advance, node.home, self.signer.locate)
        for position in positions:
            self.feed.confirm(position)
        return len(positions)


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def _unix_ms() -> int:
    return time.time_ns() // 1_000_000
