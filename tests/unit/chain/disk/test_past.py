"""What happened to members, kept from one question to the next, is what executing the whole chain again tells."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from chain.content.blocks import Block
from chain.disk import past as module
from chain.disk.database import DATABASE
from chain.disk.history import Event, follow
from chain.disk.inspection import Unclear, View, view_of
from chain.disk.past import Past
from chain.disk.reader import Reader
from tests.support.registered import City, lively_city


@pytest.fixture(scope="module")
def city() -> City:
    return lively_city()


@contextmanager
def view_after(city: City, blocks: Sequence[Block], home: Path) -> Iterator[View]:
    """A home that took these blocks, and no others."""
    shorter = copy.copy(city)
    shorter.blocks = list(blocks)
    reader = Reader(shorter.write(home) / DATABASE, city.genesis)
    try:
        with reader.consistent():
            yield view_of(reader)
    finally:
        reader.close()


def silent(_blocks: int) -> None:
    pass


def told(past: Past, view: View, city: City) -> dict[str, list[Event]]:
    identities = {city.did(actor): view.state.identity(actor.key) for actor in city.members}
    return {did: past.about(view, identity, silent) for did, identity in identities.items()}


def executed(view: View, city: City) -> dict[str, list[Event]]:
    return {city.did(actor): list(follow(view, view.state.identity(actor.key), silent)) for actor in city.members}


def test_it_tells_what_executing_all_of_it_tells(city: City, tmp_path: Path) -> None:
    past = Past(city.genesis)
    fork = city.blocks[:-2]
    for _ in range(2):  # at the end a head that was not final is left again
        fork = [*fork, city.stray(fork[-1], slot=fork[-1].header.slot + len(city.validators))]
    for number, blocks in enumerate((city.blocks[:20], city.blocks[:21], fork, city.blocks)):
        with view_after(city, blocks, tmp_path / str(number)) as view:
            assert told(past, view, city) == executed(view, city)
    assert past.forgotten_height == 0


def test_no_final_block_is_executed_twice(city: City, tmp_path: Path) -> None:
    past, seen = Past(city.genesis), list[int]()
    with view_after(city, city.blocks, tmp_path) as view:
        for actor in city.members:
            past.about(view, view.state.identity(actor.key), seen.append)
        assert sum(seen) == view.finalized_height


def test_who_stops_waiting_loses_nothing(city: City, tmp_path: Path) -> None:
    past, seen = Past(city.genesis), list[int]()

    def stop(blocks: int) -> None:
        seen.append(blocks)
        raise TimeoutError

    with view_after(city, city.blocks, tmp_path) as view:
        for _ in range(2):
            with pytest.raises(TimeoutError):
                past.about(view, city.ann.key, stop)
        assert told(past, view, city) == executed(view, city)
        assert sum(seen) == 32


def test_of_too_much_the_newest_is_kept(city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_EVENTS", 10)
    past = Past(city.genesis)
    with view_after(city, city.blocks, tmp_path) as view:
        kept, whole = told(past, view, city), executed(view, city)
    assert past.forgotten_height > 0
    for did, events in kept.items():
        assert events == whole[did][len(whole[did]) - len(events) :]
        later = [event for event in whole[did] if event.height > past.forgotten_height]
        assert events[len(events) - len(later) :] == later


def test_a_large_register_is_asked_at_its_home(city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_MEMBERS", 3)
    with view_after(city, city.blocks, tmp_path) as view, pytest.raises(Unclear, match=r"its home can be asked"):
        Past(city.genesis).about(view, city.ann.key, silent)
