"""What waits of each actor: how much of it, what of it is ready, and who is held up."""

from __future__ import annotations

import pytest

from chain.base.errors import Reason
from chain.content.actions import Enrol, Rate
from chain.content.transactions import VerifiedTransaction
from chain.protocol import queues
from chain.protocol.queues import MAX_HELD_UP_BLOCKS, MAX_PER_ACTOR, Queue, Queues
from tests.support.refusals import refusal
from tests.support.world import Actor, genesis_of

GENESIS = genesis_of(4)
HEIGHT = 10


def rates(number: int, count: int, nonce: int = 1) -> list[VerifiedTransaction]:
    """What a member writes whose next nonce is ``nonce``."""
    actor = Actor(GENESIS, number)
    actor.nonce = nonce
    return [actor.sign(Rate(bytes(32), 1, 1)) for _ in range(count)]


def waiting(*transactions: VerifiedTransaction, most: int = 99) -> Queues:
    """These wait, of members whose next nonce is 1, of whom ``most`` are remembered as held up."""
    crowd = Queues(most)
    for transaction in transactions:
        crowd.put(transaction, 1)
    return crowd


def counts(crowd: Queues) -> tuple[int, int, int]:
    return crowd.early, crowd.strangers, crowd.expected


def test_one_actor_has_a_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "MAX_PER_ACTOR", 3)
    queue, (*first, last) = Queue(1), rates(1, 4)
    assert refusal(queue.check, last.nonce) is Reason.NONCE_GAP
    for transaction in first:
        assert refusal(queue.check, transaction.nonce) is None
        queue.put(transaction)
        assert refusal(queue.check, transaction.nonce) is Reason.NONCE_TAKEN
    assert refusal(queue.check, last.nonce) is Reason.ACTOR_QUOTA


def test_little_of_one_actor_may_be_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "MAX_EARLY_OF_ACTOR", 2)
    crowd, queue = waiting(), rates(1, 5)
    for index in (2, 3):
        crowd.check(queue[index], 1)
        crowd.put(queue[index], 1)
    assert refusal(crowd.check, queue[4], 1) is Reason.NONCE_GAP
    crowd.put(queue[0], 1)
    assert refusal(crowd.check, queue[4], 1) is Reason.NONCE_GAP
    crowd.put(queue[1], 1)
    assert refusal(crowd.check, queue[4], 1) is None


def test_nobody_reserves_nonces_far_ahead() -> None:
    queue = Queue(7)
    assert refusal(queue.check, 7 + MAX_PER_ACTOR) is Reason.NONCE_GAP
    assert refusal(queue.check, 7 + MAX_PER_ACTOR - 1) is None
    assert refusal(queue.check, 2**64 - 1) is Reason.NONCE_GAP


def test_a_queue_follows_the_head_there_and_back() -> None:
    queue, sent = Queue(1), rates(1, 6)
    for index in (0, 1, 3, 4):
        queue.put(sent[index])
    assert (queue.ready, queue.early) == (2, 2)
    assert queue.follow(2) == sent[:1]
    assert (queue.ready, queue.early, queue.in_order()) == (1, 2, [sent[1], *sent[3:5]])
    # past the gap
    assert queue.follow(4) == [sent[1]]
    assert (queue.ready, queue.early) == (2, 0)
    # and back, before what is gone
    assert queue.follow(2) == []
    assert (queue.ready, queue.early) == (0, 2)
    queue.put(sent[1])
    queue.put(sent[2])
    assert (queue.ready, queue.early) == (4, 0)
    # all of it
    assert queue.follow(7) == [*sent[3:5], *sent[1:3]]
    assert (len(queue), queue.ready, queue.end) == (0, 0, 7)


def test_what_waits_is_counted_by_what_blocks_can_do_with_it() -> None:
    ann, bob = rates(1, 4), rates(2, 3, nonce=0)
    crowd = waiting(*ann[:2], ann[3])
    for transaction in bob:
        crowd.put(transaction, None)
    assert counts(crowd) == (1, 3, 2)
    # a stranger enrols, and of the member something is used up
    assert crowd.follow(bob[0].actor, 1) == bob[:1]
    assert crowd.follow(ann[0].actor, 2) == ann[:1]
    assert crowd.follow(ann[0].actor, 2) == [], "there it is already"
    assert counts(crowd) == (1, 0, 3)
    crowd.drop(bob[1])
    assert counts(crowd) == (2, 0, 1)
    # who has nothing left has no queue
    assert crowd.follow(bob[0].actor, 3) == [bob[2]]
    assert crowd.actors == [ann[0].actor]
    crowd.drop(ann[1])
    crowd.drop(ann[3])
    assert (counts(crowd), crowd.actors) == ((0, 0, 0), [])


def test_what_is_early_is_ordered_by_how_far_it_is_from_its_turn() -> None:
    ann, bob = rates(1, 6), rates(2, 4)
    crowd = waiting(ann[5], bob[3], ann[0], ann[2], ann[3])
    assert crowd.early_ones() == [ann[2], ann[3], bob[3], ann[5]]
    assert [crowd.is_early(item) for item in (ann[0], ann[2], bob[3])] == [False, True, True]


def test_those_are_tried_first_of_whom_something_waits_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "MAX_SUSPECTS", 2)
    ann, bob, eve = (rates(number, 2) for number in (1, 2, 3))
    crowd = waiting()
    stranger = Actor(GENESIS, 20).sign(Enrol())
    crowd.put(stranger, None)
    for transaction in (rates(21, 2)[1], *ann, *bob, *eve):
        crowd.put(transaction, 1)
    turns = [[stranger, ann[0]], [bob[0], eve[0]], [stranger, ann[0]]]
    assert [crowd.suspects() for _ in range(3)] == turns
    crowd.hold_up([ann[0].actor, bob[0].actor], HEIGHT)
    assert crowd.suspects() == [eve[0], stranger]


def test_strangers_who_are_held_up_leave_room_for_others() -> None:
    one, other = (Actor(GENESIS, number).sign(Enrol()) for number in (1, 2))
    crowd = waiting()
    crowd.put(one, None)
    crowd.put(other, None)
    assert counts(crowd) == (0, 2, 0)
    crowd.hold_up([one.actor], HEIGHT)
    assert counts(crowd) == (0, 1, 0)
    # who enrolled meanwhile is a member who is held up
    crowd.follow(one.actor, 0)
    assert counts(crowd) == (0, 1, 0)
    crowd.release([one.actor])
    assert counts(crowd) == (0, 1, 1)


def test_nothing_is_expected_of_those_who_are_held_up() -> None:
    ann, bob, eve = (rates(number, 2) for number in (1, 2, 3))
    crowd = waiting(ann[0], *bob, eve[0])
    crowd.hold_up([ann[0].actor, bob[0].actor], HEIGHT)
    assert (counts(crowd), crowd.of_held_up()) == ((0, 0, 1), [ann[0], *bob]), "the nearest to their turn first"
    # neither of what comes later, also where nothing waited in between
    crowd.drop(ann[0])
    assert crowd.of_held_up() == bob
    crowd.put(ann[0], 1)
    assert counts(crowd) == (0, 0, 1)
    # twice is once, and who is not held up is not released
    crowd.hold_up([bob[0].actor], HEIGHT + 1)
    crowd.release([eve[0].actor])
    assert counts(crowd) == (0, 0, 1)
    crowd.release([ann[0].actor])
    assert counts(crowd) == (0, 0, 2)
    crowd.release_old(HEIGHT + 1 + MAX_HELD_UP_BLOCKS)
    assert counts(crowd) == (0, 0, 2)
    crowd.release_old(HEIGHT + 2 + MAX_HELD_UP_BLOCKS)
    assert (counts(crowd), crowd.of_held_up()) == ((0, 0, 4), [])


def test_those_who_are_held_up_are_forgotten_the_oldest_first() -> None:
    ann, bob, eve = (rates(number, 1)[0] for number in (1, 2, 3))
    crowd = waiting(ann, bob, eve, most=2)
    crowd.hold_up([ann.actor, bob.actor], HEIGHT)
    crowd.hold_up([ann.actor, eve.actor], HEIGHT + 1)
    assert [crowd.is_held_up(item.actor) for item in (ann, bob, eve)] == [True, False, True]
    assert counts(crowd) == (0, 0, 1)


def test_of_those_who_are_held_up_each_has_its_turn() -> None:
    ann, bob, eve = (rates(number, 2) for number in (1, 2, 3))
    sent = [*ann, *bob, *eve]
    crowd = waiting(*sent)
    crowd.hold_up([ann[0].actor, bob[0].actor], HEIGHT)
    assert list(crowd.in_turn(sent)) == [*eve, *ann, *bob]
    # of whom a block had time for ann alone
    crowd.hold_up([eve[0].actor, ann[0].actor], HEIGHT + 1)
    assert list(crowd.in_turn(sent)) == [*bob, *eve, *ann]


def test_keys_that_cost_nothing_are_held_up_for_longer_where_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "MAX_SUSPECTS", 1)
    strangers, members = [Actor(GENESIS, number).sign(Enrol()) for number in (20, 21)], [*rates(1, 1), *rates(2, 1)]
    crowd = waiting(*members)
    for transaction in strangers:
        crowd.put(transaction, None)
    crowd.hold_up([item.actor for item in (*strangers, *members)], HEIGHT)
    for released in ([True, False], [True, True]):
        crowd.release_old(HEIGHT + 1 + MAX_HELD_UP_BLOCKS)
        assert [not crowd.is_held_up(item.actor) for item in strangers] == released
        assert not any(crowd.is_held_up(item.actor) for item in members)


def test_a_key_that_cost_nothing_is_held_up_while_something_of_it_waits() -> None:
    # Others would push out the members that are held up.
    stranger, (ann,) = Actor(GENESIS, 20).sign(Enrol()), rates(1, 1)
    crowd = waiting(ann)
    crowd.put(stranger, None)
    crowd.hold_up([stranger.actor, ann.actor], HEIGHT)
    for transaction in (stranger, ann):
        crowd.drop(transaction)
    assert [crowd.is_held_up(item.actor) for item in (stranger, ann)] == [False, True]
