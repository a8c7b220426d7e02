"""A register on a real PostgreSQL server: the same rows as in a file, and each commit once, whatever breaks."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from chain.base.errors import InvariantBroken, OperatorError, StoreAway
from chain.content.actions import Enrol, Rate
from chain.content.genesis import Genesis
from chain.disk import postgres as module
from chain.disk.database import COMMITS, DATABASE, Database
from chain.disk.newcomer import Newcomer, is_fresh
from chain.disk.places import Address, Place, tally_of
from chain.disk.postgres import Connection, PostgresDatabase, open_database
from chain.disk.reader import Reader
from chain.disk.rebuild import rebuild, replace_state
from chain.disk.schema import SCHEMA
from chain.disk.scrub import scrub
from chain.disk.storage import Storage
from chain.protocol.events import SigningState
from scripts.bench_parts.chainwork import record_chain
from scripts.bench_parts.stores import store_costs
from tests.support import headings, postgres
from tests.support.homes import record
from tests.support.running import wait_for
from tests.support.world import Actor, World, genesis_of
from tests.unit.chain.disk import test_newcomer as joins

psycopg = pytest.importorskip("psycopg", reason="the client of PostgreSQL is not installed: uv sync --extra store")

STATE = "SELECT key, value, 0 FROM state ORDER BY key"
TABLES = re.findall(r"CREATE TABLE (\w+)", SCHEMA)


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    if postgres.program("postgres") is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    with postgres.server() as running:
        yield running


@pytest.fixture
def address(server: postgres.Server, tmp_path: Path) -> Address:
    """A database that is empty."""
    return Address(server.new(), tmp_path)


class History:
    """What one validator of four committed: with ratings, a partition, branches that were left, and settlements."""

    def __init__(self) -> None:
        world = World(4, seed=3)
        self.genesis = world.genesis
        disk = record(world.hosts[0])
        actors = [Actor(world.genesis, 1_000 + number) for number in range(6)]
        world.submit(0, [actor.sign(Enrol()) for actor in actors])
        for turn in range(60):
            if turn == 20:
                world.cut({0}, {1, 2, 3})
            elif turn == 30:
                world.heal()
            rater, subject = actors[turn % 3], actors[3 + turn // 3 % 3]
            world.submit(0, [rater.sign(Rate(subject.key, 1, turn % 21 - 10))])
            world.run(1)
        self.commits = disk.commits
        assert any(commit.abandoned for commit in self.commits)
        assert sum(commit.settled is not None for commit in self.commits) > 3

    def write(self, place: Place, count: int | None = None) -> None:
        """A database with the first ``count`` commits."""
        Storage.create(place, self.genesis, SigningState())
        with closing(Storage(place, self.genesis)) as storage:
            for commit in self.commits[:count]:
                storage.commit([commit])

    @property
    def cut(self) -> int:
        """The number of a commit that leaves blocks, takes others, and settles what is final."""
        return next(number for number, it in enumerate(self.commits) if it.settled is not None and it.abandoned)


@pytest.fixture(scope="module")
def history() -> History:
    return History()


def contents(place: Place, genesis: Genesis) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with closing(open_database(place, genesis, read_only=True)) as database:
        return {name: sorted(database.rows(f"SELECT * FROM {name}")) for name in TABLES}


def test_a_home_joins_by_state(address: Address, tmp_path: Path) -> None:
    """Interrupted while it is made, it is no home, and made again; in the end it is what a file would be."""
    file, made = tmp_path / "file" / DATABASE, {}
    file.parent.mkdir()
    for place in (file, address):
        Storage.create(place, headings.GENESIS, joins.SIGNING)
        newcomer = Newcomer(place, headings.GENESIS)
        joins.follow(newcomer)
        joins.aim(newcomer)
        joins.fetch(newcomer)
        with pytest.raises(KeyboardInterrupt):
            newcomer.finish(interrupted)
        newcomer.close()
        assert is_fresh(place, headings.GENESIS)
        with closing(Newcomer(place, headings.GENESIS)) as again:
            again.finish(lambda _count: None)
        made[place] = contents(place, headings.GENESIS)
        made[place]["meta"] = [row for row in made[place]["meta"] if row[0] != COMMITS]
        with closing(Storage(place, headings.GENESIS)) as storage:
            chain, signing = storage.load()
            assert (chain.head.header.id, signing) == (joins.TARGET.id, joins.SIGNING)
    assert made[address] == made[file]


def interrupted(_count: int) -> None:
    raise KeyboardInterrupt


def in_a_file(history: History, folder: Path, count: int | None = None) -> dict[str, list[tuple[Any, ...]]]:
    """The same of a file that took the same commits."""
    history.write(folder / DATABASE, count)
    return contents(folder / DATABASE, history.genesis)


# ------------------------------------------------------------------------------------------------ the same as a file


def test_a_server_has_the_same_rows_as_a_file(history: History, address: Address, tmp_path: Path) -> None:
    history.write(address)
    assert contents(address, history.genesis) == in_a_file(history, tmp_path)


def test_what_was_stored_is_loaded_and_goes_on(history: History, address: Address, tmp_path: Path) -> None:
    history.write(address, 40)
    with closing(Storage(address, history.genesis)) as storage:
        chain, signing = storage.load()
        with closing(Reader(address, history.genesis)) as reader:
            assert chain.head.header.height == reader.head_height()
            assert reader.finalized_height() == chain.finalized.height
            assert [row for portion in reader.scrub() for row in portion.damage] == []
        known = [commit.signing for commit in history.commits[:40] if commit.signing is not None]
        assert signing == known[-1]
        for commit in history.commits[40:]:
            storage.commit([commit])
    assert contents(address, history.genesis) == in_a_file(history, tmp_path)


def test_a_reader_holds_one_commit_and_streams_within_another_stream(history: History, address: Address) -> None:
    history.write(address, 40)
    with closing(Storage(address, history.genesis)) as storage, closing(Reader(address, history.genesis)) as reader:
        with reader.consistent():
            before, rows = reader.commits(), reader.state_rows()
            first = next(rows)
            storage.commit([history.commits[40]])
            assert reader.commits() == before
            assert [first, *rows] == list(reader.state_rows())
        assert reader.commits() == before + 1
        with suppress(StopIteration):  # one that is not drawn to its end is no transaction that stays open
            next(reader.state_rows())
        outer = [(height, len(list(reader.raw_blocks(height, 2)))) for _, height, _ in reader.summaries(1, 300)]
        assert len(outer) == reader.head_height()
        assert reader._database.connection._is_within is False


def test_damage_is_told(history: History, address: Address) -> None:
    history.write(address)
    with psycopg.connect(address.url, autocommit=True) as other:
        other.execute("UPDATE page SET v = overlay(v PLACING '\\x00' FROM 3)")
    with closing(Storage(address, history.genesis)) as storage, pytest.raises(OperatorError, match="is damaged"):
        storage.load()
    with closing(open_database(address, history.genesis, read_only=True)) as database:
        assert [damage for portion in scrub(database) for damage in portion.damage]


def test_one_that_was_set_back_is_noticed(history: History, server: postgres.Server, tmp_path: Path) -> None:
    address, older = Address(server.new(), tmp_path), Address(server.new(), tmp_path / "other")
    older.parent.mkdir()
    history.write(older, 10)
    history.write(address, 20)
    with closing(Storage(Address(older.url, tmp_path), history.genesis)) as storage:
        assert storage.is_set_back
        assert storage.load()[1] is None, "what was signed last is lost"


# ------------------------------------------------------------------------------------------- connections that are lost


class Breaking:
    """Breaks a storage's connection once, at the statement of a number, before or after the server has done it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, connection: Connection, number: int, *, is_done: bool) -> None:
        self.left = number
        self.sql: list[str] = []
        self._connection = connection
        self._is_done = is_done
        execute, many = Connection.execute, Connection.executemany
        monkeypatch.setattr(Connection, "execute", lambda it, sql, values=(): self.do(it, execute, sql, values))
        monkeypatch.setattr(Connection, "executemany", lambda it, sql, rows: self.do(it, many, sql, list(rows)))

    def do(self, connection: Connection, work: Callable[..., Any], sql: str, values: Any) -> Any:
        """A statement."""
        if connection is not self._connection:
            return work(connection, sql, values)
        self.left -= 1
        self.sql.append(sql)
        if self.left == 0:
            inner = connection._inner
            if self._is_done:
                work(connection, sql, values)
            # The server ends it, as it does when it is stopped.
            with psycopg.connect(connection._address.url, autocommit=True) as other:
                pid = inner.info.backend_pid
                other.execute("SELECT pg_terminate_backend(%s)", (pid,))
                found = "SELECT 1 FROM pg_stat_activity WHERE pid = %s"
                wait_for(lambda: other.execute(found, (pid,)).fetchone() is None, "it is gone")
            if self._is_done:
                inner.close()
                raise StoreAway("the answer was lost")
        return work(connection, sql, values)


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
def test_a_commit_is_made_once_wherever_its_connection_breaks(
    history: History, address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_done: bool
) -> None:
    # given a register before a commit, to which it goes back again and again
    expected = in_a_file(history, tmp_path, history.cut + 1)
    history.write(address, history.cut)
    tables = [*TABLES, "fence"]
    keep = "; ".join(f"CREATE TABLE kept_{name} AS TABLE {name}" for name in tables)
    back = "; ".join(f"TRUNCATE {name}; INSERT INTO {name} TABLE kept_{name}" for name in tables)
    with psycopg.connect(address.url, autocommit=True) as other:
        other.execute(keep)
        number, breaking = 0, None
        while breaking is None or breaking.left <= 0:
            other.execute(back)
            tally_of(address).unlink(missing_ok=True)
            # when the connection breaks at one statement after another
            with closing(Storage(address, history.genesis)) as storage, monkeypatch.context() as patched:
                number += 1
                breaking = Breaking(patched, storage._connection, number, is_done=is_done)
                storage.commit([history.commits[history.cut]])
            # then it is there once
            assert contents(address, history.genesis) == expected, breaking.sql[-1]
    assert {"BEGIN", "COMMIT"} <= set(breaking.sql)
    assert number > 15


def test_a_commit_that_is_still_under_way_is_waited_for(
    history: History, address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a connection that is lost to its node while COMMIT is on its way
    cut = history.cut
    history.write(address, cut)
    late: list[threading.Thread] = []
    execute = Connection.execute

    def losing(connection: Connection, sql: str, values: Any = ()) -> Any:
        if sql != "COMMIT" or late:
            return execute(connection, sql, values)
        inner = connection._inner
        connection._inner = lost = psycopg.connect(address.url)
        lost.close()

        def arrive() -> None:
            with psycopg.connect(address.url, autocommit=True) as other:
                waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FOR UPDATE%'"
                wait_for(lambda: other.execute(waiting).fetchone(), "the node asks what became of it")
            inner.execute("COMMIT")
            inner.close()

        late.append(threading.Thread(target=arrive))
        late[0].start()
        raise StoreAway("lost")

    with closing(Storage(address, history.genesis)) as storage:
        monkeypatch.setattr(Connection, "execute", losing)
        # when it commits, then it waits for what becomes of that
        storage.commit([history.commits[cut]])
        late[0].join()
        storage.commit([history.commits[cut + 1]])
    assert contents(address, history.genesis) == in_a_file(history, tmp_path, cut + 2)


def test_a_server_that_is_killed_is_away_and_then_goes_on(history: History, tmp_path: Path) -> None:
    if postgres.program("postgres") is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    with postgres.server() as server:
        address = Address(server.new(), tmp_path)
        history.write(address, 30)
        with closing(Storage(address, history.genesis)) as storage, closing(Reader(address, history.genesis)) as reader:
            chain, _ = storage.load()
            server.kill()
            for ask in (lambda: storage.commit([history.commits[30]]), lambda: reader.head_height()):
                with pytest.raises(StoreAway, match="cannot be reached"):
                    ask()
            server.start()
            assert reader.head_height() == chain.head.header.height
            assert chain.ledger.state.get(b"nothing") is None
            storage.commit([history.commits[30]])
        assert contents(address, history.genesis) == in_a_file(history, tmp_path, 31)


# ------------------------------------------------------------------------------------------------------- two writers


def test_of_two_nodes_that_write_one_register_one_stops(history: History, address: Address, tmp_path: Path) -> None:
    history.write(address, 30)
    with closing(Storage(address, history.genesis)) as one, closing(Storage(address, history.genesis)) as two:
        one.commit([history.commits[30]])
        with pytest.raises(OperatorError, match="was written by another node meanwhile; let one alone have it"):
            two.commit([history.commits[30]])
        one.commit([history.commits[31]])
        with pytest.raises(OperatorError, match="another node"):
            two.commit([history.commits[32]])
    assert contents(address, history.genesis) == in_a_file(history, tmp_path, 32)


def test_whoever_lost_its_connection_does_not_take_the_commit_of_another_for_its_own(
    history: History, address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.write(address, 30)
    with closing(Storage(address, history.genesis)) as one, closing(Storage(address, history.genesis)) as two:
        execute = Connection.execute

        def overtaken(connection: Connection, sql: str, values: Any = ()) -> Any:
            if connection is two._connection and sql == "COMMIT":
                connection.roll_back()
                monkeypatch.setattr(Connection, "execute", execute)
                one.commit([history.commits[30]])
                raise StoreAway("lost")
            return execute(connection, sql, values)

        monkeypatch.setattr(Connection, "execute", overtaken)
        with pytest.raises(OperatorError, match="another node"):
            two.commit([history.commits[30]])


# -------------------------------------------------------------------------------------------------- what is refused


def test_an_address_shows_no_password() -> None:
    address = Address("postgresql://me:se@cret@host:5432/register?sslmode=require", Path("home"))
    assert str(address) == "host:5432/register"
    assert "cret" not in repr(address)


@pytest.mark.parametrize(
    "url",
    ["postgresql://me:secret@127.0.0.1:1/none", "postgresql://me:secret@/none?host=/nowhere"],
)
def test_a_server_that_is_not_there_is_one_sentence(url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreAway) as caught:
        Storage(Address(url, tmp_path), genesis_of(4))
    told = str(caught.value)
    assert told.endswith("; start the server, or correct store in config.toml")
    assert "\n" not in told
    assert "secret" not in told


def test_an_address_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"^store in config\.toml is not the address") as caught:
        Storage(Address("postgresql://me:sec#ret@host:por/none?nonsense=1", tmp_path), genesis_of(4))
    assert "sec" not in str(caught.value)


def test_what_is_there_already_is_left_alone(history: History, address: Address, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="holds no register; run"):
        Storage(address, history.genesis)
    history.write(address, 5)
    with pytest.raises(OperatorError, match="holds a register already; name an empty database"):
        Storage.create(address, history.genesis, SigningState())
    with pytest.raises(OperatorError, match="belongs to another network"):
        Storage(address, genesis_of(4, slot_ms=777))
    assert contents(address, history.genesis) == in_a_file(history, tmp_path, 5)


def test_a_question_to_what_is_closed_is_a_fault_of_ours(history: History, address: Address) -> None:
    history.write(address, 1)
    reader = Reader(address, history.genesis)
    reader.close()
    with pytest.raises(InvariantBroken):
        reader.head_height()


def test_which_database_it_is_follows_from_the_place(history: History, address: Address, tmp_path: Path) -> None:
    history.write(address, 0)
    history.write(tmp_path / DATABASE, 0)
    with closing(open_database(address, history.genesis, read_only=True)) as there:
        assert isinstance(there, PostgresDatabase)
    with closing(open_database(tmp_path / DATABASE, history.genesis, read_only=True)) as here:
        assert type(here) is Database


def test_commits_are_asked_in_a_bounded_number_of_journeys(history: History, address: Address) -> None:
    Storage.create(address, history.genesis, SigningState())
    with closing(Storage(address, history.genesis)) as storage:
        most = 0
        for commit in history.commits:
            before, blocks = Connection.journeys, len((*commit.adopted, *commit.abandoned, *commit.side))
            storage.commit([commit])
            most = max(most, Connection.journeys - before - 4 * blocks)
    assert most < 45


def test_a_block_is_applied_and_stored_in_a_bounded_number_of_journeys(server: postgres.Server) -> None:
    # given two blocks of 500 ratings, on a register of which nothing is in memory
    here, there = store_costs(record_chain(members=3_000, ratings=1_000), server.new())
    assert (here.read_journeys, here.write_journeys) == (0, 0)
    assert 0 < there.read_journeys < 20
    assert 0 < there.write_journeys < 60


def test_tables_and_tree_are_made_anew_on_a_server(history: History, address: Address) -> None:
    history.write(address, 40)
    before = contents(address, history.genesis)
    with closing(PostgresDatabase(address, history.genesis, read_only=False)) as database:
        rebuild(database, lambda _: None)
        replace_state(database, [(key, value) for key, value, _ in list(database.values(STATE))])
        with database.portion():
            waiting = "SELECT current_setting('idle_in_transaction_session_timeout')"
            assert database.connection.execute(waiting).fetchall() == [("20s",)]
    after = contents(address, history.genesis)
    assert {name: rows for name, rows in after.items() if before[name] != rows} == {}


def test_a_server_that_says_nothing_is_away(history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if postgres.program("postgres") is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    monkeypatch.setattr(module, "ANSWER_S", 1)
    monkeypatch.setattr(module, "_SPARE_S", 1)
    monkeypatch.setitem(module.PATIENCE, "connect_timeout", 2)
    with postgres.server() as server:
        address = Address(server.new(), tmp_path)
        history.write(address, 30)
        with closing(Reader(address, history.genesis)) as reader:
            with pytest.raises(StoreAway, match="does not answer"):  # one statement that takes too long
                reader._database.connection.execute("SELECT 1 FROM pg_sleep(60)")
            height = reader.head_height()
            with server.stopped(), pytest.raises(StoreAway, match=r"cannot be reached|does not answer"):
                reader.head_height()
            assert reader.head_height() == height
