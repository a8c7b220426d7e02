"""Validators as the register knows them: what is refused, what waits, and what a block decides."""

from __future__ import annotations

import pytest

from chain.base.codec import U64_MAX, encode
from chain.base.errors import Reason
from chain.consensus.electorate import (
    BATCH_MAX,
    MAX_TAGS,
    NOTHING_DECIDED,
    Decision,
    Electorate,
    Gate,
    Joint,
    Tag,
    ValidatorSet,
)
from chain.consensus.statements import NO_TAG
from chain.content.proposals import MAX_WEIGHT
from chain.register import validators as module
from chain.register.state import decode_entry, encode_entry
from chain.register.statekeys import VALIDATORS_KEY
from chain.register.validators import (
    ADD,
    JAIL,
    MAX_QUEUED,
    RELEASE,
    REMOVE,
    REPLACE,
    REWEIGH,
    Change,
    Seat,
    Validators,
    begin,
    decision,
    genesis_validators,
    read_validators,
    renew,
    request,
    weights_of,
)
from tests.support.refusals import refusal
from tests.support.world import genesis_of, secret

BATCH = 8
TAG = bytes(15) + b"1"


def key(number: int) -> bytes:
    return secret(number).public


def of(count: int) -> Validators:
    """Validators 1 to ``count``, of weight 1."""
    return genesis_validators(genesis_of(count))


def add(number: int, weight: int = 1) -> Change:
    return Change(ADD, key(number), b"", weight)


def asked(validators: Validators, *changes: Change, height: int = 9) -> Validators:
    for change in changes:
        validators = request(validators, change, batch=BATCH, height=height)
    return validators


def refused(validators: Validators, change: Change, batch: int = BATCH) -> Reason | None:
    return refusal(request, validators, change, batch=batch, height=9)


def at_first(validators: Validators) -> Electorate:
    """The electorate of a branch on which no change ever came into force."""
    return Electorate(1, ValidatorSet(validators.voting))


def decided(validators: Validators, height: int = 20) -> Validators:
    """As the block at ``height`` begins, where no change is under way."""
    return begin(validators, at_first(validators), height=height, batch=BATCH)


def in_force(validators: Validators, height: int = 50) -> Validators:
    """As the block at ``height`` begins, the first for which the change under way is in force."""
    alone = Electorate(height, ValidatorSet(validators.following))
    return begin(validators, alone, height=height, batch=BATCH)


def settle(validators: Validators, height: int = 50) -> Validators:
    """Let every change come into force, one after the other, from ``height`` on."""
    validators = decided(validators, height)
    while validators.change:
        height += 1
        validators = in_force(validators, height)
    return validators


def keys(validators: Validators) -> tuple[bytes, ...]:
    return tuple(seat.key for seat in validators.active)


def test_what_is_stored_of_validators_and_wishes_field_by_field() -> None:
    seats = ((key(1), 1, 0, 0), (key(2), 1, 0, 0))
    assert genesis_validators(genesis_of(2)) == (seats, ((key(1), 1), (key(2), 1)), (), (), 0, (), ())
    assert Change(REMOVE, key(2)) == (REMOVE, key(2), b"", 0)
    assert (ADD, REMOVE, JAIL, RELEASE, REPLACE, REWEIGH) == (1, 2, 3, 4, 5, 6)


def test_they_begin_with_the_genesis() -> None:
    genesis = genesis_of(4)
    validators = genesis_validators(genesis)
    assert weights_of(validators.active) == validators.voting == genesis.validators
    assert not validators.is_changing
    assert decided(validators, 1) is validators
    assert decision(validators, at_first(validators), 1) == NOTHING_DECIDED


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([add(5, 1)], (1, 2, 3, 4, 5)),
        ([Change(REMOVE, key(2))], (1, 3, 4)),
        ([Change(REPLACE, key(2), key(9))], (1, 9, 3, 4)),
        ([Change(JAIL, key(2))], (1, 2, 3, 4)),
        ([Change(REWEIGH, key(2), b"", 7)], (1, 2, 3, 4)),
        ([add(5), Change(REMOVE, key(1)), Change(REPLACE, key(5), key(6))], (2, 3, 4, 6)),
        ([Change(REMOVE, key(2)), add(2)], (1, 3, 4, 2)),
    ],
)
def test_changes_keep_the_order_of_leaders(changes: list[Change], expected: tuple[int, ...]) -> None:
    assert keys(settle(asked(of(4), *changes))) == tuple(map(key, expected))


def test_a_weight_may_be_any_and_moves_at_once() -> None:
    heavy = settle(asked(of(4), add(5, MAX_WEIGHT), Change(REWEIGH, key(2), b"", 7)))
    assert [weight for _, weight in heavy.voting] == [1, 7, 1, 1, MAX_WEIGHT]
    assert heavy.voting == weights_of(heavy.active)


def test_a_jailed_seat_weighs_nothing_until_it_is_released() -> None:
    jailed = settle(asked(of(4), Change(JAIL, key(2))))
    assert [weight for _, weight in jailed.voting] == [1, 0, 1, 1]
    released = settle(asked(jailed, Change(RELEASE, key(2)), height=60), height=70)
    assert released.voting == of(4).voting
    assert released.seat(key(2)) == Seat(key(2), 1, 0, 70)


def test_a_jailed_seat_is_felt_at_once_and_its_weight_leaves_in_its_turn() -> None:
    jailed = asked(of(4), Change(JAIL, key(2)))
    assert jailed.seat(key(2)) == Seat(key(2), 1, 1, 9)
    assert jailed.voting == of(4).voting
    assert decision(jailed, at_first(jailed), 9) == Decision(barred=((key(2),),))
    under_way = decided(jailed, 10)
    told = Electorate(1, ValidatorSet(jailed.voting), barred=(key(2),))
    assert decision(under_way, told, 10) == Decision(following=tuple((k, int(k != key(2))) for k, _ in jailed.voting))
    assert decision(under_way, told, 11) == NOTHING_DECIDED


REFUSALS = {
    "unknown, removed": (of(4), Change(REMOVE, key(9)), Reason.NOT_VALIDATOR),
    "unknown, jailed": (of(4), Change(JAIL, key(9)), Reason.NOT_VALIDATOR),
    "unknown, released": (of(4), Change(RELEASE, key(9)), Reason.NOT_VALIDATOR),
    "unknown, replaced": (of(4), Change(REPLACE, key(9), key(8)), Reason.NOT_VALIDATOR),
    "unknown, weighed": (of(4), Change(REWEIGH, key(9), b"", 1), Reason.NOT_VALIDATOR),
    "already one": (of(4), add(2), Reason.ALREADY_VALIDATOR),
    "replaced by one": (of(4), Change(REPLACE, key(1), key(2)), Reason.ALREADY_VALIDATOR),
    "replaced by itself": (of(4), Change(REPLACE, key(1), key(1)), Reason.ALREADY_VALIDATOR),
    "queued already": (asked(of(4), add(5)), add(5), Reason.ALREADY_VALIDATOR),
    "decided already": (decided(asked(of(4), add(5))), add(5), Reason.ALREADY_VALIDATOR),
    "removal queued": (asked(of(4), Change(REMOVE, key(2))), Change(REWEIGH, key(2), b"", 2), Reason.NOT_VALIDATOR),
    "jailed, removal queued": (
        asked(of(4), Change(JAIL, key(2)), Change(REMOVE, key(2))),
        Change(JAIL, key(2)),
        Reason.ALREADY_JAILED,
    ),
    "removal decided": (decided(asked(of(4), Change(REMOVE, key(2)))), Change(REMOVE, key(2)), Reason.NOT_VALIDATOR),
    "replacement decided": (
        decided(asked(of(4), Change(REPLACE, key(2), key(9)))),
        Change(REWEIGH, key(2), b"", 2),
        Reason.NOT_VALIDATOR,
    ),
    "jailed": (asked(of(4), Change(JAIL, key(2))), Change(JAIL, key(2)), Reason.ALREADY_JAILED),
    "not jailed": (of(4), Change(RELEASE, key(2)), Reason.NOT_JAILED),
    "release queued": (
        asked(of(4), Change(JAIL, key(2)), Change(RELEASE, key(2))),
        Change(RELEASE, key(2)),
        Reason.NOT_JAILED,
    ),
    "weightless": (of(4), add(5, 0), Reason.TOO_MUCH_WEIGHT),
    "made weightless": (of(4), Change(REWEIGH, key(1), b"", 0), Reason.TOO_MUCH_WEIGHT),
    "heavier than anybody may be": (of(4), add(5, MAX_WEIGHT + 1), Reason.TOO_MUCH_WEIGHT),
    "made heavier than that": (of(4), Change(REWEIGH, key(1), b"", MAX_WEIGHT + 1), Reason.TOO_MUCH_WEIGHT),
    "the last one": (of(1), Change(REMOVE, key(1)), Reason.NO_VALIDATOR_LEFT),
    "the last one, jailed": (of(1), Change(JAIL, key(1)), Reason.NO_VALIDATOR_LEFT),
    "the last that leads": (asked(of(2), Change(JAIL, key(1))), Change(REMOVE, key(2)), Reason.NO_VALIDATOR_LEFT),
    "the only one that leads, beside who may never come": (
        asked(of(1), add(5)),
        Change(JAIL, key(1)),
        Reason.NO_VALIDATOR_LEFT,
    ),
    "the same, decided": (decided(asked(of(1), add(5))), Change(JAIL, key(1)), Reason.NO_VALIDATOR_LEFT),
    "the only one that leads, beside whom a release waits for": (
        asked(settle(asked(of(2), Change(JAIL, key(2)))), Change(RELEASE, key(2))),
        Change(JAIL, key(1)),
        Reason.NO_VALIDATOR_LEFT,
    ),
    "the only one that will lead, once who leads beside it is gone": (
        decided(asked(of(2), Change(REMOVE, key(2)), add(5))),
        Change(JAIL, key(1)),
        Reason.NO_VALIDATOR_LEFT,
    ),
    "no key": (of(4), Change(ADD, bytes(32), b"", 1), Reason.BAD_KEY),
    "replaced by no key": (of(4), Change(REPLACE, key(1), bytes(32)), Reason.BAD_KEY),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_makes_no_sense_is_refused(case: str) -> None:
    validators, change, reason = REFUSALS[case]
    before = encode(validators)
    assert refused(validators, change) is reason
    assert encode(validators) == before


@pytest.mark.parametrize("count", [1, 2])
def test_somebody_leads_whatever_is_asked_for_and_comes_of_it(count: int) -> None:
    """Every sequence of three changes, each of which comes into force, lapses, or is waited for by the next."""
    whose = range(1, count + 2)
    wishes = [Change(kind, key(number)) for kind in (REMOVE, JAIL, RELEASE) for number in whose]
    wishes += [add(whose[-1]), Change(REPLACE, key(1), key(whose[-1]))]
    states = {of(count)}
    for _ in range(3):
        begun = {after for state in states for after in _begun(state)}
        states = begun | {after for state in begun for wish in wishes for after in _if_granted(state, wish)}
        assert [state for state in states if not _is_led(state)] == []


def _begun(validators: Validators) -> list[Validators]:
    """What the next block can make of a change that is under way, and of those that wait."""
    if not validators.change:
        return [decided(validators)]
    return [validators, in_force(validators), begin(validators, at_first(validators), height=148, batch=BATCH)]


def _if_granted(validators: Validators, wish: Change) -> list[Validators]:
    return [] if refused(validators, wish) else [asked(validators, wish)]


def _is_led(validators: Validators) -> bool:
    """Whether somebody makes the next block, whether or not the change under way is in force by then."""
    barred = {seat.key for seat in validators.active if seat.is_jailed}
    sets = [validators.voting, *([validators.following] if validators.change else [])]
    return all(any(weight and who not in barred for who, weight in weights) for weights in sets)


def test_there_are_never_more_than_the_batch() -> None:
    assert refused(of(4), add(5), batch=4) is Reason.TOO_MANY_VALIDATORS
    full = request(of(4), add(5), batch=5, height=9)
    assert refused(full, add(6), batch=5) is Reason.TOO_MANY_VALIDATORS
    assert refused(full, Change(REPLACE, key(1), key(6)), batch=5) is None


def test_what_waits_and_will_not_fit_keeps_nobody_from_being_jailed() -> None:
    # given a change that lapsed, one that made sense after it alone, and a newcomer for whom that would have made room
    changes = (Change(REPLACE, key(3), key(6)), Change(REWEIGH, key(1), weight=2), Change(REMOVE, key(6)), add(7))
    under_way = decided(asked(of(4), *changes), 20)
    crowded = begin(under_way, at_first(under_way), height=148, batch=4)
    assert crowded.change == (Change(REWEIGH, key(1), weight=2),)
    assert refused(crowded, add(8), batch=4) is Reason.TOO_MANY_VALIDATORS
    # then who contradicts itself is jailed all the same
    assert refused(crowded, Change(JAIL, key(4)), batch=4) is None


def test_the_queue_is_bounded_but_for_jails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_QUEUED", 2)
    two = asked(of(4), add(5), add(6))
    assert refused(two, add(7)) is Reason.TOO_MANY_CHANGES
    assert refused(two, Change(JAIL, key(1))) is None
    assert refused(decided(two), add(7)) is None


# ------------------------------------------------------------------------------------------------ the change under way


def test_one_change_at_a_time_is_decided_and_the_others_wait() -> None:
    waiting = asked(of(4), add(5), add(6))
    under_way = decided(waiting, 20)
    assert (under_way.change, under_way.queue, under_way.decided_height) == ((add(5),), (add(6),), 20)
    assert keys(under_way) == keys(of(4))
    assert under_way.following == (*of(4).voting, (key(5), 1))
    assert decision(under_way, at_first(under_way), 20) == Decision(under_way.following)
    assert under_way.seat(key(5)) == Seat(key(5), 1, 0, 20)
    assert under_way.seat(key(6)) is None


@pytest.mark.parametrize("kind", [Gate, Joint])
def test_nothing_is_decided_while_a_change_is_on_its_way(kind: type[Gate] | type[Joint]) -> None:
    under_way = decided(asked(of(4), add(5), add(6)), 20)
    phase = kind(20, ValidatorSet(under_way.following))
    assert begin(under_way, Electorate(1, ValidatorSet(under_way.voting), phase), height=40, batch=BATCH) is under_way


def test_once_it_is_in_force_the_next_is_decided_in_the_same_block() -> None:
    after = in_force(decided(asked(of(4), add(5), add(6)), 20), 30)
    assert (keys(after)[-1], after.voting[-1]) == (key(5), (key(5), 1))
    assert (after.change, after.queue, after.decided_height) == ((add(6),), (), 30)
    last = in_force(after, 40)
    assert (last.is_changing, last.following, last.decided_height) == (False, (), 0)
    assert len(last.active) == 6


def test_a_change_that_lapsed_is_dropped_and_the_next_has_its_turn() -> None:
    under_way = decided(asked(of(4), add(5), Change(REMOVE, key(1))), 20)
    lapsed = begin(under_way, at_first(under_way), height=148, batch=BATCH)
    assert (lapsed.active, lapsed.change) == (of(4).active, (Change(REMOVE, key(1)),))
    assert (lapsed.queue, lapsed.decided_height) == ((), 148)


def test_a_jail_that_lapsed_goes_to_the_end_of_the_queue() -> None:
    jail = Change(JAIL, key(2))
    under_way = decided(asked(of(4), jail, add(5)), 20)
    lapsed = begin(under_way, at_first(under_way), height=148, batch=BATCH)
    assert (lapsed.change, lapsed.queue) == ((add(5),), (jail,))
    assert lapsed.seat(key(2)) == Seat(key(2), 1, 1, 9)


def test_what_makes_no_sense_any_more_is_dropped() -> None:
    # given a release and a removal of a fifth whose own entry will lapse
    changes = [add(5), Change(REWEIGH, key(5), b"", 3), Change(REMOVE, key(5)), Change(REMOVE, key(1))]
    under_way = decided(asked(of(4), *changes), 20)
    lapsed = begin(under_way, at_first(under_way), height=148, batch=BATCH)
    assert (lapsed.change, lapsed.queue) == ((changes[-1],), ())


def test_nobody_is_the_last_to_leave_because_another_change_lapsed() -> None:
    under_way = decided(asked(of(1), add(5), Change(REMOVE, key(1))), 20)
    lapsed = begin(under_way, at_first(under_way), height=148, batch=BATCH)
    assert (lapsed.active, lapsed.is_changing) == (of(1).active, False)


def test_a_jail_and_its_release_have_their_turns_one_after_the_other() -> None:
    jailed = decided(asked(of(4), Change(JAIL, key(2)), Change(RELEASE, key(2))), 20)
    assert (jailed.change, jailed.queue) == ((Change(JAIL, key(2)),), (Change(RELEASE, key(2)),))
    settled = in_force(in_force(jailed, 30), 40)
    assert (settled.voting, settled.is_changing) == (of(4).voting, False)


def test_a_weight_that_it_has_already_is_no_change() -> None:
    same = decided(asked(of(4), Change(REWEIGH, key(2), b"", 1), add(5)), 20)
    assert (same.change, same.queue) == ((add(5),), ())


def test_an_offence_jails_once_wherever_the_seat_is() -> None:
    under_way = decided(asked(of(4), add(5)), 20)
    jailed = request(under_way, Change(JAIL, key(2)), batch=BATCH, height=30)
    assert [seat.clean_height for seat in jailed.active] == [0, 30, 0, 0]
    assert settle(in_force(jailed, 40), 50).seat(key(2)) == Seat(key(2), 1, 1, 30)


@pytest.mark.parametrize("coming", [add(5), Change(REPLACE, key(2), key(5))])
def test_a_newcomer_on_its_way_can_be_jailed_too_and_makes_no_block(coming: Change) -> None:
    # given another change that has its turn before the newcomer's weight leaves
    under_way = decided(asked(of(4), coming, Change(REWEIGH, key(1), weight=2)), 20)
    jailed = request(under_way, Change(JAIL, key(5)), batch=BATCH, height=30)
    assert keys(jailed) == keys(of(4))
    assert refused(jailed, Change(JAIL, key(5))) is Reason.ALREADY_JAILED
    # when it comes, then it is barred from its first block on
    arrived = in_force(jailed, 40)
    assert [seat.key for seat in arrived.active if seat.is_jailed] == [key(5)]
    assert arrived.change == (Change(REWEIGH, key(1), weight=2),)
    assert decision(arrived, Electorate(40, ValidatorSet(arrived.voting)), 40).barred == ((key(5),),)
    assert dict(settle(in_force(arrived, 50), 60).voting)[key(5)] == 0


def test_who_is_jailed_again_while_it_is_released_makes_no_block_in_between() -> None:
    jailed = settle(asked(of(4), Change(JAIL, key(2))), 20)
    released = asked(decided(asked(jailed, Change(RELEASE, key(2))), 40), Change(JAIL, key(2)))
    back = in_force(released, 50)
    assert [seat.is_jailed for seat in back.active] == [0, 1, 0, 0]
    assert settle(in_force(back, 60), 70).voting[1] == (key(2), 0)


def test_what_is_to_be_jailed_when_its_turn_comes_gets_no_weight() -> None:
    # given a release, and a jail after it, that both wait behind another change
    jailed = settle(asked(of(4), Change(JAIL, key(2))), 20)
    waits = asked(decided(asked(jailed, add(5)), 40), Change(RELEASE, key(2)), Change(JAIL, key(2)))
    settled = in_force(waits, 50)
    assert (settled.voting[1], settled.is_changing) == ((key(2), 0), False)


def test_a_change_is_dropped_where_who_waits_to_be_jailed_would_be_the_last() -> None:
    # given the only seat is to go to a newcomer that is to be jailed, after another came, who never comes
    changes = (add(5), Change(REPLACE, key(1), key(6)), Change(JAIL, key(6)))
    under_way = decided(asked(of(1), *changes), 20)
    lapsed = begin(under_way, at_first(under_way), height=148, batch=BATCH)
    assert (lapsed.active, lapsed.is_changing) == (of(1).active, False)


def test_a_jail_that_lapsed_does_not_outlive_the_release_that_waits() -> None:
    under_way = asked(decided(asked(of(4), Change(JAIL, key(2))), 20), Change(RELEASE, key(2)))
    lapsed = begin(under_way, at_first(under_way), height=148, batch=BATCH)
    assert (lapsed.voting, lapsed.is_changing) == (of(4).voting, False)
    assert lapsed.seat(key(2)) == Seat(key(2), 1, 0, 148)


def test_whose_release_lapsed_while_it_weighed_something_waits_to_be_jailed_again() -> None:
    # given two whose jails lapse since their releases wait, each of which is a change since the other is jailed
    releases = (Change(RELEASE, key(2)), Change(RELEASE, key(3)))
    waits = asked(decided(asked(of(4), Change(JAIL, key(2))), 20), Change(JAIL, key(3)), *releases)
    under_way = []
    for height in (148, 276, 404, 532):
        waits = begin(waits, at_first(waits), height=height, batch=BATCH)
        under_way.append(waits.change)
    # when the releases lapse too, then nobody makes no blocks and votes for ever
    assert under_way == [(Change(JAIL, key(3)),), *((each,) for each in releases), (Change(JAIL, key(2)),)]
    assert [seat.is_jailed for seat in waits.active] == [0, 1, 1, 0]
    assert [weight for _, weight in in_force(waits, 540).voting] == [1, 0, 0, 1]


@pytest.mark.parametrize("is_decided", [False, True])
def test_who_leaves_its_seat_for_a_jailed_one_can_be_jailed_meanwhile(*, is_decided: bool) -> None:
    jailed = settle(asked(of(4), Change(JAIL, key(2))), 20)
    waits = asked(jailed, Change(REPLACE, key(1), key(7)), Change(REPLACE, key(2), key(1)))
    caught = asked(decided(waits, 40) if is_decided else waits, Change(JAIL, key(1)))
    assert [seat.is_jailed for seat in caught.active] == [1, 1, 0, 0]
    assert refused(caught, Change(JAIL, key(1))) is Reason.ALREADY_JAILED


@pytest.mark.parametrize("leaving", [Change(REMOVE, key(2)), Change(REPLACE, key(2), key(7))])
@pytest.mark.parametrize("is_decided", [False, True])
@pytest.mark.parametrize("lapses", [False, True])
def test_who_is_about_to_leave_can_be_jailed_and_so_is_who_takes_its_seat(
    leaving: Change, *, is_decided: bool, lapses: bool
) -> None:
    waits = asked(of(4), leaving)
    jailed = asked(decided(waits) if is_decided else waits, Change(JAIL, key(2)), height=30)
    assert [seat.clean_height for seat in jailed.active] == [0, 30, 0, 0]
    begun = jailed if is_decided else decided(jailed, 40)
    assert begun.change == (leaving,)
    # whether that comes into force or not, in the end the seat has no weight, whoever has it
    settled = settle(begin(begun, at_first(begun), height=168, batch=BATCH) if lapses else in_force(begun))
    whose = key(2) if lapses else key(7)
    others = tuple((key(number), 1) for number in (1, 3, 4))
    weightless = () if leaving.kind == REMOVE and not lapses else ((whose, 0),)
    assert settled.voting == (*others[:1], *weightless, *others[1:])
    assert [seat.key for seat in settled.active if seat.is_jailed] == [who for who, _ in weightless]


def test_who_comes_is_clean_of_what_it_did_before_that_was_decided() -> None:
    # what it says once it is waited for may count, and is answered for
    waits = decided(asked(of(4), add(5), Change(REPLACE, key(1), key(6))), 76)
    newcomer = waits.seat(key(5))
    assert newcomer is not None
    assert newcomer.clean_height == 76
    settled = in_force(in_force(waits, 78), 79)
    assert [seat.clean_height for seat in settled.active] == [78, 0, 0, 0, 76]


def test_who_is_released_answers_for_what_it_says_once_that_is_decided() -> None:
    jailed = settle(asked(of(4), Change(JAIL, key(2)), height=30), 40)
    under_way = decided(asked(jailed, Change(RELEASE, key(2))), 60)
    assert under_way.seat(key(2)) == Seat(key(2), 1, 0, 60)
    assert settle(in_force(under_way, 70), 80).seat(key(2)) == Seat(key(2), 1, 0, 60)


# ------------------------------------------------------------------------------------------------------------- tags


def test_tags_are_kept_by_key_and_told_once() -> None:
    renewed = renew(renew(of(4), key(2), TAG), key(1), TAG)
    assert renewed.tags == tuple(sorted([(key(1), TAG), (key(2), TAG)]))
    assert (renewed.tag(key(2)), renewed.tag(key(3))) == (TAG, NO_TAG)
    now = at_first(renewed)
    told = decision(renewed, now, 9)
    assert told == Decision(tags=renewed.tags)
    after = now.after(9, mhpc=0, spoke=(), decision=told)
    assert decision(renewed, after, 10) == NOTHING_DECIDED
    again = renew(renewed, key(2), TAG[::-1])
    assert decision(again, after, 10) == Decision(tags=((key(2), TAG[::-1]),))


def test_so_many_keys_may_lose_their_signing_states() -> None:
    known = tuple((number.to_bytes(32, "big"), TAG) for number in range(MAX_TAGS))
    full = of(1)._replace(tags=known)
    assert refusal(renew, full, key(1), TAG) is Reason.TOO_MANY_CHANGES
    assert renew(full, known[7][0], TAG[::-1]).tag(known[7][0]) == TAG[::-1]


# ---------------------------------------------------------------------------------------------------------- storage


def test_what_a_restart_forgot_for_want_of_room_is_forgotten_here() -> None:
    known = tuple((number.to_bytes(32, "big"), TAG) for number in range(MAX_TAGS))
    full = of(1)._replace(tags=known)
    told = (*known[1:], (key(1), TAG))
    after_restart = Electorate(1, ValidatorSet(full.voting), tags=tuple(Tag(*each, 7) for each in told))
    begun = begin(full, after_restart, height=8, batch=BATCH)
    assert begun.tags == tuple(sorted(told))
    assert decision(begun, after_restart, 8) == NOTHING_DECIDED


def test_they_are_stored_as_they_are() -> None:
    validators = renew(asked(decided(asked(of(4), add(5))), Change(JAIL, key(2))), key(1), TAG)
    stored = decode_entry(VALIDATORS_KEY, encode_entry(validators))
    assert isinstance(stored, Validators)
    assert stored == validators
    assert type(stored.active[0]) is Seat


def test_the_largest_fits() -> None:
    seats = tuple(Seat(number.to_bytes(32, "big"), MAX_WEIGHT, 1, U64_MAX) for number in range(BATCH_MAX))
    change = Change(REPLACE, bytes(32), bytes(32), MAX_WEIGHT)
    weights = tuple((seat.key, MAX_WEIGHT) for seat in seats)
    tags = tuple((number.to_bytes(32, "big"), TAG) for number in range(MAX_TAGS))
    largest = Validators(seats, weights, (change,), weights, U64_MAX, (change,) * (MAX_QUEUED + BATCH_MAX), tags)
    assert decode_entry(VALIDATORS_KEY, encode_entry(largest)) == largest


GOOD = renew(asked(decided(asked(of(4), Change(REPLACE, key(2), key(7)))), add(5)), key(1), TAG)


def with_(at: int, value: object) -> tuple[object, ...]:
    return (*GOOD[:at], value, *GOOD[at + 1 :])


@pytest.mark.parametrize(
    "fields",
    [
        GOOD[:6],
        (*GOOD, 0),
        with_(0, ()),
        with_(0, b""),
        with_(0, ((key(1), 1, 0),)),
        with_(0, ((key(1), 1, 2, 0),)),
        with_(0, ((key(1), 0, 0, 0),)),
        with_(0, ((key(1), 1, 0, -1),)),
        with_(0, ((b"", 1, 0, 0),)),
        with_(1, ()),
        with_(1, ((key(1), -1),)),
        with_(1, ((key(1),),)),
        with_(2, GOOD.change * 2),
        with_(3, ((b"", 1),)),
        with_(4, -1),
        with_(5, ((7, key(1), b"", 0),)),
        with_(5, ((0, key(1), b"", 0),)),
        with_(5, ((JAIL, key(1), key(2), 0),)),
        with_(5, ((REPLACE, key(1), b"", 0),)),
        with_(5, ((ADD, key(1), b"", -1),)),
        with_(5, GOOD.queue * (MAX_QUEUED + 2 * BATCH_MAX + 1)),
        with_(6, ((key(1), b""),)),
        with_(6, ((b"", TAG),)),
        with_(6, ((key(1), TAG),) * (MAX_TAGS + 1)),
    ],
    ids=range(24),
)
def test_what_is_no_entry_is_malformed(fields: tuple[object, ...]) -> None:
    assert refusal(read_validators, fields) is Reason.MALFORMED
