"""Looking into a database: what is asked for is what comes, within the bounds asked for."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import pytest

from chain.base.codec import encode
from chain.base.errors import InvariantBroken, OperatorError, Reason
from chain.consensus.votecodec import decode_votes
from chain.content.blocks import MAX_BLOCK_BYTES, decode_heading, encode_block
from chain.disk.database import DATABASE
from chain.disk.reader import Reader
from chain.disk.schema import seal
from chain.disk.storage import Storage
from chain.documents.people import members
from chain.protocol.events import Commit
from chain.register.entries import Member, Rating
from chain.register.scores import noted
from chain.register.state import encode_entry
from chain.register.statekeys import member_key, rating_key
from tests.support.homes import RecordingDisk, tamper, write_home
from tests.support.proving import stored_state
from tests.support.refusals import refusal
from tests.support.registered import City, Told, changing_city, told_city
from tests.support.story import Story, told_story
from tests.support.world import World, secret

MUCH = 2**62


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return told_story(tmp_path_factory.mktemp("story") / "home")


@pytest.fixture
def reader(story: Story) -> Iterator[Reader]:
    opened = Reader(story.home / DATABASE, story.world.genesis)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return told_city(tmp_path_factory.mktemp("told") / "home")


@pytest.fixture
def register(told: Told) -> Iterator[Reader]:
    opened = Reader(told.home / DATABASE, told.city.genesis)
    yield opened
    opened.close()


# ------------------------------------------------------------------------------------------------------ the chain


def test_where_the_chain_stands(story: Story, reader: Reader) -> None:
    disk = story.disk
    assert disk.settled is not None
    assert (reader.head_height(), reader.finalized_height()) == (len(disk.main), disk.finalized)
    assert reader.snapshot_header() == disk.settled.header
    assert decode_votes(reader.snapshot_votes() or b"") == disk.settled.votes


def test_at_the_genesis_there_is_nothing(tmp_path: Path) -> None:
    world = World(validators=1)
    home = write_home(tmp_path, world, RecordingDisk(world.genesis))
    reader = Reader(home / DATABASE, world.genesis)
    assert (reader.head_height(), reader.finalized_height(), reader.count_members()) == (0, 0, 0)
    assert (reader.snapshot_header(), reader.snapshot_votes(), reader.block_at(0)) == (None, None, None)
    assert [list(reader.blocks(0, 9)), list(reader.headers(0, 9)), list(reader.decisions())] == [[], [], []]
    assert (reader.standings(9), reader.rank(0)) == ([], 1)
    assert (reader.view().height, reader.view().slot) == (0, 0)
    reader.close()


def test_blocks_and_headers_by_height(story: Story, reader: Reader) -> None:
    main = [block for _, block in sorted(story.disk.main.items())]
    for first, count in ((0, 3), (1, 3), (4, 1), (len(main), 9), (len(main) + 1, 9), (1, MUCH), (2**64 - 1, 9)):
        wanted = [block for block in main if first <= block.header.height < first + count]
        assert list(reader.blocks(first, count)) == wanted
        assert reader.raw_blocks(first, count) == [encode_block(block) for block in wanted]
    assert [reader.block_at(height) for height in (0, 1, len(main) + 1)] == [None, main[0], None]
    found = list(reader.headers(3, 4))
    assert found == [(block.header, len(block.transactions)) for block in main[2:6]]
    assert list(reader.summaries(3, 4)) == [(header.id, header.height, count) for header, count in found]


def test_what_is_beside_the_main_chain_comes_by_height(story: Story, reader: Reader) -> None:
    side = sorted((block.header.height, block.id) for block, is_main in story.disk.blocks.values() if not is_main)
    assert len(side) > 1
    assert sorted((header.height, header.id) for header, _ in reader.headers(0, MUCH, main=False)) == side
    assert [height for _, height, _ in reader.summaries(0, MUCH, main=False)] == [height for height, _ in side]
    assert len(list(reader.headers(0, 1, main=False))) == len(list(reader.summaries(0, 1, main=False))) == 1


def test_a_block_by_its_id_or_the_beginning_of_it(story: Story, reader: Reader) -> None:
    for block, is_main in story.disk.blocks.values():
        assert reader.block(block.id) == reader.block(block.id[:9]) == (block, is_main)
        assert reader.raw_block(block.id) == encode_block(block)
    assert (reader.block(bytes(32)), reader.raw_block(bytes(32)), reader.raw_block(b"")) == (None, None, None)


def test_ids_between_bounds(story: Story, reader: Reader) -> None:
    ids = sorted(story.disk.blocks)
    assert reader.block_ids(bytes(32), b"\xff" * 32, MUCH) == ids
    assert reader.block_ids(ids[2], ids[5], MUCH) == ids[2:6]
    assert reader.block_ids(ids[2], ids[5], 2) == ids[2:4]
    assert reader.block_ids(ids[5], ids[2], MUCH) == []


def test_a_branch_ends_where_it_was_asked_for_and_is_read_as_it_is_drawn(story: Story, reader: Reader) -> None:
    tip = max((block for block, is_main in story.disk.blocks.values() if not is_main), key=lambda b: b.header.height)
    branch = [encode_block(block) for block in story.disk.branch(tip.id, 1)]
    assert len(branch) == tip.header.height
    assert list(reader.branch(tip.id, 1)) == list(reader.branch(tip.id, 0)) == branch
    assert list(reader.branch(tip.id, 3)) == branch[2:]
    assert list(islice(reader.branch(tip.id, 1), 2)) == branch[:2]
    assert list(reader.branch(tip.id, tip.header.height)) == branch[-1:]
    assert list(reader.branch(tip.id, tip.header.height + 1)) == []
    assert list(reader.branch(tip.id, 2**64)) == list(reader.branch(bytes(32), 1)) == []


@pytest.mark.parametrize("beginning_bytes", [8_192, 100])
def test_headings_are_those_of_the_branch_however_much_is_read_at_first(
    story: Story, reader: Reader, monkeypatch: pytest.MonkeyPatch, beginning_bytes: int
) -> None:
    monkeypatch.setattr("chain.disk.reader.BEGINNING_BYTES", beginning_bytes)
    tip = max((block for block, is_main in story.disk.blocks.values() if not is_main), key=lambda b: b.header.height)
    branch = [(block.header, block.ballot) for block in story.disk.branch(tip.id, 1)]
    assert [decode_heading(raw) for raw in reader.headings(tip.id, 1)] == branch
    assert [decode_heading(raw) for raw in reader.headings(tip.id, 3)] == branch[2:]
    assert list(reader.headings(tip.id, 2**64)) == list(reader.headings(bytes(32), 1)) == []


def test_a_heading_that_is_not_what_was_written_is_damage(told: Told, tmp_path: Path) -> None:
    home = told.city.write(tmp_path / "home")
    tamper(home, "UPDATE blocks SET body = ? WHERE height = 3", encode_block(told.city.blocks[4]))
    reader = Reader(home / DATABASE, told.city.genesis)
    with pytest.raises(OperatorError, match="is not what was written"):
        list(reader.headings(told.city.blocks[5].id, 1))
    reader.close()


def test_a_branch_that_left_the_main_chain_too_long_ago_has_no_beginning(
    story: Story, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    tip = max((block for block, is_main in story.disk.blocks.values() if not is_main), key=lambda b: b.header.height)
    monkeypatch.setattr("chain.disk.reader.MAX_SIDE_BRANCH", 2)
    assert list(reader.branch(tip.id, 1)) == [encode_block(block) for block in story.disk.branch(tip.id, 1)[-2:]]


class _Counting:
    """A connection that notes how many rows are fetched at once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.sizes: list[int] = []

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> _Counting:
        self.cursor = self.connection.execute(sql, parameters)
        return self

    def fetchmany(self, size: int) -> list[tuple[object, ...]]:
        rows = self.cursor.fetchmany(size)
        self.sizes.append(size)
        return rows


def test_whole_blocks_are_never_in_memory_by_the_hundred(
    story: Story, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = story.disk.main[max(story.disk.main)]
    for draw in (lambda: list(reader.branch(head.id, 1)), lambda: list(reader.headers(1, MUCH))):
        counting = _Counting(reader._database.connection)
        monkeypatch.setattr(reader._database, "connection", counting)
        assert draw()
        assert counting.sizes[-1] * MAX_BLOCK_BYTES <= 2**24
        monkeypatch.undo()


def test_a_transaction_by_its_id_or_eight_bytes_of_it(story: Story, reader: Reader) -> None:
    for block in story.disk.main.values():
        for transaction in block.transactions:
            for digits in (32, 8):
                assert reader.transaction(transaction.id[:digits]) == (transaction, block, True)
    assert reader.transaction(bytes(32)) is None
    assert reader.transaction(transaction.id[:8] + bytes(24)) is None


def test_one_view_lasts_while_it_is_held(story: Story, tmp_path: Path) -> None:
    disk = RecordingDisk(story.world.genesis)
    home = write_home(tmp_path / "home", story.world, disk)
    reader, storage = Reader(home / DATABASE, disk.genesis), Storage(home / DATABASE, disk.genesis)
    first = next(commit for commit in story.disk.commits if commit.adopted)
    with reader.consistent():
        assert reader.head_height() == 0
        storage.commit([Commit(adopted=first.adopted)])
        assert reader.head_height() == 0
    assert reader.head_height() == 1
    with reader.consistent():  # and again, whatever happened in the first
        assert reader.head_height() == 1
    storage.close()
    reader.close()


# -------------------------------------------------------------------------------------------------- the register


def test_the_state_and_its_entries(told: Told, register: Reader) -> None:
    header = register.snapshot_header()
    assert header is not None
    state = told.city.state(told.city.blocks[header.height - 1])
    assert dict(register.state_rows()) == state
    for prefix in (b"m", b"r", b"d", b"m" + told.city.eve.key, b"", b"\xff"):
        found = {key: encode_entry(entry) for key, entry in register.entries(prefix)}
        assert found == {key: value for key, value in state.items() if key.startswith(prefix)}
    assert isinstance(register.entry(member_key(told.city.eve.key)), Member)
    assert register.entry(member_key(bytes(32))) is None


def test_ratings_by_who_gave_them(told: Told, register: Reader) -> None:
    ann, bob = secret(60).public, told.city.bob.key
    ((key, rating),) = register.ratings_by(bob)
    assert key[1:33] == ann
    assert isinstance(rating, Rating)
    assert key == rating_key(ann, bob, int.from_bytes(key[65:], "big"))
    assert list(register.ratings_by(told.city.eve.key)) == []


def test_keys_that_have_an_account(told: Told, register: Reader) -> None:
    keys = register.keys_between(bytes(32), b"\xff" * 32, MUCH)
    assert keys == sorted(keys)
    assert {member.key for member in told.city.members} <= set(keys)
    assert register.keys_between(keys[1], keys[3], MUCH) == keys[1:4]
    assert register.keys_between(keys[1], keys[3], 2) == keys[1:3]


def test_standings_and_ranks(register: Reader) -> None:
    standings = register.standings(MUCH)
    assert standings == sorted(standings, key=lambda row: (-row[1], row[0]))
    assert register.count_members() == len(standings) == 5
    assert register.standings(2) == standings[:2]
    for _, score in standings:
        assert register.rank(score) == 1 + sum(other > score for _, other in standings)
    assert register.rank(2**62) == 1


def test_who_stands_in_which_tier_and_who_has_a_record_suspended(register: Reader) -> None:
    view = register.view()
    found = {identity: noted(view.policy, member) for identity, member in members(view)}
    assert dict(register.noted()) == found
    ordered = sorted(found, key=lambda identity: (-found[identity].level, -found[identity].score, identity))
    listed = [(identity, found[identity].score) for identity in ordered]
    assert list(register.lists(MUCH)) == listed
    assert list(register.lists(2, 1)) == listed[1:3]
    assert register.count_tiers() == Counter(each.level for each in found.values())
    for level in {*register.count_tiers(), 77}:
        inside = [row for row in listed if found[row[0]].level == level]
        assert list(register.tier(level, MUCH)) == inside
        assert list(register.tier(level, 1, 1)) == inside[1:2]
    assert list(register.suspended()) == sorted(identity for identity in found if found[identity].suspended)
    assert len(list(register.suspended())) == 1


def test_decisions_by_height(tmp_path: Path) -> None:
    home = changing_city(9).write(tmp_path / "home")
    with stored_state(home) as source:
        heights = source.decisions()
    assert heights == [2, 3, 25]  # one is jailed, its weight leaves, another comes


# -------------------------------------------------------------------------------------------------------- damage


def test_a_spoilt_row_is_a_damaged_database_and_leaves_the_others(told: Told, tmp_path: Path) -> None:
    home = told.city.write(tmp_path / "home")
    eve = member_key(told.city.eve.key)
    tamper(home, "UPDATE state SET value = x'00' WHERE key = ?", eve)
    tamper(home, "UPDATE blocks SET body = substr(body, 2) WHERE height = 3")
    reader = Reader(home / DATABASE, told.city.genesis)
    for read in (
        lambda: reader.entry(eve),
        lambda: list(reader.state_rows()),
        lambda: list(reader.entries(b"m")),
        lambda: reader.block_at(3),
        lambda: list(reader.headers(1, 5)),
    ):
        with pytest.raises(OperatorError, match="is damaged"):
            read()
    assert reader.block_at(4) == told.city.blocks[3]
    assert isinstance(reader.entry(member_key(told.city.bob.key)), Member)
    reader.close()


@pytest.mark.parametrize("extra", [(), (b"", (), b"")])
def test_a_row_that_holds_no_block_is_refused(told: Told, tmp_path: Path, extra: tuple[bytes, ...]) -> None:
    home = told.city.write(tmp_path / "home")
    block = told.city.blocks[2]
    body = seal(block.id, encode((block.header.raw, *extra)))
    tamper(home, "UPDATE blocks SET body = ? WHERE height = 3", body)
    reader = Reader(home / DATABASE, told.city.genesis)
    assert refusal(lambda: list(reader.headers(3, 1))) is Reason.MALFORMED
    assert refusal(lambda: reader.block_at(3)) is Reason.MALFORMED
    reader.close()


def test_a_closed_reader_says_so(tmp_path: Path) -> None:
    city = City()
    city.block()
    home = city.write(tmp_path / "home")
    reader = Reader(home / DATABASE, city.genesis)
    reader.close()
    with pytest.raises(InvariantBroken):
        reader.head_height()
