"""A manifest, carried out with real processes: ``python scripts/testnet.py --manifest FILE``."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import trio

from chain.base.errors import OperatorError
from chain.content.blocks import Block
from chain.content.transactions import VerifiedTransaction
from chain.disk.database import DATABASE
from chain.disk.reader import Reader
from p2p.client import STATUS, AsyncClient, NodeAway, NodeStatus
from p2p.local.config import HomeConfig
from p2p.local.home import create_home, peer_id_of
from p2p.local.process import stop_signals
from scripts.manifest_parts.change import Changes
from scripts.manifest_parts.founding import Clients, genesis_of, secrets_of
from scripts.manifest_parts.lines import Links
from scripts.manifest_parts.record import Record, Sight
from scripts.manifest_parts.telling import sentence_of
from scripts.manifest_parts.things import (
    Attack,
    Clock,
    Continue,
    Cut,
    Event,
    Heal,
    Kill,
    Load,
    LoseDisk,
    Manifest,
    NewLines,
    Replace,
    Restart,
    Start,
    Stop,
)
from scripts.testnet_parts.confirm import FinalReader, final_chains
from scripts.testnet_parts.homes import free_ports
from scripts.testnet_parts.nodes import NODE_PY, NodeProcess
from scripts.testnet_parts.proxy import Fronts
from scripts.testnet_parts.staged_node import set_clock

STAGED_NODE = Path(__file__).parent / "staged_node.py"
ASSAILANTS = Path(__file__).parent / "assailants.py"
# Nodes look for one another by a seed, over links that may be slow.
MEET_TIMEOUT_S = 60.0
NAP_S = 0.1
# Who was asked in the last slot and is busy may answer so much later.
LAST_ANSWER_S = 10.0
MB = 1_000_000


class Actor:
    """A node and what its part in the manifest needs beside its process."""

    def __init__(self, node: NodeProcess) -> None:
        self.node = node
        self.is_stopped = False
        self._done = trio.Event()
        self._done.set()
        self._shown_in = -1

    @property
    def answers(self) -> bool:
        """Whether it is worth asking."""
        return self.node.is_live and not self.is_stopped

    def in_order(self, act: Callable[[Actor], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        """What carries this out once all is done that was ordered before; tasks begin in any order."""
        before, done = self._done, trio.Event()
        self._done = done

        async def carry_out() -> None:
            try:
                await before.wait()
                await act(self)
            finally:
                done.set()

        return carry_out

    def is_news(self, slot: int) -> bool:
        """Whether this answer is to the latest question that it answered: answers may overtake each other."""
        is_news = slot > self._shown_in
        self._shown_in = max(self._shown_in, slot)
        return is_news

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to its process."""
        if self.node.process is not None and self.node.process.poll() is None:
            self.node.process.send_signal(number)


class Staging:
    """One run in a fresh folder, or in ``home``.  ``tell`` hears what happens."""

    def __init__(self, manifest: Manifest, home: Path | None, tell: Callable[[str], None]) -> None:
        self.manifest = manifest
        self.record = Record()
        self.home = _new_folder(home)
        self._tell = tell
        self._links = Links(manifest)
        self._secrets = secrets_of(manifest)
        ports = free_ports(2 * len(manifest.nodes))
        self._ports = {name: (ports[2 * at], ports[2 * at + 1]) for at, name in enumerate(manifest.names)}
        self._fronts = Fronts(self._ports, self._links, self._owners)
        self.genesis = genesis_of(manifest, _unix_ms())
        self._actors = {name: self._actor(at, name) for at, name in enumerate(manifest.names)}
        self._names = {secret.public: name for name, secret in self._secrets.items()}
        self._client = AsyncClient()
        self._clients, self._load = Clients(manifest, self.genesis), 0
        self._changes = Changes(manifest, self.genesis, self._secrets)
        self._final = FinalReader(self.genesis)
        self._attackers: list[trio.Process] = []
        self._first_slot = 0
        self._scope = trio.CancelScope()

    # -------------------------------------------------------------------------------------------- the whole

    async def run(self) -> None:
        """From the first process to the last.  Raises :class:`OperatorError` where a node does not start."""
        with trio.open_signal_receiver(*stop_signals()) as signals:
            async with self._client, trio.open_nursery() as outer:
                outer.start_soon(self._obey, signals)
                try:
                    with self._scope:
                        await self._work()
                finally:
                    with trio.CancelScope(shield=True):
                        await self._stop_all()
                outer.cancel_scope.cancel()
        if self.is_interrupted:
            self.record.fault = "stopped by a signal before its end"
        self._conclude()

    @property
    def is_interrupted(self) -> bool:
        """Whether a signal ended it."""
        return self._scope.cancelled_caught

    async def _obey(self, signals: AsyncIterator[int]) -> None:
        async for _ in signals:
            self._scope.cancel()

    async def _work(self) -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(self._fronts.run)
            async with trio.open_nursery() as starting:
                for one in self.manifest.nodes:
                    set_clock(self._actors[one.name].node.home, one.clock_ms)
                    if not one.late:
                        starting.start_soon(self._start, self._actors[one.name])
            await self._wait_until_met()
            self._first_slot = self.genesis.slot_at(_unix_ms()) + 1
            self._tell(f"all nodes are connected; slot 0 is slot {self._first_slot} of the chain")
            async with trio.open_nursery() as acting:
                async with trio.open_nursery() as looking:
                    for slot in range(self.manifest.slots):
                        await self._wait_for(slot)
                        self._each_slot(slot, acting, looking)
                    await self._wait_for(self.manifest.slots)
                    looking.cancel_scope.deadline = trio.current_time() + LAST_ANSWER_S
                acting.cancel_scope.cancel()
            nursery.cancel_scope.cancel()

    def _each_slot(self, slot: int, acting: trio.Nursery, looking: trio.Nursery) -> None:
        for event in self.manifest.on(slot):
            self._tell(f"slot {slot}: {sentence_of(event)}")
            self._do(event, acting)
        acting.start_soon(self._offer, slot)
        for name in self._actors:
            looking.start_soon(self._look, slot, name)

    async def _wait_until_met(self) -> None:
        """Wait until each knows most others, or for long enough."""
        there = [self._actors[one.name] for one in self.manifest.nodes if not one.late]
        wanted = max(0, len(there) - 1)
        with trio.move_on_after(MEET_TIMEOUT_S):
            while any(actor.node.status is None or actor.node.status["peers"] < wanted for actor in there):
                await trio.sleep(NAP_S)
                for actor in there:
                    await actor.node.refresh(self._client, time.monotonic())
            return
        self._tell(f"not all nodes know each other after {MEET_TIMEOUT_S:.0f} s")

    async def _wait_for(self, slot: int) -> None:
        starts_ms = self.genesis.slot_start_ms(self._first_slot + slot)
        await trio.sleep(max(0, starts_ms - _unix_ms()) / 1_000)

    async def _stop_all(self) -> None:
        self._final.close()
        for process in self._attackers:
            process.kill()
        async with trio.open_nursery() as nursery:
            for actor in self._actors.values():
                actor.signal(signal.SIGCONT)
                nursery.start_soon(actor.node.stop)

    def _conclude(self) -> None:
        chains = final_chains([actor.node.home for actor in self._actors.values()], self.genesis)
        record = self.record
        record.chains = {chain.name: chain.ids for chain in chains}
        longest = max(record.chains, key=lambda name: len(record.chains[name]))
        reader = Reader(self._actors[longest].node.home / DATABASE, self.genesis)
        try:
            blocks = list(reader.blocks(1, 1 << 30))
        finally:
            reader.close()
        record.blocks = [(block.header.slot - self._first_slot, self._names[block.header.proposer]) for block in blocks]
        final = blocks[: len(record.chains[longest])]
        record.final = {item.id for block in final for item in block.transactions}

    # ---------------------------------------------------------------------------------------------- homes

    def _actor(self, index: int, name: str) -> Actor:
        front = self._address(name)
        home = self.home / name
        others = [other for other in self.manifest.names if other != name]
        told = [f"{self._address(other)}/p2p/{self._peer_id(other)}" for other in others]
        is_first = index == 0
        config = HomeConfig(
            listen=[f"/ip4/127.0.0.1/tcp/{self._ports[name][1]}"],
            peers=[] if self.manifest.seeded else told,
            seeds=told[:1] if self.manifest.seeded and not is_first else [],
            http="127.0.0.1:0",
        )
        create_home(home, self.genesis, self._secrets[name].seed, config)
        program = (str(STAGED_NODE), front)
        is_validator = index < len(self.manifest.validators)
        return Actor(NodeProcess(index, home, is_validator=is_validator, program=program))

    def _address(self, name: str) -> str:
        return f"/ip4/127.0.0.1/tcp/{self._ports[name][0]}"

    def _peer_id(self, name: str) -> str:
        return peer_id_of(self._secrets[name].seed)

    def _owners(self) -> dict[int, str]:
        processes = {name: actor.node.process for name, actor in self._actors.items()}
        return {process.pid: name for name, process in processes.items() if process is not None}

    # --------------------------------------------------------------------------------------------- events

    def _do(self, event: Event, acting: trio.Nursery) -> None:
        match event:
            case Kill() | Start() | Restart() | LoseDisk():
                act = {Kill: self._kill, Start: self._start, Restart: self._restart, LoseDisk: self._lose_disk}
                for name in event.nodes:
                    acting.start_soon(self._actors[name].in_order(act[type(event)]))
            case Stop() | Continue():
                for name in event.nodes:
                    self._halt(self._actors[name], is_stopped=isinstance(event, Stop))
            case Clock():
                for name in event.nodes:
                    set_clock(self._actors[name].node.home, event.ahead_ms)
            case Cut():
                ways = self._links.cut(event.name, event.nodes, self.manifest.others(event))
                if event.noticed:
                    self._fronts.part(ways)
            case Heal():
                self._links.heal(event.name)
            case NewLines():
                self._links.change(event)
            case Attack():
                acting.start_soon(self._attack, event)
            case Load():
                self._load = event.per_slot
            case Replace():
                self._changes.begin(event)

    async def _start(self, actor: Actor) -> None:
        await actor.node.start()
        await actor.node.wait_ready(self._client, _unix_ms())

    async def _kill(self, actor: Actor) -> None:
        actor.is_stopped = False
        actor.node.kill()
        await actor.node.wait_ended()

    async def _restart(self, actor: Actor) -> None:
        await actor.node.stop()
        await actor.node.wait_ended()
        await self._start(actor)

    async def _lose_disk(self, actor: Actor) -> None:
        home = actor.node.home
        for file in home.glob(f"{DATABASE}*"):
            file.unlink()
        command = [sys.executable, str(NODE_PY), "init", "--home", str(home), "--resync", "--yes"]
        with trio.CancelScope(shield=True):  # the end of a manifest must not leave a home without a database
            ended = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)
        if ended.returncode:
            raise OperatorError(f"the database of {home.name} was not made anew: {ended.stderr.decode().strip()}")

    @staticmethod
    def _halt(actor: Actor, *, is_stopped: bool) -> None:
        actor.is_stopped = is_stopped
        actor.signal(signal.SIGSTOP if is_stopped else signal.SIGCONT)

    async def _attack(self, attack: Attack) -> None:
        processes = [
            await self._assail(who.kind, who.count, who.targets or self.manifest.names)
            for who in self.manifest.strangers
            if who.name in attack.strangers
        ]
        await trio.sleep(attack.slots * self.manifest.slot_ms / 1_000)
        for process in processes:
            process.kill()
            await process.wait()

    async def _assail(self, kind: str, count: int, targets: Sequence[str]) -> trio.Process:
        homes = [str(self._actors[name].node.home) for name in targets if self._actors[name].answers]
        with (self.home / "strangers.log").open("ab") as log:
            process = await trio.lowlevel.open_process(
                [sys.executable, str(ASSAILANTS), kind, str(count), *homes],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._attackers.append(process)
        return process

    # -------------------------------------------------------------------------------------------- clients

    async def _offer(self, slot: int) -> None:
        offers = self._clients.offer(self._load)
        self.record.offered.update((offer.id, slot) for offer in offers)
        for block in await self._newly_final():
            self._changes.observe(block)
        await self._submit(slot, [*offers, *self._changes.offers()])

    async def _submit(self, slot: int, offers: list[VerifiedTransaction]) -> None:
        """To one node after the other, until one takes it."""
        actors = [actor for actor in self._actors.values() if actor.answers]
        for at in range(len(actors) if offers else 0):
            try:
                await actors[(slot + at) % len(actors)].node.submit(self._client, [offer.raw for offer in offers])
            except NodeAway:
                continue
            return

    async def _newly_final(self) -> list[Block]:
        """What only a replacement waits for."""
        nodes = [actor.node for actor in self._actors.values() if actor.answers]
        if not nodes or not any(isinstance(event, Replace) for event in self.manifest.events):
            return []
        best = max(nodes, key=lambda node: node.told["finalized_height"])
        return await trio.to_thread.run_sync(self._final.read, best.home)

    # ------------------------------------------------------------------------------------------- what is seen

    async def _look(self, slot: int, name: str) -> None:
        """Ask a node for its status, late in the slot: who is busy answers later."""
        await trio.sleep(0.9 * self.manifest.slot_ms / 1_000)
        actor = self._actors[name]
        if not actor.answers:
            return
        try:
            status = await self._client.ask(actor.node.url, STATUS)
        except OperatorError:
            return
        if actor.is_news(slot):
            actor.node.status = actor.node.last = status
            self.record.see(slot, name, _sight(status))


def _sight(status: NodeStatus) -> Sight:
    return Sight(
        height=status["height"],
        final_height=status["finalized_height"],
        final_id=bytes.fromhex(status["finalized_id"]),
        is_validator=status["validator"],
        mute=status["silent_why"] or "",
        rss_mb=status["rss_bytes"] // MB,
    )


def _new_folder(home: Path | None) -> Path:
    """Raises :class:`OperatorError` where there is something already."""
    if home is None:
        return Path(tempfile.mkdtemp(prefix="goodfaith-manifest-"))
    home = home.absolute()
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise OperatorError(f"{home} is there already; a manifest begins in a fresh folder")
    return home


def _unix_ms() -> int:
    return time.time_ns() // 1_000_000
