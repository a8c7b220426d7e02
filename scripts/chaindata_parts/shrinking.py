"""A home's database made smaller: what is too old dropped, and the file written anew."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from chain.base.codec import encode
from chain.base.errors import OperatorError
from chain.content.genesis import Genesis
from chain.disk.database import DATABASE, Database
from chain.disk.schema import seal
from chain.disk.storage import Storage
from p2p.local.home import locked
from p2p.local.whole import make_durable

# Beside what the new file takes, for what the file system needs itself.
_SPARE_BYTES = 10_000_000


class Shrunk(NamedTuple):
    """How many bodies were dropped, and the bytes of the database before and after."""

    bodies: int
    before: int
    after: int


def compact(home: Path, genesis: Genesis) -> Shrunk:
    """Write the database anew without its gaps, beside the old one, which it replaces once it is whole.

    Raises :class:`OperatorError`, with the old one as it was.
    """
    with locked(home):
        return _compact(home / DATABASE, genesis, 0)


def prune(home: Path, genesis: Genesis, advance: Callable[[int], None]) -> Shrunk:
    """Drop what blocks said before the window that the policy keeps, and write the file anew, so that it is gone.

    ``advance`` is told of bodies that were dropped.  Raises :class:`OperatorError`; what is dropped by then stays so.
    """
    with locked(home):
        count = 0
        with closing(Storage(home / DATABASE, genesis)) as storage:
            bodies = storage.bodies
            bodies.overwrite()
            while dropped := bodies.drop():
                count += dropped
                advance(dropped)
        return _compact(home / DATABASE, genesis, count)


def _compact(database: Path, genesis: Genesis, dropped: int) -> Shrunk:
    before = _size(database)
    room = shutil.disk_usage(database.parent).free
    if room < before + _SPARE_BYTES:
        raise OperatorError(
            f"{database} needs {before + _SPARE_BYTES} bytes of room to be written anew beside itself, and {room} are "
            "free; make room for it and try again"
        )
    draft = database.with_name(f"{database.name}.compact")
    try:
        draft.unlink(missing_ok=True)
        _end_log(database, genesis)  # what would be refused in the end need not begin
        _write_anew(database, draft, genesis)
        _check_copy(draft, genesis)
        make_durable(draft)
        _end_log(database, genesis)
        draft.replace(database)
        make_durable(database.parent)
    except (OSError, sqlite3.Error) as error:
        raise OperatorError(
            f"{database} cannot be written anew ({error}); it is as it was: make room for it and try again"
        ) from error
    finally:
        for suffix in ("", "-journal", "-wal", "-shm"):
            with suppress(OSError):
                draft.with_name(draft.name + suffix).unlink(missing_ok=True)
    return Shrunk(dropped, before, _size(database))


def _write_anew(database: Path, draft: Path, genesis: Genesis) -> None:
    with closing(Storage(database, genesis)) as storage:
        oldest = storage.bodies.oldest
        storage.bodies.write_anew(draft)
    with closing(sqlite3.connect(draft, isolation_level=None)) as copy:
        copy.execute("INSERT OR REPLACE INTO meta VALUES ('wiped', ?)", (seal(b"wiped", encode((oldest,))),))
        copy.execute("PRAGMA journal_mode = WAL")


def _check_copy(draft: Path, genesis: Genesis) -> None:
    """It is about to be the only one.  Raises :class:`OperatorError`."""
    with closing(Database(draft, genesis, read_only=True)) as copy:
        ((verdict,),) = copy.rows("PRAGMA quick_check(1)")
    if verdict != "ok":
        raise OperatorError(f"{draft} was not written as it should be ({verdict}); look after the disk, and try again")


def _end_log(database: Path, genesis: Genesis) -> None:
    """A log that is left would be taken for that of the file that comes in its place; and who has the old one open
    would go on reading what is no longer there.  Raises :class:`OperatorError` where somebody has.
    """
    with closing(Storage(database, genesis)) as storage:
        is_alone = storage.bodies.end_log()
    if not is_alone:
        raise OperatorError(
            f"another program has {database} open, and would go on reading the old one; end it (an explorer, an index, "
            "a command that looks into this home) and try again"
        )


def _size(database: Path) -> int:
    parts = (database, database.with_name(f"{database.name}-wal"))
    return sum(part.stat().st_size for part in parts if part.exists())
