"""The running testnet: its processes, whoever feeds them, and when it is over."""

from __future__ import annotations

import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import trio

from chain.base.errors import OperatorError
from p2p.client import AsyncClient
from p2p.local.process import stop_signals
from scripts.testnet_parts.acts import Act, answer, take
from scripts.testnet_parts.homes import TestnetHome
from scripts.testnet_parts.nodes import NodeProcess
from scripts.testnet_parts.shape import Until

if TYPE_CHECKING:
    from trio_typing import TaskStatus

    from scripts.testnet_parts.view import Bar

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
# One Ctrl-C may come more than once: from the terminal, and from whoever started this.
ECHO_S = 0.5
MAX_RESTARTS = 20


class Load(Protocol):
    """What a testnet is fed with.

    ``height`` is that up to which it has read the final chain; ``fresh`` counts the transactions that this run made
    final.  ``bars``, ``line`` and ``hint`` are for the view, ``report`` is its part of the report, and ``rows`` are the
    same for people.  What ``can_go_on`` goes on when its home is opened again;
    ``questions`` are what to ask a node then.
    """

    can_go_on: bool
    questions: Sequence[str]

    @property
    def height(self) -> int: ...

    @property
    def is_done(self) -> bool: ...

    @property
    def fresh(self) -> int: ...

    async def prepare(self, nodes: Sequence[NodeProcess]) -> None: ...

    async def run(self, testnet: Testnet) -> None: ...

    def close(self) -> None: ...

    def stop(self) -> None: ...

    def bars(self, testnet: Testnet) -> list[Bar]: ...

    def line(self, testnet: Testnet) -> str: ...

    def hint(self, testnet: Testnet) -> str: ...

    def report(self, testnet: Testnet) -> dict[str, Any]: ...

    def rows(self, report: dict[str, Any]) -> list[tuple[str, object]]: ...


Watch: TypeAlias = "Callable[[Testnet], Awaitable[None]]"


class Testnet:
    """Runs one testnet from start to stop.  ``note`` is told, in a sentence, what people should know."""

    __test__ = False  # pytest takes the name for a test case

    def __init__(
        self,
        home: TestnetHome,
        load: Load,
        *,
        restart_dead: bool,
        note: Callable[[str], None],
        is_shown: bool = False,
    ) -> None:
        shape = home.shape
        self.home = home
        self.load = load
        self.nodes = [
            NodeProcess(index, home.path / name, is_validator=index < shape.nodes)
            for index, name in enumerate(shape.names)
        ]
        self.started_s: float | None = None  # when the first transaction was submitted
        self.finished_s: float | None = None  # when everything was final everywhere
        self.interrupted = False
        self.gave_up = False
        self._restart_dead = restart_dead
        self._is_shown = is_shown  # people look at it, and stop what they like
        self._note = note
        self._restarting: set[str] = set()
        self._wanted_back: set[str] = set()
        self.cut: set[str] = set()  # the names of those that are kept from all others
        self._scope = trio.CancelScope()
        self.client = AsyncClient()

    # --------------------------------------------------------------------------------------------- for the view

    @property
    def live(self) -> list[NodeProcess]:
        """The nodes that answer."""
        return [node for node in self.nodes if node.is_live]

    @property
    def included(self) -> int:
        """Transactions on the main chain of the node that has most of them."""
        return max((node.told["transactions"] for node in self.nodes if node.last), default=0)

    @property
    def furthest(self) -> NodeProcess | None:
        """The live node that has most final blocks."""
        return max(self.live, key=lambda node: node.told["finalized_height"], default=None)

    @property
    def seconds(self) -> float:
        """From the first submission until everything was final everywhere, or until now."""
        if self.started_s is None:
            return 0.0
        return (time.monotonic() if self.finished_s is None else self.finished_s) - self.started_s

    # --------------------------------------------------------------------------------------------------- its life

    async def prepare(self) -> None:
        """What the load has to do before the nodes start.  Raises :class:`OperatorError`."""
        await self.load.prepare(self.nodes)

    def note_start(self) -> None:
        """Something is about to be submitted."""
        if self.started_s is None:
            self.started_s = time.monotonic()

    async def run(self, until: Until, watch: Watch) -> None:
        """Run all processes until it is over; none is left when this returns.  ``watch`` shows it, forever."""
        with trio.open_signal_receiver(*stop_signals()) as signals:
            async with self.client, trio.open_nursery() as outer:
                outer.start_soon(self._obey, signals)
                try:
                    with self._scope:
                        await self._work(until, watch)
                finally:
                    with trio.CancelScope(shield=True):
                        await self._stop_all()
                outer.cancel_scope.cancel()

    async def _obey(self, signals: AsyncIterator[int]) -> None:
        first_s = 0.0
        async for number in signals:
            is_echo = trio.current_time() < first_s + ECHO_S
            if self.interrupted and (is_echo or signal.Signals(number).name == "SIGHUP"):
                continue  # a terminal that is closed hangs up more than once
            if self.interrupted:
                for node in self.nodes:
                    node.kill()
            else:
                first_s = trio.current_time()
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
            nursery.start_soon(self._act)
            nursery.start_soon(self.load.run, self)
            await self.wait_for_mesh()
            nursery.start_soon(self._watch_quorum)
            await self._wait_until(until)
            await self._refresh_all()
            nursery.cancel_scope.cancel()

    async def _stop_all(self) -> None:
        self._note("stopping the nodes" + ("; Ctrl-C again kills them" if self.interrupted else ""))
        for node in self.nodes:
            if node.is_anothers:
                self._note(f"{node.name} was started by hand and goes on")
        self.load.stop()  # first, so that each node is the last on its database and folds its log into it
        async with trio.open_nursery() as nursery:
            for node in self.nodes:
                nursery.start_soon(node.stop)

    async def _wait_until(self, until: Until) -> None:
        with trio.move_on_after(float("inf") if until.duration_s is None else until.duration_s):
            await self._everything_final()
            if not until.is_final:
                await trio.sleep_forever()
            return
        self.load.close()
        with trio.move_on_after(DRAIN_S):
            await self._everything_final()

    async def _everything_final(self) -> None:
        """Wait until whatever is submitted is final on every node that lives."""
        while not self.load.is_done:
            await trio.sleep(SHORT_NAP_S)
        height = self.load.height
        while self._restarting or min((node.told["finalized_height"] for node in self.live), default=-1) < height:
            await trio.sleep(SHORT_NAP_S)
            for node in self.live:
                await node.refresh(self.client, time.monotonic())
        if self.finished_s is None:
            self.finished_s = time.monotonic()
            if self.started_s is not None:
                self._note(f"all {self.load.fresh:,} transactions are final on {len(self.live)} nodes")

    async def wait_for_mesh(self) -> None:
        """Wait until the nodes know each other, or for long enough."""
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
            elif now_s - missing_since_s > QUORUM_GRACE_S and not self._is_shown:
                self._note(f"giving up: a third or more of the validators were dead for {QUORUM_GRACE_S:.0f} s")
                self.gave_up = True
                self._scope.cancel()
                return
            await trio.sleep(STATUS_EVERY_S)

    # ------------------------------------------------------------------------------------------------- processes

    async def _tend(self, node: NodeProcess, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Start a node and follow it to its end, and beyond where it is restarted."""
        await node.start()
        await node.wait_ready(self.client, _unix_ms())
        task_status.started()
        while True:
            self._note(f"{node.name} {await node.wait_ended()}")
            self.cut.discard(node.name)  # a node that starts again knows nothing of it
            if not (self._restart_dead and await self._restart(node)) and not await self._await_return(node):
                return

    async def _restart(self, node: NodeProcess) -> bool:
        self._restarting.add(node.name)
        for _ in range(MAX_RESTARTS):
            await trio.sleep(RESTART_DELAY_S)
            if await self._is_started(node):
                self._restarting.discard(node.name)
                return True
        self._restarting.discard(node.name)
        return False

    async def _is_started(self, node: NodeProcess) -> bool:
        """Start a node that ended, and say how that went."""
        try:
            await node.start()
            await node.wait_ready(self.client, _unix_ms())
        except OperatorError as error:
            self._note(str(error))
            return False
        self._note(f"{node.name} is back")
        return True

    async def _await_return(self, node: NodeProcess) -> bool:
        """Whether a node is ours again, started as it was asked; started by hand it is not ours to stop."""
        while True:
            if node.name in self._wanted_back:
                self._wanted_back.discard(node.name)
                if await self._is_started(node):
                    return True
            if not node.is_live and await node.adopt(self.client, None, _unix_ms()):
                self._note(f"{node.name} is back" + (", started by hand" if node.is_anothers else ""))
            await trio.sleep(STATUS_EVERY_S)

    async def _act(self) -> None:
        """Do what is asked for by files in the home."""
        while True:
            for path, act in take(self.home.path, self.home.shape.names):
                try:
                    done = await self.do(act)
                except OperatorError as error:
                    done = str(error)
                self._note(done)
                answer(path, done)
            await trio.sleep(STATUS_EVERY_S)

    async def do(self, act: Act) -> str:
        """Do what was asked for, and say in a sentence what was done.  Raises :class:`NodeAway`."""
        node = next(node for node in self.nodes if node.name == act.node)
        match act.kind:
            case "start" if node.is_live:
                return f"{node.name} runs already"
            case "start":
                self._wanted_back.add(node.name)
                return f"{node.name} starts"
            case "stop" if node.process is not None and node.process.poll() is None:
                node.process.terminate()
                return f"{node.name} stops"
            case "stop" if node.is_anothers:
                return f"{node.name} was started by hand; stop it where that was, or by its pid, {node.pid}"
            case "cut" if node.is_live:
                others = [other.last["peer_id"] for other in self.nodes if other.last and other is not node]
                await self.client.cut_off(node.url, others)
                self.cut.add(node.name)
                return f"{node.name} is cut off"
            case "heal" if node.is_live:
                await self.client.cut_off(node.url, [])
                self.cut.discard(node.name)
                return f"{node.name} is no longer cut off"
        return f"{node.name} does not run"

    async def _poll(self, node: NodeProcess) -> None:
        moves_due_s = time.monotonic() + MOVES_EVERY_S
        while True:
            await node.refresh(self.client, time.monotonic())
            if time.monotonic() >= moves_due_s:
                await node.refresh_moves(self.client)
                moves_due_s = time.monotonic() + MOVES_EVERY_S
            await trio.sleep(STATUS_EVERY_S)

    async def _refresh_all(self) -> None:
        for node in self.live:
            await node.refresh(self.client, time.monotonic())
            await node.refresh_moves(self.client)


def now_ms() -> int:
    """Milliseconds of a clock that never jumps."""
    return time.monotonic_ns() // 1_000_000


def _unix_ms() -> int:
    return time.time_ns() // 1_000_000
