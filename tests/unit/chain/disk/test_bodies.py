"""Bodies of old blocks: dropped when their window has passed, gone from every file, put back where they are lost."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from chain.base.codec import encode
from chain.base.errors import OperatorError, Reason
from chain.disk import bodies
from chain.disk.bodies import Missing
from chain.disk.database import DATABASE
from chain.disk.reader import Reader
from chain.disk.recheck import recheck
from chain.disk.schema import seal
from chain.disk.storage import Storage
from chain.disk.stored import BodyGone, is_bare
from chain.protocol.messages import RawItems
from tests.support.forgetting import BODIES_DAYS, ForgettingCity, found_in, prune
from tests.support.homes import look_up, tamper
from tests.support.refusals import refusal

KEPT = 5


@pytest.fixture(scope="module")
def city() -> ForgettingCity:
    return ForgettingCity()


@pytest.fixture(scope="module")
def full(city: ForgettingCity, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return city.write(tmp_path_factory.mktemp("city") / "home")


@pytest.fixture
def home(full: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(full, tmp_path / "home"))


@pytest.fixture
def reader(home: Path, city: ForgettingCity) -> Iterator[Reader]:
    with closing(Reader(home / DATABASE, city.genesis)) as reader:
        yield reader


def settled(home: Path, city: ForgettingCity) -> int:
    with closing(Reader(home / DATABASE, city.genesis)) as reader:
        header = reader.snapshot_header()
    assert header is not None
    return header.height


def test_a_full_home_holds_everything_that_was_ever_said(home: Path, city: ForgettingCity) -> None:
    assert {what for what in city.gone if any(what in found for found in found_in(home, city.gone))} == {*city.gone}


def test_of_what_ended_nothing_is_in_any_file_of_a_pruned_home_whose_window_has_passed(
    home: Path, city: ForgettingCity
) -> None:
    assert prune(home, city) > 0
    assert list(found_in(home, city.gone)) == []


def test_bodies_of_the_window_stay_and_older_ones_go(home: Path, city: ForgettingCity) -> None:
    kept = settled(home, city) - BODIES_DAYS
    assert prune(home, city) == kept - 1
    with closing(Reader(home / DATABASE, city.genesis)) as reader:
        assert reader.oldest_body() == kept
        assert [block.id for block in reader.blocks(kept, 1_000)] == [block.id for block in city.blocks[kept - 1 :]]
        with pytest.raises(BodyGone, match=f"no transactions of height {kept - 1} any more"):
            reader.block_at(kept - 1)
        assert [header.id for header, _ in reader.headers(1, 1_000)] == [block.id for block in city.blocks]
        assert [count for _, count in reader.headers(1, 1_000)] == [len(block.transactions) for block in city.blocks]
        assert [ballot for _, ballot in reader.votings(1, 1_000)] == [block.ballot for block in city.blocks]
    assert look_up(home, "SELECT count(*) FROM transactions JOIN blocks ON block = number WHERE height < ?", kept) == 0


def test_a_pruned_home_goes_on_from_where_it_was(home: Path, city: ForgettingCity) -> None:
    prune(home, city)
    with closing(Storage(home / DATABASE, city.genesis)) as storage:
        chain, _ = storage.load()
        assert chain.head.header.id == city.blocks[-1].id
        assert storage.bodies.drop() == 0


def test_headings_of_all_blocks_are_handed_out_and_bodies_that_are_here(home: Path, city: ForgettingCity) -> None:
    tip, kept = city.blocks[-1].id, settled(home, city) - BODIES_DAYS
    prune(home, city)
    with closing(Reader(home / DATABASE, city.genesis)) as reader:
        assert len(list(reader.headings(tip, 1))) == len(city.blocks)
        assert len(list(reader.branch(tip, kept))) == len(city.blocks) - kept + 1
        assert refusal(lambda: list(reader.branch(tip, kept - 1))) is Reason.BODY_GONE
        assert reader.damaged == {}


def test_what_lost_long_ago_goes_and_so_does_what_waited_too_long(home: Path, city: ForgettingCity) -> None:
    old = city.stray(city.blocks[5], slot=30)
    waits = city.eve.sign(city.blocks[0].transactions[0].action, expiry_height=12)
    still = city.eve.sign(city.blocks[0].transactions[0].action, expiry_height=99)
    with closing(Storage(home / DATABASE, city.genesis)) as storage, storage._database.transaction():
        storage._insert(old, is_main=False)
        storage._database.put("waiting", RawItems((waits.raw, still.raw)).encode())
    prune(home, city)
    with closing(Storage(home / DATABASE, city.genesis)) as storage:
        assert storage.waiting() == (still.raw,)
    assert look_up(home, "SELECT count(*) FROM blocks WHERE main = 0") == 0


def test_of_what_lost_headings_stay(tmp_path: Path, city: ForgettingCity, monkeypatch: pytest.MonkeyPatch) -> None:
    # given somebody who makes another block on each one, which nobody else builds on
    monkeypatch.setattr(bodies, "LOST_BLOCKS_KEPT", KEPT)
    strays = [city.stray(block, slot=block.header.slot + 2) for block in city.blocks]
    # when the others go on for long
    home = city.write(tmp_path / "home", beside=strays)
    # then the disk holds what the last of them say, and the headings of all
    end = settled(home, city) - KEPT
    with closing(Reader(home / DATABASE, city.genesis)) as reader:
        assert [header.id for header, _ in reader.headers(1, 1_000, main=False)] == [block.id for block in strays]
        said = [block.header.height for block in strays if not is_bare(reader.raw_block(block.id) or b"")]
        assert said == list(range(end, strays[-1].header.height + 1))
        with pytest.raises(BodyGone, match="no transactions of height 2 any more"):
            reader.block(strays[0].id)
    known = "SELECT count(*) FROM transactions JOIN blocks ON block = number WHERE main = 0 AND height < ?"
    assert look_up(home, known, end) == 0
    # and it is whole, and starts with them
    with closing(Reader(home / DATABASE, city.genesis)) as reader, ThreadPoolExecutor(1) as pool:
        report = recheck(reader, city.genesis, pool, lambda _count: None)
        assert (report.problems, report.side_blocks) == ([], len(strays))
    with closing(Storage(home / DATABASE, city.genesis)) as storage:
        chain, _ = storage.load()
        assert chain.head.header.id == city.blocks[-1].id


def test_a_damaged_old_block_is_not_handed_out_and_noted(home: Path, city: ForgettingCity, reader: Reader) -> None:
    spoil(home, city, 5)
    tip = city.blocks[-1].id
    assert list(reader.branch(tip, 3)) == reader.raw_blocks(3, 2)
    assert reader.damaged == {5: city.blocks[4].id}
    assert refusal(lambda: list(reader.branch(tip, 5))) is Reason.BODY_GONE
    assert len(list(reader.branch(tip, 6))) == len(city.blocks) - 5


def spoil(home: Path, city: ForgettingCity, height: int) -> None:
    """Flip a bit in the last transaction of a block."""
    stored = look_up(home, "SELECT body FROM blocks WHERE height = ?", height)
    wrong = stored[:-8] + bytes([stored[-8] ^ 1]) + stored[-7:]
    tamper(home, "UPDATE blocks SET body = ? WHERE height = ?", wrong, height)


def test_a_damaged_block_is_mended_from_what_another_has(home: Path, city: ForgettingCity) -> None:
    before = look_up(home, "SELECT body FROM blocks WHERE height = 5")
    spoil(home, city, 5)
    with closing(Storage(home / DATABASE, city.genesis)) as storage:
        assert storage.bodies.missing(1, 20) == [Missing(5, city.blocks[4].id)]
        storage.bodies.restore(city.blocks[4])
        assert storage.bodies.missing(1, 20) == []
    assert look_up(home, "SELECT body FROM blocks WHERE height = 5") == before


def test_a_damaged_body_is_dropped_like_any(home: Path, city: ForgettingCity) -> None:
    spoil(home, city, 5)
    prune(home, city)
    assert list(found_in(home, city.gone)) == []


def test_bodies_can_be_brought_back(home: Path, city: ForgettingCity) -> None:
    whole = look_up(home, "SELECT count(*) FROM transactions")
    prune(home, city)
    with closing(Storage(home / DATABASE, city.genesis)) as storage:
        for missing in storage.bodies.missing(1, 1_000):
            storage.bodies.restore(city.blocks[missing.height - 1])
        storage.bodies.lower(1)
        assert storage.bodies.missing(1, 1_000) == []
    with closing(Reader(home / DATABASE, city.genesis)) as reader:
        assert [block.id for block in reader.blocks(1, 1_000)] == [block.id for block in city.blocks]
        assert reader.oldest_body() == 1
    assert look_up(home, "SELECT count(*) FROM transactions") == whole


def test_the_file_is_written_anew_now_and_then(home: Path, city: ForgettingCity) -> None:
    with closing(Storage(home / DATABASE, city.genesis)) as storage:
        bodies = storage.bodies
        assert bodies.is_worn, "it was never"
        bodies.wipe()
        assert not bodies.is_worn
        bodies.drop(1)
        assert bodies.is_worn, "a tenth of ten days is one"
        bodies.wipe()
        bodies.stop_overwriting()
        assert bodies.is_worn, "what was deleted meanwhile is still there"


def test_the_number_of_the_oldest_body_is_guarded(home: Path, city: ForgettingCity) -> None:
    prune(home, city)
    tamper(home, "UPDATE meta SET value = ? WHERE key = 'bodies'", seal(b"other", encode((3,))))
    with closing(Reader(home / DATABASE, city.genesis)) as reader, pytest.raises(OperatorError, match="is damaged"):
        reader.oldest_body()
