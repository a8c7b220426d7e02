"""Making proofs: from the state on disk and the stored announcements, as from executing the chain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from chain.base.errors import InvariantBroken, Reason, Refused
from chain.branches.blockchain import Blockchain
from chain.branches.ledger import Ledger
from chain.consensus.headers import Header
from chain.content.blocks import Block
from chain.content.genesis import Genesis
from chain.content.proposals import AddValidator, JailValidator, ReleaseValidator, RemoveValidator, ReweighValidator
from chain.disk.database import DATABASE
from chain.disk.storage import Storage
from chain.documents.proof import MAX_FILE_BYTES, Voting
from chain.documents.prover import prove
from chain.protocol.events import Commit, SigningState
from chain.register.entries import Entry
from chain.register.state import decode_entry
from chain.tree.stateproof import Proof
from tests.support.homes import tamper, write_genesis
from tests.support.proving import checked, proof_of, stored_state
from tests.support.refusals import refusal
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
    """A source that trusts nothing stored: every block is executed, and what it decided is seen by what it changed."""

    genesis: Genesis
    blocks: Sequence[Block]
    header: Header

    def __post_init__(self) -> None:
        self.ledger, self.found = Ledger(self.genesis), list[int]()
        chain = Blockchain(self.genesis)
        for block in self.blocks[: self.header.height]:
            before = chain.electorate
            self.ledger.extend(block, before)
            chain.add(block, arrived_in_slot=True)
            validators, after = self.ledger.validators, chain.electorate
            is_new = validators.change and validators.decided_height == block.header.height
            if is_new or (before.barred, before.tags) != (after.barred, after.tags):
                self.found.append(block.header.height)

    def entry(self, key: bytes) -> Entry | None:
        value = self.ledger.state.get(key)
        return None if value is None else decode_entry(key, value)

    def path(self, key: bytes) -> Proof:
        return self.ledger.prove(key)

    def decisions(self) -> list[int]:
        return self.found

    def votings(self, first: int) -> Iterator[Voting]:
        return ((block.header, block.ballot) for block in self.blocks[first - 1 :])


def restless_city(blocks: int) -> City:
    """A city whose validators change five times."""
    city = changing_city(25)
    for change in (
        ReleaseValidator(city.validators[3].key),
        ReweighValidator(city.validators[0].key, 2),
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
        assert list(source.decisions()) == executed.found
        data = prove(city.genesis, source, city.ann.key)
    assert data == prove(city.genesis, executed, city.ann.key)
    assert checked(home, data).header == executed.header
    assert len(data) < MAX_FILE_BYTES // 50


def test_headers_are_taken_only_as_far_as_they_are_needed(city: City) -> None:
    final = 20
    taken: list[int] = []

    class Counting(Executed):
        def votings(self, first: int) -> Iterator[Voting]:
            for voting in super().votings(first):
                taken.append(voting[0].height)
                yield voting

    prove(city.genesis, Counting(city.genesis, city.blocks, city.blocks[final - 1].header), city.ann.key)
    assert taken == list(range(final, final + 6))  # with four validators a block is final five blocks later


def test_what_the_headers_do_not_make_final_is_not_proven(city: City) -> None:
    source = Executed(city.genesis, city.blocks, city.blocks[-3].header)
    with pytest.raises(Refused) as caught:
        prove(city.genesis, source, city.ann.key)
    assert caught.value.reason is Reason.CROSSES_FINALITY


class NoEntry(Executed):
    """What is stored as an entry is none."""

    def entry(self, key: bytes) -> Entry | None:
        raise InvariantBroken("no entry")


class WrongPath(Executed):
    """The tree over the state is another one."""

    def path(self, key: bytes) -> Proof:
        return super().path(bytes(32))


@pytest.mark.parametrize("kind", [NoEntry, WrongPath])
def test_what_is_damaged_here_is_not_held_against_who_asks(city: City, kind: type[Executed]) -> None:
    source = kind(city.genesis, city.blocks, city.blocks[-9].header)
    assert refusal(prove, city.genesis, source, city.ann.key) is Reason.NOT_EXECUTED


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


def test_what_an_abandoned_branch_decided_is_not_kept(tmp_path: Path) -> None:
    # given a branch that decides on other validators, and one that overtakes it and decides on others still
    lost, won = City(), City()
    lost.carried(JailValidator(lost.validators[0].key))
    lost.block()
    won.block(slot=10)
    won.block()
    won.carried(AddValidator(won.newcomer.key, 1))
    for _ in range(25):
        won.block()
    home = written(tmp_path / "home", won.genesis, [*lost.blocks, *won.blocks])
    assert lost.blocks[-1].header.height == 3
    # then only the latter is stored, and a proof by its validators holds
    with stored_state(home) as source:
        executed = Executed(won.genesis, won.blocks, source.header)
        assert list(source.decisions()) == executed.found == [5]
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


@pytest.mark.parametrize("damage", ["missing", "another", "one too many"])
def test_a_lie_in_the_table_is_noticed_or_does_no_harm(changed: Path, damage: str) -> None:
    with stored_state(changed) as source:
        first, *_ = source.decisions()
    before = proof_of(changed, secret(60).public)
    if damage == "missing":
        tamper(changed, "DELETE FROM decisions WHERE height = ?", first)
    elif damage == "another":
        tamper(changed, "UPDATE decisions SET height = ? WHERE height = ?", 1, first)
    else:
        tamper(changed, "INSERT INTO decisions VALUES (?)", 1)
    with suppress(Refused):
        after = proof_of(changed, secret(60).public)
        assert checked(changed, after) == checked(changed, before)
        return
    assert damage == "missing"
