"""Making proofs: from the state on disk and the stored announcements, as from executing the chain."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from chain.blockchain import Blockchain
from chain.blocks import Block
from chain.database import DATABASE, announcement_row
from chain.errors import OperatorError, Reason, Refused
from chain.events import Commit, SigningState
from chain.genesis import Genesis
from chain.headers import Header
from chain.ledger import Ledger
from chain.proof import MAX_FILE_BYTES
from chain.proposals import AddValidator, ReleaseValidator, RemoveValidator
from chain.prover import prove
from chain.state import VALIDATORS_KEY, Entry, decode_entry
from chain.statetree import Proof, StateTree
from chain.storage import Storage
from chain.validators import SetAnnouncement
from tests.support.homes import tamper, write_genesis
from tests.support.proving import checked, proof_of, stored_state
from tests.support.registered import City, changing_city, lively_city
from tests.support.world import secret


@pytest.fixture(scope="module")
def city() -> City:
    return lively_city()


@pytest.fixture(scope="module")
def home(city: City, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return city.write(tmp_path_factory.mktemp("city") / "home")


def test_every_key_that_a_member_had_proves_the_same(city: City, home: Path) -> None:
    old, new = (checked(home, proof_of(home, key)) for key in (secret(60).public, city.ann.key))
    assert (old.member, old.standing, old.header) == (new.member, new.standing, new.header)


@pytest.mark.parametrize("who", ["stranger", "office", "validator"])
def test_that_a_key_is_not_enrolled_is_proven_too(city: City, home: Path, who: str) -> None:
    key = {"stranger": secret(88).public, "office": city.office.key, "validator": city.validators[0].key}[who]
    proven = checked(home, proof_of(home, key))
    assert (proven.key, proven.member, proven.standing) == (key, None, None)


# ------------------------------------------------------------------------------------------- from an executed chain


@dataclass
class Executed:
    """A source that trusts nothing stored: every block is executed, and the tree built again at each announcement."""

    genesis: Genesis
    blocks: Sequence[Block]
    header: Header

    def __post_init__(self) -> None:
        self.ledger, self.found = Ledger(self.genesis), list[SetAnnouncement]()
        chain = Blockchain(self.genesis)
        for block in self.blocks[: self.header.height]:
            self.ledger.extend(block, chain.next_votes.newest_set.start)
            chain.add(block, arrived_in_slot=True)
            if self.ledger.validators.decided_height == block.header.height:
                path = StateTree.build(self.ledger.state.items()).prove(VALIDATORS_KEY)
                self.found.append(
                    SetAnnouncement(block.header.height, self.ledger.state[VALIDATORS_KEY], path.encode())
                )

    def entry(self, key: bytes) -> Entry | None:
        value = self.ledger.state.get(key)
        return None if value is None else decode_entry(key, value)

    def path(self, key: bytes) -> Proof:
        return self.ledger.prove(key)

    def announcements(self) -> list[SetAnnouncement]:
        return self.found

    def headers(self, first: int) -> Iterator[Header]:
        return (block.header for block in self.blocks[first - 1 :])


def restless_city(blocks: int) -> City:
    """A city whose validators change five times."""
    city = changing_city(25)
    for change in (
        ReleaseValidator(city.validators[3].key),
        AddValidator(secret(98).public, 1),
        RemoveValidator(secret(99).public),
    ):
        city.carried(change)
        for _ in range(25):
            city.block()
    for _ in range(blocks):
        city.block()
    return city


@pytest.mark.parametrize(("tell", "blocks"), [(changing_city, 4), (changing_city, 9), (restless_city, 0)])
def test_a_proof_from_the_stored_table_is_that_from_executing_the_chain(
    tell: Callable[[int], City], blocks: int, tmp_path: Path
) -> None:
    city = tell(blocks)
    home = city.write(tmp_path / "home")
    with stored_state(home) as source:
        executed = Executed(city.genesis, city.blocks, source.header)
        assert list(source.announcements()) == executed.found
        data = prove(city.genesis, source, city.ann.key)
    assert data == prove(city.genesis, executed, city.ann.key)
    assert checked(home, data).header == executed.header
    assert len(data) < MAX_FILE_BYTES // 50


def test_headers_are_taken_only_as_far_as_they_are_needed(city: City) -> None:
    final = 20
    taken: list[int] = []

    class Counting(Executed):
        def headers(self, first: int) -> Iterator[Header]:
            for header in super().headers(first):
                taken.append(header.height)
                yield header

    prove(city.genesis, Counting(city.genesis, city.blocks, city.blocks[final - 1].header), city.ann.key)
    assert taken == list(range(final, final + 6))  # with four validators a block is final five blocks later


def test_what_the_headers_do_not_make_final_is_not_proven(city: City) -> None:
    source = Executed(city.genesis, city.blocks, city.blocks[-3].header)
    with pytest.raises(Refused) as caught:
        prove(city.genesis, source, city.ann.key)
    assert caught.value.reason is Reason.CROSSES_FINALITY


# --------------------------------------------------------------------------------------------------- after a reorg


def written(home: Path, genesis: Genesis, blocks: Sequence[Block]) -> Path:
    """A home whose node received these blocks one by one, and settled what was final each time."""
    write_genesis(home, genesis)
    Storage.create(home / DATABASE, genesis, SigningState())
    storage, chain = Storage(home / DATABASE, genesis), Blockchain(genesis)
    for block in blocks:
        added = chain.add(block, arrived_in_slot=True)
        side = () if block in added.adopted else (block,)
        storage.commit([Commit(added.abandoned, added.adopted, side, chain.finalized.height, chain.settle())])
    storage.close()
    return home


def test_what_an_abandoned_branch_announced_is_not_kept(tmp_path: Path) -> None:
    # given a branch that announces other validators, and one that overtakes it and announces others still
    lost, won = City(), City()
    lost.carried(AddValidator(secret(98).public, 1))
    lost.block()
    won.block(slot=10)
    won.carried(AddValidator(secret(99).public, 1))
    for _ in range(25):
        won.block()
    home = written(tmp_path / "home", won.genesis, [*lost.blocks, *won.blocks])
    assert lost.blocks[-1].header.height == 3
    # then only the latter is stored, and a proof by its validators holds
    with stored_state(home) as source:
        executed = Executed(won.genesis, won.blocks, source.header)
        (stored,) = source.announcements()
        assert [stored] == executed.found
        assert stored != Executed(lost.genesis, lost.blocks, lost.blocks[-1].header).found[0]
        data = prove(won.genesis, source, won.ann.key)
    assert data == prove(won.genesis, executed, won.ann.key)


def test_settling_bit_by_bit_stores_what_settling_at_once_does(tmp_path: Path) -> None:
    city = restless_city(3)
    slowly, at_once = written(tmp_path / "slowly", city.genesis, city.blocks), city.write(tmp_path / "at-once")
    assert proof_of(slowly, city.bob.key) == proof_of(at_once, city.bob.key)


# ------------------------------------------------------------------------------------------------ a damaged table


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    return changing_city(9).write(tmp_path / "home")


def test_a_flipped_bit_of_an_announcement_is_noticed(changed: Path) -> None:
    with closing(sqlite3.connect(changed / DATABASE)) as connection:
        key, value = connection.execute("SELECT key, value FROM announcements").fetchone()
    for at in range(0, len(value), 97):
        spoilt = value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]
        tamper(changed, "UPDATE announcements SET value = ? WHERE key = ?", spoilt, key)
        with pytest.raises(OperatorError, match="is damaged"):
            proof_of(changed, secret(60).public)


@pytest.mark.parametrize("damage", ["missing", "another path", "another set", "another height", "no validators"])
def test_a_well_formed_lie_in_the_table_is_noticed(changed: Path, damage: str) -> None:
    with stored_state(changed) as source:
        first, second = source.announcements()
    lies = {
        "another path": first._replace(path=second.path),
        "another set": first._replace(validators=second.validators),
        "no validators": first._replace(validators=b"\x01"),
    }
    if damage == "missing":
        tamper(changed, "DELETE FROM announcements WHERE key = ?", announcement_row(first)[0])
    elif damage == "another height":
        row = announcement_row(first._replace(height=first.height + 1))
        tamper(changed, "UPDATE announcements SET key = ?, value = ? WHERE key = ?", *row, announcement_row(first)[0])
    else:
        key, value = announcement_row(lies[damage])
        tamper(changed, "UPDATE announcements SET value = ? WHERE key = ?", value, key)
    with pytest.raises(Refused):
        proof_of(changed, secret(60).public)
