"""The same blocks on a register in a file of its own, and on one on a server."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import NamedTuple

from chain.branches.blockchain import Blockchain
from chain.disk.database import DATABASE
from chain.disk.places import Address, Place
from chain.disk.postgres import Connection
from chain.disk.storage import Storage
from chain.disk.stored import trusted_block
from chain.protocol.events import Commit
from p2p.local.process import calm_collector
from scripts.bench_parts.chainwork import RecordedChain


class StoreCosts(NamedTuple):
    """Medians a block, in milliseconds, and how often a server was asked: while applying it, and while storing it."""

    apply_ms: float
    store_ms: float
    read_journeys: float
    write_journeys: float


def store_costs(recorded: RecordedChain, url: str) -> tuple[StoreCosts, StoreCosts]:
    """What blocks of ratings cost in a file, and on the server at ``url``, whose database has to be empty."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        return _costs(recorded, home / DATABASE), _costs(recorded, Address(url, home))


def _costs(recorded: RecordedChain, place: Place) -> StoreCosts:
    Storage.create(place, recorded.genesis, None)
    with closing(Storage(place, recorded.genesis)) as storage:
        chain, _ = storage.load()
        for _ in _stored(chain, storage, recorded.enrolling):
            pass
    calm_collector()
    with closing(Storage(place, recorded.genesis)) as storage:  # which remembers nothing of what it reads next
        chain, _ = storage.load()
        seen = list(_stored(chain, storage, recorded.rating))
    return StoreCosts(*(round(median(column), 2) for column in zip(*seen, strict=True)))


def _stored(chain: Blockchain, storage: Storage, raws: Sequence[bytes]) -> Iterator[StoreCosts]:
    """Apply these blocks, one after another, and store each with the state that it makes final."""
    for raw in raws:
        block = trusted_block(raw)
        asked, started = Connection.journeys, time.perf_counter()
        chain.add(block, arrived_in_slot=True)
        applied, between = time.perf_counter(), Connection.journeys
        final, settled = chain.finalized.height, chain.settle()
        storage.commit([Commit(adopted=(block,), finalized_height=final, settled=settled)])
        ended = time.perf_counter()
        journeys = between - asked, Connection.journeys - between
        yield StoreCosts(1_000 * (applied - started), 1_000 * (ended - applied), *journeys)
