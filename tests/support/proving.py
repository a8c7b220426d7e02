"""Proofs made from a home on disk, and checked with its genesis alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chain.content.genesis import load_genesis
from chain.disk.database import DATABASE
from chain.disk.reader import Reader
from chain.disk.sources import StoredState
from chain.documents.proof import Proven, check_evidence
from chain.documents.prover import prove


@contextmanager
def stored_state(home: Path) -> Iterator[StoredState]:
    """The state on disk, from which proofs are made."""
    reader = Reader(home / DATABASE, load_genesis(home / "genesis.json"))
    try:
        with reader.consistent():
            header = reader.snapshot_header()
            assert header is not None
            yield StoredState(reader, header)
    finally:
        reader.close()


def proof_of(home: Path, key: bytes) -> bytes:
    """The file that shows where the owner of ``key`` stands."""
    with stored_state(home) as source:
        return prove(load_genesis(home / "genesis.json"), source, key)


def checked(home: Path, data: bytes) -> Proven:
    """What a file shows to whoever has the genesis."""
    return check_evidence(load_genesis(home / "genesis.json"), data)
