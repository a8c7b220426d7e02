"""A chain in tables: the rows say what the documents say, once, whatever goes away in the middle."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from chain.base.errors import OperatorError
from chain.base.keys import did_from_key
from chain.content.blocks import Block
from chain.content.genesis import Genesis
from chain.disk import enquiries
from chain.documents.institutions import motions_document
from chain.documents.people import members
from chain.register.scores import standing
from p2p.client import NodeAway
from p2p.local.config import HomeConfig
from p2p.local.home import create_home
from scripts.chain_view import open_view
from scripts.index import index as command
from scripts.index_parts.database import Database, DatabaseAway, Transaction, open_database
from scripts.index_parts.index import Index
from scripts.index_parts.page import PAGE, page
from scripts.index_parts.parquet import export
from scripts.index_parts.sources import OfHome, Tip
from scripts.index_parts.tables import HISTORIES, TABLES, VIEWS
from tests.support import postgres
from tests.support.registered import City, Told, lively_city, told_city
from tests.support.world import secret

duckdb = pytest.importorskip("duckdb", reason="DuckDB is not installed: uv sync --extra index")
pytest.importorskip("psycopg", reason="the client of PostgreSQL is not installed: uv sync --extra index")


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    if postgres.program("postgres") is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    with postgres.server() as running:
        yield running


@pytest.fixture(params=["duckdb", "postgresql"])
def new(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Gives an empty database whenever it is called: what ``--to`` says."""
    if request.param == "postgresql":
        running: postgres.Server = request.getfixturevalue("server")
        return running.new
    return lambda: str(tmp_path / f"{len(list(tmp_path.glob('*.duckdb')))}.duckdb")


@pytest.fixture(scope="module")
def city() -> City:
    return lively_city()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return told_city(tmp_path_factory.mktemp("told") / "home")


@dataclass
class Growing:
    """A chain that a test lets grow; ``final`` is how far it is final."""

    of: Genesis
    main: list[Block] = field(default_factory=list)
    final: int = 0

    def genesis(self) -> Genesis:
        return self.of

    def tip(self) -> Tip:
        return Tip(len(self.main), self.main[-1].id if self.main else self.of.id, self.final)

    def blocks(self, start: int, count: int) -> list[Block]:
        return self.main[start - 1 : start - 1 + count]

    def grow(self, city: City, height: int) -> None:
        self.main = city.blocks[:height]
        self.final = city.votes(self.main[-1]).finalized


def contents(to: str | Database) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables."""
    with (open_database(to) if isinstance(to, str) else to).transaction() as transaction:
        named = {table.name: table.key or ("height",) for table in TABLES} | {view.name: ("member",) for view in VIEWS}
        return {
            name: sorted(transaction.rows(f"SELECT * FROM {name} ORDER BY {', '.join(key)}"), key=repr)
            for name, key in named.items()
        }


def rows(to: str, query: str) -> list[tuple[Any, ...]]:
    with open_database(to).transaction() as transaction:
        return transaction.rows(query)


def at_once(city: City, to: str, height: int | None = None) -> dict[str, list[tuple[Any, ...]]]:
    """What an index holds that saw a chain only at its end."""
    chain = Growing(city.genesis)
    chain.grow(city, city.height if height is None else height)
    Index(chain, open_database(to)).catch_up()
    return contents(to)


# ------------------------------------------------------------------------------------------------- what rows say


def test_rows_say_what_the_documents_say(told: Told, new: Callable[[], str]) -> None:
    to = new()
    Index(OfHome(told.home), open_database(to)).catch_up()
    with open_view(told.home) as view:
        assert view.state.height == view.finalized_height
        told_rows = {
            "members": enquiries.all_members(view, None, 100)["members"],
            "records": enquiries.records(view, None, None, None, None, 100)["records"],
            "motions": motions_document(view.state)["motions"],
        }
        for table, names in (
            ("members", ("score", "tier", "ratings", "records", "record_points", "enrolled_height")),
            ("records", ("number", "category", "points", "status", "expires_slot", "evidence")),
            ("motions", ("number", "status", "proposes", "height")),
        ):
            expected = sorted(tuple(row[name] for name in names) for row in told_rows[table])
            assert sorted(rows(to, f"SELECT {', '.join(names)} FROM {table}")) == expected
        newest = (
            "SELECT member, score FROM scores s WHERE height = (SELECT max(height) FROM scores WHERE member = s.member)"
        )
        assert dict(rows(to, newest)) == {
            did_from_key(identity): standing(view.state.policy, member).score
            for identity, member in members(view.state)
        }
        ((blocks, final),) = rows(to, "SELECT count(*), sum(CASE WHEN final THEN 1 ELSE 0 END) FROM blocks")
        assert (blocks, final) == (view.head_height, view.finalized_height)


def test_a_member_has_one_name_whatever_its_key_is(city: City, new: Callable[[], str]) -> None:
    to = new()
    at_once(city, to)
    (ann,) = rows(to, "SELECT member, key FROM members WHERE member <> key")
    assert ann[1] == city.did(city.ann)
    joined = "SELECT count(*) FROM records r JOIN members m ON r.member = m.member WHERE m.key = '" + ann[1] + "'"
    assert rows(to, joined) == [(3,)]
    assert rows(to, f"SELECT count(*) FROM transactions WHERE member = '{ann[0]}' AND actor = '{ann[1]}'") == [(1,)]


def test_disputes_begin_and_end(city: City, new: Callable[[], str]) -> None:
    to = new()
    at_once(city, to)
    disputes = rows(to, "SELECT kind, number, outcome FROM disputes ORDER BY opened_height, number")
    assert disputes == [
        ("objected", 0, "struck"),
        ("objected", 0, "lapsed"),
        ("objected", 2, "corrected"),
        ("objected", 1, None),
    ]
    assert rows(to, "SELECT count(*) FROM disputes WHERE closed < opened") == [(0,)]


def test_it_is_told_how_blocks_became_final(city: City, new: Callable[[], str]) -> None:
    to = new()
    at_once(city, to)
    final = city.votes(city.blocks[-1]).finalized
    expected = [(h, city.blocks[h - 1].id.hex()) for h in range(1, city.votes(city.blocks[final - 1]).finalized + 1)]
    assert rows(to, "SELECT height, id FROM finality ORDER BY height") == expected
    assert rows(to, "SELECT count(*) FROM finality WHERE precommits < threshold OR final_by <= height") == [(0,)]


def test_both_databases_hold_the_same(city: City, server: postgres.Server, tmp_path: Path) -> None:
    assert at_once(city, str(tmp_path / "x.duckdb")) == at_once(city, server.new())


# ------------------------------------------------------------------------------------------------------- once


def test_however_often_it_is_started_nothing_is_there_twice(city: City, new: Callable[[], str]) -> None:
    chain, to = Growing(city.genesis), new()
    for height in (1, 2, 9, 10, 11, 30, 31, 47, city.height):
        chain.grow(city, height)
        index = Index(chain, open_database(to))
        index.catch_up()
        assert index.catch_up() is None
        assert contents(to) == at_once(city, new(), height)


def test_one_that_runs_on_holds_the_same(city: City, new: Callable[[], str]) -> None:
    chain, to = Growing(city.genesis), new()
    index = Index(chain, open_database(to))
    for height in range(1, city.height + 1):
        chain.grow(city, height)
        index.catch_up()
    assert contents(to) == at_once(city, new())


def test_what_is_not_final_is_replaced_by_another_branch(city: City, new: Callable[[], str]) -> None:
    chain, to = Growing(city.genesis), new()
    chain.grow(city, 30)
    index = Index(chain, open_database(to))
    index.catch_up()
    final = chain.final
    left = chain.main[:28]
    stray = city.stray(left[-1], slot=29 + 5)
    chain.main = [*left, stray]
    index.catch_up()
    ids = [block.id.hex() for block in chain.main]
    assert [row[0] for row in rows(to, "SELECT id FROM blocks ORDER BY height")] == ids
    assert rows(to, "SELECT count(*) FROM blocks WHERE final") == [(final,)]
    chain.grow(city, city.height)
    index.catch_up()
    assert contents(to) == at_once(city, new())


class Failing(Database):
    """A database that goes away before its statement number ``fails_at``, or right after a commit was done."""

    def __init__(self, memory: Any, fails_at: int) -> None:
        super().__init__("a database", memory.cursor, duckdb, ("IOException",), "?")
        self.left = fails_at

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with super().transaction() as transaction:
            run = transaction._run
            transaction._run = lambda *arguments: self._count() or run(*arguments)  # type: ignore[func-returns-value]
            yield transaction
            self._count()
        self._count()

    def _count(self) -> None:
        self.left -= 1
        if not self.left:
            raise DatabaseAway("it went away")


def test_wherever_the_database_goes_away_it_goes_on_and_nothing_is_twice(city: City, tmp_path: Path) -> None:
    expected, fails_at, is_done = at_once(city, str(tmp_path / "whole.duckdb")), 0, False
    while not is_done:
        fails_at += 1
        chain, database = Growing(city.genesis), Failing(duckdb.connect(), fails_at)
        index, is_done = Index(chain, database), True
        for height in (20, city.height):
            chain.grow(city, height)
            try:
                index.catch_up()
            except DatabaseAway:
                is_done = False
                index.catch_up()
        database.left = 0
        assert contents(database) == expected
    assert fails_at > 20


def test_a_server_that_is_killed_is_found_again(city: City, server: postgres.Server) -> None:
    chain, to = Growing(city.genesis), server.new()
    chain.grow(city, 20)
    index = Index(chain, open_database(to))
    index.catch_up()
    chain.grow(city, city.height)
    asked = chain.blocks

    def killing(start: int, count: int) -> list[Block]:
        server.kill()
        return asked(start, count)

    chain.blocks = killing  # type: ignore[method-assign]
    with pytest.raises(DatabaseAway, match="cannot be reached now"):
        index.catch_up()
    chain.blocks = asked  # type: ignore[method-assign]
    server.start()
    index.catch_up()
    assert contents(to) == at_once(city, server.new())


def test_a_reader_of_duckdb_is_waited_for(city: City, tmp_path: Path) -> None:
    chain, to = Growing(city.genesis), str(tmp_path / "x.duckdb")
    chain.grow(city, 20)
    index = Index(chain, open_database(to))
    index.catch_up()
    chain.grow(city, city.height)
    code = "import duckdb, sys; held = duckdb.connect(sys.argv[1], read_only=True); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code, to], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        reader.stdout.readline()
        with pytest.raises(DatabaseAway):
            index.catch_up()
        reader.communicate(b"\n")
    index.catch_up()
    assert contents(to) == at_once(city, str(tmp_path / "whole.duckdb"))


# --------------------------------------------------------------------------------------------- what is refused


def test_two_processes_do_not_write_one_index(city: City, new: Callable[[], str]) -> None:
    chain, to = Growing(city.genesis), new()
    chain.grow(city, 20)
    first, second = (Index(chain, open_database(to)) for _ in range(2))
    first.catch_up()
    second.catch_up()
    chain.grow(city, city.height)
    second.catch_up()
    with pytest.raises(OperatorError, match="another process writes"):
        first.catch_up()
    assert contents(to) == at_once(city, new())


def test_an_index_of_another_chain_is_refused(city: City, new: Callable[[], str]) -> None:
    to = new()
    at_once(city, to)
    other = City()
    other.block()
    chain = Growing(other.genesis, [city.stray(city.blocks[3], slot=9)] * 60, 50)
    with pytest.raises(OperatorError, match="is not on this chain; make another index"):
        Index(chain, open_database(to)).catch_up()


def test_a_chain_that_is_not_as_far_is_said_and_changes_nothing(told: Told, tmp_path: Path) -> None:
    to, fresh = str(tmp_path / "x.duckdb"), tmp_path / "fresh"
    assert run("--to", to, "--home", str(told.home), "--once").exit_code == 0
    held = contents(to)
    with open_view(told.home) as view:
        create_home(fresh, view.genesis, secret(1).seed, HomeConfig())
    ended = run("--to", to, "--home", str(fresh), "--once")
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert (
        "final up to height 45, and what is followed here goes only up to 0; follow one that is as far" in ended.stderr
    )
    assert {**contents(to), "blocks": None} == {**held, "blocks": None}


def test_one_that_runs_on_waits_for_a_chain_that_is_not_as_far(city: City, new: Callable[[], str]) -> None:
    chain, to = Growing(city.genesis), new()
    chain.grow(city, 30)
    index = Index(chain, open_database(to))
    index.catch_up()
    chain.grow(city, 9)
    with pytest.raises(NodeAway, match="only up to"):
        index.catch_up()
    chain.grow(city, city.height)
    index.catch_up()
    assert contents(to) == at_once(city, new())


def test_a_database_with_tables_of_others_is_left_alone(city: City, new: Callable[[], str]) -> None:
    to = new()
    with open_database(to).transaction() as transaction:
        transaction.rows("CREATE TABLE members (mine BIGINT)")
    with pytest.raises(OperatorError, match="give it a database of its own"):
        at_once(city, to)
    assert rows(to, "SELECT count(*) FROM members") == [(0,)]


# ------------------------------------------------------------------------------------------------------ Parquet


@pytest.fixture(scope="module")
def days() -> City:
    """A city over three days; the third is not over."""
    city, first = lively_city(), 86_400
    for day in (1, 2):
        for slot in range(20):
            city.block(slot=first * day + slot)
    return city


def test_complete_days_are_written_once_and_always_the_same(days: City, new: Callable[[], str], tmp_path: Path) -> None:
    to, folder, again = new(), tmp_path / "lake", tmp_path / "again"
    at_once(days, to)
    assert export(open_database(to), folder) == ["2023-11-14", "2023-11-15"]
    assert export(open_database(to), folder) == []
    written = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    names = {table.name for table in HISTORIES}
    assert {str(path) for path in written} == {
        f"{name}/day={day}/{name}.parquet" for name in names for day in ("2023-11-14", "2023-11-15")
    }
    (folder / "blocks/day=2023-11-14/blocks.parquet").unlink()
    assert export(open_database(to), folder) == ["2023-11-14"]
    export(open_database(to), again)
    for place in (folder, again):
        assert {path.relative_to(place): path.read_bytes() for path in place.rglob("*") if path.is_file()} == written
    for table in HISTORIES:
        found = duckdb.sql(
            f"SELECT count(*) FROM read_parquet('{folder}/{table.name}/*/*.parquet', hive_partitioning = true)"
        )
        assert found.fetchall() == rows(to, f"SELECT count(*) FROM {table.name} WHERE day < '2023-11-16'")


def test_both_databases_give_the_same_parquet(days: City, server: postgres.Server, tmp_path: Path) -> None:
    for name, to in (("a", str(tmp_path / "x.duckdb")), ("b", server.new())):
        at_once(days, to)
        export(open_database(to), tmp_path / name)
    a, b = (sorted((tmp_path / name).rglob("*.parquet")) for name in "ab")
    assert [path.read_bytes() for path in a] == [path.read_bytes() for path in b]


# ------------------------------------------------------------------------------------------------- the command


def run(*arguments: str) -> Any:
    return CliRunner().invoke(command, list(arguments))


def test_the_command_catches_up_and_says_so(told: Told, tmp_path: Path) -> None:
    arguments = ("--to", str(tmp_path / "x.duckdb"), "--home", str(told.home), "--once")
    ended = run(*arguments)
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert ended.stdout == "final up to 45, head 50: 45 final blocks more, 38 transactions\n"
    document = json.loads(run(*arguments, "--json").stdout)
    assert document == {"height": 50, "final_height": 45, "blocks": 0, "transactions": 0, "days": []}


@pytest.mark.parametrize(
    ("to", "what"),
    [
        (None, "give --to"),
        ("chain.db", "'chain.db' is not an index; write it like index.duckdb or postgresql://user@host/database"),
        ("nowhere/x.duckdb", "nowhere; make it first"),
        ("postgresql://nobody@/none?host=/nowhere", "/none?host=/nowhere cannot be reached now: "),
    ],
)
def test_mistakes_are_told_in_one_sentence(told: Told, to: str | None, what: str) -> None:
    ended = run(*([] if to is None else ["--to", to]), "--home", str(told.home), "--once")
    assert (ended.exit_code, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert what in line


def test_a_password_is_not_repeated(told: Told) -> None:
    ended = run("--to", "postgresql://me:secret@localhost:1/none", "--home", str(told.home), "--once")
    assert ended.exit_code == 2
    assert "secret" not in ended.output


def test_a_library_that_is_missing_is_named(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    ended = run("--to", "x.duckdb", "--home", str(told.home), "--once")
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr == "error: an index needs duckdb; install it with `.uv/bin/uv sync --extra index`\n"


def test_the_page_is_what_the_tables_say() -> None:
    assert PAGE.read_text("utf-8") == page(), "python scripts/index.py --write"


def test_every_column_is_told_in_words() -> None:
    assert [column.name for table in TABLES for column in table.columns if len(column.what) < 5] == []
