"""Homes on disk as a real node leaves them, made from the history of one host of a :class:`World`."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from chain.base.codec import encode
from chain.content.genesis import Genesis
from chain.disk.database import DATABASE
from chain.disk.storage import Storage
from chain.protocol.events import Commit, SigningState
from scripts.simulation.disk import Disk
from tests.support.world import Host, World


class RecordingDisk(Disk):
    """A disk that also remembers its commits in their order."""

    def __init__(self, genesis: Genesis) -> None:
        super().__init__(genesis, SigningState())
        self.commits: list[Commit] = []

    def commit(self, commit: Commit) -> None:
        super().commit(commit)
        self.commits.append(commit)


def record(host: Host) -> RecordingDisk:
    """From now on keep the commits of ``host``, which has made none."""
    assert not host.disk.blocks
    host.disk = RecordingDisk(host.world.genesis)
    return host.disk


def write_genesis(home: Path, genesis: Genesis) -> None:
    """A home with nothing but ``genesis.json``."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "genesis.json").write_text(genesis.to_json(), encoding="utf-8")


def write_home(home: Path, world: World, disk: RecordingDisk) -> Path:
    """A home whose database took exactly the commits of ``disk``."""
    write_genesis(home, world.genesis)
    Storage.create(home / DATABASE, world.genesis, SigningState())
    storage = Storage(home / DATABASE, world.genesis)
    for commit in disk.commits:
        storage.commit([commit])
    storage.close()
    return home


@contextmanager
def read_only(home: Path) -> Iterator[Path]:
    """A copy of ``home`` that this process may only read, as on a read-only medium or of another user."""
    folder = Path(tempfile.mkdtemp())
    copy = folder / "home"
    shutil.copytree(home, copy)
    for path in copy.iterdir():
        path.chmod(0o444)
    copy.chmod(0o555)
    folder.chmod(0o755)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65_534)  # nobody may do what root may
    try:
        yield copy
    finally:
        if is_root:
            os.seteuid(0)
        copy.chmod(0o755)
        shutil.rmtree(folder)


def make_older(path: Path, form: int) -> None:
    """Turn a database of this version into what one of an older format would have written."""
    with closing(sqlite3.connect(path)) as connection, connection:
        if form < 8:
            connection.execute("DROP INDEX state_by_hash")
            connection.execute("ALTER TABLE state DROP COLUMN at")
        if form == 6:
            for table in ("page", "agenda", "given", "ranks"):
                connection.execute(f"DROP TABLE {table}")
            connection.execute("DELETE FROM meta WHERE key IN ('entries', 'transactions')")
        connection.execute("UPDATE meta SET value = ? WHERE key = 'format'", (encode(form),))


def tamper(home: Path, sql: str, *parameters: Any) -> None:
    """Change the database behind everybody's back; exactly one row has to change."""
    with closing(sqlite3.connect(home / DATABASE)) as connection, connection:
        assert connection.execute(sql, parameters).rowcount == 1


def look_up(home: Path, sql: str, *parameters: Any) -> Any:
    """The first column of the first row."""
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        return connection.execute(sql, parameters).fetchone()[0]
