"""Storage: what it stores it gives back, whatever happens to the process, the disk or the file."""

from __future__ import annotations

import pickle
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from inspect import signature
from pathlib import Path
from random import Random
from typing import Any

import pytest

from chain.base.errors import OperatorError
from chain.base.merkle import merkle_root
from chain.branches.blockchain import Blockchain
from chain.branches.ledger import Ledger
from chain.consensus.headers import sign_header
from chain.content.actions import Enrol, Rate
from chain.content.blocks import encode_block, join
from chain.content.genesis import Genesis
from chain.disk.database import DATABASE
from chain.disk.reader import Reader
from chain.disk.storage import Storage
from chain.protocol.events import Commit, SigningState
from chain.register.state import encode_entry
from chain.register.statekeys import RATINGS
from scripts.simulation.damage import FRAME_HEADER, commit_ends
from scripts.simulation.disk import Disk
from tests.support.homes import read_only
from tests.support.world import Actor, World, genesis_of, secret

FLIPS = 500
TRUNCATIONS = 40
KILLS = 10
TIMEOUT_S = 300  # for children that hang; nothing waits that long otherwise


@dataclass(frozen=True)
class History:
    """What one validator committed, one after another, and what must be on disk after each commit."""

    genesis: Genesis
    commits: tuple[Commit, ...]
    states: tuple[tuple[Any, ...], ...]


def on_disk(disk: Disk) -> tuple[Any, ...]:
    """Everything that must survive: blocks and which are main, finality, the snapshot and the signing state."""
    blocks = sorted((block.id, is_main) for block, is_main in disk.blocks.values())
    settled = None if disk.settled is None else disk.settled.header.id
    return blocks, disk.finalized, settled, tuple(sorted(disk.state.items())), disk.signing


def stored(path: Path, genesis: Genesis) -> tuple[Any, ...]:
    """The same, read from a database."""
    storage = Storage(path, genesis)
    _, signing = storage.load()
    storage.close()
    reader = Reader(path, genesis)
    blocks = sorted((row[0], is_main) for is_main in (True, False) for row in reader.summaries(0, 10**6, main=is_main))
    settled = reader.snapshot_header()
    records = tuple(reader.state_rows())
    finalized = reader.finalized_height()
    reader.close()
    return blocks, finalized, None if settled is None else settled.id, records, signing


@pytest.fixture(scope="module")
def history() -> History:
    """Some hundred commits with traffic, two partitions, reorgs, side blocks and a stall of finality."""
    world = World(4, seed=3)
    actors = [Actor(world.genesis, 1_000 + number) for number in range(6)]
    world.submit(0, [actor.sign(Enrol()) for actor in actors])
    turn = 0
    for phase in ("together", "slow", "2-2", "together", "1-3", "together"):
        if phase == "2-2":
            world.cut({0, 1}, {2, 3})
        elif phase == "1-3":
            world.cut({0}, {1, 2, 3})
        else:
            world.heal()
        world.delay_ms = (500, 1_600) if phase == "slow" else (5, 60)
        for _ in range(30):
            rater, subject = actors[turn % 3], actors[3 + turn // 3 % 3]
            world.submit(0, [rater.sign(Rate(subject.key, 1, turn % 21 - 10))])
            other = actors[3 + turn % 3]
            world.submit(3, [other.sign(Rate(rater.key, 1, turn % 5))])
            turn += 1
            world.run(1)
    host = world.hosts[0]
    assert max(host.reorgs) > 5
    assert any(not is_main for _, is_main in host.disk.blocks.values())
    assert any(commit.side for commit in host.commits)
    disk = Disk(world.genesis, SigningState())
    states = [on_disk(disk)]
    for commit in host.commits:
        disk.commit(commit)
        states.append(on_disk(disk))
    return History(world.genesis, tuple(host.commits), tuple(states))


def disk_after(history: History, count: int) -> Disk:
    """The virtual disk after the first ``count`` commits."""
    disk = Disk(history.genesis, SigningState())
    for commit in history.commits[:count]:
        disk.commit(commit)
    return disk


def write(path: Path, history: History, count: int | None = None) -> Storage:
    """A database with the first ``count`` commits, still open."""
    Storage.create(path, history.genesis, SigningState())
    storage = Storage(path, history.genesis)
    for commit in history.commits[:count]:
        storage.commit([commit])
    return storage


@pytest.fixture(scope="module")
def full(history: History, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed database with the whole history; copy it before you hurt it."""
    path = tmp_path_factory.mktemp("full") / DATABASE
    write(path, history).close()
    return path


@pytest.fixture
def reader(full: Path, history: History) -> Iterator[Reader]:
    """A reader of the whole history."""
    opened = Reader(full, history.genesis)
    yield opened
    opened.close()


# ------------------------------------------------------------------------------------------ it gives back


def test_every_block_comes_back_with_its_branch(history: History, reader: Reader) -> None:
    disk = disk_after(history, len(history.commits))
    for block, is_main in disk.blocks.values():
        assert reader.block(block.id) == (block, is_main)
        assert reader.block(block.id[:12]) == (block, is_main)
        for transaction in block.transactions:
            found = reader.transaction(transaction.id)
            assert found is not None
            assert found[0] == transaction
            assert found[2] is any(transaction in main.transactions for main in disk.main.values()), (
                "the main chain's block comes first"
            )
    main = [block for _, block in sorted(disk.main.items())]
    assert reader.head_height() == len(main)
    assert list(reader.blocks(1, 10_000)) == main
    assert reader.raw_blocks(5, 3) == [encode_block(block) for block in main[4:7]]
    assert [header for header, _ in reader.headers(1, 10_000)] == [block.header for block in main]
    assert reader.block_at(len(main) + 1) is None
    assert reader.raw_blocks(2**64 - 1, 256) == []
    assert reader.block(b"\x01" * 32) is None


def test_a_branch_is_served_from_its_tip(history: History, reader: Reader) -> None:
    disk = disk_after(history, len(history.commits))
    for block, _ in disk.blocks.values():
        branch = [encode_block(item) for item in disk.branch(block.id, 1)]
        if len(branch) == block.header.height:
            assert list(reader.branch(block.id, 1)) == branch
            assert list(reader.branch(block.id, 3)) == branch[2:]
    assert list(reader.branch(b"\x01" * 32, 1)) == []


def test_the_settled_state_is_the_state_of_its_height(history: History, reader: Reader) -> None:
    header = reader.snapshot_header()
    assert header is not None
    ledger, electorate = Ledger(history.genesis), Blockchain(history.genesis).electorate
    for block in reader.blocks(1, header.height):
        ledger.extend(block, electorate)
    assert dict(reader.state_rows()) == ledger.state
    assert header.state_root == ledger.state_root
    some = next(iter(ledger.state))
    assert dict(reader.state_rows())[some] == ledger.state[some]
    assert reader.entry(b"m" + bytes(32)) is None


def test_a_restart_at_any_commit_continues_where_it_was(history: History, tmp_path: Path) -> None:
    path = tmp_path / DATABASE
    write(path, history, 0).close()
    for index, commit in enumerate(history.commits):
        storage = Storage(path, history.genesis)
        storage.commit([commit])
        if index % 7 == 0 or commit.abandoned:
            chain, signing = storage.load()
            expected = disk_after(history, index + 1)
            before = expected.load()
            assert chain.head.header == before.head.header
            assert chain.finalized == before.finalized
            assert chain.finalized.height == expected.finalized
            assert chain.ledger.state_root == before.ledger.state_root == chain.head.header.state_root
            assert chain.head.votes == before.head.votes
            assert {tip.id for tip in chain.tree.tips()} == {tip.id for tip in before.tree.tips()}
            assert signing == expected.signing
        storage.close()


def test_what_a_home_stored_counts_as_received_in_its_slot(history: History, tmp_path: Path) -> None:
    parted = max(number for number, commit in enumerate(history.commits, 1) if commit.side)
    with closing(write(tmp_path / DATABASE, history, parted)) as storage:
        chain, _ = storage.load()
    tips = [chain.tree[tip.id] for tip in chain.tree.tips()]
    assert len(tips) > 1
    assert all(tip.arrived_in_slot for tip in tips)


def test_entries_that_are_gone_leave_the_disk(full: Path, history: History, tmp_path: Path) -> None:
    path = Path(shutil.copy(full, tmp_path / DATABASE))
    settled = next(commit.settled for commit in reversed(history.commits) if commit.settled)
    with closing(Storage(path, history.genesis)) as storage, closing(Reader(path, history.genesis)) as reader:
        first, *others = reader.entries(RATINGS)
        storage.commit([Commit(settled=replace(settled, changes={first[0]: (encode_entry(first[1]), None)}))])
        assert list(reader.entries(RATINGS)) == others


def test_several_commits_are_stored_all_or_nothing(history: History, tmp_path: Path) -> None:
    storage = write(tmp_path / DATABASE, history, 20)
    bad = Commit(side=(history.commits[20].adopted or history.commits[21].adopted)[:1], finalized_height=2**80)
    with pytest.raises((OverflowError, OperatorError)):
        storage.commit([history.commits[20], history.commits[21], bad])
    storage.close()
    assert stored(tmp_path / DATABASE, history.genesis) == history.states[20]


def test_a_block_that_nobody_executed_may_hold_a_transaction_twice(history: History, tmp_path: Path) -> None:
    block = next(block for commit in history.commits for block in commit.adopted if block.transactions)
    twice = (*block.transactions, *block.transactions)
    fields: dict[str, Any] = {
        field: getattr(block.header, field)
        for field in signature(sign_header).parameters
        if hasattr(block.header, field)
    }
    fields |= {"transaction_root": merkle_root([transaction.id for transaction in twice])}
    side = join(sign_header(secret(1), history.genesis.id, **fields), block.ballot, twice)
    storage = write(tmp_path / DATABASE, history, 0)
    storage.commit([Commit(side=(side,))])
    storage.close()
    with closing(Reader(tmp_path / DATABASE, history.genesis)) as reader:
        assert reader.transaction(twice[0].id) == (twice[0], side, False)


def test_what_one_key_signed_is_not_taken_for_another_keys(tmp_path: Path) -> None:
    genesis = genesis_of(4)
    Storage.create(tmp_path / DATABASE, genesis, SigningState(7, 6, 5, 4, bytes([3]) * 32))
    storage = Storage(tmp_path / DATABASE, genesis)
    storage.bind(secret(1).public)
    storage.bind(secret(1).public)
    storage.close()
    storage = Storage(tmp_path / DATABASE, genesis)
    with pytest.raises(OperatorError, match="put the old key back"):
        storage.bind(secret(2).public)
    storage.bind(secret(1).public)
    storage.close()


def test_a_lost_signing_state_stays_lost(tmp_path: Path) -> None:
    genesis = genesis_of(4)
    Storage.create(tmp_path / DATABASE, genesis, None)
    storage = Storage(tmp_path / DATABASE, genesis)
    assert storage.load()[1] is None
    storage.commit([Commit(signing=SigningState(7, 6, 5, 4, bytes([3]) * 32))])
    assert storage.load()[1] == SigningState(7, 6, 5, 4, bytes([3]) * 32)
    storage.close()


@pytest.mark.parametrize("lost", [1, 2, 9])
def test_what_was_signed_is_not_forgotten_where_the_log_lost_some_of_it(tmp_path: Path, lost: int) -> None:
    # given a validator that died, and a bit that is wrong in its log: SQLite leaves out what follows, and says nothing
    genesis, path, log = genesis_of(4), tmp_path / DATABASE, tmp_path / f"{DATABASE}-wal"
    Storage.create(path, genesis, SigningState())
    storage = Storage(path, genesis)
    for slot in range(1, 21):
        storage.commit([Commit(signing=SigningState(slot=slot))])
    raw = bytearray(log.read_bytes())
    tables = path.read_bytes()
    storage.close()
    path.write_bytes(tables)
    raw[[0, *commit_ends(bytes(raw))][-1 - lost] + FRAME_HEADER] ^= 1
    log.write_bytes(raw)
    # when it starts again, and again
    for _ in range(2):
        with closing(Storage(path, genesis)) as storage:
            # then it does not take what it signed before for what it signed last
            assert storage.load()[1] is None
    # and goes on from a new signing state
    for slot in (30, 31):
        with closing(Storage(path, genesis)) as storage:
            storage.commit([Commit(signing=SigningState(slot=slot))])
        with closing(Storage(path, genesis)) as storage:
            assert storage.load()[1] == SigningState(slot=slot)


def test_an_older_database_that_took_the_place_of_the_newest_signs_nothing(tmp_path: Path) -> None:
    genesis, path = genesis_of(4), tmp_path / DATABASE
    Storage.create(path, genesis, SigningState())
    with closing(Storage(path, genesis)) as storage:
        storage.commit([Commit(signing=SigningState(slot=1))])
    old = path.read_bytes()
    with closing(Storage(path, genesis)) as storage:
        storage.commit([Commit(signing=SigningState(slot=2))])
    path.write_bytes(old)
    with closing(Storage(path, genesis)) as storage:
        assert storage.load()[1] is None


def test_an_exported_signing_state_is_gone_whatever_is_stored_after_it(tmp_path: Path) -> None:
    genesis = genesis_of(4)
    Storage.create(tmp_path / DATABASE, genesis, SigningState(7, 6, 5, 4, bytes([3]) * 32))
    storage = Storage(tmp_path / DATABASE, genesis)
    assert storage.export_signing() == SigningState(7, 6, 5, 4, bytes([3]) * 32)
    storage.commit([Commit(signing=SigningState(8, 7, 6, 5, bytes([4]) * 32))])
    assert (storage.is_exported, storage.load()[1]) == (True, None)
    storage.close()


@pytest.mark.parametrize("is_exported", [True, False])
def test_a_home_signs_only_from_what_it_knows_to_be_signed_on(tmp_path: Path, is_exported: bool) -> None:
    genesis, key = genesis_of(4), secret(1).public
    Storage.create(tmp_path / DATABASE, genesis, SigningState(7, 6, 5, 4, bytes([3]) * 32))
    storage = Storage(tmp_path / DATABASE, genesis)
    if is_exported:
        storage.export_signing()
    for lower in (SigningState(6, 6, 5, 4, bytes([3]) * 32), SigningState(7, 5, 5, 4, bytes([3]) * 32)):
        with pytest.raises(OperatorError, match=f"after slot {lower.slot}"):
            storage.import_signing(key, lower)
    for signing in (
        SigningState(7, 6, 5, 4, bytes([3]) * 32),
        SigningState(8, 6, 5, 4, bytes([3]) * 32),
        SigningState(8, 7, 5, 4, bytes([3]) * 32),
    ):
        storage.import_signing(key, signing)
        assert (storage.is_exported, storage.load()[1]) == (False, signing)
    storage.close()


def test_a_home_that_knows_nothing_signs_only_after_the_blocks_that_it_has(history: History, tmp_path: Path) -> None:
    storage = write(tmp_path / DATABASE, history, len(history.commits))
    chain, _ = storage.load()
    key = chain.head.header.proposer
    slot, height = chain.head.header.slot, chain.head.header.height
    with storage._database.transaction():
        storage._connection.execute("DELETE FROM meta WHERE key IN ('signing', 'exported')")
    storage.import_signing(secret(99).public, SigningState(slot - 1, height))  # which made no block
    with pytest.raises(OperatorError, match="export again"):
        storage.import_signing(key, SigningState(slot - 1, height))
    storage.import_signing(key, SigningState(slot, height))
    storage.close()


def test_nothing_can_be_exported_twice_or_where_it_was_lost(tmp_path: Path) -> None:
    genesis = genesis_of(4)
    for name, signing in (("held", SigningState(7, 6, 5, 4, bytes([3]) * 32)), ("lost", None)):
        Storage.create(tmp_path / name, genesis, signing)
        storage = Storage(tmp_path / name, genesis)
        if signing is None:
            with pytest.raises(OperatorError, match="was lost"):
                storage.export_signing()
        else:
            assert storage.export_signing() == storage.export_signing() == signing
        storage.close()


def test_a_block_that_entered_and_left_the_main_chain_in_one_commit_is_kept_beside_it(
    history: History, tmp_path: Path
) -> None:
    storage = write(tmp_path / DATABASE, history, 0)
    block = next(commit.adopted[0] for commit in history.commits if commit.adopted)
    storage.commit([Commit(abandoned=(block,))])
    storage.close()
    reader = Reader(tmp_path / DATABASE, history.genesis)
    assert reader.block(block.id) == (block, False)
    reader.close()


# ----------------------------------------------------------------------------------- what the operator can mend


def test_a_head_that_went_back_to_wait_for_a_restart_is_the_head_after_a_crash(
    history: History, tmp_path: Path
) -> None:
    # given a home whose head leaves some blocks, and nothing stands in their place yet
    path = tmp_path / DATABASE
    storage = write(path, history)
    chain, _ = storage.load()
    left = tuple(chain.ledger.blocks())[:2]
    assert len(left) == 2
    storage.commit([Commit(abandoned=left)])
    storage.close()
    # when it starts again, its head is where it was, although it knows what it left to be longer
    again = Storage(path, history.genesis)
    chain, _ = again.load()
    again.close()
    assert chain.head.header.id == left[-1].header.parent


def test_what_is_missing_or_foreign_is_said_in_one_sentence(full: Path, history: History, tmp_path: Path) -> None:
    openers: tuple[Callable[[Path, Genesis], Any], ...] = (Storage, Reader)
    for opener in openers:
        with pytest.raises(OperatorError, match="missing"):
            opener(tmp_path / "nothing.db", history.genesis)
        with pytest.raises(OperatorError, match="another network"):
            opener(full, genesis_of(4, slot_ms=2_000))
        with pytest.raises(OperatorError):
            opener(tmp_path, history.genesis)
        for name, content in (("empty", b""), ("text", b"hello " * 2_000), ("zeros", bytes(20_000))):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(OperatorError) as caught:
                opener(tmp_path / name, history.genesis)
            assert "permissions" not in str(caught.value), "that is not what is wrong"
    with pytest.raises(OperatorError, match="exists"):
        Storage.create(full, history.genesis, None)

    copy = tmp_path / DATABASE
    shutil.copy(full, copy)
    connection = sqlite3.connect(copy)
    connection.execute("UPDATE meta SET value = x'7f' WHERE key = 'format'")
    connection.commit()
    connection.close()
    for opener in openers:
        with pytest.raises(OperatorError, match="version"):
            opener(copy, history.genesis)


def use(path: Path, history: History) -> tuple[Any, ...]:
    """Open, load and read all of a database: what a node would go on with."""
    storage = Storage(path, history.genesis)
    try:
        chain, signing = storage.load()
        facts = (chain.head.header, chain.finalized, chain.ledger.state_root, chain.head.votes, signing)
        return (*facts, tuple(sorted(chain.ledger.state.items())))
    finally:
        storage.close()


def read_all(path: Path, history: History, ids: Sequence[bytes]) -> dict[str, Any]:
    """Everything that a reader serves."""
    reader = Reader(path, history.genesis)
    try:
        with reader.consistent():
            return {
                "snapshot": reader.snapshot_header(),
                "finalized": reader.finalized_height(),
                "head": reader.head_height(),
                "records": list(reader.state_rows()),
                "blocks": list(reader.blocks(1, 10_000)),
                "headers": list(reader.headers(1, 10_000)),
                "by_id": [reader.block(key) for key in ids],
                "branch": list(reader.branch(ids[-1], 1)),
                "transactions": [reader.transaction(key) for key in ids],
            }
    finally:
        reader.close()


@pytest.fixture(scope="module")
def small(history: History, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed database of a short history: fast to open hundreds of times."""
    path = tmp_path_factory.mktemp("small") / DATABASE
    write(path, history, 45).close()
    return path


def damaged(original: bytes, seed: int) -> bytes:
    """One to three bytes flipped at random."""
    random = Random(seed)
    data = bytearray(original)
    for _ in range(random.randint(1, 3)):
        data[random.randrange(len(data))] ^= random.randint(1, 255)
    return bytes(data)


def test_flipped_bytes_are_found_or_harmless(small: Path, history: History, tmp_path: Path) -> None:
    original = small.read_bytes()
    expected = use(small, history)
    found = 0
    wrong: list[str] = []
    for seed in range(FLIPS):
        path = tmp_path / f"{seed}.db"
        path.write_bytes(damaged(original, seed))
        try:
            if use(path, history) != expected:
                wrong.append(f"seed {seed}: wrong data")
        except OperatorError:
            found += 1
        except Exception as error:  # noqa: BLE001  # every kind is a finding
            wrong.append(f"seed {seed}: {error!r}")
        path.unlink()
    assert wrong == [], "\n".join(wrong)
    assert found > FLIPS // 20


def test_a_reader_of_flipped_bytes_raises_nothing_else(small: Path, history: History, tmp_path: Path) -> None:
    original = small.read_bytes()
    disk = disk_after(history, 45)
    ids = [block.id for block in disk.main.values()]
    records = read_all(small, history, ids)["records"]
    wrong: list[str] = []
    for seed in range(FLIPS):
        path = tmp_path / f"{seed}.db"
        path.write_bytes(damaged(original, seed))
        try:
            if read_all(path, history, ids)["records"] != records:
                wrong.append(f"seed {seed}: wrong state served")
        except OperatorError:
            pass
        except Exception as error:  # noqa: BLE001  # every kind is a finding
            wrong.append(f"seed {seed}: {error!r}")
        path.unlink()
    assert wrong == [], "\n".join(wrong)


def test_every_flipped_byte_of_the_small_tables_is_found_or_harmless(
    small: Path, history: History, tmp_path: Path
) -> None:
    """Finality, votes and signing state are few bytes, which random positions seldom hit; nothing else guards them."""
    expected = use(small, history)
    path = tmp_path / DATABASE
    shutil.copy(small, path)
    with closing(sqlite3.connect(path)) as connection:
        rows = dict(connection.execute("SELECT key, value FROM meta").fetchall())
    wrong: list[str] = []
    random = Random(5)
    for key, value in rows.items():
        for at in random.sample(range(len(value)), min(len(value), 40)):
            changed = bytearray(value)
            changed[at] ^= 1 << random.randrange(8)
            connection = sqlite3.connect(path)
            connection.execute("UPDATE meta SET value = ? WHERE key = ?", (bytes(changed), key))
            connection.commit()
            try:
                if use(path, history) != expected:
                    wrong.append(f"{key}[{at}]: wrong data")
            except OperatorError:
                pass
            except Exception as error:  # noqa: BLE001  # every kind is a finding
                wrong.append(f"{key}[{at}]: {error!r}")
            connection.execute("UPDATE meta SET value = ? WHERE key = ?", (value, key))
            connection.commit()
            connection.close()
    assert wrong == [], "\n".join(wrong)


@pytest.mark.parametrize("table", ["meta", "blocks", "state"])
@pytest.mark.parametrize(
    "value", [None, 7, -1, 1.5, "text", b""], ids=["null", "integer", "negative", "real", "text", "empty"]
)
def test_values_of_another_type_are_damage(
    small: Path, history: History, tmp_path: Path, table: str, value: object
) -> None:
    path = tmp_path / DATABASE
    shutil.copy(small, path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA writable_schema = 1")
    connection.execute("UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '')")
    connection.commit()
    connection.close()
    connection = sqlite3.connect(path)
    column = "body" if table == "blocks" else "value"
    connection.execute(f"UPDATE {table} SET {column} = ?", (value,))
    connection.commit()
    connection.close()
    with pytest.raises(OperatorError):
        use(path, history)
    with pytest.raises(OperatorError):
        read_all(path, history, [block.id for block in disk_after(history, 45).main.values()])


def test_a_truncated_file_is_found(small: Path, history: History, tmp_path: Path) -> None:
    original = small.read_bytes()
    expected = use(small, history)
    random = Random(9)
    for _ in range(TRUNCATIONS):
        path = tmp_path / DATABASE
        path.write_bytes(original[: random.randrange(len(original))])
        try:
            assert use(path, history) == expected
        except OperatorError:
            continue


# ------------------------------------------------------------------------------------------------ the disk is full


def write_on(storage: Storage, history: History, done: int) -> tuple[int, OperatorError | None]:
    """Go on after the first ``done`` commits: how many were stored in the end, and what stopped it."""
    try:
        for commit in history.commits[done:]:
            storage.commit([commit])
            done += 1
    except OperatorError as error:
        return done, error
    return done, None


def test_a_full_disk_loses_nothing_that_was_acknowledged(history: History, tmp_path: Path) -> None:
    path = tmp_path / DATABASE
    storage = write(path, history, 30)
    connection = storage._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages + 3}")
    done, error = write_on(storage, history, 30)
    assert error is not None
    assert "free disk space" in str(error)
    assert str(path) in str(error)
    storage.close()
    assert done < len(history.commits) - 10
    assert stored(path, history.genesis) == history.states[done]

    storage = Storage(path, history.genesis)
    for commit in history.commits[done:]:
        storage.commit([commit])
    storage.close()
    assert stored(path, history.genesis) == history.states[-1]


def test_a_writer_goes_on_when_there_is_space_again(history: History, tmp_path: Path) -> None:
    path = tmp_path / DATABASE
    storage = write(path, history, 30)
    (pages,) = storage._connection.execute("PRAGMA page_count").fetchone()
    storage._connection.execute(f"PRAGMA max_page_count = {pages}")
    done, error = write_on(storage, history, 30)
    assert error is not None
    storage._connection.execute("PRAGMA max_page_count = 1000000")
    for commit in history.commits[done:]:
        storage.commit([commit])
    storage.close()
    assert stored(path, history.genesis) == history.states[-1]


_WRITER = """
import pickle, resource, sys
from pathlib import Path
from chain.base.errors import OperatorError
from chain.disk.storage import Storage
path, pickled, start, limit = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
genesis, commits = pickle.loads(pickled.read_bytes())
storage = Storage(path, genesis)
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
try:
    for index in range(start, len(commits)):
        storage.commit([commits[index]])
        print(index + 1, flush=True)
except OperatorError as error:
    print(error, flush=True)
storage.close()
"""

_READER = """
import pickle, sys
from pathlib import Path
from chain.disk.reader import Reader
genesis, commits = pickle.loads(Path(sys.argv[2]).read_bytes())
reader = Reader(Path(sys.argv[1]), genesis)
print("ready", flush=True)
seen, reads, is_over = 0, 0, False
while not is_over:
    is_over = Path(sys.argv[3]).exists()
    with reader.consistent():
        height = reader.head_height()
        finalized = reader.finalized_height()
        chain = list(reader.blocks(1, 10_000))
        header = reader.snapshot_header()
        records = len(list(reader.state_rows()))
    assert [block.header.height for block in chain] == list(range(1, height + 1)), "a gap"
    assert all(child.header.parent == block.id for block, child in zip(chain, chain[1:])), "two branches in one"
    assert finalized >= seen and finalized <= height, "finality fell"
    assert header is None or chain[header.height - 1].id == header.id, "the snapshot is not of this chain"
    assert records >= 1
    seen = finalized
    reads += 1
print(reads, height, seen, flush=True)
reader.close()
"""


@pytest.fixture(scope="module")
def pickled(history: History, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commits, for child processes."""
    path = tmp_path_factory.mktemp("pickled") / "history"
    path.write_bytes(pickle.dumps((history.genesis, history.commits)))
    return path


def child(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a Python process whose output can be read line by line."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[4],
    )


def test_files_that_cannot_grow_are_a_full_disk(history: History, pickled: Path, tmp_path: Path) -> None:
    path = tmp_path / DATABASE
    write(path, history, 0).close()
    limit = 300_000
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    writer = child(_WRITER, path, pickled, 0, limit)
    output, errors = writer.communicate(timeout=TIMEOUT_S)
    assert (writer.returncode, errors) == (0, "")
    *printed, sentence = output.splitlines()
    assert "free disk space" in sentence
    assert 0 < len(printed) < len(history.commits)
    assert stored(path, history.genesis) == history.states[len(printed)]


# ----------------------------------------------------------------------------------------------- other processes


def test_a_reader_in_another_process_sees_whole_commits(history: History, pickled: Path, tmp_path: Path) -> None:
    path = tmp_path / DATABASE
    storage = write(path, history, 10)
    reading = child(_READER, path, pickled, tmp_path / "stop")
    assert reading.stdout is not None
    assert reading.stdout.readline() == "ready\n"
    for commit in history.commits[10:]:
        storage.commit([commit])
    (tmp_path / "stop").touch()
    output, errors = reading.communicate(timeout=TIMEOUT_S)
    storage.close()
    assert (reading.returncode, errors) == (0, "")
    assert int(output.split()[0]) >= 1


def test_ten_kills_lose_nothing_that_was_acknowledged(history: History, pickled: Path, tmp_path: Path) -> None:
    path = tmp_path / DATABASE
    write(path, history, 0).close()
    random = Random(20)
    done = 0
    for number in range(KILLS):
        writer = child(_WRITER, path, pickled, done, 0)
        assert writer.stdout is not None
        printed = done
        for _ in range(random.randint(0, 2 * len(history.commits) // (3 * KILLS))):
            printed = int(writer.stdout.readline())
        writer.kill()
        rest, errors = writer.communicate(timeout=TIMEOUT_S)
        assert errors == ""
        whole_lines = rest.split("\n")[:-1]
        printed = int(whole_lines[-1]) if whole_lines else printed

        found = stored(path, history.genesis)
        done = next((n for n in range(printed, len(history.states)) if history.states[n] == found), -1)
        assert done >= printed, f"after kill {number} something of the first {printed} commits was missing"
        if done == len(history.commits):
            path.unlink()
            write(path, history, 0).close()
            done = 0


# ----------------------------------------------------------------------------------------------- a read-only medium


def test_what_a_kill_left_is_not_overlooked_where_nothing_can_be_written(history: History, tmp_path: Path) -> None:
    path = tmp_path / "home" / DATABASE
    path.parent.mkdir()
    Storage.create(path, history.genesis, SigningState())
    with closing(Storage(path, history.genesis)) as storage:
        storage.commit(history.commits)
        with closing(Reader(path, history.genesis)) as reader:
            expected = reader.head_height()
        shm = path.with_name(f"{DATABASE}-shm")
        shm.rename(tmp_path / "shm")  # what a copy may leave out
        with read_only(path.parent) as copy, pytest.raises(OperatorError, match="not stopped cleanly"):
            Reader(copy / DATABASE, history.genesis)
        (tmp_path / "shm").rename(shm)
    with read_only(path.parent) as copy, closing(Reader(copy / DATABASE, history.genesis)) as reader:
        assert reader.head_height() == expected > 0


def test_what_waits_is_kept_until_it_is_replaced(tmp_path: Path) -> None:
    genesis = genesis_of(1)
    path = tmp_path / DATABASE
    Storage.create(path, genesis, SigningState())
    waiting = tuple(Actor(genesis, 100 + number).sign(Enrol()) for number in range(3))
    storage = Storage(path, genesis)
    assert storage.waiting() == ()
    storage.commit([Commit(waiting=waiting)])
    storage.commit([Commit(signing=SigningState(slot=1))])
    storage.close()
    storage = Storage(path, genesis)
    assert storage.waiting() == tuple(item.raw for item in waiting)
    storage.commit([Commit(waiting=())])
    assert storage.waiting() == ()
    storage.close()
