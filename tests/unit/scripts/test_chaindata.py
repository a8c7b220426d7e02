"""What looks after a home's database: nothing foreign or altered gets in, and nothing is lost on the way."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, nullcontext
from itertools import count
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from chain.base.errors import OperatorError
from chain.content.blocks import Block, encode_block
from chain.disk.database import DATABASE
from chain.disk.reader import Reader
from chain.disk.schema import OLDER_FORMATS, seal
from chain.disk.storage import Storage
from p2p.local.config import MODES, HomeConfig
from p2p.local.home import create_home, locked
from scripts.chaindata import chaindata
from scripts.chaindata_parts import chainfile
from tests.support.forgetting import ForgettingCity, found_in
from tests.support.homes import look_up, make_older, tamper
from tests.support.killing import count_steps, kill_at, moments
from tests.support.registered import City, city_policy
from tests.support.running import ROOT
from tests.support.world import secret
from tests.unit.chain.disk.test_bodies import spoil

FLIPS = 60


@pytest.fixture(scope="module")
def city() -> ForgettingCity:
    return ForgettingCity()


@pytest.fixture(scope="module")
def full(city: ForgettingCity, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = city.write(tmp_path_factory.mktemp("city") / "home")
    (home / "config.toml").write_text("", "utf-8")
    return home


@pytest.fixture(scope="module")
def exported(full: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("exported") / "city.chain"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chainfile, "PART_BLOCKS", 8)  # so that a short chain has several parts
        assert run("export", full, str(file)).exit_code == 0
    return file


@pytest.fixture
def home(full: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(full, tmp_path / "home"))


@pytest.fixture
def older(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the format before, as if that version had had the rules of this one."""
    monkeypatch.setattr("chain.disk.migrate.JUDGED_OTHERWISE", dict.fromkeys(OLDER_FORMATS, ()))
    make_older(home / DATABASE, OLDER_FORMATS[-1])
    return home


@pytest.fixture
def fresh(city: City, tmp_path: Path) -> Path:
    return empty_home(tmp_path / "fresh", city)


def empty_home(path: Path, city: City) -> Path:
    create_home(path, city.genesis, secret(70).seed, HomeConfig())
    return path


def run(command: str, home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(chaindata, [command, *arguments, "--home", str(home)])


def answer(command: str, home: Path, *arguments: str, exit_code: int = 0) -> Any:
    result = run(command, home, *arguments, "--json")
    assert (result.exit_code, result.stderr) == (exit_code, ""), result.stderr
    return json.loads(result.stdout)


def mistake(command: str, home: Path, *arguments: str) -> str:
    """The one sentence on stderr."""
    result = run(command, home, *arguments)
    assert (result.exit_code, result.stdout) == (2, ""), result.stdout
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    return line


def chain_in(home: Path, city: City) -> list[bytes]:
    """What a home's chain says, as far as it is stored; and it opens."""
    with closing(Storage(home / DATABASE, city.genesis)) as storage:
        storage.load()
    with closing(Reader(home / DATABASE, city.genesis)) as reader:
        return reader.raw_blocks(1, 10_000)


# --------------------------------------------------------------------------------------------- out of one, into one


def test_an_imported_chain_is_the_exported_one(full: Path, fresh: Path, exported: Path, city: City) -> None:
    with closing(Reader(full / DATABASE, city.genesis)) as reader:
        final = reader.finalized_height()
    told = answer("import", fresh, str(exported))
    assert (told["blocks"], told["height"]) == (final, final)
    assert told["transactions"] == sum(len(block.transactions) for block in city.blocks[:final])
    assert chain_in(fresh, city) == chain_in(full, city)[:final]
    assert answer("verify", fresh)["ok"]


def test_an_import_goes_on_with_what_is_new(
    home: Path, fresh: Path, exported: Path, city: City, tmp_path: Path
) -> None:
    part = tmp_path / "part"
    assert answer("export", home, str(part), "--to", "20")["height"] == 20
    assert answer("import", fresh, str(part))["blocks"] == 20
    assert answer("import", fresh, str(exported))["blocks"] == len(chain_in(fresh, city)) - 20
    assert answer("import", fresh, str(exported))["blocks"] == 0


def test_only_what_is_final_is_exported_and_nothing_is_overwritten(home: Path, exported: Path, tmp_path: Path) -> None:
    assert "final from height 1 to 43; name one of these" in mistake("export", home, str(tmp_path / "x"), "--to", "44")
    assert "exists already" in mistake("export", home, str(exported))
    assert sorted(tmp_path.iterdir()) == [home]


@pytest.mark.parametrize("number", [0, errno.EPERM, errno.EOPNOTSUPP], ids=["links", "a stick", "a share"])
def test_of_two_exports_at_once_into_one_file_neither_writes_into_the_other(
    home: Path, city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Whether its file system knows links or not."""

    def no_links(_path: Path, _target: Path) -> None:
        raise OSError(number, os.strerror(number))

    if number:
        monkeypatch.setattr(Path, "hardlink_to", no_links)
    processes = count()
    monkeypatch.setattr("os.getpid", lambda: next(processes))
    file = tmp_path / "file"
    blocks = iter(city.blocks[:20])

    def meanwhile() -> Iterator[bytes]:
        yield encode_block(next(blocks))
        assert answer("export", home, str(file))
        yield from map(encode_block, blocks)

    with pytest.raises(OperatorError, match="exists already"):
        chainfile.write_chain(
            file, chainfile.Start(city.genesis.id, 20, city.blocks[19].id), meanwhile(), lambda _: None
        )
    assert [path.name for path in tmp_path.iterdir() if "unfinished" in path.name] == []
    with chainfile.open_chain(file) as source:
        assert sum(len(part.blocks) for part in source.parts()) == source.start.height


def test_a_file_of_another_network_is_refused(tmp_path: Path, exported: Path) -> None:
    other = City(city_policy(name="another"))
    elsewhere = empty_home(tmp_path / "elsewhere", other)
    assert "is of another network" in mistake("import", elsewhere, str(exported))
    assert chain_in(elsewhere, other) == []


def test_what_is_no_such_file_is_refused(fresh: Path, full: Path, tmp_path: Path) -> None:
    assert "is not what `" in mistake("import", fresh, str(full / DATABASE))
    assert "cannot be read" in mistake("import", fresh, str(tmp_path / "none"))


@pytest.mark.parametrize("seed", range(FLIPS))
def test_an_altered_file_is_refused_and_it_is_said_where(
    fresh: Path, exported: Path, city: City, tmp_path: Path, seed: int
) -> None:
    content = bytearray(exported.read_bytes())
    at = Random(seed).randrange(len(content))
    content[at] ^= 1 << Random(seed).randrange(8)
    file = tmp_path / "altered"
    file.write_bytes(content)
    sentence = mistake("import", fresh, str(file))
    if "is damaged in the part that begins at byte " in sentence:
        begins = int(sentence.partition("begins at byte ")[2].partition(",")[0])
        assert begins <= at, sentence
        assert "with block " in sentence
    else:
        assert at < 100, "the magic, the version or the network"
    taken = chain_in(fresh, city)
    assert taken == chain_in_memory(city)[: len(taken)]


def chain_in_memory(city: City) -> list[bytes]:
    return [encode_block(block) for block in city.blocks]


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.7, 0.999])
def test_a_file_that_ends_too_early_is_refused(fresh: Path, exported: Path, tmp_path: Path, share: float) -> None:
    content = exported.read_bytes()
    file = tmp_path / "short"
    file.write_bytes(content[: int(share * len(content))])
    assert "the file ends at byte" in (told := mistake("import", fresh, str(file))) or "is not what" in told


def test_a_part_that_is_left_out_or_added_is_noticed(fresh: Path, exported: Path, tmp_path: Path) -> None:
    with chainfile.open_chain(exported) as source:
        starts = [part.at for part in source.parts()]
    content = exported.read_bytes()
    file = tmp_path / "other"
    file.write_bytes(content[: starts[1]] + content[starts[2] :])
    assert f"byte {starts[1]}, with block 9: its checksum is wrong" in mistake("import", fresh, str(file))
    file.write_bytes(content + b"x")
    assert "more follows where it should end" in mistake("import", fresh, str(file))


def test_a_forged_block_is_refused_whatever_its_checksums(fresh: Path, city: City, tmp_path: Path) -> None:
    blocks = chain_in_memory(city)
    forged = blocks[4].replace(city.blocks[4].header.raw[-64:], bytes(64))
    assert forged != blocks[4]
    file = tmp_path / "forged"
    start = chainfile.Start(city.genesis.id, 10, city.blocks[9].id)
    chainfile.write_chain(file, start, [*blocks[:4], forged, *blocks[5:10]], lambda _: None)
    assert "block 5, in the part that begins at byte" in (told := mistake("import", fresh, str(file)))
    assert "bad_signature" in told
    assert chain_in(fresh, city) == blocks[:4], "what comes before it is kept"


@pytest.mark.parametrize("strange", [(), 2**60], ids=repr)
def test_a_part_that_holds_no_blocks_is_refused_whatever_its_checksums(
    fresh: Path, city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strange: Any
) -> None:
    monkeypatch.setattr(chainfile, "_parts", lambda _: [(strange,)])
    chainfile.write_chain(file := tmp_path / "strange", _start_of(city), (), lambda _: None)
    assert "damaged in the part that begins at byte" in mistake("import", fresh, str(file))


def _start_of(city: City) -> chainfile.Start:
    return chainfile.Start(city.genesis.id, 1, city.blocks[0].id)


def written(file: Path, city: City, blocks: Sequence[Block]) -> str:
    start = chainfile.Start(city.genesis.id, len(blocks), blocks[-1].id)
    chainfile.write_chain(file, start, map(encode_block, blocks), lambda _: None)
    return str(file)


def test_a_chain_that_parts_from_the_homes_own_is_refused(
    fresh: Path, exported: Path, city: City, tmp_path: Path
) -> None:
    stray = city.stray(city.blocks[8], slot=12)
    assert answer("import", fresh, str(exported))["height"] > 10
    other = written(tmp_path / "other", city, [*city.blocks[:9], stray])
    assert "holds another block 10 than" in mistake("import", fresh, other)


def test_a_tip_that_lost_gives_way_and_one_that_may_win_stays(
    fresh: Path, exported: Path, city: City, tmp_path: Path
) -> None:
    # given a home whose newest block, not final, is none of the chain that became final
    stray = city.stray(city.blocks[8], slot=12)
    with_stray = written(tmp_path / "stray", city, [*city.blocks[:9], stray])
    assert answer("import", fresh, with_stray)["height"] == 10
    # when a file brings no more than it has, it is left to its peers
    assert "start the node, which decides" in mistake(
        "import", fresh, written(tmp_path / "as long", city, city.blocks[:10])
    )
    # then what is final takes its place
    told = answer("import", fresh, str(exported))
    assert chain_in(fresh, city) == chain_in_memory(city)[: told["height"]]
    assert look_up(fresh, "SELECT count(*) FROM blocks WHERE main = 0") == 1
    assert answer("verify", fresh)["ok"]


def test_what_was_dropped_or_damaged_comes_back_from_a_file(home: Path, exported: Path, city: ForgettingCity) -> None:
    create_key(home, city)
    answer("prune", home)
    spoil(home, city, 40)
    told = answer("import", home, str(exported))
    assert told["restored"] == look_up(home, "SELECT count(*) FROM blocks WHERE height < 33") + 1
    assert answer("verify", home)["oldest_body"] == 1


def create_key(home: Path, city: City) -> None:
    made = empty_home(home.with_name("made"), city)
    (made / "key").rename(home / "key")
    shutil.rmtree(made)


def test_a_validator_whose_own_words_come_from_a_file_is_silent(city: City, exported: Path, tmp_path: Path) -> None:
    create_home(tmp_path / "one", city.genesis, secret(1).seed, HomeConfig())
    assert answer("import", tmp_path / "one", str(exported))["is_signing_lost"]
    assert look_up(tmp_path / "one", "SELECT count(*) FROM meta WHERE key = 'signing'") == 0


# ------------------------------------------------------------------------------------------------------ verify, stats


def test_a_whole_home_is_whole(home: Path, city: City) -> None:
    told = answer("verify", home)
    assert (told["ok"], told["damage"], told["gone"], told["executed_from_height"]) == (True, [], "", 1)
    assert (told["blocks"], told["bodies"]) == (len(city.blocks), len(city.blocks))
    shown = run("verify", home).stdout
    assert "unnamed" not in shown, "it is about what is wrong and in no list"
    assert "gone" not in shown


def test_of_a_pruned_home_it_is_said_what_is_gone(home: Path, city: City) -> None:
    (home / f"{DATABASE}.aside-1").write_bytes(b"an older one")
    answer("prune", home)
    told = answer("verify", home)
    assert told["ok"]
    assert told["gone"].startswith("what blocks 1 to 32 said")
    assert (told["blocks"], told["bodies"], told["oldest_body"]) == (len(city.blocks), len(city.blocks) - 32, 33)
    assert told["beside"] == ["chain.db.aside-1"]
    assert "may hold what this home dropped" in run("verify", home).stdout


def _wrong(table: str, sql: str, *parameters: Any) -> Any:
    return pytest.param(table, sql, parameters, id=f"{table}: {sql[:40]}")


@pytest.mark.parametrize(
    ("table", "sql", "parameters"),
    [
        _wrong("meta", "UPDATE meta SET value = x'00' WHERE key = 'finalized'"),
        _wrong("meta", "UPDATE meta SET value = ? WHERE key = 'head'", seal(b"head", bytes(32))),
        _wrong("meta", "UPDATE meta SET value = ? WHERE key = 'snapshot_votes'", seal(b"snapshot_votes", b"\x90")),
        _wrong("blocks", "UPDATE blocks SET body = zeroblob(300) WHERE height = 7"),
        _wrong("blocks", "UPDATE blocks SET transactions = 99 WHERE height = 4"),
        _wrong("blocks", "DELETE FROM blocks WHERE height = 20"),
        _wrong("blocks", "UPDATE blocks SET main = 0 WHERE height = 20"),
        _wrong("state", "UPDATE state SET value = x'00' WHERE key = (SELECT min(key) FROM state)"),
        _wrong("state", "DELETE FROM state WHERE key = (SELECT max(key) FROM state)"),
        _wrong("page", "UPDATE page SET v = x'00' WHERE k = 1"),
        _wrong("agenda", "INSERT INTO agenda VALUES (7, x'00')"),
        _wrong("transactions", "DELETE FROM transactions WHERE short = (SELECT min(short) FROM transactions)"),
        _wrong("transactions", "INSERT INTO transactions VALUES (7, 9999)"),
        _wrong("standings", "UPDATE standings SET score = 7 WHERE member = (SELECT min(member) FROM standings)"),
        _wrong("standings", "DELETE FROM standings WHERE member = (SELECT min(member) FROM standings)"),
    ],
)
@pytest.mark.parametrize("is_pruned", [False, True])
def test_damage_is_named_by_its_row_with_a_remedy(
    home: Path, table: str, sql: str, parameters: tuple[Any, ...], is_pruned: bool
) -> None:
    if is_pruned and "height = 4" not in sql and "short = (" not in sql:
        answer("prune", home)
    tamper(home, sql, *parameters)
    told = answer("verify", home, exit_code=1)
    assert not told["ok"]
    assert table in {damage["table"] for damage in told["damage"]}
    assert all(damage["row"] and damage["what"] and damage["remedy"] for damage in told["damage"])


def test_a_damaged_block_is_one_that_peers_have(home: Path, city: ForgettingCity) -> None:
    spoil(home, city, 5)
    (damage,) = answer("verify", home, exit_code=1)["damage"]
    assert (damage["table"], damage["row"]) == ("blocks", "height 5")
    assert damage["remedy"].startswith("start the node: it fetches this block from its peers again")


def test_a_torn_file_is_told_and_no_traceback(home: Path) -> None:
    path = home / DATABASE
    content = bytearray(path.read_bytes())
    for at in range(8_192, len(content) - 4_096, 12_288):
        content[at : at + 4_096] = bytes(4_096)
    path.write_bytes(content)
    result = run("verify", home)
    assert result.exit_code in (1, 2)
    assert "is damaged" in result.stdout + result.stderr
    assert result.exception is None or isinstance(result.exception, SystemExit)


def test_stats(home: Path, city: City) -> None:
    told = answer("stats", home)
    assert (told["head_height"], told["oldest_body"], told["side_blocks"]) == (len(city.blocks), 1, 0)
    assert told["members"] == look_up(home, "SELECT count(*) FROM standings")
    rows = {table["name"]: table["rows"] for table in told["tables"]}
    assert (rows["blocks"], rows["transactions"]) == (len(city.blocks), told["transactions"])
    assert told["bytes"] == (home / DATABASE).stat().st_size


# ------------------------------------------------------------------------------------------------------ prune, compact


def test_a_pruned_home_has_forgotten(home: Path, city: ForgettingCity) -> None:
    told = answer("prune", home)
    assert told["bodies"] == 32
    assert list(found_in(home, city.gone)) == []
    assert answer("prune", home)["bodies"] == 0


def test_an_archive_is_not_pruned(home: Path, city: City) -> None:
    before = chain_in(home, city)
    (home / "config.toml").write_text('mode = "archive"\n', "utf-8")
    assert "is an archive; set mode in" in mistake("prune", home)
    assert chain_in(home, city) == before


def test_compacting_gives_room_back_and_changes_nothing(home: Path, city: City) -> None:
    before = chain_in(home, city)
    with closing(sqlite3.connect(home / DATABASE)) as connection, connection:
        connection.execute("CREATE TABLE ballast (it BLOB)")
        connection.execute("INSERT INTO ballast VALUES (zeroblob(500000))")
        connection.execute("DROP TABLE ballast")
    told = answer("compact", home)
    assert told["before"] - told["after"] > 400_000
    assert chain_in(home, city) == before
    assert answer("verify", home)["ok"]


@pytest.mark.parametrize("command", ["compact", "prune"])
@pytest.mark.parametrize("is_reading", [False, True])
def test_who_has_the_file_open_is_not_left_with_the_old_one(
    home: Path, city: City, command: str, is_reading: bool
) -> None:
    with closing(Reader(home / DATABASE, city.genesis)) as reader:
        with reader.consistent() if is_reading else nullcontext():
            reader.head_height()
            assert "open, and would go on reading the old one" in mistake(command, home)
        assert reader.head_height() == len(city.blocks)
        with closing(Storage(home / DATABASE, city.genesis)) as storage:
            storage.bind(bytes(32))
        assert reader.head_height() == len(city.blocks)
    assert answer(command, home)["after"]


@pytest.mark.parametrize("command", ["compact", "prune"])
def test_without_room_for_a_second_file_the_first_stays(
    home: Path, city: City, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1_000))
    assert "make room for it and try again" in mistake(command, home)
    assert len(chain_in_any(home, city)) == len(city.blocks)
    assert [path.name for path in home.iterdir() if "compact" in path.name] == []


def chain_in_any(home: Path, city: City) -> list[bytes]:
    with closing(Reader(home / DATABASE, city.genesis)) as reader:
        return [header.id for header, _ in reader.headers(1, 10_000)]


@pytest.mark.parametrize("command", ["import", "prune", "compact", "migrate"])
def test_what_writes_needs_the_node_to_be_stopped(fresh: Path, exported: Path, command: str) -> None:
    arguments = [str(exported)] if command == "import" else []
    with locked(fresh):
        assert "is in use by another process; stop its node first" in mistake(command, fresh, *arguments)


def test_what_reads_runs_beside_the_node(home: Path, tmp_path: Path) -> None:
    with locked(home):
        assert answer("stats", home)
        assert answer("verify", home)["ok"]
        assert answer("export", home, str(tmp_path / "file"))


@pytest.mark.parametrize("command", ["verify", "stats", "compact", "prune", "export", "import", "migrate"])
def test_a_folder_that_is_no_home_is_told(tmp_path: Path, command: str) -> None:
    arguments = [str(tmp_path / "file")] if command in ("export", "import") else []
    assert str(tmp_path) in mistake(command, tmp_path, *arguments)


def test_a_database_of_this_version_needs_no_migration(home: Path) -> None:
    assert "is of this version's format already" in mistake("migrate", home)


@pytest.mark.parametrize("form", OLDER_FORMATS)
def test_a_database_of_the_version_before_is_migrated_and_the_older_one_kept(
    home: Path, city: City, form: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "chain.disk.migrate.JUDGED_OTHERWISE", {form: ()}
    )  # as if that version had had the rules of this one
    before = chain_in(home, city)
    make_older(home / DATABASE, form)
    assert "node.py migrate --home" in mistake("verify", home)
    kept = Path(answer("migrate", home)["kept"])
    assert kept.exists()
    assert chain_in(home, city) == before
    assert answer("verify", home)["ok"]


# ---------------------------------------------------------------------------------------------- a disk that is full


@pytest.fixture
def small_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def no_file_above(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize("command", ["export", "compact", "prune", "import"])
def test_a_full_disk_is_one_sentence_and_it_goes_on_when_there_is_room(
    home: Path, fresh: Path, exported: Path, city: City, tmp_path: Path, command: str
) -> None:
    target = fresh if command == "import" else home
    file = {"import": exported, "export": tmp_path / "out"}.get(command)
    arguments = [] if file is None else [str(file)]
    before = chain_in(target, city)
    no_file_above({"import": 80_000, "export": 9_000}.get(command, 40_000))
    assert "room" in (told := mistake(command, target, *arguments)) or "free disk space" in told
    no_file_above(resource.RLIM_INFINITY)
    assert chain_in_any(target, city)[: len(before)] == [block.id for block in city.blocks[: len(before)]]
    assert answer(command, target, *arguments)
    assert answer("verify", target)["ok"]


@pytest.mark.usefixtures("small_files")
def test_a_disk_that_fills_while_it_migrates_keeps_the_older_one_and_what_is_done(
    full: Path, older: Path, city: City
) -> None:
    no_file_above(40_000)
    assert "free disk space" in mistake("migrate", older)
    no_file_above(resource.RLIM_INFINITY)
    stopped = (older / DATABASE).read_bytes()
    assert Path(answer("migrate", older)["kept"]).read_bytes() == stopped
    assert chain_in(older, city) == chain_in(full, city)


# ---------------------------------------------------------------------------------------------------------- SIGKILL


def test_killed_while_it_exports_no_half_of_a_file_is_left(home: Path, city: City, tmp_path: Path) -> None:
    file = tmp_path / "out"
    steps = count_steps(lambda: run("export", home, str(file)))
    whole = file.read_bytes()
    for moment in moments(1, steps):
        file.unlink(missing_ok=True)
        kill_at(lambda: run("export", home, str(file)), moment)
        assert not file.exists() or file.read_bytes() == whole
        assert len(chain_in(home, city)) == len(city.blocks)
    file.unlink(missing_ok=True)
    assert run("export", home, str(file)).exit_code == 0
    assert file.read_bytes() == whole


def test_killed_while_it_imports_it_goes_on(exported: Path, full: Path, city: City, tmp_path: Path) -> None:
    steps = count_steps(lambda: run("import", empty_home(tmp_path / "counted", city), str(exported)))
    home = empty_home(tmp_path / "home", city)
    whole, height = chain_in(full, city), 0
    for moment in moments(2, steps // 10):
        kill_at(lambda: run("import", home, str(exported)), moment)
        taken = chain_in(home, city)
        assert taken == whole[: len(taken)]
        assert len(taken) >= height, "what was durable stays"
        height = len(taken)
    assert run("import", home, str(exported)).exit_code == 0
    assert chain_in(home, city) == whole[:43]


@pytest.mark.parametrize("command", ["compact", "prune"])
def test_killed_while_it_writes_anew_the_home_opens(
    full: Path, city: ForgettingCity, tmp_path: Path, command: str
) -> None:
    counted = shutil.copytree(full, tmp_path / "counted")
    steps = count_steps(lambda: run(command, counted))
    for moment in moments(3, steps):
        home = shutil.copytree(full, tmp_path / f"home{moment}")
        kill_at(lambda home=home: run(command, home), moment)  # type: ignore[misc]
        assert len(chain_in_any(home, city)) == len(city.blocks)
        with closing(Storage(home / DATABASE, city.genesis)) as storage:
            assert storage.load()[0].head.header.id == city.blocks[-1].id
        assert answer(command, home)
        assert answer("verify", home)["ok"]
        assert command == "compact" or list(found_in(home, city.gone)) == []


def test_killed_while_it_migrates_it_goes_on(full: Path, older: Path, city: City, tmp_path: Path) -> None:
    counted = shutil.copytree(older, tmp_path / "counted")
    steps = count_steps(lambda: run("migrate", counted))
    whole = chain_in(full, city)
    for moment in moments(4, steps):
        home = Path(shutil.copytree(older, tmp_path / f"home{moment}"))
        kill_at(lambda home=home: run("migrate", home), moment)  # type: ignore[misc]
        again = run("migrate", home)
        assert again.exit_code == 0 or "is of this version's format already" in again.output
        assert chain_in(home, city) == whole
        assert answer("verify", home)["ok"]


# ----------------------------------------------------------------------------------------------------------- the page


def test_the_page_says_each_command_and_each_mode() -> None:
    page = (ROOT / "scripts/docs/chaindata.md").read_text("utf-8")
    rows = {line.split("|")[1].strip().strip("`").split()[0] for line in page.splitlines() if line.startswith("| `")}
    assert rows == {*chaindata.commands, *MODES}
