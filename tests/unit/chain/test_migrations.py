"""Databases of older versions: brought up to date where they lie, whole or not at all."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chain.codec import encode
from chain.database import DATABASE, FORMAT, OLDEST_FORMAT, Database
from chain.errors import InvariantBroken, OperatorError
from chain.genesis import Genesis, load_genesis
from chain.migrations import STEPS, Step, migrate
from chain.reader import Reader
from chain.storage import Storage
from tests.support.homes import RecordingDisk, tamper, write_home
from tests.support.proving import proof_of, stored_state
from tests.support.registered import City, changing_city
from tests.support.world import World, secret


def age(home: Path) -> Path:
    """Make of a home what version 2 of the format was."""
    with closing(sqlite3.connect(home / DATABASE)) as connection, connection:
        connection.execute("DROP TABLE announcements")
        connection.execute("UPDATE meta SET value = ? WHERE key = 'format'", (encode(2),))
    return home


def dumped(home: Path) -> tuple[set[str], dict[str, list[Any]]]:
    """The schema, and all rows by table."""
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        schema = {sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master") if sql}
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return schema, {name: connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in tables}


def opened(home: Path) -> list[str]:
    """What the one writer says while it opens the database."""
    told: list[str] = []
    Storage(home / DATABASE, load_genesis(home / "genesis.json"), told.append).close()
    return told


def test_there_is_a_step_for_every_older_format() -> None:
    assert OLDEST_FORMAT + len(STEPS) == FORMAT


@pytest.mark.parametrize("blocks", [0, 9, 70])
def test_an_old_database_becomes_what_a_new_one_would_be(tmp_path: Path, blocks: int) -> None:
    home = changing_city(blocks).write(tmp_path / "home")
    before, proof = dumped(home), proof_of(home, secret(60).public)
    (told,) = opened(age(home))
    assert str(home / DATABASE) in told
    assert "every block is executed again" in told
    assert dumped(home) == before
    assert opened(home) == []
    assert proof_of(home, secret(60).public) == proof


def test_an_old_database_in_which_nothing_is_final(tmp_path: Path) -> None:
    world = World(validators=1)
    home = write_home(tmp_path / "home", world, RecordingDisk(world.genesis))
    before = dumped(home)
    assert len(opened(age(home))) == 1
    assert dumped(home) == before


def test_an_open_database_is_of_the_newest_format_afterwards(tmp_path: Path) -> None:
    city = changing_city(9)
    home = age(city.write(tmp_path / "home"))
    with closing(Database(home / DATABASE, city.genesis, read_only=False)) as database:
        assert database.format == OLDEST_FORMAT
        migrate(database, city.genesis, lambda _: None)
        assert database.format == FORMAT


def test_a_reader_leaves_an_old_database_to_its_node(tmp_path: Path) -> None:
    city = City()
    city.block()
    home = age(city.write(tmp_path / "home"))
    with pytest.raises(OperatorError, match=r"older version.*run its node once.*loses nothing"):
        Reader(home / DATABASE, city.genesis)
    opened(home)
    Reader(home / DATABASE, city.genesis).close()


def test_an_old_database_that_is_damaged_stays_as_it_is(tmp_path: Path) -> None:
    home = age(changing_city(9).write(tmp_path / "home"))
    tamper(home, "DELETE FROM blocks WHERE height = 5")
    before = dumped(home)
    for _ in range(2):
        with pytest.raises(OperatorError, match="is damaged"):
            opened(home)
        assert dumped(home) == before


def test_what_cannot_be_executed_is_damage_and_not_our_bug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def take(database: Database, genesis: Genesis) -> None:
        raise InvariantBroken("an entry that is none")

    home = age(changing_city(9).write(tmp_path / "home"))
    before = dumped(home)
    monkeypatch.setattr("chain.migrations.STEPS", (Step("something is read", take),))
    with pytest.raises(OperatorError, match=r"is damaged \(an entry that is none\)"):
        opened(home)
    assert dumped(home) == before


def test_a_state_that_the_blocks_do_not_lead_to_is_damage(tmp_path: Path) -> None:
    home = changing_city(9).write(tmp_path / "home")
    with stored_state(home) as source:
        height = source.header.height
    tamper(age(home), "DELETE FROM blocks WHERE height = ?", height)
    with pytest.raises(OperatorError, match="do not lead to the stored state"):
        opened(home)


@pytest.mark.parametrize("number", [0, OLDEST_FORMAT - 1, FORMAT + 1, 2**40])
def test_other_formats_are_left_alone(tmp_path: Path, number: int) -> None:
    city = City()
    city.block()
    home = city.write(tmp_path / "home")
    tamper(home, "UPDATE meta SET value = ? WHERE key = 'format'", encode(number))
    before = dumped(home)
    with pytest.raises(OperatorError, match=r"another version.*use the version that wrote it"):
        opened(home)
    assert dumped(home) == before
