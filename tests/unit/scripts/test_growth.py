"""How a register grows: the made-up register is one that the rules could have made, and its figures are told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from chain import rebuild
from chain.database import DATABASE
from chain.entries import Authority, Member, Record
from chain.errors import OperatorError
from chain.genesis import load_genesis
from chain.reader import Reader
from chain.storage import Storage
from scripts.bench_parts import register as registers
from scripts.bench_parts import startup
from scripts.bench_parts.register import Register
from scripts.bench_parts.startup import best, disk_mb, look_up, node_costs
from scripts.growth_parts import report, study
from scripts.growth_parts.plot import draw
from scripts.growth_parts.study import Row

MEMBERS, ORIGINALS, RECORDS = 200, 50, 5


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


def test_a_node_starts_with_it_and_goes_on(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "calm_collector", lambda: None)  # this process has other tests to run
    before = disk_mb(home)
    costs = node_costs(home)
    assert costs.entries > MEMBERS * (2 + RECORDS)
    assert costs.start.cpu_s > 0
    assert costs.block.cpu_s > 0
    assert costs.store.cpu_s > 0
    assert 300 < costs.proof_bytes < 1_000
    assert costs.memory_mb > 0
    assert costs.peak_mb > 0
    assert disk_mb(home) > before
    storage = Storage(home / DATABASE, load_genesis(home / "genesis.json"))
    chain, _ = storage.load()  # checks the root
    storage.close()
    assert len(chain.ledger.state) > costs.entries


def test_members_must_be_whole_copies() -> None:
    with pytest.raises(OperatorError, match="ask for another number"):
        Register(registers.MAX_ORIGINALS + 1, 1)


def test_what_does_not_fit_is_not_begun(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="can be used"):
        study.measure(10**12, tmp_path)
    assert not any(tmp_path.iterdir())


SMALL = Row(
    members=1_000,
    entries=13_000,
    disk_mb=2,
    memory_mb=60,
    peak_mb=61,
    start_s=0.1,
    start_wall_s=0.2,
    proof_bytes=700,
    block_ms=20,
    block_wall_ms=30,
    store_ms=10,
    store_wall_ms=20,
    member_ms=1,
    top_ms=1,
)
LARGE = replace(SMALL, members=2_000, entries=26_000, disk_mb=4, memory_mb=70, start_s=0.2, proof_bytes=734)


def test_a_country_is_extrapolated() -> None:
    lines = {what: (slope, then) for what, slope, then in report.country_sheet([SMALL, LARGE]).rows}
    assert lines["state on disk"] == ("2,000 bytes a member", "2.8 TB")
    assert lines["state in memory"] == ("10,000 bytes a member", "14.0 TB")
    assert lines["start-up, one core"] == ("100 µs a member", "39 h")
    assert lines["a proof"] == ("+34 bytes a doubling", "1,394 bytes")
    assert lines["applying, were the state in memory"][1] == "25,000/s of 444/s"
    noisy = {
        what: (slope, then) for what, slope, then in report.country_sheet([SMALL, replace(LARGE, block_ms=1)]).rows
    }
    assert noisy["applying, were the state in memory"][1] == "500,000/s of 444/s"  # as the largest, and no faster
    with pytest.raises(OperatorError, match="two sizes"):
        report.country_sheet([SMALL])


def test_the_manual_is_written_again(tmp_path: Path) -> None:
    manual, figures = tmp_path / "growth.md", tmp_path / "growth.json"
    manual.write_text(report.MANUAL.read_text(encoding="utf-8"), encoding="utf-8")
    study.store([LARGE, SMALL], figures)
    rows = study.load(figures)
    assert rows == [SMALL, LARGE]
    for _ in range(2):
        report.write_manual(rows, manual)
        text = manual.read_text(encoding="utf-8")
        assert text.count("| 26,000 |") == text.count("| 14.0 TB |") == 1
    pictures = [tmp_path / f"{number}.svg" for number in range(2)]
    for picture in pictures:
        draw(rows, picture)
    assert pictures[0].read_bytes() == pictures[1].read_bytes()


def test_the_manual_tells_what_was_measured(tmp_path: Path) -> None:
    rows = study.load(report.MANUAL.with_suffix(".json"))
    manual = tmp_path / "growth.md"
    text = report.MANUAL.read_text(encoding="utf-8")
    manual.write_text(text, encoding="utf-8")
    report.write_manual(rows, manual)
    assert manual.read_text(encoding="utf-8") == text
