"""Who rules is drawn by lot, after a hearing; a ruling is appealed once; arbiters are measured as well."""

from __future__ import annotations

import pytest

from chain.base.errors import Reason
from chain.content.actions import CORRECT, MAINTAIN, STRIKE, UPHOLD, WITHDRAW, Answer, Appeal, Object, Propose, Rule
from chain.content.proposals import ARBITER, Accredit, Judge, Revoke, Suspend
from chain.register.entries import DRAWN, MAINTAINED, STANDING
from tests.support.register import DIGEST, FOREVER, MUNICIPAL, Person, Register, altered

DEFAULT, HERO = 1, 101
HEARING, RULING, APPEAL = 5, 20, 20


class Court:
    """A register with an office that may rule too, some arbiters, and a default recorded about Ann."""

    def __init__(self, arbiters: int = 5, **authorities: int) -> None:
        self.register = Register(altered(MUNICIPAL, authorities=authorities), one_document=False)
        self.office = self.register.office(DEFAULT, HERO, rights=ARBITER)
        self.arbiters = [self.register.arbiter() for _ in range(arbiters)]
        self.ann = self.register.member()
        self.register.file(self.office, self.ann, DEFAULT, -20, severity=3)

    @property
    def drawn(self) -> list[Person]:
        return self.register.drawn(self.ann, 0)

    def heard(self) -> Person:
        """The objection was maintained and heard: the arbiter on whom the lot fell."""
        self.register.object(self.ann, 0, self.office)
        (arbiter,) = self.drawn
        return arbiter

    def ruled(self, verdict: int = UPHOLD) -> Person:
        """That arbiter ruled."""
        arbiter = self.heard()
        self.register.do(arbiter, self.ruling(verdict))
        return arbiter

    def appealed(self) -> list[Person]:
        """An upheld record was appealed and heard: those who were drawn."""
        self.ruled()
        self.register.do(self.ann, self.appeal())
        self.register.block(HEARING)
        return self.drawn

    def ruling(self, verdict: int) -> Rule:
        return Rule(self.ann.key, 0, verdict, DIGEST)

    def appeal(self) -> Appeal:
        return Appeal(self.ann.key, 0, DIGEST)


# --------------------------------------------------------------------------------------------------------- the lot


def test_nobody_rules_before_the_hearing_is_over_and_nobody_knows_who_will() -> None:
    court = Court()
    court.register.do(court.ann, Object(court.ann.key, 0, DIGEST))
    court.register.do(court.office, Answer(court.ann.key, 0, MAINTAIN, 0, DIGEST))
    court.register.block(HEARING - 1)
    assert court.drawn == []
    for arbiter in court.arbiters:
        assert court.register.refusal(arbiter, court.ruling(STRIKE)) is Reason.IN_HEARING
    court.register.block()
    assert court.register.happened == ["drawn"]
    assert len(court.drawn) == 1


def test_only_the_one_on_whom_the_lot_fell_rules() -> None:
    court = Court()
    arbiter = court.heard()
    assert court.office is not arbiter
    for other in court.arbiters:
        if other is not arbiter:
            assert court.register.refusal(other, court.ruling(STRIKE)) is Reason.NOT_DRAWN
    assert court.register.refusal(court.office, court.ruling(UPHOLD)) is Reason.OWN_RECORD
    court.register.do(arbiter, court.ruling(STRIKE))


def test_the_seed_is_the_block_before_the_end_of_the_hearing() -> None:
    court = Court()
    court.heard()
    record = court.register.standing_record(court.ann, 0)
    assert (record.lot, record.lot_height) == (court.register.blocks[-1][0].id, court.register.draft.height)


def test_the_lot_falls_on_everybody_in_turn() -> None:
    court = Court(arbiters=3)
    people = [court.register.member() for _ in range(40)]
    for person in people:
        court.register.file(court.office, person, DEFAULT, -20)
        court.register.do(person, Object(person.key, 0, DIGEST))
        court.register.do(court.office, Answer(person.key, 0, MAINTAIN, 0, DIGEST))
    court.register.block(HEARING)
    drawn = [court.register.drawn(person, 0)[0] for person in people]
    assert all(5 <= drawn.count(arbiter) <= 25 for arbiter in court.arbiters)


def test_who_is_revoked_meanwhile_is_passed_over_and_who_is_made_one_afterwards_is_not_drawn() -> None:
    court = Court(arbiters=2)
    first = court.heard()
    second = next(arbiter for arbiter in court.arbiters if arbiter is not first)
    late = [court.register.arbiter() for _ in range(4)]
    assert court.drawn == [first]
    court.register.carry(Suspend(first.key))
    assert court.drawn == [second]
    court.register.carry(Revoke(second.key))
    assert court.drawn == []
    for arbiter in late:
        assert court.register.refusal(arbiter, court.ruling(STRIKE)) is Reason.NOT_DRAWN
    court.register.block(RULING)
    assert (court.register.record(court.ann, 0), court.register.happened) == (None, ["unruled"])
    assert all(court.register.rulings(one, court.office) == (0, 0, 0) for one in (first, second, *late))


def test_who_loses_the_right_is_on_the_roll_no_more() -> None:
    court = Court(arbiters=1)
    (arbiter,) = court.arbiters
    court.register.carry(Accredit(arbiter.key, 0, (DEFAULT,), 0, FOREVER))
    assert [who for who, _ in court.register.draft.roll.arbiters] == [court.office.key]
    court.register.block()
    court.register.carry(Accredit(arbiter.key, ARBITER, (DEFAULT,), 0, FOREVER))
    assert dict(court.register.draft.roll.arbiters)[arbiter.key] == 2


def test_an_arbiter_keeps_its_lot_when_it_moves_to_another_key() -> None:
    court = Court()
    arbiter = court.heard()
    court.register.rotate(arbiter)
    assert court.drawn == [arbiter]
    court.register.do(arbiter, court.ruling(UPHOLD))
    assert court.register.rulings(arbiter, court.office) == (1, 0, 0)


# ------------------------------------------------------------------------------------------------------- the appeal


def test_what_was_upheld_can_be_appealed_once_and_in_time() -> None:
    court = Court()
    assert court.register.refusal(court.ann, court.appeal()) is Reason.NOT_UPHELD
    court.ruled()
    record = court.register.standing_record(court.ann, 0)
    assert (record.status, record.appeal_slot) == (STANDING, court.register.draft.slot + APPEAL)
    assert court.register.refusal(court.register.member(), court.appeal()) is Reason.OTHERS_RECORD
    court.register.block(APPEAL - 1)
    court.register.do(court.ann, court.appeal())
    assert court.register.refusal(court.ann, court.appeal()) is Reason.UNDER_OBJECTION
    record = court.register.standing_record(court.ann, 0)
    assert (record.status, record.is_appealed, court.register.score(court.ann)) == (MAINTAINED, True, 1000)


def test_an_appeal_that_is_late_is_none() -> None:
    court = Court()
    court.ruled()
    court.register.block(APPEAL)
    assert court.register.refusal(court.ann, court.appeal()) is Reason.DEADLINE_PASSED


@pytest.mark.parametrize("verdict", [STRIKE, UPHOLD])
def test_two_of_three_others_decide_an_appeal(verdict: int) -> None:
    court = Court()
    first, second, third = court.appealed()
    record = court.register.standing_record(court.ann, 0)
    assert (record.status, len({first, second, third} | {court.register.owner(record.arbiter), court.office})) == (
        DRAWN,
        5,
    )
    assert court.register.refusal(court.register.owner(record.arbiter), court.ruling(UPHOLD)) is Reason.NOT_DRAWN
    court.register.do(first, court.ruling(verdict))
    assert court.register.refusal(first, court.ruling(verdict)) is Reason.ALREADY_RULED
    court.register.do(second, court.ruling(3 - verdict))
    court.register.do(third, court.ruling(verdict))
    authority = court.register.authority(court.office)
    assert (authority.decided, authority.overturned) == (1, verdict == STRIKE)
    if verdict == STRIKE:
        assert court.register.record(court.ann, 0) is None
    else:
        record = court.register.standing_record(court.ann, 0)
        assert (record.upheld, record.appeal_slot, record.votes, court.register.score(court.ann)) == (2, 0, (), 980)
        assert court.register.refusal(court.ann, court.appeal()) is Reason.ALREADY_UPHELD
        assert court.register.refusal(court.ann, Object(court.ann.key, 0, DIGEST)) is Reason.ALREADY_UPHELD


def test_silence_on_an_appeal_strikes_and_counts_for_who_was_silent() -> None:
    court = Court()
    first, second, third = court.appealed()
    court.register.do(first, court.ruling(UPHOLD))
    court.register.block(RULING)
    assert (court.register.record(court.ann, 0), court.register.happened) == (None, ["unruled"])
    told = [court.register.rulings(arbiter, court.office) for arbiter in (first, second, third)]
    assert told == [(1, 0, 0), (0, 0, 1), (0, 0, 1)]
    assert court.register.authority(court.office).overturned == 0


def test_where_there_are_too_few_arbiters_a_motion_decides() -> None:
    court = Court(arbiters=3)
    waiting = court.appealed()
    assert len(waiting) == 2
    for arbiter in waiting:
        assert court.register.refusal(arbiter, court.ruling(STRIKE)) is Reason.NOT_DRAWN
    court.register.carry(Judge(court.ann.key, 0, STRIKE))
    assert court.register.record(court.ann, 0) is None
    assert court.register.authority(court.office).overturned == 1


def test_a_motion_decides_nothing_that_arbiters_decide() -> None:
    court = Court()
    judge = Propose(Judge(court.ann.key, 0, STRIKE))
    validator = court.register.validators[0]
    assert court.register.refusal(validator, judge) is Reason.USELESS_MOTION
    court.heard()
    assert court.register.refusal(validator, judge) is Reason.USELESS_MOTION
    court = Court()
    court.appealed()
    assert court.register.refusal(validator, judge) is Reason.USELESS_MOTION


def test_an_appeal_that_waits_for_a_motion_in_vain_strikes_and_nobody_was_silent() -> None:
    court = Court(arbiters=1)
    court.appealed()
    court.register.block(RULING)
    assert court.register.happened == ["unruled"]
    assert court.register.rulings(court.arbiters[0], court.office) == (1, 0, 0)


@pytest.mark.parametrize("verdict", [CORRECT, WITHDRAW])
def test_the_issuer_may_give_in_during_an_appeal(verdict: int) -> None:
    court = Court()
    court.appealed()
    court.register.do(court.office, Answer(court.ann.key, 0, verdict, -5, DIGEST))
    authority = court.register.authority(court.office)
    assert (authority.decided, authority.overturned, authority.withdrawn) == (1, 1, verdict == WITHDRAW)
    if verdict == CORRECT:  # another claim than the one that was upheld: the member can object to it
        record = court.register.standing_record(court.ann, 0)
        assert (record.upheld, record.arbiter, record.status, record.lot) == (0, b"", STANDING, b"")
        court.register.do(court.ann, Object(court.ann.key, 0, DIGEST))


# ------------------------------------------------------------------------------------------------ who is measured


def test_rulings_are_counted_by_arbiter_and_issuer() -> None:
    court = Court(arbiters=1)
    (arbiter,) = court.arbiters
    other = court.register.office(DEFAULT)
    court.register.file(other, court.ann, DEFAULT, -20, severity=3)
    court.ruled(STRIKE)
    court.register.object(court.ann, 1, other)
    (drawn,) = court.register.drawn(court.ann, 1)  # the first office is an arbiter for the other
    court.register.do(drawn, Rule(court.ann.key, 1, UPHOLD, DIGEST))
    assert court.register.rulings(arbiter, court.office) == (0, 1, 0)
    assert court.register.rulings(drawn, other) == (1, 0, 0)


def test_what_does_a_member_good_counts_for_no_error_rate() -> None:
    court = Court(overturned_permille=0, overturned_minimum=1)
    court.register.file(court.office, court.ann, HERO, 30)
    court.register.do(court.ann, Object(court.ann.key, 1, DIGEST))
    court.register.block(20)
    authority = court.register.authority(court.office)
    assert (authority.decided, authority.overturned) == (0, 0)
