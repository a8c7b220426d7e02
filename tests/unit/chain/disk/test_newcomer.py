"""A home that joins by state: killed at any moment it goes on, and in the end it is what a node would have made."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from chain.base.errors import OperatorError, Refused
from chain.branches.blocktree import Judged
from chain.branches.lightchain import Checkpoint, LightChain
from chain.content.actions import Enrol
from chain.content.blocks import Block
from chain.disk.database import DATABASE, Database
from chain.disk.newcomer import Newcomer, draft_of, is_fresh, progress_of
from chain.disk.reader import Reader
from chain.disk.rebuild import replace_state
from chain.disk.schema import SCHEMA
from chain.disk.storage import Storage
from chain.protocol import joining as module
from chain.protocol.events import Commit, SigningState
from chain.protocol.joining import MAX_BEHIND
from tests.support.forge import heading
from tests.support.headings import CHAIN, FORGE, GENESIS
from tests.support.registered import City, changing_city
from tests.support.shelf import Shelf
from tests.support.world import Actor

TARGET = CHAIN[20]
STATE = FORGE.state(TARGET)
SHELF = Shelf(STATE.items())
SIGNING = SigningState(slot=7)


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PART_BYTES", 700)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The database of a home without a chain."""
    Storage.create(tmp_path / DATABASE, GENESIS, SIGNING)
    return tmp_path / DATABASE


def follow(newcomer: Newcomer, upto: int = len(CHAIN)) -> LightChain:
    """Let it have the headers up to a height."""
    chain = newcomer.chain
    for block in CHAIN[chain.head.header.height : upto]:
        chain.add(heading(block))
        newcomer.follow(chain, [heading(block)])
    return chain


def aim(newcomer: Newcomer) -> None:
    judged = newcomer.chain.get(TARGET.id)
    assert judged is not None
    newcomer.aim(judged)


def fetch(newcomer: Newcomer, shelf: Shelf = SHELF, parts: int = 10_000) -> None:
    joining = newcomer.joining
    assert joining is not None
    while parts > 0 and not joining.is_done:
        for peer, request in list(joining.requests(["a", "b"], 0)):
            newcomer.take(peer, request, shelf.give(request), 0)
            parts -= 1


def nothing(_count: int) -> None:
    return None


def check(path: Path) -> None:
    """It stands where the target is, and goes on from there."""
    assert not draft_of(path).exists()
    with closing(Storage(path, GENESIS)) as storage:
        chain, signing = storage.load()
        assert signing == SIGNING
        assert chain.head.header.id == chain.finalized.id == TARGET.id
        assert chain.head.votes == FORGE.votes(TARGET)
        assert dict(chain.ledger.state) == STATE
        for block in CHAIN[21:]:
            chain.add(block, arrived_in_slot=True)
        assert chain.finalized.height > TARGET.header.height
        assert storage.bodies.oldest == storage.counted_from == TARGET.header.height + 1
        assert storage.count_transactions() == 0
    with closing(Reader(path, GENESIS)) as reader:
        assert [header.id for header, _ in reader.headers(1, 100)] == [block.id for block in CHAIN[:21]]
        assert reader.count_members() == 60
        assert [damage for portion in reader.scrub() for damage in portion.damage] == []


def test_a_home_gets_headers_and_a_state_and_goes_on_from_there(home: Path) -> None:
    assert is_fresh(home, GENESIS)
    newcomer = Newcomer(home, GENESIS)
    follow(newcomer)
    aim(newcomer)
    fetch(newcomer)
    assert newcomer.standing == (newcomer.chain.final.header.height, 21, len(STATE), len(STATE), 1_000)
    assert newcomer.finish(nothing).id == TARGET.id
    newcomer.close()
    check(home)
    assert not is_fresh(home, GENESIS)


def test_what_a_home_acknowledged_before_it_had_a_chain_is_kept(home: Path) -> None:
    acknowledged = Actor(GENESIS, 900).sign(Enrol())
    with closing(Storage(home, GENESIS)) as storage:
        storage.commit([Commit(waiting=(acknowledged,))])
    test_a_home_gets_headers_and_a_state_and_goes_on_from_there(home)
    with closing(Storage(home, GENESIS)) as storage:
        assert storage.waiting() == (acknowledged.raw,)


def tables(path: Path) -> dict[str, list[tuple[object, ...]]]:
    names = ("state", "page", "agenda", "given", "standings", "ranks", "decisions")
    with closing(sqlite3.connect(path)) as connection:
        return {name: sorted(connection.execute(f"SELECT * FROM {name}")) for name in names}


def test_its_tables_are_those_of_a_node(home: Path, tmp_path: Path) -> None:
    test_a_home_gets_headers_and_a_state_and_goes_on_from_there(home)
    other = tmp_path / "other.db"
    Storage.create(other, GENESIS, SIGNING)
    with closing(Database(other, GENESIS, read_only=False)) as database:
        replace_state(database, STATE.items())
    assert tables(home) == tables(other)


@pytest.mark.parametrize("seed", range(5))
def test_killed_at_any_moment_it_goes_on(home: Path, seed: int) -> None:
    rng, kills = Random(seed), 0
    while True:
        with closing(Newcomer(home, GENESIS)) as newcomer:
            kills += 1
            height = newcomer.standing.height
            if height < len(CHAIN) - 3:
                follow(newcomer, min(len(CHAIN), newcomer.chain.head.header.height + rng.randrange(1, 9)))
                continue
            if newcomer.target is None:
                newcomer.aim(_judged())
                continue
            fetch(newcomer, parts=rng.randrange(1, 9))
            if newcomer.is_whole:
                newcomer.finish(nothing)
                break
    assert kills > 5
    check(home)


def _judged() -> Judged:
    """What a newcomer knew of the target before it was killed."""
    chain = LightChain(GENESIS)
    for block in CHAIN[:21]:
        chain.add(heading(block))
    judged = chain.get(TARGET.id)
    assert judged is not None
    return judged


@pytest.mark.parametrize("at", ["tables", "swap"])
def test_killed_at_the_end_it_ends_the_next_time(home: Path, at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    newcomer = Newcomer(home, GENESIS)
    follow(newcomer)
    aim(newcomer)
    fetch(newcomer)

    def stop(*_arguments: object) -> None:
        raise KeyboardInterrupt

    if at == "swap":
        monkeypatch.setattr("chain.disk.arrived._fold_log", stop)
    with pytest.raises(KeyboardInterrupt):
        newcomer.finish(stop if at == "tables" else nothing)
    newcomer.close()
    monkeypatch.undo()
    again = Newcomer(home, GENESIS)
    assert again.is_whole
    again.finish(nothing)
    again.close()
    check(home)


def test_once_it_has_all_bodies_it_counts_what_every_block_holds(home: Path) -> None:
    test_a_home_gets_headers_and_a_state_and_goes_on_from_there(home)
    with closing(Storage(home, GENESIS)) as storage:
        for first in (11, 1):
            for missing in storage.bodies.missing(first, 21 - first + 1):
                storage.bodies.restore(CHAIN[missing.height - 1])
            storage.bodies.lower(first)
            assert storage.counted_from == first
        assert storage.count_transactions() == sum(len(block.transactions) for block in CHAIN[:21]) > 0


def test_a_wrong_part_is_refused_and_nothing_of_it_stays(home: Path) -> None:
    wrong = Shelf({**STATE, sorted(STATE)[0]: b"altered"}.items())
    newcomer = Newcomer(home, GENESIS)
    follow(newcomer)
    aim(newcomer)
    assert newcomer.joining is not None
    request = next(iter(newcomer.joining.requests(["liar"], 0)))[1]
    with pytest.raises(Refused):
        newcomer.take("liar", request, wrong.give(request), 0)
    assert newcomer.standing.entries == 0
    fetch(newcomer)
    newcomer.finish(nothing)
    newcomer.close()
    check(home)


def test_what_another_state_left_is_healed(home: Path) -> None:
    """Entries that changed, that are gone and that are new."""
    keys = sorted(STATE)
    before = {key: value for key, value in STATE.items() if key != keys[3]} | {keys[5]: b"older", b"gone": b"by now"}
    newcomer = Newcomer(home, GENESIS)
    follow(newcomer)
    judged, shelf = _judged(), Shelf(before.items())
    newcomer.aim(Judged(replace(judged.header, state_root=shelf.root), judged.votes))
    fetch(newcomer, shelf)
    assert newcomer.is_whole
    newcomer.aim(judged)
    assert not newcomer.is_whole
    fetch(newcomer)
    newcomer.finish(nothing)
    newcomer.close()
    check(home)


def test_killed_before_it_aimed_it_knows_every_state_that_may_be_given_away(home: Path) -> None:
    with closing(Newcomer(home, GENESIS)) as newcomer:
        follow(newcomer, 34)
        height = newcomer.standing.height
    with closing(Newcomer(home, GENESIS)) as newcomer:
        assert newcomer.standing.height == height
        assert TARGET.header.state_root in {header.state_root for header in newcomer.chain.finals(MAX_BEHIND)}
        assert follow(newcomer).final.header.height > height
        aim(newcomer)
        fetch(newcomer)
        newcomer.finish(nothing)
    newcomer.close()
    check(home)


@pytest.mark.parametrize("behind", [3, MAX_BEHIND])
def test_where_it_goes_on_is_not_below_its_checkpoint(home: Path, behind: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chain.disk.newcomer.MAX_BEHIND", behind)
    pin = Checkpoint(30, CHAIN[29].id)
    with closing(Newcomer(home, GENESIS, pin)) as newcomer:
        follow(newcomer)
    for named in (pin, None):
        with closing(Newcomer(home, GENESIS, named)) as newcomer:
            assert newcomer.chain.checkpoint == pin
            assert newcomer.chain.is_anchored
            assert newcomer.standing.height > 30


def test_a_checkpoint_that_is_named_later_begins_anew(home: Path) -> None:
    with closing(Newcomer(home, GENESIS)) as newcomer:
        follow(newcomer)
        aim(newcomer)
    with closing(Newcomer(home, GENESIS, Checkpoint(5, CHAIN[4].id))) as newcomer:
        assert newcomer.standing.height == 0
        assert newcomer.target is None
        follow(newcomer)
        assert newcomer.standing.height > TARGET.header.height
        assert newcomer.slot_at(5) == CHAIN[4].header.slot


def test_another_chain_than_before_begins_anew(home: Path) -> None:
    """Before the checkpoint is reached one peer after another is believed."""
    with closing(Newcomer(home, GENESIS, Checkpoint(30, CHAIN[29].id))) as newcomer:
        follow(newcomer, 20)
        assert newcomer.standing.height > 0
        second = LightChain(GENESIS, newcomer.chain.checkpoint)
        for block in CHAIN:
            second.add(heading(block))
            newcomer.follow(second, [heading(block)])
        assert newcomer.standing.height == second.final.header.height >= 30


@pytest.fixture(scope="module")
def changing() -> City:
    """Validators that are jailed and taken in while somebody joins."""
    return changing_city(20)


def moments(city: City) -> list[Block]:
    """The first block of each phase that a change of validators goes through, and the last of all."""
    votes = [city.votes(block).electorate for block in city.blocks]
    kinds = [(type(electorate.phase), electorate.current) for electorate in votes]
    return [city.blocks[at] for at in range(1, len(kinds)) if kinds[at] != kinds[at - 1]]


def test_it_joins_while_validators_change(changing: City, tmp_path: Path) -> None:
    found = [block for block in moments(changing) if block.header.height < len(changing.blocks) - 12]
    assert len({type(changing.votes(block).electorate.phase) for block in found}) == 3
    for number, target in enumerate(found):
        Storage.create(tmp_path / f"{number}.db", changing.genesis, SIGNING)
        with closing(Newcomer(tmp_path / f"{number}.db", changing.genesis)) as newcomer:
            for block in changing.blocks:
                newcomer.chain.add(heading(block))
                newcomer.follow(newcomer.chain, [heading(block)])
            judged = newcomer.chain.get(target.id)
            assert judged is not None
            newcomer.aim(judged)
            fetch(newcomer, Shelf(changing.state(target).items()))
            newcomer.finish(nothing)
        with closing(Storage(tmp_path / f"{number}.db", changing.genesis)) as storage:
            chain, _ = storage.load()
            assert chain.head.votes == changing.votes(target)
            for block in changing.blocks[target.header.height :]:
                chain.add(block, arrived_in_slot=True)
            assert chain.head.votes == changing.votes(changing.blocks[-1])


def test_a_damaged_draft_says_what_to_do(home: Path) -> None:
    Newcomer(home, GENESIS).close()
    with closing(sqlite3.connect(draft_of(home))) as connection, connection:
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('headers', x'00')")
    with pytest.raises(OperatorError, match=r"is damaged .*move it away, and the join begins anew"):
        Newcomer(home, GENESIS)


FULL = "PRAGMA max_page_count = 1"  # it is as large as it may be


def test_without_room_for_what_it_fetches_it_says_so_and_goes_on(home: Path) -> None:
    with closing(Newcomer(home, GENESIS)) as newcomer:
        newcomer._database.connection.execute(FULL)
        with pytest.raises(OperatorError, match="free disk space"):
            follow(newcomer)
    with closing(Newcomer(home, GENESIS)) as newcomer:
        follow(newcomer)
        aim(newcomer)
        fetch(newcomer)
        newcomer.finish(nothing)
    check(home)


def test_without_room_for_the_home_it_says_so_and_goes_on(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Newcomer(home, GENESIS)) as newcomer:
        follow(newcomer)
        aim(newcomer)
        fetch(newcomer)
        with monkeypatch.context() as full:
            full.setattr("chain.disk.arrived.SCHEMA", SCHEMA + FULL)
            with pytest.raises(OperatorError, match="free disk space"):
                newcomer.finish(nothing)
        assert is_fresh(home, GENESIS)
    with closing(Newcomer(home, GENESIS)) as newcomer:
        newcomer.finish(nothing)
    check(home)


def test_it_says_how_far_it_is(home: Path) -> None:
    assert progress_of(home) is None
    with closing(Newcomer(home, GENESIS)) as newcomer:
        assert progress_of(home) is None
        newcomer.note(b"{}")
        assert progress_of(home) == b"{}"
