"""Lanes: what is asked of the database, how long it is told again, and what happened since the genesis."""

from __future__ import annotations

from pathlib import Path

import pytest

from chain.base.errors import Reason, Refused
from chain.disk.database import DATABASE
from chain.disk.inspection import NotThere, View
from chain.disk.past import Past
from chain.disk.storage import Storage
from chain.protocol.events import Commit
from p2p.local.reading import Lane
from tests.support.registered import City, lively_city


class Home:
    """A home that can be written to."""

    def __init__(self, path: Path) -> None:
        self.city: City = lively_city()
        self.path = self.city.write(path) / DATABASE
        self.asked = 0

    def changes(self) -> None:
        storage = Storage(self.path, self.city.genesis)
        storage.commit([Commit()])
        storage.close()

    def question(self, _view: View) -> bytes:
        self.asked += 1
        return b"answer %d" % self.asked


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


async def test_an_answer_is_told_again_until_something_is_new(home: Home) -> None:
    lane = Lane(home.path, home.city.genesis)
    first = await lane.ask("it", home.question, None)
    assert (await lane.ask("it", home.question, None), home.asked) == (first, 1)
    assert (await lane.ask("it", home.question, first.tag)).body is None
    home.changes()
    second = await lane.ask("it", home.question, first.tag)
    assert (second.body, second.tag != first.tag) == (b"answer 2", True)
    lane.close()


async def test_a_costly_answer_is_told_for_longer_than_it_took(home: Home) -> None:
    lane = Lane(home.path, home.city.genesis, rest=10**9)
    first = await lane.ask("it", home.question, None)
    home.changes()
    assert (await lane.ask("it", home.question, None), home.asked) == (first, 1)
    assert (await lane.ask("it", home.question, first.tag)).body is None
    assert (await lane.ask("other", home.question, None)).body == b"answer 2"
    lane.close()


async def test_what_happened_is_kept_unless_it_is_wrong(home: Home) -> None:
    lane, found = Lane(home.path, home.city.genesis), list[Past]()

    def asks(failure: Exception | None) -> None:
        def question(_view: View, past: Past) -> bytes:
            found.append(past)
            if failure is not None:
                raise failure
            return b""

        lane.with_past(question)(None)  # type: ignore[arg-type]

    asks(None)
    with pytest.raises(NotThere):
        asks(NotThere("nobody"))
    with pytest.raises(Refused):
        asks(Refused(Reason.WRONG_STATE_ROOT, "damage"))
    asks(None)
    assert [past is found[0] for past in found] == [True, True, True, False]
    lane.close()
