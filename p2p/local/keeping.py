"""What of the blocks a node's home keeps: what its mode says, and whole.

``archive`` keeps what every block said, and fetches what is missing; ``full`` keeps what it has; ``pruned`` drops what
blocks said once the policy's ``bodies_days`` have passed, and overwrites it.  Headers and votes stay in any mode.
"""

from __future__ import annotations

from p2p.local.commandline import launched

import shutil
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

import structlog
import trio
from prometheus_client import CollectorRegistry, Gauge

from chain.base.errors import OperatorError
from chain.content.blocks import Block
from chain.disk.bodies import Bodies, Missing
from chain.disk.database import DATABASE
from chain.disk.reader import Reader
from chain.documents.people import Document
from p2p.local.home import Home

# Peers that had nothing may have it later: a minute is nothing for what is years old.
AGAIN_S = 60.0
# Blocks asked of a peer at once.
FETCHED_AT_ONCE = 64

T = TypeVar("T")
log = structlog.get_logger("node")

Fetch = Callable[[Sequence[Missing]], Awaitable[Sequence[Block]]]
"""Asks peers for these blocks of one branch, lowest first, and gives those of them that came, checked."""


class Kept(Protocol):
    """Who says what is kept."""

    def describe(self) -> Document:
        """For ``/status``."""


class Keeping(Protocol):
    """The storage whose bodies are kept."""

    @property
    def bodies(self) -> Bodies:
        """What its blocks say."""


class Keeper:
    """Keeps the bodies of one running node.  Whoever else writes to its database holds :attr:`writing` meanwhile."""

    def __init__(self, home: Home, storage: Keeping, reader: Reader, registry: CollectorRegistry, fetch: Fetch) -> None:
        self.writing = trio.Lock()
        self._home = home
        self._mode = home.config.mode
        self._storage = storage
        self._reader = reader
        self._fetch = fetch
        self._settled = trio.Event()
        self._damage = trio.Event()
        self._told: set[int] = set()
        self._is_tired = False
        self._oldest = 1
        self._oldest_body = Gauge(
            "goodfaith_oldest_body_height", "Height from which on this node has what blocks say", registry=registry
        )
        self._damaged = Gauge(
            "goodfaith_damaged_blocks", "Stored blocks that the disk damaged, until they are fetched", registry=registry
        )

    def describe(self) -> Document:
        """For ``/status``."""
        return {"mode": self._mode, "oldest_body": self._oldest, "damaged_blocks": len(self._reader.damaged)}

    @property
    def oldest(self) -> int:
        """The height from which on it has what blocks say."""
        return self._oldest

    def settled(self) -> None:
        """The state on disk moved on, and with it the window."""
        self._settled.set()

    def look(self) -> None:
        """Something was read for a peer: what proved damaged is fetched again."""
        if self._reader.damaged.keys() - self._told:
            self._damage.set()
        self._damaged.set(len(self._reader.damaged))

    async def prepare(self) -> None:
        """Before anything else happens: make true what the mode says of what is stored."""
        if self._mode == "pruned":
            await self._do(Bodies.overwrite)
            while await self._prune():
                pass
            await self._wipe()
        else:
            await self._do(Bodies.stop_overwriting)
        self._note(await self._do(lambda bodies: bodies.oldest))
        if self._mode == "archive" and self._oldest > 1:
            log.warning("archive_incomplete", why=f"what blocks below height {self._oldest} say is asked of peers")

    async def run(self) -> None:
        """Keep on, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._mend)
            if self._mode == "pruned":
                nursery.start_soon(self._follow)
            elif self._mode == "archive":
                nursery.start_soon(self._complete)

    # ----------------------------------------------------------------------------------------------------- pruning

    async def _follow(self) -> None:
        while True:
            await self._settled.wait()
            self._settled = trio.Event()
            while await self._prune():
                pass

    async def _prune(self) -> int:
        """Drop some of what is too old; how many bodies that were."""
        try:
            dropped = await self._do(Bodies.drop)
            if dropped:
                await self._do(Bodies.cut_log)
                self._note(await self._do(lambda bodies: bodies.oldest))
                log.info("pruned", bodies=dropped, oldest=self._oldest)
                await self._remind()
        except OperatorError as error:  # what cannot be dropped now keeps nobody from running
            log.error("not_pruned", why=launched(str(error)))
            return 0
        return dropped

    async def _remind(self) -> None:
        if not self._is_tired and await self._do(lambda bodies: bodies.is_worn):
            self._is_tired = True
            why = "copies of what was moved stay in the slack of its pages until it writes the file anew"
            log.info("rewrite_due", why=why, remedy="start the node again when it suits: then it does")

    async def _wipe(self) -> None:
        if not await self._do(lambda bodies: bodies.is_worn):
            return
        size = (self._home.path / DATABASE).stat().st_size
        if shutil.disk_usage(self._home.path).free < 2 * size:
            log.warning("not_rewritten", why=f"{self._home.database} needs {2 * size} bytes of room to be written anew")
            return
        log.info("rewriting", bytes=size)
        await self._do(Bodies.wipe)

    # ----------------------------------------------------------------------------------------------------- mending

    async def _mend(self) -> None:
        """Fetch again what proved damaged."""
        while True:
            await self._damage.wait()
            self._damage = trio.Event()
            for height, block_id in sorted(self._reader.damaged.items()):
                self._tell(height)
                if await self._bring([Missing(height, block_id)]):
                    del self._reader.damaged[height]
                    self._told.discard(height)
                    log.info("block_mended", height=height)
            self._damaged.set(len(self._reader.damaged))
            if self._reader.damaged:
                with trio.move_on_after(AGAIN_S):
                    await self._damage.wait()
                self._damage.set()

    def _tell(self, height: int) -> None:
        if height not in self._told:
            self._told.add(height)
            log.error(
                "block_damaged",
                height=height,
                why="its checksum is wrong, so it is handed out to nobody; it is asked of peers again, and if none has "
                "it: restore a backup, and look after the disk",
            )

    async def _complete(self) -> None:
        """Fetch what an archive is lacking, the newest first."""
        while self._oldest > 1:
            first = max(1, self._oldest - FETCHED_AT_ONCE)
            missing = await self._do(Bodies.missing, first, self._oldest - first)
            brought = await self._bring(missing) if missing else 0
            if missing and not brought:
                await trio.sleep(AGAIN_S)
            if brought < len(missing):
                continue
            await self._do(Bodies.lower, first)
            self._note(first)
            log.info("archive_grew", oldest=first)

    async def _bring(self, missing: Sequence[Missing]) -> int:
        """How many of these blocks peers brought; they are stored."""
        blocks = await self._fetch(missing)
        restore = partial(Bodies.restore, is_pruned=self._mode == "pruned")  # it may have become too old meanwhile
        for block in blocks:
            await self._do(restore, block)
        return len(blocks)

    def _note(self, oldest: int) -> None:
        self._oldest = oldest
        self._oldest_body.set(oldest)

    async def _do(self, work: Callable[..., T], *arguments: object) -> T:
        """Work on the bodies in a thread, while nobody else writes."""
        async with self.writing:
            return await trio.to_thread.run_sync(work, self._storage.bodies, *arguments)
