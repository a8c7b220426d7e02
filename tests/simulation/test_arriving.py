"""A simulated home that joins by state does it by the code of nodes, and goes on from there."""

from __future__ import annotations

from pathlib import Path

import pytest

from chain.branches.blockchain import Blockchain
from chain.protocol import joining
from chain.protocol.events import Commit, SigningState
from scripts.simulation.realdisk import RealDisk
from tests.support.headings import CHAIN, GENESIS


def test_it_has_the_state_of_another_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "MAX_PART_BYTES", 700)
    source, chain = RealDisk(GENESIS, SigningState(), tmp_path / "source"), Blockchain(GENESIS)
    for block in CHAIN[:25]:
        chain.add(block, arrived_in_slot=True)
        source.commit(Commit(adopted=(block,), finalized_height=chain.finalized.height, settled=chain.settle()))
    fresh = RealDisk(GENESIS, None, tmp_path / "fresh")
    fresh.begin_with(source)
    began = fresh.load()
    assert began.head.header.id == chain.settled.id
    for block in CHAIN[began.head.header.height :]:
        began.add(block, arrived_in_slot=True)
    assert began.head.header.id == CHAIN[-1].id
    for disk in (source, fresh):
        disk.crash()
