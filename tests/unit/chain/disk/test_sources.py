"""What proofs are made from: a running node's memory gives the same proof as the state on disk."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from chain.base.errors import Reason, Refused
from chain.branches.blockchain import Blockchain
from chain.content.actions import Enrol
from chain.disk import sources
from chain.disk.database import DATABASE
from chain.disk.reader import Reader
from chain.disk.sources import LiveState, StoredState
from chain.disk.storage import Storage
from chain.documents.prover import prove
from chain.protocol.events import Commit, SigningState
from chain.tree import pages
from tests.support.homes import tamper, write_genesis
from tests.support.proving import checked, proof_of, stored_state
from tests.support.refusals import refusal
from tests.support.registered import City, changing_city, lively_city


class Running:
    """A node's chain, database and reader; it settles when :meth:`settle` says so."""

    def __init__(self, home: Path, city: City) -> None:
        write_genesis(home, city.genesis)
        Storage.create(home / DATABASE, city.genesis, SigningState())
        self.home = home
        self.chain = Blockchain(city.genesis)
        self.storage = Storage(home / DATABASE, city.genesis)
        self.reader = Reader(home / DATABASE, city.genesis)
        for block in city.blocks:
            added = self.chain.add(block, arrived_in_slot=True)
            self.storage.commit([Commit(adopted=added.adopted, finalized_height=self.chain.finalized.height)])

    def settle(self) -> None:
        self.storage.commit([Commit(settled=self.chain.settle())])

    def close(self) -> None:
        self.reader.close()
        self.storage.close()


@pytest.fixture
def homes(tmp_path: Path) -> Iterator[list[Running]]:
    """Those that run, to be closed at the end."""
    running: list[Running] = []
    yield running
    for node in running:
        node.close()


@pytest.mark.parametrize("blocks", [0, 4, 6, 9, 13, 20])
@pytest.mark.parametrize("is_settled", [True, False])
def test_memory_proves_what_the_disk_does(
    homes: list[Running], tmp_path: Path, blocks: int, *, is_settled: bool
) -> None:
    city = changing_city(blocks)
    node = Running(tmp_path / "node", city)
    homes.append(node)
    if is_settled:
        node.settle()
    before = node.chain.ledger.state_root, dict(node.chain.ledger.state)
    source = LiveState(node.chain, node.reader, city.bob.key)
    assert (node.chain.ledger.state_root, node.chain.ledger.state) == before
    assert source.header == node.chain.finalized
    data = prove(city.genesis, source, city.bob.key)
    if not is_settled:
        node.settle()
    assert data == proof_of(node.home, city.bob.key)


def test_a_member_with_open_objections(homes: list[Running], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    city = lively_city()
    node = Running(tmp_path / "node", city)
    homes.append(node)
    source = LiveState(node.chain, node.reader, city.ann.key)
    assert len(checked(node.home, prove(city.genesis, source, city.ann.key)).objections) == 1
    # the validators, the rules and their policy, her account, herself and her three records
    monkeypatch.setattr(sources, "MAX_READ_ENTRIES", 8)
    LiveState(node.chain, node.reader, city.ann.key)
    monkeypatch.setattr(sources, "MAX_READ_ENTRIES", 7)
    assert refusal(LiveState, node.chain, node.reader, city.ann.key) is Reason.TOO_LARGE


def test_the_chain_may_go_on_while_a_proof_is_made(homes: list[Running], tmp_path: Path) -> None:
    city = changing_city(4)
    node = Running(tmp_path / "node", city)
    homes.append(node)
    source = LiveState(node.chain, node.reader, city.bob.key)
    for _ in range(30):
        node.chain.add(city.block(), arrived_in_slot=True)
    node.settle()
    assert checked(node.home, prove(city.genesis, source, city.bob.key)).header == source.header


def test_what_is_not_final_cannot_be_proven(homes: list[Running], tmp_path: Path) -> None:
    city = City()
    for _ in range(3):
        city.block()
    node = Running(tmp_path / "node", city)
    homes.append(node)
    assert refusal(LiveState, node.chain, node.reader, city.bob.key) is Reason.CROSSES_FINALITY


def test_a_node_does_not_go_back_over_too_much(
    homes: list[Running], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    city = City()
    for _ in range(8):
        city.block()
    city.block(*[member.sign(Enrol()) for member in city.members])
    node = Running(tmp_path / "node", city)
    homes.append(node)
    changed = node.chain.ledger.changes_above(node.chain.finalized.height)
    assert changed > len(city.members)
    monkeypatch.setattr(sources, "MAX_REWOUND", changed)
    LiveState(node.chain, node.reader, city.bob.key)
    monkeypatch.setattr(sources, "MAX_REWOUND", changed - 1)
    assert refusal(LiveState, node.chain, node.reader, city.bob.key) is Reason.TOO_LARGE


def test_headers_go_up_to_the_head_however_many_they_are(tmp_path: Path) -> None:
    city = changing_city(20)
    with stored_state(city.write(tmp_path / "home")) as source:
        for first in (1, city.height - 16, city.height - 15, city.height, city.height + 1):
            heights = [header.height for header, _ in islice(source.votings(first), 2 * city.height)]
            assert heights == list(range(first, city.height + 1))


def test_a_stored_state_that_is_not_its_headers_is_refused(homes: list[Running], tmp_path: Path) -> None:
    city = lively_city()
    node = Running(tmp_path / "node", city)
    homes.append(node)
    node.settle()
    header = node.reader.snapshot_header()
    assert header is not None
    tamper(node.home, "DELETE FROM page WHERE k = ?", pages.TOP)
    with pytest.raises(Refused) as caught:
        StoredState(node.reader, header)
    assert caught.value.reason is Reason.WRONG_STATE_ROOT
