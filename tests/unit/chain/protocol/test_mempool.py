"""The mempool: what it takes, in which order it gives, and its bounds."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from chain.base.errors import Reason, Refused
from chain.content.actions import Enrol, Rate
from chain.content.transactions import VerifiedTransaction
from chain.protocol import aside, mempool, queues
from chain.protocol.mempool import MAX_AGE_BLOCKS, MAX_EARLY_BLOCKS, Mempool
from chain.protocol.queues import MAX_HELD_UP_BLOCKS
from tests.support.world import Actor, genesis_of

GENESIS = genesis_of(4)
HEIGHT = 10
RATE = Rate(bytes(32), 1, 1)


class Pool(Mempool):
    """A mempool whose members are in a dictionary: key -> next nonce."""

    def __init__(self) -> None:
        self.members: dict[bytes, int] = {}
        super().__init__(self.members.get)

    def take(self, *transactions: VerifiedTransaction) -> None:
        for transaction in transactions:
            self.add(transaction, HEIGHT)

    def refusal(self, transaction: VerifiedTransaction) -> Reason:
        before = list(self), self.bytes
        with pytest.raises(Refused) as caught:
            self.add(transaction, HEIGHT)
        assert (list(self), self.bytes) == before
        return caught.value.reason

    def order(self) -> list[VerifiedTransaction]:
        return list(self.candidates())


@pytest.fixture
def pool() -> Pool:
    return Pool()


def member(pool: Pool, number: int, nonce: int = 1) -> Actor:
    actor = Actor(GENESIS, number)
    actor.nonce = pool.members[actor.key] = nonce
    return actor


def rates(actor: Actor, count: int, expiry: int = 100) -> list[VerifiedTransaction]:
    return [actor.sign(Rate(bytes(32), 1, 1), expiry) for _ in range(count)]


def test_what_was_taken_is_found(pool: Pool) -> None:
    one, two = rates(member(pool, 1), 2)
    pool.take(one)
    assert (len(pool), pool.bytes, list(pool)) == (1, len(one.raw), [one])
    assert one.id in pool
    assert two.id not in pool
    assert (pool.get(one.id), pool.get(two.id)) == (one, None)


def test_what_waits_of_a_key_that_the_chain_forgets_is_not_ready(pool: Pool) -> None:
    ann = member(pool, 1, nonce=3)
    pool.take(*rates(ann, 2))
    assert (pool.ready, pool.early) == (2, 0)
    del pool.members[ann.key]
    pool.follow([ann.key], HEIGHT)
    assert (pool.ready, pool.early, pool.order()) == (0, 2, [])
    # The block that forgot it lost.
    pool.members[ann.key] = 3
    pool.follow(pool.actors, HEIGHT)
    assert pool.ready == len(pool.order()) == 2


def test_the_next_nonce_is_the_first_that_neither_chain_nor_pool_has(pool: Pool) -> None:
    ann = member(pool, 1, nonce=3)
    one, two, three, four = rates(ann, 4)
    assert pool.next_free(ann.key) == 3
    for transaction, free in ((one, 4), (three, 4), (two, 6), (four, 7)):
        pool.take(transaction)
        assert pool.next_free(ann.key) == free
    assert pool.next_free(bytes(32)) == 0


def test_candidates_come_in_order_of_arrival(pool: Pool) -> None:
    ann, bob = member(pool, 1), member(pool, 2)
    a1, a2 = rates(ann, 2)
    b1, b2 = rates(bob, 2)
    pool.take(b1, a1, a2, b2)
    assert pool.order() == [b1, a1, a2, b2]


@pytest.mark.parametrize("arrival", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 0, 3, 2), (2, 3, 0, 1), (1, 2, 3, 0)])
def test_an_actors_candidates_come_in_order_of_their_nonces(pool: Pool, arrival: Sequence[int]) -> None:
    queue = rates(member(pool, 1), 4)
    pool.take(*[queue[index] for index in arrival])
    assert pool.order() == queue


def test_candidates_end_at_a_gap(pool: Pool) -> None:
    queue = rates(member(pool, 1), 4)
    pool.take(queue[0], queue[1], queue[3])
    assert pool.order() == queue[:2]


def test_a_transaction_waits_only_once(pool: Pool) -> None:
    (one,) = rates(member(pool, 1), 1)
    pool.take(one)
    assert pool.refusal(one) is Reason.DUPLICATE


def test_expired_and_used_ones_are_refused(pool: Pool) -> None:
    actor = member(pool, 1, nonce=5)
    assert pool.refusal(actor.sign(RATE, HEIGHT - 1)) is Reason.EXPIRED
    actor.nonce = 4
    assert pool.refusal(actor.sign(RATE)) is Reason.NONCE_USED
    pool.take(actor.sign(RATE, HEIGHT))


def test_the_first_with_a_nonce_stays(pool: Pool) -> None:
    actor = member(pool, 1)
    pool.take(actor.sign(RATE, 50))
    actor.nonce = 1
    assert pool.refusal(actor.sign(RATE, 51)) is Reason.NONCE_TAKEN


def test_what_waits_for_something_unseen_is_counted_apart(pool: Pool) -> None:
    queue = rates(member(pool, 1), 5)
    pool.take(queue[0], queue[2], queue[4])
    assert (pool.ready, pool.early) == (1, 2)
    pool.take(queue[1])
    assert (pool.ready, pool.early) == (3, 1)
    pool.remove(queue[0].id)
    assert (pool.ready, pool.early) == (0, 3)


def test_many_that_are_early_keep_nobody_else_out(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mempool, "MAX_EARLY", 2)
    flood = [rates(member(pool, number), 2)[1] for number in (1, 2, 3)]
    pool.take(*flood[:2])
    pool.claim(flood)
    assert pool.refusal(flood[2]) is Reason.POOL_FULL
    pool.take(*rates(member(pool, 9), 5))
    assert (pool.ready, pool.early) == (5, 2)


def test_where_too_much_is_early_the_farthest_from_its_turn_leaves(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mempool, "MAX_EARLY", 5)
    *_, far, ours, farther, farthest, last = rates(member(pool, 1), 9)
    pool.take(last, farthest, farther, ours, far)
    pool.claim([ours])
    near, other = rates(member(pool, 2), 2)[1], rates(member(pool, 3), 3)[1:]
    pool.take(near)
    assert list(pool) == [farther, ours, far, near], "what this node told a client that it takes, it keeps"
    pool.take(other[0])
    assert pool.refusal(other[1]) is Reason.POOL_FULL, "once a block"


def test_batches_that_overtake_each_other_come_through_a_crowd_of_what_is_early(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mempool, "MAX_EARLY", 12)
    queues = [rates(member(pool, number), 20) for number in (1, 2, 3)]
    for queue in queues:
        pool.take(*queue[16:])
    for first in (2, 0, 6, 4):
        for queue in queues:
            for transaction in queue[first : first + 2]:
                pool.take(transaction)
    assert pool.ready == 3 * 8


def test_who_is_held_up_comes_last(pool: Pool) -> None:
    ann, bob, eve = (rates(member(pool, number), 2) for number in (1, 2, 3))
    pool.take(ann[1], bob[0], ann[0], eve[0], bob[1])
    pool.hold_up([ann[0].actor, bob[0].actor], HEIGHT)
    assert pool.order() == [eve[0], *ann, *bob]
    # until something of theirs enters a block, or some blocks have passed
    pool.members[ann[0].actor] = 2
    pool.discard([ann[0]], HEIGHT)
    assert pool.order() == [ann[1], eve[0], *bob]
    pool.hold_up([ann[1].actor], HEIGHT)
    pool.expire(HEIGHT + MAX_HELD_UP_BLOCKS)
    assert pool.order() == [eve[0], *bob, ann[1]]
    # also where it never can, so that another of the same kind in its place comes last as well
    pool.set_aside(ann[1], HEIGHT)
    pool.take(ann[1])
    assert pool.order() == [eve[0], *bob, ann[1]]
    pool.expire(HEIGHT + MAX_HELD_UP_BLOCKS + 1)
    assert pool.order() == [bob[0], eve[0], bob[1], ann[1]]


def test_what_is_held_up_gives_way_and_does_not_fill_the_pool_again(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mempool, "MAX_TRANSACTIONS", 6)
    ann, bob, eve = rates(member(pool, 1), 5), rates(member(pool, 2), 9), rates(member(pool, 3), 9)
    pool.take(*ann[:4], *bob[:2])
    pool.claim([ann[2]])
    assert (pool.ready, pool.expected, pool.is_full) == (6, 6, True)
    # when ann is held up, then what this node promised its clients stays, and all others find room
    pool.hold_up([ann[0].actor], HEIGHT)
    assert (pool.ready, pool.expected) == (6, 2)
    pool.clear_held_up()
    assert list(pool) == [ann[2], *bob[:2]]
    assert pool.refusal(ann[0]) is Reason.POOL_FULL
    pool.take(*eve[:3])
    assert pool.refusal(eve[3]) is Reason.POOL_FULL
    # and where there is room ann has some as well, and what blocks held that were abandoned comes back
    pool.restore([ann[1]], HEIGHT)
    assert pool.claimed(9) == (ann[2], ann[1]), "which is to be offered by all who had it"
    for transaction in (*bob[:2], *eve[:3]):
        pool.remove(transaction.id)
    pool.take(ann[0])
    assert (pool.order(), pool.expected) == (ann[:3], 0)


def test_what_was_promised_and_no_block_takes_does_not_fill_the_pool(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a pool that somebody filled by the way of clients, where another was promised something as well
    monkeypatch.setattr(mempool, "MAX_TRANSACTIONS", 12)
    monkeypatch.setattr(mempool, "MAX_PROMISED", 4)
    bob, ann = (rates(member(pool, number), 1) for number in (1, 2))
    eve = [rates(member(pool, number), 5) for number in (3, 4)]
    pool.take(*eve[0], *eve[1], *ann, *bob)
    pool.claim((*eve[0], *eve[1], *ann))
    # when blocks refuse all but bob's
    pool.hold_up([each[0].actor for each in (*eve, ann)], HEIGHT)
    pool.clear_held_up()
    # then there is room, and those stay that are the nearest to their turn
    assert list(pool) == [*eve[0][:2], eve[1][0], *ann, *bob]
    monkeypatch.setattr(mempool, "MAX_PROMISED_BYTES", len(ann[0].raw))
    pool.clear_held_up()
    assert len(pool) == 2, "few that are large fill it as well"


def test_what_was_promised_and_is_early_does_not_keep_out_what_is_nearer(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mempool, "MAX_EARLY", 5)
    monkeypatch.setattr(mempool, "MAX_PROMISED", 3)
    eve, near = rates(member(pool, 1), 9)[4:], rates(member(pool, 2), 2)[1]
    pool.take(*eve)
    pool.claim(eve)
    pool.take(near)
    assert list(pool) == [*eve[:3], near]


def test_in_a_full_pool_what_is_early_gives_way_to_what_is_next(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mempool, "MAX_TRANSACTIONS", 4)
    _, *early = rates(member(pool, 1), 5)
    pool.take(*early)
    ours, further = rates(member(pool, 2), 3)[:2], rates(member(pool, 3), 2)
    assert pool.refusal(further[1]) is Reason.POOL_FULL
    pool.take(*ours)
    assert list(pool) == [*early[:2], *ours]
    assert pool.refusal(further[0]) is Reason.POOL_FULL, "once a block"


def test_what_is_early_does_not_wait_as_long(pool: Pool) -> None:
    ready, _, early = rates(member(pool, 1), 3, expiry=10_000)
    _, ours = rates(member(pool, 2), 2, expiry=10_000)
    pool.take(ready, early, ours)
    pool.claim([ours])
    pool.expire(HEIGHT + MAX_EARLY_BLOCKS)
    assert list(pool) == [ready, early, ours]
    pool.expire(HEIGHT + MAX_EARLY_BLOCKS + 1)
    assert list(pool) == [ready, ours], "what this node told a client that it takes, it keeps"


def test_the_pool_is_bounded_in_number(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mempool, "MAX_TRANSACTIONS", 2)
    queue = rates(member(pool, 1), 3)
    pool.take(*queue[:2])
    assert pool.refusal(queue[2]) is Reason.POOL_FULL
    pool.remove(queue[0].id)
    pool.take(queue[2])


def test_the_pool_is_bounded_in_bytes(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = rates(member(pool, 1), 3)
    monkeypatch.setattr(mempool, "MAX_BYTES", len(queue[0].raw) + len(queue[1].raw))
    pool.take(*queue[:2])
    assert pool.refusal(queue[2]) is Reason.POOL_FULL


def test_strangers_leave_room_for_members(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mempool, "MAX_FROM_STRANGERS", 2)
    strangers = [Actor(GENESIS, number).sign(Enrol()) for number in (1, 2, 3)]
    pool.take(*strangers[:2])
    assert pool.refusal(strangers[2]) is Reason.POOL_FULL
    pool.take(*rates(member(pool, 9), 5))
    pool.remove(strangers[0].id)
    pool.take(strangers[2])


def enrolled(pool: Pool, actor: Actor, nonce: int = 1) -> None:
    pool.members[actor.key] = nonce


def test_a_stranger_who_enrols_is_none_any_more(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mempool, "MAX_FROM_STRANGERS", 3)
    ann = Actor(GENESIS, 1)
    enrol, *more = [ann.sign(Enrol()), *rates(ann, 2)]
    pool.take(enrol, *more)
    enrolled(pool, ann)
    pool.discard([enrol], HEIGHT)
    assert pool.order() == more
    pool.take(*[Actor(GENESIS, number).sign(Enrol()) for number in (2, 3, 4)])
    assert pool.refusal(Actor(GENESIS, 5).sign(Enrol())) is Reason.POOL_FULL


def test_an_undone_enrolment_is_counted_right(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a member with two transactions that wait
    monkeypatch.setattr(mempool, "MAX_FROM_STRANGERS", 3)
    ann = Actor(GENESIS, 1)
    enrol = ann.sign(Enrol())
    enrolled(pool, ann)
    pool.take(*rates(ann, 2))

    # when the block with its enrolment is abandoned and another takes it up again
    del pool.members[ann.key]
    pool.restore([enrol], HEIGHT)
    enrolled(pool, ann)
    pool.discard([enrol], HEIGHT)

    # then strangers have exactly the room that they had
    pool.take(*[Actor(GENESIS, number).sign(Enrol()) for number in (2, 3, 4)])
    assert pool.refusal(Actor(GENESIS, 5).sign(Enrol())) is Reason.POOL_FULL


def test_a_block_takes_its_transactions_and_what_they_made_impossible(pool: Pool) -> None:
    ann, bob = member(pool, 1), member(pool, 2)
    a1, a2, a3 = rates(ann, 3)
    b1, b2 = rates(bob, 2)
    ann.nonce = 1
    other_a1 = ann.sign(Enrol())
    pool.take(a1, a2, a3, b1, b2)
    pool.members.update({ann.key: 3, bob.key: 2})
    pool.discard([other_a1, a2, b1], HEIGHT)
    assert pool.order() == [a3, b2]
    assert pool.bytes == len(a3.raw) + len(b2.raw)


def test_abandoned_transactions_come_back_as_far_as_they_can(pool: Pool) -> None:
    ann = member(pool, 1, nonce=2)
    ann.nonce = 1
    used, good = rates(ann, 2)
    expired = rates(ann, 1, expiry=HEIGHT - 1)[0]
    pool.restore([used, good, expired], HEIGHT)
    pool.restore([good], HEIGHT)
    assert list(pool) == [good]


def test_abandoned_transactions_come_back_before_all_that_may_wait_of_their_actor(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given an actor of whom as much waits as may, behind what a block holds
    monkeypatch.setattr(queues, "MAX_PER_ACTOR", 3)
    ann = member(pool, 1)
    held, waiting = rates(ann, 2), rates(ann, 3)
    pool.members[ann.key] = 3
    pool.take(*waiting)
    assert pool.refusal(rates(ann, 1)[0]) is Reason.ACTOR_QUOTA
    # when that block is abandoned, all of it waits in its order, and no more than before
    pool.members[ann.key] = 1
    pool.restore(held, HEIGHT)
    assert pool.order() == [*held, *waiting]
    assert pool.refusal(rates(ann, 1)[0]) is Reason.ACTOR_QUOTA
    # also where its actor is held up
    pool.hold_up([ann.key], HEIGHT)
    assert pool.order() == [*held, *waiting]


def test_what_comes_back_may_have_to_leave_for_what_comes_back_with_it(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mempool, "MAX_EARLY", 1)
    monkeypatch.setattr(mempool, "MAX_PROMISED", 1)
    (last,) = rates(member(pool, 9), 1)
    pool.take(last)
    far, near, nearer = (rates(member(pool, number), distance)[-1] for number, distance in ((1, 4), (2, 3), (3, 2)))
    pool.restore([far, near, nearer], HEIGHT)
    assert list(pool) == [near, nearer, last]


def test_what_expired_is_dropped(pool: Pool) -> None:
    ann = member(pool, 1)
    early, late = rates(ann, 1, expiry=20)[0], rates(ann, 1, expiry=21)[0]
    pool.take(early, late)
    pool.expire(20)
    assert list(pool) == [early, late]
    pool.expire(21)
    assert list(pool) == [late]
    pool.expire(22)
    assert (len(pool), pool.bytes) == (0, 0)


def test_removing_what_is_not_there_changes_nothing(pool: Pool) -> None:
    pool.remove(bytes(32))
    assert len(pool) == 0


def test_what_no_block_took_for_long_makes_room(pool: Pool) -> None:
    (waiting,) = rates(member(pool, 1), 1, expiry=10_000)
    pool.take(waiting)
    pool.expire(HEIGHT + MAX_AGE_BLOCKS)
    assert list(pool) == [waiting]
    pool.expire(HEIGHT + MAX_AGE_BLOCKS + 1)
    assert list(pool) == []


def test_a_stranger_can_do_nothing_but_enrol_first(pool: Pool) -> None:
    # Nothing would ever take it out again: no block can hold it, and its expiry is the sender's choice.
    stranger = Actor(GENESIS, 1)
    with pytest.raises(Refused):
        pool.add(stranger.sign(Rate(bytes(32), 1, 1), 2**64 - 1), HEIGHT)


def test_what_waits_for_an_enrolment_that_never_comes_keeps_nobody_from_enrolling(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Keys cost nothing; and batches overtake each other, so what a newcomer writes may come before its enrolment.
    monkeypatch.setattr(mempool, "MAX_FROM_STRANGERS", 3)
    for number in range(3):
        actor = Actor(GENESIS, 1 + number)
        actor.nonce = 1
        pool.take(*rates(actor, 1))
    assert (pool.strangers, pool.early) == (0, 3)
    ann = Actor(GENESIS, 9)
    enrol, *more = [ann.sign(Enrol()), *rates(ann, 2)]
    assert pool.refusal(more[0]) is Reason.POOL_FULL
    pool.take(enrol, *more)
    assert (pool.order(), pool.strangers) == ([enrol, *more], 3)
    assert pool.refusal(Actor(GENESIS, 10).sign(Enrol())) is Reason.POOL_FULL


def test_what_was_abandoned_waits_for_what_made_its_key_known(pool: Pool) -> None:
    # given a key that is known by a rotation, and a block with its first transaction
    moved = Actor(GENESIS, 8)
    first = moved.sign(Rate(bytes(32), 1, 5))
    assert pool.refusal(first) is Reason.NOT_ENROLLED
    # when that block is abandoned, and the rotation with it
    pool.restore([first], HEIGHT)
    # then it is not lost: the rotation comes back as well
    assert pool.order() == [first]


def test_what_this_node_has_to_offer_again(pool: Pool) -> None:
    one, two, three = rates(member(pool, 1), 3)
    pool.take(one, two, three)
    pool.claim([three, one, rates(member(pool, 2), 1)[0]])
    assert pool.claimed(9) == (three, one), "the oldest claims first, and only what waits here"
    assert pool.claimed(1) == (three,)
    pool.remove(three.id)
    pool.take(three)
    assert pool.claimed(9) == (one,), "what was dropped is nobody's"


def test_of_what_was_claimed_before_only_what_blocks_can_hold_is_overdue(pool: Pool) -> None:
    one, two, _, early = rates(member(pool, 1), 4)
    pool.take(one, two, early)
    pool.claim([early, two])
    claims = pool.claims
    pool.claim([two, one])
    assert pool.overdue(claims, 9) == (two,)
    assert pool.overdue(pool.claims, 9) == (two, one)
    assert pool.overdue(pool.claims, 1) == (two,)
    assert pool.overdue(0, 9) == ()


def test_what_a_block_ruled_out_comes_back_where_that_block_loses() -> None:
    pool, actor = Mempool(lambda _: 0), Actor(GENESIS, 1)
    mine, others = actor.sign(Rate(bytes(32), 1, 1)), Actor(GENESIS, 2).sign(Rate(bytes(32), 1, 1))
    for transaction in (mine, others):
        pool.add(transaction, 1)
    pool.claim((mine,))
    for transaction in (mine, others):
        pool.set_aside(transaction, 7)
    assert not len(pool)
    pool.became_final(6, 8)
    pool.bring_back(7)
    assert list(pool) == [mine], "the other is for that node to offer again which promised it"
    assert pool.claimed(9) == (mine,), "it is offered again as before"
    pool.set_aside(mine, 7)
    pool.became_final(7, 8)
    pool.bring_back(8)
    assert not len(pool), "what ruled it out is final"


def test_what_was_promised_comes_back_where_another_of_its_nonce_stood_in_a_block_that_loses(pool: Pool) -> None:
    # given what an operator sent, and of the same nonce evidence that its node signed in a block of its own
    ann, bob = member(pool, 1), member(pool, 2)
    promised, passed_on = rates(ann, 1)[0], rates(bob, 1)[0]
    ann.nonce, bob.nonce = 1, 1
    rivals = [actor.sign(Rate(bytes(32), 1, 5)) for actor in (ann, bob)]
    pool.take(promised, passed_on)
    pool.claim((promised,))

    # when a block takes the others, and the branch that replaces it does so, too
    used, unused = {ann.key: 2, bob.key: 2}, {ann.key: 1, bob.key: 1}
    pool.members.update(used)
    pool.discard(rivals, HEIGHT)
    assert not len(pool)
    pool.bring_back(HEIGHT)
    assert not len(pool)

    # then what was promised comes back when that loses as well, once
    pool.members.update(unused)
    pool.bring_back(HEIGHT)
    assert list(pool) == list(pool.claimed(9)) == [promised]


def test_what_was_promised_comes_before_what_took_its_nonce_in_a_block_that_loses(pool: Pool) -> None:
    ann = member(pool, 1)
    promised = rates(ann, 1)[0]
    ann.nonce = 1
    rival = ann.sign(Rate(bytes(32), 1, 5))
    pool.take(promised)
    pool.claim((promised,))
    for _ in range(3):  # there and back
        pool.members[ann.key] = 2
        pool.discard([rival], HEIGHT)
        assert not len(pool)
        pool.members[ann.key] = 1
        pool.bring_back(HEIGHT)
        pool.restore([rival], HEIGHT)
        assert list(pool) == list(pool.claimed(9)) == [promised]


def displaced(pool: Pool) -> tuple[VerifiedTransaction, VerifiedTransaction]:
    """What was promised and ruled out, and could not come back for another of its nonce, which its actor sent then."""
    ann = member(pool, 1)
    promised = rates(ann, 1)[0]
    ann.nonce = 1
    other = ann.sign(Rate(bytes(32), 1, 5))
    pool.take(promised)
    pool.claim((promised,))
    pool.set_aside(promised, HEIGHT)
    pool.take(other)
    pool.bring_back(HEIGHT + 1)
    return promised, other


def test_what_cannot_come_back_just_now_is_not_lost(pool: Pool) -> None:
    promised, other = displaced(pool)
    assert list(pool) == [other]
    # when what ruled it out is final, and that other is still here
    pool.became_final(HEIGHT, HEIGHT + 2)
    assert list(pool) == [other]
    # and then leaves without a block
    pool.remove(other.id)
    pool.became_final(HEIGHT + 1, HEIGHT + 3)
    # then it waits again
    assert list(pool) == list(pool.claimed(9)) == [promised]


def test_keys_that_cost_nothing_push_out_nothing_that_members_were_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    # given what a member was promised, and a crowd of keys that guardians name, of which a block takes one
    monkeypatch.setattr(aside, "MAX_ACTORS", 2)
    pool = Pool()
    promised = rates(member(pool, 1), 1)[0]
    words = [Actor(GENESIS, number).sign(Enrol()) for number in range(2, 5)]
    pool.take(promised, *words)
    pool.claim((promised, *words))
    # when all of that is ruled out, and the block that did so loses
    for transaction in (promised, *words):
        pool.set_aside(transaction, HEIGHT)
    pool.bring_back(HEIGHT)
    # then the member's is here again, and of the crowd's as much as of so many members
    assert list(pool) == [promised, *words[1:]]


def test_what_expired_in_a_block_that_loses_comes_back(pool: Pool) -> None:
    ann = member(pool, 1)
    promised, passed_on = rates(ann, 2, expiry=HEIGHT)
    pool.take(promised, passed_on)
    pool.claim((promised,))
    pool.expire(HEIGHT + 1)
    assert not len(pool)
    # a branch wins that is no higher than the one before: the next of its blocks may hold it
    pool.bring_back(HEIGHT)
    assert list(pool) == list(pool.claimed(9)) == [promised]
    # and once that height is final it is out for good
    pool.expire(HEIGHT + 1)
    pool.became_final(HEIGHT, HEIGHT + 1)
    pool.bring_back(HEIGHT)
    assert not len(pool)


def test_what_another_stood_in_for_is_out_for_good_where_that_is_final(pool: Pool) -> None:
    _, other = displaced(pool)
    pool.members[other.actor] = 2
    pool.discard([other], HEIGHT + 1)
    pool.became_final(HEIGHT, HEIGHT + 2)
    pool.became_final(HEIGHT + 1, HEIGHT + 3)
    pool.members[other.actor] = 1
    pool.bring_back(HEIGHT + 1)
    assert not len(pool)


def test_what_waits_again_before_it_is_brought_back_is_promised_all_the_same(pool: Pool) -> None:
    (promised,) = rates(member(pool, 1), 1)
    pool.take(promised)
    pool.claim((promised,))
    pool.set_aside(promised, HEIGHT)
    pool.take(promised)
    assert pool.claimed(9) == ()
    pool.bring_back(HEIGHT + 1)
    assert list(pool) == list(pool.claimed(9)) == [promised]


def test_what_was_promised_to_a_key_that_the_chain_remembers_again_is_set_aside(pool: Pool) -> None:
    # given a key that the chain forgot, and that enrols again
    ann = Actor(GENESIS, 1)
    enrol = ann.sign(Enrol())
    pool.take(enrol)
    pool.claim((enrol,))
    # when a branch wins on which it was not forgotten, and then one on which it was
    pool.members[ann.key] = 3
    pool.follow(pool.actors, HEIGHT)
    assert not len(pool)
    del pool.members[ann.key]
    pool.bring_back(HEIGHT + 1)
    assert list(pool) == [enrol]


def test_who_is_held_up_is_released_by_a_block_also_where_nothing_waits(pool: Pool) -> None:
    (one, two) = rates(member(pool, 1), 2)
    pool.hold_up([one.actor], HEIGHT)
    pool.members[one.actor] = 2
    pool.discard([one], HEIGHT)
    pool.take(two)
    assert pool.expected == 1


def test_what_is_put_off_comes_last_and_takes_no_room_from_strangers(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mempool, "MAX_FROM_STRANGERS", 1)
    monkeypatch.setattr(mempool, "MAX_TRANSACTIONS", 6)
    early = [Actor(GENESIS, number).sign(Enrol()) for number in range(1, 5)]
    for transaction in early[:2]:
        pool.add(transaction, HEIGHT, is_put_off=True)
    newcomer = Actor(GENESIS, 9).sign(Enrol())
    pool.take(newcomer)
    assert (pool.strangers, pool.order()) == (1, [newcomer, *early[:2]])
    # and fills no more than half of the pool
    with pytest.raises(Refused, match="enters no block yet"):
        pool.add(early[2], HEIGHT, is_put_off=True)
    assert not pool.is_held_up(early[2].actor)
