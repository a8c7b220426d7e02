"""Rechecking a stored chain: what is right is counted, what is wrong is found where it is."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chain.base.codec import encode
from chain.base.keys import did_from_key
from chain.content.actions import Enrol
from chain.content.blocks import Block, encode_block
from chain.content.genesis import load_genesis
from chain.disk.database import DATABASE
from chain.disk.reader import Reader
from chain.disk.recheck import Executor, Report, recheck, signatures
from chain.disk.schema import PUT_ENTRY, entry_row, seal
from chain.disk.storage import Storage
from chain.protocol.events import Commit
from chain.register.entries import Member, Rating
from chain.register.state import decode_entry, encode_entry
from chain.register.statekeys import (
    DOCKET_KEY,
    RULES_KEY,
    VALIDATORS_KEY,
    authority_key,
    member_key,
    motion_key,
    rating_key,
    record_key,
)
from tests.support.forge import Forge
from tests.support.homes import look_up, tamper
from tests.support.registered import City, changing_city, city_genesis, city_policy
from tests.support.story import Story, told_story
from tests.support.world import secret

ANN, BOB = secret(60).public, secret(61).public


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return told_story(tmp_path_factory.mktemp("story") / "home")


@pytest.fixture
def damaged(story: Story, tmp_path: Path) -> Path:
    """A copy of the story's home, there to be spoilt."""
    return Path(shutil.copytree(story.home, tmp_path / "home"))


class _Lazy:
    def __init__(self, check: Callable[[], Block]) -> None:
        self.result = check


class AtOnce:
    """An executor that has nobody to help it: it checks a block when that is asked for."""

    def submit(self, check: Callable[[bytes, bytes], Block], raw: bytes, chain_id: bytes, /) -> _Lazy:
        return _Lazy(lambda: check(raw, chain_id))


def rechecked(home: Path, executor: Executor | None = None, advance: Callable[[int], None] = lambda _: None) -> Report:
    genesis = load_genesis(home / "genesis.json")
    reader = Reader(home / DATABASE, genesis)
    try:
        with reader.consistent():
            return recheck(reader, genesis, executor or AtOnce(), advance)
    finally:
        reader.close()


def problems(home: Path) -> list[tuple[int, str]]:
    return [(height, what) for height, what in rechecked(home).problems]


def test_all_of_it_is_checked_and_counted_by_any_executor(story: Story) -> None:
    told: list[int] = []
    alone = rechecked(story.home, AtOnce(), told.append)
    with ThreadPoolExecutor(2) as pool:
        assert rechecked(story.home, pool) == alone
    main = story.disk.main
    assert alone.problems == []
    assert (alone.blocks, alone.side_blocks) == (len(main), len(story.disk.blocks) - len(main))
    assert alone.transactions == sum(len(block.transactions) for block in main.values())
    assert alone.state_rows == len(story.disk.state)
    assert alone.state_height <= alone.finalized_height == alone.proven_height
    reader = Reader(story.home / DATABASE, story.world.genesis)
    assert sum(told) == signatures(reader) == alone.blocks + alone.transactions
    reader.close()


# ----------------------------------------------------------------------------------------- the main chain and the state


def test_it_finds_any_spoilt_byte_of_a_block(story: Story, damaged: Path) -> None:
    height, block = next((at, block) for at, block in sorted(story.disk.main.items()) if len(block.transactions) == 5)
    body = encode_block(block)
    for at in range(3, len(body), 41):
        spoilt = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
        tamper(damaged, "UPDATE blocks SET body = ? WHERE main = 1 AND height = ?", seal(block.id, spoilt), height)
        ((found, _),) = problems(damaged)
        assert found == height, at


def test_it_finds_a_block_in_another_ones_place(story: Story, damaged: Path) -> None:
    main = story.disk.main
    other = seal(main[4].id, encode_block(main[5]))
    tamper(damaged, "UPDATE blocks SET body = ? WHERE main = 1 AND height = 4", other)
    ((height, what),) = problems(damaged)
    assert height == 4
    assert "is another one" in what


def test_it_finds_a_missing_block(damaged: Path) -> None:
    tamper(damaged, "DELETE FROM blocks WHERE main = 1 AND height = 6")
    assert problems(damaged) == [(6, "no block of this height is on the main chain")]


def test_it_finds_a_second_block_of_one_height(story: Story, damaged: Path) -> None:
    height = next(block.header.height for block, is_main in story.disk.blocks.values() if not is_main)
    tamper(damaged, "UPDATE blocks SET main = 1 WHERE main = 0 AND height = ?", height)
    found = problems(damaged)
    assert found[0][0] in (height, height + 1)


def test_it_finds_a_wrong_state_row(story: Story, damaged: Path) -> None:
    key = member_key(story.actors[1].key)
    height = rechecked(damaged).state_height
    stored = bytes(look_up(damaged, "SELECT value FROM state WHERE key = ?", key))
    right = decode_entry(key, stored[:-4])
    assert isinstance(right, Member)
    forged = encode_entry(right._replace(rated_points=900))
    tamper(damaged, "UPDATE state SET value = ? WHERE key = ?", seal(key, forged), key)
    ((found, what),) = problems(damaged)
    assert found == height
    assert story.dids[1] in what
    assert "rated_points 900 instead of 1" in what
    tamper(damaged, "UPDATE state SET value = ? WHERE key = ?", seal(key, stored[:-5]), key)
    ((found, what),) = problems(damaged)
    assert (found, story.dids[1] in what) == (height, True)


def test_it_finds_state_rows_too_many_and_too_few(story: Story, damaged: Path) -> None:
    a, _, c, d, e = (actor.key for actor in story.actors)
    false_key = rating_key(d, e, 1)
    tamper(damaged, PUT_ENTRY, *entry_row(false_key, encode_entry(Rating(9, 3))))
    tamper(damaged, "DELETE FROM state WHERE key = ?", rating_key(a, c, 1))
    (_, holds), (_, lacks) = problems(damaged)
    assert holds.startswith(f"the stored state holds the rating of {did_from_key(d)} by {did_from_key(e)}")
    assert lacks.startswith(f"the stored state lacks the rating of {did_from_key(a)} by {did_from_key(c)}")


def test_it_finds_wrong_votes_and_finality(story: Story, damaged: Path) -> None:
    head = story.world.hosts[2].height
    for height in (head, head + 5, 0):
        tamper(damaged, "UPDATE meta SET value = ? WHERE key = 'finalized'", seal(b"finalized", encode((height,))))
        ((found, what),) = problems(damaged)
        assert found == height
        assert "final" in what
    finalized = seal(b"finalized", encode((story.disk.finalized,)))
    tamper(damaged, "UPDATE meta SET value = ? WHERE key = 'finalized'", finalized)
    votes = seal(b"snapshot_votes", bytes(1))
    tamper(damaged, "UPDATE meta SET value = ? WHERE key = 'snapshot_votes'", votes)
    ((_, what),) = problems(damaged)
    assert what == "the stored votes are not those that the headers cast"


def test_the_stored_state_may_be_that_of_the_genesis(tmp_path: Path) -> None:
    city = City()
    city.block()
    report = rechecked(city.write(tmp_path / "home"))
    assert (report.problems, report.blocks, report.state_height) == ([], 1, 0)


def test_it_finds_that_nobody_can_tell_of_what_block_the_stored_state_is(damaged: Path) -> None:
    header = seal(b"snapshot_header", b"\x90")
    tamper(damaged, "UPDATE meta SET value = ? WHERE key = 'snapshot_header'", header)
    ((height, what),) = problems(damaged)
    assert height == 0
    assert what.startswith("the header of the stored state cannot be read: ")


def test_any_number_of_blocks_of_one_slot_may_be_beside_the_main_chain(tmp_path: Path) -> None:
    city, forge = City(), Forge(city_genesis(city_policy()))
    side = tuple(forge.block(None, [member.sign(Enrol())]) for member in city.members)
    city.block()
    home = city.write(tmp_path / "home")
    storage = Storage(home / DATABASE, city.genesis)
    storage.commit([Commit(side=side)])
    storage.close()
    report = rechecked(home)
    assert (report.problems, report.side_blocks) == ([], len(city.members))


def test_it_finds_a_spoilt_block_beside_the_main_chain(story: Story, damaged: Path) -> None:
    side = max(
        (block for block, is_main in story.disk.blocks.values() if not is_main), key=lambda block: block.header.height
    )
    body = encode_block(side)
    spoilt = seal(side.id, body[:-1] + bytes([body[-1] ^ 1]))
    tamper(damaged, "UPDATE blocks SET body = ? WHERE id = ?", spoilt, side.id)
    ((height, what),) = problems(damaged)
    assert height == side.header.height
    assert what.startswith(f"block {side.id.hex()[:16]} beside the main chain: ")


# ----------------------------------------------------------------------------------------- validators that change


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return changing_city(20).write(tmp_path_factory.mktemp("changed") / "home")


@pytest.mark.parametrize("blocks", [20, 70, 150])
def test_what_was_decided_is_counted(tmp_path: Path, blocks: int) -> None:
    report = rechecked(changing_city(blocks).write(tmp_path / "home"))
    assert (report.problems, report.decisions) == ([], 3)


def test_it_finds_decisions_missing_and_invented(changed: Path, tmp_path: Path) -> None:
    home = Path(shutil.copytree(changed, tmp_path / "home"))
    height = rechecked(home).state_height
    tamper(home, "DELETE FROM decisions WHERE height = 3")
    tamper(home, "INSERT INTO decisions VALUES (7)")
    assert set(problems(home)) == {
        (height, "height 7 is stored as one that decided about validators, and decided nothing"),
        (height, "height 3 decided about validators, and that is not stored"),
    }


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (RULES_KEY, "the policy in force"),
        (VALIDATORS_KEY, "the validators"),
        (DOCKET_KEY, "the list of open motions"),
        (member_key(ANN), f"member {did_from_key(ANN)}"),
        (authority_key(ANN), f"authority {did_from_key(ANN)}"),
        (motion_key(7), "motion 7"),
        (record_key(ANN, 3), f"record 3 about {did_from_key(ANN)}"),
        (rating_key(ANN, BOB, 5), f"the rating of {did_from_key(ANN)} by {did_from_key(BOB)} in category 5"),
        (member_key(ANN)[:-1], f"the key {member_key(ANN)[:-1].hex()}"),
        (b"\x00", "the key 00"),
    ],
)
def test_a_row_of_the_state_is_named_for_people(changed: Path, tmp_path: Path, key: bytes, name: str) -> None:
    home = Path(shutil.copytree(changed, tmp_path / "home"))
    tamper(home, PUT_ENTRY, *entry_row(key, b"\x90"))
    ((_, what),) = problems(home)
    assert what.startswith((f"the stored state holds {name}, which", f"{name} is stored wrong: "))
