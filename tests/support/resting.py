"""A node that only answers, over a home that it read: for tests of what the HTTP API says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from prometheus_client import CollectorRegistry

from chain.content.blocks import Block
from chain.content.genesis import Genesis
from chain.disk.database import DATABASE
from chain.disk.reader import Reader
from chain.disk.storage import Storage
from chain.protocol.engine import Engine
from p2p.local.broadcast import Broadcast
from p2p.local.config import HomeConfig
from p2p.local.face import LocalFace, Running
from p2p.signatures import Signatures
from tests.support.world import secret


class Whole:
    """Where nothing was dropped."""

    def describe(self) -> dict[str, object]:
        return {"mode": "full", "oldest_body": 1, "damaged_blocks": 0}


@contextmanager
def resting(home: Path, genesis: Genesis) -> Iterator[LocalFace]:
    """What a node of this home answers that has no peers, and for which no time passes."""
    with closing(Storage(home / DATABASE, genesis)) as storage, closing(_face(storage, home, genesis)) as face:
        yield face


def _face(storage: Storage, home: Path, genesis: Genesis) -> LocalFace:
    chain, _ = storage.load()
    engine = Engine(genesis, chain)

    async def locate(transaction_id: bytes) -> Block | None:
        reader = Reader(home / DATABASE, genesis)
        try:
            found = reader.transaction(transaction_id)
        finally:
            reader.close()
        return None if found is None or not found[2] else found[1]

    async def ask(event: object) -> list[object]:
        return list(engine.handle(event, now_ms()))  # type: ignore[arg-type]

    async def prove(key: bytes) -> bytes:
        return b"proof of " + key

    def now_ms() -> int:
        return genesis.slot_start_ms(chain.head.header.slot + 1)

    node = SimpleNamespace(
        home=SimpleNamespace(
            genesis=genesis, config=HomeConfig(), path=home, database=home / DATABASE, secret=secret(1)
        ),
        engine=engine,
        telemetry=SimpleNamespace(
            registry=CollectorRegistry(),
            events=Broadcast(),
            heads=[],
            equivocations=[],
            reorg_count=0,
            fault_count=0,
            transaction_count=0,
            final_count=0,
            counted_from=1,
            tell_outcomes=lambda outcomes: None,
        ),
        transport=SimpleNamespace(
            peer_id="12D0", peers=SimpleNamespace(connected=lambda: [], bans=dict, block=None, unblock=None)
        ),
        keeper=Whole(),
        signatures=Signatures(genesis.id, engine.mempool.get),
        now_ms=now_ms,
        locate=locate,
        ask=ask,
        prove=prove,
    )
    return LocalFace(cast(Running, node))
