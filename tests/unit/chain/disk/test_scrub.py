"""Looking through a state on disk: what is whole is passed over, and each kind of damage is found where it is."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chain.disk import scrub as scrubbing
from chain.disk.database import DATABASE, Database
from chain.disk.schema import page_seal, page_unseal, seal
from chain.disk.scrub import Damage, rows_to_scrub, scrub
from chain.disk.storage import Storage
from chain.register.entries import Account
from chain.register.state import encode_entry
from chain.register.statekeys import account_key, member_key
from scripts.bench_parts.register import Register
from tests.support.registered import Told, told_city


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """A small register's home."""
    return told_city(tmp_path_factory.mktemp("told") / "home")


@pytest.fixture
def home(told: Told, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return Path(shutil.copytree(told.home, tmp_path / "home"))


def look(home: Path, told: Told) -> list[Damage]:
    with closing(Database(home / DATABASE, told.city.genesis, read_only=True)) as database:
        portions = list(scrub(database))
        assert sum(portion.rows for portion in portions) == rows_to_scrub(database)
    return [damage for portion in portions for damage in portion.damage]


def change(home: Path, sql: str, *parameters: Any) -> None:
    with closing(sqlite3.connect(home / DATABASE)) as connection, connection:
        assert connection.execute(sql, parameters).rowcount == 1


def fetch(home: Path, sql: str, *parameters: Any) -> Any:
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        return connection.execute(sql, parameters).fetchone()


@pytest.mark.parametrize("at_once", [3, 1_000])
def test_what_is_whole_is_passed_over(told: Told, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(scrubbing, "ROWS_AT_ONCE", at_once)
    assert look(told.home, told) == []


def test_a_register_that_was_made_in_portions_is_whole(told: Told, tmp_path: Path) -> None:
    register = Register(1_000, 1)
    register.write(tmp_path / "large")
    with closing(Database(tmp_path / "large" / DATABASE, register.ledger.genesis, read_only=True)) as database:
        assert [damage for portion in scrub(database) for damage in portion.damage] == []
    with closing(Storage(tmp_path / "large" / DATABASE, register.ledger.genesis)) as storage:
        chain, _ = storage.load()
        assert len(chain.ledger.state) == len(dict(register.rows()))


def test_a_genesis_is_whole(told: Told, tmp_path: Path) -> None:
    Storage.create(tmp_path / DATABASE, told.city.genesis, None)
    assert look(tmp_path, told) == []


def test_an_entry_that_is_wrong_or_gone(told: Told, home: Path) -> None:
    key = member_key(told.city.eve.key)
    (stored,) = fetch(home, "SELECT value FROM state WHERE key = ?", key)
    change(home, "UPDATE state SET value = ? WHERE key = ?", bytes([stored[0] ^ 1]) + stored[1:], key)
    assert [(damage.table, damage.row) for damage in look(home, told)] == [("state", key.hex())]
    # when it is another that was there once, only the tree tells
    change(home, "UPDATE state SET value = ? WHERE key = ?", seal(key, stored[:-5] + b"\x05"), key)
    assert ("state", key.hex(), "it is not what the tree says") in look(home, told)
    change(home, "DELETE FROM state WHERE key = ?", key)
    assert "there are" in look(home, told)[-1].what
    invented = account_key(bytes(32))
    value = seal(invented, encode_entry(Account(0, b"", b"")))
    change(home, "INSERT INTO state VALUES (?, ?, 0)", invented, value)
    assert [(damage.table, damage.row) for damage in look(home, told)] == [("state", invented.hex())]


def test_a_page_that_is_wrong_or_gone(told: Told, home: Path) -> None:
    path, stored = fetch(home, "SELECT k, v FROM page ORDER BY k DESC LIMIT 1")
    change(home, "UPDATE page SET v = ? WHERE k = ?", bytes([stored[0] ^ 1]) + stored[1:], path)
    assert ("page", f"{path:x}") in [(damage.table, damage.row) for damage in look(home, told)]
    page = page_unseal(path, stored)
    change(home, "UPDATE page SET v = ? WHERE k = ?", page_seal(path, page[:-1] + bytes([page[-1] ^ 1])), path)
    assert Damage("page", f"{path:x}", "it is not what the page above it says") in look(home, told)
    change(home, "DELETE FROM page WHERE k = ?", path)
    assert Damage("page", f"{path:x}", "it is missing") in look(home, told)
    change(home, "INSERT INTO page VALUES (?, ?)", 1 << 40, page_seal(1 << 40, page))
    assert any(damage.row == f"{1 << 40:x}" for damage in look(home, told))


def test_what_follows_from_entries_and_does_not(told: Told, home: Path) -> None:
    slot, key = fetch(home, "SELECT slot, key FROM agenda ORDER BY key LIMIT 1")
    change(home, "UPDATE agenda SET slot = slot + 1 WHERE slot = ? AND key = ?", slot, key)
    assert look(home, told) == [
        Damage("agenda", key.hex(), "its deadline is missing"),
        Damage("agenda", key.hex(), f"slot {slot + 1} is noted, and it is due in {slot}"),
    ]
    change(home, "UPDATE agenda SET slot = ? WHERE slot = ? AND key = ?", slot, slot + 1, key)
    rater, rating = fetch(home, "SELECT rater, rating FROM given LIMIT 1")
    change(home, "UPDATE given SET rater = ? WHERE rater = ? AND rating = ?", bytes(32), rater, rating)
    assert [damage.table for damage in look(home, told)] == ["given", "given"]
