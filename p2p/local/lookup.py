"""What a running node looks up in its own database, for peers and for people: in a thread, one question at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import TypeVar

import trio

from chain.content.blocks import Block
from chain.disk.reader import Reader
from chain.disk.shelves import Shelves
from chain.disk.sources import LiveState
from chain.documents.prover import prove
from chain.protocol.engine import Engine
from chain.protocol.messages import GetPart
from chain.protocol.serving import MAX_RECENT_BLOCKS
from p2p.clocks import monotonic_ms
from p2p.local.home import Home

T = TypeVar("T")


class Lookup:
    """The questions that a running node has for its database; close it after :meth:`end`."""

    def __init__(self, home: Home, engine: Engine) -> None:
        self.reader = Reader(home.database, home.genesis)
        self._genesis = home.genesis
        self._engine = engine
        self._turn = trio.CapacityLimiter(1)
        self._shelves = Shelves(partial(Reader, home.database, home.genesis))
        self._settled = trio.Event()

    async def ask(self, question: Callable[..., T], *arguments: object) -> T:
        """Ask in its turn what reads the database."""
        return await trio.to_thread.run_sync(partial(question, *arguments), limiter=self._turn)

    async def prove(self, key: bytes) -> bytes:
        """A proof of where the owner of ``key`` stands in the newest final state.  Raises :class:`Refused`."""
        return await self.ask(prove, self._genesis, LiveState(self._engine.chain, self.reader, key), key)

    async def give(self, question: GetPart) -> bytes:
        """A part of the state under a root.  Raises :class:`Refused` where that is not at hand."""
        return await self.ask(self._shelves.give, question, monotonic_ms())

    async def locate(self, transaction_id: bytes) -> Block | None:
        """The main chain's block that holds a transaction, if there is one."""
        stored = await self.ask(self.reader.transaction, transaction_id)
        if stored is not None and stored[2]:
            return stored[1]
        # What the database does not hold yet is in the newest blocks.
        for block in islice(self._engine.chain.ledger.blocks(), MAX_RECENT_BLOCKS):
            if any(item.id == transaction_id for item in block.transactions):
                return block
        return None

    def settled(self) -> None:
        """The state on disk moved on."""
        if self._shelves.is_asked:
            self._settled.set()

    async def tend_shelves(self) -> None:
        """Let what is given away follow the state on disk."""
        while True:
            await self._settled.wait()
            self._settled = trio.Event()
            await self.ask(self._shelves.tend, monotonic_ms())

    async def end(self) -> None:
        """What is asked from now on waits for good; whatever is being read is read to its end."""
        await self._turn.acquire_on_behalf_of(self)

    def close(self) -> None:
        """End what reads."""
        self._shelves.close()
        self.reader.close()
