"""A state fetched in parts, from peers of which some lie, fail, or are late; killed at any moment it goes on."""

from __future__ import annotations

from hashlib import sha256
from random import Random

import pytest

from chain import joining as module
from chain.errors import Reason, Refused
from chain.joining import PATIENCE_MS, REST_MS, Joining, share
from chain.messages import GetPart
from chain.ranges import WHOLE, Row
from chain.shelf import Shelf
from chain.statetree import MAX_DEPTH, StateTree
from tests.support.refusals import refusal

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
            rows += joining.take(peer, request, SHELF.give(request), 0)
        if joining.is_done:
            break
    return rows


def first(joining: Joining, peer: str, now_ms: int = 0) -> GetPart:
    return next(request for asked, request in joining.requests([peer], now_ms) if asked == peer)


def test_parts_are_together_the_state() -> None:
    joining = Joining(SHELF.root)
    rows = run(joining)
    assert joining.is_done
    assert len(rows) == len(STATE) == joining.entries == joining.total
    assert StateTree.build(rows).root == SHELF.root
    assert share(joining) == 1_000


def test_an_empty_state_is_one_part() -> None:
    empty = Shelf(())
    joining = Joining(empty.root)
    request = first(joining, "a")
    assert joining.take("a", request, empty.give(request), 0) == []
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
                rows += joining.take(peer, request, shelf.give(request), 0)
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
    rows = joining.take("quick", quick, SHELF.give(GetPart(SHELF.root, WHOLE, 500)), PATIENCE_MS)
    rows += joining.take("slow", slow, SHELF.give(slow), 0)
    assert len(rows) == len(dict(rows)) > 0
    assert StateTree.build([*rows, *run(joining)]).root == SHELF.root


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
    assert joining.take("gone", gone, SHELF.give(gone), 0) == []


@pytest.mark.parametrize("seed", range(10))
def test_killed_at_any_moment_it_goes_on(seed: int) -> None:
    rng, saved, rows = Random(seed), Joining(SHELF.root).encode(), list[Row]()
    while not (joining := Joining.decode(saved)).is_done:
        for _ in range(rng.randrange(1, 9)):
            for peer, request in list(joining.requests(["a", "b"], 0)):
                if rng.random() < 0.5:
                    rows += joining.take(peer, request, SHELF.give(request), 0)
                    saved = joining.encode()
                else:
                    joining.failed(peer, request, -REST_MS)
    assert len(rows) == len(STATE)
    assert StateTree.build(rows).root == SHELF.root


def test_a_state_that_is_too_large_is_not_given_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chain.shelf.MAX_SHELF_ENTRIES", 10)
    assert refusal(Shelf, STATE.items()) is Reason.TOO_LARGE


def test_a_question_is_read_as_it_was_written() -> None:
    question = GetPart(bytes(32), WHOLE.beside(3)[0], 1_000)
    assert GetPart.decode(question.encode()) == question
    for data in (b"", b"\x90", question.encode() + b"\0", bytes(200)):
        assert refusal(GetPart.decode, data) is not None
