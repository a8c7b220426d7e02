"""How a register grows: the made-up register is one that the rules could have made, and its figures are told."""

from __future__ import annotations

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner

from chain.base.errors import OperatorError
from chain.branches.lightchain import LightChain
from chain.consensus.headers import verify_header
from chain.consensus.statements import NO_TAG
from chain.content.actions import Enrol
from chain.content.blocks import Heading, decode_heading, heading_of
from chain.content.genesis import load_genesis
from chain.disk import rebuild
from chain.disk.database import DATABASE
from chain.disk.reader import Reader
from chain.disk.schema import page_seal
from chain.disk.storage import Storage
from chain.protocol.production import Producer
from chain.register.entries import Authority, Member, Record
from chain.tree.planting import pages_between
from chain.tree.statetree import StateTree
from scripts.bench_parts import register as registers
from scripts.bench_parts import startup
from scripts.bench_parts.chainwork import extend, unsigned
from scripts.bench_parts.figures import Figure
from scripts.bench_parts.mixed import MAKER
from scripts.bench_parts.register import Register
from scripts.bench_parts.startup import best, disk_mb, look_up, node_costs
from scripts.chaindata_parts.soundness import examine
from scripts.growth import growth
from scripts.growth_parts import report, study
from scripts.growth_parts.kept import Kept, load
from scripts.growth_parts.plot import draw
from scripts.growth_parts.study import Row

MEMBERS, ORIGINALS, RECORDS = 200, 50, 5
TABLES = ("state", "page", "agenda", "given", "standings", "ranks")


@pytest.fixture(params=[256, 16], ids=["heap by heap", "subtrees at once"])
def _heaps(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 256 heaps this register fills none with more than a page."""
    monkeypatch.setattr(rebuild, "HEAPS", request.param)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A register of which three in four members are copies."""
    monkeypatch.setattr(registers, "MAX_ORIGINALS", ORIGINALS)
    monkeypatch.setattr(rebuild, "PORTION", 700)  # so that it takes several
    Register(MEMBERS, RECORDS).write(tmp_path / "home")
    return tmp_path / "home"


def test_every_explanation_adds_up(home: Path) -> None:
    reader = Reader(home / DATABASE, load_genesis(home / "genesis.json"))
    members = {key[1:]: entry for key, entry in reader.entries(b"m") if isinstance(entry, Member)}
    records = [entry for _, entry in reader.entries(b"d") if isinstance(entry, Record)]
    authorities = [entry for _, entry in reader.entries(b"a") if isinstance(entry, Authority)]
    assert (len(members), len(records)) == (MEMBERS, MEMBERS * RECORDS)
    assert sum(authority.filed for authority in authorities) == len(records)
    assert sum(not record.counts for record in records) == sum(member.suspended for member in members.values()) > 0
    found = [(rank, sum(line.points for line in lines)) for rank, lines in (look_up(reader, one) for one in members)]
    ranked = sorted((score for _, score in found), reverse=True)
    assert all(rank == 1 + ranked.index(score) for rank, score in found)
    assert [score for score, _ in best(reader)] == ranked[: startup.TOP]
    reader.close()


@pytest.mark.usefixtures("_heaps")
def test_what_follows_from_the_entries_is_what_blocks_would_have_made_of_them(home: Path) -> None:
    genesis = load_genesis(home / "genesis.json")
    with closing(Storage(home / DATABASE, genesis)) as storage:
        chain, _ = storage.load()
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        entries = {key: value[:-4] for key, value in connection.execute("SELECT key, value FROM state")}
        assert chain.head.header.state_root == StateTree.build(entries.items()).root
        pages = dict(connection.execute("SELECT k, v FROM page"))
    grown = pages_between(StateTree(), StateTree.build(entries.items()))
    assert pages == {path: page_seal(path, page) for path, page in grown.items()}
    with ThreadPoolExecutor(1) as pool:
        examined = examine(home, genesis, pool, lambda _: None)
    assert [each for each in examined.damage if each.table in TABLES] == []
    assert not (home / "chain.heaps").exists()


def test_a_node_starts_with_it_and_goes_on(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "calm_collector", lambda: None)  # this process has other tests to run
    before = disk_mb(home)
    costs = node_costs(home)
    assert costs.entries > MEMBERS * (2 + RECORDS)
    for block in (costs.cold, costs.warm):
        assert block.apply.cpu_s > block.root.cpu_s > 0
        assert block.store.cpu_s > 0
    assert 300 < costs.proof_bytes < 1_000
    assert costs.memory_mb > 0
    assert costs.peak_mb > 0
    assert disk_mb(home) > before
    storage = Storage(home / DATABASE, load_genesis(home / "genesis.json"))
    chain, _ = storage.load()  # checks the root
    storage.close()
    assert len(chain.ledger.state) > costs.entries


def test_a_follower_of_headers_believes_its_chain(home: Path) -> None:
    genesis = load_genesis(home / "genesis.json")
    with closing(Storage(home / DATABASE, genesis)) as storage:
        chain, signing = storage.load()
        assert signing is not None
        producer = Producer(genesis, MAKER, signing, NO_TAG)
        raws = extend(
            chain, [producer], [unsigned(genesis.id, sha256(bytes((at,))).digest(), 0, Enrol()) for at in range(256)]
        )
    with closing(Reader(home / DATABASE, genesis)) as reader:
        raws = [*reader.raw_blocks(1, 1), *raws]
    light = LightChain(genesis)
    for raw in raws:
        header, ballot = decode_heading(heading_of(raw))
        light.add(Heading(verify_header(header, genesis.id), ballot))
    assert light.final.header.height >= 1


def test_members_must_be_whole_copies() -> None:
    with pytest.raises(OperatorError, match="ask for another number"):
        Register(registers.MAX_ORIGINALS + 1, 1)


def test_what_does_not_fit_is_not_begun(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="can be used"):
        study.measure(10**12, tmp_path, keep=False)
    assert not any(tmp_path.iterdir())


def test_a_study_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registers, "MAX_ORIGINALS", ORIGINALS)
    monkeypatch.setattr(study, "IMPORTED", 500)
    monkeypatch.setattr(study, "apart", lambda measure, home: measure(home))
    (tmp_path / "register-100.unfinished").mkdir()
    arguments = ["--members", "100", "--only", "registers", "--at", str(tmp_path), "--json"]
    first = CliRunner().invoke(growth, arguments)
    assert first.exit_code == 0, first.stderr
    (row,) = json.loads(first.stdout)["registers"]
    assert (row["members"], row["import_share"] > 0) == (100, True)
    monkeypatch.setattr(study, "measure", None)
    assert CliRunner().invoke(growth, arguments).stdout == first.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["figures.json"]


def test_what_is_kept_is_as_it_was_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registers, "MAX_ORIGINALS", ORIGINALS)
    monkeypatch.setattr(study, "IMPORTED", 500)
    monkeypatch.setattr(study, "apart", lambda measure, home: measure(home))
    # given a register that was measured, so that blocks stand on it, and is kept
    measured = [study.measure(100, tmp_path, keep=True)]
    (home,) = tmp_path.iterdir()
    # then it has none of them, and can be measured again
    with closing(Reader(home / DATABASE, load_genesis(home / "genesis.json"))) as reader:
        assert reader.raw_blocks(2, 1) == []
    measured.append(study.measure(100, tmp_path, keep=True))
    assert len({row.entries for row in measured}) == 1
    # and whoever joins from it finds it made and alone
    assert [study.build(100, tmp_path)] == list(tmp_path.iterdir()) == [home]


SMALL = Row(
    members=1_000,
    entries=13_000,
    build_s=1,
    disk_mb=2,
    memory_mb=60,
    peak_mb=61,
    start_ms=3,
    start_wall_ms=4,
    proof_bytes=700,
    proof_ms=0.2,
    block_ms=20,
    root_ms=9,
    cold_ms=30,
    cold_wall_ms=40,
    cold_root_ms=12,
    store_ms=10,
    store_wall_ms=20,
    import_share=1.25,
    verify_per_s=20_000,
    member_ms=1,
    top_ms=1,
)
LARGE = replace(SMALL, members=2_000_000, entries=26_000, disk_mb=4_000, proof_bytes=734, cold_ms=62)
HEADERS = Figure("headers, a CPU second", 4_900, "/s", "≥ 5000", "by follow.py")
KEPT = Kept({row.members: row for row in (LARGE, SMALL)}, {"headers": [HEADERS]})


def test_a_country_is_extrapolated() -> None:
    lines = {what: (slope, then) for what, slope, then in report.country_sheet([SMALL, LARGE]).rows}
    assert lines["state on disk"] == ("2,000 bytes a member", "2.8 TB")
    assert lines["memory, start-up"] == ("none", "60 MB, 3 ms")
    assert lines["a proof"] == ("+3 bytes a doubling", "763 bytes")
    assert lines["applying cold, CPU alone"][1] == "5,582/s of 444/s"
    noisy = {what: (slope, then) for what, slope, then in report.country_sheet([SMALL, replace(LARGE, cold_ms=1)]).rows}
    assert noisy["applying cold, CPU alone"][1] == "500,000/s of 444/s"  # as the largest, and no faster
    with pytest.raises(OperatorError, match="two sizes"):
        report.country_sheet([SMALL])


def test_each_goal_is_beside_what_was_measured() -> None:
    lines = [row[:4] for row in report.goals_sheet(KEPT).rows]
    assert ("1,000 members: memory", "60 MB", "≤ 350", "yes") in lines
    assert ("2,000,000 members: memory", "60 MB", "≤ 500", "yes") in lines
    assert ("– importing, signatures known", "1.25 × the verify rate", "≥ 1.2", "yes") in lines
    assert lines[-1] == ("headers, a CPU second", "4,900/s", "≥ 5000", "NO")


def test_the_manual_is_written_again(tmp_path: Path) -> None:
    manual, figures = tmp_path / "growth.md", tmp_path / "growth.json"
    manual.write_text(report.MANUAL.read_text(encoding="utf-8"), encoding="utf-8")
    KEPT.store(figures)
    kept = load(figures)
    assert kept == KEPT
    assert kept.rows == [SMALL, LARGE]
    for _ in range(2):
        report.write_manual(kept, manual)
        text = manual.read_text(encoding="utf-8")
        assert text.count("| 26,000 |") == text.count("| 2.8 TB |") == text.count("| 4,900/s |") == 1
    pictures = [tmp_path / f"{number}.svg" for number in range(2)]
    for picture in pictures:
        draw(kept.rows, picture)
    assert pictures[0].read_bytes() == pictures[1].read_bytes()


def test_the_manual_tells_what_was_measured(tmp_path: Path) -> None:
    manual = tmp_path / "growth.md"
    text = report.MANUAL.read_text(encoding="utf-8")
    manual.write_text(text, encoding="utf-8")
    report.write_manual(load(report.MANUAL.with_suffix(".json")), manual)
    assert manual.read_text(encoding="utf-8") == text
