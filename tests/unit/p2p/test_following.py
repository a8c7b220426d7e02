"""How a transaction is followed until its block is final."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar, cast

import pytest

from chain.base.errors import Reason, Refused
from chain.documents.chronicle import describe_refusal
from p2p.client import Client, Found, NodeAway, NodeStatus, Query
from p2p.following import Follower, Impossible, NotInTime, Until
from tests.unit.p2p.test_client import STATUS_OF_A_NODE

T = TypeVar("T")


WAITING, INCLUDED, FINAL, UNKNOWN = (
    Found("waiting", None),
    Found("included", 5),
    Found("final", 5),
    Found("unknown", None),
)
ID = bytes(32)


class ScriptedNode:
    """A node whose answers about one transaction are written down; the last of them stays.

    The head moves by one block a look.  ``refusals`` are those of trials, None where one passes.
    """

    def __init__(self, found: Sequence[Found | None], refusals: Sequence[Refused | None] = (None,)) -> None:
        self._found = iter_then_last(found)
        self._refusals = iter_then_last(
            [None if refusal is None else describe_refusal(refusal) for refusal in refusals]
        )
        self.height = 0
        self.trials = 0
        self.offers = 0

    def ask(self, question: Query[Any]) -> Any:
        match question.method, question.path.split("/")[1]:
            case "GET", "status":
                return self.status()
            case "GET", "transactions":
                found = next(self._found)
                if found is None:
                    raise NodeAway("no node answers")
                return question.read(found._asdict())
            case "POST", "trial":
                self.trials += 1
                return question.read({"outcomes": [next(self._refusals)]})
            case _:
                self.offers += 1
                return question.read({"outcomes": [None]})

    def status(self) -> NodeStatus:
        self.height += 1
        return {**STATUS_OF_A_NODE, "height": self.height, "finalized_height": self.height - 1}


def iter_then_last(items: Sequence[T]) -> Iterator[T]:
    yield from items
    while True:
        yield items[-1]


class Wait:
    """A wait with a clock that moves only while it sleeps."""

    def __init__(self, node: ScriptedNode, raw: bytes | None = b"raw") -> None:
        self.told: list[str] = []
        self.now_s = 0.0
        asked = cast(Client, node)
        self.follower = Follower(asked, ID, raw, 1000, self.told.append, clock=lambda: self.now_s, sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        assert 0.1 <= seconds <= 1
        self.now_s += seconds

    def until(self, until: Until, timeout_s: float = 10) -> Found:
        return self.follower.wait(until, timeout_s)


def test_a_transaction_is_followed_until_it_is_final() -> None:
    wait = Wait(ScriptedNode([WAITING, WAITING, INCLUDED, INCLUDED, FINAL]))
    assert wait.until("final") == FINAL
    assert wait.told[0] == "waits for a block"
    assert wait.told[1].startswith("included at height 5; final up to height ")
    assert wait.now_s == 1.0


@pytest.mark.parametrize(("until", "found"), [("none", WAITING), ("included", INCLUDED)])
def test_it_is_followed_no_further_than_asked(until: Until, found: Found) -> None:
    assert Wait(ScriptedNode([WAITING, INCLUDED, FINAL])).until(until) == found


def test_a_wait_ends_in_time_and_says_how_far_it_came() -> None:
    wait = Wait(ScriptedNode([WAITING, INCLUDED]))
    with pytest.raises(NotInTime) as late:
        wait.until("final", 3)
    assert late.value.found == INCLUDED
    assert 3 <= wait.now_s < 4


def test_a_node_that_is_away_for_a_while_is_asked_again() -> None:
    wait = Wait(ScriptedNode([WAITING, None, None, FINAL]))
    assert wait.until("final") == FINAL
    assert wait.told == ["waits for a block", "the node does not answer; trying again", *wait.told[2:]]
    with pytest.raises(NotInTime) as late:
        Wait(ScriptedNode([None])).until("final", 1)
    assert late.value.found is None


@pytest.mark.parametrize("found", [WAITING, UNKNOWN])
def test_what_became_impossible_is_given_up_with_the_rule(found: Found) -> None:
    node = ScriptedNode([found], [Refused(Reason.UNDER_OBJECTION, "an objection is open")])
    with pytest.raises(Impossible) as dropped:
        Wait(node).until("final")
    assert (dropped.value.reason, dropped.value.detail) == (Reason.UNDER_OBJECTION, "an objection is open")
    assert node.offers == 0


def test_what_may_still_become_possible_is_waited_for() -> None:
    node = ScriptedNode([WAITING, WAITING, WAITING, WAITING, FINAL], [Refused(Reason.NONCE_GAP), None])
    assert Wait(node).until("final") == FINAL


def test_what_entered_a_block_during_the_trial_is_not_given_up() -> None:
    node = ScriptedNode([UNKNOWN, INCLUDED, FINAL], [Refused(Reason.NONCE_USED)])
    assert Wait(node).until("final") == FINAL


def test_what_the_node_forgot_is_offered_again() -> None:
    node = ScriptedNode([UNKNOWN, WAITING, FINAL])
    wait = Wait(node)
    assert wait.until("final") == FINAL
    assert node.offers == 1
    assert wait.told[0] == "the node had dropped it; offered again"


def test_a_trial_is_made_once_a_block() -> None:
    class Still(ScriptedNode):
        def status(self) -> NodeStatus:
            return {**STATUS_OF_A_NODE, "height": 3, "finalized_height": 2}

    node = Still([WAITING] * 5 + [FINAL])
    assert Wait(node).until("final") == FINAL
    assert node.trials == 1


def test_without_its_encoding_an_unknown_one_is_not_waited_for() -> None:
    node = ScriptedNode([WAITING, UNKNOWN])
    assert Wait(node, raw=None).until("final") == UNKNOWN
    assert (node.trials, node.offers) == (0, 0)
