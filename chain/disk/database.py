"""The SQLite file: a connection to it, and errors that say what the operator can do.

Beside it, in a file of its own, is the number of commits that were durable at least.  SQLite leaves out of its log
what does not look whole, and opens an older file in its place like any: only that number tells.
"""

from __future__ import annotations

import contextlib
import shlex
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from chain.base.codec import decode, encode
from chain.base.errors import InvariantBroken, OperatorError, Refused
from chain.content.genesis import Genesis
from chain.disk.places import Address, Place, tally_of
from chain.disk.schema import FORMAT, OLDER_FORMATS, seal, unseal
from chain.register.entries import Entry
from chain.register.state import decode_entry

DATABASE = "chain.db"
COMMITS = "commits"
# The default checkpoints every 4 MB of log and doubles the cost of a busy second.
_WAL_AUTOCHECKPOINT_PAGES = 4_000
# Rows fetched from SQLite in one go: entries are small, but 16 of the largest blocks are 14 MB.
ROWS_AT_ONCE = 256
BLOCKS_AT_ONCE = 16
# Keys looked up by one statement: each costs half.
_KEYS_AT_ONCE = 64
_KEYS = ", ".join("?" * _KEYS_AT_ONCE)
# How long a reader waits for the writer's checkpoint, and the writer for a reader's.
_BUSY_TIMEOUT_S = 10

# What `meta` holds under a key.
_PUT = "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
# Compared in full, and read before anything else of the file is understood.
_PLAIN = ("format", "genesis")


class Database:
    """A connection whose errors say what the operator can do: opening and reading raise :class:`OperatorError`.

    This is a file of SQLite's; what is another matter on a server, :class:`chain.disk.postgres.PostgresDatabase` does.
    """

    # How a transaction begins that writes, and one that only reads.
    _BEGIN = "BEGIN IMMEDIATE"
    _BEGIN_READING = "BEGIN"
    path: Place
    connection: Any  # sqlite3.Connection, or what a server has of it

    def __init__(self, path: Path, genesis: Genesis, *, read_only: bool) -> None:
        self.path = path
        self._tally = tally_of(path)
        if not path.exists():
            raise OperatorError(f"{path} is missing; restore it, or {begin_anew(path)}")
        with self.translated():
            self.connection = _connect(path, "mode=ro" if read_only else "mode=rw")
        try:
            if not read_only:
                self._prepare_to_write()
            elif _wants_to_write(self.connection) and _is_at_rest(path):
                self.connection.close()
                self.connection = _connect(path, "mode=ro&immutable=1")
            self._check(genesis)
            with self.translated():
                self._commits = self.number(COMMITS)
        except BaseException:
            self.close()
            raise

    @classmethod
    def around(cls, path: Place, connection: Any) -> Self:
        """One that is being made: nothing is checked yet."""
        database = cls.__new__(cls)
        database._attach(path, connection)
        return database

    def _attach(self, path: Place, connection: Any) -> None:
        self.path, self.connection, self._tally, self._commits = path, connection, tally_of(path), 0

    @classmethod
    @contextlib.contextmanager
    def scratch(cls, path: Path) -> Iterator[Database]:
        """One for a long work, of no use once that ended."""
        path.unlink(missing_ok=True)
        try:
            with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
                database = cls.around(path, connection)
                with database.translated():
                    for pragma in ("page_size = 16384", "journal_mode = OFF", "synchronous = OFF"):
                        connection.execute(f"PRAGMA {pragma}")
                yield database
        finally:
            path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def unguarded(self, cache_kib: int) -> Iterator[None]:
        """Without a log, and without waiting for the disk: a crash inside leaves nothing of use."""
        with self.translated():
            for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{cache_kib}"):
                self.connection.execute(f"PRAGMA {pragma}")
        yield
        with self.translated():
            for pragma in ("journal_mode = WAL", "synchronous = FULL"):
                self.connection.execute(f"PRAGMA {pragma}")

    @contextlib.contextmanager
    def unhurried(self) -> Iterator[None]:
        """Inside, it may take long: a file does not mind."""
        yield

    def end_log(self) -> bool:
        """Do without a log; False where anybody else has the database open."""
        try:
            self.connection.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            return False
        return True

    def _prepare_to_write(self) -> None:
        with self.translated():
            self.connection.execute("PRAGMA journal_mode = WAL")
            self.connection.execute("PRAGMA synchronous = FULL")
            self.connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_AUTOCHECKPOINT_PAGES}")

    def translated(self) -> Translated:
        """Inside, each of SQLite's errors raises the :class:`OperatorError` that says what to do; it may be kept."""
        return Translated(self.path)

    def cache(self, kib: int) -> None:
        """Let this connection keep so much of what it read."""
        with self.translated():
            self.connection.execute(f"PRAGMA cache_size = -{kib}")

    def number(self, key: str) -> int:
        """A number in ``meta``; 0 where there is none."""
        return _number(self.meta(key))

    def meta(self, key: str) -> bytes | None:
        with self.translated():
            row = self.connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
            if row is None:
                return None
            value = row[0] if type(row[0]) is bytes else b""
            return value if key in _PLAIN else unseal(key.encode(), value)

    def rows(
        self, sql: str, parameters: Sequence[Any] = (), *, at_once: int = ROWS_AT_ONCE
    ) -> Iterator[tuple[Any, ...]]:
        """The rows of a query, ``at_once`` of them in memory."""
        with self.translated():
            cursor = self.connection.execute(sql, parameters)
            while batch := cursor.fetchmany(at_once):
                yield from batch

    def values(
        self, sql: str, parameters: Sequence[Any] = (), *, at_once: int = ROWS_AT_ONCE
    ) -> Iterator[tuple[bytes, bytes, int]]:
        """Rows of ``key, sealed value, number``, opened; ``at_once`` of them in memory."""
        with self.translated():  # once, not for each of a million rows
            for key, value, number in self.rows(sql, parameters, at_once=at_once):
                yield key, unseal(key, value), number

    def many(self, select: str, keys: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        """The rows of a ``select`` whose last word is the column that has one of these keys."""
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            some = keys[start : start + _KEYS_AT_ONCE]
            parameters = (*some, *(None,) * (_KEYS_AT_ONCE - len(some)))
            yield from self.connection.execute(f"{select} IN ({_KEYS})", parameters).fetchall()

    def entry(self, key: bytes) -> Entry | None:
        """One entry of the stored state.  Raises :class:`Refused` for a damaged one."""
        with self.translated():
            row = self.connection.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
            value = None if row is None else unseal(key, row[0])
        return None if value is None else decode_entry(key, value)

    def _check(self, genesis: Genesis) -> None:
        """Raise :class:`OperatorError` unless this is a database of ``genesis`` in the format of this version.

        Blocks of before format 4 were signed under other rules: nobody but their validators could sign them anew.
        """
        if self.meta("format") in [encode(form) for form in OLDER_FORMATS]:
            home = shlex.quote(str(self.path.parent))
            raise OperatorError(
                f"{self.path} was written by an older version of Goodfaith; run `python node.py migrate "
                f"--home {home}`, which keeps it aside, and start the node again"
            )
        if self.meta("format") != encode(FORMAT):
            raise OperatorError(
                f"{self.path} was written by another version of Goodfaith, and its blocks were signed under other "
                "rules: keep it, and use the version that wrote it"
            )
        if self.meta("genesis") != genesis.id:
            raise OperatorError(
                f"{self.path} belongs to another network than genesis.json; use the genesis file it was made with"
            )

    @property
    def is_set_back(self) -> bool:
        """Whether commits are missing that were durable: its log was damaged, or an older file took its place."""
        try:
            return _number(unseal(COMMITS.encode(), self._tally.read_bytes())) > self._commits
        except (OSError, Refused):  # of an older version, or damaged itself
            return False

    def put(self, key: str, value: bytes) -> None:
        """Set what ``meta`` holds under a key, within a transaction."""
        self.connection.execute(_PUT, (key, seal(key.encode(), value)))

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """What is written inside is written whole and durable at the end, or not at all."""
        counted = seal(COMMITS.encode(), encode((self._commits + 1,)))
        with self.portion():
            yield
            self.connection.execute(_PUT, (COMMITS, counted))
        self._count()

    def _count(self) -> None:
        """One more commit is durable."""
        self._commits += 1
        with contextlib.suppress(OSError):  # one that is too low tells less, and nothing wrong
            _replace(self._tally, seal(COMMITS.encode(), encode((self._commits,))))

    def write(self, work: Callable[[], None]) -> None:
        """Do ``work`` in a :meth:`transaction`; it may be done again where what it wrote was lost."""
        with self.transaction():
            work()

    @contextlib.contextmanager
    def consistent(self) -> Iterator[None]:
        """All that is read inside is of one and the same commit."""
        with self.translated():
            self.connection.execute(self._BEGIN_READING)
        try:
            yield
        finally:
            self._roll_back()

    def hold(self) -> None:
        """All that is read from now on is of one and the same commit."""
        with self.translated():
            self.connection.execute(self._BEGIN_READING)
            self.connection.execute("SELECT 1 FROM meta LIMIT 1").fetchone()  # only with this it has begun

    @contextlib.contextmanager
    def portion(self) -> Iterator[None]:
        """:meth:`transaction` for a part of a long work, which is no commit of a node."""
        with self.translated():
            self.connection.execute(self._BEGIN)
            try:
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise

    def _roll_back(self) -> None:
        with contextlib.suppress(sqlite3.Error, OperatorError):
            self.connection.execute("ROLLBACK")

    def close(self) -> None:
        self.connection.close()


class Translated:
    """Where SQLite's errors stop.  What ``contextmanager`` makes instead costs as much as a look at one entry."""

    __slots__ = ("_path",)

    def __init__(self, path: Place) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        # No name for what is raised: it would hold itself, and whatever is being read, until the collector comes.
        match error:
            case None:
                pass
            case Refused() | UnicodeDecodeError():  # sqlite3 quotes a damaged schema in its messages
                raise corrupt(self._path, str(error)) from error
            case sqlite3.OperationalError():
                raise _unusable(self._path, str(error)) from error
            case sqlite3.ProgrammingError():  # such as a question after the connection was closed
                raise InvariantBroken(f"{self._path}: {error}") from error
            case sqlite3.DatabaseError():
                raise corrupt(self._path, str(error)) from error


def _unusable(path: Place, text: str) -> OperatorError:
    if any(sign in text for sign in ("no such table", "no such column", "Could not decode")):
        return corrupt(path, text)
    if "full" in text or "disk I/O" in text:
        return OperatorError(
            f"{path} cannot be written ({text}); free disk space and start the node again: "
            "no block is lost; what waited and is then unknown, submit again"
        )
    if "locked" in text or "busy" in text:
        return OperatorError(f"{path} is held by another process; stop it and try again")
    return OperatorError(
        f"{path} cannot be used ({text}); check its permissions, and copy a home that was not stopped "
        "cleanly to where it can be written"
    )


def _connect(path: Path, parameters: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{parameters}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=_BUSY_TIMEOUT_S,
        cached_statements=64,
    )


def _wants_to_write(connection: sqlite3.Connection) -> bool:
    """Whether SQLite cannot make the file that it wants beside a database even to read it: on a read-only medium."""
    try:
        connection.execute("PRAGMA schema_version").fetchone()
    except sqlite3.Error as error:
        return error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
    return False


def _is_at_rest(path: Path) -> bool:
    """Whether a clean stop left everything in the database and nothing in its log."""
    wal = path.with_name(f"{path.name}-wal")
    return not wal.exists() or wal.stat().st_size == 0


def corrupt(place: Place, why: str) -> OperatorError:
    """The sentence for a damaged database."""
    return OperatorError(f"{place} is damaged ({why}); {begin_anew(place)}")


def begin_anew(place: Place) -> str:
    """What an operator does where a database is damaged."""
    home = shlex.quote(str(place.parent))
    if isinstance(place, Address):
        return (
            "see to it that nobody else writes to it; if nobody did, name an empty database as store in config.toml, "
            f"run `python node.py init --resync --home {home}`, and start the node to sync again"
        )
    return f"run `python node.py init --resync --home {home}`, which keeps it aside, and start the node to sync again"


def _replace(path: Path, content: bytes) -> None:
    """Write a file anew: unlike with ``write_bytes`` alone, it is empty at no moment."""
    draft = path.with_name(f"{path.name}.new")
    draft.write_bytes(content)
    draft.replace(path)


def _number(raw: bytes | None) -> int:
    return 0 if raw is None else int(decode(raw, max_bytes=16)[0])
