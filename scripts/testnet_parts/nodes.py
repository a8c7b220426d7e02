"""One node process of a testnet: its start, its end, and what it says over HTTP."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import trio

from chain.base.errors import InvariantBroken, OperatorError, Refused
from p2p.client import STATUS, AsyncClient, HeadMove, NodeAway, NodeStatus, announced, heads, submit_all, try_all

NODE_PY = Path(__file__).parents[2] / "node.py"
# Five processes that import libp2p at once on two cold cores need 5 s; a loaded machine several times that.
READY_TIMEOUT_S = 90.0
POLL_S = 0.05
# A clean end folds the log into the database: a second, and on a loaded machine many times that.
STOP_TIMEOUT_S = 60.0
# The rate that people see is that of the last seconds.
RATE_WINDOW_S = 5.0
MAX_HEAD_MOVES = 100_000


class NodeProcess:
    """A node of the testnet.

    ``program`` is what runs it, with the arguments of ``node.py``.
    ``status`` is its last answer, None before it is ready or after it ended; ``last`` outlives the end, and is None
    only before the node was ever ready.
    """

    def __init__(self, index: int, home: Path, *, is_validator: bool, program: Sequence[str] = (str(NODE_PY),)) -> None:
        self.index = index
        self.home = home
        self.name = home.name
        self._starts_as_validator = is_validator
        self._program = program
        self.process: trio.Process | None = None
        self.status: NodeStatus | None = None
        self.last: NodeStatus | None = None
        self.deaths = 0
        self.ended: str | None = None  # how, once it ended
        self.moves: deque[HeadMove] = deque(maxlen=MAX_HEAD_MOVES)
        self.ready_ms = 0
        self.cpu_s_when_ready = 0.0
        self.cpu_s_of_earlier = 0.0
        self._url: str | None = None
        self._pid: int | None = None
        self._last_seq = 0
        self._rates: deque[tuple[float, int]] = deque()

    @property
    def is_live(self) -> bool:
        """Whether the node is up and answered last time."""
        return self.status is not None

    @property
    def told(self) -> NodeStatus:
        """What it said last.  Raises :class:`InvariantBroken` where it was never ready."""
        if self.last is None:
            raise InvariantBroken(f"{self.name} was never ready")
        return self.last

    @property
    def url(self) -> str:
        """Where its HTTP face is.  Raises :class:`NodeAway`."""
        if self._url is None:
            raise NodeAway(f"{self.name} is not up")
        return self._url

    @property
    def pid(self) -> int | None:
        """Its process, as it said itself; None where it is not up."""
        return None if self._url is None else self._pid

    @property
    def is_validator(self) -> bool:
        """Whether its key makes blocks, as it said last."""
        return self.last["validator"] if self.last else self._starts_as_validator

    @property
    def cpu_s(self) -> float:
        """CPU time of all processes of this node, without what they needed to start."""
        spent = self.status["cpu_s"] - self.cpu_s_when_ready if self.status else 0.0
        return float(self.cpu_s_of_earlier + max(0.0, spent))

    @property
    def transactions_per_s(self) -> int:
        """Transactions that entered the node's main chain over the last seconds, per second."""
        if len(self._rates) < 2:
            return 0
        (began_s, before), (now_s, after) = self._rates[0], self._rates[-1]
        return max(0, round((after - before) / (now_s - began_s))) if now_s > began_s else 0

    # ------------------------------------------------------------------------------------------ start and end

    async def start(self) -> None:
        """Start the process.  Its standard input is a pipe from us: it ends when we do, however we end."""
        with (self.home / "node.log").open("ab") as log:
            self.process = await trio.lowlevel.open_process(
                [sys.executable, *self._program, "run", "--home", str(self.home), "--stop-with-parent"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the testnet, which then stops its nodes
            )
        self.ended = None

    async def wait_ready(self, client: AsyncClient, now_ms: int) -> None:
        """Wait until the process serves.  Raises :class:`OperatorError` if it ends or stays silent."""
        process = self._running()
        with trio.move_on_after(READY_TIMEOUT_S):
            while process.poll() is None:
                if await self.adopt(client, process.pid, now_ms):
                    return
                await trio.sleep(POLL_S)
        if process.poll() is None:
            raise OperatorError(
                f"{self.name} is not ready after {READY_TIMEOUT_S:.0f} s; see {self.home / 'node.log'}, and where it "
                "only says that it starts, try again once the machine has less to do"
            )
        raise OperatorError(f"{self.name} did not start: {self.last_words()}")

    async def adopt(self, client: AsyncClient, pid: int | None, now_ms: int) -> bool:
        """Take up the running process that ``node.json`` names, if it is ``pid`` (None: any) and answers."""
        try:
            found = announced(self.home)
            if (pid is not None and found.pid != pid) or found.pid == self._pid or not psutil.pid_exists(found.pid):
                return False
            status = await client.ask(found.http, STATUS)
        except OperatorError:  # not there yet, or something else took its port
            return False
        if status["did"] != found.did:
            return False
        if self.process is not None and found.pid != self.process.pid:
            await self._let_go()  # whoever started this one ends it
        self._url, self._pid, self.ended = found.http, found.pid, None
        self.status = self.last = status
        self._last_seq = 0
        self.ready_ms = now_ms
        self.cpu_s_when_ready = status["cpu_s"]
        return True

    async def wait_ended(self) -> str:
        """Wait for our process to end and say how it did."""
        code = await self._running().wait()
        self._forget(f"killed ({signal.Signals(-code).name})" if code < 0 else f"ended (code {code})")
        return self.ended or ""

    def _forget(self, how: str) -> None:
        self.cpu_s_of_earlier = self.cpu_s
        self.status, self._url, self.ended = None, None, how
        self.cpu_s_when_ready = 0.0
        self._rates.clear()
        self.deaths += 1

    async def _let_go(self) -> None:
        """Forget a process of ours that has ended."""
        process, self.process = self.process, None
        if process is not None and process.stdin is not None:
            await process.stdin.aclose()

    @property
    def is_anothers(self) -> bool:
        """Whether it is up, and not ours to stop: somebody started it by hand."""
        return self.is_live and self.process is None

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL if it takes too long."""
        process = self.process
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
        with trio.move_on_after(STOP_TIMEOUT_S):
            await process.wait()
        self.kill()
        with trio.CancelScope(shield=True):
            code = await process.wait()
        if code and self.ended is None:
            self.ended = f"did not stop cleanly (code {code})" if self.last else "stopped before it was ready"
        if process.stdin is not None:
            await process.stdin.aclose()

    def kill(self) -> None:
        """SIGKILL, at once."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()

    def last_words(self) -> str:
        """The last line of the log, which is the sentence of a node that could not start."""
        try:
            lines = (self.home / "node.log").read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            lines = []
        return next((line.strip() for line in reversed(lines) if line.strip()), f"see {self.home / 'node.log'}")

    def _running(self) -> trio.Process:
        if self.process is None:
            raise InvariantBroken(f"{self.name} was not started")
        return self.process

    # ------------------------------------------------------------------------------------------------- its HTTP face

    async def refresh(self, client: AsyncClient, now_s: float) -> None:
        """Ask for the status; a node that does not answer keeps its last one."""
        url = self._url
        if url is None:
            return
        try:
            status = await client.ask(url, STATUS)
        except OperatorError:
            # One that ended in the meantime was noted already.
            if url == self._url and self._pid is not None and not psutil.pid_exists(self._pid):
                self._forget("gone")
            return
        if url == self._url:  # it did not end in the meantime
            self.status = self.last = status
            self._rates.append((now_s, status["transactions"]))
            while now_s - self._rates[0][0] > RATE_WINDOW_S:
                self._rates.popleft()

    async def refresh_moves(self, client: AsyncClient) -> None:
        """Fetch the head moves since the last time."""
        url = self._url
        if url is None:
            return
        try:
            moves = await client.ask(url, heads(self._last_seq))
        except OperatorError:
            return
        if moves and url == self._url:
            self.moves.extend(moves)
            self._last_seq = moves[-1].seq

    async def submit(self, client: AsyncClient, raws: Iterable[bytes]) -> list[Refused | None]:
        """Offer encoded transactions.  Raises :class:`NodeAway`."""
        return await client.ask(self.url, submit_all(raws))

    async def try_out(self, client: AsyncClient, raws: Iterable[bytes]) -> list[Refused | None]:
        """What the next block would make of encoded transactions.  Raises :class:`NodeAway`."""
        return await client.ask(self.url, try_all(raws))


@asynccontextmanager
async def running(nodes: Sequence[NodeProcess], client: AsyncClient, mesh_timeout_s: float) -> AsyncIterator[None]:
    """Nodes that are ready and know each other, if that takes no longer than it may; all stop at the end."""
    try:
        await start_all(nodes, client)
        with trio.move_on_after(mesh_timeout_s):
            while any(node.told["peers"] < len(nodes) - 1 for node in nodes):
                await trio.sleep(POLL_S)
                for node in nodes:
                    await node.refresh(client, time.monotonic())
        yield
    finally:
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                for node in nodes:
                    nursery.start_soon(node.stop)


async def start_all(nodes: Sequence[NodeProcess], client: AsyncClient) -> None:
    """Start these and wait until each is ready.  Raises :class:`OperatorError`."""

    async def start(node: NodeProcess) -> None:
        await node.start()
        await node.wait_ready(client, time.time_ns() // 1_000_000)

    async with trio.open_nursery() as nursery:
        for node in nodes:
            nursery.start_soon(start, node)
