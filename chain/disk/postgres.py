"""The same tables on a server that speaks PostgreSQL's protocol: for a register that outgrows one machine.

The statements are those of :mod:`chain.disk.database`.  A connection may break at any moment:

* what only reads is asked again, once, on another connection;
* a transaction is done again, once, unless it proves to have been committed;
* where the server stays away, :class:`~chain.base.errors.StoreAway` is raised, and nothing was acknowledged.

Fencing: ``fence`` has one row, ``epoch`` and ``owner``.  Whoever opens a database to write remembers the epoch; each of
its transactions begins by raising it, under a name of its own, and ends where somebody else has raised it meanwhile.
So of two nodes that write one register, one stops, before anything that it signed leaves it; and whoever lost a
connection in the middle of a commit reads from that row whether it was made.  What may still be committed on a
connection that is lost has locked the row, so that nobody reads it before that has ended.
"""

from __future__ import annotations

import importlib
import re
import shlex
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from functools import lru_cache
from typing import Any, TypeVar

from chain.base.errors import InvariantBroken, OperatorError, StoreAway
from chain.content.genesis import Genesis
from chain.disk.database import COMMITS, ROWS_AT_ONCE, Database
from chain.disk.places import Address, Place
from chain.disk.schema import SCHEMA, STATE_INDEX

# A server that was cut off is noticed within half a minute, as one that does not answer is.
PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
# A server that is there and says nothing (stopped, or its disk hangs) is given up after so long, and a statement that
# takes longer is ended by the server itself.  Long works have no such bound.
ANSWER_S = 120
_SPARE_S = 10
# The library looks so often whether there is an answer.
_POLLS_A_SECOND = 10
# What a lost connection may have left locked is free by then; a commit is one only once it is on the server's disk.
IDLE_S = 20
_WRITER = """
SET lock_timeout = '30s';
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'
"""
_FENCE = "CREATE TABLE fence (one INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, owner TEXT NOT NULL)"
# Rows written by one statement, at most: a power of two, so that there are few different statements to prepare.
_WRITTEN_AT_ONCE = 512
# Statements that a server keeps prepared for a connection.
_MAX_PREPARED = 400
# What passes by itself: connections, resources, somebody who stops the server or waits for the same row, and a server
# that only reads for now.
_PASSING = ("08", "25006", "40", "53", "55", "57")
_NO_TABLE, _IS_THERE = "42P01", "42P07"
_INSERT = re.compile(r"(INSERT INTO .* VALUES )(\([?, ]+\))(.*)", re.DOTALL)

_T = TypeVar("_T")


def open_database(place: Place, genesis: Genesis, *, read_only: bool) -> Database:
    """The database of a home.  Raises :class:`OperatorError`."""
    if isinstance(place, Address):
        return PostgresDatabase(place, genesis, read_only=read_only)
    return Database(place, genesis, read_only=read_only)


@contextmanager
def made_on_server(address: Address) -> Iterator[Database]:
    """An empty database, to be filled inside, whole or not at all.  Raises :class:`OperatorError` where one is."""
    connection = Connection(address, is_writer=True)
    with closing(PostgresDatabase.around(address, connection)) as database:
        connection.execute("BEGIN")
        for statement in filter(str.strip, f"{SCHEMA}{STATE_INDEX}{_FENCE}".split(";")):
            connection.execute(_as_there(statement))
        connection.execute("INSERT INTO fence VALUES (1, 0, '')")
        yield database
        connection.execute("COMMIT")


class Connection:
    """As much of a connection of SQLite's as the statements use.  Its errors are :class:`OperatorError` already.

    ``journeys`` are the questions that this process has asked so far.
    """

    journeys = 0

    def __init__(self, address: Address, *, is_writer: bool) -> None:
        self._address = address
        self._is_writer = is_writer
        self._library = _library()
        self._inner = self._opened()
        self._is_closed = False
        self._is_within = False
        self._streams = self._named = 0
        self._is_lent = False

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """A cursor with the rows, all of them in memory."""
        return self._do(lambda inner: inner.execute(_spelled(sql), parameters, binary=True))

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """One statement for all rows, in one go."""
        items = list(rows)
        if items:
            self._do(lambda inner: _write_many(inner, sql, items))

    @contextmanager
    def stream(self, sql: str, parameters: Sequence[Any]) -> Iterator[Callable[[int], list[tuple[Any, ...]]]]:
        """What gives the next rows, so many: they stay on the server until then, for which it takes a transaction."""
        if not self._streams:
            self._is_lent = not self._is_within
            if self._is_lent:
                self.execute("BEGIN READ ONLY")
        self._streams, self._named = self._streams + 1, self._named + 1
        cursor = self._do(lambda inner: inner.cursor(f"rows{self._named}"))
        try:
            self._do(lambda _: cursor.execute(_spelled(sql), parameters, binary=True))
            yield lambda count: self._do(lambda _: cursor.fetchmany(count))
        finally:
            self._streams -= 1
            with suppress(OperatorError):
                self._do(lambda _: cursor.close())
            if self._is_lent and not self._streams:
                self.roll_back()

    @contextmanager
    def unhurried(self) -> Iterator[None]:
        """Inside, a statement may take as long as it takes, and so may what lies between two of them."""
        self._do(lambda inner: _bound(inner, 0, 0))
        yield
        self._do(lambda inner: _bound(inner, ANSWER_S, IDLE_S))

    def roll_back(self) -> None:
        """End a transaction, if only by ending the connection."""
        try:
            if not self._inner.closed:
                self._inner.execute("ROLLBACK")
        except self._library.Error:
            self._inner.close()
        finally:
            self._is_within = False

    def close(self) -> None:
        """End it."""
        self._is_closed = True
        self._inner.close()

    def _do(self, work: Callable[[Any], _T]) -> _T:
        """Do this; once more on another connection, where this one is lost and was in no transaction."""
        if self._is_closed:
            raise InvariantBroken(f"{self._address} is asked after its connection was closed")
        for may_be_again in (not self._is_within, False):
            try:
                if self._inner.closed and not self._is_within:
                    self._inner = self._opened()
                Connection.journeys += 1
                made = work(self._inner)
                self._is_within = self._inner.info.transaction_status != self._library.pq.TransactionStatus.IDLE
                return made
            except self._library.Error as error:
                if not (may_be_again and self._inner.closed):
                    raise self._told(error) from error
        raise InvariantBroken("a second try ends, or raises")

    def _opened(self) -> Any:
        try:
            inner = _hurried(self._library).connect(
                self._address.url, autocommit=True, cursor_factory=self._library.RawCursor, **PATIENCE
            )
            _bound(inner, ANSWER_S, IDLE_S)
            if self._is_writer:
                inner.execute(_WRITER)
        except self._library.ProgrammingError as error:  # what it quotes may be a part of the password
            raise OperatorError(
                "store in config.toml is not the address of a database; write it like postgresql://user@host/database"
            ) from error
        except self._library.Error as error:
            raise StoreAway(
                f"{self._address} cannot be reached ({first_line(error)}); start the server, or correct store in "
                "config.toml"
            ) from error
        inner.server_cursor_factory = self._library.RawServerCursor
        inner.prepared_max = _MAX_PREPARED
        numeric = importlib.import_module("psycopg.types.numeric")
        inner.adapters.register_dumper(int, numeric.Int8BinaryDumper)  # one statement to prepare, and not one a size
        return inner

    def _told(self, error: Exception) -> OperatorError:
        code, text = getattr(error, "sqlstate", None) or "", first_line(error)
        if self._inner.closed or code.startswith(_PASSING):
            return StoreAway(f"{self._address} does not answer ({text}); see to the server")
        if code == _NO_TABLE:
            home = shlex.quote(str(self._address.parent))
            return OperatorError(
                f"{self._address} holds no register; run `python node.py init --resync --home {home}`, which makes an "
                "empty one there, and start the node to sync"
            )
        if code == _IS_THERE:
            return OperatorError(f"{self._address} holds a register already; name an empty database as store")
        return OperatorError(f"{self._address} cannot be used ({text}); give this node a database of its own there")


class PostgresDatabase(Database):
    """A database on a server."""

    _BEGIN = "BEGIN"
    _BEGIN_READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    connection: Connection

    def __init__(self, address: Address, genesis: Genesis, *, read_only: bool) -> None:
        self._attach(address, Connection(address, is_writer=not read_only))
        self._epoch, self._owner = 0, ""
        try:
            if not read_only:
                ((self._epoch, self._owner),) = self.connection.execute(
                    "SELECT epoch, CAST(gen_random_uuid() AS TEXT) FROM fence FOR UPDATE"
                ).fetchall()
            self._check(genesis)
            self._commits = self.number(COMMITS)
        except BaseException:
            self.close()
            raise

    def cache(self, kib: int) -> None:
        """The server does that."""

    @contextmanager
    def unguarded(self, cache_kib: int) -> Iterator[None]:
        """Unhurried: whether it waits for its disk is the server's to say."""
        with self.unhurried():
            yield

    @contextmanager
    def unhurried(self) -> Iterator[None]:
        """See :meth:`Database.unhurried`."""
        with self.connection.unhurried():
            yield

    def many(self, select: str, keys: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        """See :meth:`Database.many`: all of them at once, since each question is a journey."""
        if keys:
            yield from self.connection.execute(f"{select} = ANY(?)", (list(keys),)).fetchall()

    def rows(
        self, sql: str, parameters: Sequence[Any] = (), *, at_once: int = ROWS_AT_ONCE
    ) -> Iterator[tuple[Any, ...]]:
        """See :meth:`Database.rows`."""
        with self.translated(), self.connection.stream(sql, parameters) as fetch:
            while batch := fetch(at_once):
                yield from batch

    @contextmanager
    def portion(self) -> Iterator[None]:
        """See :meth:`Database.portion`.  Raises :class:`OperatorError` where another node writes here, too."""
        with super().portion():
            raised = "UPDATE fence SET epoch = epoch + 1, owner = ? WHERE one = 1 AND epoch = ?"
            if not self.connection.execute(raised, (self._owner, self._epoch)).rowcount:
                raise OperatorError(
                    f"{self.path} was written by another node meanwhile; let one alone have it, and start that again"
                )
            yield
        self._epoch += 1

    def _roll_back(self) -> None:
        self.connection.roll_back()

    def write(self, work: Callable[[], None]) -> None:
        """See :meth:`Database.write`: once, whatever becomes of the connection."""
        try:
            super().write(work)
        except StoreAway:
            if self._is_written():
                self._epoch += 1
                self._count()
            else:
                super().write(work)

    def _is_written(self) -> bool:
        """Whether the transaction that was cut off is there; if it is not, it never will be."""
        self.connection.roll_back()
        ((epoch, owner),) = self.connection.execute("SELECT epoch, owner FROM fence FOR UPDATE").fetchall()
        return bool((epoch, owner) == (self._epoch + 1, self._owner))


def _write_many(inner: Any, sql: str, rows: list[Sequence[Any]]) -> None:
    found = _INSERT.fullmatch(sql)
    with inner.cursor() as cursor:
        if found is None:
            cursor.executemany(_spelled(sql), rows)
            return
        with inner.pipeline() if len(rows) > _WRITTEN_AT_ONCE else nullcontext():
            for some in _parts(rows):
                values = ", ".join([found[2]] * len(some))
                cursor.execute(_spelled(f"{found[1]}{values}{found[3]}"), [value for row in some for value in row])


def _parts(rows: list[Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
    """The rows in parts whose sizes are powers of two."""
    start = 0
    while start < len(rows):
        size = min(_WRITTEN_AT_ONCE, 1 << (len(rows) - start).bit_length() - 1)
        yield rows[start : start + size]
        start += size


@lru_cache(maxsize=512)
def _spelled(sql: str) -> str:
    first, *others = sql.split("?")
    return first + "".join(f"${number}{piece}" for number, piece in enumerate(others, 1))


def _as_there(statement: str) -> str:
    """A statement of :data:`SCHEMA` as PostgreSQL has it: any integer has 64 bits."""
    return statement.replace(" WITHOUT ROWID", "").replace("BLOB", "BYTEA").replace("INTEGER", "BIGINT")


def _bound(inner: Any, answer_s: int, idle_s: int) -> None:
    """Bound how long the server works on a statement and waits within a transaction; 0 is no bound."""
    inner.silence_s = answer_s and answer_s + _SPARE_S
    inner.execute(f"SET statement_timeout = '{answer_s}s'")
    inner.execute(f"SET idle_in_transaction_session_timeout = '{idle_s}s'")


@lru_cache(maxsize=1)
def _hurried(library: Any) -> Any:
    """The library's connections, which end where the server has said nothing for ``silence_s``; 0 is for ever."""

    class Hurried(library.Connection):  # type: ignore[misc]
        silence_s = ANSWER_S + _SPARE_S

        def wait(self, gen: Any, *timing: Any, **more: Any) -> Any:
            return super().wait(self._heard(gen), *timing, **more)

        def _heard(self, answer: Generator[Any, Any, _T]) -> Generator[Any, Any, _T]:
            polls = 0
            try:
                wanted = next(answer)
                while not self.silence_s or polls <= self.silence_s * _POLLS_A_SECOND:
                    is_ready = yield wanted
                    polls = 0 if is_ready else polls + 1
                    wanted = answer.send(is_ready)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            self.close()
            raise library.OperationalError("it says nothing")

    return Hurried


def _library() -> Any:
    try:
        return importlib.import_module("psycopg")
    except ImportError as error:
        raise OperatorError(
            "a store on a server needs psycopg, which is not installed for this Python; in a clone "
            "`.uv/bin/uv sync --extra store` brings it, elsewhere `python -m pip install 'psycopg[binary]'`"
        ) from error


def first_line(error: Exception) -> str:
    """What the library of a database says; where it tried several addresses, of the first."""
    lines = [line.removeprefix("- ") for line in str(error).strip().splitlines() if not line.startswith("Multiple")]
    return (lines or [type(error).__name__])[0].rstrip(".")
