"""A state fetched in parts, from peers of which some lie, fail, or are late; killed at any moment it goes on."""

from __future__ import annotations

from hashlib import sha256
from random import Random

import pytest

from chain.base.errors import Reason, Refused
from chain.protocol import joining as module
from chain.protocol.joining import PATIENCE_MS, REST_MS, Joining, share
from chain.protocol.messages import GetPart
from chain.tree.ranges import WHOLE, Fetched, Part, Row
from chain.tree.stateproof import MAX_DEPTH
from chain.tree.statetree import StateTree, hash_entries
from tests.support.refusals import refusal
from tests.support.shelf import Shelf

STATE = {b"%d" % number: bytes(number % 50) for number in range(3_000)}
SHELF = Shelf(STATE.items())
OTHER = Shelf({**STATE, b"7": b"altered"}.items())
SMALL = 2_000


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PART_BYTES", SMALL)


def run(joining: Joining, *, peers: tuple[str, ...] = ("a", "b", "c"), steps: int = 10_000) -> list[Row]:
    """Let honest peers answer all that they are asked, in their order, for so many answers."""
    rows: list[Row] = []
    for _ in range(steps):
        for peer, request in list(joining.requests(peers, 0)):
            rows += taken(joining, peer, request)
        if joining.is_done:
            break
    return rows


def taken(joining: Joining, peer: str, request: GetPart, shelf: Shelf = SHELF, now_ms: int = 0) -> tuple[Row, ...]:
    """What a shelf's answer brings."""
    fetched = joining.take(peer, request, shelf.give(request), now_ms)
    return () if fetched is None else fetched.rows


def first(joining: Joining, peer: str, now_ms: int = 0) -> GetPart:
    return next(request for asked, request in joining.requests([peer], now_ms) if asked == peer)


def test_parts_are_together_the_state() -> None:
    joining = Joining(SHELF.root)
    rows = run(joining)
    assert joining.is_done
    assert len(rows) == len(STATE) == joining.total
    assert StateTree.build(rows).root == SHELF.root
    assert share(joining) == 1_000


def test_an_empty_state_is_one_part() -> None:
    empty = Shelf(())
    joining = Joining(empty.root)
    request = first(joining, "a")
    assert taken(joining, "a", request, empty) == ()
    assert joining.is_done


def test_a_part_is_as_large_as_asked_for_or_one_bucket() -> None:
    joining = Joining(SHELF.root)
    while not joining.is_done:
        for peer, request in list(joining.requests(["a"], 0)):
            reply = SHELF.give(request)
            assert len(reply) < SMALL + 1_200  # with its path
            joining.take(peer, request, reply, 0)


def test_several_peers_share_what_is_missing() -> None:
    joining = Joining(SHELF.root)
    request = first(joining, "a")
    joining.take("a", request, SHELF.give(request), 0)
    asked = [(peer, request.part) for peer, request in joining.requests(["a", "b", "c"], 0)]
    assert len(asked) == len({part for _, part in asked})
    assert {peer for peer, _ in asked} == {"a", "b", "c"}


def test_a_wrong_part_costs_its_sender_and_not_the_join() -> None:
    joining = Joining(SHELF.root)
    request = first(joining, "liar")
    assert refusal(joining.take, "liar", request, OTHER.give(request), 0) is Reason.WRONG_STATE_ROOT
    assert list(joining.requests(["liar"], 0)) == []
    rows = run(joining, peers=("liar", "a", "b"))
    assert StateTree.build(rows).root == SHELF.root


def test_who_lies_about_one_part_only_is_found_out() -> None:
    joining, rows = Joining(SHELF.root), list[Row]()
    target = sha256(b"7").digest()
    caught = 0
    while not joining.is_done:
        for peer, request in list(joining.requests(["liar", "honest"], 0)):
            shelf = OTHER if peer == "liar" and target in request.part else SHELF
            try:
                rows += taken(joining, peer, request, shelf)
            except Refused:
                caught += 1
    assert caught <= 1
    assert StateTree.build(rows).root == SHELF.root


def test_who_fails_rests_longer_each_time() -> None:
    joining = Joining(SHELF.root)
    joining.failed("a", first(joining, "a"), 0)
    assert list(joining.requests(["a"], REST_MS - 1)) == []
    joining.failed("a", first(joining, "a", REST_MS), REST_MS)
    assert list(joining.requests(["a"], 3 * REST_MS - 1)) == []
    assert first(joining, "a", 3 * REST_MS).part == WHOLE


def test_what_is_late_is_asked_of_another_and_the_first_answer_counts() -> None:
    joining = Joining(SHELF.root)
    slow = first(joining, "slow")
    assert list(joining.requests(["quick"], PATIENCE_MS - 1)) == []
    quick = first(joining, "quick", PATIENCE_MS)
    assert quick.part == slow.part
    came = joining.take("quick", quick, SHELF.give(GetPart(SHELF.root, WHOLE, 500)), PATIENCE_MS)
    assert came is not None
    late = taken(joining, "slow", slow)
    assert set(came.rows) < set(late)
    assert StateTree.build({**dict(late), **dict(run(joining))}.items()).root == SHELF.root
    assert joining.take("slow", slow, SHELF.give(slow), 0) is None


def test_who_shows_next_to_nothing_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PART_BYTES", 20 * SMALL)
    joining = Joining(SHELF.root)
    request = first(joining, "stingy")
    assert joining.take("stingy", request, SHELF.give(GetPart(SHELF.root, WHOLE, 1)), 0)
    assert list(joining.requests(["stingy"], REST_MS - 1)) == []
    run(joining, peers=("stingy", "a"))
    assert joining.is_done


def test_who_shows_less_than_a_bucket_of_more_is_refused() -> None:
    """Each such reply would leave 245 pieces more, and honest peers could not fetch them as fast."""
    joining = Joining(SHELF.root)
    request = first(joining, "splitting")
    sliver = SHELF.give(GetPart(SHELF.root, WHOLE.inside(MAX_DEPTH), 1))
    assert refusal(joining.take, "splitting", request, sliver, 0) is Reason.UNSOLICITED
    assert joining.missing == [WHOLE]


def test_a_peer_that_went_is_not_waited_for() -> None:
    joining = Joining(SHELF.root)
    gone = first(joining, "gone")
    joining.forget("gone")
    assert first(joining, "a").part == WHOLE
    assert taken(joining, "gone", gone) == ()


def test_who_comes_back_still_rests() -> None:
    joining = Joining(SHELF.root)
    joining.failed("a", first(joining, "a"), 0)
    joining.forget("a")
    assert list(joining.requests(["a"], REST_MS - 1)) == []


@pytest.mark.parametrize("seed", range(10))
def test_killed_at_any_moment_it_goes_on(seed: int) -> None:
    rng, saved, rows = Random(seed), Joining(SHELF.root).encode(), list[Row]()
    while not (joining := Joining.decode(saved)).is_done:
        for _ in range(rng.randrange(1, 9)):
            for peer, request in list(joining.requests(["a", "b"], 0)):
                if rng.random() < 0.5:
                    rows += taken(joining, peer, request)
                    saved = joining.encode()
                else:
                    joining.failed(peer, request, -REST_MS)
    assert len(rows) == len(STATE)
    assert StateTree.build(rows).root == SHELF.root


class Here:
    """What is here of a state, as :class:`chain.disk.newcomer.Newcomer` keeps it on disk."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self._entries: dict[bytes, bytes] = {}  # of each row, what the tree has

    def hash_of(self, part: Part) -> bytes:
        return hash_entries(sorted(entry for entry in self._entries.values() if entry[:32] in part), part.depth)

    def keep(self, fetched: Fetched | None) -> None:
        if fetched is not None:
            gone = [key for key, entry in self._entries.items() if entry[:32] in fetched.part]
            for key in gone:
                del self.rows[key], self._entries[key]
            self.rows.update(fetched.rows)
            self._entries |= {key: sha256(key).digest() + sha256(value).digest() for key, value in fetched.rows}


def fetch(joining: Joining, here: Here, shelf: Shelf, steps: int = 10_000) -> int:
    """How many parts it took."""
    parts = 0
    for _ in range(steps):
        for peer, request in list(joining.requests(["a", "b"], 0)):
            here.keep(joining.take(peer, request, shelf.give(request), 0))
            parts += 1
        if joining.is_done:
            break
    return parts


def later(rng: Random) -> dict[bytes, bytes]:
    """A state some blocks later: some entries changed, some went, some are new."""
    state = dict(STATE)
    for key in rng.sample(sorted(STATE), 12):
        state[key] = rng.randbytes(9)
    for key in rng.sample(sorted(STATE), 12):
        state.pop(key, None)
    return state | {rng.randbytes(8): b"new" for _ in range(12)}


@pytest.mark.parametrize("seed", range(5))
def test_another_root_costs_only_what_differs(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEAL_BYTES", 200)
    here, state = Here(), later(Random(seed))
    joining = Joining(SHELF.root, here=here.hash_of)
    whole, shelf = fetch(joining, here, SHELF), Shelf(state.items())
    joining.turn_to(shelf.root)
    parts = fetch(joining, here, shelf)
    assert here.rows == state
    assert parts < 150 < len(STATE) / 10
    joining.turn_to(shelf.root)
    assert fetch(joining, here, shelf) == 1
    assert whole > 20


@pytest.mark.parametrize("seed", range(5))
def test_roots_may_change_in_the_middle_and_what_is_late_is_of_no_use(seed: int) -> None:
    rng, here = Random(seed), Here()
    shelf = SHELF
    joining = Joining(shelf.root, here=here.hash_of)
    for _ in range(5):
        late = first(joining, "late")
        fetch(joining, here, shelf, rng.randrange(1, 20))
        state = later(rng)
        shelf = Shelf(state.items())
        joining.turn_to(shelf.root)
        assert joining.take("late", late, SHELF.give(late), 0) is None
    fetch(joining, here, shelf)
    assert here.rows == state


def test_what_is_missing_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    joining = Joining(SHELF.root)
    monkeypatch.setattr(module, "MAX_MISSING", 3)
    request = first(joining, "a")
    assert joining.take("a", request, SHELF.give(request), 0) is None
    assert joining.missing == [WHOLE]


def test_a_question_is_read_as_it_was_written() -> None:
    question = GetPart(bytes(32), WHOLE.beside(3)[0], 1_000)
    assert GetPart.decode(question.encode()) == question
    for data in (b"", b"\x90", question.encode() + b"\0", bytes(200)):
        assert refusal(GetPart.decode, data) is not None
