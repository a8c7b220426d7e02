"""A fresh network of real processes, fed so that each slot has work; what is seen of it, and who joins it."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median

import httpx
import trio

from chain.base.errors import OperatorError, Refused
from p2p.client import AsyncClient, NodeAway, NodeStatus, announced
from p2p.local.config import HomeConfig, read_config
from p2p.local.home import create_home
from scripts.abuse_parts.strike import give_work
from scripts.abuse_parts.target import Target
from scripts.bench_parts.offer import Loader, Offer, Presigner
from scripts.manifest_parts.lines import Links
from scripts.testnet_parts import assailants, staged_node
from scripts.testnet_parts.homes import TestnetHome, free_ports, open_testnet
from scripts.testnet_parts.nodes import NODE_PY, NodeProcess, running
from scripts.testnet_parts.proxy import Fronts
from scripts.testnet_parts.shape import Wanted

NODES = 4
SLOT_MS = 1_000
MESH_TIMEOUT_S = 60.0
LOOK_S = 0.5
# A sync is over within seconds: it is looked at more closely.
CLOSE_LOOK_S = 0.05
# After the last slot that counts, its block has so long to be everywhere.
SETTLE_SLOTS = 3
MEMBERS = 1_000
_TRAFFIC = {
    way: re.compile(rf"^goodfaith_p2p_message_{way}_bytes_total (\S+)$", re.MULTILINE) for way in ("send", "receive")
}

Configure = Callable[[int, HomeConfig], HomeConfig]


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of the first node: of ``slots`` with work ``kept`` brought a block; it is ``lag`` blocks to what
    is final, of which there are ``final`` more than before; ``rss_mb`` is the most that it had.
    """

    slots: int
    kept: int
    lag: int
    final: int
    rss_mb: int


class Field:
    """A running network; ``nodes`` are its validators, of which the first is attacked.

    ``owners`` says whose each process is: lines go by that.
    """

    def __init__(self, home: TestnetHome, client: AsyncClient, programs: Sequence[Sequence[str]]) -> None:
        self.home = home
        self.client = client
        self.genesis = home.genesis
        self.nodes = [
            NodeProcess(index, home.path / name, is_validator=True, program=program)
            for index, (name, program) in enumerate(zip(home.shape.names, programs, strict=True))
        ]
        self._guests: list[NodeProcess] = []
        self.sent = 0

    def owners(self) -> dict[int, str]:
        """Every process that runs, and its name."""
        known = [*self.nodes, *self._guests]
        return {node.process.pid: node.name for node in known if node.process is not None}

    @property
    def slot(self) -> int:
        """The slot that it is."""
        return self.genesis.slot_at(time.time_ns() // 1_000_000)

    @property
    def addresses(self) -> list[str]:
        """Where the nodes listen."""
        return [announced(node.home).addresses[0] for node in self.nodes if node.is_live]

    # ------------------------------------------------------------------------------------------------ what is seen

    async def watch(self, seconds: float) -> Seen:
        """Give each slot work for ``seconds`` and see what comes of it."""
        first_node = self.nodes[0]
        await self.refresh()
        first, final = self.slot, first_node.told["finalized_height"]
        rss = first_node.told["rss_bytes"]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.give_work)
            with trio.move_on_after(seconds):
                while True:
                    await trio.sleep(LOOK_S)
                    await self.refresh()
                    rss = max(rss, first_node.told["rss_bytes"])
            last = self.slot
            await trio.sleep(SETTLE_SLOTS * self.genesis.slot_ms / 1_000)
            nursery.cancel_scope.cancel()
        await self.refresh()
        # What was given in the first slot is for the block of the next one.
        slots = range(first + 2, last)
        told = first_node.told
        lag = told["height"] - told["finalized_height"]
        return Seen(len(slots), len(self.kept(slots)), lag, told["finalized_height"] - final, rss >> 20)

    def kept(self, slots: range) -> set[int]:
        """Those slots that have a block on the first node's main chain."""
        newest = {move.height: move.slot for move in self.nodes[0].moves}
        return set(newest.values()) & set(slots)

    async def refresh(self) -> None:
        """Ask all nodes that are up, those of a crowded face for as long as it takes."""
        async with trio.open_nursery() as nursery:
            for node in self.nodes:
                nursery.start_soon(self._refresh, node)

    async def _refresh(self, node: NodeProcess) -> None:
        await node.refresh(self.client, time.monotonic())
        await node.refresh_moves(self.client)

    async def give_work(self) -> None:
        """Two transactions a slot, each to another node, whatever becomes of them; until cancelled."""
        async with trio.open_nursery() as nursery:
            while True:
                for node in self.nodes:
                    if node.is_live:
                        nursery.start_soon(self._give, node)
                    await trio.sleep(self.genesis.slot_ms / 2_000)

    async def _give(self, node: NodeProcess) -> None:
        with suppress(NodeAway, Refused):  # where its pool is full, there is work enough
            await give_work(Target(node.home))

    async def traffic(self, node: NodeProcess, way: str) -> float:
        """The bytes that a node had for peers ("send") or of them ("receive") so far."""
        async with httpx.AsyncClient(trust_env=False, timeout=MESH_TIMEOUT_S) as client:
            found = _TRAFFIC[way].search((await client.get(node.url + "/metrics")).text)
        if found is None:
            raise OperatorError(f"{node.name} does not count its traffic; all processes have to be of one version")
        return float(found[1])

    # ---------------------------------------------------------------------------------------------- what it is given

    async def load(self, count: int, per_s: float) -> None:
        """Fill the chain: so many members, then ratings among them, and wait until all is final everywhere."""
        with Presigner(self.genesis, self.home.shape.seed, min(MEMBERS, count), count) as signer:
            raws = await trio.to_thread.run_sync(signer.sign, count)
        self.sent += count
        while raws:
            raws = await self.send(raws, per_s)
        while min(node.told["final_transactions"] for node in self.nodes if node.is_live) < self.sent:
            await trio.sleep(LOOK_S)
            await self.refresh()

    async def send(self, raws: list[bytes], per_s: float) -> list[bytes]:
        """Offer these, each to one of the nodes that are up; those that were not taken."""
        loader = Loader(self.client, [node.url for node in self.nodes if node.is_live])
        await loader.send(raws, Offer(per_s))
        return loader.back

    # ----------------------------------------------------------------------------------------------------- who joins

    @asynccontextmanager
    async def observer(
        self, name: str, peers: Sequence[str], *, seed: bytes | None = None, **settings: object
    ) -> AsyncIterator[NodeProcess]:
        """A fresh home and its node, ready; ``seed`` makes its key, else it is any."""
        config = HomeConfig(
            listen=["/ip4/127.0.0.1/tcp/0"], peers=[*peers], http="127.0.0.1:0", **settings  # type: ignore[arg-type]
        )  # fmt: skip
        create_home(self.home.path / name, self.genesis, seed or os.urandom(32), config)
        node = NodeProcess(NODES, self.home.path / name, is_validator=False)
        self._guests.append(node)
        async with running([node], self.client, 0.0):
            yield node

    async def seconds_until(
        self, node: NodeProcess, condition: Callable[[NodeStatus], object], timeout_s: float
    ) -> float | None:
        """How long until what a node says meets a condition; None if it does not within ``timeout_s``."""
        began = trio.current_time()
        with trio.move_on_after(timeout_s):
            while not condition(node.told):
                await trio.sleep(CLOSE_LOOK_S)
                await node.refresh(self.client, time.monotonic())
            return trio.current_time() - began
        return None


@asynccontextmanager
async def open_field(
    slot_ms: int = SLOT_MS,
    configure: Configure = lambda _index, config: config,
    descriptors: int | None = None,
    links: Links | None = None,
) -> AsyncIterator[Field]:
    """Four validators of a new network, connected with each other; gone at the end.

    ``configure`` changes the settings of each; ``descriptors`` is how many files and connections each may have open;
    with ``links`` each is reached over those alone.
    """
    with tempfile.TemporaryDirectory(prefix="goodfaith-siege-") as folder:
        home = open_testnet(Path(folder) / "net", Wanted(NODES, 0, slot_ms))
        homes = [home.path / name for name in home.shape.names]
        for index, each in enumerate(homes):
            configured(each, partial(configure, index))
        async with AsyncClient(MESH_TIMEOUT_S) as client, AsyncExitStack() as stack:
            if links is None:
                field = Field(home, client, [(str(NODE_PY),)] * NODES)
            else:
                ports = put_behind_fronts(homes)
                programs = [(staged_node.__file__, f"/ip4/127.0.0.1/tcp/{front}") for front, _ in ports.values()]
                field = Field(home, client, programs)
                nursery = await stack.enter_async_context(trio.open_nursery())
                stack.callback(nursery.cancel_scope.cancel)
                await nursery.start(Fronts(ports, links, field.owners).run)
            with _limited(descriptors):
                await stack.enter_async_context(running(field.nodes, client, MESH_TIMEOUT_S))
            await field.refresh()
            yield field


def configured(home: Path, change: Callable[[HomeConfig], HomeConfig]) -> HomeConfig:
    """Change the settings of a home, and return what they were."""
    file = home / "config.toml"
    config = read_config(file)
    file.write_text(change(config).to_toml(), encoding="utf-8")
    return config


def put_behind_fronts(homes: Sequence[Path]) -> dict[str, tuple[int, int]]:
    """From now on these know each other's fronts alone: the port of each, and the one that it listens on."""
    behind = [int(read_config(home / "config.toml").listen[0].rpartition("/")[2]) for home in homes]
    fronts = dict(zip(behind, free_ports(len(homes)), strict=True))

    def through(address: str) -> str:
        parts = address.split("/")
        return "/".join([*parts[:4], str(fronts[int(parts[4])]), *parts[5:]])

    for home in homes:
        configured(home, lambda config: replace(config, peers=[through(peer) for peer in config.peers]))
        staged_node.set_clock(home, 0)
    return {home.name: (fronts[port], port) for home, port in zip(homes, behind, strict=True)}


@contextmanager
def _limited(descriptors: int | None) -> Iterator[None]:
    """What is started inside inherits the limit; this process has its own again afterwards."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, descriptors or soft), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@asynccontextmanager
async def foes(attack: str, count: int, homes: Sequence[Path], source: Path | None = None) -> AsyncIterator[None]:
    """So many identities that attack each of these homes' nodes, from a process of their own."""
    command = [sys.executable, assailants.__file__, attack, str(count), *map(str, homes)]
    if source is not None:
        command += [assailants.SOURCE, str(source)]
    process = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE)
    try:
        yield
        if process.poll() is not None:
            raise OperatorError(f"{attack}: the attackers ended with code {process.returncode}; see what they said")
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            if process.stdin is not None:
                await process.stdin.aclose()


def middle(times: Sequence[float | None]) -> float | None:
    """The median; None where more than half were never done."""
    done = [float("inf") if time is None else time for time in times]
    return None if median(done) == float("inf") else median(done)
