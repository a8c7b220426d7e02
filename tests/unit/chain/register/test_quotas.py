"""How much anybody may write a day, and that nobody loses a right by it."""

from __future__ import annotations

from itertools import pairwise

import pytest

from chain.base.errors import Reason
from chain.consensus.statements import NO_TAG, TAG_BYTES
from chain.content.actions import (
    ANNUL,
    APPROVE,
    ASK,
    CONTEST,
    CORRECT,
    DECLINE,
    LEAVE,
    MAINTAIN,
    UNDO,
    UPHOLD,
    WITHDRAW,
    Anchor,
    Annul,
    Answer,
    Appeal,
    Enrol,
    Leave,
    Lost,
    Object,
    Rate,
    Repair,
    Rule,
    Statement,
    Veto,
)
from chain.content.language import NO_LIMIT
from chain.content.proposals import AddValidator, Revoke
from chain.protocol.filling import fill
from chain.register import quotas
from chain.register.entries import Tally
from chain.register.statekeys import tally_key
from tests.support.guardians import Circle
from tests.support.register import DIGEST, MARKETPLACE, MUNICIPAL, Person, Register, altered

FULL = Reason.OVER_QUOTA


def town(**limits: int) -> Register:
    quotas = {"member": 9, "fresh": 2, "fresh_days": 3, "office": 5, **limits}
    return Register(altered(MUNICIPAL, quotas=quotas), one_document=False)


def say(register: Register, member: Person, times: int) -> list[Reason | None]:
    return [register.refusal(member, Statement(member.key, 0, DIGEST)) for _ in range(times)]


def test_a_fresh_key_writes_less_and_each_day_begins_anew() -> None:
    register = town()
    office, ann = register.office(13), register.member()
    register.file(office, ann, 13, -5)
    assert say(register, ann, 3) == [None, None, FULL]
    register.block()
    assert say(register, ann, 3) == [None, None, FULL]
    register.block(2)  # three days after it enrolled it is no longer fresh
    assert say(register, ann, 10) == [*[None] * 9, FULL]


def test_what_was_written_stays_written_under_a_new_key() -> None:
    register = town()
    ann = register.member()
    register.rotate(ann)
    register.rotate(ann)
    assert register.refusal(ann, register.rotation(ann, register.person())) is FULL


def test_what_was_written_stays_written_when_guardians_undo_or_recover() -> None:
    register = town(member=4, fresh=4)
    office = register.office(13)
    circle = Circle(register, register.member())
    ann = circle.member
    register.file(office, ann, 13, -5)
    register.rotate(ann)
    assert say(register, ann, 3) == [None, None, FULL]
    new = register.person()
    register.do(new, circle.recover(new, step=UNDO))
    assert say(register, new, 1) == [FULL]
    other = register.person()
    register.do(other, circle.recover(other))
    register.block(13)
    say(register, new, 4)
    register.block()
    assert register.entry(ann).key == other.key
    assert say(register, other, 5) == [None, None, None, None, FULL], "another day"


def test_whoever_comes_and_goes_is_bounded_as_anybody() -> None:
    register = town(fresh=3)
    ann = register.member()
    for _ in range(3):
        register.do(ann, Leave())
        register.do(ann, Veto(LEAVE))
    assert register.refusal(ann, Leave()) is FULL


def test_of_what_has_steps_the_first_counts_and_answers_are_free() -> None:
    register = town(office=2, fresh=9)
    office, registrar = register.office(13), register.registrar()
    people = [register.member(registrar) for _ in range(3)]
    for person in people[:2]:
        register.do(registrar, Annul(person.key, ANNUL, DIGEST))
        register.do(person, Annul(person.key, CONTEST, DIGEST))
    assert register.refusal(registrar, Annul(people[2].key, ANNUL, DIGEST)) is FULL
    for person in people[:2]:
        register.file(office, person, 13, -5)
    register.block()
    for person, answer in zip(people[:2], (DECLINE, APPROVE), strict=True):
        register.file(office, people[2], 13, -5)
        register.do(person, Repair(person.key, 0, ASK, DIGEST))
        register.do(office, Repair(person.key, 0, answer, DIGEST))
    assert register.refusal(office, register.filing(people[2], 13, -5)) is FULL


def test_a_record_is_not_corrected_point_by_point_without_an_end() -> None:
    """Each would be for the better, and nobody had asked: one filing made 45 transactions beside the quota."""
    register = town(office=3, fresh=9)
    office, ann = register.office(15), register.member()
    number = register.file(office, ann, 15, -50, reason=DIGEST)
    for points in (-49, -48):
        register.do(office, Answer(ann.key, number, CORRECT, points, b""))
    assert register.refusal(office, Answer(ann.key, number, CORRECT, -47, b"")) is FULL
    register.do(office, Answer(ann.key, number, WITHDRAW, 0, b""))


def test_an_office_writes_more_while_it_is_one() -> None:
    register = town()
    office, ann = register.office(13), register.member()
    for _ in range(5):
        register.file(office, ann, 13, -5)
    assert register.refusal(office, register.filing(ann, 13, -5)) is FULL
    register.carry(Revoke(office.key))
    assert register.refusal(office, register.filing(ann, 13, -5)) is Reason.AUTHORITY_REVOKED


@pytest.mark.parametrize("is_revoked", [True, False], ids=["revoked", "out of its term"])
def test_who_is_no_office_any_more_moves_from_key_to_key_no_more_often_than_a_member(is_revoked: bool) -> None:
    register = town(member=3)
    office = register.office(13, term=(0, 9 if is_revoked else 2))
    if is_revoked:
        register.carry(Revoke(office.key))
    register.block()
    for _ in range(3):
        register.rotate(office)
    assert register.refusal(office, register.rotation(office, register.person())) is FULL


def test_who_makes_blocks_with_the_key_of_a_member_that_left_writes_as_much_as_an_office() -> None:
    register = town(office=4, fresh=9)
    ann = register.member()
    register.do(ann, Leave())
    register.rotate(ann)
    register.carry(AddValidator(ann.key, 1))
    register.block(register.draft.policy.identity.leave_days + 1)
    assert register.refusal(ann, Statement(ann.key, 0, DIGEST)) is Reason.NOT_ENROLLED
    report = Anchor(1, DIGEST, DIGEST, b"", DIGEST)
    assert [register.refusal(ann, report) for _ in range(5)] == [*[None] * 4, FULL]


def test_a_validator_loses_its_signing_state_no_more_often_than_it_may_write() -> None:
    # Each loss names the tag that the one before gave: without a quota they would fill everybody's blocks.
    register = town(office=3)
    tags = [NO_TAG, *(bytes([number]) * TAG_BYTES for number in range(1, 5))]
    losses = [Lost(old, new) for old, new in pairwise(tags)]
    assert [register.refusal(register.validators[0], loss) for loss in losses] == [None, None, None, FULL]


def test_rights_are_never_over_quota() -> None:
    register = town(office=1)
    office, judge, ann = register.office(13), register.arbiter(), register.member()
    number = register.file(office, ann, 13, -5)
    assert say(register, ann, 3) == [None, None, FULL]
    assert register.refusal(office, register.filing(ann, 13, -5)) is FULL
    register.do(ann, Object(ann.key, number, DIGEST))
    register.do(office, Answer(ann.key, number, MAINTAIN, 0, DIGEST))
    register.block(5)
    assert say(register, ann, 10) == [*[None] * 9, FULL]
    register.rotate(judge)
    register.do(judge, Rule(ann.key, number, UPHOLD, DIGEST))
    assert register.refusal(ann, Repair(ann.key, number, 1, DIGEST)) is FULL, "a repair can wait for tomorrow"
    register.do(ann, Appeal(ann.key, number, DIGEST))


def test_a_registrar_signs_so_many_a_day() -> None:
    register = town(registrar=2)
    registrar, other = register.registrar(), register.registrar()
    register.member(registrar)
    register.member(registrar)
    third = register.person()
    assert register.refusal(third, register.enrolment(third, registrar)) is FULL
    register.member(other)
    assert register.draft.get(tally_key(registrar.key)) == Tally(1, 2)
    register.block()
    register.do(third, register.enrolment(third, registrar))


def test_strangers_take_a_share_of_a_block_and_registrars_do_not_count() -> None:
    market = Register(altered(MARKETPLACE, quotas={"strangers_permille": 1}))
    registrar = market.registrar()
    for _ in range(4):
        market.member()
    assert market.refusal(market.person(), Enrol()) is Reason.TOO_MANY_ENROLMENTS
    market.member(registrar)
    market.block()
    market.member()


@pytest.mark.parametrize(("room", "share"), [(4_096, 1_024), (256, 64), (3, 1), (0, 1)])
def test_a_smaller_block_has_a_smaller_share(room: int, share: int) -> None:
    assert quotas.stranger_room(MARKETPLACE, room) == share


def test_a_leader_gives_strangers_their_share_of_its_own_block() -> None:
    market = Register(altered(MARKETPLACE, quotas={"strangers_permille": 500}))
    ann, bob = market.member(), market.member()
    strangers = [market.sign(market.person(), Enrol()) for _ in range(6)]
    waiting = [*strangers, market.sign(ann, Rate(bob.key, 1, 5))]
    market.block()
    included, _, hopeless = fill(market.draft, waiting, 4)
    assert ([item.kind for item in included], hopeless) == (["enrol", "enrol", "rate"], [])


def test_without_quotas_nothing_is_counted() -> None:
    names = ("member", "fresh", "office", "registrar")
    register = Register(altered(MUNICIPAL, quotas=dict.fromkeys(names, NO_LIMIT)))
    ann = register.member()
    account = register.draft.account(ann.key)
    assert account is not None
    assert (account.day, account.used) == (0, 0)


def test_no_sequence_of_transactions_keeps_a_member_from_objecting() -> None:
    """Whatever a key writes, and however often, its objection to a new record stands the same day."""
    register = town(member=1, fresh=1)
    office, ann = register.office(13), register.member()
    for _ in range(5):
        number = register.file(office, ann, 13, -5)
        say(register, ann, 3)
        assert register.refusal(ann, Object(ann.key, number, DIGEST)) is None
