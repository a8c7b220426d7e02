"""Validators that change: what is refused, how much changes at once, and when an announced set is in force."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain import validators as module
from chain.codec import U64_MAX, encode
from chain.errors import Reason
from chain.proposals import MAX_WEIGHT
from chain.state import VALIDATORS_KEY, decode_entry, encode_entry
from chain.validators import (
    ADD,
    ANNOUNCED_ROUNDS,
    JAIL,
    MAX_QUEUED,
    RELEASE,
    REMOVE,
    REPLACE,
    Change,
    Seat,
    Validators,
    begin,
    genesis_validators,
    read_validators,
    request,
    voting_set,
    with_announced,
)
from chain.votes import BATCH_MAX, Votes
from tests.support.refusals import refusal
from tests.support.world import genesis_of, secret

BATCH = 8


def key(number: int) -> bytes:
    return secret(number).public


def of(count: int) -> Validators:
    """Validators 1 to ``count``, of weight 1."""
    return genesis_validators(genesis_of(count))


def weighing(*weights: int) -> Validators:
    return of(len(weights))._replace(
        active=tuple(Seat(key(number), weight, 0, 0) for number, weight in enumerate(weights, 1))
    )


def add(number: int, weight: int = 1) -> Change:
    return Change(ADD, key(number), b"", weight)


def test_what_is_stored_of_validators_and_wishes_field_by_field() -> None:
    seats = ((key(1), 1, 0, 0), (key(2), 1, 0, 0))
    assert genesis_validators(genesis_of(2)) == (seats, (), 0, 0, ())
    assert Change(REMOVE, key(2)) == (REMOVE, key(2), b"", 0)


def asked(validators: Validators, *changes: Change, slot: int = 9) -> Validators:
    for change in changes:
        validators = request(validators, change, batch=BATCH, slot=slot)
    return validators


def refused(validators: Validators, change: Change, batch: int = BATCH) -> Reason | None:
    return refusal(request, validators, change, batch=batch, slot=9)


def settle(validators: Validators, slot: int = 50) -> Validators:
    """Let every change come into force."""
    height = validators.decided_height + 1
    while validators.is_changing:
        validators = begin(validators, height=height, slot=slot, set_start=height)
        height += 1
    return validators


def keys(validators: Validators) -> tuple[bytes, ...]:
    return tuple(seat.key for seat in validators.active)


def test_they_begin_with_the_genesis() -> None:
    genesis = genesis_of(4)
    validators = genesis_validators(genesis)
    assert voting_set(validators.active) == genesis.validators
    assert not validators.is_changing
    assert begin(validators, height=1, slot=1, set_start=1) is validators


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([add(5, 1)], (1, 2, 3, 4, 5)),
        ([Change(REMOVE, key(2))], (1, 3, 4)),
        ([Change(REPLACE, key(2), key(9))], (1, 9, 3, 4)),
        ([Change(JAIL, key(2))], (1, 2, 3, 4)),
        ([add(5), Change(REMOVE, key(1)), Change(REPLACE, key(5), key(6))], (2, 3, 4, 6)),
        ([Change(REMOVE, key(2)), add(2)], (1, 3, 4, 2)),
    ],
)
def test_changes_keep_the_order_of_leaders(changes: list[Change], expected: tuple[int, ...]) -> None:
    assert keys(settle(asked(of(4), *changes))) == tuple(map(key, expected))


def test_a_jailed_seat_weighs_nothing_until_it_is_released() -> None:
    jailed = settle(asked(of(4), Change(JAIL, key(2))))
    assert [weight for _, weight in voting_set(jailed.active)] == [1, 0, 1, 1]
    released = settle(asked(jailed, Change(RELEASE, key(2)), slot=60), slot=70)
    assert voting_set(released.active) == voting_set(of(4).active)
    assert released.seat(key(2)) == Seat(key(2), 1, 0, 70)


REFUSALS = {
    "unknown, removed": (of(4), Change(REMOVE, key(9)), Reason.NOT_VALIDATOR),
    "unknown, jailed": (of(4), Change(JAIL, key(9)), Reason.NOT_VALIDATOR),
    "unknown, released": (of(4), Change(RELEASE, key(9)), Reason.NOT_VALIDATOR),
    "unknown, replaced": (of(4), Change(REPLACE, key(9), key(8)), Reason.NOT_VALIDATOR),
    "already one": (of(4), add(2), Reason.ALREADY_VALIDATOR),
    "replaced by one": (of(4), Change(REPLACE, key(1), key(2)), Reason.ALREADY_VALIDATOR),
    "replaced by itself": (of(4), Change(REPLACE, key(1), key(1)), Reason.ALREADY_VALIDATOR),
    "queued already": (asked(of(4), add(5)), add(5), Reason.ALREADY_VALIDATOR),
    "announced already": (
        begin(asked(of(4), add(5)), height=2, slot=2, set_start=1),
        add(5),
        Reason.ALREADY_VALIDATOR,
    ),
    "removal queued": (asked(of(4), Change(REMOVE, key(2))), Change(JAIL, key(2)), Reason.NOT_VALIDATOR),
    "jailed": (asked(of(4), Change(JAIL, key(2))), Change(JAIL, key(2)), Reason.ALREADY_JAILED),
    "not jailed": (of(4), Change(RELEASE, key(2)), Reason.NOT_JAILED),
    "release queued": (
        asked(of(4), Change(JAIL, key(2)), Change(RELEASE, key(2))),
        Change(RELEASE, key(2)),
        Reason.NOT_JAILED,
    ),
    "too heavy to enter": (of(4), add(5, 2), Reason.TOO_MUCH_WEIGHT),
    "too heavy to leave": (weighing(4, 2, 2, 2), Change(REMOVE, key(1)), Reason.TOO_MUCH_WEIGHT),
    "too heavy to be jailed": (weighing(4, 2, 2, 2), Change(JAIL, key(1)), Reason.TOO_MUCH_WEIGHT),
    "too heavy to be replaced": (weighing(4, 2, 2, 2), Change(REPLACE, key(1), key(9)), Reason.TOO_MUCH_WEIGHT),
    "weightless": (of(4), add(5, 0), Reason.TOO_MUCH_WEIGHT),
    "heavier than anybody may be": (weighing(*[MAX_WEIGHT] * 4), add(5, MAX_WEIGHT + 1), Reason.TOO_MUCH_WEIGHT),
    "the last one": (of(1), Change(REMOVE, key(1)), Reason.TOO_MUCH_WEIGHT),
    "the last one, jailed": (of(1), Change(JAIL, key(1)), Reason.TOO_MUCH_WEIGHT),
    "the last that leads": (
        settle(asked(of(2), Change(JAIL, key(1)))),
        Change(REMOVE, key(2)),
        Reason.TOO_MUCH_WEIGHT,
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


def test_there_are_never_more_than_the_batch() -> None:
    assert refused(of(4), add(5), batch=4) is Reason.TOO_MANY_VALIDATORS
    full = request(of(4), add(5), batch=5, slot=9)
    assert refused(full, add(6), batch=5) is Reason.TOO_MANY_VALIDATORS
    assert refused(full, Change(REPLACE, key(1), key(6)), batch=5) is None


def test_the_queue_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_QUEUED", 2)
    two = asked(of(4), add(5), add(6))
    assert refused(two, add(7)) is Reason.TOO_MANY_CHANGES
    assert refused(begin(two, height=2, slot=2, set_start=1), add(7)) is None


@pytest.mark.parametrize("count", [1, 2])
def test_a_network_of_one_or_two_changes_one_at_a_time(count: int) -> None:
    wanted = asked(of(count), add(8), add(9))
    first = begin(wanted, height=5, slot=5, set_start=1)
    assert len(first.next) == count + 1
    assert len(settle(wanted).active) == count + 2


def test_an_offence_jails_once_wherever_the_seat_is() -> None:
    # given a set that is announced, and evidence that comes in slot 30
    announced = begin(asked(of(4), add(5)), height=2, slot=2, set_start=1)
    jailed = request(announced, Change(JAIL, key(2)), batch=BATCH, slot=30)
    # then the seat is clean at once, in force and announced
    assert [seat.clean_slot for seat in (*jailed.active, *jailed.next) if seat.key == key(2)] == [30, 30]
    assert [seat.clean_slot for seat in (*jailed.active, *jailed.next) if seat.key == key(1)] == [0, 0]
    assert settle(jailed).seat(key(2)) == Seat(key(2), 1, 1, 30)


def test_who_comes_is_clean() -> None:
    settled = settle(asked(of(4), add(5), Change(REPLACE, key(1), key(6))), slot=77)
    assert [seat.clean_slot for seat in settled.active] == [77, 0, 0, 0, 77]


def test_a_change_is_announced_two_rounds_ahead() -> None:
    announced = begin(asked(of(4), add(5)), height=20, slot=31, set_start=1)
    assert keys(announced) == keys(of(4))
    assert [seat.key for seat in announced.next] == [key(number) for number in range(1, 6)]
    assert (announced.decided_height, announced.announced_height) == (20, 20 + ANNOUNCED_ROUNDS * 4)
    assert announced.queue == ()


def test_nothing_more_is_announced_until_the_announced_set_is_in_force() -> None:
    announced = begin(asked(of(4), add(5)), height=20, slot=31, set_start=1)
    waiting = asked(announced, add(6))
    for set_start in (1, 20):
        assert begin(waiting, height=40, slot=41, set_start=set_start) is waiting
    following = begin(waiting, height=40, slot=41, set_start=40)
    assert following.active == announced.next
    assert (following.decided_height, following.announced_height) == (40, 50)


@pytest.mark.parametrize(
    ("count", "changes", "taken"),
    [
        (6, [add(7), add(8)], 2),
        (5, [add(7), add(8)], 1),
        (6, [add(7), Change(REMOVE, key(1)), add(8), Change(REMOVE, key(2))], 4),
        (6, [Change(JAIL, key(1)), Change(JAIL, key(2)), Change(JAIL, key(3)), add(7)], 2),
        (6, [Change(REPLACE, key(1), key(7)), Change(REPLACE, key(2), key(8)), Change(REMOVE, key(8))], 3),
        (4, [Change(JAIL, key(1)), Change(RELEASE, key(1)), add(5)], 3),
        (4, [add(5), Change(REMOVE, key(5)), Change(JAIL, key(1)), Change(JAIL, key(2))], 3),
    ],
)
def test_no_more_than_a_third_moves_at_once(count: int, changes: list[Change], taken: int) -> None:
    announced = begin(asked(of(count), *changes), height=2, slot=2, set_start=1)
    assert announced.queue == tuple(changes[taken:])
    before, after = dict(voting_set(announced.active)), dict(voting_set(announced.next))
    left = sum(weight for each, weight in before.items() if not after.get(each))
    entered = sum(weight for each, weight in after.items() if not before.get(each))
    assert 3 * max(left, entered) <= sum(before.values())


def test_every_queued_change_has_its_turn() -> None:
    changes = [Change(JAIL, key(number)) for number in range(1, 7)] + [Change(RELEASE, key(1)), add(8)]
    wanted = asked(of(7), *changes)
    assert [seat.is_jailed for seat in settle(wanted).active] == [0, 1, 1, 1, 1, 1, 0, 0]


def test_what_cancels_out_is_not_announced() -> None:
    wanted = asked(of(4), Change(JAIL, key(2)), Change(RELEASE, key(2)))
    done = begin(wanted, height=2, slot=6, set_start=1)
    assert not done.is_changing
    assert done.seat(key(2)) == Seat(key(2), 1, 0, 6)


def announced_at(decided: int, announced: int) -> Validators:
    return of(4)._replace(next=of(5).active, decided_height=decided, announced_height=announced)


@pytest.mark.parametrize(
    ("mhpc_before", "decided", "announced", "is_due"),
    [(5, 5, 21, True), (4, 5, 21, False), (5, 5, 22, False), (20, 5, 6, True), (0, 0, 0, False)],
)
def test_an_announced_set_is_in_force_once_its_height_came_and_its_decision_is_final(
    mhpc_before: int, decided: int, announced: int, is_due: bool
) -> None:
    votes = replace(Votes.genesis(genesis_of(4).validators, BATCH, height=20), mhpc_before=mhpc_before)
    votes = replace(votes, sets=(replace(votes.newest_set, start=1),))
    changed = with_announced(votes, announced_at(decided, announced))
    assert (changed is not votes) is is_due
    assert with_announced(votes, of(4)) is votes
    if is_due:
        assert (changed.newest_set.start, len(changed.newest_set.keys)) == (21, 5)
        assert with_announced(changed, announced_at(decided, announced)) is changed


def test_they_are_stored_as_they_are() -> None:
    validators = asked(begin(asked(of(4), add(5)), height=2, slot=2, set_start=1), Change(JAIL, key(2)))
    stored = decode_entry(VALIDATORS_KEY, encode_entry(validators))
    assert isinstance(stored, Validators)
    assert stored == validators
    assert type(stored.active[0]) is Seat


def test_the_largest_fits() -> None:
    seats = tuple(Seat(number.to_bytes(32, "big"), MAX_WEIGHT, 1, U64_MAX) for number in range(BATCH_MAX))
    queue = (Change(REPLACE, bytes(32), bytes(32), MAX_WEIGHT),) * MAX_QUEUED
    largest = Validators(seats, seats, U64_MAX, U64_MAX, queue)
    assert decode_entry(VALIDATORS_KEY, encode_entry(largest)) == largest


GOOD = asked(of(4), Change(REPLACE, key(2), key(7)))


@pytest.mark.parametrize(
    "fields",
    [
        GOOD[:4],
        (*GOOD, 0),
        ((), *GOOD[1:]),
        (b"", *GOOD[1:]),
        (((key(1), 1, 0),), *GOOD[1:]),
        (((key(1), 1, 2, 0),), *GOOD[1:]),
        (((key(1), 0, 0, 0),), *GOOD[1:]),
        (((b"", 1, 0, 0),), *GOOD[1:]),
        (*GOOD[:2], -1, *GOOD[3:]),
        (*GOOD[:4], ((6, key(1), b"", 0),)),
        (*GOOD[:4], ((JAIL, key(1), key(2), 0),)),
        (*GOOD[:4], ((REPLACE, key(1), b"", 0),)),
        (*GOOD[:4], GOOD.queue * (MAX_QUEUED + 1)),
    ],
    ids=range(13),
)
def test_what_is_no_entry_is_malformed(fields: tuple[object, ...]) -> None:
    assert refusal(read_validators, fields) is Reason.MALFORMED
