"""An older database: it is brought to this version's format whole, whatever interrupts it, and is kept."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chain.base.codec import encode
from chain.base.errors import OperatorError
from chain.disk import migrate as migrating
from chain.disk import rebuild as rebuilding
from chain.disk.database import DATABASE
from chain.disk.migrate import migrate, rows_to_migrate
from chain.disk.reader import Reader
from chain.disk.schema import OLDER_FORMATS
from chain.disk.storage import Storage
from tests.support.homes import make_older
from tests.support.registered import Told, told_city
from tests.support.world import genesis_of

NEW_TABLES = ("page", "agenda", "given", "ranks")
EVERYTHING = ("state", "blocks", "transactions", "decisions", "standings", *NEW_TABLES)


def contents(path: Path) -> dict[str, Any]:
    """All that a database holds, but for how many commits it took."""
    with closing(sqlite3.connect(path)) as connection:
        tables = {name: sorted(connection.execute(f"SELECT * FROM {name}")) for name in EVERYTHING}
        meta = sorted(row for row in connection.execute("SELECT key, value FROM meta") if row[0] != "commits")
    return {**tables, "meta": meta}


def form_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        (value,) = connection.execute("SELECT value FROM meta WHERE key = 'format'").fetchone()
    return next(form for form in OLDER_FORMATS if value == encode(form))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """A home of this version."""
    return told_city(tmp_path_factory.mktemp("told") / "home")


@pytest.fixture(params=OLDER_FORMATS)
def older(told: Told, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home's database in a format of before, as if that version had had the rules of this one."""
    monkeypatch.setattr(migrating, "JUDGED_OTHERWISE", dict.fromkeys(OLDER_FORMATS, ()))
    path = Path(shutil.copytree(told.home, tmp_path / "home")) / DATABASE
    make_older(path, request.param)
    return path


def test_an_older_database_becomes_what_this_version_would_have_written(told: Told, older: Path) -> None:
    genesis, was = told.city.genesis, older.read_bytes()
    for opener in (Storage, Reader):
        with pytest.raises(OperatorError, match=r"node\.py migrate --home"):
            opener(older, genesis)
    done: list[int] = []
    rows = rows_to_migrate(older)
    kept = migrate(older, genesis, lambda _table, count: done.append(count))
    assert sum(done) == rows
    assert kept.read_bytes() == was or kept.stat().st_size == len(was)
    assert contents(older) == contents(told.home / DATABASE)
    with closing(Storage(older, genesis)) as storage:
        storage.load()
    with pytest.raises(OperatorError, match="already"):
        migrate(older, genesis, lambda _table, _count: None)


def test_a_migration_goes_on_where_it_was_interrupted(told: Told, older: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuilding, "PORTION", 7)
    monkeypatch.setattr(migrating, "_TABLES", tuple(each._replace(at_once=7) for each in migrating._TABLES))
    monkeypatch.setattr(migrating, "_TREE", migrating._TREE._replace(at_once=7))
    portions = 0

    def stop_at(most: int) -> None:
        def advance(_table: str, _count: int) -> None:
            nonlocal portions
            portions += 1
            if portions == most:
                raise KeyboardInterrupt

        migrate(older, told.city.genesis, advance)

    interruptions = 0
    while True:
        portions = 0
        try:
            stop_at(2)
        except KeyboardInterrupt:
            interruptions += 1
            continue
        break
    assert interruptions > 5
    assert contents(older) == contents(told.home / DATABASE)


@pytest.mark.parametrize("form", OLDER_FORMATS)
def test_a_chain_that_is_judged_otherwise_stays_with_the_version_that_wrote_it(tmp_path: Path, form: int) -> None:
    # given an office, whose time once it is over counts in another way by now than in any format before
    city = told_city(tmp_path / "home").city
    path = tmp_path / "home" / DATABASE
    make_older(path, form)
    with pytest.raises(OperatorError, match=r"holds a transaction \(\w+, block \d+\).*use the version that wrote it"):
        migrate(path, city.genesis, lambda _table, _count: None)
    assert [each.name for each in path.parent.glob(f"{DATABASE}.*")] == []


def test_what_cannot_be_migrated_says_why(told: Told, older: Path, tmp_path: Path) -> None:
    def nothing(_table: str, _count: int) -> None:
        return None

    with pytest.raises(OperatorError, match="missing"):
        migrate(tmp_path / "nothing.db", told.city.genesis, nothing)
    with pytest.raises(OperatorError, match="another network"):
        migrate(older, genesis_of(4, slot_ms=2_000), nothing)
    older.with_name(f"{DATABASE}.format{form_of(older)}").write_bytes(b"of long ago")
    with pytest.raises(OperatorError, match="another migration"):
        migrate(older, told.city.genesis, nothing)
    with closing(sqlite3.connect(older)) as connection, connection:
        connection.execute("UPDATE state SET value = x'00' WHERE key = 'p'")
        connection.execute("UPDATE meta SET value = ? WHERE key = 'format'", (encode(3),))
    with pytest.raises(OperatorError, match="version that wrote it"):
        migrate(older, told.city.genesis, nothing)
