"""A real database on files that end as a disk leaves them: what a crash keeps, and what damage comes to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from chain.base.errors import OperatorError
from chain.protocol.events import Commit, SigningState
from scripts.simulation import realdisk
from scripts.simulation.acts import Damage
from scripts.simulation.damage import Files, commit_ends, lied, torn
from scripts.simulation.realdisk import RealDisk
from scripts.simulation.settings import Violation
from scripts.simulation.world import secret, simulated_genesis

GENESIS = simulated_genesis([secret(1)])
COMMITS = 30
SEEDS = range(40)


@pytest.fixture(params=realdisk.CHECKPOINT_PAGES)
def disk(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RealDisk]:
    monkeypatch.setattr(realdisk, "CHECKPOINT_PAGES", (request.param,))
    with filled(tmp_path / "node0") as made:
        yield made


@contextmanager
def filled(folder: Path) -> Iterator[RealDisk]:
    """A disk that took so many commits, the last of which signed as many slots."""
    made = RealDisk(GENESIS, SigningState(), folder)
    try:
        for slot in range(1, COMMITS + 1):
            made.commit(signed(slot))
        yield made
    finally:
        made.crash()


def signed(slot: int) -> Commit:
    return Commit(signing=SigningState(slot=slot))


def test_a_crash_keeps_every_commit(disk: RealDisk) -> None:
    disk.crash()
    disk.load()
    assert disk.signing == SigningState(slot=COMMITS)
    assert not disk.is_set_back


def test_a_log_tells_its_commits(disk: RealDisk) -> None:
    disk.crash()
    ends = list(commit_ends((disk.folder / "chain.db-wal").read_bytes()))
    assert ends == sorted(ends)
    assert 0 < len(ends) <= COMMITS


def test_a_torn_commit_is_there_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    # given disks that fold their logs into the tables at different times, each torn in its last write
    found = set()
    for seed in SEEDS:
        with filled(tmp_path / f"node{seed}") as disk:
            disk.tear(signed(COMMITS + 1), Random(seed))
            # when the machine is back
            disk.load()
            assert disk.signing is not None
            assert disk.is_torn_whole == (disk.signing.slot == COMMITS + 1)
            found.add(disk.signing.slot)
            # then it goes on from there
            disk.commit(signed(COMMITS + 2))
            disk.crash()
            disk.load()
            assert disk.signing == SigningState(slot=COMMITS + 2)
    assert found == {COMMITS, COMMITS + 1}


def test_a_power_cut_tears_the_log_or_the_tables_and_loses_nothing_that_was_synced() -> None:
    # given a write of two sectors to the log, whose header stays
    before = Files(b"t" * 512, b"h" * 32)
    after = Files(b"t" * 512, b"h" * 32 + b"f" * 1024)
    left = {torn(before, after, Random(seed)) for seed in SEEDS}
    assert all(files.tables == before.tables and files.log[:32] == before.log for files in left)
    assert len({files.log for files in left}) > 10
    # given that the log was also folded into the tables: then it was synced before
    folded = Files(b"T" * 512, after.log)
    for seed in SEEDS:
        files = torn(before, folded, Random(seed))
        assert files.tables == before.tables or files.log == folded.log


@pytest.mark.parametrize("damage", ["lied", "restored"])
def test_what_a_lying_disk_or_a_backup_shows_is_old_so_nothing_is_signed_on(disk: RealDisk, damage: Damage) -> None:
    # given a backup, and commits after it
    disk.back_up()
    for slot in range(COMMITS + 1, COMMITS + 4):
        disk.commit(signed(slot))
    # when the last ones are lost; a backup can be restored twice
    for _ in range(2 if damage == "restored" else 1):
        disk.crash()
        disk.suffer(damage, Random(0))
        disk.load()
        # then the home is told from one that lost nothing
        assert disk.is_set_back
        assert disk.signing is None


def test_a_removed_database_is_missed_and_replaced(disk: RealDisk) -> None:
    disk.crash()
    disk.suffer("removed", Random(0))
    with pytest.raises(OperatorError, match=r"HOME/chain\.db is missing"):
        disk.load()
    empty = disk.replacement()
    assert empty.load().head.header.height == 0
    assert empty.signing is None
    empty.crash()


@pytest.mark.parametrize("damage", ["flipped log", "flipped tables", "flipped meta"])
def test_flipped_bits_are_refused_or_change_nothing_or_set_back(tmp_path: Path, damage: Damage) -> None:
    outcomes = {flip_and_load(tmp_path / f"node{seed}", damage, seed) for seed in SEEDS}
    assert outcomes >= ({"set back"} if damage == "flipped log" else {"refused"})


def flip_and_load(folder: Path, damage: Damage, seed: int) -> str:
    with filled(folder) as disk:
        disk.crash()
        disk.suffer(damage, Random(seed))
        try:
            disk.load()  # which judges what it finds
        except OperatorError:
            return "refused"
        return "set back" if disk.is_set_back else "the same"


Spoil = Callable[[RealDisk], None]


def _rewind(disk: RealDisk) -> None:
    disk._write(lied(disk._files(), Random(0)))


def _spoil_format(disk: RealDisk) -> None:
    disk._execute("UPDATE meta SET value = x'00' WHERE key = 'format'")


@pytest.mark.parametrize(("spoil", "says"), [(_rewind, "lost what was durable"), (_spoil_format, "is refused")])
def test_an_honest_disk_that_loses_something_is_a_violation(disk: RealDisk, spoil: Spoil, says: str) -> None:
    # given a machine that died, and storage that loses what it had acknowledged, or refuses what it wrote
    disk.commit(signed(COMMITS + 1))
    disk.crash()
    spoil(disk)
    # then it shows
    with pytest.raises(Violation, match=says):
        disk.load()


def test_a_damaged_log_that_is_not_noticed_is_a_violation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chain.disk.database.Database.is_set_back", False)
    disks = (tmp_path / f"node{seed}" for seed in SEEDS)
    with pytest.raises(Violation, match="would sign on"):
        [flip_and_load(disk, "flipped log", seed) for seed, disk in enumerate(disks)]


def test_a_damaged_disk_that_shows_what_never_was_is_a_violation(disk: RealDisk) -> None:
    disk.crash()
    disk._signed.clear()
    disk.suffer("lied", Random(0))
    with pytest.raises(Violation, match="never was"):
        disk.load()
