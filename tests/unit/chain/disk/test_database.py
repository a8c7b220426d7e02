"""The SQLite file: what is read, what is written whole, and errors that say what the operator can do."""

from __future__ import annotations

import gc
import sqlite3
import sys
import weakref
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chain.base.codec import encode
from chain.base.errors import InvariantBroken, OperatorError, Reason, Refused
from chain.disk.database import DATABASE, ROWS_AT_ONCE, Database, corrupt
from chain.disk.places import Address, tally_of
from chain.disk.postgres import open_database
from chain.disk.schema import FORMAT, OLDER_FORMATS, PUT_ENTRY, entry_row
from chain.disk.storage import Storage
from chain.disk.stored import policy_in_force, stored_finality
from chain.protocol.events import SigningState
from chain.register.entries import Rules
from chain.register.statekeys import RULES_KEY
from tests.support.homes import read_only
from tests.support.world import genesis_of

GENESIS = genesis_of(4)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database at the genesis."""
    Storage.create(tmp_path / DATABASE, GENESIS, SigningState())
    return tmp_path / DATABASE


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    opened = Database(path, GENESIS, read_only=False)
    yield opened
    opened.close()


# ------------------------------------------------------------------------------------------------------- reading


def test_what_is_there_at_the_genesis(database: Database) -> None:
    assert stored_finality(database) == 0
    assert policy_in_force(database) == GENESIS.policy
    assert isinstance(database.entry(RULES_KEY), Rules)
    assert (database.entry(b"m" + bytes(32)), database.meta("snapshot_header")) == (None, None)


def test_all_rows_come_however_many_they_are(database: Database) -> None:
    count = 2 * ROWS_AT_ONCE + 1
    rows = [entry_row(key, b"v" + key) for key in (b"\xff" + number.to_bytes(2, "big") for number in range(count))]
    database.connection.executemany(PUT_ENTRY, rows)
    found = list(database.values("SELECT key, value, 7 FROM state WHERE key >= x'ff' ORDER BY key"))
    assert found == [(key, b"v" + key, 7) for key, _, _ in rows]


@pytest.mark.parametrize("value", [None, 7, "text", b"", b"\x00\x01\x02\x03\x04"])
def test_a_damaged_value_is_a_damaged_database(database: Database, value: object) -> None:
    database.connection.execute("CREATE TABLE damaged (key BLOB, value BLOB)")
    database.connection.execute("INSERT INTO damaged VALUES (x'00', ?)", (value,))
    with pytest.raises(OperatorError, match="is damaged"):
        list(database.values("SELECT key, value, 0 FROM damaged"))


def test_bytes_that_became_a_text_are_a_damaged_database(database: Database) -> None:
    database.connection.execute("CREATE TABLE damaged (key BLOB, value BLOB)")
    database.connection.execute("INSERT INTO damaged VALUES (x'00', CAST(x'ff' AS TEXT))")
    with pytest.raises(OperatorError, match="is damaged"):
        list(database.values("SELECT key, value, 0 FROM damaged"))


def test_a_damaged_meta_value_is_a_damaged_database(database: Database) -> None:
    database.connection.execute("INSERT INTO meta VALUES ('finalized', x'9101')")
    with pytest.raises(OperatorError, match="is damaged"):
        database.meta("finalized")


# -------------------------------------------------------------------------------------------------- transactions


def test_a_transaction_is_written_whole(database: Database, path: Path) -> None:
    with database.transaction():
        database.connection.execute("INSERT INTO standings VALUES (x'01', 5, 0, 0)")
        with closing(sqlite3.connect(path)) as other:
            assert other.execute("SELECT count(*) FROM standings").fetchone() == (0,)
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT count(*) FROM standings").fetchone() == (1,)


@pytest.mark.parametrize("error", [InvariantBroken("ours"), KeyboardInterrupt()])
def test_or_not_at_all(database: Database, error: BaseException) -> None:
    def write() -> None:
        with database.transaction():
            database.connection.execute("INSERT INTO standings VALUES (x'01', 5, 0, 0)")
            raise error

    with pytest.raises(type(error)):
        write()
    assert list(database.rows("SELECT * FROM standings")) == []
    with database.transaction():
        database.connection.execute("INSERT INTO standings VALUES (x'01', 5, 0, 0)")
    assert list(database.rows("SELECT * FROM standings")) == [(b"\x01", 5, 0, 0)]


def test_a_count_that_cannot_be_written_leaves_the_one_before(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a database whose commits were counted
    with database.transaction():
        pass
    counted = tally_of(path).read_bytes()

    # when the power fails as the file is open and nothing is written yet
    opens = Path.open

    def opened(file: Path, *arguments: Any, **options: Any) -> Any:
        opens(file, *arguments, **options).close()
        raise OSError("the power failed")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", opened)
        with database.transaction():
            pass
    # then the last number still stands there
    assert counted
    assert tally_of(path).read_bytes() == counted


def test_a_reader_cannot_write(path: Path) -> None:
    reader = Database(path, GENESIS, read_only=True)
    with pytest.raises(OperatorError), reader.transaction():
        reader.connection.execute("DELETE FROM state")
    assert policy_in_force(reader) == GENESIS.policy
    reader.close()


def test_a_database_at_rest_is_read_where_nothing_can_be_written(path: Path) -> None:
    wal = path.with_name(f"{DATABASE}-wal")
    for is_log_kept in (False, True):  # a clean stop leaves none, or an empty one
        assert wal.exists() == is_log_kept
        with read_only(path.parent) as copy:
            reader = Database(copy / DATABASE, GENESIS, read_only=True)
            assert policy_in_force(reader) == GENESIS.policy
            reader.close()
        wal.touch()


# --------------------------------------------------------------------------------------------- errors, translated


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Refused(Reason.MALFORMED, "bad bytes"), "is damaged (malformed: bad bytes)"),
        (sqlite3.OperationalError("no such table: state"), "is damaged (no such table: state)"),
        (sqlite3.OperationalError("no such column: main"), "is damaged (no such column: main)"),
        (sqlite3.OperationalError("database or disk is full"), "free disk space"),
        (sqlite3.OperationalError("disk I/O error"), "free disk space"),
        (sqlite3.OperationalError("database is locked"), "is held by another process"),
        (sqlite3.OperationalError("database table is busy"), "is held by another process"),
        (sqlite3.OperationalError("unable to open database file"), "check its permissions"),
        (sqlite3.DatabaseError("file is not a database"), "is damaged (file is not a database)"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "is damaged"),
    ],
)
def test_sqlites_errors_become_sentences(database: Database, path: Path, error: Exception, said: str) -> None:
    with pytest.raises(OperatorError) as caught, database.translated():
        raise error
    assert str(path) in str(caught.value)
    assert said in str(caught.value)
    assert caught.value.__cause__ is error


def test_other_errors_pass(database: Database) -> None:
    with pytest.raises(InvariantBroken), database.translated():
        raise InvariantBroken("ours")


def test_what_is_raised_is_gone_once_it_was_dealt_with(database: Database) -> None:
    """If it held itself, it would hold open whatever was being read, until the collector comes."""
    gc.disable()
    try:
        with database.translated():
            raise Refused(Reason.MALFORMED, "bad bytes")
    except OperatorError as error:
        raised = weakref.ref(error)
    finally:
        gc.enable()
    assert raised() is None


def test_a_question_after_the_end_is_a_fault_of_ours_and_no_damage(database: Database) -> None:
    database.close()
    with pytest.raises(InvariantBroken, match="closed"), database.translated():
        database.connection.execute("SELECT 1")


def test_damage_is_said_with_its_remedy(path: Path) -> None:
    text = str(corrupt(path, "blocks are missing"))
    assert text.startswith(f"{path} is damaged (blocks are missing); run `python node.py init --resync ")
    assert f"--home {path.parent}`" in text


def test_a_home_of_another_format_is_kept_and_never_begun_anew(path: Path) -> None:
    # its blocks were signed under other rules: nobody but their validators could sign them again
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'format'", (encode(min(OLDER_FORMATS) - 1),))
    for is_reader in (True, False):
        with pytest.raises(OperatorError, match="keep it, and use the version that wrote it") as caught:
            Database(path, GENESIS, read_only=is_reader)
        assert "init" not in str(caught.value)


def test_without_the_client_of_a_server_both_remedies_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that has the wheel has no clone, and an environment that uv made has no pip."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(OperatorError, match=r"uv sync --extra store.*pip install 'psycopg"):
        open_database(Address("postgresql://localhost/none", tmp_path), GENESIS, read_only=True)


def test_a_home_of_the_format_before_is_brought_over_by_a_command(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'format'", (encode(FORMAT - 1),))
    for is_reader in (True, False):
        with pytest.raises(OperatorError, match=r"node\.py migrate --home .*which keeps it aside"):
            Database(path, GENESIS, read_only=is_reader)


def test_a_missing_or_foreign_file_is_not_opened(path: Path) -> None:
    for is_reader in (True, False):
        with pytest.raises(
            OperatorError, match=r"is missing; restore it, or run `python node\.py init --resync --home "
        ):
            Database(path.with_name("nothing.db"), GENESIS, read_only=is_reader)
        with pytest.raises(OperatorError, match="another network"):
            Database(path, genesis_of(4, slot_ms=777), read_only=is_reader)
    assert not path.with_name("nothing.db").exists()
