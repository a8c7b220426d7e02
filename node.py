"""One node: command line, and the nursery that pumps events into the engine and carries out its effects.

``python node.py init`` makes a home, ``run`` runs it, ``genesis`` founds a network with others, ``key show`` says who
it is, ``signing export`` and ``signing import`` move a validator to another machine, ``restart sign`` lets a network go
on that too many lost.  Other programs run a node inside with :func:`open_node`.
"""

from __future__ import annotations

from p2p.local.commandline import group, home_of_node, importing, launched

import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import structlog
import trio

from chain.base.errors import Refused
from chain.base.keys import self_test
from chain.branches.blockchain import Blockchain
from chain.content.blocks import Block
from chain.content.transactions import VerifiedTransaction
from chain.disk.reader import Reader
from chain.disk.storage import Storage
from chain.protocol import serving
from chain.protocol.clock import SteeredClock
from chain.protocol.credentials import sign_credential
from chain.protocol.engine import Engine
from chain.protocol.events import Commit, Effect, Event, FollowWallClock, Resumed, Tick, WallClockStepped
from chain.protocol.messages import GetPart, Status
from chain.protocol.serving import Question
from p2p.clocks import monotonic_ms, wall_ms
from p2p.local.at_rest import COMMANDS
from p2p.local.config import LEVELS, MODES, WAYS_TO_JOIN, HomeConfig
from p2p.local.home import Home, load_home, locked, peer_id_of
from p2p.local.lifetime import in_stretches, lifetime
from p2p.local.lookup import Lookup
from p2p.local.passphrase import Passphrase, with_passphrase
from p2p.local.process import calm_collector
from p2p.local.reload import RELOAD, adopt_level, follow_config, ignore_reloads
from p2p.local.restarting import when_stalled
from p2p.local.supervisor import tell_supervisor
from p2p.local.waking import wake

if TYPE_CHECKING:
    from trio_typing import TaskStatus

    from p2p.network import Transport

# Events that wait for the engine; a full queue slows the network down instead of growing.
MAX_QUEUED_EVENTS = 256

log = structlog.get_logger("node")


class Node:
    """A running node, as :func:`open_node` gives it.

    The engine decides; this class waits, stores, sends, and says what happened.  ``url`` is where its HTTP face is.
    """

    def __init__(
        self, home: Home, engine: Engine, storage: Storage, transport: Transport, offered: Sequence[bytes] = ()
    ) -> None:
        from p2p.local.keeping import Keeper  # see open_node
        from p2p.local.telemetry import Telemetry
        from p2p.protocol import LedgerProtocol
        from p2p.signatures import Signatures

        self.home = home
        self.genesis = home.genesis
        self.engine = engine
        self.storage = storage
        self.transport = transport
        remedy = launched(when_stalled(home.path))
        chain, key = engine.chain, home.secret.public
        above = map(chain.ledger.block_at, range(chain.finalized.height + 1, chain.head.header.height + 1))
        unfinal = [block for block in above if block is not None]
        self.telemetry = Telemetry(storage.count_transactions(), key, remedy, storage.counted_from, unfinal)
        self.signatures = Signatures(home.genesis.id, self.waiting)
        self.protocol = LedgerProtocol(self, transport, self.signatures)
        self.url = ""
        self._lookup = Lookup(home, engine)
        self.keeper = Keeper(home, storage, self._lookup.reader, self.telemetry.registry, self.protocol.bring)
        self._inbox, self._events = trio.open_memory_channel[tuple[Event, "_Reply | None"]](MAX_QUEUED_EVENTS)
        self._clock = SteeredClock(monotonic_ms(), wall_ms())
        self._credential = sign_credential(home.secret, home.genesis.id, peer_id_of(home.secret.seed))
        self._is_stored = True
        self._unstored: tuple[VerifiedTransaction, ...] = ()
        self._offered = offered
        self._has_resumed = False

    async def run(self, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Be part of the network and answer, until cancelled."""
        from p2p.local.face import LocalFace
        from p2p.local.http import serve_http
        from p2p.local.scrubbing import scrub

        self.telemetry.begin(self)
        with closing(LocalFace(self)) as face:
            async with trio.open_nursery() as nursery:
                await nursery.start(self.protocol.run)
                nursery.start_soon(self.pump)
                nursery.start_soon(face.watch_counts)
                nursery.start_soon(self.keeper.run)
                nursery.start_soon(self._lookup.tend_shelves)
                nursery.start_soon(scrub, Reader(self.home.database, self.genesis))
                await self._offer_again([*self.storage.waiting(), *self._offered])
                self._has_resumed = True
                self.url = await nursery.start(serve_http, face, self.home.config.http)
                task_status.started()

    async def _offer_again(self, raws: Sequence[bytes]) -> None:
        """What was acknowledged before the last stop: signatures are checked, as of anything that is submitted."""
        if raws:
            checked = await self.signatures.outcomes(raws)
            await self.ask(Resumed(tuple(item for item in checked if not isinstance(item, Refused))))
            log.info("offered_again", kept=len(raws), waiting=len(self.engine.mempool))

    # ------------------------------------------------------------------------------------------------ the pump

    async def pump(self) -> None:
        """Feed the engine, one event after the other, and a tick whenever it wants one."""
        while True:
            now_ms = self.now_ms()
            wake_ms = self.engine.wake_ms(now_ms)
            item = None
            with trio.move_on_after(max(0, wake_ms - now_ms) / 1000):
                item = await self._events.receive()
            await self._watch_clock()
            if item is None or self.now_ms() >= wake_ms:
                await self._handle(Tick())
            if item is not None:
                event, reply = item
                effects = await self._handle(event)
                if reply is not None:
                    reply.fill(effects)

    async def _handle(self, event: Event) -> list[Effect]:
        self._is_stored = False  # where it ends by an error, nothing that it was about to say is to be stored
        effects = self.engine.handle(event, self.now_ms())
        self._is_stored = True
        for effect in effects:
            if isinstance(effect, Commit):
                await self._store(effect)
            elif isinstance(effect, FollowWallClock):
                self._clock.adopt()
            else:
                self.telemetry.tell(effect, self.engine)
                await self.protocol.perform(effect)
        return effects

    async def _store(self, commit: Commit) -> None:
        """Make a commit durable; what follows it in the effects may then leave the machine."""
        started = time.perf_counter()
        self._is_stored = False
        self._unstored = tuple(item for block in commit.adopted for item in block.transactions)
        with trio.CancelScope(shield=True):  # the engine has moved on: the disk must follow, also at the end
            async with self.keeper.writing:
                await trio.to_thread.run_sync(self.storage.commit, [commit])
        self._is_stored, self._unstored = True, ()
        if commit.settled is not None:
            self.keeper.settled()
            self._lookup.settled()
        self.telemetry.tell_commit(commit, time.perf_counter() - started)

    async def stop_answering(self) -> None:
        """What peers ask from now on waits until they are gone; whatever is being read for one is read to its end."""
        await self._lookup.end()

    def stop(self) -> None:
        """The last commit before a clean end; none after one that failed, since it would stand on what is missing.

        What was acknowledged in an earlier life and not offered again in this one stays stored.
        """
        try:
            for effect in self.engine.stop() if self._is_stored else ():
                if isinstance(effect, Commit):
                    self.storage.commit([effect if self._has_resumed else replace(effect, waiting=None)])
        finally:
            self._lookup.close()

    def acknowledged(self) -> list[bytes]:
        """What it acknowledged, encoded, and no final block that is stored holds."""
        return [item.raw for item in (*self._unstored, *self.engine.mempool.promised())]

    # -------------------------------------------------------------------------------- what the network side needs

    def now_ms(self) -> int:
        return self._clock.read(monotonic_ms(), wall_ms())

    def status(self) -> Status:
        return replace(self.engine.status(self.now_ms(), self._credential), oldest_body=self.keeper.oldest)

    @property
    def chain(self) -> Blockchain:
        return self.engine.chain

    @property
    def has_room(self) -> bool:
        return self.engine.has_room_for_peers

    @property
    def takes_strangers(self) -> bool:
        return self.engine.takes_strangers

    def waiting(self, transaction_id: bytes) -> VerifiedTransaction | None:
        return self.engine.mempool.get(transaction_id)

    async def post(self, event: Event) -> None:
        await self._inbox.send((event, None))

    async def answer(self, question: Question) -> bytes:
        if serving.kind_of(question).is_stored:
            try:
                return await self._lookup.ask(serving.answer, question, self)
            finally:
                self.keeper.look()
        return serving.answer(question, self)

    def newest_blocks(self) -> Iterable[Block]:
        return self.engine.chain.ledger.blocks()

    def branch(self, tip_id: bytes, from_height: int) -> Iterator[bytes]:
        return self._lookup.reader.branch(tip_id, from_height)

    def headings(self, tip_id: bytes, from_height: int) -> Iterator[bytes]:
        return self._lookup.reader.headings(tip_id, from_height)

    # -------------------------------------------------------------------------------------- what the HTTP face needs

    async def ask(self, event: Event) -> list[Effect]:
        reply = _Reply()
        await self._inbox.send((event, reply))
        return await reply.wait()

    async def prove(self, key: bytes) -> bytes:
        return await self._lookup.prove(key)

    async def give(self, question: GetPart) -> bytes:
        return await self._lookup.give(question)

    async def locate(self, transaction_id: bytes) -> Block | None:
        return await self._lookup.locate(transaction_id)

    def adopt(self, config: HomeConfig) -> None:
        """Take over the settings that may change while it runs."""
        from p2p.local.presence import adopt_limits  # see open_node

        adopt_limits(self.transport, config)
        adopt_level(config.log_level)

    async def _watch_clock(self) -> None:
        self.now_ms()
        ahead_ms = self._clock.take_step()
        if ahead_ms is not None:
            await self._handle(WallClockStepped(ahead_ms))


class _Reply:
    """The effects of one event, for the one who posted it."""

    def __init__(self) -> None:
        self._event = trio.Event()
        self._effects: list[Effect] = []

    def fill(self, effects: list[Effect]) -> None:
        self._effects = effects
        self._event.set()

    async def wait(self) -> list[Effect]:
        await self._event.wait()
        return self._effects


@asynccontextmanager
async def open_node(home: Home, offered: Sequence[bytes] = ()) -> AsyncIterator[Node]:
    """Run the node of ``home`` until the block is left, which stops it cleanly: what it acknowledged is on disk.

    ``offered`` are transactions, encoded, that another life of it acknowledged and could not store.
    Signals, logs and the garbage collector stay as they are: they belong to the program around it.  Several nodes may
    run in one process, each with its own home.  Raises :class:`OperatorError` for what the operator can mend, also
    while it runs, and :class:`~chain.base.errors.InvariantBroken` for our own fault.
    """
    with locked(home.path):
        log.info("starting", network=home.genesis.name, home=str(home.path))
        from p2p.local.arrival import arrive  # libp2p takes two seconds to import: see below

        await arrive(home)
        storage = await trio.to_thread.run_sync(Storage, home.database, home.genesis)
        try:
            engine = await trio.to_thread.run_sync(wake, home, storage)
            # libp2p takes two seconds to import: commands that only read, and most mistakes, must not pay for it.
            from p2p.local.presence import published, transport_config
            from p2p.network import open_transport

            async with open_transport(transport_config(home)) as transport:
                node = Node(home, engine, storage, transport, offered)
                async with _stopped_at_end(node), trio.open_nursery() as nursery:
                    await node.keeper.prepare()
                    await nursery.start(node.run)
                    with published(home, transport, node.url):
                        role = "validator" if engine.is_validator else "observer"
                        address, height = transport.listen_addresses[0], engine.chain.head.header.height
                        log.info(
                            "ready", role=role, network=home.genesis.name, height=height, http=node.url, address=address
                        )
                        yield node
                    nursery.cancel_scope.cancel()
        finally:
            storage.close()  # not before: until the network is closed, what comes in is judged by the state on disk


@asynccontextmanager
async def _stopped_at_end(node: Node) -> AsyncIterator[None]:
    try:
        yield
    finally:
        with trio.CancelScope(shield=True):
            await node.stop_answering()
            await trio.to_thread.run_sync(node.stop)
        log.info("stopped", height=node.engine.chain.head.header.height)


# ------------------------------------------------------------------------------------------------ the process


async def run_node(home: Home, *, stop_with_parent: bool) -> None:
    """Run until a signal, or until standard input ends.  Raises :class:`OperatorError`."""
    calm_collector()  # the state is millions of objects, and each time it is walked through while it loads is in vain
    with trio.open_signal_receiver(RELOAD) as asked:
        async with lifetime() as life:
            until_told = partial(life.until_told, stop_with_parent=stop_with_parent)
            acknowledged: list[bytes] = []

            async def live(tell_ready: Callable[[], None]) -> None:
                async with open_node(home, tuple(acknowledged)) as node, trio.open_nursery() as nursery:
                    try:
                        calm_collector()
                        tell_ready()
                        nursery.start_soon(follow_config, asked, home.path / "config.toml", home.config, node.adopt)
                        await until_told()
                        tell_supervisor("STOPPING=1")
                        nursery.cancel_scope.cancel()
                    finally:
                        acknowledged[:] = node.acknowledged()

            await in_stretches(live, until_told)


@group
def main() -> None:
    """Run a Goodfaith node, or make its home."""


for _command in COMMANDS:
    main.add_command(_command)


@main.command()
@home_of_node("The node's folder.")
@click.option(
    "--log-level",
    type=click.Choice(LEVELS),
    help="What goes to stderr, instead of what config.toml says.",
)
@click.option("--mode", type=click.Choice(MODES), help="What it keeps of blocks, instead of what config.toml says.")
@click.option("--join", type=click.Choice(WAYS_TO_JOIN), help="How a home without a chain gets one.")
@click.option("--checkpoint", metavar="HEIGHT:ID", help="A block that somebody you trust shows, to join by state.")
@click.option("--log-json", is_flag=True, help="One JSON object a line instead of readable lines.")
@click.option("--stop-with-parent", is_flag=True, help="End when standard input ends.")
@with_passphrase
def run(
    home: Path,
    log_level: str | None,
    mode: str | None,
    join: str | None,
    checkpoint: str | None,
    log_json: bool,
    stop_with_parent: bool,
    passphrase: Passphrase,
) -> None:
    """Run the node until Ctrl-C, SIGTERM or a hang-up.

    On SIGUSR1 it reads config.toml again: log level and limits change at once, the rest at the next start.
    """
    with importing():
        from p2p.local.logs import configure_logging, keep_stderr_flowing

    ignore_reloads()
    keep_stderr_flowing()
    configure_logging(log_level or "info", as_json=log_json)
    self_test()
    loaded = load_home(home, passphrase)
    said: dict[str, Any] = {"log_level": log_level, "mode": mode, "join": join, "checkpoint": checkpoint}
    config = replace(loaded.config, **{name: value for name, value in said.items() if value is not None})
    adopt_level(config.log_level)
    trio.run(partial(run_node, replace(loaded, config=config), stop_with_parent=stop_with_parent))


if __name__ == "__main__":
    main()
